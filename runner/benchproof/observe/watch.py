"""What changes while a run goes on, seen at intervals by a thread: highest, lowest, and what ever was."""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from benchproof.observe.gpu import MEMORY, SM, Gpu, reasons
from benchproof.observe.reason import NotKnown, looked
from benchproof.schema.unknown import Unknown

FIRST, EVERY = 5.0, 60.0  # seconds: once when it is warm, then a light touch
IDLE = 0x1  # of the reason bits: not a slowdown

# One line for each quantity that is sampled.
SAMPLED: tuple[tuple[str, Callable[[Gpu], Any]], ...] = (
    ("temperature", lambda gpu: gpu.temperature()),
    ("power", lambda gpu: int(gpu.whole("PowerUsage"))),
    ("clock_sm", lambda gpu: int(gpu.whole("ClockInfo", SM))),
    ("clock_memory", lambda gpu: int(gpu.whole("ClockInfo", MEMORY))),
    ("memory_used", lambda gpu: int(gpu.own("MemoryInfo").used)),
    ("reason_bits", lambda gpu: gpu.reason_bits()),
    ("processes", lambda gpu: gpu.processes()),
)


class Watch:
    """Samples of one GPU. `stop` takes the last one; after it nothing is asked any more."""

    def __init__(self, gpu: Gpu, *, first: float = FIRST, every: float = EVERY) -> None:
        self._gpu, self._first, self._every = gpu, first, every
        self._rows: list[dict[str, Any]] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="benchproof-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread. Twice is as once."""
        if not self._stopped.is_set():
            self._stopped.set()
            self._thread.join()
            self._sample()

    @property
    def samples(self) -> int:
        """How often it was looked."""
        return len(self._rows)

    def highest(self, name: str) -> int:
        """The highest value seen. Raises NotKnown."""
        return int(max(self._seen(name)))

    def lowest(self, name: str) -> int:
        """The lowest value seen. Raises NotKnown."""
        return int(min(self._seen(name)))

    def slowdowns(self) -> list[str]:
        """Every reason that ever held the clocks back. Raises NotKnown."""
        bits = 0
        for seen in self._seen("reason_bits"):
            bits |= seen
        return reasons(bits & ~IDLE)

    def foreign(self) -> int:
        """Most compute processes beside this one at a time. Raises NotKnown: they may not be told apart."""
        most = 0
        for seen in self._seen("processes"):
            if os.getpid() not in seen.pids:
                raise NotKnown(
                    "not_exposed",
                    f"NVML lists {len(seen.pids)} processes and this one is not among them, as in a container",
                )
            most = max(most, len(seen.pids) - 1)
        return most

    def _seen(self, name: str) -> Sequence[Any]:
        values = [row[name] for row in self._rows]
        known = [value for value in values if not isinstance(value, Unknown)]
        if not known:
            last: Unknown = values[-1]
            raise NotKnown(last.unknown, last.detail)
        return known

    def _run(self) -> None:
        wait = self._first
        while not self._stopped.wait(wait):
            self._sample()
            wait = self._every

    def _sample(self) -> None:
        row: dict[str, Any] = {}
        for name, look in SAMPLED:
            row[name] = looked(look, self._gpu)
        self._rows.append(row)
