"""requests/ and samples/ of a run folder, read back as nouns. `build.py` and `score.py` write them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from benchproof.errors import VerificationFailed
from benchproof.schema.request import Doc, Encoded, Generation, Request
from benchproof.store.files import read_lines

DECIMAL = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")
Part = Literal["requests", "samples"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One scored doc as samples/ keeps it. `responses` are in the file's short form, one for each of `requests`.

    metrics: filter -> metric -> value; reals that the file holds as decimals are floats here.
    """

    doc_id: int
    doc_sha256: str
    category: str | None
    target: Any
    requests: tuple[str, ...]
    responses: tuple[Any, ...]
    filtered: Mapping[str, list[Any]]
    metrics: Mapping[str, Mapping[str, Any]]


def part_path(folder: Path, part: Part, task: str) -> Path:
    """The file of one task in a part of the run folder."""
    name = re.sub(r"[^\w.\-]", "_", task)
    return folder / part / f"{name}.jsonl.zst"


def read_rows(folder: Path, task: str) -> Iterator[Row]:
    """The scored docs of a task, in file order. Raises MissingInput (3), VerificationFailed (1) for what is no row."""
    path = part_path(folder, "samples", task)
    for number, value in enumerate(read_lines(path), start=1):
        try:
            yield Row(
                doc_id=_a(int, value["doc_id"]),
                doc_sha256=_a(str, value["doc_sha256"]),
                category=None if value["category"] is None else _a(str, value["category"]),
                target=value["target"],
                requests=tuple(_a(str, key) for key in _a(list, value["requests"])),
                responses=tuple(_a(list, value["responses"])),
                filtered={name: _a(list, taken) for name, taken in value["filtered"].items()},
                metrics={name: {k: real(v) for k, v in values.items()} for name, values in value["metrics"].items()},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise _no_row(path, number, error) from error


def read_docs(folder: Path, task: str) -> Iterator[tuple[Doc, list[Encoded]]]:
    """The docs of a task with their requests and token ids, as they were asked; hashes as the file has them.

    Raises MissingInput (3), VerificationFailed (1) for what is no row.
    """
    path = part_path(folder, "requests", task)
    for number, value in enumerate(read_lines(path), start=1):
        try:
            contexts = [(_a(str, item["text"]), tuple(_a(list, item["ids"]))) for item in value["contexts"]]
            asked = [_asked(task, value["doc_id"], item, contexts) for item in value["requests"]]
            doc = Doc(
                task=task,
                doc_id=_a(int, value["doc_id"]),
                doc=value["doc"],
                sha256=_a(str, value["doc_sha256"]),
                target=value["target"],
                category=None if value["category"] is None else _a(str, value["category"]),
                requests=tuple(request for request, _ in asked),
            )
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise _no_row(path, number, error) from error
        yield doc, [encoded for _, encoded in asked]


def real(value: Any) -> Any:
    """A value of samples/ with its decimals as floats; `score.py` writes reals as decimals."""
    if isinstance(value, str) and DECIMAL.fullmatch(value):
        return float(value)
    return [real(item) for item in value] if isinstance(value, list) else value


def _asked(
    task: str, doc_id: int, item: Mapping[str, Any], contexts: list[tuple[str, tuple[int, ...]]]
) -> tuple[Request, Encoded]:
    text, ids = contexts[item["context"]]
    generation = item.get("generation")
    request = Request(
        task=task,
        doc_id=doc_id,
        choice=_a(int, item["choice"]),
        repeat=_a(int, item["repeat"]),
        kind="loglikelihood" if generation is None else "generate_until",
        context=text,
        continuation=_a(str, item["continuation"]) if generation is None else None,
        generation=None if generation is None else _generation(generation),
        seed=int(item["seed"]) if "seed" in item else None,
        hash=_a(str, item["hash"]),
    )
    continuation = tuple(_a(list, item["continuation_ids"])) if generation is None else ()
    flags = _a(bool, item.get("merged", False)), _a(bool, item.get("no_bos", False))
    return request, Encoded(ids, continuation, _a(int, item.get("truncated", 0)), *flags)


def _a(kind: type[T], value: Any) -> T:
    """The value, which is exactly of that kind: a file may hold anything. Raises TypeError."""
    if type(value) is not kind:
        raise TypeError(f"{str(value)[:40]!r} where {kind.__name__} is expected")
    return value


def _generation(value: Mapping[str, Any]) -> Generation:
    """`Generation.json_value` read back."""
    top_p = value["top_p"]
    return Generation(
        until=tuple(value["until"]),
        max_gen_toks=value["max_gen_toks"],
        temperature=float(value["temperature"]),
        top_p=None if top_p is None else float(top_p),
        top_k=value["top_k"],
    )


def _no_row(path: Path, number: int, error: Exception) -> VerificationFailed:
    return VerificationFailed(
        f"line {number} is no row of this version: {error!r}", where=str(path), do="take the file from its source again"
    )
