"""Scores equal evalplus's: canonical solutions, mutants of them, and result files that others published."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

import pytest

from benchproof.sandbox.supervisor import Sandbox
from benchproof.suites.humaneval_data import MD5, PROBLEMS, Problems, official_problems
from benchproof.suites.humaneval_marking import AS_IS, CORRECTED, Marked, Marker, Program
from benchproof.suites.humaneval_samples import pass_at_k
from suites import native
from suites.mutants import mutants
from suites.published import need_data, published

Part = Literal["base", "plus"]
PARTS: tuple[Part, ...] = get_args(Part)
CI_MUTANTS, CAMPAIGN_EACH = 60, 6
LEFT_OUT_OF_CI = ("HumanEval/130", "HumanEval/139", "HumanEval/15", "HumanEval/59")  # the slowest, by HARNESS.md
# Published statuses that are not reproduced: (file's model, task, part) -> why. evalplus itself, run here, agrees
# with us on each: its wall-clock limit was met on the publisher's machine.
KNOWN = {("mistral2_instruct_dpo", "HumanEval/139", "plus")}


@pytest.fixture(scope="module")
def problems() -> Problems:
    return official_problems(need_data())


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCHPROOF_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def marked(problems: Problems, sandbox: Sandbox, programs: list[tuple[str, str]]) -> list[Marked]:
    made = [Program(task_id, number, source) for number, (task_id, source) in enumerate(programs)]
    return list(Marker(problems, sandbox).mark(made))


def test_the_data_file_is_the_one_that_published_results_name(problems: Problems) -> None:
    assert problems.md5 == MD5
    assert len(problems.by_id) == PROBLEMS
    assert sum(problem.base.count for problem in problems.by_id.values()) == 1_570
    assert sum(problem.plus.count for problem in problems.by_id.values()) == 122_683


# Mutant: HumanEval/32 marked by one rule only, or the two rules exchanged.
@pytest.mark.slow
def test_canonical_solutions_lose_one_problem_as_is_and_none_corrected(problems: Problems, sandbox: Sandbox) -> None:
    found = marked(problems, sandbox, [(name, p.canonical) for name, p in problems.by_id.items()])
    for part in PARTS:
        lost = [m.program.task_id for m in found if not m.passed(part, AS_IS)]
        assert lost == ["HumanEval/32"]
        assert all(m.passed(part, CORRECTED) for m in found)
    scores = pass_at_k(found)
    assert scores["plus"] == {AS_IS: {"pass@1": 163 / 164}, CORRECTED: {"pass@1": 1.0}}


@pytest.mark.slow
def test_a_sample_of_mutants_has_evalpluss_statuses(problems: Problems, sandbox: Sandbox) -> None:
    chance = random.Random(32)
    names = chance.sample([name for name in problems.by_id if name not in LEFT_OUT_OF_CI], CI_MUTANTS // 3)
    compare(problems, sandbox, names, each=3)


@pytest.mark.campaign
def test_every_mutant_has_evalpluss_statuses(problems: Problems, sandbox: Sandbox) -> None:
    assert compare(problems, sandbox, list(problems.by_id), each=CAMPAIGN_EACH) >= 800


def compare(problems: Problems, sandbox: Sandbox, names: list[str], *, each: int) -> int:
    programs = [
        (name, source)
        for name in names
        for _, source in mutants(problems.by_id[name].canonical, problems.by_id[name].entry_point, each, name)
    ]
    theirs = native.statuses(need_data(), programs)
    ours = [(m.status("base", AS_IS), m.status("plus", AS_IS)) for m in marked(problems, sandbox, programs)]
    different = [(*p, t, o) for p, t, o in zip(programs, theirs, ours, strict=True) if t != o]
    assert not different
    assert {"pass", "fail"} <= {status for pair in theirs for status in pair}
    return len(programs)


@pytest.mark.campaign
@pytest.mark.parametrize("path", published() or [None], ids=lambda path: path.name[:90] if path else "none")
def test_published_results_come_out_again(problems: Problems, sandbox: Sandbox, path: Path | None) -> None:
    if path is None:
        pytest.skip("no published result files: set BENCHPROOF_SHARED")
    document = json.loads(path.read_text("utf-8"))
    assert document["hash"] == problems.md5
    rows = [row for rows in document["eval"].values() for row in rows]
    found = marked(problems, sandbox, [(row["task_id"], row["solution"]) for row in rows])
    different = {
        (row["task_id"], part, row["solution"])
        for row, m in zip(rows, found, strict=True)
        for part in PARTS
        if row[f"{part}_status"] != m.status(part, AS_IS)
    }
    unknown = {(t, p) for t, p, _ in different if not any(k in path.name and (t, p) == (a, b) for k, a, b in KNOWN)}
    assert not unknown
    again = native.statuses(need_data(), [(task_id, source) for task_id, _, source in different])
    ours = {(m.program.task_id, m.program.source): m for m in found}
    for (task_id, part, source), pair in zip(different, again, strict=True):
        assert pair[part == "plus"] == ours[task_id, source].status(part, AS_IS), (task_id, part)
