"""Tier T3: each worker in namespaces of its own, made by bubblewrap; seccomp and limits in every candidate."""

import shutil
import sys
from pathlib import Path
from typing import Any

from benchproof.sandbox import interpreter
from benchproof.sandbox.worker import Launch

PACKAGES = "bubblewrap, libseccomp2 and python3-seccomp (Debian), or bubblewrap, libseccomp2 and pyseccomp (PyPI)"
ISOLATE = [
    "--unshare-user",
    "--unshare-ipc",
    "--unshare-pid",
    "--unshare-net",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--disable-userns",
    "--die-with-parent",
    "--new-session",
    "--clearenv",
    "--uid",
    "65534",
    "--gid",
    "65534",
    "--hostname",
    "sandbox",
    "--cap-drop",
    "ALL",
]


def launch(program: bytes) -> Launch:
    """How a worker is started. Raises FileNotFoundError without bubblewrap."""
    found = shutil.which("bwrap")
    if found is None:
        raise FileNotFoundError("bwrap is not installed")
    command = [found, *ISOLATE, *_libraries()]
    python, words = _python()
    command += words
    site: list[str] = []
    for folder in interpreter.numpy_folders():
        command += ["--ro-bind", str(folder), f"/site/{folder.name}"]
        site = ["/site"]
    for name in interpreter.GUESTS:
        command += ["--ro-bind", str(interpreter.SHIM / name), f"/shim/{name}"]
    for device in ("/dev/null", "/dev/urandom"):
        command += ["--dev-bind", device, device]
    command += ["--dir", "/w", "--remount-ro", "/", "--chdir", "/w"]
    for name, value in {**interpreter.SETTINGS, "LD_LIBRARY_PATH": "/py/lib"}.items():  # a libpython at /py
        command += ["--setenv", name, value]
    command += [python, *interpreter.FLAGS, "/shim/guest.py"]
    setup: dict[str, Any] = {
        "bpf": program.hex(),
        "rlimits": interpreter.RLIMITS,
        "prelude": interpreter.PRELUDE,
        "path": None,
        "site": site,
        "landlock": None,
        "shim": "/shim",
    }
    return Launch(command, {}, setup)


def _libraries() -> list[str]:
    """The system's shared libraries, without the Python packages among them."""
    words = []
    for name in ("lib", "lib64", "lib32"):
        usr, root = Path("/usr") / name, Path("/") / name
        if usr.is_dir():
            words += ["--ro-bind", str(usr), str(usr)]
        if root.is_symlink():
            words += ["--symlink", f"usr/{name}", str(root)]
        elif root.is_dir():
            words += ["--ro-bind", str(root), str(root)]
    packages = Path("/usr/lib/python3/dist-packages")
    return [*words, *(["--tmpfs", str(packages)] if packages.is_dir() else [])]


def _python() -> tuple[str, list[str]]:
    """The interpreter's path inside, and the words that put it there."""
    binary, library = interpreter.executable(), interpreter.standard_library()
    prefix = Path(sys.base_prefix).resolve()
    if prefix == Path("/usr"):
        words = ["--ro-bind", str(binary), str(binary)]
        return str(binary), [*words, *_without_packages(library, library)]
    inside = Path("/py")
    words = ["--ro-bind", str(binary), f"/py/bin/{binary.name}"]
    for library_file in sorted((prefix / "lib").glob("*.so*")):  # libpython, and what a conda prefix brings
        words += ["--ro-bind", str(library_file.resolve()), f"/py/lib/{library_file.name}"]
    target = inside / library.relative_to(prefix)
    words += ["--ro-bind", str(library), str(target)]
    return f"/py/bin/{binary.name}", [*words, *_without_packages(library, target)]


def _without_packages(library: Path, target: Path) -> list[str]:
    names = [name for name in ("site-packages", "dist-packages") if (library / name).is_dir()]
    return [word for name in names for word in ("--tmpfs", str(target / name))]
