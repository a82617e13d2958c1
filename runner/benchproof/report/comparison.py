"""Records side by side as text: scores, differences with their doubt, flips, and where two runs of one thing part."""

from collections.abc import Sequence
from typing import Any

from benchproof.compare import Comparison, Difference
from benchproof.report.text import drawn, out, table
from benchproof.schema.record import Record

FEW = 6  # fields, tasks and flips that are shown without being asked for
HEAD = ("score", "first", "this", "points", "95 % interval", "p", "Holm", "BH", "MDE", "only first", "only this")


def show_comparisons(first: Record, found: Sequence[Comparison], *, flips: bool) -> None:
    """All records against the first."""
    out(f"first  {first.model_name}   {first.record_id[:12]}", bold=True)
    for item in found:
        out(f"\nthis   {item.record.model_name}   {item.record.record_id[:12]}", bold=True)
        _differences(item.differences)
        for word, names in (("first", item.only_there), ("this", item.only_here)):
            if names:
                out(f"only in the {word} record: {', '.join(names)}")
        if flips:
            _flips(item.differences)
        if item.same:
            _layers(item)


def show_claim(found: Difference, source: str, unsaid: Sequence[str]) -> None:
    """A score of ours against a printed number."""
    out(f"{found.benchmark}: {found.there:.4f} {source}, {found.here:.4f} in the record (n={found.n})", bold=True)
    _differences([found])
    verdict = "cannot be told" if found.p is None else "compatible" if found.p >= 0.05 else "NOT COMPATIBLE"
    out(f"{verdict}: {found.reason}", bold=True)
    out("what the number's source does not say:")
    for line in unsaid:
        out(f"  {line}")


def show_claims(name: str, record: Record, found: Sequence[Difference], assumptions: Sequence[str]) -> None:
    """A record against the scores that somebody's file states: nothing pins that both measured the same."""
    out(f"first  {name}, from the file\nthis   {record.model_name}   {record.record_id[:12]}", bold=True)
    if not found:
        out("NOT COMPARABLE: no score of the file is one of the record's", bold=True)
        return
    _differences(found)
    out("\nthe file does not say, or not as a record does:")
    for line in assumptions:
        out(f"  {line}")


def as_json(found: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Everything, flips included."""
    return [
        {
            "record_id": item.record.record_id,
            "model": item.record.model_name,
            "same_measurement": item.same,
            "differences": [difference_json(difference) for difference in item.differences],
            "only_there": list(item.only_there),
            "only_here": list(item.only_here),
            "other_computation": [f.told for f in item.other_computation],
            "layers": {
                task: {"first": found.first, "docs_that_differ": dict(found.layers), "told": found.told}
                for task, found in item.tasks.items()
            },
        }
        for item in found
    ]


def difference_json(found: Difference) -> dict[str, Any]:
    """One difference; its numbers are JSON numbers: nothing here is hashed."""
    value = {name: getattr(found, name) for name in Difference.__dataclass_fields__}
    interval = found.interval
    value["interval"] = None if interval is None else [interval.lower, interval.upper, interval.level, interval.method]
    value["fields"] = [{"path": f.path, "there": f.there, "here": f.here} for f in found.fields]
    value["flips"] = [{name: getattr(f, name) for name in type(f).__dataclass_fields__} for f in found.flips]
    return value


def _differences(found: Sequence[Difference]) -> None:
    table([_row(item) for item in found], head=HEAD)
    for item in found:
        if not item.comparable:
            out(f"{item.benchmark}: NOT COMPARABLE: {item.reason}", bold=True)
        elif not item.paired and item.fields:
            out(f"{item.benchmark}: {item.reason}")
        for field in item.fields[:FEW]:
            out(f"  {field.path}: {field.there!r} first, {field.here!r} here"[:300])
    shown = [item for item in found if item.interval is not None]
    widest = max((max(abs(i.interval.lower), abs(i.interval.upper)) for i in shown if i.interval), default=0.0)
    if widest > 0:
        names = max(len(_name(item)) for item in shown)
        out(f"\n95 % intervals, from {-100 * widest:.1f} to {100 * widest:+.1f} points")
        for item in shown:
            if item.interval is not None:
                line = interval_line(item.interval.lower, item.difference, item.interval.upper, widest)
                out(f"  {_name(item):<{names}}  {line}  {item.reason}")


def interval_line(lower: float, value: float, upper: float, widest: float) -> str:
    """`---o---` on a line from -widest to +widest; `|` is 0."""
    cells, place = drawn(lower, upper, widest, "-")
    cells[place(0)] = "|"
    cells[place(value)] = "o"
    return "".join(cells)


def _row(item: Difference) -> tuple[str, ...]:
    interval = item.interval
    return (
        _name(item),
        f"{item.there:.4f}",
        f"{item.here:.4f}",
        f"{100 * item.difference:+.2f}" if item.comparable else "-",
        "-" if interval is None else f"{100 * interval.lower:+.2f} … {100 * interval.upper:+.2f}",
        *(_p(value) for value in (item.p, item.holm, item.bh)),
        "-" if item.mde is None else f"{100 * item.mde:.1f}",
        "-" if item.only_there is None else str(item.only_there),
        "-" if item.only_here is None else str(item.only_here),
    )


def _name(item: Difference) -> str:
    """The benchmark, where it is its headline that is compared; else task, metric and filter."""
    if item.headline:
        return item.benchmark
    return f"{item.task} {item.metric}" + ("" if item.filter == "none" else f", {item.filter}")


def _p(value: float | None) -> str:
    return "-" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def _flips(found: Sequence[Difference]) -> None:
    for item in found:
        out(f"\n{item.benchmark}: {len(item.flips)} docs that flipped")
        rows = [
            (f.task, str(f.doc_id), f"{f.there:g}", f"{f.here:g}", f.filtered_there, f.filtered_here)
            for f in item.flips
        ]
        table(rows, head=("task", "doc", "first", "this", "answer first", "answer here"))


def _layers(item: Comparison) -> None:
    """Two records of one measurement: the first layer in which they differ."""
    out("\nthe same thing was measured", bold=True)
    for field in item.other_computation[:FEW]:
        out(f"  plan: {field.path} is {field.there!r} first, {field.here!r} here")
    differing = [found for found in item.tasks.values() if found.first]
    if not differing:
        out("  no difference in any layer that is at hand")
    for line in [line for found in differing[:FEW] for line in found.told]:
        out(f"  {line}")
    if len(differing) > FEW:
        out(f"  and {len(differing) - FEW} more tasks: see --json")
