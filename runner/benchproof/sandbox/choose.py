"""A name in a spec -> a sandbox whose layers have been tried, or a refusal that says what to install."""

import sys
from typing import Literal

from benchproof.errors import SandboxUnavailable
from benchproof.sandbox import bubblewrap, landlock, seccomp
from benchproof.sandbox.probe import broken, probe
from benchproof.sandbox.supervisor import Sandbox, default_workers
from benchproof.sandbox.worker import Limits

Asked = Literal["auto", "bubblewrap", "landlock", "none"]
STAT = "existence and size of the host's files can be seen (stat)"
NOTHING = "nothing is shut: generated code runs with your rights"


def open_sandbox(asked: Asked, *, workers: int | None = None, limits: Limits | None = None) -> Sandbox:
    """The tier asked for, or with `auto` the first that holds. Raises SandboxUnavailable."""
    count = workers or default_workers()
    if asked == "none":
        return Sandbox("none", landlock.open_launch(), workers=count, limits=limits, leaks=[NOTHING])
    reasons: list[str] = []
    for tier in ("bubblewrap", "landlock") if asked == "auto" else (asked,):
        opened = _tried(tier, count, limits)
        if isinstance(opened, Sandbox):
            return opened
        reasons.append(f"{tier}: {opened}")
    raise SandboxUnavailable(
        f"generated code cannot be isolated here: {'; '.join(reasons)}",
        where="sandbox",
        do=f"install {bubblewrap.PACKAGES}, or rescore on a machine that has them; `sandbox: none` runs it unprotected",
    )


def _tried(tier: str, workers: int, limits: Limits | None) -> Sandbox | str:
    """A sandbox whose probes all held, or why there is none."""
    if sys.platform != "linux":
        return f"it needs Linux, and this is {sys.platform}"
    try:
        program = seccomp.program()
        launch = bubblewrap.launch(program) if tier == "bubblewrap" else landlock.launch(program)
    except (ImportError, OSError) as error:
        return str(error)
    sandbox = Sandbox(tier, launch, workers=workers, limits=limits, leaks=[STAT] if tier == "landlock" else [])
    try:
        sandbox.probes = probe(sandbox, landlock.version() if tier == "landlock" else None)
    except SandboxUnavailable as error:
        sandbox.close()
        return error.what
    fault = broken(sandbox.probes)
    if fault:
        sandbox.close()
        return f"a probe failed: {fault}"
    return sandbox
