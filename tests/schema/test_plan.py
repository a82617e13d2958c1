"""The three nested ids: each thing that is pinned moves exactly the ids that it belongs to.

The first half changes a real spec, model and data, and resolves them again; the second half changes every single
field of a real plan, so that a field that is added later is tested without anybody having thought of it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from benchproof.engines.front import HfFront
from benchproof.ports import ModelFiles
from benchproof.schema.canonical import digest, sha256
from benchproof.schema.plan import Plan
from benchproof.schema.spec import EngineAsk, ModelAsk
from fakes.smoke import GSM8K, MMLU, copy_model, copy_rows, resolved, two

Spec = dict[str, Any]
Ids = dict[str, str]

NONE: set[str] = set()
MARKED = {"plan"}  # the plan's marking half alone
PLAN = {"plan", "ask"}
MEASUREMENT = PLAN | {f"measurement {MMLU}", f"measurement {GSM8K}"}
OF_MMLU = PLAN | {f"benchmark {MMLU}", f"measurement {MMLU}"}
OF_GSM8K = PLAN | {f"benchmark {GSM8K}", f"measurement {GSM8K}"}
ALL = OF_MMLU | OF_GSM8K


def ids_of(plan: Plan) -> Ids:
    found = {"plan": plan.plan_id, "ask": plan.ask_id}
    for pin in plan.ask.tasks:
        found[f"benchmark {pin.task}"] = plan.benchmark_id(pin.task)
        found[f"measurement {pin.task}"] = plan.measurement_id(pin.task)
    return found


def moved(before: Ids, after: Ids) -> set[str]:
    assert set(before) == set(after)
    return {name for name in before if before[name] != after[name]}


@pytest.fixture(scope="module")
def base() -> Plan:
    return resolved(two()).plan


def put(*path: str | int, value: Any) -> Callable[[Spec], None]:
    def change(spec: Spec) -> None:
        place: Any = spec
        for part in path[:-1]:
            place = place.setdefault(part, {}) if isinstance(place, dict) else place[part]
        place[path[-1]] = value

    return change


def task(index: int, key: str, value: Any) -> Callable[[Spec], None]:
    return put("suite", "tasks", index, key, value=value)


SPECS: dict[str, tuple[Callable[[Spec], None], set[str]]] = {
    "dtype": (put("engine", "dtype", value="bfloat16"), PLAN),
    "softmax_dtype": (put("engine", "softmax_dtype", value="model"), PLAN),
    "token_budget": (put("engine", "token_budget", value=2048), PLAN),
    "generation_batch": (put("engine", "generation_batch", value=3), PLAN),
    "deterministic": (put("engine", "deterministic", value=False), PLAN),
    "truncation": (put("truncation", value="refuse"), PLAN),
    "generation seed": (put("seeds", "generation", value=1), PLAN),
    "few-shot seed": (put("seeds", "fewshot", value=1), OF_GSM8K),  # MMLU's shots are the first rows: none is drawn
    "system prompt": (put("model", "system_prompt", value="Be brief."), MEASUREMENT),
    "shots": (task(0, "num_fewshot", 4), OF_MMLU),
    "limit": (task(0, "limit", 4), OF_MMLU),
    "description": (task(0, "description", "Questions.\n\n"), OF_MMLU),
    "max_gen_toks": (task(1, "generation", {"max_gen_toks": 17}), OF_GSM8K),
    "stop strings": (task(1, "generation", {"max_gen_toks": 16, "until": ["\n"]}), OF_GSM8K),
    "temperature": (
        task(1, "generation", {"max_gen_toks": 16, "do_sample": True, "temperature": 0.5}),
        OF_GSM8K,
    ),
    "another definition of equal content": (task(0, "like", "mmlu_anatomy"), NONE),
    "another definition of other content": (task(0, "like", "mmlu_abstract_algebra_generative"), OF_MMLU),
    "our own groups": (task(0, "groups", ["other"]), MARKED),
    "name of the model": (put("model", "name", value="my model"), NONE),
    "publisher": (put("publisher", "organization", value="me"), NONE),
    "margin": (put("reproduce", "margin_points", value=0.5), NONE),
}


@pytest.mark.parametrize("name", SPECS)
def test_each_setting_moves_its_own_ids(name: str, base: Plan) -> None:
    change, expected = SPECS[name]
    spec = two()
    change(spec)
    assert moved(ids_of(base), ids_of(resolved(spec).plan)) == expected


def edit_text(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text("utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), "utf-8")

    return change


def flip_last_byte(folder: Path) -> None:
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)


MODELS: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "nothing": (lambda folder: None, NONE),
    "a readme": (lambda folder: (folder / "README.md").write_text("x"), NONE),
    "a bit of the weights": (flip_last_byte, MEASUREMENT),
    "a space in config.json": (edit_text("config.json", "{", "{ "), MEASUREMENT),
    "a space in tokenizer.json": (edit_text("tokenizer.json", "{", "{ "), MEASUREMENT),
    "a space in tokenizer_config.json": (edit_text("tokenizer_config.json", "{", "{ "), MEASUREMENT),
    "generation_config.json": (edit_text("generation_config.json", "{", "{ "), MEASUREMENT),
    "no generation_config.json": (lambda folder: (folder / "generation_config.json").unlink(), MEASUREMENT),
    "a chat template that is not applied": (
        lambda folder: (folder / "chat_template.jinja").write_text("{{ messages }}"),
        NONE,
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_models_content_moves_the_measurement_and_its_place_moves_nothing(
    name: str, base: Plan, tmp_path: Path
) -> None:
    change, expected = MODELS[name]
    folder = copy_model(tmp_path / "model")
    change(folder)
    spec = two()
    spec["model"]["path"] = str(folder)
    plan = resolved(spec).plan
    assert moved(ids_of(base), ids_of(plan)) == expected
    assert str(tmp_path) not in plan.to_bytes().decode()


TEMPLATE = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}{{ extra }}"


def chat(folder: Path, template: str = TEMPLATE, **model: Any) -> Ids:
    (folder / "chat_template.jinja").write_text(template)
    spec = two()
    spec["model"] = {"path": str(folder), "chat_template": "model", **model}
    return ids_of(resolved(spec).plan)


def test_whether_a_template_is_applied_is_the_benchmarks_and_its_text_the_models(base: Plan, tmp_path: Path) -> None:
    folder = copy_model(tmp_path / "model")
    applied = chat(folder)
    assert moved(ids_of(base), applied) == ALL
    assert moved(applied, chat(folder, TEMPLATE.replace("[", "("))) == MEASUREMENT
    assert moved(applied, chat(folder, template_kwargs={"extra": "x"})) == MEASUREMENT
    assert moved(applied, chat(folder, system_prompt="Be brief.")) == MEASUREMENT


def edit_rows(name: str, **row: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        lines = (folder / name).read_text("utf-8").splitlines()
        lines[-1] = json.dumps(json.loads(lines[-1]) | row)
        (folder / name).write_text("\n".join(lines) + "\n", "utf-8")

    return change


def reverse_rows(folder: Path) -> None:
    lines = (folder / "test.jsonl").read_text("utf-8").splitlines()
    (folder / "test.jsonl").write_text("\n".join(lines[::-1]) + "\n", "utf-8")


DATA: dict[str, tuple[str, int, Callable[[Path], None], set[str]]] = {
    "nothing": ("mmlu/kitchen_science", 0, lambda folder: None, NONE),
    "a row": ("mmlu/kitchen_science", 0, edit_rows("test.jsonl", question="Why?"), OF_MMLU),
    "the order": ("mmlu/kitchen_science", 0, reverse_rows, OF_MMLU),
    "a row of MMLU's shots": ("mmlu/kitchen_science", 0, edit_rows("dev.jsonl", question="Why?"), OF_MMLU),
    "a row of GSM8K's shots": ("gsm8k/main", 1, edit_rows("train.jsonl", question="Why?"), OF_GSM8K),
}


@pytest.mark.parametrize("name", DATA)
def test_rows_are_pinned_by_content_beyond_the_limit_too(name: str, base: Plan, tmp_path: Path) -> None:
    rows, index, change, expected = DATA[name]
    folder = copy_rows(tmp_path / "rows", rows)
    change(folder)
    spec = two()
    spec["suite"]["tasks"][index]["data"] = str(folder)
    plan = resolved(spec).plan
    assert moved(ids_of(base), ids_of(plan)) == expected
    assert str(tmp_path) not in plan.to_bytes().decode()


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reversed_keys(item) for key, item in reversed(value.items())}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


def test_the_order_of_keys_moves_nothing(base: Plan) -> None:
    assert moved(ids_of(base), ids_of(resolved(reversed_keys(two())).plan)) == NONE


def test_host_user_folder_and_caches_move_nothing(base: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    monkeypatch.setattr("platform.node", lambda: "elsewhere")
    for name in ("HF_HOME", "HOME", "TMPDIR", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("USER", "somebody")
    assert resolved(two()).plan.to_bytes() == base.to_bytes()


def test_the_device_moves_nothing(base: Plan, tmp_path: Path) -> None:
    files = ModelFiles(copy_model(tmp_path / "model"), "x", None, None)
    asked = EngineAsk(dtype="float32", token_budget=1024, generation_batch=2)
    front = HfFront(files, ModelAsk(path="x"), asked, "cuda:1")
    assert front.pin() == base.ask.engine


def test_another_process_on_another_home_comes_to_the_same_ids(base: Plan, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(two()))
    script = (
        "import sys, yaml; from fakes.smoke import resolved; "
        "print(resolved(yaml.safe_load(open('spec.yaml'))).plan.plan_id)"
    )
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    again = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=kept
        | {
            "HOME": str(tmp_path),
            "HF_HOME": str(tmp_path / "hf"),
            "PYTHONHASHSEED": "7",
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "TZ": "Asia/Tokyo",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert again.stdout.split()[-1] == base.plan_id


# ------------------------------------------------------------ every single field


def other(value: Any) -> Any:
    """A value of the same kind that is not equal."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return value + "x"
        case None:
            return "x"
        case dict():
            return {**value, "x": "x"}
        case list():
            return value[:-1] if value else ["x"]
    raise TypeError(type(value))


def changes(node: BaseModel, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], BaseModel]]:
    """Each leaf of a tree of models, changed alone: its path and the whole tree with it."""
    for name in type(node).model_fields:
        value = getattr(node, name)
        here = (*path, name)
        if isinstance(value, BaseModel):
            for where, changed in changes(value, here):
                yield where, node.model_copy(update={name: changed})
        elif isinstance(value, list) and value and isinstance(value[0], BaseModel):
            for index, item in enumerate(value):
                for where, changed in changes(item, (*here, str(index))):
                    yield where, node.model_copy(update={name: [*value[:index], changed, *value[index + 1 :]]})
            yield here, node.model_copy(update={name: value[:-1]})
        else:
            yield here, node.model_copy(update={name: other(value)})


def expected_of(path: tuple[str, ...]) -> set[str]:
    match path:
        case ("schema_",):
            return MARKED
        case ("ask", "model", "content", *_):
            return MEASUREMENT
        case ("ask", "tasks", _, "dataset", "repo" | "config" | "commit"):  # where equal rows were found
            return PLAN
        case ("ask", "tasks", index, *_):
            return (OF_MMLU, OF_GSM8K)[int(index)]
        case ("ask", *_):
            return PLAN
        case ("mark", "tasks", index, *_):
            return (OF_MMLU, OF_GSM8K)[int(index)] - {"ask"}
        case ("mark", "harness"):  # one more of them: no task here is its own
            return MARKED
        case _:
            return MARKED


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_every_field_of_a_plan_moves_exactly_its_ids(base: Plan) -> None:
    before = ids_of(base)
    seen = set()
    for path, tree in changes(base):
        if path[-1] == "task" or path in (("ask", "tasks"), ("mark", "tasks")):
            continue  # the name that ids are asked by
        assert isinstance(tree, Plan)
        seen.add(".".join(part for part in path if not part.isdigit()))
        assert moved(before, ids_of(tree)) == expected_of(path), path
    assert {
        "ask.model.repo",
        "ask.model.commit",
        "ask.model.content.weights.sha256",
        "ask.engine.attention",
        "ask.engine.batching",
        "ask.packages",
        "ask.seeds",
        "ask.tasks.dataset.commit",
        "ask.tasks.dataset.docs_sha256",
        "ask.tasks.config",
        "mark.harness",
        "mark.packages",
        "mark.tasks.version",
        "mark.tasks.oracles",
        "mark.tasks.metrics",
        "mark.tasks.filters",
        "mark.groups.metrics",
    } <= seen


def test_the_settings_that_can_move_a_bit_are_all_there(base: Plan) -> None:
    assert {"torch", "transformers", "tokenizers", "safetensors"} <= set(base.ask.packages)
    assert base.mark.harness.keys() == {"lm_eval"}
    assert "numpy" in base.mark.packages
    assert base.ask.seeds.keys() == {"fewshot", "generation", "python", "numpy", "torch"}
    settings = base.ask.engine
    assert (settings.dtype, settings.token_budget, settings.generation_batch) == ("float32", 1024, 2)


def test_the_plan_id_is_the_sha256_of_the_file_and_the_file_reads_back(base: Plan) -> None:
    data = base.to_bytes()
    assert base.plan_id == sha256(data)
    assert Plan.model_validate_json(data) == base
    assert Plan.model_validate_json(data).to_bytes() == data


def test_the_other_ids_can_be_recomputed_from_the_file_alone(base: Plan) -> None:
    """By somebody without our code: json, the documented parts, RFC 8785, sha256."""
    plan = json.loads(base.to_bytes())
    assert base.ask_id == digest(plan["ask"])
    ask, mark = plan["ask"]["tasks"][0], plan["mark"]["tasks"][0]
    for place in ("repo", "config", "commit"):
        del ask["dataset"][place]
    benchmark = digest({"ask": ask, "mark": mark, "harness": plan["mark"]["harness"]})
    assert base.benchmark_id(MMLU) == benchmark
    assert base.measurement_id(MMLU) == digest({"benchmark": benchmark, "model": plan["ask"]["model"]["content"]})


def test_a_plan_is_limited_if_a_task_is_asked_in_part(base: Plan) -> None:
    assert base.limited
    spec = two()
    for asked in spec["suite"]["tasks"]:
        asked["limit"] = 10_000  # more than there are: all of them
    assert not resolved(spec).plan.limited


def test_no_floats_stand_in_a_plan(base: Plan) -> None:
    def numbers(value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                yield from numbers(item)
        else:
            yield value

    assert not [value for value in numbers(json.loads(base.to_bytes())) if isinstance(value, float)]


# Mutant: all harnesses in every benchmark id: MMLU asked beside HumanEval would be another MMLU.
def test_a_tasks_own_harness_is_in_its_benchmark_and_no_other(base: Plan) -> None:
    def with_harness(**versions: str) -> Plan:
        return base.model_copy(update={"mark": base.mark.model_copy(update={"harness": versions})})

    same, other = base.mark.harness["lm_eval"], "0.0.1"
    assert with_harness(lm_eval=other).benchmark_id(MMLU) != base.benchmark_id(MMLU)
    assert with_harness(lm_eval=same, evalplus="0.3.1").benchmark_id(MMLU) == base.benchmark_id(MMLU)
