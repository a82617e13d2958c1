"""Intervals against published values, worked numbers, and a second way to compute them."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchproof.stats.intervals import (
    MIN_CLUSTERS,
    Interval,
    clopper_pearson_upper,
    clustered,
    mean_t,
    newcombe,
    stratified,
    stratified_tango,
    tango,
    welch,
    wilson,
)

LEVELS = st.floats(0.5, 0.999)


@st.composite
def discordance(draw: st.DrawFn) -> tuple[int, int, int]:
    """b, c, n of a paired comparison."""
    n = draw(st.integers(1, 3_000))
    b = draw(st.integers(0, n))
    return b, draw(st.integers(0, n - b)), n


def limits(interval: Interval | None, scale: float = 100) -> tuple[float, float]:
    assert interval
    return interval.lower * scale, interval.upper * scale


def score_statistic(b: int, c: int, n: int, x: float) -> float:
    """Tango's statistic from its definition: the nuisance probability is found by maximising the likelihood."""
    low, high = max(0.0, -x), (1 - x) / 2
    q = np.linspace(low, high, 400_001)[1:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        loglik = b * np.log(q + x) + c * np.log(q) + (n - b - c) * np.log(1 - 2 * q - x)
    best = float(q[int(np.nanargmax(loglik))])
    return (b - c - n * x) / math.sqrt(n * (2 * best + x - x * x))


# Newcombe 1998, Stat. Med. 17:857-872, table I, method 3, and 17:873-890, table II, method 10.
@pytest.mark.parametrize(
    ("k", "n", "lower", "upper"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_limits(k: int, n: int, lower: float, upper: float) -> None:
    assert limits(wilson(k, n, 0.95), 1) == pytest.approx((lower, upper), abs=5e-5)


@pytest.mark.parametrize(
    ("k", "n", "lower", "upper"),
    [
        (82, 164, 42.4, 57.6),
        (409, 817, 46.6, 53.5),
        (660, 1319, 47.3, 52.7),
        (7021, 14042, 49.2, 50.8),
        (164, 164, 97.7, 100),
        (0, 164, 0, 2.3),
    ],
)
def test_wilson_gives_the_worked_numbers(k: int, n: int, lower: float, upper: float) -> None:
    assert limits(wilson(k, n, 0.95)) == pytest.approx((lower, upper), abs=0.051)
    assert wilson(0, n, 0.95).lower == 0
    assert wilson(n, n, 0.95).upper == 1


@pytest.mark.parametrize(
    ("k1", "n1", "k2", "n2", "lower", "upper"),
    [
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (10, 10, 0, 20, 0.6791, 1.0),
    ],
)
def test_newcombe_gives_the_published_limits(k1: int, n1: int, k2: int, n2: int, lower: float, upper: float) -> None:
    assert limits(newcombe(k1 / n1, n1, k2 / n2, n2, 0.95), 1) == pytest.approx((lower, upper), abs=5e-5)


def test_tango_gives_the_published_limits() -> None:
    # Fagerland, Lydersen and Laake 2014, Stat. Med. 33:2850-2875: 1 and 7 discordant of 21.
    assert limits(tango(1, 7, 21, 0.95), 1) == pytest.approx((-0.517, -0.026), abs=5e-4)
    # Tango 1998, section 6, soft contact lenses: 1 and 0 discordant of 44.
    assert limits(tango(1, 0, 44, 0.90), 1) == pytest.approx((-0.037, 0.096), abs=5e-4)


@pytest.mark.parametrize(
    ("n", "b", "c", "lower", "upper"),
    [(1319, 9, 13, -0.94, 0.30), (164, 2, 1, -1.60, 3.08), (14042, 60, 75, -0.25, 0.03)],
)
def test_tango_gives_the_worked_numbers(n: int, b: int, c: int, lower: float, upper: float) -> None:
    assert limits(tango(b, c, n, 0.90)) == pytest.approx((lower, upper), abs=0.005)


@pytest.mark.parametrize(("n", "points"), [(164, 1.62), (817, 0.33), (1319, 0.205), (14042, 0.0193)])
def test_without_discordance_tango_is_z2_over_n_plus_z2(n: int, points: float) -> None:
    z2 = 1.6448536269514722**2
    assert limits(tango(0, 0, n, 0.90)) == pytest.approx((-100 * z2 / (n + z2), 100 * z2 / (n + z2)), rel=1e-8)
    assert limits(tango(0, 0, n, 0.90))[1] == pytest.approx(points, rel=0.002)


@pytest.mark.parametrize(("b", "c", "n"), [(9, 13, 1319), (2, 1, 164), (0, 4, 50), (30, 1, 60), (5, 0, 5), (7, 7, 14)])
def test_tangos_limits_are_where_the_score_statistic_is_z(b: int, c: int, n: int) -> None:
    interval = tango(b, c, n, 0.95)
    if interval.lower > -1:
        assert score_statistic(b, c, n, interval.lower) == pytest.approx(1.959964, abs=2e-3)
    if interval.upper < 1:
        assert score_statistic(b, c, n, interval.upper) == pytest.approx(-1.959964, abs=2e-3)


@given(discordance(), LEVELS)
def test_tango_turns_round_with_the_runs_and_holds_the_difference(pairs: tuple[int, int, int], level: float) -> None:
    b, c, n = pairs
    one, other = tango(b, c, n, level), tango(c, b, n, level)
    assert (one.lower, one.upper) == (-other.upper, -other.lower)
    assert -1 <= one.lower <= (b - c) / n <= one.upper <= 1
    assert one.lower < one.upper


@given(discordance(), LEVELS, LEVELS)
def test_intervals_of_higher_levels_hold_those_of_lower(pairs: tuple[int, int, int], a: float, b: float) -> None:
    x, y, n = pairs
    low, high = sorted((a, b))
    values = [x / n, y / n, 0.5, 1.0] * 3
    makers: list[Callable[[float], Interval | None]] = [
        lambda level: wilson(x, n, level),
        lambda level: tango(x, y, n, level),
        lambda level: newcombe(x / n, n, y / n, n, level),
        lambda level: mean_t(values, level),
        lambda level: clustered(values, range(12), level),
        lambda level: stratified_tango({"s": (x, y, n)}, {"s": 1.0}, level),
        lambda level: stratified(values, ["s", "t"] * 6, {"s": 0.5, "t": 0.5}, level),
        lambda level: welch(x / n, 0.01, n + 2, y / n, 0.02, n + 2, level),
    ]
    for make in makers:
        inner, outer = make(low), make(high)
        assert inner and outer
        assert outer.lower - 1e-9 <= inner.lower <= inner.upper <= outer.upper + 1e-9
    assert clopper_pearson_upper(x, n, low) <= clopper_pearson_upper(x, n, high) + 1e-12


@pytest.mark.parametrize(
    ("samples", "mismatches", "percent", "digits"),
    [
        *(
            (59, 0, 5.0, 1),
            (100, 0, 3.0, 1),
            (300, 0, 0.994, 3),
            (598, 0, 0.5, 2),
            (1000, 0, 0.30, 2),
            (2995, 0, 0.10, 2),
        ),
        *((300, 1, 1.57, 2), (300, 2, 2.08, 2), (300, 3, 2.56, 2), (300, 5, 3.47, 2), (300, 9, 5.18, 2)),
    ],
)
def test_clopper_pearson_gives_the_worked_numbers(samples: int, mismatches: int, percent: float, digits: int) -> None:
    assert round(100 * clopper_pearson_upper(mismatches, samples, 0.95), digits) == percent


def test_clopper_pearson_without_mismatches_is_its_closed_form_and_ends_at_one() -> None:
    assert clopper_pearson_upper(0, 300, 0.95) == pytest.approx(1 - 0.05 ** (1 / 300), rel=1e-12)
    assert clopper_pearson_upper(300, 300, 0.95) == 1


def test_a_mean_has_students_quantile() -> None:
    # Mean 3, s^2 = 2.5, t(0.975; 4) = 2.776445 from any table.
    assert limits(mean_t([1, 2, 3, 4, 5], 0.95), 1) == pytest.approx(
        (3 - 2.776445 * math.sqrt(0.5), 3 + 2.776445 * math.sqrt(0.5)), rel=1e-6
    )


def test_a_clustered_interval_is_the_written_formula() -> None:
    """With CR2's correction and Bell and McCaffrey's degrees of freedom from their matrices, written out."""
    rng = np.random.default_rng(1)
    sizes = rng.integers(1, 30, size=15)
    labels = [f"subject {g}" for g, size in enumerate(sizes) for _ in range(size)]
    y = rng.random(len(labels))
    n = len(labels)
    sums = {
        name: sum(value - y.mean() for value, label in zip(y, labels, strict=True) if label == name)
        for name in {*labels}
    }
    stderr = math.sqrt(sum(s * s / (1 - labels.count(name) / n) for name, s in sums.items())) / n
    residual = np.eye(n) - np.full((n, n), 1 / n)
    columns = []
    for name in dict.fromkeys(labels):
        inside = np.array([label == name for label in labels], dtype=float)
        columns.append(residual @ inside / math.sqrt(1 - inside.sum() / n) / n)
    form = np.array(columns) @ np.array(columns).T
    df = np.trace(form) ** 2 / np.trace(form @ form)
    t = stats.t.ppf(0.975, df)
    assert limits(clustered(y, labels, 0.95), 1) == pytest.approx(
        (y.mean() - t * stderr, y.mean() + t * stderr), rel=1e-9
    )


def test_of_equal_clusters_the_interval_is_students_on_one_less_than_there_are() -> None:
    y = np.random.default_rng(2).random(60)
    labels = np.arange(60) % 12
    sums = np.bincount(labels, weights=y - y.mean())
    half = 2.200985 * math.sqrt(12 / 11 * float(sums @ sums)) / 60  # t(0.975; 11)
    assert limits(clustered(y, labels, 0.95), 1) == pytest.approx((y.mean() - half, y.mean() + half), rel=1e-6)


def test_under_ten_clusters_there_is_no_clustered_interval() -> None:
    y = np.arange(90.0)
    assert clustered(y, np.arange(90) % (MIN_CLUSTERS - 1), 0.95) is None
    assert clustered(y, np.arange(90) % MIN_CLUSTERS, 0.95) is not None


def test_subjects_that_differ_make_the_interval_as_much_wider_as_the_design_effect() -> None:
    # Worked: rho = 0.069 and 246 docs a subject give sqrt(1 + 245 rho) = 4.2 times the naive standard error.
    assert math.sqrt(1 + 245 * 0.069) == pytest.approx(4.2, abs=0.05)
    rng = np.random.default_rng(2)
    between = math.sqrt(0.069 * 0.25)
    ratios = []
    for _ in range(40):
        subject = np.repeat(np.arange(57), 246)
        y = rng.normal(0, between, 57)[subject] + rng.normal(0, math.sqrt(0.25 - between**2), subject.size)
        wide, naive = clustered(y, subject, 0.95), mean_t(y, 0.95)
        assert wide
        ratios.append((wide.upper - wide.lower) / (naive.upper - naive.lower))
    assert np.mean(ratios) == pytest.approx(4.2, rel=0.05)


def test_one_stratum_is_a_plain_mean_and_one_doc_a_cluster_too() -> None:
    y = np.random.default_rng(3).random(40)
    plain = limits(mean_t(y, 0.9))
    assert limits(stratified(y, ["all"] * 40, {"all": 1.0}, 0.9)) == pytest.approx(plain)
    assert limits(clustered(y, np.arange(40), 0.9)) == pytest.approx(plain)


def test_a_stratified_mean_is_the_harnesss_whether_tasks_or_docs_weigh_alike() -> None:
    y, strata = [0.0, 1.0, 1.0, 1.0, 0.0, 0.0], ["a", "a", "b", "b", "b", "b"]
    for weights, mean in (({"a": 0.5, "b": 0.5}, 0.5), ({"a": 2 / 6, "b": 4 / 6}, 0.5)):
        lower, upper = limits(stratified(y, strata, weights, 0.9), 1)
        assert (lower + upper) / 2 == pytest.approx(mean)
    lower, upper = limits(stratified(y[:5], strata[:5], {"a": 0.5, "b": 0.5}, 0.9), 1)
    assert (lower + upper) / 2 == pytest.approx((1 / 2 + 2 / 3) / 2)  # sum_i w_i y_i, w_i = 1/(T n_s)


def test_what_tasks_differ_by_does_not_widen_a_stratified_interval() -> None:
    y = np.array([0.1, 0.2, 0.3, 0.2] * 2)
    apart = y + np.repeat([0.0, 0.6], 4)
    strata, weights = np.repeat(["a", "b"], 4), {"a": 0.5, "b": 0.5}
    one, two = limits(stratified(y, strata, weights, 0.9), 1), limits(stratified(apart, strata, weights, 0.9), 1)
    assert one[1] - one[0] == pytest.approx(two[1] - two[0])
    # sqrt(2 x 0.25 x s^2/4), s^2 = 0.02/3, t(0.95; 6) = 1.943180
    assert (one[1] - one[0]) / 2 == pytest.approx(1.943180 * math.sqrt(2 * 0.25 * 0.02 / 3 / 4), rel=1e-6)


@given(discordance(), LEVELS)
def test_stratified_tango_of_one_task_is_tango(pairs: tuple[int, int, int], level: float) -> None:
    assert limits(stratified_tango({"all": pairs}, {"all": 1.0}, level)) == pytest.approx(limits(tango(*pairs, level)))


def test_stratified_tango_squares_and_adds_over_tasks_in_any_order() -> None:
    pairs, weights = {"a": (3, 1, 50), "b": (0, 0, 200)}, {"b": 0.3, "a": 0.7}
    one, other = tango(3, 1, 50, 0.9), tango(0, 0, 200, 0.9)
    mean = 0.7 * 2 / 50
    lower = mean - math.hypot(0.7 * (2 / 50 - one.lower), 0.3 * other.lower)
    upper = mean + math.hypot(0.7 * (one.upper - 2 / 50), 0.3 * other.upper)
    assert limits(stratified_tango(pairs, weights, 0.9), 1) == pytest.approx((lower, upper))


def test_welch_has_satterthwaites_degrees_of_freedom() -> None:
    # Equal standard errors and sizes: 2(n - 1) = 8 df, t(0.975; 8) = 2.306004. One without error: the other's 4 df.
    assert limits(welch(0.5, 0.1, 5, 0.4, 0.1, 5, 0.95), 1)[1] == pytest.approx(0.1 + 2.306004 * 0.1 * math.sqrt(2))
    assert limits(welch(0.5, 0.1, 5, 0.4, 0.0, 900, 0.95), 1)[1] == pytest.approx(0.1 + 2.776445 * 0.1)


@pytest.mark.parametrize(
    "impossible",
    [
        lambda: wilson(5, 4, 0.95),
        lambda: wilson(-1, 4, 0.95),
        lambda: wilson(0, 0, 0.95),
        lambda: wilson(1, 4, 95),
        lambda: clopper_pearson_upper(5, 4, 0.95),
        lambda: clopper_pearson_upper(1, 4, 1.0),
        lambda: tango(3, 2, 4, 0.9),
        lambda: tango(-1, 2, 4, 0.9),
        lambda: tango(0, 0, 0, 0.9),
        lambda: tango(0, 0, 4, 0.0),
        lambda: newcombe(1.2, 10, 0.5, 10, 0.95),
        lambda: newcombe(0.5, 10, math.nan, 10, 0.95),
        lambda: welch(0.5, 0, 5, 0.5, 0, 5, 0.95),
        lambda: welch(0.5, 0.1, 1, 0.5, 0.1, 5, 0.95),
        lambda: mean_t([0.5], 0.95),
        lambda: mean_t([0.5, math.nan], 0.95),
        lambda: mean_t([[0.5, 1.0]], 0.95),
        lambda: clustered([0.5, 1.0], ["a"], 0.95),
        lambda: stratified_tango({"a": (3, 2, 4)}, {"a": 1.0}, 0.9),
        lambda: stratified_tango({"a": (0, 0, 0)}, {"a": 1.0}, 0.9),
        lambda: stratified_tango({"a": (1, 2, 4)}, {"b": 1.0}, 0.9),
        lambda: stratified([0.0, 1.0, 1.0], ["a", "a", "b"], {"a": 0.5, "b": 0.5}, 0.9),
        lambda: stratified([0.0, 1.0], ["a", "a"], {"a": 0.9}, 0.9),
        lambda: stratified([0.0, 1.0], ["a", "a"], {"b": 1.0}, 0.9),
        lambda: stratified([0.0, 1.0, 0.0, 1.0], ["a", "a", "b", "b"], {"a": 1.5, "b": -0.5}, 0.9),
    ],
)
def test_impossible_arguments_are_refused(impossible: Callable[[], object]) -> None:
    with pytest.raises(ValueError):
        impossible()
