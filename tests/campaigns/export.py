"""Exports in front of other people's validators: Every Eval Ever's own command, and its converter of lm-eval's files.

    make campaign-export

Three records: the smoke run, `core` over the real data with the bundled model (two docs a task; needs the folder
`shared`, and is left out without it, which is said), and mini code problems with ten samples each, for pass@k. Each
goes to `eee` with texts and as hashes, and to `lm-eval`. Exit 0 if nobody finds an error or a warning.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from benchproof.spec import resolve_suite
from fakes.hub import hub_environment, local_hub, shared_folder

ROOT = Path(__file__).resolve().parents[2]
THEIRS = ROOT / "build" / "eee" / "venv" / "bin" / "every_eval_ever"
DATA = "hub/evalplus/HumanEvalPlus-v0.1.10.jsonl.gz"


def call(*words: str, cwd: Path, env: dict[str, str]) -> int:
    """A command, its output shown where it fails."""
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode:
        print(f"exit {done.returncode}: {' '.join(words)}\n{done.stdout[-3000:]}{done.stderr[-1500:]}")
    return done.returncode


def specs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and spec of each record."""
    model = {"path": "smoke"}
    yield "smoke", {"model": model, "suite": "smoke"}
    generation = {"do_sample": True, "temperature": 0.8, "max_gen_toks": 64}
    code = {"task": "mini_code", "like": "humaneval", "data": "smoke:code", "repeats": 10, "generation": generation}
    yield "passk", {"model": model, "suite": {"tasks": [code]}}
    if shared_folder() is None:
        print("no folder `shared`: the record of `core` is left out")
        return
    tasks = [ask.model_dump(exclude_none=True, exclude_defaults=True) | {"limit": 2} for ask in resolve_suite("core")]
    for task in tasks:
        if task["task"].startswith(("gsm8k", "bbh", "humaneval")):
            task["generation"] = {"max_gen_toks": 64}  # the bundled model's context is short
    yield "core", {"model": model, "suite": {"tasks": tasks}}


def main() -> int:
    """Runs, exports, validates; the number of commands that found something."""
    failures = 0
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        home, env = Path(temporary), dict(os.environ)
        if (shared := shared_folder()) is not None:
            env = hub_environment(stack.enter_context(local_hub()), home / "hf")
            env["HUMANEVAL_OVERRIDE_PATH"] = str(shared / DATA)
        for name, spec in specs():
            (home / f"{name}.yaml").write_text(yaml.safe_dump(spec), "utf-8")
            run = [sys.executable, "-m", "benchproof"]
            if call(*run, "run", f"{name}.yaml", "-q", "--out", name, "--device", "cpu", cwd=home, env=env):
                failures += 1
                continue
            for texts in ("full", "hashes"):
                out = home / f"{name}-{texts}"
                failures += (
                    call(*run, "export", name, "--to", "eee", "-o", str(out), "--samples", texts, cwd=home, env=env)
                    != 0
                )
                failures += call(str(THEIRS), "validate", "data/*/*/*/*.json*", cwd=out, env=env) != 0
            out = home / f"{name}-lm-eval"
            failures += call(*run, "export", name, "--to", "lm-eval", "-o", str(out), cwd=home, env=env) != 0
            convert = [str(THEIRS), "convert", "lm_eval", "--log_path", str(out), "--output_dir", f"{name}-theirs"]
            # Theirs also looks for samples of groups, of which the harness writes none.
            samples = ["--include_samples"] if name == "passk" else []
            failures += call(*convert, *samples, cwd=home, env=env) != 0
            print(f"{name}: {failures} failures so far")
    return failures


if __name__ == "__main__":
    sys.exit(min(main(), 1))
