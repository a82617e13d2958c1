"""Observed: what was measured while running, each value known or unknown with its reason."""

from typing import Annotated, Any

from pydantic import Field

from benchproof.schema.plan import Pinned
from benchproof.schema.unknown import Known, Unknown


class Probe(Pinned):
    """One row of the table of probes: a quantity, its unit (or ""), and its value."""

    name: str
    unit: str
    # left to right, or Any would keep an unknown that is read back as a mere dict
    value: Annotated[Unknown | Any, Field(union_mode="left_to_right")]


class Determinism(Pinned):
    """One flag: what was asked of the library, and what it said afterwards."""

    flag: str
    asked: Known[str]
    granted: Known[str]


class EngineObserved(Pinned):
    """What the engine did, as seen after loading and at the end."""

    model_class: Known[str]
    dtype_loaded: Known[str]
    parameters_loaded: Known[int]
    device: Known[str]  # kind only: cpu, cuda
    device_layers: dict[str, str]  # module -> device, where the model is spread over several
    attention: Known[str]
    threads: Known[int]
    determinism: list[Determinism]
    forward_tokens: int  # computed in forwards, padding counted
    generated_tokens: int
    peak_bytes: Known[int]


class Phases(Pinned):
    """Seconds of each phase, decimal strings, by the monotonic clock."""

    name: str
    seconds: str


class Attempt(Pinned):
    """One process that held the model once: which frames are its, and what it ran on."""

    number: int
    journal: str  # file name inside the run folder
    head: str  # last hash of its chain
    frames: int
    responses: int
    torn_bytes: int  # of an unacknowledged tail: ignored
    started: str  # RFC 3339 UTC
    ended: Known[str]
    environment: list[Probe]  # before the model was loaded
    during: Known[list[Probe]]  # from then until the end
    engine: EngineObserved
    adopted_from: dict[str, Any] | None = None  # plan_id and journals (name, head) of the run that answered
