"""evalplus's `*_eval_results.json`: statuses of every sample, and only in its name the model and how it was asked.

Source: evalplus 0.2 and 0.3, `evalplus/evaluate.py` and `codegen.py`.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchproof.errors import BadInput, VerificationFailed
from benchproof.ledger.published import Published, PublishedTask
from benchproof.ledger.reading import mapping, real
from benchproof.ledger.sniff import EVALPLUS
from benchproof.schema.score import Claimed, Key, Stated

TASK = "humaneval"
NAME = re.compile(r"(?P<model>[\w.\-]+?)_(?P<backend>[a-z]+)_temp_(?P<temperature>\d+(?:\.\d+)?)(?P<rest>.*)$")
CHAT = re.compile(r"instruct|chat|(?:^|[-_])it(?:$|[-_])", re.IGNORECASE)
PROBLEM = re.compile(r"HumanEval/(0|[1-9]\d{0,2})")
PROBLEMS = 164
RELEASE = "fe585eb4df8c88d844eeb463ea4d0302"  # md5 of HumanEval+ v0.1.10, as such files carry it
KS = (1, 10, 100)
PASSED = {"base": ("base_status",), "plus": ("base_status", "plus_status")}  # plus: both must pass
Samples = Sequence[Mapping[str, Any]]


def read_results(value: Mapping[str, Any], sha256: str, path: Path) -> Published:
    """The file as what it says.

    Raises BadInput (2) for MBPP, for no samples, or for a name without a model; VerificationFailed (1) for a file whose
    `pass_at_k` is not what its statuses come to.
    """
    where = str(path)
    problems = _problems(value, where)
    match = NAME.search(path.name.rpartition("__")[2] or path.name)
    if match is None:
        raise BadInput(
            "the file's name does not say which model it is of",
            where=where,
            do="name it as evalplus does: <owner>--<model>_<backend>_temp_<temperature>_eval_results.json",
        )
    repeats = {len(samples) for samples in problems.values()}
    if len(repeats) > 1:
        raise BadInput("problems have different numbers of samples", where=where, do="give a whole result file")
    claims = dict(_claims(value, problems, where))
    parts = [part for part in PASSED if (TASK, "pass@1", part) in claims]
    rows = {
        number: Stated({("pass@1", part): _passed(samples, part) / len(samples) for part in parts}, {})
        for number, samples in sorted(problems.items())
    }
    temperature = float(match["temperature"])
    model = match["model"].replace("--", "/", 1)
    limit = None if len(problems) == PROBLEMS else len(problems)
    return Published(
        format=EVALPLUS,
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
        seeds={},
        harness_version=None,
        tasks=(PublishedTask(TASK, None, limit, True, repeats.pop() if temperature else None),),
        claims=claims,
        notes=tuple(_notes(value, problems, parts, match["rest"], temperature)),
        rows={TASK: rows},
    )


def _problems(value: Mapping[str, Any], where: str) -> dict[int, Samples]:
    """Problem number -> its samples. Raises BadInput, also for a choice of problems that no limit can ask for."""
    found: dict[int, Samples] = {}
    for name, samples in value["eval"].items():
        match = PROBLEM.fullmatch(name)
        if match is None:
            raise BadInput(f"{name!r} is no problem of HumanEval", where=where, do="give a HumanEval result")
        if not isinstance(samples, list) or not samples or not all(isinstance(sample, dict) for sample in samples):
            raise BadInput(
                f"{name} has no statuses", where=where, do="give a whole result file of evalplus 0.2 or later"
            )
        for sample in samples:
            if not isinstance(sample.get("base_status"), str):
                raise BadInput(f"{name} has no statuses", where=where, do="give a whole result file")
            if sample.get("task_id", name) != name:
                raise VerificationFailed(
                    f"{name} holds a sample of {sample['task_id']!r}", where=where, do="take the file again"
                )
        found[int(match[1])] = samples
    if not found or sorted(found) != list(range(len(found))) or len(found) > PROBLEMS:
        raise BadInput(
            f"its {len(found)} problems are not the first ones: they cannot be asked again",
            where=where,
            do="give a whole result file",
        )
    return found


def _passed(samples: Samples, part: str) -> int:
    return sum(all(sample.get(key) == "pass" for key in PASSED[part]) for sample in samples)


def _claims(value: Mapping[str, Any], problems: Mapping[int, Samples], where: str) -> Iterator[tuple[Key, Claimed]]:
    """pass@k by evalplus's estimate, of plus only where its tests were run. The file's own numbers have to agree."""
    said = mapping(value, "pass_at_k", where)
    for part, keys in PASSED.items():
        if any(sample.get(keys[-1]) is None for samples in problems.values() for sample in samples):
            continue
        counts = [(len(samples), _passed(samples, part)) for samples in problems.values()]
        for k in (k for k in KS if all(n >= k for n, _ in counts)):
            score = math.fsum(1 - math.comb(n - c, k) / math.comb(n, k) for n, c in counts) / len(counts)
            own = real(mapping(said, part, where).get(f"pass@{k}"))
            if own is not None and abs(own - score) > 1e-9:
                raise VerificationFailed(
                    f"pass@{k} of {part} is {own:g} in the file, and {score:g} by its own statuses",
                    where=where,
                    do="take the file from its source again",
                )
            yield (TASK, f"pass@{k}", part), Claimed(score, None, len(counts))


def _notes(
    value: Mapping[str, Any], problems: Mapping[int, Samples], parts: Sequence[str], rest: str, temperature: float
) -> Iterator[str]:
    yield "its scores are counted from the statuses of its samples"
    yield "whether a chat template was applied is guessed from the model's name, as evalplus's default does"
    if "plus" not in parts:
        yield "the plus tests were not run: only base is claimed"
    if value.get("hash") != RELEASE:
        yield f"data: the file's hash is {value.get('hash')!r}; HumanEval+ v0.1.10 ({RELEASE}) is taken"
    if temperature:
        yield "top_p: the file names none; 0.95, evalplus's own where it samples, is taken"
    empty = sum(not sample.get("solution") for samples in problems.values() for sample in samples)
    if empty:
        yield f"{empty} of its samples are empty"
    if "sanitized" in rest:
        yield "its samples were sanitised, as they are here"
    if any(sample["base_status"] == "pass" for sample in problems.get(32, [])):
        yield "HumanEval/32 passes in it, which evalplus 0.3.1, whose rules base and plus follow, never lets"
