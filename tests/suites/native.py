"""evalplus's own verdicts, by its own functions, in processes of their own. Run as a script: JSON in, JSON out."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__)


def statuses(data: Path, programs: Sequence[tuple[str, str]], workers: int = 2) -> list[tuple[str, str]]:
    """(base status, plus status) of each (task_id, program), as evalplus 0.3.1 gives them."""
    done = subprocess.run(
        [sys.executable, str(HERE), str(data), str(workers)],
        input=json.dumps(programs),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [(base, plus) for base, plus in json.loads(done.stdout.splitlines()[-1])]


def _statuses(item: tuple[dict[str, object], list[str]]) -> list[list[str]]:
    """All programs of one problem; expected answers by evalplus's trusted execution, never its pickle."""
    from evalplus.evaluate import check_correctness
    from evalplus.gen.util import trusted_exec

    problem, sources = item
    expected: dict[str, object] = {}
    canonical = f"{problem['prompt']}{problem['canonical_solution']}"
    for part in ("base", "plus"):
        answers, seconds = trusted_exec(canonical, problem[f"{part}_input"], problem["entry_point"], record_time=True)
        expected |= {part: answers, f"{part}_time": seconds}
    found = [check_correctness("humaneval", 0, problem, source, expected, fast_check=True) for source in sources]
    return [[result["base"][0], result["plus"][0]] for result in found]


def main() -> None:
    """Groups the programs by problem, and prints their statuses in the order given."""
    from concurrent.futures import ProcessPoolExecutor

    from benchproof.suites.humaneval_data import read_problems

    problems = read_problems(Path(sys.argv[1])).by_id
    programs = json.load(sys.stdin)
    groups: dict[str, list[int]] = {}
    for number, (task_id, _) in enumerate(programs):
        groups.setdefault(task_id, []).append(number)
    work = [(dict(problems[task_id].row), [programs[n][1] for n in group]) for task_id, group in groups.items()]
    with ProcessPoolExecutor(int(sys.argv[2])) as pool:
        found = list(pool.map(_statuses, work))
    pairs = zip(groups.values(), found, strict=True)
    flat = {n: status for group, part in pairs for n, status in zip(group, part, strict=True)}
    print("\n" + json.dumps([flat[n] for n in range(len(programs))]))


if __name__ == "__main__":
    main()
