"""Confidence intervals of scores and of their differences; docs/statistics.md says which is used where.

Labels (clusters, strata) are one per value. ValueError: an impossible argument, such as a count above its n.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import bisect
from scipy.special import betaincinv, ndtri, stdtrit

MIN_CLUSTERS = 10  # with fewer, no cluster-robust interval is honest: the spread of 4 subjects says next to nothing


@dataclass(frozen=True, slots=True)
class Interval:
    """lower <= upper, in the units of the values; `level` is its two-sided coverage, `method` its name for a record."""

    lower: float
    upper: float
    level: float
    method: str


def wilson(k: int, n: int, level: float) -> Interval:
    """Score interval of a proportion, k of n.

    Assumes independent docs. Source: Wilson 1927, J. Am. Stat. Assoc. 22:209-212.
    """
    _check_count(k, n)
    return Interval(*_wilson(k / n, n, _normal(level)), level, "Wilson score")


def clopper_pearson_upper(k: int, n: int, level: float) -> float:
    """Exact one-sided upper bound of a proportion, k of n: the share above which k or fewer had chance < 1 - level.

    Assumes independent draws. Source: Clopper and Pearson 1934, Biometrika 26:404-413.
    """
    _check_count(k, n)
    _check_level(level)
    return 1.0 if k == n else float(betaincinv(k + 1, n - k, level))


def tango(b: float, c: float, n: float, level: float) -> Interval:
    """Score interval of the paired difference (b - c)/n: b pairs have only the first right, c only the second.

    Never of width 0, unlike Wald's: +-z^2/(n + z^2) if b + c = 0. Counts may be fractions, to plan with.
    Assumes independent pairs. Source: Tango 1998, Stat. Med. 17:891-908.
    """
    if not (b >= 0 and c >= 0 and n > 0 and b + c <= n * (1 + 1e-12)):  # fractions that add up to n may round above it
        raise ValueError(f"{b} + {c} discordant of {n} pairs")
    z = _normal(level)
    return Interval(-_tango_upper(c, b, n, z), _tango_upper(b, c, n, z), level, "Tango score, paired")


def newcombe(p1: float, n1: int, p2: float, n2: int, level: float) -> Interval:
    """Interval of the unpaired difference p1 - p2 of two proportions, of which at least one was only printed.

    Assumes independent samples of n1 and n2 docs; over the same docs it is wider than needed.
    Source: Newcombe 1998, Stat. Med. 17:873-890, method 10 (square and add, over Wilson's limits).
    """
    if not (0 <= p1 <= 1 and 0 <= p2 <= 1 and n1 >= 1 and n2 >= 1):
        raise ValueError(f"proportions {p1} of {n1} and {p2} of {n2}")
    z = _normal(level)
    (l1, u1), (l2, u2) = _wilson(p1, n1, z), _wilson(p2, n2, z)
    lower = p1 - p2 - math.hypot(p1 - l1, u2 - p2)
    upper = p1 - p2 + math.hypot(u1 - p1, p2 - l2)
    return Interval(lower, upper, level, "Newcombe, unpaired")


def welch(mean1: float, stderr1: float, n1: int, mean2: float, stderr2: float, n2: int, level: float) -> Interval:
    """Student interval of the unpaired difference mean1 - mean2, from printed means and standard errors.

    Assumes independent samples and means that are nearly normal. ValueError if both standard errors are 0: they bound
    nothing. Source: Welch 1947, Biometrika 34:28-35; Satterthwaite 1946, Biometrics Bull. 2:110-114.
    """
    if not (stderr1 >= 0 and stderr2 >= 0 and stderr1 + stderr2 > 0 and n1 >= 2 and n2 >= 2):
        raise ValueError(f"standard errors {stderr1} of {n1} and {stderr2} of {n2}")
    variances = np.array([stderr1**2, stderr2**2])
    return _satterthwaite(mean1 - mean2, variances, np.array([n1 - 1, n2 - 1]), level, "Welch t, unpaired")


def mean_t(values: ArrayLike, level: float) -> Interval:
    """Student interval of a mean, or, of paired differences, of the mean difference. values: shape (n,), n >= 2.

    Assumes independent values and a mean that is nearly normal; equal values give width 0.
    Source: Student 1908, Biometrika 6:1-25.
    """
    y = _vector(values)
    stderr = float(y.std(ddof=1)) / math.sqrt(y.size)
    return _t(float(y.mean()), stderr, y.size - 1, level, "Student t")


def clustered(values: ArrayLike, clusters: ArrayLike, level: float) -> Interval | None:
    """Interval of a mean that generalises over clusters (subjects, passages); None under MIN_CLUSTERS of them.

    values, clusters: shape (n,). SE = sqrt(sum_g (sum_{i in g} (y_i - ybar))^2 / (1 - n_g/n))/n, t on Bell and
    McCaffrey's df: with equal sizes G/(G-1) and G - 1. Assumes independent clusters.
    Source: Bell and McCaffrey 2002, Surv. Methodol. 28:169-181; Imbens and Kolesar 2016, Rev. Econ. Stat. 98:701-712.
    """
    y = _vector(values)
    names, group = _labels(clusters, y.size)
    if len(names) < MIN_CLUSTERS:
        return None
    sums, share = np.bincount(group, weights=y - y.mean()), np.bincount(group) / y.size
    stderr = math.sqrt(float((sums**2 / (1 - share)).sum())) / y.size
    # tr(Q)^2/tr(Q^2) of Bell and McCaffrey's quadratic form, for independent docs; G - 1 if all sizes are equal.
    leverage = share**2 / (1 - share)
    df = 1 / float((share**2).sum() + leverage.sum() ** 2 - (leverage**2).sum())
    return _t(float(y.mean()), stderr, df, level, "cluster-robust t (CR2)")


def stratified(values: ArrayLike, strata: ArrayLike, weights: Mapping[Any, float], level: float) -> Interval:
    """Student interval of sum_s weights[s] mean_s: a score, or a paired difference, as the harness aggregates tasks.

    values, strata: shape (n,). weights: exactly the strata's labels, positive, sum 1: 1/T each for the plain mean over
    T tasks, n_s/n for the mean over docs. So it is also the interval of sum_i w_i y_i with w_i = 1/(T n_s).
    SE from the variances within strata, for the tasks are fixed; Satterthwaite's df. For graded values; of 0/1 pairs
    `stratified_tango`. A stratum of one value is a ValueError: its variance is unknown.
    Source: Cochran 1977, Sampling Techniques, sections 5.3-5.4.
    """
    y = _vector(values)
    names, group = _labels(strata, y.size)
    shares = _shares(names.tolist(), weights)
    sizes = np.bincount(group)
    if np.any(sizes < 2):
        raise ValueError(f"one value only in stratum {names[int(np.argmin(sizes))]!r}: its variance is unknown")
    means = np.bincount(group, weights=y) / sizes
    within = np.bincount(group, weights=(y - means[group]) ** 2) / (sizes - 1)
    return _satterthwaite(float(shares @ means), shares**2 * within / sizes, sizes - 1, level, "stratified t")


def stratified_tango(pairs: Mapping[str, tuple[int, int, int]], weights: Mapping[str, float], level: float) -> Interval:
    """Interval of sum_s weights[s] (b_s - c_s)/n_s over tasks of 0/1 pairs. pairs: (b, c, n) of each task, as `tango`.

    Conservative, never of width 0, and sound where nearly no pair differs, as `stratified` is not: its variance is then
    a guess from a few tasks. Square and add, over Tango's limits. Weights as `stratified`; a task of one pair will do.
    Source: Zou, Huang and Zhang 2009, Comput. Stat. Data Anal. 53:1080-1085 (MOVER).
    """
    names = sorted(pairs)
    shares = _shares(names, weights)
    intervals = [tango(*pairs[name], level) for name in names]
    differences = np.array([(b - c) / n for b, c, n in (pairs[name] for name in names)])
    below = shares * (differences - np.array([interval.lower for interval in intervals]))
    above = shares * (np.array([interval.upper for interval in intervals]) - differences)
    mean = float(shares @ differences)
    return Interval(mean - math.hypot(*below), mean + math.hypot(*above), level, "stratified Tango score, paired")


def _shares(names: Sequence[Any], weights: Mapping[Any, float]) -> NDArray[np.float64]:
    """Weights in the order of the names."""
    if set(names) != set(weights):
        raise ValueError(f"{len(names)} strata, weights for {len(weights)}, not all the same")
    shares = np.array([weights[name] for name in names], dtype=np.float64)
    if not (np.all(shares > 0) and math.isclose(float(shares.sum()), 1, abs_tol=1e-9)):
        raise ValueError(f"weights are positive and sum to 1, not {float(shares.sum())}")
    return shares


def _wilson(p: float, n: float, z: float) -> tuple[float, float]:
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At 0 and 1 the limit is the edge itself; rounding would leave it some 1e-17 away.
    return (0.0 if p == 0 else centre - half), (1.0 if p == 1 else centre + half)


def _tango_upper(b: float, c: float, n: float, z: float) -> float:
    """The difference x whose score statistic is -z. The statistic falls from +inf at -1 to -inf at 1."""
    if b == n:
        return 1.0

    def above(x: float) -> float:
        gap = b - c - n * x
        # The larger root q of 2n q^2 + linear q + constant = 0 is P(only the second right), most likely given x.
        linear = (2 * n - b + c) * x - b - c
        constant = -c * x * (1 - x)
        root = math.sqrt(max(linear * linear - 8 * n * constant, 0.0))
        # Two forms of one root: each is free of cancellation where it is used.
        q = (root - linear) / (4 * n) if linear < 0 else -2 * constant / (root + linear) if root + linear > 0 else 0.0
        variance = n * (2 * q + x * (1 - x))
        if gap == 0:
            return z  # also where the variance is 0: no discordance, no difference
        return gap / math.sqrt(variance) + z if variance > 0 else math.copysign(math.inf, gap)

    return float(bisect(above, -1.0, 1.0, xtol=1e-13))


def _satterthwaite(
    mean: float, variances: NDArray[np.float64], df: NDArray[np.int64], level: float, method: str
) -> Interval:
    """Student interval whose variance is a sum of independent estimates, each on its own degrees of freedom."""
    total = float(variances.sum())
    pooled = total**2 / float((variances**2 / df).sum()) if total else float(df.sum())
    return _t(mean, math.sqrt(total), pooled, level, method)


def _t(mean: float, stderr: float, df: float, level: float, method: str) -> Interval:
    _check_level(level)
    half = float(stdtrit(df, (1 + level) / 2)) * stderr
    return Interval(mean - half, mean + half, level, method)


def _normal(level: float) -> float:
    _check_level(level)
    return float(ndtri((1 + level) / 2))


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"a level is between 0 and 1, not {level}")


def _check_count(k: int, n: int) -> None:
    if not (n >= 1 and 0 <= k <= n):
        raise ValueError(f"{k} of {n}")


def _vector(values: ArrayLike) -> NDArray[np.float64]:
    y = np.asarray(values, dtype=np.float64)
    if y.ndim != 1 or y.size < 2 or not np.all(np.isfinite(y)):
        raise ValueError(f"two or more finite values are needed, in one row; shape {y.shape}")
    return y


def _labels(labels: ArrayLike, n: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Distinct labels in sorted order, and each value's index among them."""
    given = np.asarray(labels)
    if given.shape != (n,):
        raise ValueError(f"labels of shape {given.shape} for {n} values")
    return np.unique(given, return_inverse=True)
