"""Somebody else's result file -> the spec that it is taken to mean, and everything that was taken to be so."""

import importlib.metadata
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from benchproof.cli.compose import model_fields
from benchproof.cli.lmeval_args import MODEL_ARGS, Translated, unknown_arg
from benchproof.cli.lmeval_words import GENERATES, GENERATION_KEYS, MODEL_TYPES, matches
from benchproof.errors import BadInput
from benchproof.ledger.lmeval_results import some
from benchproof.ledger.published import Published
from benchproof.ledger.sniff import EVALPLUS
from benchproof.schema.spec import RunSpec
from benchproof.schema.unknown import Unknown
from benchproof.schema.verdict import About

SEEDS = {"fewshot": "fewshot", "generation": "torch"}  # ours: the harness's
SILENT = ("device", "batch_size", "max_batch_size", "pretrained")  # words that move no score here


def spec_of_published(found: Published, model: str | None) -> tuple[RunSpec, list[str]]:
    """The spec, and the assumptions in it. model: where it lies here. Raises BadInput for what cannot be asked."""
    out = Translated()
    given = model or str(found.model_args.get("pretrained") or found.model_name)
    fields = out.choices.fields
    fields.update({"model.path": given} if given.startswith(("/", ".", "~")) else model_fields(given))
    for key, value in found.model_args.items():
        if key == "trust_remote_code":
            if not value:
                continue
            out.note(
                key, "not carried: a file of somebody else's makes nobody run a model's code; set it after reading it"
            )
        elif key not in SILENT and value is not None:
            try:
                MODEL_ARGS.get(key, unknown_arg)(key, value, out)
            except BadInput as error:
                raise BadInput(error.what, where=f"model_args of the file: {key}", do="write a spec by hand") from error
    if "model.path" in fields:
        fields.pop("model.revision", None)
    elif found.commit:
        fields["model.revision"] = found.commit
    if fields.get("engine.dtype", "auto") == "auto" and found.dtype in ("float32", "bfloat16", "float16"):
        fields["engine.dtype"] = found.dtype
    elif found.format == EVALPLUS:
        fields["engine.dtype"] = "bfloat16"
    if _stock(found) and "softmax_dtype" not in found.model_args and fields.get("engine.dtype") != "float32":
        fields["engine.softmax_dtype"] = "model"
    if found.chat_template:
        fields["model.chat_template"] = "model"
    elif fields.pop("model.template_kwargs", None):
        out.note("chat template", "its arguments are not carried: none is applied")
    if found.system_prompt:
        fields["model.system_prompt"] = found.system_prompt
    for ours, theirs in SEEDS.items():
        if theirs in found.seeds:
            fields[f"seeds.{ours}"] = found.seeds[theirs]
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
        if task.num_fewshot is not None and task.name != "humaneval":
            value["num_fewshot"] = task.num_fewshot
        if task.limit is not None:
            value["limit"] = task.limit
        if generation and (task.generates or (task.generates is None and matches(task.name, GENERATES))):
            value["generation"] = generation
        elif generation and task.generates is None:
            out.note("gen_kwargs", f"left out for {task.name}: the file does not say whether it generates text")
        if task.repeats is not None:
            value["repeats"] = task.repeats
        if found.chat_template and not found.fewshot_as_turns and found.format != EVALPLUS:
            value["fewshot_as_turns"] = False
        tasks.append(value)
    return tasks


def _assumed(found: Published, spec: RunSpec) -> Iterator[str]:
    """What the file does not say, and what was taken instead."""
    if spec.model.repo and not found.commit and "revision" not in found.model_args:
        yield "model revision: the file names none; main, as it is now, is taken"
    if spec.model.path:
        yield f"model: {spec.model.path}, as it is here, is taken for the one of the file"
    if found.format == EVALPLUS:
        yield "dtype: the file names none; bfloat16, evalplus's default, is taken"
    elif spec.engine.dtype == "auto":
        yield "dtype: the file names none; the checkpoint's own is taken"
    if found.model_type is None:
        yield "engine: the file names none; transformers is taken"
    elif found.model_type not in MODEL_TYPES:
        yield f"engine: the file was made with {found.model_type!r}; here it is transformers"
    if found.chat_template is None:
        yield "chat template: the file does not say; none is taken"
    elif found.chat_template:
        yield "chat template: the tokenizer's own is taken, and not compared with the file's"
        if found.fewshot_as_turns is None and found.format != EVALPLUS:
            yield "few-shot turns: the file does not say; all shots in one message, lm-eval's default then, is taken"
    missing = [ours for ours, theirs in SEEDS.items() if theirs not in found.seeds]
    if missing and (found.format != EVALPLUS or found.generation):
        yield f"seeds: the file names none for {' and '.join(missing)}; 1234, the harness's default, is taken"
    unsaid = [task.name for task in found.tasks if task.num_fewshot is None and task.name != "humaneval"]
    if unsaid:
        yield f"shots: the file does not say for {some(unsaid)}; the task's own number is taken"
    if found.format != EVALPLUS:
        yield "data: the file names no revision; main, as it is now, is taken"
    yield "batches, threads and hardware: not those of the file"
    if found.format.startswith("lm-eval"):
        here = _version("lm_eval")
        if found.harness_version != here:
            there = f"lm-eval {found.harness_version}" if found.harness_version else "an lm-eval that it does not name"
            yield f"harness: the file is of {there}, here it is {here}: prompts and filters may differ"
        if spec.engine.softmax_dtype == "model":
            yield "softmax: in the model's dtype, as lm-eval does where nothing else is said"
    if found.rows:
        yield "docs are paired by their place in the split: the file's hashes of docs are not ours"


def _stock(found: Published) -> bool:
    """Whether lm-eval's own transformers back end made it, whose softmax is in the model's dtype."""
    return found.format != EVALPLUS and (found.model_type is None or found.model_type in MODEL_TYPES)


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
