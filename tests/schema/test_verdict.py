"""A verdict is a record of its own: written verdicts are read for ever, and each outcome has its exit code."""

from pathlib import Path
from typing import get_args

import pytest

from benchproof.schema.canonical import canonical, strict_loads
from benchproof.schema.verdict import EXIT_CODES, Kind, Outcome, Verdict, Word

WRITTEN = sorted((Path(__file__).parents[1] / "verdicts").rglob("*.json"))


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_verdict_that_was_written_once_reads_and_keeps_its_bytes_and_its_id(path: Path) -> None:
    data = path.read_bytes()
    verdict = Verdict.model_validate(strict_loads(data, where=path.name))
    assert verdict.to_bytes() == data == canonical(strict_loads(data, where=path.name)) + b"\n"
    assert verdict.with_id().verdict_id == verdict.verdict_id
    assert verdict.kind == path.stem


def test_there_is_one_of_each_kind() -> None:
    assert {path.stem for path in WRITTEN} == set(get_args(Kind))


def test_every_outcome_has_the_exit_code_of_the_table() -> None:
    words = {word for part in get_args(Outcome) for word in (get_args(part) or (part,))}
    assert set(EXIT_CODES) == words | set(get_args(Word))
    assert set(EXIT_CODES.values()) == {0, 1, 7}
    assert [word for word, code in EXIT_CODES.items() if code == 1] == ["not reproduced", "failed"]
