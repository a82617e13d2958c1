"""One value, one text, one id: and everything that would make two of them is refused."""

import hashlib
import json
import math
import struct
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from benchproof.errors import VerificationFailed
from benchproof.schema.canonical import (
    canonical,
    chain,
    decimal,
    digest,
    doc_sha256,
    plain,
    sha256,
    strict_loads,
    text_sha256,
)

SAFE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(SAFE)
def test_canonical_bytes_read_back_to_the_value(value: Any) -> None:
    assert strict_loads(canonical(value), where="x") == value


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**54), 2**54)
    | st.floats()
    | st.text(st.characters(codec=None), max_size=8)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(st.integers(-(2**53), 2**53), max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(st.characters(codec=None), max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=500)
@given(ANY)
def test_the_fast_way_writes_and_refuses_what_the_library_does(value: Any) -> None:
    try:
        expected = rfc8785.dumps(value)
    except ValueError as error:
        with pytest.raises(type(error)):
            canonical(value)
    else:
        assert canonical(value) == expected


@pytest.mark.parametrize("text", ["".join(map(chr, range(0xD800))), "".join(map(chr, range(0xE000, 0x11000)))])
def test_every_sign_is_escaped_as_the_library_does(text: str) -> None:
    assert canonical([text]) == rfc8785.dumps([text])


def test_keys_beyond_ascii_are_sorted_as_the_library_does() -> None:
    value = {"\ufb33": 1, "\U0001f600": 2}  # by code point the other way round
    assert canonical(value) == rfc8785.dumps(value) == '{"\U0001f600":2,"\ufb33":1}'.encode()


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=6))
def test_the_order_of_keys_moves_nothing(value: dict[str, int]) -> None:
    assert canonical(value) == canonical(dict(reversed(value.items())))


def test_ids_are_the_published_function_of_the_value() -> None:
    """Worked out by hand: RFC 8785 sorts keys by UTF-16 and writes no space."""
    assert canonical({"b": [1, True, None], "a": "é\n", "\u20ac": 0}) == '{"a":"é\\n","b":[1,true,null],"€":0}'.encode()
    assert digest({"b": 1, "a": "x"}) == hashlib.sha256(b'{"a":"x","b":1}').hexdigest()
    assert sha256(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53, -(2**53), "\ud800"])
def test_what_two_readers_could_read_differently_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):  # whichever subclass the library has
        canonical(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_real_number_survives_as_text(value: float) -> None:
    text = decimal(value)
    assert struct.pack(">d", float(text)) == struct.pack(">d", value)
    assert plain(value) == text


def test_minus_zero_keeps_its_sign() -> None:
    assert decimal(-0.0) == "-0.0"
    assert decimal(5e-324) == "5e-324"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_text_stands_for_what_is_not_finite(value: float) -> None:
    with pytest.raises(ValueError, match="only finite"):
        decimal(value)


def test_plain_values_are_json_and_nothing_else() -> None:
    assert plain({"a": (1, 2.5, [None, True]), 3: 2**53}) == {
        "a": [1, "2.5", [None, True]],
        "3": "9007199254740992",
    }
    with pytest.raises(TypeError):
        plain({"f": print})


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.integers(), max_size=3), max_size=5))
def test_a_row_has_one_hash_whatever_the_order_of_its_columns(row: dict[str, Any]) -> None:
    assert doc_sha256(row) == doc_sha256(dict(reversed(row.items())))


def test_a_row_has_the_hash_that_anybody_can_compute() -> None:
    row = {"q": "é", "a": 2**70}
    text = '{"a":1180591620717411303424,"q":"\\u00e9"}'
    assert doc_sha256(row) == hashlib.sha256(text.encode()).hexdigest()
    assert doc_sha256({"q": "a"}) != doc_sha256({"q": "b"})
    with pytest.raises(TypeError):
        doc_sha256({"image": b"png"})


def test_a_chain_depends_on_every_link_and_on_their_order() -> None:
    a, b = sha256(b"a"), sha256(b"b")
    assert len({chain([]), chain([a]), chain([a, b]), chain([b, a]), chain([a, a])}) == 5
    assert chain([a, b]) == hashlib.sha256(bytes.fromhex(a + b)).hexdigest()


def test_texts_that_are_no_unicode_have_a_hash_too() -> None:
    assert text_sha256("é") == hashlib.sha256("é".encode()).hexdigest()
    assert text_sha256("\ud800") != text_sha256("?")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"a":1,"a":2}', "stands twice"),
        (b'{"a":{"b":1,"b":1}}', "stands twice"),
        (b'{"a":NaN}', "NaN"),
        (b"[-Infinity]", "Infinity"),
        (b"[1e999]", "out of range"),
        (b'{"a":"\xff"}', "utf-8"),
        (b'["\\ud800"]', "surrogates"),
        (b"{", "Expecting"),
        (b"[" * 100_000, "nested deeper than 64"),
        (b"[" * 65 + b"]" * 65, "nested deeper than 64"),
        (b"", "Expecting"),
    ],
)
def test_hostile_json_is_refused_in_few_lines(data: bytes, words: str) -> None:
    with pytest.raises(VerificationFailed, match=words) as caught:
        strict_loads(data, where="record.json")
    assert caught.value.exit_code == 1
    assert len(str(caught.value).splitlines()) <= 5
    assert "record.json" in str(caught.value)


def test_strict_json_is_json() -> None:
    value = {"a": [1, 2.5, "é", None, True], "b": {}}
    assert strict_loads(json.dumps(value).encode(), where="") == value
