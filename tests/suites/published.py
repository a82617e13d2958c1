"""Where the official data and published result files lie on this machine, or why a test is skipped."""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).resolve()
DATA = "hub/evalplus/HumanEvalPlus-v0.1.10.jsonl.gz"


def _shared() -> Path:
    return Path(os.environ.get("BENCHPROOF_SHARED") or HERE.parents[3] / "shared")


def data_file() -> Path | None:
    """HumanEval+ v0.1.10, or None."""
    path = _shared() / DATA
    return path if path.is_file() else None


def need_data() -> Path:
    """The data file, or the test is skipped and says why."""
    path = data_file()
    if path is None:
        pytest.skip(f"no {DATA}: set BENCHPROOF_SHARED to the folder that holds it")
    return path


def published() -> list[Path]:
    """Result files of HumanEval by others, with solutions and statuses."""
    folder = _shared() / "published" / "evalplus"
    return sorted(folder.rglob("*humaneval*_eval_results.json"))
