"""Checks of a record against itself: ids, plan, scores over several tasks, warnings. No other file is needed.

Each check is a function of the evidence that returns a short detail, or raises Differs. It recomputes from the record's
own JSON; the reader's copy of a formula stands here on purpose, apart from the code that wrote the record.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from benchproof.checks.evidence import Differs, Evidence
from benchproof.schema.canonical import canonical, decimal, digest
from benchproof.schema.plan import benchmark_id, measurement_id
from benchproof.schema.unknown import Unknown, is_unknown

HEX = re.compile(r"[0-9a-f]{64}")
MOMENT = "%Y-%m-%dT%H:%M:%SZ"
# What must be equal in all attempts before bits may be claimed, beside the number of threads.
HARDWARE = ("machine", "cpu_model", "driver", "gpu_name", "gpu_uuid_sha256", "gpu_mig")
CONTROLS = {"right": "pass", "wrong": "fail", "looping": "fail", "silent": "timeout"}
LAYERS = {"control", "seccomp", "rlimits", "launch", "all"}  # each with a live probe, beside the tier's own
TIERS = {"bubblewrap": "namespaces", "landlock": "landlock"}
# Warnings that follow from other fields: code -> severity, field of Tokens that is `total`.
COUNTED = {
    "truncated": ("serious", "requests"),
    "merged": ("warn", "requests"),
    "no_bos": ("warn", "requests"),
    "unanswered": ("serious", "docs"),
    "cut_short": ("warn", "docs"),
}
DERIVED = {*COUNTED, "limited", "neutralised", "adopted", "mixed_hardware", "no_sandbox", "left_out"}


def strict_json(e: Evidence) -> str:
    """One JSON document that every reader reads alike."""
    return f"{len(e.data)} bytes" if isinstance(e.value, dict) else ""


def schema(e: Evidence) -> str:
    """Every field there and of its type, none unknown; a newer version is an error (2)."""
    return f"{e.record.schema_}, minor {e.record.schema_minor}"


def canonical_form(e: Evidence) -> str:
    """The file is the one way to write its content."""
    try:
        written = canonical(e.value) + b"\n"
    except ValueError as error:
        raise Differs(f"it cannot be written canonically: {error}") from error
    hold(written == e.data, "the file is not the canonical form of its content")
    return ""


def record_id(e: Evidence) -> str:
    """The record's id is that of its content."""
    found = digest({key: item for key, item in e.raw.items() if key != "record_id"})
    hold(found == e.record.record_id, f"the content has the id {found[:12]}, the record says {e.record.record_id[:12]}")
    return found[:12]


def plan_id(e: Evidence) -> str:
    """Plan id and ask id are those of the plan in the record."""
    plan = e.raw["effective"]
    for name, said, part in (("plan_id", e.record.plan_id, plan), ("ask_id", e.record.ask_id, plan["ask"])):
        found = digest(part)
        hold(found == said, f"the plan has the {name} {found[:12]}, the record says {said[:12]}")
    return e.record.plan_id[:12]


def ids(e: Evidence) -> str:
    """Benchmark and measurement ids of every task follow from the plan."""
    plan = e.raw["effective"]
    marks = {mark["task"]: mark for mark in plan["mark"]["tasks"]}
    expected = []
    for ask in plan["ask"]["tasks"]:
        benchmark = benchmark_id(ask, marks.get(ask["task"], {"harness": ""}), plan["mark"]["harness"])
        measured = measurement_id(benchmark, plan["ask"]["model"]["content"])
        expected.append({"task": ask["task"], "benchmark_id": benchmark, "measurement_id": measured})
    strange = [said["task"] for said in e.raw["ids"] if said not in expected]
    hold(not strange and len(expected) == len(e.raw["ids"]), f"ids of {', '.join(strange) or 'a task'} do not follow")
    return f"{len(expected)} tasks"


def plan(e: Evidence) -> str:
    """The plan is one that can be run: every task once, asked and marked, its docs within its data."""
    asked, marked = e.plan.ask.tasks, e.plan.mark.tasks
    names = [pin.task for pin in asked]
    hold(bool(names) and len(set(names)) == len(names), "a task stands twice in the plan, or none stands there")
    hold(names == [pin.task for pin in marked], "the tasks that are marked are not those that are asked")
    for pin in asked:
        docs = min(pin.limit or pin.dataset.n_docs, pin.dataset.n_docs)
        hold(pin.n_docs == docs and docs > 0, f"{pin.task}: {pin.n_docs} docs where its data and limit give {docs}")
    for group in e.plan.mark.groups:
        hold(set(group.tasks) <= set(names), f"group {group.name} has a task that is not in the plan")
    return f"{len(names)} tasks, {sum(pin.n_docs for pin in asked)} docs"


def asked(e: Evidence) -> str:
    """What the spec declared is what the record and the plan hold: margin, publisher, seeds, truncation."""
    spec, ask = e.record.asked.spec, e.raw["effective"]["ask"]
    seeds = {key: spec.get("seeds", {}).get("generation" if key != "fewshot" else key) for key in ask["seeds"]}
    pairs: list[tuple[str, Any, Any]] = [
        ("margin_points", spec.get("reproduce", {}).get("margin_points"), e.record.margin_points),
        ("truncation", spec.get("truncation"), ask["truncation"]),
        *((f"seed {key}", None if seed is None else str(seed), ask["seeds"][key]) for key, seed in seeds.items()),
    ]
    for name, said, found in pairs:
        hold(said is None or said == found, f"{name} was asked as {said}, the record has {found}")
    publisher = {key: item for key, item in e.raw["publisher"].items() if item is not None}
    hold(publisher == spec["publisher"] if "publisher" in spec else is_unknown(publisher), "another publisher")
    return ""


def status(e: Evidence) -> str:
    """Complete, limited or smoke, as plan, spec and what was left out say."""
    spec = e.record.asked.spec
    smoke = spec.get("model", {}).get("path") == "smoke" or spec.get("suite") == "smoke"
    found = "smoke" if smoke else "limited" if e.plan.limited or e.record.left_out else "complete"
    hold(found == e.record.status, f"the run is {found}, the record says {e.record.status}")
    return found


def left_out(e: Evidence) -> str:
    """What the plan leaves out is listed; what failed in marking is a task of the plan, and has no score."""
    listed = {(left.get("task"), left.get("code")) for left in e.record.left_out}
    planned = {(left.task, left.code) for left in e.plan.mark.left_out}
    hold(planned <= listed, "a task that the plan leaves out is not listed")
    names = {pin.task for pin in e.plan.ask.tasks}
    for task, code in listed - planned:
        hold(task in names and code == "task_broken", f"{task} is left out, and is no task of the plan")
    scored = {result.task for result in e.record.results}
    hold(not scored & {task for task, _ in listed}, "a task that is left out has a score")
    return f"{len(listed)} tasks" if listed else ""


def times(e: Evidence) -> str:
    """What began ended later, and the record came last."""
    seen = e.record.observed
    started, ended, created = map(_moment, (seen.started, seen.ended, e.record.created))
    hold(started <= ended <= created, f"started {seen.started}, ended {seen.ended}, recorded {e.record.created}")
    for attempt in seen.attempts:
        begin = _moment(attempt.started)
        end = ended if isinstance(attempt.ended, Unknown) else _moment(attempt.ended)
        hold(begin <= end <= created, f"attempt {attempt.number} started {attempt.started}, ended {attempt.ended}")
    for phase in seen.phases:
        hold(number(phase.seconds) >= 0, f"phase {phase.name} took {phase.seconds} s")
    return f"{seen.started} to {seen.ended}"


def attempts(e: Evidence) -> str:
    """Resumed and mixed hardware are what the attempts say."""
    found = e.raw["observed"]["attempts"]
    numbers = [attempt["number"] for attempt in found]
    hold(numbers == sorted(set(numbers)), "attempts are not numbered in order")
    resumed = sum(attempt["adopted_from"] is None for attempt in found) > 1
    hold(resumed == e.record.observed.resumed, f"resumed is {e.record.observed.resumed}, the attempts say {resumed}")
    mixed = len({_hardware(attempt) for attempt in found}) > 1
    said = e.record.observed.mixed_hardware
    hold(mixed == said, f"mixed_hardware is {said}, the attempts say {mixed}")
    return f"{len(found)}"


def _hardware(attempt: dict[str, Any]) -> bytes:
    probes = [[probe["name"], probe["value"]] for probe in attempt["environment"] if probe["name"] in HARDWARE]
    return canonical([*probes, attempt["engine"]["threads"]])


def unknowns(e: Evidence) -> str:
    """Every unknown in the record is in its list."""
    rest = {key: item for key, item in e.raw.items() if key not in ("unknowns", "record_id")}
    found = sorted(_unknowns(rest, ""))
    said = sorted((item["path"], item["code"], item["detail"]) for item in e.raw["unknowns"])
    differ = next((path for path, *_ in (*found, *said) if found.count(path) != said.count(path)), "")
    first = next((item for item in (*found, *said) if (item in found) != (item in said)), None)
    hold(found == said, f"the list and the record differ at {first[0] if first else differ}")
    return f"{len(found)}"


def _unknowns(value: Any, path: str) -> Iterator[tuple[str, str, str]]:
    if is_unknown(value):
        yield path, value["unknown"], value["detail"]
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _unknowns(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknowns(item, f"{path}[{index}]")


def warnings(e: Evidence) -> str:
    """Every warning that follows from plan, counts, attempts and sandbox is there, as severe as it is, and no other."""
    said: list[tuple[str, str, str, int, int]] = sorted(
        (w.code, w.where, w.severity, w.count or 0, w.total or 0) for w in e.record.warnings if w.code in DERIVED
    )
    expected = sorted(_expected_warnings(e))
    odd = next((item for item in (*expected, *said) if expected.count(item) != said.count(item)), None)
    word = "missing" if odd in expected else "not what follows"
    hold(odd is None, f"warning `{odd[0]}` of {odd[1]} is {word}" if odd else "")
    return f"{len(e.record.warnings)}"


def _expected_warnings(e: Evidence) -> Iterator[tuple[str, str, str, int, int]]:
    for pin in e.plan.ask.tasks:
        if pin.n_docs < pin.dataset.n_docs:
            yield "limited", pin.task, "serious", pin.n_docs, pin.dataset.n_docs
    for tokens in e.record.observed.tokens:
        for code, (severity, of) in COUNTED.items():
            if count := getattr(tokens, code):
                yield code, tokens.task, severity, count, getattr(tokens, of)
    for _ in e.plan.ask.engine.neutralised:
        yield "neutralised", "engine", "warn", 0, 0
    for attempt in e.record.observed.attempts:
        if attempt.adopted_from is not None:
            yield "adopted", attempt.journal, "warn", attempt.responses, 0
    if e.record.observed.mixed_hardware:
        yield "mixed_hardware", "attempts", "warn", 0, 0
    if not isinstance(e.record.observed.sandbox, Unknown) and e.record.observed.sandbox.get("tier") == "none":
        yield "no_sandbox", "humaneval", "serious", 0, 0
    for left in e.record.left_out:
        yield "left_out", left.get("task", ""), "serious", 0, 0


def sandbox(e: Evidence) -> str:
    """Where programs were marked: a tier as asked for, with a live probe of each layer that held."""
    facts = _sandbox(e)
    if facts is None:
        return "no program was run"
    tier, asked = facts.get("tier"), {mark.config.get("sandbox") for mark in _programs(e)}
    hold(tier == "none" if "none" in asked else tier in TIERS, f"tier {tier!r} where {asked} was asked for")
    hold(asked <= {"auto", tier}, f"tier {tier!r} where {asked} was asked for")
    if tier == "none":
        return "none: programs ran unprotected"
    probes = facts.get("probes") or []
    try:
        broken = [probe["name"] for probe in probes if probe["seen"] not in probe["expected"].split("|")]
        layers = {probe["layer"] for probe in probes}
    except (TypeError, KeyError, AttributeError) as error:
        raise Differs("its probes are not in the form of probes") from error
    hold(not broken, f"probe {', '.join(broken)} did not hold")
    missing = {*LAYERS, TIERS[str(tier)]} - layers
    hold(not missing, f"no live probe of {', '.join(sorted(missing))}")
    return f"{tier}, {len(probes)} probes"


def controls(e: Evidence) -> str:
    """Where programs were marked: programs of known verdicts came out as they must."""
    facts = _sandbox(e)
    if facts is None:
        return "no program was run"
    found = facts.get("controls")
    expected = [{"name": name, "expected": verdict, "seen": verdict} for name, verdict in CONTROLS.items()]
    complete = isinstance(found, list) and all(control in found for control in expected)
    hold(complete and len(found or []) == len(expected), "controls are missing, or came out otherwise")
    return f"{len(expected)}"


def _programs(e: Evidence) -> list[Any]:
    return [mark for mark in e.plan.mark.tasks if mark.harness == "evalplus" and mark.task in e.scored]


def _sandbox(e: Evidence) -> dict[str, Any] | None:
    """The sandbox's facts; None where no program was run, and none is claimed."""
    found = e.record.observed.sandbox
    if not _programs(e):
        known = isinstance(found, Unknown) and found.unknown == "not_applicable"
        left = any(mark.harness == "evalplus" for mark in e.plan.mark.tasks)
        hold(known or left, "a sandbox is described, and no task runs programs")
        return None
    if isinstance(found, Unknown):
        raise Differs("programs were marked, and nothing is said of their sandbox")
    return found


def supersedes(e: Evidence) -> str:
    """What the record supersedes is not itself, nor superseded by a chain that leads back to it."""
    own, seen = e.record.record_id, set[str]()
    strange = [other for other in e.record.supersedes if not HEX.fullmatch(other)]
    hold(not strange, f"{', '.join(strange)[:40]!r} is no record id")
    waiting = list(e.record.supersedes)
    while waiting:
        other = waiting.pop()
        hold(other != own, "the record supersedes itself, directly or in a circle")
        if other not in seen:
            seen.add(other)
            waiting += e.history.get(other, [])
    return f"{len(seen)}" if seen else ""


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text, MOMENT)
    except ValueError as error:
        raise Differs(f"{text[:40]!r} is no moment in UTC") from error


def number(text: str) -> float:
    """A decimal as the record writes them. Raises Differs for NaN, infinity and any other spelling."""
    try:
        value = float(text)
        if decimal(value) == text:
            return value
    except ValueError:
        pass
    raise Differs(f"{text[:40]!r} is not how a number is written")


def hold(holds: bool, otherwise: str) -> None:
    """Raises Differs, in the words `otherwise`, where something does not hold."""
    if not holds:
        raise Differs(otherwise)
