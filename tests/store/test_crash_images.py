"""Crash images: what a power cut may leave of the real code's writes, recovered by the real code.

`kill -9` does not test durability, since the kernel keeps the pages. So the journal and the record are
written through a disk that notes every call; for every prefix of that log the images are built that a
crash may leave (bytes that were not synced lost, kept, torn, zero-filled or flipped; names since the last
sync of their folder there or not), and each is read back. The three mutants at the end show that the
images are able to fail.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchproof.errors import BenchproofError
from benchproof.schema.response import Loglikelihood
from benchproof.store.files import Disk, write_once
from benchproof.store.journal import JournalWriter, read_journal

RECORD = b'{"a record":"whole"}\n' * 20
OPS = 4
Call = tuple[str, str, bytes]  # verb, file name, data


@dataclass
class Noted(Disk):
    """The real disk, and a log of what it was asked. `mute`: verbs that a mutant forgets."""

    mute: frozenset[str] = frozenset()
    log: list[Call] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)

    def create(self, path: Path) -> int:
        fd = super().create(path)
        self.names[fd] = path.name
        self._note("create", path.name)
        return fd

    def write(self, fd: int, data: bytes) -> None:
        super().write(fd, data)
        self._note("write", self.names[fd], data)

    def fsync(self, fd: int) -> None:
        super().fsync(fd)
        self._note("fsync", self.names[fd])

    def fsync_folder(self, folder: Path) -> None:
        super().fsync_folder(folder)
        self._note("fsync_folder", "")

    def publish(self, temporary: Path, final: Path) -> None:
        super().publish(temporary, final)
        self._note("publish", temporary.name, final.name.encode())

    def acknowledge(self, what: str) -> None:
        """From here on the user counts on it."""
        self._note("ack", what)

    def _note(self, verb: str, name: str, data: bytes = b"") -> None:
        if verb not in self.mute:
            self.log.append((verb, name, data))


def a_run(folder: Path, mute: frozenset[str] = frozenset(), *, rename: bool = True) -> list[Call]:
    """The calls of one small run: a journal of four ops, then its record."""
    disk = Noted(mute=mute)
    with JournalWriter(folder / "j.journal", {"ask_id": "a", "plan_id": "p"}, disk) as journal:
        for op in range(OPS):
            journal.append(op, [Loglikelihood(f"{op:064x}", -1.5 - op, True, 1)])
            disk.acknowledge(str(op))
        journal.end({"ended": "now"})
    write_once(folder / "record.json", RECORD, disk)
    disk.acknowledge("record")
    if rename:
        return disk.log
    # The mutant writes under the final name at once.
    temporary = next(name for verb, name, _ in disk.log if verb == "publish")
    return [
        (verb, "record.json" if name == temporary else name, data) for verb, name, data in disk.log if verb != "publish"
    ]


@dataclass
class File:
    """One file's bytes: how many are safe, and all that were written."""

    data: bytes = b""
    synced: int = 0


def images(log: list[Call]) -> Iterator[tuple[dict[str, bytes], set[str]]]:
    """For every prefix of the log: (names -> bytes) that a crash may leave, and what was acknowledged by then."""
    for end in range(len(log) + 1):
        files: dict[str, File] = {}
        safe: dict[str, str] = {}  # name -> file, as of the last sync of the folder
        names: dict[str, str] = {}
        acknowledged: set[str] = set()
        for verb, name, data in log[:end]:
            match verb:
                case "create":
                    files[name] = File()
                    names[name] = name
                case "write":
                    files[name].data += data
                case "fsync":
                    files[name].synced = len(files[name].data)
                case "publish":
                    names.pop(name)
                    names[data.decode()] = name
                case "fsync_folder":
                    safe = dict(names)
                case "ack":
                    acknowledged.add(name)
        for listing in (safe, names):
            for damage in ("lost", "kept", "torn", "zeros", "flipped"):
                yield {name: _left(files[file], damage) for name, file in listing.items()}, acknowledged


def _left(file: File, damage: str) -> bytes:
    safe, loose = file.data[: file.synced], file.data[file.synced :]
    match damage:
        case "lost":
            loose = b""
        case "torn":
            loose = loose[: len(loose) // 2]
        case "zeros":
            loose = bytes(len(loose))
        case "flipped" if loose:
            middle = len(loose) // 2
            loose = loose[:middle] + bytes([loose[middle] ^ 1]) + loose[middle + 1 :]
    return safe + loose


def violations(log: list[Call], folder: Path) -> tuple[int, int]:
    """(images, broken promises): recovered ops are a prefix, what was acknowledged is there, a record is whole."""
    total = broken = 0
    for number, (image, acknowledged) in enumerate(images(log)):
        place = folder / str(number)
        place.mkdir()
        for name, data in image.items():
            (place / name).write_bytes(data)
        total += 1
        broken += not _holds(place, acknowledged)
    return total, broken


def _holds(place: Path, acknowledged: set[str]) -> bool:
    path = place / "j.journal"
    wanted = {int(name) for name in acknowledged if name != "record"}
    try:
        found = sorted(read_journal(path).ops) if path.exists() else []
    except BenchproofError:
        return False
    if found != list(range(len(found))) or not wanted <= set(found):
        return False
    record = place / "record.json"
    if record.exists():
        return record.read_bytes() == RECORD
    return "record" not in acknowledged


def test_no_crash_loses_an_acknowledged_answer_or_leaves_half_a_record(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "images").mkdir()
    total, broken = violations(a_run(tmp_path / "run"), tmp_path / "images")
    assert total > 150
    assert broken == 0


@pytest.mark.parametrize(
    ("name", "mute", "rename"),
    [
        ("no fsync", frozenset({"fsync"}), True),
        ("no fsync of the folder", frozenset({"fsync_folder"}), True),
        ("no rename", frozenset(), False),
    ],
)
def test_the_images_catch_a_protocol_that_is_wrong(
    tmp_path: Path, name: str, mute: frozenset[str], rename: bool
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "images").mkdir()
    _, broken = violations(a_run(tmp_path / "run", mute, rename=rename), tmp_path / "images")
    assert broken > 0, f"the mutant '{name}' went unseen"
