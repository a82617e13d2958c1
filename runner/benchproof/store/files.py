"""Write once, lock, and compressed lines; every system call goes through `Disk`, so that tests can crash it."""

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from benchproof.errors import BadInput, BenchproofError, DiskError, MissingInput, VerificationFailed
from benchproof.schema.canonical import strict_json
from benchproof.schema.record import FileDigest

CHUNK = 1 << 20
MAX_LINE = 64 << 20  # bytes of a row; the largest is a long context with its token ids: a few million
MAX_RATIO = 4096  # unpacked over packed: rows hold hashes, which do not compress


class Disk:
    """The calls that durability rests on. One instance is the real disk; tests subclass it."""

    def create(self, path: Path) -> int:
        """A new file, opened for writing; FileExistsError if there is one."""
        return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)

    def write(self, fd: int, data: bytes) -> None:
        """All of `data`, at the end."""
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    def fsync(self, fd: int) -> None:
        """The file's bytes reach the disk, or OSError."""
        os.fsync(fd)

    def fsync_folder(self, folder: Path) -> None:
        """The folder's names reach the disk, or OSError."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def publish(self, temporary: Path, final: Path) -> None:
        """Gives a finished file its name; FileExistsError if that name is taken."""
        os.link(temporary, final)
        temporary.unlink()

    def close(self, fd: int) -> None:
        """Closes the file."""
        os.close(fd)


DISK = Disk()


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """OSError as DiskError with what to do: an fsync that failed is never tried again."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) from error


def disk_error(error: OSError, path: Path) -> BenchproofError:
    """What an OSError at a path means for the user."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return DiskError("the disk is full", where=str(path), do="free space, then run the same command again")
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return DiskError(f"not writable: {path}", where=str(path), do="give another folder with --out")
        case _:
            return DiskError(
                f"the disk failed: {error.strerror or error}", where=str(path), do="check the disk, then run again"
            )


def write_once(path: Path, data: bytes, disk: Disk = DISK, *, mode: int | None = None) -> None:
    """A whole file or none: temporary file, fsync, name, fsync of the folder. mode: set before a byte is written.

    Raises BadInput if the file exists (nothing is ever overwritten), DiskError (6) otherwise.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with disk_errors(path):
            temporary.unlink(missing_ok=True)
            fd = disk.create(temporary)
            try:
                if mode is not None:
                    os.fchmod(fd, mode)
                disk.write(fd, data)
                disk.fsync(fd)
            finally:
                disk.close(fd)
            try:
                disk.publish(temporary, path)
            except FileExistsError as error:
                raise BadInput(
                    f"{path.name} exists and is never overwritten", where=str(path), do="use --new, or another --out"
                ) from error
            disk.fsync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def replace_file(path: Path, data: bytes) -> None:
    """A whole file in place of what is there: for caches, which may be lost but not half read. Raises OSError."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the folder for one writer. Raises BadInput (2) if another process has it, DiskError without flock."""
    path = folder / ".lock"
    with disk_errors(path):
        fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise BadInput(
                f"the run folder is in use by process {pid}", where=str(folder), do="wait for it, or give another --out"
            ) from error
        except OSError as error:
            raise DiskError(
                "this file system cannot lock files", where=str(folder), do="give a folder on a local disk with --out"
            ) from error
        with disk_errors(path):
            os.ftruncate(fd, 0)
            os.pwrite(fd, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(fd)  # gives the lock back


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file, streamed."""
    outer = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            outer.update(chunk)
    return outer.hexdigest()


def describe(path: Path, folder: Path, rows: int | None = None) -> FileDigest:
    """A file of a run folder by content."""
    return FileDigest(
        path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=file_sha256(path), rows=rows
    )


def write_lines(path: Path, rows: Iterable[Any]) -> int:
    """JSON lines, zstd-compressed, written once; returns how many. ASCII, so no line separator can hide."""
    buffer = io.BytesIO()
    count = 0
    with zstandard.ZstdCompressor(level=3).stream_writer(buffer, closefd=False) as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode("ascii"))
            out.write(b"\n")
            count += 1
    write_once(path, buffer.getvalue())
    return count


def read_lines(path: Path) -> Iterator[Any]:
    """The rows of `write_lines`, one at a time, read as a file that may be hostile.

    Raises MissingInput if the file is not there, VerificationFailed for a line that is not strict JSON, and for one,
    or a file, that unpacks to more than any run writes.
    """
    try:
        file: BinaryIO = path.open("rb")
    except FileNotFoundError as error:
        raise MissingInput("a file of the run is missing", where=str(path), do="copy the whole run folder") from error
    number, room = 0, MAX_LINE + MAX_RATIO * path.stat().st_size
    with file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        buffered = io.BufferedReader(stream, CHUNK)
        try:
            while line := buffered.readline(MAX_LINE + 1):
                number, room = number + 1, room - len(line)
                if len(line) > MAX_LINE or room < 0:
                    raise ValueError("it unpacks to far more than a run writes")
                yield strict_json(line.decode("ascii"))
        except (ValueError, zstandard.ZstdError) as error:
            raise VerificationFailed(
                f"line {max(number, 1)} is not strict JSON: {error}",
                where=str(path),
                do="take the file from its source again",
            ) from error
