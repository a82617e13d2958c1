"""RunSpec -> Plan: every revision a commit, every default an effective setting, every content a hash."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchproof.errors import BadInput
from benchproof.ports import Asking, Engine, Harness, Progress, Source, TaskPins
from benchproof.schema.plan import Ask, Mark, Plan
from benchproof.schema.spec import RunSpec, TaskAsk


@dataclass(frozen=True, slots=True)
class Resolved:
    """The plan, and what was found on the way that is in no id."""

    plan: Plan
    left_out: list[dict[str, str]]  # task, code, detail
    notes: list[tuple[str, str]]  # benchmark, note


def resolve(
    spec: RunSpec, tasks: Sequence[TaskAsk], *, engine: Engine, harness: Harness, source: Source, progress: Progress
) -> Resolved:
    """Pins everything. Raises BadInput, MissingInput, MachineError; a revision that cannot be resolved is one."""
    model = engine.pin_model(progress)
    asking = Asking(
        fewshot_seed=spec.seeds.fewshot,
        generation_seed=spec.seeds.generation,
        chat=spec.model.chat_template == "model",
        system_prompt=spec.model.system_prompt,
    )
    pins = harness.load(tasks, asking, source, progress)
    _refuse_equal_names(pins)
    generation = str(spec.seeds.generation)
    plan = Plan(
        ask=Ask(
            model=model,
            engine=engine.pin(),
            # One seed feeds every generator that is not the few-shot sampler; each is named for the record.
            seeds={
                "fewshot": str(spec.seeds.fewshot),
                "generation": generation,
                "python": generation,
                "numpy": generation,
                "torch": generation,
            },
            truncation=spec.truncation,
            packages=engine.packages(),
            tasks=pins.asks,
        ),
        mark=mark_of(harness, pins),
    )
    return Resolved(plan, left_out_of(pins), pins.notes)


def mark_of(harness: Harness, pins: TaskPins) -> Mark:
    """The half of a plan that decides scores from responses."""
    return Mark(
        harness=dict(harness.versions),
        packages=dict(harness.packages),
        tasks=pins.marks,
        groups=pins.groups,
        headlines=pins.headlines,
        left_out=[pin for pin, _ in pins.left_out],
    )


def left_out_of(pins: TaskPins) -> list[dict[str, str]]:
    """Tasks that cannot be run, with their reasons, as a record has them."""
    return [{"task": pin.task, "code": pin.code, "detail": detail} for pin, detail in pins.left_out]


def _refuse_equal_names(pins: TaskPins) -> None:
    """Two tasks of one name would answer for each other in the journal."""
    names = [pin.task for pin in pins.asks]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise BadInput(f"task {twice!r} is named twice", where="suite", do="name it once")
