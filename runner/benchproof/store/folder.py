"""A run folder: whose it is, and whether a run may begin or go on in it."""

from pathlib import Path

from benchproof.errors import BadInput
from benchproof.schema.canonical import sha256
from benchproof.store.files import disk_errors, write_once

RECORD, PLAN, SPEC, JOURNAL, LOG = "record.json", "plan.json", "spec.yaml", "journal", "log.txt"


def next_free(folder: Path) -> Path:
    """`folder`, or `folder-2`, `folder-3` …: the first that does not exist."""
    number, candidate = 2, folder
    while candidate.exists():
        candidate = folder.with_name(f"{folder.name}-{number}")
        number += 1
    return candidate


def make(folder: Path) -> None:
    """The folder and its journal's. Raises DiskError (6) where it cannot be made."""
    with disk_errors(folder):
        (folder / JOURNAL).mkdir(parents=True, exist_ok=True)


def claim(folder: Path, plan: bytes, spec: bytes) -> bool:
    """True if an interrupted run of this very plan lies there and may go on; else the folder becomes this plan's.

    Raises BadInput (2) if a finished record or another plan is there, or files of nobody's.
    """
    if (folder / RECORD).exists():
        raise BadInput(
            "a finished record exists there and is never overwritten",
            where=str(folder),
            do="use --new, or another --out",
        )
    path = folder / PLAN
    if path.exists():
        there, here = sha256(path.read_bytes()), sha256(plan)
        if there != here:
            raise BadInput(
                f"the folder holds another plan: {there[:12]} there, {here[:12]} here",
                where=str(folder),
                do="use --new, or another --out",
            )
        return True
    strangers = sorted(p.name for p in folder.iterdir() if p.name not in (JOURNAL, LOG, ".lock", SPEC))
    if strangers:
        raise BadInput(f"not a run folder: it holds {strangers[0]}", where=str(folder), do="give an empty or new --out")
    (folder / SPEC).unlink(missing_ok=True)  # of a start that was cut off before its plan was written
    write_once(folder / SPEC, spec)
    write_once(path, plan)
    return False
