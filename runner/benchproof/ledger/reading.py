"""Bytes of files from elsewhere: bounded, unpacked, parsed; whatever is wrong is an error that names the file."""

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from benchproof.errors import BadInput, MissingInput, VerificationFailed
from benchproof.schema.canonical import strict_loads

MAX_BYTES = 200_000_000  # of a results file, unpacked; the largest published ones have a few hundred kilobytes
MAX_LINE = 64_000_000  # of a samples file, unpacked
GZIP, BOM = b"\x1f\x8b", b"\xef\xbb\xbf"


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked where they begin as gzip does. Raises MissingInput (3), BadInput (2)."""
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise MissingInput("no result file there", where=str(path), do="give record.json, or a result file")
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == GZIP
            raw.seek(0)
            yield cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadInput(f"broken gzip: {error}", where=str(path), do="take the file from its source again") from error
    except OSError as error:
        raise MissingInput(f"cannot be read: {error.strerror}", where=str(path), do="check the path") from error


def read_bytes(path: Path) -> bytes:
    """All of a results file, unpacked. Raises MissingInput, and BadInput above MAX_BYTES."""
    with opened(path) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise BadInput(f"larger than {MAX_BYTES:,} bytes", where=str(path), do="give a result file, not its samples")
    return data


def lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """(place, line) of a file of JSON lines, one at a time; blank ones are left out. Raises MissingInput, BadInput."""
    with opened(path) as file:
        number = 0
        while line := file.readline(MAX_LINE + 1):
            number += 1
            place = f"{path}, line {number}"
            if len(line) > MAX_LINE:
                raise BadInput(f"longer than {MAX_LINE:,} bytes", where=place, do="move the samples file away")
            if line.strip():
                yield place, line


def parsed(data: bytes, where: str) -> Any:
    """JSON with Python's NaN and Infinity, which real files hold; a key that stands twice is refused with BadInput."""
    try:
        return strict_loads(data.removeprefix(BOM), where=where, finite=False)
    except VerificationFailed as error:
        raise BadInput(error.what, where=where, do="give a result file as its tool wrote it") from error


def real(value: Any) -> float | None:
    """A finite number (True is 1), or None: a text such as "N/A", NaN, a list."""
    if isinstance(value, bool | int | float) and abs(value) <= sys.float_info.max:
        return float(value)
    return None


def count(value: Any) -> int | None:
    """A whole number from 0, also where it is written as 50.0; else None."""
    found = None if isinstance(value, bool) else real(value)
    return int(found) if found is not None and found >= 0 and found == int(found) else None


def mapping(value: Any, key: str, where: str) -> dict[str, Any]:
    """`value[key]`, or {} where it is absent or null. Raises BadInput if it is no mapping."""
    found = value.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BadInput(f"`{key}` is no mapping", where=where, do="give the file as its tool wrote it")
    return found
