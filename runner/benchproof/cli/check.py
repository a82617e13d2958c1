"""`benchproof rescore`, `reproduce`, `audit` and `noise`: a record is checked by computing again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchproof.cli.checking import checked_record, interruptible, make_progress, tell, with_margin, world_of
from benchproof.cli.options import AsJson, Device, Quiet

RecordPath = Annotated[Path, typer.Argument(metavar="RECORD|RUN_DIR", help="A record.json, or its run folder.")]
Model = Annotated[
    str | None, typer.Option("--model", metavar="PATH", help="Where the model lies here, if it is not on the Hub.")
]
Out = Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Where what is computed goes.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(
        epilog="\b\nExample:\n  benchproof rescore results/mine\n  benchproof rescore results/mine --out results/anew",
    )(rescore)
    app.command(
        epilog="\b\nExample:\n  benchproof reproduce results/mine\n"
        "  benchproof reproduce record.json --margin 0.5 --device cuda:0",
    )(reproduce)
    app.command(
        epilog="\b\nExample:\n  benchproof audit results/mine --samples 300 --nonce $(openssl rand -hex 16)",
    )(audit)
    app.command(
        epilog="\b\nExample:\n  benchproof noise my.yaml --docs 100\n  benchproof noise results/mine",
    )(noise)


def rescore(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A run folder, with its journal.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Write the new marks as a run folder of their own."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Mark a run's answers again, and compare row by row.

    Proof level 1: needs the data sets, and no model. Exit 0: equal; 1: rows or scores differ; 7: another harness.
    """
    from benchproof.errors import MissingInput
    from benchproof.rescore import rescore as score_again
    from benchproof.spec import read_spec, resolve_suite
    from benchproof.store.folder import PLAN, RECORD, SPEC, read_plan
    from benchproof.wire import make_marking

    if not (run_dir / PLAN).is_file():
        raise MissingInput("no run there: plan.json is missing", where=str(run_dir), do="give a run folder")
    there, spec, commits = None, None, read_plan(run_dir).commits
    if (run_dir / RECORD).exists():
        checked = checked_record(run_dir, None, verified=False)  # it compares rows itself, and shows which differ
        there, spec = (checked.side.record, checked.sha256), checked.spec
    else:
        spec, _ = read_spec(run_dir / SPEC)
    progress = make_progress(quiet)
    marking = make_marking(spec, progress, commits)
    with interruptible(out):
        found = score_again(run_dir, there, spec, resolve_suite(spec.suite), marking, out)
    tell(found.verdict, as_json, {"record": None if found.record is None else found.record.record_id})
    if found.record is not None and not as_json:
        typer.echo(f"record: {out}/{RECORD}")


def reproduce(
    record: Annotated[
        Path,
        typer.Argument(
            metavar="RECORD|RUN_DIR|FILE", help="A record, its run folder, or an lm-eval or evalplus result file."
        ),
    ],
    out: Out = None,
    margin: Annotated[
        float | None,
        typer.Option("--margin", metavar="POINTS", min=0, help="A stricter margin than the record's, declared now."),
    ] = None,
    noise: Annotated[
        Path | None,
        typer.Option("--noise", metavar="VERDICT", help="A noise measurement of this engine and kind of hardware."),
    ] = None,
    plan_only: Annotated[bool, typer.Option("--plan-only", help="Print the spec that would be run, and stop.")] = False,
    model: Model = None,
    device: Device = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a record again from itself alone, and judge it.

    Proof level 3. Exit 0: bitwise, same answers or statistically consistent; 1: not reproduced; 7: inconclusive or not
    comparable.
    """
    from benchproof.cli.respec import spec_yaml
    from benchproof.floor import floors_beside, read_floor
    from benchproof.reproduce import reproduce as run_again
    from benchproof.spec import resolve_suite
    from benchproof.store.runs import is_record

    if not is_record(record):
        _reproduce_published(record, margin, Where(out, model, device, plan_only, as_json, quiet))
        return
    checked = checked_record(record, model)
    spec, declared = with_margin(checked, margin)
    text = spec_yaml(spec, [f"What record {checked.side.record.record_id} was made from, at its commits."])
    if plan_only:
        typer.echo(text, nl=False)
        return
    out = out or Path("results") / f"reproduce-{checked.side.record.record_id[:12]}"
    floors = [*([read_floor(noise)] if noise else []), *floors_beside(checked.side.folder)]
    world = world_of(spec, device, make_progress(quiet), checked.side.record.effective.commits)
    with interruptible(out):
        verdict, _ = run_again(
            checked.side,
            checked.sha256,
            spec,
            text.encode(),
            resolve_suite(spec.suite),
            world,
            out=out,
            margin=declared,
            floors=floors,
        )
    tell(verdict, as_json, {"folder": str(out)})


@dataclass(frozen=True, slots=True)
class Where:
    """How a reproduction is called: nothing in here can move a score."""

    out: Path | None
    model: str | None
    device: str | None
    plan_only: bool
    as_json: bool
    quiet: bool


def _reproduce_published(path: Path, margin: float | None, where: Where) -> None:
    """The same for somebody else's result file, whose spec is what it was taken to mean."""
    from benchproof.cli.foreign import about, spec_of_published
    from benchproof.cli.respec import spec_yaml
    from benchproof.ledger.foreign import read_published
    from benchproof.reproduce import reproduce_claims
    from benchproof.spec import resolve_suite
    from benchproof.verdict import Margin

    found = read_published(path)
    spec, assumptions = spec_of_published(found, where.model)
    if margin is not None:
        spec = spec.model_copy(update={"reproduce": spec.reproduce.model_copy(update={"margin_points": margin})})
    text = spec_yaml(
        spec, [f"What {found.format} of {found.model_name} was taken to mean. Taken to be so:", *assumptions]
    )
    if where.plan_only:
        typer.echo(text, nl=False)
        return
    out = where.out or Path("results") / f"reproduce-{found.sha256[:12]}"
    world = world_of(spec, where.device, make_progress(where.quiet), {})
    with interruptible(out):
        verdict = reproduce_claims(
            found.claims,
            found.rows,
            about(found),
            assumptions,
            spec,
            text.encode(),
            resolve_suite(spec.suite),
            world,
            out=out,
            margin=Margin(spec.reproduce.margin_points, "verifier"),
        )
    tell(verdict, where.as_json, {"folder": str(out)})


def audit(
    record: RecordPath,
    nonce: Annotated[str, typer.Option("--nonce", metavar="HEX", help="At least 16 bytes of your own, in hex.")],
    samples: Annotated[int | None, typer.Option("--samples", help="This many requests, each asked alone.")] = None,
    ops: Annotated[int | None, typer.Option("--ops", help="This many whole batches, compared bit for bit.")] = None,
    out: Out = None,
    model: Model = None,
    device: Device = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Ask some answers of a record again, chosen by your nonce.

    Proof level 2. The price is told first. Exit 0: held; 1: more answers differ than numerics explain.
    """
    from benchproof.audit import audit as ask_again
    from benchproof.audit import challenge
    from benchproof.spec import resolve_suite

    asked = challenge(samples, ops, nonce)
    checked = checked_record(record, model)
    name = f"audit-{checked.side.record.record_id[:12]}-{nonce[:8]}"
    out = out or Path("results") / name
    world = world_of(checked.spec, device, make_progress(quiet), checked.side.record.effective.commits)
    with interruptible(None):
        verdict = ask_again(
            checked.side, checked.sha256, checked.spec, resolve_suite(checked.spec.suite), world, asked, out=out
        )
    tell(verdict, as_json, {"folder": str(out)})


def noise(
    spec: Annotated[
        str, typer.Argument(metavar="SPEC|RUN_DIR", help="A .yaml spec, or the folder of a run: its noise lands there.")
    ],
    docs: Annotated[int, typer.Option("--docs", min=1, help="The first docs of each task.")] = 50,
    out: Out = None,
    model: Model = None,
    device: Device = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure how far scores move by themselves, here.

    The same docs under other batches, kernels and dtypes. `reproduce` and `show` use what is measured of a run.
    """
    from benchproof.cli.measure import read_question
    from benchproof.floor import VERDICTS
    from benchproof.noise import noise as measure
    from benchproof.spec import resolve_suite
    from benchproof.store.files import disk_errors, write_once
    from benchproof.store.folder import RECORD

    run_dir = Path(spec) if (Path(spec) / RECORD).is_file() else None
    if run_dir is None:
        question = read_question(spec, None)
        asked, tasks, name, commits = question.spec, question.tasks, question.name, {}
    else:
        checked = checked_record(run_dir, model)
        record = checked.side.record
        asked, commits, name = checked.spec, record.effective.commits, record.record_id[:12]
        tasks = resolve_suite(asked.suite)
    progress = make_progress(quiet)
    out = out or Path("results") / f"noise-{name}"
    with interruptible(out):
        verdict = measure(asked, tasks, lambda each: world_of(each, device, progress, commits), docs=docs, out=out)
    if run_dir is not None:
        target = run_dir / VERDICTS / f"noise-{verdict.verdict_id[:12]}.json"
        with disk_errors(target):
            target.parent.mkdir(exist_ok=True)
        write_once(target, verdict.to_bytes())
    tell(verdict, as_json, {"folder": str(out)})
