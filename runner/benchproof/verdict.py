"""Findings -> Verdict: what a check came to, with who was checked, on what, and by which margin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from benchproof.errors import BadInput, MissingInput, VerificationFailed
from benchproof.schema.canonical import strict_loads
from benchproof.schema.observed import Attempt, Probe
from benchproof.schema.record import Record
from benchproof.schema.unknown import Known, Unknown
from benchproof.schema.verdict import About, Kind, Outcome, ScoreJudged, Verdict

VERDICT = "verdict.json"  # in the folder of whoever checked
KIND = ("machine", "cpu_model", "driver", "gpu_name", "gpu_mig")  # probes that make hardware of one kind
SIGNER = Unknown(unknown="not_applicable", detail="who vouches for a verdict is who signs it")
NO_MARGIN = Unknown(unknown="not_applicable", detail="no margin was declared")


@dataclass(frozen=True, slots=True)
class Margin:
    """How far a score may lie, in points, and who said so before the re-run."""

    points: float | None
    declared_by: Literal["record", "verifier", "nobody"]


NOBODY = Margin(None, "nobody")


@dataclass(frozen=True, slots=True)
class Findings:
    """What a comparison came to."""

    outcome: Outcome
    reasons: list[str]
    scores: list[ScoreJudged] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)


def about_record(record: Record, sha256: Known[str]) -> About:
    """A record of ours. sha256: of its file's bytes."""
    return About(
        what="record",
        record_id=record.record_id,
        plan_id=record.plan_id,
        sha256=sha256,
        model_name=record.model_name,
    )


def read_verdict(path: Path) -> Verdict:
    """A verdict's file. Raises MissingInput (3), VerificationFailed (1) if it was changed, BadInput (2) if none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingInput(f"cannot be read: {error.strerror}", where=str(path), do="give a verdict.json") from error
    value = strict_loads(data, where=str(path))
    try:
        verdict = Verdict.model_validate(value)
    except ValidationError as error:
        raise BadInput(
            "not a verdict of this version", where=str(path), do="give the verdict.json of a check"
        ) from error
    if verdict.to_bytes() != data or verdict.with_id().verdict_id != verdict.verdict_id:
        raise VerificationFailed("the verdict was changed", where=str(path), do="take the file from its source again")
    return verdict


def verdict_on(
    about: About,
    kind: Kind,
    findings: Findings,
    *,
    created: str,
    version: str,
    margin: Margin = NOBODY,
    environment: Sequence[Probe] = (),
    assumptions: Sequence[str] = (),
) -> Verdict:
    """The verdict, its id filled in. environment: of the machine that computed again; empty where nothing was."""
    return Verdict(
        kind=kind,
        outcome=findings.outcome,
        reasons=findings.reasons,
        about=about,
        created=created,
        benchproof=version,
        checked_by=SIGNER,
        margin_points=NO_MARGIN if margin.points is None else repr(margin.points),
        margin_declared_by=margin.declared_by,
        assumptions=list(assumptions),
        scores=findings.scores,
        evidence=findings.evidence,
        environment=list(environment),
    ).with_id()


def hardware_kind(environment: Sequence[Probe], engine: Mapping[str, Any]) -> dict[str, Any]:
    """What has to agree before bits, or a rate of benign flips, may be expected to: a kind of machine, not one machine.

    engine: `EngineObserved` as JSON.
    """
    probes = {probe.name: probe.json_value()["value"] for probe in environment if probe.name in KIND}
    return probes | {"threads": engine["threads"]}


def kinds_of(record: Record) -> list[dict[str, Any]]:
    """The kind of hardware of each attempt of a record."""
    return [_kind(attempt) for attempt in record.observed.attempts]


def _kind(attempt: Attempt) -> dict[str, Any]:
    return hardware_kind(attempt.environment, attempt.engine.json_value())
