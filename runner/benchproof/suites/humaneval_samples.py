"""An evalplus samples.jsonl -> programs, and marked programs -> pass@k and rows per sample."""

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from evalplus.eval import estimate_pass_at_k

from benchproof.errors import BadInput, MissingInput
from benchproof.schema.canonical import text_sha256
from benchproof.suites.humaneval_data import Problem, Problems
from benchproof.suites.humaneval_marking import AS_IS, CORRECTED, Marked, Program, Verdict

KS = (1, 10, 100)
FORMAT = (
    "one JSON object a line, with `task_id` and `solution` (a whole program) or `completion` (what follows the prompt)"
)


def read_samples(path: Path, problems: Problems) -> list[Program]:
    """Every sample of the file, in order. Raises MissingInput, BadInput naming the line."""
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError) as error:
        raise MissingInput(
            f"samples cannot be read: {error}", where=str(path), do="give an evalplus samples.jsonl"
        ) from error
    counts: Counter[str] = Counter()
    programs = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            task_id, source = _sample(line, problems, f"{path}, line {number}")
            programs.append(Program(task_id, counts[task_id], source))
            counts[task_id] += 1
    if not programs:
        raise BadInput("no samples in the file", where=str(path), do=FORMAT)
    return programs


def _sample(line: bytes, problems: Problems, where: str) -> tuple[str, str]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BadInput(f"not JSON: {error}", where=where, do=FORMAT) from error
    if not isinstance(row, dict) or not isinstance(row.get("task_id"), str):
        raise BadInput("no `task_id`", where=where, do=FORMAT)
    problem = problems.by_id.get(row["task_id"])
    if problem is None:
        raise BadInput(
            f"no problem {row['task_id']!r} in the data file", where=where, do="give the data file with --data"
        )
    if isinstance(row.get("solution"), str):
        return problem.task_id, row["solution"]
    if isinstance(row.get("completion"), str):
        return problem.task_id, problem.prompt + row["completion"]
    raise BadInput("neither `solution` nor `completion` is a text", where=where, do=FORMAT)


def pass_at_k(marked: Sequence[Marked]) -> dict[str, dict[str, dict[str, float]]]:
    """Part -> rule -> pass@k, for each k that every problem has samples enough for."""
    by_task: dict[str, list[Marked]] = defaultdict(list)
    for item in marked:
        by_task[item.program.task_id].append(item)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for part in ("base", "plus"):
        found[part] = {}
        for rule in (AS_IS, CORRECTED):
            estimates = [problem_pass_at_k(items, part, rule) for items in by_task.values()]
            names = min(estimates, key=len)  # of the problem with the fewest samples
            found[part][rule] = {name: float(np.mean([each[name] for each in estimates])) for name in names}
    return found


def problem_pass_at_k(marked: Sequence[Marked], part: Literal["base", "plus"], rule: str) -> dict[str, float]:
    """pass@k of one problem, for each k that its samples are enough for. evalplus's own unbiased estimator."""
    right, total = sum(item.passed(part, rule) for item in marked), len(marked)
    return {f"pass@{k}": float(estimate_pass_at_k(total, [right], k)[0]) for k in KS if total >= k}


def row(marked: Marked, problem: Problem) -> dict[str, Any]:
    """One sample for a file or a program: statuses by both rules, and the inputs that failed."""
    return {
        "task_id": marked.program.task_id,
        "sample": marked.program.number,
        "source_sha256": text_sha256(marked.program.source),
        "base": {**_verdict(marked.base, problem, plus=False), AS_IS: marked.status("base", AS_IS)},
        "plus": {**_verdict(marked.plus, problem, plus=True), AS_IS: marked.status("plus", AS_IS)},
    }


def _verdict(verdict: Verdict, problem: Problem, *, plus: bool) -> dict[str, Any]:
    arguments = problem.arguments(plus) if verdict.failed else []
    return {
        CORRECTED: verdict.status,
        "reason": verdict.reason,
        "failed_inputs": [arguments[index] for index in verdict.failed],
        "failed_indices": list(verdict.failed),
        "cpu_seconds": round(verdict.cpu, 3),
        "retried": verdict.retried,
    }
