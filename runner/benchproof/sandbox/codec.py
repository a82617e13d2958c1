"""The parent's side of the encoding (RELIABILITY, section 2.4): strict, bounded, and never an evaluator.

guest.py writes it. Every container is a list whose first item is its tag, so plain data cannot imitate one.
"""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, NoReturn

from benchproof.schema.execution import NumpyValue

MAX_DEPTH, MAX_NODES = 200, 2_000_000
PLAIN_INT = 2**53
HEX_INT = re.compile(r"-?0x[0-9a-f]+")
HEX_FLOAT = re.compile(r"-?0x[01]\.[0-9a-f]{1,13}p[+-][0-9]{1,4}|-?inf|nan|-?0x0\.0p\+0")
NUMBER = re.compile(r"-?[0-9]{1,4300}(\.[0-9]{1,4300})?(E[+-]?[0-9]{1,18})?|-?Infinity|-?s?NaN[0-9]*")
DTYPE = re.compile(r"[|<>=](?:[biufc][0-9]{1,2}|[SU][0-9]{1,7})")


class Malformed(ValueError):
    """Not the encoding: a candidate wrote it, or cut it off."""


def _refuse(text: str) -> NoReturn:
    raise Malformed("a bare number that is not an integer")


def _integer(text: str) -> int:
    if len(text) > 17 or abs(value := int(text)) >= PLAIN_INT:
        raise Malformed("a bare integer beyond 2**53")
    return value


def decode(encoded: bytes, *, nodes: int = MAX_NODES) -> Any:
    """The value. Raises Malformed for anything that guest.py would not have written, or too many nodes."""
    if encoded.count(b",") + encoded.count(b"[") > 4 * nodes + 4:
        raise Malformed("too large")
    try:
        tree = json.loads(encoded.decode("ascii"), parse_float=_refuse, parse_constant=_refuse, parse_int=_integer)
        return _value(tree, 0)
    except Malformed:
        raise
    except (ValueError, TypeError, RecursionError, ArithmeticError) as error:
        raise Malformed(f"{type(error).__name__}: {error}"[:200]) from None


def _value(tree: Any, depth: int) -> Any:
    if tree is None or isinstance(tree, bool | int):
        return tree
    if isinstance(tree, str):
        if not tree.isascii():
            tree.encode("utf-8")  # a lone surrogate has a tag of its own
        return tree
    if depth > MAX_DEPTH:
        raise Malformed("nested too deeply")
    if not isinstance(tree, list) or not tree or not isinstance(tree[0], str):
        raise Malformed("a container without a tag")
    reader = READERS.get(tree[0])
    if reader is None:
        raise Malformed(f"unknown tag {tree[0][:20]!r}")
    return reader(tree[1:], depth + 1)


def _items(parts: list[Any], depth: int) -> list[Any]:
    return [item if type(item) is int else _value(item, depth) for item in parts]


def _dict(parts: list[Any], depth: int) -> dict[Any, Any]:
    pairs = [(_value(key, depth), _value(value, depth)) for key, value in map(_pair, parts)]
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Malformed("a key stands twice")
    return value


def _pair(part: Any) -> tuple[Any, Any]:
    if not isinstance(part, list) or len(part) != 2:
        raise Malformed("not a pair")
    return part[0], part[1]


def _set(parts: list[Any], depth: int) -> set[Any]:
    return set(_items(parts, depth))


def _matched(pattern: re.Pattern[str], count: int, make: Callable[..., Any]) -> Callable[[list[Any], int], Any]:
    """A reader of `count` strings of one form."""

    def read(parts: list[Any], depth: int) -> Any:
        if len(parts) != count or not all(isinstance(part, str) and pattern.fullmatch(part) for part in parts):
            raise Malformed("not a number")
        return make(*parts)

    return read


def _bytes(parts: list[Any], depth: int) -> bytes:
    (text,) = parts
    value = bytes.fromhex(text)
    if value.hex() != text:
        raise Malformed("not hex")
    return value


def _numpy(array: bool) -> Callable[[list[Any], int], NumpyValue]:
    def read(parts: list[Any], depth: int) -> NumpyValue:
        dtype, value = parts
        if not isinstance(dtype, str) or not DTYPE.fullmatch(dtype):
            raise Malformed("not a dtype")
        return NumpyValue(dtype, array, _value(value, depth))

    return read


READERS: dict[str, Callable[[list[Any], int], Any]] = {
    "I": _matched(HEX_INT, 1, lambda text: int(text, 16)),
    "f": _matched(HEX_FLOAT, 1, float.fromhex),
    "c": _matched(HEX_FLOAT, 2, lambda real, imag: complex(float.fromhex(real), float.fromhex(imag))),
    "D": _matched(NUMBER, 1, Decimal),
    "F": _matched(HEX_INT, 2, lambda top, bottom: Fraction(int(top, 16), int(bottom, 16))),
    "l": _items,
    "t": lambda parts, depth: tuple(_items(parts, depth)),
    "d": _dict,
    "s": _set,
    "z": lambda parts, depth: frozenset(_set(parts, depth)),
    "b": _bytes,
    "u": lambda parts, depth: _bytes(parts, depth).decode("utf-8", "surrogatepass"),
    "n": _numpy(array=False),
    "a": _numpy(array=True),
}
