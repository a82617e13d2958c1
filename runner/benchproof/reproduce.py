"""Level 3: the record's spec, run again at the recorded pins, and judged by the margin declared before."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchproof import run as main_path
from benchproof.errors import BadInput
from benchproof.floor import Floor, Key
from benchproof.judge import LAST_BITS, Benign, Claimed, ScorePairs, decide, measure, score_pairs, worst
from benchproof.ladder import (
    FieldDifference,
    Side,
    TaskDifference,
    compare_task,
    computation_differences,
    other_measurement,
)
from benchproof.resolve import Resolved
from benchproof.run import World, resolve_in
from benchproof.schema.observed import Probe
from benchproof.schema.record import Record
from benchproof.schema.score import Result
from benchproof.schema.spec import RunSpec, TaskAsk
from benchproof.schema.verdict import ScoreJudged, Verdict
from benchproof.spec import parse
from benchproof.store.files import write_once
from benchproof.store.folder import RECORD, SPEC
from benchproof.store.runs import load_record
from benchproof.verdict import VERDICT, Findings, Margin, about_record, kinds_of, verdict_on

FEW = 5  # fields that a reason names


def reproduce(
    there: Side,
    sha256: str,
    spec: RunSpec,
    spec_bytes: bytes,
    tasks: Sequence[TaskAsk],
    world: World,
    *,
    out: Path,
    margin: Margin,
    floors: Sequence[Floor],
) -> tuple[Verdict, Record | None]:
    """Runs the record's spec into `out` and judges; the verdict is written there. No run of another thing.

    sha256: of the record's file. spec_bytes: what `spec` was read from; it holds the margin. floors: noise that was
    measured; it counts where its engine and hardware are those of both runs. An interrupted one goes on with this call.
    Raises BadInput if another margin was declared in `out`, and whatever a run raises.
    """
    refuse_other_margin(out, margin)
    resolved = resolve_in(world, spec, tasks)
    elsewhere = other_measurement(there.record.effective, resolved.plan)
    if elsewhere:
        return _verdict(there.record, sha256, _not_comparable(elsewhere), world, margin, []), None
    record, folder = again(spec, spec_bytes, tasks, world, out, resolved)
    floor = next((floor for floor in floors if floor.holds_for(there.record, record)), None)
    benign = {key: Benign(*rate) for key, rate in floor.benign.items()} if floor else {}
    findings = judge_record(there, Side(record, folder), margin.points, benign)
    verdict = _verdict(there.record, sha256, findings, world, margin, record.observed.attempts[-1].environment)
    write_once(folder / VERDICT, verdict.to_bytes())
    return verdict, record


def _verdict(
    record: Record, sha256: str, findings: Findings, world: World, margin: Margin, environment: Sequence[Probe]
) -> Verdict:
    created = main_path.timestamp(world.wall())
    return verdict_on(
        about_record(record, sha256),
        "reproduction",
        findings,
        created=created,
        version=world.version,
        margin=margin,
        environment=environment,
    )


def again(
    spec: RunSpec, spec_bytes: bytes, tasks: Sequence[TaskAsk], world: World, out: Path, resolved: Resolved
) -> tuple[Record, Path]:
    """The run of a check: begun, gone on with, or, where only the verdict is missing, read. Raises BadInput (2)."""
    if (out / VERDICT).exists():
        raise BadInput("a verdict exists there and is never overwritten", where=str(out), do="give another --out")
    if (out / RECORD).exists():
        record, _ = load_record(out)
        if record.plan_id != resolved.plan.plan_id:
            raise BadInput("the folder holds the run of another plan", where=str(out), do="give another --out")
        return record, out
    return main_path.run(spec, spec_bytes, tasks, world, out=out, name="again", resolved=resolved)


def refuse_other_margin(out: Path, margin: Margin) -> None:
    """A margin counts if it was declared before the run; raises BadInput (2) if another was."""
    path = out / SPEC
    if path.is_file():
        before = parse(RunSpec, path.read_bytes(), where=str(path)).reproduce.margin_points
        if margin.points is not None and before != margin.points:
            raise BadInput(
                f"a margin of {before:g} was declared before this run, {margin.points:g} is asked now",
                where=str(path),
                do=f"give --margin {before:g}, or another --out",
            )


def judge_record(there: Side, here: Side, margin_points: float | None, benign: Mapping[Key, Benign]) -> Findings:
    """Two records of one measurement: the outcome, its reasons, every headline score, the first layer that differs."""
    elsewhere = other_measurement(there.record.effective, here.record.effective)
    if elsewhere:
        return _not_comparable(elsewhere)
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


def _not_comparable(fields: Sequence[FieldDifference]) -> Findings:
    shown = [f"{item.path}: {item.there!r} there, {item.here!r} here"[:300] for item in fields[:FEW]]
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
    stated = {_place(result): result for result in there.results}
    measured = []
    for result in here.results:
        other = stated.get(_place(result))
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


def _place(result: Result) -> tuple[str, str, str, str | None, str]:
    return result.task, result.metric, result.filter, result.category, result.level


def _results(record: Record) -> dict[tuple[str, str, str, str | None, str], tuple[Any, ...]]:
    return {_place(r): (r.value, r.json_value()["stderr"], r.n) for r in record.results}


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
        "other_computation": [f"{item.path}: {item.there!r} there, {item.here!r} here" for item in other],
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
