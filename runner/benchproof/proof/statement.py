"""in-toto Statement v1 about a record or a verdict: which bytes are meant, and what a reader must know of them.

The subjects are files by sha256: first the record (or verdict) itself, then the files that it names. Names are for
people; only digests count. A predicate is small: everything else stands in the record, whose bytes are signed. The
types below are names of ours, not pages.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from benchproof.errors import VerificationFailed
from benchproof.schema.canonical import canonical, sha256, strict_loads
from benchproof.schema.record import Record
from benchproof.schema.verdict import Verdict

STATEMENT = "https://in-toto.io/Statement/v1"
TYPES: Mapping[str, str] = {
    "record": "https://benchproof.dev/attestation/record/v1",
    "verdict": "https://benchproof.dev/attestation/verdict/v1",
}
Kind = Literal["record", "verdict"]
SIGNED = ("journal/", "samples/", "requests/", "plan.json", "spec.yaml")  # what of a run a record follows from


@dataclass(frozen=True, slots=True)
class Subject:
    """One file by content. name: relative to the folder of the record or verdict."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What a signer said: the kind, the files, and the predicate."""

    kind: Kind
    subjects: tuple[Subject, ...]
    predicate: Mapping[str, Any]

    @property
    def main(self) -> Subject:
        """The record or verdict that it is about."""
        return self.subjects[0]

    def to_bytes(self) -> bytes:
        """The exact bytes that are signed."""
        return canonical(
            {
                "_type": STATEMENT,
                "subject": [{"name": item.name, "digest": {"sha256": item.sha256}} for item in self.subjects],
                "predicateType": TYPES[self.kind],
                "predicate": dict(self.predicate),
            }
        )


def about_record(record: Record, data: bytes, name: str, signed_at: str) -> Statement:
    """A statement over a record's exact bytes and the files that it names."""
    files = [Subject(file.path, file.sha256) for file in record.files if file.path.startswith(SIGNED)]
    predicate = {
        "record_id": record.record_id,
        "plan_id": record.plan_id,
        "answers_digest": record.observed.answers_digest,
        "model_name": record.model_name,
        "status": record.status,
        "created": record.created,
        "signed_at": signed_at,
    }
    return Statement("record", (Subject(name, sha256(data)), *files), predicate)


def about_verdict(verdict: Verdict, data: bytes, name: str, signed_at: str) -> Statement:
    """A statement over a verdict's exact bytes."""
    about = verdict.about.json_value()
    predicate = {
        "verdict_id": verdict.verdict_id,
        "outcome": verdict.outcome,
        "about_record_id": about["record_id"],
        "about_sha256": about["sha256"],
        "created": verdict.created,
        "signed_at": signed_at,
    }
    return Statement("verdict", (Subject(name, sha256(data)),), predicate)


def read_statement(body: bytes, where: str) -> Statement:
    """A payload whose signature was looked at, parsed once and strictly. Raises VerificationFailed (1)."""
    value = strict_loads(body, where=where)
    kinds = {uri: kind for kind, uri in TYPES.items()}
    try:
        if value["_type"] != STATEMENT or value["predicateType"] not in kinds:
            raise ValueError(f"a statement of type {value['predicateType']!r}")
        subjects = tuple(Subject(str(item["name"]), str(item["digest"]["sha256"])) for item in value["subject"])
        if not subjects or not isinstance(value["predicate"], dict):
            raise ValueError("a statement about nothing")
        if len({item.name for item in subjects}) < len(subjects):
            raise ValueError("two subjects of one name")
        return Statement(kinds[value["predicateType"]], subjects, value["predicate"])  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError) as error:
        raise VerificationFailed(
            f"no statement of ours was signed: {error!r}", where=where, do="take the file from its source again"
        ) from error
