"""The adapter to lm-evaluation-harness: its tasks build the requests, its filters and metrics mark them.

Nothing of it is re-implemented: HARNESS's cheapest path is used (build, fill responses, apply_filters,
process_results, aggregation), and a test compares it with the harness's native one.
"""

import functools
import hashlib
import importlib.metadata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import lm_eval.utils
import numpy as np
from lm_eval.api.group import Group
from lm_eval.api.instance import Instance
from lm_eval.api.task import Task

from benchproof.errors import BadInput, MachineError, MissingInput, VerificationFailed
from benchproof.ports import Progress, Render, Source, TaskPins
from benchproof.schema.canonical import doc_sha256
from benchproof.schema.plan import GroupPin, LeftOut, TaskAskPin
from benchproof.schema.request import Doc, Generation, Request
from benchproof.schema.response import Loglikelihood, Response
from benchproof.schema.score import Result, Sample
from benchproof.schema.spec import TaskAsk
from benchproof.suites import aggregate, groups, pins, truthfulqa
from benchproof.suites.benchmark import Benchmark
from benchproof.suites.catalog import Catalog, Found, benchmark_of


class LoadedTask:
    """A task of the harness with what we know of it."""

    def __init__(self, task: Task, ask: TaskAsk, harness_name: str, benchmark: Benchmark) -> None:
        self.task, self.ask, self.harness_name, self.benchmark = task, ask, harness_name, benchmark
        self.pin: TaskAskPin | None = None
        self.categories: list[str] | None = None
        self.instances: dict[int, list[Instance]] = {}


class LmEval:
    """Implements ports.Harness."""

    def __init__(self) -> None:
        self.versions: Mapping[str, str] = {"lm_eval": importlib.metadata.version("lm_eval")}
        self.packages: Mapping[str, str] = {"numpy": importlib.metadata.version("numpy")}
        self._loaded: dict[str, LoadedTask] = {}
        self._groups: dict[str, Group] = {}
        self._seeds = (0, 0)
        self._system_prompt: str | None = None
        _cache_templates()
        datasets.disable_progress_bars()

    # ------------------------------------------------------------------ load

    def load(
        self,
        tasks: Sequence[TaskAsk],
        *,
        fewshot_seed: int,
        generation_seed: int,
        chat: bool,
        system_prompt: str | None,
        source: Source,
        progress: Progress,
    ) -> TaskPins:
        """See ports.Harness.load."""
        self._seeds, self._system_prompt = (fewshot_seed, generation_seed), system_prompt
        catalog = Catalog(progress.say)
        left_out: list[tuple[LeftOut, str]] = []
        commits: dict[tuple[str, str], str] = {}
        total = sum(catalog.size(ask.like or ask.task) for ask in tasks)
        with progress.phase("tasks and data", total=total, unit="tasks") as phase:
            for ask in tasks:
                found, task_commits = self._find(catalog, ask, source, commits, phase.advance)
                for broken in found.broken:
                    left_out.append((LeftOut(task=broken.task_name, code=broken.code), broken.detail))  # type: ignore[arg-type]
                for name, task in found.tasks.items():
                    self._adopt(name, task, ask)
                    self._pin_data(self._loaded[name], task_commits.get(name), fewshot_seed, chat)
                self._groups |= found.groups
        if not self._loaded:
            reasons = "; ".join(f"{pin.task}: {why}" for pin, why in left_out[:2])
            raise MissingInput(f"none of the tasks can be run: {reasons}", where="suite", do="mend the first reason")
        with progress.phase("categories"):
            for loaded in self._loaded.values():
                loaded.categories = self._categories(loaded, source, commits)
        group_pins = groups.pins(self._loaded, self._groups)
        return TaskPins(
            asks=[loaded.pin for loaded in self._loaded.values() if loaded.pin is not None],
            marks=[
                pins.mark_pin(loaded.task, loaded.benchmark, loaded.harness_name, loaded.categories)
                for loaded in self._loaded.values()
            ],
            groups=group_pins,
            headlines=groups.headlines(self._loaded, group_pins),
            left_out=left_out,
            notes=self._notes(),
        )

    def _find(
        self,
        catalog: Catalog,
        ask: TaskAsk,
        source: Source,
        commits: dict[tuple[str, str], str],
        advance: Any,
    ) -> tuple[Found, dict[str, str]]:
        """The tasks of one entry, loaded at a pinned commit; and the commit of each."""
        at: dict[str, str] = {}

        def edit(config: dict[str, Any]) -> dict[str, Any]:
            config = _overridden(config, ask)
            if ask.data is not None:
                return _over_rows(config, ask, source.rows_folder(ask.data))
            if config.get("custom_dataset") is not None:
                raise BadInput(
                    "a `custom_dataset` cannot be pinned", where=f"task {ask.task}", do="use rows on the Hub"
                )
            repo = str(config["dataset_path"])
            if Path(repo).exists() or repo in ("json", "csv", "parquet"):
                return config  # the user's own files, pinned by content
            key = (repo, ask.revision or "main")
            if key not in commits:
                commits[key] = source.dataset_commit(*key)
            config["dataset_kwargs"] = {**(config.get("dataset_kwargs") or {}), "revision": commits[key]}
            at[str(config["task"])] = commits[key]
            return config

        found = catalog.make(ask.like or ask.task, edit, lambda name: advance(1, name))
        return found, at

    def _adopt(self, name: str, task: Task, ask: TaskAsk) -> None:
        if name in self._loaded:
            raise BadInput(f"task {name!r} is named twice", where="suite", do="name it once, or its group, not both")
        harness_name = ask.like or name
        benchmark = benchmark_of(task, harness_name)
        _refuse_unfit(task, ask, benchmark)
        self._loaded[name] = LoadedTask(task, ask, harness_name, benchmark)

    def _pin_data(self, loaded: LoadedTask, commit: str | None, seed: int, chat: bool) -> None:
        if commit is not None:
            _check_commit(loaded.task, commit)
        dataset = pins.dataset_pin(loaded.task, commit=commit, rows=loaded.ask.data is not None)
        loaded.pin = pins.ask_pin(loaded.task, loaded.ask, dataset, seed=seed, chat=chat)

    def _categories(
        self, loaded: LoadedTask, source: Source, commits: Mapping[tuple[str, str], str]
    ) -> list[str] | None:
        """The category of every doc of the split, where the benchmark has any."""
        if loaded.benchmark.name != "truthfulqa" or loaded.pin is None:
            return None
        if "category" in loaded.task.eval_docs.features:
            return [str(doc["category"]) for doc in loaded.task.eval_docs]
        dataset = loaded.pin.dataset
        if loaded.ask.data is not None:
            folder = source.rows_folder(loaded.ask.data).parent / "generation"
            rows = _rows(folder)["validation"]
        else:
            rows = datasets.load_dataset(dataset.repo, "generation", revision=dataset.commit)["validation"]
        known = truthfulqa.categories(rows)
        return [truthfulqa.category_of(doc, known) for doc in loaded.task.eval_docs]

    def _notes(self) -> list[str]:
        """Facts of the benchmarks in this run, and doc counts that are not the published ones."""
        notes = [note for benchmark in self._benchmarks() for note in benchmark.notes]
        for benchmark in self._benchmarks():
            for target, expected in benchmark.docs.items():
                members = (
                    [t.task_name for t in self._groups[target].get_all_tasks()] if target in self._groups else [target]
                )
                pinned = [self._loaded[name].pin for name in members if name in self._loaded]
                count = sum(pin.dataset.n_docs for pin in pinned if pin is not None)
                if pinned and count != expected:
                    notes.append(f"{target} has {count} docs here, {expected} where it was published")
        return notes

    def _benchmarks(self) -> list[Benchmark]:
        return list({loaded.benchmark.name: loaded.benchmark for loaded in self._loaded.values()}.values())

    # ----------------------------------------------------------------- build

    def build(self, task: str, render: Render | None) -> list[Doc]:
        """See ports.Harness.build.

        Always in document order from a fresh seed: the few-shot sampler is one generator per task, consumed
        document after document, so a subset or a second build would get other shots.
        """
        loaded = self._loaded[task]
        pin = loaded.pin
        if pin is None:
            raise KeyError(task)
        if render is None and pin.chat.applied:
            raise ValueError("a chat template is applied: a renderer is needed")
        harness_task = loaded.task
        harness_task.set_fewshot_seed(self._seeds[0])
        harness_task.build_all_requests(
            limit=pin.n_docs,
            system_instruction=self._system_prompt,
            apply_chat_template=pin.chat.applied,
            fewshot_as_multiturn=pin.chat.fewshot_as_turns,
            chat_template=functools.partial(_rendered, render) if render and pin.chat.applied else None,
        )
        by_doc: dict[int, list[Instance]] = defaultdict(list)
        for instance in harness_task.instances:
            by_doc[int(instance.doc_id)].append(instance)
        loaded.instances = {doc_id: sorted(group, key=lambda i: i.idx) for doc_id, group in sorted(by_doc.items())}
        settings = pins.generation(harness_task) if pin.output_type == "generate_until" else None
        return [self._doc(loaded, doc_id, instances, settings) for doc_id, instances in loaded.instances.items()]

    def _doc(self, loaded: LoadedTask, doc_id: int, instances: Sequence[Instance], settings: Generation | None) -> Doc:
        doc = instances[0].doc
        requests = [
            self._request(loaded.task.task_name, instance, repeat, settings)
            for instance in instances
            for repeat in range(int(instance.repeats or 1))
        ]
        return Doc(
            task=loaded.task.task_name,
            doc_id=doc_id,
            doc=doc,
            sha256=doc_sha256(doc),
            target=loaded.task.doc_to_target(doc),
            category=None if loaded.categories is None else loaded.categories[doc_id],
            requests=tuple(request.with_hash() for request in requests),
        )

    def _request(self, task: str, instance: Instance, repeat: int, settings: Generation | None) -> Request:
        context = str(instance.args[0])
        if settings is None:
            return Request(task, instance.doc_id, instance.idx, repeat, "loglikelihood", context, str(instance.args[1]))
        seed = None
        if settings.temperature > 0:
            name = f"{self._seeds[1]}|{task}|{instance.doc_id}|{repeat}"
            seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")
        return Request(task, instance.doc_id, 0, repeat, "generate_until", context, generation=settings, seed=seed)

    # ----------------------------------------------------------------- score

    def score(self, task: str, docs: Sequence[Doc], answers: Mapping[str, Response]) -> Iterator[Sample]:
        """See ports.Harness.score."""
        loaded = self._loaded[task]
        for doc in docs:
            self._fill(loaded, doc, answers)
        loaded.task.apply_filters()
        for doc in docs:
            yield self._sample(loaded, doc, answers)

    def running(self, task: str, doc: Doc, answers: Mapping[str, Response]) -> float | None:
        """See ports.Harness.running."""
        loaded = self._loaded[task]
        if loaded.benchmark.oracle_packages(loaded.harness_name):
            return None  # an overlap metric takes half a second a doc: not while the device waits
        self._fill(loaded, doc, answers)
        instances = loaded.instances[doc.doc_id]
        wanted = groups.task_headline(loaded)
        for ensemble in loaded.task._filters:
            if ensemble.name == wanted.filter:
                ensemble.apply(instances)
                results = [instance.filtered_resps[ensemble.name] for instance in instances]
                value = loaded.task.process_results(doc.doc, results).get(wanted.metric)
                return float(value) if isinstance(value, int | float | np.number) else None
        return None

    def _fill(self, loaded: LoadedTask, doc: Doc, answers: Mapping[str, Response]) -> None:
        """Responses into the harness's instances, in its own form: tuples for log-likelihoods, text otherwise."""
        by_choice: dict[int, list[Any]] = defaultdict(list)
        for request in doc.requests:
            answer = answers[request.hash]
            if isinstance(answer, Loglikelihood):
                by_choice[request.choice].append((answer.loglikelihood, answer.is_greedy))
            else:
                by_choice[request.choice].append(answer.text)
        for instance in loaded.instances[doc.doc_id]:
            instance.resps = by_choice[instance.idx]
            instance.filtered_resps = {}

    def _sample(self, loaded: LoadedTask, doc: Doc, answers: Mapping[str, Response]) -> Sample:
        instances = loaded.instances[doc.doc_id]
        filtered: dict[str, list[Any]] = {}
        metrics: dict[str, dict[str, Any]] = {}
        for ensemble in loaded.task._filters:
            results = [instance.filtered_resps[ensemble.name] for instance in instances]
            values = loaded.task.process_results(doc.doc, results)
            metrics[ensemble.name] = {name: _finite(value, doc) for name, value in sorted(values.items())}
            filtered[ensemble.name] = _answers(results)
        self._cross_check(loaded, doc, answers, metrics)
        return Sample(
            task=doc.task,
            doc_id=doc.doc_id,
            doc_sha256=doc.sha256,
            category=doc.category,
            target=doc.target,
            requests=tuple(request.hash for request in doc.requests),
            filtered=filtered,
            metrics=metrics,
        )

    def _cross_check(
        self, loaded: LoadedTask, doc: Doc, answers: Mapping[str, Response], metrics: dict[str, dict[str, Any]]
    ) -> None:
        """mc2 again without underflow: a value that differs is the harness's arithmetic failing, not the model."""
        if loaded.harness_name != "truthfulqa_mc2":
            return
        lls = [a.loglikelihood for r in doc.requests if isinstance(a := answers[r.hash], Loglikelihood)]
        again = truthfulqa.shifted_mc2(lls, doc.doc["mc2_targets"]["labels"])
        if abs(again - metrics["none"]["acc"]) > 1e-6:
            raise MachineError(
                f"mc2 of doc {doc.doc_id} underflows: {metrics['none']['acc']} instead of {again}",
                where=f"task {doc.task}",
                do="use `dtype: float32`; if it stays, the model's log-likelihoods are too low to score",
            )

    # ------------------------------------------------------------- aggregate

    def aggregate(self, task: str, samples: Sequence[Sample]) -> list[Result]:
        """See ports.Harness.aggregate."""
        loaded = self._loaded[task]
        return aggregate.task_results(loaded.task, loaded.benchmark.name, samples)

    def aggregate_group(self, group: GroupPin, results: Sequence[Result]) -> list[Result]:
        """See ports.Harness.aggregate_group."""
        return aggregate.group_results(group, self._groups.get(group.name), results)


def _cache_templates() -> None:
    """Compile each prompt template once.

    The harness recompiles it at every call: 95 % of the time of building MMLU's 56,168 requests. The requests
    stay the same, byte for byte: a test compares.
    """
    env = lm_eval.utils.env
    if not hasattr(env.from_string, "cache_info"):
        env.from_string = functools.lru_cache(maxsize=4096)(env.from_string)


def _overridden(config: dict[str, Any], ask: TaskAsk) -> dict[str, Any]:
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


def _over_rows(config: dict[str, Any], ask: TaskAsk, folder: Path) -> dict[str, Any]:
    """A stock definition over a folder of rows."""
    files = {path.stem: str(path) for path in sorted(folder.glob("*.jsonl"))}
    if not files:
        raise MissingInput("no <split>.jsonl in the data folder", where=str(folder), do="put the rows there")
    config |= {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files}}
    config.pop("task_alias", None)
    if ask.description is not None:
        config["description"] = ask.description
    return config


def _rows(folder: Path) -> Any:
    files = {path.stem: str(path) for path in sorted(folder.glob("*.jsonl"))}
    return datasets.load_dataset("json", data_files=files)


def _refuse_unfit(task: Task, ask: TaskAsk, benchmark: Benchmark) -> None:
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


def _check_commit(task: Task, commit: str) -> None:
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


def _rendered(render: Render, history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
    return render(history, add_generation_prompt)


def _finite(value: Any, doc: Doc) -> Any:
    """A metric value as JSON; NaN and infinity poison every mean, so they end the scoring."""
    if isinstance(value, bool | int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        if not np.isfinite(value):
            raise MachineError(
                f"a metric of doc {doc.doc_id} is {value}", where=f"task {doc.task}", do="use `dtype: float32`"
            )
        return float(value)
    if isinstance(value, tuple | list | np.ndarray):
        return [_finite(item, doc) for item in value]
    return value


def _answers(results: Sequence[Any]) -> list[Any]:
    """What a filter took: for choices the pick (first of the largest, as the harness counts), else the text."""
    if results and isinstance(results[0], tuple):
        lls = [ll for ll, _ in results]
        return [int(np.argmax(lls))]
    return [result if isinstance(result, str) else str(result) for result in results]
