"""One measurement twice in one process: the harness's own `simple_evaluate`, then benchproof. See compare.py.

A script, because the libraries read HF_* when they are imported:  python both.py JOBS.json
A job: folder (of the model), model (a spec's `model` but for the path), tasks (a spec's tasks), engine, out (the run
folder), native (where the harness's results go).

The native half comes first, before anything of ours is imported: benchproof caches the harness's templates, and
what it patches must not be able to move what it is compared with.
"""

import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import lm_eval.tasks
import yaml
from lm_eval.api.task import ConfigurableTask
from lm_eval.evaluator import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

FOLDERS = ("mmlu/default", "mmlu/generative", "gsm8k", "truthfulqa", "bigbench", "bbh/cot_fewshot")
SMOKE_DATA = Path(__file__).resolve().parents[2] / "runner" / "benchproof" / "smoke" / "data"
BATCH_SIZE = 8  # not a divisor of our batches, on purpose: the answers may not depend on it


def main(jobs: list[dict[str, Any]]) -> None:
    for job in jobs:
        started = time.monotonic()
        Path(job["native"]).write_text(json.dumps(run_native(job), default=plain), "utf-8")
        print(f"{job['native']}: harness {time.monotonic() - started:.1f} s", flush=True)
    for job in jobs:
        started = time.monotonic()
        run_ours(job)
        print(f"{job['out']}: benchproof {time.monotonic() - started:.1f} s", flush=True)


def run_native(job: dict[str, Any]) -> dict[str, Any]:
    """The harness as its users call it: one call for each set of settings that it takes for all tasks at once."""
    root = Path(lm_eval.tasks.__file__).parent
    manager = TaskManager(include_defaults=False, include_path=[str(root / name) for name in FOLDERS])
    asked = job["model"]
    chat = asked.get("chat_template") == "model"
    lm = HFLM(pretrained=job["folder"], dtype="float32", batch_size=BATCH_SIZE, device="cpu")
    found: dict[str, Any] = {key: {} for key in ("results", "groups", "samples", "n-samples", "n-shot")}
    for settings, group in itertools.groupby(sorted(job["tasks"], key=call), key=call):
        limit, shots, generation, turns = json.loads(settings)
        results = simple_evaluate(
            model=lm,
            tasks=[over_rows(manager, task) if "like" in task else task["task"] for task in group],
            num_fewshot=shots,
            limit=limit,
            gen_kwargs=generation,
            task_manager=manager,
            apply_chat_template=chat,
            fewshot_as_multiturn=turns,
            system_instruction=asked.get("system_prompt"),
            random_seed=0,
            numpy_random_seed=1234,
            torch_random_seed=1234,
            fewshot_random_seed=1234,
        )
        for key, part in found.items():
            part |= results.get(key, {})
    return found


def call(task: dict[str, Any]) -> str:
    """What `simple_evaluate` takes for all its tasks, as text that sorts and groups."""
    keys = ("limit", "num_fewshot", "generation")
    return json.dumps([*(task.get(key) for key in keys), task.get("fewshot_as_turns", True)], sort_keys=True)


def over_rows(manager: TaskManager, ask: dict[str, Any]) -> ConfigurableTask:
    """The stock definition over a folder of rows, without a line of ours."""
    config = load_yaml(manager.task_index[ask["like"]].yaml_path, resolve_func=True)
    folder = SMOKE_DATA / ask["data"].removeprefix("smoke:")
    files = {path.stem: str(path) for path in folder.glob("*.jsonl")}
    for key in ("tag", "task_alias"):
        config.pop(key, None)
    config |= {"task": ask["task"], "dataset_path": "json", "dataset_name": None}
    config |= {"dataset_kwargs": {"data_files": files}}
    config |= {"description": ask["description"]} if "description" in ask else {}
    return ConfigurableTask(config=config)


def run_ours(job: dict[str, Any]) -> None:
    from benchproof.wire import run_spec

    spec = {
        "model": {"path": job["folder"], **job["model"]},
        "suite": {"tasks": job["tasks"]},
        "engine": {"dtype": "float32", **job.get("engine", {})},
    }
    path = Path(job["out"]).with_suffix(".yaml")
    path.write_text(yaml.safe_dump(spec, allow_unicode=True), "utf-8")
    run_spec(path, out=job["out"], device="cpu")


def plain(value: Any) -> Any:
    """numpy's numbers as JSON."""
    return value.item() if hasattr(value, "item") else str(value)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text("utf-8")))
