"""Forks runs that can be killed: one process imports and resolves once, each child does the rest in half a second.

    python kill_server.py SPEC      reads one JSON a line on stdin, answers one JSON a line on stdout

A question is {"out": folder, "kill": null | Kill}, an answer {"killed": bool, "code": int, "seconds": real}. A child
kills itself with SIGKILL at an event (a call of the disk, of the engine, of the harness), or is killed from outside
after some time. What is left out in a child is resolving, which writes nothing: the plan is the parent's.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchproof.errors import BenchproofError
from benchproof.ports import Op
from benchproof.report.progress import Silent
from benchproof.resolve import Resolved
from benchproof.run import World, run
from benchproof.schema.spec import RunSpec, TaskAsk
from benchproof.spec import read_spec, resolve_suite
from benchproof.store.files import Disk

ASKED = "asked"  # beside the run folder, FOLDER.asked: a line for each op before the engine sees it
EVENTS = "events"  # FOLDER.events: how often each group of events came, of a run that was not killed


def die() -> None:
    """As the kernel ends a process that is out of memory: nothing is flushed, nothing is cleaned."""
    os.kill(os.getpid(), signal.SIGKILL)


class Kill(NamedTuple):
    """Where a child ends: at the nth event (from 1) of a group, or after so many seconds."""

    group: str
    nth: int
    how: str  # before, after, half (of a write)
    seconds: float | None = None


@dataclass
class Points:
    """Counts events by group and kills at the one that was asked for."""

    kill: Kill | None
    counts: dict[str, int] = field(default_factory=dict)

    def before(self, group: str) -> None:
        self.counts[group] = self.counts.get(group, 0) + 1
        if self._here(group, "before"):
            die()

    def after(self, group: str) -> None:
        if self._here(group, "after"):
            die()

    def half(self, group: str) -> bool:
        return self._here(group, "half")

    def _here(self, group: str, how: str) -> bool:
        kill = self.kill
        return kill is not None and (kill.group, kill.nth, kill.how) == (group, self.counts[group], how)


def watch_disk(points: Points) -> None:
    """Every call of the real disk is an event of the file that it is for."""
    real = {name: getattr(Disk, name) for name in ("create", "write", "fsync", "fsync_folder", "publish")}
    groups: dict[int, str] = {}
    last = ["plan"]

    def group_of(path: Path) -> str:
        if path.parent.name in ("requests", "samples", "journal"):
            return path.parent.name
        return "record" if "record" in path.name else "plan"

    def create(self: Disk, path: Path) -> int:
        points.before(group_of(path))
        fd: int = real["create"](self, path)
        groups[fd] = last[0] = group_of(path)
        points.after(groups[fd])
        return fd

    def write(self: Disk, fd: int, data: bytes) -> None:
        points.before(groups[fd])
        if points.half(groups[fd]):
            real["write"](self, fd, data[: len(data) // 2])
            die()
        real["write"](self, fd, data)
        points.after(groups[fd])

    def fsync(self: Disk, fd: int) -> None:
        points.before(groups[fd])
        real["fsync"](self, fd)
        points.after(groups[fd])

    def fsync_folder(self: Disk, folder: Path) -> None:
        points.before(last[0])
        real["fsync_folder"](self, folder)
        points.after(last[0])

    def publish(self: Disk, temporary: Path, final: Path) -> None:
        points.before(group_of(final))
        if points.half(group_of(final)):
            os.link(temporary, final)
            die()  # both names stand
        real["publish"](self, temporary, final)
        points.after(group_of(final))

    for function in (create, write, fsync, fsync_folder, publish):
        setattr(Disk, function.__name__, function)


def watch_world(world: World, points: Points, asked: int) -> None:
    """Answers and marks are events, and each op is noted before the engine sees it."""
    engine: Any = world.engine
    harness: Any = world.harness
    answer, score = engine.answer, harness.score

    def watched_answer(op: Op, requests: Any, encoded: Any) -> Any:
        os.write(asked, f"{op.index}\n".encode())
        points.before("answer")
        found = answer(op, requests, encoded)
        points.after("answer")
        return found

    def watched_score(task: str, docs: Any, answers: Any) -> Iterator[Any]:
        for sample in score(task, docs, answers):
            points.before("score")
            yield sample
            points.after("score")

    engine.answer, harness.score = watched_answer, watched_score


def child(
    out: Path, kill: Kill | None, spec: RunSpec, data: bytes, tasks: Sequence[TaskAsk], world: World, resolved: Resolved
) -> int:
    """The rest of a run; its exit code."""
    from benchproof import resolve

    def as_the_parent(*args: Any, **kwargs: Any) -> Resolved:
        return resolved

    resolve.resolve = as_the_parent
    points = Points(kill)
    asked = os.open(f"{out}.{ASKED}", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    os.write(asked, b"start\n")
    watch_disk(points)
    watch_world(world, points, asked)
    try:
        run(spec, data, tasks, world, out=out, name="killed")
    except BenchproofError as error:
        print(error, file=sys.stderr, flush=True)
        return error.exit_code
    Path(f"{out}.{EVENTS}").write_text(json.dumps(points.counts), "ascii")
    return 0


def end_of(process: int, seconds: float | None) -> int:
    """The wait status of a child, killed from outside when its time is over."""
    started = time.monotonic()
    while True:
        over = seconds is not None and time.monotonic() - started > seconds
        if over:
            os.kill(process, signal.SIGKILL)
        waited, status = os.waitpid(process, 0 if over or seconds is None else os.WNOHANG)
        if waited:
            return status
        time.sleep(0.002)


def serve(path: Path) -> None:
    """Answers until stdin ends."""
    import torch

    from benchproof.resolve import resolve
    from benchproof.wire import make_world

    torch.set_num_threads(1)  # no thread may run when a child is forked
    spec, data = read_spec(path)
    tasks = resolve_suite(spec.suite)
    world = make_world(spec, device="cpu", progress=Silent())
    resolved = resolve(
        spec, tasks, engine=world.engine, harness=world.harness, source=world.source, progress=world.progress
    )
    print("ready", flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        kill = None if question["kill"] is None else Kill(*question["kill"])
        started = time.monotonic()
        process = os.fork()
        if process == 0:
            code = 70
            try:
                code = child(Path(question["out"]), kill, spec, data, tasks, world, resolved)
            finally:
                os._exit(code)
        status = end_of(process, kill.seconds if kill else None)
        killed = os.WIFSIGNALED(status)
        code = -os.WTERMSIG(status) if killed else os.WEXITSTATUS(status)
        print(json.dumps({"killed": killed, "code": code, "seconds": time.monotonic() - started}), flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
