"""evalplus's `sanitize`, in a process that can be ended: on repetitive text it takes minutes."""

import json
import select
import subprocess
import sys
from types import TracebackType
from typing import Self

LIMIT_S = 10.0  # evalplus's own solutions take milliseconds; cubic cost makes 300 equal lines take half a minute
IMPORT_S = 120.0  # of tree-sitter and evalplus, on a machine that is busy
CHILD = """
import json, sys
from evalplus.sanitize import sanitize
print("ready", flush=True)
for line in sys.stdin:
    code, entry_point = json.loads(line)
    print(json.dumps(sanitize(code, entrypoint=entry_point)), flush=True)
"""


class Sanitizer:
    """Sanitises programs one at a time; a child that takes too long is ended and replaced."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit, self._child = limit_s, None  # type: float, subprocess.Popen[str] | None
        self._known: dict[tuple[str, str], tuple[str, str]] = {}

    def sanitize(self, code: str, entry_point: str) -> tuple[str, str]:
        """(program, how it ended): `done`; or `timeout` or `failed`, and then the program is empty."""
        key = (code, entry_point)
        if key not in self._known:
            self._known[key] = self._asked(code, entry_point)
        return self._known[key]

    def _asked(self, code: str, entry_point: str) -> tuple[str, str]:
        child = self._child or self._start()
        if child.stdin is None:
            raise RuntimeError("the sanitiser has no standard input")
        try:
            child.stdin.write(json.dumps([code, entry_point]) + "\n")
            child.stdin.flush()
            line = self._line(child, self._limit)
        except BrokenPipeError:
            line = ""
        if line is None or not line:
            self._stop()
            return "", "timeout" if line is None else "failed"
        return str(json.loads(line)), "done"

    def _start(self) -> "subprocess.Popen[str]":
        self._child = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        if not self._line(self._child, IMPORT_S):
            self._stop()
            raise RuntimeError("evalplus's sanitiser does not start")
        return self._child

    @staticmethod
    def _line(child: "subprocess.Popen[str]", limit_s: float) -> str | None:
        """The child's next line; "" if it has ended, None if the time is over."""
        if child.stdout is None or not select.select([child.stdout], [], [], limit_s)[0]:
            return None
        return child.stdout.readline()

    def _stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
