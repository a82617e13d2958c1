"""A model's page on the Hub: `model-index` metadata in its card, and `.eval_results` for registered benchmarks.

Through huggingface_hub's own classes. Only headline scores over data sets of the Hub: what has no place there is named
as left out. Never `verified`, never a `verifyToken`: those are the Hub's to give.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub._eval_results import EvalResultEntry, eval_result_entries_to_yaml
from huggingface_hub.repocard import REGEX_YAML_BLOCK
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

from benchproof.errors import BadInput
from benchproof.publish.source import Exported, common
from benchproof.schema.plan import DatasetPin
from benchproof.schema.score import Result

# Data sets that are registered benchmarks of the Hub -> (task id of their eval.yaml, file). Seen 2026-11: GSM8K only.
REGISTERED = {"openai/gsm8k": ("gsm8k", "gsm8k.yaml")}
CARD = "README.md"
KEY = "model-index"
SCALE_DIGITS = 10  # of a percentage


@dataclass(frozen=True, slots=True)
class Page:
    """Files for a model's repository, and the benchmarks that have no place in them, with reasons."""

    files: dict[str, bytes]
    left_out: tuple[str, ...]


def export_card(source: Exported, existing: str | None) -> Page:
    """The model's card with its scores in `model-index`; the rest of an existing card stays as it is.

    existing: the card's text. Raises BadInput (2) for one whose metadata cannot be read, or would change.
    """
    results, left_out = [], []
    for result, pin, shots in _headlines(source):
        if isinstance(pin, str):
            left_out.append(f"{result.benchmark}: {pin}")
            continue
        results.append(
            EvalResult(
                task_type="text-generation",
                task_name="Text Generation",
                dataset_type=pin.repo,
                dataset_name=f"{result.benchmark} ({shots}-shot)",
                dataset_config=pin.config,
                dataset_split=pin.split,
                dataset_revision=pin.commit,
                dataset_args={"num_few_shot": shots},
                metric_type=result.metric,
                metric_name=result.key,
                metric_value=float(result.value),
                metric_args={
                    "num_few_shot": shots,
                    "filter": result.filter,
                    "n": result.n,
                    **({"stderr": str(result.stderr)} if result.stderr_value is not None else {}),
                    "benchproof_record_id": source.record.record_id,
                },
            )
        )
    if not results:
        return Page({}, tuple(left_out))
    return Page({CARD: _merged(source, existing, results).encode("utf-8")}, tuple(left_out))


def export_eval_results(source: Exported) -> Page:
    """`.eval_results/*.yaml`, for data sets that are registered benchmarks."""
    files, left_out = {}, []
    for result, pin, shots in _headlines(source):
        if isinstance(pin, str) or pin.repo not in REGISTERED:
            left_out.append(
                f"{result.benchmark}: {pin if isinstance(pin, str) else f'{pin.repo} is no registered benchmark'}"
            )
            continue
        task_id, name = REGISTERED[pin.repo]
        generation = source.members(result)[0].generation
        greedy = generation is not None and float(generation["temperature"]) == 0
        entry = EvalResultEntry(
            dataset_id=pin.repo,
            task_id=task_id,
            value=round(100 * float(result.value), SCALE_DIGITS),
            dataset_revision=pin.commit,
            date=source.record.observed.ended[:10],
            notes=f"{shots}-shot, {result.metric} {result.filter}, {'greedy' if greedy else 'sampled'}; "
            f"benchproof record {source.record.record_id}",
        )
        text: str = yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False)
        files[f".eval_results/{name}"] = text.encode("utf-8")
    return Page(files, tuple(left_out))


def _headlines(source: Exported) -> list[tuple[Result, DatasetPin | str, int]]:
    """Each benchmark's one number with its data set, or why it has no place there; and its shots."""
    found: list[tuple[Result, DatasetPin | str, int]] = []
    taken: set[tuple[str, str | None, str]] = set()
    for result in source.record.results:
        if not result.headline:
            continue
        members = source.members(result)
        pins = [member.dataset for member in members]
        repo, shots = common([pin.repo for pin in pins]), common([member.num_fewshot for member in members])
        pin: DatasetPin | str
        if repo is None or any(item.commit is None for item in pins):
            pin = "its data are not one data set of the Hub at a commit"
        elif shots is None:
            pin = "its tasks were asked with different numbers of shots"
        else:
            config = common([item.config for item in pins])
            pin = pins[0].model_copy(update={"config": config})
            key = (repo, config, pin.split)
            if key in taken:  # readers of the format take two scores of one data set for one
                pin = "another headline stands for its data set already"
            taken.add(key)
        found.append((result, pin, int(shots or 0)))
    return found


def _merged(source: Exported, existing: str | None, results: Sequence[EvalResult]) -> str:
    """The card with these results in place of earlier ones of the same data set and metric.

    Every byte outside `model-index` stays, comments too, and so do other people's results.
    """
    text = existing or ""
    before = _metadata(text)
    entry = (before.get(KEY) or [{"name": source.record.model_name, "results": []}])[0]
    new = {(result.unique_identifier, result.metric_name) for result in results}
    kept = [block for old in entry["results"] if (block := _without(old, entry["name"], new))]
    index = [{**entry, "results": kept + eval_results_to_model_index(entry["name"], list(results))[0]["results"]}]
    merged = _spliced(text, index)
    if _metadata(merged) != before | {KEY: index}:
        raise BadInput(
            "other metadata of the card would change with its scores", where=CARD, do="mend the card by hand"
        )
    return merged


def _metadata(text: str) -> dict[str, Any]:
    """A card's metadata as they stand there; {} without any. Raises BadInput (2) for what huggingface_hub refuses."""
    try:
        card = ModelCard(text, ignore_metadata_errors=False)
        ModelCardData(**card.data.to_dict(), ignore_metadata_errors=False)  # type: ignore[no-untyped-call]
        block = REGEX_YAML_BLOCK.search(text)
        data: dict[str, Any] = (yaml.safe_load(block.group(2)) or {}) if block else {}
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise BadInput(
            f"the card's metadata cannot be read: {' '.join(str(error).split())[:150]}", where=CARD, do="mend the card"
        ) from error
    if len(data.get(KEY) or [0]) != 1:
        raise BadInput(f"the card's `{KEY}` is of several models", where=CARD, do="mend the card")
    return data


def _without(
    block: dict[str, Any], name: str, new: Collection[tuple[tuple[Any, ...], str | None]]
) -> dict[str, Any] | None:
    """A block of results without the metrics that are told anew; None if nothing is left of it."""
    _, told = model_index_to_eval_results([{"name": name, "results": [block]}])
    metrics = [
        metric
        for metric, old in zip(block["metrics"], told, strict=True)
        if (old.unique_identifier, old.metric_name) not in new
    ]
    return {**block, "metrics": metrics} if metrics else None


def _spliced(text: str, index: list[dict[str, Any]]) -> str:
    """The card with this index at the place of its own, or at the end of the metadata if it has none."""
    block = yaml.safe_dump({KEY: index}, sort_keys=False, allow_unicode=True)
    match = REGEX_YAML_BLOCK.search(text)
    if match is None:
        return f"---\n{block}---\n{text}"
    end = "\r\n" if "\r\n" in match.group(0) else "\n"
    block, metadata = block.replace("\n", end), match.group(2) + end
    # From the key to the next line that begins neither with a space nor with a list's dash.
    own = re.compile(rf"^{KEY}:.*?(?=^[^\s\-]|\Z)", re.MULTILINE | re.DOTALL)
    changed = own.sub(lambda _: block, metadata, count=1) if own.search(metadata) else metadata + block
    return text[: match.start(2)] + changed.removesuffix(end) + text[match.end(2) :]
