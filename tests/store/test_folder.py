"""Whose a run folder is, and whether a run may begin or go on in it."""

import os
from pathlib import Path

import pytest

from benchproof.errors import BadInput, DiskError
from benchproof.schema.canonical import sha256
from benchproof.store import folder as folders

PLAN, SPEC = b'{"plan":1}', b"model: x\n"


def test_a_new_folder_becomes_the_plans_and_keeps_the_spec_byte_for_byte(tmp_path: Path) -> None:
    run = tmp_path / "results" / "run"
    folders.make(run)
    assert folders.claim(run, PLAN, SPEC) is False
    assert (run / "plan.json").read_bytes() == PLAN
    assert (run / "spec.yaml").read_bytes() == SPEC


def test_an_interrupted_run_of_the_same_plan_goes_on(tmp_path: Path) -> None:
    folders.make(tmp_path)
    folders.claim(tmp_path, PLAN, SPEC)
    assert folders.claim(tmp_path, PLAN, b"another: spelling\n") is True
    assert (tmp_path / "spec.yaml").read_bytes() == SPEC


def test_another_plan_is_refused_with_both_ids(tmp_path: Path) -> None:
    folders.make(tmp_path)
    folders.claim(tmp_path, PLAN, SPEC)
    with pytest.raises(BadInput) as caught:
        folders.claim(tmp_path, b'{"plan":2}', SPEC)
    assert caught.value.exit_code == 2
    for plan in (PLAN, b'{"plan":2}'):
        assert sha256(plan)[:12] in caught.value.what
    assert (tmp_path / "plan.json").read_bytes() == PLAN


def test_a_finished_record_is_never_touched(tmp_path: Path) -> None:
    folders.make(tmp_path)
    folders.claim(tmp_path, PLAN, SPEC)
    (tmp_path / "record.json").write_bytes(b"{}")
    with pytest.raises(BadInput, match="exists") as caught:
        folders.claim(tmp_path, PLAN, SPEC)
    assert "--new" in caught.value.do
    assert (tmp_path / "record.json").read_bytes() == b"{}"


def test_a_folder_with_other_files_is_nobodys(tmp_path: Path) -> None:
    folders.make(tmp_path)
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(BadInput, match=r"thesis\.tex"):
        folders.claim(tmp_path, PLAN, SPEC)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["journal", "thesis.tex"]


def test_a_start_that_was_cut_off_before_its_plan_is_begun_again(tmp_path: Path) -> None:
    folders.make(tmp_path)
    (tmp_path / "spec.yaml").write_bytes(b"half")
    (tmp_path / ".lock").touch()
    (tmp_path / ".plan.json.4711.tmp").write_bytes(b"ha")  # of a process that was killed while it wrote
    folders.make(tmp_path)
    assert folders.claim(tmp_path, PLAN, SPEC) is False
    assert (tmp_path / "spec.yaml").read_bytes() == SPEC
    assert not (tmp_path / ".plan.json.4711.tmp").exists()


def test_what_a_killed_process_had_not_named_is_removed_and_nothing_else(tmp_path: Path) -> None:
    folders.make(tmp_path)
    folders.claim(tmp_path, PLAN, SPEC)
    (tmp_path / "samples").mkdir()
    kept = [tmp_path / ".notes.tmp", tmp_path / "samples" / "a.4711.tmp"]
    for path in [*kept, tmp_path / ".record.json.12.tmp", tmp_path / "samples" / ".a.jsonl.zst.12.tmp"]:
        path.touch()
    assert folders.claim(tmp_path, PLAN, SPEC) is True
    assert all(path.exists() for path in kept)
    assert sorted(path.name for path in tmp_path.rglob(".*.12.tmp")) == []


def test_the_next_free_name(tmp_path: Path) -> None:
    assert folders.next_free(tmp_path / "a") == tmp_path / "a"
    (tmp_path / "a").mkdir()
    (tmp_path / "a-2").mkdir()
    assert folders.next_free(tmp_path / "a") == tmp_path / "a-3"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskError) as caught:
        folders.make(tmp_path / "file" / "run")
    assert caught.value.exit_code == 6


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DiskError, match="not writable"):
        folders.make(tmp_path / "run")
