"""One way to turn a value into bytes, and bytes into an id (RFC 8785 and sha256).

Rules for everything that is hashed: whole numbers stay numbers within +-(2^53 - 1); every real number
is a decimal string, `repr(float)`, so that it survives any JSON reader; keys are ASCII; nothing is null
because it is unknown (see unknown.py).
"""

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import rfc8785

from benchproof.errors import VerificationFailed

JsonValue = None | bool | int | float | str | Sequence[Any] | Mapping[str, Any]

MAX_DEPTH = 64  # of anything that is read: what is written is nowhere near as deep
MAX_INT = 2**53 - 1
SCALARS = {str, bool, type(None), int}
SIMPLE = {*SCALARS, list, tuple, dict}
# For values without reals, with ASCII keys, this writes RFC 8785 too, several times as fast (a property test).
_FAST = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), check_circular=False)


def canonical(value: JsonValue) -> bytes:
    """RFC 8785 bytes of a JSON value. Raises ValueError for NaN, too large ints, lone surrogates."""
    if _is_simple(value):
        try:
            return _FAST.encode(value).encode("utf-8")
        except UnicodeEncodeError:
            pass  # a lone surrogate: refused below, in the library's words
    return rfc8785.dumps(value)


def _is_simple(value: Any) -> bool:
    """Whether Python's own encoder and RFC 8785 agree on it: no reals, no big ints, no key that sorts otherwise."""
    kind = type(value)
    if kind is list or kind is tuple:
        return _are_simple(value)
    if kind is dict:
        keys = set(map(type, value)) <= {str} and all(map(str.isascii, value))
        return keys and _are_simple(value.values())
    return _are_simple((value,))


def _are_simple(values: Collection[Any]) -> bool:
    """The same for several at once: token ids and texts cost no call for each."""
    kinds = set(map(type, values))
    if kinds == {int}:
        return bool(min(values) >= -MAX_INT and max(values) <= MAX_INT)
    if kinds <= SCALARS:
        return int not in kinds or all(-MAX_INT <= item <= MAX_INT for item in values if type(item) is int)
    return kinds <= SIMPLE and all(map(_is_simple, values))


def sha256(data: bytes) -> str:
    """Lower-case hex sha256."""
    return hashlib.sha256(data).hexdigest()


def digest(value: JsonValue) -> str:
    """sha256 of the canonical JSON: the form of every id."""
    return sha256(canonical(value))


def text_sha256(text: str) -> str:
    """sha256 of a text's UTF-8 bytes; a lone surrogate is kept, as Python's own escape for it."""
    return sha256(text.encode("utf-8", "surrogatepass"))


def doc_sha256(doc: Any) -> str:
    """Hash of a data set's row: JSON with sorted keys, which also takes integers beyond 2^53.

    Raises TypeError for a row that holds something that is not JSON (an image, say).
    """
    text = json.dumps(doc, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return sha256(text.encode("ascii"))


def chain(hashes: Sequence[str]) -> str:
    """One digest over an ordered list of hex digests."""
    outer = hashlib.sha256()
    for item in hashes:
        outer.update(bytes.fromhex(item))
    return outer.hexdigest()


def decimal(value: float) -> str:
    """A real number as the shortest text that reads back to the same float. NaN and inf are refused."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} cannot be recorded: only finite numbers can")
    return repr(number)


def plain(value: Any) -> Any:
    """A copy made of JSON types only, floats as decimal strings, for values that go into a hash.

    Raises TypeError for anything else: a function, say, has to be described by its caller first.
    """
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if abs(value) < 2**53 else str(value)
        case float():
            return decimal(value)
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            raise TypeError(f"{type(value).__name__} is not JSON")


def strict_json(text: str, *, finite: bool = True) -> Any:
    """JSON that every reader reads alike: no duplicate key, no NaN, no overflow, no more than MAX_DEPTH levels.

    `finite=False` lets NaN and infinities through, which Python's own writer leaves in other people's files.
    Raises ValueError. Source: the list of what json.loads accepts silently.
    """
    constant, number = (_constant, _number) if finite else (float, float)
    try:
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=constant, parse_float=number)
    except RecursionError as error:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from error
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    return value


def _pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) != len(items):
        keys = [key for key, _ in items]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} stands twice")
    return found


def _constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is out of range")
    return value


def _depth(value: Any) -> int:
    """Levels of nesting; no recursion, for what is asked is whether recursion is safe."""
    level, depth = [value], 1
    while level := [
        child
        for item in level
        if isinstance(item, list | dict)
        for child in (item.values() if isinstance(item, dict) else item)
    ]:
        depth += 1
    return depth


def strict_loads(data: bytes, *, where: str, finite: bool = True) -> Any:
    """JSON from a file that may be hostile: `strict_json`, UTF-8 only, no lone surrogate.

    Raises VerificationFailed naming `where`.
    """
    try:
        value = strict_json(data.decode("utf-8"), finite=finite)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate raises here
    except ValueError as error:
        raise VerificationFailed(
            f"not strict JSON: {error}", where=where, do="take the file from its source again"
        ) from error
    return value
