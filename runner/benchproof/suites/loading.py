"""What is done to a stock task before and after its data are loaded: overrides, rows of one's own, refusals."""

from pathlib import Path
from typing import Any

import datasets
from lm_eval.api.task import Task

from benchproof.errors import BadInput, MissingInput, VerificationFailed
from benchproof.schema.spec import TaskAsk
from benchproof.suites.benchmark import Benchmark


def overridden(config: dict[str, Any], ask: TaskAsk) -> dict[str, Any]:
    """The task's config with what was asked, and nothing that was not."""
    config = dict(config)
    if ask.num_fewshot is not None:
        if config.get("num_fewshot") == 0 and ask.num_fewshot > 0:
            raise BadInput(
                f"num_fewshot {ask.num_fewshot} cannot be honoured: the task fixes it to 0",
                where=f"task {config['task']}",
                do="leave num_fewshot out",
            )
        config["num_fewshot"] = ask.num_fewshot
    if config.get("num_fewshot") is None:
        config["num_fewshot"] = 0
    wanted = {key: value for key, value in ask.generation.model_dump().items() if value is not None}
    if wanted:
        if config.get("output_type") != "generate_until":
            raise BadInput(
                "`generation` settings for a task that generates nothing",
                where=f"task {config['task']}",
                do="leave them out",
            )
        if "max_gen_toks" in wanted:  # the harness takes the first of four names
            dropped = ("max_new_tokens", "max_tokens", "max_completion_tokens")
            config["generation_kwargs"] = {
                k: v for k, v in (config.get("generation_kwargs") or {}).items() if k not in dropped
            }
        config["generation_kwargs"] = {**(config.get("generation_kwargs") or {}), **wanted}
        config["generation_kwargs"].setdefault("until", [config.get("fewshot_delimiter", "\n\n")])
    if ask.repeats is not None:
        config["repeats"] = ask.repeats
    if ask.data is not None:
        config["task"] = ask.task
    return config


def over_rows(config: dict[str, Any], ask: TaskAsk, folder: Path) -> dict[str, Any]:
    """A stock definition over a folder of rows."""
    files = _files(folder)
    if not files:
        raise MissingInput("no <split>.jsonl in the data folder", where=str(folder), do="put the rows there")
    config |= {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files}}
    config.pop("task_alias", None)
    if ask.description is not None:
        config["description"] = ask.description
    return config


def rows_of(folder: Path) -> Any:
    """The rows of a folder of <split>.jsonl, by split."""
    return datasets.load_dataset("json", data_files=_files(folder))


def _files(folder: Path) -> dict[str, str]:
    """Split -> its file, of a folder of <split>.jsonl."""
    return {path.stem: str(path) for path in sorted(folder.glob("*.jsonl"))}


def refuse_unfit(task: Task, ask: TaskAsk, benchmark: Benchmark) -> None:
    """What cannot be run, or would not mean what it seems to mean."""
    where = f"task {task.task_name}"
    if getattr(task, "UNSAFE_CODE", False):
        raise BadInput("the task runs generated code without a sandbox", where=where, do="leave it out")
    if getattr(task, "MULTIMODAL", False):
        raise BadInput("the task needs images or sound", where=where, do="leave it out")
    if task.OUTPUT_TYPE not in ("multiple_choice", "loglikelihood", "generate_until"):
        raise BadInput(f"tasks of type {task.OUTPUT_TYPE!r} are not run", where=where, do="leave it out")
    shots = int(task.config.num_fewshot or 0)
    if shots and benchmark.shots != "any":
        raise BadInput(
            f"num_fewshot must be 0 for {benchmark.title}: {benchmark.shots_why}",
            where=where,
            do="leave num_fewshot out",
        )
    if ask.num_fewshot is not None and shots != ask.num_fewshot:
        raise BadInput(
            f"asked for {ask.num_fewshot} shots, the task takes {shots}", where=where, do="leave num_fewshot out"
        )
    if shots and len(task.sampler.df) < shots:
        raise BadInput(
            f"{shots} shots asked, {len(task.sampler.df)} rows to draw from", where=where, do="ask for fewer"
        )


def check_commit(task: Task, commit: str) -> None:
    """`datasets` serves another cached revision without a word when the Hub cannot be reached."""
    for split in {task.config.test_split, task.config.validation_split, task.fewshot_cfg.split} - {None}:
        if split not in task.dataset:
            continue
        for file in task.dataset[split].cache_files:
            if commit not in Path(file["filename"]).parts:
                raise VerificationFailed(
                    f"another revision of the data was loaded than the pinned {commit[:12]}",
                    where=f"task {task.task_name}",
                    do="connect to the Hub, or clear this data set from the cache of `datasets`",
                )
