"""Records to export: a small run of the bundled model, and one made to look like a complete run over the Hub's data."""

import shutil
from pathlib import Path
from typing import Any

from fakes.checks import rewrite_record
from fakes.smoke import GSM8K, run_small, small

HUB = {
    GSM8K: ("openai/gsm8k", "main"),
    "mini_mmlu_kitchen_science": ("cais/mmlu", "abstract_algebra"),
    "mini_truthfulqa_mc2": ("truthfulqa/truthful_qa", "multiple_choice"),
}


def made(folder: Path) -> Path:
    """Three tasks, with a group and two filters."""
    run_small(folder, small())
    return folder


def complete(source: Path, folder: Path) -> Path:
    """The same, as if it had been of a model and data sets of the Hub. Its ids are not those of such a plan."""
    shutil.copytree(source, folder)

    def change(value: dict[str, Any]) -> None:
        value["status"] = "complete"
        value["model_name"] = "owner/name"
        value["effective"]["ask"]["model"] |= {"repo": "owner/name", "commit": "a" * 40}
        for pin in value["effective"]["ask"]["tasks"]:
            repo, config = HUB[pin["task"]]
            pin["dataset"] |= {"repo": repo, "config": config, "commit": "d" * 40}

    rewrite_record(folder, change)
    return folder
