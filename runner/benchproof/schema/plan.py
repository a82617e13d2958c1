"""Plan: the spec with everything resolved and pinned, in two halves, and the ids that follow from it.

*ask* decides requests and responses; *mark* decides what they are worth. The journal carries the
ask's id, so that a newer harness may mark old answers. No path, host or device stands in a plan.

Three nested ids (DESIGN): benchmark_id (one per task: the same questions, marked the same way) <
measurement_id (plus the model: the same thing measured) < plan_id (plus how: the same computation).
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from benchproof.schema.canonical import canonical, digest, sha256
from benchproof.schema.unknown import Known

PLAN_SCHEMA: Literal["benchproof/plan/v1"] = "benchproof/plan/v1"


class Pinned(BaseModel):
    """Base of everything that is pinned: frozen and closed; reals are decimal strings."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def json_value(self) -> dict[str, Any]:
        """As JSON types, ready for `canonical`."""
        return self.model_dump(mode="json")


class FilePin(Pinned):
    """One file by content. `size` in bytes."""

    path: str
    size: int
    sha256: str


class ModelContent(Pinned):
    """What makes a model that model: equal contents are the same model wherever they lie."""

    weights: list[FilePin]
    config_sha256: str
    generation_config_sha256: str | None
    tokenizer: list[FilePin]
    chat_template_sha256: str | None  # None: none is applied
    template_kwargs: dict[str, bool | int | str]
    system_prompt: str | None
    thinking: dict[str, Any] | None  # end_token and count_truncated of a model that reasons first
    adapter: list[FilePin]
    code: list[FilePin]  # Python that the model brings and that is run
    quantisation: dict[str, Any] | None  # as the checkpoint's config says


class ModelPin(Pinned):
    """The content, and where it was published. `commit` is None for a local folder.

    origins: part (tokenizer, adapter, code) -> `owner/name@commit`, for parts that came from elsewhere on the Hub.
    """

    content: ModelContent
    repo: str | None
    commit: str | None
    origins: dict[str, str]
    architecture: str
    parameters: Known[int]  # counted in the weight files' headers


class EnginePin(Pinned):
    """Effective settings of the engine: everything of its own that can move a bit."""

    name: Literal["hf", "replay"]
    dtype: str
    softmax_dtype: Literal["float32", "model"]
    token_budget: int
    generation_batch: int
    deterministic: bool
    attention: str  # sdpa | eager
    device_map: Literal["single", "balanced"]
    max_length: int  # tokens of context the model takes
    batching: str  # name and version of the algorithm that makes the ops
    neutralised: list[str]  # settings of the model's generation_config that are not applied
    journal_sha256: str | None = None  # replay: digest of the answers that are replayed


# Of a data set: where its rows were found. They are pinned by content: a mirror of them is the same.
PLACES = ("repo", "config", "commit")


class DatasetPin(Pinned):
    """Rows by content. `repo`, `config` and `commit` say where they were found, and are in no benchmark id."""

    repo: str  # owner/name on the Hub, or `rows` for a folder of rows
    config: str | None
    split: str
    fewshot_split: str | None
    commit: str | None
    docs_sha256: str  # chain over doc_sha256 of every row of the split, in order
    fewshot_sha256: str | None
    n_docs: int  # rows of the whole split


class ChatPin(Pinned):
    """Whether a chat template is applied (whose text is the model's), and how shots are laid out."""

    applied: bool
    fewshot_as_turns: bool


class TaskAskPin(Pinned):
    """The half of a task that decides its requests."""

    task: str
    dataset: DatasetPin
    output_type: str
    config: dict[str, Any]  # prompt templates, description, delimiters, few-shot settings; code by hash
    num_fewshot: int
    fewshot_seed: str | None  # None: nothing is drawn
    chat: ChatPin
    generation: dict[str, Any] | None  # effective: until, max_gen_toks, do_sample, temperature …
    repeats: int
    limit: int | None
    n_docs: int  # docs asked: limit or all


class TaskMarkPin(Pinned):
    """The half of a task that decides what its responses are worth."""

    task: str
    harness: str  # lm_eval | evalplus: whose version is the benchmark's
    version: str
    benchmark: str  # mmlu | gsm8k | truthfulqa | bigbench | bbh | the task's own name
    config: dict[str, Any]  # metrics, filters, process_results; code by hash
    metrics: list[str]
    filters: list[str]
    higher_is_better: dict[str, bool]
    oracles: dict[str, str]  # packages that compute its metrics -> version
    categories_sha256: str | None  # chain over the category of every doc asked


class GroupPin(Pinned):
    """A score over several tasks: the harness's own group, or an aggregate that is ours and says so."""

    name: str
    parent: str | None
    tasks: list[str]
    metrics: list[dict[str, Any]]  # metric, filters, weight_by_size
    defined_by: Literal["harness", "benchproof"]
    benchmark: str


class LeftOut(Pinned):
    """A task that was asked for and cannot be run: the others go on."""

    task: str
    code: Literal["dataset_missing", "task_broken", "not_generic"]


class Headline(Pinned):
    """The one score of a benchmark that is quoted alone, and why that one."""

    benchmark: str
    target: str  # a task or group
    metric: str
    filter: str
    reason: str


class Ask(Pinned):
    """Everything that decides requests and responses."""

    model: ModelPin
    engine: EnginePin
    seeds: dict[str, str]  # name -> decimal; each generator by its name
    truncation: Literal["warn", "refuse"]
    packages: dict[str, str]
    tasks: list[TaskAskPin]


class Mark(Pinned):
    """Everything that decides scores from responses."""

    harness: dict[str, str]  # name -> version
    packages: dict[str, str]
    tasks: list[TaskMarkPin]
    groups: list[GroupPin]
    headlines: list[Headline]
    left_out: list[LeftOut]


class Plan(Pinned):
    """See the module's docstring. `plan.json` is `to_bytes()`, and its sha256 is the plan id."""

    schema_: Literal["benchproof/plan/v1"] = Field(default=PLAN_SCHEMA, alias="schema")
    ask: Ask
    mark: Mark

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    def to_bytes(self) -> bytes:
        """The canonical JSON, which is what the plan id is the sha256 of."""
        return canonical(self.model_dump(mode="json", by_alias=True))

    @property
    def plan_id(self) -> str:
        """Equal ids mean the same computation."""
        return sha256(self.to_bytes())

    @property
    def ask_id(self) -> str:
        """Equal ids mean the same requests and the same way of answering them."""
        return digest(self.ask.json_value())

    def benchmark_id(self, task: str) -> str:
        """Equal ids mean the same questions, asked and marked the same way."""
        return benchmark_id(self.task_ask(task).json_value(), self.task_mark(task).json_value(), self.mark.harness)

    def measurement_id(self, task: str) -> str:
        """Equal ids mean the same thing measured, wherever the model's files were found."""
        return measurement_id(self.benchmark_id(task), self.ask.model.content.json_value())

    def task_ask(self, task: str) -> TaskAskPin:
        """The asking half of one task; KeyError if the plan has no such task."""
        return {pin.task: pin for pin in self.ask.tasks}[task]

    def task_mark(self, task: str) -> TaskMarkPin:
        """The marking half of one task; KeyError if the plan has no such task."""
        return {pin.task: pin for pin in self.mark.tasks}[task]

    def group_metric(self, group: str, metric: str, filter_name: str) -> dict[str, Any] | None:
        """How a group's score is aggregated (`GroupPin.metrics`); None if the plan has no such score."""
        return next(
            (
                spec
                for pin in self.mark.groups
                for spec in pin.metrics
                if (pin.name, spec["metric"], spec["filter"]) == (group, metric, filter_name)
            ),
            None,
        )

    @property
    def commits(self) -> dict[str, str]:
        """Repository -> commit, of everything that was taken from the Hub."""
        model = self.ask.model
        places = [(model.repo, model.commit)]
        places += [(repo, commit) for repo, _, commit in (origin.partition("@") for origin in model.origins.values())]
        places += [(task.dataset.repo, task.dataset.commit) for task in self.ask.tasks]
        return {repo: commit for repo, commit in places if repo and commit}

    @property
    def limited(self) -> bool:
        """True if any task is asked only in part: no score of this plan is a full score."""
        return any(task.limit is not None and task.n_docs < task.dataset.n_docs for task in self.ask.tasks)


def benchmark_id(ask: Mapping[str, Any], mark: Mapping[str, Any], harness: Mapping[str, str]) -> str:
    """The benchmark id of one task from JSON, as it stands in a file: a later version may know more fields."""
    dataset = {key: value for key, value in ask["dataset"].items() if key not in PLACES}
    # Only its own harness: MMLU is the same benchmark whether or not HumanEval is asked beside it.
    own = {name: version for name, version in harness.items() if name == mark["harness"]}
    return digest({"ask": {**ask, "dataset": dataset}, "mark": dict(mark), "harness": own})


def measurement_id(benchmark: str, content: Mapping[str, Any]) -> str:
    """The measurement id from a benchmark id and the model's content as JSON."""
    return digest({"benchmark": benchmark, "model": dict(content)})
