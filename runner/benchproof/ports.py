"""The protocols: what the main path asks of the world. Eight of them would be the architecture; these are here now.

Adapters live in sources/, suites/, engines/, observe/ and cli/; wire.py picks them by name. A verb is
handed a port and never imports an adapter.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchproof.schema.observed import EngineObserved, Probe
from benchproof.schema.plan import (
    EnginePin,
    GroupPin,
    Headline,
    LeftOut,
    ModelPin,
    TaskAskPin,
    TaskMarkPin,
)
from benchproof.schema.request import Doc, Encoded, Generation, Kind, Request
from benchproof.schema.response import Response
from benchproof.schema.score import Result, Sample
from benchproof.schema.spec import ModelAsk, TaskAsk

Render = Callable[[list[dict[str, str]], bool], str]  # chat messages, add_generation_prompt -> prompt


class Progress(Protocol):
    """Tells a person what is going on; nothing reads it."""

    def phase(self, name: str, *, total: int | None = None, unit: str = "") -> AbstractContextManager["Phase"]:
        """A step with a name; `total` in `unit`s if it is known."""
        ...

    def say(self, text: str) -> None:
        """One line for people."""
        ...


class Phase(Protocol):
    """One running step."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """`amount` more units are done."""
        ...


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on this machine, what it is called, and the parts of it that lie elsewhere.

    code: `owner/name` -> commit, of repositories whose Python the model's config names.
    """

    folder: Path
    name: str
    repo: str | None
    commit: str | None
    tokenizer: "Place | None" = None
    adapter: "Place | None" = None
    code: tuple["Place", ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A folder on this machine, and where on the Hub it came from."""

    folder: Path
    repo: str | None
    commit: str | None

    @property
    def origin(self) -> str | None:
        """`owner/name@commit`, or None for a local folder."""
        return None if self.repo is None else f"{self.repo}@{self.commit}"


class Source(Protocol):
    """Where models and data sets come from."""

    def model(self, ask: ModelAsk, progress: Progress) -> ModelFiles:
        """The model's files, at a commit if it is on the Hub. Raises MissingInput, BadInput."""
        ...

    def dataset_commit(self, repo: str, revision: str) -> str:
        """The 40-hex commit of a data set. Raises MissingInput if it cannot be resolved."""
        ...

    def rows_folder(self, data: str) -> Path:
        """The folder that a task's `data` names. Raises MissingInput."""
        ...


@dataclass(frozen=True, slots=True)
class Asking:
    """What is the same for every task of a run. chat: the model's own template is applied."""

    fewshot_seed: int
    generation_seed: int
    chat: bool = False
    system_prompt: str | None = None


@dataclass(frozen=True, slots=True)
class TaskPins:
    """What the harness made of the asked tasks."""

    asks: list[TaskAskPin]
    marks: list[TaskMarkPin]
    groups: list[GroupPin]
    headlines: list[Headline]
    left_out: list[tuple[LeftOut, str]]  # with the reason in words
    notes: list[tuple[str, str]]  # benchmark, and what a reader of its scores should know


class Harness(Protocol):
    """The harness's own task code: requests, filters, metrics."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Name and version of the harnesses."""
        ...

    @property
    def packages(self) -> Mapping[str, str]:
        """What beside them computes marks for every task."""
        ...

    def look_up(self, tasks: Sequence[TaskAsk]) -> None:
        """Raises BadInput for a task that nobody has; loads nothing."""
        ...

    def load(self, tasks: Sequence[TaskAsk], asking: Asking, source: Source, progress: Progress) -> TaskPins:
        """Loads the tasks and their data, and pins both. Raises BadInput for a task nobody has."""
        ...

    def build(self, task: str, render: Render | None) -> list[Doc]:
        """All docs asked of a task with their requests, in document order."""
        ...

    def score(self, task: str, docs: Sequence[Doc], answers: Mapping[str, Response]) -> Iterator[Sample]:
        """Rows, one per doc in order, by the task's own filters and metrics."""
        ...

    def aggregate(self, task: str, samples: Sequence[Sample]) -> list[Result]:
        """The task's scores with standard errors, by the harness's own aggregation."""
        ...

    def aggregate_group(self, group: GroupPin, results: Sequence[Result]) -> list[Result]:
        """A group's scores from its tasks' scores."""
        ...

    def observed(self) -> dict[str, Any]:
        """What marking was done in: the sandbox and its probes; empty where no program was run."""
        ...

    def running(self, task: str, doc: Doc, answers: Mapping[str, Response]) -> float | None:
        """The headline metric of one doc while the run goes on; None where that would cost too much."""
        ...


@dataclass(frozen=True, slots=True)
class Op:
    """One step of the batch plan: requests that are answered together, and nothing else with them.

    rows: for each row of the forward, which of `requests` read from it (indices into `requests`).
    cost: tokens of the forward, padding counted, generated tokens at their limit.
    """

    index: int
    kind: Kind
    task: str
    requests: tuple[int, ...]  # indices into the run's list of requests
    cost: int


class Engine(Protocol):
    """Answers requests. Before `load` it knows only files: tokenizer, context length, sizes.

    What it is: `pin_model`, `pin`. What it does: `render`, `encode`, `ops`, `answer`. What it did: `observed`.
    """

    device: str  # cpu, cuda:0 …: where, in no id

    def device_uuid(self) -> str | None:
        """The GPU's uuid, to find it among the driver's; None where there is none."""
        ...

    def pin_model(self, progress: Progress) -> ModelPin:
        """Hashes of everything that makes the model that model."""
        ...

    def pin(self) -> EnginePin:
        """Effective settings. Raises BadInput or MachineError for settings that cannot work here."""
        ...

    def packages(self) -> dict[str, str]:
        """Versions of the packages that can move a bit of an answer."""
        ...

    def render(self, messages: list[dict[str, str]], add_generation_prompt: bool) -> str:
        """Chat messages as the prompt that the model will see. Raises BadInput if the template fails."""
        ...

    def encode(self, requests: Sequence[Request], progress: Progress) -> list[Encoded]:
        """Token ids, truncated as the model's context demands."""
        ...

    def ops(self, requests: Sequence[Request], encoded: Sequence[Encoded]) -> list[Op]:
        """The batch plan: a function of its arguments and of `pin()` alone, the largest op first."""
        ...

    def memory_bytes(self, ops: Sequence[Op]) -> int | None:
        """Expected peak memory for weights, cache and activations; None if it cannot be told."""
        ...

    def free_bytes(self) -> int | None:
        """Memory that is free on the device now; None if it cannot be told, or no model will be loaded."""
        ...

    def load(self, progress: Progress) -> None:
        """Loads the weights. Raises MachineError."""
        ...

    def answer(self, op: Op, requests: Sequence[Request], encoded: Sequence[Encoded]) -> list[Response]:
        """Responses to the op's requests, in its order. Raises MachineError, naming the setting to change."""
        ...

    def observed(self) -> EngineObserved:
        """What was loaded and granted, as far as it differs from what was asked or could."""
        ...


class Observer(Protocol):
    """Looks at the machine."""

    def start(self, device: str, device_uuid: str | None, salt: str) -> list[Probe]:
        """What the machine is, before the model is loaded; and begins to watch it.

        Raises MachineError if the run claims a GPU that the driver's library cannot tell of.
        """
        ...

    def end(self) -> list[Probe]:
        """What was seen meanwhile: energy, clocks, throttling, strangers on the GPU. Stops watching."""
        ...


__all__ = [
    "Engine",
    "Generation",
    "Harness",
    "ModelFiles",
    "Observer",
    "Op",
    "Phase",
    "Progress",
    "Render",
    "Source",
    "TaskPins",
]
