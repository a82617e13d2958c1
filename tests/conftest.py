"""Fixtures that several folders of tests share."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchproof.wire import quiet_libraries
from fakes.hub import hub_environment, local_hub

quiet_libraries()  # as in a fresh process: before any test module imports a library that reads these variables


@pytest.fixture(scope="session")
def hub_env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a subprocess that reads the real data sets from the local stand-in; data load once."""
    with local_hub() as address:
        yield hub_environment(address, tmp_path_factory.mktemp("hf-home"))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the small models that tests build; see fakes.models."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one whole smoke run, by the command line in a process of its own; read it, never write in it."""
    folder = tmp_path_factory.mktemp("results") / "smoke"
    command = [sys.executable, "-m", "benchproof", "run", "smoke", "--out", str(folder), "--device", "cpu", "--quiet"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder
