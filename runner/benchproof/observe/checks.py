"""What this machine can run, as rows of `benchproof doctor`: a state, what was found, and what to do about it.

Looks only. torch is asked in a process of its own: a broken one cannot break this, and no driver state stays.
"""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from benchproof.observe import host, isolation, packages
from benchproof.observe.gpu import Gpu, Nvml, opened, remedy
from benchproof.observe.reason import NotKnown

State = Literal["ok", "warn", "missing", "unknown"]  # missing: the run cannot be made here
HUB = "https://huggingface.co"
SMALL_DISK = 5 * 10**9  # bytes; results are small, models are not
TORCH = """
import json, torch
cuda = torch.cuda
seen = range(cuda.device_count()) if cuda.is_available() else ()
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "kernels": cuda.get_arch_list(),
                  "uuids": [str(cuda.get_device_properties(i).uuid) for i in seen]}))
"""


class Check(NamedTuple):
    """One row. `do` is empty where nothing has to be done."""

    check: str
    state: State
    found: str
    do: str = ""


class Torch(NamedTuple):
    """What torch says of itself. `cuda` is None for a build without it; uuids: of the GPUs it can use."""

    version: str
    cuda: str | None
    kernels: list[str]
    uuids: list[str]


def libraries(needed: Sequence[str]) -> Check:
    """What runs models, installed or not."""
    lacking = [name for name in needed if find_spec(name) is None]
    if lacking:
        return Check("packages", "missing", f"not installed: {', '.join(lacking)}", 'pip install "benchproof[hf]"')
    return Check("packages", "ok", f"{', '.join(needed)} installed")


def lock(root: Path | None) -> Check:
    """Installed versions against the checkout's lock. root: the checkout, None for an installed wheel."""
    path = root / "requirements" / "hf.txt" if root else None
    if path is None or not path.is_file():
        return Check("lock", "unknown", "no lock here: an installed benchproof has none")
    differing = []
    for line in path.read_text("utf-8").splitlines():
        name, sign, wanted = line.partition("==")
        if sign and not line.startswith("#"):
            try:
                have = importlib.metadata.version(name.strip())
            except importlib.metadata.PackageNotFoundError:
                have = "none"
            if wanted.split(";")[0].strip() not in (have, have.partition("+")[0]):  # 2.13.0+cpu is 2.13.0
                differing.append(f"{name} {have} for {wanted}")
    if differing:
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        return Check("lock", "warn", f"differs: {', '.join(differing[:3])}{more}", "make setup")
    return Check("lock", "ok", "every version is the locked one")


def ask_torch() -> Torch | str:
    """What torch says, or why it cannot."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", TORCH], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
        )
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["it failed"])[-1][:200]
        return Torch(**json.loads(done.stdout.splitlines()[-1]))
    except (OSError, subprocess.TimeoutExpired, ValueError, TypeError, IndexError) as error:
        return type(error).__name__


def graphics(torch: Torch | str, device: str | None) -> Iterator[Check]:
    """torch, driver and GPUs. device: what the run will be asked to use, None for a GPU if there is one."""
    bad: State = "warn" if device == "cpu" else "missing"  # of a GPU that is there and cannot be used
    if isinstance(torch, str):
        yield Check("torch", "missing", torch, 'pip install --force-reinstall torch, then "benchproof[hf]" again')
        return
    build = f"CUDA {torch.cuda}" if torch.cuda else "no CUDA"
    yield Check("torch", "ok", f"{torch.version}, built for {build}")
    try:
        with opened() as nvml:
            gpus = list(nvml.gpus())
            if gpus:
                yield _driver(nvml, torch, bad)
                yield from (_gpu(gpu, f"gpu {number}", torch, bad) for number, gpu in enumerate(gpus))
                return
        error = NotKnown("not_applicable", "NVML sees none")
    except NotKnown as raised:
        error = raised
    if torch.uuids:  # a run would be refused: its GPU could not be described
        yield Check("gpu", bad, f"torch sees one, NVML cannot be asked: {error}", remedy(error))
    elif device and device.startswith("cuda"):
        yield Check("gpu", "missing", f"none: {error}", remedy(error))
    else:
        yield Check("gpu", "warn", f"none: {error}", "nothing, for small models; large ones need a GPU box")


def _driver(nvml: Nvml, torch: Torch, bad: State) -> Check:
    """Whether this torch can use this driver."""
    try:
        serves = nvml.driver_cuda()
        found = f"{nvml.ask('SystemGetDriverVersion')}, serves CUDA {serves}"
    except NotKnown as error:
        return Check("driver", "unknown", str(error), "ask nvidia-smi")
    index = "https://download.pytorch.org/whl/"
    if torch.cuda is None:
        do = f"pip install torch --index-url {index}cuNNN (at most CUDA {serves})"
        return Check("driver", bad, f"{found}; this torch was built without CUDA", do)
    if int(torch.cuda.split(".")[0]) > int(serves.split(".")[0]):
        do = f"update the driver, or pip install torch --index-url {index}cuNNN (at most CUDA {serves})"
        return Check("driver", bad, f"{found}; this torch was built for {torch.cuda}", do)
    if not torch.uuids:
        do = "check CUDA_VISIBLE_DEVICES; `python -c 'import torch; torch.cuda.init()'` says more"
        return Check("driver", bad, f"{found}; torch sees no GPU all the same", do)
    return Check("driver", "ok", found)


def _gpu(gpu: Gpu, name: str, torch: Torch, bad: State) -> Check:
    """One board: its memory, who is using it, and whether this torch has kernels for it."""
    found = "?"
    try:
        memory = gpu.own("MemoryInfo")
        found = f"{gpu.own('Name')}, {memory.free / 1e9:.1f} of {memory.total / 1e9:.1f} GB free"
        capability = gpu.compute_capability()
        if torch.kernels and not _has_kernels(capability, torch.kernels):
            do = "install a torch that was built for it"
            return Check(name, bad, f"{found}; torch has no kernels for compute capability {capability}", do)
        others = sorted(gpu.processes().pids - {os.getpid()})
    except NotKnown as error:
        return Check(name, "warn", f"{found}; the rest is not known: {error}", "ask nvidia-smi")
    if others:
        who = f"used by {len(others)} other(s): pid {', '.join(map(str, others[:4]))}"
        return Check(name, "warn", f"{found}; {who}", "wait, or choose another with --device or CUDA_VISIBLE_DEVICES")
    return Check(name, "ok", f"{found}, nobody else is seen on it")


def _has_kernels(capability: str, kernels: Sequence[str]) -> bool:
    """Binary code runs on its own major version from its minor on; PTX on everything from its version on."""
    major, minor = map(int, capability.split("."))
    for kernel in kernels:
        match = re.fullmatch(r"(sm|compute)_(\d+)(\d)[a-z]?", kernel)
        if match:
            built = (int(match[2]), int(match[3]))
            if built <= (major, minor) and (match[1] == "compute" or built[0] == major):
                return True
    return False


def free_gpu_bytes(torch: Torch, device: str) -> int:
    """Free memory of the device that torch calls `cuda:N`. Raises NotKnown."""
    index = int(device.partition(":")[2] or 0)
    if index >= len(torch.uuids):
        raise NotKnown("not_applicable", f"torch sees {len(torch.uuids)} GPUs")
    with opened() as nvml:
        return int(nvml.find(torch.uuids[index]).own("MemoryInfo").free)


def free_bytes() -> int:
    """Main memory that a process may take at most: what is free, and no more than its control group grants."""
    available = host.memory_available()
    try:
        return min(available, host.memory_limit())
    except NotKnown:
        return available


def main_memory() -> Check:
    """Memory and cores; a container's own limit counts."""
    return Check("memory", "ok", f"{free_bytes() / 1e9:.1f} GB of main memory free, {host.cores()} cores")


def disk(name: str, folder: Path, need: int = SMALL_DISK, state: State = "warn") -> Check:
    """Free space where `folder` lies or will lie; `state` where it is less than `need`."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    found = f"{free / 1e9:.1f} GB free in {folder}"
    if not os.access(there, os.W_OK):
        return Check(name, "missing", f"{folder} cannot be written", "choose another folder")
    if free < need:
        return Check(name, state, f"{found}, {need / 1e9:.1f} GB needed", "make room, or choose another disk")
    return Check(name, "ok", found)


def hub(environment: Mapping[str, str], seconds: float = 3.0) -> Check:
    """Whether the Hub answers; what it says to anybody does not matter."""
    if environment.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return Check("hub", "warn", "HF_HUB_OFFLINE is set: only what is cached", "unset it to download")
    address = environment.get("HF_ENDPOINT") or HUB
    url = urlsplit(address)
    if url.scheme not in ("http", "https") or not url.hostname:
        return Check("hub", "warn", "HF_ENDPOINT is no web address", f"unset it, or set it to {HUB}")
    said: list[str] = []

    def head() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=seconds).close()
            said.append("")
        except urllib.error.HTTPError:
            said.append("")  # an answer
        except (OSError, ValueError, HTTPException) as error:
            reason = getattr(error, "reason", error)  # the kind alone: a text may hold the address and a password
            said.append(getattr(reason, "strerror", None) or type(reason).__name__)

    thread = threading.Thread(target=head, daemon=True)  # a name server can take longer than any timeout
    thread.start()
    thread.join(seconds + 0.5)
    reason = said[0] if said else f"no answer in {seconds:g} s"
    if reason:
        do = "only cached models and data can be used; check the network, a proxy, HF_ENDPOINT"
        return Check("hub", "warn", f"{url.hostname} cannot be reached: {reason[:80]}", do)
    return Check("hub", "ok", f"{url.hostname} answers")


def token(environment: Mapping[str, str]) -> Check:
    """Whether there is a token for the Hub; never which."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if environment.get(name, "").strip():
            return Check("token", "ok", f"{name} is set")
    file = Path(environment.get("HF_TOKEN_PATH") or hf_home(environment) / "token")
    if file.is_file():
        return Check("token", "ok", "one is stored by `hf auth login`")
    return Check("token", "ok", "none: public models and data only", "for gated models, set HF_TOKEN")


def sandbox() -> Check:
    """The means of isolating generated code; only code benchmarks need one."""
    refused, version, filters = isolation.bubblewrap(), isolation.landlock(), isolation.seccomp()
    found = (
        f"bubblewrap {refused or 'works'}; Landlock {f'version {version}' if version else 'absent'}; "
        f"seccomp {'present' if filters else 'absent'}"
    )
    if filters and (version or not refused):
        return Check("sandbox", "ok", found)
    return Check("sandbox", "warn", found, "install bubblewrap; without isolation generated code is not run")


def hf_home(environment: Mapping[str, str]) -> Path:
    """Where Hugging Face's libraries keep things."""
    cache = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(environment.get("HF_HOME") or Path(cache) / "huggingface").expanduser()


def hf_cache(environment: Mapping[str, str]) -> Path:
    """Where downloaded models lie."""
    return Path(environment.get("HF_HUB_CACHE") or hf_home(environment) / "hub").expanduser()


def to_download(repo: str, revision: str, wanted: Sequence[str], environment: Mapping[str, str]) -> int:
    """Bytes of a model that are not in the cache yet, by the Hub's own list. Raises NotKnown.

    wanted: the ends of the names of files that are downloaded.
    """
    address = f"{environment.get('HF_ENDPOINT') or HUB}/api/models/{repo}/revision/{revision}?blobs=true"
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            listed: list[dict[str, Any]] = json.load(answer)["siblings"]
        sizes = [int(file.get("size") or 0) for file in listed if str(file["rfilename"]).endswith(tuple(wanted))]
    except (OSError, ValueError, LookupError, TypeError, HTTPException) as error:
        raise NotKnown("probe_failed", f"the Hub does not tell the model's size: {type(error).__name__}") from error
    blobs = hf_cache(environment) / f"models--{repo.replace('/', '--')}" / "blobs"
    have = sum(file.stat().st_size for file in blobs.iterdir()) if blobs.is_dir() else 0
    return max(sum(sizes) - have, 0)


def checkout() -> Path | None:
    """The checkout that runs, if one does."""
    return packages.checkout()
