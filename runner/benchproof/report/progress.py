"""Progress for people: a live line on a terminal, plain lines elsewhere; no phase is silent for 2 s."""

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from benchproof.ports import Phase

log = logging.getLogger(__name__)

EVERY_S = 2.0  # plain lines: at most this long without one
WORTH_A_LINE_S = 1.0  # shorter phases without a score leave no line


class Silent:
    """Says nothing; for programs that call us. Phases and words still go to the log."""

    @contextmanager
    def phase(self, name: str, *, total: int | None = None, unit: str = "") -> Iterator[Phase]:
        """See ports.Progress."""
        step = Step(name, total, unit)
        with self._shown(step):
            yield step
        log.info("%s", step.summary())
        if step.elapsed >= WORTH_A_LINE_S or step.note.startswith("score "):
            self._tell(f"  {step.summary()}")

    def say(self, text: str) -> None:
        """See ports.Progress."""
        log.info("%s", text)
        self._tell(text)

    @contextmanager
    def _shown(self, step: "Step") -> Iterator[None]:
        """While it lasts, the step is shown somewhere."""
        yield

    def _tell(self, line: str) -> None:
        """One line for people."""


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

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started

    def summary(self) -> str:
        """`name: total unit, seconds, score`: what stays when it has ended."""
        amount = f"{_amount(self.total, self.unit)} {_unit(self.unit)}, " if self.total else ""
        score = f", {self.note.split(', all done')[0]}" if self.note.startswith("score ") else ""
        return f"{self.name}: {amount}{_duration(self.elapsed)}{score}"

    def line(self) -> str:
        """`name  done/total unit  rate  time left  note`."""
        elapsed = self.elapsed
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


class Plain(Silent):
    """At least one line every 2 s, and one at the end of a phase that took a second or has a score."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()

    @contextmanager
    def _shown(self, step: Step) -> Iterator[None]:
        """A thread speaks for phases that cannot: an import, a load."""
        ended = threading.Event()
        speaker = threading.Thread(target=self._speak, args=(step, ended), daemon=True)
        speaker.start()
        try:
            yield
        finally:
            ended.set()
            speaker.join()

    def _tell(self, line: str) -> None:
        with self._lock:
            print(line, file=self._stream, flush=True)  # progress is for people

    def _speak(self, step: Step, ended: threading.Event) -> None:
        while not ended.wait(EVERY_S):
            self._tell(f"  {step.line()}")


class Live(Silent):
    """A spinner line that is redrawn in place; ended phases stay as plain lines above it."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)

    @contextmanager
    def _shown(self, step: Step) -> Iterator[None]:
        from rich.live import Live as RichLive
        from rich.spinner import Spinner

        class Line:
            def __rich__(self) -> Spinner:
                spinner.update(text=step.line())
                return spinner

        spinner = Spinner("dots", text=step.line())
        with RichLive(Line(), console=self._console, refresh_per_second=8, transient=True):
            yield

    def _tell(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def for_terminal(quiet: bool) -> Silent:
    """Live on a terminal, plain lines elsewhere, nothing if `quiet`."""
    if quiet:
        return Silent()
    return Live() if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else Plain()


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
