"""NVML's library as pynvml calls it: functions by their exported names, answers written through references.

pynvml finds each function with `getattr` on its global `nvmlLib`; a missing method is a function that the
driver does not have. What is checked against this fake runs through the real pynvml.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pynvml  # type: ignore[import-untyped]
import pytest

SUCCESS, INVALID, NOT_SUPPORTED, NOT_FOUND, TOO_SMALL, LOST = 0, 2, 3, 6, 7, 15
UUID = "GPU-8a56fb1a-3b5c-4d2e-9f10-0123456789ab"
SLICE_UUID = "MIG-5c89852c-d268-c3f3-1b07-005d5ae1dc3f"
BOARD, SLICE = 0x1000, 0x2000  # handles
NEWER = (  # exported functions that an old driver lacks
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetTemperatureV",
    "nvmlDeviceGetComputeRunningProcesses_v3",
    "nvmlDeviceGetArchitecture",
    "nvmlDeviceIsMigDeviceHandle",
    "nvmlDeviceGetMigMode",
    "nvmlDeviceGetRemappedRows",
)
BOARD_ONLY = ("PowerUsage", "EnforcedPowerLimit", "ClockInfo", "TemperatureV", "EccMode", "TotalEnergyConsumption")


@dataclass
class Card:
    """A GPU's state. Fields that a test changes while a run goes on are plain numbers."""

    name: str = "NVIDIA H100 80GB HBM3"
    uuid: str = UUID
    total: int = 85_520_809_984
    used: int = 1_000_000_000
    energy: int = 5_000_000  # mJ
    power: int = 120_000  # mW
    clock_sm: int = 1980
    clock_memory: int = 2619
    temperature: int = 35
    reasons: int = 0x1
    ecc_errors: int = 0
    mig: bool = False
    cuda: int = 13000
    pids: list[int] = field(default_factory=list)
    slice_pids: list[int] = field(default_factory=list)
    fails: dict[str, int] = field(default_factory=dict)  # exported name -> error code
    lacks: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)
    open: int = 0


class FakeNvml:
    """One card behind NVML's C interface."""

    def __init__(self, card: Card) -> None:
        self._card = card

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("nvml"):
            return object.__getattribute__(self, name)
        card: Card = self._card
        if name in card.lacks:
            raise AttributeError(name)
        function = object.__getattribute__(self, name)

        def call(*values: Any) -> int:
            card.asked.append(name)
            if not card.open and name != "nvmlInitWithFlags":
                return 1  # uninitialized
            return card.fails.get(name) or function(*values)

        return call

    # ------------------------------------------------------------ system

    def nvmlInitWithFlags(self, flags: int) -> int:
        self._card.open += 1
        return SUCCESS

    def nvmlShutdown(self) -> int:
        self._card.open -= 1
        return SUCCESS

    def nvmlSystemGetDriverVersion(self, buffer: Any, size: Any) -> int:
        return text(buffer, "580.65.06")

    def nvmlSystemGetNVMLVersion(self, buffer: Any, size: Any) -> int:
        return text(buffer, "13.580.65.06")

    def nvmlSystemGetCudaDriverVersion_v2(self, ref: Any) -> int:
        return put(ref, self._card.cuda)

    def nvmlDeviceGetCount_v2(self, ref: Any) -> int:
        return put(ref, 1)

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, ref: Any) -> int:
        return point(ref, BOARD) if index.value == 0 else INVALID

    def nvmlDeviceGetHandleByUUID(self, uuid: Any, ref: Any) -> int:
        known = {self._card.uuid: BOARD} | ({SLICE_UUID: SLICE} if self._card.mig else {})
        handle = known.get(uuid.value.decode())
        return NOT_FOUND if handle is None else point(ref, handle)

    # --------------------------------------------------------------- MIG

    def nvmlDeviceIsMigDeviceHandle(self, handle: Any, ref: Any) -> int:
        return put(ref, int(number(handle) == SLICE))

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle: Any, ref: Any) -> int:
        return point(ref, BOARD)

    def nvmlDeviceGetMigMode(self, handle: Any, current: Any, pending: Any) -> int:
        return put(current, int(self._card.mig)) or put(pending, int(self._card.mig))

    # ------------------------------------------- the run's device: slice or board

    def nvmlDeviceGetName(self, handle: Any, buffer: Any, size: Any) -> int:
        return text(buffer, self._card.name + (" MIG 1g.10gb" if number(handle) == SLICE else ""))

    def nvmlDeviceGetUUID(self, handle: Any, buffer: Any, size: Any) -> int:
        return text(buffer, SLICE_UUID if number(handle) == SLICE else self._card.uuid)

    def nvmlDeviceGetMemoryInfo(self, handle: Any, ref: Any) -> int:
        parts = 7 if number(handle) == SLICE else 1
        memory = ref._obj
        memory.total, memory.used = self._card.total // parts, self._card.used // parts
        memory.free = memory.total - memory.used
        return SUCCESS

    def nvmlDeviceGetComputeRunningProcesses_v3(self, handle: Any, count: Any, found: Any) -> int:
        return self._processes(handle, count, found)

    def _processes(self, handle: Any, count: Any, found: Any) -> int:
        pids = self._card.slice_pids if number(handle) == SLICE else self._card.pids
        if not pids:
            return put(count, 0)
        if found is None:
            put(count, len(pids))
            return TOO_SMALL
        for place, pid in enumerate(pids):
            found[place].pid, found[place].usedGpuMemory = pid, 10**9
        return put(count, len(pids))

    def nvmlDeviceGetComputeRunningProcesses_v2(self, handle: Any, count: Any, found: Any) -> int:
        return self._processes(handle, count, found)

    # --------------------------------------------------------- the board

    def nvmlDeviceGetArchitecture(self, handle: Any, ref: Any) -> int:
        return put(ref, 9)

    def nvmlDeviceGetCudaComputeCapability(self, handle: Any, major: Any, minor: Any) -> int:
        return put(major, 9) or put(minor, 0)

    def nvmlDeviceGetVbiosVersion(self, handle: Any, buffer: Any, size: Any) -> int:
        return text(buffer, "96.00.89.00.01")

    def nvmlDeviceGetEccMode(self, handle: Any, current: Any, pending: Any) -> int:
        return put(current, 1) or put(pending, 1)

    def nvmlDeviceGetTotalEccErrors(self, handle: Any, kind: Any, counter: Any, ref: Any) -> int:
        return put(ref, self._card.ecc_errors if (kind.value, counter.value) == (1, 0) else 777)

    def nvmlDeviceGetRemappedRows(self, handle: Any, *refs: Any) -> int:
        return put(refs[0], 2) or put(refs[1], 1) or put(refs[2], 0) or put(refs[3], 0)

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Any, ref: Any) -> int:
        return board(handle) or put(ref, 699_500)

    def nvmlDeviceGetPowerManagementDefaultLimit(self, handle: Any, ref: Any) -> int:
        return board(handle) or put(ref, 700_000)

    def nvmlDeviceGetPowerUsage(self, handle: Any, ref: Any) -> int:
        return board(handle) or put(ref, self._card.power)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, ref: Any) -> int:
        return board(handle) or put(ref, self._card.energy)

    def nvmlDeviceGetClockInfo(self, handle: Any, kind: Any, ref: Any) -> int:
        return board(handle) or put(ref, {1: self._card.clock_sm, 2: self._card.clock_memory}[kind.value])

    def nvmlDeviceGetMaxClockInfo(self, handle: Any, kind: Any, ref: Any) -> int:
        return board(handle) or put(ref, {1: 1980, 2: 2619}[kind.value])

    def nvmlDeviceGetApplicationsClock(self, handle: Any, kind: Any, ref: Any) -> int:
        return board(handle) or put(ref, 1980)

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: Any, ref: Any) -> int:
        return board(handle) or put(ref, self._card.reasons)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: Any, ref: Any) -> int:
        return board(handle) or put(ref, self._card.reasons)

    def nvmlDeviceGetTemperatureV(self, handle: Any, ref: Any) -> int:
        ref._obj.temperature = self._card.temperature
        return board(handle)

    def nvmlDeviceGetTemperature(self, handle: Any, sensor: Any, ref: Any) -> int:
        return board(handle) or put(ref, self._card.temperature)

    def nvmlDeviceGetPersistenceMode(self, handle: Any, ref: Any) -> int:
        return board(handle) or put(ref, 1)

    def nvmlDeviceGetComputeMode(self, handle: Any, ref: Any) -> int:
        return board(handle) or put(ref, 0)


def put(ref: Any, value: int) -> int:
    ref._obj.value = value
    return SUCCESS


def text(buffer: Any, value: str) -> int:
    buffer.value = value.encode()
    return SUCCESS


def point(ref: Any, handle: int) -> int:
    ctypes.cast(ref, ctypes.POINTER(ctypes.c_void_p))[0] = handle
    return SUCCESS


def number(handle: Any) -> int:
    return ctypes.cast(handle, ctypes.c_void_p).value or 0


def board(handle: Any) -> int:
    """The real one refuses these for a MIG slice."""
    return INVALID if number(handle) == SLICE else SUCCESS


def healthy() -> Card:
    return Card(pids=[os.getpid()])


def old_driver() -> Card:
    return Card(pids=[os.getpid()], lacks=NEWER, cuda=11040)


def mig() -> Card:
    return Card(mig=True, pids=[os.getpid(), 77, 78], slice_pids=[os.getpid()])


def consumer() -> Card:
    """No ECC, no MIG, no remapped rows."""
    names = ("EccMode", "TotalEccErrors", "RemappedRows", "MigMode", "ApplicationsClock")
    return Card(
        name="NVIDIA GeForce RTX 4090",
        total=25_757_220_864,
        pids=[os.getpid()],
        fails={f"nvmlDeviceGet{name}": NOT_SUPPORTED for name in names},
    )


@contextmanager
def speaking(card: Card) -> Iterator[Card]:
    """Inside, the real pynvml talks to this card."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pynvml, "nvmlLib", FakeNvml(card))
        patch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
        yield card


@contextmanager
def no_library() -> Iterator[None]:
    """Inside, no NVIDIA driver is there, whatever this machine has."""

    def missing(*_: object) -> None:
        raise OSError("libnvidia-ml.so.1: cannot open shared object file")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pynvml, "nvmlLib", None)
        patch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
        patch.setattr(pynvml, "CDLL", missing)
        yield
