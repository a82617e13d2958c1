"""The traps that lie between the harness and the real data sets: see the functions of facts.py.

Each comment names the mutant that the test was seen to die with.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.hub import hub_environment, local_hub
from suites.conftest import Facts, run_facts

pytestmark = [pytest.mark.hub, pytest.mark.slow]


# Mutant: no `set_fewshot_seed` in LmEval.build, so that the sampler goes on where the last build left it.
def test_a_task_built_twice_asks_the_same(facts: Facts) -> None:
    assert len(set(facts("traps")["built twice"])) == 1


# Mutant: as above.
def test_a_limit_asks_the_first_requests_of_a_longer_run(facts: Facts) -> None:
    found = facts("traps")
    assert len(found["four"]) == 4
    assert found["twelve"][:4] == found["four"]


# Mutant: templates stripped of their last line break before they are compiled.
def test_compiled_templates_ask_the_same_requests_as_the_harness(facts: Facts) -> None:
    plain, cached = dict(facts("templates", "no")), dict(facts("templates", "yes"))
    assert (plain.pop("cached"), cached.pop("cached")) == (False, True)
    assert len(plain) == 8
    assert cached == plain


# Mutant: join on the exact question: one fails.
def test_each_of_truthfulqas_questions_has_one_of_38_categories(facts: Facts) -> None:
    found = facts("traps")
    assert found["categories"] == [817, 38, 0]
    assert found["biggest category"] == "Misconceptions"
    assert found["categories pinned"] == [True, True]
    assert not [note for note in found["notes"] if "docs here" in note]


# Mutants: benchmark.shots not looked at; no comparison with the rows there are.
@pytest.mark.parametrize("name", ["shots of truthfulqa", "shots of bigbench", "more shots than rows"])
def test_shots_that_cannot_be_honoured_are_refused(name: str, facts: Facts) -> None:
    assert facts("traps")[name]["error"] == "BadInput"
    assert facts("traps")[name]["exit"] == 2


def test_the_shots_of_the_plan_are_the_loaded_tasks(facts: Facts) -> None:
    assert facts("traps")["mmlu without shots"] == 0


# Mutants: OSError let through by the catalog (exit 70); taken for a broken member, so that the others go on.
@pytest.mark.parametrize("name", ["unknown branch", "unknown commit"])
def test_a_revision_that_the_data_do_not_have_is_missing_input(name: str, facts: Facts) -> None:
    assert facts("traps")[name]["error"] == "MissingInput"
    assert facts("traps")[name]["exit"] == 3


# Mutant: no _refuse_unsafe: the refusal comes after utils.py of humaneval ran, which loads code from the Hub.
def test_a_task_that_runs_generated_code_is_refused_before_its_own_code_is_imported(facts: Facts) -> None:
    assert facts("traps")["unsafe code"]["exit"] == 2
    assert facts("traps")["code imported"] == []


# Mutant: functions in pins.described by their repr, which holds an address.
def test_two_plans_of_the_same_are_equal_and_hold_no_place_of_this_machine(
    facts: Facts, hub_env: dict[str, str]
) -> None:
    found = facts("traps")
    assert found["plans equal"]
    text = found["plan"]
    assert hub_env["HF_HOME"] not in text
    assert not re.search(r"0x[0-9a-f]{6,}|<function|config_source|site-packages", text)
    commits = {task["dataset"]["repo"]: task["dataset"]["commit"] for task in json.loads(text)["ask"]["tasks"]}
    assert len(commits) == 5
    assert all(re.fullmatch("[0-9a-f]{40}", commit) for commit in commits.values())


# Mutant: `raise` instead of `return Broken`: the first missing data set ends all.
def test_members_without_data_are_left_out_with_their_reason_and_the_others_go_on(facts: Facts) -> None:
    found = facts("lite")
    assert found["asked"] == 24
    assert found["loaded"] == ["bigbench_strategyqa_multiple_choice", "bigbench_winowhy_multiple_choice"]
    assert found["docs"] == [2, 2]
    assert len(found["left out"]) == 22
    for task, code, reason in found["left out"]:
        assert code == "dataset_missing"
        assert task.removeprefix("bigbench_").rsplit("_", 2)[0] in reason
    assert found["groups"] == [["bigbench_mean", found["loaded"]]]
    assert found["nothing left"]["exit"] == 3


@pytest.mark.campaign
def test_mmlu_has_its_14042_questions(facts: Facts) -> None:
    found = facts("whole_mmlu")
    assert (found["tasks"], found["docs"], found["requests"]) == (57, 14_042, 56_168)
    assert found["groups"]["mmlu"] == 57
    assert [found["groups"][f"mmlu_{name}"] for name in ("stem", "humanities", "social_sciences", "other")] == [
        19, 13, 12, 13,
    ]  # fmt: skip
    assert not [note for note in found["notes"] if "docs here" in note]
    assert found["headline"] == [["mmlu", "acc"]]


# ------------------------------------------------------------- another revision in the cache


def write_rows(root: Path, answer: str) -> None:
    """A data set of our own on a stand-in of our own."""
    folder = root / "datasets" / "benchproof" / "capitals"
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"question": f"Capital {i} of {answer}?", "answer": answer} for i in range(3)]
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (folder / "README.md").write_text("# capitals\n", "utf-8")


@pytest.fixture(scope="module")
def two_revisions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The facts of a task's rows: online at the first revision, then offline pinned to it and to a second."""
    work = tmp_path_factory.mktemp("revisions")
    task = work / "capitals.yaml"
    task.write_text(
        "task: capitals\ndataset_path: benchproof/capitals\noutput_type: generate_until\ntest_split: test\n"
        'doc_to_text: "{{question}}"\ndoc_to_target: "{{answer}}"\n'
        'generation_kwargs: {until: ["."], max_gen_toks: 4}\nmetric_list: [{metric: exact_match}]\n',
        "utf-8",
    )
    found: dict[str, Any] = {}
    write_rows(work / "hub", "Old")
    with local_hub(work / "hub") as address:
        env = hub_environment(address, work / "home")
        found["old online"] = run_facts(env, work / "0.json", "rows", str(task), "main")
    write_rows(work / "hub", "New")
    with local_hub(work / "hub") as address:  # a fresh home: only to learn the second commit
        found["new online"] = run_facts(
            hub_environment(address, work / "other"), work / "1.json", "rows", str(task), "main"
        )
    offline = hub_environment("http://127.0.0.1:9", work / "home", HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
    old, new = found["old online"]["commit"], found["new online"]["commit"]
    found["old offline"] = run_facts(offline, work / "2.json", "rows", str(task), old)
    found["new offline"] = run_facts(offline, work / "3.json", "rows", str(task), new)
    found["main offline"] = run_facts(offline, work / "4.json", "rows", str(task), "main")
    yield found


def test_a_pinned_revision_loads_offline_from_the_cache(two_revisions: dict[str, Any]) -> None:
    assert two_revisions["old offline"] == two_revisions["old online"]
    assert two_revisions["old online"]["first"] == "Capital 0 of Old?"
    assert two_revisions["old online"]["commit"] != two_revisions["new online"]["commit"]


# Mutant: no check_commit: `datasets` serves the old rows under the new commit, without a word.
def test_an_older_revision_from_the_cache_is_not_taken_for_the_pinned_one(two_revisions: dict[str, Any]) -> None:
    refused = two_revisions["new offline"]
    assert refused["error"] == "VerificationFailed"
    assert refused["exit"] == 1
    assert "another revision" in refused["what"]


# Mutant: `main` passed on to `datasets`, which serves whatever is newest in the cache.
def test_a_branch_offline_is_the_commit_that_the_cache_knows_or_an_error(two_revisions: dict[str, Any]) -> None:
    found = two_revisions["main offline"]
    assert found.get("exit") == 3 or found == two_revisions["old online"]
