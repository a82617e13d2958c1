"""Wrong things that are labelled as the recorded one, and honest re-runs, through `reproduce`, with the bundled model.

A wrong run is made, and its record relabelled: plan, ids and asked spec become those of the honest record, as if it had
been what was asked. The honest side is run once. docs/reproduce.md shows what came of each; a test compares.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from benchproof.asked import spec_of
from benchproof.ladder import Side
from benchproof.report.progress import Silent
from benchproof.reproduce import judge_record, reproduce
from benchproof.schema.record import Record
from benchproof.schema.verdict import Verdict
from benchproof.spec import resolve_suite
from benchproof.store.files import file_sha256
from benchproof.store.rows import real
from benchproof.verdict import VERDICT, Margin
from benchproof.wire import make_world
from fakes.checks import rewrite_record, rewrite_rows, side
from fakes.smoke import SHIPPED, copy_model, copy_rows, run_small

PAGE = Path(__file__).parents[2] / "docs" / "reproduce.md"
MARGIN = 1.0
SUBJECTS = ("kitchen_science", "garden_biology", "story_craft", "village_economy", "map_reading", "bicycle_care")
GSM8K, MC1 = "mini_gsm8k", "mini_truthfulqa_mc1"


def spec(**engine: Any) -> dict[str, Any]:
    """Six subjects at five shots, word problems at five shots, and questions to choose from: 174 docs."""
    tasks: list[dict[str, Any]] = [
        {
            "task": f"mini_mmlu_{name}",
            "like": "mmlu_abstract_algebra",
            "data": f"smoke:mmlu/{name}",
            "description": f"Questions about {name.replace('_', ' ')}.\n\n",
            "groups": ["mini_mmlu"],
            "num_fewshot": 5,
        }
        for name in SUBJECTS
    ]
    tasks.append({"task": GSM8K, "like": "gsm8k", "data": "smoke:gsm8k/main", "num_fewshot": 5,
                  "generation": {"max_gen_toks": 48}})  # fmt: skip
    tasks.append({"task": MC1, "like": "truthfulqa_mc1", "data": "smoke:truthfulqa/multiple_choice"})
    return {
        "model": {"path": "smoke"},
        "suite": {"tasks": tasks},
        "engine": {"dtype": "float32", "generation_batch": 8} | engine,
        "reproduce": {"margin_points": MARGIN},
    }


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reproduction") / "honest"
    run_small(folder, spec())
    return folder


def relabelled(folder: Path, honest: Path) -> Record:
    """The record of a wrong run, made to say that it is the honest one's plan."""
    true = side(honest).record
    labels = json.loads((honest / "record.json").read_bytes())

    def label(value: dict[str, Any]) -> None:
        for key in ("effective", "plan_id", "ask_id", "ids", "asked", "status", "model_name"):
            value[key] = labels[key]

    record = rewrite_record(folder, label)
    assert record.plan_id == true.plan_id == record.effective.plan_id
    shutil.copyfile(honest / "spec.yaml", folder / "spec.yaml")
    return record


def reproduced(folder: Path, honest: Path, out: Path) -> Verdict:
    """`reproduce` of a record; the re-run is the honest run, which is deterministic and so not run anew each time."""
    shutil.copytree(honest, out)
    (out / VERDICT).unlink(missing_ok=True)
    there = side(folder)
    asked = spec_of(there.record, folder)
    world = make_world(asked, device="cpu", progress=Silent())
    sha256, tasks = file_sha256(folder / "record.json"), resolve_suite(asked.suite)
    margin = Margin(MARGIN, "record")
    verdict, _ = reproduce(there, sha256, asked, b"", tasks, world, out=out, margin=margin, floors=[])
    return verdict


def points_moved(folder: Path, honest: Path) -> float:
    """How far the headline that moved most lies from the truth, in points."""
    true = {r.benchmark: float(r.value) for r in side(honest).record.results if r.headline}
    stated = {r.benchmark: float(r.value) for r in side(folder).record.results if r.headline}
    return max(100 * abs(stated[name] - true[name]) for name in true)


# ------------------------------------------------------------------ twelve wrong things


def tasks_changed(**changes: Any) -> Callable[[dict[str, Any], Path], None]:
    def change(value: dict[str, Any], folder: Path) -> None:
        for task in value["suite"]["tasks"]:
            task |= {key: item for key, item in changes.items() if key in task or key == "fewshot"}

    return change


def another_checkpoint(value: dict[str, Any], folder: Path) -> None:
    """The weights of one layer, a little louder."""
    from safetensors.torch import load_file, save_file

    model = copy_model(folder / "model")
    weights = load_file(model / "model.safetensors")
    name = next(name for name in sorted(weights) if "mlp.down_proj" in name)
    weights[name] = weights[name] * 1.3
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    value["model"] = {"path": str(model)}


def no_shots(value: dict[str, Any], folder: Path) -> None:
    for task in value["suite"]["tasks"]:
        if "num_fewshot" in task:
            task["num_fewshot"] = 0


def a_space_more(value: dict[str, Any], folder: Path) -> None:
    for task in value["suite"]["tasks"]:
        if "description" in task:
            task["description"] = task["description"].replace(" about", "  about")


def chat_template(value: dict[str, Any], folder: Path) -> None:
    model = copy_model(folder / "model")
    path = model / "tokenizer_config.json"
    config = json.loads(path.read_text())
    config["chat_template"] = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
    path.write_text(json.dumps(config))
    value["model"] = {"path": str(model), "chat_template": "model"}


def other_shots(value: dict[str, Any], folder: Path) -> None:
    value["seeds"] = {"fewshot": 99}


def wrong_dtype(value: dict[str, Any], folder: Path) -> None:
    value["engine"]["dtype"] = "bfloat16"


def changed_rows(value: dict[str, Any], folder: Path) -> None:
    """Every tenth answer of a subject is another."""
    rows = copy_rows(folder / "rows", "mmlu/kitchen_science")
    path = rows / "test.jsonl"
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for line in lines[::10]:
        line["answer"] = (int(line["answer"]) + 1) % 4
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    value["suite"]["tasks"][0]["data"] = str(rows)


def fewer_tokens(value: dict[str, Any], folder: Path) -> None:
    next(t for t in value["suite"]["tasks"] if t["task"] == GSM8K)["generation"] = {"max_gen_toks": 12}


def other_stops(value: dict[str, Any], folder: Path) -> None:
    task = next(t for t in value["suite"]["tasks"] if t["task"] == GSM8K)
    task["generation"] = {"max_gen_toks": 48, "until": ["="]}


RUNS: dict[str, Callable[[dict[str, Any], Path], None]] = {
    "another checkpoint": another_checkpoint,
    "0 shots instead of 5": no_shots,
    "a space more in the prompt": a_space_more,
    "a chat template": chat_template,
    "other few-shot seed": other_shots,
    "bfloat16 instead of float32": wrong_dtype,
    "changed rows of the data": changed_rows,
    "fewer tokens to answer in": fewer_tokens,
    "other stop strings": other_stops,
}


def shuffled(folder: Path) -> None:
    """The answers of a subject, each under the next doc."""

    def turn(rows: list[Any]) -> list[Any]:
        keys = ("responses", "filtered")
        moved = [row | {key: rows[i - 1][key] for key in keys} for i, row in enumerate(rows)]
        return [_choice_marked(row) for row in moved]

    rewrite_rows(folder, "samples", f"mini_mmlu_{SUBJECTS[0]}", turn)
    rewrite_rows(folder, "samples", f"mini_mmlu_{SUBJECTS[1]}", turn)


def _choice_marked(row: dict[str, Any]) -> dict[str, Any]:
    value = "1.0" if row["filtered"]["none"][0] == row["target"] else "0.0"
    return row | {"metrics": {"none": row["metrics"]["none"] | {"acc": value}}}


def flexible_as_strict(folder: Path) -> None:
    """The strict filter's answers are those of the flexible one."""

    def swap(rows: list[Any]) -> list[Any]:
        for row in rows:
            for part in ("filtered", "metrics"):
                row[part]["strict-match"] = row[part]["flexible-extract"]
        return rows

    rewrite_rows(folder, "samples", GSM8K, swap)


def edited_in_favour(folder: Path) -> None:
    """3 % of the docs: wrong answers of MMLU made right."""
    left = round(0.03 * 174)

    def edit(rows: list[Any]) -> list[Any]:
        nonlocal left
        for row in rows:
            if left and row["filtered"]["none"][0] != row["target"]:
                row["filtered"]["none"] = [row["target"]]
                row["metrics"]["none"]["acc"] = "1.0"
                left -= 1
        return rows

    for name in SUBJECTS:
        rewrite_rows(folder, "samples", f"mini_mmlu_{name}", edit)


FORGED: dict[str, Callable[[Path], None]] = {
    "answers shuffled between docs": shuffled,
    "another filter's answers": flexible_as_strict,
    "3 % of the answers edited in favour": edited_in_favour,
}


def restated(folder: Path) -> None:
    """The author states the scores that the edited rows give, and commits to the edited answers."""
    rows = {
        task: list(side(folder).rows(task))
        for task in {r.task for r in side(folder).record.results if r.level == "task"}
    }

    def state(value: dict[str, Any]) -> None:
        for result in value["results"]:
            members = result["computed_from"] or [result["task"]]
            values = [real(row.metrics[result["filter"]][result["metric"]]) for task in members for row in rows[task]]
            result["value"] = repr(float(sum(values) / len(values)))
        value["observed"]["answers_digest"] = "1" * 64

    rewrite_record(folder, state)


@pytest.fixture(scope="module")
def wrong(honest: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Verdict, float]]:
    """Each wrong thing: its verdict, and how far its worst headline lies from the truth."""
    root = tmp_path_factory.mktemp("wrong")
    found = {}
    for number, (name, change) in enumerate(RUNS.items()):
        folder = root / f"run-{number}"
        (root / f"parts-{number}").mkdir()
        value = spec()
        change(value, root / f"parts-{number}")
        run_small(folder, value)
        relabelled(folder, honest)
        found[name] = reproduced(folder, honest, root / f"again-{number}"), points_moved(folder, honest)
    for number, (name, forge) in enumerate(FORGED.items()):
        folder = root / f"forged-{number}"
        shutil.copytree(honest, folder)
        forge(folder)
        restated(folder)
        found[name] = reproduced(folder, honest, root / f"forged-again-{number}"), points_moved(folder, honest)
    return found


@pytest.mark.parametrize("name", [*RUNS, *FORGED])
def test_a_wrong_thing_is_never_called_the_recorded_one(wrong: dict[str, tuple[Verdict, float]], name: str) -> None:
    verdict, moved = wrong[name]
    assert verdict.outcome not in ("bitwise", "same answers") or name == "bfloat16 instead of float32", verdict.reasons
    if moved > MARGIN:
        assert verdict.outcome not in ("bitwise", "same answers", "statistically consistent"), verdict.reasons


def test_an_answer_that_changed_is_never_the_same(wrong: dict[str, tuple[Verdict, float]]) -> None:
    for name, (verdict, _) in wrong.items():
        layers = verdict.evidence.get("layers", {})
        changed = sum(item["docs_that_differ"]["filtered"] for item in layers.values())
        if changed:
            assert verdict.outcome not in ("bitwise", "same answers"), name


def test_the_page_shows_what_came_of_each(wrong: dict[str, tuple[Verdict, float]]) -> None:
    """Outcomes only: how far a score moves may change with the last bits of another machine."""
    lines = re.findall(r"^\| (.+?) \| (.+?) \|", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    shown = {name: outcome for name, outcome in lines if name in wrong}
    assert shown == {name: verdict.outcome for name, (verdict, _) in wrong.items()}


# ------------------------------------------------------------------ twelve honest ones


@contextmanager
def under_load() -> Iterator[None]:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


@contextmanager
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def small(**engine: Any) -> dict[str, Any]:
    """Enough docs that a wrong verdict would have something to stand on, few enough to run twelve times."""
    value = spec(**engine)
    value["suite"]["tasks"] = [value["suite"]["tasks"][0], value["suite"]["tasks"][6], value["suite"]["tasks"][7]]
    return value


@contextmanager
def plainly() -> Iterator[None]:
    yield


BITWISE, SAME = ("bitwise",), ("bitwise", "same answers")
ANY = ("bitwise", "same answers", "statistically consistent", "inconclusive")
# name -> engine settings of the two runs, how the second is run, what may come out
HONEST: dict[str, tuple[dict[str, Any], dict[str, Any], Any, tuple[str, ...]]] = {
    "the same machine": ({}, {}, plainly, BITWISE),
    "under load": ({}, {}, under_load, BITWISE),
    "one thread instead of two": ({}, {}, one_thread, ANY),
    "a smaller token budget": ({}, {"token_budget": 1100}, plainly, SAME),
    "a larger token budget": ({}, {"token_budget": 16384}, plainly, SAME),
    "one generation at a time": ({}, {"generation_batch": 1}, plainly, SAME),
    "more generations at a time": ({}, {"generation_batch": 30}, plainly, SAME),
    "bfloat16 against itself": ({"dtype": "bfloat16"}, {"dtype": "bfloat16"}, plainly, BITWISE),
    "bfloat16 in other batches": (
        {"dtype": "bfloat16"},
        {"dtype": "bfloat16", "token_budget": 1100, "generation_batch": 3},
        plainly,
        ANY,
    ),
    "bfloat16 under load": ({"dtype": "bfloat16"}, {"dtype": "bfloat16"}, under_load, BITWISE),
    "without deterministic algorithms": ({}, {"deterministic": False}, plainly, SAME),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, Any]], Path]:
    """Runs of `small`, one for each engine: they are read, never written."""
    root, known = tmp_path_factory.mktemp("runs"), dict[str, Path]()

    def made(engine: dict[str, Any]) -> Path:
        key = yaml.safe_dump(engine)
        if key not in known:
            known[key] = root / f"run-{len(known)}"
            run_small(known[key], small(**engine))
        return known[key]

    return made


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_re_run_is_never_called_not_reproduced(
    runs: Callable[[dict[str, Any]], Path], tmp_path: Path, name: str
) -> None:
    first, second, how, allowed = HONEST[name]
    there = side(runs(first))
    with how():
        record = run_small(tmp_path / "again", small(**second))
    found = judge_record(there, Side(record, tmp_path / "again"), MARGIN, {})
    assert found.outcome in allowed, found.reasons


def test_a_resumed_re_run_is_bitwise(runs: Callable[[dict[str, Any]], Path], tmp_path: Path) -> None:
    """The twelfth: half of its answers are from an attempt that was cut off."""
    out = tmp_path / "again"
    run_small(out, small())
    (out / "record.json").unlink()
    journal = next((out / "journal").iterdir())
    data = journal.read_bytes()
    journal.write_bytes(data[: len(data) // 2])
    record = run_small(out, small())
    assert record.observed.resumed
    assert judge_record(side(runs({})), Side(record, out), MARGIN, {}).outcome == "bitwise"


def test_the_model_that_ships_is_the_one_that_is_run(honest: Path) -> None:
    weights = side(honest).record.effective.ask.model.content.weights
    assert [pin.sha256 for pin in weights] == [file_sha256(SHIPPED / "model" / "model.safetensors")]
