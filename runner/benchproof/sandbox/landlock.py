"""Tier T2: workers that shut themselves in by Landlock and give up root; seccomp and limits in every candidate.

Needs both Landlock and seccomp: neither alone is a sandbox. What it leaves: existence and size of the host's
files can be seen (`stat`).
"""

import ctypes
import os
import shutil
from pathlib import Path
from typing import Any

from benchproof.sandbox import interpreter
from benchproof.sandbox.landlock_guest import abi
from benchproof.sandbox.worker import Launch

NOBODY = 65534
SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/dev/urandom")


def version() -> int:
    """The kernel's Landlock ABI; 0 if there is none."""
    return int(abi(ctypes.CDLL(None, use_errno=True)))


def launch(program: bytes) -> Launch:
    """How a worker is started. Raises OSError without Landlock."""
    if version() < 1:
        raise OSError("this kernel has no Landlock, or it is switched off")
    root = os.geteuid() == 0
    folders = {"lib": interpreter.standard_library()}
    folders |= {f"site/{folder.name}": folder for folder in interpreter.numpy_folders()}
    copy = None
    if root and not all(interpreter.open_to_all(folder) for folder in folders.values()):
        copy = interpreter.copied(folders)
        folders = {name: copy / name for name in folders}
    site = [str(path.parent) for name, path in folders.items() if name == "site/numpy"]
    library = folders["lib"]
    setup: dict[str, Any] = {
        "bpf": program.hex(),
        "rlimits": interpreter.RLIMITS | {"RLIMIT_NPROC": _running(NOBODY if root else os.getuid()) + 64},
        "prelude": interpreter.PRELUDE,
        "path": [str(library), str(library / "lib-dynload")],
        "site": site,
        "landlock": {
            "read": [*SYSTEM, *map(str, folders.values())],
            "write": ["/dev/null"],
            "uid": NOBODY if root else None,
        },
        "shim": str(interpreter.SHIM),
    }
    command = [str(interpreter.executable()), *interpreter.FLAGS, str(interpreter.SHIM / "guest.py")]
    clean = (lambda: shutil.rmtree(copy, ignore_errors=True)) if copy else (lambda: None)
    return Launch(command, dict(interpreter.SETTINGS), setup, clean)


def _running(uid: int) -> int:
    """Threads that this user runs now: the kernel's limit counts them all, in every process."""
    count = 0
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and folder.stat().st_uid == uid:
                count += sum(1 for _ in (folder / "task").iterdir())
        except OSError:  # it has ended meanwhile
            continue
    return count


def open_launch() -> Launch:
    """No sandbox at all (`sandbox: none`): the same fork server and limits on one process, and nothing shut."""
    library = interpreter.standard_library()
    numpy = interpreter.numpy_folders()
    setup: dict[str, Any] = {
        "bpf": "",
        "rlimits": interpreter.RLIMITS | {"RLIMIT_NPROC": _running(os.getuid()) + 64},
        "prelude": interpreter.PRELUDE,
        "path": [str(library), str(library / "lib-dynload")],
        "site": [str(numpy[0].parent)] if numpy else [],
        "landlock": None,
        "shim": str(interpreter.SHIM),
    }
    command = [str(interpreter.executable()), *interpreter.FLAGS, str(interpreter.SHIM / "guest.py")]
    return Launch(command, {"PATH": os.environ.get("PATH", ""), **interpreter.SETTINGS}, setup)
