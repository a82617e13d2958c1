"""The adapter to evalplus: its texts, its programs, its estimates; and what happens without a sandbox."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchproof.errors import BadInput, SandboxUnavailable
from benchproof.ports import Asking, TaskPins
from benchproof.report.progress import Silent
from benchproof.sandbox.choose import open_sandbox
from benchproof.schema.request import Doc
from benchproof.schema.response import Generated, Response
from benchproof.schema.spec import GenerationAsk, TaskAsk
from benchproof.sources.hub import HubSource
from benchproof.suites.evalplus import EvalPlus, chat_texts, solution_of
from benchproof.suites.humaneval_sanitize import Sanitizer

MINI = TaskAsk(task="mini_code", like="humaneval", data="smoke:code")


def loaded(ask: TaskAsk = MINI, *, chat: bool = False, tier: Any = "auto") -> tuple[EvalPlus, TaskPins]:
    harness = EvalPlus(lambda: open_sandbox(tier, workers=1), tier)
    pins = harness.load(
        [ask],
        Asking(fewshot_seed=1, generation_seed=7, chat=chat),
        HubSource(),
        Silent(),
    )
    return harness, pins


def answered(docs: list[Doc], text: Any) -> dict[str, Response]:
    """Every request answered by `text(doc, repeat)`."""
    return {
        request.hash: Generated(request.hash, (), out := text(doc, request.repeat), out, "eos")
        for doc in docs
        for request in doc.requests
    }


@pytest.fixture(scope="module")
def solutions() -> dict[str, str]:
    path = HubSource().rows_folder("smoke:code") / "test.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return {row["task_id"]: row["canonical_solution"] for row in rows}


# Mutant: the metaphor of the texts changed by one word. Compared with what evalplus's own run would use.
def test_the_chat_texts_are_evalplus_own() -> None:
    import evalplus.codegen as native

    source = Path(native.__file__).read_text("utf-8")
    for text in chat_texts():
        assert f'"{text}"' in source
    assert chat_texts()[0].startswith("Please provide a self-contained")


def test_a_base_model_sees_the_prompt_and_evalplus_stops() -> None:
    harness, _ = loaded()
    first = harness.build("mini_code", None)[0].requests[0]
    assert first.context.endswith('"""\n') and first.generation is not None
    assert {"\ndef ", "\nprint(", "</s>"} <= set(first.generation.until)
    assert (first.generation.max_gen_toks, first.generation.temperature, first.seed) == (768, 0.0, None)


def test_a_chat_model_sees_evalplus_message_and_begins_inside_its_answer() -> None:
    harness, _ = loaded(chat=True)

    def render(messages: list[dict[str, str]], add_generation_prompt: bool) -> str:
        assert not add_generation_prompt
        return "".join(f"<{m['role']}>{m['content']}" for m in messages)

    prompt = harness.build("mini_code", render)[0].requests[0].context
    assert prompt.startswith(f"<user>{chat_texts()[0]}\n```\n")
    assert prompt.endswith(f"<assistant>{chat_texts()[1]}\n```python\n")


# Mutant: sanitising left out, prompt not put before the completion, tabs kept.
def test_canonical_solutions_pass_and_broken_ones_do_not(solutions: dict[str, str]) -> None:
    harness, _ = loaded(MINI.model_copy(update={"limit": 4}))
    docs = harness.build("mini_code", None)
    right = list(harness.score("mini_code", docs, answered(docs, lambda doc, _: solutions[doc.doc["task_id"]])))
    wrong = list(harness.score("mini_code", docs, answered(docs, lambda doc, _: "    return object()\n")))
    assert [s.metrics["plus"]["pass@1"] for s in right] == [1.0] * 4
    assert [s.metrics["base"]["pass@1"] for s in wrong] == [0.0] * 4
    assert wrong[0].filtered["base"][0]["status"] == "fail" and wrong[0].filtered["base"][0]["reason"]
    facts = harness.observed()
    assert facts["tier"] in ("bubblewrap", "landlock") and facts["probes"] and facts["controls"]
    assert all(control["seen"] == control["expected"] for control in facts["controls"])


# Mutant: pass@k as a plain share, or repeats marked with the first sample's program.
def test_pass_at_k_is_the_unbiased_estimate_over_a_problems_samples(solutions: dict[str, str]) -> None:
    ask = MINI.model_copy(update={"limit": 1, "repeats": 10, "generation": GenerationAsk(temperature=0.8)})
    harness, pins = loaded(ask)
    docs = harness.build("mini_code", None)
    seeds = [request.seed for request in docs[0].requests]
    assert len(set(seeds)) == 10 and None not in seeds
    assert pins.marks[0].metrics == ["pass@1", "pass@10"]
    answers = answered(docs, lambda doc, n: solutions[doc.doc["task_id"]] if n < 3 else "    return object()\n")
    (sample,) = harness.score("mini_code", docs, answers)
    assert sample.metrics["base"] == pytest.approx({"pass@1": 0.3, "pass@10": 1.0})
    assert [item["status"] for item in sample.filtered["base"]] == ["pass"] * 3 + ["fail"] * 7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_fewshot": 2}, "shots"),
        ({"repeats": 3}, "same text"),
        ({"generation": GenerationAsk(until=["\n"])}, "stop strings"),
        ({"generation": GenerationAsk(do_sample=True)}, "temperature"),
    ],
)
def test_what_evalplus_does_not_do_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        loaded(MINI.model_copy(update=change))


# Mutant: an unavailable sandbox taken for a failed program: scores of 0 that nobody measured.
def test_without_a_sandbox_nothing_is_scored() -> None:
    @contextmanager
    def none_here() -> Iterator[Any]:
        raise SandboxUnavailable("generated code cannot be isolated here", do="install bubblewrap")
        yield

    harness, _ = loaded()
    harness._open = none_here
    docs = harness.build("mini_code", None)
    with pytest.raises(SandboxUnavailable) as told:
        list(harness.score("mini_code", docs, answered(docs, lambda doc, _: "    pass\n")))
    assert told.value.exit_code == 4


def test_the_sandbox_that_was_asked_for_is_in_the_mark_and_the_benchmark_is_named() -> None:
    _, pins = loaded(tier="none")
    assert pins.marks[0].config["sandbox"] == "none"
    assert pins.headlines[0].filter == "base" and pins.marks[0].benchmark == "humaneval"


# Mutant: no time limit. The text is the measured bad case: cubic cost in parsable lines.
def test_a_sanitiser_that_takes_too_long_is_ended_and_the_next_program_is_sanitised() -> None:
    with Sanitizer(limit_s=2.0) as sanitizer:
        assert sanitizer.sanitize("x = 1\n" * 400, "f") == ("", "timeout")
        source, ending = sanitizer.sanitize("def f(x):\n    return x\n\nprint(f(1))\n", "f")
    assert ending == "done" and "def f" in source and "print" not in source


def test_a_program_is_put_together_as_evalplus_does() -> None:
    from benchproof.suites.humaneval_data import read_problems

    problems = read_problems(HubSource().rows_folder("smoke:code") / "test.jsonl")
    problem = next(iter(problems.by_id.values()))
    assert solution_of(problem, "\treturn 1", chat=False) == problem.prompt.strip() + "\n    return 1"
    assert solution_of(problem, "def f(): ...", chat=True) == "def f(): ..."
    assert len(solution_of(problem, "x" * 20_000, chat=True)) == 10_000
