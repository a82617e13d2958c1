"""HumanEval+'s problems: evalplus's own release file, pinned by its content.

Chen et al. 2021, arXiv 2107.03374; Liu et al. 2023, arXiv 2305.01210. The Hub's `evalplus/humanevalplus` is no
substitute: it has no border between base and plus inputs, and no tolerances.
"""

import gzip
import hashlib
import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchproof.errors import MissingInput, VerificationFailed
from benchproof.schema.canonical import sha256
from benchproof.schema.execution import Inputs
from benchproof.store.files import replace_file
from benchproof.store.hashes import cache_folder

VERSION = "v0.1.10"
URL = f"https://github.com/evalplus/humanevalplus_release/releases/download/{VERSION}/HumanEvalPlus.jsonl.gz"
SHA256 = "42526ec0e7d5f3ee0b06d6ced98f8c8bae3d76519151bfb3d36f79010645bd7f"  # of the unzipped lines
MD5 = "fe585eb4df8c88d844eeb463ea4d0302"  # of the same bytes; evalplus's result files carry it as `hash`
PROBLEMS = 164
MOST_BYTES = 256 << 20
FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "task_id": str,
    "prompt": str,
    "entry_point": str,
    "canonical_solution": str,
    "base_input": list,
    "plus_input": list,
    "atol": (int, float),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One row. `base` and `plus` are its argument lists; `row` is the whole of it."""

    task_id: str
    prompt: str
    entry_point: str
    canonical: str  # prompt and canonical solution: a whole program
    base: Inputs
    plus: Inputs
    atol: float
    row: Mapping[str, Any]

    def arguments(self, plus: bool) -> list[list[Any]]:
        """A fresh copy of the argument lists."""
        value: list[list[Any]] = json.loads((self.plus if plus else self.base).text)
        return value


@dataclass(frozen=True, slots=True)
class Problems:
    """A data file. `official`: it is the release that published scores are about."""

    by_id: Mapping[str, Problem]
    sha256: str
    md5: str

    @property
    def official(self) -> bool:
        """True for v0.1.10, byte for byte."""
        return self.sha256 == SHA256


def read_problems(path: Path) -> Problems:
    """A `.jsonl` or `.jsonl.gz` in evalplus's format. Raises MissingInput, VerificationFailed."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingInput(
            f"data file {error.strerror or 'unreadable'}".lower(), where=str(path), do=f"take it from {URL}"
        ) from error
    return parse_problems(data, str(path))


def parse_problems(data: bytes, where: str) -> Problems:
    """The file's bytes as problems; see `read_problems`."""
    if data[:2] == b"\x1f\x8b":
        data = _unzipped(data, where)
    problems: dict[str, Problem] = {}
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            problem = _problem(line, f"{where}, line {number}")
            if problem.task_id in problems:
                raise VerificationFailed(f"{problem.task_id} stands twice", where=f"{where}, line {number}")
            problems[problem.task_id] = problem
    if not problems:
        raise VerificationFailed("no problems in the data file", where=where, do=f"take it from {URL}")
    # evalplus identifies the file by md5, and so do its published results; nothing here relies on it
    return Problems(problems, sha256(data), hashlib.md5(data, usedforsecurity=False).hexdigest())


def official_problems(path: Path | None = None) -> Problems:
    """The pinned release: from `path`, the user's cache, or its address. Raises VerificationFailed if it differs."""
    if path is not None:
        found = read_problems(path)
    else:
        kept = cache_folder() / "humaneval" / f"HumanEvalPlus-{VERSION}.jsonl.gz"
        if not kept.is_file():
            fetch(kept)
        found, path = read_problems(kept), kept
    if not found.official:
        raise VerificationFailed(
            f"not HumanEval+ {VERSION}: sha256 {found.sha256}, pinned {SHA256}",
            where=str(path),
            do=f"take it from {URL}",
        )
    return found


def fetch(target: Path) -> None:
    """The release file into the cache; checked before it is kept. Raises MissingInput without a network."""
    try:
        with urllib.request.urlopen(URL, timeout=60) as answer:
            data = answer.read(MOST_BYTES)
    except OSError as error:
        raise MissingInput(
            f"HumanEval+ {VERSION} cannot be fetched: {error}", where=URL, do="fetch it elsewhere and give its path"
        ) from error
    found = parse_problems(data, URL)
    if not found.official:
        raise VerificationFailed(f"sha256 {found.sha256} where {SHA256} is pinned", where=URL, do="try again later")
    replace_file(target, data)


def _unzipped(data: bytes, where: str) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError) as error:
        raise VerificationFailed("a damaged gzip file", where=where, do=f"take it from {URL}") from error


def _problem(line: bytes, where: str) -> Problem:
    try:
        row = json.loads(line)
        wrong = [name for name, kind in FIELDS.items() if not isinstance(row[name], kind)]
        if wrong:
            raise TypeError(f"`{wrong[0]}` has the wrong type")
        lists = (row["base_input"], row["plus_input"])
        if not all(isinstance(arguments, list) for inputs in lists for arguments in inputs):
            raise TypeError("an input is not a list of arguments")
    except (ValueError, KeyError, TypeError) as error:
        raise VerificationFailed(f"not a HumanEval+ problem: {error}", where=where, do=f"take it from {URL}") from error
    base, plus = (_inputs(inputs) for inputs in lists)
    return Problem(
        task_id=row["task_id"],
        prompt=row["prompt"],
        entry_point=row["entry_point"],
        canonical=row["prompt"] + row["canonical_solution"],
        base=base,
        plus=plus,
        atol=row["atol"],
        row=row,
    )


def _inputs(inputs: list[list[Any]]) -> Inputs:
    text = json.dumps(inputs)
    return Inputs(sha256(text.encode("ascii")), text, len(inputs))
