"""`benchproof verify` on a full-size record and on a small one: seconds and peak memory of the process (`make bench`).

The run folders are made up, by the real main path over tables: as many docs, choices and texts as `core` has, each
prompt with a context of the length of five shots. No benchmark text and no model. Median of three, after one to warm
the disk's cache. `--keep DIR` leaves the folders there, and uses those that are there.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
ROUNDS = 3
LIMITS = {"full": (10.0, 1000), "small": (2.0, 1000)}  # seconds, MB
CHOICES = (" A", " B", " C", " D")
# 57 tasks like MMLU's subjects, 24 like BIG-bench Lite's, and texts: BIG-bench Hard, GSM8K.
SIZES = (
    {f"choose_{i}": 246 for i in range(57)}
    | {f"choose_lite_{i}": 340 for i in range(24)}
    | {f"write_{i}": 241 for i in range(27)}
    | {"write_problems": 1319, "program": 164}
)
WORDS = ("a shot is a question with its answer", "and stands before", "the one that is asked;")


def make(name: str) -> None:
    """Both run folders, where they are not there."""
    from fakes.honest import HonestEngine, HonestHarness, honest_run
    from fakes.world import table_run, table_spec

    folder = Path(name)
    if not (folder / "small").exists():
        honest_run(folder / "small")
    if not (folder / "full").exists():
        shots = " ".join(WORDS[(i * i) % len(WORDS)] for i in range(110))  # about 2,700 characters, 700 tokens
        harness = HonestHarness(sizes=SIZES, shots=shots, choices=CHOICES)
        engine = HonestEngine(token_budget=1 << 18, generation_batch=32, max_length=1 << 20, width=4)
        spec = table_spec(*({"task": name} for name in SIZES))
        record, _ = table_run(folder / "full", engine, harness, spec=spec)
        print(f"made {sum(item.requests for item in record.observed.tokens)} requests, {len(SIZES)} tasks")


def measured(folder: Path) -> tuple[float, float]:
    """Wall seconds and peak resident MB of one process that verifies the folder."""
    command = [sys.executable, "-m", "benchproof", "verify", str(folder)]
    start = time.perf_counter()
    pid = os.posix_spawn(sys.executable, command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, 1, 0)])
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"verify ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - start, usage.ru_maxrss / 1000


def main(words: Sequence[str] | None = None) -> int:
    """Prints both; 1 if a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, default=None)
    asked = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (asked.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        # In a process of its own: what is started here would count this one's memory as its own.
        subprocess.run(
            [sys.executable, "-c", f"import verifying; verifying.make({str(folder)!r})"], check=True, cwd=HERE
        )
        code = 0
        for name, (most_seconds, most_memory) in LIMITS.items():
            measured(folder / name)
            runs = [measured(folder / name) for _ in range(ROUNDS)]
            seconds, memory = (statistics.median(values) for values in zip(*runs, strict=True))
            size = sum(path.stat().st_size for path in (folder / name).rglob("*")) / 1e6
            times = " ".join(f"{spent:.2f}" for spent, _ in runs)
            print(f"verify {name:<6}{size:>7.1f} MB on disk{seconds:>7.2f} s ({times}){memory:>7.0f} MB")
            code |= seconds > most_seconds or memory > most_memory
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
