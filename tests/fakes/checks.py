"""Checks of table runs: records that are asked again, and records that were forged with care."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchproof.asked import spec_of
from benchproof.floor import Floor
from benchproof.ladder import Side
from benchproof.ports import Engine, Harness, Op
from benchproof.reproduce import reproduce
from benchproof.schema.history import read_record
from benchproof.schema.record import Record
from benchproof.schema.request import Encoded, Request
from benchproof.schema.response import Loglikelihood, Response
from benchproof.schema.verdict import Verdict
from benchproof.spec import resolve_suite
from benchproof.store.files import file_sha256, read_lines, write_lines
from benchproof.store.rows import Part, part_path
from benchproof.verdict import Margin
from fakes.counting import CountingEngine
from fakes.world import a_world


@dataclass
class DriftingEngine(CountingEngine):
    """A CountingEngine whose log-likelihoods drift: by `drift(request)` nats, as another batch or device would."""

    drift: Callable[[Request], float] = lambda request: 0.0

    def answer(self, op: Op, requests: Sequence[Request], encoded: Sequence[Encoded]) -> list[Response]:
        answers = super().answer(op, requests, encoded)
        return [
            Loglikelihood(a.request, a.loglikelihood + self.drift(requests[i]), a.is_greedy, a.n_tokens)
            if isinstance(a, Loglikelihood)
            else a
            for i, a in zip(op.requests, answers, strict=True)
        ]


def side(folder: Path) -> Side:
    """The record of a run folder, and the folder."""
    return Side(read_record((folder / "record.json").read_bytes(), "record.json"), folder)


def run_again(
    folder: Path,
    out: Path,
    engine: Engine | None = None,
    harness: Harness | None = None,
    *,
    points: float = 1.0,
    floors: Sequence[Floor] = (),
) -> Verdict:
    """`reproduce` of a run folder in a table world."""
    there = side(folder)
    spec = spec_of(there.record, folder)
    strict = spec.model_copy(update={"reproduce": spec.reproduce.model_copy(update={"margin_points": points})})
    verdict, _ = reproduce(
        there,
        file_sha256(folder / "record.json"),
        strict,
        json.dumps(strict.model_dump(mode="json", exclude_none=True)).encode(),
        resolve_suite(strict.suite),
        a_world(engine, harness),
        out=out,
        margin=Margin(points, "record"),
        floors=floors,
    )
    return verdict


def rewrite_record(folder: Path, change: Callable[[dict[str, Any]], object]) -> Record:
    """The record with a change and the id that follows from it: what an author can do before signing."""
    path = folder / "record.json"
    value = json.loads(path.read_bytes())
    change(value)
    record = Record.model_validate(value).with_id()
    path.unlink()
    path.write_bytes(record.to_bytes())
    return record


def rewrite_rows(folder: Path, part: Part, task: str, change: Callable[[list[Any]], list[Any]]) -> None:
    """The rows of one task after a change."""
    path = part_path(folder, part, task)
    rows = change(list(read_lines(path)))
    path.unlink()
    write_lines(path, rows)
