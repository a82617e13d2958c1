"""The parent's side of one worker: starts it, hands it candidates one by one, and watches each from outside.

CPU time is read from the kernel's clock of the candidate's process (RELIABILITY, section 2.7), so a candidate that
disarms its own timer, or a machine that is busy, changes no verdict.
"""

import array
import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchproof.sandbox import frames
from benchproof.schema.execution import Ending, Execution, Judge, Outcome

LENGTH = struct.Struct(">I")
EXIT = struct.Struct(">cid")
CREDENTIALS = struct.Struct("3i")
TICK = 0.05  # seconds between looks at the clock
READ = 1 << 18
START_SECONDS = 60
NOT_CONFINED = 97  # guest.py's exit code for a child that did not get its layers


class WorkerDied(Exception):
    """The worker, not a candidate, has gone."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a candidate is stopped. Factors are of the CPU limit; seconds are added."""

    disarmed: tuple[float, float] = (1.5, 0.2)  # of one call, for who ignores the timer inside
    total: float = 60.0  # CPU seconds of an execution at most; evalplus's
    spare: float = 2.0
    wall: tuple[float, float] = (10.0, 5.0)


@dataclass(frozen=True, slots=True)
class Launch:
    """How a tier starts a worker: the command, its environment, and what is sent first."""

    command: Sequence[str]
    environment: dict[str, str]
    setup: dict[str, Any] = field(default_factory=dict)
    clean: Callable[[], None] = lambda: None


class Worker:
    """One process that forks candidates. Used by one thread."""

    def __init__(self, launch: Launch, limits: Limits) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        ours.settimeout(START_SECONDS)
        self._limits, self._control, self._known = limits, ours, ""
        with theirs:
            self._process = subprocess.Popen(
                launch.command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=launch.environment,
                cwd="/",
                close_fds=True,
                start_new_session=True,
            )
        try:
            self._send(launch.setup)
            self.versions: dict[str, str | None] = json.loads(self._receive(LENGTH.unpack(self._receive(4))[0]))
        except (OSError, WorkerDied) as error:
            raise WorkerDied(self._last_words() or str(error)) from error

    def execute(self, execution: Execution, judge: Judge, *, without: Sequence[str] = ()) -> Outcome:
        """Runs one candidate to its end. Raises WorkerDied."""
        total = min(self._limits.total, sum(execution.limits)) + self._limits.spare
        job = {
            "key": execution.inputs.key,
            "source": execution.source,
            "entry_point": execution.entry_point,
            "limits": execution.limits,
            "full": None if execution.full is None else sorted(execution.full),
            "cpu": total,
            "without": list(without),
        }
        if execution.inputs.key != self._known:
            job["inputs"] = execution.inputs.text
        reader, writer = os.pipe()
        try:
            with contextlib.suppress(OSError):
                fcntl.fcntl(writer, 1031, 1 << 20)  # F_SETPIPE_SZ: fewer turns; refused where pipes are rationed
            os.set_blocking(reader, False)
            try:
                self._send(job, writer)
                self._known = execution.inputs.key
                watch = _Watch(self._started(), execution, judge, self._limits, total)
            finally:
                os.close(writer)
            return self._follow(reader, watch)
        except OSError as error:
            raise WorkerDied(self._last_words() or str(error)) from error
        finally:
            os.close(reader)

    def _follow(self, reader: int, watch: "_Watch") -> Outcome:
        """Until the child has ended and its pipe is at its end."""
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        poll.register(self._control, select.POLLIN)
        open_, exited, patience = True, False, 0
        while open_ or not exited:
            ready = {fd for fd, _ in poll.poll(TICK * 1000)}
            if reader in ready:
                data = os.read(reader, READ)
                if data:
                    watch.feed(data)
                else:
                    open_ = False
                    poll.unregister(reader)
            if self._control.fileno() in ready:
                self._receive(EXIT.size)
                exited = True
                poll.unregister(self._control)
            if not exited:
                watch.look()
            elif open_ and not ready:  # a process that outlived it holds the pipe: only without a sandbox
                patience += 1
                open_ = patience < 20
        self._send({})  # it may be reaped now: we signal it no more
        _, status, cpu = EXIT.unpack(self._receive(EXIT.size))
        return watch.outcome(status, cpu)

    def _started(self) -> int:
        """The candidate's process id in our own counting, as the kernel says."""
        data, ancillary, _, _ = self._control.recvmsg(1, socket.CMSG_SPACE(CREDENTIALS.size))
        if data != b"S":
            raise WorkerDied(self._last_words() or "no candidate began")
        for level, kind, value in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                return int(CREDENTIALS.unpack(value[: CREDENTIALS.size])[0])
        raise WorkerDied("the kernel did not say who began")

    def _send(self, message: dict[str, Any], fd: int | None = None) -> None:
        body = json.dumps(message).encode("ascii")
        extra = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        self._control.sendmsg([LENGTH.pack(len(body))], extra)
        self._control.sendall(body)

    def _receive(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = self._control.recv(size - len(parts))
            if not part:
                raise WorkerDied(self._last_words() or "the worker ended")
            parts += part
        return bytes(parts)

    def _last_words(self) -> str:
        """What it wrote on stderr before it ended."""
        self._control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            _, words = self._process.communicate(timeout=2)
            lines = words.decode("utf-8", "replace").strip().splitlines()
            return lines[-1][:300] if lines else ""
        return ""

    def stop(self) -> None:
        """Lets it end, from any thread: it kills its child and leaves; the thread that uses it sees it die."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends it, and whatever it runs. By the thread that uses it."""
        self._control.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()

    @property
    def pid(self) -> int:
        """Of the process that we started."""
        return self._process.pid


class _Watch:
    """One execution, seen from outside."""

    def __init__(self, pid: int, execution: Execution, judge: Judge, limits: Limits, total: float) -> None:
        self._pid, self._execution, self._judge, self._limits = pid, execution, judge, limits
        self._clock = ((~pid) << 3) | 2  # the CPU clock of another process (clock_getcpuclockid)
        self._total = total
        self._parser = frames.Parser(execution.output_cap)
        self._answers, self._imported, self._ended = 0, False, False
        self._stop: tuple[Ending, str] | None = None
        self._cpu, self._cpu_mark, self._wall_start, self._wall_mark = 0.0, 0.0, time.monotonic(), time.monotonic()

    def feed(self, data: bytes) -> None:
        """Bytes from the pipe."""
        if self._stop:
            return
        try:
            for kind, payload, cpu in self._parser.feed(data):
                self._frame(kind, payload, cpu)
                if self._stop:
                    return
        except frames.Garbled as error:
            self._end("malformed", str(error))
        except OverflowError:
            self._end("output_cap", f"more than {self._execution.output_cap} bytes")
        self._cpu_mark, self._wall_mark = self._read_clock(), time.monotonic()

    def _frame(self, kind: bytes, payload: bytes, cpu: float) -> None:
        if self._ended:
            raise frames.Garbled("a frame after the end")
        if not self._imported:
            if kind == frames.IMPORT_FAILED:
                self._end("import_failed", frames.words(payload))
            elif kind == frames.IMPORTED:
                self._imported = True
            else:
                raise frames.Garbled("an answer before the beginning")
        elif kind == frames.END:
            if self._answers != self._execution.inputs.count:
                raise frames.Garbled("the end, but answers are missing")
            self._ended = True
        elif self._answers >= self._execution.inputs.count:
            raise frames.Garbled("more answers than inputs")
        else:
            given = frames.answer(kind, payload)
            self._answers += 1
            if not self._judge(self._answers - 1, given, cpu):
                self._end("stopped", "")

    def look(self) -> None:
        """Every tick: stops it if it is over one of its limits."""
        if self._stop:
            return
        self._cpu = self._read_clock()
        factor, extra = self._limits.disarmed
        wall_factor, wall_extra = self._limits.wall
        answered = self._answers < len(self._execution.limits)
        limit = self._execution.limits[self._answers] if self._imported and answered else self._total
        now = time.monotonic()
        if self._imported and self._cpu - self._cpu_mark > factor * limit + extra:
            self._end("timeout", f"more than {limit:g} CPU seconds in one call")
        elif self._cpu > self._total:
            self._end("timeout", f"more than {self._total:g} CPU seconds in all")
        elif (
            now - self._wall_mark > wall_factor * limit + wall_extra
            or now - self._wall_start > wall_factor * self._total + wall_extra
        ):
            self._wall_end(now)

    def _wall_end(self, now: float) -> None:
        if _starved(self._pid) > 0.5 * (now - self._wall_start):
            self._end("inconclusive", "the machine was busy")
        else:
            self._end("timeout_wall", "waited without using CPU time")

    def _end(self, ending: Ending, detail: str) -> None:
        self._stop = ending, detail
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def _read_clock(self) -> float:
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return self._cpu

    def outcome(self, status: int, cpu: float) -> Outcome:
        """The verdict on how it ended; what the answers are worth is the judge's."""
        if self._stop:
            return Outcome(*self._stop, self._answers, cpu)
        if self._ended and status == 0 and self._parser.clean:
            return Outcome("complete", "", self._answers, cpu)
        code = os.waitstatus_to_exitcode(status)
        if code == -signal.SIGKILL and cpu > self._total:
            return Outcome("timeout", f"more than {self._total:g} CPU seconds in all", self._answers, cpu)
        if code == NOT_CONFINED:
            raise WorkerDied("a candidate could not be confined")
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        return Outcome("died", f"{how} before the end", self._answers, cpu)


def _starved(pid: int) -> float:
    """Seconds that a process was ready to run and did not get a core; 0 if the kernel does not say."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text("ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
