"""`resume`, and what `run` says when it goes on; another plan, `--new`, a folder that was moved."""

from pathlib import Path

import pytest

from cli.call import in_process
from fakes.outcome import acknowledged, journals, outcome, record_of
from fakes.smoke import copy_model, write_spec
from path.stops import DEVICE, interrupted, many_ops, never_load

pytest.importorskip("torch")
WITH_WORDS = ("--device", "cpu")


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return write_spec(tmp_path, many_ops())


def test_run_into_an_interrupted_folder_goes_on_and_says_so_first(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    called = interrupted(capsys, spec, out, ops=4)
    assert f"benchproof resume {out}" in called.err
    kept = acknowledged(out)
    called = in_process(capsys, "run", str(spec), "--out", str(out), *WITH_WORDS)
    assert called.code == 0
    first = next(i for i, line in enumerate(called.err.splitlines()) if line.startswith("resuming: "))
    assert not any("tokens" in line for line in called.err.splitlines()[:first]), "told after the work had begun"
    record = record_of(out)
    had, rest = (attempt.responses for attempt in record.observed.attempts)
    assert called.err.splitlines()[first] == f"resuming: {had} answers found, {rest} missing"
    assert record.observed.resumed and acknowledged(out)[: len(kept)] == kept


def test_a_folder_that_was_moved_needs_no_spec_beside_it(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(capsys, spec, tmp_path / "here" / "run", ops=4)
    spec.rename(tmp_path / "kept for later.yaml")
    there = tmp_path / "there" / "moved"
    there.parent.mkdir()
    (tmp_path / "here" / "run").rename(there)
    monkeypatch.chdir(there.parent)
    called = in_process(capsys, "resume", "moved", *WITH_WORDS)
    assert called.code == 0 and "resuming: " in called.err and "record: moved/record.json" in called.out
    whole = tmp_path / "whole"
    assert in_process(capsys, "run", str(tmp_path / "kept for later.yaml"), "--out", str(whole), *DEVICE).code == 0
    assert outcome(there) == outcome(whole)
    assert (there / "spec.yaml").read_bytes() == (tmp_path / "kept for later.yaml").read_bytes()


def test_nothing_is_there_to_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_process(capsys, "resume", str(tmp_path)).refused(3, "journal", str(tmp_path))
    in_process(capsys, "resume", str(tmp_path / "nowhere")).refused(3, "journal", "nowhere")


def test_a_finished_run_is_not_resumed(smoke_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in smoke_run.rglob("*") if path.is_file()}
    in_process(capsys, "resume", str(smoke_run)).refused(2, "exists", "--new")
    assert {path: path.read_bytes() for path in smoke_run.rglob("*") if path.is_file()} == before


def test_a_folder_that_holds_another_plan_is_refused_with_both_ids_and_new_takes_the_next(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    interrupted(capsys, spec, out)
    other = many_ops()
    other["seeds"] = {"fewshot": 5}
    path = write_spec(tmp_path, other, "other")
    with monkeypatch.context() as patch:
        never_load(patch)
        called = in_process(capsys, "run", str(path), "--out", str(out), *DEVICE)
    called.refused(2, "another plan", "there", "here", "--new")
    assert len(journals(out)) == 1
    assert in_process(capsys, "run", str(path), "--out", str(out), "--new", *DEVICE).code == 0
    ours, theirs = record_of(tmp_path / "run-2").plan_id[:12], called.err.partition(" there")[0][-12:]
    assert f"{ours} here" in called.err and ours != theirs
    assert in_process(capsys, "resume", str(out), *DEVICE).code == 0
    assert record_of(out).plan_id.startswith(theirs)


def test_a_spec_in_the_folder_that_was_changed_is_another_plan(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    interrupted(capsys, spec, out)
    own = out / "spec.yaml"
    own.write_text(own.read_text("utf-8").replace("token_budget: 640", "token_budget: 641"), "utf-8")
    in_process(capsys, "resume", str(out), *DEVICE).refused(2, "another plan")


def test_a_model_that_changed_meanwhile_is_another_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copy_model(tmp_path / "model")
    asked = many_ops()
    asked["model"] = {"path": str(folder)}
    spec, out = write_spec(tmp_path, asked), tmp_path / "run"
    interrupted(capsys, spec, out)
    config = folder / "config.json"
    config.write_text(config.read_text("utf-8") + " ", "utf-8")
    in_process(capsys, "resume", str(out), *DEVICE).refused(2, "another plan")


def test_a_model_that_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copy_model(tmp_path / "model")
    asked = many_ops()
    asked["model"] = {"path": str(folder)}
    spec, out = write_spec(tmp_path, asked), tmp_path / "run"
    interrupted(capsys, spec, out)
    folder.rename(tmp_path / "elsewhere")
    in_process(capsys, "resume", str(out), *DEVICE).refused(3, str(folder))
