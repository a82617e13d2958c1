"""asked + effective + observed + scores -> Record: assembled once, written last."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from benchproof.asked import asked
from benchproof.build import Built
from benchproof.resolve import Resolved
from benchproof.schema.canonical import decimal
from benchproof.schema.history import NEWEST_MINOR
from benchproof.schema.observed import Attempt, Phases
from benchproof.schema.plan import Plan
from benchproof.schema.record import FileDigest, Record, RunObserved, TaskIds, Tokens, UnknownAt
from benchproof.schema.response import Response
from benchproof.schema.score import Warned
from benchproof.schema.spec import RunSpec, TaskAsk
from benchproof.schema.unknown import Unknown, is_unknown
from benchproof.score import Scores, cut_short, unanswered
from benchproof.store.journal import answers_digest

NOTHING_RUN = Unknown(unknown="not_applicable", detail="no generated program was run")
NO_PUBLISHER = Unknown(unknown="not_applicable", detail="the spec names no publisher")


def assemble(
    spec: RunSpec,
    spec_bytes: bytes,
    tasks: Sequence[TaskAsk],
    resolved: Resolved,
    built: Built,
    answers: dict[str, Response],
    scores: Scores,
    *,
    attempts: Sequence[Attempt],
    phases: Sequence[tuple[str, float]],
    files: Sequence[FileDigest],
    model_name: str,
    version: str,
    ended: str,
    sandbox: dict[str, Any],
    parents: Sequence[dict[str, str]] = (),
) -> Record:
    """The whole record, its id filled in. parents: what it was made from, where its answers were given elsewhere."""
    plan = resolved.plan
    tokens = _tokens(built, answers)
    mixed_hardware = len({_hardware(attempt) for attempt in attempts}) > 1
    left_out = [*resolved.left_out, *scores.left_out]
    record = Record(
        schema_minor=NEWEST_MINOR,
        plan_id=plan.plan_id,
        ask_id=plan.ask_id,
        created=ended,
        status=_status(spec, plan, left_out),
        benchproof=version,
        model_name=model_name,
        asked=asked(spec, spec_bytes, tasks),
        effective=plan,
        ids=[
            TaskIds(
                task=pin.task,
                benchmark_id=plan.benchmark_id(pin.task),
                measurement_id=plan.measurement_id(pin.task),
            )
            for pin in plan.ask.tasks
        ],
        observed=RunObserved(
            started=attempts[0].started if attempts else ended,
            ended=ended,
            phases=[Phases(name=name, seconds=decimal(round(seconds, 3))) for name, seconds in phases],
            tokens=tokens,
            attempts=list(attempts),
            sandbox=sandbox or NOTHING_RUN,
            answers_digest=answers_digest(built.requests, answers),
            requests_digest=built.requests_digest,
            resumed=len([attempt for attempt in attempts if attempt.adopted_from is None]) > 1,
            mixed_hardware=mixed_hardware,
        ),
        results=scores.results,
        files=list(files),
        warnings=_warnings(plan, tokens, scores, resolved.notes, left_out, attempts, mixed_hardware, sandbox),
        left_out=left_out,
        unknowns=[],
        publisher=spec.publisher or NO_PUBLISHER,
        margin_points=decimal(spec.reproduce.margin_points),
        parents=list(parents),
    )
    record = record.model_copy(update={"unknowns": list(_unknowns(record.body(), ""))})
    return record.with_id()


def _status(spec: RunSpec, plan: Plan, left_out: Sequence[Any]) -> Any:
    if spec.model.path == "smoke" or spec.suite == "smoke":
        return "smoke"
    return "limited" if plan.limited or left_out else "complete"


def _tokens(built: Built, answers: Mapping[str, Response]) -> list[Tokens]:
    encoded = built.encoded_of()
    found = []
    for task, docs in built.docs.items():
        hashes = [request.hash for doc in docs for request in doc.requests]
        items = [encoded[key] for key in hashes]
        found.append(
            Tokens(
                task=task,
                requests=len(hashes),
                docs=len(docs),
                prompt_tokens=sum(item.n_tokens for item in items),
                truncated=sum(item.truncated > 0 for item in items),
                merged=sum(item.merged for item in items),
                no_bos=sum(item.no_bos for item in items),
                cut_short=cut_short(answers, hashes),
                unanswered=unanswered(answers, hashes),
            )
        )
    return found


def _hardware(attempt: Attempt) -> str:
    """What must be equal in all attempts before bits may be claimed."""
    keep = ("machine", "cpu_model", "driver", "gpu_name", "gpu_uuid_sha256", "gpu_mig")
    probes = [(probe.name, probe.value) for probe in attempt.environment if probe.name in keep]
    return repr([*probes, attempt.engine.threads])  # another number of threads may sum in another order


def _warnings(
    plan: Plan,
    tokens: Sequence[Tokens],
    scores: Scores,
    notes: Sequence[tuple[str, str]],
    left_out: Sequence[Mapping[str, str]],
    attempts: Sequence[Attempt],
    mixed_hardware: bool,
    sandbox: Mapping[str, Any],
) -> list[Warned]:
    found = [Warned(code="note", severity="info", where=benchmark, message=note) for benchmark, note in notes]
    for task in plan.ask.tasks:
        if task.limit is not None and task.n_docs < task.dataset.n_docs:
            found.append(
                Warned(
                    code="limited",
                    severity="serious",
                    where=task.task,
                    message="only the first docs were asked: not a score of the benchmark",
                    count=task.n_docs,
                    total=task.dataset.n_docs,
                )
            )
    counted = (
        ("truncated", "serious", "requests lost tokens on the left: the model's context is too short", "requests"),
        ("merged", "warn", "requests whose border the tokenizer joins: scored as lm-eval scores them", "requests"),
        (
            "no_bos",
            "warn",
            "prompts do not begin with the tokenizer's BOS: some models score far lower without it",
            "requests",
        ),
        ("unanswered", "serious", "generations ended while the model was still thinking: raise max_gen_toks", "docs"),
        ("cut_short", "warn", "generations ended at the token limit before a stop string or EOS", "docs"),
    )
    for item in tokens:
        for code, severity, message, of in counted:
            count = getattr(item, code)
            if count:
                total = getattr(item, of)
                found.append(
                    Warned(code=code, severity=severity, where=item.task, message=message, count=count, total=total)  # type: ignore[arg-type]
                )
    for task_name, count in scores.ties.items():
        if count:
            found.append(
                Warned(
                    code="ties",
                    severity="warn",
                    where=task_name,
                    message="docs whose best choices are exactly equal: the first counts as the pick",
                    count=count,
                    total=len(scores.samples[task_name]),
                )
            )
    for setting in plan.ask.engine.neutralised:
        found.append(
            Warned(
                code="neutralised",
                severity="warn",
                where="engine",
                message=f"the checkpoint's generation_config says {setting}; it is not applied",
            )
        )
    for attempt in attempts:
        if attempt.adopted_from is not None:
            message = (
                f"answers were adopted from the run of plan {attempt.adopted_from['plan_id'][:12]}: no bits are claimed"
            )
            found.append(
                Warned(code="adopted", severity="warn", where=attempt.journal, message=message, count=attempt.responses)
            )
    if mixed_hardware:
        message = "attempts ran on different hardware: no bits are claimed"
        found.append(Warned(code="mixed_hardware", severity="warn", where="attempts", message=message))
    if sandbox.get("tier") == "none":
        message = "generated programs were run WITHOUT A SANDBOX: they could have read answers or changed files"
        found.append(Warned(code="no_sandbox", severity="serious", where="humaneval", message=message))
    for left in left_out:
        found.append(Warned(code="left_out", severity="serious", where=left["task"], message=left["detail"]))
    return found


def _unknowns(value: Any, path: str) -> Any:
    """Every place in the record that holds an unknown."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, dict):
        if is_unknown(value):
            yield UnknownAt(path=path, code=value["unknown"], detail=value["detail"])
            return
        for key, item in value.items():
            yield from _unknowns(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknowns(item, f"{path}[{index}]")
