"""A harness of two tasks without a library: `choose` (two choices) and `write` (a text). Implements ports.Harness."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchproof.ports import Asking, Progress, Render, Source, TaskPins
from benchproof.schema.canonical import decimal, sha256
from benchproof.schema.plan import GroupPin, Headline
from benchproof.schema.request import Doc
from benchproof.schema.response import Generated, Loglikelihood, Response
from benchproof.schema.score import Result, Sample
from benchproof.schema.spec import TaskAsk
from benchproof.schema.unknown import Unknown
from fakes.plans import GREEDY, a_generation, a_mark_pin, a_task_pin, some_docs


@dataclass
class TableHarness:
    """`docs` docs a task; the first choice is right, and so is the text `so`."""

    docs: int = 5
    marking: Callable[[str], None] = lambda task: None  # called before a task is marked: may raise
    versions: Mapping[str, str] = field(default_factory=lambda: {"table": "1"})
    packages: Mapping[str, str] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)  # as they were asked

    def observed(self) -> dict[str, Any]:
        return {}

    def look_up(self, tasks: Sequence[TaskAsk]) -> None:
        """Nothing is unknown to a table."""

    def load(self, tasks: Sequence[TaskAsk], asking: Asking, source: Source, progress: Progress) -> TaskPins:
        names = [ask.task for ask in tasks]
        self.limits = {ask.task: ask.limit for ask in tasks if ask.limit is not None}
        return TaskPins(
            asks=[
                a_task_pin(
                    ask.task,
                    n_docs=self.docs,
                    output_type="generate_until" if ask.task.startswith("write") else "multiple_choice",
                    limit=ask.limit,
                ).model_copy(update={"n_docs": min(ask.limit or self.docs, self.docs)})
                for ask in tasks
            ],
            marks=[a_mark_pin(name) for name in names],
            groups=[],
            headlines=[
                Headline(benchmark=n, target=n, metric="acc", filter="none", reason="its only one") for n in names
            ],
            left_out=[],
            notes=[],
        )

    def build(self, task: str, render: Render | None) -> list[Doc]:
        docs = min(self.docs, self.limits.get(task, self.docs))
        if task.startswith("write"):
            return [
                Doc(
                    task,
                    i,
                    {"q": f"{i}"},
                    sha256(f"{i}".encode()),
                    "so",
                    None,
                    (a_generation(task, i, 0, f"{i}?", GREEDY),),
                )
                for i in range(docs)
            ]
        return some_docs(task, docs)

    def score(self, task: str, docs: Sequence[Doc], answers: Mapping[str, Response]) -> Iterator[Sample]:
        self.marking(task)
        for doc in docs:
            value = self.running(task, doc, answers)
            yield Sample(
                task=task,
                doc_id=doc.doc_id,
                doc_sha256=doc.sha256,
                category=None,
                target=doc.target,
                requests=tuple(request.hash for request in doc.requests),
                filtered={"none": [value]},
                metrics={"none": {"acc": value}},
            )

    def aggregate(self, task: str, samples: Sequence[Sample]) -> list[Result]:
        values = [sample.metrics["none"]["acc"] for sample in samples]
        return [
            Result(
                task=task,
                level="task",
                benchmark=task,
                metric="acc",
                filter="none",
                value=decimal(sum(values) / len(values)),
                stderr=Unknown(unknown="not_exposed", detail="a table has none"),
                n=len(values),
                higher_is_better=True,
            )
        ]

    def aggregate_group(self, group: GroupPin, results: Sequence[Result]) -> list[Result]:
        return []

    def running(self, task: str, doc: Doc, answers: Mapping[str, Response]) -> float:
        found = [answers[request.hash] for request in doc.requests]
        if isinstance(found[0], Generated):
            return float(found[0].text == doc.target)
        lls = [answer.loglikelihood for answer in found if isinstance(answer, Loglikelihood)]
        return float(lls.index(max(lls)) == doc.target)
