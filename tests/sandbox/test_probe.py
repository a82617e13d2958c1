"""Probes: each layer is tried by itself, and a layer that is missing is seen."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from benchproof.errors import SandboxUnavailable
from benchproof.sandbox import bubblewrap, choose, interpreter, landlock, seccomp
from benchproof.sandbox.probe import broken, probe
from benchproof.sandbox.supervisor import Sandbox
from benchproof.sandbox.worker import Launch

ALLOW_ALL = bytes([6, 0, 0, 0, 0, 0, 0xFF, 0x7F])  # one instruction: return SECCOMP_RET_ALLOW


def test_every_layer_of_a_tier_is_probed_and_holds(sandbox: Sandbox) -> None:
    assert not broken(sandbox.probes)
    layers = {item.layer for item in sandbox.probes}
    assert layers >= {
        "control",
        "seccomp",
        "rlimits",
        "launch",
        "namespaces" if sandbox.tier == "bubblewrap" else "landlock",
    }


def test_without_a_sandbox_the_probes_fail(unprotected: Sandbox) -> None:
    failed = {item.name for item in probe(unprotected) if not item.held}
    assert failed >= {"socket", "fork", "exec", "read a file", "write a file", "connect", "canary folder"}


def test_a_filter_that_allows_everything_is_seen_behind_the_other_layers(sandbox: Sandbox) -> None:
    """One wrong jump once did this, and nine attacks in ten were still held by the rest."""
    with Sandbox(sandbox.tier, _launch(sandbox.tier, ALLOW_ALL), workers=1) as opened:
        found = probe(opened)
    failed = {item.name for item in found if not item.held}
    assert {"socket", "fork"} <= failed
    assert {item.layer for item in found if not item.held} == {"seccomp"}


def test_missing_namespaces_are_seen_behind_seccomp(sandbox: Sandbox) -> None:
    whole = open_with_seccomp(sandbox)
    with Sandbox(sandbox.tier, whole, workers=1) as opened:
        failed = {item.layer for item in probe(opened) if not item.held}
    assert ("namespaces" if sandbox.tier == "bubblewrap" else "landlock") in failed
    assert "seccomp" not in failed


def test_missing_limits_are_seen(sandbox: Sandbox) -> None:
    launch = _launch(sandbox.tier, seccomp.program())
    bare = replace(launch, setup=launch.setup | {"rlimits": {}})
    with Sandbox(sandbox.tier, bare, workers=1) as opened:
        failed = {item.name for item in probe(opened) if not item.held}
    launch.clean()
    assert "64 GiB" in failed


def open_with_seccomp(sandbox: Sandbox) -> Launch:
    """The same filter and limits, and nothing around them."""
    launch = landlock.open_launch()
    return replace(launch, environment={}, setup=launch.setup | {"bpf": seccomp.program().hex()})


def _launch(tier: str, program: bytes) -> Launch:
    return bubblewrap.launch(program) if tier == "bubblewrap" else landlock.launch(program)


def test_auto_takes_bubblewrap_first(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def refuse(tier: str, workers: int, limits: object) -> str:
        tried.append(tier)
        return "not here"

    monkeypatch.setattr(choose, "_tried", refuse)
    with pytest.raises(SandboxUnavailable) as caught:
        choose.open_sandbox("auto")
    assert tried == ["bubblewrap", "landlock"]
    assert caught.value.exit_code == 4
    assert "bubblewrap: not here; landlock: not here" in caught.value.what
    assert "python3-seccomp" in caught.value.do


def test_without_a_builder_of_filters_there_is_no_tier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "MODULES", ("no_such_module",))
    with pytest.raises(SandboxUnavailable, match="pyseccomp"):
        choose.open_sandbox("auto")


def test_a_probe_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    monkeypatch.setattr(seccomp, "program", lambda: ALLOW_ALL)
    with pytest.raises(SandboxUnavailable, match="seccomp: socket: done where EPERM was expected"):
        choose.open_sandbox(sandbox.tier)  # type: ignore[arg-type]


def test_as_an_ordinary_user(sandbox: Sandbox) -> None:
    """Root gives up more than others have to: both ways are probed."""
    if os.getuid() != 0:
        pytest.skip("we are an ordinary user already")
    if not interpreter.open_to_all(interpreter.standard_library()):
        pytest.skip("an ordinary user cannot read this interpreter")
    code = (
        "import os; os.setgid(65534); os.setuid(65534)\n"
        "from benchproof.sandbox.choose import open_sandbox\n"
        f"with open_sandbox({sandbox.tier!r}, workers=1) as s: print(len(s.probes))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
