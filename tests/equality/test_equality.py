"""A score here is the score that the harness gives: the same measurement by `simple_evaluate` and by benchproof.

The mutants of the main path that are named in the comments were tried, and the tests were seen to die with them.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from equality.compare import Tally
from equality.conftest import Ask, Case, run_cases
from fakes.hub import hub_environment

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "suites"
Found = dict[str, dict[str, Tally]]


def ask(task: str, limit: int, shots: int | None = None, tokens: int | None = None, **more: Any) -> Ask:
    found: Ask = {"task": task, "limit": limit, **more}
    found |= {} if shots is None else {"num_fewshot": shots}
    return found | ({} if tokens is None else {"generation": {"max_gen_toks": tokens}})


def minis(limit: int) -> list[Ask]:
    """The smoke suite as it stands, in part; programs are not lm-eval's, and are compared with evalplus."""
    tasks = yaml.safe_load((CONFIGS / "smoke.yaml").read_text("utf-8"))["tasks"]
    return [{**task, "limit": limit} for task in tasks if task["like"] != "humaneval"]


FEW = [  # every kind of request once, for each family of models
    ask("mmlu_anatomy", 3, 5),
    ask("truthfulqa_mc1", 2),
    ask("gsm8k", 2, tokens=12),
]
LETTERS = {"max_gen_toks": 24, "until": ["e", " th", "\n"]}  # stop strings that random text does hit

CHOOSE = ("mini_mmlu_map_reading", "mini_gsm8k", "mini_truthfulqa_mc2")
OFFLINE = {  # rows that ship with us: these run wherever the tests do
    "smoke": Case("smoke", minis(5)),
    "bos minis": Case("bos", [task for task in minis(2) if task["task"] in CHOOSE]),
    "chat minis": Case(
        "chat",
        [{**task, "fewshot_as_turns": "mmlu" in task["task"]} for task in minis(2) if task["task"] in CHOOSE],
        model={"chat_template": "model", "system_prompt": "Answer in one word. "},
    ),
}
CASES = {
    "llama": Case(
        "llama",
        [
            ask("mmlu_abstract_algebra", 6, 5),
            ask("mmlu_anatomy", 6, 5),
            ask("mmlu_global_facts", 6, 5),
            ask("gsm8k", 4, tokens=24),
            ask("gsm8k_cot", 2, generation=LETTERS),
            ask("truthfulqa_mc1", 8),
            ask("truthfulqa_mc2", 8),
            ask("truthfulqa_gen", 2, tokens=24),
            ask("bigbench_snarks_multiple_choice", 8, 0),
            ask("bigbench_strategyqa_multiple_choice", 8, 0),
            ask("bigbench_date_understanding_multiple_choice", 8, 0),
            ask("bigbench_dyck_languages_generate_until", 4, 0, tokens=24),
            ask("bigbench_winowhy_generate_until", 4, 0, generation=LETTERS),
        ],
    ),
    "gpt2": Case("gpt2", FEW),
    "bos": Case("bos", FEW),
    "short": Case("short", FEW),
    "chat": Case(
        "chat",
        [
            ask("mmlu_anatomy", 3, 5),
            ask("mmlu_global_facts", 3, 5, fewshot_as_turns=False),
            ask("gsm8k", 2, tokens=12),
            ask("gsm8k_cot", 2, tokens=12, fewshot_as_turns=False),
            ask("truthfulqa_mc2", 3),
            ask("bigbench_snarks_multiple_choice", 3, 0),
        ],
        model={"chat_template": "model", "system_prompt": "Answer in one word. "},
    ),
    # Without a template a system prompt is text before the prompt. Small batches: each op has a single row.
    "system": Case(
        "llama", FEW, model={"system_prompt": "Be brief."}, engine={"token_budget": 1024, "generation_batch": 1}
    ),
}
CAMPAIGN = {
    "gpt2": Case("gpt2", CASES["llama"].tasks),
    "bos": Case("bos", CASES["llama"].tasks),
    "short": Case("short", CASES["llama"].tasks),
    "smoke": Case("smoke", minis(1000)),
    "chat turned": Case(
        "chat",
        [{**task, "fewshot_as_turns": not task.get("fewshot_as_turns", True)} for task in CASES["chat"].tasks],
        model={"chat_template": "model"},
    ),
    "groups": Case("llama", [ask("mmlu", 2, 5), ask("gsm8k", 4), ask("truthfulqa_gen", 3)]),
    "bbh": Case("llama", [ask("bbh_cot_fewshot_snarks", 2), ask("bbh_cot_fewshot_word_sorting", 1)]),
    "smoke real": Case("smoke", [ask("mmlu_anatomy", 40, 5), ask("gsm8k", 8), ask("truthfulqa_mc2", 40)]),
}


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Found:
    work = tmp_path_factory.mktemp("offline")
    env = hub_environment("http://127.0.0.1:9", work / "home", HF_HUB_OFFLINE="1")
    return run_cases(OFFLINE, work, models, env)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, models: Path, hub_env: dict[str, str]) -> Found:
    return run_cases(CASES, tmp_path_factory.mktemp("equality"), models, hub_env)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory, models: Path, hub_env: dict[str, str]) -> Found:
    return run_cases(CAMPAIGN, tmp_path_factory.mktemp("campaign"), models, hub_env)


def check(name: str, cases: dict[str, Case], found: Found, tallies: dict[str, list[Tally]]) -> None:
    """Nothing differs, and something was compared: a test of equality that compares nothing passes too."""
    rows = list(found[name].values())
    tallies[name] = rows
    differences = [line for row in rows for line in row.differences]
    assert not differences, "\n".join(differences[:40])
    for task in cases[name].tasks:
        if task["task"] in found[name]:  # a group stands as `group <name>` and as its members
            assert found[name][task["task"]].docs <= task["limit"]
            assert found[name][task["task"]].docs > 0
            assert found[name][task["task"]].requests > 0
        else:
            assert found[name][f"group {task['task']}"].aggregates > 0
    assert all(row.metrics or row.task.startswith("group ") for row in rows)
    assert sum(row.truncated for row in rows) > 0 or cases[name].kind != "short"


# Mutants: in engines/hf.py the span of a continuation one position early, a greedy flag from any token, no attention
# mask over padding; in engines/tokens.py truncation on the right or of one token more, BOS given twice; in
# engines/generation.py no cut at stop strings; in suites/lmeval.py no set_fewshot_seed, the system prompt left out,
# shots always as turns, filters not applied, choices in reverse; in suites/pins.py another default of max_gen_toks; in
# suites/aggregate.py a standard error of one sample more. Equivalent, so alive: the text of EOS not among the stop
# strings (EOS ends the row before), special tokens kept in the text (the text of EOS is cut).
@pytest.mark.slow
@pytest.mark.parametrize("name", OFFLINE)
def test_every_number_of_our_own_rows_is_the_harnesss(
    name: str, offline: Found, tallies: dict[str, list[Tally]]
) -> None:
    check(name, OFFLINE, offline, tallies)


@pytest.mark.hub
@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_number_is_the_harnesss(name: str, found: Found, tallies: dict[str, list[Tally]]) -> None:
    check(name, CASES, found, tallies)


@pytest.mark.hub
@pytest.mark.campaign
@pytest.mark.parametrize("name", CAMPAIGN)
def test_every_number_is_the_harnesss_at_length(name: str, campaign: Found, tallies: dict[str, list[Tally]]) -> None:
    check(name, CAMPAIGN, campaign, tallies)
