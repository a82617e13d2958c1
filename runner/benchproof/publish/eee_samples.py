"""The rows of Every Eval Ever's sample files: what was asked of each doc, what was answered, and its mark."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from benchproof.publish.source import Asked, Exported
from benchproof.schema.canonical import sha256, text_sha256
from benchproof.schema.request import Request
from benchproof.schema.score import Result
from benchproof.store.rows import Row

VERSION = "0.3.0"
SampleTexts = Literal["full", "hashes"]


def evaluation_name(result: Result) -> str:
    """The task, its category, and `_plus` for the other tests of HumanEval: what readers of the format group by."""
    name = result.task if result.category is None else f"{result.task}/{result.category}"
    return f"{name}_plus" if result.metric.startswith("pass@") and result.filter.startswith("plus") else name


def result_id(result: Result) -> str:
    """Unique in a file; a row of the samples names the result that it is part of by it."""
    return f"{evaluation_name(result)}/{result.key}"


def sample_rows(
    source: Exported, evaluation_id: str, chosen: Sequence[tuple[Result, list[Result]]], texts: SampleTexts
) -> Iterator[dict[str, Any]]:
    """One row for each doc and result of a task; groups and categories follow from them.

    chosen: results of their own, each with those that are its details. texts: `hashes` leaves out every text.
    """
    by_task: dict[str, list[Result]] = {}
    for result, _ in chosen:
        if result.level == "task":
            by_task.setdefault(result.task, []).append(result)
    for task, results in by_task.items():
        for row, asked in source.rows(task):
            for result in results:
                value = row.metrics.get(result.filter, {}).get(result.metric)
                if isinstance(value, int | float):
                    yield _sample(source, evaluation_id, result, row, asked, float(value), texts)


def _sample(
    source: Exported,
    evaluation_id: str,
    result: Result,
    row: Row,
    asked: Asked | None,
    value: float,
    texts: SampleTexts,
) -> dict[str, Any]:
    requests: Sequence[Request] = asked[0].requests if asked else ()
    prompt = requests[0].context if requests else ""
    choices = [str(request.continuation) for request in requests if request.continuation is not None]
    reference = _reference(row, choices)
    texted = [response["text"] for response in row.responses if isinstance(response, Mapping)]
    taken = [
        str(item.get("status", item)) if isinstance(item, Mapping) else str(item)
        for item in row.filtered[result.filter]
    ]
    picked = [choices[int(item)] for item in taken if choices and item.isdigit() and int(item) < len(choices)]
    output = texted or picked
    said = (lambda text: text) if texts == "full" else (lambda text: f"sha256:{text_sha256(text)}")
    hashed = json.dumps({"raw": prompt, "reference": reference}, sort_keys=True, separators=(",", ":")).encode()
    extracted = picked[0] if picked else (taken[0] if taken else "")
    found: dict[str, Any] = {
        "schema_version": VERSION,
        "evaluation_id": evaluation_id,
        "model_id": source.model_id,
        "evaluation_name": evaluation_name(result),
        "evaluation_result_id": result_id(result),
        "sample_id": f"{result.task}/{row.doc_id}",
        "sample_hash": sha256(hashed),
        "interaction_type": "single_turn",
        "input": {
            "raw": said(prompt),
            "reference": [said(text) for text in reference],
            **({"choices": [said(text) for text in choices]} if choices else {}),
        },
        "output": {"raw": [said(text) for text in output]},
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": said(extracted),
                "extraction_method": result.filter if texted else "argmax_loglikelihood",
                "is_terminal": True,
            }
        ],
        "evaluation": {"score": value, "is_correct": value == 1.0},
        "metadata": _metadata(row, result, requests, texts),
    }
    if asked and texted:
        read = sum(item.n_tokens for item in asked[1])
        written = sum(response["tokens"] for response in row.responses)
        found["token_usage"] = {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
    return found


def _reference(row: Row, choices: Sequence[str]) -> list[str]:
    if isinstance(row.target, int) and not isinstance(row.target, bool) and 0 <= row.target < len(choices):
        return [choices[row.target]]
    targets = row.target if isinstance(row.target, list) else [row.target]
    return [text if isinstance(text, str) else json.dumps(text) for text in targets if text is not None]


def _metadata(row: Row, result: Result, requests: Sequence[Request], texts: SampleTexts) -> dict[str, str]:
    """What has no field of its own, as text: hashes, log-likelihoods, the other filters' marks."""
    found = {"doc_sha256": row.doc_sha256, "request_hashes": json.dumps(list(row.requests))}
    lls = [response[0] for response in row.responses if not isinstance(response, Mapping)]
    if lls:
        found["loglikelihoods"] = json.dumps(lls)
    stops = [response["stop"] for response in row.responses if isinstance(response, Mapping)]
    if stops:
        found["stop_reasons"] = json.dumps(stops)
    if row.category is not None:
        found["category"] = row.category
    seeds = [str(request.seed) for request in requests if request.seed is not None]
    if seeds:
        found["seeds"] = json.dumps(seeds)
    for name, metrics in row.metrics.items():
        if name != result.filter and result.metric in metrics:
            found[f"{result.metric},{name}"] = str(metrics[result.metric])
    return found
