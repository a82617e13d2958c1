"""A model's page on the Hub: `model-index` metadata in its card, and `.eval_results` for registered benchmarks.

Through huggingface_hub's own classes. Only headline scores over data sets of the Hub: what has no place there is named
as left out. Never `verified`, never a `verifyToken`: those are the Hub's to give.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub._eval_results import EvalResultEntry, eval_result_entries_to_yaml

from benchproof.errors import BadInput
from benchproof.publish.source import Exported, common
from benchproof.schema.plan import DatasetPin
from benchproof.schema.score import Result

# Data sets that are registered benchmarks of the Hub -> (task id of their eval.yaml, file). Seen 2026-11: GSM8K only.
REGISTERED = {"openai/gsm8k": ("gsm8k", "gsm8k.yaml")}
CARD = "README.md"
SCALE_DIGITS = 10  # of a percentage


@dataclass(frozen=True, slots=True)
class Page:
    """Files for a model's repository, and the benchmarks that have no place in them, with reasons."""

    files: dict[str, bytes]
    left_out: tuple[str, ...]


def export_card(source: Exported, existing: str | None) -> Page:
    """The model's card with its scores in `model-index`; the rest of an existing card stays as it is.

    existing: the card's text. Raises BadInput (2) for one whose metadata cannot be read.
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
    """The card with these results in place of earlier ones of the same data set and metric; its text untouched."""
    if existing is None:
        data = ModelCardData(model_name=source.record.model_name, eval_results=list(results))
        return str(ModelCard(f"---\n{data.to_yaml()}\n---\n"))
    try:
        card = ModelCard(existing, ignore_metadata_errors=False)
        data = ModelCardData(**card.data.to_dict(), ignore_metadata_errors=False)  # type: ignore[no-untyped-call]
    except (ValueError, yaml.YAMLError) as error:
        raise BadInput(
            f"the card's metadata cannot be read: {' '.join(str(error).split())[:150]}", where=CARD, do="mend the card"
        ) from error
    new = {(result.unique_identifier, result.metric_name) for result in results}
    kept = [old for old in data.eval_results or [] if (old.unique_identifier, old.metric_name) not in new]
    data.eval_results = [*kept, *results]
    data.model_name = data.model_name or source.record.model_name
    card.data = data
    return str(card)
