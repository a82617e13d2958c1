"""An engine whose answers are known: a table, or a function. It speaks ports.Engine, and what it lacks is an error."""

from collections.abc import Callable, Mapping, Sequence

from benchproof.errors import MachineError
from benchproof.ports import Op, Progress
from benchproof.schema.observed import EngineObserved
from benchproof.schema.plan import EnginePin, ModelPin
from benchproof.schema.request import Encoded, Request
from benchproof.schema.response import Generated, Loglikelihood, Response
from fakes.counting import CountingEngine
from fakes.plans import a_model_pin, an_engine_pin

Answer = float | str  # a log-likelihood, or a text
Table = Mapping[tuple[str, str], Answer] | Callable[[Request], Answer]


class TableEngine:
    """Implements ports.Engine without tokenizer and weights: one character is one token.

    table: (end of the context, continuation) -> log-likelihood, (end of the context, "") -> text; or a function of
    the request. A request that no entry or more than one fits is an error.
    """

    def __init__(self, table: Table, *, max_length: int = 1_000_000, rows: int = 8) -> None:
        self._table, self._max_length, self._rows = table, max_length, rows
        self.loaded = False
        self.asked: list[Request] = []  # in the order of the answers

    device = "cpu"

    def device_uuid(self) -> str | None:
        return None

    def pin_model(self, progress: Progress) -> ModelPin:
        return a_model_pin()

    def pin(self) -> EnginePin:
        return an_engine_pin(generation_batch=self._rows, max_length=self._max_length, batching="table/1")

    def packages(self) -> dict[str, str]:
        return {}

    def render(self, messages: list[dict[str, str]], add_generation_prompt: bool) -> str:
        text = "".join(f"<{m['role']}>{m['content']}" for m in messages)
        return text + ("<assistant>" if add_generation_prompt else "")

    def encode(self, requests: Sequence[Request], progress: Progress) -> list[Encoded]:
        return [self._encoded(request) for request in requests]

    def ops(self, requests: Sequence[Request], encoded: Sequence[Encoded]) -> list[Op]:
        found: list[Op] = []
        start = 0
        for index, request in enumerate(requests):
            after = requests[index + 1] if index + 1 < len(requests) else None
            if (
                after is None
                or (after.task, after.kind) != (request.task, request.kind)
                or index - start + 1 == self._rows
            ):
                members = tuple(range(start, index + 1))
                cost = sum(encoded[i].n_tokens for i in members)
                found.append(Op(len(found), request.kind, request.task, members, cost))
                start = index + 1
        return found

    def memory_bytes(self, ops: Sequence[Op]) -> int | None:
        return None

    def free_bytes(self) -> int | None:
        return None

    def load(self, progress: Progress) -> None:
        self.loaded = True

    def answer(self, op: Op, requests: Sequence[Request], encoded: Sequence[Encoded]) -> list[Response]:
        if not self.loaded:
            raise MachineError("asked before it was loaded")
        return [self._answered(requests[i]) for i in op.requests]

    def observed(self) -> EngineObserved:
        return CountingEngine().observed()  # no model either

    def _encoded(self, request: Request) -> Encoded:
        context, continuation = (tuple(map(ord, text or "")) for text in (request.context, request.continuation))
        room = self._max_length - (request.generation.max_gen_toks if request.generation else len(continuation) - 1)
        surplus = max(len(context) - room, 0)
        return Encoded(context[surplus:], continuation, surplus, False)

    def _answered(self, request: Request) -> Response:
        self.asked.append(request)
        answer = self._table(request) if callable(self._table) else self._looked_up(request, self._table)
        if isinstance(answer, str):
            return Generated(request.hash, tuple(map(ord, answer)), answer, answer, "until")
        return Loglikelihood(request.hash, answer, False, len(request.continuation or ""))

    def _looked_up(self, request: Request, table: Mapping[tuple[str, str], Answer]) -> Answer:
        fits = [
            value
            for (end, continuation), value in table.items()
            if request.context.endswith(end) and continuation == (request.continuation or "")
        ]
        if len(fits) != 1:
            raise MachineError(
                f"{len(fits)} entries of the table fit the request",
                where=f"task {request.task}, doc {request.doc_id}, choice {request.choice}",
            )
        return fits[0]
