"""Run folders as found on disk: the record of one, and the state of many."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import zstandard

from benchproof.errors import BadInput, BenchproofError, MissingInput
from benchproof.schema.history import read_record
from benchproof.schema.record import Record
from benchproof.store.folder import JOURNAL, PLAN, RECORD
from benchproof.store.journal import journal_paths, read_journal

MAX_RECORD_BYTES = 500_000_000
REQUEST = b'{"hash":"'  # how each request begins in a row of requests/; inside a text the quotes are escaped

State = Literal["finished", "interrupted", "empty", "unreadable"]


@dataclass(frozen=True, slots=True)
class Found:
    """A run folder. `answers`, `requests`: of an interrupted run; None where they cannot be told."""

    folder: Path
    state: State
    record: Record | None = None
    answers: int | None = None
    requests: int | None = None
    reason: str = ""
    changed: float = 0.0  # seconds since the epoch: when its newest file was written


def load_record(path: Path) -> tuple[Record, Path]:
    """The record at a path (record.json or its run folder), and its file. Raises MissingInput (3) if there is none."""
    data, file = record_bytes(path)
    return read_record(data, str(file)), file


def record_bytes(path: Path) -> tuple[bytes, Path]:
    """The bytes of `load_record`, not yet read as a record. Raises MissingInput (3), BadInput (2)."""
    file = path / RECORD if path.is_dir() else path
    try:
        if file.stat().st_size > MAX_RECORD_BYTES:
            raise BadInput(f"larger than {MAX_RECORD_BYTES} bytes", where=str(file), do="give a record.json")
        data = file.read_bytes()
    except FileNotFoundError as error:
        started = path.is_dir() and (path / PLAN).exists()
        raise MissingInput(
            "the run has no record yet: it was not finished" if started else "no record there",
            where=str(file),
            do=f"go on with `benchproof resume {path}`" if started else "give record.json, or its run folder",
        ) from error
    except (PermissionError, NotADirectoryError) as error:
        raise MissingInput(
            f"the record cannot be read: {error.strerror}", where=str(file), do="check the path"
        ) from error
    except ValueError as error:  # a null byte in the path
        raise BadInput(f"not a usable path: {error}", where=repr(str(path)), do="check the path") from error
    return data, file


def is_record(path: Path) -> bool:
    """Whether a path is, or ought to be, a record of ours: a folder, or a file that says so.

    Somebody else's result file is none; what cannot be read is left to whoever reads it.
    """
    if path.is_dir() or not path.is_file():
        return True
    data = path.read_bytes()
    return b'"benchproof/record/' in data or path.name == RECORD


def is_verdict(path: Path) -> bool:
    """Whether a file says that it is a verdict."""
    return path.is_file() and b'"benchproof/verdict/' in path.read_bytes()


def find_runs(root: Path) -> list[Found]:
    """Run folders at or under a folder, one level deep, newest first. Raises MissingInput if it is not there."""
    if not root.is_dir():
        raise MissingInput("no such folder", where=str(root), do="give the folder that holds run folders")
    folders = [root] if _is_run(root) else sorted(path for path in root.iterdir() if path.is_dir() and _is_run(path))
    return sorted((_look(folder) for folder in folders), key=lambda run: (-run.changed, str(run.folder)))


def _is_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in (RECORD, PLAN, JOURNAL))


def _look(folder: Path) -> Found:
    changed = max(path.stat().st_mtime for path in (folder, *folder.glob("*.json"), *folder.glob(f"{JOURNAL}/*")))
    try:
        if (folder / RECORD).exists():
            return Found(folder, "finished", load_record(folder)[0], changed=changed)
        answers = _answers(folder)
        if not answers:
            return Found(folder, "empty", changed=changed)
        return Found(folder, "interrupted", answers=answers, requests=_requests(folder), changed=changed)
    except BenchproofError as error:
        return Found(folder, "unreadable", reason=error.what, changed=changed)


def _answers(folder: Path) -> int:
    """Distinct requests that some attempt has answered."""
    return len(
        {
            response.request
            for path in journal_paths(folder / JOURNAL)
            for responses in read_journal(path).ops.values()
            for response in responses
        }
    )


def _requests(folder: Path) -> int | None:
    """How many requests the run has; None if its request files are not all there."""
    files = sorted((folder / "requests").glob("*.jsonl.zst"))
    try:
        return sum(_count(path) for path in files) if files else None
    except zstandard.ZstdError:
        return None


def _count(path: Path) -> int:
    with path.open("rb") as file:
        return sum(line.count(REQUEST) for line in _lines(file))


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Decompressed pieces that end at line ends, so that nothing to be counted is cut."""
    rest = b""
    with zstandard.ZstdDecompressor().stream_reader(file) as stream:
        while chunk := stream.read(1 << 20):
            body, end, rest = (rest + chunk).rpartition(b"\n")
            yield body + end
    yield rest
