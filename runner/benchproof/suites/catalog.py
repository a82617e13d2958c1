"""Finds tasks in the harness's index, and builds them with pins applied and failures kept.

The harness's own factory resolves groups, tags, includes and inline definitions; only the making of one
task is ours, so that a data set revision can be pinned and a broken member does not end the others.
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lm_eval.tasks
from lm_eval.api.group import Group
from lm_eval.api.task import ConfigurableTask, Task
from lm_eval.tasks import TaskManager
from lm_eval.tasks._factory import TaskFactory
from lm_eval.tasks._index import Entry, Kind, TaskIndex
from lm_eval.tasks._yaml_loader import load_yaml

from benchproof.errors import BadInput, BenchproofError, MissingInput
from benchproof.spec import nearest
from benchproof.suites.benchmark import Benchmark, generic
from benchproof.suites.bigbench import BBH, BIGBENCH
from benchproof.suites.gsm8k import GSM8K, GSM8K_COT
from benchproof.suites.mmlu import MMLU, MMLU_GENERATIVE
from benchproof.suites.truthfulqa import TRUTHFULQA

log = logging.getLogger(__name__)

BENCHMARKS = (MMLU, MMLU_GENERATIVE, GSM8K, GSM8K_COT, TRUTHFULQA, BIGBENCH, BBH)

# Indexing all 14,683 names takes 6 to 8 s; these folders take 0.2 s and hold the five benchmarks.
FOLDERS = ("mmlu/default", "mmlu/generative", "gsm8k", "truthfulqa", "bigbench", "bbh/cot_fewshot")

# A name in a task file: of a task, a group, or a tag (alone or as an item of a list).
NAMED = re.compile(r"""^(?:["']?(?:task|group|tag)["']?:|\s*-)\s*["']?([\w\-.]+)["']?\s*$""", re.MULTILINE)

Edit = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass
class Broken:
    """A member that cannot be made. The harness's groups skip it, since it is no Task."""

    task_name: str
    code: str
    detail: str


@dataclass
class Found:
    """What one asked name came to."""

    tasks: dict[str, Task] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)


class PinnedFactory(TaskFactory):  # type: ignore[misc]  # lm_eval ships no types
    """The harness's factory with our hand on each task's config before its data are loaded."""

    def __init__(self, edit: Edit, made: Callable[[str], None]) -> None:
        super().__init__()
        self._edit, self._made = edit, made

    def _build_task(self, entry: Entry, overrides: dict[str, Any] | None) -> Task | Broken:
        name = str((overrides or {}).get("task", entry.name))
        try:
            _refuse_unsafe(entry, name)
            config = self._load_full_config(entry, overrides)
            name = str(config["task"])
            for key in ("tag", "group", "task_list"):
                config.pop(key, None)
            if "class" in config:
                raise BadInput(
                    f"task {name!r} is a Python class", where="suite", do="leave it out: only YAML tasks can be pinned"
                )
            task = ConfigurableTask(config=self._edit(config))
        except BenchproofError:
            raise  # a wrong setting is not the member's fault
        except OSError as error:  # nor is a network that failed, or a revision that is not there
            raise MissingInput(
                f"the data cannot be loaded: {_one_line(error)}",
                where=f"task {name}",
                do="check the revision, connect to the Hub, or leave the task out",
            ) from error
        except Exception as error:  # noqa: BLE001  # task code and data are foreign: whatever they raise is the reason
            log.warning("task %s cannot be made: %s", name, error)
            code = "dataset_missing" if "BuilderConfig" in str(error) else "task_broken"
            return Broken(name, code, _one_line(error))
        self._made(name)
        return task


class Catalog:
    """The harness's tasks by name: first the folders of the five benchmarks, the whole index if need be."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._root = Path(lm_eval.tasks.__file__).parent
        self._index: dict[str, Entry] = dict(_manager([self._root / folder for folder in FOLDERS]).task_index)
        self._whole = False

    def entry(self, name: str) -> Entry:
        """The entry of a name, or of a YAML file. Raises BadInput with the nearest name."""
        if name.endswith((".yaml", ".yml")):
            return self._from_path(Path(name))
        if name not in self._index and not self._whole:
            self._refuse_nobodys(name)
            self._say(f"looking for {name!r} in all of the harness's tasks (about 7 s)")
            self._index = dict(TaskManager().task_index) | self._index
            self._whole = True
        if name not in self._index:
            raise _unknown(name, set(self._index))
        return self._index[name]

    def make(
        self, name: str, edit: Edit, made: Callable[[str], None], overrides: Mapping[str, Any] | None = None
    ) -> Found:
        """All tasks and groups that a name stands for, data loaded."""
        factory = PinnedFactory(edit, made)
        entry = self.entry(name)
        built = factory.build(entry, overrides=dict(overrides or {}) or None, registry=self._index)
        found = Found()
        for item in built if isinstance(built, list) else [built]:
            self._collect(item, found)
        return found

    def size(self, name: str) -> int:
        """How many leaf tasks a name stands for, without loading anything."""
        entry = self.entry(name)
        match entry.kind:
            case Kind.TAG:
                return len(entry.tags)
            case Kind.GROUP:
                members = (entry.cfg or {}).get("task") or []
                return sum(self._member_size(member) for member in members)
            case _:
                return 1

    def _member_size(self, member: Any) -> int:
        if isinstance(member, dict) and isinstance(member.get("task"), list):
            return sum(self._member_size(inner) for inner in member["task"])
        name = member if isinstance(member, str) else member.get("task") or member.get("group")
        return self.size(name) if name in self._index else 1

    def _collect(self, item: Any, found: Found) -> None:
        if isinstance(item, Group):
            found.groups[item.name] = item
            for child in item:
                self._collect(child, found)
        elif isinstance(item, Broken):
            found.broken.append(item)
        else:
            found.tasks[item.task_name] = item

    def _refuse_nobodys(self, name: str) -> None:
        """Raises BadInput if no file of the harness has the name.

        Reading the files' text takes a second, indexing them seven.
        """
        named = set(self._index)
        for file in self._root.rglob("*.yaml"):
            named.update(NAMED.findall(file.read_text("utf-8", errors="replace")))
        if name not in named:
            raise _unknown(name, named)

    def _from_path(self, path: Path) -> Entry:
        try:
            entry = TaskIndex.entry_from_path(path)
        except Exception as error:  # a foreign file: whatever its reader raises, it is not a task
            raise BadInput(f"not a task YAML: {_one_line(error)}", where=str(path), do="mend the file") from error
        if entry is None:
            raise BadInput("no such task YAML", where=str(path), do="check the path, relative to the current directory")
        return entry


def benchmark_of(task: Task, harness_name: str) -> Benchmark:
    """The benchmark that a task belongs to, by the name of its definition in the harness."""
    for benchmark in BENCHMARKS:
        if benchmark.has(harness_name):
            return benchmark
    metric, filter_name = next(iter(task.aggregation())), task._filters[0].name
    return generic(task.task_name, metric, filter_name)


def _refuse_unsafe(entry: Entry, name: str) -> None:
    """A task that says it runs generated code is refused unread: the code in its YAML runs when that is loaded.

    humaneval's fetches more code from the Hub at that moment.
    """
    config = load_yaml(entry.yaml_path, resolve_func=False) if entry.yaml_path else entry.cfg
    if (config or {}).get("unsafe_code"):
        raise BadInput(
            "the task runs generated code without a sandbox", where=f"task {name}", do="leave it out of the suite"
        )


def _unknown(name: str, known: set[str]) -> BadInput:
    return BadInput(
        f"unknown task {name!r}{nearest(name, sorted(known))}",
        where="suite",
        do="give a task, group or tag of lm-eval, or the path of a task YAML",
    )


def _manager(folders: list[Path]) -> TaskManager:
    return TaskManager(include_defaults=False, include_path=[str(folder) for folder in folders])


def _one_line(error: Exception) -> str:
    """The error's first line, local paths and long lists taken out: it goes into the record."""
    text = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}".partition(" Available")[0]
    return re.sub(r"(/[\w.\-]+){2,}", "<path>", text)[:300]
