"""Which means of isolating generated code this machine has. It looks, and isolates nothing."""

import ctypes
import shutil
import subprocess
from pathlib import Path

from benchproof.observe.host import ROOT

CREATE_RULESET = 444  # landlock_create_ruleset(2), the same number on every architecture
ASK_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION


def bubblewrap(command: str = "bwrap") -> str:
    """Empty if bubblewrap isolates here, else why it does not."""
    found = shutil.which(command)
    if found is None:
        return "not installed"
    words = [found, "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired) as error:
        return type(error).__name__
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it failed"])[-1][:120]


def landlock() -> int:
    """The version of Landlock's interface, 0 where the kernel has none."""
    answer = int(ctypes.CDLL(None, use_errno=True).syscall(CREATE_RULESET, None, 0, ASK_VERSION))
    return max(answer, 0)


def seccomp(root: Path = ROOT) -> bool:
    """Whether the kernel filters system calls."""
    return (root / "proc/sys/kernel/seccomp/actions_avail").exists() or "\nSeccomp:" in (
        root / "proc/self/status"
    ).read_text("utf-8", "replace")
