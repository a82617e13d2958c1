"""The command line as a person calls it: a process, its exit code, and what it says."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from benchproof.cli.app import main

# `find_spec` finds none of the extra's packages, as on a machine where only the base is installed.
BASE_ONLY = """
import sys
from importlib.machinery import PathFinder
class Base:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "lm_eval", "datasets", "huggingface_hub", "numpy"):
            return None
        return PathFinder.find_spec(name, path, target)
sys.meta_path[:] = [Base if finder is PathFinder else finder for finder in sys.meta_path]
from benchproof.cli.app import main
sys.exit(main())
"""


class Called(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    def refused(self, code: int, *words: str) -> None:
        """Ended with `code`, told in at most five lines, naming every word; no traceback, nothing on stdout."""
        assert self.code == code, self
        told = [line for line in self.err.splitlines() if line.startswith(("error:", "where:", "do:"))]
        assert told and told[0].startswith("error: ") and len(told) <= 5, self
        assert any(line.startswith("do:") for line in told), "no word about what to do"
        assert "Traceback" not in self.err
        assert self.out == ""
        for word in words:
            assert word in "\n".join(told), self


def benchproof(*words: str, cwd: Path | None = None, base_only: bool = False, **environment: str) -> Called:
    """In a process of its own, in English, offline, with nothing on stdin."""
    start = ["-c", BASE_ONLY] if base_only else ["-m", "benchproof"]
    done = subprocess.run(
        [sys.executable, *start, *words],
        cwd=cwd,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "COLUMNS": "100"} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Called(done.returncode, done.stdout, done.stderr)


def in_process(capsys: pytest.CaptureFixture[str], *words: str) -> Called:
    """In this process: for commands that import torch, which takes seconds in a fresh one."""
    capsys.readouterr()
    code = main(list(words))
    captured = capsys.readouterr()
    return Called(code, captured.out, captured.err)
