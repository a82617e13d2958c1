"""The suites in configs/suites and the page docs/bigbench.md, against each other and the installed harness.

Nothing here opens a data set: names, groups and shots are read from the harness's index of its own files.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SUITES = ROOT / "configs" / "suites"
NAMES = sorted(path.stem for path in SUITES.glob("*.yaml"))
PAGE = ROOT / "docs" / "bigbench.md"

# Restricted to the folders that the suites use: a fraction of a second, the whole harness takes several.
FOLDERS = ("bbh/cot_fewshot", "bigbench", "gsm8k", "mmlu/default", "mmlu/generative", "truthfulqa")
LEAVES = {
    "bbh": 27,
    "bigbench": 167,
    "bigbench-lite": 24,
    "core": 57 + 1 + 2 + 24 + 27,
    "full": 57 + 57 + 1 + 1 + 3 + 167 + 27,
    "gsm8k": 1,
    "gsm8k-cot": 1,
    "humaneval": 0,  # lm-eval's: its one task is evalplus's
    "mmlu": 57,
    "mmlu-generative": 57,
    "truthfulqa": 3,
}
TASK_KEYS = {"task", "num_fewshot", "limit", "generation", "repeats"}
GENERATION_KEYS = {"max_gen_toks", "until", "temperature", "top_p", "do_sample"}
BBL24 = {
    "auto_debugging", "bbq_lite_json", "code_line_description", "conceptual_combinations",
    "conlang_translation", "emoji_movie", "formal_fallacies_syllogisms_negation", "hindu_knowledge",
    "known_unknowns", "language_identification", "linguistics_puzzles", "logic_grid_puzzle",
    "logical_deduction", "misconceptions_russian", "novel_concepts", "operators",
    "parsinlu_reading_comprehension", "play_dialog_same_or_different", "repeat_copy_logic",
    "strange_stories", "strategyqa", "symbol_interpretation", "vitaminc_fact_verification", "winowhy",
}  # fmt: skip

Ask = dict[str, Any]  # one entry of a suite's `tasks`
Index = dict[str, Any]  # name -> the harness's entry: kind, cfg, tags


@pytest.fixture(scope="module")
def index() -> Index:
    tasks = pytest.importorskip("lm_eval.tasks", reason="lm_eval is not installed: names cannot be checked")
    root = Path(tasks.__file__).parent
    manager = tasks.TaskManager(include_defaults=False, include_path=[root / name for name in FOLDERS])
    return dict(manager.task_index)


def read(name: str) -> dict[str, Any]:
    suite = yaml.safe_load((SUITES / f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(suite, dict)
    return suite


def resolve(name: str, above: tuple[str, ...] = ()) -> Iterator[Ask]:
    """The entries of a suite, its includes first."""
    assert name not in above, f"{' -> '.join(above)} -> {name} goes in a circle"
    suite = read(name)
    for other in suite.get("include", []):
        yield from resolve(other, (*above, name))
    yield from suite.get("tasks", [])


def stock(name: str) -> list[Ask]:
    """The entries that name a task of lm-eval; one with `like` brings rows of its own, HumanEval is evalplus's."""
    return [ask for ask in resolve(name) if "like" not in ask and ask["task"] != "humaneval"]


def leaves(index: Index, name: str) -> list[str]:
    """The tasks behind the name of a task, a group or a tag."""
    assert name in index, f"the installed harness has no {name!r}"
    entry = index[name]
    match entry.kind.name:
        case "TASK" | "PY_TASK":
            return [name]
        case "TAG":
            return sorted(entry.tags)
        case "GROUP":
            return [leaf for member in entry.cfg["task"] for leaf in of_member(index, member)]
        case kind:
            raise AssertionError(f"{name} is of a kind unknown here: {kind}")


def of_member(index: Index, member: str | dict[str, Any]) -> list[str]:
    """A group's member is a name, or a group written out in place (mmlu_generative has four)."""
    if isinstance(member, str):
        return leaves(index, member)
    assert "group" in member, member
    return [leaf for inner in member["task"] for leaf in of_member(index, inner)]


def base(index: Index, task: str) -> str:
    """BIG-bench's name of a harness task, from the data that it reads and not from how it is spelt."""
    name = index[task].cfg["dataset_name"]
    assert isinstance(name, str)
    return name.removesuffix("_zero_shot")


def table(heading: str) -> list[tuple[str, str | None, str]]:
    """Rows of the page's table under a heading: BIG-bench's name, harness task or None, note."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (?:`(\w+)`|not run) \| (.*?) ?\|$", section, re.MULTILINE)
    assert len(rows) == section.count("\n|") - 2, "a row of the table cannot be read"
    return [(name, task or None, note) for name, task, note in rows]


@pytest.mark.parametrize("name", NAMES)
def test_a_suite_file_has_the_agreed_form(name: str) -> None:
    suite = read(name)
    assert set(suite) <= {"about", "include", "tasks"}
    assert isinstance(suite["about"], str)
    assert suite["about"].strip()
    assert "\n" not in suite["about"].strip()
    assert suite.get("tasks") or suite.get("include")
    assert set(suite.get("include", [])) <= set(NAMES)
    for ask in stock(name):
        assert set(ask) <= TASK_KEYS
        assert set(ask.get("generation", {})) <= GENERATION_KEYS
        assert isinstance(ask.get("num_fewshot", 0), int)


def test_each_suite_is_here() -> None:
    assert set(LEAVES) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_task_is_in_the_installed_harness(name: str, index: Index) -> None:
    for ask in resolve(name):
        wanted = ask.get("like", ask["task"])
        assert wanted in index or wanted == "humaneval"  # which is evalplus's


@pytest.mark.parametrize("name", NAMES)
def test_no_task_stands_twice(name: str, index: Index) -> None:
    tasks = [leaf for ask in stock(name) for leaf in leaves(index, ask["task"])]
    tasks += [ask["task"] for ask in resolve(name) if "like" in ask]
    assert sorted(tasks) == sorted(set(tasks))


@pytest.mark.parametrize("name", sorted(LEAVES))
def test_a_suite_has_as_many_tasks_as_it_says(name: str, index: Index) -> None:
    assert sum(len(leaves(index, ask["task"])) for ask in stock(name)) == LEAVES[name]


@pytest.mark.parametrize("name", sorted(LEAVES))
def test_shots_are_stated_wherever_the_harness_has_no_number(name: str, index: Index) -> None:
    for ask in stock(name):
        own = {(index[leaf].cfg or {}).get("num_fewshot") for leaf in leaves(index, ask["task"])}
        assert ("num_fewshot" in ask) or None not in own, f"{ask['task']} would silently run with 0 shots"


def test_the_shots_are_the_published_ones(index: Index) -> None:
    stated = {ask["task"]: ask.get("num_fewshot") for ask in stock("full")}
    for task in ("mmlu", "mmlu_generative", "gsm8k"):
        assert stated[task] == 5
    truthfulqa = dict.fromkeys(("truthfulqa_mc1", "truthfulqa_mc2", "truthfulqa_gen"), 0)
    for task, own in {"gsm8k_cot": 8, "bbh_cot_fewshot": 3, **truthfulqa}.items():
        assert stated[task] is None
        assert {index[leaf].cfg["num_fewshot"] for leaf in leaves(index, task)} == {own}


def test_bigbench_is_every_json_task_once_as_multiple_choice_where_there_is_a_variant(index: Index) -> None:
    asks = read("bigbench")["tasks"]
    tasks = [ask["task"] for ask in asks]
    assert tasks == sorted(tasks)
    assert {ask["num_fewshot"] for ask in asks} == {0}
    written = {base(index, task): task for task in index["bigbench_generate_until"].tags}
    tags = ("bigbench_multiple_choice_a", "bigbench_multiple_choice_b")
    chosen = {base(index, task): task for tag in tags for task in index[tag].tags}
    assert len(written) == 167
    assert len(chosen) == 119
    assert sorted(tasks) == sorted((written | chosen).values())


def test_bigbench_lite_is_bbl24_in_bigbenchs_variants(index: Index) -> None:
    asks = read("bigbench-lite")["tasks"]
    assert {base(index, ask["task"]) for ask in asks} == BBL24
    assert all(ask in read("bigbench")["tasks"] for ask in asks)
    assert sum(ask["task"].endswith("_multiple_choice") for ask in asks) == 18


def test_the_page_accounts_for_the_papers_204_tasks() -> None:
    rows = table("The 204 tasks of the paper")
    names = [name for name, _, _ in rows]
    assert len(names) == 204
    assert names == sorted(set(names))
    assert sum(task is not None for _, task, _ in rows) == 163
    assert all(note for _, task, note in rows if task is None), "a task that is not run needs its reason"
    lite = {name for name, _, note in rows if re.match(r"Lite\b", note)}
    assert lite == BBL24


def test_the_page_and_the_suite_name_the_same_tasks() -> None:
    paper, outside = table("The 204 tasks of the paper"), table("Outside the 204")
    assert len(outside) == 10
    assert not {name for name, _, _ in paper} & {name for name, _, _ in outside}
    run = [task for _, task, _ in paper + outside if task is not None]
    assert sorted(run) == [ask["task"] for ask in read("bigbench")["tasks"]]


def test_the_page_names_each_task_as_the_harness_does(index: Index) -> None:
    for name, task, _ in table("The 204 tasks of the paper") + table("Outside the 204"):
        if task is not None:
            assert base(index, task) == name
