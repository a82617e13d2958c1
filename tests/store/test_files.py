"""Write once, lock, compressed lines: what a reader finds after any single failure."""

import errno
import multiprocessing
import os
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchproof.errors import BadInput, BenchproofError, DiskError, MissingInput, VerificationFailed
from benchproof.schema.canonical import sha256
from benchproof.store import files
from benchproof.store.files import (
    describe,
    disk_error,
    file_sha256,
    locked,
    read_lines,
    write_lines,
    write_once,
)
from fakes.disk import FailingDisk, LoggedDisk


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    write_once(tmp_path / "a", b"\x00whole\n")
    assert (tmp_path / "a").read_bytes() == b"\x00whole\n"
    assert names(tmp_path) == ["a"]


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(BadInput, match="never overwritten") as caught:
        write_once(tmp_path / "a", b"new")
    assert caught.value.exit_code == 2
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_the_bytes_reach_the_disk_before_the_name_and_the_name_before_the_end(tmp_path: Path) -> None:
    disk = LoggedDisk()
    write_once(tmp_path / "a", b"data", disk)
    verbs = [verb for verb, _ in disk.log]
    assert verbs == ["create", "write", "fsync", "close", "publish", "fsync_folder"]
    assert disk.log[-1] == ("fsync_folder", tmp_path.name)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("step", range(5))
def test_a_failure_at_any_step_leaves_the_whole_file_or_none_and_no_temporary(
    tmp_path: Path, step: int, code: int
) -> None:
    disk = FailingDisk(at=step, code=code)
    with pytest.raises(DiskError) as caught:
        write_once(tmp_path / "a", b"0123456789", disk)
    assert caught.value.exit_code == 6
    assert len(caught.value.lines()) <= 5
    assert names(tmp_path) in ([], ["a"])
    if names(tmp_path):
        assert (tmp_path / "a").read_bytes() == b"0123456789"
    assert (step == 4) == (tmp_path / "a").exists(), "only the last step comes after the name"


def test_a_temporary_of_a_process_that_died_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / f".a.{os.getpid()}.tmp").write_bytes(b"half")
    write_once(tmp_path / "a", b"data")
    assert names(tmp_path) == ["a"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_disk_that_is_really_full_says_so(tmp_path: Path) -> None:
    class Full(LoggedDisk):
        def create(self, path: Path) -> int:
            path.touch()
            self.names[fd := os.open("/dev/full", os.O_WRONLY)] = path.name
            return fd

    with pytest.raises(DiskError, match="the disk is full"):
        write_once(tmp_path / "a", b"data", Full())
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EROFS, "not writable"),
        (errno.EACCES, "not writable"),
        (errno.EIO, "the disk failed"),
    ],
)
def test_an_error_of_the_disk_says_what_to_do(code: int, words: str) -> None:
    error = disk_error(OSError(code, os.strerror(code)), Path("out/record.json"))
    assert error.exit_code == 6
    assert words in error.what
    assert error.do
    assert "out/record.json" in str(error)


def test_a_folder_that_cannot_be_made_is_a_disk_error(tmp_path: Path) -> None:
    with pytest.raises(DiskError):
        write_once(tmp_path / "no" / "folder", b"")


# ----------------------------------------------------------------------- lock


def hold(folder: Path, pipe: Connection) -> None:
    with locked(folder):
        pipe.send(os.getpid())
        pipe.recv()


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[tuple[Any, int, Connection]]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=hold, args=(tmp_path, theirs))
    process.start()
    theirs.close()
    assert ours.poll(60), "the other process did not take the lock"
    yield process, ours.recv(), ours
    if process.is_alive():
        process.kill()
    process.join()


def test_a_second_process_is_told_who_has_the_folder(holder: tuple[Any, int, Connection], tmp_path: Path) -> None:
    process, pid, pipe = holder
    with pytest.raises(BadInput, match=f"in use by process {pid}") as caught, locked(tmp_path):
        pass
    assert caught.value.exit_code == 2
    pipe.send("go")
    process.join()
    with locked(tmp_path):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())


def test_the_lock_of_a_killed_process_is_no_obstacle(holder: tuple[Any, int, Connection], tmp_path: Path) -> None:
    process, pid, _ = holder
    process.kill()
    process.join()
    assert (tmp_path / ".lock").read_text() == str(pid), "the stale file is still there"
    with locked(tmp_path):
        pass


def test_a_lock_file_without_a_holder_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("999999999999 a longer text than any pid")
    with locked(tmp_path):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())


def test_the_lock_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), locked(tmp_path):
        raise RuntimeError
    with locked(tmp_path):
        pass


def test_two_threads_cannot_both_hold_a_folder(tmp_path: Path) -> None:
    found: list[BenchproofError] = []

    def take() -> None:
        try:
            with locked(tmp_path):
                pass
        except BenchproofError as error:
            found.append(error)

    with locked(tmp_path):
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
    assert [error.exit_code for error in found] == [2]


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(fd: int, flags: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr("benchproof.store.files.fcntl.flock", flock)
    with pytest.raises(DiskError, match="cannot lock"), locked(tmp_path):
        pass


# ---------------------------------------------------------------------- lines

TEXT = st.text(st.characters(exclude_categories=[]))  # lone surrogates and line separators too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(rows=st.lists(JSON, max_size=4))
def test_rows_come_back_as_they_went_in(rows: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.jsonl.zst"
    assert write_lines(path, rows) == len(rows)
    assert list(read_lines(path)) == rows


def test_equal_rows_are_equal_bytes(tmp_path: Path) -> None:
    rows = [{"b": 1, "a": "\u2028é"}, {"x": [1.5, None]}] * 500
    write_lines(tmp_path / "1", rows)
    write_lines(tmp_path / "2", iter(rows))
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), {1, 2}])
def test_a_row_that_is_no_json_leaves_no_file(tmp_path: Path, bad: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        write_lines(tmp_path / "a", [{"fine": 1}, bad])
    assert names(tmp_path) == []


def test_a_missing_file_of_rows_is_missing_input(tmp_path: Path) -> None:
    with pytest.raises(MissingInput) as caught:
        list(read_lines(tmp_path / "absent"))
    assert caught.value.exit_code == 3


def test_a_description_is_of_the_bytes_and_relative_to_the_folder(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000  # more than one chunk
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(data)
    found = describe(tmp_path / "in" / "a", tmp_path, rows=3)
    assert (found.path, found.size, found.sha256, found.rows) == ("in/a", len(data), sha256(data), 3)
    assert file_sha256(tmp_path / "in" / "a") == sha256(data)


@pytest.mark.parametrize(("name", "value"), [("MAX_LINE", 16), ("MAX_RATIO", 0)])
def test_a_file_that_unpacks_to_more_than_a_run_writes_is_refused(
    name: str, value: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [["a" * 40]] * 3
    files.write_lines(tmp_path / "rows", rows)
    assert list(files.read_lines(tmp_path / "rows")) == rows
    monkeypatch.setattr(files, "MAX_LINE", 100)
    monkeypatch.setattr(files, name, value)
    with pytest.raises(VerificationFailed, match="unpacks to far more"):
        list(files.read_lines(tmp_path / "rows"))
