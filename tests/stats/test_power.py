"""What n docs can show: the worked table, and the definitions that the closed forms solve."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchproof.stats.equivalence import within
from benchproof.stats.intervals import tango
from benchproof.stats.paired import mcnemar_exact
from benchproof.stats.power import mde_paired, mde_unpaired, pairs_for, tost_margin

ZA, ZB = 1.959964, 0.841621
DISCORDANCE = st.floats(0.001, 1)
WORKED = {  # points: unpaired; paired at 2, 5, 10, 20 %; TOST's margin at 1, 2, 5 %
    164: (15.5, (None, 4.9, 6.9, 9.7), (2.3, 3.2, 5.1)),
    817: (6.9, (1.4, 2.2, 3.1, 4.4), (1.0, 1.45, 2.3)),
    1319: (5.5, (1.1, 1.7, 2.4, 3.5), (0.8, 1.1, 1.8)),
    14042: (1.7, (0.33, 0.53, 0.75, 1.06), (0.25, 0.35, 0.55)),
}


@pytest.mark.parametrize("n", WORKED)
def test_the_worked_table_comes_out(n: int) -> None:
    unpaired, paired, margins = WORKED[n]
    digit = 0.006 if n == 14042 else 0.06
    assert 100 * mde_unpaired(n) == pytest.approx(unpaired, abs=0.06)
    for share, expected in zip((0.02, 0.05, 0.10, 0.20), paired, strict=True):
        found = mde_paired(n, share)
        assert (found is None) == (expected is None)
        if found is not None:
            assert 100 * found == pytest.approx(expected, abs=digit)
    for share, margin in zip((0.01, 0.02, 0.05), margins, strict=True):
        assert 100 * tost_margin(n, share) == pytest.approx(margin, abs=digit)


@given(st.integers(1, 20_000), DISCORDANCE)
def test_the_paired_difference_solves_its_equation_and_none_means_that_no_difference_does(n: int, d: float) -> None:
    found = mde_paired(n, d)
    if found is None:  # even if every discordance goes one way, the power is not reached
        assert d * math.sqrt(n) < ZA * math.sqrt(d) + ZB * math.sqrt(d - d * d) + 1e-5
    else:
        assert 0 < found <= d
        assert found * math.sqrt(n) == pytest.approx(ZA * math.sqrt(d) + ZB * math.sqrt(d - found**2), rel=1e-5)


@given(st.integers(1, 20_000), DISCORDANCE, st.integers(2, 5))
def test_more_docs_show_smaller_differences(n: int, d: float, times: int) -> None:
    few, many = mde_paired(n, d), mde_paired(n * times, d)
    assert few is None or (many is not None and many < few)
    assert mde_unpaired(n * times) < mde_unpaired(n)
    assert tost_margin(n * times, d) < tost_margin(n, d)


@pytest.mark.parametrize(("n", "needed"), [(164, 0.036), (1319, 0.0089)])
def test_the_margin_is_optimistic_where_few_pairs_differ_as_the_page_says(n: int, needed: float) -> None:
    def power(margin: float) -> float:
        total = 0.0
        for s in range(50):  # discordant pairs, at 1 %; each goes either way
            good = sum(math.comb(s, b) for b in range(s + 1) if within(tango(b, s - b, n, 0.90), margin))
            total += math.comb(n, s) * 0.01**s * 0.99 ** (n - s) * good / 2**s
        return total

    assert power(tost_margin(n, 0.01)) < 0.75
    assert power(needed - 0.0003) < 0.80 < power(needed + 0.0003)


@given(st.floats(-0.03, 0.03), st.floats(0, 0.2), st.floats(0.002, 0.05))
def test_the_pairs_that_decide_are_the_fewest_that_do(difference: float, more: float, margin: float) -> None:
    discordance = abs(difference) + more
    n = pairs_for(difference, discordance, margin)
    if n is None:
        assert abs(abs(difference) - margin) < 1e-4
    elif abs(difference) < margin:
        b, c = (discordance + difference) / 2, (discordance - difference) / 2
        assert within(tango(n * b, n * c, n, 0.90), margin)
        assert n == 1 or not within(tango((n - 1) * b, (n - 1) * c, n - 1, 0.90), margin)


def test_without_discordance_the_pairs_are_those_of_z2_over_n_plus_z2() -> None:
    assert pairs_for(0, 0, 0.01) == math.ceil(1.6448536269514722**2 * 99)  # 268: more than HumanEval has


def test_a_difference_above_the_margin_is_decided_by_mcnemars_test() -> None:
    # All one way, 2 points: significant from the sixth discordance, so from some 300 docs.
    n = pairs_for(0.02, 0.02, 0.01)
    assert n is not None and 250 < n <= 300
    # 30 and 50 of 1319 are significant already; at a third of the docs they would not be.
    n = pairs_for(-20 / 1319, 80 / 1319, 0.01)
    assert n is not None and 1319 / 3 < n < 1319
    assert mcnemar_exact(10, 17) > 0.05 > mcnemar_exact(30, 50)


def test_no_number_of_pairs_decides_about_a_difference_that_is_the_margin() -> None:
    assert pairs_for(0.01, 0.02, 0.01) is None
    assert pairs_for(0.01 - 1e-9, 0.5, 0.01) is None


def test_impossible_arguments_are_refused() -> None:
    for n, share in ((0, 0.5), (10, -0.1), (10, 1.1)):
        for function in (mde_unpaired, mde_paired, tost_margin):
            with pytest.raises(ValueError, match="docs"):
                function(n, share)
    for difference, discordance, margin in (
        (0.2, 0.1, 0.01),
        (0, 1.1, 0.01),
        (0, 0.1, 0),
        (0, 0.1, 1),
        (math.nan, 1, 0.1),
    ):
        with pytest.raises(ValueError, match="margin"):
            pairs_for(difference, discordance, margin)
