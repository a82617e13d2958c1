"""The machine beside its GPU: processor, memory, operating system, container. No host, user or path name."""

import os
import platform
import resource
from collections.abc import Iterator
from pathlib import Path

from benchproof.observe.reason import NotKnown

ROOT = Path("/")
# Instruction sets that libraries choose kernels by, and a kernel can move a bit of an answer.
FEATURES = (
    "avx",
    "avx2",
    "fma",
    "avx512f",
    "avx512_bf16",
    "avx512_vnni",
    "amx_bf16",
    "amx_tile",
    "asimd",
    "sve",
    "bf16",
)
CGROUP_KINDS = ("kubepods", "docker", "libpod", "lxc", "containerd")
UNLIMITED = 1 << 60  # bytes: what version 1 of cgroups writes where there is no limit is above this


def system(root: Path = ROOT) -> str:
    """`Debian GNU/Linux 12 (bookworm)`."""
    for name in ("etc/os-release", "usr/lib/os-release"):
        for key, value in _pairs(root / name, "="):
            if key == "PRETTY_NAME":
                return value.strip("\"'")
    raise NotKnown("not_exposed", "os-release does not name the system")


def kernel() -> str:
    """`Linux 6.1.0-13-amd64`."""
    return f"{platform.system()} {platform.release()}"


def cpu_model(root: Path = ROOT) -> str:
    """The processor's name; on ARM its maker's and its own number."""
    found = dict(_pairs(root / "proc/cpuinfo", ":"))
    if "model name" in found:
        return found["model name"]
    if "CPU part" in found:
        return f"implementer {found.get('CPU implementer', '?')}, part {found['CPU part']}"
    raise NotKnown("not_exposed", "/proc/cpuinfo names no model")


def cpu_features(root: Path = ROOT) -> list[str]:
    """Those of FEATURES that the processor has."""
    found = dict(_pairs(root / "proc/cpuinfo", ":"))
    flags = (found.get("flags") or found.get("Features") or "").split()
    if not flags:
        raise NotKnown("not_exposed", "/proc/cpuinfo lists no features")
    return [name for name in FEATURES if name in flags]


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


def cpu_quota(root: Path = ROOT) -> str:
    """Cores' worth of time that the control groups grant; a decimal string. Raises NotKnown: no limit."""
    quotas = []
    for folder in _groups(root):
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text("ascii").split()
            if quota != "max":
                quotas.append(int(quota) / int(period))
    if not quotas:
        raise NotKnown("not_applicable", "no limit is set")
    return repr(min(quotas))


def memory_bytes() -> int:
    """Of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory_available(root: Path = ROOT) -> int:
    """Bytes that can be had without swapping, by the kernel's own estimate."""
    found = dict(_pairs(root / "proc/meminfo", ":"))
    return int(found["MemAvailable"].split()[0]) * 1024


def memory_limit(root: Path = ROOT) -> int:
    """Bytes that the control groups grant. Raises NotKnown: no limit."""
    limits = []
    for folder in _groups(root):
        for name in ("memory.max", "memory.limit_in_bytes"):
            if (folder / name).is_file():
                text = (folder / name).read_text("ascii").strip()
                if text != "max" and int(text) < UNLIMITED:
                    limits.append(int(text))
    if not limits:
        raise NotKnown("not_applicable", "no limit is set")
    return min(limits)


def container(root: Path = ROOT) -> str:
    """The kind of container that shows itself, or `none seen`: a container can hide."""
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return "kubernetes"
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "run/.containerenv").exists():
        return "podman"
    if (root / ".singularity.d").is_dir():
        return "apptainer"
    groups = (root / "proc/1/cgroup").read_text("utf-8", "replace")
    return next((kind for kind in CGROUP_KINDS if kind in groups), "none seen")


def image_digest(root: Path = ROOT) -> str:
    """Nothing inside a container knows it; whoever starts one does. Raises NotKnown."""
    if container(root) == "none seen":
        raise NotKnown("not_applicable", "no container was seen")
    raise NotKnown("not_exposed", "a container does not see the digest of its own image")


def peak_memory_bytes() -> int:
    """The most that this process held in main memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def cpu_seconds() -> str:
    """Time that the processor spent on this process; a decimal string."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return f"{spent.ru_utime + spent.ru_stime:.2f}"


def _groups(root: Path) -> Iterator[Path]:
    """Folders of this process's control groups, the innermost first, their parents after: the tightest limit holds."""
    base = root / "sys/fs/cgroup"
    for line in (root / "proc/self/cgroup").read_text("utf-8", "replace").splitlines():
        _, controllers, path = line.split(":", 2)
        top = base if not controllers else base / "memory"
        if controllers and "memory" not in controllers.split(","):
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts), -1, -1):
            folder = top.joinpath(*parts[:depth])
            if folder.is_dir():
                yield folder


def _pairs(path: Path, sign: str) -> Iterator[tuple[str, str]]:
    """`key<sign>value` lines, the first processor's only where a file has a block for each."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if not line.strip() and "cpuinfo" in path.name:
                return
            key, found, value = line.partition(sign)
            if found:
                yield key.strip(), value.strip()
