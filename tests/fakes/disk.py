"""Disks that write down what they are asked, and disks that fail."""

import errno
from dataclasses import dataclass, field
from pathlib import Path

from benchproof.store.files import Disk


@dataclass
class LoggedDisk(Disk):
    """The real disk, with a log of its calls: (verb, name of the file or folder)."""

    log: list[tuple[str, str]] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)

    def create(self, path: Path) -> int:
        fd = super().create(path)
        self.names[fd] = path.name
        self.log.append(("create", path.name))
        return fd

    def write(self, fd: int, data: bytes) -> None:
        super().write(fd, data)
        self.log.append(("write", self.names[fd]))

    def fsync(self, fd: int) -> None:
        super().fsync(fd)
        self.log.append(("fsync", self.names[fd]))

    def fsync_folder(self, folder: Path) -> None:
        super().fsync_folder(folder)
        self.log.append(("fsync_folder", folder.name))

    def publish(self, temporary: Path, final: Path) -> None:
        super().publish(temporary, final)
        self.log.append(("publish", final.name))

    def close(self, fd: int) -> None:
        super().close(fd)
        self.log.append(("close", self.names[fd]))


@dataclass
class FailingDisk(LoggedDisk):
    """Fails at the call with number `at` (counted over all verbs, from 0); a failing write leaves half its bytes."""

    at: int = 0
    code: int = errno.ENOSPC
    calls: int = 0

    def _count(self) -> bool:
        self.calls += 1
        return self.calls == self.at + 1

    def _fail(self) -> OSError:
        return OSError(self.code, "injected")

    def create(self, path: Path) -> int:
        if self._count():
            raise self._fail()
        return super().create(path)

    def write(self, fd: int, data: bytes) -> None:
        if self._count():
            super().write(fd, data[: len(data) // 2])
            raise self._fail()
        super().write(fd, data)

    def fsync(self, fd: int) -> None:
        if self._count():
            raise self._fail()
        super().fsync(fd)

    def fsync_folder(self, folder: Path) -> None:
        if self._count():
            raise self._fail()
        super().fsync_folder(folder)

    def publish(self, temporary: Path, final: Path) -> None:
        if self._count():
            raise self._fail()
        super().publish(temporary, final)
