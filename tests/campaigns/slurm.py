"""A run as a real Slurm job that its time limit cuts twice: the record is that of an unbroken run.

    make campaign-slurm

Needs root, Debian's slurmctld, slurmd, slurm-client and munge (installed by apt-get if they are absent), and
the one-node cluster of `shared/slurm` (BENCHPROOF_SHARED names the folder `shared`; else it lies in the
checkout or beside it). The cluster has its own prefix and port, and ends with this script. Takes about six
minutes: Slurm looks at time limits every 30 s. Prints one JSON document; exit 0 if everything holds.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from fakes.models import make_model
from fakes.outcome import acknowledged, journals, outcome, record_of

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "scontrol")
DAEMONS = ":/usr/sbin:/sbin"  # where Debian keeps them; not on everybody's PATH
POLL_S = 2.0
PATIENCE_S = 1200


def say(text: str) -> None:
    """For people; stdout is the JSON's."""
    print(text, file=sys.stderr, flush=True)


def stop(code: int, text: str) -> SystemExit:
    """Told, and an exit code."""
    say(f"campaign-slurm: {text}")
    return SystemExit(code)


def stopped(number: int, frame: object) -> None:
    """As an exception, so that the cluster is taken down."""
    raise stop(75, signal.Signals(number).name)


def scripts() -> Path:
    """The folder of up.sh and down.sh."""
    given = os.environ.get("BENCHPROOF_SHARED")
    places = [Path(given)] if given else [ROOT / "shared", ROOT.parent / "shared"]
    found = next((place / "slurm" for place in places if (place / "slurm" / "up.sh").is_file()), None)
    if found is None:
        raise stop(3, "no shared/slurm/up.sh in the checkout or beside it; name the folder with BENCHPROOF_SHARED")
    return found


def ensure_slurm() -> None:
    """The Debian packages, installed where that is possible."""
    if os.geteuid() != 0:
        raise stop(5, "needs root: slurmd changes user for jobs, and munged runs as munge")
    if all(shutil.which(name, path=os.environ["PATH"] + DAEMONS) for name in PROGRAMS):
        return
    if shutil.which("apt-get") is None:
        raise stop(5, f"Slurm is absent, and there is no apt-get to install {' '.join(PACKAGES)}")
    say(f"installing {' '.join(PACKAGES)}")
    for command in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", "-qq", *command], stdout=subprocess.DEVNULL)
        if done.returncode:
            raise stop(5, f"apt-get {command[0]} failed")


def free_port() -> int:
    """Of two neighbours that nobody listens on."""
    for _ in range(50):
        port = random.randrange(20000, 30000)
        try:
            for number in (port, port + 1):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
        except OSError:
            continue
        return port
    raise stop(5, "no free port")


@contextmanager
def cluster(folder: Path, prefix: Path) -> Iterator[dict[str, str]]:
    """A running Slurm; the environment of its clients."""
    settings = {
        "BENCHPROOF_SLURM_PORT": str(free_port()),
        "BENCHPROOF_SLURM_CPUS": "2",
        "BENCHPROOF_SLURM_FAKE_GPUS": "1",
    }
    environment = os.environ | settings | {"PATH": os.environ["PATH"] + DAEMONS}
    try:
        up = subprocess.run([folder / "up.sh", prefix], env=environment, capture_output=True, text=True)
        if up.returncode:
            raise stop(5, f"up.sh failed:\n{up.stderr}")
        yield environment | {"SLURM_CONF": str(prefix / "slurm.conf")}
    finally:
        down = subprocess.run([folder / "down.sh", prefix], env=environment, capture_output=True, text=True)
        say(down.stdout.strip())


def slow_spec(folder: Path, docs: int, tokens: int) -> Path:
    """Texts one by one from a random model that never ends by itself: minutes on any CPU."""
    make_model(folder / "model", "llama", layers=12)
    spec: dict[str, Any] = {
        "model": {"path": str(folder / "model")},
        "suite": {
            "tasks": [
                {
                    "task": "mini_gsm8k",
                    "like": "gsm8k",
                    "data": "smoke:gsm8k/main",
                    "num_fewshot": 1,
                    "limit": docs,
                    "generation": {"max_gen_toks": tokens},
                },
                {
                    "task": "mini_mmlu_map_reading",
                    "like": "mmlu_abstract_algebra",
                    "data": "smoke:mmlu/map_reading",
                    "num_fewshot": 1,
                },
            ]
        },
        "engine": {"dtype": "float32", "token_budget": 1024, "generation_batch": 1},
    }
    path = folder / "slow.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False), "utf-8")
    return path


def submit(environment: dict[str, str], folder: Path, spec: Path, run: Path, *more: str) -> str:
    """The job's id. The limit is a minute; the signal comes at the first tick after 20 s, the kill at one after 60."""
    exported = f"ALL,SPEC={spec},RUN_DIR={run},DEVICE=cpu"
    command = ["sbatch", "--parsable", "--time=1", "--signal=B:USR1@10", "--cpus-per-task=1", "--mem=512"]
    command += [f"--output={folder}/%x-%j.log", f"--export={exported}", *more, str(ROOT / "jobs" / "slurm.sbatch")]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise stop(1, f"sbatch: {done.stderr.strip()}")
    return done.stdout.strip()


def job(environment: dict[str, str], number: str) -> dict[str, str]:
    """What scontrol says of a job."""
    done = subprocess.run(["scontrol", "show", "job", number], env=environment, capture_output=True, text=True)
    return dict(re.findall(r"(\w+)=(\S+)", done.stdout))


def wait(environment: dict[str, str], number: str) -> dict[str, str]:
    """Until the job has ended; each change of its state is told."""
    started, seen = time.monotonic(), ""
    while time.monotonic() - started < PATIENCE_S:
        told = job(environment, number)
        state = f"{told.get('JobState')}, restarts {told.get('Restarts')}, reason {told.get('Reason')}"
        if state != seen:
            say(f"{time.monotonic() - started:6.0f} s  job {number}: {state}")
            seen = state
        if told.get("JobState") not in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED"):
            return told
        time.sleep(POLL_S)
    raise stop(1, f"job {number} did not end in {PATIENCE_S} s")


def cancelled(environment: dict[str, str], folder: Path, spec: Path) -> dict[str, Any]:
    """A job that its owner cancels while it runs: it must not come back."""
    run = folder / "cancelled"
    number = submit(environment, folder, spec, run)
    while not journals(run):
        time.sleep(0.5)
    time.sleep(2)
    subprocess.run(["scancel", number], env=environment, check=True)
    time.sleep(20)  # longer than a requeued job has to wait here
    after = job(environment, number)
    return {
        "state": after["JobState"],
        "restarts": int(after["Restarts"]),
        "ops_kept": len(acknowledged(run)),
    }


def campaign(folder: Path, environment: dict[str, str], docs: int, tokens: int) -> dict[str, Any]:
    """The broken run in the cluster, the unbroken one beside it."""
    spec = slow_spec(folder, docs, tokens)
    broken, unbroken = folder / "broken", folder / "unbroken"
    number = submit(environment, folder, spec, broken)
    command = [sys.executable, "-m", "benchproof", "run", str(spec), "--out", str(unbroken), "--device", "cpu", "-q"]
    beside = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        told = wait(environment, number)
        say((folder / f"benchproof-{number}.log").read_text("utf-8", "replace"))
        if told["JobState"] != "COMPLETED":
            raise stop(1, f"the job ended as {told['JobState']}")
        if beside.wait():
            raise stop(1, "the unbroken run failed")
    finally:
        beside.kill()
        beside.wait()
    record, ops = record_of(broken), acknowledged(broken)
    kept = cancelled(environment, folder, spec)
    checks = {
        "cut at least twice": int(told["Restarts"]) >= 2 and len(record.observed.attempts) >= 3,
        "same outcome": outcome(broken) == outcome(unbroken),
        "no op answered twice": len(ops) == len(set(ops)) and sorted(ops) == sorted(acknowledged(unbroken)),
        "a cancelled job stays cancelled": kept["state"] == "CANCELLED" and kept["restarts"] == 0,
    }
    return {
        "ok": all(checks.values()),
        "checks": checks,
        "restarts": int(told["Restarts"]),
        "responses_of_attempts": [attempt.responses for attempt in record.observed.attempts],
        "answers_digest": record.observed.answers_digest,
        "cancelled": kept,
    }


def main() -> int:
    """The campaign; 0 if everything holds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--docs", type=int, default=30, help="texts to generate (30 at most)")
    parser.add_argument("--tokens", type=int, default=1500, help="tokens of each text")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, stopped)
    shared = scripts()
    ensure_slurm()
    # One thread: the two runs share a small machine. Offline: everything ships with the package.
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive"}
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="benchproof-slurm-") as work:
        prefix = Path(tempfile.mkdtemp(prefix="benchproof-slurmd-"))
        try:
            with cluster(shared, prefix) as environment:
                found = campaign(Path(work), environment, given.docs, given.tokens)
        finally:
            shutil.rmtree(prefix, ignore_errors=True)
    print(json.dumps(found, indent=2))
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
