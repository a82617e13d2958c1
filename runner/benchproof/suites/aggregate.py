"""Rows -> scores, by the harness's own aggregation and standard errors."""

from collections.abc import Sequence
from typing import Any, Literal

from lm_eval.api.group import Group
from lm_eval.api.metrics import (
    aggregate_subtask_metrics,
    mean,
    mean_stderr,
    pooled_sample_stderr,
    stderr_for_metric,
    unweighted_mean_stderr,
)
from lm_eval.api.task import Task

from benchproof.schema.canonical import decimal
from benchproof.schema.plan import GroupPin
from benchproof.schema.score import Result, Sample
from benchproof.schema.unknown import Unknown

BOOTSTRAP_ITERS = 100_000  # the harness's default; only medians, f1 and their like are bootstrapped
ONE_SAMPLE = Unknown(unknown="not_applicable", detail="one sample has no spread")
NO_FORMULA = Unknown(unknown="not_exposed", detail="the harness has no standard error for this aggregation")


def task_results(task: Task, benchmark: str, samples: Sequence[Sample]) -> list[Result]:
    """Every metric and filter of a task, over all its docs and over each category."""
    names = sorted({sample.category for sample in samples if sample.category is not None})
    results = _results(task, benchmark, samples, "task", None)
    for name in names:
        members = [sample for sample in samples if sample.category == name]
        results += _results(task, benchmark, members, "category", name)
    return results


def mean_results(task: str, benchmark: str, samples: Sequence[Sample]) -> list[Result]:
    """Plain means over docs of metrics that are better when higher, with the harness's standard error of a mean."""
    results = []
    for filter_name, metrics in (samples[0].metrics if samples else {}).items():
        for metric in metrics:
            items = [sample.metrics[filter_name][metric] for sample in samples]
            results.append(
                Result(
                    task=task,
                    level="task",
                    benchmark=benchmark,
                    metric=metric,
                    filter=filter_name,
                    value=decimal(mean(items)),
                    stderr=decimal(mean_stderr(items)) if len(items) > 1 else ONE_SAMPLE,
                    n=len(items),
                    higher_is_better=True,
                )
            )
    return results


def _results(
    task: Task,
    benchmark: str,
    samples: Sequence[Sample],
    level: Literal["task", "category"],
    category: str | None,
) -> list[Result]:
    results = []
    for filter_name in [ensemble.name for ensemble in task._filters]:
        metrics = list(dict.fromkeys(name for s in samples for name in s.metrics[filter_name]))
        for metric in metrics:
            items = [s.metrics[filter_name][metric] for s in samples if metric in s.metrics[filter_name]]
            function = task.aggregation()[metric]
            error = stderr_for_metric(metric=function, bootstrap_iters=BOOTSTRAP_ITERS)
            stderr: str | Unknown = NO_FORMULA
            if len(items) < 2:
                stderr = ONE_SAMPLE
            elif error is not None:
                stderr = decimal(error(items))
            results.append(
                Result(
                    task=task.task_name,
                    level=level,
                    category=category,
                    benchmark=benchmark,
                    metric=metric,
                    filter=filter_name,
                    value=decimal(function(items)),
                    stderr=stderr,
                    n=len(items),
                    higher_is_better=bool(task.higher_is_better().get(metric, True)),
                )
            )
    return results


def group_results(pin: GroupPin, group: Group | None, results: Sequence[Result]) -> list[Result]:
    """A group's scores. The harness's groups aggregate themselves; ours use the same formulas."""
    members = {r.task: {} for r in results if r.level == "task" and r.task in pin.tasks}  # type: dict[str, dict[str, Result]]
    for result in results:
        if result.level == "task" and result.task in members:
            members[result.task][result.key] = result
    found = []
    for spec in pin.metrics:
        keys: dict[str, str] = spec["keys"]
        parts = [members[task][key] for task, key in keys.items() if key in members.get(task, {})]
        if not parts:
            continue
        value, stderr = (
            _by_harness(group, spec, members)
            if group is not None
            else _by_formula(parts, by_size=bool(spec["weight_by_size"]))
        )
        found.append(
            Result(
                task=pin.name,
                level="group",
                benchmark=pin.benchmark,
                metric=spec["metric"],
                filter=spec["filter"],
                value=decimal(value),
                stderr=ONE_SAMPLE if stderr is None else decimal(stderr),
                n=sum(part.n for part in parts),
                higher_is_better=parts[0].higher_is_better,
                defined_by=pin.defined_by,
                computed_from=[part.task for part in parts],
            )
        )
    return found


def _by_harness(
    group: Group, spec: dict[str, Any], members: dict[str, dict[str, Result]]
) -> tuple[float, float | None]:
    metrics: dict[str, Any] = {}
    for task, results in members.items():
        row: dict[str, Any] = {"sample_len": max(result.n for result in results.values())}
        for key, result in results.items():
            row[key] = float(result.value)
            row[f"{result.metric}_stderr,{result.filter}"] = (
                "N/A" if result.stderr_value is None else result.stderr_value
            )
        metrics[task] = row
    answer = group.aggregate(metrics)
    stderr = answer[f"{spec['metric']}_stderr,{spec['filter']}"]
    return float(answer[f"{spec['metric']},{spec['filter']}"]), None if stderr == "N/A" else float(stderr)


def _by_formula(parts: Sequence[Result], *, by_size: bool) -> tuple[float, float | None]:
    """The harness's formulas over values that it would not average itself."""
    values, sizes = [float(part.value) for part in parts], [part.n for part in parts]
    value = float(aggregate_subtask_metrics(values, sizes, by_size))
    errors = [part.stderr_value for part in parts]
    known = [error for error in errors if error is not None]
    if len(known) < len(errors):
        return value, None
    return value, float(pooled_sample_stderr(known, sizes) if by_size else unweighted_mean_stderr(known))
