"""Record: asked, effective and observed, which are three different things, and the scores. Written once, last."""

from typing import Any, Literal

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from benchproof.schema.canonical import canonical, digest
from benchproof.schema.observed import Attempt, Phases
from benchproof.schema.plan import LeftOut, Pinned, Plan
from benchproof.schema.score import Result, Warned
from benchproof.schema.spec import PublisherAsk
from benchproof.schema.unknown import Known, Unknown

RECORD_SCHEMA: Literal["benchproof/record/v1"] = "benchproof/record/v1"


class FileDigest(Pinned):
    """A file beside the record. `path` is relative to the run folder; `size` in bytes."""

    path: str
    size: int
    sha256: str
    rows: int | None = None


class TaskIds(Pinned):
    """The two ids of a task's measurement."""

    task: str
    benchmark_id: str
    measurement_id: str


class Asked(Pinned):
    """The spec. Local paths are redacted; `sha256` is of the file as it was, byte for byte.

    tasks: the suite written out, so that a record can be asked again when the suite's file is another; since minor 1.
    """

    spec: dict[str, Any]
    sha256: str
    tasks: list[dict[str, Any]] | None = None

    @model_serializer(mode="wrap")
    def _as_it_was_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A record of minor 0 has no `tasks`, and its bytes are its id."""
        value: dict[str, Any] = handler(self)
        return value if self.tasks is not None else {key: item for key, item in value.items() if key != "tasks"}


class Tokens(Pinned):
    """Counts over the requests of one task."""

    task: str
    requests: int
    docs: int
    prompt_tokens: int  # read for each request alone: what a naive run would compute
    truncated: int  # requests that lost tokens on the left
    merged: int  # requests whose border the tokenizer joined
    no_bos: int  # requests without the BOS that the tokenizer has
    cut_short: int  # generations that ended at the token limit
    unanswered: int  # of a model that thinks: generations that ended before their answer


class RunObserved(Pinned):
    """The run as it happened."""

    started: str
    ended: str
    phases: list[Phases]
    tokens: list[Tokens]
    attempts: list[Attempt]
    # Tier, live probes and controls, where generated programs were run. Unknown first: it is a mapping too.
    sandbox: Unknown | dict[str, Any] = Field(union_mode="left_to_right")
    answers_digest: str  # over all answers in (task, doc id, choice, repeat) order
    requests_digest: str  # chain over the request hashes in the same order
    resumed: bool
    mixed_hardware: bool


class UnknownAt(Pinned):
    """Where in the record something is unknown: the list that a reader should see."""

    path: str
    code: str
    detail: str


class Record(Pinned):
    """One run. `record_id` is the sha256 of the canonical record without it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    schema_: Literal["benchproof/record/v1"] = Field(default=RECORD_SCHEMA, alias="schema")
    schema_minor: int = 0  # of the one that was read; `record.assemble` writes the newest
    record_id: str = ""
    plan_id: str
    ask_id: str
    created: str
    status: Literal["complete", "limited", "smoke"]
    benchproof: str  # version that wrote it
    model_name: str
    asked: Asked
    effective: Plan
    ids: list[TaskIds]
    observed: RunObserved
    results: list[Result]
    files: list[FileDigest]
    warnings: list[Warned]
    left_out: list[dict[str, str]]  # task, code, detail
    unknowns: list[UnknownAt]
    publisher: Known[PublisherAsk]
    margin_points: str
    supersedes: list[str] = Field(default_factory=list)
    parents: list[dict[str, str]] = Field(default_factory=list)

    def body(self) -> dict[str, Any]:
        """JSON types without `record_id`."""
        value = self.model_dump(mode="json", by_alias=True)
        del value["record_id"]
        return value

    def with_id(self) -> "Record":
        """The same record, its id filled in."""
        return self.model_copy(update={"record_id": digest(self.body())})

    def to_bytes(self) -> bytes:
        """The file's bytes: canonical JSON and one newline."""
        return canonical(self.model_dump(mode="json", by_alias=True)) + b"\n"


__all__ = ["Asked", "FileDigest", "LeftOut", "Record", "RunObserved", "TaskIds", "Tokens", "UnknownAt"]
