"""Answers from a journal instead of a model: for rescoring, and for tests. A missing answer is an error."""

from collections.abc import Sequence
from pathlib import Path

from benchproof.engines.front import NO_THINKING, HfFront
from benchproof.errors import MissingInput
from benchproof.ports import ModelFiles, Op, Progress
from benchproof.schema.canonical import digest
from benchproof.schema.observed import EngineObserved
from benchproof.schema.plan import EnginePin
from benchproof.schema.request import Encoded, Request
from benchproof.schema.response import Response
from benchproof.schema.spec import EngineAsk, ModelAsk, ThinkingAsk
from benchproof.schema.unknown import Unknown
from benchproof.store.folder import JOURNAL
from benchproof.store.journal import journal_paths, merge, read_journal

NO_MODEL = Unknown(unknown="not_applicable", detail="answers are replayed from a journal; no model was loaded")


class ReplayEngine(HfFront):
    """Implements ports.Engine over the journals of a run folder."""

    def __init__(
        self,
        files: ModelFiles,
        model: ModelAsk,
        engine: EngineAsk,
        device: str,
        *,
        thinking: ThinkingAsk = NO_THINKING,
        rehash: bool = False,
    ) -> None:
        super().__init__(files, model, engine, device, thinking=thinking, rehash=rehash)
        folder = Path(str(engine.journal)) / JOURNAL
        self._files = [read_journal(path) for path in journal_paths(folder)]
        if not self._files:
            raise MissingInput("no journal to replay", where=str(folder), do="give the folder of a run")
        self._answers = merge(self._files)

    def pin(self) -> EnginePin:
        """The settings, and which answers are replayed."""
        answers = digest([self._answers[key].json_value() for key in sorted(self._answers)])
        return super().pin().model_copy(update={"name": "replay", "journal_sha256": answers})

    def free_bytes(self) -> int | None:
        """No model is loaded, so nothing has to fit."""
        return None

    def load(self, progress: Progress) -> None:
        """Nothing to load."""
        progress.say(f"replaying {len(self._answers)} answers")

    def answer(self, op: Op, requests: Sequence[Request], encoded: Sequence[Encoded]) -> list[Response]:
        """The journal's answers. Raises MissingInput (3) for a request that it does not hold."""
        missing = [requests[i] for i in op.requests if requests[i].hash not in self._answers]
        if missing:
            raise MissingInput(
                f"the journal has no answer to doc {missing[0].doc_id} (and {len(missing) - 1} more)",
                where=f"task {missing[0].task}",
                do="replay the run of the same tasks, settings and harness",
            )
        return [self._answers[requests[i].hash] for i in op.requests]

    def observed(self) -> EngineObserved:
        """No model was there to observe."""
        return EngineObserved(
            model_class=NO_MODEL,
            dtype_loaded=NO_MODEL,
            parameters_loaded=NO_MODEL,
            device=NO_MODEL,
            device_layers={},
            attention=NO_MODEL,
            threads=NO_MODEL,
            determinism=[],
            forward_tokens=0,
            generated_tokens=0,
            peak_bytes=NO_MODEL,
        )
