"""Checks of a record's scores: each is one the plan implies, and its number is that of the rows or of its tasks."""

from collections.abc import Iterator
from typing import Any

from benchproof.checks.claims import hold, number
from benchproof.checks.evidence import Differs, Evidence, Unread
from benchproof.checks.recount import UNIT, group, is_mean, mean, mean_stderr, same
from benchproof.schema.plan import GroupPin, TaskMarkPin
from benchproof.schema.score import Result
from benchproof.schema.unknown import Unknown

RIGHT_OR_WRONG = ("acc", "acc_norm", "exact_match", "pass@1")  # 0 or 1 for a doc, unless a task computes its own


def results(e: Evidence) -> str:
    """Every score is of the plan, once, with a possible value; the headlines are those that the plan chose."""
    seen = set()
    chosen = {(head.target, head.metric, head.filter) for head in e.plan.mark.headlines}
    for result in e.record.results:
        name = _name(result)
        key = (result.task, result.level, result.category, result.metric, result.filter)
        hold(key not in seen, f"{name} stands twice")
        seen.add(key)
        head = result.level != "category" and (result.task, result.metric, result.filter) in chosen
        hold(result.headline == head, f"{name} is {'not ' * (not head)}a headline of the plan")
        value = number(result.value)
        hold(isinstance(result.stderr, Unknown) or number(result.stderr) >= 0, f"{name} has a standard error below 0")
        if result.level != "group":
            _of_task(e, result, value)
    for task in e.scored:
        for filter_name in e.plan.task_mark(task).filters:
            there = any(r.level == "task" and (r.task, r.filter) == (task, filter_name) for r in e.record.results)
            hold(there, f"{task} has no score by {filter_name}")
    return f"{len(seen)}"


def _of_task(e: Evidence, result: Result, value: float) -> None:
    name = _name(result)
    hold(result.task in e.scored, f"{name} is of no task that was marked")
    pin, mark = e.plan.task_ask(result.task), e.plan.task_mark(result.task)
    hold(result.metric in mark.metrics and result.filter in mark.filters, f"{name} is not in the plan")
    _says(
        result,
        benchmark=mark.benchmark,
        higher_is_better=mark.higher_is_better.get(result.metric, True),
        defined_by="harness",
        computed_from=[],
    )
    hold((result.category is None) == (result.level == "task"), f"{name} is a {result.level}")
    hold(result.n <= pin.n_docs, f"{name} is over {result.n} docs, of {pin.n_docs}")
    if is_mean(mark, result.metric) and UNIT.fullmatch(result.metric):
        hold(0 <= value <= 1, f"{name} is {result.value}")
    if result.metric in RIGHT_OR_WRONG and pin.repeats == 1 and "process_results" not in mark.config:
        right = value * result.n
        hold(abs(right - round(right)) < 1e-6, f"{name}: {result.value} is no whole number over {result.n}")


def groups(e: Evidence) -> str:
    """Scores over several tasks follow from their tasks' scores, by the harness's formulas."""
    tasks: dict[str, dict[str, Result]] = {}
    for result in e.record.results:
        if result.level == "task":
            tasks.setdefault(result.task, {})[result.key] = result
    said = {(r.task, r.metric, r.filter): r for r in e.record.results if r.level == "group"}
    for pin in e.plan.mark.groups:
        for spec in pin.metrics:
            found = said.pop((pin.name, spec["metric"], spec["filter"]), None)
            keys = [(task, spec["keys"][task]) for task in pin.tasks if task in spec["keys"]]
            parts = [tasks[task][key] for task, key in keys if key in tasks.get(task, {})]
            hold(
                (found is None) == (not parts), f"{pin.name} {spec['metric']} is {'missing' if parts else 'of no task'}"
            )
            if found is not None:
                _of_group(found, pin, spec, parts, tasks)
    hold(not said, f"{'; '.join(map(_name, said.values()))}: not in the plan")
    return f"{sum(r.level == 'group' for r in e.record.results)}"


def _of_group(
    result: Result, pin: GroupPin, spec: dict[str, Any], parts: list[Result], tasks: dict[str, dict[str, Result]]
) -> None:
    name = _name(result)
    _says(
        result,
        defined_by=pin.defined_by,
        benchmark=pin.benchmark,
        computed_from=[part.task for part in parts],
        n=sum(part.n for part in parts),
        category=None,
        higher_is_better=parts[0].higher_is_better,
    )
    sizes = [part.n for part in parts]
    if pin.defined_by == "harness":  # which counts a task by its longest metric
        sizes = [max(other.n for other in tasks[part.task].values()) for part in parts]
    value, stderr = group(
        [number(part.value) for part in parts],
        [None if isinstance(part.stderr, Unknown) else number(part.stderr) for part in parts],
        sizes,
        by_size=bool(spec["weight_by_size"]),
    )
    hold(same(result.value, value), f"{name} is {value}, the record says {result.value}")
    hold(same(result.stderr, stderr), f"{name} has the standard error {stderr}, the record says {_text(result)}")


def aggregates(e: Evidence) -> str:
    """Every mean, its standard error and its n recomputed from the rows, for tasks and categories; none missing."""
    count = 0
    for task in e.scored:
        marked, mark = e.marked[task], e.plan.task_mark(task)
        if fault := marked.faults.get("values"):
            raise Unread(fault, "values")
        said = {(r.filter, r.metric, r.category): r for r in e.record.results if r.task == task and r.level != "group"}
        odd = said.keys() ^ marked.columns.keys()
        hold(not odd, f"{task}: {' '.join(map(str, next(iter(odd), ())))} has rows or a score, not both")
        for key, result in said.items():
            _recounted(result, marked.columns[key], mark)
            count += is_mean(mark, result.metric)
    return f"{count} means"


def _recounted(result: Result, values: list[Any], mark: TaskMarkPin) -> None:
    name = _name(result)
    hold(result.n == len(values), f"{name} is over {len(values)} rows, the record says {result.n}")
    if is_mean(mark, result.metric):
        value, stderr = mean(values), mean_stderr(values)
        hold(same(result.value, value), f"{name} is {value}, the record says {result.value}")
        hold(same(result.stderr, stderr), f"{name} has the standard error {stderr}, the record says {_text(result)}")


def other_aggregates(e: Evidence) -> str:
    """Scores that only the harness computes (medians, f1, bootstrapped errors) are named, and stay unchecked."""
    names = list(dict.fromkeys(_others(e)))
    if names:
        raise Unread(f"only the harness aggregates {', '.join(names)}: rescore")
    return "none"


def _others(e: Evidence) -> Iterator[str]:
    for result in e.record.results:
        if result.level == "task" and not is_mean(e.plan.task_mark(result.task), result.metric):
            yield f"{result.metric} of {result.task}"


def rows(e: Evidence) -> str:
    """As many rows as the plan has docs, in order, none twice, each with the plan's filters."""
    no_fault(e.marked, "rows")
    for task, marked in e.marked.items():
        name = e.task_file("samples", task)
        hold(
            e.listed[name].rows == marked.rows, f"{name} has {marked.rows} rows, the record says {e.listed[name].rows}"
        )
    return f"{sum(marked.rows for marked in e.marked.values())}"


def row_requests(e: Evidence) -> str:
    """Each row is of the doc in requests/: hash, target, category, requests."""
    hold(bool(e.asked), "")
    return no_fault(e.marked, "row-requests")


def row_answers(e: Evidence) -> str:
    """Each row's responses are the journal's."""
    hold(bool(e.answers), "the journal has no answer")
    return no_fault(e.marked, "row-answers")


def picks(e: Evidence) -> str:
    """Of choices, the first with the largest log-likelihood was taken."""
    return no_fault(e.marked, "picks")


def values(e: Evidence) -> str:
    """Metric values of rows are finite numbers within their bounds."""
    return no_fault(e.marked, "values")


def no_fault(found: Any, name: str) -> str:
    """Raises Differs with the first fault that a pass over the tasks' files kept for a check."""
    for item in found.values():
        if name in item.faults:
            raise Differs(item.faults[name])
    return ""


def _says(result: Result, **due: Any) -> None:
    for key, value in due.items():
        said = getattr(result, key)
        hold(said == value, f"{_name(result)}: {key} is {value!r}, the record says {said!r}")


def _name(result: Result) -> str:
    category = f" {result.category}" if result.category else ""
    return f"{result.task}{category} {result.key}"


def _text(result: Result) -> str:
    return f"unknown ({result.stderr.detail})" if isinstance(result.stderr, Unknown) else result.stderr
