"""Do the tests and intervals keep what they promise? 2,000 simulated pairs of runs a cell, seeded.

Each promise is a nominal rate, and what is seen may be above it by three standard errors of the simulation. Equal
outcomes are judged once (`judged`), so that a cell of counts takes milliseconds.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtri

from benchproof.stats.equivalence import within
from benchproof.stats.intervals import (
    Interval,
    clustered,
    mean_t,
    newcombe,
    stratified,
    stratified_tango,
    tango,
    welch,
    wilson,
)
from benchproof.stats.paired import benjamini_hochberg, holm, mcnemar_exact, sign_flip
from benchproof.stats.power import mde_paired, tost_margin

SIMULATIONS = 2_000
Counts = NDArray[np.int64]

# Docs a subject of MMLU's test split, and questions a category of TruthfulQA.
MMLU = (
    *(
        1534,
        895,
        783,
        612,
        545,
        390,
        378,
        346,
        324,
        311,
        310,
        306,
        282,
        272,
        270,
        265,
        245,
        238,
        237,
        235,
        234,
        223,
        216,
    ),
    *(
        204,
        203,
        201,
        198,
        193,
        173,
        171,
        166,
        165,
        163,
        152,
        151,
        145,
        144,
        135,
        131,
        126,
        121,
        114,
        112,
        110,
        108,
        103,
    ),
    *(102, *(100,) * 10),
)
CATEGORIES = (
    *(100, 64, 55, 55, 31, 30, 26, 25, 24, 24, 23, 22, 21, 21, 21, 19, 18, 17, 16, 16, 16, 15, 15, 14, 14, 13, 12, 11),
    *(10, 10, 9, 9, 9, 9, 8, 6, 5, 4),
)


def rng(*cell: float) -> np.random.Generator:
    """One generator a cell: cells can be added, moved and run alone without changing another."""
    return np.random.default_rng([int(1e6 * number) % 2**32 for number in cell])


def at_most(nominal: float) -> float:
    """What the share of SIMULATIONS may reach where the true chance is nominal."""
    return nominal + 3 * math.sqrt(nominal * (1 - nominal) / SIMULATIONS)


def pairs(n: int, discordance: float, difference: float) -> Counts:
    """(b, c) of each simulated pair of runs, shape (SIMULATIONS, 2)."""
    b, c = (discordance + difference) / 2, (discordance - difference) / 2
    return rng(n, discordance, difference).multinomial(n, [b, c, 1 - b - c], size=SIMULATIONS)[:, :2]


def judged(outcomes: Counts, judge: Callable[..., float | bool]) -> NDArray[np.float64]:
    """judge(*outcome) of each row, shape (SIMULATIONS,)."""
    distinct, place = np.unique(outcomes, axis=0, return_inverse=True)
    return np.array([float(judge(*(int(count) for count in row))) for row in distinct])[place.reshape(-1)]


def consistent(n: int, margin: float) -> Callable[[int, int], bool]:
    """The verdict over (b, c): TOST at 5 % by Tango's interval."""
    return lambda b, c: within(tango(b, c, n, 0.90), margin)


def sized(groups: int, spread: float) -> Counts:
    """Cluster sizes around 60, log-normal: `spread` 0.3 is 1 to 3, 0.6 is 1 to 8."""
    sizes = 60 * np.exp(spread * ndtri((np.arange(groups) + 0.5) / groups))
    return np.array(np.round(sizes), dtype=np.int64)


def coverage(sizes: NDArray[np.int64], spread: float, cell: int) -> float:
    """Share of `clustered` intervals that hold the mean over subjects, whose means are Beta around 0.6."""
    draw, total, held = rng(cell, spread), 0.6 * 0.4 / spread**2 - 1, 0
    labels = np.repeat(np.arange(sizes.size), sizes)
    for _ in range(SIMULATIONS):
        subject = draw.beta(0.6 * total, 0.4 * total, sizes.size)
        interval = clustered(draw.random(labels.size) < subject[labels], labels, 0.95)
        assert interval
        held += interval.lower <= 0.6 <= interval.upper
    return held / SIMULATIONS


@pytest.mark.parametrize(("n", "discordance"), [(164, 0.05), (164, 0.2), (1319, 0.02), (1319, 0.1), (14042, 0.02)])
def test_mcnemar_calls_equal_runs_different_in_no_more_than_one_of_twenty(n: int, discordance: float) -> None:
    assert np.mean(judged(pairs(n, discordance, 0), mcnemar_exact) < 0.05) <= at_most(0.05)


@pytest.mark.parametrize("zeros", [0, 30])
@pytest.mark.parametrize("n", [12, 60])
def test_flipping_signs_calls_equal_runs_different_in_one_of_twenty(n: int, zeros: int) -> None:
    graded = rng(n, zeros).standard_t(3, size=(SIMULATIONS, n)) * np.linspace(0.2, 2, n)  # heavy tails, unequal spread
    padded = np.hstack([graded, np.zeros((SIMULATIONS, zeros))])
    seen = np.mean([sign_flip(row, seed=i, rounds=199) <= 0.05 for i, row in enumerate(padded)])
    assert 0.05 - (at_most(0.05) - 0.05) <= seen <= at_most(0.05)


@pytest.mark.parametrize("different", [0, 2])
def test_a_family_of_tasks_has_a_false_alarm_in_no_more_than_one_of_twenty(different: int) -> None:
    tasks = [
        judged(pairs(n, 0.1, 0.05 if i < different else 0.0), mcnemar_exact)
        for i, n in enumerate((14042, 1319, 1320, 1321, 5000, 6511))
    ]
    families = np.array(tasks).T
    false_alarm = [min(holm(family.tolist())[different:]) < 0.05 for family in families]
    assert np.mean(false_alarm) <= at_most(0.05)
    found = np.array([benjamini_hochberg(family.tolist()) for family in families]) < 0.05
    assert np.mean(found[:, different:].sum(axis=1) / np.maximum(found.sum(axis=1), 1)) <= at_most(0.05)


@pytest.mark.parametrize(
    ("n", "discordance", "margin"),
    [
        *((164, 0.1, 0.05), (817, 0.02, 0.01), (1319, 0.01, 0.01), (1319, 0.02, 0.01), (1319, 0.01, 0.005)),
        *((14042, 0.01, 0.0025), (14042, 0.02, 0.005)),
    ],
)
def test_runs_that_differ_by_the_margin_are_called_consistent_in_no_more_than_one_of_twenty(
    n: int, discordance: float, margin: float
) -> None:
    for sign in (1, -1):
        assert np.mean(judged(pairs(n, discordance, sign * margin), consistent(n, margin))) <= at_most(0.05)


def test_power_grows_with_the_margin_and_is_near_eighty_percent_where_it_should_be() -> None:
    for n, discordance in ((1319, 0.05), (14042, 0.02)):
        margin, runs = tost_margin(n, discordance), pairs(n, discordance, 0)
        powers = [np.mean(judged(runs, consistent(n, width))) for width in (margin / 2, margin, 2 * margin)]
        assert powers == sorted(powers)
        assert 0.7 < powers[1] < 0.9
        found = mde_paired(n, discordance)
        assert found
        assert 0.7 < np.mean(judged(pairs(n, discordance, found), mcnemar_exact) < 0.05) < 0.9


@pytest.mark.parametrize("one_sided", [0.0, 0.8, 1.0])
@pytest.mark.parametrize(("n", "discordance"), [(164, 0.01), (164, 0.02), (164, 0.05), (817, 0.01), (1319, 0.01)])
def test_tangos_interval_covers_small_discordance(n: int, discordance: float, one_sided: float) -> None:
    true = one_sided * discordance

    def holds(b: int, c: int) -> bool:
        interval = tango(b, c, n, 0.95)
        return interval.lower <= true <= interval.upper

    assert np.mean(judged(pairs(n, discordance, true), holds)) >= 0.935


@pytest.mark.parametrize("groups", [10, 11, 12, 38, 57])
@pytest.mark.parametrize("spread", [0.05, 0.12])
def test_clustered_intervals_cover_what_they_generalise_to(groups: int, spread: float) -> None:
    assert coverage(sized(groups, 0.3), spread, groups) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(
    "sizes", [MMLU, CATEGORIES, sized(10, 0.6)], ids=["57 subjects", "38 categories", "10 of 1 to 8"]
)
def test_and_of_very_unequal_clusters_too(sizes: tuple[int, ...]) -> None:
    assert coverage(np.array(sizes), 0.12, len(sizes)) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("n", [3, 5, 30])
def test_students_interval_covers(n: int) -> None:
    runs = rng(n).normal(0.6, 0.1, size=(SIMULATIONS, n))
    assert held([mean_t(run, 0.95) for run in runs], 0.6) == pytest.approx(0.95, abs=0.015)


def test_stratified_intervals_cover_a_plain_mean_over_unequal_tasks() -> None:
    sizes, spread, mean = np.array([4, 5, 6, 8]), np.array([0.1, 0.3, 0.2, 0.1]), np.array([0.1, -0.2, 0.0, 0.3])
    labels = np.repeat(np.arange(4), sizes)
    runs = rng(4).normal(mean[labels], spread[labels], size=(SIMULATIONS, labels.size))
    intervals = [stratified(run, labels, dict.fromkeys(range(4), 0.25), 0.95) for run in runs]
    assert held(intervals, mean.mean()) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("discordance", [0.01, 0.05])
def test_a_plain_mean_over_small_tasks_is_called_consistent_in_no_more_than_one_of_twenty(discordance: float) -> None:
    # As the plain mean over BIG-bench's tasks: 40 to 2,000 docs each; most of what differs is in a few small ones.
    sizes = np.round(np.geomspace(40, 2_000, 12)).astype(np.int64)
    share = np.array([3.4] * 3 + [0.2] * 9)
    b, c = share * (discordance + 0.01) / 2, share * (discordance - 0.01) / 2
    runs = rng(12, discordance).multinomial(sizes, np.stack([b, c, 1 - b - c], axis=1), size=(SIMULATIONS, 12))
    weights = {f"task {i}": 1 / 12 for i in range(12)}
    wrong = [
        within(
            stratified_tango({f"task {i}": (b, c, b + c + d) for i, (b, c, d) in enumerate(run)}, weights, 0.90), 0.01
        )
        for run in runs.tolist()
    ]
    assert np.mean(wrong) <= at_most(0.05)


def test_unpaired_intervals_cover() -> None:
    rates = rng(1).binomial([164, 1319], [0.4, 0.5], size=(SIMULATIONS, 2))
    newcombes = [newcombe(k1 / 164, 164, k2 / 1319, 1319, 0.95) for k1, k2 in rates]
    assert held(newcombes, -0.1) == pytest.approx(0.95, abs=0.015)
    few, many = rng(2).normal(0.5, 0.3, (SIMULATIONS, 5)), rng(3).normal(0.5, 0.05, (SIMULATIONS, 40))
    moments = [(run.mean(axis=1), run.std(axis=1, ddof=1) / math.sqrt(run.shape[1])) for run in (few, many)]
    welches = [
        welch(float(m1), float(s1), 5, float(m2), float(s2), 40, 0.95)
        for m1, s1, m2, s2 in zip(*moments[0], *moments[1], strict=True)
    ]
    assert held(welches, 0.0) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(("n", "p"), [(164, 0.95), (164, 0.5), (1319, 0.02)])
def test_wilsons_interval_covers(n: int, p: float) -> None:
    counts = rng(n, p).binomial(n, p, size=SIMULATIONS)
    assert held([wilson(int(k), n, 0.95) for k in counts], p) >= 0.935


def held(intervals: list[Interval], true: float) -> float:
    """Share of the intervals that hold the true value."""
    return float(np.mean([interval.lower <= true <= interval.upper for interval in intervals]))
