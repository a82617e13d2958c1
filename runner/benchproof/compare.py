"""Two or more records, or a record and a number that somebody printed: the difference of each score, with its doubt.

Pairs are (task, doc content, repeat) within equal benchmark ids. Other questions, or the same asked in another way, are
*not comparable*, and the fields that differ are named; an unpaired comparison is made only where it is asked for.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from benchproof.errors import BadInput
from benchproof.judge import LAST_BITS, ScorePairs, measure, score_pairs
from benchproof.ladder import (
    FieldDifference,
    Side,
    TaskDifference,
    benchmark_differences,
    compare_task,
    computation_differences,
)
from benchproof.schema.record import Record
from benchproof.schema.score import Claimed, Key, Result
from benchproof.stats.intervals import MIN_CLUSTERS, Interval, clustered, mean_t
from benchproof.stats.paired import benjamini_hochberg, holm
from benchproof.stats.power import mde_paired, mde_unpaired

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Flip:
    """One doc whose metric differs, with what each side's filter took."""

    task: str
    doc_id: int
    there: float
    here: float
    filtered_there: str
    filtered_here: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One headline of two records. interval: 95 %, of here - there. mde: what would be seen with 80 % probability.

    reason: why not comparable, or how it was compared. p: of no difference; holm, bh: over the whole family.
    """

    benchmark: str
    task: str
    metric: str
    filter: str
    headline: bool
    there: float
    here: float
    n: int
    comparable: bool
    paired: bool
    reason: str
    difference: float
    interval: Interval | None
    p: float | None
    mde: float | None
    only_there: int | None
    only_here: int | None
    fields: tuple[FieldDifference, ...] = ()
    flips: tuple[Flip, ...] = ()
    holm: float | None = None
    bh: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One record against the first. same: the measurement ids agree too, so that layers say where the two part."""

    record: Record
    differences: tuple[Difference, ...]
    only_there: tuple[str, ...]  # benchmarks
    only_here: tuple[str, ...]
    same: bool
    other_computation: tuple[FieldDifference, ...]
    tasks: Mapping[str, TaskDifference]


def compare(sides: Sequence[Side], *, unpaired: bool) -> list[Comparison]:
    """Every record against the first; p adjusted over all differences of all of them. Raises BadInput (2) for one."""
    if len(sides) < 2:
        raise BadInput("a comparison needs two records", where="compare", do="give a second record, or --claimed")
    found = [_pair(sides[0], side, unpaired) for side in sides[1:]]
    adjusted = _adjusted([difference for item in found for difference in item.differences])
    return [replace(item, differences=tuple(islice(adjusted, len(item.differences)))) for item in found]


def against_claim(record: Record, claimed: Claimed, benchmark: str | None) -> Difference:
    """A headline against a number that somebody printed. Raises BadInput (2) where it is not clear which headline."""
    heads = [result for result in record.results if result.headline]
    names = [result.benchmark for result in heads]
    if benchmark is None and len(heads) > 1:
        raise BadInput("the record has several scores", where="--claimed", do=f"give --of, one of {', '.join(names)}")
    match = [result for result in heads if benchmark in (None, result.benchmark)]
    if not match:
        raise BadInput(f"the record has no score of {benchmark!r}", where="--of", do=f"one of {', '.join(names)}")
    return _unpaired(match[0], claimed, "a printed number: two independent measurements are assumed", ())


def against_claims(record: Record, claims: Mapping[Key, Claimed]) -> list[Difference]:
    """Every score of a record that somebody's file states too; p adjusted over all of them."""
    why = "from a file: two independent measurements are assumed"
    found = [
        _unpaired(result, claims[result.place], why, ())
        for result in record.results
        if result.level != "category" and result.place in claims
    ]
    return list(_adjusted(found))


def _adjusted(differences: Sequence[Difference]) -> Iterator[Difference]:
    """The same, each p adjusted over all of them."""
    known = [item.p for item in differences if item.p is not None]
    adjusted = iter(zip(holm(known), benjamini_hochberg(known), strict=True))
    for item in differences:
        if item.p is None:
            yield item
        else:
            by_holm, by_bh = next(adjusted)
            yield replace(item, holm=by_holm, bh=by_bh)


def _pair(there: Side, here: Side, unpaired: bool) -> Comparison:
    a, b = there.record.effective, here.record.effective
    common = [pin.task for pin in b.ask.tasks if any(pin.task == other.task for other in a.ask.tasks)]
    equal = [task for task in common if a.benchmark_id(task) == b.benchmark_id(task)]
    same = bool(equal) and all(a.measurement_id(task) == b.measurement_id(task) for task in equal)
    tasks = {task: compare_task(task, there, here) for task in equal}
    heads = {result.benchmark: result for result in there.record.results if result.headline}
    found = []
    for result in [result for result in here.record.results if result.headline]:
        other = heads.pop(result.benchmark, None)
        if other is not None:
            found.append(_difference(there, here, other, result, tasks, unpaired))
    named = {result.benchmark for result in found}
    return Comparison(
        record=here.record,
        differences=tuple(found),
        only_there=tuple(heads),
        only_here=tuple(r.benchmark for r in here.record.results if r.headline and r.benchmark not in named),
        same=same,
        other_computation=tuple(computation_differences(a, b)),
        tasks=tasks,
    )


def _difference(
    there: Side, here: Side, other: Result, result: Result, tasks: Mapping[str, TaskDifference], unpaired: bool
) -> Difference:
    fields = _fields(there.record, here.record, other, result)
    claimed = Claimed(float(other.value), other.stderr_value, other.n)
    if fields:
        what = f"not the same questions, asked and marked the same way: {fields[0].path} differs"
        found = _unpaired(result, claimed, f"UNPAIRED, as asked: {what}" if unpaired else what, fields)
        return found if unpaired else replace(found, comparable=False, interval=None, p=None, mde=None)
    pairs = score_pairs(result, here.record.effective, tasks)
    if pairs is None:
        what = "unpaired: the rows of both are not at hand, or it is no mean over docs"
        return _unpaired(result, claimed, what, ())
    measured = measure(result, claimed, pairs)
    interval, how = _interval(pairs)
    share = pairs.discordant / len(pairs.docs)
    return Difference(
        benchmark=result.benchmark,
        task=result.task,
        metric=result.metric,
        filter=result.filter,
        headline=result.headline,
        there=claimed.value,
        here=float(result.value),
        n=len(pairs.docs),
        comparable=True,
        paired=True,
        reason=how,
        difference=measured.difference,
        interval=interval,
        p=measured.p,
        mde=mde_paired(len(pairs.docs), share) if pairs.binary and share else None,
        only_there=measured.b,
        only_here=measured.c,
        flips=tuple(_flips(pairs, tasks, result)),
    )


def _interval(pairs: ScorePairs) -> tuple[Interval | None, str]:
    """95 %: over clusters where there are enough of them (to other subjects), else over docs (to other docs)."""
    ds = pairs.differences
    groups: dict[str, list[float]] = defaultdict(list)
    for name, d in zip(pairs.clusters, ds, strict=True):
        groups[name].append(d)
    if len(groups) >= MIN_CLUSTERS:
        if pairs.equal_weights:
            return clustered(ds, pairs.clusters, LEVEL), f"paired; interval over {len(groups)} clusters"
        means = [sum(values) / len(values) for values in groups.values()]
        return mean_t(means, LEVEL), f"paired; interval over {len(groups)} tasks of equal weight"
    return pairs.over_docs(LEVEL), "paired; interval over docs: too few clusters for one over them"


def _fields(there: Record, here: Record, other: Result, result: Result) -> tuple[FieldDifference, ...]:
    """Why two headlines are not of the same questions; empty if they are."""
    place = [(r.task, r.metric, r.filter, sorted(r.computed_from)) for r in (other, result)]
    if place[0] != place[1]:
        return (FieldDifference("headline", place[0], place[1]),)
    a, b = there.effective, here.effective
    found: dict[str, FieldDifference] = {}
    for task in result.computed_from or [result.task]:
        if a.benchmark_id(task) != b.benchmark_id(task):
            found |= {item.path: found.get(item.path, item) for item in benchmark_differences(a, b, task)}
    return tuple(found.values())


def _unpaired(result: Result, claimed: Claimed, reason: str, fields: tuple[FieldDifference, ...]) -> Difference:
    measured = measure(result, claimed, None, level=LEVEL)
    return Difference(
        benchmark=result.benchmark,
        task=result.task,
        metric=result.metric,
        filter=result.filter,
        headline=result.headline,
        there=claimed.value,
        here=float(result.value),
        n=result.n,
        comparable=True,
        paired=False,
        reason=reason,
        difference=measured.difference,
        interval=measured.interval,
        p=measured.p,
        mde=mde_unpaired(min(result.n, claimed.n or result.n), min(max(float(result.value), 0.01), 0.99)),
        only_there=None,
        only_here=None,
        fields=fields,
    )


def _flips(pairs: ScorePairs, tasks: Mapping[str, TaskDifference], result: Result) -> Iterator[Flip]:
    rows = {(task, b.doc_id): (a, b) for task in {task for task, _ in pairs.docs} for a, b in tasks[task].pairs}
    for (task, doc_id), there, here in zip(pairs.docs, pairs.there, pairs.here, strict=True):
        if abs(there - here) > LAST_BITS:
            a, b = rows[task, doc_id]
            yield Flip(task, doc_id, there, here, _short(a.filtered, result.filter), _short(b.filtered, result.filter))


def _short(filtered: Mapping[str, object], name: str) -> str:
    value = filtered.get(name, next(iter(filtered.values()), ""))
    text = str(value[0] if isinstance(value, list) and len(value) == 1 else value)
    return text if len(text) <= 80 else f"{text[:77]}..."
