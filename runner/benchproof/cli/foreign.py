"""Somebody else's result file -> the spec that it is taken to mean, and everything that was taken to be so."""

import importlib.metadata
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from benchproof.cli.compose import model_fields
from benchproof.cli.lmeval_args import MODEL_ARGS, Translated, unknown_arg
from benchproof.cli.lmeval_words import FIXED_ZERO, GENERATION_KEYS, MODEL_TYPES, matches
from benchproof.errors import BadInput
from benchproof.judge import Claimed
from benchproof.ledger.published import Key, Published
from benchproof.schema.spec import RunSpec
from benchproof.schema.unknown import Unknown
from benchproof.schema.verdict import About

SILENT = ("device", "batch_size", "max_batch_size", "pretrained")  # words that move no score here


def spec_of_published(found: Published, model: str | None) -> tuple[RunSpec, list[str]]:
    """The spec, and the assumptions in it. model: where it lies here. Raises BadInput for what cannot be asked."""
    out = Translated()
    given = model or str(found.model_args.get("pretrained") or found.model_name)
    fields = out.choices.fields
    fields.update({"model.path": given} if given.startswith(("/", ".", "~")) else model_fields(given))
    for key, value in found.model_args.items():
        if key == "trust_remote_code":
            out.note(
                key, "not carried: a file of somebody else's makes nobody run a model's code; set it after reading it"
            )
        elif key not in SILENT:
            MODEL_ARGS.get(key, unknown_arg)(key, value, out)
    if "model.path" in fields:
        fields.pop("model.revision", None)
    elif found.commit:
        fields["model.revision"] = found.commit
    if "engine.dtype" not in fields and found.dtype in ("float32", "bfloat16", "float16"):
        fields["engine.dtype"] = found.dtype
    if found.chat_template:
        fields["model.chat_template"] = "model"
    elif fields.pop("model.template_kwargs", None):
        out.note("chat template", "its arguments are not carried: none is applied")
    if found.system_prompt:
        fields["model.system_prompt"] = found.system_prompt
    for ours, theirs in (("fewshot", "fewshot"), ("generation", "torch")):
        seed = (found.seeds or {}).get(theirs)
        if isinstance(seed, int):
            fields[f"seeds.{ours}"] = seed
    value = _nested(fields) | {
        "suite": {"about": f"the tasks of a file of {found.format}", "tasks": _tasks(found, out)}
    }
    try:
        spec = RunSpec.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            f"the file cannot be asked again: {first['msg']}", where=where, do="write a spec by hand"
        ) from error
    assumptions = [*_assumed(found, spec), *(f"{word}: {why}" for word, why in out.notes), *found.notes]
    return spec, list(dict.fromkeys(assumptions))


def claims_of(found: Published) -> dict[Key, Claimed]:
    """The stated scores as the judge takes them."""
    return {key: Claimed(claim.value, claim.stderr, claim.n) for key, claim in found.claims.items()}


def about(found: Published) -> About:
    """The file as what a verdict is about."""
    unsaid = Unknown(unknown="not_recorded_by_harness", detail=f"a file of {found.format} has none")
    return About(what=found.format, record_id=unsaid, plan_id=unsaid, sha256=found.sha256, model_name=found.model_name)


def _tasks(found: Published, out: Translated) -> list[dict[str, Any]]:
    generation = {GENERATION_KEYS[k]: v for k, v in found.generation.items() if k in GENERATION_KEYS and v is not None}
    for key, given in found.generation.items():
        if key not in GENERATION_KEYS:
            out.note(f"gen_kwargs {key}", f"not carried ({given!r}): no such setting here")
    for key in ("temperature", "top_p"):
        if isinstance(generation.get(key), int):
            generation[key] = float(generation[key])
    if isinstance(generation.get("until"), str):
        generation["until"] = [generation["until"]]
    tasks = []
    for task in found.tasks:
        value: dict[str, Any] = {"task": task.name}
        if task.num_fewshot is not None and not (matches(task.name, FIXED_ZERO) or task.name == "humaneval"):
            value["num_fewshot"] = task.num_fewshot
        if task.limit is not None:
            value["limit"] = task.limit
        if generation and task.generates:
            value["generation"] = generation
        if task.repeats is not None:
            value["repeats"] = task.repeats
        if found.fewshot_as_turns is False and found.chat_template:
            value["fewshot_as_turns"] = False
        tasks.append(value)
    return tasks


def _assumed(found: Published, spec: RunSpec) -> Iterator[str]:
    """What the file does not say, and what was taken instead."""
    if spec.model.repo and not found.commit and "revision" not in found.model_args:
        yield "model revision: the file names none; main, as it is now, is taken"
    if spec.model.path:
        yield f"model: {spec.model.path}, as it is here, is taken for the one of the file"
    if found.dtype is None and "dtype" not in found.model_args:
        yield "dtype: the file names none; the checkpoint's own is taken"
    if found.model_type is not None and found.model_type not in MODEL_TYPES:
        yield f"engine: the file was made with {found.model_type!r}; here it is transformers"
    if found.chat_template is None:
        yield "chat template: the file does not say; none is taken"
    if found.seeds is None:
        yield "seeds: the file names none; 1234, the harness's default, is taken"
    unsaid = [task.name for task in found.tasks if task.num_fewshot is None and task.name != "humaneval"]
    if unsaid:
        yield f"shots: the file does not say for {', '.join(unsaid[:5])}; the task's own number is taken"
    yield "data: the file names no revision; main, as it is now, is taken"
    yield "batches, threads and hardware: not those of the file"
    if found.format.startswith("lm-eval"):
        here = _version("lm_eval")
        if found.harness_version != here:
            there = found.harness_version or "a version that it does not name"
            yield f"harness: the file is of lm-eval {there}, here it is {here}: prompts and filters may differ"
        if spec.engine.dtype != "float32":
            yield "softmax: in float32 here; lm-eval's is in the model's dtype"
    if found.rows:
        yield "docs are paired by their place in the split: the file's hashes of docs are not ours"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in fields.items():
        section, _, key = name.partition(".")
        found.setdefault(section, {})[key] = value
    return found
