"""A run folder: whose it is, and whether a run may begin or go on in it."""

import re
import stat
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from benchproof.errors import BadInput
from benchproof.schema.canonical import sha256, strict_loads
from benchproof.schema.plan import Plan
from benchproof.store.files import disk_errors, write_once

TEMPORARY = re.compile(r"\..+\.\d+\.tmp")  # of a write_once that was killed
RECORD, PLAN, SPEC, JOURNAL, LOG = "record.json", "plan.json", "spec.yaml", "journal", "log.txt"


def next_free(folder: Path) -> Path:
    """`folder`, or `folder-2`, `folder-3` …: the first that does not exist."""
    number, candidate = 2, folder
    while candidate.exists():
        candidate = folder.with_name(f"{folder.name}-{number}")
        number += 1
    return candidate


def make(folder: Path) -> None:
    """The folder and its journal's. Raises DiskError (6) where it cannot be made, BadInput in somebody's folder."""
    with disk_errors(folder):
        if folder.exists() and not (folder / PLAN).exists():
            _refuse_strangers(folder)
        (folder / JOURNAL).mkdir(parents=True, exist_ok=True)


def refuse_finished(folder: Path) -> None:
    """Raises BadInput (2) if a record is there: it is never overwritten."""
    if (folder / RECORD).exists():
        raise BadInput(
            "a finished record exists there and is never overwritten",
            where=str(folder),
            do="use --new, or another --out",
        )


def claim(folder: Path, plan: bytes, spec: bytes) -> bool:
    """True if an interrupted run of this very plan lies there and may go on; else the folder becomes this plan's.

    The caller holds the folder's lock: temporary files there are of processes that were killed, and are removed.
    Raises BadInput (2) if a finished record or another plan is there, or files of nobody's.
    """
    refuse_finished(folder)
    path = folder / PLAN
    if path.exists():
        there, here = sha256(path.read_bytes()), sha256(plan)
        if there != here:
            raise BadInput(
                f"the folder holds another plan: {there[:12]} there, {here[:12]} here",
                where=str(folder),
                do="use --new, or another --out",
            )
        _sweep(folder)
        return True
    _refuse_strangers(folder)
    _sweep(folder)
    (folder / SPEC).unlink(missing_ok=True)  # of a start that was cut off before its plan was written
    write_once(folder / SPEC, spec)
    write_once(path, plan)
    return False


def _sweep(folder: Path) -> None:
    """Removes what a killed process had not yet given its name."""
    with disk_errors(folder):
        for path in [*folder.glob(".*.tmp"), *folder.glob("*/.*.tmp")]:
            if TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)


def pinned_commits(folder: Path | None, spec: bytes) -> dict[str, str]:
    """Repository -> commit of the run of this very spec that lies in the folder; {} where none does.

    So a run goes on with what it began with, though `main` has moved since or the Hub is away.
    """
    if folder is None or not (folder / PLAN).is_file() or not (folder / SPEC).is_file():
        return {}
    if (folder / SPEC).read_bytes() != spec:
        return {}
    return read_plan(folder).commits


def read_plan(folder: Path) -> Plan:
    """The plan of a run folder. Raises VerificationFailed (1), or BadInput (2) for one of another version."""
    path = folder / PLAN
    try:
        return Plan.model_validate(strict_loads(path.read_bytes(), where=str(path)))
    except ValidationError as error:
        raise BadInput(
            "the plan there is of another version of benchproof", where=str(path), do="use that version, or run anew"
        ) from error


def unsafe_path(folder: Path, name: str) -> str:
    """Why a path that a file of somebody's names must not be opened; "" if it may be, or if nothing is there."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or "\\" in name or "\0" in name or name != "/".join(parts) or ".." in parts:
        return f"{name!r} leads outside the run folder"
    place = folder
    for part in parts:
        place = place / part
        try:
            mode = place.lstat().st_mode
        except (OSError, ValueError):
            return ""  # absent: that is for `present`
        if stat.S_ISLNK(mode):
            return f"{name} is, or lies behind, a symbolic link"
    return "" if stat.S_ISREG(mode) else f"{name} is no regular file"


def _refuse_strangers(folder: Path) -> None:
    """Raises BadInput (2) if the folder holds anything that a run that was cut off at its start does not leave."""
    if not folder.is_dir():
        raise BadInput("--out is a file", where=str(folder), do="give a folder")
    ours = (JOURNAL, LOG, ".lock", SPEC)
    strangers = sorted(p.name for p in folder.iterdir() if p.name not in ours and not TEMPORARY.fullmatch(p.name))
    if strangers:
        raise BadInput(f"not a run folder: it holds {strangers[0]}", where=str(folder), do="give an empty or new --out")
