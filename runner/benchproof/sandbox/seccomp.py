"""The system calls that a candidate may make, as a BPF program built by libseccomp.

libseccomp knows each architecture's numbers and checks the architecture first (another one is killed); we write
no jump by hand. Installed in the child after the fork, where it can only be made stricter.
"""

import errno
import os
import tempfile
from importlib import import_module
from typing import Any

MODULES = ("pyseccomp", "seccomp")  # PyPI; Debian's python3-seccomp. The same interface
CLONE_THREAD = 0x10000
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | 0o20000000  # the last: __O_TMPFILE
AF_UNIX, SOCK_STREAM = 1, 1
TCGETS, FIONBIO = 0x5401, 0x5421  # is it a terminal?; do not block
PR_SET_NAME, PR_GET_NAME = 15, 16

ALLOWED = [
    "access",
    "arch_prctl",
    "brk",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "close",
    "close_range",
    "dup",
    "dup2",
    "dup3",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_wait",
    "eventfd2",
    "exit",
    "exit_group",
    "faccessat",
    "faccessat2",
    "fcntl",
    "fstat",
    "fstatfs",
    "futex",
    "get_robust_list",
    "getcwd",
    "getdents",
    "getdents64",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getitimer",
    "getpgrp",
    "getpid",
    "getppid",
    "getrandom",
    "getresgid",
    "getresuid",
    "getrlimit",
    "getrusage",
    "gettid",
    "gettimeofday",
    "getuid",
    "lseek",
    "lstat",
    "madvise",
    "membarrier",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "nanosleep",
    "newfstatat",
    "pause",
    "pipe",
    "pipe2",
    "poll",
    "ppoll",
    "pread64",
    "preadv",
    "pselect6",
    "pwrite64",
    "read",
    "readlink",
    "readlinkat",
    "readv",
    "recvfrom",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigtimedwait",
    "sched_getaffinity",
    "sched_getparam",
    "sched_getscheduler",
    "sched_yield",
    "select",
    "set_robust_list",
    "set_tid_address",
    "setitimer",
    "sigaltstack",
    "stat",
    "statfs",
    "statx",
    "sysinfo",
    "time",
    "times",
    "uname",
    "wait4",
    "waitid",
    "write",
    "writev",
]

ABSENT = ("clone3", "openat2")  # ENOSYS: libc then falls back to the calls whose arguments can be looked at


def available() -> str | None:
    """The module that builds filters here, or None."""
    for name in MODULES:
        try:
            import_module(name)
        except (ImportError, OSError, RuntimeError):  # pyseccomp raises RuntimeError without libseccomp.so.2
            continue
        return name
    return None


def program() -> bytes:
    """The filter in the kernel's form. Raises ImportError if no module can build one."""
    name = available()
    if name is None:
        raise ImportError("neither pyseccomp (PyPI) nor python3-seccomp (Debian) can be loaded")
    module: Any = import_module(name)
    rules = module.SyscallFilter(defaction=module.ERRNO(errno.EPERM))

    def rule(action: Any, call: str, *arguments: Any) -> None:
        try:
            rules.add_rule(action, call, *arguments)
        except (OSError, ValueError, RuntimeError):  # this architecture has no such call
            if call in ("read", "write", "exit_group", "futex", "mmap"):
                raise

    for call in ALLOWED:
        rule(module.ALLOW, call)
    for call in ABSENT:
        rule(module.ERRNO(errno.ENOSYS), call)
    argument = module.Arg
    rule(module.ALLOW, "clone", argument(0, module.MASKED_EQ, CLONE_THREAD, CLONE_THREAD))
    rule(module.ALLOW, "open", argument(1, module.MASKED_EQ, WRITING, 0))
    rule(module.ALLOW, "openat", argument(2, module.MASKED_EQ, WRITING, 0))
    # A pair of streams, for asyncio. Not of datagrams: those could be sent to any socket of the host by its path.
    rule(module.ALLOW, "socketpair", argument(0, module.EQ, AF_UNIX), argument(1, module.MASKED_EQ, 0xF, SOCK_STREAM))
    rule(module.ALLOW, "sendto", argument(4, module.EQ, 0))
    rule(module.ALLOW, "prctl", argument(0, module.EQ, PR_SET_NAME))
    rule(module.ALLOW, "prctl", argument(0, module.EQ, PR_GET_NAME))
    rule(module.ALLOW, "prlimit64", argument(2, module.EQ, 0))
    rule(module.ALLOW, "ioctl", argument(1, module.EQ, TCGETS))
    rule(module.ALLOW, "ioctl", argument(1, module.EQ, FIONBIO))
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()
