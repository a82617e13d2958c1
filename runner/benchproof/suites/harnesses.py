"""Both harnesses behind one port: each task goes to the one that has it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchproof.errors import MissingInput
from benchproof.ports import Asking, Progress, Render, Source, TaskPins
from benchproof.schema.plan import GroupPin
from benchproof.schema.request import Doc
from benchproof.schema.response import Response
from benchproof.schema.score import Result, Sample
from benchproof.schema.spec import TaskAsk
from benchproof.suites.evalplus import EvalPlus
from benchproof.suites.lmeval import LmEval


class Harnesses:
    """Implements ports.Harness over lm-eval and evalplus."""

    def __init__(self, lmeval: LmEval, evalplus: EvalPlus) -> None:
        self._lmeval, self._evalplus = lmeval, evalplus
        self.packages = lmeval.packages
        self._of: dict[str, LmEval | EvalPlus] = {}

    @property
    def versions(self) -> Mapping[str, str]:
        """Of the harnesses that this run's tasks are of."""
        members = dict.fromkeys(self._of.values())
        return {name: version for member in members for name, version in member.versions.items()}

    def look_up(self, tasks: Sequence[TaskAsk]) -> None:
        """See ports.Harness.look_up."""
        self._lmeval.look_up([ask for ask in tasks if not self._evalplus.owns(ask)])

    def load(self, tasks: Sequence[TaskAsk], asking: Asking, source: Source, progress: Progress) -> TaskPins:
        """See ports.Harness.load. lm-eval's tasks come first: programs are marked last."""
        ours = [ask for ask in tasks if self._evalplus.owns(ask)]
        rest = [ask for ask in tasks if not self._evalplus.owns(ask)]
        found: list[TaskPins] = []
        for member, asks in ((self._lmeval, rest), (self._evalplus, ours)):
            if asks:
                pins = member.load(asks, asking, source, progress)
                self._of |= dict.fromkeys((pin.task for pin in pins.asks), member)
                found.append(pins)
        if not found:
            raise MissingInput("no tasks", where="suite", do="name at least one")
        return TaskPins(
            asks=[pin for pins in found for pin in pins.asks],
            marks=[pin for pins in found for pin in pins.marks],
            groups=[pin for pins in found for pin in pins.groups],
            headlines=[pin for pins in found for pin in pins.headlines],
            left_out=[pin for pins in found for pin in pins.left_out],
            notes=[note for pins in found for note in pins.notes],
        )

    def build(self, task: str, render: Render | None) -> list[Doc]:
        """See ports.Harness.build."""
        return self._of[task].build(task, render)

    def score(self, task: str, docs: Sequence[Doc], answers: Mapping[str, Response]) -> Iterator[Sample]:
        """See ports.Harness.score."""
        return self._of[task].score(task, docs, answers)

    def aggregate(self, task: str, samples: Sequence[Sample]) -> list[Result]:
        """See ports.Harness.aggregate."""
        return self._of[task].aggregate(task, samples)

    def aggregate_group(self, group: GroupPin, results: Sequence[Result]) -> list[Result]:
        """See ports.Harness.aggregate_group."""
        return self._of[group.tasks[0]].aggregate_group(group, results)

    def running(self, task: str, doc: Doc, answers: Mapping[str, Response]) -> float | None:
        """See ports.Harness.running."""
        return self._of[task].running(task, doc, answers)

    def observed(self) -> dict[str, Any]:
        """See ports.Harness.observed."""
        return self._evalplus.observed()
