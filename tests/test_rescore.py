"""Rows are made again from the journal; what was edited is found, and the folder that is checked is never touched."""

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchproof.asked import spec_of
from benchproof.errors import BadInput, MissingInput, NotComparable, SandboxUnavailable, VerificationFailed
from benchproof.ports import Asking, Progress, Render, Source, TaskPins
from benchproof.report.progress import Silent
from benchproof.rescore import Marking, Rescored, rescore
from benchproof.schema.plan import ChatPin
from benchproof.schema.request import Doc, Request
from benchproof.schema.response import Response
from benchproof.schema.spec import RunSpec, TaskAsk
from benchproof.spec import parse, resolve_suite
from benchproof.store.files import file_sha256
from fakes.checks import rewrite_record, rewrite_rows, side
from fakes.harness import TableHarness
from fakes.world import NoSource, a_world, table_run, table_spec


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table_run(tmp_path_factory.mktemp("rescore") / "made")[1]


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "made")
    return tmp_path / "made"


def marked(folder: Path, harness: TableHarness | None = None, out: Path | None = None) -> Rescored:
    there = None
    if (folder / "record.json").exists():
        record = side(folder).record
        there = record, file_sha256(folder / "record.json")
        spec = spec_of(record, folder)
    else:
        spec = parse(RunSpec, (folder / "spec.yaml").read_bytes(), where="spec.yaml")
    by = Marking(harness or TableHarness(), NoSource(), Silent(), "0.0.0", a_world().wall)
    return rescore(folder, there, spec, resolve_suite(spec.suite), by, out)


def outcome(found: Rescored) -> str:
    assert found.verdict is not None
    return found.verdict.outcome


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_honest_run_gives_the_same_rows_and_scores(made: Path) -> None:
    found = marked(made)
    assert outcome(found) == "bitwise"
    assert found.verdict is not None
    assert (found.verdict.evidence["rows"], found.verdict.evidence["scores"]) == (10, 2)
    assert found.record is None


def flip(rows: list[Any]) -> list[Any]:
    value = rows[0]["metrics"]["none"]["acc"]
    rows[0]["metrics"]["none"]["acc"] = "0.0" if float(value) else "1.0"
    return rows


EDITS: dict[str, Any] = {
    "a metric flipped": flip,
    "a filtered answer": lambda rows: [rows[0] | {"filtered": {"none": ["other"]}}, *rows[1:]],
    "a response": lambda rows: [rows[0] | {"responses": [["-0.5", True], rows[0]["responses"][1]]}, *rows[1:]],
    "a target": lambda rows: [rows[0] | {"target": 1}, *rows[1:]],
    "a row removed": lambda rows: rows[1:],
    "a row of another doc": lambda rows: [rows[0] | {"doc_sha256": "0" * 64}, *rows[1:]],
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_row_is_found(copied: Path, name: str) -> None:
    rewrite_rows(copied, "samples", "choose", EDITS[name])
    found = marked(copied)
    assert outcome(found) == "not reproduced"
    assert found.verdict is not None
    assert found.verdict.exit_code == 1
    assert "choose" in found.verdict.reasons[0]


def test_a_flipped_row_with_its_aggregate_is_found_too(copied: Path) -> None:
    """RELIABILITY's row 11: what `verify` cannot see."""
    rewrite_rows(copied, "samples", "choose", flip)
    rows = side(copied).rows("choose")
    values = [row.metrics["none"]["acc"] for row in rows]
    rewrite_record(copied, lambda value: value["results"][0].update(value=repr(sum(values) / len(values))))
    assert outcome(marked(copied)) == "not reproduced"


def test_a_stated_score_that_the_rows_do_not_give_is_found(copied: Path) -> None:
    rewrite_record(copied, lambda value: value["results"][1].update(value="0.12345"))
    assert outcome(marked(copied)) == "not reproduced"


def test_without_samples_the_scores_are_compared_and_it_says_so(copied: Path) -> None:
    shutil.rmtree(copied / "samples")
    found = marked(copied)
    assert outcome(found) == "bitwise"
    assert found.verdict is not None
    assert found.verdict.evidence["not_at_hand"] == ["choose", "write"]


@dataclasses.dataclass
class OtherVersion(TableHarness):
    """Another version of the harness, which marks the first choice wrong if asked to."""

    strict: bool = False

    def __post_init__(self) -> None:
        self.versions = {"table": "2"}

    def running(self, task: str, doc: Doc, answers: Mapping[str, Response]) -> float:
        return 0.0 if self.strict else super().running(task, doc, answers)


def test_another_version_that_marks_alike_gives_the_same_answers(made: Path) -> None:
    found = marked(made, OtherVersion())
    assert outcome(found) == "same answers"
    assert found.verdict is not None
    assert "mark.harness.table" in found.verdict.reasons[0]


def test_another_version_that_marks_otherwise_accuses_nobody(made: Path) -> None:
    found = marked(made, OtherVersion(strict=True))
    assert outcome(found) == "not comparable"
    assert found.verdict is not None
    assert found.verdict.exit_code == 7


def test_new_marks_are_a_folder_of_their_own_and_the_old_one_is_not_touched(made: Path, tmp_path: Path) -> None:
    before = files_of(made)
    out = tmp_path / "anew"
    found = marked(made, OtherVersion(strict=True), out)
    assert files_of(made) == before
    record, parent = found.record, side(made).record
    assert record is not None
    assert [result.value for result in record.results] == ["0.0", "0.0"]
    assert record.effective.mark.harness == {"table": "2"}
    assert (record.ask_id, record.observed.answers_digest) == (parent.ask_id, parent.observed.answers_digest)
    (named,) = record.parents
    assert (named["record_id"], named["relation"], named["plan_id"]) == (parent.record_id, "rescore", parent.plan_id)
    assert named["journal_heads"] == parent.observed.attempts[0].head
    journal = "journal/shard-000-of-001.attempt-0.journal"
    assert (out / journal).read_bytes() == (made / journal).read_bytes()
    assert record.observed.tokens == parent.observed.tokens
    assert marked(out, OtherVersion(strict=True)).verdict is not None
    with pytest.raises(BadInput, match="never overwritten"):
        marked(made, OtherVersion(strict=True), out)


def test_a_run_whose_marking_stopped_is_marked_elsewhere(tmp_path: Path) -> None:
    """Generation is kept where there is no sandbox; the answers go to a machine that has one."""

    def none_here(task: str) -> None:
        raise SandboxUnavailable("no sandbox here", do="rescore elsewhere")

    with pytest.raises(SandboxUnavailable):
        table_run(tmp_path / "made", harness=TableHarness(marking=none_here))
    assert not (tmp_path / "made" / "record.json").exists()
    found = marked(tmp_path / "made", out=tmp_path / "anew")
    assert found.verdict is None
    assert found.record is not None
    _, whole = table_run(tmp_path / "whole")
    assert found.record.results == side(whole).record.results
    assert "record_id" not in found.record.parents[0]


def test_data_of_another_content_are_refused_with_both_hashes(made: Path) -> None:
    class OtherData(TableHarness):
        def load(self, tasks: Sequence[TaskAsk], asking: Asking, source: Source, progress: Progress) -> TaskPins:
            pins = super().load(tasks, asking, source, progress)
            for index, pin in enumerate(pins.asks):
                dataset = pin.dataset.model_copy(update={"docs_sha256": "9" * 64})
                pins.asks[index] = pin.model_copy(update={"dataset": dataset})
            return pins

    with pytest.raises(VerificationFailed, match="9" * 64) as caught:
        marked(made, OtherData())
    assert caught.value.exit_code == 1


def test_a_harness_that_asks_otherwise_is_not_comparable(made: Path) -> None:
    class OtherShots(TableHarness):
        def load(self, tasks: Sequence[TaskAsk], asking: Asking, source: Source, progress: Progress) -> TaskPins:
            pins = super().load(tasks, asking, source, progress)
            pins.asks[0] = pins.asks[0].model_copy(update={"num_fewshot": 5})
            return pins

    with pytest.raises(NotComparable, match="num_fewshot"):
        marked(made, OtherShots())


class OtherPrompts(TableHarness):
    """The same pins, other texts: what a record does whose requests are not those of its plan."""

    def build(self, task: str, render: Render | None) -> list[Doc]:
        found = []
        for doc in super().build(task, render):
            requests = [dataclasses.replace(r, context=f"{r.context} ").with_hash() for r in doc.requests]
            found.append(dataclasses.replace(doc, requests=tuple(requests)))
        return found


def test_answers_to_other_requests_than_the_plan_makes_are_refused(made: Path) -> None:
    with pytest.raises(VerificationFailed, match="the plan makes"):
        marked(made, OtherPrompts())


def test_a_run_without_answers_is_told_so(copied: Path) -> None:
    shutil.rmtree(copied / "journal")
    with pytest.raises(MissingInput, match="no journal"):
        marked(copied)


@dataclasses.dataclass
class Chatting(TableHarness):
    """A harness that lays out prompts by a chat template: `render` is the tokenizer's."""

    def load(self, tasks: Sequence[TaskAsk], asking: Asking, source: Source, progress: Progress) -> TaskPins:
        pins = super().load(tasks, asking, source, progress)
        chat = ChatPin(applied=True, fewshot_as_turns=False)
        pins.asks[:] = [pin.model_copy(update={"chat": chat}) for pin in pins.asks]
        return pins

    def build(self, task: str, render: Render | None) -> list[Doc]:
        assert render is not None

        def templated(request: Request) -> Request:
            text = render([{"role": "user", "content": request.context}], True)
            return dataclasses.replace(request, context=text).with_hash()

        docs = super().build(task, render)
        return [dataclasses.replace(doc, requests=tuple(map(templated, doc.requests))) for doc in docs]


def test_a_chat_template_is_taken_from_the_requests_and_needs_no_tokenizer(tmp_path: Path) -> None:
    _, folder = table_run(tmp_path / "chat", harness=Chatting(), spec=table_spec({"task": "choose"}))
    assert "<user>" in next(side(folder).docs("choose"))[0].requests[0].context
    assert outcome(marked(folder, Chatting())) == "bitwise"
    rewrite_rows(folder, "samples", "choose", flip)
    assert outcome(marked(folder, Chatting())) == "not reproduced"
    shutil.rmtree(folder / "requests")
    with pytest.raises(MissingInput, match="requests"):
        marked(folder, Chatting())
