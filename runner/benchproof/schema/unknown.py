"""Looked for, not found, and why: the value that stands where another would, never null, never a guess."""

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypeAliasType

UnknownCode = Literal[
    "not_applicable",  # the question does not arise (no GPU in a CPU run)
    "not_exposed",  # the source has no way to tell
    "permission_denied",
    "not_installed",  # the package that would know is missing
    "probe_failed",  # asked, and the answer was an error
    "not_recorded_by_harness",  # somebody else's file does not say
    "redacted",  # known, and left out on purpose
]


class Unknown(BaseModel):
    """A value that is not known: its code for programs, its detail for people."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    unknown: UnknownCode
    detail: str


def is_unknown(value: Any) -> bool:
    """Whether a value that may be any JSON is an unknown, as a model or as its JSON."""
    return isinstance(value, Unknown) or (isinstance(value, dict) and set(value) == {"unknown", "detail"})


T = TypeVar("T")
Known = TypeAliasType("Known", T | Unknown, type_params=(T,))
