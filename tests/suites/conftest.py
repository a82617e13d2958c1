"""Runs facts.py against the local stand-in for the Hub, each function once a session; opens the sandbox."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchproof.errors import SandboxUnavailable
from benchproof.sandbox.choose import open_sandbox
from benchproof.sandbox.supervisor import Sandbox

SCRIPT = Path(__file__).with_name("facts.py")
TESTS = Path(__file__).resolve().parents[1]

Facts = Callable[..., Any]


def run_facts(env: dict[str, str], out: Path, name: str, *arguments: str) -> Any:
    """What one function of facts.py returns, in a process of its own."""
    path = os.pathsep.join(part for part in (str(TESTS), env.get("PYTHONPATH")) if part)
    command = [sys.executable, str(SCRIPT), name, str(out), *arguments]
    done = subprocess.run(
        command, env=env | {"PYTHONPATH": path}, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(out.read_text("utf-8"))


@pytest.fixture(scope="session")
def facts(hub_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """name, arguments -> the facts; the same question is asked once."""
    folder = tmp_path_factory.mktemp("facts")
    known: dict[tuple[str, ...], Any] = {}

    def ask(*question: str) -> Any:
        if question not in known:
            known[question] = run_facts(hub_env, folder / f"{len(known)}.json", *question)
        return known[question]

    return ask


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    try:
        opened = open_sandbox("auto", workers=2)
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    with opened:
        yield opened
