"""Old runs stay readable: every golden run, with today's code. See scripts/golden.py."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from benchproof.schema.canonical import canonical, digest, sha256, strict_loads
from benchproof.schema.plan import Plan
from benchproof.schema.record import Record
from benchproof.schema.request import Generation, Request
from benchproof.schema.response import Loglikelihood
from benchproof.schema.spec import RunSpec
from benchproof.spec import parse
from benchproof.store.files import file_sha256, read_lines
from benchproof.store.journal import answers_digest, merge, read_journal

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
SCRIPT = Path(__file__).parents[1] / "scripts" / "golden.py"


@pytest.fixture(params=VERSIONS)
def folder(request: pytest.FixtureRequest) -> Path:
    return GOLDEN / str(request.param)


@pytest.fixture
def record(folder: Path) -> Record:
    return Record.model_validate_json((folder / "record.json").read_bytes())


def script() -> Any:
    """scripts/golden.py as a module."""
    loaded = importlib.util.spec_from_file_location("golden", SCRIPT)
    assert loaded is not None
    assert loaded.loader is not None
    golden = importlib.util.module_from_spec(loaded)
    loaded.loader.exec_module(golden)
    return golden


def requests_of(folder: Path, record: Record) -> list[Request]:
    """The requests as the files tell them, their hashes computed anew."""
    found = []
    for pin in record.effective.ask.tasks:
        for row in read_lines(folder / "requests" / f"{pin.task}.jsonl.zst"):
            for asked in row["requests"]:
                context = row["contexts"][asked["context"]]["text"]
                place = (pin.task, row["doc_id"], asked["choice"], asked["repeat"])
                if "continuation" in asked:
                    request = Request(*place, "loglikelihood", context, asked["continuation"])
                else:
                    request = Request(*place, "generate_until", context, generation=settings(asked["generation"]))
                found.append(request.with_hash())
                assert found[-1].hash == asked["hash"]
    return found


def settings(value: dict[str, Any]) -> Generation:
    return Generation(tuple(value["until"]), value["max_gen_toks"], float(value["temperature"]))


def test_there_is_one_of_the_current_version() -> None:
    assert script().version() in VERSIONS


def test_the_record_reads_and_its_id_recomputes(folder: Path, record: Record) -> None:
    data = (folder / "record.json").read_bytes()
    value = strict_loads(data, where="record.json")
    assert canonical(value) + b"\n" == data
    given = value.pop("record_id")
    assert given == record.record_id == digest(value)
    assert record.with_id().record_id == given, "a new field needs a default that leaves old ids alone"
    assert record.to_bytes() == data


def test_the_plan_reads_and_its_ids_recompute(folder: Path, record: Record) -> None:
    data = (folder / "plan.json").read_bytes()
    plan = Plan.model_validate_json(data)
    assert plan.to_bytes() == data
    assert plan == record.effective
    assert record.plan_id == plan.plan_id == sha256(data)
    assert record.ask_id == plan.ask_id
    for ids in record.ids:
        assert ids.benchmark_id == plan.benchmark_id(ids.task)
        assert ids.measurement_id == plan.measurement_id(ids.task)


def test_the_spec_reads_and_is_the_one_that_was_asked(folder: Path, record: Record) -> None:
    data = (folder / "spec.yaml").read_bytes()
    assert sha256(data) == record.asked.sha256
    assert parse(RunSpec, data, where="spec.yaml").model.path == record.asked.spec["model"]["path"]


def test_every_file_is_there_as_the_record_says(folder: Path, record: Record) -> None:
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {file.path for file in record.files} == there - {"record.json"}
    for file in record.files:
        path = folder / file.path
        assert (file.size, file.sha256) == (path.stat().st_size, file_sha256(path))
        if file.rows is not None:
            assert len(list(read_lines(path))) == file.rows


def test_the_journal_reads_and_its_digests_recompute(folder: Path, record: Record) -> None:
    files = [read_journal(folder / attempt.journal) for attempt in record.observed.attempts]
    for file, attempt in zip(files, record.observed.attempts, strict=True):
        assert (file.head, file.frames, file.torn) == (attempt.head, attempt.frames, attempt.torn_bytes)
        assert file.header["plan_id"] == record.plan_id
        assert file.end is not None
    requests = requests_of(folder, record)
    assert answers_digest(requests, merge(files)) == record.observed.answers_digest


def test_the_samples_read_and_the_means_recompute(folder: Path, record: Record) -> None:
    answers = merge(read_journal(folder / attempt.journal) for attempt in record.observed.attempts)
    for result in record.results:
        if result.level != "task":
            continue
        rows = list(read_lines(folder / "samples" / f"{result.task}.jsonl.zst"))
        values = [float(row["metrics"][result.filter][result.metric]) for row in rows]
        assert float(result.value) == pytest.approx(sum(values) / len(values), abs=1e-12)
        for row in rows:
            for key, short in zip(row["requests"], row["responses"], strict=True):
                answer = answers[key]
                if isinstance(answer, Loglikelihood):
                    assert short == [repr(answer.loglikelihood), answer.is_greedy]
                else:
                    assert short["text"] == answer.text


def test_a_golden_run_is_small_and_of_nobodys_machine(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 200_000
    assert not (folder / ".lock").exists()
    environment = json.loads((folder / "record.json").read_bytes())["observed"]["attempts"][0]["environment"]
    assert {probe["name"] for probe in environment} <= {"machine", "cpu_cores_usable", "python"}


def test_the_script_writes_the_current_version_and_no_other(tmp_path: Path) -> None:
    golden = script()
    (tmp_path / "v0").mkdir()
    (tmp_path / "v0" / "record.json").write_bytes(b"old")
    (tmp_path / golden.version()).mkdir()
    (tmp_path / golden.version() / "stale").touch()
    target = golden.dump(tmp_path)
    assert target == tmp_path / golden.version()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["v0", golden.version()])
    assert [path.read_bytes() for path in (tmp_path / "v0").iterdir()] == [b"old"]
    assert not (target / "stale").exists()
    record = Record.model_validate_json((target / "record.json").read_bytes())
    assert record.status == "smoke"
