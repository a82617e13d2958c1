"""Measures once by the harness and once by benchproof; prints what was compared."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from equality.compare import Tally, compare
from fakes.models import SMOKE, make_model

SCRIPT = Path(__file__).with_name("both.py")
TALLIES = pytest.StashKey[dict[str, list[Tally]]]()

Ask = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A model, how it is prompted, and the tasks."""

    kind: Any  # one of fakes.models.Kind, or "smoke": the model that ships with us
    tasks: list[Ask]
    model: Ask = field(default_factory=dict)
    engine: Ask = field(default_factory=dict)


def run_cases(cases: dict[str, Case], work: Path, models: Path, env: dict[str, str]) -> dict[str, dict[str, Tally]]:
    """Name -> task -> tally. All in one process, so that libraries and data are loaded once."""
    jobs: list[dict[str, Any]] = []
    for name, case in cases.items():
        folder = SMOKE if case.kind == "smoke" else models / case.kind
        if not folder.exists():
            make_model(folder, case.kind)
        out, native = str(work / name), str(work / f"{name}.native.json")
        jobs.append(
            {
                "folder": str(folder),
                "model": case.model,
                "engine": case.engine,
                "tasks": case.tasks,
                "out": out,
                "native": native,
            }
        )
    path = work / "jobs.json"
    path.write_text(json.dumps(jobs), "utf-8")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(path)], env=env, capture_output=True, text=True, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-4000:]
    return {
        name: {tally.task: tally for tally in compare(json.loads(Path(job["native"]).read_text("utf-8")), work / name)}
        for name, job in zip(cases, jobs, strict=True)
    }


@pytest.fixture(scope="session")
def tallies(request: pytest.FixtureRequest) -> dict[str, list[Tally]]:
    """Where tests leave what they compared, for the table at the end."""
    return request.config.stash.setdefault(TALLIES, {})


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    found = config.stash.get(TALLIES, {})
    if not found:
        return
    terminalreporter.section("compared with the harness")
    line = "{:<10} {:<52} {:>5} {:>8} {:>9} {:>5} {:>7} {:>6} {:>9}"
    terminalreporter.line(
        line.format("model", "task", "docs", "requests", "bytes", "texts", "metrics", "totals", "|dll|")
    )
    for name, rows in found.items():
        for t in rows:
            cells = (t.docs, t.requests, t.prompt_bytes, t.texts, t.metrics, t.aggregates, f"{t.max_dll:.1e}")
            terminalreporter.line(line.format(name, t.task, *cells))
    total = [t for rows in found.values() for t in rows]
    counts = (sum(t.docs for t in total), sum(t.requests for t in total), sum(t.prompt_bytes for t in total))
    more = (sum(t.texts for t in total), sum(t.metrics for t in total), sum(t.aggregates for t in total))
    largest = max(t.max_dll for t in total)
    terminalreporter.line(line.format("all", f"{len(total)} tasks and groups", *counts, *more, f"{largest:.1e}"))
