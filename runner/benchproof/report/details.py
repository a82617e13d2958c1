"""The rest of a record as text: pins, ids, engine, environment, phases, attempts, warnings, unknowns."""

from collections.abc import Iterator
from typing import Any

from benchproof.report.tables import NO_SHIFTS, Shifts, by_key, show_results
from benchproof.report.text import count, out, short, size, table
from benchproof.schema.canonical import digest
from benchproof.schema.execution import SandboxProbe
from benchproof.schema.observed import Attempt, Probe
from benchproof.schema.plan import DatasetPin
from benchproof.schema.record import Record
from benchproof.schema.unknown import Unknown, is_unknown

FEW_PATHS = 4  # of equal unknowns; all of them are in --json
FEW_TASKS = 24  # more tasks than these have their ids in --json only


def show_record(record: Record, shifts: Shifts = NO_SHIFTS) -> None:
    """The whole record for a person. shifts: how far its scores move by themselves, where that was measured."""
    show_results(record, shifts)
    if shifts:
        out("\n± sampling: over other docs; ± numeric: the farthest a score moved in other batches, on this hardware")
    _pins(record)
    _ids(record)
    _engine(record)
    _observed(record)
    _warnings(record)


def _pins(record: Record) -> None:
    model = record.effective.ask.model
    place = f"{model.repo}@{model.commit}" if model.repo else "a local folder"
    out("\npinned", bold=True)
    out(f"  model   {place}; content {short(digest(model.content.json_value()))}")
    out(
        f"          {model.architecture}, {count(model.parameters)} parameters, "
        f"{size(sum(pin.size for pin in model.content.weights))} of weights in {len(model.content.weights)} file(s)"
    )
    template = model.content.chat_template_sha256
    out(f"          chat template {short(template) if template else 'none'}")
    for part, origin in model.origins.items():
        out(f"          {part} from {origin}")
    for what, files in (("adapter", model.content.adapter), ("code that was run", model.content.code)):
        if files:
            out(f"          {what}: {', '.join(f'{pin.path} {short(pin.sha256)}' for pin in files)}")
    if model.content.quantisation:
        out(f"          quantised: {model.content.quantisation.get('quant_method', 'see --json')}")
    if model.content.thinking:
        out(f"          reasons first, until {model.content.thinking['end_token']!r}")
    for line in _datasets(record):
        out(f"  data    {line}")
    harness = {**record.effective.mark.harness, **record.effective.mark.packages, **record.effective.ask.packages}
    out(f"  code    {', '.join(f'{name} {version}' for name, version in harness.items())}")


def _datasets(record: Record) -> Iterator[str]:
    """One line for each repository and commit; rows of one's own by content."""
    pins = [(_place(task.dataset), task) for task in record.effective.ask.tasks]
    for place, tasks in by_key(pins).items():
        docs = sum(task.dataset.n_docs for task in tasks)
        names = ", ".join(task.task for task in tasks[:3]) + (f" and {len(tasks) - 3} more" if len(tasks) > 3 else "")
        yield f"{place}: {count(docs)} docs of {names}"


def _place(pin: DatasetPin) -> str:
    return f"{pin.repo}@{pin.commit}" if pin.commit else "local rows, pinned by content"


def _ids(record: Record) -> None:
    out("\nids", bold=True)
    table(
        [
            ("  record", record.record_id),
            ("  plan", f"{record.plan_id}   equal: the same computation"),
            ("  ask", f"{record.ask_id}   equal: the same requests"),
        ]
    )
    if len(record.ids) > FEW_TASKS:
        out(f"  benchmark and measurement ids of {len(record.ids)} tasks: see --json")
        return
    table(
        [(f"  {item.task}", short(item.benchmark_id), short(item.measurement_id)) for item in record.ids],
        head=("  task", "benchmark", "measurement"),
    )


def _engine(record: Record) -> None:
    ask = record.effective.ask
    engine = ask.engine
    out("\nengine", bold=True)
    out(
        f"  {engine.name}, {engine.dtype}, softmax in {engine.softmax_dtype}, attention {engine.attention}, "
        f"context {engine.max_length}"
    )
    out(
        f"  token budget {engine.token_budget}, generation batch {engine.generation_batch}, "
        f"batching {engine.batching}, deterministic {'asked' if engine.deterministic else 'not asked'}"
    )
    out(f"  seeds: {', '.join(f'{name} {value}' for name, value in ask.seeds.items())}")
    for setting in engine.neutralised:
        out(f"  not applied of the checkpoint's generation settings: {setting}")


def _observed(record: Record) -> None:
    observed = record.observed
    out("\nobserved", bold=True)
    out(f"  {observed.started} to {observed.ended}, benchproof {record.benchproof}")
    out(f"  phases: {', '.join(f'{phase.name} {float(phase.seconds):.1f} s' for phase in observed.phases)}")
    prompts = sum(item.prompt_tokens for item in observed.tokens)
    out(f"  {count(sum(item.requests for item in observed.tokens))} requests, {count(prompts)} prompt tokens")
    if observed.resumed:
        out(f"  resumed: {len(observed.attempts)} attempts")
    if observed.mixed_hardware:
        out("  MIXED HARDWARE: the attempts ran on different machines; no claim of equal bits", bold=True)
    if not isinstance(observed.sandbox, Unknown):
        held = sum(SandboxProbe(**probe).held for probe in observed.sandbox["probes"])
        leaks = "".join(f"; {leak}" for leak in observed.sandbox["leaks"])
        out(
            f"  sandbox {observed.sandbox['tier']}: {held} of {len(observed.sandbox['probes'])} live probes held{leaks}"
        )
    for attempt in observed.attempts:
        _attempt(attempt)


def _attempt(attempt: Attempt) -> None:
    engine = attempt.engine
    out(
        f"  attempt {attempt.number}: {attempt.started} to {_known(attempt.ended)}, {count(attempt.responses)} answers"
        + (f", {attempt.torn_bytes} torn bytes ignored" if attempt.torn_bytes else "")
    )
    out(
        f"    {_known(engine.device)}, loaded in {_known(engine.dtype_loaded)}, {count(engine.forward_tokens)} tokens "
        f"in forwards, {count(engine.generated_tokens)} generated, peak memory {_peak(engine.peak_bytes)}"
    )
    refused = [d for d in engine.determinism if _known(d.asked) != _known(d.granted)]
    for flag in refused:
        out(f"    {flag.flag}: asked {_known(flag.asked)}, granted {_known(flag.granted)}")
    if attempt.adopted_from is not None:
        out(f"    adopted from the run of plan {short(attempt.adopted_from['plan_id'])}")
    probes = [*attempt.environment, *([] if isinstance(attempt.during, Unknown) else attempt.during)]
    known = [probe for probe in probes if not is_unknown(probe.value)]
    table([(f"    {probe.name}", _probe(probe)) for probe in known])
    unknown = by_key((_known(probe.value), probe.name) for probe in probes if is_unknown(probe.value))
    for reason, names in unknown.items():
        out(f"    {reason}: {', '.join(names)}")


def _peak(value: int | Unknown) -> str:
    return _known(value) if isinstance(value, Unknown) else size(value)


def _probe(probe: Probe) -> str:
    if isinstance(probe.value, dict):
        return f"{len(probe.value)} (see --json)"
    return f"{_known(probe.value)} {probe.unit}".rstrip()


def _known(value: Any) -> str:
    """A value, or why there is none."""
    if isinstance(value, dict) and is_unknown(value):
        return f"unknown ({value['unknown']}: {value['detail']})"
    if isinstance(value, Unknown):
        return f"unknown ({value.unknown}: {value.detail})"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)


def _warnings(record: Record) -> None:
    out("\nwarnings" if record.warnings else "\nno warnings", bold=True)
    for message, found in by_key((warned.message, warned) for warned in record.warnings).items():
        places = ", ".join(
            warned.where + (f" ({warned.count} of {warned.total})" if warned.count is not None else "")
            for warned in found[:4]
        )
        more = f" and {len(found) - 4} more" if len(found) > 4 else ""
        out(f"  {found[0].severity:<8} {message}: {places}{more}")
    if record.left_out:
        out("\nleft out", bold=True)
        table([(f"  {item['task']}", item["code"], item["detail"]) for item in record.left_out])
    if record.unknowns:
        out("\nunknown", bold=True)
        reasons = by_key((f"{item.code}: {item.detail}", item.path) for item in record.unknowns)
        for reason, paths in reasons.items():
            more = f" and {len(paths) - FEW_PATHS} more" if len(paths) > FEW_PATHS else ""
            out(f"  {reason}: {', '.join(paths[:FEW_PATHS])}{more}")
