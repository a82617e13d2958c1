"""Progress for people: a live line on a terminal, plain lines elsewhere; no phase is silent for 2 s."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from benchproof.ports import Phase

EVERY_S = 2.0  # plain lines: at most this long without one


class Silent:
    """Says nothing; for programs that call us."""

    @contextmanager
    def phase(self, name: str, *, total: int | None = None, unit: str = "") -> Iterator[Phase]:
        """A phase that nobody sees."""
        yield Step(name, total, unit)

    def say(self, text: str) -> None:
        """Nothing."""


@dataclass
class Step:
    """How far a phase is. Implements ports.Phase."""

    name: str
    total: int | None
    unit: str
    done: int = 0
    note: str = ""
    started: float = field(default_factory=time.monotonic)

    def advance(self, amount: int = 1, note: str = "") -> None:
        """See ports.Phase."""
        self.done += amount
        self.note = note or self.note

    def line(self) -> str:
        """`name  done/total unit  rate  time left  note`."""
        elapsed = time.monotonic() - self.started
        parts = [self.name]
        if self.total:
            parts.append(
                f"{_amount(self.done, self.unit)}/{_amount(self.total, self.unit)} {_unit(self.unit)}".rstrip()
            )
            if self.done and elapsed > 0.5:
                parts.append(f"{_amount(self.done / elapsed, self.unit)}/s")
                if self.done < self.total:
                    parts.append(f"{_duration((self.total - self.done) * elapsed / self.done)} left")
        if self.total is None or not self.done:
            parts.append(_duration(elapsed))
        if self.note:
            parts.append(self.note)
        return "  ".join(parts)


class Plain:
    """One line when a phase begins, one at least every 2 s, one when it ends if it took a second."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()

    @contextmanager
    def phase(self, name: str, *, total: int | None = None, unit: str = "") -> Iterator[Phase]:
        """See ports.Progress. A thread speaks for phases that cannot: an import, a load."""
        step = Step(name, total, unit)
        ended = threading.Event()
        speaker = threading.Thread(target=self._speak, args=(step, ended), daemon=True)
        speaker.start()
        try:
            yield step
            self._end(step)
        finally:
            ended.set()
            speaker.join()

    def say(self, text: str) -> None:
        """See ports.Progress."""
        with self._lock:
            print(text, file=self._stream, flush=True)

    def _speak(self, step: Step, ended: threading.Event) -> None:
        while not ended.wait(EVERY_S):
            self.say(f"  {step.line()}")

    def _end(self, step: Step) -> None:
        elapsed = time.monotonic() - step.started
        amount = f"{_amount(step.total, step.unit)} {_unit(step.unit)}, " if step.total else ""
        note = f", {step.note.split(', all done')[0]}" if step.note.startswith("score ") else ""
        self.say(f"  {step.name}: {amount}{_duration(elapsed)}{note}")


class Live:
    """A spinner line that is redrawn in place; ended phases stay as plain lines above it."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)
        self._plain = Plain()

    @contextmanager
    def phase(self, name: str, *, total: int | None = None, unit: str = "") -> Iterator[Phase]:
        """See ports.Progress."""
        from rich.live import Live as RichLive
        from rich.spinner import Spinner

        step = Step(name, total, unit)

        class Line:
            def __rich__(self) -> Spinner:
                spinner.update(text=step.line())
                return spinner

        spinner = Spinner("dots", text=step.line())
        with RichLive(Line(), console=self._console, refresh_per_second=8, transient=True):
            yield step
        self._plain._end(step)

    def say(self, text: str) -> None:
        """See ports.Progress."""
        self._console.print(text, markup=False, highlight=False)


def _amount(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{value / 1e6:.0f}"
    if value >= 1e6:
        return f"{value / 1e6:.1f}M"
    return f"{value / 1e3:.1f}k" if value >= 1e4 else f"{value:.0f}"


def _unit(unit: str) -> str:
    return "MB" if unit == "bytes" else unit


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
