"""log.txt of a run folder: one event a line, for people; nothing reads it. No prompts, no secrets.

Before the folder is known, events wait in `Waiting`, which the command line installs.
"""

import contextlib
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path

from benchproof.errors import LOG_NOTE, BenchproofError
from benchproof.store.files import disk_errors
from benchproof.store.folder import LOG

TOKEN = re.compile(r"\bhf_\w{8,}")

log = logging.getLogger("benchproof")


class Waiting(logging.Handler):
    """Keeps events until a folder is known. Without it, Python prints warnings to stderr."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Kept, up to a thousand."""
        if len(self.events) < 1000:
            self.events.append(record)


class OneLine(logging.Formatter):
    """`time level logger: message`; only a traceback takes more lines."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line, with no line break and no token in it."""
        return TOKEN.sub("hf_…", " ".join(super().formatMessage(record).split()))


class _File(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """A log that cannot be written ends no run: what counts is in the journal."""


def wait() -> None:
    """Events from here on wait for a run folder."""
    root = logging.getLogger()
    if not any(isinstance(handler, Waiting) for handler in root.handlers):
        root.addHandler(Waiting())
    logging.captureWarnings(True)  # Python's own warnings too: they are for the log, not for the terminal
    log.setLevel(logging.INFO)


@contextlib.contextmanager
def logged(folder: Path) -> Iterator[None]:
    """Events go to the folder's log.txt; an error that passes through is written there, and notes where."""
    path = folder / LOG
    with disk_errors(path):
        handler = _File(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(OneLine())
    root, level = logging.getLogger(), log.level
    for waiting in [found for found in root.handlers if isinstance(found, Waiting)]:
        for event in waiting.events:
            handler.handle(event)
        waiting.events.clear()
    root.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    except BenchproofError as error:
        log.error("exit %d: %s", error.exit_code, " / ".join(error.lines()))
        raise
    except KeyboardInterrupt as error:
        log.error("interrupted; the same command goes on")
        error.add_note(f"{LOG_NOTE}{path}")
        raise
    except BaseException as error:
        log.exception("a bug")
        error.add_note(f"{LOG_NOTE}{path}")
        raise
    finally:
        root.removeHandler(handler)
        handler.close()
        log.setLevel(level)
