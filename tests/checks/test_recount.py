"""The formulas, told again, are the harness's."""

import random

import pytest
from lm_eval.api import metrics

from benchproof.checks import recount
from benchproof.schema.unknown import Unknown
from fakes.plans import a_mark_pin

CHANCE = random.Random(7)
COLUMNS = [
    [CHANCE.choice([0.0, 1.0]) for _ in range(n)] if n % 2 else [CHANCE.uniform(-50, 50) for _ in range(n)]
    for n in (2, 3, 20, 817)
]


@pytest.mark.parametrize("values", COLUMNS, ids=len)
def test_a_mean_and_its_error_are_the_harnesss(values: list[float]) -> None:
    assert recount.mean(values) == metrics.mean(values)
    assert recount.mean_stderr(values) == metrics.mean_stderr(values)


@pytest.mark.parametrize("by_size", [True, False])
def test_a_groups_value_and_error_are_the_harnesss(by_size: bool) -> None:
    values, sizes = [metrics.mean(c) for c in COLUMNS], list(map(len, COLUMNS))
    stderrs = [metrics.mean_stderr(column) for column in COLUMNS]
    value, stderr = recount.group(values, stderrs, sizes, by_size=by_size)
    error = metrics.pooled_sample_stderr(stderrs, sizes) if by_size else metrics.unweighted_mean_stderr(stderrs)
    assert value == metrics.aggregate_subtask_metrics(values, sizes, by_size)
    assert stderr == pytest.approx(error, rel=1e-15)


def test_one_value_has_no_error_and_neither_has_its_group() -> None:
    assert recount.mean_stderr([1.0]) is None
    assert recount.group([1.0, 0.0], [None, 0.1], [1, 9], by_size=True) == (0.1, None)


@pytest.mark.parametrize(
    ("config", "metric", "mean"),
    [
        ({"metric_list": [{"metric": "acc", "aggregation": "mean"}]}, "acc", True),
        ({"metric_list": [{"metric": "acc", "aggregation": "median"}]}, "acc", False),
        ({"metric_list": [{"metric": "f1", "aggregation": {"function": "f1", "source_sha256": ""}}]}, "f1", False),
        ({"metric_list": [{"metric": "acc"}]}, "acc", True),
        ({"metric_list": [{"metric": "f1"}]}, "f1", False),
        ({}, "exact_match", True),
        ({}, "perplexity", False),
        ({"metric_list": ["acc"]}, "acc", True),
    ],
)
def test_only_what_is_averaged_is_recomputed(config: dict[str, object], metric: str, mean: bool) -> None:
    assert recount.is_mean(a_mark_pin(config=config), metric) is mean


def test_the_defaults_that_are_means_are_the_harnesss() -> None:
    from lm_eval.api.registry import get_metric_aggregation

    assert all(get_metric_aggregation(name) is metrics.mean for name in recount.MEANS)


@pytest.mark.parametrize(
    ("said", "found", "same"),
    [("0.1", 0.1 + 1e-15, True), ("0.1", 0.101, False), ("0.1", None, False), (None, None, True), (None, 0.1, False)],
)
def test_a_missing_error_is_right_only_where_there_is_none(said: str | None, found: float | None, same: bool) -> None:
    unknown = Unknown(unknown="not_applicable", detail="")
    assert recount.same(unknown if said is None else said, found) is same
