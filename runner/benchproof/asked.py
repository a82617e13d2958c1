"""RunSpec <-> what a record says was asked: paths of its author's machine taken out, and put back by who has them."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchproof.errors import BadInput, MissingInput, NotComparable
from benchproof.schema.canonical import plain, sha256
from benchproof.schema.plan import Plan
from benchproof.schema.record import Asked, Record
from benchproof.schema.spec import RunSpec, TaskAsk
from benchproof.schema.unknown import is_unknown
from benchproof.spec import parse, resolve_suite
from benchproof.store.folder import SPEC

REDACTED = {"unknown": "redacted", "detail": "a path on the machine of the run"}
REALS = ("margin_points", "temperature", "top_p")  # the reals of a spec: decimals in a record


def asked(spec: RunSpec, spec_bytes: bytes, tasks: Sequence[TaskAsk]) -> Asked:
    """The spec as JSON, and its suite written out; what names a place on the author's machine is redacted."""
    value = plain(spec.model_dump(mode="json", exclude_none=True))
    places = [(value["model"], "path"), (value["engine"], "journal")]
    places += [(value["model"][part], "path") for part in ("adapter", "tokenizer") if part in value["model"]]
    for holder, key in places:
        if holder.get(key, "smoke") != "smoke":
            holder[key] = REDACTED
    suite = value["suite"]
    if isinstance(suite, str) and ("/" in suite or suite.endswith((".yaml", ".yml"))):
        value["suite"] = REDACTED
    if isinstance(suite, dict):
        suite["tasks"] = [_redacted(task) for task in suite["tasks"]]
        suite["include"] = [REDACTED if "/" in name else name for name in suite["include"]]
    return Asked(spec=dict(value), sha256=sha256(spec_bytes), tasks=_plain_tasks(tasks))


def spec_of(record: Record, folder: Path | None, *, model: str | None = None) -> RunSpec:
    """The spec that a record was made from, its model at the recorded commit.

    folder: the run folder, whose spec.yaml has the paths that a record leaves out, if it is the one that was asked.
    model: where the model lies here, if it is not on the Hub. Raises MissingInput (3) for a path nobody gave,
    NotComparable (7) for a record that cannot be asked again.
    """
    value = copy.deepcopy(record.asked.spec)
    if record.effective.ask.engine.name == "replay":
        raise NotComparable(
            "the record replays the answers of another run", where=record.record_id[:12], do="check the run it replays"
        )
    own = _own_spec(record, folder)
    tasks = _tasks(record, own)
    value["suite"] = {"about": _about(value["suite"]), "tasks": tasks}
    for key in ("adapter", "tokenizer"):
        if is_unknown(value["model"].get(key, {}).get("path")):
            if own is None:
                raise MissingInput(
                    f"the record's {key} was a folder on its author's machine",
                    where=f"model.{key}",
                    do="give the run folder with its spec.yaml, and run where that path leads to it",
                )
            value["model"][key] = own.model.model_dump(mode="json", exclude_none=True)[key]
    _place_model(value["model"], record.effective, own, model)
    try:
        return RunSpec.model_validate(_reals(value))
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(
            f"the record's spec is not one of this version: {'.'.join(map(str, first['loc']))}: {first['msg']}",
            where=record.record_id[:12],
            do="use the version of benchproof that the record names",
        ) from error


def _plain_tasks(tasks: Sequence[TaskAsk]) -> list[dict[str, Any]]:
    return [_redacted(plain(task.model_dump(mode="json", exclude_none=True))) for task in tasks]


def _redacted(task: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(task)
    for key in ("task", "data"):
        text = found.get(key, "")
        if "/" in text and not text.startswith("smoke:"):
            found[key] = REDACTED
    return found


def _own_spec(record: Record, folder: Path | None) -> RunSpec | None:
    """The author's own spec file, if it lies beside the record and is the one that was asked."""
    path = None if folder is None else folder / SPEC
    if path is None or not path.is_file():
        return None
    data = path.read_bytes()
    return parse(RunSpec, data, where=str(path)) if sha256(data) == record.asked.sha256 else None


def _tasks(record: Record, own: RunSpec | None) -> list[dict[str, Any]]:
    """The suite written out: as the record has it, or as the spec beside it has, where paths were taken out.

    A record of minor version 0 names the suite only: then it is what that name means here.
    """
    tasks = record.asked.tasks
    if tasks is not None and not _has_redacted(tasks):
        return tasks
    suite: Any = own.suite if own is not None else record.asked.spec["suite"]
    if own is None and (is_unknown(suite) or tasks is not None or _has_redacted(_listed(suite))):
        raise MissingInput(
            "a task or its rows were files on the machine of the record's author",
            where=f"record {record.record_id[:12]}",
            do="give the run folder with its spec.yaml, and run where those paths lead to them",
        )
    if isinstance(suite, dict):
        suite = RunSpec.model_validate(_reals({"model": {"path": "smoke"}, "suite": suite})).suite
    found = resolve_suite(suite)
    if tasks is not None and _plain_tasks(found) != tasks:
        raise MissingInput(
            "the suite file has changed since the run", where=f"record {record.record_id[:12]}", do="restore the file"
        )
    return [plain(task.model_dump(mode="json", exclude_none=True)) for task in found]


def _listed(suite: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = suite["tasks"] if isinstance(suite, dict) else []
    return found


def _has_redacted(tasks: Sequence[Mapping[str, Any]]) -> bool:
    return any(is_unknown(value) for task in tasks for value in task.values())


def _about(suite: Any) -> str:
    if isinstance(suite, dict):
        return str(suite.get("about") or "the tasks of the record")
    return "the tasks of the record" if is_unknown(suite) else f"suite {suite}, as it was when the record was made"


def _place_model(value: dict[str, Any], plan: Plan, own: RunSpec | None, given: str | None) -> None:
    if given is not None:
        value.pop("repo", None)
        value |= {"path": given, "revision": "main"}
    elif "repo" in value:
        value["revision"] = plan.ask.model.commit or value["revision"]
    elif is_unknown(value.get("path")):
        if own is None:
            raise MissingInput(
                "the record's model was a folder on its author's machine", where="model", do="give it with --model"
            )
        value["path"] = own.model.path


def _reals(value: Any) -> Any:
    """The decimals of a record's spec as the numbers that a spec holds."""
    if isinstance(value, dict):
        return {
            key: float(item) if key in REALS and isinstance(item, str) else _reals(item) for key, item in value.items()
        }
    return [_reals(item) for item in value] if isinstance(value, list) else value
