"""Somebody else's result file as what it says: scores, and the settings that it names. What it does not say is None."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchproof.schema.score import Claimed, Key, StatedRows


@dataclass(frozen=True, slots=True)
class PublishedTask:
    """One task or group as a spec would name it. limit: docs asked, where fewer than there are.

    generates: whether all of it generates text; None where the file does not say.
    """

    name: str
    num_fewshot: int | None
    limit: int | None
    generates: bool | None
    repeats: int | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """A whole file. model_args: the harness's own words for the model, `pretrained` among them.

    sha256: of its bytes, unpacked. seeds: those that the file names, of `torch` and `fewshot`. notes: what is odd about
    the file, in sentences. rows: task -> samples file of the same run, read when asked for.
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
    seeds: Mapping[str, int]
    harness_version: str | None
    tasks: tuple[PublishedTask, ...]
    claims: Mapping[Key, Claimed]
    notes: tuple[str, ...]
    rows: StatedRows
