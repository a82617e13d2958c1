"""The record's types: closed, strict, and the same bytes after a round trip. Assembly: test_record_assembly.py."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from benchproof.schema.observed import Probe
from benchproof.schema.plan import Plan
from benchproof.schema.record import Record
from benchproof.schema.score import Result
from benchproof.schema.unknown import Unknown
from fakes.world import table_run


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return table_run(tmp_path_factory.mktemp("record") / "run")[0]


def test_a_record_survives_its_file(record: Record) -> None:
    again = Record.model_validate_json(record.to_bytes())
    assert again == record
    assert again.to_bytes() == record.to_bytes()
    assert again.record_id == again.with_id().record_id


@pytest.mark.parametrize(
    "change",
    [
        {"model_name": "another"},
        {"status": "limited"},
        {"margin_points": "0.5"},
        {"created": "2020-01-01T00:00:00Z"},
        {"supersedes": ["0" * 64]},
        {"results": []},
        {"files": []},
    ],
)
def test_whatever_is_changed_the_id_changes(record: Record, change: dict[str, Any]) -> None:
    assert record.model_copy(update=change).with_id().record_id != record.record_id


def test_the_id_does_not_depend_on_the_id(record: Record) -> None:
    assert record.model_copy(update={"record_id": "x"}).with_id() == record


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("extra", 1),
        ("schema", "benchproof/record/v2"),
        ("status", "perfect"),
        ("schema_minor", "0"),
        ("schema_minor", 0.0),
        ("results", {}),
        ("publisher", None),
        ("plan_id", None),
    ],
)
def test_what_is_no_record_is_refused(record: Record, key: str, value: Any) -> None:
    body = json.loads(record.to_bytes())
    with pytest.raises(ValidationError):
        Record.model_validate_json(json.dumps(body | {key: value}))


def test_a_field_that_is_missing_is_refused_but_for_those_with_a_default(record: Record) -> None:
    body = json.loads(record.to_bytes())
    for key in body:
        rest = {k: v for k, v in body.items() if k != key}
        if key in ("schema", "schema_minor", "record_id", "supersedes", "parents"):
            Record.model_validate_json(json.dumps(rest))
        else:
            with pytest.raises(ValidationError):
                Record.model_validate_json(json.dumps(rest))


def test_nothing_can_be_changed_in_place(record: Record) -> None:
    with pytest.raises(ValidationError):
        record.model_name = "another"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        record.effective.ask.truncation = "refuse"  # type: ignore[misc]


def test_an_unknown_is_no_value_and_a_value_no_unknown(record: Record) -> None:
    given = {"name": "gpu", "unit": "", "value": {"unknown": "not_installed", "detail": "x"}}
    for probe in (Probe.model_validate(given), Probe.model_validate_json(json.dumps(given))):
        assert probe.value == Unknown(unknown="not_installed", detail="x")
        assert probe.json_value() == given
    for value in ("x", 3, True, ["a"], {"a": {"b": "c"}}, {"unknown": "word", "detail": "x"}):
        assert Probe(name="gpu", unit="", value=value).value == value
    with pytest.raises(ValidationError):
        Unknown.model_validate({"unknown": "dunno", "detail": "x"})
    body = json.loads(record.to_bytes())["results"][0]
    assert Result.model_validate(body).stderr_value is None
    assert Result.model_validate(body | {"stderr": "0.25"}).stderr_value == 0.25
    with pytest.raises(ValidationError):
        Result.model_validate(body | {"stderr": None})
    with pytest.raises(ValidationError):
        Result.model_validate(body | {"n": 0})


def test_a_plan_reads_back_from_its_file_in_the_folder(tmp_path: Path) -> None:
    done, folder = table_run(tmp_path / "run")
    assert Plan.model_validate_json((folder / "plan.json").read_bytes()) == done.effective
