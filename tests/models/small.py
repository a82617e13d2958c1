"""Two tasks of the smoke suite over a model, the first two docs of each."""

from pathlib import Path
from typing import Any

from benchproof.schema.plan import Plan
from benchproof.schema.record import Record
from fakes.smoke import resolved, two, write_spec


def spec_of(folder: Path, **model: Any) -> dict[str, Any]:
    """A spec to change."""
    spec = two()
    spec["model"] = {"path": str(folder)} | model
    choices, texts = spec["suite"]["tasks"]
    choices |= {"limit": 2}
    texts |= {"limit": 2, "generation": {"max_gen_toks": 6}}
    return spec


def run_of(out: Path, spec: dict[str, Any]) -> Record:
    """The whole main path into `out`; the spec lies beside it."""
    from benchproof.wire import run_spec

    return run_spec(write_spec(out.parent, spec, out.name), out=out, device="cpu")


def plan_of(folder: Path, **model: Any) -> Plan:
    """What a spec over these two tasks comes to; no weights are loaded."""
    return resolved(spec_of(folder, **model)).plan


def measured_anew(before: Plan, after: Plan) -> None:
    """Another model under the same questions: the measurement and the plan moved, the benchmark did not."""
    for pin in before.ask.tasks:
        assert after.benchmark_id(pin.task) == before.benchmark_id(pin.task)
        assert after.measurement_id(pin.task) != before.measurement_id(pin.task)
    assert after.plan_id != before.plan_id
