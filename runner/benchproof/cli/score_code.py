"""`benchproof score-code`: somebody's HumanEval samples, scored without a model."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from benchproof.cli.options import AsJson

if TYPE_CHECKING:
    from benchproof.suites.humaneval_data import Problems
    from benchproof.suites.humaneval_marking import Marked, Marker

Tier = Literal["auto", "bubblewrap", "landlock", "none"]
PARTS = {"base": "HumanEval", "plus": "HumanEval+"}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "score-code",
        epilog="\b\nExample:\n  benchproof score-code samples.jsonl\n"
        "  benchproof score-code samples.jsonl --data HumanEvalPlus.jsonl.gz --json | jq .scores",
    )(score_code)


def score_code(
    samples: Annotated[
        Path, typer.Argument(metavar="SAMPLES.jsonl", help="evalplus's: task_id, and solution or completion.")
    ],
    data: Annotated[
        Path | None, typer.Option("--data", help="HumanEval+'s .jsonl or .jsonl.gz. [default: fetched once, v0.1.10]")
    ] = None,
    sandbox: Annotated[str, typer.Option("--sandbox", help="auto, bubblewrap, landlock or none.")] = "auto",
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Workers. [default: one a core]")] = None,
    every: Annotated[
        bool, typer.Option("--details", help="Try every input, not only up to the first wrong one.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Score somebody else's HumanEval samples.

    Programs run in a sandbox and are compared by evalplus's rules. A file that covers only some problems is scored
    for those, and says so.
    """
    from benchproof.errors import BadInput

    if sandbox not in get_args(Tier):
        raise BadInput(f"no sandbox {sandbox!r}", where="--sandbox", do=f"one of {', '.join(get_args(Tier))}")
    tier: Any = sandbox
    from benchproof.sandbox.choose import open_sandbox
    from benchproof.suites.humaneval_data import official_problems, read_problems
    from benchproof.suites.humaneval_expected import sandbox_facts
    from benchproof.suites.humaneval_marking import Marker
    from benchproof.suites.humaneval_samples import read_samples

    problems = official_problems() if data is None else read_problems(data)
    programs = read_samples(samples, problems)
    with open_sandbox(tier, workers=workers) as opened:
        marker = Marker(problems, opened, every=every)
        marked = list(marker.mark(programs, _progress(len(programs), quiet=as_json)))
        facts = sandbox_facts(opened)
    document = _document(problems, marked, marker, facts)
    if as_json:
        sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    else:
        _show(document, facts)


def _document(problems: "Problems", marked: "list[Marked]", marker: "Marker", facts: dict[str, Any]) -> dict[str, Any]:
    from benchproof.suites.humaneval_samples import pass_at_k, row

    covered = {item.program.task_id for item in marked}
    return {
        "data": {"sha256": problems.sha256, "md5": problems.md5, "official": problems.official},
        "problems": len(problems.by_id),
        "problems_scored": len(covered),
        "complete": len(covered) == len(problems.by_id),
        "missing": [task_id for task_id in problems.by_id if task_id not in covered],
        "samples": len(marked),
        "scores": pass_at_k(marked),
        "sandbox": facts,
        "controls": [asdict(control) for control in marker.controls],
        "rows": [row(item, problems.by_id[item.program.task_id]) for item in marked],
    }


def _show(document: dict[str, Any], facts: dict[str, Any]) -> None:
    from benchproof.report.text import out, table

    lines = [
        (f"{PARTS[part]} {name}", rule, f"{100 * value:.2f}")
        for part, rules in document["scores"].items()
        for rule, scores in rules.items()
        for name, value in scores.items()
    ]
    table(lines, head=("score", "rule", "%"), right=(2,))
    out(f"{document['samples']} samples of {document['problems_scored']} of {document['problems']} problems")
    if not document["complete"]:
        out(f"PARTIAL: {len(document['missing'])} problems have no sample, so these are not scores of the benchmark")
    if not document["data"]["official"]:
        out(f"data file {document['data']['sha256'][:12]} is not the official v0.1.10")
    timeouts = sum(row[part]["corrected"] == "timeout" for row in document["rows"] for part in PARTS)
    retried = sum(bool(row[part]["retried"]) for row in document["rows"] for part in PARTS)
    if timeouts or retried:
        out(f"{timeouts} timeouts or early exits; {retried} executions repeated alone")
    out(f"sandbox: {facts['tier']}, {len(facts['probes'])} probes held" if facts["probes"] else "SANDBOX: NONE")
    for leak in facts["leaks"]:
        out(f"note: {leak}")


def _progress(total: int, *, quiet: bool) -> Any:
    """Counts on stderr, where it is a terminal."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if not quiet and sys.stderr.isatty():
            sys.stderr.write(f"\r{done} of {total} samples{chr(10) if done == total else ''}")
            sys.stderr.flush()

    return advance
