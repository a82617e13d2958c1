"""Execution: untrusted code over a list of inputs, and what came out of it.

Expected values stand nowhere here: they never enter a sandbox (RELIABILITY, section 2).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Inputs:
    """Argument lists of one task, as JSON text. Equal keys mean equal text: a worker is sent it once."""

    key: str
    text: str
    count: int


@dataclass(frozen=True, slots=True)
class Execution:
    """One source, called once for each input in order, in a process of its own.

    limits: CPU seconds of each call. output_cap: bytes of all answers. full: inputs whose answer is wanted
    whole however large it is (None: all of them); the others come as a digest above 16 KiB.
    """

    source: str
    entry_point: str
    inputs: Inputs
    limits: tuple[float, ...]
    output_cap: int
    full: frozenset[int] | None = frozenset()


@dataclass(frozen=True, slots=True)
class Value:
    """An answer in the codec's bytes, as they came: not yet decoded, not to be trusted."""

    encoded: bytes


@dataclass(frozen=True, slots=True)
class Digest:
    """A large answer: sha256 of `marshal.dumps(value, 2)`, and the length of those bytes.

    floats: whether it is a list or tuple of floats only, as evalplus's oracle asks of expected values.
    """

    sha256: str
    size: int
    floats: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that gave no answer."""

    kind: Literal["raised", "timeout", "unencodable"]
    detail: str


Answer = Value | Digest | Failed

# complete: every frame, the end frame and exit status 0. stopped: the judge had seen enough.
Ending = Literal[
    "complete",
    "stopped",
    "import_failed",  # the source itself raised, or has no such function
    "timeout",  # CPU time
    "timeout_wall",  # waited without using CPU time
    "died",  # exited or was killed before the end frame
    "malformed",  # something else than frames came out
    "output_cap",
    "inconclusive",  # the worker died or the machine was starved, twice
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one execution ended. `answers`: frames received; cpu: seconds, by the kernel's account."""

    ending: Ending
    detail: str
    answers: int
    cpu: float
    retried: str = ""  # why the first attempt did not count


# Called with (index of the input, answer, CPU seconds the child says it took); False ends the execution.
Judge = Callable[[int, Answer, float], bool]


@dataclass(frozen=True, slots=True)
class NumpyValue:
    """A numpy scalar or array as plain data: the decoder knows no numpy."""

    dtype: str
    array: bool
    value: Any


@dataclass(frozen=True, slots=True)
class SandboxProbe:
    """One live canary: which layer it is about, what must be seen, what was seen."""

    name: str
    layer: str
    expected: str
    seen: str

    @property
    def held(self) -> bool:
        """True if the layer did what it is there for."""
        return self.seen in self.expected.split("|")
