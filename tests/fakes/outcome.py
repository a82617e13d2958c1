"""What a run came to, without when and where: what must be equal between an unbroken run and a broken one."""

from pathlib import Path
from typing import Any, NamedTuple

from benchproof.schema.history import read_record
from benchproof.schema.record import Record
from benchproof.store.journal import journal_paths, read_journal


class Outcome(NamedTuple):
    """Ids, answers, scores and rows; equal if two runs are the same, bit for bit."""

    plan_id: str
    requests_digest: str
    answers_digest: str
    answers: int  # of all attempts together: more than requests if one was answered twice
    results: list[dict[str, Any]]
    files: dict[str, bytes]  # samples and requests, whole


def record_of(folder: Path) -> Record:
    """The record of a finished run."""
    return read_record((folder / "record.json").read_bytes(), str(folder))


def outcome(folder: Path) -> Outcome:
    """The outcome of a finished run."""
    record = record_of(folder)
    paths = sorted([*(folder / "samples").iterdir(), *(folder / "requests").iterdir()])
    return Outcome(
        record.plan_id,
        record.observed.requests_digest,
        record.observed.answers_digest,
        sum(attempt.responses for attempt in record.observed.attempts),
        [result.model_dump(mode="json") for result in record.results],
        {f"{path.parent.name}/{path.name}": path.read_bytes() for path in paths},
    )


def journals(folder: Path) -> list[Path]:
    """The journals of all attempts, the oldest first."""
    return journal_paths(folder / "journal")


def acknowledged(folder: Path) -> list[int]:
    """The ops that the journals hold, attempt after attempt; one that was asked twice stands twice."""
    return [op for path in journals(folder) for op in read_journal(path).ops]
