"""`benchproof plan`, `run` and `resume`: signatures here, everything heavy inside."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchproof.cli.options import AsJson, Device, Quiet, print_json

if TYPE_CHECKING:
    from benchproof.ports import Progress
    from benchproof.run import World
    from benchproof.schema.spec import RunSpec, TaskAsk

SpecWord = Annotated[
    str, typer.Argument(metavar="SPEC|MODEL", help="A .yaml spec, owner/name on the Hub, a local folder, or `smoke`.")
]
Suite = Annotated[str | None, typer.Option("--suite", help="With MODEL: name or path of a suite. [default: core]")]
Rehash = Annotated[bool, typer.Option("--rehash", help="Hash the model's files again instead of remembering.")]


@dataclass(frozen=True, slots=True)
class Question:
    """A spec, its bytes, its tasks, and what its run folder is called after."""

    spec: "RunSpec"
    data: bytes
    tasks: "tuple[TaskAsk, ...]"
    name: str


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(
        epilog="\b\nExample:\n  benchproof plan my.yaml --samples 2\n  benchproof plan smoke --json",
    )(plan)
    app.command(
        epilog="\b\nExample:\n  benchproof run my.yaml --out results/mine\n"
        "  benchproof run mistralai/Mistral-7B-v0.1 --suite core --device cuda:0\n  benchproof run smoke",
    )(run)
    app.command(
        epilog="\b\nExample:\n  benchproof resume results/mistral-core-1f0c2a9b7d3e",
    )(resume)


def plan(
    spec: SpecWord,
    suite: Suite = None,
    samples: Annotated[int, typer.Option("--samples", min=0, help="Show this many prompts of each task.")] = 0,
    device: Device = None,
    rehash: Rehash = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show what a run would do, and stop: a dry run.

    Pins everything and builds every request; loads no weights.
    """
    from benchproof.report import plans
    from benchproof.report.progress import for_terminal
    from benchproof.run import dry_run

    question = read_question(spec, suite)
    world = _world(question, device, for_terminal(quiet), rehash)
    resolved, built = dry_run(question.spec, question.tasks, world)
    memory = world.engine.memory_bytes(built.ops)
    if as_json:
        print_json(plans.as_json(resolved, built, memory, samples))
    else:
        plans.show(resolved, built, memory, samples, model_name=world.model_name)


def run(
    spec: SpecWord,
    suite: Suite = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="The run folder. [default: results/NAME-PLANID]")
    ] = None,
    device: Device = None,
    new: Annotated[
        bool, typer.Option("--new", help="Take the next free folder instead of going on in this one.")
    ] = False,
    adopt: Annotated[
        Path | None,
        typer.Option("--adopt", metavar="RUN_DIR", help="Take over that run's answers where it measured the same."),
    ] = None,
    rehash: Rehash = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a spec, or go on with an interrupted run.

    Prints the scores, and where the record is.
    """
    from benchproof.store.folder import refuse_finished

    question = read_question(spec, suite)
    if out is not None and not new:
        refuse_finished(out)  # before minutes of work
    _run(question, Where(out, device, new, adopt, rehash), as_json, quiet)


def resume(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="The folder of an interrupted run.")],
    device: Device = None,
    rehash: Rehash = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Go on with an interrupted run, from its folder alone.

    The folder may have been moved; a model named by a path is looked for where that path leads from here.
    """
    from benchproof.errors import MissingInput
    from benchproof.store.folder import PLAN, SPEC, refuse_finished

    refuse_finished(run_dir)
    if not (run_dir / PLAN).is_file() or not (run_dir / SPEC).is_file():
        raise MissingInput(
            "no journal to resume: the folder holds no plan",
            where=str(run_dir),
            do="start it with `benchproof run SPEC`",
        )
    _run(read_question(str(run_dir / SPEC), None), Where(run_dir, device, False, None, rehash), as_json, quiet)


@dataclass(frozen=True, slots=True)
class Where:
    """Where a run happens: nothing in here can move a score."""

    out: Path | None
    device: str | None
    new: bool
    adopt: Path | None
    rehash: bool


def _run(question: Question, where: Where, as_json: bool, quiet: bool) -> None:
    from benchproof.cli.signals import stoppable
    from benchproof.errors import Interrupted, noted_log
    from benchproof.report.progress import for_terminal

    progress = for_terminal(quiet)
    try:
        with stoppable():
            _measure(question, where, progress, as_json)
    except KeyboardInterrupt as error:
        log = noted_log(error)
        folder = Path(log).parent if log else None
        raise Interrupted(
            "interrupted; every answer that was acknowledged is on disk" if folder else "interrupted before any answer",
            where=str(folder or ""),
            do=f"go on with `benchproof resume {folder}`" if folder else "run the same command again",
        ) from error


def _measure(question: Question, where: Where, progress: "Progress", as_json: bool) -> None:
    from benchproof.report import tables
    from benchproof.run import run as run_plan
    from benchproof.store.folder import RECORD, pinned_commits

    pinned = {} if where.new else pinned_commits(where.out, question.data)
    world = _world(question, where.device, progress, where.rehash, pinned)
    record, folder = run_plan(
        question.spec,
        question.data,
        question.tasks,
        world,
        out=where.out,
        name=question.name,
        new=where.new,
        adopt_from=where.adopt,
    )
    if as_json:
        print_json(tables.summary(record) | {"folder": str(folder), "record": str(folder / RECORD)})
    else:
        tables.show_scores(record)
        typer.echo(f"\nrecord: {folder / RECORD}\nmore:   benchproof show {folder}")


def read_question(word: str, suite: str | None) -> Question:
    """SPEC or MODEL from the command line. Raises BadInput, MissingInput."""
    from benchproof.cli.compose import Choices, compose, model_fields
    from benchproof.errors import BadInput
    from benchproof.schema.spec import RunSpec
    from benchproof.spec import configs, parse, read_spec, resolve_suite

    is_file = word.endswith((".yaml", ".yml"))
    if suite is not None and is_file:
        raise BadInput("--suite goes with a MODEL", where=word, do="write `suite:` in the spec")
    if is_file:
        spec, data = read_spec(Path(word))
        name = Path(word).stem
    elif word == "smoke" and suite in (None, "smoke"):
        data = (configs("runs") / "smoke.yaml").read_bytes()
        spec, name = parse(RunSpec, data, where="configs/runs/smoke.yaml"), "smoke"
    else:
        fields = model_fields(word)
        data = compose(Choices(fields=fields, suite=suite or "core")).encode()
        spec = parse(RunSpec, data, where="the spec made from MODEL")
        model = Path(word).resolve().name if "model.path" in fields else word.split("/")[-1]
        name = f"{model}-{Path(suite or 'core').stem}"
    return Question(spec, data, resolve_suite(spec.suite), name)


def _world(
    question: Question, device: str | None, progress: "Progress", rehash: bool, pinned: dict[str, str] | None = None
) -> "World":
    from benchproof import __version__
    from benchproof.store import log
    from benchproof.wire import make_world

    log.wait()
    spec = question.spec
    model = f"{spec.model.repo}@{spec.model.revision}" if spec.model.repo else str(spec.model.path)
    suite = spec.suite if isinstance(spec.suite, str) else f"of {len(question.tasks)} entries"
    progress.say(
        f"benchproof {__version__}: model {model}, suite {suite}, engine {spec.engine.name} {spec.engine.dtype}, "
        f"device {device or 'auto'}"
    )
    return make_world(spec, device=device, progress=progress, rehash=rehash, pinned=pinned)
