"""Expected answers: the canonical solutions' own, computed in the sandbox once and kept by content.

Never a pickle, which is code. A large answer is kept as its digest; when a candidate's differs from it, the answer
itself is computed again.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from benchproof.errors import MachineError, VerificationFailed
from benchproof.schema.canonical import digest, sha256
from benchproof.schema.execution import Answer, Digest, Execution, Failed, Inputs, Judge, Outcome, SandboxProbe, Value
from benchproof.store.files import replace_file
from benchproof.store.hashes import cache_folder

FORMAT = "benchproof/expected/v1"
TRUSTED_LIMIT = 60.0  # CPU seconds of one call of a canonical solution
TRUSTED_CAP = 1 << 30
SPARE_BYTES, SCALAR_BYTES = 65_536, 48


class Sandbox(Protocol):
    """What marking asks of a sandbox."""

    tier: str
    workers: int
    leaks: tuple[str, ...]
    probes: list[SandboxProbe]
    versions: dict[str, str | None]

    def run(self, executions: Sequence[Execution], judge: "JudgeMaker") -> Iterator[tuple[int, Outcome]]:
        """(index, outcome) of each execution as it ends."""
        ...

    def one(self, execution: Execution, judge: Judge) -> Outcome:
        """One execution, beside those that run."""
        ...

    def decode(self, encoded: bytes) -> Any:
        """An answer as a value. Raises ValueError."""
        ...


def sandbox_facts(sandbox: Sandbox) -> dict[str, Any]:
    """What a reader of scores should know of where programs ran: the tier, its leaks and its live probes."""
    return {
        "tier": sandbox.tier,
        "leaks": list(sandbox.leaks),
        "versions": dict(sandbox.versions),
        "probes": [asdict(probe) for probe in sandbox.probes],
    }


class JudgeMaker(Protocol):
    """Makes the judge of one attempt at the execution with this index."""

    def __call__(self, index: int, /) -> Judge:
        """See supervisor.Sandbox.run."""
        ...


@dataclass(frozen=True, slots=True)
class Expected:
    """One input's answer: encoded, or as a digest. `floats` is what evalplus's `is_floats` says of it."""

    encoded: bytes | None
    marshal_sha256: str | None
    floats: bool
    cpu: float  # seconds that the canonical solution took

    @property
    def cap(self) -> int:
        """Bytes that a right answer may take: floats may come where ints were expected."""
        if self.encoded is None:
            return 64
        return 2 * len(self.encoded) + SCALAR_BYTES * (self.encoded.count(b",") + 1) + 64


@dataclass(frozen=True, slots=True)
class Oracle:
    """All expected answers of one list of inputs, and the limits that follow from them."""

    answers: tuple[Expected, ...]

    @property
    def limits(self) -> tuple[float, ...]:
        """CPU seconds of each call, as evalplus: 1, or four times the canonical solution's."""
        return tuple(max(1.0, 4.0 * answer.cpu) for answer in self.answers)

    @property
    def cap(self) -> int:
        """Bytes of all answers."""
        return SPARE_BYTES + sum(answer.cap for answer in self.answers)


@dataclass(frozen=True, slots=True)
class Reference:
    """A canonical solution and one list of inputs."""

    source: str
    entry_point: str
    inputs: Inputs

    def execution(self, full: frozenset[int] | None = frozenset()) -> Execution:
        """Trusted, so with wide limits; in the sandbox all the same."""
        limits = (TRUSTED_LIMIT,) * self.inputs.count
        return Execution(self.source, self.entry_point, self.inputs, limits, TRUSTED_CAP, full)


def expected_answers(references: Mapping[str, Reference], sandbox: Sandbox) -> dict[str, Oracle]:
    """The oracle of each reference, from the cache or computed now. Raises MachineError if a canonical one fails."""
    keys = {name: _key(reference, sandbox) for name, reference in references.items()}
    found = {name: oracle for name, key in keys.items() if (oracle := _kept(key, references[name])) is not None}
    missing = [name for name in references if name not in found]
    gathered: dict[int, list[Expected]] = {}

    def judge(index: int) -> Judge:
        answers = gathered[index] = []

        def take(number: int, answer: Answer, cpu: float) -> bool:
            if not isinstance(answer, Failed):
                answers.append(_expected(answer, cpu, sandbox))
            return not isinstance(answer, Failed)

        return take

    for index, outcome in sandbox.run([references[name].execution() for name in missing], judge):
        name, answers = missing[index], tuple(gathered.pop(index))
        if outcome.ending != "complete" or len(answers) != references[name].inputs.count:
            raise MachineError(
                f"the canonical solution does not run here: {outcome.ending} {outcome.detail}".rstrip(),
                where=name,
                do="see `benchproof doctor`; if memory and load are fine, report it",
            )
        found[name] = Oracle(answers)
        _keep(keys[name], found[name])
    return {name: found[name] for name in references}


def whole_answer(reference: Reference, index: int, sandbox: Sandbox) -> Any:
    """One expected answer however large, computed again. Raises MachineError."""
    arguments = json.loads(reference.inputs.text)[index]
    text = json.dumps([arguments])
    alone = Reference(reference.source, reference.entry_point, Inputs(sha256(text.encode("ascii")), text, 1))
    values: list[Any] = []

    def take(number: int, answer: Answer, cpu: float) -> bool:
        if isinstance(answer, Value):
            values.append(sandbox.decode(answer.encoded))
        return True

    outcome = sandbox.one(alone.execution(full=None), take)
    if outcome.ending != "complete" or not values:
        raise MachineError(
            f"an expected answer cannot be computed again: {outcome.ending}", where=reference.entry_point
        )
    return values[0]


def _expected(answer: Answer, cpu: float, sandbox: Sandbox) -> Expected:
    if isinstance(answer, Digest):
        return Expected(None, answer.sha256, answer.floats, cpu)
    assert isinstance(answer, Value)
    return Expected(answer.encoded, None, is_floats(sandbox.decode(answer.encoded)), cpu)


def is_floats(value: Any) -> bool:
    """Evalplus's `is_floats` for plain data: a float, or a list or tuple of nothing else."""
    if isinstance(value, float):
        return True
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, float) for item in value)


def _key(reference: Reference, sandbox: Sandbox) -> str:
    """Everything that an answer, or its encoding, depends on."""
    return digest(
        {
            "format": FORMAT,
            "source": sha256(reference.source.encode("utf-8", "surrogatepass")),
            "entry_point": reference.entry_point,
            "inputs": reference.inputs.key,
            "python": sandbox.versions.get("python"),
            "numpy": sandbox.versions.get("numpy"),
        }
    )


def _path(key: str) -> Path:
    return cache_folder() / "expected" / key[:2] / f"{key}.json"


def _kept(key: str, reference: Reference) -> Oracle | None:
    """From the cache; None if it is not there. A damaged entry is computed again."""
    try:
        body, checksum = _path(key).read_bytes().rstrip(b"\n").rsplit(b"\n", 1)
        if sha256(body).encode("ascii") != checksum:
            return None
        rows = json.loads(body)
        answers = tuple(
            Expected(None if text is None else text.encode("ascii"), sha, floats, float.fromhex(cpu))
            for text, sha, floats, cpu in rows
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    if len(answers) != reference.inputs.count:
        raise VerificationFailed("a kept expected answer is missing", where=str(_path(key)), do="delete that file")
    return Oracle(answers)


def _keep(key: str, oracle: Oracle) -> None:
    """Losing the cache costs seconds, so a disk that refuses is no error."""
    rows = [
        [None if a.encoded is None else a.encoded.decode("ascii"), a.marshal_sha256, a.floats, a.cpu.hex()]
        for a in oracle.answers
    ]
    body = json.dumps(rows, separators=(",", ":")).encode("ascii")
    with contextlib.suppress(OSError):
        replace_file(_path(key), body + b"\n" + sha256(body).encode("ascii") + b"\n")
