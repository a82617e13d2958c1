"""Shuts the calling process in by Landlock, for good. Standard library only; runs inside a worker of tier T2.

Three system calls by number, the same on every architecture: libc has no names for them yet.
"""

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CREATE, ADD_RULE, RESTRICT = 444, 445, 446
READ_FILE, READ_DIR, WRITE_FILE = 1 << 2, 1 << 3, 1 << 1
PR_SET_NO_NEW_PRIVS = 38
FS_BITS = {1: 13, 2: 14, 3: 15, 4: 15}  # ABI -> number of access rights on files; 16 from ABI 5 on


class Ruleset(ctypes.Structure):
    """struct landlock_ruleset_attr."""

    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class Beneath(ctypes.Structure):
    """struct landlock_path_beneath_attr."""

    _pack_ = 1
    _fields_ = (("access", ctypes.c_uint64), ("fd", ctypes.c_int32))


def abi(libc: ctypes.CDLL) -> int:
    """The kernel's version of Landlock; 0 if it has none."""
    return max(int(libc.syscall(CREATE, None, 0, 1)), 0)


def confine(libc: ctypes.CDLL, read: Sequence[str], write: Sequence[str], uid: int | None) -> None:
    """Only `read` may be read from now on and only `write` written; no TCP. Gives up the uid first, if told one.

    Raises OSError if any of it is refused: a worker that is half shut in must not run.
    """
    version = abi(libc)
    if version < 1:
        raise OSError("no Landlock")
    rules = Ruleset((1 << FS_BITS.get(version, 16)) - 1, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _checked(libc.syscall(CREATE, ctypes.byref(rules), size, 0), "landlock_create_ruleset")
    for path in map(Path, read):
        _allow(libc, ruleset, path, READ_FILE | READ_DIR if path.is_dir() else READ_FILE)
    for path in map(Path, write):
        _allow(libc, ruleset, path, READ_FILE | WRITE_FILE)
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    _checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _checked(libc.syscall(RESTRICT, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, access: int) -> None:
    if path.exists():
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = Beneath(access, fd)
        _checked(libc.syscall(ADD_RULE, ruleset, 1, ctypes.byref(rule), 0), f"landlock_add_rule {path}")
        os.close(fd)


def _checked(result: Any, call: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), call)
    return int(result)
