"""What is answered once is never asked again; what was not acknowledged is asked again, whole ops at a time."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchproof import infer
from benchproof.errors import BenchproofError, DiskError, Interrupted, MachineError, VerificationFailed
from benchproof.ports import Op
from benchproof.schema.response import Generated, Loglikelihood, Response
from benchproof.schema.unknown import Unknown
from benchproof.store.files import read_lines
from benchproof.store.journal import JournalWriter, read_journal
from fakes.counting import CountingEngine, StopAt
from fakes.disk import FailingDisk
from fakes.harness import TableHarness
from fakes.outcome import journals
from fakes.plans import a_built, a_choice, a_likelihood, a_plan, answers_of
from fakes.world import table_run, table_spec


def samples(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "samples").iterdir())}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, CountingEngine]:
    engine = CountingEngine()
    record, folder = table_run(tmp_path_factory.mktemp("unbroken") / "run", engine)
    assert len(engine.asked) > 4
    return record, folder, engine


def test_each_op_is_asked_once_in_the_plans_order(unbroken: tuple[Any, Path, CountingEngine]) -> None:
    record, folder, engine = unbroken
    indices = [op.index for op in engine.asked]
    assert indices == sorted(set(indices))
    assert sorted(i for op in engine.asked for i in op.requests) == list(range(15))
    (file,) = [read_journal(path) for path in journals(folder)]
    assert list(file.ops) == indices
    assert (file.responses, file.torn) == (15, 0)
    assert engine.loads == 1
    assert not record.observed.resumed


@pytest.mark.parametrize("done", range(5))
def test_an_interrupted_run_goes_on_where_it_stopped(
    done: int, tmp_path: Path, unbroken: tuple[Any, Path, CountingEngine]
) -> None:
    whole, folder, once = unbroken
    first, second = CountingEngine(before=StopAt(done)), CountingEngine()
    with pytest.raises(Interrupted):
        table_run(tmp_path / "run", first)
    assert not (tmp_path / "run" / "record.json").exists()
    record, _ = table_run(tmp_path / "run", second)
    # No answer twice, and together exactly the ops of an unbroken run: they follow from the plan.
    assert [op.index for op in first.asked + second.asked] == [op.index for op in once.asked]
    assert [op.requests for op in first.asked + second.asked] == [op.requests for op in once.asked]
    assert record.plan_id == whole.plan_id
    assert record.observed.answers_digest == whole.observed.answers_digest
    assert record.results == whole.results
    assert samples(tmp_path / "run") == samples(folder)
    assert record.observed.resumed
    assert [a.responses for a in record.observed.attempts] == [
        sum(len(op.requests) for op in engine.asked) for engine in (first, second)
    ]
    cut_off, ended = (attempt.ended for attempt in record.observed.attempts)
    assert isinstance(cut_off, Unknown)
    assert isinstance(ended, str)


def test_a_run_interrupted_many_times_asks_nothing_twice(
    tmp_path: Path, unbroken: tuple[Any, Path, CountingEngine]
) -> None:
    asked: list[int] = []
    for _ in range(len(unbroken[2].asked)):
        engine = CountingEngine(before=StopAt(1))
        try:
            table_run(tmp_path / "run", engine)
        except Interrupted:
            asked += [op.index for op in engine.asked]
        else:
            asked += [op.index for op in engine.asked]
            break
    assert asked == [op.index for op in unbroken[2].asked]
    assert [path.name for path in journals(tmp_path / "run")] == [
        f"shard-000-of-001.attempt-{n}.journal" for n in range(len(asked))
    ]


def test_a_torn_tail_is_asked_again_and_told(tmp_path: Path, unbroken: tuple[Any, Path, CountingEngine]) -> None:
    with pytest.raises(Interrupted):
        table_run(tmp_path / "run", CountingEngine(before=StopAt(3)))
    (path,) = journals(tmp_path / "run")
    path.write_bytes(path.read_bytes()[:-7])
    engine = CountingEngine()
    record, _ = table_run(tmp_path / "run", engine)
    assert [op.index for op in engine.asked] == [op.index for op in unbroken[2].asked[2:]]
    assert record.observed.attempts[0].torn_bytes > 0
    assert record.observed.answers_digest == unbroken[0].observed.answers_digest


def test_an_attempt_that_ended_before_its_header_is_no_obstacle(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        table_run(tmp_path / "run", CountingEngine(before=StopAt(0)))
    (path,) = journals(tmp_path / "run")
    path.write_bytes(path.read_bytes()[:5])
    record, _ = table_run(tmp_path / "run")
    assert len(record.observed.attempts) == 1
    assert len(journals(tmp_path / "run")) == 2


def test_a_half_answered_op_is_answered_again_as_a_whole() -> None:
    requests = [a_choice(choice=i, answer=f" {i}") for i in range(3)]
    ops = [Op(0, "loglikelihood", "choose", (0, 1), 4), Op(1, "loglikelihood", "choose", (2,), 2)]
    built = a_built(*requests, ops=ops)
    half = answers_of(a_likelihood(requests[0]), a_likelihood(requests[2]))
    assert infer.missing_ops(built, half) == [ops[0]]
    assert infer.missing_ops(built, {}) == ops
    assert infer.missing_ops(built, answers_of(*map(a_likelihood, requests))) == []


def test_a_complete_journal_without_a_record_needs_no_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unbroken: tuple[Any, Path, CountingEngine]
) -> None:
    with monkeypatch.context() as patch:

        def killed(*args: Any, **kwargs: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr("benchproof.record.assemble", killed)
        with pytest.raises(KeyboardInterrupt):
            table_run(tmp_path / "run")
    engine = CountingEngine()
    record, _ = table_run(tmp_path / "run", engine)
    assert (engine.asked, engine.loads) == ([], 0)
    assert record.observed.answers_digest == unbroken[0].observed.answers_digest
    assert len(journals(tmp_path / "run")) == 1


@pytest.mark.parametrize("key", ["plan_id", "ask_id", "requests_digest"])
def test_the_journal_of_another_run_is_refused(key: str, tmp_path: Path) -> None:
    plan, built = a_plan(), a_built(a_choice())
    header = {"plan_id": plan.plan_id, "ask_id": plan.ask_id, "requests_digest": built.requests_digest}
    (tmp_path / "journal").mkdir()
    with JournalWriter(tmp_path / "journal" / "a.journal", header | {key: "0" * 64}):
        pass
    with pytest.raises(VerificationFailed, match=key) as caught:
        infer.find_answers(plan, built, tmp_path)
    assert caught.value.exit_code == 1


def test_answers_that_contradict_each_other_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        table_run(tmp_path / "run", CountingEngine(before=StopAt(2)))
    (path,) = journals(tmp_path / "run")
    file = read_journal(path)
    op, responses = next(iter(file.ops.items()))
    header = {key: value for key, value in file.header.items() if key != "format"}
    with JournalWriter(path.with_name("shard-000-of-001.attempt-1.journal"), header) as journal:
        journal.append(op, [replace(responses[0], **other(responses[0]))])
    with pytest.raises(VerificationFailed, match="two different answers"):
        table_run(tmp_path / "run")


def other(response: Response) -> dict[str, Any]:
    return {"text": "else"} if isinstance(response, Generated) else {"loglikelihood": -99.0}


def test_each_answer_is_on_disk_before_the_next_op_is_asked(tmp_path: Path) -> None:
    seen: list[int] = []

    def look(op: Op) -> None:
        (path,) = journals(tmp_path / "run")
        seen.append(len(read_journal(path).ops))

    table_run(tmp_path / "run", CountingEngine(before=look))
    assert seen == list(range(len(seen)))


@pytest.mark.parametrize("wrong", ["swapped", "one less", "none", "another's"])
def test_an_engines_word_is_not_taken_for_which_request_it_answers(wrong: str, tmp_path: Path) -> None:
    class Confused(CountingEngine):
        def answer(self, op: Op, requests: Any, encoded: Any) -> list[Response]:
            right = super().answer(op, requests, encoded)
            match wrong:
                case "swapped":
                    return right[::-1]
                case "one less":
                    return right[:-1]
                case "none":
                    return []
            return [replace(right[0], request=requests[-1].hash), *right[1:]]

    with pytest.raises(MachineError, match="in another order") as caught:
        table_run(tmp_path / "run", Confused())
    assert caught.value.exit_code == 5
    (path,) = journals(tmp_path / "run")
    assert read_journal(path).ops == {}


def test_an_answer_that_is_not_finite_is_never_written(tmp_path: Path) -> None:
    class Broken(CountingEngine):
        def answer(self, op: Op, requests: Any, encoded: Any) -> list[Response]:
            right = super().answer(op, requests, encoded)
            return [replace(r, loglikelihood=math.nan) if isinstance(r, Loglikelihood) else r for r in right]

    with pytest.raises((ValueError, BenchproofError)):
        table_run(tmp_path / "run", Broken(), spec=table_spec({"task": "choose"}))
    (path,) = journals(tmp_path / "run")
    assert read_journal(path).ops == {}


def test_a_full_disk_ends_the_run_and_costs_nothing_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unbroken: tuple[Any, Path, CountingEngine]
) -> None:
    engine = CountingEngine()
    with monkeypatch.context() as patch:
        full = FailingDisk(at=5 + 2 * 3)  # the journal's own five calls, three ops, then the write of the fourth
        patch.setattr(JournalWriter.__init__, "__defaults__", (full,))
        with pytest.raises(DiskError) as caught:
            table_run(tmp_path / "run", engine)
    assert caught.value.exit_code == 6
    assert len(engine.asked) == 4, "no op is asked after the disk has failed"
    rest = CountingEngine()
    record, _ = table_run(tmp_path / "run", rest)
    assert [op.index for op in rest.asked] == [op.index for op in unbroken[2].asked[3:]]
    assert record.observed.attempts[0].torn_bytes > 0
    assert record.observed.answers_digest == unbroken[0].observed.answers_digest


def test_another_machine_is_another_attempt_and_the_record_says_so(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        table_run(tmp_path / "run", CountingEngine(before=StopAt(1)))
    (path,) = journals(tmp_path / "run")
    file = read_journal(path)
    path.unlink()
    header = {key: value for key, value in file.header.items() if key != "format"}
    header["environment"] = [{"name": "machine", "unit": "", "value": "another"}]
    with JournalWriter(path, header) as journal:
        for op, responses in file.ops.items():
            journal.append(op, responses)
    record, _ = table_run(tmp_path / "run")
    assert record.observed.mixed_hardware


def test_the_running_score_counts_each_doc_once(tmp_path: Path) -> None:
    counted: list[int] = []

    class Counting(TableHarness):
        def running(self, task: str, doc: Any, answers: Any) -> float:
            counted.append(doc.doc_id)
            return super().running(task, doc, answers)

        def score(self, task: str, docs: Any, answers: Any) -> Any:
            counted.clear()
            return super().score(task, docs, answers)

    before: list[int] = []

    class Watching(CountingEngine):
        def observed(self) -> Any:
            before[:] = sorted(counted)
            return super().observed()

    table_run(tmp_path / "run", Watching(token_budget=12), Counting(), spec=table_spec({"task": "choose"}))
    assert before == [0, 1, 2, 3, 4]
    assert len(list(read_lines(tmp_path / "run" / "samples" / "choose.jsonl.zst"))) == 5
