"""evalplus's `*_eval_results.json`: statuses of every sample, and only in its name the model and how it was asked."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchproof.errors import BadInput
from benchproof.ledger.published import Claim, Key, Published, PublishedTask, Sampled

TASK = "humaneval"
METRIC = "pass@1"
NAME = re.compile(r"(?P<model>[\w.\-]+?)_(?P<backend>[a-z]+)_temp_(?P<temperature>\d+(?:\.\d+)?)(?P<rest>.*)$")
CHAT = re.compile(r"instruct|chat|(?:^|-)it(?:$|-)", re.IGNORECASE)
PROBLEM = re.compile(r"HumanEval/(\d+)$")


def is_results(value: Any) -> bool:
    """Whether it is such a file."""
    return isinstance(value, dict) and isinstance(value.get("eval"), dict) and "hash" in value


def read_results(value: Mapping[str, Any], sha256: str, path: Path) -> Published:
    """The file as what it says. Raises BadInput (2) for MBPP, for no samples, or for a name without a model."""
    by_problem = _statuses(value, path)
    match = NAME.search(path.name.rpartition("__")[2] or path.name)
    if match is None:
        raise BadInput(
            "the file's name does not say which model it is of",
            where=str(path),
            do="name it as evalplus does: <owner>--<model>_<backend>_temp_<temperature>_eval_results.json",
        )
    repeats = {len(samples) for samples in by_problem.values()}
    if len(repeats) > 1:
        raise BadInput("problems have different numbers of samples", where=str(path), do="give a whole result file")
    rows = {
        number: Sampled({(METRIC, part): _share(samples, part) for part in ("base", "plus")}, {})
        for number, samples in sorted(by_problem.items())
    }
    claims: dict[Key, Claim] = {}
    for part in ("base", "plus"):
        mean = sum(row.values[METRIC, part] for row in rows.values()) / len(rows)
        claims[TASK, METRIC, part] = Claim(mean, None, len(rows))
    temperature = float(match["temperature"])
    empty = sum(not sample.get("solution") for samples in by_problem.values() for sample in samples)
    notes = ["its scores are counted from the statuses of its samples"]
    notes += [f"{empty} of its samples are empty"] if empty else []
    notes += ["its samples were sanitised, as they are here"] if "sanitized" in match["rest"] else []
    model = match["model"].replace("--", "/", 1)
    return Published(
        format="evalplus results",
        sha256=sha256,
        model_name=model,
        model_type=match["backend"],
        model_args={"pretrained": model},
        commit=None,
        dtype=None,
        chat_template=bool(CHAT.search(model)),
        fewshot_as_turns=None,
        system_prompt=None,
        generation={"temperature": temperature, "do_sample": True} if temperature else {},
        seeds=None,
        harness_version=None,
        tasks=(PublishedTask(TASK, None, None, True, repeats.pop() if temperature else None),),
        claims=claims,
        notes=(
            *notes,
            "whether a chat template was applied is guessed from the model's name, as evalplus's default does",
        ),
        rows={TASK: rows},
    )


def _statuses(value: Mapping[str, Any], path: Path) -> dict[int, Sequence[Mapping[str, Any]]]:
    found: dict[int, Sequence[Mapping[str, Any]]] = {}
    for name, samples in value["eval"].items():
        match = PROBLEM.match(str(name))
        if match is None:
            raise BadInput(f"{name!r} is no problem of HumanEval", where=str(path), do="give a HumanEval result")
        good = (
            isinstance(samples, list) and samples and all(isinstance(s, dict) and "base_status" in s for s in samples)
        )
        if not good:
            raise BadInput(f"{name} has no statuses", where=str(path), do="give a whole result file")
        found[int(match[1])] = samples
    if not found:
        raise BadInput("the file has no samples", where=str(path), do="give a whole result file")
    return found


def _share(samples: Sequence[Mapping[str, Any]], part: str) -> float:
    """pass@1 of one problem; plus means that base and plus tests both passed."""
    parts = ("base",) if part == "base" else ("base", "plus")
    return sum(all(s.get(f"{name}_status") == "pass" for name in parts) for s in samples) / len(samples)
