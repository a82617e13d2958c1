"""Request: one question to the engine, keyed by its hash, the key of everything after it.

Frozen slotted dataclasses, not pydantic: one run builds tens of thousands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from benchproof.schema.canonical import canonical, plain, sha256, text_sha256

Kind = Literal["loglikelihood", "generate_until"]


@dataclass(frozen=True, slots=True)
class Generation:
    """Effective settings of one generation. Greedy iff `temperature` is 0."""

    until: tuple[str, ...]
    max_gen_toks: int
    temperature: float = 0.0
    top_p: float | None = None
    top_k: int | None = None

    def json_value(self) -> dict[str, Any]:
        """JSON types, reals as decimal strings."""
        return {
            "until": list(self.until),
            "max_gen_toks": self.max_gen_toks,
            "temperature": plain(float(self.temperature)),
            "top_p": plain(self.top_p),
            "top_k": self.top_k,
        }


@dataclass(frozen=True, slots=True)
class Request:
    """The log-likelihood of `continuation` after `context`, or the text generated after `context`."""

    task: str
    doc_id: int  # index in the task's whole split, as the harness counts
    choice: int  # index of the answer within the doc; 0 for a generation
    repeat: int  # 0 unless the task asks the same thing several times
    kind: Kind
    context: str
    continuation: str | None = None
    generation: Generation | None = None
    seed: int | None = None  # sampled generations only: independent of batch neighbours
    hash: str = field(default="", compare=False)

    def with_hash(self) -> "Request":
        """The same request, its hash filled in."""
        return Request(
            self.task,
            self.doc_id,
            self.choice,
            self.repeat,
            self.kind,
            self.context,
            self.continuation,
            self.generation,
            self.seed,
            request_hash(self),
        )

    @property
    def key(self) -> tuple[str, int, int, int]:
        """(task, doc id, choice, repeat): the order of answers in every digest."""
        return self.task, self.doc_id, self.choice, self.repeat


def request_hash(request: Request) -> str:
    """sha256 of canonical JSON over everything in the request; long texts enter by their own sha256."""
    body: Mapping[str, Any] = {
        "task": request.task,
        "doc": request.doc_id,
        "choice": request.choice,
        "repeat": request.repeat,
        "seed": None if request.seed is None else str(request.seed),
        "kind": request.kind,
        "context": text_sha256(request.context),
        "continuation": None if request.continuation is None else text_sha256(request.continuation),
        "generation": None if request.generation is None else request.generation.json_value(),
    }
    return sha256(canonical(body))


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request as token ids, split and truncated exactly as lm-eval's HFLM does.

    loglikelihood: the model reads (context + continuation)[:-1]; generation: `continuation` is empty.
    """

    context: tuple[int, ...]
    continuation: tuple[int, ...]
    truncated: int  # tokens dropped on the left because the model's context is shorter
    merged: bool  # the tokenizer joined the border: encode(context) is no prefix of the whole
    no_bos: bool = False  # the tokenizer has a BOS of its own, and this prompt does not begin with it

    @property
    def n_tokens(self) -> int:
        """Tokens that the model reads for this request alone, without padding or sharing."""
        return len(self.context) + max(len(self.continuation) - 1, 0)


@dataclass(frozen=True, slots=True)
class Doc:
    """One row of a benchmark's data set, with the requests it gives rise to."""

    task: str
    doc_id: int
    doc: Mapping[str, Any]
    sha256: str
    target: Any
    category: str | None
    requests: tuple[Request, ...]


def sampling_seed(seed: int, task: str, doc: int | str, repeat: int) -> int:
    """The seed of one sampled text, below 2^56: of the run's, and of which text it is."""
    return int(sha256(f"{seed}|{task}|{doc}|{repeat}".encode())[:14], 16)
