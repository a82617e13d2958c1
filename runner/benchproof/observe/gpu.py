"""GPUs through NVML: every call guarded by itself, every failure under NVML's own name. The one door to pynvml.

NVML ignores CUDA_VISIBLE_DEVICES and counts in another order than CUDA, so a GPU is found by its uuid
and never by an index. Under MIG the run holds a slice: what is the slice's own is asked of the slice,
the rest (power, clocks, ECC) of the whole board, which others may share.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from benchproof.observe.reason import NotKnown
from benchproof.schema.unknown import UnknownCode

CODES: dict[str, UnknownCode] = {
    "NotSupported": "not_exposed",
    "FunctionNotFound": "not_exposed",
    "NoPermission": "permission_denied",
    "LibraryNotFound": "not_installed",
    "DriverNotLoaded": "not_installed",
}
# Bits of nvmlDeviceGetCurrentClocksEventReasons.
REASONS = {
    0x1: "gpu_idle",
    0x2: "application_clocks",
    0x4: "software_power_cap",
    0x8: "hardware_slowdown",
    0x10: "sync_boost",
    0x20: "software_thermal_slowdown",
    0x40: "hardware_thermal_slowdown",
    0x80: "hardware_power_brake",
    0x100: "display_clocks",
    0x200: "board_limit",
    0x400: "reliability",
}
COMPUTE_MODES = {0: "default", 1: "exclusive_thread", 2: "prohibited", 3: "exclusive_process"}
SM, MEMORY = 1, 2  # nvmlClockType_t
UNCORRECTED, VOLATILE = 1, 0  # nvmlMemoryErrorType_t, nvmlEccCounterType_t: since the driver was loaded
SENSOR = 0  # nvmlTemperatureSensors_t: the GPU die


class Processes(NamedTuple):
    """Who computes on a GPU: pids as NVML numbers them, and the memory they hold, if it says."""

    pids: frozenset[int]
    used_bytes: int


class Nvml:
    """NVML, opened for this process. Raises NotKnown if it cannot be."""

    def __init__(self) -> None:
        try:
            import pynvml  # type: ignore[import-untyped]
        except ImportError as error:
            raise NotKnown("not_installed", "the package nvidia-ml-py is not installed") from error
        self._library: Any = pynvml
        self.ask("Init")

    def close(self) -> None:
        """Ends this use of NVML; a failure changes nothing."""
        with suppress(NotKnown):
            self.ask("Shutdown")

    def ask(self, names: str, *values: Any) -> Any:
        """`nvml<name>(*values)`; of `New|Old`, the first that the driver has. Raises NotKnown."""
        for name in names.split("|"):
            function = getattr(self._library, f"nvml{name}", None)
            kind = "FunctionNotFound"  # this nvidia-ml-py is older than the function
            if function is not None:
                try:
                    return function(*values)
                except self._library.NVMLError as error:
                    kind = type(error).__name__.removeprefix("NVMLError").removeprefix("_") or f"code {error.value}"
                except self._library.NVMLLibraryMismatchError:
                    pass  # pynvml's own word for a function that it wraps and the driver lacks
            if kind != "FunctionNotFound":
                break
        raise NotKnown(CODES.get(kind, "probe_failed"), f"nvml{name}: {kind}")

    def gpus(self) -> Iterator["Gpu"]:
        """Every GPU that can be asked, boards and not slices. Raises NotKnown."""
        for index in range(self.ask("DeviceGetCount")):
            yield self._gpu(self.ask("DeviceGetHandleByIndex", index))

    def find(self, uuid: str | None) -> "Gpu":
        """The GPU or MIG slice with this uuid, as torch or NVML spells it. None: the only one. Raises NotKnown."""
        if uuid is None:
            gpus = list(self.gpus())
            if len(gpus) != 1:
                raise NotKnown(
                    "not_exposed", f"NVML sees {len(gpus)} GPUs, and the engine did not say which is its own"
                )
            if gpus[0].mig_on():
                raise NotKnown(
                    "not_exposed", "the GPU is cut by MIG, and the engine did not say which slice is its own"
                )
            return gpus[0]
        bare = uuid.lower().removeprefix("gpu-").removeprefix("mig-")
        for spelled in (f"GPU-{bare}", f"MIG-{bare}"):
            with suppress(NotKnown):
                return self._gpu(self.ask("DeviceGetHandleByUUID", spelled))
        raise NotKnown("probe_failed", "NVML knows no GPU with the uuid of the engine's device")

    def driver_cuda(self) -> str:
        """The newest CUDA that the driver serves, `13.0`. Raises NotKnown."""
        number = self.ask("SystemGetCudaDriverVersion_v2|SystemGetCudaDriverVersion")
        return f"{number // 1000}.{number % 1000 // 10}"

    def architecture(self, number: int) -> str:
        """`hopper`; a number that this nvidia-ml-py does not know stays one."""
        prefix = "NVML_DEVICE_ARCH_"
        names = {value: name for name, value in vars(self._library).items() if name.startswith(prefix)}
        return names[number].removeprefix(prefix).lower() if number in names else str(number)

    def _gpu(self, handle: Any) -> "Gpu":
        board = handle
        with suppress(NotKnown):  # a driver without the function has no MIG either
            if self.ask("DeviceIsMigDeviceHandle", handle):
                board = self.ask("DeviceGetDeviceHandleFromMigDeviceHandle", handle)
                return Gpu(self, handle, board, is_slice=True)
        return Gpu(self, handle, board, is_slice=False)


@contextmanager
def opened() -> Iterator[Nvml]:
    """NVML for as long as it is needed. Raises NotKnown."""
    nvml = Nvml()
    try:
        yield nvml
    finally:
        nvml.close()


@dataclass(frozen=True, slots=True)
class Gpu:
    """The GPU, or the slice of one, that a run uses. Every method raises NotKnown."""

    nvml: Nvml
    handle: Any
    board: Any
    is_slice: bool

    def own(self, names: str, *values: Any) -> Any:
        """Asks the device that the run uses."""
        return self.nvml.ask("|".join(f"DeviceGet{name}" for name in names.split("|")), self.handle, *values)

    def whole(self, names: str, *values: Any) -> Any:
        """Asks the physical board."""
        return self.nvml.ask("|".join(f"DeviceGet{name}" for name in names.split("|")), self.board, *values)

    def uuid_sha256(self, salt: str) -> str:
        """Tells devices of one plan apart, and names none: sha256 of the salt and NVML's uuid."""
        return hashlib.sha256((salt + str(self.own("UUID"))).encode()).hexdigest()

    def compute_capability(self) -> str:
        """`9.0`."""
        major, minor = self.whole("CudaComputeCapability")
        return f"{major}.{minor}"

    def mig_on(self) -> bool:
        """Whether the board is cut into slices; one that cannot be is not."""
        try:
            return bool(self.whole("MigMode")[0])
        except NotKnown:
            return False

    def mig(self) -> str:
        """`off`; `on`, and that the run holds a slice."""
        current, _ = self.whole("MigMode")
        return ("on: a slice" if self.is_slice else "on") if current else "off"

    def ecc(self) -> str:
        """`on` or `off`, and what it becomes with the next reboot."""
        current, pending = (("off", "on")[bool(state)] for state in self.whole("EccMode"))
        return current if current == pending else f"{current}, {pending} after a reboot"

    def remapped_rows(self) -> dict[str, int]:
        """Rows of memory that were replaced: by correctable and uncorrectable errors, still waiting, failed."""
        corrected, uncorrected, pending, failed = self.whole("RemappedRows")
        return {"corrected": corrected, "uncorrected": uncorrected, "pending": pending, "failed": failed}

    def watts(self, names: str) -> str:
        """A power that NVML tells in mW."""
        return milli(self.whole(names))

    def energy_mj(self) -> int:
        """Millijoules since the driver was loaded: only a difference says something."""
        if self.is_slice:
            raise NotKnown("not_exposed", "energy is counted for the whole GPU, and this run held a slice of it")
        return int(self.whole("TotalEnergyConsumption"))

    def temperature(self) -> int:
        """Degrees Celsius of the die."""
        return int(self.whole("TemperatureV|Temperature", SENSOR))

    def reason_bits(self) -> int:
        """What holds the clocks back, as NVML's bits."""
        return int(self.whole("CurrentClocksEventReasons|CurrentClocksThrottleReasons"))

    def processes(self) -> Processes:
        """Who computes on the device now. In a container, pids may be missing or the host's."""
        found = self.own("ComputeRunningProcesses_v3|ComputeRunningProcesses_v2")
        return Processes(frozenset(int(p.pid) for p in found), sum(int(p.usedGpuMemory or 0) for p in found))

    def listed(self) -> int:
        """Compute processes that NVML lists beside this one; in a container it may hide some."""
        return len(self.processes().pids - {os.getpid()})


def reasons(bits: int) -> list[str]:
    """Names of bits; one that nobody named here keeps its number."""
    return [REASONS.get(1 << place, f"bit_{1 << place:#x}") for place in range(bits.bit_length()) if bits >> place & 1]


def milli(thousandths: int) -> str:
    """1500 -> `1.5`: a decimal string, exact."""
    whole, rest = divmod(thousandths, 1000)
    return f"{whole}.{rest:03d}".rstrip("0").rstrip(".") if rest else str(whole)


def remedy(error: NotKnown) -> str:
    """What to do where NVML cannot be opened."""
    if "nvidia-ml-py" in str(error):
        return "pip install nvidia-ml-py"
    return (
        "run where the NVIDIA driver's libnvidia-ml.so.1 is visible (containers: "
        "NVIDIA_DRIVER_CAPABILITIES=compute,utility), or give --device cpu"
    )
