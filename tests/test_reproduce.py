"""A record is run again from itself, and the word that is said of it is the one that was earned."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchproof.errors import BadInput
from benchproof.floor import Floor, engine_of
from benchproof.schema.request import Request
from benchproof.schema.verdict import Verdict
from benchproof.verdict import VERDICT, kinds_of
from fakes.checks import DriftingEngine, rewrite_record, rewrite_rows, run_again, side
from fakes.counting import CountingEngine
from fakes.harness import TableHarness
from fakes.world import table_run, table_spec

DOCS = 400


def harness(docs: int = DOCS) -> TableHarness:
    return TableHarness(docs=docs)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table_run(tmp_path_factory.mktemp("reproduce") / "made", CountingEngine(), harness())[1]


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "made")
    return tmp_path / "made"


def drifting(size: float) -> DriftingEngine:
    """Every second choice drifts: picks change where the two lie closer than that."""
    return DriftingEngine(drift=lambda request: size * request.choice)


def floor_of(folder: Path, flips: int, n: int) -> Floor:
    record = side(folder).record
    keys = [(r.task, r.metric, r.filter) for r in record.results]
    return Floor(engine_of(record), kinds_of(record)[-1], dict.fromkeys(keys, (flips, n)), dict.fromkeys(keys, 0.0))


def test_the_same_plan_gives_the_same_bits(made: Path, tmp_path: Path) -> None:
    verdict = run_again(made, tmp_path / "again", CountingEngine(), harness())
    assert verdict.outcome == "bitwise"
    assert verdict.exit_code == 0
    assert (tmp_path / "again" / VERDICT).read_bytes() == verdict.to_bytes()
    assert Verdict.model_validate_json(verdict.to_bytes()).with_id().verdict_id == verdict.verdict_id


def test_it_says_who_was_checked_on_what_and_by_which_margin(made: Path, tmp_path: Path) -> None:
    verdict = run_again(made, tmp_path / "again", CountingEngine(), harness(), points=0.5)
    record = side(made).record
    assert (verdict.about.record_id, verdict.about.plan_id) == (record.record_id, record.plan_id)
    assert (verdict.margin_points, verdict.margin_declared_by) == ("0.5", "record")
    assert [probe.name for probe in verdict.environment] == ["machine", "driver"]


def test_other_batches_are_the_same_answers_and_never_the_same_bits(made: Path, tmp_path: Path) -> None:
    assert run_again(made, tmp_path / "again", CountingEngine(token_budget=48), harness()).outcome == "same answers"


def test_last_bits_that_change_no_pick_are_the_same_answers(made: Path, tmp_path: Path) -> None:
    verdict = run_again(made, tmp_path / "again", drifting(1e-12), harness())
    assert verdict.outcome == "same answers"
    assert verdict.evidence["layers"]["choose"]["first"] == "answers"


def test_a_score_that_moved_beyond_the_margin_is_not_reproduced(made: Path, tmp_path: Path) -> None:
    verdict = run_again(made, tmp_path / "again", drifting(0.2), harness())
    assert verdict.outcome == "not reproduced"
    assert verdict.exit_code == 1
    (score,) = [score for score in verdict.scores if score.benchmark == "choose"]
    assert (score.outcome, score.paired) == ("not reproduced", True)
    assert "beyond the margin" in score.reason
    assert verdict.evidence["layers"]["choose"]["likelihoods"]["picks_changed"] > 10


def test_a_few_flips_of_few_docs_decide_nothing(tmp_path: Path) -> None:
    _, few = table_run(tmp_path / "few", CountingEngine(), harness(40))
    verdict = run_again(few, tmp_path / "again", drifting(0.02), harness(40))
    assert verdict.outcome == "inconclusive"
    assert verdict.exit_code == 7


def test_flips_that_cancel_are_consistent_until_noise_was_measured(made: Path, tmp_path: Path) -> None:
    def swapped(request: Request) -> float:
        """Two docs exchange right and wrong."""
        return {3: -9.0, 5: -9.0}.get(request.doc_id, 0.0) * (request.choice == (request.doc_id == 5))

    wide = 9.0
    engine = DriftingEngine(drift=swapped)
    plain = run_again(made, tmp_path / "a", engine, harness(), points=wide)
    assert plain.outcome in ("statistically consistent", "same answers")
    many = DriftingEngine(drift=lambda r: -9.0 if r.doc_id < 60 and r.choice == r.doc_id % 2 else 0.0)
    without = run_again(made, tmp_path / "b", many, harness(), points=wide)
    assert without.outcome == "statistically consistent"
    quiet = floor_of(made, 0, 4000)
    with_floor = run_again(made, tmp_path / "c", many, harness(), points=wide, floors=[quiet])
    assert with_floor.outcome == "not reproduced"
    assert "honest re-runs" in with_floor.reasons[0]


def test_noise_of_another_engine_or_machine_does_not_count(made: Path, tmp_path: Path) -> None:
    many = DriftingEngine(drift=lambda r: -9.0 if r.doc_id < 60 and r.choice == r.doc_id % 2 else 0.0)
    quiet = floor_of(made, 0, 4000)
    for number, other in enumerate(
        [
            Floor({**quiet.engine, "dtype": "bfloat16"}, quiet.hardware, quiet.benign, quiet.shifts),
            Floor(quiet.engine, {**quiet.hardware, "machine": "another"}, quiet.benign, quiet.shifts),
        ]
    ):
        verdict = run_again(made, tmp_path / f"{number}", many, harness(), points=9.0, floors=[other])
        assert verdict.outcome == "statistically consistent"


def test_another_measurement_is_named_and_not_run(copied: Path, tmp_path: Path) -> None:
    engine = CountingEngine()
    fewer = TableHarness(docs=DOCS - 1)
    verdict = run_again(copied, tmp_path / "again", engine, fewer)
    assert verdict.outcome == "not comparable"
    assert "n_docs" in "\n".join(verdict.reasons)
    assert engine.asked == []
    assert not (tmp_path / "again").exists()


def test_a_record_of_other_requests_than_its_plan_makes_is_not_comparable(copied: Path, tmp_path: Path) -> None:
    rewrite_record(copied, lambda value: value["observed"].update(requests_digest="0" * 64, answers_digest="1" * 64))
    verdict = run_again(copied, tmp_path / "again", CountingEngine(), harness())
    assert verdict.outcome == "not comparable"
    assert "requests are not those that its plan makes" in verdict.reasons[0]


def test_the_same_answers_under_another_score_are_not_a_reproduction(copied: Path, tmp_path: Path) -> None:
    """By less than the margin too: equal answers leave nothing to chance."""
    rewrite_record(copied, lambda value: value["results"][0].update(value="0.9999"))
    verdict = run_again(copied, tmp_path / "again", CountingEngine(), harness())
    assert verdict.outcome == "not reproduced"
    assert "do not give the record's scores" in verdict.reasons[0]


def test_a_record_that_came_alone_can_be_bitwise_and_else_is_judged_unpaired(copied: Path, tmp_path: Path) -> None:
    shutil.rmtree(copied / "samples")
    shutil.rmtree(copied / "requests")
    assert run_again(copied, tmp_path / "a", CountingEngine(), harness()).outcome == "bitwise"
    verdict = run_again(copied, tmp_path / "b", drifting(0.02), harness())
    assert verdict.outcome == "inconclusive"
    assert not any(score.paired for score in verdict.scores)


def test_rows_that_do_not_give_the_stated_score_do_not_speak_for_it(copied: Path, tmp_path: Path) -> None:
    """The rows are the honest ones; the stated score is 30 points higher, and the digest of answers is another."""

    def boast(value: dict[str, Any]) -> None:
        result = next(r for r in value["results"] if r["task"] == "choose")
        result["value"] = repr(float(result["value"]) + 0.3)
        value["observed"]["answers_digest"] = "1" * 64

    rewrite_record(copied, boast)
    verdict = run_again(copied, tmp_path / "again", CountingEngine(), harness())
    assert verdict.outcome == "not reproduced"


def test_edited_rows_are_not_the_same_answers(copied: Path, tmp_path: Path) -> None:
    def edit(rows: list[Any]) -> list[Any]:
        rows[0]["filtered"]["none"] = [1.0 - rows[0]["filtered"]["none"][0]] if rows[0]["filtered"]["none"] else [9]
        return rows

    rewrite_rows(copied, "samples", "choose", edit)
    rewrite_record(copied, lambda value: value["observed"].update(answers_digest="1" * 64))
    assert run_again(copied, tmp_path / "again", CountingEngine(), harness()).outcome not in ("bitwise", "same answers")


def test_mixed_or_other_hardware_claims_no_bits(copied: Path, tmp_path: Path) -> None:
    def moved(value: dict[str, Any]) -> None:
        probe = next(p for p in value["observed"]["attempts"][0]["environment"] if p["name"] == "machine")
        probe["value"] = "another"

    rewrite_record(copied, moved)
    verdict = run_again(copied, tmp_path / "again", CountingEngine(), harness())
    assert verdict.outcome == "same answers"
    assert "no bits are claimed" in verdict.reasons[0]


def test_a_margin_counts_only_if_it_was_declared_before_the_run(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    run_again(made, out, CountingEngine(), harness(), points=1.0)
    (out / VERDICT).unlink()
    with pytest.raises(BadInput, match="declared before") as caught:
        run_again(made, out, CountingEngine(), harness(), points=0.5)
    assert caught.value.exit_code == 2


def test_where_only_the_verdict_is_missing_nothing_is_run_again(made: Path, tmp_path: Path) -> None:
    out, engine = tmp_path / "again", CountingEngine()
    first = run_again(made, out, engine, harness())
    with pytest.raises(BadInput, match="verdict exists"):
        run_again(made, out, engine, harness())
    (out / VERDICT).unlink()
    second = CountingEngine()
    assert run_again(made, out, second, harness()).outcome == first.outcome
    assert second.asked == []


def test_a_folder_of_another_run_is_refused(made: Path, tmp_path: Path) -> None:
    table_run(tmp_path / "other", CountingEngine(token_budget=48), harness())
    with pytest.raises(BadInput, match="another plan"):
        run_again(made, tmp_path / "other", CountingEngine(), harness())


def test_a_verdict_reads_back_as_json(made: Path, tmp_path: Path) -> None:
    value = json.loads(run_again(made, tmp_path / "again", CountingEngine(), harness()).to_bytes())
    assert value["schema"] == "benchproof/verdict/v1"
    assert set(value["evidence"]["layers"]) == {"choose", "write"}


def test_a_record_with_no_suite_written_out_is_asked_by_its_spec(tmp_path: Path) -> None:
    """As records of minor version 0 are."""
    _, folder = table_run(tmp_path / "old", CountingEngine(), harness(5), spec=table_spec({"task": "choose"}))

    def older(value: dict[str, Any]) -> None:
        del value["asked"]["tasks"]
        value["schema_minor"] = 0

    rewrite_record(folder, older)
    assert run_again(folder, tmp_path / "again", CountingEngine(), harness(5)).outcome == "bitwise"
