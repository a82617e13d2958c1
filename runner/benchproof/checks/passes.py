"""One pass over a file of requests/ or samples/: what its rows come to, and the first fault of each kind.

A full run has 200 MB of prompts: they are hashed and dropped, row by row. A fault is kept under the name of the check
that tells it; what stops the reading itself is an error.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from benchproof.checks.recount import UNIT, is_mean
from benchproof.schema.canonical import decimal, doc_sha256
from benchproof.schema.plan import TaskAskPin, TaskMarkPin
from benchproof.schema.request import Encoded, Request, request_hash
from benchproof.schema.response import Loglikelihood, Response
from benchproof.store.rows import Row, read_docs, read_rows

CHOOSING = ("multiple_choice", "loglikelihood")
SETTINGS = ("until", "max_gen_toks", "temperature", "top_p", "top_k")


@dataclass(frozen=True, slots=True)
class AskedRequest:
    """A request without its texts. tokens: of the continuation; None for a generation."""

    hash: str
    choice: int
    repeat: int
    tokens: int | None


@dataclass(frozen=True, slots=True)
class AskedDoc:
    """One doc of requests/ without its texts."""

    doc_id: int
    sha256: str
    category: str | None
    target: Any
    requests: tuple[AskedRequest, ...]


@dataclass(slots=True)
class Asked:
    """A task's requests. counts: the fields of Tokens that the file tells. faults: check -> the first thing wrong."""

    docs: list[AskedDoc] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Marked:
    """A task's scored rows. columns: (filter, metric, category or None for all docs) -> values in row order."""

    rows: int = 0
    columns: dict[tuple[str, str, str | None], list[Any]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


def requests(folder: Path, pin: TaskAskPin, *, own_hash: bool) -> Asked:
    """The requests of a task. own_hash: a doc's hash is over the row that the file holds.

    Raises MissingInput (3), VerificationFailed (1) for what is no row.
    """
    found = Asked(counts=dict.fromkeys(("requests", "docs", "prompt_tokens", "truncated", "merged", "no_bos"), 0))
    for number, (doc, encoded) in enumerate(read_docs(folder, pin.task)):
        if number == pin.n_docs:
            found.faults.setdefault("docs", f"{pin.task}: more docs than the plan's {pin.n_docs}")
            break
        if doc.doc_id != number:
            found.faults.setdefault("docs", f"{pin.task}: doc {doc.doc_id} stands where doc {number} belongs")
        if own_hash and doc_sha256(doc.doc) != doc.sha256:
            found.faults.setdefault("doc-hashes", f"{pin.task}: doc {doc.doc_id} is not what its hash says")
        for request in doc.requests:
            _look_at(request, pin, found.faults)
        asked = [
            AskedRequest(request.hash, request.choice, request.repeat, _tokens(request, item))
            for request, item in zip(doc.requests, encoded, strict=True)
        ]
        places = [(item.choice, item.repeat) for item in asked]
        if not asked or len(set(places)) < len(places):
            found.faults.setdefault("docs", f"{pin.task}: doc {doc.doc_id} has no request, or one twice")
        found.docs.append(AskedDoc(doc.doc_id, doc.sha256, doc.category, doc.target, tuple(asked)))
        _count(found.counts, encoded)
    if len(found.docs) < pin.n_docs:
        found.faults.setdefault("docs", f"{pin.task}: {len(found.docs)} of the plan's {pin.n_docs} docs")
    return found


def _look_at(request: Request, pin: TaskAskPin, faults: dict[str, str]) -> None:
    """The request's own hash, and whether it is asked as the plan says."""
    where = f"{pin.task}: doc {request.doc_id}, choice {request.choice}, repeat {request.repeat}"
    try:
        if request_hash(request) != request.hash:
            faults.setdefault("request-hashes", f"{where}: the prompt is not the one that was asked")
    except ValueError as error:
        faults.setdefault("request-hashes", f"{where}: {error}")
    if (request.kind == "generate_until") != (pin.output_type == "generate_until"):
        faults.setdefault("settings", f"{where}: {request.kind} in a task of {pin.output_type}")
    elif not 0 <= request.repeat < pin.repeats or request.choice < 0:
        faults.setdefault("settings", f"{where}: the plan has {pin.repeats} repeats")
    elif request.generation is not None:
        asked = request.generation.json_value()
        if pin.generation is not None and any(asked[key] != pin.generation.get(key) for key in SETTINGS):
            faults.setdefault("settings", f"{where}: other generation settings than the plan's")
        if (request.seed is None) != (request.generation.temperature == 0):
            faults.setdefault("settings", f"{where}: a seed belongs to sampling, and to nothing else")


def _tokens(request: Request, encoded: Encoded) -> int | None:
    return None if request.generation is not None else len(encoded.continuation)


def _count(counts: dict[str, int], encoded: Sequence[Encoded]) -> None:
    counts["docs"] += 1
    counts["requests"] += len(encoded)
    for item in encoded:
        counts["prompt_tokens"] += item.n_tokens
        counts["truncated"] += item.truncated > 0
        counts["merged"] += item.merged
        counts["no_bos"] += item.no_bos


def samples(
    folder: Path,
    pin: TaskAskPin,
    mark: TaskMarkPin,
    docs: Sequence[AskedDoc] | None,
    answers: Mapping[str, Response] | None,
) -> Marked:
    """The scored rows of a task, compared with its docs and the answers where those are at hand.

    Raises MissingInput (3), VerificationFailed (1) for what is no row.
    """
    found = Marked()
    for row in read_rows(folder, pin.task):
        if found.rows == pin.n_docs:
            found.faults.setdefault("rows", f"{pin.task}: more rows than the plan's {pin.n_docs} docs")
            break
        where = f"{pin.task}: doc {row.doc_id}"
        if row.doc_id != found.rows:
            found.faults.setdefault("rows", f"{where} stands where doc {found.rows} belongs")
        if list(row.metrics) != mark.filters or list(row.filtered) != mark.filters:
            found.faults.setdefault("rows", f"{where} has other filters than the plan's {', '.join(mark.filters)}")
        if docs is not None and not _is_of(row, docs[found.rows] if found.rows < len(docs) else None):
            found.faults.setdefault("row-requests", f"{where} has another hash, target, category or other requests")
        if answers is not None and not _answered(row, answers):
            found.faults.setdefault("row-answers", f"{where} has other responses than the journal")
        if fault := _pick(row, pin):
            found.faults.setdefault("picks", f"{where}: {fault}")
        for fault in _collect(row, mark, found.columns):
            found.faults.setdefault("values", f"{where}: {fault}")
        found.rows += 1
    if found.rows < pin.n_docs:
        found.faults.setdefault("rows", f"{pin.task}: {found.rows} rows of the plan's {pin.n_docs} docs")
    return found


def _is_of(row: Row, doc: AskedDoc | None) -> bool:
    return doc is not None and (row.doc_sha256, row.target, row.category, row.requests) == (
        doc.sha256,
        doc.target,
        doc.category,
        tuple(request.hash for request in doc.requests),
    )


def _answered(row: Row, answers: Mapping[str, Response]) -> bool:
    """Whether each response is the journal's, in the short form of samples/."""
    if len(row.requests) != len(row.responses):
        return False
    return all(
        key in answers and short == _short(answers[key]) for key, short in zip(row.requests, row.responses, strict=True)
    )


def _short(answer: Response) -> Any:
    if isinstance(answer, Loglikelihood):
        return [decimal(answer.loglikelihood), answer.is_greedy]
    return {"text": answer.text, "stop": answer.stop, "tokens": len(answer.token_ids)}


def _pick(row: Row, pin: TaskAskPin) -> str:
    """What is wrong with a pick: of choices, the first of the largest log-likelihoods is taken."""
    if pin.output_type not in CHOOSING or pin.repeats != 1:
        return ""
    try:
        totals = [float(total) for total, _ in row.responses]
        best = totals.index(max(totals))
    except (TypeError, ValueError):
        return "its responses are no log-likelihoods"
    for name, taken in row.filtered.items():
        # A filter of the user's own may make a text of them: only the harness's bare one must leave the pick.
        if taken != [best] and (name == "none" or all(type(item) is int for item in taken)):
            return f"the pick is {taken}, the first best choice is {best}"
    return ""


def _collect(row: Row, mark: TaskMarkPin, columns: dict[tuple[str, str, str | None], list[Any]]) -> Iterable[str]:
    """Puts the row's metric values into their columns; yields what cannot be a value."""
    for name, values in row.metrics.items():
        for metric, value in values.items():
            if metric not in mark.metrics:
                yield f"the plan has no metric {metric!r}"
            elif is_mean(mark, metric) and not isinstance(value, int | float):
                yield f"{metric} is no number"
            elif not _finite(value) or (UNIT.fullmatch(metric) and is_mean(mark, metric) and not 0 <= value <= 1):
                yield f"{metric} is {value}"
            for category in {None, row.category}:
                columns.setdefault((name, metric, category), []).append(value)


def _finite(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_finite, value))
    return not isinstance(value, float) or isfinite(value)
