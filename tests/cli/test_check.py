"""The commands that check by computing again, as a person calls them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchproof.schema.spec import RunSpec
from benchproof.schema.verdict import Verdict
from benchproof.spec import parse
from benchproof.store.files import file_sha256
from cli.call import in_process
from fakes.checks import rewrite_record, rewrite_rows
from fakes.smoke import copy_model, run_small, small, two, write_spec

Capture = pytest.CaptureFixture[str]
NONCE = "00112233445566778899aabbccddeeff"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("check") / "made"
    run_small(folder)
    return folder


@pytest.fixture
def copied(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy in an empty folder, which is where commands are called from."""
    shutil.copytree(made, tmp_path / "made")
    monkeypatch.chdir(tmp_path)
    return Path("made")


def boast(folder: Path) -> None:
    rewrite_record(folder, lambda value: [r.update(value="0.987654") for r in value["results"]])


def test_rescore_says_that_nothing_changed(copied: Path, capsys: Capture) -> None:
    called = in_process(capsys, "rescore", str(copied), "-q")
    assert called.code == 0
    assert "BITWISE" in called.out
    assert "8 rows of 3 tasks" in called.out


def test_rescore_finds_an_edited_score(copied: Path, capsys: Capture) -> None:
    boast(copied)
    called = in_process(capsys, "rescore", str(copied), "-q", "--json")
    assert called.code == 1
    verdict = json.loads(called.out)
    assert verdict["outcome"] == "not reproduced"
    assert len(verdict["evidence"]["scores_that_moved"]) > 3


def test_rescore_writes_a_folder_that_reads_and_rescores(copied: Path, capsys: Capture) -> None:
    called = in_process(capsys, "rescore", str(copied), "--out", "anew", "-q")
    assert called.code == 0, called
    assert in_process(capsys, "show", "anew").code == 0
    assert in_process(capsys, "rescore", "anew", "-q").code == 0
    in_process(capsys, "rescore", str(copied), "--out", "anew", "-q").refused(2, "never overwritten")


def test_rescore_of_no_run_is_refused(tmp_path: Path, capsys: Capture) -> None:
    in_process(capsys, "rescore", str(tmp_path)).refused(3, "plan.json")


def test_reproduce_runs_the_record_again(copied: Path, capsys: Capture) -> None:
    called = in_process(capsys, "reproduce", str(copied), "-q", "--device", "cpu")
    assert called.code == 0
    assert "BITWISE" in called.out
    (out,) = Path("results").iterdir()
    verdict = Verdict.model_validate_json((out / "verdict.json").read_bytes())
    record = json.loads((copied / "record.json").read_bytes())
    assert out.name == f"reproduce-{record['record_id'][:12]}"
    assert verdict.about.record_id == record["record_id"]
    asked = parse(RunSpec, (out / "spec.yaml").read_bytes(), where="spec")
    assert asked.reproduce.margin_points == 1.0


def test_reproduce_of_a_record_alone_needs_its_file_only(copied: Path, capsys: Capture) -> None:
    shutil.copyfile(copied / "record.json", "alone.json")
    called = in_process(capsys, "reproduce", "alone.json", "-q", "--device", "cpu", "--json")
    assert called.code == 0
    assert json.loads(called.out)["outcome"] == "bitwise"


def test_a_record_that_does_not_verify_is_not_computed_again(copied: Path, capsys: Capture) -> None:
    boast(copied)
    for words in (("reproduce",), ("audit", "--samples", "5", "--nonce", NONCE), ("noise",)):
        in_process(capsys, words[0], str(copied), *words[1:], "-q").refused(1, "does not verify", "benchproof verify")
    assert not Path("results").exists()


def test_forged_rows_that_verify_are_not_reproduced(copied: Path, capsys: Capture) -> None:
    """A mark flipped, and everything redone that follows from it: level 0 cannot see it."""
    task = "mini_mmlu_kitchen_science"

    def flip(rows: list[Any]) -> list[Any]:
        for row in rows:
            row["metrics"]["none"]["acc"] = {"1.0": "0.0", "0.0": "1.0"}[row["metrics"]["none"]["acc"]]
        return rows

    rewrite_rows(copied, "samples", task, flip)

    def redo(value: dict[str, Any]) -> None:
        for result in value["results"]:
            if "mmlu" in result["task"]:
                result["value"] = repr(1 - float(result["value"]))
        path = copied / "samples" / f"{task}.jsonl.zst"
        entry = next(f for f in value["files"] if f["path"].startswith("samples/mini_mmlu"))
        entry |= {"sha256": file_sha256(path), "size": path.stat().st_size}

    rewrite_record(copied, redo)
    assert in_process(capsys, "verify", str(copied)).code == 0
    assert in_process(capsys, "rescore", str(copied), "-q").code == 1
    called = in_process(capsys, "reproduce", str(copied), "-q", "--device", "cpu")
    assert called.code == 1
    assert "NOT REPRODUCED" in called.out


def test_a_stricter_margin_is_the_verifiers_and_a_wider_one_is_refused(copied: Path, capsys: Capture) -> None:
    in_process(capsys, "reproduce", str(copied), "--margin", "2").refused(2, "declared", "stricter")
    in_process(capsys, "reproduce", str(copied), "--margin", "0").refused(2, "margin")
    called = in_process(capsys, "reproduce", str(copied), "-q", "--device", "cpu", "--margin", "0.5", "--json")
    verdict = json.loads(called.out)
    assert (verdict["margin_points"], verdict["margin_declared_by"]) == ("0.5", "verifier")


def test_plan_only_prints_the_spec_and_runs_nothing(copied: Path, capsys: Capture) -> None:
    called = in_process(capsys, "reproduce", str(copied), "--plan-only")
    assert called.code == 0
    value = yaml.safe_load(called.out)
    assert [task["task"] for task in value["suite"]["tasks"]] == [t["task"] for t in small()["suite"]["tasks"]]
    assert value["engine"]["token_budget"] == 1024
    assert not Path("results").exists()


def test_a_models_folder_is_given_where_the_record_came_alone(tmp_path: Path, capsys: Capture) -> None:
    model = copy_model(tmp_path / "model")
    value = two()
    value["model"] = {"path": str(model)}
    run_small(tmp_path / "made", value)
    shutil.copyfile(tmp_path / "made" / "record.json", tmp_path / "alone.json")
    alone, out = str(tmp_path / "alone.json"), str(tmp_path / "again")
    in_process(capsys, "reproduce", alone, "--out", out).refused(3, "--model")
    called = in_process(capsys, "reproduce", alone, "--out", out, "--model", str(model), "-q", "--device", "cpu")
    assert called.code == 0
    other = in_process(capsys, "reproduce", alone, "--out", out + "2", "--model", "smoke", "-q", "--device", "cpu")
    assert "BITWISE" in other.out, "the same files, in another place"


def test_another_models_folder_is_not_comparable(copied: Path, tmp_path: Path, capsys: Capture) -> None:
    model = copy_model(tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-3}))
    called = in_process(capsys, "reproduce", str(copied), "--model", str(model), "-q", "--device", "cpu")
    assert called.code == 7
    assert "model.content.config_sha256" in called.out


def test_an_audit_tells_its_price_first_and_holds(
    copied: Path, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    called = in_process(capsys, "audit", str(copied), "--samples", "8", "--nonce", NONCE, "--device", "cpu")
    assert called.code == 0
    assert "8 of 8 requests agree" in called.out
    assert "at the record's own speed" in called.err
    said = [message.partition(":")[0] for message in caplog.messages]
    price = next(i for i, text in enumerate(said) if "tokens" in text and "requests" in text)
    assert price < said.index("loading the model on cpu") < said.index("asking again")
    called = in_process(
        capsys, "audit", str(copied), "--ops", "2", "--nonce", NONCE, "-q", "--device", "cpu", "-o", "b"
    )
    assert called.code == 0


def test_audits_that_cannot_be_are_refused(copied: Path, capsys: Capture) -> None:
    in_process(capsys, "audit", str(copied), "--samples", "0", "--nonce", NONCE).refused(2, "samples")
    in_process(capsys, "audit", str(copied), "--samples", "5", "--nonce", "abcd").refused(2, "nonce")
    in_process(capsys, "audit", str(copied), "--samples", "5").refused(2, "nonce")
    in_process(capsys, "audit", str(copied), "--samples", "9999", "--nonce", NONCE, "-q").refused(2, "rows")
    in_process(capsys, "audit", "nothing", "--samples", "5", "--nonce", NONCE).refused(3, "nothing")


def test_noise_of_a_run_gives_its_scores_a_second_error_bar(copied: Path, capsys: Capture) -> None:
    assert "numeric" not in in_process(capsys, "show", str(copied)).out
    called = in_process(capsys, "noise", str(copied), "--docs", "2", "-q", "--device", "cpu")
    assert called.code == 0
    assert "batches" in called.out
    shown = in_process(capsys, "show", str(copied)).out
    assert "sampling ± 0.0000 numeric" in shown
    in_process(capsys, "noise", str(copied), "--docs", "2").refused(2, "never overwritten")


def test_noise_of_a_spec_is_a_verdict_that_reproduce_takes(copied: Path, tmp_path: Path, capsys: Capture) -> None:
    spec = write_spec(tmp_path, two(), "mine")
    called = in_process(capsys, "noise", str(spec), "--docs", "2", "-q", "--device", "cpu", "--json", "-o", "floor")
    assert called.code == 0
    assert json.loads(called.out)["outcome"] == "measured"
    words = ("reproduce", str(copied), "-q", "--device", "cpu", "--noise")
    assert in_process(capsys, *words, "floor/verdict.json").code == 0
    in_process(capsys, *words, str(copied / "record.json"), "-o", "c").refused(2, "not a verdict")


def test_compare_shows_differences_flips_and_layers(copied: Path, tmp_path: Path, capsys: Capture) -> None:
    value = small()
    value["engine"]["dtype"] = "bfloat16"
    run_small(tmp_path / "other", value)
    called = in_process(capsys, "compare", str(copied), "other", "--flips")
    assert called.code == 0
    for word in ("95 % interval", "Holm", "docs that flipped", "engine.dtype is 'float32' first", "first in answers"):
        assert word in called.out
    whole = json.loads(in_process(capsys, "compare", str(copied), "other", "--json").out)
    assert whole[0]["same_measurement"] is True
    assert {d["benchmark"] for d in whole[0]["differences"]} == {"mmlu", "gsm8k", "truthfulqa"}


def test_compare_of_other_questions_exits_with_7(copied: Path, tmp_path: Path, capsys: Capture) -> None:
    value = small()
    value["suite"]["tasks"][0]["num_fewshot"] = 0
    run_small(tmp_path / "other", value)
    called = in_process(capsys, "compare", str(copied), "other")
    assert called.code == 7
    assert "NOT COMPARABLE" in called.out
    assert "num_fewshot" in called.out
    asked = in_process(capsys, "compare", str(copied), "other", "--unpaired")
    assert asked.code == 0
    assert "UNPAIRED, as asked" in asked.out


def test_compare_with_a_printed_number(copied: Path, capsys: Capture) -> None:
    called = in_process(capsys, "compare", str(copied), "--claimed", "0.684", "--n", "14042", "--of", "mmlu")
    assert called.code == 0
    assert "compatible" in called.out
    assert "does not say" in called.out
    far = in_process(capsys, "compare", str(copied), "--claimed", "0.001", "--n", "14042", "--of", "mmlu")
    assert far.code == 1
    assert "NOT COMPATIBLE" in far.out


def test_comparisons_that_cannot_be_are_refused(copied: Path, capsys: Capture) -> None:
    run = str(copied)
    in_process(capsys, "compare", run).refused(2, "two")
    in_process(capsys, "compare", run, "--claimed", "0.5").refused(2, "--of")
    in_process(capsys, "compare", run, "--claimed", "68.4", "--of", "mmlu").refused(2, "0.684")
    in_process(capsys, "compare", run, run, "--claimed", "0.5").refused(2, "one record")
    in_process(capsys, "compare", run, run, "--n", "5").refused(2, "--claimed")
    in_process(capsys, "compare", run, "nothing").refused(3, "nothing")
