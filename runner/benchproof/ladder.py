"""Two runs, layer by layer: plan, prompts, tokens, answers, filtered answers, metrics. The one place that compares.

Whatever checks a record (rescore, reproduce, audit, noise, compare) makes other answers or other rows; this says where
the two part. A layer is compared where both sides have it at hand, and is `None` where one has not.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from benchproof.schema.plan import PLACES, Plan
from benchproof.schema.record import Record
from benchproof.schema.request import Doc, Encoded
from benchproof.store.rows import Part, Row, part_path, read_docs, read_rows

Layer = Literal["prompts", "tokens", "answers", "filtered", "metrics"]
LAYERS: tuple[Layer, ...] = ("prompts", "tokens", "answers", "filtered", "metrics")
T = TypeVar("T")
AROUND = 40  # characters shown on each side of a difference


@dataclass(frozen=True, slots=True)
class Side:
    """A record, and the folder its files lie in; None where only the record is at hand."""

    record: Record
    folder: Path | None

    def has(self, part: Part, task: str) -> bool:
        """Whether the file of a task is there."""
        return self.folder is not None and part_path(self.folder, part, task).is_file()

    def rows(self, task: str) -> Iterator[Row]:
        """The scored docs of a task. Raises MissingInput, VerificationFailed."""
        return read_rows(self._folder(), task)

    def docs(self, task: str) -> Iterator[tuple[Doc, list[Encoded]]]:
        """The docs of a task as they were asked. Raises MissingInput, VerificationFailed."""
        return read_docs(self._folder(), task)

    def _folder(self) -> Path:
        if self.folder is None:
            raise ValueError("asked for the files of a record that came alone: look with `has` first")
        return self.folder


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field that two plans do not share: its dotted path, and both values."""

    path: str
    there: Any
    here: Any

    @property
    def told(self) -> str:
        """For people."""
        return f"{self.path}: {self.there!r} there, {self.here!r} here"


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """What became of the log-likelihoods of a task's docs.

    largest: max |difference|, nats. near_ties: docs whose pick changed and whose two best choices lay no further apart
    than twice `largest`, on either side: numerics can explain those, and no others.
    """

    compared: int
    differing: int
    largest: float
    picks_changed: int
    near_ties: int


@dataclass(frozen=True, slots=True)
class TaskDifference:
    """One task on two sides. pairs: docs on both, by content. layers: docs that differ; None: not at hand."""

    task: str
    pairs: tuple[tuple[Row, Row], ...]
    only_there: int
    only_here: int
    layers: Mapping[Layer, int | None]
    likelihoods: Likelihoods | None
    shown: tuple[str, ...]  # the first difference of the first layer that differs, in lines for people

    @property
    def first(self) -> Layer | None:
        """The first layer that differs, or None."""
        return next((layer for layer in LAYERS if self.layers[layer]), None)

    @property
    def told(self) -> list[str]:
        """The first layer that differs, how many docs differ in each, and the first difference, in lines for people."""
        if self.first is None:
            return []
        counts = ", ".join(f"{layer} {count}" for layer, count in self.layers.items() if count)
        lines = [f"{self.task}: first in {self.first}; docs that differ: {counts} of {len(self.pairs)}", *self.shown]
        lls = self.likelihoods
        if lls is not None and lls.differing:
            lines.append(
                f"  {lls.differing} of {lls.compared} log-likelihoods differ, at most by {lls.largest:.2g}; "
                f"{lls.picks_changed} picks changed, {lls.near_ties} of them near ties"
            )
        return lines


def compare_task(task: str, there: Side, here: Side) -> TaskDifference:
    """All layers of one task. Raises MissingInput, VerificationFailed for files that cannot be read."""
    rows = there.has("samples", task) and here.has("samples", task)
    pairs, only_there, only_here = pair_rows(there.rows(task), here.rows(task)) if rows else ((), 0, 0)
    layers: dict[Layer, int | None] = dict.fromkeys(LAYERS)
    shown: tuple[str, ...] = ()
    if rows:
        layers["prompts"] = sum(a.requests != b.requests for a, b in pairs)
        layers["answers"] = sum(a.responses != b.responses for a, b in pairs)
        layers["filtered"] = sum(a.filtered != b.filtered for a, b in pairs)
        layers["metrics"] = sum(a.metrics != b.metrics for a, b in pairs)
    if there.has("requests", task) and here.has("requests", task):
        if _digest(there, task) == _digest(here, task):
            layers["prompts"] = layers["tokens"] = 0
        else:
            layers["prompts"], layers["tokens"], shown = _asked(there.docs(task), here.docs(task))
    likelihoods = _likelihoods(pairs)
    found = TaskDifference(task, pairs, only_there, only_here, layers, likelihoods, shown)
    if not shown and found.first in ("answers", "filtered", "metrics"):
        return replace(found, shown=_show_rows(found.first, pairs))
    return found


def pair_rows(there: Iterable[Row], here: Iterable[Row]) -> tuple[tuple[tuple[Row, Row], ...], int, int]:
    """Rows of equal content, in the order of `here`; and how many of each side have no partner.

    A doc that stands several times in a split is paired in order of its places.
    """
    known = dict(_keyed(there, _content))
    total = len(known)
    pairs, alone = [], 0
    for key, row in _keyed(here, _content):
        partner = known.pop(key, None)
        if partner is None:
            alone += 1
        else:
            pairs.append((partner, row))
    return tuple(pairs), total - len(pairs), alone


def benchmark_differences(there: Plan, here: Plan, task: str) -> list[FieldDifference]:
    """Why the benchmark ids of a task differ: fields of its two pins, and its harness's version."""
    harness = there.task_mark(task).harness
    return [
        *differences(_questions(there, task), _questions(here, task), "ask"),
        *differences(there.task_mark(task).json_value(), here.task_mark(task).json_value(), "mark"),
        *differences(there.mark.harness.get(harness), here.mark.harness.get(harness), f"harness.{harness}"),
    ]


def model_differences(there: Plan, here: Plan) -> list[FieldDifference]:
    """Why two models are not the same: fields of their contents."""
    return differences(there.ask.model.content.json_value(), here.ask.model.content.json_value(), "model.content")


def other_measurement(there: Plan, here: Plan) -> list[FieldDifference]:
    """The fields that make two plans measure different things; empty if every measurement id agrees."""
    tasks_there, tasks_here = ({pin.task for pin in plan.ask.tasks} for plan in (there, here))
    if tasks_there != tasks_here:
        return [FieldDifference("tasks", sorted(tasks_there - tasks_here), sorted(tasks_here - tasks_there))]
    found: dict[str, FieldDifference] = {}
    for pin in here.ask.tasks:
        if there.measurement_id(pin.task) != here.measurement_id(pin.task):
            fields = [*model_differences(there, here), *benchmark_differences(there, here, pin.task)]
            found |= {item.path: found.get(item.path, item) for item in fields}
    return list(found.values())


def computation_differences(there: Plan, here: Plan) -> list[FieldDifference]:
    """How two measurements of one thing were computed in other ways: engine, seeds, packages."""
    return [
        difference
        for part in ("engine", "seeds", "packages", "truncation")
        for difference in differences(there.ask.json_value()[part], here.ask.json_value()[part], part)
    ]


def differences(there: Any, here: Any, path: str) -> list[FieldDifference]:
    """Leaves where two JSON values differ, in the order of `there`'s keys; a missing key is None."""
    if there == here:
        return []
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        keys = dict.fromkeys([*there, *here])
        return [item for key in keys for item in differences(there.get(key), here.get(key), f"{path}.{key}")]
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        pairs = enumerate(zip(there, here, strict=True))
        return [item for index, (a, b) in pairs for item in differences(a, b, f"{path}[{index}]")]
    return [FieldDifference(path, there, here)]


def _questions(plan: Plan, task: str) -> dict[str, Any]:
    value = plan.task_ask(task).json_value()
    value["dataset"] = {key: item for key, item in value["dataset"].items() if key not in PLACES}
    return value


def _content(row: Row) -> str:
    return row.doc_sha256


def _keyed(items: Iterable[T], content: Callable[[T], str]) -> Iterator[tuple[tuple[str, int], T]]:
    """Each with its doc's hash, and which of the docs of that hash it is."""
    seen: Counter[str] = Counter()
    for item in items:
        digest = content(item)
        yield (digest, seen[digest]), item
        seen[digest] += 1


def _digest(side: Side, task: str) -> str | None:
    """What the record says of the file of a task's requests."""
    name = part_path(Path(), "requests", task).as_posix()
    return next((file.sha256 for file in side.record.files if file.path == name), None)


def _asked(
    there: Iterable[tuple[Doc, list[Encoded]]], here: Iterable[tuple[Doc, list[Encoded]]]
) -> tuple[int, int, tuple[str, ...]]:
    """Docs whose prompts differ, docs of equal prompts whose token ids differ, and the first of them shown."""

    def content(asked: tuple[Doc, list[Encoded]]) -> str:
        return asked[0].sha256

    known = dict(_keyed(there, content))
    prompts = tokens = 0
    texts: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    for key, (doc, encoded) in _keyed(here, content):
        partner = known.get(key)
        if partner is None:
            continue
        if [request.hash for request in partner[0].requests] != [request.hash for request in doc.requests]:
            prompts += 1
            texts = texts or _show_prompts(partner[0], doc)
        elif [(e.context, e.continuation) for e in partner[1]] != [(e.context, e.continuation) for e in encoded]:
            tokens += 1
            ids = ids or _show_tokens(doc.doc_id, partner[1], encoded)
    return prompts, tokens, texts or ids


def _show_prompts(there: Doc, here: Doc) -> tuple[str, ...]:
    head = f"doc {here.doc_id}"
    if len(there.requests) != len(here.requests):
        return (f"{head}: {len(there.requests)} requests there, {len(here.requests)} here",)
    a, b = next((a, b) for a, b in zip(there.requests, here.requests, strict=True) if a.hash != b.hash)
    if a.context != b.context:
        return (f"{head}: the prompts part at character {_parting(a.context, b.context)}", *_both(a.context, b.context))
    if a.continuation != b.continuation:
        return (
            f"{head}, choice {a.choice}: the continuations differ",
            *_both(a.continuation or "", b.continuation or ""),
        )
    settings = differences(
        a.generation.json_value() if a.generation else None,
        b.generation.json_value() if b.generation else None,
        "generation",
    )
    lines = [f"  {item.told}" for item in settings]
    return (f"{head}: equal texts, other settings", *(lines or [f"  seed {a.seed} there, {b.seed} here"]))


def _show_tokens(doc_id: int, there: Sequence[Encoded], here: Sequence[Encoded]) -> tuple[str, ...]:
    a, b = next(
        (a.context + a.continuation, b.context + b.continuation)
        for a, b in zip(there, here, strict=True)
        if (a.context, a.continuation) != (b.context, b.continuation)
    )
    lines = [f"doc {doc_id}: equal text, other token ids: {len(a)} there, {len(b)} here"]
    for longer, shorter, word in ((a, b, "there"), (b, a, "here")):
        if longer[1:] == shorter:
            twice = len(longer) > 1 and longer[0] == longer[1]
            what = "it stands twice: a doubled BOS" if twice else "a BOS that the other has not"
            lines.append(f"  {word} begins with one token more, {longer[0]}: {what}")
            return tuple(lines)
    at = _parting(a, b)
    return (*lines, f"  from place {at} on: {list(a[at : at + 6])} there, {list(b[at : at + 6])} here")


def _show_rows(layer: Layer, pairs: Sequence[tuple[Row, Row]]) -> tuple[str, ...]:
    field = "responses" if layer == "answers" else layer
    a, b = next((a, b) for a, b in pairs if getattr(a, field) != getattr(b, field))
    head = f"doc {b.doc_id}"
    if layer != "answers":
        found = differences(_plain(getattr(a, layer)), _plain(getattr(b, layer)), layer)
        return (head, *(f"  {item.told}" for item in found[:4]))
    x, y = next((x, y) for x, y in zip(a.responses, b.responses, strict=True) if x != y)
    if isinstance(x, Mapping) and isinstance(y, Mapping):
        if x["text"] == y["text"]:
            return (f"{head}: equal texts, ended by {x['stop']} there, by {y['stop']} here",)
        return (f"{head}: the texts part at character {_parting(x['text'], y['text'])}", *_both(x["text"], y["text"]))
    return (f"{head}: log-likelihood {x[0]} there, {y[0]} here",)


def _plain(value: Any) -> Any:
    return {key: dict(item) if isinstance(item, Mapping) else item for key, item in value.items()}


def _likelihoods(pairs: Sequence[tuple[Row, Row]]) -> Likelihoods | None:
    """None where no doc is answered by log-likelihoods."""
    gaps: list[float] = []  # of each doc whose pick changed: the smaller of the two leads
    compared = differing = 0
    largest = 0.0
    for a, b in pairs:
        there, here = _values(a), _values(b)
        if there is None or here is None or len(there) != len(here):
            continue
        compared += len(here)
        deltas = [abs(x - y) for x, y in zip(there, here, strict=True)]
        differing += sum(delta > 0 for delta in deltas)
        largest = max(largest, *deltas)
        if len(here) > 1 and there.index(max(there)) != here.index(max(here)):
            gaps.append(min(_lead(there), _lead(here)))
    if not compared:
        return None
    near = sum(gap <= 2 * largest for gap in gaps)
    return Likelihoods(compared, differing, largest, len(gaps), near)


def _values(row: Row) -> list[float] | None:
    if any(isinstance(response, Mapping) for response in row.responses):
        return None
    return [float(response[0]) for response in row.responses]


def _lead(values: Sequence[float]) -> float:
    best, second = sorted(values, reverse=True)[:2]
    return best - second


def _parting(a: Sequence[Any], b: Sequence[Any]) -> int:
    """The first place where two sequences differ; the shorter's length if it is the beginning of the other."""
    pairs = zip(a, b, strict=False)
    return next((i for i, (x, y) in enumerate(pairs) if x != y), min(len(a), len(b)))


def _both(a: str, b: str) -> tuple[str, str]:
    at = max(_parting(a, b) - AROUND, 0)
    return f"  there …{a[at : at + 2 * AROUND]!r}", f"  here  …{b[at : at + 2 * AROUND]!r}"
