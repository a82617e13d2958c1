"""Verdict: what a check of a record came to, with its evidence. A value, never an error; itself a record.

It says who checked what, when, on what hardware, so that it can be signed and stand beside the record it is about.
"""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from benchproof.schema.canonical import canonical, digest
from benchproof.schema.observed import Probe
from benchproof.schema.plan import Pinned
from benchproof.schema.spec import PublisherAsk
from benchproof.schema.unknown import Known

VERDICT_SCHEMA: Literal["benchproof/verdict/v1"] = "benchproof/verdict/v1"

Word = Literal[
    "bitwise",  # every answer and every score bit, by the same plan
    "same answers",  # every filtered answer or pick; log-likelihoods may differ in their last bits
    "statistically consistent",  # the scores differ by less than the declared margin, shown by a test
    "not reproduced",  # the scores differ by more than the margin, or more answers do than numerics explain
    "inconclusive",  # too little to say either
    "not comparable",  # something else was measured
]
# What is not a comparison of two scores ends in a word of its own: an audit is held or failed, noise is measured.
Outcome = Word | Literal["held", "failed", "measured"]
Kind = Literal["rescore", "audit", "reproduction", "noise"]

EXIT_CODES: dict[str, int] = {
    "bitwise": 0,
    "same answers": 0,
    "statistically consistent": 0,
    "held": 0,
    "measured": 0,
    "not reproduced": 1,
    "failed": 1,
    "inconclusive": 7,
    "not comparable": 7,
}


class About(Pinned):
    """What was checked: a record of ours by its id, or somebody else's file by its digest."""

    what: str  # `record`, `plan`, or the format of a foreign file
    record_id: Known[str]
    plan_id: Known[str]
    sha256: Known[str]  # of the file that was read
    model_name: str


class ScoreJudged(Pinned):
    """One score, there and here. Numbers are decimal strings on the harness's scale; points are hundredths.

    b, c: docs that only the record, or only the re-run, has right; of 0/1 metrics with paired rows only.
    """

    benchmark: str
    task: str
    metric: str
    filter: str
    there: Known[str]
    here: Known[str]
    n: int
    outcome: Word
    reason: str
    paired: bool
    difference: Known[str]  # here - there
    interval: Known[list[str]]  # 90 %: the one of two one-sided tests at 5 %
    method: str
    p: Known[str]  # of no difference, after Holm over the scores of this verdict
    b: Known[int]
    c: Known[int]


class Verdict(Pinned):
    """`verdict_id` is the sha256 of the canonical verdict without it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    schema_: Literal["benchproof/verdict/v1"] = Field(default=VERDICT_SCHEMA, alias="schema")
    schema_minor: int = 0
    verdict_id: str = ""
    kind: Kind
    outcome: Outcome
    reasons: list[str]
    about: About
    created: str  # RFC 3339 UTC
    benchproof: str
    checked_by: Known[PublisherAsk]
    margin_points: Known[str]
    margin_declared_by: Literal["record", "verifier", "nobody"]
    assumptions: list[str]  # what the checked file does not say and was taken to be so
    scores: list[ScoreJudged]
    evidence: dict[str, Any]
    environment: list[Probe]  # of the machine that checked

    def body(self) -> dict[str, Any]:
        """JSON types without `verdict_id`."""
        value = self.model_dump(mode="json", by_alias=True)
        del value["verdict_id"]
        return value

    def with_id(self) -> "Verdict":
        """The same verdict, its id filled in."""
        return self.model_copy(update={"verdict_id": digest(self.body())})

    def to_bytes(self) -> bytes:
        """The file's bytes: canonical JSON and one newline."""
        return canonical(self.model_dump(mode="json", by_alias=True)) + b"\n"

    @property
    def exit_code(self) -> int:
        """0, 1 or 7 (docs/exit-codes.md)."""
        return EXIT_CODES[self.outcome]
