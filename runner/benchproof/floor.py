"""The noise floor that `noise` measured, as `reproduce` and `show` read it: how far scores move, and where it holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchproof.errors import BadInput
from benchproof.schema.record import Record
from benchproof.schema.score import Key
from benchproof.verdict import kinds_of, read_verdict

VERDICTS = "verdicts"  # in a run folder: what others found about its record


@dataclass(frozen=True, slots=True)
class Floor:
    """What was measured, and where it holds.

    benign: docs whose metric changed, of how many. shifts: the farthest that a score moved, on its own scale.
    """

    engine: Mapping[str, Any]
    hardware: Mapping[str, Any]
    benign: Mapping[Key, tuple[int, int]]
    shifts: Mapping[Key, float]

    def holds_for(self, *records: Record) -> bool:
        """Whether these were computed by the engine and on the kind of hardware that it was measured on."""
        return all(
            engine_of(record) == self.engine and all(kind == self.hardware for kind in kinds_of(record))
            for record in records
        )


def read_floor(path: Path) -> Floor:
    """A noise verdict's floor. Raises MissingInput, BadInput for what is no noise verdict, VerificationFailed."""
    verdict = read_verdict(path)
    try:
        floor, evidence = verdict.evidence["floor"], verdict.evidence
        keys = [(item["task"], item["metric"], item["filter"]) for item in floor]
        benign = {key: (int(item["flips"]), int(item["n"])) for key, item in zip(keys, floor, strict=True) if item["n"]}
        shifts = {key: float(item["shift"]) for key, item in zip(keys, floor, strict=True)}
        return Floor(evidence["engine"], evidence["hardware"], benign, shifts)
    except (KeyError, TypeError) as error:
        raise BadInput("not a noise measurement", where=str(path), do="give the verdict.json of `noise`") from error


def floors_beside(folder: Path | None) -> list[Floor]:
    """The noise measurements that lie in a run folder's verdicts/."""
    if folder is None:
        return []
    return [read_floor(path) for path in sorted((folder / VERDICTS).glob("noise-*.json"))]


def engine_of(record: Record) -> dict[str, Any]:
    """What of the engine a noise floor is of: not its batches, which are what is varied."""
    pin = record.effective.ask.engine.json_value()
    return {key: pin[key] for key in ("name", "dtype", "softmax_dtype", "attention", "device_map")}
