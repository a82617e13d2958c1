"""Paired tests: worked numbers, and equality with a second way to count."""

import tracemalloc
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, false_discovery_control

from benchproof.stats.paired import CELLS, benjamini_hochberg, holm, mcnemar_exact, sign_flip

COUNTS = st.integers(0, 300)
PS = st.lists(st.floats(0, 1), max_size=30)
GRADED = (0.2, -0.1, 0.3, 0, 0.1, 0.25, -0.05, 0.15)


@pytest.mark.parametrize(
    ("b", "c", "p"),
    [
        *((0, 5, 0.0625), (0, 6, 0.031), (1, 9, 0.021), (5, 15, 0.041)),
        *((9, 13, 0.523), (2, 1, 1.0), (60, 75, 0.228), (30, 50, 0.033), (20, 20, 1.0), (0, 0, 1.0)),
    ],
)
def test_mcnemar_gives_the_worked_numbers(b: int, c: int, p: float) -> None:
    assert mcnemar_exact(b, c) == pytest.approx(p, abs=5e-4)


@given(COUNTS, COUNTS)
def test_mcnemar_is_the_two_sided_binomial_test_either_way_round(b: int, c: int) -> None:
    assert mcnemar_exact(b, c) == mcnemar_exact(c, b)
    if b + c:
        assert mcnemar_exact(b, c) == pytest.approx(binomtest(b, b + c).pvalue)


def test_fewer_than_six_one_sided_discordances_are_never_significant() -> None:
    assert [n for n in range(10) if mcnemar_exact(0, n) < 0.05] == [6, 7, 8, 9]


def test_flipping_signs_gives_the_worked_number_exactly() -> None:
    assert sign_flip(GRADED, seed=0) == 28 / 256


@given(st.lists(st.integers(-5, 5), max_size=9), st.integers(0, 3))
def test_few_differences_are_counted_over_all_signs_and_zeros_do_not_count(d: list[int], zeros: int) -> None:
    sums = [
        abs(sum(sign * abs(x) for sign, x in zip(signs, d, strict=True))) for signs in product((1, -1), repeat=len(d))
    ]
    expected = sum(s >= abs(sum(d)) for s in sums) / len(sums)
    # Tenths are not exact in binary: sums that are equal must still count as equal.
    assert sign_flip([x / 10 for x in d] + [0.0] * zeros, seed=0) == expected


def test_flipping_signs_of_wins_and_losses_is_mcnemars_test() -> None:
    assert sign_flip([1] * 4 + [-1] * 11 + [0] * 500, seed=0) == pytest.approx(mcnemar_exact(4, 11))
    assert sign_flip([1] * 30 + [-1] * 50, seed=5, rounds=99_999) == pytest.approx(mcnemar_exact(30, 50), abs=0.002)


def test_many_differences_are_sampled_with_the_seed_given_and_never_give_zero() -> None:
    d = np.random.default_rng(1).normal(0.3, 1, 40)
    assert sign_flip(d, seed=7, rounds=499) == sign_flip(d, seed=7, rounds=499) == sign_flip(-d, seed=7, rounds=499)
    assert sign_flip(d, seed=7, rounds=499) != sign_flip(d, seed=8, rounds=499)
    assert sign_flip(np.ones(40), seed=7, rounds=499) == 1 / 500
    signs = 1 - 2 * (np.arange(2**17)[:, None] >> np.arange(17) & 1)  # one more than are counted exactly
    exact = np.mean(np.abs(signs @ d[:17]) >= abs(d[:17].sum()) - 1e-9)
    assert sign_flip(d[:17], seed=1, rounds=99_999) == pytest.approx(exact, abs=0.01)


def test_memory_is_bounded_for_the_largest_benchmark() -> None:
    d = np.random.default_rng(2).normal(0, 1, 14_042)
    tracemalloc.start()
    p = sign_flip(d, seed=3, rounds=999)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.01 < p <= 1
    assert peak < 3 * 8 * CELLS  # all signs at once would be 112 MB


def test_holm_and_benjamini_hochberg_give_the_worked_numbers_in_the_order_given() -> None:
    ps = [0.04, 0.001, 0.3, 0.012, 0.021]
    assert holm(ps) == pytest.approx([0.08, 0.005, 0.3, 0.048, 0.063])
    assert benjamini_hochberg(ps) == pytest.approx([0.05, 0.005, 0.3, 0.03, 0.035])
    assert holm([]) == benjamini_hochberg([]) == []


@given(PS)
def test_adjusted_ps_keep_their_order_and_never_shrink(ps: list[float]) -> None:
    for adjust in (holm, benjamini_hochberg):
        adjusted = adjust(ps)
        assert all(p <= q <= 1 for p, q in zip(ps, adjusted, strict=True))
        assert [adjusted[i] for i in np.argsort(ps, kind="stable")] == sorted(adjusted)
    assert all(b <= h for b, h in zip(benjamini_hochberg(ps), holm(ps), strict=True))
    if ps:
        assert benjamini_hochberg(ps) == pytest.approx(false_discovery_control(ps))


@given(PS, st.floats(0.001, 0.2))
def test_holm_rejects_what_its_steps_reject(ps: list[float], alpha: float) -> None:
    rejected = set()
    for step, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        if ps[i] * (len(ps) - step) >= alpha:
            break
        rejected.add(i)
    assert {i for i, p in enumerate(holm(ps)) if p < alpha} == rejected


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="discordant"):
        mcnemar_exact(-1, 2)
    for bad in ([[1.0]], [float("nan")], [float("inf")]):
        with pytest.raises(ValueError, match="finite"):
            sign_flip(bad, seed=0)
    with pytest.raises(ValueError, match="round"):
        sign_flip([1.0], seed=0, rounds=0)
    for adjust in (holm, benjamini_hochberg):
        for bad_p in (-0.1, 1.1, float("nan")):
            with pytest.raises(ValueError, match="between 0 and 1"):
                adjust([0.5, bad_p])
