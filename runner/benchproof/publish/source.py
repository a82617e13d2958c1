"""What an exporter is given: a record that reads, its exact bytes, the files beside it, and who signed it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchproof.errors import VerificationFailed
from benchproof.proof.keys import PublicKey
from benchproof.proof.signatures import signatures_of
from benchproof.schema.canonical import digest, sha256
from benchproof.schema.plan import TaskAskPin
from benchproof.schema.record import Record
from benchproof.schema.request import Doc, Encoded
from benchproof.schema.score import Result
from benchproof.schema.unknown import Unknown
from benchproof.store.rows import Row, part_path, read_docs, read_rows
from benchproof.store.runs import load_record

Asked = tuple[Doc, list[Encoded]]


@dataclass(frozen=True, slots=True)
class Exported:
    """A record to be exported. keyids: of the trusted keys that have signed it."""

    record: Record
    sha256: str
    folder: Path
    keyids: tuple[str, ...]

    @property
    def benchmarks(self) -> list[str]:
        """Names of the benchmarks that have scores, in the order of their headlines."""
        scored = {result.benchmark for result in self.record.results}
        return [h.benchmark for h in self.record.effective.mark.headlines if h.benchmark in scored]

    def results(self, benchmark: str) -> list[Result]:
        """Every score of a benchmark."""
        return [result for result in self.record.results if result.benchmark == benchmark]

    def members(self, result: Result) -> list[TaskAskPin]:
        """The asking halves of the tasks that a score is made of."""
        return [self.record.effective.task_ask(task) for task in result.computed_from or [result.task]]

    def rows(self, task: str) -> Iterator[tuple[Row, Asked | None]]:
        """A task's scored docs with what was asked; None where requests/ is not at hand. Nothing without samples.

        Raises VerificationFailed for files that cannot be read.
        """
        if not part_path(self.folder, "samples", task).is_file():
            return
        if not part_path(self.folder, "requests", task).is_file():
            yield from ((row, None) for row in read_rows(self.folder, task))
            return
        yield from zip(read_rows(self.folder, task), read_docs(self.folder, task), strict=True)

    @property
    def model_id(self) -> str:
        """`owner/name` on the Hub; `local/<name>-<content>` for a folder: two folders of one name are two models."""
        repo, model = self.published[0], self.record.effective.ask.model
        if repo is not None:
            return repo if "/" in repo else f"unknown/{repo}"
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.record.model_name).strip("-.") or "model"
        return f"local/{name}-{digest(model.content.json_value())[:12]}"

    @property
    def published(self) -> tuple[str | None, str | None]:
        """Repository and commit of what was measured; of an adapter its own, never its base's. None for a folder."""
        model = self.record.effective.ask.model
        if not model.content.adapter:
            return model.repo, model.commit
        repo, _, commit = model.origins.get("adapter", "").partition("@")
        return repo or None, commit or None

    def probe(self, name: str) -> Any:
        """A probe of the last attempt; None if it is unknown or was not made."""
        for attempt in self.record.observed.attempts[-1:]:
            for probe in attempt.environment:
                if probe.name == name and not isinstance(probe.value, Unknown):
                    return probe.value
        return None


def read_exported(path: Path, trusted: Mapping[str, PublicKey]) -> Exported:
    """The record at a path and what lies beside it. trusted: name -> key, of whom a signature is passed on.

    Raises MissingInput (3), VerificationFailed (1), also for an envelope that is not valid.
    """
    record, file = load_record(path)
    keyids = set()
    for signature in signatures_of(file, "record", trusted):
        if signature.state == "invalid":
            raise VerificationFailed(
                f"a signature is not valid: {signature.detail}",
                where=str(signature.path),
                do="see `benchproof verify`; export what it finds in order",
            )
        keyids |= {trusted[name].keyid for name in signature.names}
    return Exported(record, sha256(file.read_bytes()), file.parent, tuple(sorted(keyids)))


def epoch(moment: str) -> str:
    """RFC 3339 as whole seconds since 1970, in text."""
    return str(int(datetime.fromisoformat(moment).timestamp()))


def common(values: Sequence[Any]) -> Any:
    """The value that all share; None if they differ or there is none."""
    return values[0] if values and all(value == values[0] for value in values) else None
