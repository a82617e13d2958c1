"""The host as an attacker would like it: files, listeners, processes, each a canary that is looked at afterwards."""

import os
import platform
import selectors
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchproof.sandbox.supervisor import Sandbox
from benchproof.schema.execution import Answer, Execution, Inputs, Outcome, Value
from sandbox.attacks import Attack

ADD = Inputs("attack", "[[1, 2], [3, 4], [-1, 1]]", 3)
ANSWERS = [3, 7, 0]
KEPT = {"canary": "canary", "touched": "touched"}


@dataclass
class Result:
    """What an attack got. `passed`: every answer was right. `touched`: canaries that show it was outside."""

    outcome: Outcome
    passed: bool
    touched: list[str] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)


class Ground:
    """A folder, listeners and a process, all for one test."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="ground-")
        self.folder = Path(self._folder.name)
        self.folder.chmod(0o777)
        for name, text in KEPT.items():
            (self.folder / name).write_text(text, "ascii")
            (self.folder / name).chmod(0o666)
        self._selector = selectors.DefaultSelector()
        self._sockets = [
            socket.socket(),
            socket.socket(type=socket.SOCK_DGRAM),
            *(socket.socket(socket.AF_UNIX) for _ in "12"),
        ]
        tcp, udp, unix, abstract = self._sockets
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("127.0.0.1", 0))
        self.abstract = f"benchproof-{os.getpid()}-{id(self)}"
        unix.bind(str(self.folder / "socket"))
        (self.folder / "socket").chmod(0o777)
        abstract.bind("\0" + self.abstract)
        for one in self._sockets:
            if one is not udp:
                one.listen(64)
            one.setblocking(False)
            self._selector.register(one, selectors.EVENT_READ)
        self.victim = subprocess.Popen(["sleep", "600"], start_new_session=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._selector.close()
        for one in self._sockets:
            one.close()
        self.victim.kill()
        self.victim.wait()
        self._folder.cleanup()

    def fitted(self, source: str) -> str:
        """The source with this ground's places in it."""
        places = {
            "CANARY": self.folder / "canary",
            "FOLDER": self.folder,
            "SOCKET": self.folder / "socket",
            "ABSTRACT": self.abstract,
            "PORT": self._sockets[0].getsockname()[1],
            "UDP": self._sockets[1].getsockname()[1],
            "VICTIM": self.victim.pid,
            "RUNNER": os.getpid(),
            "NAME": self.abstract,
        }
        for name, place in places.items():
            source = source.replace(name, str(place))
        return source

    def touched(self) -> list[str]:
        """Canaries that were touched since the last look; all of them whole again."""
        found = [f"listener {self._sockets.index(key.fileobj)}" for key, _ in self._selector.select(0)]  # type: ignore[arg-type]
        for key, _ in self._selector.select(0):
            one = key.fileobj
            assert isinstance(one, socket.socket)
            if one.type == socket.SOCK_DGRAM:
                one.recv(100)
            else:
                one.accept()[0].close()
        for path in self.folder.iterdir():
            if path.name not in {*KEPT, "socket"}:
                found.append(f"made {path.name}")
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        for name, text in KEPT.items():
            path = self.folder / name
            if not path.exists() or path.read_text("ascii") != text or path.stat().st_mode & 0o777 != 0o666:
                found.append(f"changed {name}")
                path.write_text(text, "ascii")
                path.chmod(0o666)
        shared = Path("/dev/shm") / f"benchproof-{self.abstract}"
        if shared.exists():
            found.append("made shared memory")
            shared.unlink()
        state = Path(f"/proc/{self.victim.pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()[0]
        if self.victim.poll() is not None or state in "tTZX":
            found.append(f"victim {state}")
            self.victim.kill()
            self.victim.wait()
            self.victim = subprocess.Popen(["sleep", "600"], start_new_session=True)
        return found

    def assault(self, sandbox: Sandbox, attack: Attack, without: Sequence[str] = ()) -> Result:
        """Runs one attack as a candidate."""
        return self.run(sandbox, self.fitted(attack.source), without)

    def run(self, sandbox: Sandbox, source: str, without: Sequence[str] = ()) -> Result:
        """Runs one source; right answers are compared as the suites do for plain ones: decoded, then `==`."""
        answers: list[Any] = []

        def judge(index: int, answer: Answer, cpu: float) -> bool:
            if not isinstance(answer, Value):
                answers.append(answer)
                return False
            try:
                value = sandbox.decode(answer.encoded)
            except ValueError:
                answers.append("malformed")
                return False
            if getattr(value, "dtype", "").startswith("<i") and not value.array:
                value = value.value
            answers.append(value)
            return bool(value == ANSWERS[index])

        execution = Execution(source, "add", ADD, (1.0,) * ADD.count, 65_536)
        outcome = sandbox.one(execution, judge, without=without)
        passed = outcome.ending == "complete" and len(answers) == len(ANSWERS)
        return Result(outcome, passed, self.touched(), answers)


def fits(attack: Attack) -> bool:
    """True if the attack is written for this machine."""
    return attack.machine in ("", platform.machine())
