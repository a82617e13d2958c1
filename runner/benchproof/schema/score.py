"""Scores: rows of samples, and the numbers aggregated from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from benchproof.schema.plan import Pinned
from benchproof.schema.unknown import Known, Unknown

Level = Literal["group", "task", "category"]
Key = tuple[str, str, str]  # task or group, metric, filter: what names a score that is no category's


@dataclass(frozen=True, slots=True)
class Sample:
    """One scored row: a doc, its responses, what each filter took from them, and the metric values.

    `metrics`: filter -> metric -> value; a value is a finite float, or what the harness returns
    for metrics whose aggregation needs more than one number.
    """

    task: str
    doc_id: int
    doc_sha256: str
    category: str | None
    target: Any
    requests: tuple[str, ...]
    filtered: dict[str, list[Any]]
    metrics: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A score that somebody states, on the harness's own scale. stderr, n: None where they do not."""

    value: float
    stderr: float | None
    n: int | None


@dataclass(frozen=True, slots=True)
class Stated:
    """One doc of somebody's samples file: (metric, filter) -> value, and filter -> what it took, as a row has it."""

    values: Mapping[tuple[str, str], float]
    taken: Mapping[str, list[Any]]


StatedRows = Mapping[str, Mapping[int, Stated]]  # task -> doc id


class Result(Pinned):
    """One aggregated score. `value` and `stderr` are decimal strings on the harness's own scale."""

    task: str  # a task or a group
    level: Level
    category: str | None = None
    benchmark: str
    metric: str
    filter: str
    value: str
    stderr: Known[str]
    n: int = Field(ge=1)
    higher_is_better: bool
    headline: bool = False
    defined_by: Literal["harness", "benchproof"] = "harness"
    computed_from: list[str] = Field(default_factory=list)  # groups: the tasks

    @property
    def key(self) -> str:
        """The harness's own key of this number."""
        return f"{self.metric},{self.filter}"

    @property
    def place(self) -> Key:
        """Task or group, metric, filter: what plans, files and noise measurements name a score by."""
        return self.task, self.metric, self.filter

    @property
    def stderr_value(self) -> float | None:
        """The standard error as a number, or None where it is unknown."""
        return None if isinstance(self.stderr, Unknown) else float(self.stderr)


class Warned(Pinned):
    """Something a reader of the score has to know. `count` of `total` requests or docs."""

    code: str
    severity: Literal["info", "warn", "serious"]
    where: str
    message: str
    count: int | None = None
    total: int | None = None
