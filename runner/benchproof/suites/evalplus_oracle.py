"""evalplus 0.3.1's comparison of an answer with the expected one, on decoded values, in the parent.

The rules are those of `evalplus.eval.unsafe_execute`, quirks included: the tolerance becomes 1e-6 at the first
expected float and stays so for the rest of the task. HumanEval/32 is marked here as it was meant; that 0.3.1 fails
it whatever comes is added where scores are made (humaneval_marking.py).
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from evalplus.eval import _poly

from benchproof.schema.execution import Answer, Digest, Failed, NumpyValue, Value
from benchproof.suites.humaneval_expected import Expected

FLOAT_TOLERANCE = 1e-6
RELATIVE = 1e-7
FIND_ZERO = "find_zero"


class Unresolved(Exception):
    """The answer came as a digest that differs: it has to be seen whole."""


class Comparison:
    """Judges the answers of one attempt, in order.

    whole: the expected answer of an index, where only its digest is known. `details`: right or wrong, per input.
    """

    def __init__(
        self,
        entry_point: str,
        arguments: Callable[[], list[list[Any]]],
        expected: tuple[Expected, ...],
        atol: float,
        *,
        decode: Callable[[bytes], Any],
        whole: Callable[[int], Any],
        every: bool = False,
    ) -> None:
        self._entry_point, self._arguments, self._expected, self._atol = entry_point, arguments, expected, atol
        self._decode, self._whole, self._every = decode, whole, every
        self._inputs: list[list[Any]] | None = None
        self.details: list[bool] = []
        self.reason = ""
        self.unresolved: int | None = None

    def __call__(self, index: int, answer: Answer, cpu: float) -> bool:
        """True to go on. Stops at the first wrong answer unless every one is wanted."""
        try:
            right = self._right(index, answer)
        except Unresolved:
            self.unresolved = index
            return False
        self.details.append(right)
        return right or self._every

    def _right(self, index: int, answer: Answer) -> bool:
        expected = self._expected[index]
        if isinstance(answer, Failed):
            self._say(f"{answer.kind} {answer.detail}".rstrip(), index)
            return False
        try:
            right = self._agrees(index, answer, expected)
        except Unresolved:
            raise
        except Exception as error:  # noqa: BLE001  # a comparison of foreign data: whatever it raises is a failure
            self._say(f"not comparable: {type(error).__name__}", index)
            return False
        if not right:
            self._say("wrong answer", index)
        return right

    def _agrees(self, index: int, answer: Answer, expected: Expected) -> bool:
        if self._entry_point == FIND_ZERO:
            if self._inputs is None:
                self._inputs = self._arguments()  # ours: a candidate may have changed its own
            zero = self._value(answer)
            return bool(abs(_poly(*self._inputs[index], zero)) <= self._atol)
        if self._atol == 0 and expected.floats:
            self._atol = FLOAT_TOLERANCE  # and stays
        if _same(answer, expected):
            return True
        out = self._value(answer)
        return agrees(
            out, self._whole(index) if expected.encoded is None else self._decode(expected.encoded), self._atol
        )

    def _value(self, answer: Answer) -> Any:
        if not isinstance(answer, Value):
            raise Unresolved
        return _revived(self._decode(answer.encoded))

    def _say(self, reason: str, index: int) -> None:
        self.reason = self.reason or f"input {index}: {reason}"


def agrees(out: Any, expected: Any, atol: float) -> bool:
    """The heart of evalplus's check. Raises whatever numpy raises for what it cannot compare."""
    exact = out == expected
    if exact or atol == 0:
        return bool(exact)
    if type(out) is not type(expected):
        return False
    if isinstance(expected, list | tuple) and len(out) != len(expected):
        return False
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return bool(np.allclose(out, expected, rtol=RELATIVE, atol=atol))


def _same(answer: Answer, expected: Expected) -> bool:
    """Equal without being decoded: the encoding is one-to-one, but for NaN, which equals nothing."""
    if isinstance(answer, Digest):
        return answer.sha256 == expected.marshal_sha256
    return isinstance(answer, Value) and answer.encoded == expected.encoded and b'"nan"' not in answer.encoded


def _revived(value: Any) -> Any:
    """Numpy's values as numpy's, at the top or inside lists and tuples: its `==` and its types count."""
    if isinstance(value, NumpyValue):
        dtype = np.dtype(value.dtype)
        return np.array(value.value, dtype=dtype) if value.array else dtype.type(value.value)
    if type(value) in (list, tuple) and any(type(item) in (NumpyValue, list, tuple) for item in value):
        return type(value)(_revived(item) for item in value)
    return value
