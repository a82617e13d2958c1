"""lm-eval's results file, 0.4 layout, as what it says.

Traps (each seen in a published file): a group's n-shot is 0 while its subtasks say 5; standard errors are "N/A"; the
limit is a float; n-shot, n-samples, versions, `config` or the model's name are missing; model_args are text or mapping.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchproof.errors import BadInput
from benchproof.ledger.lmeval_samples import Samples
from benchproof.ledger.lmeval_tables import Tables, tables_of
from benchproof.ledger.published import Published, PublishedTask
from benchproof.ledger.reading import count, mapping
from benchproof.ledger.sniff import LM_EVAL
from benchproof.schema.score import Claimed, Key

TEXT_ARGS = re.compile(r",(?=[A-Za-z_]\w*=)")  # a comma inside a value begins no `name=`
COMMIT = re.compile(r"[0-9a-f]{40}")
PLACES = ("pretrained", "tokenizer", "peft")
LONGEST_NAME = 255  # bytes of one part of a path, on the file systems there are
LONGEST_LITERAL = 10_000  # characters; Python's parser recurses on what it is given
NAME = re.compile(r"[^/\\]+(?<!\.yaml)(?<!\.yml)")  # a task YAML can run Python: a foreign file may not name one
# Keys of `config` that are read, or that move no score.
KNOWN = {
    *("model", "model_args", "model_num_parameters", "model_dtype", "model_revision", "model_sha", "device", "limit"),
    *("batch_size", "batch_sizes", "max_batch_size", "bootstrap_iters", "gen_kwargs", "random_seed", "numpy_seed"),
    *("torch_seed", "fewshot_seed", "name", "output_path", "system_instruction", "chat_template"),
    *("apply_chat_template", "fewshot_as_multiturn", "write_out", "log_samples", "verbosity"),
}


def read_results(value: Mapping[str, Any], sha256: str, path: Path) -> Published:
    """The file as what it says. Raises BadInput (2) if it names no model, has no score, or names a file as a task."""
    where = str(path)
    config = mapping(value, "config", where) or mapping(value, "params", where)
    args = _args(config.get("model_args"), where)
    name = args.get("pretrained") or (value.get("model") if not config else None)
    if not isinstance(name, str) or not name.strip():
        raise BadInput("the file names no model", where=where, do="give a file whose model_args have `pretrained`")
    for key in PLACES:
        if any(len(part.encode()) > LONGEST_NAME for part in str(args.get(key, "")).split("/")):
            raise BadInput(f"model_args {key} is no name of a model", where=where, do="give another file")
    tables = tables_of(value, config, where)
    notes = list(_odd(value, config))
    generation = config.get("gen_kwargs") or {}
    tasks, claims = _asked(tables, bool(generation), notes, where)
    template = _first(value, config, "chat_template", "chat_template_sha", "apply_chat_template")
    commit = str(config.get("model_sha") or "")
    dtype = config.get("model_dtype")
    turns = _first(value, config, "fewshot_as_multiturn")
    return Published(
        format=LM_EVAL,
        sha256=sha256,
        model_name=name,
        model_type=config.get("model"),
        model_args={**args, "pretrained": name},
        commit=commit if COMMIT.fullmatch(commit) else None,
        dtype=str(dtype).removeprefix("torch.") if dtype else None,
        chat_template=None if template is None else bool(template),
        fewshot_as_turns=None if turns is None else bool(turns),
        system_prompt=_first(value, config, "system_instruction") or None,
        generation=_args(generation, where),
        seeds={key: found for key in ("torch", "fewshot") if (found := count(config.get(f"{key}_seed"))) is not None},
        harness_version=None if (version := value.get("lm_eval_version")) is None else str(version),
        tasks=tuple(tasks),
        claims=claims,
        notes=tuple(notes),
        rows=Samples(path, (inner for task in tasks for inner in tables.within(task.name) if NAME.fullmatch(inner))),
    )


def _first(value: Mapping[str, Any], config: Mapping[str, Any], *keys: str) -> Any:
    """The first that is there: False for one that is there and null, None if none is there."""
    present = [place[key] for key in keys for place in (value, config) if key in place]
    return next((found for found in present if found), False if present else None)


def _odd(value: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(config.keys() - KNOWN - {"use_cache"}):
        if config[key] not in (None, False, "", 0, {}, []):
            yield f"config {key}: not carried ({config[key]!r}): no such setting here"
    if config.get("use_cache"):
        yield "answers may come from a cache of an earlier run: the file says use_cache"
    versions = value.get("versions")
    if isinstance(versions, dict) and versions:
        said = [f"{name} {version}" for name, version in versions.items() if not isinstance(version, dict)]
        yield f"task versions: the file says {some(said)}; those of the harness here are taken"


def _asked(
    tables: Tables, generation: bool, notes: list[str], where: str
) -> tuple[list[PublishedTask], dict[Key, Claimed]]:
    """The highest groups whose members were asked alike, and what is in no group; and every number of theirs."""
    tasks: list[PublishedTask] = []
    covered: set[str] = set()
    refused: set[str] = set()
    for root in tables.roots():
        before = set(covered)
        for name, leaf in _entries(tables, root, generation, covered):
            covered |= set(tables.within(name))
            if not NAME.fullmatch(name):
                raise BadInput(
                    f"task {name!r} is named as a file",
                    where=where,
                    do="write the spec by hand, if you trust that file",
                )
            if name == "humaneval" and not any(key.endswith((",base", ",plus")) for key in tables.rows[name]):
                notes.append("humaneval: not asked: here it is evalplus's measurement, not lm-eval's")
                refused.add(name)
            else:
                tasks.append(_task(tables, name, leaf, notes))
        if tables.members.get(root) and root not in covered and covered != before:
            notes.append(
                f"the members of {root} have different shots, limits or kinds of answer: each is named by itself"
            )
    for name in tables.rows:
        if name not in covered and not covered & set(tables.within(name)):
            notes.append(f"{name}: not asked: the file puts it in no group that could be")
    found = {key: claim for key, claim in tables.claims() if key[0] not in refused}
    for key, claim in found.items():
        if claim is None:
            notes.append(f"{key[1]},{key[2]} of {key[0]} is no number in the file")
    claims = {key: claim for key, claim in found.items() if claim is not None}
    if not tasks or not claims:
        raise BadInput("the file states no score of a task that could be asked", where=where, do="give another file")
    return tasks, claims


def _entries(tables: Tables, name: str, generation: bool, covered: set[str]) -> Iterator[tuple[str, str]]:
    """(entry, a task of it): the entry itself where all its tasks were asked alike, else those of its members.

    What is in `covered`, which the caller keeps, is entered once.
    """
    leaves = tables.leaves(name)
    alike = {
        (tables.num_fewshot(leaf), tables.asked(leaf)[0], generation and tables.generates(leaf)) for leaf in leaves
    }
    if name in tables.rows and len(alike) <= 1 and not covered & set(tables.within(name)):
        yield name, leaves[0] if leaves else name
    else:
        for member in tables.members.get(name, ()):
            yield from _entries(tables, member, generation, covered)


def _task(tables: Tables, name: str, leaf: str, notes: list[str]) -> PublishedTask:
    limit, _ = tables.asked(leaf)
    cut = any(tables.asked(task)[1] for task in tables.leaves(name) or [leaf])
    said = tables.said_limit(leaf)
    if said is not None and limit is None and not tables.sizes.get(leaf):
        notes.append(f"limit: the file says {said!r} of {name}, and not how many docs that is; all are taken")
    elif cut and said is None:
        notes.append(f"limit: {name} was asked over {limit} docs, the file does not say which; the first are taken")
    shots = None if tables.members.get(leaf) else tables.num_fewshot(leaf)
    return PublishedTask(name, shots, limit if cut else None, tables.generates(leaf))


def some(names: list[str], most: int = 5) -> str:
    """The first few of a list, in words."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _args(given: Any, where: str) -> dict[str, Any]:
    if given is None:
        return {}
    if isinstance(given, dict):
        return dict(given)
    if not isinstance(given, str):
        raise BadInput(f"model_args or gen_kwargs are a {type(given).__name__}", where=where, do="give another file")
    found: dict[str, Any] = {}
    for part in TEXT_ARGS.split(given):
        name, sign, text = part.partition("=")
        if sign:
            found[name.strip()] = _literal(text.strip())
    return found


def _literal(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text) if len(text) < LONGEST_LITERAL else text
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return text
