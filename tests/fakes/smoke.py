"""Small runs of the bundled model: seconds on a CPU, through every real adapter."""

import copy
import shutil
from pathlib import Path
from typing import Any

import yaml

from benchproof.report.progress import Silent
from benchproof.resolve import Resolved, resolve
from benchproof.schema.record import Record
from benchproof.schema.spec import RunSpec
from benchproof.spec import parse, resolve_suite
from benchproof.wire import make_world, run_spec

SHIPPED = Path(__file__).resolve().parents[2] / "runner" / "benchproof" / "smoke"
MMLU, GSM8K, MC2 = "mini_mmlu_kitchen_science", "mini_gsm8k", "mini_truthfulqa_mc2"
SMALL: dict[str, Any] = {
    "model": {"path": "smoke"},
    "suite": {
        "tasks": [
            {
                "task": MMLU,
                "like": "mmlu_abstract_algebra",
                "data": "smoke:mmlu/kitchen_science",
                "description": "Questions (with answers) about kitchen science.\n\n",
                "groups": ["mini_mmlu", "mini_mmlu_stem"],
                "num_fewshot": 5,
                "limit": 3,
            },
            {
                "task": GSM8K,
                "like": "gsm8k",
                "data": "smoke:gsm8k/main",
                "num_fewshot": 5,
                "limit": 3,
                "generation": {"max_gen_toks": 16},
            },
            {"task": MC2, "like": "truthfulqa_mc2", "data": "smoke:truthfulqa/multiple_choice", "limit": 2},
        ]
    },
    "engine": {"dtype": "float32", "token_budget": 1024, "generation_batch": 2},
}


def small() -> dict[str, Any]:
    """A spec to change: three tasks of the smoke suite, the first few docs of each."""
    return copy.deepcopy(SMALL)


def two() -> dict[str, Any]:
    """Without TruthfulQA: one task of choices and one of texts."""
    spec = small()
    del spec["suite"]["tasks"][2]
    return spec


def write_spec(folder: Path, spec: dict[str, Any], name: str = "small") -> Path:
    """The spec as a file."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False), "utf-8")
    return path


def run_small(out: Path, spec: dict[str, Any] | None = None) -> Record:
    """A run into `out`; the spec lies beside it."""
    return run_spec(write_spec(out.parent, spec or SMALL, out.name), out=out, device="cpu")


def resolved(spec: dict[str, Any]) -> Resolved:
    """What a spec comes to, through the real adapters; no weights are loaded."""
    asked = parse(RunSpec, yaml.safe_dump(spec, sort_keys=False).encode(), where="spec")
    tasks = resolve_suite(asked.suite)
    world = make_world(asked, device="cpu", progress=Silent())
    return resolve(
        asked, tasks, engine=world.engine, harness=world.harness, source=world.source, progress=world.progress
    )


def copy_model(folder: Path) -> Path:
    """The bundled model in a folder of one's own, to be changed."""
    shutil.copytree(SHIPPED / "model", folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder


def copy_rows(folder: Path, name: str) -> Path:
    """Bundled rows in a folder of one's own, to be changed."""
    shutil.copytree(SHIPPED / "data" / name, folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder
