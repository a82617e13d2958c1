"""What an author can do who wants another record to verify: change a file, and redo every hash that follows from it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchproof.checks.recount import mean, mean_stderr
from benchproof.schema.canonical import canonical, decimal, digest, sha256
from benchproof.schema.plan import benchmark_id, measurement_id
from benchproof.store.files import describe, read_lines, write_lines
from benchproof.store.journal import HASH_BYTES, LENGTH, MAGIC, JournalWriter, read_journal

Json = dict[str, Any]
Rows = list[Json]


def read_record(folder: Path) -> Json:
    value: Json = json.loads((folder / "record.json").read_bytes())
    return value


def write_record(folder: Path, value: Json, *, record_id: str | None = None) -> None:
    """The record with its own id, in its canonical form."""
    body = {key: item for key, item in value.items() if key != "record_id"}
    value["record_id"] = record_id or digest(body)
    (folder / "record.json").write_bytes(canonical(value) + b"\n")


def redo_files(folder: Path, value: Json) -> None:
    """Sizes and digests of the files that are there, and how many rows they have."""
    for said in value["files"]:
        path = folder / said["path"]
        if path.is_file() and not path.is_symlink() and ".." not in said["path"]:
            rows = None if said["rows"] is None else len(list(read_lines(path)))
            said |= describe(path, folder, rows=rows).json_value()


def in_record(edit: Callable[[Json], object]) -> Callable[[Path], None]:
    """A forgery of the record alone, its id redone."""

    def forge(folder: Path) -> None:
        value = read_record(folder)
        edit(value)
        write_record(folder, value)

    return forge


def in_rows(part: str, task: str, edit: Callable[[Rows], object], then: Callable[[Path, Json], object] | None = None):  # type: ignore[no-untyped-def]
    """A forgery of a file of rows, its digest in the record redone, and what else `then` redoes."""

    def forge(folder: Path) -> None:
        path = folder / part / f"{task}.jsonl.zst"
        rows = list(read_lines(path))
        edit(rows)
        path.unlink()
        write_lines(path, rows)
        value = read_record(folder)
        redo_files(folder, value)
        if then is not None:
            then(folder, value)
        write_record(folder, value)

    return forge


def in_bytes(edit: Callable[[bytes], bytes], name: str = "record.json", *, redo: bool = True) -> Callable[[Path], None]:
    """A forgery of a file's bytes; its digest in the record is redone unless the file is the record."""

    def forge(folder: Path) -> None:
        path = folder / name
        path.write_bytes(edit(path.read_bytes()))
        if redo and name != "record.json":
            value = read_record(folder)
            redo_files(folder, value)
            write_record(folder, value)

    return forge


def frames_of(path: Path) -> Rows:
    data, position, found = path.read_bytes(), len(MAGIC), []
    while position < len(data):
        start = position + LENGTH.size
        end = start + int.from_bytes(data[position:start], "big")
        found.append(json.loads(data[start:end]))
        position = end + HASH_BYTES
    return found


def in_journal(edit: Callable[[Rows], object], *, heads: bool = True, more: Callable[[Json], object] | None = None):  # type: ignore[no-untyped-def]
    """A forgery of the journal, its chain redone, and in the record its digest; heads: its head and counts too."""

    def forge(folder: Path) -> None:
        value = read_record(folder)
        rewrite_journal(folder, value, edit, heads=heads)
        if more is not None:
            more(value)
        write_record(folder, value)

    return forge


def rewrite_journal(folder: Path, value: Json, edit: Callable[[Rows], object], *, heads: bool = True) -> None:
    attempt = value["observed"]["attempts"][0]
    path = folder / attempt["journal"]
    frames = frames_of(path)
    edit(frames)
    path.unlink()
    header = {key: item for key, item in frames[0].items() if key != "format"}
    with JournalWriter(path, header) as journal:
        for frame in frames[1:]:
            journal._frame(frame)  # an author is not bound to the door that honest code uses
    redo_files(folder, value)
    if heads:
        file = read_journal(path)
        attempt |= {"head": file.head, "frames": file.frames, "responses": file.responses}


def in_plan(edit: Callable[[Json], object], then: Callable[[Json], object] | None = None) -> Callable[[Path], None]:
    """A forgery of the plan, with every id that follows, in the record, the plan's file and the journal."""

    def forge(folder: Path) -> None:
        value = read_record(folder)
        edit(value["effective"])
        redo_ids(value)
        (folder / "plan.json").write_bytes(canonical(value["effective"]))
        value["plan_id"], value["ask_id"] = digest(value["effective"]), digest(value["effective"]["ask"])
        ids = {key: value[key] for key in ("plan_id", "ask_id")}
        rewrite_journal(folder, value, lambda frames: frames[0].update(ids))
        if then is not None:
            then(value)
        write_record(folder, value)

    return forge


def redo_ids(value: Json) -> None:
    plan = value["effective"]
    for said, ask, mark in zip(value["ids"], plan["ask"]["tasks"], plan["mark"]["tasks"], strict=True):
        said["benchmark_id"] = benchmark_id(ask, mark, plan["mark"]["harness"])
        said["measurement_id"] = measurement_id(said["benchmark_id"], plan["ask"]["model"]["content"])


def redo_scores(folder: Path, value: Json) -> None:
    """The tasks' scores from the rows as they are now."""
    for result in value["results"]:
        if result["level"] == "task":
            rows = read_lines(folder / "samples" / f"{result['task']}.jsonl.zst")
            values = [float(row["metrics"][result["filter"]][result["metric"]]) for row in rows]
            stderr = mean_stderr(values)
            assert stderr is not None
            result |= {"value": decimal(mean(values)), "stderr": decimal(stderr), "n": len(values)}


def without_warning(value: Json, *codes: str) -> None:
    value["warnings"] = [warned for warned in value["warnings"] if warned["code"] not in codes]


def replace_link(folder: Path) -> None:
    """A file of samples/ is the same file, behind a link."""
    path = next(iter(sorted((folder / "samples").iterdir())))
    elsewhere = folder.parent / "elsewhere.zst"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def outside(folder: Path) -> None:
    """A file that the record names lies outside the folder."""
    value = read_record(folder)
    said = value["files"][-2]
    assert said["path"].startswith("samples/")
    (folder / said["path"]).rename(folder.parent / "outside.zst")
    said["path"] = "../outside.zst"
    write_record(folder, value)


def sha(value: Any) -> str:
    """The hash of a doc, as build makes it."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return sha256(text.encode("ascii"))
