"""`plan` and `run` through the real adapters: outputs, folders, signals."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from benchproof.cli.measure import read_question
from benchproof.schema.history import read_record
from benchproof.schema.plan import Plan
from benchproof.spec import parse, read_spec
from benchproof.store.journal import read_journal
from benchproof.store.log import OneLine
from cli.call import in_process
from fakes.smoke import small, two, write_spec


def test_plan_tells_everything_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write_spec(tmp_path, small())
    monkeypatch.chdir(tmp_path)
    called = in_process(capsys, "plan", str(spec), "--samples", "2", "--device", "cpu")
    assert called.code == 0
    assert re.search(r"mini_gsm8k +3 of 30 +3 ", called.out)
    assert "expected memory about" in called.out and "LIMITED" in called.out
    assert called.out.count(", doc 0: ") == 3 and called.out.count(", doc 1: ") == 3
    assert re.search(r"doc 0: \d+ tokens \[\d+, \d+, \d+, \d+\] … \[", called.out)
    assert "  | Question: " in called.out and "then at most 16 tokens, until" in called.out
    assert [path.name for path in tmp_path.iterdir()] == [spec.name]


def test_plan_as_json_is_the_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write_spec(tmp_path, two())
    called = in_process(capsys, "plan", str(spec), "--json", "--samples", "1", "--device", "cpu", "--quiet")
    told = json.loads(called.out)
    assert called.err == ""
    plan = Plan.model_validate(told["plan"])
    assert told["plan_id"] == plan.plan_id and told["ask_id"] == plan.ask_id
    assert [task["task"] for task in told["tasks"]] == [pin.task for pin in plan.ask.tasks]
    assert told["tasks"][0]["benchmark_id"] == plan.benchmark_id(plan.ask.tasks[0].task)
    assert len(told["samples"]) == 2 and told["ops"] > 0 and told["expected_memory_bytes"] > 0


def test_run_prints_scores_and_where_the_record_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, out = write_spec(tmp_path, two()), tmp_path / "out"
    called = in_process(capsys, "run", str(spec), "--out", str(out), "--device", "cpu")
    assert called.code == 0
    assert f"record: {out / 'record.json'}" in called.out
    assert called.out.count("±") == called.out.count("(smoke, limited: ") > 0
    assert "of 20 docs)" in called.out
    assert called.err.startswith("benchproof ") and "model smoke" in called.err.splitlines()[0]
    log = (out / "log.txt").read_text("utf-8").splitlines()
    assert any("plan " in line for line in log) and any("mini_gsm8k" in line for line in log)
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ [A-Z]+ \S+: ", line) for line in log)
    assert "Question" not in "\n".join(log)


def test_run_as_json_is_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, out = write_spec(tmp_path, two()), tmp_path / "out"
    called = in_process(capsys, "run", str(spec), "--out", str(out), "--device", "cpu", "--json")
    told = json.loads(called.out)
    record = read_record((out / "record.json").read_bytes(), "record")
    assert (told["record_id"], told["plan_id"], told["folder"]) == (record.record_id, record.plan_id, str(out))
    assert told["status"] == "smoke" and {score["benchmark"] for score in told["scores"]} == {"mmlu", "gsm8k"}
    quiet = in_process(capsys, "run", str(spec), "--out", str(out), "--new", "--device", "cpu", "--quiet", "--json")
    assert quiet.err == ""
    assert json.loads(quiet.out)["folder"] == f"{out}-2"


def test_the_spec_that_model_and_suite_make_is_the_one_of_init(capsys: pytest.CaptureFixture[str]) -> None:
    question = read_question("owner/name", "gsm8k")
    assert question.data.decode() == in_process(capsys, "init", "owner/name", "--suite", "gsm8k").out
    assert question.name == "name-gsm8k"
    assert read_question("owner/name", None).name == "name-core"


def test_smoke_is_the_packaged_spec() -> None:
    question = read_question("smoke", None)
    assert question.name == "smoke"
    spec, data = read_spec(Path(__file__).parents[2] / "configs" / "runs" / "smoke.yaml")
    assert (question.spec, question.data) == (spec, data)
    assert parse(type(spec), question.data, where="smoke") == spec


def test_the_log_holds_one_line_for_an_event_and_no_token() -> None:
    event = logging.LogRecord("a", logging.INFO, "", 0, "one\ntwo hf_%s", ("abcdefghijklmnop",), None)
    line = OneLine().format(event)
    assert "\n" not in line and "abcdefgh" not in line


def answered(out: Path) -> int:
    """Answers that a running process has acknowledged."""
    return sum(read_journal(path).responses for path in out.glob("journal/*.journal"))


@pytest.mark.slow
def test_a_stopped_run_is_75_and_the_same_command_goes_on(tmp_path: Path) -> None:
    spec = two()
    spec["suite"]["tasks"][1] |= {"limit": 12, "generation": {"max_gen_toks": 64}}
    path, out = write_spec(tmp_path, spec), tmp_path / "out"
    command = [sys.executable, "-m", "benchproof", "run", str(path), "--out", str(out), "--device", "cpu"]
    for number in (signal.SIGTERM, signal.SIGINT):
        before = answered(out)
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            while process.poll() is None and answered(out) == before:
                time.sleep(0.01)
            process.send_signal(number)
            started = time.monotonic()
            _, told = process.communicate(timeout=60)
        assert process.returncode == 75, told
        assert time.monotonic() - started < 10
        assert "Traceback" not in told and f"where: {out}" in told and f"benchproof resume {out}" in told
        assert not (out / "record.json").exists()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0 and "resuming: " in done.stderr
    record = read_record((out / "record.json").read_bytes(), "record")
    assert record.observed.resumed and len(record.observed.attempts) == 3


@pytest.mark.slow
def test_an_installed_package_finds_its_own_files(tmp_path: Path) -> None:
    """From another folder: nothing is read relative to a checkout."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-m", "benchproof", "plan", "smoke", "--json", "--quiet", "--device", "cpu"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["tasks"]) == 13
    assert yaml.safe_load(read_question("smoke", None).data)["suite"] == "smoke"
