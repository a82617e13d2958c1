"""Aggregates in plain arithmetic, by the harness's formulas and without the harness. Nothing is read here.

Source of the formulas: lm-eval 0.4.13, `lm_eval.api.metrics` (mean, mean_stderr, aggregate_subtask_metrics,
pooled_sample_stderr, unweighted_mean_stderr), told again; a test compares with its own functions.
"""

import re
from collections.abc import Mapping, Sequence
from math import isclose, sqrt
from typing import Any

from benchproof.schema.plan import TaskMarkPin
from benchproof.schema.unknown import Unknown

# Metrics whose aggregation is the mean where a task's config does not say: the harness's own defaults.
MEANS = ("acc", "acc_bytes", "acc_mutual_info", "acc_norm", "exact_match", "likelihood")
# Metrics that lie between 0 and 1 for every doc, by their names.
UNIT = re.compile(r"acc|acc_norm|acc_bytes|acc_mutual_info|exact_match|pass@\d+|\w+_acc")


def is_mean(mark: TaskMarkPin, metric: str) -> bool:
    """Whether a metric of a task is averaged over docs; False for medians, f1 and what only the harness computes."""
    if mark.harness == "evalplus":
        return True  # pass@k is a mean over problems of each problem's estimate
    specs = [spec for spec in mark.config.get("metric_list") or [] if _name(spec) == metric]
    said = specs[0].get("aggregation") if specs else None
    return said == "mean" if said is not None else metric in MEANS


def _name(spec: Any) -> Any:
    return spec.get("metric") if isinstance(spec, Mapping) else None


def mean(values: Sequence[float]) -> float:
    """Sum over count."""
    return sum(values) / len(values)


def mean_stderr(values: Sequence[float]) -> float | None:
    """Sample standard deviation (n - 1) over the root of n; None for one value, which has no spread."""
    if len(values) < 2:
        return None
    middle = mean(values)
    return sqrt(sum((value - middle) ** 2 for value in values) / (len(values) - 1)) / sqrt(len(values))


def group(
    values: Sequence[float], stderrs: Sequence[float | None], sizes: Sequence[int], *, by_size: bool
) -> tuple[float, float | None]:
    """A group's value and standard error from its tasks'; no error where one of them has none.

    by_size: tasks count by their docs, and variances are pooled; else each task counts once.
    """
    weights = sizes if by_size else [1] * len(sizes)
    value = sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)
    known = [error for error in stderrs if error is not None]
    if len(known) < len(values):
        return value, None
    if not by_size:
        return value, sqrt(sum(error**2 for error in known)) / len(known)
    pooled = sum((n - 1) * error**2 * n for n, error in zip(sizes, known, strict=True)) / (sum(sizes) - len(sizes))
    return value, sqrt(pooled / sum(sizes))


def same(said: str | Unknown, found: float | None) -> bool:
    """Whether a decimal of the record is the number found: to 1e-9, since Pythons differ in how they add.

    An unknown standard error is right exactly where there is none.
    """
    if isinstance(said, Unknown) or found is None:
        return isinstance(said, Unknown) and found is None
    return isclose(float(said), found, rel_tol=1e-9, abs_tol=1e-9)
