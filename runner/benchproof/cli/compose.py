"""Choices -> the text of a spec file: every field of RunSpec, its default, and one line of why.

`init` writes it, and `run MODEL` runs it: one code, so that a spec written and run later is the same question.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from benchproof.errors import BadInput
from benchproof.schema.spec import EngineAsk, ModelAsk, PublisherAsk, ReproduceAsk, RunSpec, SeedsAsk, ThinkingAsk
from benchproof.spec import nearest

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.\-]*(/[A-Za-z0-9][\w.\-]*)?")
PLAIN = re.compile(r"[A-Za-z_][\w./\-]*")

# For each field: why it is there, and an example where there is no default to show.
WHY: Mapping[str, tuple[str, Any]] = {
    "model.repo": ("a model on the Hub, owner/name; exactly one of repo and path", "owner/name"),
    "model.path": (
        "a local transformers folder, relative to where you run; `smoke` ships with benchproof",
        "models/mine",
    ),
    "model.revision": ("of repo: a branch, tag or commit; the plan resolves it to a commit", ""),
    "model.name": ("how a local model is called in records; it is in no id", "my model"),
    "model.adapter": ("a PEFT adapter (LoRA) that is put on the model; or {path: folder}", {"repo": "owner/adapter"}),
    "model.tokenizer": ("another tokenizer than the model's own; or {path: folder}", {"repo": "owner/tokenizer"}),
    "model.trust_remote_code": ("run Python that the model brings: read it first; its files are pinned", ""),
    "model.allow_pickle": ("load *.bin where there are no safetensors: a pickle is code", ""),
    "model.chat_template": ("none: plain text, as base models are scored; model: the tokenizer's own template", ""),
    "model.template_kwargs": ("arguments of the template, such as {enable_thinking: false}", ""),
    "model.system_prompt": ("put before every prompt", "You are a careful assistant."),
    "engine.name": ("hf: transformers; replay: answers from another run's journal", ""),
    "engine.dtype": ("auto: as the checkpoint says; float32, bfloat16, float16", ""),
    "engine.softmax_dtype": ("float32; model: in the model's dtype, as stock lm-eval", ""),
    "engine.token_budget": ("tokens of one forward, padding counted; lower it if memory runs out", ""),
    "engine.generation_batch": ("rows generated together; lower it if memory runs out", ""),
    "engine.device_map": ("single: one device; balanced: layers over all visible GPUs, never to CPU or disk", ""),
    "engine.deterministic": ("ask the libraries for deterministic algorithms", ""),
    "engine.journal": ("with `name: replay`: the run folder whose answers are used", "results/other-run"),
    "seeds.fewshot": ("draws the shots, where a task draws any", ""),
    "seeds.generation": ("python, numpy, torch and every sampled text", ""),
    "truncation": ("prompts longer than the model's context: warn counts and records them, refuse stops", ""),
    "thinking.end_token": (
        "for models that reason first: what ends their reasoning; only what follows is marked",
        "</think>",
    ),
    "thinking.count_truncated": ("true: reasoning without an end is an empty answer; false: it is marked as it is", ""),
    "sandbox": ("where generated programs run: auto, bubblewrap, landlock; none is recorded and warned of", ""),
    "reproduce.margin_points": ("how far a re-run's score may lie, in points; declared before, in no id", ""),
    "publisher.organization": ("who vouches for the record", "My Lab"),
    "publisher.relationship": (
        "to the model's developer: first_party, third_party, collaborative, other",
        "third_party",
    ),
    "publisher.url": ("where to find them", "https://example.org"),
}
SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("engine", EngineAsk),
    ("seeds", SeedsAsk),
    ("thinking", ThinkingAsk),
    ("reproduce", ReproduceAsk),
)
TASKS_BY_HAND = """\
# Or the tasks themselves, instead of a suite's name:
# suite:
#   about: what this choice is
#   include: [truthfulqa]            # suites taken in first
#   tasks:
#     - task: mmlu                   # a task, group or tag of lm-eval, or the path of a task YAML
#       num_fewshot: 5               # left out: the task's own number
#       limit: 100                   # the first 100 docs of each task; the score is then marked as limited
#     - task: gsm8k
#       generation: {max_gen_toks: 512}  # until, do_sample, temperature, top_p, top_k; left out: the task's own
#       repeats: 1                   # how often each doc is asked
#       revision: main               # of the data set: branch, tag or commit
#       fewshot_as_turns: true       # with a chat template: each shot a turn, or all in one message
#     - task: my_gsm8k               # your own rows under a stock definition:
#       like: gsm8k                  #   whose prompt, filters and metrics are used
#       data: rows/mine              #   a folder of <split>.jsonl
#       description: ""              #   replaces the description of `like`
#       groups: [my_group]           #   your own aggregates that it counts in
"""


@dataclass
class Choices:
    """What differs from the defaults. `fields`: dotted name -> value; `tasks` instead of a suite's name."""

    fields: dict[str, Any] = field(default_factory=dict)
    suite: str = "core"
    tasks: list[dict[str, Any]] = field(default_factory=list)


def model_fields(word: str) -> dict[str, Any]:
    """MODEL on the command line as fields: `smoke`, a folder, or a repository on the Hub. Raises BadInput."""
    path = Path(word).expanduser()
    if word == "smoke":
        return {"model.path": "smoke"}
    if word.startswith((".", "/", "~")) or (word and path.exists()):
        if path.is_file():
            raise BadInput(
                f"{word!r} is a file", where="MODEL", do="give a model folder, or a spec whose name ends in .yaml"
            )
        return {"model.path": str(path)}
    if not HUB_NAME.fullmatch(word):
        raise BadInput(
            f"{word!r} is neither a folder nor a name on the Hub",
            where="MODEL",
            do="give owner/name, a folder, or `smoke`",
        )
    if "/" not in word and nearest(word, ["smoke"]):
        raise BadInput(f"no model {word!r}{nearest(word, ['smoke'])}", where="MODEL", do="give owner/name, or `smoke`")
    return {"model.repo": word}


def compose(choices: Choices) -> str:
    """The spec file's text. It parses to exactly these choices. Raises BadInput for text that is no UTF-8."""
    lines = [
        "# A benchproof spec: the whole question. `benchproof plan FILE` shows what it comes to, `benchproof run FILE`",
        "# runs it. Only `model` and `suite` are required; the other values below are the defaults.",
        "",
        *_section("model", ModelAsk, choices.fields),
        "",
        *_suite(choices),
        "",
    ]
    for name, kind in SECTIONS:
        lines += _section(name, kind, choices.fields)
    for name in ("truncation", "sandbox"):
        default = RunSpec.model_fields[name].default
        lines.append(_line(name, choices.fields.get(name, default), WHY[name][0], 38))
    lines += ["", *(f"# {line}" for line in _section("publisher", PublisherAsk, choices.fields, examples=True))]
    text = "\n".join(lines) + "\n"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadInput("a word is not UTF-8 text", where="command line", do="write it in UTF-8") from error
    return text


def _section(name: str, kind: type[BaseModel], given: Mapping[str, Any], examples: bool = False) -> Iterator[str]:
    yield f"{name}:"
    for key, info in kind.model_fields.items():
        why, example = WHY[f"{name}.{key}"]
        if f"{name}.{key}" in given:
            yield "  " + _line(key, given[f"{name}.{key}"], why)
        elif examples and example:
            yield "  " + _line(key, example, why)
        elif example:
            yield "  # " + _line(key, example, why, 34)
        else:
            yield "  " + _line(key, info.get_default(call_default_factory=True), why)


def _suite(choices: Choices) -> Iterator[str]:
    from benchproof.spec import suite_names

    if not choices.tasks:
        yield _line("suite", choices.suite, f"one of {', '.join(suite_names())}; or a path", 38)
        yield from TASKS_BY_HAND.splitlines()
        return
    yield "suite:                                # the tasks themselves; or a suite's name, or a path to its file"
    yield "  tasks:"
    for task in choices.tasks:
        first, *rest = [f"{key}: {flow(value)}" for key, value in task.items()]
        yield f"    - {first}"
        yield from (f"      {line}" for line in rest)


def _line(key: str, value: Any, why: str, width: int = 36) -> str:
    return f"{f'{key}: {flow(value)}':<{width}}  # {why}"


def flow(value: Any) -> str:
    """A value on one line of YAML that reads back as itself."""
    if isinstance(value, str):
        if PLAIN.fullmatch(value) and yaml.safe_load(value) == value:
            return value
        text: str = yaml.safe_dump(value, default_style='"', width=10**9, allow_unicode=True)
        return text.rstrip("\n")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(str(key))}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    text = yaml.safe_dump(value, default_flow_style=True)
    return text.removesuffix("\n").removesuffix("\n...")
