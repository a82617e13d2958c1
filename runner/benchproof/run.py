"""The main path: resolve -> build -> infer -> score -> record. This file is the table of contents."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchproof import build, infer, preflight, record, resolve, score
from benchproof.adopt import adopt
from benchproof.ports import Engine, Harness, Observer, Progress, Source
from benchproof.schema.plan import Plan
from benchproof.schema.record import Record
from benchproof.schema.spec import RunSpec, TaskAsk
from benchproof.store import folder as folders
from benchproof.store.files import describe, locked, write_once
from benchproof.store.journal import journal_paths, merge, read_journal
from benchproof.store.log import logged


@dataclass(frozen=True, slots=True)
class World:
    """The adapters and clocks that a run works with; wire.py makes one."""

    engine: Engine
    harness: Harness
    source: Source
    observer: Observer
    progress: Progress
    model_name: str
    version: str
    now: Callable[[], float]  # monotonic seconds: durations
    wall: Callable[[], datetime]  # UTC: noted only


@dataclass
class Watch:
    """Seconds of each phase of a run."""

    now: Callable[[], float]
    phases: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Measures what happens inside."""
        start = self.now()
        yield
        self.phases.append((name, self.now() - start))


def resolve_in(world: World, spec: RunSpec, tasks: Sequence[TaskAsk]) -> resolve.Resolved:
    """The plan of a spec in this world; asked once of a world, whose harness then holds the tasks."""
    return resolve.resolve(
        spec, tasks, engine=world.engine, harness=world.harness, source=world.source, progress=world.progress
    )


def dry_run(spec: RunSpec, tasks: Sequence[TaskAsk], world: World) -> tuple[resolve.Resolved, build.Built]:
    """Everything pinned and every request built; no weights loaded, nothing written. Raises BenchproofError."""
    resolved = resolve_in(world, spec, tasks)
    return resolved, build.build(resolved.plan, harness=world.harness, engine=world.engine, progress=world.progress)


def run(
    spec: RunSpec,
    spec_bytes: bytes,
    tasks: Sequence[TaskAsk],
    world: World,
    *,
    out: Path | None,
    name: str,
    new: bool = False,
    adopt_from: Path | None = None,
    resolved: resolve.Resolved | None = None,
) -> tuple[Record, Path]:
    """One run, or the rest of an interrupted one; returns its record and its folder.

    out: the run folder; None: results/<name>-<first 12 of the plan id>. new: take the next free folder.
    adopt_from: a run folder whose answers are taken over where it measured the same.
    resolved: what `resolve` gave for this very spec in this world, if somebody had to look at the plan first.
    Raises BenchproofError; what was acknowledged stays in the folder, and the same command goes on there.
    """
    watch = Watch(world.now)
    with watch.time("resolve"):
        resolved = resolved or resolve_in(world, spec, tasks)
    plan = resolved.plan
    folder = out or Path("results") / f"{name}-{plan.plan_id[:12]}"
    folder = folders.next_free(folder) if new else folder
    folders.make(folder)
    with ExitStack() as stack:
        stack.enter_context(locked(folder))
        resumed = folders.claim(folder, plan.to_bytes(), spec_bytes)
        stack.enter_context(logged(folder))
        world.progress.say(f"plan {plan.plan_id[:12]} in {folder}")
        with watch.time("build"):
            built = build.build(plan, harness=world.harness, engine=world.engine, progress=world.progress)
            files = build.write_requests(built, folder, world.progress)
        found = infer.find_answers(plan, built, folder)
        if adopt_from is not None:
            taken = adopt(plan, built, found, adopt_from, folder, lambda: timestamp(world.wall()))
            world.progress.say(f"adopted {taken} answers from {adopt_from}")
            found = infer.find_answers(plan, built, folder)
        if resumed:
            _say_what_is_found(plan, built, found, world.progress)
        if infer.missing_ops(built, found.answers):
            _attempt(resolved, built, found, folder, world, watch)
        journals = [read_journal(path) for path in journal_paths(folder / folders.JOURNAL)]
        answers = merge(journals)
        with watch.time("score"):
            scores = score.score(plan, built, answers, harness=world.harness, progress=world.progress)
            files += score.write_samples(scores, answers, folder)
        files += [describe(folder / folders.PLAN, folder), describe(folder / folders.SPEC, folder)]
        files += [describe(journal.path, folder) for journal in journals]
        done = record.assemble(
            spec,
            spec_bytes,
            tasks,
            resolved,
            built,
            answers,
            scores,
            attempts=infer.attempts(journals),
            phases=watch.phases,
            files=sorted(files, key=lambda file: file.path),
            model_name=world.model_name,
            version=world.version,
            ended=timestamp(world.wall()),
            sandbox=world.harness.observed(),
        )
        write_once(folder / folders.RECORD, done.to_bytes())
    return done, folder


def _attempt(
    resolved: resolve.Resolved, built: build.Built, found: infer.Found, folder: Path, world: World, watch: Watch
) -> None:
    """Loads the model and answers what is missing."""
    ops = infer.missing_ops(built, found.answers)
    preflight.check_memory(world.engine.memory_bytes(ops), world.engine.free_bytes())
    preflight.check_disk(folder, built)
    environment = world.observer.start(world.engine.device, world.engine.device_uuid(), resolved.plan.plan_id)
    try:
        with watch.time("load"):
            world.engine.load(world.progress)
        with watch.time("infer"):
            infer.infer(
                resolved.plan,
                built,
                found,
                engine=world.engine,
                harness=world.harness,
                folder=folder,
                progress=world.progress,
                now=world.now,
                wall=lambda: timestamp(world.wall()),
                environment=environment,
                finish=world.observer.end,
            )
    finally:
        world.observer.end()


def _say_what_is_found(plan: Plan, built: build.Built, found: infer.Found, progress: Progress) -> None:
    missing = sum(len(op.requests) for op in infer.missing_ops(built, found.answers))
    torn = f"; {found.torn} bytes of a torn tail ignored" if found.torn else ""
    progress.say(f"resuming: {len(built.requests) - missing} answers found, {missing} missing{torn}")


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
