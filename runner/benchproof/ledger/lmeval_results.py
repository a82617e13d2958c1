"""lm-eval's results file, 0.4 layout, with the samples files that lie beside it.

Traps (each seen in a published file): a group's n-shot is 0 while its subtasks say 5; standard errors are "N/A"; the
limit is a float; n-shot, n-samples, versions or the model's name are missing; model_args are text or a mapping.
"""

import ast
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchproof.errors import BadInput
from benchproof.ledger.published import Claim, Key, Published, PublishedTask, Sampled, read_bytes

STAMP = re.compile(r"results_(.+?)\.json(\.gz)?$")
TEXT_ARGS = re.compile(r",(?=[A-Za-z_]\w*=)")  # a comma inside a value begins no `name=`


def is_results(value: Any) -> bool:
    """Whether it is a 0.4 file: scores are keyed `metric,filter`."""
    results = value.get("results") if isinstance(value, dict) else None
    rows = results.values() if isinstance(results, dict) else []
    return "config" in value and any(isinstance(row, dict) and any("," in key for key in row) for row in rows)


def read_results(value: Mapping[str, Any], sha256: str, path: Path) -> Published:
    """The file as what it says. Raises BadInput (2) if it names no model or has no score."""
    config = value.get("config") or {}
    args = _args(config.get("model_args"), path)
    results = {name: row for name, row in value["results"].items() if isinstance(row, dict)}
    claims = dict(_claims(results, value))
    if not claims:
        raise BadInput("the file states no score", where=str(path), do="give a results file with scores")
    name = value.get("model_name") or args.get("pretrained")
    if not name:
        raise BadInput("the file names no model", where=str(path), do="give a file whose config has model_args")
    tasks, notes = _tasks(results, value)
    template = value.get("chat_template", "absent")
    seeds = {key: config[f"{key}_seed"] for key in ("numpy", "torch", "fewshot") if f"{key}_seed" in config}
    generation = config.get("gen_kwargs") or {}
    return Published(
        format="lm-eval results",
        sha256=sha256,
        model_name=str(name),
        model_type=config.get("model"),
        model_args=args,
        commit=config.get("model_sha") or None,
        dtype=str(config["model_dtype"]).removeprefix("torch.") if config.get("model_dtype") else None,
        chat_template=None if template == "absent" else bool(template),
        fewshot_as_turns=value.get("fewshot_as_multiturn"),
        system_prompt=value.get("system_instruction"),
        generation=generation if isinstance(generation, dict) else _args(generation, path),
        seeds=seeds or None,
        harness_version=value.get("lm_eval_version"),
        tasks=tasks,
        claims=claims,
        notes=tuple(notes),
        rows=_Samples(path, results),
    )


class _Samples(Mapping[str, Mapping[int, Sampled]]):
    """Samples files of the same run beside the results, read when a task is asked for."""

    def __init__(self, path: Path, results: Mapping[str, Any]) -> None:
        match = STAMP.search(path.name)
        self._files: dict[str, Path] = {}
        if match:
            for task in results:
                for name in (f"samples_{task}_{match[1]}.jsonl", f"samples_{task}_{match[1]}.jsonl.gz"):
                    beside = path.with_name(path.name[: match.start()] + name)
                    if beside.is_file():
                        self._files[task] = beside

    def __getitem__(self, task: str) -> Mapping[int, Sampled]:
        return read_samples(self._files[task])

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def read_samples(path: Path) -> dict[int, Sampled]:
    """The docs of a samples file, which has one line for each doc and filter. Raises BadInput (2) naming a bad line."""
    values: dict[int, dict[tuple[str, str], float]] = {}
    taken: dict[int, dict[str, list[Any]]] = {}
    for number, line in enumerate(read_bytes(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            doc_id, name = int(row["doc_id"]), str(row.get("filter", "none"))
            metrics = row.get("metrics") or [key for key in row if key != "doc_id"]
            found = {(metric, name): float(row[metric]) for metric in metrics if _finite(row.get(metric))}
            values.setdefault(doc_id, {}).update(found)
            taken.setdefault(doc_id, {})[name] = _taken(row["filtered_resps"])
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise BadInput(
                f"line {number} is no sample: {error!r}", where=str(path), do="move the file away"
            ) from error
    return {doc_id: Sampled(values[doc_id], taken[doc_id]) for doc_id in values}


def _taken(responses: Sequence[Any]) -> list[Any]:
    """What a filter took: of log-likelihoods the pick, first of the largest as the harness counts; else the texts."""
    if responses and isinstance(responses[0], list) and len(responses[0]) == 2:
        lls = [float(ll) for ll, _ in responses]
        return [lls.index(max(lls))]
    return [response if isinstance(response, str) else str(response) for response in responses]


def _claims(results: Mapping[str, Mapping[str, Any]], value: Mapping[str, Any]) -> Iterator[tuple[Key, Claim]]:
    for task, row in results.items():
        for key, number in row.items():
            metric, comma, name = key.partition(",")
            if not comma or metric.endswith("_stderr") or not _finite(number):
                continue
            error = row.get(f"{metric}_stderr,{name}")
            stderr = float(error) if error is not None and _finite(error) else None
            yield (task, metric, name), Claim(float(number), stderr, _n(task, value))


def _finite(number: Any) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)


def _n(task: str, value: Mapping[str, Any]) -> int | None:
    """Docs that a task or group was scored over."""
    counts = value.get("n-samples") or {}
    leaves = _leaves(task, value.get("group_subtasks") or {})
    known = [counts[leaf]["effective"] for leaf in leaves if leaf in counts]
    return sum(known) if known and len(known) == len(leaves) else None


def _leaves(task: str, groups: Mapping[str, Sequence[str]]) -> list[str]:
    below = groups.get(task) or []
    return [leaf for name in below if name != task for leaf in _leaves(name, groups)] if below else [task]


def _tasks(results: Mapping[str, Any], value: Mapping[str, Any]) -> tuple[tuple[PublishedTask, ...], list[str]]:
    """The highest groups whose members were asked alike, and what is in no group."""
    groups = {name: list(below) for name, below in (value.get("group_subtasks") or {}).items() if below}
    if not groups:  # older files: the group's score stands beside those of its members
        groups = {name: [other for other in results if other.startswith(f"{name}_")] for name in ("mmlu", "bbh")}
        groups = {name: below for name, below in groups.items() if name in results and below}
    inside = {task for below in groups.values() for task in below}
    notes: list[str] = []
    found: list[PublishedTask] = []
    for name in dict.fromkeys([*(name for name in groups if name not in inside), *results]):
        if name in groups and name not in inside:
            settings = {(_shots(leaf, value), _limit(leaf, value)) for leaf in _leaves(name, groups)}
            if len(settings) == 1:
                shots, limit = settings.pop()
                found.append(
                    PublishedTask(name, shots, limit, any(_generates(t, value) for t in _leaves(name, groups)))
                )
            else:
                notes.append(
                    f"the members of {name} were asked with different shots or limits: each is named by itself"
                )
                found += [_leaf(leaf, value) for leaf in _leaves(name, groups)]
        elif name not in inside and name not in groups:
            found.append(_leaf(name, value))
    return tuple(found), notes


def _leaf(task: str, value: Mapping[str, Any]) -> PublishedTask:
    return PublishedTask(task, _shots(task, value), _limit(task, value), _generates(task, value))


def _shots(task: str, value: Mapping[str, Any]) -> int | None:
    given = (value.get("n-shot") or {}).get(task)
    if given is None:
        given = ((value.get("configs") or {}).get(task) or {}).get("num_fewshot")
    return int(given) if isinstance(given, int | float) else None


def _limit(task: str, value: Mapping[str, Any]) -> int | None:
    count = (value.get("n-samples") or {}).get(task) or {}
    if "effective" in count and "original" in count:
        return int(count["effective"]) if count["effective"] < count["original"] else None
    limit = (value.get("config") or {}).get("limit")
    return int(limit) if isinstance(limit, int | float) and limit >= 1 else None


def _generates(task: str, value: Mapping[str, Any]) -> bool:
    return ((value.get("configs") or {}).get(task) or {}).get("output_type") == "generate_until"


def _args(given: Any, path: Path) -> dict[str, Any]:
    if given is None:
        return {}
    if isinstance(given, dict):
        return dict(given)
    if not isinstance(given, str):
        raise BadInput(f"model_args are {type(given).__name__}", where=str(path), do="give another file")
    found: dict[str, Any] = {}
    for part in TEXT_ARGS.split(given):
        name, sign, text = part.partition("=")
        if sign:
            found[name.strip()] = _literal(text)
    return found


def _literal(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
