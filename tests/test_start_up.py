"""What reads records starts fast: none of the heavy libraries is loaded. Sets of modules, not milliseconds."""

import importlib.util
import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "lm_eval", "evalplus", "scipy", "datasets", "numpy"}
REPORT = "\nimport sys\nprint(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"
HELP = """
import contextlib, io
from benchproof.cli.app import main
with contextlib.redirect_stdout(io.StringIO()) as out:
    assert main(["--help"]) == 0
assert "Usage" in out.getvalue() or "usage" in out.getvalue()
"""
READERS = (
    "benchproof",
    "benchproof.schema.record",
    "benchproof.schema.history",
    "benchproof.store.journal",
    "benchproof.spec",
    "benchproof.verify",
    "benchproof.run",
    "benchproof.wire",
    "benchproof.report.progress",
    "benchproof.stats",  # empty: who wants an interval imports its module, inside a command
)


def loaded(code: str) -> set[str]:
    """Top-level modules that are loaded after `code` has run in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code + REPORT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_help_loads_nothing_heavy() -> None:
    found = loaded(HELP)
    assert "typer" in found
    assert not found & HEAVY


@pytest.mark.parametrize("name", READERS)
def test_what_needs_no_model_loads_nothing_heavy(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} does not exist")
    found = loaded(f"import {name}")
    assert "benchproof" in found
    assert not found & HEAVY
