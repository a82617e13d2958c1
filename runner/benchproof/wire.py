"""Names in a spec -> adapters, imported on use. The only file that knows them all."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from benchproof import __version__
from benchproof.errors import MachineError
from benchproof.ports import Engine, Harness, ModelFiles, Progress, Source
from benchproof.rescore import Marking
from benchproof.run import World, run
from benchproof.schema.record import Record
from benchproof.schema.spec import RunSpec
from benchproof.spec import read_spec, resolve_suite

NEEDED = ("torch", "transformers", "lm_eval", "datasets")  # what `benchproof[hf]` brings


def make_world(
    spec: RunSpec,
    *,
    device: str | None,
    progress: Progress,
    rehash: bool = False,
    pinned: Mapping[str, str] | None = None,
) -> World:
    """The adapters that a spec names. pinned: repository -> commit, of a run that goes on.

    Raises MachineError if the extra that holds the adapters is not installed.
    """
    _needs(NEEDED, "this command runs models")
    quiet_libraries()
    from benchproof.engines.weights import needs_chat_template, weight_files
    from benchproof.observe.probes import Machine
    from benchproof.sources.hub import HubSource

    source: Source = HubSource(pinned)
    files = source.model(spec.model, progress)
    # What is wrong in the spec or in a download is told before seconds of imports.
    weight_files(files.folder, allow_pickle=spec.model.allow_pickle)
    if spec.model.chat_template == "model":
        needs_chat_template(files.tokenizer.folder if files.tokenizer else files.folder)
    with progress.phase("importing lm-eval"):
        harness = make_harness(spec, progress)
    harness.look_up(resolve_suite(spec.suite))
    with progress.phase("importing torch and transformers"):
        engine = make_engine(spec, files, device, rehash)
    return World(
        engine=engine,
        harness=harness,
        source=source,
        observer=Machine(),
        progress=progress,
        model_name=files.name,
        version=__version__,
        now=time.monotonic,
        wall=lambda: datetime.now(UTC),
    )


def make_marking(spec: RunSpec, progress: Progress, pinned: Mapping[str, str]) -> Marking:
    """What marks a run again: harnesses and data at their commits, no engine. Raises MachineError."""
    _needs(("lm_eval", "datasets"), "this command marks answers by the harness")
    quiet_libraries()
    from benchproof.sources.hub import HubSource

    with progress.phase("importing lm-eval"):
        harness = make_harness(spec, progress)
    return Marking(harness, HubSource(pinned), progress, __version__, lambda: datetime.now(UTC))


def _needs(packages: Sequence[str], why: str) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise MachineError(
            f"{', '.join(missing)} not installed: {why}", where="environment", do='pip install "benchproof[hf]"'
        )


def make_harness(spec: RunSpec, progress: Progress) -> Harness:
    """lm-eval, and evalplus beside it where HumanEval is asked: its import takes a second of its own."""
    from benchproof.suites.lmeval import LmEval

    lmeval = LmEval(progress.say)
    if not any((ask.like or ask.task) == "humaneval" for ask in resolve_suite(spec.suite)):
        return lmeval
    from benchproof.sandbox.choose import open_sandbox
    from benchproof.suites.evalplus import EvalPlus
    from benchproof.suites.harnesses import Harnesses

    return Harnesses(lmeval, EvalPlus(lambda: open_sandbox(spec.sandbox), spec.sandbox))


def make_engine(spec: RunSpec, files: ModelFiles, device: str | None, rehash: bool) -> Engine:
    """The engine that the spec names, knowing the model's files, no weights loaded."""
    asked = (files, spec.model, spec.engine)
    match spec.engine.name:
        case "hf":
            from benchproof.engines.hf import HfEngine, best_device

            return HfEngine(
                *asked, device or best_device(), spec.seeds.generation, thinking=spec.thinking, rehash=rehash
            )
        case "replay":
            from benchproof.engines.replay import ReplayEngine

            return ReplayEngine(*asked, "cpu", thinking=spec.thinking, rehash=rehash)


def run_spec(
    path: str | Path, *, out: str | Path | None = None, device: str | None = None, progress: Progress | None = None
) -> Record:
    """Runs a spec file and returns its record: the whole of benchproof as one call."""
    from benchproof.report.progress import Silent

    spec, data = read_spec(Path(path))
    tasks = resolve_suite(spec.suite)
    world = make_world(spec, device=device, progress=progress or Silent())
    record, _ = run(spec, data, tasks, world, out=None if out is None else Path(out), name=Path(path).stem, new=False)
    return record


def quiet_libraries() -> None:
    """Foreign progress bars and warnings off: progress is ours, and warnings go to log.txt.

    These variables are read when the libraries are imported, so this runs before.
    """
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin make a shared CPU ten times slower
    for name in ("lm_eval", "datasets", "transformers", "huggingface_hub", "filelock", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
