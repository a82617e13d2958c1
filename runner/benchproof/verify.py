"""Record -> what can be shown of it without the model, the data or the harness: proof level 0.

CHECKS is the whole list, in the order in which it is told; docs/verify.md says what each shows. Every check is told,
not only the first that fails. What cannot be read is told once, by the check that is about it; checks that need it are
`not checked`, and so are those whose files are not at hand.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchproof.checks import claims, tallies, traces, vouched
from benchproof.checks.evidence import Differs, Evidence, Unread
from benchproof.proof.keys import PublicKey
from benchproof.proof.signatures import Signature

Outcome = Literal["ok", "failed", "not checked"]
NOBODY: Mapping[str, PublicKey] = {}
CHECKS: tuple[tuple[str, Callable[[Evidence], str]], ...] = (
    ("strict-json", claims.strict_json),
    ("schema", claims.schema),
    ("canonical", claims.canonical_form),
    ("record-id", claims.record_id),
    ("plan-id", claims.plan_id),
    ("ids", claims.ids),
    ("plan", claims.plan),
    ("asked", claims.asked),
    ("status", claims.status),
    ("left-out", claims.left_out),
    ("times", claims.times),
    ("attempts", claims.attempts),
    ("unknowns", claims.unknowns),
    ("warnings", claims.warnings),
    ("sandbox", claims.sandbox),
    ("controls", claims.controls),
    ("supersedes", claims.supersedes),
    ("results", tallies.results),
    ("groups", tallies.groups),
    ("paths", traces.paths),
    ("present", traces.present),
    ("files", traces.files),
    ("plan-file", traces.plan_file),
    ("spec-file", traces.spec_file),
    ("docs", traces.docs),
    ("doc-hashes", traces.doc_hashes),
    ("request-hashes", traces.request_hashes),
    ("settings", traces.settings),
    ("requests-digest", traces.requests_digest),
    ("tokens", traces.tokens),
    ("journal-chain", traces.journal_chain),
    ("journal-heads", traces.journal_heads),
    ("journal-plan", traces.journal_plan),
    ("answers", traces.answers),
    ("answers-digest", traces.answers_digest),
    ("endings", traces.endings),
    ("rows", tallies.rows),
    ("row-requests", tallies.row_requests),
    ("row-answers", tallies.row_answers),
    ("picks", tallies.picks),
    ("values", tallies.values),
    ("aggregates", tallies.aggregates),
    ("other-aggregates", tallies.other_aggregates),
    ("signatures", vouched.signatures),
    ("required-signers", vouched.required_signers),
)
# What a value of another form than this version writes comes to, where a record or a row may hold any JSON.
MALFORMED = (
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    ZeroDivisionError,
)


@dataclass(frozen=True, slots=True)
class Check:
    """One check and what came of it. detail: what was found, what differs, or what is not at hand."""

    name: str
    result: Outcome
    detail: str


@dataclass(frozen=True, slots=True)
class Verification:
    """One record's checks, in the order of CHECKS."""

    record: Path
    record_id: str
    checks: tuple[Check, ...]
    signatures: tuple[Signature, ...] = ()

    def named(self, result: Outcome) -> list[str]:
        """Names of the checks that came to a result."""
        return [check.name for check in self.checks if check.result == result]

    @property
    def exit_code(self) -> int:
        """0; 1 if any check failed; 3 if all that failed is that a file is missing."""
        failed = self.named("failed")
        return 0 if not failed else 3 if failed == ["present"] else 1


def verify(path: Path, checks: Sequence[tuple[str, Callable[[Evidence], str]]] = CHECKS) -> Verification:
    """Checks of the record at a path: record.json, or its run folder.

    Raises MissingInput (3) if there is none, BadInput (2) for a record or journal of a newer version.
    """
    return verify_all([path], checks)[0]


def verify_all(
    paths: Sequence[Path],
    checks: Sequence[tuple[str, Callable[[Evidence], str]]] = CHECKS,
    *,
    trusted: Mapping[str, PublicKey] = NOBODY,
    required: Sequence[str] = (),
) -> list[Verification]:
    """The same for several records, which are also looked at together: none supersedes itself by way of others.

    trusted: name -> key, from the reader's own store. required: names or key ids of those who must have signed.
    """
    found = [Evidence(path) for path in paths]
    for evidence in found:
        evidence.trusted, evidence.required = trusted, required
    history: dict[str, list[str]] = {}
    for evidence in found:
        try:
            history[evidence.record.record_id] = evidence.record.supersedes
        except Unread:
            continue  # its own checks say so
    done = []
    for evidence in found:
        evidence.history = history
        told = tuple(_checked(name, check, evidence) for name, check in checks)
        done.append(Verification(evidence.file, _id(evidence), told, tuple(evidence.signatures)))
        evidence.forget()
    return done


def _checked(name: str, check: Callable[[Evidence], str], evidence: Evidence) -> Check:
    try:
        return Check(name, "ok", check(evidence))
    except Differs as difference:
        return Check(name, "failed", str(difference))
    except Unread as stopped:
        if stopped.owner == name:
            return Check(name, "failed", str(stopped))
        by = f" (see {stopped.owner})" if stopped.owner else ""
        return Check(name, "not checked", f"{stopped}{by}")
    except MALFORMED as error:
        return Check(name, "failed", f"not in the form that this version writes: {error!r}"[:300])


def _id(evidence: Evidence) -> str:
    try:
        return evidence.record.record_id
    except Unread:
        return ""
