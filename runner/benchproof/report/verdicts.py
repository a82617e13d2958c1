"""A verdict as text: the word first, then why, then each score with its interval, then the evidence in short."""

from typing import Any

from benchproof.report.text import drawn, out, table
from benchproof.schema.unknown import is_unknown
from benchproof.schema.verdict import ScoreJudged, Verdict

FEW = 6  # tasks whose first differing layer is shown


def show_verdict(verdict: Verdict) -> None:
    """The whole verdict for a person."""
    out(f"{verdict.kind} of {verdict.about.model_name}: {verdict.outcome.upper()}", bold=True)
    for reason in verdict.reasons:
        out(f"  {reason}")
    if verdict.assumptions:
        out("\ntaken to be so, because the checked file does not say", bold=True)
        for assumption in verdict.assumptions:
            out(f"  {assumption}")
    if verdict.scores:
        _scores(verdict)
    if verdict.kind == "reproduction":
        _layers(verdict.evidence.get("layers", {}))
        for line in verdict.evidence.get("other_computation", [])[:FEW]:
            out(f"  computed otherwise: {line}")
    if verdict.kind == "audit":
        _audit(verdict.evidence)
    if verdict.kind == "noise":
        _noise(verdict.evidence)
    about = verdict.about
    which = next((item for item in (about.record_id, about.sha256, about.plan_id) if not is_unknown(item)), "")
    out(f"\nverdict {verdict.verdict_id}\nabout {about.what} {which}")


def interval_plot(lower: float, upper: float, margin: float) -> str:
    """An interval on a line from -2 to +2 margins: `|` at 0, `(` and `)` at the margin, `=` the interval."""
    cells, place = drawn(lower, upper, 2 * margin, "=")
    cells[place(-margin)], cells[place(0)], cells[place(margin)] = "(", "|", ")"
    for end, value in (("<", lower), (">", upper)):
        if abs(value) > 2 * margin:
            cells[place(value)] = end
    return "".join(cells)


def _scores(verdict: Verdict) -> None:
    margin = None if is_unknown(verdict.margin_points) else float(str(verdict.margin_points)) / 100
    out("")
    rows = [_score(score) for score in verdict.scores]
    table(rows, head=("score", "there", "here", "points", "90 % interval", "p", "only there", "only here", "outcome"))
    if margin is not None and any(score.outcome != "same answers" for score in verdict.scores):
        said = f"margin {100 * margin:g} points, declared by the {verdict.margin_declared_by}"
        out(f"\n{said}: `(` and `)`; the interval of the difference: `=`")
        names = [score.benchmark for score in verdict.scores]
        for score in verdict.scores:
            if isinstance(score.interval, list) and score.outcome != "same answers":
                lower, upper = map(float, score.interval)
                out(f"  {score.benchmark:<{max(map(len, names))}}  {interval_plot(lower, upper, margin)}")


def _score(score: ScoreJudged) -> tuple[str, ...]:
    interval = score.interval if score.outcome != "same answers" else None  # nothing was estimated
    return (
        score.benchmark,
        _number(score.there, 4),
        _number(score.here, 4),
        _points(score.difference),
        f"{_points(interval[0])} … {_points(interval[1])}" if isinstance(interval, list) else "-",
        _number(score.p, 3),
        "-" if is_unknown(score.b) else str(score.b),
        "-" if is_unknown(score.c) else str(score.c),
        score.outcome,
    )


def _layers(layers: dict[str, Any]) -> None:
    """The first layer that differs, of the tasks where one does."""
    differing = {task: item for task, item in layers.items() if item["first"] != "none"}
    if not differing:
        return
    out("\nwhere the two part first", bold=True)
    for item in list(differing.values())[:FEW]:
        for line in item["told"]:
            out(f"  {line}")
    if len(differing) > FEW:
        out(f"  and {len(differing) - FEW} more tasks: see --json")


def _noise(evidence: dict[str, Any]) -> None:
    """Each variant, and what it does to each headline: docs that change, and points by which the score moves."""
    heads = [score["benchmark"] for score in evidence["variants"][0]["scores"] if score["headline"]]
    rows = []
    for item in evidence["variants"]:
        scores = [f"{s['flips']}/{s['n']} {_points(s['shift'])}" for s in item["scores"] if s["headline"]]
        rows.append((item["name"] if item["benign"] else f"({item['name']})", item["what"], *scores))
    out("")
    table(rows, head=("variant", "against the first run", *heads))
    out("docs that change of those asked, and points; in brackets: another computation, no part of the floor")


def _audit(evidence: dict[str, Any]) -> None:
    benign = evidence.get("benign")
    if isinstance(benign, dict) and "of" in benign:
        out(f"  benign numerics explain {benign['mismatches']} of {benign['of']}: {benign['how']}")
    for item in evidence.get("shown", []):
        place = f"{item['task']} doc {item['doc_id']} choice {item['choice']}"
        out(f"  {place}: {_short(item['there'])} there, {_short(item['here'])} here")


def _short(answer: dict[str, Any]) -> str:
    return str(answer["ll"]) if "ll" in answer else repr(answer["text"][:60])


def _number(value: Any, digits: int) -> str:
    return "-" if is_unknown(value) else f"{float(value):.{digits}g}"


def _points(value: Any) -> str:
    return "-" if is_unknown(value) else f"{100 * float(value):+.2f}"
