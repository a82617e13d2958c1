"""What benchproof makes of the real data sets, as JSON: a script, because the libraries read HF_* at import.

python facts.py NAME OUT [ARGUMENT...]: runs one function below and writes what it returns. An error of ours comes
back as {"error": class, "exit": code, "what": sentence, "where": place}.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchproof.errors import BenchproofError
from benchproof.ports import Asking, TaskPins
from benchproof.report.progress import Silent
from benchproof.resolve import resolve
from benchproof.schema.canonical import chain
from benchproof.schema.plan import Plan
from benchproof.schema.request import Doc
from benchproof.schema.spec import RunSpec, SuiteAsk, TaskAsk
from benchproof.sources.hub import HubSource
from benchproof.spec import resolve_suite
from benchproof.suites import lmeval
from benchproof.suites.lmeval import LmEval
from fakes.engine import TableEngine

FEW: list[
    dict[str, Any]
] = [  # one of each way of making prompts: a list of shots, drawn shots, a template, process_docs
    {"task": "mmlu_anatomy", "num_fewshot": 5, "limit": 40},
    {"task": "gsm8k", "limit": 40},
    {"task": "gsm8k_cot", "limit": 10},
    {"task": "truthfulqa_mc2", "limit": 40},
    {"task": "truthfulqa_gen", "limit": 40},
    {"task": "bigbench_snarks_multiple_choice", "num_fewshot": 0, "limit": 40},
    {"task": "bigbench_dyck_languages_generate_until", "num_fewshot": 0, "limit": 40},
    {"task": "bbh_cot_fewshot_snarks", "limit": 5},
]


def load(*asks: dict[str, Any], chat: bool = False) -> tuple[LmEval, TaskPins]:
    harness = LmEval()
    pins = harness.load(
        [TaskAsk.model_validate(ask) for ask in asks],
        Asking(fewshot_seed=1234, generation_seed=1234, chat=chat),
        HubSource(),
        Silent(),
    )
    return harness, pins


def plan(*asks: dict[str, Any]) -> Plan:
    tasks = [TaskAsk.model_validate(ask) for ask in asks]
    spec = RunSpec.model_validate({"model": {"path": "table"}, "suite": SuiteAsk(tasks=tasks)})
    engine = TableEngine(lambda request: 0.0)
    return resolve(spec, tasks, engine=engine, harness=LmEval(), source=HubSource(), progress=Silent()).plan


def digest(docs: list[Doc]) -> str:
    return chain([request.hash for doc in docs for request in doc.requests])


def guarded(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except BenchproofError as error:
        return {
            "error": type(error).__name__,
            "exit": error.exit_code,
            "what": error.what,
            "where": error.where,
        }


def templates(cached: str) -> Any:
    """The digest of all requests of a few tasks, templates compiled once or, as in the harness, at every call."""
    if cached == "no":
        lmeval._cache_templates = lambda: None
    harness, _ = load(*FEW)
    import lm_eval.utils

    found: dict[str, Any] = {ask["task"]: digest(harness.build(ask["task"], None)) for ask in FEW}
    return found | {"cached": hasattr(lm_eval.utils.env.from_string, "cache_info")}


def traps() -> Any:
    """Few-shot drawing, categories, refusals, pins: one process for all that needs no other environment."""
    short, _ = load({"task": "gsm8k", "limit": 4})
    long, _ = load({"task": "gsm8k", "limit": 12})
    four, twelve = short.build("gsm8k", None), long.build("gsm8k", None)
    questions = load({"task": "truthfulqa_mc1"}, {"task": "truthfulqa_mc2"})[1]
    harness, pins = load({"task": "truthfulqa_mc1"})
    categories = [doc.category for doc in harness.build("truthfulqa_mc1", None)]
    first = plan(*FEW)
    again = plan(*FEW)
    return {
        "four": [request.hash for doc in four for request in doc.requests],
        "twelve": [request.hash for doc in twelve for request in doc.requests],
        "built twice": [digest(long.build("gsm8k", None)), digest(long.build("gsm8k", None)), digest(twelve)],
        "categories": [len(categories), len(set(categories)), categories.count(None)],
        "biggest category": max(set(map(str, categories)), key=categories.count),
        "categories pinned": [pin.categories_sha256 is not None for pin in questions.marks],
        "notes": [note for _, note in pins.notes],
        "mmlu without shots": plan({"task": "mmlu_anatomy", "limit": 1}).ask.tasks[0].num_fewshot,
        "plans equal": first.plan_id == again.plan_id,
        "plan": first.to_bytes().decode(),
        "shots of truthfulqa": guarded(lambda: load({"task": "truthfulqa_mc1", "num_fewshot": 5})),
        "shots of bigbench": guarded(lambda: load({"task": "bigbench_snarks_multiple_choice", "num_fewshot": 2})),
        "more shots than rows": guarded(lambda: load({"task": "mmlu_anatomy", "num_fewshot": 6})),
        "unknown branch": guarded(lambda: load({"task": "gsm8k", "revision": "no-such-branch"})),
        "unknown commit": guarded(lambda: load({"task": "gsm8k", "revision": "0" * 40}, {"task": "truthfulqa_mc1"})),
        "unsafe code": guarded(lambda: load({"task": "humaneval"})),
        "code imported": sorted(name for name in sys.modules if name == "evaluate" or "humaneval" in name),
    }


def lite() -> Any:
    """BIG-bench Lite where half of its data sets are missing."""
    asks = [
        task.model_copy(update={"limit": 2}).model_dump(exclude_none=True) for task in resolve_suite("bigbench-lite")
    ]
    harness, pins = load(*asks)
    return {
        "asked": len(asks),
        "loaded": [pin.task for pin in pins.asks],
        "docs": [len(harness.build(pin.task, None)) for pin in pins.asks],
        "left out": [[pin.task, pin.code, reason] for pin, reason in pins.left_out],
        "groups": [[pin.name, pin.tasks] for pin in pins.groups],
        "nothing left": guarded(lambda: load({"task": "bigbench_novel_concepts_multiple_choice", "num_fewshot": 0})),
    }


def whole_mmlu() -> Any:
    """The doc and request counts of MMLU."""
    harness, pins = load({"task": "mmlu", "num_fewshot": 5})
    return {
        "tasks": len(pins.asks),
        "docs": sum(pin.dataset.n_docs for pin in pins.asks),
        "requests": sum(len(doc.requests) for pin in pins.asks for doc in harness.build(pin.task, None)),
        "groups": {pin.name: len(pin.tasks) for pin in pins.groups},
        "notes": [note for _, note in pins.notes],
        "headline": [[h.target, h.metric] for h in pins.headlines],
    }


def rows(task: str, revision: str) -> Any:
    """The commit and the first row of a task that is named by its path."""

    def first() -> Any:
        harness, pins = load({"task": task, "revision": revision})
        dataset = pins.asks[0].dataset
        return {"commit": dataset.commit, "first": harness.build(pins.asks[0].task, None)[0].requests[0].context}

    return guarded(first)


if __name__ == "__main__":
    name, out, *arguments = sys.argv[1:]
    found = {f.__name__: f for f in (templates, traps, lite, whole_mmlu, rows)}[name](*arguments)
    Path(out).write_text(json.dumps(found, default=str), "utf-8")
