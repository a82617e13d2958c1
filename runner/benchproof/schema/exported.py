"""JSON Schemas of everything that benchproof reads and writes. `benchproof schema` prints them."""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from benchproof.schema.observed import EngineObserved, Probe
from benchproof.schema.plan import Pinned, Plan
from benchproof.schema.record import Record
from benchproof.schema.spec import RunSpec, SuiteAsk
from benchproof.schema.unknown import Known
from benchproof.schema.verdict import Verdict

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class JournalLoglikelihood(Pinned):
    """A log-likelihood in a frame: request hash, nats as decimal string, whether greedy, continuation tokens."""

    r: str
    ll: str
    greedy: bool
    n: int


class JournalGenerated(Pinned):
    """A generation in a frame: request hash, token ids, raw text, text cut at the stop string, why it ended."""

    r: str
    ids: list[int]
    raw: str
    text: str
    stop: Literal["eos", "until", "length"]
    answered: bool


class JournalHeader(Pinned):
    """Frame 0: what is answered, and on what."""

    format: str
    ask_id: str
    plan_id: str
    requests_digest: str
    shard: int
    of: int
    attempt: int
    started: str
    environment: list[Probe]
    loaded: EngineObserved
    adopted_from: dict[str, Any] | None = None


class JournalAnswers(Pinned):
    """One op's answers."""

    op: int
    responses: list[JournalLoglikelihood | JournalGenerated]


class JournalEnding(Pinned):
    """What was observed when an attempt ended by itself."""

    ended: Known[str]
    engine: EngineObserved
    during: Known[list[Probe]]


class JournalEnd(Pinned):
    """The last frame of an attempt that ended by itself."""

    end: JournalEnding


JournalFrame = Annotated[JournalHeader | JournalAnswers | JournalEnd, Field(title="JournalFrame")]
KINDS: dict[str, TypeAdapter[Any]] = {
    "spec": TypeAdapter(RunSpec),
    "suite": TypeAdapter(SuiteAsk),
    "plan": TypeAdapter(Plan),
    "record": TypeAdapter(Record),
    "verdict": TypeAdapter(Verdict),
    "response": TypeAdapter(Annotated[JournalLoglikelihood | JournalGenerated, Field(title="Response")]),
    "journal": TypeAdapter(JournalFrame),
}


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a kind; KeyError if there is none of that name."""
    return {"$schema": DIALECT, **KINDS[name].json_schema()}
