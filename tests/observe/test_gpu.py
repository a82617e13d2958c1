"""GPUs through the real pynvml over a fake library: healthy, old, cut by MIG, without ECC, not there."""

import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from benchproof.errors import MachineError
from benchproof.observe import packages
from benchproof.observe.gpu import milli, opened, reasons
from benchproof.observe.probes import END, START, Machine
from benchproof.observe.reason import NotKnown
from benchproof.schema.canonical import canonical
from benchproof.schema.observed import Probe
from benchproof.schema.unknown import Unknown
from fakes.nvml import LOST, SLICE_UUID, UUID, Card, consumer, healthy, mig, no_library, old_driver, speaking

BARE = UUID.removeprefix("GPU-")  # as torch spells it
Started = tuple[Card, Machine, dict[str, Any]]


@contextmanager
def started(card: Card, uuid: str | None = BARE, *, every: float = 60.0) -> Iterator[Started]:
    with speaking(card):
        machine = Machine(first=every, every=every)
        try:
            yield card, machine, values(machine.start("cuda:0", uuid, "salt"))
        finally:
            machine.end()


@pytest.fixture(autouse=True)
def few_distributions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading every installed one takes longer than all of these tests."""
    monkeypatch.setattr(packages, "distributions", dict)


def values(probes: list[Probe]) -> dict[str, Any]:
    canonical([probe.json_value() for probe in probes])  # no float, nothing too large
    found = {probe.name: probe.value for probe in probes}
    assert len(found) == len(probes), "a name stands twice"
    return found


def unknown(value: object, code: str, *words: str) -> None:
    assert isinstance(value, Unknown) and value.unknown == code, value
    assert all(word in value.detail for word in words), value


def test_a_healthy_gpu_is_wholly_known() -> None:
    with started(healthy()) as (_, _machine, seen):
        gpu = {name: value for name, value in seen.items() if name.startswith(("gpu", "driver", "nvml"))}
    assert gpu == {
        "driver": "580.65.06",
        "driver_cuda": "13.0",
        "nvml": "13.580.65.06",
        "gpus": 1,
        "gpu_name": "NVIDIA H100 80GB HBM3",
        "gpu_uuid_sha256": hashlib.sha256(f"salt{UUID}".encode()).hexdigest(),
        "gpu_architecture": "hopper",
        "gpu_compute_capability": "9.0",
        "gpu_vbios": "96.00.89.00.01",
        "gpu_memory": 85_520_809_984,
        "gpu_memory_free": 84_520_809_984,
        "gpu_mig": "off",
        "gpu_ecc": "on",
        "gpu_ecc_uncorrected": 0,
        "gpu_remapped_rows": {"corrected": 2, "uncorrected": 1, "pending": 0, "failed": 0},
        "gpu_power_limit": "699.5",
        "gpu_power_limit_default": "700",
        "gpu_clock_sm": 1980,
        "gpu_clock_sm_max": 1980,
        "gpu_clock_sm_asked": 1980,
        "gpu_clock_memory": 2619,
        "gpu_clock_memory_max": 2619,
        "gpu_clock_reasons": ["gpu_idle"],
        "gpu_temperature": 35,
        "gpu_persistence": True,
        "gpu_compute_mode": "default",
        "gpu_foreign_processes_listed": 0,
    }


def test_every_row_is_there_once_in_its_order_whatever_the_machine() -> None:
    with started(old_driver()) as (_, machine, seen):
        assert list(seen) == [row.name for row in START]
        assert list(values(machine.end())) == [row.name for row in END]
    machine = Machine()
    assert list(values(machine.start("cpu", None, ""))) == [row.name for row in START]
    assert list(values(machine.end())) == [row.name for row in END]


def test_an_old_driver_answers_by_older_functions_and_names_what_it_lacks() -> None:
    with started(old_driver()) as (card, _, seen):
        assert seen["driver_cuda"] == "11.4"
        assert seen["gpu_clock_reasons"] == ["gpu_idle"] and seen["gpu_temperature"] == 35
        assert seen["gpu_foreign_processes_listed"] == 0
        for name, function in (("architecture", "Architecture"), ("mig", "MigMode"), ("remapped_rows", "RemappedRows")):
            unknown(seen[f"gpu_{name}"], "not_exposed", f"nvmlDeviceGet{function}: FunctionNotFound")
    assert "nvmlDeviceGetCurrentClocksThrottleReasons" in card.asked and "nvmlDeviceGetTemperature" in card.asked


def test_pynvmls_own_complaint_about_an_old_driver_is_a_function_that_is_not_there() -> None:
    with speaking(old_driver()), opened() as nvml:
        gpu = next(nvml.gpus())
        with pytest.raises(NotKnown, match="nvmlDeviceGetComputeRunningProcesses: FunctionNotFound"):
            gpu.own("ComputeRunningProcesses")  # pynvml wraps it, and raises something that is no NVMLError


def test_under_mig_the_slice_is_described_and_its_board_for_the_rest() -> None:
    with started(mig(), SLICE_UUID) as (card, machine, seen):
        assert seen["gpu_name"] == "NVIDIA H100 80GB HBM3 MIG 1g.10gb"
        assert seen["gpu_uuid_sha256"] == hashlib.sha256(f"salt{SLICE_UUID}".encode()).hexdigest()
        assert seen["gpu_memory"] == card.total // 7
        assert seen["gpu_mig"] == "on: a slice"
        assert seen["gpu_power_limit"] == "699.5" and seen["gpu_ecc"] == "on"
        assert seen["gpu_foreign_processes_listed"] == 0, "other slices' processes are not on this one"
        card.energy += 1000
        unknown(values(machine.end())["gpu_energy"], "not_exposed", "slice")


def test_a_consumer_card_without_ecc_says_not_supported_and_keeps_the_rest() -> None:
    with started(consumer()) as (_, machine, seen):
        assert seen["gpu_name"] == "NVIDIA GeForce RTX 4090"
        for name in ("gpu_ecc", "gpu_ecc_uncorrected", "gpu_remapped_rows", "gpu_mig", "gpu_clock_sm_asked"):
            unknown(seen[name], "not_exposed", "NotSupported")
        assert seen["gpu_temperature"] == 35
        unknown(values(machine.end())["gpu_ecc_uncorrected_new"], "not_exposed", "NotSupported")


def test_a_claim_of_cuda_without_nvml_is_refused() -> None:
    with no_library(), pytest.raises(MachineError) as caught:
        Machine().start("cuda:0", BARE, "salt")
    assert caught.value.exit_code == 5
    assert "LibraryNotFound" in caught.value.what and "libnvidia-ml.so.1" in caught.value.do


def test_a_claim_of_cuda_without_the_package_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(MachineError) as caught:
        Machine().start("cuda", BARE, "salt")
    assert caught.value.do == "pip install nvidia-ml-py"


def test_a_run_on_the_cpu_asks_no_gpu_and_says_so() -> None:
    with speaking(healthy()) as card:
        machine = Machine()
        seen = values(machine.start("cpu", None, "")) | values(machine.end())
    assert card.asked == []
    for name, value in seen.items():
        if name.startswith(("gpu", "driver", "nvml")):
            unknown(value, "not_applicable", "on the CPU")
        else:
            assert not name.startswith("gpu")


@pytest.mark.parametrize("spelled", [UUID, BARE, BARE.upper()])
def test_a_gpu_is_found_by_uuid_however_it_is_spelled(spelled: str) -> None:
    with started(healthy(), spelled) as (_, _machine, seen):
        assert seen["gpu_name"] == "NVIDIA H100 80GB HBM3"


def test_a_gpu_that_cannot_be_told_is_unknown_and_never_the_first() -> None:
    with started(healthy(), "00000000-0000-0000-0000-000000000000") as (_, machine, seen):
        unknown(seen["gpu_name"], "probe_failed", "uuid")
        assert seen["driver"] == "580.65.06"
        unknown(values(machine.end())["gpu_energy"], "probe_failed", "uuid")
    with started(healthy(), None) as (_, _machine, seen):
        assert seen["gpu_name"] == "NVIDIA H100 80GB HBM3", "the only one"
    with started(mig(), None) as (_, _machine, seen):
        unknown(seen["gpu_name"], "not_exposed", "slice")


def test_permission_and_other_failures_keep_nvmls_name() -> None:
    card = healthy()
    card.fails = {"nvmlDeviceGetVbiosVersion": 4, "nvmlDeviceGetName": LOST, "nvmlDeviceGetComputeMode": 4711}
    with started(card) as (_, _machine, seen):
        unknown(seen["gpu_vbios"], "permission_denied", "nvmlDeviceGetVbiosVersion: NoPermission")
        unknown(seen["gpu_name"], "probe_failed", "nvmlDeviceGetName: GpuIsLost")
        unknown(seen["gpu_compute_mode"], "probe_failed", "nvmlDeviceGetComputeMode: code 4711")


# ------------------------------------------------------------- while it runs


def test_the_end_tells_differences_and_extremes() -> None:
    with started(healthy()) as (card, machine, _):
        card.energy += 1_234_567
        card.power, card.temperature, card.clock_sm = 650_250, 71, 1410
        card.used, card.ecc_errors, card.reasons = 60_000_000_000, 3, 0x1 | 0x4 | 0x40 | 0x2000
        card.pids.append(4711)
        seen = values(machine.end())
    assert {name: value for name, value in seen.items() if name.startswith("gpu")} == {
        "gpu_samples": 1,
        "gpu_energy": "1234.567",
        "gpu_power_highest": "650.25",
        "gpu_temperature_highest": 71,
        "gpu_clock_sm_lowest": 1410,
        "gpu_clock_sm_highest": 1410,
        "gpu_clock_memory_lowest": 2619,
        "gpu_slowdowns": ["software_power_cap", "hardware_thermal_slowdown", "bit_0x2000"],
        "gpu_memory_used_highest": 60_000_000_000,
        "gpu_foreign_processes_most": 1,
        "gpu_ecc_uncorrected_new": 3,
    }
    assert seen["process_memory_peak"] > 10**6


def wait_for(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + 10
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.005)


def test_what_passes_between_start_and_end_is_seen_by_the_thread() -> None:
    with started(healthy(), every=0.005) as (card, machine, _):
        card.temperature, card.reasons, card.clock_sm = 90, 0x20, 600
        card.pids.append(4711)
        taken = machine.watch.samples
        wait_for(lambda: machine.watch.samples > taken + 1)
        card.temperature, card.reasons, card.clock_sm = 40, 0x1, 1980
        card.pids.remove(4711)
        taken = machine.watch.samples
        wait_for(lambda: machine.watch.samples > taken + 1)
        seen = values(machine.end())
    assert seen["gpu_temperature_highest"] == 90
    assert (seen["gpu_clock_sm_lowest"], seen["gpu_clock_sm_highest"]) == (600, 1980)
    assert seen["gpu_slowdowns"] == ["software_thermal_slowdown"]
    assert seen["gpu_foreign_processes_most"] == 1


def test_a_gpu_lost_on_the_way_leaves_what_was_seen_before() -> None:
    with started(healthy(), every=0.005) as (card, machine, _):
        wait_for(lambda: machine.watch.samples > 1)
        card.fails = {"nvmlDeviceGetTemperatureV": LOST, "nvmlDeviceGetTotalEnergyConsumption": LOST}
        seen = values(machine.end())
    assert seen["gpu_temperature_highest"] == 35
    unknown(seen["gpu_energy"], "probe_failed", "GpuIsLost")


def test_a_counter_that_was_reset_is_no_difference() -> None:
    with started(healthy()) as (card, machine, _):
        card.energy = 17
        unknown(values(machine.end())["gpu_energy"], "probe_failed", "reset")


@pytest.mark.parametrize("pids", [[], [4711, 4712]])
def test_in_a_container_processes_cannot_be_told_apart(pids: list[int]) -> None:
    card = healthy()
    card.pids = pids
    with started(card) as (_, machine, seen):
        assert seen["gpu_foreign_processes_listed"] == len(pids)
        unknown(values(machine.end())["gpu_foreign_processes_most"], "not_exposed", f"lists {len(pids)}")


def test_the_end_stops_the_thread_closes_nvml_and_says_the_same_again() -> None:
    with started(healthy(), every=0.005) as (card, machine, _):
        first = machine.end()
        assert card.open == 0
        assert "benchproof-watch" not in {thread.name for thread in threading.enumerate()}
        card.energy += 1000
        assert machine.end() == first
        again = values(machine.start("cuda:0", BARE, "other"))
        assert again["gpu_uuid_sha256"] == hashlib.sha256(f"other{UUID}".encode()).hexdigest()
        assert values(machine.end())["gpu_energy"] == "0"
    assert Machine().end() == [], "nothing was started"


def test_a_second_start_ends_the_first() -> None:
    with started(healthy()) as (card, machine, _):
        machine.start("cuda:0", BARE, "salt")
        assert card.open == 1
        assert sum(thread.name == "benchproof-watch" for thread in threading.enumerate()) == 1


def test_no_uuid_serial_or_pid_stands_in_what_is_recorded() -> None:
    card = healthy()
    card.pids.append(987_654)
    with started(card) as (_, machine, seen):
        text = str(seen) + str(values(machine.end()))
    assert BARE not in text and "987654" not in text and str(os.getpid()) not in text.replace(",", " ").split()
    assert not any("Serial" in name or "PciInfo" in name for name in card.asked)


def test_reasons_and_milli() -> None:
    assert reasons(0) == [] and reasons(0x48) == ["hardware_slowdown", "hardware_thermal_slowdown"]
    assert [milli(n) for n in (0, 5, 700_000, 1500, 10)] == ["0", "0.005", "700", "1.5", "0.01"]


def test_an_architecture_that_nobody_named_stays_a_number() -> None:
    with speaking(healthy()), opened() as nvml:
        assert (nvml.architecture(9), nvml.architecture(99)) == ("hopper", "99")
        with pytest.raises(NotKnown, match="nvmlDeviceGetNothing: FunctionNotFound"):
            nvml.ask("DeviceGetNothing")
