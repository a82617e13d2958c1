"""The encoding: what guest_encoder.py writes, codec.py reads back; and nothing else."""

import contextlib
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from benchproof.sandbox import codec, guest_encoder
from benchproof.schema.execution import NumpyValue

SCALARS = (
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats()
    | some.text(some.characters())
    | some.binary()
    | some.complex_numbers()
    | some.decimals()
    | some.fractions()
)
HASHABLE = some.none() | some.booleans() | some.integers() | some.text() | some.binary()
VALUES = some.recursive(
    SCALARS,
    lambda inner: (
        some.lists(inner)
        | some.lists(inner).map(tuple)
        | some.dictionaries(HASHABLE, inner)
        | some.sets(HASHABLE)
        | some.frozensets(HASHABLE)
    ),
    max_leaves=30,
)


def there_and_back(value: Any) -> Any:
    return codec.decode(guest_encoder.Encoder().encode(value))


def same(a: Any, b: Any) -> bool:
    """Equal in type and content; NaN equals NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, Decimal):
        return str(a) == str(b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, set | frozenset):
        return a == b and sorted(map(repr, a)) == sorted(map(repr, b))
    return bool(a == b)


@given(VALUES)
def test_plain_data_survives(value: Any) -> None:
    assert same(there_and_back(value), value)


@pytest.mark.parametrize(
    "value",
    [["I", "0x5"], ["f", "0x1.0p+0"], ["l"], [], {"l": ["t", 1]}, ("s", ["d", []]), [[["b", ""]]], '["I","0x5"]'],
)
def test_data_that_looks_like_a_tag_stays_data(value: Any) -> None:
    assert same(there_and_back(value), value)


@pytest.mark.parametrize("value", ["\ud800", "a\udfffb", "\ud83d\ude00", "\U0001f600", "", "\x00", "ä"])
def test_strings_with_and_without_lone_surrogates_stay_apart(value: str) -> None:
    assert there_and_back(value) == value
    pair, sign = guest_encoder.Encoder().encode("\ud83d\ude00"), guest_encoder.Encoder().encode("\U0001f600")
    assert pair != sign


EDGES = [10**5000, -(10**5000), 2**53, -(2**53), 2**53 - 1, True, 0, -0.0, math.inf, -math.inf]


@pytest.mark.parametrize("value", EDGES, ids=[f"edge{i}" for i in range(len(EDGES))])
def test_the_edges_of_numbers(value: Any) -> None:
    assert same(there_and_back(value), value)


def test_subclasses_are_flattened_by_the_base_class() -> None:
    class Liar(list):  # type: ignore[type-arg]
        def __iter__(self) -> Any:
            return iter([99])

        def __len__(self) -> int:
            return 1

    class Number(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

        def __add__(self, other: int) -> int:
            return 99

    assert there_and_back(Liar([1, 2])) == [1, 2]
    found = there_and_back(Number(5))
    assert type(found) is int
    assert found != 6


def test_numpy_comes_back_as_what_it_was() -> None:
    assert there_and_back(np.float64(1.5)) == NumpyValue("<f8", False, 1.5)
    assert there_and_back(np.array([[1, 2]])) == NumpyValue("<i8", True, [[1, 2]])
    assert there_and_back(np.bool_(True)) == NumpyValue("|b1", False, True)
    with pytest.raises(guest_encoder.Unencodable):
        guest_encoder.Encoder().encode(np.array([object()]))


def test_what_is_not_plain_data_is_refused() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    wide: list[Any] = [1]
    for _ in range(60):
        wide = [wide, wide]
    for value in (object(), lambda: 1, iter([]), range(3), cycle, wide, {1: object()}, Exception("x")):
        with pytest.raises((guest_encoder.Unencodable, RecursionError)):
            guest_encoder.Encoder().encode(value)


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"1.5",
        b"1e5",
        b"NaN",
        b"Infinity",
        b"9007199254740992",
        b"99999999999999999999999999",
        b"{}",
        b'{"a":1}',
        b"[]",
        b"[1]",
        b'["q",1]',
        b'["__import__","os"]',
        b'["I",5]',
        b'["I","5"]',
        b'["I","0x"]',
        b'["f","1.5"]',
        b'["f","0x1p99999"]',
        b'["f"]',
        b'["d",["a"]]',
        b'["d",["a",1],["a",2]]',
        b'["d",[["l"],1]]',
        b'["s",["l",1]]',
        b'["b","0"]',
        b'["b","AB"]',
        b'["u","ff"]',
        b'["D","1e"]',
        b'["D","__"]',
        b'["F","0x1","0x0"]',
        b'["n","object",1]',
        b'["n","|O",1]',
        b'"\\ud800"',
        '"ä"'.encode(),
        b"[" * 100_000,
        b'["l",' * 300 + b"1" + b"]" * 300,
        b'"abc',
        b"1 2",
    ],
)
def test_whatever_is_not_the_encoding_is_refused(encoded: bytes) -> None:
    with pytest.raises(codec.Malformed):
        codec.decode(encoded)


def test_a_flood_of_small_nodes_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(codec.Malformed, match="large"):
        codec.decode(b'["l",' + b"[]," * 100_000 + b"1]", nodes=1000)


@given(some.binary(max_size=200))
def test_no_bytes_do_anything_but_decode_or_be_refused(data: bytes) -> None:
    with contextlib.suppress(codec.Malformed):
        codec.decode(data)
