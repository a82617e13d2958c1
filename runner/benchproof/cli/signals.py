"""SIGINT and SIGTERM end a run within ten seconds, whatever it is in the middle of."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GRACE_S = 8.0


@contextmanager
def stoppable() -> Iterator[None]:
    """Either signal raises KeyboardInterrupt; a second one, or 8 s that pass, end the process with 75.

    Ending hard is safe: what was acknowledged is on disk, and a torn tail is ignored. A thread watches, since
    Python runs its handlers only when the call that the signal came into returns, and a forward can be long.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    over = threading.Event()
    threading.Thread(target=_watch, args=(reader, over), daemon=True).start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writer)  # the watcher reads the end, and closes its side


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def _watch(reader: int, over: threading.Event) -> None:
    ours = {signal.SIGINT, signal.SIGTERM}
    try:
        while data := os.read(reader, 16):
            if ours.intersection(data):
                print("stopping: what was answered is on disk, the same command goes on …", file=sys.stderr, flush=True)  # noqa: T201
                break
        else:
            return
        os.set_blocking(reader, True)
        timer = threading.Timer(GRACE_S, _end, args=(over,))
        timer.daemon = True
        timer.start()
        while data := os.read(reader, 16):
            if ours.intersection(data):
                _end(over)
    finally:
        os.close(reader)


def _end(over: threading.Event) -> None:
    if not over.is_set():
        os._exit(75)
