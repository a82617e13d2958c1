"""What is *true* of a benchmark, beside the choices that a suite file makes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Preferred:
    """One candidate for the headline: a score of a task or group of the harness."""

    target: str
    metric: str
    filter: str


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Facts that have tests: doc counts, the headline, hidden shots, aggregates of our own.

    tasks: pattern of the harness's task names. headlines: in order of preference.
    shots: `any`; `none` (a number above 0 leaks or is meaningless); `template` (fixed in the prompt's text).
    aggregate: how tasks without a harness group are averaged: by size, equally, or not at all.
    oracles: packages whose version moves a metric -> pattern of the tasks concerned.
    """

    name: str
    title: str
    tasks: str
    headlines: tuple[Preferred, ...]
    reason: str
    shots: Literal["any", "none", "template"] = "any"
    shots_why: str = ""
    aggregate: Literal["by_size", "equally"] | None = None
    docs: Mapping[str, int] = field(default_factory=dict)
    oracles: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def has(self, task: str) -> bool:
        """True if this harness task is one of the benchmark's."""
        return re.fullmatch(self.tasks, task) is not None

    def oracle_packages(self, task: str) -> list[str]:
        """Packages that compute the task's metrics."""
        return sorted(name for name, pattern in self.oracles.items() if re.fullmatch(pattern, task))


def generic(task: str, metric: str, filter_name: str) -> Benchmark:
    """A task that none of the five benchmarks knows: its own first metric is its headline."""
    return Benchmark(
        name=task,
        title=task,
        tasks=re.escape(task),
        headlines=(Preferred(task, metric, filter_name),),
        reason="the task's first metric; benchproof knows no better",
    )
