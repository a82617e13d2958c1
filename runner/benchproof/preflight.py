"""What would fail after an hour is told before the first minute: memory and disk, by the plan's own numbers."""

import shutil
from pathlib import Path

from benchproof.build import Built
from benchproof.errors import DiskError, MachineError

ANSWER_BYTES = 200  # of a log-likelihood in the journal and in the samples, with its hashes
TOKEN_BYTES = 16  # of a generated token: its id, and its text twice
SPARE_BYTES = 16_000_000  # requests, record, log


def check_memory(needed: int | None, free: int | None) -> None:
    """Raises MachineError (5) if the plan's largest op cannot fit beside the weights; unknowns pass."""
    if needed is not None and free is not None and needed > free:
        raise MachineError(
            f"the plan needs about {_gb(needed)} of memory, {_gb(free)} are free on the chosen device",
            where="engine",
            do="lower engine.token_budget or engine.generation_batch, use a smaller dtype, or give another --device",
        )


def check_disk(folder: Path, built: Built) -> None:
    """Raises DiskError (6) if the answers cannot fit beside what is on the disk."""
    needed = SPARE_BYTES + disk_bytes(built)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DiskError(
            f"the run may write {_gb(needed)}, {_gb(free)} are free on the disk",
            where=str(folder),
            do="free space, or give a folder on another disk with --out",
        )


def disk_bytes(built: Built) -> int:
    """At most what the answers of a run take."""
    return sum(
        ANSWER_BYTES if request.generation is None else ANSWER_BYTES + TOKEN_BYTES * request.generation.max_gen_toks
        for request in built.requests
    )


def _gb(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e8 else f"{number / 1e6:.0f} MB"
