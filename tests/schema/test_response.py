"""Responses: what is journaled is what comes back, and nothing else can be read as one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchproof.schema.canonical import canonical, strict_loads
from benchproof.schema.response import Generated, Loglikelihood, Response, response_from

TEXT = st.text()  # valid Unicode: a tokenizer decodes to nothing else
RESPONSES = st.builds(
    Loglikelihood,
    st.just("00"),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.integers(1, 9),
) | st.builds(
    Generated,
    st.just("00"),
    st.lists(st.integers(0, 2**20), max_size=5).map(tuple),
    TEXT,
    TEXT,
    st.sampled_from(["eos", "until", "length"]),
)


@given(RESPONSES)
def test_a_response_survives_the_journal(response: Response) -> None:
    assert response_from(strict_loads(canonical(response.json_value()), where="")) == response


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_no_response_without_a_finite_sum(value: float) -> None:
    with pytest.raises(ValueError, match="only finite"):
        Loglikelihood("00", value, False, 1).json_value()


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"ll": "-1.0"},
        {"r": "00", "ll": "nan", "greedy": False, "n": 1},
        {"r": "00", "ll": "-inf", "greedy": False, "n": 1},
        {"r": "00", "ll": "-1", "greedy": False, "n": 1},
        {"r": "00", "ll": "-1.0", "greedy": False},
        {"r": "00", "ids": None, "raw": "", "text": "", "stop": "eos"},
        {"r": "00", "ids": [], "raw": "", "text": "", "stop": "bored"},
        {"r": "00", "ids": [], "raw": "", "stop": "eos"},
    ],
)
def test_what_is_no_response_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        response_from(value)
