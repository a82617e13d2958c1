"""A record's scores as text: the headline of each benchmark, then everything under it, each marked where partial."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchproof.report.text import Row, out, rows
from benchproof.schema.plan import GroupPin, Headline
from benchproof.schema.record import Record
from benchproof.schema.score import Key, Result
from benchproof.schema.unknown import Unknown

FEW_CATEGORIES = 8  # more are told by their lowest and highest
Shifts = Mapping[Key, float]  # how far a score moved by itself, where that was measured
NO_SHIFTS: Shifts = {}

STATUS = {
    "complete": "",
    "limited": "LIMITED: part of what was asked is missing; the marked scores are not scores of the benchmarks",
    "smoke": "SMOKE RUN: made-up data or model; it says something about the runner, nothing about a model",
}


def value_text(result: Result, shifts: Shifts = NO_SHIFTS) -> str:
    """`0.725 ± 0.041`, on the harness's own scale; with the numeric error bar too, where noise was measured."""
    value, error = float(result.value), result.stderr_value
    digits = 3 if abs(value) <= 1 else 2
    shift = None if result.level == "category" else shifts.get(result.place)
    sampling = "" if error is None else f" ± {error:.{digits}f}"
    if shift is None:
        return f"{value:.{digits}f}{sampling}"
    return f"{value:.{digits}f}{sampling and f'{sampling} sampling'} ± {shift:.{digits + 1}f} numeric"


def mark(record: Record, result: Result) -> str:
    """What makes this score less than one of its benchmark: ` (smoke, limited: 10 of 1319 docs)`, or nothing."""
    words = ["smoke"] if record.status == "smoke" else []
    asked = {pin.task: pin for pin in record.effective.ask.tasks}
    members = [asked[name] for name in (result.computed_from or [result.task]) if name in asked]
    docs, total = sum(pin.n_docs for pin in members), sum(pin.dataset.n_docs for pin in members)
    if docs < total:
        words.append(f"limited: {docs} of {total} docs")
    elif record.left_out and result.level == "group":
        words.append(f"limited: {len(record.left_out)} {_plural('task', len(record.left_out))} of the run left out")
    sandbox = record.observed.sandbox
    if result.benchmark == "humaneval" and not isinstance(sandbox, Unknown) and sandbox["tier"] == "none":
        words.append("NO SANDBOX")
    return f" ({', '.join(words)})" if words else ""


def score_text(record: Record, result: Result, shifts: Shifts = NO_SHIFTS) -> str:
    """Value, errors and mark: the only form in which a score is shown."""
    return value_text(result, shifts) + mark(record, result)


def headlines(record: Record) -> list[tuple[Headline, Result | None]]:
    """Each benchmark's one number; None where its target could not be scored."""
    found = []
    for headline in record.effective.mark.headlines:
        wanted = (headline.target, headline.metric, headline.filter)
        match = [r for r in record.results if r.headline and (r.task, r.metric, r.filter) == wanted]
        if not match:
            match = [r for r in record.results if (r.task, r.metric, r.filter) == wanted and r.level != "category"]
        found.append((headline, match[0] if match else None))
    return found


def summary(record: Record) -> dict[str, Any]:
    """What a program wants at the end of a run; the record has the rest."""
    return {
        "record_id": record.record_id,
        "plan_id": record.plan_id,
        "status": record.status,
        "model": record.model_name,
        "scores": [
            {
                "benchmark": headline.benchmark,
                "task": headline.target,
                "metric": headline.metric,
                "filter": headline.filter,
                "value": None if result is None else result.value,
                "stderr": None if result is None or isinstance(result.stderr, Unknown) else result.stderr,
                "n": None if result is None else result.n,
                "mark": "" if result is None else mark(record, result).strip(" ()"),
            }
            for headline, result in headlines(record)
        ],
        "warnings": len([warned for warned in record.warnings if warned.severity != "info"]),
        "left_out": record.left_out,
    }


def show_scores(record: Record) -> None:
    """The end of a run: headlines with what lies directly under them."""
    _status(record)
    table: list[Row] = []
    for headline, result in headlines(record):
        table += [Row(headline.benchmark, "-" if result is None else score_text(record, result), _about(result))]
        others = [r for r in record.results if r.benchmark == headline.benchmark and r is not result]
        table += [_row(record, r, 1) for r in others if r.level == "group"]
        if not any(r.level == "group" for r in [*others, *([result] if result else [])]):
            table += [_row(record, r, 1) for r in others if r.level == "task"]
    rows(table)
    serious = [warned for warned in record.warnings if warned.severity != "info"]
    if serious or record.left_out:
        out(f"{len(serious)} {_plural('warning', len(serious))}: see `benchproof show`")


def show_results(record: Record, shifts: Shifts = NO_SHIFTS) -> None:
    """Everything: one block for each benchmark."""
    _status(record)
    for headline, result in headlines(record):
        out("")
        text = "could not be scored" if result is None else score_text(record, result, shifts)
        out(f"{headline.benchmark}   {text}   {_about(result)}".rstrip(), bold=True)
        out(f"  this number because: {headline.reason}")
        rows(_Block(record, headline.benchmark, result, shifts).rows())


@dataclass
class _Block:
    """The rows of one benchmark as a tree: groups, tasks, metrics, categories."""

    record: Record
    benchmark: str
    headline: Result | None
    shifts: Shifts

    def rows(self) -> list[Row]:
        groups = [group for group in self.record.effective.mark.groups if group.benchmark == self.benchmark]
        names = {group.name for group in groups}
        found: list[Row] = []
        for group in groups:
            if group.parent not in names:
                found += self._group(group, groups, 0)
        inside = {task for group in groups for task in group.tasks}
        for task in self._tasks():
            if task not in inside:
                found += self._task(task, 0)
        return found

    def _tasks(self) -> list[str]:
        return list(dict.fromkeys(r.task for r in self._of("task")))

    def _of(self, level: str) -> list[Result]:
        return [r for r in self.record.results if r.benchmark == self.benchmark and r.level == level]

    def _group(self, group: GroupPin, groups: Sequence[GroupPin], depth: int) -> Iterator[Row]:
        for result in self._of("group"):
            if result.task == group.name:
                yield self._row(result, depth)
        children = [child for child in groups if child.parent == group.name]
        for child in children:
            yield from self._group(child, groups, depth + 1)
        inside = {task for child in children for task in child.tasks}
        for task in group.tasks:
            if task not in inside:
                yield from self._task(task, depth + 1)

    def _task(self, task: str, depth: int) -> Iterator[Row]:
        results = [r for r in self._of("task") if r.task == task]
        for result in results:
            yield self._row(result, depth)
        if results:
            key = results[0].key  # one metric's categories; the record has those of the others
            yield from self._categories([r for r in self._of("category") if r.task == task and r.key == key], depth + 1)

    def _row(self, result: Result, depth: int) -> Row:
        text = score_text(self.record, result, self.shifts)
        return Row("  " * depth + result.task, text, _about(result, with_task=False), result is self.headline)

    def _categories(self, results: Sequence[Result], depth: int) -> Iterator[Row]:
        if len(results) <= FEW_CATEGORIES:
            for result in results:
                yield _row(self.record, result, depth, name=str(result.category))
            return
        low, high = min(results, key=_value), max(results, key=_value)
        yield Row("  " * depth + f"{len(results)} categories", "", results[0].metric)
        for word, result in (("lowest", low), ("highest", high)):
            yield _row(self.record, result, depth, name=f"{word}: {result.category}")


def _row(record: Record, result: Result, depth: int, *, name: str = "") -> Row:
    note = _about(result, with_task=False)
    return Row("  " * depth + (name or result.task), score_text(record, result), note)


def _about(result: Result | None, *, with_task: bool = True) -> str:
    """Task, metric, filter, n, and what is special about this number."""
    if result is None:
        return ""
    filter_name = "" if result.filter == "none" else f", {result.filter}"
    parts = [f"{result.metric}{filter_name}", f"n={result.n}"]
    if with_task:
        parts.insert(0, result.task)
    if not result.higher_is_better:
        parts.append("lower is better")
    if result.defined_by == "benchproof":
        parts.append("aggregate by benchproof")
    if isinstance(result.stderr, Unknown):
        parts.append(f"no standard error: {result.stderr.detail}")
    return "  ".join(parts)


def _status(record: Record) -> None:
    out(record.model_name, bold=True)
    if STATUS[record.status]:
        out(STATUS[record.status], bold=True)


def by_key(items: Iterable[tuple[str, Any]]) -> dict[str, list[Any]]:
    """Values grouped by key, keys in order of their first."""
    found: dict[str, list[Any]] = defaultdict(list)
    for key, value in items:
        found[key].append(value)
    return found


def _value(result: Result) -> float:
    return float(result.value)


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
