"""Two runs, or a run and somebody's stated scores -> Findings: the word, why, every headline, where the two part."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchproof.judge import LAST_BITS, Benign, ScorePairs, decide, measure, score_pairs, worst
from benchproof.ladder import (
    LAYERS,
    FieldDifference,
    Layer,
    Side,
    TaskDifference,
    compare_task,
    computation_differences,
    other_measurement,
)
from benchproof.schema.record import Record
from benchproof.schema.score import Claimed, Key, Result, Stated, StatedRows
from benchproof.schema.verdict import ScoreJudged
from benchproof.verdict import Findings, kinds_of

FEW = 5  # fields that a reason names


def judge_record(there: Side, here: Side, margin_points: float | None, benign: Mapping[Key, Benign]) -> Findings:
    """Two records of one measurement: the outcome, its reasons, every headline score, the first layer that differs."""
    elsewhere = other_measurement(there.record.effective, here.record.effective)
    if elsewhere:
        return other_thing(elsewhere)
    found = {pin.task: compare_task(pin.task, there, here) for pin in here.record.effective.ask.tasks}
    evidence = _evidence(there, here, found)
    if there.record.observed.requests_digest != here.record.observed.requests_digest:
        shown = next((item.shown for item in found.values() if item.shown), ())
        what = "the record's requests are not those that its plan makes: other prompts or settings were asked"
        return Findings("not comparable", [what, *shown], [], evidence)
    scores = _scores(there.record, here.record, found, margin_points, benign)
    equal = there.record.observed.answers_digest == here.record.observed.answers_digest
    if equal:
        return _of_equal_answers(there.record, here.record, scores, evidence)
    if _same_filtered(found) and _same_scores(there.record, here.record):
        return Findings("same answers", ["every filtered answer and pick is equal"], scores, evidence)
    if not scores:
        return Findings("inconclusive", ["the records have no headline score in common"], [], evidence)
    word = worst([score.outcome for score in scores])
    if word == "same answers":  # of the headlines; another filter or metric has changed
        what = "every headline answer is equal; other filters or metrics differ"
        return Findings("statistically consistent", [what], scores, evidence)
    reasons = [f"{s.benchmark}: {s.reason}" for s in scores if s.outcome == word]
    return Findings(word, reasons, scores, evidence)


def judge_claims(
    claims: Mapping[Key, Claimed],
    rows: StatedRows,
    here: Side,
    margin_points: float | None,
) -> Findings:
    """Stated scores against a record's: its headlines where they are stated, else every score that is."""
    found = {task: _by_place(task, given, here) for task, given in rows.items() if here.has("samples", task)}
    stated = [r for r in here.record.results if r.level != "category" and r.place in claims]
    chosen = [result for result in stated if result.headline] or stated
    if not chosen:
        return Findings("not comparable", ["none of the stated scores is one that the re-run has"])
    measured = []
    for result in chosen:
        pairs = score_pairs(result, here.record.effective, found)
        claimed = claims[result.place]
        measured.append(measure(result, claimed, _as_stated(pairs, claimed)))
    scores = decide(measured, margin_points, {})
    word = worst([score.outcome for score in scores])
    evidence = {"re_run": {"record_id": here.record.record_id, "plan_id": here.record.plan_id}}
    return Findings(word, [f"{s.task}: {s.reason}" for s in scores if s.outcome == word], scores, evidence)


def _of_equal_answers(there: Record, here: Record, scores: list[ScoreJudged], evidence: dict[str, Any]) -> Findings:
    if not _same_scores(there, here):
        return Findings("not reproduced", ["the same answers do not give the record's scores"], scores, evidence)
    if there.plan_id != here.plan_id or _results(there) != _results(here):
        return Findings("same answers", ["every bit is equal, by another computation"], scores, evidence)
    kinds = [*kinds_of(there), *kinds_of(here)]
    if any(kind != kinds[0] for kind in kinds):
        return Findings(
            "same answers", ["every bit is equal, on other hardware: no bits are claimed"], scores, evidence
        )
    if any(attempt.adopted_from for record in (there, here) for attempt in record.observed.attempts):
        return Findings("same answers", ["every bit is equal, some adopted from another run"], scores, evidence)
    return Findings(
        "bitwise", ["every answer and every score is equal, bit for bit, by the same plan"], scores, evidence
    )


def other_thing(fields: Sequence[FieldDifference]) -> Findings:
    """What is said where another thing was measured."""
    shown = [item.told[:300] for item in fields[:FEW]]
    evidence = {"fields": [item.path for item in fields]}
    return Findings("not comparable", ["another thing was measured", *shown], [], evidence)


def _scores(
    there: Record,
    here: Record,
    found: Mapping[str, TaskDifference],
    margin_points: float | None,
    benign: Mapping[Key, Benign],
) -> list[ScoreJudged]:
    """Every headline that both have, by the value that the checked record *states*."""
    stated = {_whole_place(result): result for result in there.results}
    measured = []
    for result in here.results:
        other = stated.get(_whole_place(result))
        if result.headline and other is not None:
            pairs = score_pairs(result, here.effective, found)
            claimed = Claimed(float(other.value), other.stderr_value, other.n)
            measured.append(measure(result, claimed, _as_stated(pairs, claimed)))
    return decide(measured, margin_points, benign)


def _as_stated(pairs: ScorePairs | None, claimed: Claimed) -> ScorePairs | None:
    """The pairs, unless the record's own rows do not give the score that it states: then only the statement counts."""
    if pairs is None:
        return None
    mean = sum(w * value for w, value in zip(pairs.weights, pairs.there, strict=True))
    return pairs if abs(mean - claimed.value) < 1e-9 * max(1.0, abs(mean)) else None


def _by_place(task: str, given: Mapping[int, Stated], here: Side) -> TaskDifference:
    """Pairs of docs by their place in the split. A filtered answer that is not stated cannot be called equal."""
    ours = list(here.rows(task))
    pairs = []
    for row in ours:
        if row.doc_id in given:
            stated = given[row.doc_id]
            metrics: dict[str, dict[str, float]] = {}
            for (metric, name), value in stated.values.items():
                metrics.setdefault(name, {})[metric] = value
            pairs.append((replace(row, filtered=stated.taken, metrics=metrics), row))
    layers: dict[Layer, int | None] = dict.fromkeys(LAYERS)
    return TaskDifference(task, tuple(pairs), len(given) - len(pairs), len(ours) - len(pairs), layers, None, ())


def _whole_place(result: Result) -> tuple[str, str, str, str | None, str]:
    return *result.place, result.category, result.level


def _results(record: Record) -> dict[tuple[str, str, str, str | None, str], tuple[Any, ...]]:
    return {_whole_place(r): (r.value, r.json_value()["stderr"], r.n) for r in record.results}


def _same_scores(there: Record, here: Record) -> bool:
    """Equal scores but for last bits: of smooth functions of log-likelihoods, which another batch moves a little."""
    a, b = _results(there), _results(here)
    return a.keys() == b.keys() and all(abs(float(a[key][0]) - float(b[key][0])) <= LAST_BITS for key in a)


def _same_filtered(found: Mapping[str, TaskDifference]) -> bool:
    """Whether every doc is on both sides, with equal filtered answers."""
    return all(item.layers["filtered"] == 0 and not item.only_there and not item.only_here for item in found.values())


def _evidence(there: Side, here: Side, found: Mapping[str, TaskDifference]) -> dict[str, Any]:
    """What a stranger needs to follow the outcome: digests, layers of each task, scores that moved."""
    other = computation_differences(there.record.effective, here.record.effective)
    stated = _results(there.record)
    moved = [key for key, value in _results(here.record).items() if stated.get(key) != value]
    return {
        "re_run": {"record_id": here.record.record_id, "plan_id": here.record.plan_id},
        "answers_digest": [there.record.observed.answers_digest, here.record.observed.answers_digest],
        "requests_digest": [there.record.observed.requests_digest, here.record.observed.requests_digest],
        "hardware": [kinds_of(there.record), kinds_of(here.record)],
        "other_computation": [item.told for item in other],
        "layers": {task: _layers(item) for task, item in found.items()},
        "scores_that_moved": [".".join(str(part) for part in key if part) for key in moved],
    }


def _layers(item: TaskDifference) -> dict[str, Any]:
    lls = item.likelihoods
    return {
        "pairs": len(item.pairs),
        "unpaired": [item.only_there, item.only_here],
        "docs_that_differ": {
            layer: count if count is not None else "not at hand" for layer, count in item.layers.items()
        },
        "first": item.first or "none",
        "told": item.told,
        "likelihoods": "none"
        if lls is None
        else {
            "compared": lls.compared,
            "differing": lls.differing,
            "largest": repr(lls.largest),
            "picks_changed": lls.picks_changed,
            "near_ties": lls.near_ties,
        },
    }
