"""The table of probes. Adding one is a line in PROBES: name, unit, and a function that returns or raises.

No host, user or path name is probed: a record is read by strangers.
"""

import importlib.metadata
import locale
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchproof.schema.observed import Probe
from benchproof.schema.unknown import Unknown


def _cpu_model() -> str:
    with Path("/proc/cpuinfo").open(encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    raise LookupError("/proc/cpuinfo has no model name")


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _distributions() -> dict[str, str]:
    """Every installed distribution with its version, sorted by name."""
    found = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions() if d.metadata["Name"]}
    return {name: found[name] for name in sorted(found, key=str.lower)}


PROBES: tuple[tuple[str, str, Callable[[], Any]], ...] = (
    ("os", "", lambda: f"{platform.system()} {platform.release()}"),
    ("libc", "", lambda: " ".join(platform.libc_ver())),
    ("machine", "", platform.machine),
    ("cpu_model", "", _cpu_model),
    ("cpu_cores_usable", "cores", _cores),
    ("memory", "bytes", _memory_bytes),
    ("python", "", lambda: f"{platform.python_implementation()} {platform.python_version()}"),
    ("time_zone", "", lambda: time.tzname[0]),
    ("locale", "", lambda: locale.setlocale(locale.LC_CTYPE)),
    ("distributions", "", _distributions),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """Implements ports.Observer over the table."""

    table: tuple[tuple[str, str, Callable[[], Any]], ...] = PROBES

    def probes(self) -> Iterator[Probe]:
        """Each probe's value, or why there is none."""
        for name, unit, look in self.table:
            try:
                value = look()
            except PermissionError as error:
                value = Unknown(unknown="permission_denied", detail=str(error.strerror))
            except (OSError, LookupError, ValueError, AttributeError) as error:
                value = Unknown(unknown="probe_failed", detail=type(error).__name__)
            yield Probe(name=name, unit=unit, value=value)
