"""Exports against Every Eval Ever's own JSON Schemas, read from its released package (`make test` fetches it)."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from benchproof.publish.eee import export_eee
from benchproof.publish.source import read_exported
from publish.runs import complete, made

WHEEL = Path(__file__).resolve().parents[2] / "build/eee/every_eval_ever-0.3.0-py3-none-any.whl"
AGGREGATE, SAMPLES = "eval", "instance_level_eval"


@pytest.fixture(scope="module")
def schemas() -> dict[str, Validator]:
    if not WHEEL.is_file():
        pytest.skip(f"no {WHEEL.name}: `make test` fetches it")
    found = {}
    with zipfile.ZipFile(WHEEL) as wheel:
        for name in (AGGREGATE, SAMPLES):
            schema = json.loads(wheel.read(f"every_eval_ever/schemas/{name}.schema.json"))
            kind = validator_for(schema)
            kind.check_schema(schema)
            found[name] = kind(schema, format_checker=kind.FORMAT_CHECKER)
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("schema")
    smoke = made(folder / "made")
    return {"smoke": smoke, "complete": complete(smoke, folder / "complete")}


def exported(run: Path, texts: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    files = export_eee(read_exported(run, {}), texts)
    rows = [line for path, data in files.items() if path.endswith(".jsonl") for line in data.splitlines()]
    return [json.loads(data) for path, data in files.items() if path.endswith(".json")], [json.loads(r) for r in rows]


@pytest.mark.parametrize("texts", ["full", "hashes"])
@pytest.mark.parametrize("run", ["smoke", "complete"])
def test_every_file_is_valid(schemas: dict[str, Validator], runs: dict[str, Path], run: str, texts: str) -> None:
    aggregates, rows = exported(runs[run], texts)
    assert aggregates and rows
    for name, values in ((AGGREGATE, aggregates), (SAMPLES, rows)):
        errors = [f"{e.json_path}: {e.message}" for value in values for e in schemas[name].iter_errors(value)]
        assert errors == []


def test_a_file_that_lacks_what_the_format_requires_is_not(
    schemas: dict[str, Validator], runs: dict[str, Path]
) -> None:
    aggregates, rows = exported(runs["smoke"], "full")
    for name, value in ((AGGREGATE, aggregates[0]), (SAMPLES, rows[0])):
        schema: Any = schemas[name].schema
        for key in schema["required"]:
            assert not schemas[name].is_valid({k: v for k, v in value.items() if k != key}), key
