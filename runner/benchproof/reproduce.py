"""Level 3: the record's spec, run again at the recorded pins, and judged by the margin declared before."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchproof import run as main_path
from benchproof.errors import BadInput
from benchproof.findings import judge_claims, judge_record, other_thing
from benchproof.floor import Floor
from benchproof.judge import Benign
from benchproof.ladder import Side, other_measurement
from benchproof.resolve import Resolved
from benchproof.run import World, resolve_in
from benchproof.schema.observed import Probe
from benchproof.schema.record import Record
from benchproof.schema.score import Claimed, Key, StatedRows
from benchproof.schema.spec import RunSpec, TaskAsk
from benchproof.schema.verdict import About, Verdict
from benchproof.spec import parse
from benchproof.store.files import write_once
from benchproof.store.folder import RECORD, SPEC
from benchproof.store.runs import load_record
from benchproof.verdict import VERDICT, Findings, Margin, about_record, verdict_on


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
    about = about_record(there.record, sha256)
    resolved = resolve_in(world, spec, tasks)
    elsewhere = other_measurement(there.record.effective, resolved.plan)
    if elsewhere:
        return _verdict(about, other_thing(elsewhere), world, margin, []), None
    record, folder = again(spec, spec_bytes, tasks, world, out, resolved)
    floor = next((floor for floor in floors if floor.holds_for(there.record, record)), None)
    benign = {key: Benign(*rate) for key, rate in floor.benign.items()} if floor else {}
    findings = judge_record(there, Side(record, folder), margin.points, benign)
    verdict = _verdict(about, findings, world, margin, record.observed.attempts[-1].environment)
    write_once(folder / VERDICT, verdict.to_bytes())
    return verdict, record


def reproduce_claims(
    claims: Mapping[Key, Claimed],
    rows: StatedRows,
    about: About,
    assumptions: Sequence[str],
    spec: RunSpec,
    spec_bytes: bytes,
    tasks: Sequence[TaskAsk],
    world: World,
    *,
    out: Path,
    margin: Margin,
) -> Verdict:
    """The same for somebody else's result file: its scores against a run of the spec that it was taken to mean.

    rows: task -> doc id -> what is stated of it, where the file came with samples; docs are paired by their place.
    Nothing of such a file is pinned, so the verdict carries the assumptions, and never speaks of bits.
    """
    refuse_other_margin(out, margin)
    record, folder = again(spec, spec_bytes, tasks, world, out, resolve_in(world, spec, tasks))
    findings = judge_claims(claims, rows, Side(record, folder), margin.points)
    verdict = _verdict(about, findings, world, margin, record.observed.attempts[-1].environment, assumptions)
    write_once(folder / VERDICT, verdict.to_bytes())
    return verdict


def _verdict(
    about: About,
    findings: Findings,
    world: World,
    margin: Margin,
    environment: Sequence[Probe],
    assumptions: Sequence[str] = (),
) -> Verdict:
    return verdict_on(
        about,
        "reproduction",
        findings,
        created=main_path.timestamp(world.wall()),
        version=world.version,
        margin=margin,
        environment=environment,
        assumptions=assumptions,
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
