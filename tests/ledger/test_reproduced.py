"""A file of stock lm-eval, made by its own command line on real data, is reproduced and compared."""

import json
import subprocess
import sys
from pathlib import Path

from fakes.smoke import SHIPPED


def test_a_stock_results_file_with_samples_is_reproduced(hub_env: dict[str, str], tmp_path: Path) -> None:
    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", *words], env=hub_env, cwd=tmp_path, capture_output=True, text=True)

    made = call(
        "lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={SHIPPED / 'model'},dtype=float32",
        "--tasks", "truthfulqa_mc1,gsm8k", "--limit", "12", "--device", "cpu", "--batch_size", "4",
        "--output_path", "native", "--log_samples",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr[-2000:]
    (file,) = (tmp_path / "native").rglob("results_*.json")
    done = call("benchproof", "reproduce", str(file), "-q", "--device", "cpu", "--out", "again", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["outcome"] == "same answers"
    assert {score["benchmark"] for score in verdict["scores"]} == {"truthfulqa", "gsm8k"}
    assert any("revision" in line for line in verdict["assumptions"])
    compared = call("benchproof", "compare", "again", str(file))
    assert compared.returncode == 0, compared.stdout
    value = json.loads(file.read_text())
    value["results"]["truthfulqa_mc1"]["acc,none"] = 0.99
    file.write_text(json.dumps(value))
    told = call("benchproof", "reproduce", str(file), "-q", "--device", "cpu", "--out", "twice")
    assert told.returncode == 1, told.stdout
    assert "NOT REPRODUCED" in told.stdout
