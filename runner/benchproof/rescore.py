"""Level 1: the rows of a run, made again from its journal by the harness, and compared. Needs the data, and no model.

With an `out` folder the new marks are a run folder of their own, whose record names the one that the answers are from:
for another version of the harness, or a machine that has the sandbox. The old folder is never touched.
"""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from benchproof import record as records
from benchproof.build import Built
from benchproof.errors import BadInput, MissingInput, NotComparable, VerificationFailed
from benchproof.infer import attempts
from benchproof.ladder import Side, TaskDifference, compare_task, differences
from benchproof.ports import Asking, Harness, Progress, Source, TaskPins
from benchproof.resolve import Resolved, left_out_of, mark_of
from benchproof.run import timestamp
from benchproof.schema.plan import PLACES, Plan
from benchproof.schema.record import Record
from benchproof.schema.request import Doc, Encoded
from benchproof.schema.response import Response
from benchproof.schema.spec import RunSpec, TaskAsk
from benchproof.schema.verdict import Verdict
from benchproof.score import Scores, score, write_samples
from benchproof.store import folder as folders
from benchproof.store.files import describe, locked, write_once
from benchproof.store.journal import JournalFile, journal_paths, merge, read_journal
from benchproof.store.rows import part_path, read_docs
from benchproof.verdict import VERDICT, Findings, about_record, verdict_on

FEW = 5  # rows and scores that a reason shows


@dataclass(frozen=True, slots=True)
class Marking:
    """What marks: a world without an engine."""

    harness: Harness
    source: Source
    progress: Progress
    version: str
    wall: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Rescored:
    """verdict: None where the run had no record to compare with. record: of the new folder, if one was asked for."""

    verdict: Verdict | None
    record: Record | None


def rescore(
    folder: Path,
    there: tuple[Record, str] | None,
    spec: RunSpec,
    tasks: Sequence[TaskAsk],
    by: Marking,
    out: Path | None,
) -> Rescored:
    """Marks the journal of a run folder again. there: its record and the sha256 of that file, if it was finished.

    Raises MissingInput for data or answers that are not there, VerificationFailed for data of another content,
    NotComparable for a harness that asks other requests, and whatever marking raises.
    """
    plan = folders.read_plan(folder) if there is None else there[0].effective
    pins = _load(plan, spec, tasks, by)
    here = Plan(ask=plan.ask, mark=mark_of(by.harness, pins))
    journals = [file for file in map(read_journal, journal_paths(folder / folders.JOURNAL)) if file.header]
    if not journals:
        raise MissingInput(
            "the run has no journal: nothing was answered", where=str(folder), do="give the whole folder"
        )
    built = _built(here, folder, by, whole=out is not None)
    _refuse_other_requests(here, plan, built, journals)
    answers = merge(journals)
    scores = score(here, built, answers, harness=by.harness, progress=by.progress)
    with ExitStack() as stack:
        target = out or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        record = None
        if out is None:
            write_samples(scores, answers, target)
        else:
            resolved = Resolved(here, left_out_of(pins), pins.notes)
            parent = None if there is None else there[0]
            record = _new_folder(folder, parent, spec, tasks, resolved, built, (journals, answers), scores, by, out)
        if there is None:
            return Rescored(None, record)
        findings = _compared(there[0], folder, here, scores, target)
    about = about_record(*there)
    verdict = verdict_on(about, "rescore", findings, created=timestamp(by.wall()), version=by.version)
    if out is not None:
        write_once(out / VERDICT, verdict.to_bytes())
    return Rescored(verdict, record)


def _load(plan: Plan, spec: RunSpec, tasks: Sequence[TaskAsk], by: Marking) -> TaskPins:
    """The tasks, whose data and prompts have to be those of the plan."""
    asking = Asking(
        fewshot_seed=spec.seeds.fewshot,
        generation_seed=spec.seeds.generation,
        chat=spec.model.chat_template == "model",
        system_prompt=spec.model.system_prompt,
    )
    pins = by.harness.load(tasks, asking, by.source, by.progress)
    found = {pin.task: pin for pin in pins.asks}
    for pin in plan.ask.tasks:
        if pin.task not in found:
            raise NotComparable(f"task {pin.task} is not asked by this harness", where="suite", do="use its version")
        a, b = pin.json_value(), found[pin.task].json_value()
        for key in ("docs_sha256", "fewshot_sha256"):
            if a["dataset"][key] != b["dataset"][key]:
                raise VerificationFailed(
                    f"the data differ from the record's: {key} {a['dataset'][key]} there, {b['dataset'][key]} here",
                    where=f"task {pin.task}",
                    do="take the data at the recorded commit",
                )
        other = [item for item in differences(a, b, "ask") if item.path.rpartition(".")[2] not in PLACES]
        if other:
            raise NotComparable(
                f"this harness asks otherwise: {other[0].path} is {other[0].there!r} there, {other[0].here!r} here",
                where=f"task {pin.task}",
                do="rescore with the harness version that the record names",
            )
    return pins


def _built(plan: Plan, folder: Path, by: Marking, *, whole: bool) -> Built:
    """The requests, built again from the data. Where a chat template was applied its text is taken from requests/.

    whole: with token ids, which only requests/ has.
    """
    docs: dict[str, list[Doc]] = {}
    encoded: list[Encoded] = []
    for pin in plan.ask.tasks:
        made = by.harness.build(pin.task, _untemplated if pin.chat.applied else None)
        if pin.chat.applied or whole:
            if not part_path(folder, "requests", pin.task).is_file():
                raise MissingInput("the requests are not at hand", where=str(folder), do="give the whole run folder")
            asked = list(read_docs(folder, pin.task))
            encoded += [item for _, items in asked for item in items]
            made = _as_asked(made, [doc for doc, _ in asked]) if pin.chat.applied else made
        docs[pin.task] = made
    requests = [request for found in docs.values() for doc in found for request in doc.requests]
    return Built(docs, requests, encoded, [])


def _untemplated(messages: list[dict[str, str]], add_generation_prompt: bool) -> str:
    """In place of a tokenizer's template: the harness needs some text to build with, and the asked one is on disk."""
    return "\n".join(message["content"] for message in messages)


def _as_asked(made: Sequence[Doc], asked: Sequence[Doc]) -> list[Doc]:
    """The harness's docs with the prompts that were asked. Raises NotComparable if anything but their text differs."""
    found = []
    for a, b in zip(made, asked, strict=False):
        contexts = {request.key: request.context for request in b.requests}
        requests = tuple(replace(r, context=contexts.get(r.key, "")).with_hash() for r in a.requests)
        if (a.doc_id, a.sha256, [r.hash for r in requests]) != (b.doc_id, b.sha256, [r.hash for r in b.requests]):
            raise NotComparable(
                f"doc {a.doc_id} was asked otherwise than this harness asks it",
                where=f"task {a.task}",
                do="rescore with the harness version that the record names",
            )
        found.append(replace(a, requests=requests))
    if len(found) != len(made) or len(made) != len(asked):
        raise NotComparable(
            f"{len(asked)} docs were asked, {len(made)} are there", where="requests", do="check the data"
        )
    return found


def _refuse_other_requests(here: Plan, there: Plan, built: Built, journals: Sequence[JournalFile]) -> None:
    digest = journals[0].header.get("requests_digest")
    if digest == built.requests_digest:
        return
    if here.mark.harness != there.mark.harness:
        raise NotComparable(
            f"this harness asks other requests: {dict(here.mark.harness)}, the run had {dict(there.mark.harness)}",
            where="requests",
            do="rescore with the harness version that the record names",
        )
    raise VerificationFailed(
        f"the answers are to requests {str(digest)[:12]}, and the plan makes {built.requests_digest[:12]}",
        where=str(journals[0].path),
        do="the record does not follow from its plan: do not trust it",
    )


def _compared(there: Record, folder: Path, plan: Plan, scores: Scores, target: Path) -> Findings:
    """Rows and scores of a record against those just made."""
    old, new = Side(there, folder), Side(there, target)
    found = {task: compare_task(task, old, new) for task in scores.samples}
    absent = [task for task in scores.samples if not old.has("samples", task)]
    rows = sum(len(item.pairs) for item in found.values())
    changed = {task: n for task, item in found.items() if (n := _changed(item))}
    stated = {_place(result): result.json_value() for result in there.results}
    made = {_place(result): result.json_value() for result in scores.results}
    moved = [key for key in {**stated, **made} if stated.get(key) != made.get(key)]
    other = differences(there.effective.mark.json_value(), plan.mark.json_value(), "mark")
    evidence: dict[str, Any] = {
        "rows": rows,
        "rows_that_differ": changed,
        "not_at_hand": absent,
        "scores": len(made),
        "scores_that_moved": [".".join(str(part) for part in key if part) for key in moved],
        "marked_otherwise": [item.told[:300] for item in other],
        "shown": [line for task in list(changed)[:FEW] for line in (f"task {task}", *found[task].shown)],
    }
    said = f"{rows} rows of {len(found) - len(absent)} tasks and {len(made)} scores are equal"
    if not changed and not moved:
        if other:
            return Findings(
                "same answers", [f"{said}, though marked otherwise: {evidence['marked_otherwise'][0]}"], [], evidence
            )
        return Findings("bitwise", [said], [], evidence)
    what = [f"task {task}: {n} of {len(found[task].pairs)} rows differ" for task, n in list(changed.items())[:FEW]]
    what += [f"score {name} is another" for name in evidence["scores_that_moved"][:FEW]]
    what += evidence["shown"][:FEW]
    if other:
        return Findings("not comparable", [f"marked otherwise: {evidence['marked_otherwise'][0]}", *what], [], evidence)
    return Findings("not reproduced", what, [], evidence)


def _changed(item: TaskDifference) -> int:
    differing = sum(
        (a.requests, a.responses, a.filtered, a.metrics, a.target)
        != (b.requests, b.responses, b.filtered, b.metrics, b.target)
        for a, b in item.pairs
    )
    return differing + item.only_there + item.only_here


def _place(result: Any) -> tuple[Any, ...]:
    return result.task, result.category, result.metric, result.filter


def _new_folder(
    source: Path,
    parent: Record | None,
    spec: RunSpec,
    tasks: Sequence[TaskAsk],
    resolved: Resolved,
    built: Built,
    answered: tuple[Sequence[JournalFile], Mapping[str, Response]],
    scores: Scores,
    by: Marking,
    out: Path,
) -> Record:
    """The run folder of the new marks: its own plan, samples and record; all else is the parent's, byte for byte."""
    journals, answers = answered
    spec_bytes = (source / folders.SPEC).read_bytes()
    folders.refuse_finished(out)
    folders.make(out)
    with locked(out):
        if folders.claim(out, resolved.plan.to_bytes(), spec_bytes):
            raise BadInput(
                "a rescoring was cut off there", where=str(out), do="remove the folder, or give another --out"
            )
        for file in journals:
            write_once(out / folders.JOURNAL / file.path.name, file.path.read_bytes())
        (out / "requests").mkdir(exist_ok=True)
        for pin in resolved.plan.ask.tasks:
            shutil.copyfile(part_path(source, "requests", pin.task), part_path(out, "requests", pin.task))
        files = write_samples(scores, answers, out)
        files += [describe(part_path(out, "requests", task), out, rows=len(docs)) for task, docs in built.docs.items()]
        names = [folders.PLAN, folders.SPEC, *(f"{folders.JOURNAL}/{file.path.name}" for file in journals)]
        files += [describe(out / name, out) for name in names]
        heads = ",".join(file.head for file in journals)
        made_from = {"relation": "rescore", "plan_id": str(journals[0].header["plan_id"]), "journal_heads": heads}
        done = records.assemble(
            spec,
            spec_bytes,
            tasks,
            resolved,
            built,
            dict(answers),
            scores,
            attempts=attempts(journals),
            phases=[],
            files=sorted(files, key=lambda file: file.path),
            model_name=spec.model.name or spec.model.repo or "a local model" if parent is None else parent.model_name,
            version=by.version,
            ended=timestamp(by.wall()),
            sandbox=by.harness.observed(),
            parents=[made_from if parent is None else {"record_id": parent.record_id, **made_from}],
        )
        write_once(out / folders.RECORD, done.to_bytes())
    return done
