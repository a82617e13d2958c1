"""A whole run without a model or a library: the real main path over tables."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from benchproof.ports import Engine, Harness, ModelFiles, Progress
from benchproof.report.progress import Silent
from benchproof.run import World, run
from benchproof.schema.observed import Probe
from benchproof.schema.record import Record
from benchproof.schema.spec import ModelAsk, RunSpec
from benchproof.schema.unknown import Unknown
from benchproof.spec import parse, resolve_suite
from fakes.counting import CountingEngine
from fakes.harness import TableHarness


class NoSource:
    """Implements ports.Source for runs that fetch nothing."""

    def model(self, ask: ModelAsk, progress: Progress) -> ModelFiles:
        raise NotImplementedError

    def dataset_commit(self, repo: str, revision: str) -> str:
        raise NotImplementedError

    def rows_folder(self, data: str) -> Path:
        raise NotImplementedError


class TwoProbes:
    """Implements ports.Observer: one thing known, one not."""

    def start(self, device: str, device_uuid: str | None, salt: str) -> list[Probe]:
        driver = Unknown(unknown="not_applicable", detail="no GPU")
        return [Probe(name="machine", unit="", value="table"), Probe(name="driver", unit="", value=driver)]

    def end(self) -> list[Probe]:
        return [Probe(name="gpu_samples", unit="", value=0)]


def table_spec(*tasks: dict[str, Any], **more: Any) -> bytes:
    """The bytes of a spec over `choose` and `write`, or over the given tasks."""
    asked = list(tasks) or [{"task": "choose"}, {"task": "write"}]
    return yaml.safe_dump({"model": {"path": "a/table"}, "suite": {"tasks": asked}, **more}, sort_keys=False).encode()


def a_world(engine: Engine | None = None, harness: Harness | None = None) -> World:
    """Clocks that tick once a look, from a fixed day."""
    ticks: Iterator[int] = count()
    days: Iterator[int] = count(1)
    return World(
        engine=engine or CountingEngine(),
        harness=harness or TableHarness(),
        source=NoSource(),
        observer=TwoProbes(),
        progress=Silent(),
        model_name="a table",
        version="0.0.0",
        now=lambda: float(next(ticks)),
        wall=lambda: datetime(2024, 1, 1 + next(days) % 28, tzinfo=UTC),
    )


def table_run(
    out: Path,
    engine: Engine | None = None,
    harness: Harness | None = None,
    *,
    spec: bytes | None = None,
    new: bool = False,
    adopt_from: Path | None = None,
    world: World | None = None,
) -> tuple[Record, Path]:
    """A run into `out`, or the rest of one; in `world` if one is given."""
    data = spec or table_spec()
    asked = parse(RunSpec, data, where="spec.yaml")
    tasks = resolve_suite(asked.suite)
    there = world or a_world(engine, harness)
    return run(asked, data, tasks, there, out=out, name="table", new=new, adopt_from=adopt_from)
