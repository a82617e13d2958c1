"""Every Eval Ever 0.3.0: one aggregate and one file of samples for each benchmark, in its folder layout.

    data/benchproof-<benchmark>/<developer>/<model>/<uuid>.json, and <uuid>_samples.jsonl beside it

Ids follow from the record, so that a second export gives the same bytes. What has no field of its own stands in the
format's string maps; docs/export.md has the table. Written to satisfy both of the format's checks, which disagree.
"""

import hashlib
import json
import uuid
from collections.abc import Sequence
from typing import Any

from benchproof.publish.eee_samples import VERSION, SampleTexts, evaluation_name, result_id, sample_rows
from benchproof.publish.source import Exported, common, epoch
from benchproof.schema.canonical import digest, sha256
from benchproof.schema.score import Result
from benchproof.schema.unknown import Unknown

OURS = "benchproof-eee/v1"  # another one whenever the same record would give other files
METRIC_IDS = {"acc": "accuracy", "exact_match": "exact-match", "f1": "f1", "pass@1": "pass-at-1"}
TESTS = ("base", "plus")  # HumanEval's filters that are results of their own: other tests
PROBES = ("gpu_name", "gpus", "driver", "driver_cuda", "gpu_compute_capability", "cpu_model", "os", "kernel", "python",
          "code_commit", "code_dirty", "container_image")  # fmt: skip


def export_eee(source: Exported, texts: SampleTexts) -> dict[str, bytes]:
    """Path -> bytes of every file. texts: `hashes` leaves out every prompt, answer and reference."""
    files: dict[str, bytes] = {}
    for benchmark in source.benchmarks:
        name = _uuid(source, benchmark)
        place = f"data/benchproof-{benchmark}/{source.model_id.replace(':', '_')}"
        chosen = _chosen(source.results(benchmark), source)
        value = _aggregate(source, benchmark, chosen)
        rows = list(sample_rows(source, value["evaluation_id"], chosen, texts))
        if rows:
            data = "".join(json.dumps(row, ensure_ascii=True, separators=(",", ":")) + "\n" for row in rows).encode(
                "ascii"
            )
            path = f"{place}/{name}_samples.jsonl"
            files[path] = data
            value["detailed_evaluation_results"] = {
                "format": "jsonl",
                "file_path": path,
                "hash_algorithm": "sha256",
                "checksum": sha256(data),
                "total_rows": len(rows),
                "additional_details": {"texts": texts},
            }
        files[f"{place}/{name}.json"] = (json.dumps(value, indent=1, ensure_ascii=True) + "\n").encode("ascii")
    return files


def _uuid(source: Exported, benchmark: str) -> str:
    seed = "\0".join((OURS, source.record.record_id, benchmark)).encode()
    return str(uuid.UUID(bytes=hashlib.sha256(seed).digest()[:16], version=4))


def _chosen(results: Sequence[Result], source: Exported) -> list[tuple[Result, list[Result]]]:
    """Results of their own, each with those of the same metric under other filters, which are its details.

    Readers of the format take two results of one data set for two scores, and average them.
    """
    heads = {(h.metric, h.filter) for h in source.record.effective.mark.headlines}
    groups: dict[tuple[Any, ...], list[Result]] = {}
    for result in results:
        tests = result.filter.removesuffix("-corrected")
        apart = tests if result.metric.startswith("pass@") and tests in TESTS else ""
        groups.setdefault((result.task, result.category, result.metric, apart), []).append(result)
    found = []
    for members in groups.values():
        first = min(members, key=lambda r: ((r.metric, r.filter) not in heads, members.index(r)))
        found.append((first, [member for member in members if member is not first]))
    return found


def _aggregate(source: Exported, benchmark: str, chosen: Sequence[tuple[Result, list[Result]]]) -> dict[str, Any]:
    record = source.record
    mark = record.effective.task_mark(source.members(chosen[0][0])[0].task)
    publisher = None if isinstance(record.publisher, Unknown) else record.publisher
    return {
        "schema_version": VERSION,
        "evaluation_id": f"{benchmark}/{source.model_id}/{record.record_id}",
        "evaluation_timestamp": epoch(record.observed.ended),
        "retrieved_timestamp": epoch(record.created),
        "source_metadata": {
            "source_name": "benchproof",
            "source_type": "evaluation_run",
            "source_organization_name": publisher.organization if publisher else "unknown",
            **({"source_organization_url": publisher.url} if publisher and publisher.url else {}),
            "evaluator_relationship": publisher.relationship if publisher else "other",
            "additional_details": {
                "benchproof_record_id": record.record_id,
                "benchproof_record_sha256": source.sha256,
                "benchproof_plan_id": record.plan_id,
                "benchproof_status": record.status,
                **({"benchproof_signer_keyid": ",".join(source.keyids)} if source.keyids else {}),
            },
        },
        "eval_library": {
            "name": mark.harness,
            "version": record.effective.mark.harness[mark.harness],
            "additional_details": _library(source),
        },
        "model_info": _model(source),
        "evaluation_results": [_result(source, result, others) for result, others in chosen],
    }


def _library(source: Exported) -> dict[str, str]:
    record = source.record
    found = {"benchproof_version": record.benchproof, "schema": record.schema_}
    found |= {f"package_{name}": version for name, version in record.effective.ask.packages.items()}
    found |= {name: str(value) for name in PROBES if (value := source.probe(name)) is not None}
    found["unknown_fields"] = json.dumps([item.path for item in record.unknowns])
    return found


def _model(source: Exported) -> dict[str, Any]:
    model, engine = source.record.effective.ask.model, source.record.effective.ask.engine
    content = model.content
    repo, commit = source.published
    details = {
        "deployment_type": "self_deployed",
        "model_availability": "open_weights" if repo else "unknown",
        "model_dtype": engine.dtype,
        "weights_manifest_sha256": digest([pin.json_value() for pin in content.weights]),
        "model_content_sha256": digest(content.json_value()),
        "architecture": model.architecture,
        **({"model_sha": commit} if commit else {}),
        **({"base_model": f"{model.repo}@{model.commit}"} if content.adapter and model.repo else {}),
        **({} if isinstance(model.parameters, Unknown) else {"num_parameters": str(model.parameters)}),
        **({"chat_template_sha256": content.chat_template_sha256} if content.chat_template_sha256 else {}),
        **({"quantization": json.dumps(content.quantisation, sort_keys=True)} if content.quantisation else {}),
    }
    versions = source.record.effective.ask.packages
    name = {"hf": "transformers"}.get(engine.name, engine.name)
    return {
        "name": source.record.model_name,
        "id": source.model_id,
        "developer": source.model_id.partition("/")[0],
        "inference_engine": {"name": name, "version": versions.get(name, "unknown")},
        "additional_details": details,
    }


def _result(source: Exported, result: Result, others: Sequence[Result]) -> dict[str, Any]:
    stderr = result.stderr_value
    uncertainty: dict[str, Any] = {"num_samples": result.n}
    if stderr is not None:
        uncertainty = {"standard_error": {"value": stderr, "method": "as the harness computes it"}, **uncertainty}
    details = {}
    for other in others:
        details[other.key] = other.value
        if other.stderr_value is not None:
            details[f"{other.metric}_stderr,{other.filter}"] = str(other.stderr)
    return {
        "evaluation_result_id": result_id(result),
        "evaluation_name": evaluation_name(result),
        "source_data": _data(source, result),
        "metric_config": _metric(source, result),
        "score_details": {
            "score": float(result.value),
            "uncertainty": uncertainty,
            **({"details": details} if details else {}),
        },
        "generation_config": _generation(source, result),
    }


def _data(source: Exported, result: Result) -> dict[str, Any]:
    pins = [member.dataset for member in source.members(result)]
    details = {
        "docs_sha256": ",".join(sorted({pin.docs_sha256 for pin in pins}))
        if len(pins) <= 4
        else digest([p.docs_sha256 for p in pins]),
        "docs_in_split": str(sum(pin.n_docs for pin in pins)),
    }
    for key in ("revision", "config"):
        value = common([pin.commit if key == "revision" else pin.config for pin in pins])
        if value is not None:
            details[key] = str(value)
    repo, split = common([pin.repo for pin in pins]), common([pin.split for pin in pins])
    if repo is None or any(pin.commit is None for pin in pins):
        return {"dataset_name": evaluation_name(result), "source_type": "other", "additional_details": details}
    return {
        "dataset_name": evaluation_name(result),
        "source_type": "hf_dataset",
        "hf_repo": repo,
        **({"hf_split": split} if split else {}),
        "samples_number": result.n,
        "additional_details": details,
    }


def bounds(metric: str) -> tuple[float, float] | None:
    """What values a metric can have; None where nobody says."""
    if metric in ("acc", "acc_norm", "exact_match", "task_score", "mc1", "mc2", "f1") or metric.startswith("pass@"):
        return 0.0, 1.0
    if metric.endswith("_acc"):
        return 0.0, 1.0
    if metric.endswith("_max"):
        return 0.0, 100.0
    return (-100.0, 100.0) if metric.endswith("_diff") else None


def _metric(source: Exported, result: Result) -> dict[str, Any]:
    limits = bounds(result.metric)
    details = {"level": result.level, "filter": result.filter, "defined_by": result.defined_by}
    if result.headline:
        details["headline"] = "true"
    if result.level == "group":
        spec = source.record.effective.group_metric(*result.place)
        if spec is None:
            raise KeyError(f"the plan has no score {result.place}")
        details["aggregation"] = "weighted_by_size" if spec["weight_by_size"] else "mean_of_tasks"
        details["computed_from"] = json.dumps(result.computed_from)
    found: dict[str, Any] = {
        "metric_id": METRIC_IDS.get(result.metric, f"lm-evaluation-harness.{result.metric}"),
        "metric_name": result.metric,
        "metric_kind": "pass_rate"
        if result.metric.startswith("pass@")
        else "accuracy"
        if limits == (0.0, 1.0)
        else "score",
        "metric_unit": "proportion" if limits == (0.0, 1.0) else "points",
        "lower_is_better": not result.higher_is_better,
    }
    if limits is not None:
        found |= {"score_type": "continuous", "min_score": limits[0], "max_score": limits[1]}
    if result.metric.startswith("pass@"):
        repeats = source.members(result)[0].repeats
        found["metric_parameters"] = {"k": int(result.metric.removeprefix("pass@")), "n": repeats}
        details["tests"] = result.filter
    return found | {"additional_details": details}


def _generation(source: Exported, result: Result) -> dict[str, Any]:
    members, record = source.members(result), source.record
    plan = record.effective
    details: dict[str, str] = {
        "model_dtype": plan.ask.engine.dtype,
        "token_budget": str(plan.ask.engine.token_budget),
        "generation_batch": str(plan.ask.engine.generation_batch),
        "batching": plan.ask.engine.batching,
        "chat_template_applied": str(members[0].chat.applied).lower(),
        **{f"{name}_seed": seed for name, seed in plan.ask.seeds.items()},
        **({"model_sha": source.published[1]} if source.published[1] else {}),
    }
    marks = [plan.task_mark(member.task) for member in members]
    shared: dict[str, list[Any]] = {
        "output_type": [member.output_type for member in members],
        "num_fewshot": [member.num_fewshot for member in members],
        "eval_split": [member.dataset.split for member in members],
        "repeats": [member.repeats for member in members],
        "limit": [member.limit for member in members],
        "task_version": [mark.version for mark in marks],
    }
    details |= {name: str(value) for name, values in shared.items() if (value := common(values)) is not None}
    if len(members) == 1:
        ids = next(ids for ids in record.ids if ids.task == members[0].task)
        details |= {
            "task": members[0].task,
            "task_config": json.dumps(members[0].config, sort_keys=True),
            "benchmark_id": ids.benchmark_id,
            "measurement_id": ids.measurement_id,
        }
    args: dict[str, Any] = {}
    settings = common([member.generation for member in members])
    if settings is not None:
        args = {"temperature": float(settings["temperature"]), "max_tokens": settings["max_gen_toks"]}
        if settings["top_p"] is not None:
            args["top_p"] = float(settings["top_p"])
        if settings["top_k"] is not None:
            args["top_k"] = settings["top_k"]
        details["until"] = json.dumps(settings["until"])
    template = common([member.config.get("doc_to_text") for member in members])
    if isinstance(template, str):
        args["prompt_template"] = template
    sandbox = record.observed.sandbox
    if result.benchmark == "humaneval" and not isinstance(sandbox, Unknown):
        args["sandbox"] = {"type": str(sandbox["tier"])}
    return {**({"generation_args": args} if args else {}), "additional_details": details}
