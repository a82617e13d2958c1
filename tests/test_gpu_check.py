"""scripts/gpu_check.py where there is no GPU: it says so; and every step of it with the CPU in the GPU's place."""

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from fakes.smoke import write_spec
from path.stops import many_ops

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "gpu_check.py"
torch = pytest.importorskip("torch")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import gpu_check

    return gpu_check


def test_without_a_gpu_it_says_so_in_one_document_and_ends_with_5() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here: run `make gpu-check`")
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True)
    assert done.returncode == 5 and done.stderr == ""
    assert json.loads(done.stdout) == {"ok": False, "gpu": False, "reason": "no GPU: torch sees no CUDA device"}


def test_the_page_lists_what_is_needed_beside_torch_and_transformers(script: ModuleType) -> None:
    page = (ROOT / "docs" / "gpu.md").read_text("utf-8")
    listed = {kind: set(page.partition(f"<!-- {kind} -->")[2].partition("<!--")[0].split()) for kind in KINDS}
    names = [line.partition("==")[0] for line in script.wheels()]
    assert sorted(listed["pure"] | listed["compiled"]) == names
    assert {name for name in names if compiled(name)} == listed["compiled"]


KINDS = ("pure", "compiled")


def compiled(name: str) -> bool:
    files = importlib.metadata.files(name) or []
    return any(file.suffix == ".so" for file in files)


@pytest.mark.campaign
def test_every_step_works_with_a_cpu_in_the_gpus_place(script: ModuleType, tmp_path: Path) -> None:
    found = script.check(tmp_path, str(write_spec(tmp_path, many_ops())), "cpu")
    assert found["cpu_and_gpu"] == {
        "docs": 20,
        "docs_that_agree": 20,
        "texts": 6,
        "texts_equal": 6,
        "log_likelihood_max_difference": 0.0,
        "greedy_flags_that_differ": 0,
        "ok": True,
    }
    assert found["two_runs"]["ok"] and found["killed_and_resumed"] == {"attempts": 2, "ok": True}
    assert found["captured"]["tokens_per_second"]["forward"] > 0
    assert not found["captured"]["ok"] and not found["ok"], "a CPU is no GPU"
    json.dumps(found)
