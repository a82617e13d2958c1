"""What only a GPU can show, on the smoke suite: `make gpu-check`. Prints one JSON document; see docs/gpu.md.

    python scripts/gpu_check.py [--spec SPEC] [--device cuda:0] [--keep DIR]
    python scripts/gpu_check.py --wheels       what a machine with torch and transformers needs beside them

Exit 0 if everything holds, 1 if something does not, 5 without a GPU or with a package missing.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "runner"))  # a checkout is enough: nothing has to be installed
NEEDED = ("torch", "transformers", "lm_eval", "datasets", "accelerate", "pynvml", "pydantic", "rfc8785", "zstandard")
THERE = ("torch", "transformers")  # with what they bring
AGREE = 0.99  # share of docs whose pick or filtered text must be equal on CPU and GPU, in fp32
NEAR = 0.01  # how far apart log-likelihoods of the two may be


def run(folder: Path, spec: str, device: str) -> Path:
    """A whole run in a process of its own."""
    command("run", spec, "--out", str(folder), "--device", device)
    return folder


def command(*words: str) -> None:
    """One benchproof command; RuntimeError with its last words if it fails."""
    done = subprocess.run(argv(*words), env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"`{' '.join(words)}` ended with {done.returncode}: {done.stderr[-1500:]}")


def argv(*words: str) -> list[str]:
    """A benchproof command as a process."""
    return [sys.executable, "-m", "benchproof", *words, "--quiet"]


def environment() -> dict[str, str]:
    """Our own, with the checkout's source first."""
    path = os.pathsep.join([str(ROOT / "runner"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"PYTHONPATH": path}


def killed_and_resumed(folder: Path, spec: str, device: str) -> Path:
    """Killed with SIGKILL when the first answers are on disk, resumed from its folder."""
    from benchproof.store.journal import read_journal

    words = argv("run", spec, "--out", str(folder), "--device", device)
    with subprocess.Popen(words, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if any(read_journal(path).ops for path in folder.glob("journal/*.journal")):
                process.send_signal(signal.SIGKILL)
                process.wait()
            time.sleep(0.01)
    command("resume", str(folder), "--device", device)
    return folder


def facts(folder: Path) -> dict[str, Any]:
    """What must be equal between two runs that claim the same bits."""
    from benchproof.schema.history import read_record

    record = read_record((folder / "record.json").read_bytes(), str(folder))
    return {
        "answers_digest": record.observed.answers_digest,
        "results": [result.model_dump(mode="json") for result in record.results],
        "samples": [file.sha256 for file in record.files if file.path.startswith("samples/")],
    }


def attempts(folder: Path) -> int:
    """How many processes held the model."""
    return len(list(folder.glob("journal/*.journal")))


def agreement(one: Path, other: Path) -> dict[str, Any]:
    """How far the answers of two runs of one plan are apart."""
    from benchproof.schema.response import Loglikelihood
    from benchproof.store.files import read_lines
    from benchproof.store.journal import journal_paths, merge, read_journal

    here, there = (merge(map(read_journal, journal_paths(folder / "journal"))) for folder in (one, other))
    apart, flips, texts, equal_texts = 0.0, 0, 0, 0
    for key, answer in here.items():
        twin = there[key]
        if isinstance(answer, Loglikelihood) and isinstance(twin, Loglikelihood):
            apart = max(apart, abs(answer.loglikelihood - twin.loglikelihood))
            flips += answer.is_greedy != twin.is_greedy
        else:
            texts, equal_texts = texts + 1, equal_texts + (answer == twin)
    docs, agreed = 0, 0
    for path in sorted((one / "samples").iterdir()):
        for mine, yours in zip(read_lines(path), read_lines(other / "samples" / path.name), strict=True):
            docs, agreed = docs + 1, agreed + (mine["filtered"] == yours["filtered"])
    return {
        "docs": docs,
        "docs_that_agree": agreed,
        "texts": texts,
        "texts_equal": equal_texts,
        "log_likelihood_max_difference": apart,
        "greedy_flags_that_differ": flips,
        "ok": agreed >= AGREE * docs and apart <= NEAR,
    }


def captured(folder: Path) -> dict[str, Any]:
    """The machine as the record has it, and the speed."""
    from benchproof.schema.history import read_record

    record = read_record((folder / "record.json").read_bytes(), str(folder))
    (attempt,) = record.observed.attempts
    seconds = {phase.name: float(phase.seconds) for phase in record.observed.phases}
    engine, during = attempt.engine, attempt.during
    probes = [*attempt.environment, *(during if isinstance(during, list) else [])]
    values = {probe.name: probe.model_dump(mode="json")["value"] for probe in probes if probe.name != "distributions"}
    return {
        "hardware": values,
        "engine": engine.model_dump(mode="json"),
        "seconds": seconds,
        "tokens_per_second": {
            "forward": round(engine.forward_tokens / seconds["infer"], 1),
            "generated": round(engine.generated_tokens / seconds["infer"], 1),
        },
        "ok": isinstance(values.get("gpu_name"), str),
    }


def check(folder: Path, spec: str, device: str) -> dict[str, Any]:
    """Every check; each has its own `ok`."""
    cpu = run(folder / "cpu", spec, "cpu")
    gpu = run(folder / "gpu", spec, device)
    again = run(folder / "gpu-again", spec, device)
    resumed = killed_and_resumed(folder / "gpu-resumed", spec, device)
    found = {
        "cpu_and_gpu": agreement(cpu, gpu),
        "two_runs": {"ok": facts(gpu) == facts(again)},
        "killed_and_resumed": {
            "attempts": attempts(resumed),
            "ok": facts(gpu) == facts(resumed) and attempts(resumed) == 2,
        },
        "captured": captured(gpu),
    }
    return {"ok": all(part["ok"] for part in found.values()), "gpu": True, "spec": spec, "device": device} | found


def wheels() -> list[str]:
    """`name==version`, as installed here, of what running needs and torch and transformers do not bring."""
    from lock import closure

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    brought = set(closure(THERE))
    needed = closure([*project["dependencies"], *project["optional-dependencies"]["hf"]])
    return [line for line in needed if line not in brought]


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spec", default="smoke")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--keep", type=Path, help="leave the run folders here")
    parser.add_argument("--wheels", action="store_true")
    given = parser.parse_args()
    if given.wheels:
        print("\n".join(wheels()))
        return 0
    reason = unable()
    if reason:
        print(json.dumps({"ok": False, "gpu": False, "reason": reason}, indent=2))
        return 5
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as work:
        try:
            found = check(given.keep or Path(work), given.spec, given.device)
        except RuntimeError as error:
            found = {"ok": False, "gpu": True, "reason": str(error)}
    print(json.dumps(found, indent=2))
    return 0 if found["ok"] else 1


def unable() -> str:
    """Why nothing can be checked here; empty if something can."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}; `scripts/gpu_check.py --wheels` lists what is needed"
    import torch

    return "" if torch.cuda.is_available() else "no GPU: torch sees no CUDA device"


if __name__ == "__main__":
    sys.exit(main())
