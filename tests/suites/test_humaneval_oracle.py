"""evalplus's rules on decoded values: equal to evalplus's own code, value by value."""

import warnings
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from evalplus.eval import is_floats as native_is_floats

from benchproof.sandbox import codec, guest_encoder
from benchproof.schema.execution import Digest, Failed, Value
from benchproof.suites.evalplus_oracle import Comparison
from benchproof.suites.humaneval_expected import Expected, is_floats

OUTS: list[Any] = [
    1, True, 1.0, 1 + 1e-8, 1.5, -0.0, 0, float("nan"), float("inf"), "1", None, [], (), [1], [1.0], (1.0,), [1.0, 2.0],
    [1.0 + 1e-8, 2.0], [1.0, 2], [[1.0], [2.0]], ["a"], {"a": 1}, {1}, b"x", 10**400, Decimal(1), Decimal("1.5"),
    Fraction(3, 2), np.float64(1.0), np.float64(1.0 + 1e-8), np.int64(1), np.bool_(True), np.array([1.0, 2.0]),
    np.array([1.0]), 1 + 0j,
]  # fmt: skip
EXPECTED: list[Any] = [1, True, 1.0, 1.5, 0.0, "1", None, [], [1], [1.0], (1.0,), [1.0, 2.0], [[1.0], [2.0]], {"a": 1}]


def native(out: Any, expected: Any, atol: float) -> bool:
    """The lines of evalplus.eval.unsafe_execute, as they stand."""
    try:
        exact_match = out == expected
        if atol == 0 and native_is_floats(expected):
            atol = 1e-6
        if not exact_match and atol != 0:
            assert type(out) is type(expected)
            if isinstance(expected, list | tuple):
                assert len(out) == len(expected)
            assert np.allclose(out, expected, rtol=1e-07, atol=atol)
        else:
            assert exact_match
    except BaseException:  # noqa: BLE001  # as evalplus
        return False
    return True


def encoded(value: Any) -> bytes:
    return guest_encoder.Encoder().encode(value)


def an_expected(value: Any) -> Expected:
    return Expected(encoded(value), None, is_floats(value), 0.0)


def a_comparison(
    expected: list[Any],
    entry_point: str = "f",
    atol: float = 0,
    *,
    arguments: list[list[Any]] | None = None,
    every: bool = False,
) -> Comparison:
    return Comparison(
        entry_point,
        lambda: arguments or [],
        tuple(an_expected(value) for value in expected),
        atol,
        decode=codec.decode,
        whole=lambda index: expected[index],
        every=every,
    )


# Mutant: tolerance relative only, types not compared, lengths not compared.
@pytest.mark.parametrize("atol", [0, 1e-6, 1e-4])
@pytest.mark.parametrize("expected", EXPECTED, ids=repr)
def test_each_pair_of_values_is_judged_as_evalplus_judges_it(expected: Any, atol: float) -> None:
    for out in OUTS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = native(out, expected, atol)
        compared = a_comparison([expected], atol=atol)
        compared(0, Value(encoded(out)), 0.0)
        assert compared.details == [wanted], (out, expected, atol)


def test_is_floats_is_evalpluss() -> None:
    for value in OUTS:
        if not isinstance(value, np.ndarray):  # no expected answer is one: they are plain data
            assert is_floats(value) == bool(native_is_floats(value)), value


# Mutant: the tolerance set back for each input.
def test_the_tolerance_stays_after_the_first_expected_float() -> None:
    before = a_comparison([[1, 2], 0.5], every=True)
    before(0, Value(encoded([1, 2 + 1e-9])), 0.0)
    before(1, Value(encoded(0.5)), 0.0)
    assert before.details == [False, True]
    after = a_comparison([0.5, [1, 2]], every=True)
    after(0, Value(encoded(0.5)), 0.0)
    after(1, Value(encoded([1, 2 + 1e-9])), 0.0)
    assert after.details == [True, True]


# Mutant: equal bytes taken for equal values.
def test_nan_equals_nothing_even_where_the_bytes_are_equal() -> None:
    compared = a_comparison([float("nan")])
    compared(0, Value(encoded(float("nan"))), 0.0)
    assert compared.details == [False]


# Mutant: the polynomial of the candidate's own, changed argument.
def test_find_zero_is_judged_by_its_own_input() -> None:
    for out, right in ((-0.5, True), (-0.50001, True), (0.0, False), ("x", False), (10**400, False), (None, False)):
        compared = a_comparison([-0.5], "find_zero", 1e-4, arguments=[[[1, 2]]])
        compared(0, Value(encoded(out)), 0.0)
        assert compared.details == [right], out


def test_it_stops_at_the_first_wrong_answer_unless_every_one_is_wanted() -> None:
    first = a_comparison([1, 2, 3])
    assert first(0, Value(b"1"), 0.0)
    assert not first(1, Value(b"9"), 0.0)
    assert (first.details, first.reason) == ([True, False], "input 1: wrong answer")
    every = a_comparison([1, 2, 3], every=True)
    assert [every(i, Value(b"2"), 0.0) for i in range(3)] == [True, True, True]
    assert every.details == [False, True, False]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Failed("raised", "ValueError"), "raised ValueError"),
        (Failed("timeout", ""), "timeout"),
        (Failed("unencodable", "not plain data"), "unencodable not plain data"),
        (Value(b"nonsense"), "not comparable: Malformed"),
        (Value(b'["l",1,2]'), "wrong answer"),
    ],
)
def test_whatever_is_no_right_answer_is_a_failure_with_its_reason(answer: Any, words: str) -> None:
    compared = a_comparison([1])
    assert not compared(0, answer, 0.0)
    assert compared.details == [False]
    assert compared.reason == f"input 0: {words}"


def test_a_digest_that_differs_has_to_be_seen_whole() -> None:
    expected = Expected(None, "ab" * 32, False, 0.0)
    compared = Comparison("f", list, (expected,), 0, decode=codec.decode, whole=lambda index: [1, 2.0])
    assert compared(0, Digest("ab" * 32, 99_999), 0.0)
    compared = Comparison("f", list, (expected,), 0, decode=codec.decode, whole=lambda index: [1, 2.0])
    assert not compared(0, Digest("cd" * 32, 99_999), 0.0)
    assert (compared.unresolved, compared.details) == (0, [])
    compared = Comparison("f", list, (expected,), 0, decode=codec.decode, whole=lambda index: [1, 2.0])
    assert compared(0, Value(encoded([1.0, 2])), 0.0)
    assert compared.details == [True]
