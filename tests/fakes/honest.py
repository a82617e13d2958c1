"""A run with something of everything that a record claims: hashes of rows, categories, groups, a sandbox, warnings.

The harness marks by the real aggregation (suites/aggregate.py); its rows, answers and sandbox are made up.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchproof.ports import Asking, Op, Progress, Render, Source, TaskPins
from benchproof.sandbox.probe import CHILD, LANDLOCK
from benchproof.schema.canonical import chain, doc_sha256, text_sha256
from benchproof.schema.plan import GroupPin, Headline, TaskAskPin, TaskMarkPin
from benchproof.schema.record import Record
from benchproof.schema.request import Doc, Encoded, Request
from benchproof.schema.response import Generated, Loglikelihood, Response
from benchproof.schema.score import Result, Sample
from benchproof.schema.spec import TaskAsk
from benchproof.suites import aggregate
from benchproof.suites.humaneval_marking import CONTROLS
from fakes.counting import CountingEngine
from fakes.harness import TableHarness
from fakes.plans import GREEDY, a_choice, a_generation, a_mark_pin, a_task_pin
from fakes.world import table_run, table_spec

TASKS = ("choose_a", "choose_b", "kinds", "write", "program")
KINDS = ("plants", "stones")


@dataclass
class HonestHarness(TableHarness):
    """`choose*` and `kinds` (with categories) choose, `write*` writes, `program` is run in a sandbox.

    sizes: task -> docs, where it is not `docs`. shots: text before each question.
    """

    versions: Mapping[str, str] = field(default_factory=lambda: {"table": "1", "evalplus": "1"})
    sizes: Mapping[str, int] = field(default_factory=dict)
    shots: str = ""
    choices: Sequence[str] = (" yes", " no")
    sandbox: str = "auto"
    tasks: Sequence[str] = ()

    def load(self, tasks: Sequence[TaskAsk], asking: Asking, source: Source, progress: Progress) -> TaskPins:
        self.tasks = [ask.task for ask in tasks]
        pins = [self._pins(ask) for ask in tasks]
        choosing = [name for name in self.tasks if name.startswith("choose")]
        groups = []
        if len(choosing) > 1:
            keys = dict.fromkeys(choosing, "acc,none")
            pooled = {"metric": "acc", "filter": "none", "weight_by_size": True, "keys": keys}
            equal = {"metric": "task_score", "filter": "none", "weight_by_size": False, "keys": keys}
            own = GroupPin(
                name="equal", parent=None, tasks=choosing, metrics=[equal], defined_by="benchproof", benchmark="choose"
            )
            groups = [own.model_copy(update={"name": "pooled", "metrics": [pooled], "defined_by": "harness"}), own]
        targets = {mark.benchmark: mark.task for _, mark in reversed(pins)}
        targets |= {"choose": "pooled"} if groups else {}
        return TaskPins(
            asks=[ask for ask, _ in pins],
            marks=[mark for _, mark in pins],
            groups=groups,
            headlines=[
                Headline(
                    benchmark=benchmark,
                    target=target,
                    metric="pass@1" if target == "program" else "acc",
                    filter="base" if target == "program" else "none",
                    reason="its only one",
                )
                for benchmark, target in targets.items()
            ],
            left_out=[],
            notes=[("choose", "a note")],
        )

    def _pins(self, ask: TaskAsk) -> tuple[TaskAskPin, TaskMarkPin]:
        name, whole = ask.task, self.sizes.get(ask.task, self.docs)
        writes, programs = name.startswith(("write", "program")), name == "program"
        asked = a_task_pin(
            name,
            n_docs=whole,
            output_type="generate_until" if writes else "multiple_choice",
            generation=GREEDY.json_value() if writes else None,
            limit=ask.limit,
        )
        rows = chain([doc_sha256(self._row(name, i)) for i in range(whole)])
        kinds = chain([text_sha256(self._kind(name, i) or "") for i in range(whole)]) if name == "kinds" else None
        mark = a_mark_pin(
            name,
            harness="evalplus" if programs else "table",
            benchmark="choose" if name.startswith("choose") else name,
            metrics=["pass@1"] if programs else ["acc"],
            filters=["base", "plus"] if programs else ["none"],
            higher_is_better={"pass@1" if programs else "acc": True},
            config={"sandbox": self.sandbox}
            if programs
            else {"metric_list": [{"metric": "acc", "aggregation": "mean"}]},
            categories_sha256=kinds,
        )
        return asked.model_copy(
            update={
                "n_docs": min(ask.limit or whole, whole),
                "dataset": asked.dataset.model_copy(update={"docs_sha256": rows}),
            }
        ), mark

    def _row(self, task: str, number: int) -> dict[str, Any]:
        long = " and so on" * (4 if (task, number) == ("choose_a", 1) else 0)  # does not fit the model's context
        return {"q": f"{task} {number}{long}?", "n": number}

    def _kind(self, task: str, number: int) -> str | None:
        return KINDS[number % 2] if task == "kinds" else None

    def build(self, task: str, render: Render | None) -> list[Doc]:
        return [self._doc(task, number) for number in range(self.sizes.get(task, self.docs))]

    def _doc(self, task: str, number: int) -> Doc:
        row = self._row(task, number)
        context = self.shots + row["q"]
        if task.startswith(("write", "program")):
            asked: tuple[Request, ...] = (a_generation(task, number, 0, context, GREEDY),)
        else:
            asked = tuple(a_choice(task, number, i, context, answer) for i, answer in enumerate(self.choices))
        target = 0 if len(asked) > 1 else f"answer to {number}"
        return Doc(task, number, row, doc_sha256(row), target, self._kind(task, number), asked)

    def score(self, task: str, docs: Sequence[Doc], answers: Mapping[str, Response]) -> Iterator[Sample]:
        for doc in docs:
            value = self.running(task, doc, answers)
            found = [answers[request.hash] for request in doc.requests]
            lls = [answer.loglikelihood for answer in found if isinstance(answer, Loglikelihood)]
            taken: list[Any] = [lls.index(max(lls))] if lls else [answer.text for answer in found]  # type: ignore[union-attr]
            names = {"base": "pass@1", "plus": "pass@1"} if task == "program" else {"none": "acc"}
            yield Sample(
                task=task,
                doc_id=doc.doc_id,
                doc_sha256=doc.sha256,
                category=doc.category,
                target=doc.target,
                requests=tuple(request.hash for request in doc.requests),
                filtered=dict.fromkeys(names, taken),
                metrics={name: {metric: value} for name, metric in names.items()},
            )

    def running(self, task: str, doc: Doc, answers: Mapping[str, Response]) -> float:
        return super().running(task, doc, answers) if doc.doc_id % 3 else 0.0

    def aggregate(self, task: str, samples: Sequence[Sample]) -> list[Result]:
        benchmark = "choose" if task.startswith("choose") else task
        found = aggregate.mean_results(task, benchmark, samples)
        for kind in sorted({sample.category for sample in samples if sample.category}):
            members = [sample for sample in samples if sample.category == kind]
            update = {"level": "category", "category": kind}
            found += [r.model_copy(update=update) for r in aggregate.mean_results(task, benchmark, members)]
        return found

    def aggregate_group(self, group: GroupPin, results: Sequence[Result]) -> list[Result]:
        return aggregate.group_results(group, None, results)

    def observed(self) -> dict[str, Any]:
        if "program" not in self.tasks:
            return {}
        tries = [] if self.sandbox == "none" else [*CHILD, *LANDLOCK]
        probes = [(item.name, item.layer, item.expected, item.expected.split("|")[0]) for item in tries]
        probes += [("canary folder", "all", "untouched", "untouched")] if tries else []
        return {
            "tier": "none" if self.sandbox == "none" else "landlock",
            "leaks": [],
            "versions": {"python": "3.11"},
            "probes": [dict(zip(("name", "layer", "expected", "seen"), probe, strict=True)) for probe in probes],
            "workers": 1,
            "controls": [{"name": name, "expected": verdict, "seen": verdict} for name, verdict, _ in CONTROLS],
        }


@dataclass
class HonestEngine(CountingEngine):
    """The last doc of `choose_b` has two equal choices; the first text of `write` is cut at the token limit."""

    width: int = 1  # characters of a token

    def answer(self, op: Op, requests: Sequence[Request], encoded: Sequence[Encoded]) -> list[Response]:
        return [self._bent(requests[i], answer) for i, answer in zip(op.requests, self._plain(op, requests, encoded))]  # noqa: B905

    def _plain(self, op: Op, requests: Sequence[Request], encoded: Sequence[Encoded]) -> list[Response]:
        return super().answer(op, requests, encoded)

    def _bent(self, request: Request, answer: Response) -> Response:
        if isinstance(answer, Generated) and (request.task, request.doc_id) == ("write", 0):
            return replace(answer, stop="length")
        if isinstance(answer, Loglikelihood) and (request.task, request.doc_id) == ("choose_b", 3):
            return replace(answer, loglikelihood=-1.5)
        return answer

    def _encoded(self, request: Request) -> Encoded:
        found = super()._encoded(request)
        return replace(found, context=found.context[:: self.width])


def honest_run(
    out: Path, *, limit: int | None = None, sandbox: str = "auto", tasks: Sequence[str] = TASKS
) -> tuple[Record, Path]:
    """A whole run over the tasks; `limit` is of `write`."""
    asked = [{"task": name} | ({"limit": limit} if limit and name == "write" else {}) for name in tasks]
    harness = HonestHarness(docs=5, sizes={"choose_b": 4}, sandbox=sandbox)
    return table_run(out, HonestEngine(), harness, spec=table_spec(*asked, sandbox=sandbox))
