"""Two results of one measurement, number by number: the harness's own, and a run folder of ours.

Prompts byte for byte; answers as far as arithmetic reaches; everything that follows from them exactly. Differences
come back as sentences, so that a test that fails says all of them at once.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchproof.store.files import read_lines
from benchproof.store.rows import part_path

LL = 1e-4  # log-likelihoods: fp32 on another batch moves the last bits, seen up to 1.5e-5
DISCRETE = 1e-9  # everything that is counted, and every text metric: equal texts have equal overlaps
MC2 = "truthfulqa_mc2"  # a smooth function of log-likelihoods: it may move by half of what they move, not more
DEFAULT_MAX_GEN_TOKS = 256  # the harness's, where the task has none


@dataclass
class Tally:
    """What was compared of one task, and what differed."""

    task: str
    docs: int = 0
    requests: int = 0
    prompt_bytes: int = 0
    texts: int = 0
    metrics: int = 0
    aggregates: int = 0
    truncated: int = 0
    max_dll: float = 0.0
    differences: list[str] = field(default_factory=list)

    def same(self, what: str, ours: Any, theirs: Any) -> None:
        if ours != theirs:
            self.differences.append(f"{self.task}, {what}: {_short(ours)} here, {_short(theirs)} in the harness")

    def close(self, what: str, ours: float, theirs: float, tolerance: float) -> None:
        if not abs(ours - theirs) <= tolerance:  # NaN is never close
            self.differences.append(f"{self.task}, {what}: {ours!r} here, {theirs!r} in the harness")


def compare(native: Mapping[str, Any], folder: Path) -> list[Tally]:
    """One tally for each task, and one for each of the harness's groups."""
    record = json.loads((folder / "record.json").read_text("utf-8"))
    pins = {pin["task"]: pin for pin in record["effective"]["ask"]["tasks"]}
    tallies = []
    for task in pins:
        tally = Tally(task)
        tallies.append(tally)
        if task not in native["samples"]:
            tally.differences.append(f"{task}: not in the harness's results")
            continue
        _task(tally, pins[task], native, folder)
        _aggregates(tally, _results(record, task, "task"), native["results"][task])
    tallies += [_group(name, record, rows) for name, rows in native["groups"].items()]
    missing = sorted(set(native["samples"]) - set(pins))
    tallies += [Tally(task, differences=[f"{task}: only in the harness's results"]) for task in missing]
    return tallies


def _task(tally: Tally, pin: Mapping[str, Any], native: Mapping[str, Any], folder: Path) -> None:
    task = tally.task
    tally.same("shots", pin["num_fewshot"], native["n-shot"][task])
    tally.same("docs asked", pin["n_docs"], native["n-samples"][task]["effective"])
    tally.same("docs of the split", pin["dataset"]["n_docs"], native["n-samples"][task]["original"])
    theirs: dict[int, dict[str, Any]] = {}
    for row in native["samples"][task]:
        theirs.setdefault(row["doc_id"], {})[row["filter"]] = row
    prompts = {row["doc_id"]: row for row in read_lines(part_path(folder, "requests", task))}
    samples = {row["doc_id"]: row for row in read_lines(part_path(folder, "samples", task))}
    tally.same("doc ids with prompts", sorted(prompts), sorted(theirs))
    tally.same("doc ids with scores", sorted(samples), sorted(theirs))
    for doc_id in sorted(set(theirs) & set(prompts) & set(samples)):
        rows = theirs[doc_id]
        tally.docs += 1
        first = next(iter(rows.values()))
        tally.same(f"doc {doc_id}, row", prompts[doc_id]["doc"], first["doc"])
        tally.same(f"doc {doc_id}, target", samples[doc_id]["target"], first["target"])
        _prompts(tally, doc_id, prompts[doc_id], first["arguments"])
        moved = _answers(tally, doc_id, samples[doc_id]["responses"], first["resps"])
        tally.same(f"doc {doc_id}, filters", sorted(samples[doc_id]["metrics"]), sorted(rows))
        for name in set(rows) & set(samples[doc_id]["metrics"]):
            _marks(tally, doc_id, name, samples[doc_id], rows[name], _tolerance(tally.task, moved))


def _prompts(tally: Tally, doc_id: int, ours: Mapping[str, Any], theirs: list[Any]) -> None:
    """Contexts and continuations byte for byte, and the settings of each generation."""
    tally.same(f"doc {doc_id}, number of requests", len(ours["requests"]), len(theirs))
    for index, (request, (context, second)) in enumerate(zip(ours["requests"], theirs, strict=False)):
        where = f"doc {doc_id}, request {index}"
        mine = ours["contexts"][request["context"]]["text"]
        tally.requests += 1
        tally.truncated += "truncated" in request
        tally.prompt_bytes += len(context.encode())
        tally.same(f"{where}, context", mine.encode(), context.encode())
        if "continuation" in request:
            tally.same(f"{where}, continuation", request["continuation"].encode(), second.encode())
            continue
        until = second.get("until", [])
        tally.same(f"{where}, until", request["generation"]["until"], [until] if isinstance(until, str) else until)
        limit = second.get("max_gen_toks", DEFAULT_MAX_GEN_TOKS)
        tally.same(f"{where}, max_gen_toks", request["generation"]["max_gen_toks"], limit)
        greedy = not second.get("do_sample") and not second.get("temperature")
        tally.same(f"{where}, greedy", float(request["generation"]["temperature"]) == 0.0, greedy)


def _answers(tally: Tally, doc_id: int, ours: list[Any], theirs: list[Any]) -> float:
    """The answers of a doc; returns by how much its log-likelihoods differ at most."""
    moved = 0.0
    tally.same(f"doc {doc_id}, number of answers", len(ours), len(theirs))
    for index, (mine, (other,)) in enumerate(zip(ours, theirs, strict=False)):
        where = f"doc {doc_id}, answer {index}"
        if isinstance(other, str):
            tally.texts += 1
            tally.same(f"{where}, text", mine["text"], other)
        else:
            value, greedy = float(mine[0]), bool(mine[1])
            moved = max(moved, abs(value - other[0]))
            tally.close(f"{where}, log-likelihood", value, other[0], LL)
            tally.same(f"{where}, greedy", greedy, bool(other[1]))
    tally.max_dll = max(tally.max_dll, moved)
    return moved


def _marks(
    tally: Tally, doc_id: int, name: str, ours: Mapping[str, Any], theirs: Mapping[str, Any], tolerance: float
) -> None:
    """What the filter took, and each metric of the doc."""
    where = f"doc {doc_id}, filter {name}"
    filtered = theirs["filtered_resps"]
    if filtered and isinstance(filtered[0], list):  # pairs of a log-likelihood and its flag: the pick is what counts
        values = [value for value, _ in filtered]
        filtered = [values.index(max(values))]
    tally.same(f"{where}, answer", ours["filtered"][name], filtered)
    mine = ours["metrics"][name]
    tally.same(f"{where}, metrics", sorted(mine), sorted(theirs["metrics"]))
    for metric in set(mine) & set(theirs["metrics"]):
        tally.metrics += 1
        tally.close(f"{where}, {metric}", float(mine[metric]), float(theirs[metric]), tolerance)


def _group(name: str, record: Mapping[str, Any], theirs: Mapping[str, Any]) -> Tally:
    tally = Tally(f"group {name}")
    _aggregates(tally, _results(record, name, "group"), theirs)
    return tally


def _aggregates(tally: Tally, ours: Mapping[str, Mapping[str, Any]], theirs: Mapping[str, Any]) -> None:
    """Every number of the harness is one of ours and the other way round, standard errors included."""
    values = dict(_values(theirs))
    tally.same("metrics", sorted(ours), sorted(values))
    size = theirs.get("sample_count", theirs.get("sample_len"))
    size = size.get("acc", None) if isinstance(size, dict) else size
    for key in set(ours) & set(values):
        value, error = values[key]
        tolerance = _tolerance(tally.task, tally.max_dll)
        tally.aggregates += 1
        tally.close(key, float(ours[key]["value"]), value, tolerance)
        if size is not None:
            tally.same(f"{key}, n", ours[key]["n"], size)
        mine = ours[key]["stderr"]
        if isinstance(mine, dict) or not isinstance(error, float):
            tally.same(f"{key}, standard error", isinstance(mine, dict), not isinstance(error, float))
        else:
            tally.close(f"{key}, standard error", float(mine), error, tolerance)


def _values(theirs: Mapping[str, Any]) -> Iterator[tuple[str, tuple[float, Any]]]:
    for key, value in theirs.items():
        metric, comma, name = key.partition(",")
        if comma and not metric.endswith("_stderr"):
            yield key, (float(value), theirs.get(f"{metric}_stderr,{name}"))


def _results(record: Mapping[str, Any], task: str, level: str) -> dict[str, Mapping[str, Any]]:
    found = [row for row in record["results"] if row["task"] == task and row["level"] == level]
    return {f"{row['metric']},{row['filter']}": row for row in found}


def _tolerance(task: str, moved: float) -> float:
    """mc2 is T / (T + F): its slope in a log-likelihood is at most 1/4, and two groups may move apart."""
    return 0.5 * moved + DISCRETE if task.endswith(MC2) else DISCRETE


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:70]}...{text[-80:]}"
