"""Many executions over several workers: identical ones once, inconclusive ones again alone, results as they come."""

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from benchproof.errors import SandboxUnavailable
from benchproof.sandbox import codec
from benchproof.sandbox.worker import Launch, Limits, Worker, WorkerDied
from benchproof.schema.execution import Execution, Judge, Outcome, SandboxProbe

JudgeMaker = Callable[[int], Judge]
Numbered = tuple[int, Execution]


class Sandbox:
    """A tier with its workers. Memory does not grow with the number of executions: nothing of them is kept."""

    def __init__(
        self, tier: str, launch: Launch, *, workers: int, limits: Limits | None = None, leaks: Sequence[str] = ()
    ) -> None:
        self.tier, self.workers, self.leaks = tier, workers, tuple(leaks)
        self.probes: list[SandboxProbe] = []
        self.versions: dict[str, str | None] = {}
        self._launch, self._limits = launch, limits or Limits()
        self._pool: list[Worker | None] = [None] * (workers + 1)  # the last is for `one`
        self._closed = False
        # Threads that stay: bubblewrap's --die-with-parent means the thread that started it.
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="sandbox")
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="sandbox-aside")

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def run(self, executions: Sequence[Execution], judge: JudgeMaker) -> Iterator[tuple[int, Outcome]]:
        """(index, outcome) of each execution as it ends. `judge(index)` makes the judge of one attempt.

        An attempt that does not count (the worker died, the machine was starved) is repeated once at the end,
        with nothing beside it; if that does not count either, it is `inconclusive`, which is never a pass.
        """
        again: list[tuple[int, str]] = []
        for index, outcome in self._all(list(enumerate(executions)), judge, self.workers):
            if outcome.ending in ("inconclusive", "timeout_wall"):
                again.append((index, outcome.detail))
            else:
                yield index, outcome
        for index, why in again:
            for _, outcome in self._all([(index, executions[index])], judge, 1):
                yield index, replace(outcome, retried=why)

    def one(self, execution: Execution, judge: Judge, *, without: Sequence[str] = ()) -> Outcome:
        """One execution in a worker of its own, so a judge may ask for it. Raises WorkerDied if two workers die.

        without: layers of the child that are left out, for probes and tests.
        """
        ask = partial(self._once, self.workers, execution, judge, without)
        try:
            return self._aside.submit(ask).result()
        except WorkerDied:
            return self._aside.submit(ask).result()

    def decode(self, encoded: bytes) -> Any:
        """An answer as a value. Raises ValueError for anything but the encoding."""
        return codec.decode(encoded)

    def pids(self) -> list[int]:
        """Of the workers that run now."""
        return [worker.pid for worker in self._pool if worker is not None]

    def close(self) -> None:
        """Ends every worker and waits for it. A `run` that is not at its end ends too."""
        self._closed = True
        for worker in self._pool:
            if worker is not None:
                worker.stop()
        self._threads.shutdown()
        self._aside.shutdown()
        for lane, worker in enumerate(self._pool):
            if worker is not None:
                worker.close()
                self._pool[lane] = None
        self._launch.clean()

    def _all(self, work: Sequence[Numbered], judge: JudgeMaker, lanes: int) -> Iterator[tuple[int, Outcome]]:
        """Every execution once, over that many lanes."""
        if self._closed:
            return
        waiting, lock = iter(work), threading.Lock()
        done: queue.Queue[tuple[int, Outcome] | BaseException | None] = queue.Queue()
        stop = threading.Event()

        def lane(number: int) -> None:
            try:
                while not (stop.is_set() or self._closed):
                    with lock:
                        taken = next(waiting, None)
                    if taken is None:
                        break
                    index, execution = taken
                    done.put((index, self._attempt(number, execution, judge(index))))
            except BaseException as error:  # noqa: BLE001  # handed to the caller's thread
                done.put(error)
            finally:
                done.put(None)

        running = [self._threads.submit(lane, number) for number in range(min(lanes, max(len(work), 1)))]
        try:
            left = len(running)
            while left:
                item = done.get()
                if item is None:
                    left -= 1
                elif isinstance(item, BaseException):
                    raise item
                else:
                    yield item
        finally:
            stop.set()
            for future in running:
                future.result()

    def _attempt(self, lane: int, execution: Execution, judge: Judge) -> Outcome:
        try:
            return self._once(lane, execution, judge, ())
        except WorkerDied as error:
            return Outcome("inconclusive", str(error) or "the worker died", 0, 0.0)

    def _once(self, lane: int, execution: Execution, judge: Judge, without: Sequence[str]) -> Outcome:
        worker = self._pool[lane]
        if worker is None:
            try:
                worker = self._pool[lane] = Worker(self._launch, self._limits)
            except WorkerDied as error:
                raise SandboxUnavailable(
                    f"a worker of the {self.tier} sandbox does not start: {error}",
                    where="sandbox",
                    do="benchproof doctor",
                ) from error
            self.versions = worker.versions
        if self._closed:  # looked at once the worker can be seen by `close`
            worker.stop()
        try:
            return worker.execute(execution, judge, without=without)
        except BaseException:  # also what a judge raises: the candidate is in the middle of something
            worker.close()
            self._pool[lane] = None
            raise


def default_workers() -> int:
    """The cores that this process may use."""
    return max(len(os.sched_getaffinity(0)), 1)
