"""Records: written once and last; nothing unknown is hidden, nothing of the machine's owner is told."""

import getpass
import json
import multiprocessing
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchproof.errors import BadInput
from benchproof.run import run
from benchproof.schema.canonical import canonical, digest, sha256, strict_loads
from benchproof.schema.plan import Plan
from benchproof.schema.record import Record
from benchproof.schema.spec import RunSpec, TaskAsk
from benchproof.spec import parse
from benchproof.store import files
from benchproof.store.files import file_sha256, read_lines
from benchproof.store.journal import read_journal
from fakes.counting import CountingEngine
from fakes.smoke import copy_model, copy_rows, run_small, small
from fakes.world import a_world, table_run, table_spec


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk(item, f"{path}[{index}]")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Path]:
    return table_run(tmp_path_factory.mktemp("table") / "run")


def test_the_id_is_the_sha256_of_the_record_without_it(table: tuple[Record, Path]) -> None:
    record, folder = table
    data = (folder / "record.json").read_bytes()
    value = strict_loads(data, where="record.json")
    assert data == canonical(value) + b"\n"
    assert value.pop("record_id") == record.record_id == digest(value)
    assert Record.model_validate_json(data) == record
    assert Record.model_validate_json(data).with_id() == record


def test_a_record_holds_its_plan_and_the_ids_that_follow(table: tuple[Record, Path]) -> None:
    record, folder = table
    plan = Plan.model_validate_json((folder / "plan.json").read_bytes())
    assert record.effective == plan
    assert (record.plan_id, record.ask_id) == (plan.plan_id, plan.ask_id)
    assert record.plan_id == file_sha256(folder / "plan.json")
    for ids in record.ids:
        assert ids.benchmark_id == plan.benchmark_id(ids.task)
        assert ids.measurement_id == plan.measurement_id(ids.task)


def test_every_file_but_the_record_and_the_lock_is_in_it_by_content(table: tuple[Record, Path]) -> None:
    record, folder = table
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {file.path for file in record.files} == there - {"record.json", ".lock", "log.txt"}
    for file in record.files:
        assert (file.size, file.sha256) == ((folder / file.path).stat().st_size, file_sha256(folder / file.path))
    assert [file.path for file in record.files] == sorted(file.path for file in record.files)


def test_the_sha_of_the_spec_is_of_its_exact_bytes(tmp_path: Path) -> None:
    plain = table_spec()
    for number, data in enumerate((plain, b"# a word\r\n" + plain, plain + b"\n\n")):
        record, folder = table_run(tmp_path / str(number), spec=data)
        assert record.asked.sha256 == sha256(data) == file_sha256(folder / "spec.yaml")
        assert (folder / "spec.yaml").read_bytes() == data


def test_every_unknown_is_listed_with_its_place(table: tuple[Record, Path]) -> None:
    _, folder = table
    value = json.loads((folder / "record.json").read_bytes())
    listed = {(item["path"], item["code"]) for item in value.pop("unknowns")}
    found = {
        (path, item["unknown"]) for path, item in walk(value) if isinstance(item, dict) and set(item) >= {"unknown"}
    }
    assert listed == found
    assert {code for _, code in listed} >= {"not_applicable", "redacted"}
    paths = {path for path, _ in listed}
    assert "publisher" in paths
    assert "asked.spec.model.path" in paths
    assert "observed.attempts[0].environment[1].value" in paths


def test_a_score_that_has_no_standard_error_is_listed_too(table: tuple[Record, Path]) -> None:
    record, _ = table
    assert any(item.path.endswith(".stderr") for item in record.unknowns)


def test_a_path_of_the_authors_machine_is_redacted_and_says_so(tmp_path: Path) -> None:
    record, _ = table_run(tmp_path / "run", spec=table_spec(engine={"token_budget": 64}))
    assert record.asked.spec["model"]["path"] == {
        "unknown": "redacted",
        "detail": "a path on the machine of the run",
    }
    assert record.asked.spec["engine"]["token_budget"] == 64


@pytest.mark.parametrize(("limit", "status"), [(None, "complete"), (3, "limited"), (5, "complete"), (99, "complete")])
def test_only_a_run_over_all_docs_is_complete(limit: int | None, status: str, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"task": "choose"} | ({"limit": limit} if limit else {})
    record, _ = table_run(tmp_path / "run", spec=table_spec({"task": "write"}, asked))
    assert record.status == status
    assert ("limited" in {warned.code for warned in record.warnings}) == (status == "limited")


@pytest.mark.parametrize("more", [{"model": {"path": "smoke"}}, {"suite": "smoke"}])
def test_a_smoke_run_is_never_complete(more: dict[str, Any], tmp_path: Path) -> None:
    if "suite" in more:
        data = b"model: {path: a/table}\nsuite: smoke\n"
        spec = parse(RunSpec, data, where="")
        tasks = [TaskAsk(task="choose")]
        record, _ = run(spec, data, tasks, a_world(), out=tmp_path / "run", name="x", new=False)
    else:
        record, _ = table_run(tmp_path / "run", spec=table_spec(**more))
    assert record.status == "smoke"


def test_counts_are_of_what_was_asked(tmp_path: Path) -> None:
    record, folder = table_run(tmp_path / "run", CountingEngine(max_length=11))
    tokens = {item.task: item for item in record.observed.tokens}
    assert (tokens["choose"].requests, tokens["choose"].docs) == (10, 5)
    rows = list(read_lines(folder / "requests" / "choose.jsonl.zst"))
    cut = sum(bool(r.get("truncated")) for row in rows for r in row["requests"])
    assert tokens["choose"].truncated == cut > 0
    (warned,) = [w for w in record.warnings if (w.code, w.where) == ("truncated", "choose")]
    assert (warned.count, warned.total, warned.severity) == (cut, 10, "serious")


def test_the_attempts_are_the_journals(table: tuple[Record, Path]) -> None:
    record, folder = table
    (attempt,) = record.observed.attempts
    file = read_journal(folder / attempt.journal)
    assert (attempt.head, attempt.frames, attempt.responses) == (file.head, file.frames, 15)


# ---------------------------------------------------------------- once and last


def test_a_record_is_never_written_over(table: tuple[Record, Path]) -> None:
    _, folder = table
    before = (folder / "record.json").read_bytes()
    with pytest.raises(BadInput, match="exists"):
        table_run(folder)
    assert (folder / "record.json").read_bytes() == before
    _, second = table_run(folder, new=True)
    assert second == folder.with_name(f"{folder.name}-2")


@pytest.mark.parametrize(
    "place",
    [
        "benchproof.build.write_requests",
        "benchproof.infer.infer",
        "benchproof.score.score",
        "benchproof.score.write_samples",
        "benchproof.record.assemble",
    ],
)
def test_a_run_killed_anywhere_leaves_no_record_and_is_finished_by_the_same_command(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: tuple[Record, Path]
) -> None:
    def killed(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(place, killed)
        with pytest.raises(KeyboardInterrupt):
            table_run(tmp_path / "run")
    assert not (tmp_path / "run" / "record.json").exists()
    record, _ = table_run(tmp_path / "run")
    assert record.results == table[0].results
    assert record.observed.answers_digest == table[0].observed.answers_digest


def test_the_record_comes_after_every_file_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    publish = files.DISK.publish

    def noted(temporary: Path, final: Path) -> None:
        publish(temporary, final)
        written.append(final.name)

    monkeypatch.setattr(files.DISK, "publish", noted)
    table_run(tmp_path / "run")
    assert written[-1] == "record.json"
    assert written[:2] == ["spec.yaml", "plan.json"]


# ------------------------------------------- the real adapters, a copied model


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Path, Path]:
    """A run whose model and rows lie in local folders; its record, run folder, and the folder of both."""
    home = tmp_path_factory.mktemp("a-home-of-somebody")
    spec = small()
    spec["model"]["path"] = str(copy_model(home / "my-secret-model"))
    spec["suite"]["tasks"][0]["data"] = str(copy_rows(home / "my-secret-rows", "mmlu/kitchen_science"))
    record = run_small(home / "run", spec)
    return record, home / "run", home


def contents(folder: Path) -> Iterator[tuple[str, str]]:
    """Everything that a reader is given but the spec as its author wrote it."""
    for name in ("record.json", "plan.json"):
        yield name, (folder / name).read_text("utf-8")
    for path in folder.glob("journal/*"):
        yield path.name, path.read_bytes().decode("utf-8", "replace")
    for path in [*folder.glob("samples/*"), *folder.glob("requests/*")]:
        yield path.name, "\n".join(json.dumps(row) for row in read_lines(path))


def test_no_host_user_or_path_stands_in_what_is_published(local: tuple[Record, Path, Path]) -> None:
    _, folder, home = local
    secrets = {
        "the model's folder": "my-secret-model",
        "the rows' folder": "my-secret-rows",
        "the run's folder": str(home),
        "the home": f"{Path.home()}/",
        "the current folder": str(Path.cwd()),
    }
    if len(socket.gethostname()) > 3:
        secrets["the host"] = socket.gethostname()
    if getpass.getuser() not in ("root", "user") and len(getpass.getuser()) > 3:
        secrets["the user"] = getpass.getuser()
    for name, text in contents(folder):
        for what, secret in secrets.items():
            assert secret not in text, f"{what} stands in {name}"


def test_a_local_model_has_a_name_that_says_nothing_and_the_run_is_limited(local: tuple[Record, Path, Path]) -> None:
    record, _, _ = local
    assert record.model_name == "local model"
    assert record.status == "limited"


# ---------------------------------------------------------------- determinism


def busy(stop: Any) -> None:
    while not stop.is_set():
        sum(range(10_000))


def same(one: tuple[Record, Path], other: tuple[Record, Path]) -> None:
    (a, left), (b, right) = one, other
    assert a.plan_id == b.plan_id
    assert a.observed.requests_digest == b.observed.requests_digest
    assert a.observed.answers_digest == b.observed.answers_digest
    assert a.results == b.results
    assert a.ids == b.ids
    for kind in ("samples", "requests"):
        names = sorted(path.name for path in (left / kind).iterdir())
        assert names == sorted(path.name for path in (right / kind).iterdir())
        for name in names:
            assert (left / kind / name).read_bytes() == (right / kind / name).read_bytes(), name
    ours, theirs = (read_journal(folder / r.observed.attempts[0].journal) for r, folder in (one, other))
    assert ours.ops == theirs.ops, "the journals differ in header and end alone"


def test_a_second_run_gives_the_same_bytes_on_a_busy_machine_too(
    local: tuple[Record, Path, Path], tmp_path: Path
) -> None:
    """Also in another folder, with the bundled model by its name: neither may move anything."""
    record, folder, _ = local
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    process = context.Process(target=busy, args=(stop,), daemon=True)
    process.start()
    try:
        again = run_small(tmp_path / "again")
    finally:
        stop.set()
        process.join()
    assert again.status == "smoke"
    same((record, folder), (again, tmp_path / "again"))


def test_two_runs_of_a_table_are_equal_too(table: tuple[Record, Path], tmp_path: Path) -> None:
    same(table, table_run(tmp_path / "run"))
