"""`doctor`: what it says of made-up machines, and that it never tells a token."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from benchproof.cli import doctor as command
from benchproof.errors import BadInput, MissingInput
from benchproof.observe import checks
from benchproof.observe.checks import Torch
from fakes.hub_api import small_hub
from fakes.nvml import no_library

SECRET = "hf_aBcDeFgHiJkLmNoPqRsTuVwXyZ012345"
CPU = Torch("2.13.0+cpu", None, [], [])


@pytest.fixture
def hub() -> Iterator[str]:
    with small_hub() as address:
        yield address


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody's own token or cache, no network, and no seconds for asking torch."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(checks, "ask_torch", lambda: CPU)


def called(
    capsys: pytest.CaptureFixture[str], *, device: str | None = None, spec: str | None = None
) -> tuple[int, Any]:
    """Exit code and JSON."""
    code = 0
    try:
        command.doctor(spec, device, as_json=True)
    except typer.Exit as error:
        code = error.exit_code
    return code, json.loads(capsys.readouterr().out)


def states(found: Any) -> dict[str, str]:
    return {check["check"]: check["state"] for check in found["checks"]}


# -------------------------------------------------------------- the command


def test_a_machine_without_a_gpu_can_run_small_models(capsys: pytest.CaptureFixture[str]) -> None:
    with no_library():
        code, found = called(capsys)
    assert code == 0 and found["can_run"] is True
    assert states(found)["gpu"] == "warn" and states(found)["packages"] == "ok"


def test_whatever_is_not_ok_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with no_library():
        _, found = called(capsys, device="cuda:0")
    for check in found["checks"]:
        assert check["found"]
        assert check["do"] or check["state"] in ("ok", "unknown"), check


def test_a_gpu_that_is_asked_for_and_not_there_ends_with_5(capsys: pytest.CaptureFixture[str]) -> None:
    with no_library():
        code, found = called(capsys, device="cuda:0")
    assert (code, found["can_run"], states(found)["gpu"]) == (5, False, "missing")


def test_without_the_extra_nothing_is_asked_of_torch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    monkeypatch.setattr(checks, "ask_torch", lambda: pytest.fail("asked"))
    code, found = called(capsys)
    assert code == 5
    packages = found["checks"][0]
    assert packages["state"] == "missing" and packages["do"] == 'pip install "benchproof[hf]"'
    assert "torch" not in states(found)


def test_the_table_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    with no_library():
        command.doctor(None, None, as_json=False)
    told = capsys.readouterr().out
    assert told.splitlines()[0].split() == ["check", "state"]
    assert "do: nothing, for small models" in told and told.endswith("models can be run here\n")


def test_a_token_is_told_and_never_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text(SECRET, "utf-8")
    stored = checks.token(os.environ)
    assert stored.state == "ok" and "stored" in stored.found
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("HF_ENDPOINT", f"http://user:{SECRET}@127.0.0.1:9/{SECRET}")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with no_library():
        _, found = called(capsys)
        command.doctor(None, None, as_json=False)
    assert "HF_TOKEN is set" in str(found) and states(found)["hub"] == "warn"
    assert SECRET not in str(found) and SECRET not in capsys.readouterr().out
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "hf" / "token").unlink()
    assert "none" in checks.token(os.environ).found


# ---------------------------------------------------------------- with a spec


def test_a_spec_that_fits(capsys: pytest.CaptureFixture[str]) -> None:
    with no_library():
        code, found = called(capsys, spec="smoke")
    assert code == 0
    assert [states(found)[f"spec: {name}"] for name in ("plan", "disk", "memory")] == ["ok", "ok", "ok"]


def test_a_spec_that_does_not_fit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "free_bytes", lambda: 1_000_000)
    with no_library():
        code, found = called(capsys, spec="smoke", device="cpu")
    assert code == 5 and states(found)["spec: memory"] == "missing"


def test_a_spec_that_cannot_be_resolved_is_a_row(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    spec = tmp_path / "x.yaml"
    spec.write_text("model: {path: no/such/model}\nsuite: smoke\n", "utf-8")
    with no_library():
        code, found = called(capsys, spec=str(spec))
    plan = next(check for check in found["checks"] if check["check"] == "spec: plan")
    assert code == 5 and plan["state"] == "missing" and plan["do"]
    with pytest.raises(MissingInput):
        command.doctor(str(tmp_path / "none.yaml"), None, as_json=True)
    spec.write_text("modle: {}\n", "utf-8")
    with pytest.raises(BadInput):
        command.doctor(str(spec), None, as_json=True)


def test_a_model_that_is_not_here_is_judged_by_its_size_and_not_downloaded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hub: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    spec = tmp_path / "x.yaml"
    spec.write_text("model: {repo: owner/name}\nsuite: smoke\n", "utf-8")
    with no_library():
        code, found = called(capsys, spec=str(spec))
    assert code == 5
    assert states(found)["spec: disk"] == states(found)["spec: memory"] == "missing"
    assert "20000.0 GB needed" in str(found), "weights in safetensors, not those that stay behind"
    assert not (tmp_path / "hf").exists()


def test_nothing_heavy_is_loaded() -> None:
    code = (
        "import sys, typer\nfrom benchproof.cli import doctor\nfrom benchproof.observe import checks\n"
        "checks.ask_torch = lambda: checks.Torch('2', None, [], [])\ndoctor.doctor(None, 'cpu', True)\n"
        "assert not {'torch', 'transformers', 'numpy', 'huggingface_hub'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
