"""Live canaries: each layer of a tier is tried on its own, before any candidate runs. The results are recorded.

One probe per layer, because layers hide each other's holes: a filter that allows everything still looks like a
sandbox while the namespaces hold (RELIABILITY, section 3).
"""

import contextlib
import json
import os
import platform
import socket
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchproof.sandbox.supervisor import Sandbox
from benchproof.sandbox.worker import WorkerDied
from benchproof.schema.execution import Answer, Execution, Inputs, SandboxProbe, Value

CAP = 65_536
CALL = """
import ctypes, errno, mmap, os, resource
LIBC = ctypes.CDLL(None, use_errno=True)
def name(number):
    return errno.errorcode.get(number, str(number))
def system(*arguments):
    result = LIBC.syscall(*arguments)
    return name(ctypes.get_errno()) if result < 0 else "done"
def probe(canary, port, parent):
    try:
        return str(attempt(canary, port, parent))
    except OSError as error:
        return name(error.errno)
    except BaseException as error:
        return type(error).__name__
def attempt(canary, port, parent):
"""


@dataclass(frozen=True, slots=True)
class Try:
    """What a candidate would do, and what must come of it. `without`: layers of the child that are left out."""

    name: str
    layer: str
    body: str
    expected: str
    without: tuple[str, ...] = ()


READ = "    return open(canary).read()"
WRITE = "    return open(canary + '.new', 'w').write('x')"
CONNECT = """    import socket
    with socket.socket() as one:
        one.settimeout(2)
        one.connect(('127.0.0.1', port))
    return 'connected'"""
DESCRIPTORS = """    found = []
    for number in range(4, 64):
        try:
            os.fstat(number)
            found.append(number)
        except OSError:
            pass
    return found"""
BARE = ("seccomp",)

CHILD = (
    Try("answers", "control", "    return 'answered'", "answered"),
    Try("socket", "seccomp", "    return system(41 if os.uname().machine == 'x86_64' else 198, 2, 1, 0)", "EPERM"),
    Try("ptrace", "seccomp", "    return LIBC.ptrace(0, 0, 0, 0) and name(ctypes.get_errno())", "EPERM"),
    Try("kill", "seccomp", "    return os.kill(os.getppid(), 0)", "EPERM"),
    Try("fork", "seccomp", "    return os.fork() or os._exit(0)", "EPERM"),
    Try("exec", "seccomp", "    return os.execv('/bin/true', ['true'])", "EPERM"),
    Try("open for writing", "seccomp", "    return os.open('/dev/null', os.O_WRONLY)", "EPERM"),
    Try("unshare", "seccomp", "    return LIBC.unshare(0x10000000) and name(ctypes.get_errno())", "EPERM"),
    Try("filter mode", "seccomp", "    return LIBC.prctl(21) == 2 or name(ctypes.get_errno())", "True|EPERM"),
    Try("64 GiB", "rlimits", "    return len(mmap.mmap(-1, 64 << 30, flags=0x4022))", "ENOMEM|MemoryError"),
    Try("open files", "rlimits", "    return resource.getrlimit(resource.RLIMIT_NOFILE)[1] <= 64", "True"),
    Try("environment", "launch", "    return sorted(set(os.environ) & {'HOME', 'USER', 'PATH', 'HF_TOKEN'})", "[]"),
    Try("descriptors", "launch", DESCRIPTORS, "[]"),
)
NAMESPACES = (
    Try("read a file", "namespaces", READ, "ENOENT", BARE),
    Try("write a file", "namespaces", WRITE, "ENOENT|EROFS", BARE),
    Try("connect", "namespaces", CONNECT, "ECONNREFUSED|ENETUNREACH", BARE),
    Try("see processes", "namespaces", "    return os.path.exists('/proc/self')", "False", BARE),
    Try("signal the runner", "namespaces", "    return os.kill(parent, 0)", "ESRCH", BARE),
)
LANDLOCK = (
    Try("read a file", "landlock", READ, "EACCES", BARE),
    Try("write a file", "landlock", WRITE, "EACCES", BARE),
    Try("connect", "landlock", CONNECT, "EACCES", BARE),
    Try("read a process", "landlock", "    return open('/proc/self/environ').read()", "EACCES", BARE),
    Try("signal the runner", "landlock", "    return os.kill(parent, 0)", "EPERM", BARE),
)


def probe(sandbox: Sandbox, abi: int | None = None) -> list[SandboxProbe]:
    """Every layer of the sandbox's tier, tried now. `abi`: Landlock's version, which bounds what it can refuse."""
    tries = [*CHILD, *(NAMESPACES if sandbox.tier == "bubblewrap" else LANDLOCK)]
    if abi is not None and abi < 4:
        tries = [item for item in tries if (item.name, item.layer) != ("connect", "landlock")]
    if abi is not None and abi < 6:
        tries = [item for item in tries if (item.name, item.layer) != ("signal the runner", "landlock")]
    with _canaries() as (canary, port):
        arguments = json.dumps([[str(canary), port, os.getpid()]])
        inputs = Inputs("probe", arguments, 1)
        found = [_tried(sandbox, item, inputs) for item in tries]
        touched = canary.with_name(canary.name + ".new").exists()
    found.append(SandboxProbe("canary folder", "all", "untouched", "touched" if touched else "untouched"))
    found.append(SandboxProbe("interpreter", "launch", platform.python_version(), str(sandbox.versions.get("python"))))
    return found


def broken(probes: Sequence[SandboxProbe]) -> str:
    """The first probe that did not hold, in words; empty if all did."""
    for item in probes:
        if not item.held:
            return f"{item.layer}: {item.name}: {item.seen} where {item.expected} was expected"
    return ""


def _tried(sandbox: Sandbox, item: Try, inputs: Inputs) -> SandboxProbe:
    seen: list[str] = []

    def judge(index: int, answer: Answer, cpu: float) -> bool:
        seen.append(str(sandbox.decode(answer.encoded)) if isinstance(answer, Value) else str(answer))
        return True

    execution = Execution(CALL + item.body, "probe", inputs, (2.0,), CAP)
    try:
        outcome = sandbox.one(execution, judge, without=item.without)
    except WorkerDied as error:
        return SandboxProbe(item.name, item.layer, item.expected, f"the worker died: {error}")
    value = seen[0] if seen else f"{outcome.ending}: {outcome.detail}"
    return SandboxProbe(item.name, item.layer, item.expected, value)


@contextlib.contextmanager
def _canaries() -> Iterator[tuple[Path, int]]:
    """A file that everybody may read, in a folder where everybody may write; and a listener."""
    with tempfile.TemporaryDirectory(prefix="benchproof-canary-") as name, socket.socket() as listener:
        folder = Path(name)
        folder.chmod(0o777)
        canary = folder / "canary"
        canary.write_text("the canary was read", encoding="ascii")
        canary.chmod(0o666)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield canary, listener.getsockname()[1]
