"""A record can be asked again from itself; what its author's machine had is asked for, never guessed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchproof.asked import spec_of
from benchproof.errors import MissingInput, NotComparable
from benchproof.schema.record import Record
from benchproof.schema.spec import RunSpec
from benchproof.spec import parse, resolve_suite
from fakes.checks import rewrite_record, side
from fakes.world import table_run, table_spec


def made(folder: Path, *tasks: dict[str, Any], **more: Any) -> tuple[Record, Path]:
    return table_run(folder, spec=table_spec(*tasks, **more))


def on_the_hub(value: dict[str, Any]) -> None:
    model = value["asked"]["spec"]["model"]
    model.pop("path")
    model["repo"] = "owner/name"
    value["effective"]["ask"]["model"] |= {"repo": "owner/name", "commit": "a" * 40}


def test_the_spec_beside_the_record_gives_its_paths_back(tmp_path: Path) -> None:
    record, folder = made(tmp_path / "run", engine={"token_budget": 64}, reproduce={"margin_points": 0.25})
    found = spec_of(record, folder)
    asked = parse(RunSpec, (folder / "spec.yaml").read_bytes(), where="spec")
    assert found.model == asked.model
    assert found.engine == asked.engine
    assert found.reproduce.margin_points == 0.25
    assert resolve_suite(found.suite) == resolve_suite(asked.suite)


def test_a_model_of_a_folder_has_to_be_given_where_the_record_came_alone(tmp_path: Path) -> None:
    record, folder = made(tmp_path / "run")
    with pytest.raises(MissingInput, match="--model"):
        spec_of(record, None)
    assert spec_of(record, None, model="here/it").model.path == "here/it"
    (folder / "spec.yaml").write_bytes(b"model: {path: elsewhere}\nsuite: smoke\n")
    with pytest.raises(MissingInput):
        spec_of(record, folder)


def test_a_model_of_the_hub_is_asked_at_the_recorded_commit(tmp_path: Path) -> None:
    _, folder = made(tmp_path / "run")
    record = rewrite_record(folder, on_the_hub)
    found = spec_of(record, None)
    assert (found.model.repo, found.model.revision, found.model.path) == ("owner/name", "a" * 40, None)
    assert record.effective.commits == {"owner/name": "a" * 40}
    assert spec_of(record, None, model="a/copy").model.path == "a/copy"


def test_rows_of_the_authors_machine_are_asked_for(tmp_path: Path) -> None:
    task = {"task": "mine", "like": "gsm8k", "data": "rows/mine"}
    record, folder = made(tmp_path / "run", task)
    assert "rows/mine" not in (folder / "record.json").read_text()
    with pytest.raises(MissingInput, match="rows"):
        spec_of(record, None, model="m")
    assert resolve_suite(spec_of(record, folder).suite)[0].data == "rows/mine"


def test_a_suite_is_asked_as_it_was_and_not_as_its_name_means_now(tmp_path: Path) -> None:
    suite = tmp_path / "mine.yaml"
    suite.write_text(yaml.safe_dump({"about": "mine", "tasks": [{"task": "choose", "limit": 3}]}))
    spec = yaml.safe_dump({"model": {"path": "a/table"}, "suite": str(suite)}).encode()
    record, folder = table_run(tmp_path / "run", spec=spec)
    assert str(tmp_path) not in (folder / "record.json").read_text()
    suite.write_text(yaml.safe_dump({"about": "mine", "tasks": [{"task": "choose", "limit": 4}]}))
    (task,) = resolve_suite(spec_of(record, folder).suite)
    assert task.limit == 3


def test_sampling_settings_come_back_as_numbers(tmp_path: Path) -> None:
    generation = {"do_sample": True, "temperature": 0.8, "top_p": 0.95, "top_k": 5}
    record, folder = made(tmp_path / "run", {"task": "write", "generation": generation})
    (task,) = resolve_suite(spec_of(record, folder).suite)
    assert (task.generation.temperature, task.generation.top_p, task.generation.top_k) == (0.8, 0.95, 5)


def test_a_replayed_record_names_the_run_to_check(tmp_path: Path) -> None:
    _, folder = made(tmp_path / "run")
    record = rewrite_record(folder, lambda value: value["effective"]["ask"]["engine"].update(name="replay"))
    with pytest.raises(NotComparable, match="replays"):
        spec_of(record, folder)


def test_a_record_of_the_first_minor_version_is_asked_by_the_suites_name(tmp_path: Path) -> None:
    golden = Path(__file__).parent / "golden" / "v1"
    shutil.copytree(golden, tmp_path / "v1")
    record = side(tmp_path / "v1").record
    assert record.asked.tasks is None
    found = spec_of(record, None)
    assert [task.task for task in resolve_suite(found.suite)] == ["mini_mmlu_kitchen_science", "mini_gsm8k"]
    assert json.loads((tmp_path / "v1" / "record.json").read_bytes())["schema_minor"] == 0
