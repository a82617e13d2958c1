"""The fork server inside a sandbox: one worker process, one child for each candidate. Standard library only.

It imports nothing of benchproof and trusts nothing after the fork: seccomp and limits are on before the first byte
of a candidate is compiled. Answers leave on a fresh pipe, in frames, as plain data. The parent compares; no
expected value is ever here. No `from __future__` in this file: `exec` would hand it on to the candidate.
"""

import builtins
import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

# The functions below keep these: a candidate may do to its own what it likes.
globals()["__builtins__"] = dict(vars(builtins))

FRAME = struct.Struct(">cIf")  # kind, length of the payload, CPU seconds
LENGTH = struct.Struct(">I")
EXIT = struct.Struct(">cid")  # b"E" or b"R", wait status, CPU seconds
RESULT_FD = 3
MOST_FDS = 1024
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
STACK_FRAMES = 13  # makes 23 below a candidate, as under evalplus.evaluate: a deep recursion ends at the same depth
NOT_CONFINED, LOST = 97, 98  # exit codes of a child
LIBC = ctypes.CDLL(None, use_errno=True)


class Timeout(BaseException):
    """Raised in a candidate by its CPU timer."""


class Null(io.TextIOBase):
    """Swallows what is printed; reading fails, as in evalplus."""

    def write(self, text: str) -> int:
        """Says that all was written."""
        return len(text)

    def writable(self) -> bool:
        """True."""
        return True

    def read(self, size: int | None = -1) -> str:
        """There is nothing to read."""
        raise OSError("no input")

    def readline(self, size: int = -1) -> str:  # type: ignore[override]
        """There is nothing to read."""
        raise OSError("no input")


def write_frame(kind: bytes, payload: bytes = b"", cpu: float = 0.0) -> None:
    """One frame on the result pipe, now: the next call may last long, and this answer be the last one wanted."""
    data = FRAME.pack(kind, len(payload), cpu) + payload
    written = os.write(RESULT_FD, data)
    while written < len(data):
        written += os.write(RESULT_FD, data[written : written + (1 << 20)])


class Child:
    """One candidate, after the fork. `encoding`: the module guest_encoder."""

    def __init__(self, job: dict[str, Any], inputs: list[list[Any]], setup: dict[str, Any], encoding: Any) -> None:
        self.job, self.inputs, self.setup, self.encoding = job, inputs, setup, encoding
        self.armed = False

    def main(self) -> NoReturn:
        """Everything; leaves the process."""
        try:
            self.confine()
        except BaseException:  # noqa: BLE001  # unconfined code is not run
            os._exit(NOT_CONFINED)
        try:
            nested(STACK_FRAMES, self.run)
        except BaseException:  # noqa: BLE001  # what a candidate left behind, such as a closed pipe
            os._exit(LOST)
        os._exit(0)

    def confine(self) -> None:
        """Limits and filter, in this order: the filter refuses to set limits."""
        without = self.job["without"]
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if "rlimits" not in without:
            for name, value in self.setup["rlimits"].items():
                number = getattr(resource, name)
                hard = resource.getrlimit(number)[1]
                wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
                resource.setrlimit(number, (wanted, wanted))
            seconds = int(self.job["cpu"]) + 2
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        if LIBC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0):
            raise OSError("dumpable")
        if self.setup["bpf"] and "seccomp" not in without:
            seccomp(self.setup["bpf"])

    def on_timer(self, number: int, frame: object) -> None:
        """The CPU timer went off."""
        if self.armed:
            self.armed = False
            raise Timeout

    def run(self) -> None:
        """Compiles the source, then calls the function for each input."""
        signal.signal(signal.SIGPROF, self.on_timer)
        sys.stdin = sys.stdout = sys.stderr = sys.__stdin__ = sys.__stdout__ = sys.__stderr__ = Null()  # type: ignore[misc,assignment]
        try:
            namespace: dict[str, Any] = {"__builtins__": vars(builtins)}  # no __name__: evalplus gives none
            exec(self.job["source"], namespace)
            function = namespace[self.job["entry_point"]]
        except BaseException as error:  # noqa: BLE001  # foreign code
            write_frame(b"X", self.encoding.name_of(error))
            return
        write_frame(b"I")
        encoder, limits = self.encoding.Encoder(), self.job["limits"]
        full = None if self.job["full"] is None else frozenset(self.job["full"])
        for index, arguments in enumerate(self.inputs):
            whole = full is None or index in full
            begin = time.process_time()
            kind, payload = self.call(function, arguments, limits[index], encoder, whole)
            write_frame(kind, payload, time.process_time() - begin)
        write_frame(b".")

    def call(
        self, function: Callable[..., Any], arguments: list[Any], limit: float, encoder: Any, whole: bool
    ) -> tuple[bytes, bytes]:
        """One input's (kind, payload)."""
        try:
            self.armed = True
            signal.setitimer(signal.ITIMER_PROF, limit)
            result: tuple[bytes, bytes] = self.encoding.pack(function(*arguments), encoder, whole)
            self.armed = False
        except Timeout:
            result = b"T", b""
        except self.encoding.Unencodable as error:
            result = b"U", str(error).encode("ascii", "replace")
        except BaseException as error:  # noqa: BLE001  # foreign code
            result = b"E", self.encoding.name_of(error)
        self.armed = False
        return result


def nested(frames: int, function: Callable[[], None]) -> None:
    """Calls with that many frames more on the stack."""
    if frames:
        nested(frames - 1, function)
    else:
        function()


class Filter(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_void_p))


def seccomp(program: bytes) -> None:
    """Installs an exported BPF program for this process. Raises OSError."""
    buffer = ctypes.create_string_buffer(program, len(program))
    pointer = Filter(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    if LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or LIBC.prctl(PR_SET_SECCOMP, 2, ctypes.byref(pointer), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def receive(control: socket.socket, size: int) -> bytes:
    """Exactly that many bytes; leaves the process if the supervisor has gone."""
    parts = bytearray()
    while len(parts) < size:
        part = control.recv(min(size - len(parts), 1 << 20))
        if not part:
            os._exit(0)
        parts += part
    return bytes(parts)


def message(control: socket.socket) -> tuple[dict[str, Any], int | None]:
    """(JSON value, descriptor that came with it)."""
    head, fds, _, _ = socket.recv_fds(control, LENGTH.size, 1)
    if not head:
        os._exit(0)
    head += receive(control, LENGTH.size - len(head))
    return json.loads(receive(control, LENGTH.unpack(head)[0])), fds[0] if fds else None


class Server:
    """The worker: forks, waits, tells. `null` is /dev/null; `inputs` are those of the task at hand, and no other's."""

    def __init__(self, control: socket.socket, null: int, setup: dict[str, Any], encoding: Any) -> None:
        self.control, self.null, self.setup, self.encoding = control, null, setup, encoding
        self.known, self.inputs = "", list[list[Any]]()

    def serve(self) -> NoReturn:
        """Candidates, one after the other, until the supervisor goes."""
        while True:
            job, pipe = message(self.control)
            if "inputs" in job:
                self.known, self.inputs = job["key"], json.loads(job.pop("inputs"))
                gc.collect()
                gc.freeze()  # a child that collects garbage then copies no page of ours
            if pipe is None or self.known != job["key"]:
                os._exit(95)
            self.execute(job, pipe)

    def execute(self, job: dict[str, Any], pipe: int) -> None:
        """One candidate in one child; tells when it began, that it ended, and once it is reaped, how."""
        pid = os.fork()
        if pid == 0:
            self.become_child(job, pipe)
        os.close(pipe)
        handle = os.pidfd_open(pid)
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        waiting.register(self.control, select.POLLHUP)
        if not any(fd == handle for fd, _ in waiting.poll()):
            os.kill(pid, signal.SIGKILL)  # the supervisor has gone
            os._exit(0)
        os.close(handle)
        self.control.send(EXIT.pack(b"E", 0, 0.0))
        message(self.control)  # the supervisor signals the child no more: its number may be given to another
        _, status, usage = os.wait4(pid, 0)
        self.control.send(EXIT.pack(b"R", status, usage.ru_utime + usage.ru_stime))

    def become_child(self, job: dict[str, Any], pipe: int) -> NoReturn:
        """After the fork: only /dev/null and the result pipe stay open."""
        try:
            self.control.send(b"S")  # the kernel adds this process's id, as the supervisor sees it
            os.dup2(pipe, RESULT_FD)
            for number in (0, 1, 2):
                os.dup2(self.null, number)
            os.closerange(RESULT_FD + 1, MOST_FDS)
        except BaseException:  # noqa: BLE001
            os._exit(NOT_CONFINED)
        Child(job, self.inputs, self.setup, self.encoding).main()


def main() -> NoReturn:
    """Reads the set-up, shuts itself in where the launcher has not done so, then serves."""
    sys.set_int_max_str_digits(0)
    control = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    setup, _ = message(control)
    setup["bpf"] = bytes.fromhex(setup["bpf"])
    sys.path.insert(0, setup["shim"])
    encoding = importlib.import_module("guest_encoder")
    landlock = importlib.import_module("landlock_guest")
    sys.path[:] = [*(setup["path"] or sys.path[1:]), *setup["site"]]
    for name in setup["prelude"]:
        with contextlib.suppress(ImportError):  # numpy may not be there
            importlib.import_module(name)
    if setup["landlock"] is not None:
        landlock.confine(LIBC, **setup["landlock"])
    sys.path_importer_cache.clear()
    LIBC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    numpy = sys.modules.get("numpy")
    versions = {"python": sys.version.split()[0], "numpy": numpy.__version__ if numpy else None}
    answer = json.dumps(versions).encode("ascii")
    control.sendall(LENGTH.pack(len(answer)) + answer)
    Server(control, null, setup, encoding).serve()


if __name__ == "__main__":
    main()
