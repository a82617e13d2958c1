"""Executions a second of HumanEval+ programs: our sandbox against evalplus's own evaluate (`make bench-code`).

The same samples, the same number of workers, taken in turn in one run so that a busy machine slows both alike; the
figure to quote is the ratio of medians. Expected answers are computed before the clock starts, for both. Ours
includes opening the sandbox and its probes. Needs the data: a folder `shared` beside the checkout, or
BENCHPROOF_SHARED.
"""

import argparse
import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from suites.mutants import mutants
from suites.published import data_file

Sample = dict[str, str]
NATIVE = """
import os, sys, time
from evalplus.evaluate import evaluate, get_groundtruth
from evalplus.data import get_human_eval_plus, get_human_eval_plus_hash
samples, workers = sys.argv[1], int(sys.argv[2])
get_groundtruth(get_human_eval_plus(), get_human_eval_plus_hash(), [])
start = time.perf_counter()
evaluate("humaneval", samples=samples, parallel=workers)
print("SECONDS", time.perf_counter() - start, flush=True)
os._exit(0)  # its watcher sleeps for up to 20 seconds more
"""


def main() -> None:
    """Prints seconds, executions a second and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sandbox", default="auto")
    parser.add_argument("--draws", type=int, default=20, help="samples a problem in the second part; 0 leaves it out")
    asked = parser.parse_args()
    data = data_file()
    if data is None:
        print("programs a second: not measured, no folder `shared` beside the checkout")
        return
    from benchproof.suites.humaneval_data import official_problems

    problems = official_problems(data).by_id
    distinct = [
        {"task_id": name, "solution": program}
        for name, problem in problems.items()
        for program in [problem.canonical, mutants(problem.canonical, problem.entry_point, 1, name)[0][1]]
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = _ours(data, asked.workers, asked.sandbox)
        native = _native(data, asked.workers, folder)
        ours(distinct[:2])  # warms both, and computes the expected answers
        seconds: dict[str, list[float]] = {"evalplus": [], "benchproof": []}
        for number in range(asked.rounds):
            order: list[tuple[str, Callable[[list[Sample]], float]]] = [("evalplus", native), ("benchproof", ours)]
            for way, run in order if number % 2 else reversed(order):
                seconds[way].append(run(distinct))
        executions = 2 * len(distinct)
        print(f"{len(distinct)} distinct programs, {executions} executions, {asked.workers} workers")
        for way, spent in seconds.items():
            middle = statistics.median(spent)
            print(
                f"  {way:<12}{middle:>8.1f} s{executions / middle:>8.1f} executions/s   {[round(s, 1) for s in spent]}"
            )
        ratio = statistics.median(seconds["evalplus"]) / statistics.median(seconds["benchproof"])
        print(f"  ratio       {ratio:>8.2f}")
        if asked.draws:
            drawn = _drawn(problems, asked.draws)
            spent_once = ours(drawn)
            distinct_count = len({(s["task_id"], s["solution"]) for s in drawn})
            print(f"{len(problems)} x {asked.draws} sampled-like programs, {distinct_count} of them distinct")
            print(f"  benchproof  {spent_once:>8.1f} s{2 * len(drawn) / spent_once:>8.1f} executions/s")


def _drawn(problems: Mapping[str, Any], draws: int) -> list[Sample]:
    """What a model at temperature 0.8 looks like to a scorer: many equal programs, some right, most stop early."""
    chance = random.Random(1234)
    samples = []
    for name, problem in problems.items():
        pool = [text for _, text in mutants(problem.canonical, problem.entry_point, 12, name)]
        right = [problem.canonical + f"\n# {i}\n" for i in range(6)]
        samples += [{"task_id": name, "solution": chance.choice(pool + right)} for _ in range(draws)]
    return samples


def _ours(data: Path, workers: int, tier: str) -> Callable[[list[Sample]], float]:
    from benchproof.sandbox.choose import open_sandbox
    from benchproof.suites.humaneval_data import official_problems
    from benchproof.suites.humaneval_marking import Marker, Program

    problems = official_problems(data)
    with open_sandbox(tier, workers=workers) as sandbox:  # type: ignore[arg-type]
        Marker(problems, sandbox).prepare(list(problems.by_id))

    def run(samples: list[Sample]) -> float:
        start = time.perf_counter()
        with open_sandbox(tier, workers=workers) as sandbox:  # type: ignore[arg-type]
            marker = Marker(problems, sandbox)
            list(marker.mark([Program(s["task_id"], i, s["solution"]) for i, s in enumerate(samples)]))
        return time.perf_counter() - start

    return run


def _native(data: Path, workers: int, folder: Path) -> Callable[[list[Sample]], float]:
    plain = folder / "data.jsonl"
    plain.write_bytes(gzip.decompress(data.read_bytes()))
    environment = os.environ | {
        "HUMANEVAL_OVERRIDE_PATH": str(plain),
        "XDG_CACHE_HOME": str(folder),
        "TQDM_DISABLE": "1",
    }

    def run(samples: list[Sample]) -> float:
        file = folder / "samples.jsonl"
        file.write_text("".join(json.dumps(sample) + "\n" for sample in samples), "utf-8")
        (folder / "samples_eval_results.json").unlink(missing_ok=True)  # or evalplus would read it instead of running
        command = [sys.executable, "-c", NATIVE, str(file), str(workers)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return float(done.stdout.rsplit("SECONDS", 1)[1])

    return run


if __name__ == "__main__":
    main()
