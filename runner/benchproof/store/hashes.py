"""Hashes of big files, remembered: eight shards must not hash 140 GB eight times.

A blob of the Hub's cache is named by its own sha256 when it is a large file: that name is used. Any other
file's hash is remembered under (path, size, mtime, inode) in the user's cache folder. `--rehash` asks for
the bytes themselves. The memory is a convenience: losing it costs time, and a file that changes gets
another key.
"""

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path

from benchproof.store.files import file_sha256, replace_file

BLOB = re.compile(r"[0-9a-f]{64}")


def cache_folder() -> Path:
    """Where what may be lost is kept: $BENCHPROOF_CACHE, else the user's cache folder."""
    given = os.environ.get("BENCHPROOF_CACHE")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "benchproof"


def remembered_sha256(path: Path, *, rehash: bool = False) -> str:
    """Hex sha256 of a file, from its name in the Hub's cache or from memory if that is known and wanted."""
    real = path.resolve()
    if not rehash and BLOB.fullmatch(real.name) and real.parent.name == "blobs":
        return real.name
    key = _key(real)
    memory = cache_folder() / "hashes" / f"{key[:2]}" / f"{key}.json"
    if not rehash:
        try:
            found = json.loads(memory.read_text("ascii"))["sha256"]
            if isinstance(found, str) and BLOB.fullmatch(found):
                return found
        except (OSError, ValueError, KeyError, TypeError):
            pass  # nothing remembered, or not readable: the bytes are there
    value = file_sha256(real)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time at the next start, nothing else
        replace_file(memory, json.dumps({"sha256": value}).encode("ascii"))
    return value


def _key(path: Path) -> str:
    stat = path.stat()
    text = f"{path}|{stat.st_size}|{stat.st_mtime_ns}|{stat.st_ino}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
