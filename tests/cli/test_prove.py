"""`verify`: what a person reads, what a program reads, and its exit codes; nothing heavy is loaded."""

import json
import shutil
from pathlib import Path

import pytest

from cli.call import benchproof, in_process
from tamper import forge
from test_start_up import HEAVY, loaded

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
VERIFY = """
import contextlib, io
from benchproof.cli.app import main
with contextlib.redirect_stdout(io.StringIO()):
    assert main(["verify", {path!r}]) == 0
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "run"))


def test_it_says_every_check_and_that_nobody_vouches(run: Path) -> None:
    called = benchproof("verify", str(run), base_only=True)
    assert called.code == 0 and called.err == ""
    lines = called.out.splitlines()
    assert sum(" ok " in f"{line} " for line in lines) == 45
    assert "nobody vouches for this record" in called.out
    assert lines[-1].startswith("verified: 45 checks")


def test_a_forged_score_is_1_and_the_last_line_names_the_check(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forge.in_record(lambda value: value["results"][1].update(value="1.0"))(run)
    called = in_process(capsys, "verify", str(run))
    assert called.code == 1 and called.err == ""
    assert called.out.splitlines()[-1] == "NOT VERIFIED: 1 check failed: aggregates"


def test_a_record_alone_says_what_was_not_at_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(GOLDEN / "record.json", tmp_path)
    called = in_process(capsys, "verify", str(tmp_path / "record.json"))
    assert called.code == 0
    assert called.out.splitlines()[-1].startswith("verified as far as it goes: NOT CHECKED: present, files")
    assert "journal/ is not at hand" in called.out


def test_a_program_reads_one_document_of_all_records(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forge.in_record(lambda value: value["results"][1].update(value="1.0"))(run)
    called = in_process(capsys, "verify", str(GOLDEN), str(run), "--json")
    good, bad = json.loads(called.out)
    assert called.code == 1
    assert (good["exit_code"], bad["exit_code"]) == (0, 1)
    assert [check["name"] for check in bad["checks"] if check["result"] == "failed"] == ["aggregates"]
    assert "nobody vouches" in good["vouched"]


@pytest.mark.parametrize(
    ("edit", "code", "word"),
    [
        (lambda run: (run / "record.json").unlink(), 3, "record.json"),
        (lambda run: forge.in_record(lambda value: value.update(schema="benchproof/record/v9"))(run), 2, "newer"),
    ],
)
def test_a_record_that_is_away_or_newer_is_an_error_in_few_lines(edit, code, word, run, capsys) -> None:  # type: ignore[no-untyped-def]
    edit(run)
    in_process(capsys, "verify", str(run)).refused(code, word)


def test_a_missing_file_is_3_and_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "samples" / "mini_gsm8k.jsonl.zst").unlink()
    called = in_process(capsys, "verify", str(run))
    assert called.code == 3
    assert "missing: samples/mini_gsm8k.jsonl.zst" in called.out


def test_a_hostile_name_reaches_no_terminal(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forge.in_record(lambda value: value["results"][0].update(task="\x1b[2Jgone"))(run)
    called = in_process(capsys, "verify", str(run))
    assert called.code == 1 and "\x1b" not in called.out


def test_nothing_heavy_is_loaded() -> None:
    found = loaded(VERIFY.format(path=str(GOLDEN)))
    assert {"benchproof", "typer", "zstandard"} <= found
    assert not found & HEAVY
