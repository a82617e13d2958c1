"""Requests -> Journal: the engine answers what the journal lacks, whole ops at a time."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import isfinite
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchproof.build import Built
from benchproof.errors import MachineError, VerificationFailed
from benchproof.ports import Engine, Harness, Op, Progress
from benchproof.schema.observed import Attempt, Probe
from benchproof.schema.plan import Plan
from benchproof.schema.request import Doc
from benchproof.schema.response import Loglikelihood, Response
from benchproof.schema.unknown import Unknown
from benchproof.store.folder import JOURNAL
from benchproof.store.journal import (
    JournalFile,
    JournalWriter,
    attempt_name,
    attempt_number,
    journal_paths,
    merge,
    read_journal,
)

CUT_OFF = Unknown(unknown="not_exposed", detail="the attempt was cut off before it could say")


@dataclass(frozen=True, slots=True)
class Found:
    """What earlier attempts have left in the folder."""

    files: list[JournalFile]
    answers: dict[str, Response]

    @property
    def next_attempt(self) -> int:
        """One more than the highest number in use, also where a file in between was taken away."""
        return 1 + max((attempt_number(file.path) for file in self.files), default=-1)

    @property
    def torn(self) -> int:
        """Bytes of unacknowledged tails: ignored, and told."""
        return sum(file.torn for file in self.files)


def find_answers(plan: Plan, built: Built, folder: Path) -> Found:
    """The answers of earlier attempts at the same plan. Raises VerificationFailed if they are of another."""
    files = [read_journal(path) for path in journal_paths(folder / JOURNAL)]
    wanted = {"ask_id": plan.ask_id, "plan_id": plan.plan_id, "requests_digest": built.requests_digest}
    for file in files:
        for key, value in wanted.items():
            if file.header and file.header.get(key) != value:
                raise VerificationFailed(
                    f"the journal's {key} is {str(file.header.get(key))[:12]}, this run's is {value[:12]}",
                    where=str(file.path),
                    do="start in a new folder with --new",
                )
    return Found(files, merge(files))


def missing_ops(built: Built, answers: dict[str, Response]) -> list[Op]:
    """Ops that are not wholly answered, in the plan's order. A half answered op is answered again as a whole."""
    return [op for op in built.ops if any(built.requests[i].hash not in answers for i in op.requests)]


def infer(
    plan: Plan,
    built: Built,
    found: Found,
    *,
    engine: Engine,
    harness: Harness,
    folder: Path,
    progress: Progress,
    now: Callable[[], float],
    wall: Callable[[], str],
    environment: Sequence[Probe],
    finish: Callable[[], Sequence[Probe]],
) -> None:
    """Answers every missing op into a new attempt's journal. The engine is loaded.

    Raises MachineError, DiskError, Interrupted; whatever was acknowledged before stays.
    """
    ops = missing_ops(built, found.answers)
    header = journal_header(plan, built, attempt=found.next_attempt, started=wall()) | {
        "environment": [probe.json_value() for probe in environment],
        "loaded": engine.observed().json_value(),
    }
    path = folder / JOURNAL / attempt_name(0, 1, found.next_attempt)
    answers = dict(found.answers)
    board = _Scoreboard(built, harness, sum(op.cost for op in ops), now)
    with JournalWriter(path, header) as journal:
        for task, group in groupby(ops, key=lambda op: op.task):
            members = list(group)
            with progress.phase(task, total=sum(op.cost for op in members), unit="tokens") as phase:
                for op in members:
                    responses = engine.answer(op, built.requests, built.encoded)
                    _check(op, built, responses)
                    journal.append(op.index, responses)
                    answers.update((response.request, response) for response in responses)
                    phase.advance(op.cost, board.after(op, answers))
        during = [probe.json_value() for probe in finish()]
        journal.end({"ended": wall(), "engine": engine.observed().json_value(), "during": during})


def journal_header(plan: Plan, built: Built, *, attempt: int, started: str) -> dict[str, Any]:
    """What a journal answers; on what it was answered comes beside it."""
    return {
        "ask_id": plan.ask_id,
        "plan_id": plan.plan_id,
        "requests_digest": built.requests_digest,
        "shard": 0,
        "of": 1,
        "attempt": attempt,
        "started": started,
    }


def attempts(files: Sequence[JournalFile]) -> list[Attempt]:
    """What each attempt's journal says of itself; one that was cut off has no end, and says so."""
    return [_attempt(file) for file in files if file.header]


def _attempt(file: JournalFile) -> Attempt:
    cut_off = CUT_OFF.model_dump()
    try:
        end = file.end or {"ended": cut_off, "engine": file.header["loaded"], "during": cut_off}
        return Attempt.model_validate(_described(file, end))
    except (KeyError, ValidationError) as error:
        raise VerificationFailed(
            "the journal does not say on what it was answered",
            where=str(file.path),
            do="start in a new folder with --new",
        ) from error


def _described(file: JournalFile, end: dict[str, Any]) -> dict[str, Any]:
    return {
        "number": attempt_number(file.path),
        "journal": f"{JOURNAL}/{file.path.name}",
        "head": file.head,
        "frames": file.frames,
        "responses": file.responses,
        "torn_bytes": file.torn,
        "started": file.header["started"],
        "ended": end["ended"],
        "environment": file.header["environment"],
        "during": end["during"],
        "engine": end["engine"],
        "adopted_from": file.header.get("adopted_from"),
    }


def _check(op: Op, built: Built, responses: list[Response]) -> None:
    """As many answers as requests, each to its own: an engine's word is never taken for it."""
    asked = [built.requests[i].hash for i in op.requests]
    if [response.request for response in responses] != asked:
        raise MachineError(
            f"the engine gave {len(responses)} answers to {len(asked)} requests, or in another order",
            where=f"op {op.index} of task {op.task}",
            do="report this: it is a defect of the engine",
        )
    for response in responses:
        if isinstance(response, Loglikelihood) and not isfinite(response.loglikelihood):
            raise MachineError(
                f"the engine says that a log-likelihood is {response.loglikelihood}",
                where=f"op {op.index} of task {op.task}",
                do="use `dtype: float32`; if it stays, the weights are broken",
            )


@dataclass
class _Scoreboard:
    """The running score and the time left, for the progress line; nothing reads it."""

    built: Built
    harness: Harness
    total: int
    now: Callable[[], float]
    done: int = 0
    sums: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    docs: dict[str, dict[int, Doc]] = field(default_factory=dict)
    started: float | None = None

    def after(self, op: Op, answers: dict[str, Response]) -> str:
        """The note for the progress line after an op."""
        if not self.docs:
            self.docs = {task: {doc.doc_id: doc for doc in docs} for task, docs in self.built.docs.items()}
        if self.started is None:
            self.started = self.now()  # the first op warms up: it counts as done, its time does not
            self.total -= op.cost
        else:
            self.done += op.cost
        for doc_id in dict.fromkeys(self.built.requests[i].doc_id for i in op.requests):
            doc = self.docs[op.task][doc_id]
            if all(request.hash in answers for request in doc.requests):
                value = self.harness.running(op.task, doc, answers)
                if value is not None:
                    self.sums[op.task].append(value)
        values = self.sums[op.task]
        score = f"score {sum(values) / len(values):.3f}" if values else "score -"
        return f"{score}{self._left()}"

    def _left(self) -> str:
        elapsed = self.now() - (self.started or 0.0)
        if self.done <= self.total / 10 or not elapsed:
            return ""  # too early for an estimate that holds
        left = (self.total - self.done) * elapsed / self.done
        return f", all done in {left / 60:.0f} min" if left > 90 else f", all done in {left:.0f} s"
