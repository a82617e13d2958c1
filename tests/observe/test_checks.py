"""The rows of `doctor`, over made-up machines."""

import importlib.metadata
import os
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchproof.observe import checks, isolation
from benchproof.observe.checks import Check, Torch
from benchproof.observe.reason import NotKnown
from fakes.hub_api import small_hub
from fakes.nvml import UUID, consumer, healthy, mig, no_library, old_driver, speaking

CPU = Torch("2.13.0+cpu", None, [], [])
CUDA = Torch("2.13.0", "13.0", ["sm_80", "sm_90"], [UUID.removeprefix("GPU-")])


@pytest.fixture
def hub() -> Iterator[str]:
    with small_hub() as address:
        yield address


def row(found: list[Check], name: str) -> Check:
    return next(check for check in found if check.check == name)


# ------------------------------------------------------------ torch and GPUs


def test_a_gpu_that_is_free() -> None:
    with speaking(healthy()):
        found = list(checks.graphics(CUDA, None))
    assert [check.state for check in found] == ["ok", "ok", "ok"]
    assert "84.5 of 85.5 GB free" in found[2].found and "580.65.06" in found[1].found


def test_who_else_is_using_it_is_said() -> None:
    card = healthy()
    card.pids += [4711, 4712]
    with speaking(card):
        gpu = row(list(checks.graphics(CUDA, None)), "gpu 0")
    assert gpu.state == "warn" and "2 other(s): pid 4711, 4712" in gpu.found and "CUDA_VISIBLE_DEVICES" in gpu.do


@pytest.mark.parametrize("device", [None, "cuda:0", "cpu"])
@pytest.mark.parametrize(
    ("torch", "words"),
    [
        (CPU, "built without CUDA"),
        (CUDA._replace(cuda="14.1"), "built for 14.1"),
        (CUDA._replace(uuids=[]), "sees no GPU"),
    ],
)
def test_a_torch_that_cannot_use_the_gpu_that_is_there(torch: Torch, words: str, device: str | None) -> None:
    with speaking(healthy()):
        driver = row(list(checks.graphics(torch, device)), "driver")
    assert words in driver.found and driver.do
    assert driver.state == ("warn" if device == "cpu" else "missing")


def test_a_newer_minor_version_of_cuda_runs_on_the_driver() -> None:
    with speaking(healthy()):
        assert row(list(checks.graphics(CUDA._replace(cuda="13.2"), None)), "driver").state == "ok"


def test_a_torch_without_kernels_for_the_gpu() -> None:
    with speaking(healthy()):
        gpu = row(list(checks.graphics(CUDA._replace(kernels=["sm_100", "sm_80"]), None)), "gpu 0")
    assert gpu.state == "missing" and "compute capability 9.0" in gpu.found


@pytest.mark.parametrize(
    ("capability", "kernels", "runs"),
    [
        ("8.9", ["sm_80"], True),
        ("8.0", ["sm_86"], False),
        ("9.0", ["sm_80"], False),
        ("9.0", ["compute_80"], True),
        ("9.0", ["sm_90a"], True),
        ("12.0", ["sm_90", "sm_120"], True),
        ("7.0", ["compute_80"], False),
        ("9.0", ["gfx942"], False),
    ],
)
def test_kernels_run_on_their_own_major_version_and_ptx_upwards(
    capability: str, kernels: list[str], runs: bool
) -> None:
    assert checks._has_kernels(capability, kernels) is runs


@pytest.mark.parametrize("card", [old_driver(), mig(), consumer()], ids=["old driver", "mig", "consumer"])
def test_odd_cards_are_described_too(card: Any) -> None:
    with speaking(card):
        found = list(checks.graphics(CUDA._replace(cuda="11.8"), None))
    assert [check.check for check in found] == ["torch", "driver", "gpu 0"]
    assert card.open == 0


def test_a_gpu_that_cannot_be_asked_costs_one_row() -> None:
    card = healthy()
    card.fails = {"nvmlDeviceGetMemoryInfo": 15, "nvmlSystemGetDriverVersion": 4}
    with speaking(card):
        found = list(checks.graphics(CUDA, None))
    assert [check.state for check in found] == ["ok", "unknown", "warn"] and "GpuIsLost" in found[2].found


def test_a_gpu_that_torch_sees_and_nvml_does_not_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with no_library():
        gpu = row(list(checks.graphics(CUDA, None)), "gpu")
    assert gpu.state == "missing" and "libnvidia-ml.so.1" in gpu.do
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert row(list(checks.graphics(CUDA, None)), "gpu").do == "pip install nvidia-ml-py"


def test_a_broken_torch_is_told_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "TORCH", "raise OSError('libcudart.so.13: cannot open')")
    said = checks.ask_torch()
    assert isinstance(said, str) and "libcudart.so.13" in said
    found = list(checks.graphics(said, None))
    assert [check.state for check in found] == ["missing"]
    monkeypatch.setattr(checks, "TORCH", "print('not json')")
    assert isinstance(checks.ask_torch(), str)


def test_the_real_torch_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    said = checks.ask_torch()
    assert isinstance(said, Torch) and said.version[0].isdigit()


# --------------------------------------------------------- disk, hub and more


def test_disk(tmp_path: Path) -> None:
    assert checks.disk("d", tmp_path / "not" / "there", 1).state == "ok"
    small = checks.disk("d", tmp_path, 10**18, "missing")
    assert small.state == "missing" and "1000000000.0 GB needed" in small.found
    if os.geteuid():
        tmp_path.chmod(0o500)
        assert checks.disk("d", tmp_path, 1).state == "missing"


def test_any_answer_of_the_hub_is_one(hub: str) -> None:
    assert checks.hub({"HF_ENDPOINT": hub}).state == "ok"
    assert checks.hub({"HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "1"}).state == "warn"
    assert checks.hub({"HF_ENDPOINT": "file:///etc"}).state == "warn"
    assert "refused" in checks.hub({"HF_ENDPOINT": "http://127.0.0.1:9"}).found


def test_a_hub_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def slow(*_: Any, **__: Any) -> None:
        release.wait(30)
        raise OSError

    monkeypatch.setattr(urllib.request, "urlopen", slow)
    assert "no answer" in checks.hub({"HF_ENDPOINT": "http://127.0.0.1:9"}, seconds=0.01).found
    release.set()


def test_the_lock_of_a_checkout(tmp_path: Path) -> None:
    assert checks.lock(None).state == checks.lock(tmp_path).state == "unknown"
    lock = tmp_path / "requirements" / "hf.txt"
    lock.parent.mkdir()
    have = importlib.metadata.version("pytest")
    lock.write_text(f"# pip==0\npytest=={have}\n", "utf-8")
    assert checks.lock(tmp_path).state == "ok"
    lock.write_text(f"pytest=={have} ; python_version > '3'\nrich==0.0.1\nno-such-thing==1\n", "utf-8")
    found = checks.lock(tmp_path)
    assert found.state == "warn" and "for 0.0.1" in found.found and "no-such-thing none for 1" in found.found


def test_a_build_of_the_locked_version_is_the_locked_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.13.0+cpu")
    (tmp_path / "requirements").mkdir()
    for wanted, state in (("2.13.0", "ok"), ("2.13.0+cpu", "ok"), ("2.13.1", "warn"), ("2.13.0+cu130", "warn")):
        (tmp_path / "requirements" / "hf.txt").write_text(f"torch=={wanted}\n", "utf-8")
        assert checks.lock(tmp_path).state == state, wanted


@pytest.mark.parametrize(
    ("bubblewrap", "landlock", "seccomp", "state"),
    [("", 0, True, "ok"), ("not installed", 4, True, "ok"), ("not installed", 0, True, "warn"), ("", 4, False, "warn")],
)
def test_sandbox(monkeypatch: pytest.MonkeyPatch, bubblewrap: str, landlock: int, seccomp: bool, state: str) -> None:
    monkeypatch.setattr(isolation, "bubblewrap", lambda: bubblewrap)
    monkeypatch.setattr(isolation, "landlock", lambda: landlock)
    monkeypatch.setattr(isolation, "seccomp", lambda: seccomp)
    found = checks.sandbox()
    assert found.state == state and (state == "ok" or "bubblewrap" in found.do)


def test_what_is_in_the_cache_is_not_downloaded_again(tmp_path: Path, hub: str) -> None:
    environment = {"HF_ENDPOINT": hub, "HF_HOME": str(tmp_path)}
    assert checks.to_download("owner/name", "main", [".json"], environment) == 0
    blobs = tmp_path / "hub" / "models--owner--name" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "x").write_bytes(b"12345")
    assert checks.to_download("owner/name", "main", [".safetensors"], environment) == 20_000_000_000_000 - 5
    with pytest.raises(NotKnown, match="HTTPError"):
        checks.to_download("owner/other", "main", [".json"], environment)


def test_memory_of_the_gpu_that_torch_calls_by_number() -> None:
    with speaking(healthy()):
        assert checks.free_gpu_bytes(CUDA, "cuda") == checks.free_gpu_bytes(CUDA, "cuda:0") == 84_520_809_984
        with pytest.raises(NotKnown, match="sees 1"):
            checks.free_gpu_bytes(CUDA, "cuda:1")
