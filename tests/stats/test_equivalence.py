"""Equivalence, discordance and audits: worked numbers, and sums written out."""

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchproof.stats.equivalence import (
    allowed_mismatches,
    detection_rate,
    discordance_p,
    forged_share_upper,
    within,
)
from benchproof.stats.intervals import Interval, clopper_pearson_upper, tango


@st.composite
def audit(draw: st.DrawFn) -> tuple[int, int, int]:
    """mismatches, samples, population."""
    population = draw(st.integers(1, 60))
    samples = draw(st.integers(1, population))
    return draw(st.integers(0, samples)), samples, population


def chance(at_most: int, samples: int, population: int, forged: int) -> Fraction:
    """P(X <= at_most) of the hypergeometric distribution, in whole numbers."""
    ways = sum(comb(forged, k) * comb(population - forged, samples - k) for k in range(at_most + 1) if k <= samples)
    return Fraction(ways, comb(population, samples))


@pytest.mark.parametrize(
    ("n", "b", "c", "margin", "consistent"),
    [
        (1319, 9, 13, 0.01, True),
        (164, 2, 1, 0.02, False),
        (14042, 60, 75, 0.005, True),
        (1319, 30, 50, 0.01, False),
        (1319, 20, 20, 0.01, True),  # the scores agree; that 40 answers changed is for discordance_p to say
        (164, 0, 0, 0.01, False),
        (164, 0, 0, 0.017, True),
        (817, 0, 0, 0.01, True),
    ],
)
def test_the_worked_pairs_are_within_their_margin_or_not(
    n: int, b: int, c: int, margin: float, consistent: bool
) -> None:
    assert within(tango(b, c, n, 0.90), margin) is consistent


def test_an_interval_that_touches_the_margin_is_not_within() -> None:
    assert within(Interval(-0.009, 0.009, 0.9, ""), 0.01)
    assert not within(Interval(-0.01, 0.009, 0.9, ""), 0.01)
    assert not within(Interval(-0.009, 0.01, 0.9, ""), 0.01)


def test_discordance_gives_the_worked_numbers() -> None:
    assert discordance_p(22, 1319, 0.01) == pytest.approx(0.016, abs=5e-4)
    assert discordance_p(40, 1319, 0.01) < 1e-8
    # "0 of 35 only shows d0 < 8.2 %", and 9 of 35 is far beyond 1 %.
    assert 100 * clopper_pearson_upper(0, 35, 0.95) == pytest.approx(8.2, abs=0.05)
    assert discordance_p(9, 35, 0.01) < 1e-9
    assert discordance_p(0, 35, 0.0) == 1
    assert discordance_p(1, 35, 0.0) == 0


@given(st.integers(1, 80), st.integers(0, 80), st.integers(0, 10))
def test_discordance_is_the_binomial_tail_written_out(n: int, k: int, tenths: int) -> None:
    k, rate = min(k, n), Fraction(tenths, 10)
    tail = sum(comb(n, i) * rate**i * (1 - rate) ** (n - i) for i in range(k, n + 1))
    assert discordance_p(k, n, float(rate)) == pytest.approx(float(tail), rel=1e-9, abs=1e-300)


def test_the_allowed_mismatches_are_the_fewest_that_an_honest_audit_seldom_exceeds() -> None:
    assert allowed_mismatches(300, 0.01) == 8
    assert allowed_mismatches(300, 0.0) == 0
    assert allowed_mismatches(10, 1.0) == 10
    for samples, rate in ((100, 0.02), (300, 0.01), (1319, 0.005)):
        k = allowed_mismatches(samples, rate)
        assert discordance_p(k + 1, samples, rate) < 0.01 <= discordance_p(k, samples, rate)


@pytest.mark.parametrize(
    ("population", "samples", "count", "percent"),
    [(164, 60, 6, 3.7), (164, 100, 3, 1.8), (1319, 300, 11, 0.83), (14042, 300, 138, 0.98)],
)
def test_an_audit_without_mismatches_bounds_the_forged_as_worked_out(
    population: int, samples: int, count: int, percent: float
) -> None:
    bound = forged_share_upper(0, samples, population)
    assert bound.count == count
    assert 100 * bound.share == pytest.approx(percent, abs=0.05)


@given(audit(), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_bound_is_the_largest_count_that_is_not_excluded(audited: tuple[int, int, int], level: float) -> None:
    seen, samples, population = audited
    bound = forged_share_upper(seen, samples, population, level)
    possible = range(seen, population - samples + seen + 1)
    # A hair of slack: in whole numbers a chance may be exactly 1 - level, in doubles it is next to it.
    alpha = Fraction(1 - level)
    assert bound.count in possible
    assert chance(seen, samples, population, bound.count) >= alpha - Fraction(1, 10**9)
    if bound.count + 1 in possible:
        assert chance(seen, samples, population, bound.count + 1) < alpha + Fraction(1, 10**9)
    assert bound.share == bound.count / population


def test_of_a_large_population_the_bound_is_clopper_and_pearsons() -> None:
    for seen in (0, 1, 9):
        expected = clopper_pearson_upper(seen, 300, 0.95)
        assert forged_share_upper(seen, 300, 10**7).share == pytest.approx(expected, rel=1e-4)


def test_an_audit_of_everything_leaves_nothing_unknown() -> None:
    assert forged_share_upper(3, 164, 164).count == 3
    assert detection_rate(164, 1, 164) == 1


@given(audit())
def test_more_mismatches_allow_more_forged_and_more_samples_fewer(audited: tuple[int, int, int]) -> None:
    seen, samples, population = audited
    count = forged_share_upper(seen, samples, population).count
    if seen < samples:
        assert forged_share_upper(seen + 1, samples, population).count >= count
    if samples < population:
        assert forged_share_upper(seen, samples + 1, population).count <= count


def test_the_chance_to_draw_a_forged_answer_is_one_less_the_chance_to_miss_all() -> None:
    missed = Fraction(comb(164 - 7, 60), comb(164, 60))
    assert detection_rate(164, 7, 60) == pytest.approx(float(1 - missed), rel=1e-12)
    assert detection_rate(164, 7, 60) > 0.95 > detection_rate(164, 6, 60)  # the bound of 6, the other way round
    assert detection_rate(164, 0, 60) == detection_rate(164, 7, 0) == 0


def test_impossible_arguments_are_refused() -> None:
    for margin in (0.0, -0.01, float("nan")):
        with pytest.raises(ValueError, match="margin"):
            within(Interval(0, 0, 0.9, ""), margin)
    for k, n, rate in ((5, 4, 0.1), (-1, 4, 0.1), (0, 0, 0.1), (1, 4, 1.1)):
        with pytest.raises(ValueError, match="at a rate"):
            discordance_p(k, n, rate)
    with pytest.raises(ValueError, match="at a rate"):
        allowed_mismatches(0, 0.1)
    for seen, samples, population in ((2, 1, 9), (0, 10, 9), (0, 0, 9), (-1, 3, 9)):
        with pytest.raises(ValueError, match="mismatches"):
            forged_share_upper(seen, samples, population)
    for population, forged, samples in ((9, 10, 1), (9, 1, 10), (0, 0, 0), (9, -1, 1)):
        with pytest.raises(ValueError, match="forged"):
            detection_rate(population, forged, samples)
