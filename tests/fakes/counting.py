"""An engine that counts what it is asked, in the real planner's ops, and can be stopped before any of them."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchproof.engines.batches import make_ops
from benchproof.errors import Interrupted
from benchproof.ports import Op, Progress
from benchproof.schema.observed import EngineObserved
from benchproof.schema.plan import EnginePin, ModelPin
from benchproof.schema.request import Encoded, Request
from benchproof.schema.response import Generated, Loglikelihood, Response
from benchproof.schema.unknown import Unknown
from fakes.plans import a_model_pin, an_engine_pin

NO_MODEL = Unknown(unknown="not_applicable", detail="answers follow from the request's hash")


@dataclass
class StopAt:
    """Stops the run before its n-th op, as a signal would."""

    n: int
    seen: int = 0

    def __call__(self, op: Op) -> None:
        if self.seen == self.n:
            raise Interrupted("stopped by SIGTERM", do="run the same command again")
        self.seen += 1


@dataclass
class CountingEngine:
    """Implements ports.Engine; one token a character. An answer is a function of the request alone."""

    token_budget: int = 64
    generation_batch: int = 2
    max_length: int = 32
    before: Callable[[Op], None] = lambda op: None  # called before each op: may raise
    asked: list[Op] = field(default_factory=list)  # every op that was answered
    loads: int = 0
    device: str = "cpu"

    def device_uuid(self) -> str | None:
        return None

    def pin_model(self, progress: Progress) -> ModelPin:
        return a_model_pin()

    def pin(self) -> EnginePin:
        return an_engine_pin(
            token_budget=self.token_budget, generation_batch=self.generation_batch, max_length=self.max_length
        )

    def packages(self) -> dict[str, str]:
        return {"table": "1"}

    def render(self, messages: list[dict[str, str]], add_generation_prompt: bool) -> str:
        return "".join(f"<{m['role']}>{m['content']}" for m in messages) + ("<assistant>" * add_generation_prompt)

    def encode(self, requests: Sequence[Request], progress: Progress) -> list[Encoded]:
        return [self._encoded(request) for request in requests]

    def ops(self, requests: Sequence[Request], encoded: Sequence[Encoded]) -> list[Op]:
        return make_ops(
            requests,
            encoded,
            token_budget=self.token_budget,
            generation_batch=self.generation_batch,
            bytes_of=lambda op: op.cost,
        )

    def memory_bytes(self, ops: Sequence[Op]) -> int | None:
        return None

    def free_bytes(self) -> int | None:
        return None

    def load(self, progress: Progress) -> None:
        self.loads += 1

    def answer(self, op: Op, requests: Sequence[Request], encoded: Sequence[Encoded]) -> list[Response]:
        self.before(op)
        self.asked.append(op)
        return [_answer(requests[i]) for i in op.requests]

    def observed(self) -> EngineObserved:
        return EngineObserved(
            model_class=NO_MODEL,
            dtype_loaded=NO_MODEL,
            parameters_loaded=NO_MODEL,
            device=NO_MODEL,
            device_layers={},
            attention=NO_MODEL,
            threads=NO_MODEL,
            determinism=[],
            forward_tokens=sum(op.cost for op in self.asked),
            generated_tokens=0,
            peak_bytes=NO_MODEL,
        )

    def _encoded(self, request: Request) -> Encoded:
        context, continuation = tuple(map(ord, request.context)), tuple(map(ord, request.continuation or ""))
        surplus = max(len(context) + len(continuation) - self.max_length - 1, 0)
        return Encoded(context[surplus:], continuation, surplus, False)


def _answer(request: Request) -> Response:
    if request.kind == "loglikelihood":
        total = -1 - int(hashlib.sha256(request.hash.encode()).hexdigest()[:8], 16) / 2**32
        return Loglikelihood(request.hash, total, total > -1.5, len(str(request.continuation)))
    text = f"answer to {request.doc_id}"
    return Generated(request.hash, tuple(map(ord, text)), text, text, "eos")
