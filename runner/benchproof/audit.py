"""Level 2: some of a record's answers, chosen by the verifier's nonce after the author committed to all, asked again.

Requests are asked *alone*, which is cheap, and compared within a tolerance that is declared here by dtype; what honest
numerics do to these very requests is measured on the spot, in other batches. Whole ops are compared bit for bit.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from benchproof import run as main_path
from benchproof.build import Built
from benchproof.errors import BadInput, MissingInput, VerificationFailed
from benchproof.infer import journal_header
from benchproof.ladder import Side, other_measurement
from benchproof.ports import Op
from benchproof.run import World
from benchproof.schema.observed import Probe
from benchproof.schema.plan import Plan
from benchproof.schema.record import Record
from benchproof.schema.response import Generated, Loglikelihood, Response
from benchproof.schema.spec import RunSpec, TaskAsk
from benchproof.schema.unknown import Unknown
from benchproof.schema.verdict import Verdict
from benchproof.stats.equivalence import allowed_mismatches, forged_share_upper
from benchproof.store.files import write_once
from benchproof.store.folder import JOURNAL, make
from benchproof.store.journal import JournalWriter, answers_digest, attempt_name, journal_paths, merge, read_journal
from benchproof.verdict import VERDICT, Findings, about_record, hardware_kind, kinds_of, verdict_on

# Nats by which a log-likelihood may move alone against in a batch, and the share of its own size. float32: measured on
# CPUs (docs/audit.md); the others follow from their spacing, and what they miss is counted as benign on the spot.
TOLERANCE: Mapping[str, tuple[float, float]] = {
    "float32": (1e-3, 1e-5),
    "float16": (0.1, 0.01),
    "bfloat16": (0.5, 0.02),
}
NONCE_BYTES = 16
FEW = 10  # mismatches that the evidence shows
Unit = Literal["requests", "ops"]


@dataclass(frozen=True, slots=True)
class Challenge:
    """How many of what, and the nonce that says which."""

    unit: Unit
    count: int
    nonce: bytes


def challenge(samples: int | None, ops: int | None, nonce: str) -> Challenge:
    """The verifier's words. Raises BadInput (2) for a number or a nonce that cannot be used."""
    try:
        value = bytes.fromhex(nonce)
    except ValueError as error:
        raise BadInput("the nonce is not hexadecimal", where="--nonce", do="take 32 hex digits of your own") from error
    if len(value) < NONCE_BYTES:
        raise BadInput(
            f"the nonce has {len(value)} bytes, it needs {NONCE_BYTES}",
            where="--nonce",
            do="give 32 or more hex digits",
        )
    if (samples is None) == (ops is None):
        raise BadInput("give exactly one of --samples and --ops", where="audit", do="--samples 300, say")
    count, option, unit = (ops, "--ops", "ops") if samples is None else (samples, "--samples", "requests")
    if count is None or count < 1:
        raise BadInput(f"{option} must be at least 1", where="audit", do="say 300")
    return Challenge(cast(Unit, unit), count, value)


def draw(digest: str, nonce: bytes, count: int, population: int) -> list[int]:
    """`count` different places of `population`, from the digest that the author committed to and the verifier's nonce.

    Place j follows from sha256(digest | nonce | u64 counter), big-endian, by rejection: no place is likelier than
    another, and nobody chooses. Raises BadInput if there are fewer than `count`.
    """
    if count > population:
        raise BadInput(f"{count} asked of {population} rows", where="audit", do=f"ask at most {population}")
    limit = (1 << 64) - (1 << 64) % population
    found: dict[int, None] = {}
    counter = 0
    while len(found) < count:
        block = hashlib.sha256(bytes.fromhex(digest) + nonce + counter.to_bytes(8, "big")).digest()
        value = int.from_bytes(block[:8], "big")
        if value < limit:
            found.setdefault(value % population)
        counter += 1
    return list(found)


def audit(
    there: Side, sha256: str, spec: RunSpec, tasks: Sequence[TaskAsk], world: World, asked: Challenge, *, out: Path
) -> Verdict:
    """Asks what the nonce chose, compares, and writes journal and verdict to `out`.

    Raises MissingInput without the record's journal, VerificationFailed if it does not hold the answers that the record
    commits to, BadInput for more than there are.
    """
    resolved, built = main_path.dry_run(spec, tasks, world)
    elsewhere = other_measurement(there.record.effective, resolved.plan)
    if elsewhere or built.requests_digest != there.record.observed.requests_digest:
        fields = [item.path for item in elsewhere] or ["requests_digest"]
        reason = f"another thing would be asked: {fields[0]} differs"
        return _verdict(there, sha256, Findings("not comparable", [reason], [], {"fields": fields}), world, [])
    recorded = _recorded(there, built)
    ops = _ops(there.record, built, asked)
    world.progress.say(price(there.record, built, ops, both=asked.unit == "requests"))
    environment = world.observer.start(world.engine.device, world.engine.device_uuid(), resolved.plan.plan_id)
    try:
        world.engine.load(world.progress)
        again = _journaled(world, resolved.plan, built, ops, environment, out)
        benign = _in_other_batches(world, built, ops) if asked.unit == "requests" else {}
    finally:
        world.observer.end()
    kind = hardware_kind(environment, world.engine.observed().json_value())
    same = resolved.plan.plan_id == there.record.plan_id and kind in kinds_of(there.record)
    findings = _judged(there.record, resolved.plan, built, ops, (recorded, again, benign), asked, bits_promised=same)
    verdict = _verdict(there, sha256, findings, world, environment)
    write_once(out / VERDICT, verdict.to_bytes())
    return verdict


def _verdict(there: Side, sha256: str, findings: Findings, world: World, environment: Sequence[Probe]) -> Verdict:
    created = main_path.timestamp(world.wall())
    about = about_record(there.record, sha256)
    return verdict_on(about, "audit", findings, created=created, version=world.version, environment=environment)


def price(record: Record, built: Built, ops: Sequence[Op], *, both: bool) -> str:
    """What it will cost, before it costs it: tokens, and minutes at the speed that the record itself shows."""
    tokens = sum(op.cost for op in ops) * (2 if both else 1)
    computed = sum(attempt.engine.forward_tokens for attempt in record.observed.attempts)
    seconds = sum(float(phase.seconds) for phase in record.observed.phases if phase.name == "infer")
    requests = sum(len(op.requests) for op in ops)
    rate = f"about {_time(tokens * seconds / computed)} at the record's own speed" if computed and seconds else ""
    share = 100 * requests / len(built.requests)
    return (
        f"{requests} requests ({share:.1f} %), at most {tokens} tokens, {rate or 'time unknown: the record has none'}"
    )


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{max(seconds, 1):.0f} s"


def tolerance(plan: Plan) -> tuple[float, float]:
    """Absolute and relative, of a log-likelihood of this plan's dtype."""
    return TOLERANCE.get(plan.ask.engine.dtype, TOLERANCE["bfloat16"])


def agrees(there: Response, here: Response, allowed: tuple[float, float]) -> bool:
    """Whether one answer can be the other: texts equal; log-likelihoods within tolerance, and greedy or not alike."""
    if isinstance(there, Loglikelihood) and isinstance(here, Loglikelihood):
        absolute, relative = allowed
        near = abs(there.loglikelihood - here.loglikelihood) <= absolute + relative * abs(there.loglikelihood)
        return near and there.is_greedy == here.is_greedy
    return isinstance(there, Generated) and isinstance(here, Generated) and there.text == here.text


def _recorded(there: Side, built: Built) -> dict[str, Response]:
    """The answers of the record's journal, which are those that the record commits to."""
    paths = [] if there.folder is None else journal_paths(there.folder / JOURNAL)
    if not paths:
        raise MissingInput(
            "the record's journal is not at hand", where=str(there.folder or "record"), do="give the whole run folder"
        )
    answers = merge(read_journal(path) for path in paths)
    gone = next((request for request in built.requests if request.hash not in answers), None)
    if gone is not None or answers_digest(built.requests, answers) != there.record.observed.answers_digest:
        raise VerificationFailed(
            "the journal does not hold the answers that the record commits to",
            where=str(there.folder),
            do="run `benchproof verify` on it, or copy it again from its source",
        )
    return answers


def _ops(record: Record, built: Built, asked: Challenge) -> list[Op]:
    """What is asked: drawn requests, each an op of its own; or drawn ops of the plan."""
    digest = record.observed.answers_digest
    if asked.unit == "ops":
        return [built.ops[i] for i in draw(digest, asked.nonce, asked.count, len(built.ops))]
    order = sorted(range(len(built.requests)), key=lambda i: built.requests[i].key)
    chosen = [order[i] for i in draw(digest, asked.nonce, asked.count, len(order))]
    return [Op(n, built.requests[i].kind, built.requests[i].task, (i,), _alone(built, i)) for n, i in enumerate(chosen)]


def _alone(built: Built, index: int) -> int:
    generation = built.requests[index].generation
    return built.encoded[index].n_tokens + (0 if generation is None else generation.max_gen_toks)


def _journaled(
    world: World, plan: Plan, built: Built, ops: Sequence[Op], environment: Sequence[Probe], out: Path
) -> dict[str, Response]:
    """The answers of now, in a journal of their own."""
    engine = world.engine
    header = journal_header(plan, built, attempt=0, started=main_path.timestamp(world.wall()))
    header |= {"environment": [probe.json_value() for probe in environment], "loaded": engine.observed().json_value()}
    make(out)
    with JournalWriter(out / JOURNAL / attempt_name(0, 1, 0), header) as journal:
        found = _answers(world, built, ops, "asking again", journal.append)
        during = [probe.json_value() for probe in world.observer.end()]
        ended = main_path.timestamp(world.wall())
        journal.end({"ended": ended, "engine": engine.observed().json_value(), "during": during})
    return found


def _answers(
    world: World, built: Built, ops: Sequence[Op], what: str, keep: Callable[[int, list[Response]], None]
) -> dict[str, Response]:
    found: dict[str, Response] = {}
    with world.progress.phase(what, total=sum(op.cost for op in ops), unit="tokens") as phase:
        for op in ops:
            responses = world.engine.answer(op, built.requests, built.encoded)
            keep(op.index, responses)
            found |= {response.request: response for response in responses}
            phase.advance(op.cost)
    return found


def _in_other_batches(world: World, built: Built, ops: Sequence[Op]) -> dict[str, Response]:
    """The same requests, batched with each other as the engine would batch them."""
    chosen = sorted(i for op in ops for i in op.requests)
    subset = Built({}, [built.requests[i] for i in chosen], [built.encoded[i] for i in chosen], [])
    ops = world.engine.ops(subset.requests, subset.encoded)
    return _answers(world, subset, ops, "the same in other batches", lambda index, responses: None)


def _judged(
    record: Record,
    plan: Plan,
    built: Built,
    ops: Sequence[Op],
    answers: tuple[Mapping[str, Response], Mapping[str, Response], Mapping[str, Response]],
    asked: Challenge,
    *,
    bits_promised: bool,
) -> Findings:
    """answers: recorded, asked again, and again in other batches. bits_promised: the same plan on the same hardware."""
    recorded, again, benign = answers
    bits = asked.unit == "ops"
    allowed = tolerance(plan)
    hashes = [built.requests[i].hash for op in ops for i in op.requests]
    differing = [key for key in hashes if not _same(recorded[key], again[key], bits, allowed)]
    explained = 0 if bits else sum(not agrees(again[key], benign[key], allowed) for key in hashes)
    units, population = (len(ops), len(built.ops)) if bits else (len(hashes), len(built.requests))
    bad = set(differing)
    mismatches = sum(any(built.requests[i].hash in bad for i in op.requests) for op in ops)
    limit = 0 if bits else allowed_mismatches(units, explained / units)
    bound = forged_share_upper(mismatches, units, population)
    of = {request.hash: request for request in built.requests}
    reasons = [
        f"{units - mismatches} of {units} {asked.unit} agree, {mismatches} do not; {limit} are allowed",
        f"at most {bound.count} of {population} {asked.unit} ({100 * bound.share:.2f} %) can be forged, at 95 %",
    ]
    evidence = {
        "challenge": {"unit": asked.unit, "count": asked.count, "nonce": asked.nonce.hex()},
        "answers_digest": record.observed.answers_digest,
        "tolerance": "bits" if bits else {"absolute": repr(allowed[0]), "relative": repr(allowed[1])},
        "matches": units - mismatches,
        "mismatches": mismatches,
        "benign": Unknown(unknown="not_applicable", detail="whole ops are compared bit for bit").model_dump()
        if bits
        else {"mismatches": explained, "of": units, "how": "the same requests in other batches, here and now"},
        "allowed": limit,
        "forged_at_most": {"count": bound.count, "share": repr(bound.share), "level": repr(bound.level)},
        "shown": [_shown(of[key], recorded[key], again[key]) for key in differing[:FEW]],
    }
    if mismatches <= limit:
        return Findings("held", reasons, [], evidence)
    if bits and not bits_promised:
        why = "bits are only promised by the same plan on the same kind of hardware, which this is not"
        return Findings("inconclusive", [*reasons, why], [], evidence)
    return Findings("failed", reasons, [], evidence)


def _same(there: Response, here: Response, bits: bool, allowed: tuple[float, float]) -> bool:
    return there == here if bits else agrees(there, here, allowed)


def _shown(request: Any, there: Response, here: Response) -> dict[str, Any]:
    place = {"task": request.task, "doc_id": request.doc_id, "choice": request.choice, "repeat": request.repeat}
    return place | {"there": there.json_value(), "here": here.json_value()}
