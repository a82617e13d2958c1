"""Answers of another run of equal measurements -> this run's journal: after a token budget had to be lowered, say.

Only whole ops of this plan are taken over, in an attempt of their own whose header says whose they are, so
that what is computed here and what was computed there never mix inside one op.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchproof.build import Built
from benchproof.errors import BadInput, MissingInput
from benchproof.infer import Found, journal_header, missing_ops
from benchproof.schema.plan import Plan
from benchproof.schema.unknown import Unknown
from benchproof.store.folder import JOURNAL, PLAN, read_plan
from benchproof.store.journal import JournalFile, JournalWriter, attempt_name, journal_paths, merge, read_journal

ELSEWHERE = Unknown(unknown="not_applicable", detail="the answers were given in another run, whose journals are named")


def adopt(plan: Plan, built: Built, found: Found, source: Path, folder: Path, wall: Callable[[], str]) -> int:
    """Takes over what the run folder `source` answers for whole ops of this plan; returns how many answers.

    Raises MissingInput if there is no run, BadInput if none of its measurements is one of this plan's.
    """
    theirs, files = _read(source)
    shared = _equal_tasks(plan, theirs)
    if not shared:
        raise BadInput(
            f"no task of {source} measures what this plan measures: {_difference(plan, theirs)}",
            where="--adopt",
            do="adopt from a run of the same model, tasks and settings",
        )
    answers = merge(files)
    wanted = {request.hash for request in built.requests if request.task in shared}
    usable = {key: value for key, value in answers.items() if key in wanted}
    ops = [op for op in missing_ops(built, found.answers) if all(built.requests[i].hash in usable for i in op.requests)]
    if not ops:
        return 0
    header = journal_header(plan, built, attempt=found.next_attempt, started=wall()) | {
        "environment": _last(files)["environment"],
        "loaded": (files[-1].end or {}).get("engine", _last(files)["loaded"]),
        "adopted_from": {
            "plan_id": theirs.plan_id,
            "journals": [{"name": file.path.name, "head": file.head} for file in files],
        },
    }
    path = folder / JOURNAL / attempt_name(0, 1, found.next_attempt)
    with JournalWriter(path, header) as journal:
        for op in ops:
            journal.append(op.index, [usable[built.requests[i].hash] for i in op.requests])
        journal.end({"ended": wall(), "engine": header["loaded"], "during": ELSEWHERE.model_dump()})
    return sum(len(op.requests) for op in ops)


def _read(source: Path) -> tuple[Plan, list[JournalFile]]:
    path = source / PLAN
    if not path.is_file():
        raise MissingInput("no run to adopt from: plan.json is not there", where=str(source), do="give a run folder")
    plan = read_plan(source)
    files = [read_journal(file) for file in journal_paths(source / JOURNAL)]
    files = [file for file in files if file.header]
    if not files:
        raise MissingInput("the run has no journal", where=str(source), do="run without --adopt")
    strange = next((file for file in files if file.header.get("plan_id") != plan.plan_id), None)
    if strange:
        raise BadInput("its journal is of another plan", where=str(strange.path), do="run without --adopt")
    return plan, files


def _equal_tasks(plan: Plan, theirs: Plan) -> set[str]:
    there = {pin.task: theirs.measurement_id(pin.task) for pin in theirs.ask.tasks}
    return {pin.task for pin in plan.ask.tasks if there.get(pin.task) == plan.measurement_id(pin.task)}


def _difference(plan: Plan, theirs: Plan) -> str:
    """The first thing that keeps the two apart, in words."""
    common = {pin.task for pin in plan.ask.tasks} & {pin.task for pin in theirs.ask.tasks}
    if not common:
        return "they have no task in common"
    same = any(plan.benchmark_id(task) == theirs.benchmark_id(task) for task in common)
    return "the model differs" if same else "tasks of one name are asked or marked in another way"


def _last(files: Sequence[JournalFile]) -> dict[str, Any]:
    return files[-1].header
