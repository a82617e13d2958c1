"""Runs of the bundled model in this process, stopped or spoiled before an op."""

import copy
import os
from pathlib import Path
from typing import Any

import pytest

from benchproof.engines.hf import HfEngine
from benchproof.ports import Op
from cli.call import Called, in_process
from fakes.smoke import small

DEVICE = ("--device", "cpu", "--quiet")


def many_ops() -> dict[str, Any]:
    """Four tasks, one that generates; one generation a batch and few tokens a forward."""
    spec = small()
    mmlu, gsm8k, mc2 = spec["suite"]["tasks"]
    mmlu["limit"], gsm8k["limit"], mc2["limit"] = 6, 6, 4
    other = {"task": "mini_mmlu_map_reading", "data": "smoke:mmlu/map_reading", "limit": 4}
    spec["suite"]["tasks"].append(copy.deepcopy(mmlu) | other)  # a copy: YAML aliases are refused
    spec["engine"] |= {"token_budget": 640, "generation_batch": 1}
    return spec


def environment(**more: str) -> dict[str, str]:
    """Of a process that imports what this one does, and computes with one thread."""
    path = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    ours = {"PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return os.environ | ours | more


def fail_at(patch: pytest.MonkeyPatch, op: int, error: BaseException) -> None:
    """The engine answers `op` ops of this process, then raises."""
    answer, seen = HfEngine.answer, [0]

    def failing(self: HfEngine, asked: Op, requests: Any, encoded: Any) -> Any:
        if seen[0] == op:
            raise error
        seen[0] += 1
        return answer(self, asked, requests, encoded)

    patch.setattr(HfEngine, "answer", failing)


def never_load(patch: pytest.MonkeyPatch) -> None:
    """Loading the model is an error."""

    def load(self: HfEngine, progress: object) -> None:
        raise AssertionError("the model was loaded")

    patch.setattr(HfEngine, "load", load)


def interrupted(capsys: pytest.CaptureFixture[str], spec: Path, out: Path, ops: int = 3) -> Called:
    """A run into `out` that is stopped as by a signal after `ops` ops."""
    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, ops, KeyboardInterrupt("SIGTERM"))
        called = in_process(capsys, "run", str(spec), "--out", str(out), *DEVICE)
    called.refused(75, str(out), "resume")
    return called
