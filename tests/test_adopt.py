"""`--adopt`: answers of equal measurements are taken over, whole ops only, and the record says so."""

from pathlib import Path
from typing import Any

import pytest

from benchproof.errors import BadInput, Interrupted, MissingInput
from benchproof.ports import Progress
from benchproof.schema.plan import ModelPin
from benchproof.schema.record import Record
from benchproof.store.files import read_lines
from benchproof.store.journal import JournalWriter, read_journal
from fakes.counting import CountingEngine, StopAt
from fakes.outcome import acknowledged, journals
from fakes.plans import a_model_pin
from fakes.world import table_run, table_spec


class AnotherModel(CountingEngine):
    def pin_model(self, progress: Progress) -> ModelPin:
        return a_model_pin(config_sha256="1" * 64)


def rows(folder: Path) -> dict[str, list[Any]]:
    return {path.name: list(read_lines(path)) for path in sorted((folder / "samples").iterdir())}


def codes(record: Record) -> set[str]:
    return {warning.code for warning in record.warnings}


@pytest.fixture
def large(tmp_path: Path) -> tuple[Record, Path]:
    """A finished run with large batches."""
    return table_run(tmp_path / "large", CountingEngine(token_budget=64))


def small() -> CountingEngine:
    """The engine of the same model with a smaller budget: another plan of equal measurements."""
    return CountingEngine(token_budget=12, generation_batch=1)


def test_all_answers_of_a_finished_run(tmp_path: Path, large: tuple[Record, Path]) -> None:
    theirs, source = large
    engine = small()
    record, folder = table_run(tmp_path / "run", engine, adopt_from=source)
    assert (engine.asked, engine.loads) == ([], 0), "nothing was missing, so no model was loaded"
    assert record.plan_id != theirs.plan_id
    assert [ids.measurement_id for ids in record.ids] == [ids.measurement_id for ids in theirs.ids]
    assert record.observed.answers_digest == theirs.observed.answers_digest
    assert record.results == theirs.results
    assert rows(folder) == rows(source)
    (attempt,) = record.observed.attempts
    assert attempt.adopted_from is not None
    assert attempt.adopted_from["plan_id"] == theirs.plan_id
    heads = [{"name": path.name, "head": read_journal(path).head} for path in journals(source)]
    assert attempt.adopted_from["journals"] == heads
    assert "adopted" in codes(record) and not record.observed.resumed
    assert len(acknowledged(folder)) > len(acknowledged(source)), "in this plan's own ops"


@pytest.mark.parametrize("done", [1, 2, 3])
def test_what_an_interrupted_run_has_and_the_rest_is_asked(
    done: int, tmp_path: Path, large: tuple[Record, Path]
) -> None:
    source = tmp_path / "cut off"
    with pytest.raises(Interrupted):
        table_run(source, CountingEngine(token_budget=64, before=StopAt(done)))
    engine = small()
    record, folder = table_run(tmp_path / "run", engine, adopt_from=source)
    taken, asked = (read_journal(path) for path in journals(folder))
    assert taken.responses > 0 and list(asked.ops) == [op.index for op in engine.asked] != []
    assert not set(taken.ops) & set(asked.ops), "an op is adopted or asked, never both"
    sizes = {op.index: len(op.requests) for op in engine.asked}
    assert all(len(answers) == sizes.get(index, len(answers)) for index, answers in asked.ops.items())
    assert record.observed.answers_digest == large[0].observed.answers_digest
    assert record.results == large[0].results
    assert [attempt.adopted_from is not None for attempt in record.observed.attempts] == [True, False]
    assert not record.observed.resumed, "adopting is not resuming"


def test_an_op_that_is_answered_in_part_is_asked_as_a_whole(tmp_path: Path) -> None:
    source = tmp_path / "cut off"
    with pytest.raises(Interrupted):
        table_run(source, CountingEngine(token_budget=12, generation_batch=1, before=StopAt(2)))
    had = {answer.request for path in journals(source) for op in read_journal(path).ops.values() for answer in op}
    engine = CountingEngine(token_budget=64)  # its ops are larger: none is wholly answered there
    record, folder = table_run(tmp_path / "run", engine, adopt_from=source)
    asked = {answer.request for path in journals(folder) for op in read_journal(path).ops.values() for answer in op}
    assert had and had <= asked
    assert len(journals(folder)) == 1 and "adopted" not in codes(record), "nothing was taken over, nothing is marked"


def test_it_goes_on_after_an_interruption_and_adopts_nothing_twice(tmp_path: Path, large: tuple[Record, Path]) -> None:
    source = tmp_path / "cut off"
    with pytest.raises(Interrupted):
        table_run(source, CountingEngine(token_budget=64, before=StopAt(2)))
    cut = CountingEngine(token_budget=12, generation_batch=1, before=StopAt(1))
    with pytest.raises(Interrupted):
        table_run(tmp_path / "run", cut, adopt_from=source)
    record, folder = table_run(tmp_path / "run", small(), adopt_from=source)
    ops = acknowledged(folder)
    assert len(ops) == len(set(ops)) and len(journals(folder)) == 3
    assert record.observed.answers_digest == large[0].observed.answers_digest
    assert record.observed.resumed and "adopted" in codes(record)


def test_only_tasks_that_measure_the_same(tmp_path: Path, large: tuple[Record, Path]) -> None:
    spec = table_spec({"task": "choose"}, {"task": "pick"})
    engine = small()
    record, _ = table_run(tmp_path / "run", engine, adopt_from=large[1], spec=spec)
    assert {op.task for op in engine.asked} == {"pick"}
    assert "adopted" in codes(record)
    assert {result.task for result in record.results} == {"choose", "pick"}


def test_another_model_is_refused(tmp_path: Path, large: tuple[Record, Path]) -> None:
    with pytest.raises(BadInput, match="the model differs") as caught:
        table_run(tmp_path / "run", AnotherModel(token_budget=12), adopt_from=large[1])
    assert caught.value.exit_code == 2 and caught.value.where == "--adopt"
    assert journals(tmp_path / "run") == []


def test_other_tasks_are_refused(tmp_path: Path, large: tuple[Record, Path]) -> None:
    with pytest.raises(BadInput, match="no task in common"):
        table_run(tmp_path / "run", small(), adopt_from=large[1], spec=table_spec({"task": "pick"}))


def test_tasks_of_one_name_that_are_asked_in_another_way_are_refused(
    tmp_path: Path, large: tuple[Record, Path]
) -> None:
    spec = table_spec({"task": "choose", "limit": 2}, {"task": "write", "limit": 2})
    with pytest.raises(BadInput, match="another way"):
        table_run(tmp_path / "run", small(), adopt_from=large[1], spec=spec)


def test_there_is_nothing_to_adopt_from(tmp_path: Path, large: tuple[Record, Path]) -> None:
    with pytest.raises(MissingInput, match=r"plan\.json") as caught:
        table_run(tmp_path / "run", small(), adopt_from=tmp_path / "nowhere")
    assert caught.value.exit_code == 3
    for path in journals(large[1]):
        path.unlink()
    with pytest.raises(MissingInput, match="no journal"):
        table_run(tmp_path / "run", small(), adopt_from=large[1])


def test_journals_of_another_plan_are_refused(tmp_path: Path, large: tuple[Record, Path]) -> None:
    (path,) = journals(large[1])
    with JournalWriter(path.with_name("shard-000-of-001.attempt-1.journal"), {"plan_id": "0" * 64}):
        pass
    with pytest.raises(BadInput, match="another plan"):
        table_run(tmp_path / "run", small(), adopt_from=large[1])


def test_the_source_stays_as_it_is(tmp_path: Path, large: tuple[Record, Path]) -> None:
    before = {path: path.read_bytes() for path in sorted(large[1].rglob("*")) if path.is_file()}
    table_run(tmp_path / "run", small(), adopt_from=large[1])
    assert {path: path.read_bytes() for path in sorted(large[1].rglob("*")) if path.is_file()} == before
