"""The outcome of a score follows from margin, interval and measured noise; never from a difference that is missing."""

import itertools

import pytest

from benchproof.judge import Benign, Measured, ScorePairs, decide, measure, worst
from benchproof.schema.canonical import decimal
from benchproof.schema.score import Claimed, Result
from benchproof.schema.unknown import Unknown
from benchproof.schema.verdict import ScoreJudged

KEY = ("t", "acc", "none")


def result(value: float, n: int, stderr: float | None = None, task: str = "t") -> Result:
    return Result(
        task=task,
        level="task",
        benchmark=task,
        metric="acc",
        filter="none",
        value=decimal(value),
        stderr=Unknown(unknown="not_exposed", detail="") if stderr is None else decimal(stderr),
        n=n,
        higher_is_better=True,
    )


def pairs(n: int, b: int, c: int, right: int | None = None) -> ScorePairs:
    """n docs; only the record has b right, only the re-run c, both `right` of the rest."""
    both = (n - b - c) // 2 if right is None else right
    there = [1.0] * b + [0.0] * c + [1.0] * both + [0.0] * (n - b - c - both)
    here = [0.0] * b + [1.0] * c + [1.0] * both + [0.0] * (n - b - c - both)
    return ScorePairs(there, here, [1 / n] * n, ["t"] * n, [("t", i) for i in range(n)], b + c)


def measured(n: int, b: int, c: int) -> Measured:
    found = pairs(n, b, c)
    return measure(result(sum(found.here) / n, n), Claimed(sum(found.there) / n, None, n), found)


def judged(n: int, b: int, c: int, points: float, benign: Benign | None = None) -> ScoreJudged:
    return decide([measured(n, b, c)], points, {} if benign is None else {KEY: benign})[0]


# RELIABILITY's table of verdicts; b: only the record is right. The rate of 1 % was seen in 10,000 docs.
ONE_PERCENT = Benign(100, 10_000)


@pytest.mark.parametrize(
    ("n", "b", "c", "points", "benign", "outcome"),
    [
        (1319, 13, 9, 1.0, ONE_PERCENT, "statistically consistent"),
        (164, 1, 2, 2.0, None, "inconclusive"),
        (14042, 75, 60, 0.5, None, "statistically consistent"),
        (1319, 50, 30, 1.0, None, "not reproduced"),
        (1319, 20, 20, 1.0, ONE_PERCENT, "not reproduced"),
        (1319, 20, 20, 1.0, None, "statistically consistent"),  # discordance alone is evidence, until it is measured
        (1319, 20, 20, 1.0, Benign(0, 35), "statistically consistent"),  # none of 35 only shows less than 8.2 %
        (164, 0, 0, 1.0, None, "same answers"),
    ],
)
def test_the_worked_verdicts(n: int, b: int, c: int, points: float, benign: Benign | None, outcome: str) -> None:
    found = judged(n, b, c, points, benign)
    assert found.outcome == outcome, found.reason
    assert (found.b, found.c, found.paired) == (b, c, True)


def test_the_interval_and_p_are_those_of_the_worked_table() -> None:
    found = judged(1319, 13, 9, 1.0)
    assert isinstance(found.interval, list)
    assert [round(100 * float(bound), 2) for bound in found.interval] == pytest.approx([-0.94, 0.30], abs=0.015)
    assert float(str(found.p)) == pytest.approx(0.523, abs=1e-3)
    assert 100 * float(str(found.difference)) == pytest.approx(-0.30, abs=0.005)


def test_a_difference_that_is_not_significant_is_never_called_a_reproduction() -> None:
    for b, c in itertools.product(range(6), range(6)):
        found = judged(60, b, c, 1.0)
        if found.outcome not in ("same answers", "not reproduced"):
            assert found.outcome == "inconclusive", (b, c)
            assert "pairs would decide" in found.reason or "beyond it" in found.reason


def test_every_score_counts_in_holms_family() -> None:
    alone = decide([measured(1319, 50, 30)], 1.0, {})[0]
    family = decide([measured(1319, 50, 30), *[measured(1319, 10, 10)] * 3], 1.0, {})
    assert alone.outcome == "not reproduced"
    assert float(str(family[0].p)) == pytest.approx(min(4 * float(str(alone.p)), 1))
    assert family[0].outcome == "inconclusive"


def test_without_a_margin_nothing_is_consistent() -> None:
    assert decide([measured(14042, 1, 1)], None, {})[0].outcome == "inconclusive"


def test_a_metric_without_a_scale_from_0_to_1_is_not_judged_by_points() -> None:
    found = decide([measure(result(25.0, 100, 0.1), Claimed(25.0, 0.1, 100), None)], 1.0, {})[0]
    assert found.outcome == "inconclusive"
    assert "scale" in found.reason


def test_other_counts_of_docs_are_another_measurement() -> None:
    assert decide([measure(result(0.5, 100), Claimed(0.5, None, 200), None)], 1.0, {})[0].outcome == "not comparable"


def test_without_rows_the_two_are_independent_and_the_interval_wider() -> None:
    alone = measure(result(0.50, 1000, 0.0158), Claimed(0.51, 0.0158, 1000), None)
    paired = measured(1000, 10, 10)
    assert alone.interval is not None
    assert paired.interval is not None
    assert alone.interval.upper - alone.interval.lower > 4 * (paired.interval.upper - paired.interval.lower)
    assert alone.difference == pytest.approx(-0.01)
    assert alone.interval.lower < alone.difference < alone.interval.upper
    assert decide([alone], 1.0, {})[0].paired is False


def test_few_docs_that_are_all_right_do_not_refute_a_printed_number() -> None:
    """Their own spread is 0; under the hypothesis of no difference it is not."""
    found = measure(result(1.0, 3), Claimed(0.684, None, 14042), None)
    assert found.p == pytest.approx(0.239, abs=0.002)
    assert found.interval is not None
    assert found.interval.lower < 0 < found.interval.upper


def test_a_graded_score_moves_by_what_its_docs_move_and_by_their_weights() -> None:
    docs = [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2), ("b", 3)]
    weights = [0.25, 0.25, 0.125, 0.125, 0.125, 0.125]
    found = ScorePairs([0.5] * 6, [0.5, 0.7, 0.5, 0.6, 0.5, 0.5], weights, [t for t, _ in docs], docs, 2)
    assert not found.binary
    assert found.shares == {"a": 0.5, "b": 0.5}
    assert measure(result(0.5625, 6, 0.1), Claimed(0.5, 0.1, 6), found).difference == pytest.approx(0.0625)


def test_a_plain_mean_over_tasks_of_shares_has_an_interval_that_is_never_of_width_0() -> None:
    docs = [("a", i) for i in range(20)] + [("b", i) for i in range(80)]
    weights = [0.5 / 20] * 20 + [0.5 / 80] * 80
    there, here = [1.0] * 100, [0.0, *[1.0] * 99]
    found = ScorePairs(there, here, weights, [t for t, _ in docs], docs, 1)
    interval = found.over_docs(0.9)
    assert interval is not None
    assert interval.method.startswith("stratified Tango")
    assert interval.lower < -0.025 < 0 < interval.upper


def test_last_bits_are_no_discordance() -> None:
    found = ScorePairs([0.5] * 4, [0.5 + 1e-9] * 4, [0.25] * 4, ["t"] * 4, [("t", i) for i in range(4)], 0)
    assert decide([measure(result(0.5, 4, 0.1), Claimed(0.5, 0.1, 4), found)], 1.0, {})[0].outcome == "same answers"


def test_the_worst_score_decides() -> None:
    assert worst(["same answers", "statistically consistent"]) == "statistically consistent"
    assert worst(["inconclusive", "not reproduced", "same answers"]) == "not reproduced"
