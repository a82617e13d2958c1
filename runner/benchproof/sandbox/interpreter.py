"""The interpreter inside a sandbox: its standard library and numpy, and nothing else that is installed."""

import os
import shutil
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path

SHIM = Path(__file__).parent
GUESTS = ("guest.py", "guest_encoder.py", "landlock_guest.py")
PRELUDE = [
    "abc",
    "bisect",
    "calendar",
    "cmath",
    "collections",
    "copy",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "heapq",
    "itertools",
    "math",
    "operator",
    "queue",
    "random",
    "re",
    "statistics",
    "string",
    "time",
    "typing",
    "numpy",
]
SETTINGS = {
    "PYTHONHASHSEED": "0",  # of the process: a fork inherits it, so sets have one order in every worker
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
FLAGS = ("-s", "-S", "-B", "-P")  # no site-packages, no byte code written, no folder of the script on the path
RLIMITS = {
    "RLIMIT_AS": 4 << 30,  # evalplus's
    "RLIMIT_STACK": 4 << 30,  # likewise
    "RLIMIT_FSIZE": 0,
    "RLIMIT_NOFILE": 64,
    "RLIMIT_NPROC": 64,
    "RLIMIT_CORE": 0,
    "RLIMIT_MEMLOCK": 0,
    "RLIMIT_MSGQUEUE": 0,
}
SKIPPED = [
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idlelib",
    "turtledemo",
    "ensurepip",
    "lib2to3",
    "config-*",
    "*.a",
    "*.opt-*.pyc",
    "include",
]
COPY = "benchproof-sandbox-"


def executable() -> Path:
    """The interpreter that runs us, without the virtual environment around it."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def standard_library() -> Path:
    """`…/lib/python3.x`."""
    return Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix})).resolve()


def numpy_folders() -> list[Path]:
    """numpy, and the libraries that its wheel brings beside it. Empty where there is none."""
    found = find_spec("numpy")
    if found is None or found.origin is None:
        return []
    folder = Path(found.origin).resolve().parent
    return [path for path in (folder, folder.with_name("numpy.libs")) if path.is_dir()]


def open_to_all(path: Path) -> bool:
    """True if a user who owns nothing can read it."""
    return all(part.stat().st_mode & 0o005 == 0o005 for part in (path, *path.parents))


def copied(folders: dict[str, Path]) -> Path:
    """A readable copy of some folders under the names given, for a user who cannot enter where they lie."""
    _sweep()
    target = Path(tempfile.mkdtemp(prefix=f"{COPY}{os.getpid()}-"))
    target.chmod(0o755)
    for name, source in folders.items():
        shutil.copytree(source, target / name, ignore=shutil.ignore_patterns(*SKIPPED), symlinks=False)
    for folder, _, files in os.walk(target):
        Path(folder).chmod(0o755)
        for file in files:
            (Path(folder) / file).chmod(0o644)
    return target


def _sweep() -> None:
    """Removes copies of processes that were killed before they could."""
    for left in Path(tempfile.gettempdir()).glob(f"{COPY}*-*"):
        pid = left.name.removeprefix(COPY).split("-")[0]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists() and left.stat().st_uid == os.getuid():
            shutil.rmtree(left, ignore_errors=True)
