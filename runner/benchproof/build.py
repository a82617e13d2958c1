"""Plan -> Requests: built by the harness's own task code, hashed, turned into token ids, cut into ops."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchproof.errors import BadInput
from benchproof.ports import Engine, Harness, Op, Progress
from benchproof.schema.canonical import chain
from benchproof.schema.plan import Plan
from benchproof.schema.record import FileDigest
from benchproof.schema.request import Doc, Encoded, Request
from benchproof.store.files import describe, write_lines
from benchproof.store.rows import part_path


@dataclass(frozen=True, slots=True)
class Built:
    """Everything that the engine will be asked. `requests` and `encoded` run in parallel."""

    docs: dict[str, list[Doc]]  # task -> its docs, in document order
    requests: list[Request]
    encoded: list[Encoded]
    ops: list[Op]

    @property
    def requests_digest(self) -> str:
        """Over the request hashes in (task, doc id, choice, repeat) order."""
        return chain([request.hash for request in sorted(self.requests, key=lambda r: r.key)])

    def encoded_of(self) -> dict[str, Encoded]:
        """Request hash -> its token ids."""
        return {request.hash: item for request, item in zip(self.requests, self.encoded, strict=True)}


def build(plan: Plan, *, harness: Harness, engine: Engine, progress: Progress) -> Built:
    """All requests of a plan. Raises BadInput for requests that the model cannot be asked."""
    docs: dict[str, list[Doc]] = {}
    total = sum(task.n_docs for task in plan.ask.tasks)
    with progress.phase("requests", total=total, unit="docs") as phase:
        for task in plan.ask.tasks:
            docs[task.task] = harness.build(task.task, engine.render if task.chat.applied else None)
            phase.advance(len(docs[task.task]), task.task)
    requests = [request for found in docs.values() for doc in found for request in doc.requests]
    _refuse_equal_hashes(requests)
    encoded = engine.encode(requests, progress)
    if plan.ask.truncation == "refuse":
        _refuse_truncated(requests, encoded, plan.ask.engine.max_length)
    return Built(docs, requests, encoded, engine.ops(requests, encoded))


def write_requests(built: Built, folder: Path, progress: Progress) -> list[FileDigest]:
    """requests/<task>.jsonl.zst: each doc with its prompts and token ids; written before the model is loaded.

    A file of an earlier attempt is written again, not trusted: it is what was built now that the record names.
    """
    (folder / "requests").mkdir(exist_ok=True)
    encoded = built.encoded_of()
    files = []
    with progress.phase("writing requests", total=len(built.docs), unit="tasks") as phase:
        for task, docs in built.docs.items():
            path = part_path(folder, "requests", task)
            path.unlink(missing_ok=True)
            write_lines(path, _rows(docs, encoded))
            files.append(describe(path, folder, rows=len(docs)))
            phase.advance(1, task)
    return files


def _rows(docs: list[Doc], encoded: dict[str, Encoded]) -> Iterator[dict[str, Any]]:
    """One row per doc; a context that several choices share stands once."""
    for doc in docs:
        contexts = list(dict.fromkeys((request.context, encoded[request.hash].context) for request in doc.requests))
        index = {context: i for i, context in enumerate(contexts)}
        requests = []
        for request in doc.requests:
            ids = encoded[request.hash]
            row: dict[str, Any] = {
                "hash": request.hash,
                "choice": request.choice,
                "repeat": request.repeat,
                "context": index[request.context, ids.context],
            }
            if request.generation is None:
                row |= {"continuation": request.continuation, "continuation_ids": ids.continuation}
            else:
                row |= {"generation": request.generation.json_value()}
                row |= {} if request.seed is None else {"seed": str(request.seed)}
            if ids.truncated:
                row["truncated"] = ids.truncated
            if ids.merged:
                row["merged"] = True
            if ids.no_bos:
                row["no_bos"] = True
            requests.append(row)
        yield {
            "doc_id": doc.doc_id,
            "doc_sha256": doc.sha256,
            "doc": doc.doc,
            "target": doc.target,
            "category": doc.category,
            "contexts": [{"text": text, "ids": ids} for text, ids in contexts],
            "requests": requests,
        }


def _refuse_equal_hashes(requests: list[Request]) -> None:
    seen: set[str] = set()
    for request in requests:
        if request.hash in seen:
            raise BadInput(
                f"doc {request.doc_id} asks the same request twice under one name",
                where=f"task {request.task}",
                do="name each task once",
            )
        seen.add(request.hash)


def _refuse_truncated(requests: list[Request], encoded: list[Encoded], limit: int) -> None:
    cut = [(r, e) for r, e in zip(requests, encoded, strict=True) if e.truncated]
    if cut:
        request, item = cut[0]
        raise BadInput(
            f"{len(cut)} prompts are longer than the model's context of {limit} tokens, the first by {item.truncated}",
            where=f"task {request.task}, doc {request.doc_id}",
            do="set `truncation: warn`, ask for fewer shots, or leave the task out",
        )
