"""Start-up: how long `benchproof --help` takes, and what it loads (`make bench`).

Ratios within one run, against a bare interpreter; numbers of two machines are not to be compared.
"""

import statistics
import subprocess
import sys
import time

ROUNDS = 9
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import benchproof": [sys.executable, "-c", "import benchproof"],
    "benchproof --help": [sys.executable, "-m", "benchproof.cli.app", "--help"],
    "read a record's schema": [sys.executable, "-c", "import benchproof.schema.record"],
}
HELP = """
import contextlib, io, sys
from benchproof.cli.app import main
sys.argv = ["benchproof", "--help"]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
names = {name.partition(".")[0] for name in sys.modules}
print(len(sys.modules), " ".join(sorted(names - sys.stdlib_module_names)))
"""


def main() -> None:
    """Prints the median and the spread of each command, interleaved so that a busy machine slows all alike."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times[name].append(time.perf_counter() - start)
    base = statistics.median(times["python -c pass"])
    print(f"{'command':<26}{'median':>9}{'min':>9}{'max':>9}{'ratio':>8}")
    for name, found in times.items():
        middle = statistics.median(found)
        print(f"{name:<26}{middle:>8.3f}s{min(found):>8.3f}s{max(found):>8.3f}s{middle / base:>8.1f}")
    done = subprocess.run([sys.executable, "-c", HELP], check=True, capture_output=True, text=True)
    count, _, names = done.stdout.strip().partition(" ")
    print(f"\nbenchproof --help loads {count} modules; beside the standard library: {names}")


if __name__ == "__main__":
    main()
