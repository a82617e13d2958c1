"""Which scores stand over several tasks, and which one of a benchmark is quoted alone."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lm_eval.api.group import Group

from benchproof.schema.plan import GroupPin, Headline
from benchproof.suites.benchmark import Benchmark, Preferred

if TYPE_CHECKING:
    from benchproof.suites.lmeval import LoadedTask


def task_headline(loaded: "LoadedTask") -> Preferred:
    """The metric and filter of one task that its benchmark's headline is made of."""
    task, benchmark = loaded.task, loaded.benchmark
    have = {(metric, ensemble.name) for ensemble in task._filters for metric in task.aggregation()}
    candidates = sorted(benchmark.headlines, key=lambda p: p.target != loaded.harness_name)
    for preferred in candidates:
        if (preferred.metric, preferred.filter) in have:
            return Preferred(task.task_name, preferred.metric, preferred.filter)
    return Preferred(task.task_name, next(iter(task.aggregation())), task._filters[0].name)


def pins(loaded: Mapping[str, "LoadedTask"], groups: Mapping[str, Group]) -> list[GroupPin]:
    """The harness's groups, then ours: those that the suite names, and one over tasks that nothing covers."""
    found = [_harness_group(name, group, groups, loaded) for name, group in groups.items()]
    pinned = [pin for pin in found if pin is not None]
    named: dict[str, list[str]] = {}
    parents: dict[str, str | None] = {}
    for name, item in loaded.items():
        for depth, group in enumerate(item.ask.groups):
            named.setdefault(group, []).append(name)
            parents[group] = item.ask.groups[depth - 1] if depth else None
    for group, tasks in named.items():
        pinned.append(_own_group(group, parents[group], tasks, loaded))
    for benchmark in {item.benchmark.name: item.benchmark for item in loaded.values()}.values():
        members = [name for name, item in loaded.items() if item.benchmark.name == benchmark.name]
        covered = any(set(members) <= set(pin.tasks) for pin in pinned)
        if benchmark.aggregate is not None and len(members) > 1 and not covered:
            pinned.append(_own_group(_own_name(benchmark), None, members, loaded))
    return pinned


def headlines(loaded: Mapping[str, "LoadedTask"], pinned: list[GroupPin]) -> list[Headline]:
    """One for each benchmark: its first preferred score that this run has."""
    found = []
    for benchmark in {item.benchmark.name: item.benchmark for item in loaded.values()}.values():
        members = {name: item for name, item in loaded.items() if item.benchmark.name == benchmark.name}
        covering = [pin for pin in pinned if set(members) <= set(pin.tasks) and pin.parent is None and pin.metrics]
        if covering:
            spec = _headline_spec(covering[0], benchmark)
            chosen = Preferred(covering[0].name, spec["metric"], spec["filter"])
        else:
            order = [preferred.target for preferred in benchmark.headlines]
            rank = {name: i for i, name in enumerate(order)}
            first = min(members.values(), key=lambda item: rank.get(item.harness_name, len(order)))
            chosen = task_headline(first)
        found.append(
            Headline(
                benchmark=benchmark.name,
                target=chosen.target,
                metric=chosen.metric,
                filter=chosen.filter,
                reason=benchmark.reason,
            )
        )
    return found


def _headline_spec(pin: GroupPin, benchmark: Benchmark) -> dict[str, Any]:
    for preferred in benchmark.headlines:
        for spec in pin.metrics:
            if (spec["metric"], spec["filter"]) == (preferred.metric, preferred.filter):
                return spec
    return pin.metrics[0]


def _own_name(benchmark: Benchmark) -> str:
    return f"{benchmark.name}_mean" if benchmark.aggregate == "equally" else f"{benchmark.name}_selection"


def _own_group(name: str, parent: str | None, tasks: list[str], loaded: Mapping[str, "LoadedTask"]) -> GroupPin:
    """An aggregate of our own over the tasks' headline metrics; of different metrics it is a `task_score`."""
    heads = {task: task_headline(loaded[task]) for task in tasks}
    kinds = {(head.metric, head.filter) for head in heads.values()}
    metric, filter_name = kinds.pop() if len(kinds) == 1 else ("task_score", "none")
    benchmark = loaded[tasks[0]].benchmark
    if benchmark.aggregate == "equally":
        metric, filter_name = "task_score", "none"
    return GroupPin(
        name=name,
        parent=parent,
        tasks=tasks,
        metrics=[
            {
                "metric": metric,
                "filter": filter_name,
                "weight_by_size": benchmark.aggregate != "equally",
                "keys": {task: f"{head.metric},{head.filter}" for task, head in heads.items()},
            }
        ],
        defined_by="benchproof",
        benchmark=benchmark.name,
    )


def _harness_group(
    name: str, group: Group, groups: Mapping[str, Group], loaded: Mapping[str, "LoadedTask"]
) -> GroupPin | None:
    tasks = [task.task_name for task in group.get_all_tasks() if task.task_name in loaded]
    if not tasks:
        return None
    parent = next((other for other, candidate in groups.items() if candidate.get(name) is group), None)
    metrics = []
    for spec in group.aggregate_metric_list or []:
        filters = spec.filter_list
        filters = [filters] if isinstance(filters, str) else filters
        filters = filters or sorted({e.name for task in tasks for e in loaded[task].task._filters})
        for filter_name in filters:
            metrics.append(
                {
                    "metric": spec.metric,
                    "filter": filter_name,
                    "weight_by_size": bool(spec.weight_by_size),
                    "keys": dict.fromkeys(tasks, f"{spec.metric},{filter_name}"),
                }
            )
    return GroupPin(
        name=name,
        parent=parent,
        tasks=tasks,
        metrics=metrics,
        defined_by="harness",
        benchmark=loaded[tasks[0]].benchmark.name,
    )
