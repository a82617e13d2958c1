"""A sandbox of each tier, opened once; a tier that cannot be had here is skipped with its reason."""

from collections.abc import Iterator

import pytest

from benchproof.errors import SandboxUnavailable
from benchproof.sandbox.choose import open_sandbox
from benchproof.sandbox.supervisor import Sandbox
from benchproof.sandbox.worker import Limits

# Short, so that a sleeping candidate costs seconds: the factors themselves are tested in test_worker.py.
SHORT = Limits(total=2.0, spare=1.0, wall=(3.0, 1.0))


@pytest.fixture(scope="session", params=["bubblewrap", "landlock"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    try:
        opened = open_sandbox(request.param, workers=2, limits=SHORT)
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    with opened:
        yield opened


@pytest.fixture(scope="session")
def unprotected() -> Iterator[Sandbox]:
    with open_sandbox("none", workers=1, limits=SHORT) as opened:
        yield opened
