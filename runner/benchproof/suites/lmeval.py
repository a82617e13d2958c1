"""The adapter to lm-evaluation-harness: its tasks build the requests, its filters and metrics mark them.

Nothing of it is re-implemented: HARNESS's cheapest path is used (build, fill responses, apply_filters,
process_results, aggregation), and a test compares it with the harness's native one.
"""

import functools
import importlib.metadata
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import lm_eval.utils
import numpy as np
from lm_eval.api.group import Group
from lm_eval.api.instance import Instance
from lm_eval.api.task import Task

from benchproof.errors import BadInput, MissingInput
from benchproof.ports import Asking, Progress, Render, Source, TaskPins
from benchproof.schema.canonical import doc_sha256
from benchproof.schema.plan import GroupPin, LeftOut, TaskAskPin
from benchproof.schema.request import Doc, Generation, Request, sampling_seed
from benchproof.schema.response import Loglikelihood, Response
from benchproof.schema.score import Result, Sample
from benchproof.schema.spec import TaskAsk
from benchproof.suites import aggregate, groups, loading, marking, pins, truthfulqa
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

    def __init__(self, say: Callable[[str], None] = lambda text: None) -> None:
        self._catalog = Catalog(say)
        self.versions: Mapping[str, str] = {"lm_eval": importlib.metadata.version("lm_eval")}
        self.packages: Mapping[str, str] = {"numpy": importlib.metadata.version("numpy")}
        self._loaded: dict[str, LoadedTask] = {}
        self._groups: dict[str, Group] = {}
        self._asking = Asking(fewshot_seed=0, generation_seed=0)
        _cache_templates()
        datasets.disable_progress_bars()

    # ------------------------------------------------------------------ load

    def look_up(self, tasks: Sequence[TaskAsk]) -> None:
        """See ports.Harness.look_up."""
        for ask in tasks:
            self._catalog.entry(ask.like or ask.task)

    def load(self, tasks: Sequence[TaskAsk], asking: Asking, source: Source, progress: Progress) -> TaskPins:
        """See ports.Harness.load."""
        self._asking = asking
        left_out: list[tuple[LeftOut, str]] = []
        commits: dict[tuple[str, str], str] = {}
        total = sum(self._catalog.size(ask.like or ask.task) for ask in tasks)
        with progress.phase("tasks and data", total=total, unit="tasks") as phase:
            for ask in tasks:
                found, task_commits = self._find(ask, source, commits, phase.advance)
                for broken in found.broken:
                    if ask.task.endswith((".yaml", ".yml")):
                        raise BadInput(f"the task cannot be made: {broken.detail}", where=ask.task, do="mend the file")
                    left_out.append((LeftOut(task=broken.task_name, code=broken.code), broken.detail))  # type: ignore[arg-type]
                for name, task in found.tasks.items():
                    self._adopt(name, task, ask)
                    self._pin_data(self._loaded[name], task_commits.get(name))
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
        ask: TaskAsk,
        source: Source,
        commits: dict[tuple[str, str], str],
        advance: Any,
    ) -> tuple[Found, dict[str, str]]:
        """The tasks of one entry, loaded at a pinned commit; and the commit of each."""
        at: dict[str, str] = {}

        def edit(config: dict[str, Any]) -> dict[str, Any]:
            config = loading.overridden(config, ask)
            if ask.data is not None:
                return loading.over_rows(config, ask, source.rows_folder(ask.data))
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

        found = self._catalog.make(ask.like or ask.task, edit, lambda name: advance(1, name))
        return found, at

    def _adopt(self, name: str, task: Task, ask: TaskAsk) -> None:
        if name in self._loaded:
            raise BadInput(f"task {name!r} is named twice", where="suite", do="name it once, or its group, not both")
        harness_name = ask.like or name
        benchmark = benchmark_of(task, harness_name)
        loading.refuse_unfit(task, ask, benchmark)
        self._loaded[name] = LoadedTask(task, ask, harness_name, benchmark)

    def _pin_data(self, loaded: LoadedTask, commit: str | None) -> None:
        if commit is not None:
            loading.check_commit(loaded.task, commit)
        dataset = pins.dataset_pin(loaded.task, commit=commit)
        loaded.pin = pins.ask_pin(
            loaded.task, loaded.ask, dataset, seed=self._asking.fewshot_seed, chat=self._asking.chat
        )

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
            rows = loading.rows_of(folder)["validation"]
        else:
            rows = datasets.load_dataset(dataset.repo, "generation", revision=dataset.commit)["validation"]
        known = truthfulqa.categories(rows)
        return [truthfulqa.category_of(doc, known) for doc in loaded.task.eval_docs]

    def _notes(self) -> list[tuple[str, str]]:
        """Facts of the benchmarks in this run, and doc counts that are not the published ones."""
        notes = [(benchmark.name, note) for benchmark in self._benchmarks() for note in benchmark.notes]
        for benchmark in self._benchmarks():
            for target, expected in benchmark.docs.items():
                members = (
                    [t.task_name for t in self._groups[target].get_all_tasks()] if target in self._groups else [target]
                )
                pinned = [self._loaded[name].pin for name in members if name in self._loaded]
                count = sum(pin.dataset.n_docs for pin in pinned if pin is not None)
                if pinned and count != expected:
                    notes.append((benchmark.name, f"{target} has {count} docs here, {expected} where it was published"))
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
        harness_task.set_fewshot_seed(self._asking.fewshot_seed)
        harness_task.build_all_requests(
            limit=pin.n_docs,
            system_instruction=self._asking.system_prompt,
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
            seed = sampling_seed(self._asking.generation_seed, task, instance.doc_id, repeat)
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

    def observed(self) -> dict[str, Any]:
        """Nothing of its own is run: log-likelihoods and texts are compared."""
        return {}

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
                try:
                    ensemble.apply(instances)
                    results = [instance.filtered_resps[ensemble.name] for instance in instances]
                    value = loaded.task.process_results(doc.doc, results).get(wanted.metric)
                except Exception:  # noqa: BLE001  # the task's own code: scoring says what is wrong, the device goes on
                    return None
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
            metrics[ensemble.name] = {name: marking.finite(value, doc) for name, value in sorted(values.items())}
            filtered[ensemble.name] = marking.taken(results)
        if loaded.harness_name == "truthfulqa_mc2":
            marking.check_mc2(doc, answers, metrics["none"]["acc"])
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


def _rendered(render: Render, history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
    return render(history, add_generation_prompt)
