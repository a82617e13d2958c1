"""Bytes from elsewhere: bounded, whatever they unpack to, and every trouble an error that names the file."""

import gzip
import json
import os
import tracemalloc
from pathlib import Path

import pytest

from benchproof.errors import BadInput, MissingInput
from benchproof.ledger import reading
from ledger.files import results


def test_what_unpacks_to_more_than_any_result_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 1000)
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(gzip.compress(b" " * 30_000_000))
    tracemalloc.start()
    with pytest.raises(BadInput, match="larger than 1,000 bytes"):
        reading.read_bytes(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5_000_000, "it was unpacked before it was measured"


def test_a_line_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_LINE", 1000)
    path = tmp_path / "samples.jsonl"
    path.write_bytes(b"{}\n" + b" " * 1001)
    with pytest.raises(BadInput, match="longer than 1,000 bytes"):
        list(reading.lines(path))


def test_broken_gzip_is_told_so_wherever_it_breaks(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(json.dumps(results()).encode() * 20))
    path = tmp_path / "x.gz"
    for data in (whole[:50], whole[:40] + b"\xff" * 20 + whole[60:], whole[:-6] + b"\0\0" + whole[-4:]):
        path.write_bytes(data)
        with pytest.raises(BadInput, match="broken gzip"):
            reading.read_bytes(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(MissingInput):
        reading.read_bytes(path)


def test_nan_is_read_and_a_key_that_stands_twice_is_not() -> None:
    assert reading.real(reading.parsed(b'\xef\xbb\xbf{"x": NaN}', "f")["x"]) is None
    with pytest.raises(BadInput, match="'x' stands twice"):
        reading.parsed(b'{"x": 1, "x": 2}', "f")


@pytest.mark.parametrize(
    ("value", "number", "whole"),
    [
        (50.0, 50.0, 50),
        (1.5, 1.5, None),
        (-1, -1.0, None),
        (True, 1.0, None),
        ("N/A", None, None),
        (float("inf"), None, None),
        (10**400, None, None),
    ],
)
def test_only_finite_numbers_are_numbers(value: object, number: float | None, whole: int | None) -> None:
    assert (reading.real(value), reading.count(value)) == (number, whole)
