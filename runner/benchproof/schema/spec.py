"""RunSpec: what a person asked for. Few fields, good defaults, unknown keys refused.

Every knob that can move a score is here and never a command-line flag.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Text = Annotated[str, Field(min_length=1)]


class Asked(BaseModel):
    """Base of everything that is asked: frozen, closed, and without silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PlaceAsk(Asked):
    """A part of a model that lies elsewhere: an adapter, another tokenizer. Exactly one of `repo` and `path`."""

    repo: Text | None = None
    path: Text | None = None
    revision: Text = "main"

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        _one_of(self.repo, self.path)
        return self


class ModelAsk(Asked):
    """Which model, and how its prompts are laid out. Exactly one of `repo` and `path`."""

    repo: Text | None = None  # a Hub repository, owner/name
    path: Text | None = None  # a local folder, relative to the current directory; `smoke` ships with us
    revision: Text = "main"  # branch, tag or commit of `repo`; the plan resolves it to a commit
    name: Text | None = None  # how a local model is called in records; in no id
    adapter: PlaceAsk | None = None  # a PEFT adapter (LoRA), put on after loading
    tokenizer: PlaceAsk | None = None  # another tokenizer than the model's own
    trust_remote_code: bool = False  # run the model's own Python; its files and commit are pinned
    allow_pickle: bool = False  # load *.bin where there are no safetensors; a pickle is code
    chat_template: Literal["none", "model"] = "none"
    template_kwargs: dict[str, bool | int | str] = Field(default_factory=dict)
    system_prompt: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        _one_of(self.repo, self.path)
        if self.template_kwargs and self.chat_template == "none":
            raise ValueError("`template_kwargs` need `chat_template: model`")
        return self


def _one_of(repo: str | None, path: str | None) -> None:
    if (repo is None) == (path is None):
        raise ValueError("give exactly one of `repo` (on the Hub) and `path` (a local folder)")


class GenerationAsk(Asked):
    """Overrides of a task's own generation settings; what is absent stays the harness's."""

    max_gen_toks: Count | None = None
    until: list[Text] | None = None
    do_sample: bool | None = None
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Count | None = None


class TaskAsk(Asked):
    """One harness task, group or tag, or a task YAML of the user's own (named by its path)."""

    task: Text
    num_fewshot: Annotated[int, Field(ge=0)] | None = None  # None: the task's own number
    limit: Count | None = None  # the first N docs; the score is then marked as limited
    generation: GenerationAsk = GenerationAsk()
    repeats: Count | None = None
    revision: Text | None = None  # of the data set; None: `main`, resolved in the plan
    fewshot_as_turns: bool = True  # only with a chat template: each shot a turn, or all in one message
    like: Text | None = None  # the stock task whose definition is used over the rows in `data`
    data: Text | None = None  # a folder of <split>.jsonl; `smoke:` is the one that ships with us
    description: str | None = None  # replaces the description of `like`
    groups: list[Text] = Field(default_factory=list)  # our own aggregates it counts in, outermost first

    @model_validator(mode="after")
    def _like_needs_data(self) -> Self:
        named = self.data is not None and self.task == "humaneval"  # whose own release file it may name
        if (self.like is None) != (self.data is None) and not named:
            raise ValueError("`like` (a stock task) and `data` (a folder of rows) go together")
        if self.description is not None and self.like is None:
            raise ValueError("`description` goes with `like`; a stock task keeps its own")
        return self


class SuiteAsk(Asked):
    """A pinned choice of tasks and settings: the content of a file in configs/suites."""

    about: Text = "tasks listed in the spec"
    include: list[Text] = Field(default_factory=list)
    tasks: list[TaskAsk] = Field(default_factory=list)

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.tasks and not self.include:
            raise ValueError("no tasks: give `tasks` or `include` at least one entry")
        return self


class EngineAsk(Asked):
    """How it is answered. The batches follow from these numbers and the requests alone."""

    name: Literal["hf", "replay"] = "hf"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # auto: as the checkpoint says
    softmax_dtype: Literal["float32", "model"] = "float32"
    token_budget: Count = 4096  # tokens of one forward, padding counted
    generation_batch: Count = 32  # rows generated together
    device_map: Literal["single", "balanced"] = "single"  # balanced: layers over all visible GPUs, none elsewhere
    deterministic: bool = True
    journal: Text | None = None  # replay: the run folder whose answers are used

    @model_validator(mode="after")
    def _journal_is_for_replay(self) -> Self:
        if (self.name == "replay") != (self.journal is not None):
            raise ValueError("`journal` (a run folder) is needed by, and only by, `name: replay`")
        return self


class SeedsAsk(Asked):
    """`fewshot` draws the shots; `generation` seeds python, numpy, torch and every sampled text."""

    fewshot: Seed = 1234
    generation: Seed = 1234


class ReproduceAsk(Asked):
    """Declared before the run, for whoever checks it; in no id."""

    margin_points: Annotated[float, Field(gt=0, le=100)] = 1.0


class ThinkingAsk(Asked):
    """Models that reason first. Text up to the last `end_token` is kept in the journal and marked by no filter.

    count_truncated: a generation that ended before its end token counts as an empty answer; false: its
    thinking goes to the filters, as lm-eval does.
    """

    end_token: Text | None = None  # `</think>`, say; None: the model does not reason
    count_truncated: bool = True


class PublisherAsk(Asked):
    """Who vouches, and what they are to the model's developer (Every Eval Ever's words)."""

    organization: Text
    relationship: Literal["first_party", "third_party", "collaborative", "other"] = "third_party"
    url: Text | None = None


class RunSpec(Asked):
    """The whole question. Only `model` and `suite` are required."""

    model: ModelAsk
    suite: Text | SuiteAsk  # a name, a path, or the tasks themselves
    engine: EngineAsk = EngineAsk()
    seeds: SeedsAsk = SeedsAsk()
    truncation: Literal["warn", "refuse"] = "warn"
    thinking: ThinkingAsk = ThinkingAsk()
    sandbox: Literal["auto", "bubblewrap", "landlock", "none"] = "auto"  # where generated programs are run
    reproduce: ReproduceAsk = ReproduceAsk()
    publisher: PublisherAsk | None = None
