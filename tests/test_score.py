"""Scores: from answers and nothing else; one broken task does not end the others."""

import math
from pathlib import Path
from typing import Any

import pytest

from benchproof import score
from benchproof.build import Built
from benchproof.errors import BadInput, MissingInput
from benchproof.report.progress import Silent
from benchproof.schema.plan import Headline, Plan
from benchproof.schema.response import Response
from benchproof.schema.score import Sample
from benchproof.store.files import read_lines
from fakes.harness import TableHarness
from fakes.plans import a_likelihood, a_mark_pin, a_plan, a_task_pin, a_text, answers_of, some_docs
from fakes.world import table_run

NAMES = ("choose", "other")


def built() -> Built:
    docs = {name: some_docs(name, 3) for name in NAMES}
    return Built(docs, [r for found in docs.values() for doc in found for r in doc.requests], [], [])


def plan(*headlines: Headline) -> Plan:
    found = a_plan(*(a_task_pin(name, n_docs=3) for name in NAMES))
    return found.model_copy(update={"mark": found.mark.model_copy(update={"headlines": list(headlines)})})


def answers(right: int = 2) -> dict[str, Response]:
    """The first `right` docs of each task are answered rightly."""
    return answers_of(
        *(
            a_likelihood(request, -1.0 if (request.choice == 0) == (request.doc_id < right) else -2.0)
            for request in built().requests
        )
    )


def scored(found: dict[str, Response], harness: TableHarness | None = None, asked: Plan | None = None) -> score.Scores:
    return score.score(asked or plan(), built(), found, harness=harness or TableHarness(), progress=Silent())


def test_scores_follow_from_the_answers() -> None:
    assert [result.value for result in scored(answers(2)).results] == ["0.6666666666666666"] * 2
    assert [result.value for result in scored(answers(3)).results] == ["1.0"] * 2
    assert [len(rows) for rows in scored(answers()).samples.values()] == [3, 3]


def test_a_missing_answer_is_an_error_and_never_a_zero() -> None:
    found = answers()
    gone = built().requests[3]
    del found[gone.hash]
    with pytest.raises(MissingInput, match="1 of 12 answers") as caught:
        scored(found)
    assert caught.value.exit_code == 3
    assert "task choose, doc 1" in caught.value.where


def test_a_task_whose_marking_fails_is_left_out_with_its_reason() -> None:
    def marking(task: str) -> None:
        if task == "choose":
            raise ZeroDivisionError("no docs\nand more")

    found = scored(answers(), TableHarness(marking=marking))
    assert list(found.samples) == ["other"]
    assert [result.task for result in found.results] == ["other"]
    (left,) = found.left_out
    assert (left["task"], left["code"]) == ("choose", "task_broken")
    assert "ZeroDivisionError: no docs" in left["detail"]
    assert "\n" not in left["detail"]


def test_an_error_without_words_is_a_reason_too() -> None:
    def marking(task: str) -> None:
        raise AssertionError

    assert len(scored(answers(), TableHarness(marking=marking)).left_out) == 2


def test_an_error_of_ours_is_not_swallowed() -> None:
    def marking(task: str) -> None:
        raise BadInput("stop")

    with pytest.raises(BadInput):
        scored(answers(), TableHarness(marking=marking))


def test_the_headline_is_the_pinned_score_alone() -> None:
    head = Headline(benchmark="choose", target="choose", metric="acc", filter="none", reason="")
    found = scored(answers(), asked=plan(head)).results
    assert [(result.task, result.headline) for result in found] == [("choose", True), ("other", False)]
    wrong = Headline(benchmark="choose", target="choose", metric="acc", filter="strict", reason="")
    assert not any(result.headline for result in scored(answers(), asked=plan(wrong)).results)


def test_choices_that_are_exactly_equal_are_counted() -> None:
    found = answers()
    first, second = built().docs["choose"][0].requests
    found[second.hash] = a_likelihood(second, -1.0)
    assert isinstance(found[first.hash], type(found[second.hash]))
    assert scored(found).ties == {"choose": 1, "other": 0}
    found[second.hash] = a_likelihood(second, math.nextafter(-1.0, -2))
    assert scored(found).ties == {"choose": 0, "other": 0}


def test_texts_that_end_at_the_limit_are_counted() -> None:
    from dataclasses import replace

    texts = [a_text(request) for request in built().requests[:3]]
    found = answers_of(replace(texts[0], stop="length"), replace(texts[1], stop="until"), texts[2])
    assert score.cut_short(found, list(found)) == 1


def test_a_row_holds_all_that_its_score_follows_from(tmp_path: Path) -> None:
    found = scored(answers())
    files = score.write_samples(found, answers(), tmp_path)
    assert [(file.path, file.rows) for file in files] == [
        ("samples/choose.jsonl.zst", 3),
        ("samples/other.jsonl.zst", 3),
    ]
    rows = list(read_lines(tmp_path / "samples" / "choose.jsonl.zst"))
    for row, doc in zip(rows, built().docs["choose"], strict=True):
        assert row["doc_sha256"] == doc.sha256
        assert row["requests"] == [request.hash for request in doc.requests]
        assert [float(ll) for ll, _ in row["responses"]] == [
            a.loglikelihood for r in doc.requests if hasattr(a := answers()[r.hash], "loglikelihood")
        ]
    values = [float(row["metrics"]["none"]["acc"]) for row in rows]
    assert sum(values) / len(values) == float(found.results[0].value), "a reader recomputes the mean"


def test_rows_of_a_scoring_that_was_cut_off_are_written_again(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "choose.jsonl.zst").write_bytes(b"half")
    score.write_samples(scored(answers()), answers(), tmp_path)
    assert len(list(read_lines(tmp_path / "samples" / "choose.jsonl.zst"))) == 3


def test_numbers_stand_as_text_wherever_they_are_real() -> None:
    sample = Sample("t", 0, "00", None, 1, (), {"f": [1]}, {"f": {"a": 0.1, "b": 1, "c": [0.5, [2, 1e-7]]}})
    (row,) = score._rows([sample], {})
    assert row["metrics"] == {"f": {"a": "0.1", "b": 1, "c": ["0.5", [2, "1e-07"]]}}
    with pytest.raises(ValueError, match="only finite"):
        list(score._rows([Sample("t", 0, "00", None, 1, (), {}, {"f": {"a": math.nan}})], {}))


def test_a_left_out_task_keeps_a_run_from_being_complete(tmp_path: Path) -> None:
    def marking(task: str) -> None:
        if task == "write":
            raise KeyError("x")

    record, _ = table_run(tmp_path / "run", harness=TableHarness(marking=marking))
    assert record.status == "limited"
    assert [left["task"] for left in record.left_out] == ["write"]
    assert [warned.where for warned in record.warnings if warned.code == "left_out"] == ["write"]
    assert {result.task for result in record.results} == {"choose"}


def test_marks_need_no_order(tmp_path: Path) -> None:
    found: dict[str, Any] = dict(reversed(answers().items()))
    assert scored(found).results == scored(answers()).results
    assert a_mark_pin().metrics == ["acc"]
