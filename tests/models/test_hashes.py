"""Weights are hashed once and the hash is remembered, until the file changes or its bytes are asked for."""

import os
from pathlib import Path

import pytest

from benchproof.schema.canonical import sha256
from benchproof.store import files, hashes
from cli.call import in_process
from fakes.smoke import write_spec
from models.conftest import Folder
from models.folders import copied, flip
from models.small import measured_anew, plan_of, spec_of


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose bytes are hashed, with an empty memory of hashes."""
    found: list[str] = []
    whole = files.file_sha256

    def counted(path: Path) -> str:
        found.append(path.name)
        return whole(path)

    monkeypatch.setattr(hashes, "file_sha256", counted)
    monkeypatch.setenv("BENCHPROOF_CACHE", str(tmp_path / "memory"))
    return found


def test_a_second_plan_reads_no_weights(
    made: Folder, tmp_path: Path, read: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made("sharded")
    shards = sorted(path.name for path in folder.glob("*.safetensors"))
    first = plan_of(folder)
    assert sorted(name for name in read if name.endswith(".safetensors")) == shards
    read.clear()
    assert plan_of(folder) == first
    assert read == []
    path = str(write_spec(tmp_path, spec_of(folder)))
    assert in_process(capsys, "plan", path, "--quiet", "--json").code == 0
    assert read == []
    assert in_process(capsys, "plan", path, "--quiet", "--json", "--rehash").code == 0
    assert sorted(name for name in read if name.endswith(".safetensors")) == shards


def test_rehash_sees_what_memory_cannot(
    made: Folder, tmp_path: Path, read: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A byte changed, its time set back: nobody does that by accident, and who asks is told."""
    folder = copied(made("llama"), tmp_path / "model")
    weights = folder / "model.safetensors"
    before, stat = plan_of(folder), weights.stat()
    flip(weights)
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert plan_of(folder) == before
    path = write_spec(tmp_path, spec_of(folder))
    told = in_process(capsys, "plan", str(path), "--quiet", "--json", "--rehash").out
    assert before.plan_id not in told
    assert sha256(weights.read_bytes()) in told
    measured_anew(before, plan_of(folder))  # what was found is remembered


def test_a_file_that_changes_is_hashed_again(made: Folder, tmp_path: Path, read: list[str]) -> None:
    folder = copied(made("llama"), tmp_path / "model")
    weights = folder / "model.safetensors"
    before = plan_of(folder)
    read.clear()
    flip(weights)
    later = weights.stat().st_mtime_ns + 1_000
    os.utime(weights, ns=(later, later))
    after = plan_of(folder)
    assert read == ["model.safetensors"]
    measured_anew(before, after)


@pytest.mark.parametrize("change", ["size", "mtime", "replaced", "moved"])
def test_what_makes_another_key(change: str, tmp_path: Path, read: list[str]) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    stat = path.stat()
    assert hashes.remembered_sha256(path) == hashes.remembered_sha256(path) == sha256(b"one")
    assert len(read) == 1
    if change == "size":
        path.write_bytes(b"three")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    elif change == "mtime":
        path.write_bytes(b"two")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    elif change == "replaced":
        (tmp_path / "b").write_bytes(b"two")
        os.utime(tmp_path / "b", ns=(stat.st_atime_ns, stat.st_mtime_ns))
        (tmp_path / "b").replace(path)
    else:
        path = path.rename(tmp_path / "elsewhere")
    assert hashes.remembered_sha256(path) == sha256(path.read_bytes())
    assert len(read) == 2


@pytest.mark.parametrize("text", ["", "{", '{"sha256": 1}', '{"sha256": "abc"}', "[]", "é"])
def test_a_spoiled_memory_costs_time_and_nothing_else(text: str, tmp_path: Path, read: list[str]) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    hashes.remembered_sha256(path)
    (memory,) = (tmp_path / "memory").rglob("*.json")
    memory.write_text(text, "utf-8")
    assert hashes.remembered_sha256(path) == sha256(b"one")
    assert len(read) == 2


def test_a_memory_that_cannot_be_written_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    monkeypatch.setenv("BENCHPROOF_CACHE", str(tmp_path / "file"))
    assert hashes.remembered_sha256(tmp_path / "file") == sha256(b"in the way")


def test_a_blob_of_the_hubs_cache_is_named_by_its_hash_and_not_read(tmp_path: Path, read: list[str]) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / ("c" * 40)
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    name = "ab" * 32
    (blobs / name).write_bytes(b"weights")
    link = snapshot / "model.safetensors"
    link.symlink_to(Path("../../blobs") / name)
    assert hashes.remembered_sha256(link) == name
    assert read == []
    assert hashes.remembered_sha256(link, rehash=True) == sha256(b"weights") != name
    assert read == [name]
    for other in (tmp_path / name, blobs / ("ab" * 20)):  # no blob of the cache; a small file, named by its git id
        other.write_bytes(b"weights")
        assert hashes.remembered_sha256(other) == sha256(b"weights")
