"""lm-eval's command line -> choices of a spec that means the same, and what could not be carried over.

Words of lm-evaluation-harness 0.4.13, `lm_eval/_cli/run.py`.
"""

import ast
import fnmatch
from dataclasses import dataclass
from typing import Any

from benchproof.cli.compose import model_fields
from benchproof.cli.lmeval_args import MODEL_ARGS, Translated, batch_size_word, trust_remote_code, unknown_arg
from benchproof.errors import BadInput

MODEL_TYPES = ("hf", "hf-auto", "huggingface")
# The harness ignores --num_fewshot for tasks whose YAML fixes it to 0; these are those of the five benchmarks.
FIXED_ZERO = ("truthfulqa", "truthfulqa_*", "bbh_zeroshot*", "bbh_cot_zeroshot*", "gsm8k_cot_zeroshot")
GENERATES = (
    "gsm8k*", "gsm_plus*", "bbh*", "truthfulqa_gen", "bigbench_*_generate_until", "mmlu_*generative*", "mmlu_pro*",
    "mmlu_flan_cot*", "humaneval*", "mbpp*", "minerva_math*", "hendrycks_math*", "ifeval", "triviaqa", "nq_open",
    "drop", "coqa", "squad*", "math*", "aime*",
)  # fmt: skip
GENERATION_KEYS = {
    "max_gen_toks": "max_gen_toks",
    "max_new_tokens": "max_gen_toks",
    "max_tokens": "max_gen_toks",
    "until": "until",
    "stop": "until",
    "do_sample": "do_sample",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
}


@dataclass
class Words:
    """The words as given, unread; None or False where absent."""

    model: str | None = None
    model_args: str | None = None
    tasks: str | None = None
    num_fewshot: int | None = None
    limit: str | None = None
    batch_size: str | None = None
    device: str | None = None
    output_path: str | None = None
    log_samples: bool = False
    seed: str | None = None
    gen_kwargs: str | None = None
    apply_chat_template: str | None = None
    fewshot_as_multiturn: str | None = None
    system_instruction: str | None = None
    trust_remote_code: bool = False
    use_cache: str | None = None
    confirm_run_unsafe_code: bool = False
    include_path: str | None = None

    @property
    def given(self) -> list[str]:
        """Names of the words that were given."""
        return [name for name, value in vars(self).items() if value not in (None, False)]


def translate(words: Words, model: str | None, suite: str | None) -> Translated:
    """Raises BadInput for words that contradict each other, or ask for what is not there."""
    out = Translated()
    fields = out.choices.fields
    args = _pairs(words.model_args, "--model_args")
    _refuse_other_engines(words)
    name = _the_model(model, args)
    fields.update(model_fields(name))
    for key, value in args.items():
        MODEL_ARGS.get(key, unknown_arg)(key, value, out)
    if "dtype" in args and fields["engine.dtype"] != "float32":
        out.note("softmax", "here in float32, in stock lm-eval in the model's dtype: `softmax_dtype: model` mirrors it")
    if words.trust_remote_code:
        trust_remote_code("trust_remote_code", True, out)
    _chat(words, out)
    _seeds(words, out)
    _tasks(words, suite, out)
    _elsewhere(words, out)
    if "model.path" in fields and fields.get("model.revision") is not None:
        del fields["model.revision"]
        out.note("revision", "means nothing for a local folder: its content is pinned")
    return out


def _refuse_other_engines(words: Words) -> None:
    if words.model is not None and words.model not in MODEL_TYPES:
        raise BadInput(
            f"models of type {words.model!r} are not run",
            where="--model",
            do="use `--model hf`: it runs transformers models",
        )


def _the_model(model: str | None, args: dict[str, Any]) -> str:
    given = args.pop("pretrained", None)
    if (model is None) == (given is None):
        raise BadInput(
            "no model is given" if model is None else "the model is given twice",
            where="init",
            do="give MODEL or --model_args pretrained=MODEL",
        )
    return str(model if given is None else given)


def _chat(words: Words, out: Translated) -> None:
    fields = out.choices.fields
    template = words.apply_chat_template
    if template is not None and template.lower() not in ("false", "0", "no"):
        fields["model.chat_template"] = "model"
        if template.lower() not in ("true", "1", "yes"):
            out.note("apply_chat_template", f"the name {template!r} is not carried: the tokenizer's default is used")
    elif fields.pop("model.template_kwargs", None):
        out.note("chat_template_args", "not carried: without apply_chat_template no template is used")
    if words.system_instruction is not None:
        fields["model.system_prompt"] = words.system_instruction


def _seeds(words: Words, out: Translated) -> None:
    if words.seed is None:
        return
    parts = [part.strip() for part in words.seed.split(",")]
    if len(parts) not in (1, 3, 4):
        raise BadInput(f"{len(parts)} seeds", where="--seed", do="give one, or python,numpy,torch,fewshot")
    parts = parts * 4 if len(parts) == 1 else [*parts, "1234"][:4]
    seeds = [None if part.lower() == "none" else _whole(part, "--seed") for part in parts]
    for value, target in ((seeds[3], "fewshot"), (seeds[2], "generation")):
        if value is not None:
            out.choices.fields[f"seeds.{target}"] = value
    if None in seeds:
        out.note("seed", "`None` is not carried: every generator has a seed here, 1234 if none is given")
    if len(set(seeds[:3])) > 1 and seeds[:3] != [0, 1234, 1234]:
        out.note("seed", f"python and numpy get torch's seed ({seeds[2]}) here; the shots get the last ({seeds[3]})")
    elif len(set(seeds)) > 1:
        out.note("seed", f"the shots get the last ({seeds[3]}), every other generator torch's ({seeds[2]})")


def _tasks(words: Words, suite: str | None, out: Translated) -> None:
    if words.tasks is None:
        out.choices.suite = suite or "core"
        for word in ("num_fewshot", "limit", "gen_kwargs", "fewshot_as_multiturn"):
            if word in words.given:
                raise BadInput(f"--{word} needs --tasks", where="init", do="name the tasks: a suite has its own")
        return
    if suite is not None:
        raise BadInput("--suite and --tasks exclude each other", where="init", do="give one of them")
    names = [name.strip() for name in words.tasks.split(",") if name.strip()]
    if not names:
        raise BadInput("no task is named", where="--tasks", do="give names: mmlu,gsm8k")
    limit = _limit(words, out)
    generation = _generation(words, out)
    for name in dict.fromkeys(names):
        if any(sign in name for sign in "*?["):
            raise BadInput(f"{name!r} is a pattern", where="--tasks", do="write the names out, or name their group")
        task: dict[str, Any] = {"task": name}
        if words.num_fewshot is not None:
            if words.num_fewshot and matches(name, FIXED_ZERO):
                out.note("num_fewshot", f"left out for {name}: it fixes 0, and lm-eval ignores the word there")
            else:
                task["num_fewshot"] = words.num_fewshot
        if limit is not None:
            task["limit"] = limit
        if generation and matches(name, GENERATES):
            task["generation"] = generation
        elif generation:
            out.note("gen_kwargs", f"left out for {name}: add `generation:` by hand if that task generates text")
        if (words.fewshot_as_multiturn or "true").lower() not in ("true", "1", "yes"):
            task["fewshot_as_turns"] = False
        out.choices.tasks.append(task)
    if len(set(names)) < len(names):
        out.note("tasks", "a task that is named twice is asked once")


def _limit(words: Words, out: Translated) -> int | None:
    if words.limit is None:
        return None
    try:
        value = float(words.limit)
    except ValueError as error:
        raise BadInput(f"{words.limit!r} is no number", where="--limit", do="give a number of docs") from error
    if 0 < value < 1:
        out.note("limit", f"the fraction {words.limit} cannot be carried: write a number of docs as `limit:`")
        return None
    if value < 1 or value != int(value):
        raise BadInput(f"a limit of {words.limit} docs", where="--limit", do="give a whole number from 1")
    return int(value)


def _generation(words: Words, out: Translated) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in _pairs(words.gen_kwargs, "--gen_kwargs").items():
        target = GENERATION_KEYS.get(key)
        if target is None:
            out.note(f"gen_kwargs {key}", f"not carried ({value!r}): no such setting here")
        elif target == "until":
            found[target] = [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]
        elif target in ("temperature", "top_p") and isinstance(value, int) and not isinstance(value, bool):
            found[target] = float(value)
        else:
            found[target] = value
    return found


def _elsewhere(words: Words, out: Translated) -> None:
    """Words whose meaning lives elsewhere here."""
    told = {
        "device": f"not in a spec: give it to run, `benchproof run FILE --device {words.device}`",
        "output_path": f"not in a spec: give it to run, `benchproof run FILE --out {words.output_path}`",
        "log_samples": "always so: samples/, requests/ and the journal lie in the run folder",
        "use_cache": "not carried: the run folder's journal is the cache, and the same command goes on from it",
        "confirm_run_unsafe_code": "not carried: generated code is never run without a sandbox",
        "include_path": "not carried: name the task's YAML file itself as a task",
    }
    for word, why in told.items():
        if word in words.given:
            out.note(word, why)
    if words.batch_size is not None:
        batch_size_word("batch_size", words.batch_size, out)


def _pairs(text: str | None, where: str) -> dict[str, Any]:
    """`k=v,k=v` with brackets and quotes respected; values as Python literals where they are some."""
    found: dict[str, Any] = {}
    for part in _split(text or ""):
        key, sign, value = part.partition("=")
        if not sign or not key.strip():
            raise BadInput(f"{part!r} is not key=value", where=where, do="write key=value,key=value")
        found[key.strip()] = _literal(value.strip())
    return found


def _split(text: str) -> list[str]:
    parts, depth, quote, current = [], 0, "", ""
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "[{(":
            depth += 1
        elif sign in "]})":
            depth -= 1
        if sign == "," and not quote and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += sign
    return [part for part in (*parts, current) if part.strip()]


def _literal(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _whole(text: str, where: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise BadInput(f"{text!r} is no whole number", where=where, do="give whole numbers") from error


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a task's name is one of the patterns."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
