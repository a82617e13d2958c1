"""Somebody else's result file as what it says: scores, and the settings that it names. What it does not say is None."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchproof.errors import BadInput, MissingInput
from benchproof.schema.canonical import sha256

MAX_BYTES = 200_000_000  # of a file, unpacked
Key = tuple[str, str, str]  # task, metric, filter
Rows = Mapping[str, Mapping[int, "Sampled"]]  # task -> doc id


@dataclass(frozen=True, slots=True)
class Claim:
    """One score that the file states, on the harness's own scale. stderr, n: None where it does not say."""

    value: float
    stderr: float | None
    n: int | None


@dataclass(frozen=True, slots=True)
class PublishedTask:
    """One task or group as a spec would name it. limit: docs asked, where fewer than there are."""

    name: str
    num_fewshot: int | None
    limit: int | None
    generates: bool
    repeats: int | None = None


@dataclass(frozen=True, slots=True)
class Sampled:
    """One doc of a samples file: (metric, filter) -> value, and filter -> what it took, as a record's rows have it."""

    values: Mapping[tuple[str, str], float]
    taken: Mapping[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Published:
    """A whole file. model_args: the harness's own words for the model, `pretrained` among them.

    notes: what is odd about the file, in sentences. rows: task -> samples file of the same run, read when asked for.
    """

    format: str
    sha256: str
    model_name: str
    model_type: str | None
    model_args: Mapping[str, Any]
    commit: str | None
    dtype: str | None
    chat_template: bool | None
    fewshot_as_turns: bool | None
    system_prompt: str | None
    generation: Mapping[str, Any]
    seeds: Mapping[str, int | None] | None
    harness_version: str | None
    tasks: tuple[PublishedTask, ...]
    claims: Mapping[Key, Claim]
    notes: tuple[str, ...]
    rows: Rows


def read_json(path: Path) -> tuple[Any, str]:
    """A file's JSON and its sha256, unpacked if it is gzip. NaN and infinity are read: real files hold them.

    Raises MissingInput (3), BadInput (2) for what is no JSON or too large.
    """
    data = read_bytes(path)
    try:
        return json.loads(data.decode("utf-8-sig")), sha256(data)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"not JSON: {error}", where=str(path), do="give a result file, or a record.json") from error


def read_bytes(path: Path) -> bytes:
    """A file's bytes, unpacked if it is gzip, never more than MAX_BYTES. Raises MissingInput, BadInput."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            stream: Any = gzip.GzipFile(fileobj=file) if packed else file
            data: bytes = stream.read(MAX_BYTES + 1)
    except IsADirectoryError as error:
        raise MissingInput("no record there", where=str(path), do="give record.json, or a result file") from error
    except (OSError, EOFError) as error:
        raise MissingInput(f"cannot be read: {error}", where=str(path), do="check the path") from error
    if len(data) > MAX_BYTES:
        raise BadInput(f"larger than {MAX_BYTES} bytes", where=str(path), do="give a result file")
    return data


def look_like(value: Any) -> str | None:
    """The name of a format that is known and not read, by its keys; None for one that is not known at all."""
    if not isinstance(value, dict):
        return "HELM" if isinstance(value, list) else None
    keys = set(value)
    for name, needed in (
        ("Every Eval Ever", {"schema_version", "evaluation_id"}),
        ("lighteval", {"config_general", "results"}),
        ("Inspect", {"eval", "plan"}),
        ("lm-eval's leaderboard tests", {"params", "results"}),
        ("lm-eval 0.3", {"results", "versions"}),
        ("the BigCode harness", {"config", "humaneval"}),
    ):
        if needed <= keys:
            return name
    return None
