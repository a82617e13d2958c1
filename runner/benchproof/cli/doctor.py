"""`benchproof doctor`: what this machine can run, and what to do about what it cannot."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchproof.cli.options import AsJson, Device, print_json

if TYPE_CHECKING:
    from benchproof.cli.measure import Question
    from benchproof.observe.checks import Check, Torch

CANNOT = 5
REQUEST_BYTES = 4096  # of disk for one request in all of a run's files; compressed, mostly less


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="\b\nExample:\n  benchproof doctor\n  benchproof doctor my.yaml --device cuda:0",
    )(doctor)


def doctor(
    spec: Annotated[
        str | None,
        typer.Argument(metavar="[SPEC|MODEL]", help="What is to be run: its memory and disk are checked too."),
    ] = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Check what this machine can run.

    Says what to do about what it cannot. Ends with 0 if the run can be made here, else with 5.
    """
    from benchproof.cli.measure import read_question
    from benchproof.observe import checks
    from benchproof.report.text import out, table
    from benchproof.wire import NEEDED

    question = None if spec is None else read_question(spec, None)
    installed = checks.libraries(NEEDED)
    torch = checks.ask_torch() if installed.state == "ok" else "not installed"
    found = [installed, checks.lock(checks.checkout())]
    if installed.state == "ok":
        found += checks.graphics(torch, device)
    environment = os.environ
    found += [
        checks.main_memory(),
        checks.disk("disk: results", Path("results")),
        checks.disk("disk: models", checks.hf_cache(environment)),
        checks.hub(environment),
        checks.token(environment),
        checks.sandbox(),
    ]
    if question is not None and isinstance(torch, checks.Torch):
        found += _of_spec(question, torch, device)
    lacking = [check for check in found if check.state == "missing"]
    if as_json:
        print_json({"can_run": not lacking, "checks": [check._asdict() for check in found]})
    else:
        table([row for check in found for row in _rows(check)], head=("check", "state", ""))
        what = "this run can{} be made here" if question else "models can{} be run here"
        out("\n" + what.format("not" if lacking else ""), bold=True)
    if lacking:
        raise typer.Exit(CANNOT)


def _rows(check: "Check") -> Iterator[tuple[str, str, str]]:
    yield check.check, check.state, check.found
    if check.do:
        yield "", "", f"do: {check.do}"


def _of_spec(question: "Question", torch: "Torch", device: str | None) -> Iterator["Check"]:
    """Disk and memory that this run needs. Nothing is downloaded: a model that is not here is judged by its size."""
    from benchproof.observe import checks
    from benchproof.observe.reason import NotKnown

    where = device or ("cuda:0" if torch.uuids else "cpu")
    try:
        free = checks.free_gpu_bytes(torch, where) if where.startswith("cuda") else checks.free_bytes()
    except NotKnown as error:
        yield checks.Check("spec: memory", "missing", f"{where}: {error}", "give --device cpu, or see the rows above")
        return
    missing = 0
    if question.spec.model.repo and os.environ.get("HF_HUB_OFFLINE", "0") in ("", "0"):
        from benchproof.sources.hub import MODEL_PATTERNS

        ends = [pattern.lstrip("*") for pattern in MODEL_PATTERNS]
        model = question.spec.model
        try:
            missing = checks.to_download(str(model.repo), model.revision, ends, os.environ)
        except NotKnown as error:
            yield checks.Check("spec: model", "unknown", str(error), "see the row `hub`; `benchproof plan` says more")
            return
    if missing:
        yield checks.disk("spec: disk", checks.hf_cache(os.environ), missing, "missing")
        yield _memory(where, missing, free, "at least, for the weights; `benchproof plan` downloads them and says more")
        return
    yield from _of_plan(question, where, free)


def _of_plan(question: "Question", where: str, free: int) -> Iterator["Check"]:
    """The model is here: everything is built but nothing loaded, and the engine says what it will need."""
    from benchproof.errors import BenchproofError
    from benchproof.observe import checks
    from benchproof.report.progress import Silent
    from benchproof.run import dry_run
    from benchproof.wire import make_world

    try:
        world = make_world(question.spec, device=where, progress=Silent())
        resolved, built = dry_run(question.spec, question.tasks, world)
    except BenchproofError as error:
        found = f"{error.what} ({error.where})" if error.where else error.what
        yield checks.Check("spec: plan", "missing", found, error.do)
        return
    requests = len(built.requests)
    yield checks.Check("spec: plan", "ok", f"{len(resolved.plan.ask.tasks)} tasks, {requests:,} requests")
    yield checks.disk("spec: disk", Path("results"), requests * REQUEST_BYTES, "missing")
    memory = world.engine.memory_bytes(built.ops)
    if memory is None:
        yield checks.Check("spec: memory", "unknown", "the engine cannot tell what it will need")
    else:
        yield _memory(where, memory, free, "by the engine's own estimate")


def _memory(where: str, need: int, free: int, how: str) -> "Check":
    from benchproof.observe.checks import Check

    found = f"{need / 1e9:.1f} GB needed on {where}, {free / 1e9:.1f} GB free ({how})"
    if need > free:
        do = "free memory or use a larger GPU; a lower engine.token_budget or generation_batch needs less"
        return Check("spec: memory", "missing", found, do)
    return Check("spec: memory", "ok", found)
