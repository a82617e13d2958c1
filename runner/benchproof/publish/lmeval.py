"""lm-eval's own results and samples files, so that every tool that reads those keeps working.

results_<time>.json, samples_<task>_<time>.jsonl      as lm-evaluation-harness 0.4.13 names and keys them
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from benchproof.publish.source import Asked, Exported, common
from benchproof.schema.canonical import text_sha256
from benchproof.schema.unknown import Unknown
from benchproof.store.rows import Row


def export_lmeval(source: Exported, texts: Literal["full", "hashes"]) -> dict[str, bytes]:
    """Path -> bytes of every file. texts: `hashes` leaves docs, prompts and answers out of the samples."""
    stamp = datetime.fromisoformat(source.record.observed.ended).strftime("%Y-%m-%dT%H-%M-%S.000000")
    files = {f"results_{stamp}.json": (json.dumps(_results(source), indent=2) + "\n").encode()}
    for pin in source.record.effective.ask.tasks:
        lines = [json.dumps(line) + "\n" for line in _samples(source, pin.task, texts)]
        if lines:
            files[f"samples_{pin.task}_{stamp}.jsonl"] = "".join(lines).encode()
    return files


def _results(source: Exported) -> dict[str, Any]:
    record = source.record
    plan = record.effective
    model = plan.ask.model
    rows: dict[str, dict[str, Any]] = {}
    for result in record.results:
        if result.level != "category":
            row = rows.setdefault(result.task, {"alias": result.task, "name": result.task, "sample_len": result.n})
            row[result.key] = float(result.value)
            row[f"{result.metric}_stderr,{result.filter}"] = (
                "N/A" if result.stderr_value is None else result.stderr_value
            )
    groups = {group.name: list(group.tasks) for group in plan.mark.groups}
    tasks = plan.ask.tasks
    better: dict[str, dict[str, bool]] = {}
    for result in record.results:
        better.setdefault(result.task, {})[result.metric] = result.higher_is_better
    name = source.model_id  # readers of this format want an owner, which a folder has not
    return {
        "results": rows,
        "groups": {name: rows[name] for name in groups if name in rows},
        "group_subtasks": groups | {pin.task: [] for pin in tasks},
        "configs": {
            pin.task: {
                **pin.config,
                "task": pin.task,
                "output_type": pin.output_type,
                "num_fewshot": pin.num_fewshot,
                "repeats": pin.repeats,
                "dataset_path": pin.dataset.repo,
                "dataset_name": pin.dataset.config,
                "dataset_kwargs": {"revision": pin.dataset.commit} if pin.dataset.commit else {},
                "test_split": pin.dataset.split,
                **({"generation_kwargs": _generation(pin.generation)} if pin.generation else {}),
                **plan.task_mark(pin.task).config,
            }
            for pin in tasks
        },
        "versions": {pin.task: plan.task_mark(pin.task).version for pin in tasks},
        "n-shot": {pin.task: pin.num_fewshot for pin in tasks}
        | {g: common([plan.task_ask(t).num_fewshot for t in members]) or 0 for g, members in groups.items()},
        "higher_is_better": better,
        "n-samples": {pin.task: {"original": pin.dataset.n_docs, "effective": pin.n_docs} for pin in tasks},
        "config": {
            "model": "hf" if plan.ask.engine.name == "hf" else plan.ask.engine.name,
            "model_args": {
                "pretrained": model.repo or name,
                **({"peft": name} if model.content.adapter else {}),
                **({"revision": model.commit} if model.commit else {}),
                "dtype": plan.ask.engine.dtype,
            },
            "model_num_parameters": None if isinstance(model.parameters, Unknown) else model.parameters,
            "model_dtype": f"torch.{plan.ask.engine.dtype}",
            "model_revision": record.asked.spec["model"].get("revision", "main"),
            "model_sha": model.commit or "",
            "batch_size": plan.ask.engine.generation_batch,
            "batch_sizes": [],
            "device": next((str(a.engine.device) for a in record.observed.attempts[-1:]), None),
            "use_cache": None,
            "limit": common([pin.limit for pin in tasks]),
            "bootstrap_iters": 100000,
            "gen_kwargs": {},
            "random_seed": int(plan.ask.seeds["python"]),
            "numpy_seed": int(plan.ask.seeds["numpy"]),
            "torch_seed": int(plan.ask.seeds["torch"]),
            "fewshot_seed": int(plan.ask.seeds["fewshot"]),
        },
        "git_hash": None,
        "date": datetime.fromisoformat(record.observed.ended).timestamp(),
        "transformers_version": plan.ask.packages.get("transformers"),
        "lm_eval_version": plan.mark.harness.get("lm_eval"),
        "max_length": plan.ask.engine.max_length,
        "task_hashes": {},
        "model_source": plan.ask.engine.name,
        "model_name": name,
        "model_name_sanitized": name.replace("/", "__"),
        "system_instruction": model.content.system_prompt,
        "system_instruction_sha": text_sha256(model.content.system_prompt) if model.content.system_prompt else None,
        "fewshot_as_multiturn": any(pin.chat.fewshot_as_turns for pin in tasks),
        "chat_template": model.content.chat_template_sha256,  # its text is the tokenizer's; a record has its sha256
        "chat_template_sha": model.content.chat_template_sha256,
        "benchproof": {
            "record_id": record.record_id,
            "record_sha256": source.sha256,
            "plan_id": record.plan_id,
            "status": record.status,
            "signer_keyids": list(source.keyids),
        },
    }


def _generation(settings: Mapping[str, Any]) -> dict[str, Any]:
    temperature = float(settings["temperature"])
    found = {"until": settings["until"], "max_gen_toks": settings["max_gen_toks"], "do_sample": temperature > 0}
    found |= {"temperature": temperature}
    found |= {} if settings["top_p"] is None else {"top_p": float(settings["top_p"])}
    return found | ({} if settings["top_k"] is None else {"top_k": settings["top_k"]})


def _samples(source: Exported, task: str, texts: Literal["full", "hashes"]) -> Iterator[dict[str, Any]]:
    """One line for each doc and filter, as the harness has them."""
    for row, asked in source.rows(task):
        for name, metrics in row.metrics.items():
            numbers = {metric: value for metric, value in metrics.items() if isinstance(value, int | float)}
            yield {
                "doc_id": row.doc_id,
                **(
                    _texts(row, asked, name)
                    if texts == "full"
                    else {"filtered_resps": _filtered(row, name, hashed=True)}
                ),
                "filter": name,
                "metrics": list(numbers),
                "doc_hash": row.doc_sha256,
                "prompt_hash": text_sha256(asked[0].requests[0].context) if asked else None,
                "target_hash": text_sha256(str(row.target)),
                "request_hashes": list(row.requests),
                **numbers,
            }


def _texts(row: Row, asked: Asked | None, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"target": str(row.target), "resps": [[_response(r)] for r in row.responses]}
    found["filtered_resps"] = _filtered(row, name, hashed=False)
    if asked:
        found["doc"] = dict(asked[0].doc)
        found["arguments"] = {
            f"gen_args_{i}": {
                "arg_0": r.context,
                "arg_1": r.continuation if r.generation is None else _generation(r.generation.json_value()),
            }
            for i, r in enumerate(asked[0].requests)
        }
    return found


def _filtered(row: Row, name: str, *, hashed: bool) -> list[Any]:
    """Of choices, the log-likelihoods that the harness's filters pass on; of texts, what the filter took."""
    if row.responses and not isinstance(row.responses[0], Mapping):
        return [_response(response) for response in row.responses]
    taken: Sequence[Any] = row.filtered[name]
    return [f"sha256:{text_sha256(str(item))}" for item in taken] if hashed else list(taken)


def _response(response: Any) -> Any:
    return response["text"] if isinstance(response, Mapping) else [str(response[0]), str(response[1])]
