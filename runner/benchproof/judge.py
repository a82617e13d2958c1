"""A score there and the same score here -> an outcome, by the margin that was declared before (RELIABILITY, section 8).

*consistent*: the 90 % interval of the difference lies inside the margin (two one-sided tests at 5 %), and no more docs
differ than numerics explain, where that was measured. *not reproduced*: the difference exceeds the margin and is
significant after Holm, or more docs differ than the measured benign rate explains. Else *inconclusive*, with the number
of pairs that would decide. Absence of a significant difference is never called a reproduction.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erfc, isclose, sqrt
from typing import Any

from benchproof.ladder import TaskDifference
from benchproof.schema.canonical import decimal
from benchproof.schema.plan import Plan
from benchproof.schema.score import Claimed, Key, Result
from benchproof.schema.unknown import Unknown
from benchproof.schema.verdict import ScoreJudged, Word
from benchproof.stats.equivalence import discordance_p, within
from benchproof.stats.intervals import (
    Interval,
    clopper_pearson_upper,
    newcombe,
    stratified,
    stratified_tango,
    tango,
    welch,
)
from benchproof.stats.paired import holm, mcnemar_exact, sign_flip
from benchproof.stats.power import pairs_for

LEVEL = 0.90  # of the interval that is two one-sided tests at 5 %
ALPHA = 0.05
TOO_MANY = 0.01  # a discordance less probable than this under the benign rate is not benign
LAST_BITS = 1e-6  # of a score or a doc's metric: less is how a sum was rounded, and one doc of a benchmark is more
SEED = 0  # of the sign flips: a verdict has to come out the same for everybody
NO_ROWS = Unknown(unknown="not_recorded_by_harness", detail="the rows of the checked side are not at hand")
NOT_BINARY = Unknown(unknown="not_applicable", detail="a graded metric, or tasks that are weighted equally")


@dataclass(frozen=True, slots=True)
class ScorePairs:
    """The docs of one score, in pairs. weights sum to 1 over docs; changed: docs whose filtered answer differs."""

    there: Sequence[float]
    here: Sequence[float]
    weights: Sequence[float]
    clusters: Sequence[str]  # subject or category of each doc; the task's name where there is none
    docs: Sequence[tuple[str, int]]  # task and doc id
    changed: int

    @property
    def differences(self) -> list[float]:
        """Here - there, of each doc."""
        return [b - a for a, b in zip(self.there, self.here, strict=True)]

    @property
    def equal_weights(self) -> bool:
        """Whether it is a plain mean over docs."""
        return max(self.weights) - min(self.weights) < 1e-12

    @property
    def binary(self) -> bool:
        """Whether it is a share of docs: 0/1 values of equal weight."""
        return self.equal_weights and all(value in (0.0, 1.0) for value in (*self.there, *self.here))

    @property
    def tasks(self) -> list[str]:
        """The task of each doc."""
        return [task for task, _ in self.docs]

    @property
    def shares(self) -> dict[str, float]:
        """Task -> the weight of all its docs together."""
        found: dict[str, float] = {}
        for task, weight in zip(self.tasks, self.weights, strict=True):
            found[task] = found.get(task, 0.0) + weight
        return found

    def over_docs(self, level: float) -> Interval | None:
        """The interval of the difference over other docs of these tasks; None where a task of one doc has no spread."""
        ds = self.differences
        if self.binary:
            return tango(sum(d > 0 for d in ds), sum(d < 0 for d in ds), len(ds), level)
        counts = Counter(self.tasks)
        if set(self.there) | set(self.here) <= {0.0, 1.0}:  # a plain mean over tasks of shares
            up = Counter(task for task, d in zip(self.tasks, ds, strict=True) if d > 0)
            down = Counter(task for task, d in zip(self.tasks, ds, strict=True) if d < 0)
            return stratified_tango({task: (up[task], down[task], n) for task, n in counts.items()}, self.shares, level)
        return None if min(counts.values()) < 2 else stratified(ds, self.tasks, self.shares, level)

    @property
    def discordant(self) -> int:
        """Docs whose metric differs."""
        return sum(abs(difference) > LAST_BITS for difference in self.differences)


@dataclass(frozen=True, slots=True)
class Benign:
    """What honest re-runs did to a score: docs whose metric changed, of how many, on this engine and hardware."""

    flips: int
    n: int

    @property
    def rate(self) -> float:
        """The largest rate that these flips are compatible with at 95 %: none of 35 only shows less than 8.2 %."""
        return clopper_pearson_upper(self.flips, self.n, 0.95)


def score_pairs(result: Result, plan: Plan, found: Mapping[str, TaskDifference]) -> ScorePairs | None:
    """The pairs of a score of ours; None if its rows are not at hand on both sides, or it is no mean over docs."""
    spec = plan.group_metric(*result.place) if result.level == "group" else None
    keys = _keys(result, spec)
    if any(task not in found or not found[task].pairs for task in keys):
        return None
    if any(found[task].only_there or found[task].only_here for task in keys):
        return None
    by_size = spec is None or bool(spec["weight_by_size"])
    total = sum(len(found[task].pairs) for task in keys)
    there: list[float] = []
    here: list[float] = []
    weights: list[float] = []
    clusters: list[str] = []
    docs: list[tuple[str, int]] = []
    changed = 0
    for task, (metric, filter_name) in keys.items():
        pairs = found[task].pairs
        weight = 1 / total if by_size else 1 / (len(keys) * len(pairs))
        for a, b in pairs:
            values = [row.metrics.get(filter_name, {}).get(metric) for row in (a, b)]
            if not all(isinstance(value, int | float) for value in values):
                return None
            there.append(float(values[0]))  # type: ignore[arg-type]  # a number: just looked
            here.append(float(values[1]))  # type: ignore[arg-type]
            weights.append(weight)
            clusters.append(b.category or task)
            docs.append((task, b.doc_id))
            changed += a.filtered.get(filter_name) != b.filtered.get(filter_name)
    mean = sum(w * value for w, value in zip(weights, here, strict=True))
    if not isclose(mean, float(result.value), rel_tol=1e-9, abs_tol=1e-9):
        return None  # aggregated in another way than by a mean
    return ScorePairs(there, here, weights, clusters, docs, changed)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a pair of scores comes to before anything is said of it. interval: 90 %; p: of no difference."""

    result: Result
    there: Claimed
    pairs: ScorePairs | None
    difference: float
    interval: Interval | None
    p: float | None
    method: str
    b: int | None = None  # docs that only the checked side has right
    c: int | None = None


def measure(result: Result, there: Claimed, pairs: ScorePairs | None, level: float = LEVEL) -> Measured:
    """Difference, interval and p of one score: paired where the rows allow it, else of two independent means."""
    if pairs is None:
        return _unpaired(result, there, level)
    ds = pairs.differences
    interval = pairs.over_docs(level)
    if pairs.binary:
        b, c = sum(d < 0 for d in ds), sum(d > 0 for d in ds)
        p = mcnemar_exact(b, c)
        return Measured(result, there, pairs, (c - b) / len(ds), interval, p, "paired: Tango, McNemar", b, c)
    weighted = [d * w for d, w in zip(ds, pairs.weights, strict=True)]
    p = sign_flip(weighted, seed=SEED)
    return Measured(result, there, pairs, sum(weighted), interval, p, "paired: over tasks, sign flips")


def _unpaired(result: Result, there: Claimed, level: float) -> Measured:
    value, n = float(result.value), result.n
    difference = value - there.value
    if there.n is not None and _share(value, n) and 0 <= there.value <= 1:  # a printed share is rounded
        pooled = (value * n + there.value * there.n) / (n + there.n)  # what both are if there is no difference
        error = sqrt(pooled * (1 - pooled) * (1 / n + 1 / there.n))
        interval = newcombe(value, n, there.value, there.n, level)
        return Measured(
            result, there, None, difference, interval, _z(difference, error), "unpaired: Newcombe, pooled z"
        )
    here_error = result.stderr_value
    their_error = there.stderr if there.stderr is not None else here_error
    if their_error is None or here_error is None or min(n, there.n or n) < 2:
        return Measured(result, there, None, difference, None, None, "none: no standard error")
    interval = welch(value, here_error, n, there.value, their_error, there.n or n, level)
    p = _z(difference, sqrt(their_error**2 + here_error**2))
    return Measured(result, there, None, difference, interval, p, "unpaired: Welch, z")


def _share(value: float, n: int) -> bool:
    """Whether a score can be a share of n docs."""
    return 0 <= value <= 1 and abs(value * n - round(value * n)) < LAST_BITS * n


def _z(difference: float, error: float) -> float:
    """Two-sided p of a difference under a normal distribution."""
    return 1.0 if difference == 0 else 0.0 if error == 0 else erfc(abs(difference) / error / sqrt(2))


def decide(
    measured: Sequence[Measured], margin_points: float | None, benign: Mapping[Key, Benign]
) -> list[ScoreJudged]:
    """The outcome of every score. p is Holm's over all of them. margin_points: None where nobody declared one."""
    known = [item.p for item in measured if item.p is not None]
    adjusted = iter(holm(known))
    found = []
    for item in measured:
        p = None if item.p is None else next(adjusted)
        word, reason = _outcome(item, p, margin_points, benign.get(item.result.place))
        found.append(_judged(item, p, word, reason))
    return found


def _outcome(item: Measured, p: float | None, points: float | None, benign: Benign | None) -> tuple[Word, str]:
    pairs = item.pairs
    if pairs is not None and not pairs.changed and not pairs.discordant:
        return "same answers", f"all {len(pairs.docs)} docs are answered and marked the same"
    if item.there.n is not None and item.there.n != item.result.n:
        return "not comparable", f"over {item.there.n} docs there, {item.result.n} here"
    if points is None:
        return "inconclusive", "no margin was declared before the run"
    if not (0 <= float(item.result.value) <= 1 and 0 <= item.there.value <= 1):
        return "inconclusive", "the metric has no scale from 0 to 1: a margin in points says nothing of it"
    if item.interval is None or p is None:
        return "inconclusive", "neither rows nor a standard error are at hand"
    margin = points / 100
    said = f"difference {100 * item.difference:+.2f} points, 90 % interval {_points(item.interval)}"
    many = _too_many(pairs, benign)
    if many:
        return "not reproduced", many
    if abs(item.difference) > margin and p < ALPHA:
        return "not reproduced", f"{said}; beyond the margin of {points:g}, p {p:.2g} after Holm"
    if within(item.interval, margin):
        return "statistically consistent", f"{said}: inside the margin of {points:g}"
    return (
        "inconclusive",
        f"{said}: neither inside the margin of {points:g} nor shown to be beyond it{_needed(item, margin)}",
    )


def _too_many(pairs: ScorePairs | None, benign: Benign | None) -> str:
    """More docs differ than numerics explain, in words; or nothing. Only against a rate that was measured."""
    if pairs is None or benign is None:
        return ""
    p = discordance_p(pairs.discordant, len(pairs.docs), benign.rate)
    if p >= TOO_MANY:
        return ""
    return (
        f"{pairs.discordant} of {len(pairs.docs)} docs are marked otherwise; honest re-runs change at most "
        f"{100 * benign.rate:.1f} % of them (p {p:.1g})"
    )


def _needed(item: Measured, margin: float) -> str:
    if item.pairs is None:
        return "; with the rows of both sides it could be paired"
    n = pairs_for(item.difference, item.pairs.discordant / len(item.pairs.docs), margin)
    return "" if n is None else f"; about {n} pairs would decide"


def _judged(item: Measured, p: float | None, word: Word, reason: str) -> ScoreJudged:
    none = Unknown(unknown="not_applicable", detail=item.method)
    interval = item.interval
    return ScoreJudged(
        benchmark=item.result.benchmark,
        task=item.result.task,
        metric=item.result.metric,
        filter=item.result.filter,
        there=decimal(item.there.value),
        here=item.result.value,
        n=item.result.n,
        outcome=word,
        reason=reason,
        paired=item.pairs is not None,
        difference=decimal(item.difference),
        interval=none if interval is None else [decimal(interval.lower), decimal(interval.upper)],
        method=item.method,
        p=none if p is None else decimal(p),
        b=NO_ROWS if item.pairs is None else NOT_BINARY if item.b is None else item.b,
        c=NO_ROWS if item.pairs is None else NOT_BINARY if item.c is None else item.c,
    )


def worst(words: Sequence[Word]) -> Word:
    """The outcome of several scores together: of the one that came out worst."""
    order: tuple[Word, ...] = (
        "not reproduced",
        "not comparable",
        "inconclusive",
        "statistically consistent",
        "same answers",
        "bitwise",
    )
    return min(words, key=order.index)


def _keys(result: Result, spec: Mapping[str, Any] | None) -> dict[str, tuple[str, str]]:
    """Task -> metric and filter of the values that a score is made of. spec: of a group, how it is aggregated."""
    if result.level != "group":
        return {result.task: (result.metric, result.filter)}
    parts = {} if spec is None else {task: key.rpartition(",") for task, key in spec["keys"].items()}
    return {task: (metric, name) for task, (metric, _, name) in parts.items() if task in result.computed_from}


def _points(interval: Interval) -> str:
    return f"{100 * interval.lower:+.2f} … {100 * interval.upper:+.2f}"
