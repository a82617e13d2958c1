"""The noise floor: the same docs under other batches, kernels and dtypes. How many change, and how far a score moves.

Each variant is an ordinary run of the spec with fewer docs, compared with the first by the ladder. Variants of one
computation (again, other batches, other kernels) are benign: what they change, an honest re-run may change.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchproof.errors import BadInput
from benchproof.floor import engine_of
from benchproof.judge import score_pairs
from benchproof.ladder import Side, compare_task
from benchproof.reproduce import again
from benchproof.run import World, resolve_in, timestamp
from benchproof.schema.canonical import decimal
from benchproof.schema.score import Key
from benchproof.schema.spec import RunSpec, TaskAsk
from benchproof.schema.unknown import Unknown
from benchproof.schema.verdict import About, Verdict
from benchproof.store.files import write_once
from benchproof.verdict import VERDICT, Findings, kinds_of, verdict_on


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of computing the same. benign: an honest re-run may differ in this and in nothing else."""

    name: str
    what: str
    benign: bool
    settings: Mapping[str, Any]


def noise(
    spec: RunSpec, tasks: Sequence[TaskAsk], make: Callable[[RunSpec], World], *, docs: int, out: Path
) -> Verdict:
    """Runs every variant over the first `docs` of each task into a folder of its own under `out`; the verdict too.

    An interrupted measurement goes on with the same call. Raises BadInput for an engine that computes nothing.
    """
    if spec.engine.name == "replay":
        raise BadInput("a replayed run computes nothing", where="engine.name", do="measure the run that it replays")
    if (out / VERDICT).exists():
        raise BadInput("a measurement is there and is never overwritten", where=str(out), do="give another --out")
    fewer = [task.model_copy(update={"limit": min(task.limit or docs, docs)}) for task in tasks]
    world, first = _run(spec, fewer, make, out / "first")
    longest = max(
        item.n_tokens for pin in first.record.effective.ask.tasks for _, e in first.docs(pin.task) for item in e
    )
    found = []
    for variant in variants(spec, longest, cuda=world.engine.device.startswith("cuda")):
        changed = spec.model_copy(update={"engine": spec.engine.model_copy(update=dict(variant.settings))})
        world, side = _run(changed, fewer, make, out / variant.name)
        found.append(_differences(variant, first, side))
    floor = _floor(found)
    evidence = {
        "docs_of_each_task": docs,
        "engine": engine_of(first.record),
        "hardware": kinds_of(first.record)[-1],
        "variants": found,
        "floor": floor,
    }
    about = About(
        what="plan",
        record_id=Unknown(unknown="not_applicable", detail="noise is of a plan, not of one record"),
        plan_id=first.record.plan_id,
        sha256=Unknown(unknown="not_applicable", detail="noise is of a plan, not of one record"),
        model_name=first.record.model_name,
    )
    verdict = verdict_on(
        about,
        "noise",
        Findings("measured", list(_said(floor)), [], evidence),
        created=timestamp(world.wall()),
        version=world.version,
        environment=first.record.observed.attempts[-1].environment,
    )
    write_once(out / VERDICT, verdict.to_bytes())
    return verdict


def variants(spec: RunSpec, longest: int, *, cuda: bool) -> Iterator[Variant]:
    """What is varied. longest: tokens of the longest request, below which no batch can be."""
    engine = spec.engine
    budget = max(longest, engine.token_budget // 3)
    if budget == engine.token_budget:
        budget *= 2
    rows = max(1, engine.generation_batch // 3) if engine.generation_batch > 1 else 2
    yield Variant("again", "the same plan", True, {})
    yield Variant(
        "batches",
        f"batches of {budget} tokens and {rows} generations",
        True,
        {"token_budget": budget, "generation_batch": rows},
    )
    if cuda:  # elsewhere the flag has nothing to choose between
        other = not engine.deterministic
        yield Variant(
            "kernels", f"deterministic algorithms {'asked' if other else 'not asked'}", True, {"deterministic": other}
        )
    dtype = "bfloat16" if engine.dtype == "float32" else "float32"
    yield Variant("dtype", f"{dtype} instead of {engine.dtype}", False, {"dtype": dtype})


def _run(spec: RunSpec, tasks: Sequence[TaskAsk], make: Callable[[RunSpec], World], folder: Path) -> tuple[World, Side]:
    asks = [task.model_dump(mode="json", exclude_none=True) for task in tasks]
    value = spec.model_dump(mode="json", exclude_none=True) | {"suite": {"about": "a noise measurement", "tasks": asks}}
    small = RunSpec.model_validate(value)
    world = make(small)
    world.progress.say(f"noise: {folder.name}")
    data = json.dumps(value, indent=1).encode()  # JSON is YAML
    record, _ = again(small, data, tasks, world, folder, resolve_in(world, small, tasks))
    return world, Side(record, folder)


def _differences(variant: Variant, first: Side, side: Side) -> dict[str, Any]:
    """One variant against the first run: bits, log-likelihoods, and every score but those of categories."""
    found = {pin.task: compare_task(pin.task, first, side) for pin in side.record.effective.ask.tasks}
    stated = {r.place: r for r in first.record.results if r.level != "category"}
    scores = []
    for result in side.record.results:
        if result.level == "category" or result.place not in stated:
            continue
        pairs = score_pairs(result, side.record.effective, found)
        scores.append(
            {
                "task": result.task,
                "metric": result.metric,
                "filter": result.filter,
                "headline": result.headline,
                "benchmark": result.benchmark,
                "flips": 0 if pairs is None else pairs.discordant,
                "n": 0 if pairs is None else len(pairs.docs),  # 0: no mean over docs, so no rate
                "shift": decimal(float(result.value) - float(stated[result.place].value)),
            }
        )
    largest = max((item.likelihoods.largest for item in found.values() if item.likelihoods), default=0.0)
    return {
        "name": variant.name,
        "what": variant.what,
        "benign": variant.benign,
        "bits_equal": first.record.observed.answers_digest == side.record.observed.answers_digest,
        "answers_that_differ": sum(item.layers["answers"] or 0 for item in found.values()),
        "largest_likelihood_difference": decimal(largest),
        "scores": scores,
    }


def _floor(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each score: the most flips and the farthest shift of any benign variant."""
    most: dict[Key, dict[str, Any]] = {}
    for variant in found:
        for score in variant["scores"] if variant["benign"] else []:
            key = score["task"], score["metric"], score["filter"]
            known = most.setdefault(key, dict(score) | {"shift": "0.0", "flips": 0})
            known["flips"] = max(known["flips"], score["flips"])
            known["shift"] = decimal(max(float(known["shift"]), abs(float(score["shift"]))))
    return list(most.values())


def _said(floor: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for item in floor:
        if item["headline"]:
            points = 100 * float(item["shift"])
            flips = f"{item['benchmark']}: {item['flips']} of {item['n']} docs change"
            yield f"{flips}, the score moves by {points:.2f} points at most"
