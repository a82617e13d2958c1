"""jobs/: the launchers with stand-ins for nvidia-smi, scontrol and benchproof. The real Slurm: make campaign-slurm."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

JOBS = Path(__file__).parents[1] / "jobs"
SMI = """#!/bin/bash
case $1 in
  --query-compute-apps*) echo GPU-a ;;
  *) printf '0, GPU-a\\n1, GPU-b\\n2, GPU-c\\n' ;;
esac
"""
# Each start takes the next word of `codes` as its exit code; `block`: until a TERM, then 75.
BENCHPROOF = """#!/bin/bash
echo "$CUDA_VISIBLE_DEVICES $*" >>"$STATE/calls"
n=$(wc -l <"$STATE/calls")
code=$(sed -n "${n}p" "$STATE/codes")
[ "$code" = block ] || exit "$code"
trap 'exit 75' TERM
echo $$ >"$STATE/blocked"
while :; do sleep 0.05; done
"""
SCONTROL = '#!/bin/bash\necho "$*" >>"$STATE/requeued"\n'


@pytest.fixture
def stage(tmp_path: Path) -> dict[str, str]:
    """The environment with the stand-ins first on the PATH; what they noted is in $STATE."""
    for name, text in {"nvidia-smi": SMI, "benchproof": BENCHPROOF, "scontrol": SCONTROL}.items():
        (tmp_path / name).write_text(text, "utf-8")
        (tmp_path / name).chmod(0o755)
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM_", "CUDA_", "GPU"))}
    return clean | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "STATE": str(tmp_path)}


def codes(stage: dict[str, str], *words: object) -> None:
    (Path(stage["STATE"]) / "codes").write_text("".join(f"{word}\n" for word in words), "utf-8")


def noted(stage: dict[str, str], name: str) -> list[str]:
    path = Path(stage["STATE"]) / name
    return path.read_text("utf-8").splitlines() if path.exists() else []


def box(stage: dict[str, str], run: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    command = [str(JOBS / "gpu-box.sh"), "my.yaml", str(run)]
    return subprocess.run(command, env=stage | more, capture_output=True, text=True, timeout=60)


def test_the_box_takes_the_first_free_gpu_and_starts_again_only_on_75(tmp_path: Path, stage: dict[str, str]) -> None:
    codes(stage, 75, 75, 5)
    done = box(stage, tmp_path / "results" / "run")
    assert done.returncode == 5 and "ended with 5" in done.stderr
    asked = f"run my.yaml --out {tmp_path}/results/run --device cuda:0"
    assert noted(stage, "calls") == [f"1 {asked}"] * 3
    assert (tmp_path / "results" / "run.launch.log").read_text("utf-8").count("interrupted; start") == 2


def test_the_box_stops_when_it_is_told_to(tmp_path: Path, stage: dict[str, str]) -> None:
    codes(stage, "block", 0)
    done = box(stage, tmp_path / "run", GPU="2")
    assert done.returncode == 0 and "started on GPU 2" in done.stdout
    process = int(done.stdout.partition("kill -TERM -- -")[2].split()[0])
    while not noted(stage, "blocked"):
        time.sleep(0.02)
    run = int(noted(stage, "blocked")[0])
    os.killpg(process, signal.SIGTERM)
    time.sleep(1)
    assert ended(process) and ended(run)
    assert len(noted(stage, "calls")) == 1, "it was started again"


def ended(process: int) -> bool:
    """Gone, or dead and not yet collected by whoever is process 1 here."""
    try:
        return not Path(f"/proc/{process}/cmdline").read_bytes()
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("what", ["finished", "busy", "no nvidia-smi"])
def test_the_box_refuses(what: str, tmp_path: Path, stage: dict[str, str]) -> None:
    codes(stage, 0)
    (tmp_path / "run").mkdir()
    if what == "finished":
        (tmp_path / "run" / "record.json").touch()
    smi = tmp_path / "nvidia-smi"
    if what == "busy":
        smi.write_text("#!/bin/bash\necho '0, GPU-a'\n", "utf-8")
    if what == "no nvidia-smi":
        smi.write_text("#!/bin/bash\necho 'no driver'; exit 9\n", "utf-8")
    done = box(stage, tmp_path / "run")
    assert done.returncode == (2 if what == "finished" else 5) and done.stderr.startswith("gpu-box.sh: ")
    assert noted(stage, "calls") == []


def slurm(stage: dict[str, str], *signals: signal.Signals, **more: str) -> int:
    """The batch script as Slurm runs it; the signals go to the shell alone, once the run blocks."""
    job = {"SLURM_JOB_ID": "7", "SPEC": "my.yaml", "RUN_DIR": "run", "DEVICE": "cpu"}
    with subprocess.Popen(["bash", str(JOBS / "slurm.sbatch")], env=stage | job | more) as shell:
        for number in signals:
            while not noted(stage, "blocked") and shell.poll() is None:
                time.sleep(0.02)
            shell.send_signal(number)
        return shell.wait(timeout=30)


@pytest.mark.parametrize(
    ("more", "requeued"),
    [
        ({}, ["requeue 7"]),
        ({"SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "2"}, ["requeue 5_2"]),
        ({"SLURM_RESTART_COUNT": "19"}, ["requeue 7"]),
        ({"SLURM_RESTART_COUNT": "20"}, []),
        ({"SLURM_RESTART_COUNT": "1", "MAXRESTART": "1"}, []),
    ],
    ids=["job", "array", "last restart", "one too many", "bounded"],
)
def test_before_its_time_limit_a_job_stops_and_comes_back(
    more: dict[str, str], requeued: list[str], stage: dict[str, str]
) -> None:
    codes(stage, "block")
    assert slurm(stage, signal.SIGUSR1, **more) == 75
    assert noted(stage, "requeued") == requeued
    assert noted(stage, "calls") == [" run my.yaml --out run --device cpu"]


def test_a_job_that_is_cancelled_stops_and_stays_away(stage: dict[str, str]) -> None:
    codes(stage, "block")
    assert slurm(stage, signal.SIGTERM) == 75
    assert noted(stage, "requeued") == []


@pytest.mark.parametrize("code", [0, 1, 2, 5, 6, 70, 75])
def test_a_job_ends_as_its_run_does(code: int, stage: dict[str, str]) -> None:
    codes(stage, code)
    assert slurm(stage) == code
    assert noted(stage, "requeued") == []
