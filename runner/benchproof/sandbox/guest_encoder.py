"""An answer as a frame's payload, inside the sandbox: plain data only, in a form that codec.py reads strictly.

JSON text in which every container is tagged, so that no data can imitate a tag; numbers in hex, exact and without
Python's limit on decimal digits. Standard library only. A candidate shares the process: nothing here is a defence.
"""

import builtins
import decimal
import fractions
import hashlib
import json
import marshal
import struct
import sys
from collections.abc import Callable, Collection
from typing import Any

# The functions below keep these: a candidate may do to its own what it likes.
globals()["__builtins__"] = dict(vars(builtins))

LENGTH = struct.Struct(">I")
SMALL = 16_384  # bytes of marshal up to which an answer is sent whole
PLAIN_INT = 2**53
MAX_DEPTH, MAX_NODES = 200, 2_000_000


class Unencodable(Exception):
    """The value is not plain data."""


class Encoder:
    """Subclasses are flattened by the base class's own methods. Raises Unencodable."""

    def __init__(self) -> None:
        self.nodes = 0

    def encode(self, value: Any) -> bytes:
        """ASCII bytes."""
        self.nodes = 0
        tree = self.tree(value, 0)
        return json.dumps(tree, ensure_ascii=True, check_circular=False, separators=(",", ":")).encode("ascii")

    def tree(self, value: Any, depth: int) -> Any:
        """The value as lists, strings, small ints, booleans and None."""
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if -PLAIN_INT < value < PLAIN_INT else ["I", hex(value)]
        if kind is str:
            return text(value)
        if kind is float:
            return ["f", value.hex()]
        if depth >= MAX_DEPTH:
            raise Unencodable("nested too deeply")
        if kind is list:
            return ["l", *self.items(value, depth)]
        if kind is tuple:
            return ["t", *self.items(value, depth)]
        if kind is dict:
            return ["d", *([self.tree(k, depth + 1), self.tree(v, depth + 1)] for k, v in self.counted(value.items()))]
        return self.rare(value, kind, depth)

    def rare(self, value: Any, kind: type, depth: int) -> Any:
        """Sets, bytes, other numbers, numpy, and subclasses of plain types."""
        if kind is set or kind is frozenset:
            encoded = sorted(json.dumps(item) for item in self.items(value, depth))
            return ["s" if kind is set else "z", *map(json.loads, encoded)]
        if kind is bytes:
            return ["b", value.hex()]
        if kind is complex:
            return ["c", value.real.hex(), value.imag.hex()]
        if kind is decimal.Decimal:
            return ["D", str(value)]
        if kind is fractions.Fraction:
            return ["F", hex(value.numerator), hex(value.denominator)]
        numpy: Any = sys.modules.get("numpy")
        if numpy is not None and issubclass(kind, numpy.generic):
            return ["n", value.dtype.str, self.tree(plain_numpy(value, value.item()), depth + 1)]
        if numpy is not None and kind is numpy.ndarray:
            if value.size > MAX_NODES:
                raise Unencodable("too large")
            return ["a", value.dtype.str, self.tree(plain_numpy(value, value.tolist()), depth + 1)]
        for base, flat in FLATTEN:
            if issubclass(kind, base):
                return self.tree(flat(value), depth)
        raise Unencodable("not plain data")

    def items(self, values: Collection[Any], depth: int) -> list[Any]:
        """The items of a sequence or set, most of them without a call."""
        out: list[Any] = []
        for item in self.counted(values):
            kind = type(item)
            if (kind is int and -PLAIN_INT < item < PLAIN_INT) or kind is bool or item is None:
                out.append(item)
            elif kind is float:
                out.append(["f", item.hex()])
            else:
                out.append(self.tree(item, depth + 1))
        return out

    def counted(self, values: Collection[Any]) -> Collection[Any]:
        """The same values; raises if there are too many in all."""
        self.nodes += len(values)
        if self.nodes > MAX_NODES:
            raise Unencodable("too large")
        return values


FLATTEN: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (int, lambda v: int.__add__(v, 0)),
    (float, lambda v: float.__float__(v)),
    (str, lambda v: str.__str__(v)),
    (list, lambda v: list(list.__iter__(v))),
    (tuple, lambda v: tuple(tuple.__iter__(v))),
    (dict, lambda v: dict(dict.items(v))),
    (set, lambda v: set(set.__iter__(v))),
    (frozenset, lambda v: frozenset(frozenset.__iter__(v))),
    (bytearray, lambda v: bytes(bytearray.__iter__(v))),
    (bytes, lambda v: bytes(bytes.__iter__(v))),
)


def plain_numpy(value: Any, item: Any) -> Any:
    """`item`, unless numpy handed back an object of its own."""
    if value.dtype.kind not in "biufcSU":
        raise Unencodable("numpy " + value.dtype.str)
    return item


def text(value: str) -> Any:
    """A string as itself; one with lone surrogates in hex, or JSON would join them."""
    if value.isascii():
        return value
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return ["u", value.encode("utf-8", "surrogatepass").hex()]
    return value


def pack(value: Any, encoder: Encoder, whole: bool) -> tuple[bytes, bytes]:
    """(kind, payload) of an answer: a digest if it is large and not wanted whole."""
    if not whole:
        try:
            dumped = marshal.dumps(value, 2)  # version 2 has no references: equal values give equal bytes
        except ValueError:
            dumped = b""
        if len(dumped) > SMALL:
            floats = type(value) in (list, tuple) and all(isinstance(item, float) for item in value)
            return b"D", LENGTH.pack(len(dumped)) + hashlib.sha256(dumped).digest() + (b"f" if floats else b"-")
    return b"V", encoder.encode(value)


def name_of(error: BaseException) -> bytes:
    """The type's name, whatever its author did to it."""
    try:
        return str(type.__dict__["__name__"].__get__(type(error)))[:80].encode("ascii", "backslashreplace")
    except BaseException:  # noqa: BLE001  # a candidate's own type
        return b"?"
