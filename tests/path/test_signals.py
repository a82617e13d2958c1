"""SIGTERM and SIGINT end a run within ten seconds, also out of a call that does not return; a second one at once."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.call import in_process
from fakes.outcome import acknowledged, outcome
from fakes.smoke import write_spec
from path.stops import DEVICE, environment, many_ops

pytest.importorskip("torch")
BLOCKED = Path(__file__).with_name("blocked.py")


def stopped(how: str, spec: Path, out: Path, *numbers: signal.Signals) -> tuple[int, float, str]:
    """Exit code, seconds after the last signal, and stderr of a run that was blocked in its third op."""
    command = [sys.executable, str(BLOCKED), how, "run", str(spec), "--out", str(out), "--device", "cpu"]
    with subprocess.Popen(
        command, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        told = process.stdout.readline()
        assert told == "blocked\n", process.communicate()
        for number in numbers:
            time.sleep(0.5)
            process.send_signal(number)
        started = time.monotonic()
        _, errors = process.communicate(timeout=60)
    return process.returncode, time.monotonic() - started, errors


CASES = {
    "SIGINT in a call that it ends": ("sleep", [signal.SIGINT], 10.0),
    "SIGTERM in a call that it does not end": ("compute", [signal.SIGTERM], 10.0),
    "a second SIGINT": ("compute", [signal.SIGINT, signal.SIGINT], 4.0),
}


@pytest.mark.slow
@pytest.mark.parametrize(("how", "numbers", "limit"), CASES.values(), ids=CASES)
def test_a_run_ends_in_time_with_75_and_goes_on(
    how: str, numbers: list[signal.Signals], limit: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, out = write_spec(tmp_path, many_ops()), tmp_path / "run"
    code, seconds, told = stopped(how, spec, out, *numbers)
    assert code == 75, told
    assert seconds < limit, f"{seconds:.1f} s"
    assert "stopping: what was answered is on disk, the same command goes on" in told and "Traceback" not in told
    assert len(kept := acknowledged(out)) == 2 and not (out / "record.json").exists()
    if how == "sleep":
        assert f"benchproof resume {out}" in told
        assert in_process(capsys, "resume", str(out), *DEVICE).code == 0
        assert in_process(capsys, "run", str(spec), "--out", str(tmp_path / "whole"), *DEVICE).code == 0
        assert outcome(out) == outcome(tmp_path / "whole") and acknowledged(out)[:2] == kept
