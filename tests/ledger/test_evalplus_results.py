"""evalplus's files: only what its statuses come to is claimed, and what contradicts them is refused."""

from pathlib import Path
from typing import Any

import pytest

from benchproof.cli.foreign import spec_of_published
from benchproof.errors import BadInput, VerificationFailed
from benchproof.ledger.evalplus_results import RELEASE
from benchproof.ledger.foreign import read_published
from benchproof.schema.spec import SuiteAsk
from ledger.files import NAME, evalplus, written


def changed(key: str, value: Any) -> dict[str, Any]:
    """Every sample with one key changed; None takes it away."""
    found = evalplus()
    for samples in found["eval"].values():
        for sample in samples:
            sample[key] = value
            if value is None:
                del sample[key]
    return found


def test_where_the_plus_tests_were_not_run_plus_is_no_score_of_zero(tmp_path: Path) -> None:
    found = read_published(written(tmp_path, changed("plus_status", None), NAME))
    assert {key[2] for key in found.claims} == {"base"}
    assert set(found.rows["humaneval"][0].values) == {("pass@1", "base")}
    assert "the plus tests were not run: only base is claimed" in found.notes


def test_fewer_problems_are_asked_as_few(tmp_path: Path) -> None:
    spec, _ = spec_of_published(read_published(written(tmp_path, evalplus(), NAME)), None)
    assert isinstance(spec.suite, SuiteAsk)
    assert spec.suite.tasks[0].limit == 4
    assert spec.engine.dtype == "bfloat16"
    value = evalplus()
    del value["eval"]["HumanEval/1"]
    with pytest.raises(BadInput, match="not the first ones"):
        read_published(written(tmp_path, value, NAME))


def test_scores_of_the_files_own_have_to_be_those_of_its_statuses(tmp_path: Path) -> None:
    value = evalplus(pass_at_k={"base": {"pass@1": 0.5}, "plus": {"pass@1": 0.25}})
    assert read_published(written(tmp_path, value, NAME)).claims["humaneval", "pass@1", "plus"].value == 0.25
    value["pass_at_k"]["plus"]["pass@1"] = 0.5
    with pytest.raises(VerificationFailed, match=r"pass@1 of plus is 0.5 in the file, and 0.25"):
        read_published(written(tmp_path, value, NAME))


def test_pass_at_ten_is_claimed_by_evalpluss_estimate(tmp_path: Path) -> None:
    value = evalplus()
    passing, failing = value["eval"]["HumanEval/0"], value["eval"]["HumanEval/1"]
    value["eval"] = {"HumanEval/0": passing * 5 + failing * 15}
    claims = read_published(written(tmp_path, value, "owner--base_hf_temp_0.8_eval_results.json")).claims
    # 1 - C(15, 10) / C(20, 10)
    assert claims["humaneval", "pass@10", "base"].value == pytest.approx(1 - 3003 / 184756)
    assert claims["humaneval", "pass@1", "base"].value == 0.25


@pytest.mark.parametrize("twice", ["HumanEval/01", "HumanEval/1 ", "humaneval/1"])
def test_one_problem_has_one_name(tmp_path: Path, twice: str) -> None:
    value = evalplus()
    value["eval"][twice] = value["eval"]["HumanEval/1"]
    with pytest.raises(BadInput, match="no problem of HumanEval"):
        read_published(written(tmp_path, value, NAME))


def test_a_sample_of_another_problem_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VerificationFailed, match="holds a sample of 'HumanEval/9'"):
        read_published(written(tmp_path, changed("task_id", "HumanEval/9"), NAME))


def test_another_data_set_and_a_problem_that_never_passes_are_said(tmp_path: Path) -> None:
    value = evalplus()
    sample = value["eval"]["HumanEval/0"]
    value["eval"] = {f"HumanEval/{number}": sample for number in range(164)}
    notes = "\n".join(read_published(written(tmp_path, value, NAME)).notes)
    assert "data: the file's hash is" in notes
    assert "HumanEval/32 passes in it" in notes
    found = read_published(written(tmp_path, value | {"hash": RELEASE}, NAME))
    assert "data:" not in "\n".join(found.notes)
    assert found.tasks[0].limit is None
