"""`show`, `ls` and `schema`: what a person reads, and what a program reads."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchproof.report.tables import FEW_CATEGORIES, headlines, mark, show_results, value_text
from benchproof.schema.exported import KINDS, json_schema
from benchproof.schema.history import read_record
from benchproof.schema.record import Record
from benchproof.schema.unknown import Unknown
from benchproof.store.journal import MAGIC, read_journal
from cli.call import benchproof, in_process

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


@pytest.fixture(scope="session")
def record(smoke_run: Path) -> Record:
    return read_record((smoke_run / "record.json").read_bytes(), "record.json")


def limited(record: Record, limit: int) -> Record:
    """The same record, as if only the first docs of each task had been asked."""
    value = record.model_dump(mode="json", by_alias=True) | {"status": "limited"}
    for task in value["effective"]["ask"]["tasks"]:
        task["limit"] = task["n_docs"] = limit
    return Record.model_validate(value)


def test_show_names_what_a_reader_needs(record: Record, smoke_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    called = in_process(capsys, "show", str(smoke_run))
    assert called.code == 0 and called.err == ""
    for headline, result in headlines(record):
        assert result is not None
        assert headline.reason in called.out
        assert f"{headline.benchmark}   {value_text(result)} (smoke)" in called.out
    for text in (record.record_id, record.plan_id, record.ask_id, "SMOKE RUN", "torch 2", "lm_eval 0.4", "seeds:"):
        assert text in called.out
    for task in record.ids:
        assert task.benchmark_id[:12] in called.out and task.measurement_id[:12] in called.out
    reasons: dict[tuple[str, str], list[str]] = {}
    for unknown in record.unknowns:
        reasons.setdefault((unknown.code, unknown.detail), []).append(unknown.path)
    for (code, detail), paths in reasons.items():
        more = f" and {len(paths) - 4} more" if len(paths) > 4 else ""
        assert f"{code}: {detail}: {', '.join(paths[:4])}{more}" in called.out
    for warned in record.warnings:
        assert warned.message in called.out
    for phase in record.observed.phases:
        assert f"{phase.name} {float(phase.seconds):.1f} s" in called.out
    assert called == in_process(capsys, "show", str(smoke_run / "record.json"))


def test_no_score_of_a_smoke_run_stands_unmarked(smoke_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = in_process(capsys, "show", str(smoke_run)).out + in_process(capsys, "ls", str(smoke_run.parent)).out
    assert shown.count("±") > 40
    assert shown.count("±") == shown.count("(smoke)")


def test_no_score_of_a_limited_run_stands_unmarked(record: Record, capsys: pytest.CaptureFixture[str]) -> None:
    part = limited(record, 10)
    result = next(result for result in part.results if result.task == "mini_mmlu")
    assert mark(part, result) == " (limited: 60 of 120 docs)"
    result = next(result for result in part.results if result.task == "mini_gsm8k")
    assert mark(part, result) == " (limited: 10 of 30 docs)"
    show_results(part)
    shown = capsys.readouterr().out
    assert shown.count("±") == shown.count("(limited: ")
    assert "LIMITED" in shown


def test_a_full_score_bears_no_mark(record: Record) -> None:
    whole = record.model_copy(update={"status": "complete"})
    assert {mark(whole, result) for result in whole.results} == {""}


def test_groups_of_which_a_task_was_left_out_say_so(record: Record) -> None:
    part = record.model_copy(
        update={"status": "limited", "left_out": [{"task": "x", "code": "task_broken", "detail": "y"}]}
    )
    group = next(result for result in part.results if result.level == "group")
    assert mark(part, group) == " (limited: 1 task of the run left out)"


def test_many_categories_are_told_by_their_ends(record: Record, capsys: pytest.CaptureFixture[str]) -> None:
    one = next(r for r in record.results if r.level == "category" and r.task == "mini_truthfulqa_mc2")
    many = [
        one.model_copy(update={"category": f"category {n}", "value": str(n / 100)}) for n in range(FEW_CATEGORIES + 1)
    ]
    rest = [r for r in record.results if not (r.level == "category" and r.task == one.task)]
    show_results(record.model_copy(update={"results": [*rest, *many]}))
    shown = capsys.readouterr().out
    assert f"{len(many)} categories" in shown
    assert "lowest: category 0" in shown and f"highest: category {FEW_CATEGORIES}" in shown
    assert "category 3" not in shown


def test_an_unknown_error_is_said(record: Record) -> None:
    result = record.results[0].model_copy(update={"stderr": Unknown(unknown="not_exposed", detail="one doc")})
    assert value_text(result) == f"{float(result.value):.3f}"


def test_what_a_hostile_record_says_reaches_no_terminal(record: Record, tmp_path: Path) -> None:
    hostile = record.model_copy(update={"model_name": "\x1b[2J\x1b]0;owned\x07 [bold]name[/bold]"}).with_id()
    path = tmp_path / "record.json"
    path.write_bytes(hostile.to_bytes())
    shown = benchproof("show", str(path), FORCE_COLOR="1")
    assert "\x1b[2J" not in shown.out and "\x1b]0" not in shown.out and "\x07" not in shown.out
    assert "[bold]name[/bold]" in shown.out


def test_json_is_the_record(record: Record, smoke_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    called = in_process(capsys, "show", str(smoke_run), "--json")
    assert Record.model_validate(json.loads(called.out)) == record and called.err == ""


# ------------------------------------------------------------------------ ls


def test_ls_tells_states(smoke_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "results"
    shutil.copytree(smoke_run, root / "done")
    shutil.copytree(smoke_run, root / "cut", ignore=shutil.ignore_patterns("record.json", "samples"))
    shutil.copytree(smoke_run, root / "bare", ignore=shutil.ignore_patterns("record.json", "samples", "*.journal"))
    shutil.copytree(smoke_run, root / "spoilt", ignore=shutil.ignore_patterns("journal", "samples"))
    (root / "spoilt" / "record.json").write_bytes(b"{")
    (root / "notes").mkdir()
    (root / "README.md").write_text("nothing", "utf-8")
    cut = next((root / "cut" / "journal").iterdir())
    whole = read_journal(cut).responses
    data = cut.read_bytes()
    cut.write_bytes(data[: len(MAGIC) + (len(data) - len(MAGIC)) // 2])
    runs = {Path(run["folder"]).name: run for run in json.loads(in_process(capsys, "ls", str(root), "--json").out)}
    assert {name: run["state"] for name, run in runs.items()} == {
        "done": "finished",
        "cut": "interrupted",
        "bare": "empty",
        "spoilt": "unreadable",
    }
    assert 0 < runs["cut"]["answers"] < runs["cut"]["requests"] == whole
    assert "JSON" in runs["spoilt"]["reason"]
    told = in_process(capsys, "ls", str(root)).out
    assert f"{runs['cut']['answers']} of {whole} answers" in told
    assert "notes" not in told and "README" not in told


def test_ls_puts_the_newest_first_and_takes_a_run_folder(
    smoke_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("b", "a"):
        (tmp_path / name / "journal").mkdir(parents=True)
    for name, when in (("a", 10), ("b", 20)):
        os.utime(tmp_path / name / "journal", (when, when))
        os.utime(tmp_path / name, (when, when))
    found = json.loads(in_process(capsys, "ls", str(tmp_path), "--json").out)
    assert [Path(run["folder"]).name for run in found] == ["b", "a"]
    alone = json.loads(in_process(capsys, "ls", str(smoke_run), "--json").out)
    assert [run["folder"] for run in alone] == [str(smoke_run)]
    assert alone[0]["scores"][0]["mark"] == "smoke"


def test_ls_of_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process(capsys, "ls", str(tmp_path)).out == f"no runs in {tmp_path}\n"
    assert json.loads(in_process(capsys, "ls", str(tmp_path), "--json").out) == []


# -------------------------------------------------------------------- schema


@pytest.mark.parametrize("name", KINDS)
def test_committed_schemas_are_the_codes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    committed = (SCHEMAS / f"{name}.schema.json").read_text("utf-8")
    assert in_process(capsys, "schema", name).out == committed, "run `make golden` and look at the difference"
    assert json.loads(committed) == json_schema(name)


def test_no_other_schema_is_committed() -> None:
    assert {path.name for path in SCHEMAS.iterdir()} == {f"{name}.schema.json" for name in KINDS}


def test_schema_writes_them_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process(capsys, "schema", "--write", str(tmp_path / "new")).code == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == {
        path.name: path.read_bytes() for path in SCHEMAS.iterdir()
    }


def test_schema_lists_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process(capsys, "schema").out.split() == list(KINDS)


def test_what_a_run_writes_is_of_these_schemas(smoke_run: Path) -> None:
    """Every frame of a real journal, the plan and the record; the spec is read by `parse` everywhere."""
    for path in (smoke_run / "journal").iterdir():
        for frame in frames(path.read_bytes()):
            KINDS["journal"].validate_python(frame)
            for response in frame.get("responses", ()):
                KINDS["response"].validate_python(response)
    for name in ("plan", "record"):
        KINDS[name].validate_python(json.loads((smoke_run / f"{name}.json").read_bytes()))


def frames(data: bytes) -> list[dict[str, Any]]:
    found, position = [], len(MAGIC)
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        found.append(json.loads(data[position + 4 : position + 4 + length]))
        position += 4 + length + 32
    return found
