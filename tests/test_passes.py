"""Values of rows: what cannot be a metric's value is told, whatever the metric's bounds."""

from typing import Any

import pytest

from benchproof.checks import passes
from benchproof.store.rows import Row, real
from fakes.plans import a_mark_pin


@pytest.mark.parametrize(
    ("value", "fault"),
    [("-3.5", ""), ("1e999", "is inf"), (["0.5", "1e999"], "no number"), ("nan", "no number"), (None, "no number")],
)
def test_a_metric_without_bounds_has_a_finite_number(value: Any, fault: str) -> None:
    mark = a_mark_pin(metrics=["rouge_diff"], config={"metric_list": [{"metric": "rouge_diff", "aggregation": "mean"}]})
    row = Row(0, "", None, None, (), (), {"none": []}, {"none": {"rouge_diff": real(value)}})
    faults = list(passes._collect(row, mark, {}))
    assert [fault in found for found in faults] == [True] * bool(fault)


def test_values_that_only_the_harness_aggregates_may_be_lists_of_finite_numbers() -> None:
    mark = a_mark_pin(metrics=["f1"], config={})
    for value, faults in (([1, 0.5], 0), ([1, float("inf")], 1)):
        row = Row(0, "", None, None, (), (), {"none": []}, {"none": {"f1": value}})
        assert len(list(passes._collect(row, mark, {}))) == faults
