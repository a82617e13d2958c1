r"""The journal: responses, appended and fsynced before they count. One file per attempt, one frame per op.

    file   = magic "BPJOURNAL1\\n" | frame 0 (the header) | frame 1 | ...
    frame  = u32 length, big-endian | canonical JSON, that many bytes | sha256(previous hash | JSON), 32 bytes

The chain starts at sha256(magic). The header says what is answered (ask id, plan id, requests digest,
shard, attempt) and on what (environment, engine as loaded). A frame after it is {"op": index,
"responses": [...]}, whole ops only; the last of an attempt that ended by itself is {"end": {...}}.

Reading takes the longest valid prefix. A torn tail (the last frame, never acknowledged) is ignored and
reported, never cut: the next attempt is a new file. A bad frame with valid bytes after it is corruption.
"""

import hashlib
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchproof.errors import BadInput, VerificationFailed
from benchproof.schema.canonical import canonical, strict_json
from benchproof.schema.request import Request
from benchproof.schema.response import Response, response_from
from benchproof.store.files import DISK, Disk, disk_errors

MAGIC = b"BPJOURNAL1\n"
FORMAT = "benchproof/journal/v1"
LENGTH = struct.Struct(">I")
HASH_BYTES = 32


def attempt_name(shard: int, of: int, attempt: int) -> str:
    """File name of one attempt at one shard."""
    return f"shard-{shard:03d}-of-{of:03d}.attempt-{attempt}.journal"


def attempt_number(path: Path) -> int:
    """The number in an attempt's file name; -1 for a name that is none of ours."""
    match = re.search(r"attempt-(\d+)\.journal$", path.name)
    return int(match[1]) if match else -1


def journal_paths(folder: Path) -> list[Path]:
    """The attempts in a run's journal folder in the order of their numbers: the tenth comes after the second."""
    return sorted(folder.glob("*.journal"), key=lambda path: (attempt_number(path), path.name))


def _link(previous: bytes, body: bytes) -> bytes:
    return hashlib.sha256(previous + body).digest()


class JournalWriter:
    """Appends frames to a new file. A frame is acknowledged when `append` returns."""

    def __init__(self, path: Path, header: dict[str, Any], disk: Disk = DISK) -> None:
        """Creates the file (never an existing one). Raises BadInput, DiskError."""
        self.path, self._disk = path, disk
        self._head = hashlib.sha256(MAGIC).digest()
        with disk_errors(path):
            try:
                self._fd = disk.create(path)
            except FileExistsError as error:
                raise BadInput(f"{path.name} exists", where=str(path), do="start the run again") from error
            try:
                disk.write(self._fd, MAGIC)
                self._frame({"format": FORMAT, **header})
                disk.fsync(self._fd)
                disk.fsync_folder(path.parent)
            except BaseException:
                disk.close(self._fd)
                raise

    def append(self, op: int, responses: Sequence[Response]) -> None:
        """One op's responses, durable when this returns. Raises DiskError; nothing counts then."""
        body = {"op": op, "responses": [response.json_value() for response in responses]}
        with disk_errors(self.path):
            self._frame(body)
            self._disk.fsync(self._fd)

    def end(self, observed: dict[str, Any]) -> None:
        """The attempt ended by itself: what was observed until then."""
        with disk_errors(self.path):
            self._frame({"end": observed})
            self._disk.fsync(self._fd)

    def _frame(self, value: dict[str, Any]) -> None:
        body = canonical(value)
        head = _link(self._head, body)
        self._disk.write(self._fd, LENGTH.pack(len(body)) + body + head)
        self._head = head

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disk.close(self._fd)


@dataclass(frozen=True, slots=True)
class JournalFile:
    """One attempt as read back. `torn`: bytes of an unacknowledged tail; `end`: None if it was cut off."""

    path: Path
    header: dict[str, Any]
    ops: dict[int, list[Response]]
    end: dict[str, Any] | None
    head: str
    frames: int
    torn: int

    @property
    def responses(self) -> int:
        """How many answers it holds."""
        return sum(len(answers) for answers in self.ops.values())


def read_journal(path: Path) -> JournalFile:
    """The longest valid prefix. Raises VerificationFailed (1) for corruption, BadInput (2) for a newer format."""
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        if re.match(rb"BPJOURNAL[2-9]\n", data):
            raise BadInput("a newer journal format", where=str(path), do="update benchproof")
        strange = sum(a not in (b, 0) for a, b in zip(data, MAGIC, strict=False)) > 1
        if strange or _valid_frame_after(data, 0):
            raise VerificationFailed("not a journal", where=str(path), do="copy the run folder again")
        # Cut off, zero-filled or flipped before the header was synced: nothing was acknowledged.
        return JournalFile(path, {}, {}, None, hashlib.sha256(MAGIC).hexdigest(), 0, len(data))
    head = hashlib.sha256(MAGIC).digest()
    position, frames = len(MAGIC), 0
    header: dict[str, Any] = {}
    ops: dict[int, list[Response]] = {}
    end: dict[str, Any] | None = None
    while position < len(data):
        body = _body_at(data, position, head, path)
        if body is None:
            break
        head = _link(head, body)
        position += LENGTH.size + len(body) + HASH_BYTES
        try:
            value = strict_json(body.decode("utf-8"))
            if canonical(value) != body:
                raise ValueError("not canonical JSON")
            if frames == 0:
                header = dict(value)
            elif "end" in value:
                end = dict(value["end"])
            elif value["op"] in ops:
                raise ValueError("an op stands twice")
            else:
                ops[int(value["op"])] = [response_from(item) for item in value["responses"]]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise VerificationFailed(
                f"frame {frames} holds no responses: {error!r}", where=str(path), do="copy the run folder again"
            ) from error
        if header.get("format") != FORMAT:
            raise BadInput("a newer journal format", where=str(path), do="update benchproof")
        frames += 1
    return JournalFile(path, header, ops, end, head.hex(), frames, len(data) - position)


def _body_at(data: bytes, position: int, head: bytes, path: Path) -> bytes | None:
    """The frame's JSON; None for a torn tail, an error for a frame that is wrong with valid bytes after it."""
    start = position + LENGTH.size
    length = int.from_bytes(data[position:start], "big")
    end = start + length + HASH_BYTES
    if start <= len(data) and end <= len(data):
        body = data[start : start + length]
        if _link(head, body) == data[start + length : end]:
            return body
    last = (
        end >= len(data)  # half written
        or len(data[position:].rstrip(b"\0")) < LENGTH.size  # zero-filled from within the length on
        or _link(head, data[start:-HASH_BYTES]) == data[-HASH_BYTES:]  # whole but for its length
    )
    if last and not _valid_frame_after(data, start):
        return None
    raise VerificationFailed(
        f"the journal is corrupt at byte {position}", where=str(path), do="copy the run folder again from its source"
    )


def _valid_frame_after(data: bytes, position: int) -> bool:
    """True if any later frame is valid by the hash that stands before it: a damaged length hides no frames."""
    for begin in re.finditer(rb'\{"(?:op|end)":', data[position:]):  # no text of a body holds an unescaped quote
        start = position + begin.start()
        body_at = start - LENGTH.size
        end = start + int.from_bytes(data[body_at:start], "big")
        if body_at >= position + HASH_BYTES and end + HASH_BYTES <= len(data):
            before = data[body_at - HASH_BYTES : body_at]
            if _link(before, data[start:end]) == data[end : end + HASH_BYTES]:
                return True
    return False


def merge(files: Iterable[JournalFile]) -> dict[str, Response]:
    """All answers by request hash. Equal duplicates are fine, unequal ones are corruption (exit 1)."""
    answers: dict[str, Response] = {}
    for file in files:
        for responses in file.ops.values():
            for response in responses:
                known = answers.setdefault(response.request, response)
                if known != response:
                    raise VerificationFailed(
                        f"two different answers to request {response.request[:12]}",
                        where=str(file.path),
                        do="the journals are of different runs: start a new one with --new",
                    )
    return answers


def answers_digest(requests: Sequence[Request], answers: dict[str, Response]) -> str:
    """One digest over every answer in (task, doc id, choice, repeat) order: what an author commits to."""
    ordered = sorted(requests, key=lambda request: request.key)
    return digest_of_answers(answers[request.hash] for request in ordered)


def digest_of_answers(ordered: Iterable[Response]) -> str:
    """sha256 of the canonical JSON of a list of answers, written one at a time: there may be 100,000."""
    outer = hashlib.sha256()
    before = b"["
    for answer in ordered:
        outer.update(before + canonical(answer.json_value()))
        before = b","
    outer.update(b"[]" if before == b"[" else b"]")
    return outer.hexdigest()
