"""Somebody else's result files: what they say is read, what they do not say is said, and what is none is refused."""

import copy
import csv
import functools
import gzip
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchproof.cli.foreign import spec_of_published
from benchproof.cli.respec import spec_yaml
from benchproof.errors import BadInput, BenchproofError, MissingInput
from benchproof.ledger.foreign import read_published
from benchproof.ledger.lmeval_samples import read_samples
from benchproof.ledger.published import Published
from benchproof.schema.spec import RunSpec, SuiteAsk
from benchproof.spec import parse
from fakes.hub import need_shared
from ledger.files import NAME, STAMP, evalplus, results, written


def test_scores_with_their_n_and_errors_are_those_of_the_file(tmp_path: Path) -> None:
    found = read_published(written(tmp_path, results()))
    assert set(found.claims) == {
        ("mmlu", "acc", "none"),
        ("mmlu_anatomy", "acc", "none"),
        ("mmlu_astronomy", "acc", "none"),
        ("gsm8k", "exact_match", "strict-match"),
    }
    group, leaf = found.claims["mmlu", "acc", "none"], found.claims["mmlu_anatomy", "acc", "none"]
    assert (group.value, group.stderr, group.n) == (0.5, 0.01, 287)
    assert (leaf.value, leaf.stderr, leaf.n) == (0.4, None, 135)


def test_the_settings_of_the_file_become_a_spec(tmp_path: Path) -> None:
    spec, _ = spec_of_published(read_published(written(tmp_path, results())), None)
    assert (spec.model.repo, spec.model.revision, spec.model.chat_template) == ("owner/name", "a" * 40, "model")
    assert (spec.model.system_prompt, spec.model.trust_remote_code) == ("Be brief.", False)
    assert (spec.engine.dtype, spec.seeds.fewshot, spec.seeds.generation) == ("bfloat16", 99, 7)
    assert isinstance(spec.suite, SuiteAsk)
    mmlu, gsm8k = spec.suite.tasks
    assert (mmlu.task, mmlu.num_fewshot, mmlu.limit, mmlu.fewshot_as_turns) == ("mmlu", 5, None, False)
    assert (gsm8k.task, gsm8k.num_fewshot, gsm8k.limit) == ("gsm8k", 5, 20)
    assert (gsm8k.generation.temperature, gsm8k.generation.do_sample) == (0.5, True)
    assert mmlu.generation.temperature is None


def test_what_the_file_does_not_say_or_cannot_be_carried_is_said(tmp_path: Path) -> None:
    _, assumed = spec_of_published(read_published(written(tmp_path, results())), None)
    text = "\n".join(assumed)
    for word in (
        "data: the file names no revision",
        "hardware",
        "lm-eval 0.4.3",
        "model_args odd",
        "trust_remote_code",
    ):
        assert word in text
    bare = results(**{"n-shot": {}, "n-samples": {}, "configs": {}})
    for key in ("chat_template", "lm_eval_version", "model_name"):
        del bare[key]
    bare["config"] = {"model": "vllm", "model_args": {"pretrained": "owner/name"}}
    _, assumed = spec_of_published(read_published(written(tmp_path, bare)), None)
    text = "\n".join(assumed)
    for word in (
        "model revision",
        "dtype",
        "'vllm'",
        "chat template",
        "seeds",
        "shots",
        "an lm-eval that it does not name",
    ):
        assert word in text


def test_members_that_were_asked_differently_are_named_by_themselves(tmp_path: Path) -> None:
    value = results()
    value["n-shot"]["mmlu_astronomy"] = 0
    found = read_published(written(tmp_path, value))
    assert [task.name for task in found.tasks] == ["mmlu_anatomy", "mmlu_astronomy", "gsm8k"]
    (note,) = (note for note in found.notes if "asked" in note or "members" in note)
    assert "different shots" in note


def test_a_file_without_groups_knows_mmlu_by_its_members(tmp_path: Path) -> None:
    value = results()
    del value["group_subtasks"]
    assert [task.name for task in read_published(written(tmp_path, value)).tasks] == ["mmlu", "gsm8k"]


def test_older_layouts_and_packed_files_are_read(tmp_path: Path) -> None:
    whole = read_published(written(tmp_path, results()))
    deeper = read_published(written(tmp_path, {"results": results(), "when": 1}, "deeper.json"))
    packed = tmp_path / "results_x.json.gz"
    packed.write_bytes(gzip.compress((tmp_path / f"results_{STAMP}.json").read_bytes()))
    assert whole.claims == deeper.claims == read_published(packed).claims


def test_a_model_of_the_authors_machine_has_to_be_given(tmp_path: Path) -> None:
    value = results()
    value["config"]["model_args"] = "pretrained=/nobody/knows/this,revision=step3"
    found = read_published(written(tmp_path, value))
    spec, assumed = spec_of_published(found, "smoke")
    assert (spec.model.path, spec.model.repo) == ("smoke", None)
    assert any(line.startswith("model: smoke, as it is here") for line in assumed)
    assert spec_of_published(found, None)[0].model.path == "/nobody/knows/this"


def test_samples_beside_the_file_are_read_by_doc_and_filter(tmp_path: Path) -> None:
    lines = [
        {
            "doc_id": 1,
            "filter": "strict-match",
            "metrics": ["exact_match"],
            "exact_match": 1.0,
            "filtered_resps": ["4"],
        },
        {"doc_id": 1, "filter": "other", "metrics": ["exact_match"], "exact_match": 0.0, "filtered_resps": ["5"]},
        {"doc_id": 0, "filter": "strict-match", "exact_match": 0, "filtered_resps": ["7"], "target": "8"},
    ]
    (tmp_path / f"samples_gsm8k_{STAMP}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    choices = [["-1.5", "False"], ["-0.5", "True"], ["-0.5", "False"]]
    line = {"doc_id": 3, "filter": "none", "metrics": ["acc"], "acc": 1, "filtered_resps": choices}
    (tmp_path / f"samples_mmlu_anatomy_{STAMP}.jsonl").write_text(json.dumps(line))
    rows = read_published(written(tmp_path, results())).rows
    assert set(rows) == {"gsm8k", "mmlu_anatomy"}
    assert rows["gsm8k"][1].values == {("exact_match", "strict-match"): 1.0, ("exact_match", "other"): 0.0}
    assert rows["gsm8k"][1].taken == {"strict-match": ["4"], "other": ["5"]}
    assert rows["gsm8k"][0].values == {("exact_match", "strict-match"): 0.0}
    assert rows["mmlu_anatomy"][3].taken == {"none": [1]}, "the first of the largest"


def test_a_broken_samples_file_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text('{"doc_id": 0, "filter": "none", "acc": 1, "filtered_resps": ["x"]}\n{"doc": 1}\n')
    with pytest.raises(BadInput, match="line 2"):
        read_samples(path)


def test_an_evalplus_file_is_counted_from_its_statuses(tmp_path: Path) -> None:
    found = read_published(written(tmp_path, evalplus(), NAME))
    assert found.model_name == "owner/name-7B-Instruct"
    base, plus = (found.claims["humaneval", "pass@1", part] for part in ("base", "plus"))
    assert (base.value, plus.value, base.n) == (0.5, 0.25, 4)
    assert found.rows["humaneval"][1].values == {("pass@1", "base"): 0.0, ("pass@1", "plus"): 0.0}
    spec, assumed = spec_of_published(found, None)
    assert isinstance(spec.suite, SuiteAsk)
    assert [task.task for task in spec.suite.tasks] == ["humaneval"]
    assert spec.model.chat_template == "model"
    text = "\n".join(assumed)
    for word in ("counted from the statuses", "1 of its samples are empty", "guessed from the model's name", "'vllm'"):
        assert word in text


def test_sampled_problems_are_asked_as_often(tmp_path: Path) -> None:
    value = evalplus()
    value["eval"] = {name: samples * 3 for name, samples in value["eval"].items()}
    found = read_published(written(tmp_path, value, "owner--base_hf_temp_0.8_eval_results.json"))
    spec, _ = spec_of_published(found, None)
    assert isinstance(spec.suite, SuiteAsk)
    (task,) = spec.suite.tasks
    assert (task.repeats, task.generation.temperature, spec.model.chat_template) == (3, 0.8, "none")


@pytest.mark.parametrize(
    ("value", "name", "word"),
    [
        ({"results": {"x": {"acc": 0.5}}, "versions": {"x": 0}}, "a.json", "lm-eval 0.3"),
        ({"schema_version": "0.3.0", "evaluation_id": "x"}, "a.json", "Every Eval Ever"),
        ({"config_general": {}, "results": {}}, "a.json", "lighteval"),
        ([{"name": {}}], "a.json", "HELM"),
        ({"schema": "benchproof/verdict/v1"}, "a.json", "benchproof's own"),
        ({"anything": 1}, "a.json", "no format that is read"),
        (evalplus(eval={"Mbpp/2": [{"base_status": "pass"}]}), NAME, "Mbpp/2"),
        (evalplus(eval={"HumanEval/0": []}), NAME, "no statuses"),
        (evalplus(), "nameless.json", "which model"),
        (results(config={"model": "hf"}, model_name=None), "a.json", "names no model"),
        (results(results={"mmlu": {"acc,none": "N/A"}}), "a.json", "no score"),
    ],
)
def test_what_is_none_is_refused_by_name(tmp_path: Path, value: Any, name: str, word: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_published(written(tmp_path, value, name))
    assert word in str(caught.value)
    assert len(caught.value.lines()) <= 5


def test_files_that_cannot_be_read_are_told_so(tmp_path: Path) -> None:
    with pytest.raises(MissingInput):
        read_published(tmp_path / "nothing.json")
    (tmp_path / "text.json").write_text("{not json")
    with pytest.raises(BadInput, match="not strict JSON"):
        read_published(tmp_path / "text.json")
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(b"{}" * 1000)[:20])
    with pytest.raises(BadInput, match="broken gzip"):
        read_published(tmp_path / "cut.json.gz")


def test_the_spec_that_is_printed_is_the_spec_and_holds_the_assumptions(tmp_path: Path) -> None:
    spec, assumed = spec_of_published(read_published(written(tmp_path, results())), None)
    text = spec_yaml(spec, assumed)
    assert parse(RunSpec, text.encode(), where="spec") == spec
    assert all(f"# {line}" in text for line in assumed)


# ------------------------------------------------------------------ what was really published

REFUSED = ("dog_steer", "__mbpp__", "evalplus.github.io")  # no model; other problems; a leaderboard


@pytest.fixture
def published() -> Path:
    folder = need_shared() / "published"
    if not folder.is_dir():
        pytest.skip("the shared folder has no published files")
    return folder


def real_files(published: Path) -> Iterator[Path]:
    for folder in ("lm_eval_0.4", "evalplus"):
        for path in sorted((published / folder).rglob("*")):
            if path.is_file() and ".jsonl" not in path.name:
                yield path


def test_every_published_file_is_read_or_refused_in_few_lines(published: Path) -> None:
    read = refused = 0
    for path in real_files(published):
        try:
            found = read_published(path)
            spec, assumed = spec_of_published(found, None)
        except BenchproofError as error:
            assert len(error.lines()) <= 5, path
            refused += 1
            continue
        read += 1
        assert found.claims, path
        assert assumed, path
        assert parse(RunSpec, spec_yaml(spec, assumed).encode(), where=path.name) == spec
        for task in found.rows:
            assert found.rows[task], path
    assert (read, refused) == (67, 5)


def numbers(value: Any) -> Iterator[tuple[tuple[str, str, str], float]]:
    """Every score of an lm-eval file, found by walking all of `results`, however deep."""
    for name, row in value.items():
        if isinstance(row, dict) and name != "sample_count":  # how often each metric was taken, not a score
            for key, item in row.items():
                metric, comma, rest = key.partition(",")
                if comma and not metric.endswith("_stderr") and isinstance(item, int | float) and math.isfinite(item):
                    yield (name, metric, rest), float(item)
            yield from numbers(row)


def test_every_number_of_every_published_file_of_lm_eval_is_claimed_and_asked_for(published: Path) -> None:
    checked = 0
    for path in real_files(published):
        if path.parents[1].name != "lm_eval_0.4" or "dog_steer" in path.name:
            continue
        data = path.read_bytes()
        value = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
        found = read_published(path)
        assert {key: claim.value for key, claim in found.claims.items()} == dict(numbers(value["results"])), path
        assert not any("not asked" in note for note in found.notes), path
        checked += 1
    assert checked == 63


def test_the_scores_are_those_of_the_index_of_published_files(published: Path) -> None:
    files: dict[str, Published] = {}
    compared = 0
    with (published / "index.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            key = row["file"]
            if row["format"] not in ("lm_eval_0.4", "evalplus") or any(part in key for part in REFUSED):
                continue
            files[key] = files.get(key) or read_published(published / key)
            metric, _, name = row["metric"].partition(",")
            if row["format"] == "evalplus":
                place = ("humaneval", "pass@1", "plus" if row["task"].endswith("+") else "base")
            else:
                place = (row["task"], metric, name)
            assert files[key].claims[place].value == pytest.approx(float(row["value"]), abs=1e-6), row
            compared += 1
    assert compared > 200


# ------------------------------------------------------------------ what nobody published

ODD = [
    *(None, True, 0, -1, 1.5, float("nan"), float("inf"), 10**400, "", "N/A", "\x1b[31m", "a\nb", "x" * 500),
    *([], [1], ["mmlu"], {}, {"a": 1}, {"mmlu": {"acc,none": 0.1}}, "../e.yaml", "pretrained=a/b,dtype=float64"),
]


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if above:
        yield above
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*above, key))


@pytest.mark.parametrize("name", [f"results_{STAMP}.json", NAME])
def test_whatever_a_file_holds_it_is_read_or_refused_in_few_lines(tmp_path: Path, name: str) -> None:
    rng = random.Random(name)
    outcomes = set()
    for _ in range(400):
        value = evalplus() if name == NAME else results()
        for _ in range(rng.choice([1, 1, 2, 3])):
            *above, last = rng.choice(list(places(value)))
            inner = functools.reduce(lambda item, key: item[key], above, value)
            if isinstance(inner, dict) and rng.random() < 0.4:
                taken = inner.pop(last)
                if rng.random() < 0.5:
                    inner[str(rng.choice(ODD))] = taken
            else:
                inner[last] = copy.deepcopy(rng.choice(ODD))
            if not value:
                break
        try:
            found = read_published(written(tmp_path, value, name))
            spec, assumed = spec_of_published(found, None)
            assert parse(RunSpec, spec_yaml(spec, assumed).encode(), where="spec") == spec
            outcomes.add("read")
        except BenchproofError as error:
            assert len(error.lines()) <= 5
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_no_control_character_of_a_file_reaches_the_terminal(tmp_path: Path) -> None:
    value = results()
    value["config"]["model_args"] = "pretrained=owner/name,tokenizer=a\x1b[2Jb"
    value["group_subtasks"]["\x1b[2J"] = ["own"]
    value["results"] |= {"own": {"acc,none": 0.5}, "\x1b[2J": {"acc,none": "N/A"}}
    text = spec_yaml(*spec_of_published(read_published(written(tmp_path, value)), None))
    assert "\\x1b[2J" in text
    assert all(sign.isprintable() or sign == "\n" for sign in text)
