"""The table of probes, and the observer that reads it. Adding a probe is one line: name, unit, how to look.

START is read before the model is loaded, END when the attempt is over. A look that raises leaves its reason
where the value would stand. No host, user or path name is probed: a record is read by strangers.
Units: bytes, cores, s, MHz, W, J, C (degrees Celsius), or none. Real numbers are decimal strings.
"""

import locale
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from benchproof.errors import MachineError
from benchproof.observe import environment, host, packages
from benchproof.observe.gpu import COMPUTE_MODES, MEMORY, SM, UNCORRECTED, VOLATILE, Gpu, Nvml, milli, reasons, remedy
from benchproof.observe.reason import NotKnown, looked
from benchproof.observe.watch import EVERY, FIRST, Watch
from benchproof.schema.observed import Probe
from benchproof.schema.unknown import Unknown


class Row(NamedTuple):
    """One quantity. `look` returns JSON, no float in it, or raises NotKnown."""

    name: str
    unit: str
    look: Callable[["Machine"], Any]


START: tuple[Row, ...] = (
    Row("os", "", lambda m: host.system()),
    Row("kernel", "", lambda m: host.kernel()),
    Row("libc", "", lambda m: " ".join(platform.libc_ver())),
    Row("container", "", lambda m: host.container()),
    Row("container_image", "", lambda m: host.image_digest()),
    Row("machine", "", lambda m: platform.machine()),
    Row("cpu_model", "", lambda m: host.cpu_model()),
    Row("cpu_features", "", lambda m: host.cpu_features()),
    Row("cpu_cores_usable", "cores", lambda m: host.cores()),
    Row("cpu_quota", "cores", lambda m: host.cpu_quota()),
    Row("memory", "bytes", lambda m: host.memory_bytes()),
    Row("memory_available", "bytes", lambda m: host.memory_available()),
    Row("memory_limit", "bytes", lambda m: host.memory_limit()),
    Row("python", "", lambda m: f"{platform.python_implementation()} {platform.python_version()}"),
    Row("python_hash_randomized", "", lambda m: bool(sys.flags.hash_randomization)),
    Row("time_zone", "", lambda m: time.tzname[0]),
    Row("locale", "", lambda m: locale.setlocale(locale.LC_CTYPE)),
    Row("environment", "", lambda m: environment.variables(m.salt)),
    Row("code_commit", "", lambda m: packages.code_commit()),
    Row("code_dirty", "", lambda m: packages.code_dirty()),
    Row("distributions", "", lambda m: packages.distributions()),
    Row("driver", "", lambda m: m.nvml.ask("SystemGetDriverVersion")),
    Row("driver_cuda", "", lambda m: m.nvml.driver_cuda()),
    Row("nvml", "", lambda m: m.nvml.ask("SystemGetNVMLVersion")),
    Row("gpus", "", lambda m: m.nvml.ask("DeviceGetCount")),
    Row("gpu_name", "", lambda m: m.gpu.own("Name")),
    Row("gpu_uuid_sha256", "", lambda m: m.gpu.uuid_sha256(m.salt)),
    Row("gpu_architecture", "", lambda m: m.nvml.architecture(m.gpu.whole("Architecture"))),
    Row("gpu_compute_capability", "", lambda m: m.gpu.compute_capability()),
    Row("gpu_vbios", "", lambda m: m.gpu.whole("VbiosVersion")),
    Row("gpu_memory", "bytes", lambda m: m.gpu.own("MemoryInfo").total),
    Row("gpu_memory_free", "bytes", lambda m: m.gpu.own("MemoryInfo").free),
    Row("gpu_mig", "", lambda m: m.gpu.mig()),
    Row("gpu_ecc", "", lambda m: m.gpu.ecc()),
    Row("gpu_ecc_uncorrected", "", lambda m: m.gpu.whole("TotalEccErrors", UNCORRECTED, VOLATILE)),
    Row("gpu_remapped_rows", "", lambda m: m.gpu.remapped_rows()),
    Row("gpu_power_limit", "W", lambda m: m.gpu.watts("EnforcedPowerLimit|PowerManagementLimit")),
    Row("gpu_power_limit_default", "W", lambda m: m.gpu.watts("PowerManagementDefaultLimit")),
    Row("gpu_clock_sm", "MHz", lambda m: m.gpu.whole("ClockInfo", SM)),
    Row("gpu_clock_sm_max", "MHz", lambda m: m.gpu.whole("MaxClockInfo", SM)),
    Row("gpu_clock_sm_asked", "MHz", lambda m: m.gpu.whole("ApplicationsClock", SM)),
    Row("gpu_clock_memory", "MHz", lambda m: m.gpu.whole("ClockInfo", MEMORY)),
    Row("gpu_clock_memory_max", "MHz", lambda m: m.gpu.whole("MaxClockInfo", MEMORY)),
    Row("gpu_clock_reasons", "", lambda m: reasons(m.gpu.reason_bits())),
    Row("gpu_temperature", "C", lambda m: m.gpu.temperature()),
    Row("gpu_persistence", "", lambda m: bool(m.gpu.whole("PersistenceMode"))),
    Row("gpu_compute_mode", "", lambda m: COMPUTE_MODES.get(mode := m.gpu.whole("ComputeMode"), str(mode))),
    Row("gpu_foreign_processes_listed", "", lambda m: m.gpu.listed()),
)

END: tuple[Row, ...] = (
    Row("process_memory_peak", "bytes", lambda m: host.peak_memory_bytes()),
    Row("process_cpu_time", "s", lambda m: host.cpu_seconds()),
    Row("gpu_samples", "", lambda m: m.watch.samples),
    Row("gpu_energy", "J", lambda m: milli(m.since_start("energy"))),
    Row("gpu_power_highest", "W", lambda m: milli(m.watch.highest("power"))),
    Row("gpu_temperature_highest", "C", lambda m: m.watch.highest("temperature")),
    Row("gpu_clock_sm_lowest", "MHz", lambda m: m.watch.lowest("clock_sm")),
    Row("gpu_clock_sm_highest", "MHz", lambda m: m.watch.highest("clock_sm")),
    Row("gpu_clock_memory_lowest", "MHz", lambda m: m.watch.lowest("clock_memory")),
    Row("gpu_slowdowns", "", lambda m: m.watch.slowdowns()),
    Row("gpu_memory_used_highest", "bytes", lambda m: m.watch.highest("memory_used")),
    Row("gpu_foreign_processes_most", "", lambda m: m.watch.foreign()),
    Row("gpu_ecc_uncorrected_new", "", lambda m: m.since_start("ecc")),
)


# What only grows: END tells the difference.
COUNTERS: dict[str, Callable[["Machine"], int]] = {
    "energy": lambda m: m.gpu.energy_mj(),
    "ecc": lambda m: int(m.gpu.whole("TotalEccErrors", UNCORRECTED, VOLATILE)),
}


class Machine:
    """Implements ports.Observer: `start` before the model is loaded, `end` when the attempt is over."""

    salt: str

    def __init__(self, *, first: float = FIRST, every: float = EVERY) -> None:
        self._first, self._every = first, every
        self.salt = ""
        self._nvml: Nvml | NotKnown = NotKnown("not_applicable", "nothing was started")
        self._gpu: Gpu | NotKnown = self._nvml
        self._watch: Watch | None = None
        self._counters: dict[str, int | Unknown] = {}
        self._ended: list[Probe] | None = []  # nothing goes on

    def start(self, device: str, device_uuid: str | None, salt: str) -> list[Probe]:
        """What this attempt runs on; from here on its GPU is watched.

        device: `cpu` or `cuda:N`. device_uuid: of the GPU, as torch tells it. salt: goes into every hash of an
        id, so that one machine cannot be followed from record to record; the plan id.
        Raises MachineError if the run claims CUDA where NVML cannot be asked.
        """
        self.end()  # of an attempt before, if nobody ended it
        self.salt, self._ended = salt, None
        if device.startswith("cuda"):
            self._open(device, device_uuid)
        else:
            self._nvml = self._gpu = NotKnown("not_applicable", "no GPU is used: the run is on the CPU")
        self._counters = {name: looked(look, self) for name, look in COUNTERS.items()}
        found = list(_look(START, self))
        if isinstance(self._gpu, Gpu):
            self._watch = Watch(self._gpu, first=self._first, every=self._every)
        return found

    def end(self) -> list[Probe]:
        """What was seen since `start`: differences, highest and lowest. Ends the watch; again, it says the same."""
        if self._ended is None:
            if self._watch is not None:
                self._watch.stop()
            self._ended = list(_look(END, self))
            self._watch = None
            if isinstance(self._nvml, Nvml):
                self._nvml.close()
            self._nvml = self._gpu = NotKnown("not_applicable", "the attempt is over")
        return self._ended

    @property
    def nvml(self) -> Nvml:
        """Raises NotKnown where there is none."""
        if isinstance(self._nvml, NotKnown):
            raise self._nvml
        return self._nvml

    @property
    def gpu(self) -> Gpu:
        """The device of this run. Raises NotKnown where there is none."""
        if isinstance(self._gpu, NotKnown):
            raise self._gpu
        return self._gpu

    @property
    def watch(self) -> Watch:
        """Raises NotKnown where there is none."""
        if self._watch is None:
            self.gpu  # noqa: B018  # raises the reason
            raise NotKnown("probe_failed", "the GPU was not watched")
        return self._watch

    def since_start(self, counter: str) -> int:
        """How far one of COUNTERS has moved since `start`. Raises NotKnown; it may have been reset."""
        before, now = self._counters[counter], COUNTERS[counter](self)
        if isinstance(before, Unknown):
            raise NotKnown(before.unknown, before.detail)
        if now < before:
            raise NotKnown("probe_failed", "the counter was reset while the run went on")
        return now - before

    def _open(self, device: str, device_uuid: str | None) -> None:
        try:
            self._nvml = Nvml()
        except NotKnown as error:
            raise MachineError(
                f"the run claims a GPU that NVML cannot confirm: {error}", where=f"device {device}", do=remedy(error)
            ) from error
        try:
            self._gpu = self._nvml.find(device_uuid)
        except NotKnown as error:
            self._gpu = error


def _look(table: Sequence[Row], machine: Machine) -> Iterator[Probe]:
    """Each row's value, or why there is none."""
    for name, unit, look in table:
        yield Probe(name=name, unit=unit, value=looked(look, machine))
