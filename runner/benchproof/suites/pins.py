"""A loaded task -> its two pins: what decides its requests, and what decides what they are worth."""

import importlib.metadata
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval.api.task import Task

from benchproof.errors import BadInput
from benchproof.schema.canonical import chain, doc_sha256, plain, sha256, text_sha256
from benchproof.schema.plan import ChatPin, DatasetPin, TaskAskPin, TaskMarkPin
from benchproof.schema.request import Generation
from benchproof.schema.spec import TaskAsk
from benchproof.suites.benchmark import Benchmark

DEFAULT_MAX_GEN_TOKS = 256  # lm-eval's, where a task states none
MAX_TOKEN_WORDS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")  # in lm-eval's order

# Keys of a task's config that decide its requests. All other keys decide marks, so a key that a newer
# harness adds is pinned too, without anybody having thought of it.
ASK_KEYS = (
    "description",
    "doc_to_text",
    "doc_to_choice",
    "doc_to_target",
    "target_delimiter",
    "fewshot_delimiter",
    "fewshot_config",
    "gen_prefix",
    "process_docs",
    "use_prompt",
)
# Pinned elsewhere in the plan, or names and places that move nothing.
ELSEWHERE = (
    "task",
    "task_alias",
    "tag",
    "dataset_path",
    "dataset_name",
    "dataset_kwargs",
    "custom_dataset",
    "training_split",
    "validation_split",
    "test_split",
    "fewshot_split",
    "num_fewshot",
    "output_type",
    "generation_kwargs",
    "repeats",
    "metadata",
)


def ask_pin(task: Task, ask: TaskAsk, dataset: DatasetPin, *, seed: int, chat: bool) -> TaskAskPin:
    """The half that decides requests, read back from the loaded task, not from what was asked."""
    config = task.config
    shots = int(config.num_fewshot or 0)
    sampler = task.fewshot_cfg.sampler
    drawn = shots > 0 and sampler != "first_n"
    return TaskAskPin(
        task=task.task_name,
        dataset=dataset,
        output_type=config.output_type,
        config={key: described(getattr(config, key)) for key in ASK_KEYS if getattr(config, key, None) is not None},
        num_fewshot=shots,
        fewshot_seed=str(seed) if drawn else None,
        chat=ChatPin(applied=chat, fewshot_as_turns=ask.fewshot_as_turns if chat else False),
        generation=generation(task).json_value() if config.output_type == "generate_until" else None,
        repeats=int(config.repeats),
        limit=ask.limit,
        n_docs=min(ask.limit or dataset.n_docs, dataset.n_docs),
    )


def mark_pin(task: Task, benchmark: Benchmark, harness_name: str, categories: Sequence[str] | None) -> TaskMarkPin:
    """The half that decides scores."""
    config = task.config
    rest = {
        key: described(value)
        for key, value in vars(config).items()
        if key not in ASK_KEYS and key not in ELSEWHERE and value is not None
    }
    return TaskMarkPin(
        task=task.task_name,
        harness="lm_eval",
        version=str(task.VERSION),
        benchmark=benchmark.name,
        config=rest,
        metrics=sorted(task.aggregation()),
        filters=[ensemble.name for ensemble in task._filters],
        higher_is_better={name: bool(value) for name, value in sorted(task.higher_is_better().items())},
        oracles={name: importlib.metadata.version(name) for name in benchmark.oracle_packages(harness_name)},
        categories_sha256=None if categories is None else chain([text_sha256(name) for name in categories]),
    )


def dataset_pin(task: Task, *, commit: str | None) -> DatasetPin:
    """The rows by content: of the whole split, and of the pool that shots are drawn from."""
    config = task.config
    split = config.test_split if task.has_test_docs() else config.validation_split
    shots = int(config.num_fewshot or 0)
    try:
        hashes = [doc_sha256(doc) for doc in task.eval_docs]
        pool = [doc_sha256(doc) for doc in task.sampler.df] if shots else None
    except TypeError as error:
        raise BadInput(
            f"a row holds something that is not JSON: {error}", where=f"task {task.task_name}", do="leave the task out"
        ) from error
    return DatasetPin(
        # Rows that are not on the Hub have no name: a path would make the id depend on the machine.
        repo="rows" if commit is None else str(config.dataset_path),
        config=None if commit is None else config.dataset_name,
        split=str(split),
        fewshot_split=task.fewshot_cfg.split if shots else None,
        commit=commit,
        docs_sha256=chain(hashes),
        fewshot_sha256=None if pool is None else chain(pool),
        n_docs=len(hashes),
    )


def generation(task: Task) -> Generation:
    """Effective generation settings, by lm-eval's own rules for names and defaults.

    Raises BadInput for a setting that the engines cannot honour, or that contradicts another.
    """
    given: dict[str, Any] = dict(task.config.generation_kwargs or {})
    until = given.pop("until", [])
    until = [until] if isinstance(until, str) else list(until)
    limits = [given.pop(word, None) for word in MAX_TOKEN_WORDS]
    max_gen_toks = next((int(limit) for limit in limits if limit is not None), DEFAULT_MAX_GEN_TOKS)
    temperature = float(given.pop("temperature", 0.0) or 0.0)
    do_sample = given.pop("do_sample", None)
    top_p, top_k = given.pop("top_p", None), given.pop("top_k", None)
    if do_sample is False:
        temperature = 0.0
    where = f"task {task.task_name}"
    if do_sample is True and temperature == 0.0:
        raise BadInput("`do_sample: true` with temperature 0", where=where, do="give a temperature above 0")
    if temperature == 0.0 and int(task.config.repeats) > 1:
        raise BadInput(
            f"temperature 0 with {task.config.repeats} repeats gives the same text each time",
            where=where,
            do="give a temperature above 0, or `repeats: 1`",
        )
    if given:
        raise BadInput(
            f"generation setting {sorted(given)[0]!r} is not supported", where=where, do="take it out of the task"
        )
    if any(not stop for stop in until):
        raise BadInput("a stop string is empty", where=where, do="take it out of `until`")
    return Generation(
        until=tuple(until),
        max_gen_toks=max_gen_toks,
        temperature=temperature,
        top_p=None if temperature == 0.0 or top_p is None else float(top_p),
        top_k=None if temperature == 0.0 or not top_k else int(top_k),
    )


def described(value: Any) -> Any:
    """A config value as JSON: code by its name and the hash of the file it stands in, reals as decimals.

    The harness's own dump writes functions as addresses and paths of this machine, which differ from
    run to run; a function's name and its module's bytes do not.
    """
    if callable(value) and not isinstance(value, type):
        return {"function": getattr(value, "__qualname__", type(value).__name__), "source_sha256": _source(value)}
    if isinstance(value, Mapping):
        return {str(key): described(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [described(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {key: described(item) for key, item in vars(value).items() if item is not None}
    if isinstance(value, type):
        return {"class": value.__qualname__, "source_sha256": _source(value)}
    try:
        return plain(value)
    except TypeError as error:
        raise BadInput(f"a task setting cannot be pinned: {error}", where="suite", do="use plain values") from error


def _source(code: Any) -> str:
    """Hash of the whole file that code stands in: what it calls there counts too."""
    try:
        file = inspect.getsourcefile(code)
        if file:
            return sha256(Path(file).read_bytes())
        return text_sha256(inspect.getsource(code))
    except (TypeError, OSError) as error:
        raise BadInput(
            "the source of a task's function cannot be read, so it cannot be pinned",
            where=getattr(code, "__qualname__", repr(code)),
            do="define it in a .py file beside the task's YAML",
        ) from error
