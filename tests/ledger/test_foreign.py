"""Somebody else's result files: what they say is read, what they do not say is said, and what is none is refused."""

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchproof.cli.foreign import spec_of_published
from benchproof.cli.respec import spec_yaml
from benchproof.errors import BadInput, BenchproofError, MissingInput
from benchproof.ledger.foreign import read_published
from benchproof.ledger.lmeval_samples import read_samples
from benchproof.schema.spec import RunSpec, SuiteAsk
from benchproof.spec import parse
from fakes.hub import need_shared

STAMP = "2026-01-02T03-04-05.678901"


def results(**changes: Any) -> dict[str, Any]:
    """A 0.4 file over a group of two and a task that generates."""
    return {
        "results": {
            "mmlu": {"acc,none": 0.5, "acc_stderr,none": 0.01, "alias": "mmlu"},
            "mmlu_anatomy": {"alias": " - anatomy", "acc,none": 0.4, "acc_stderr,none": "N/A"},
            "mmlu_astronomy": {"alias": " - astronomy", "acc,none": 0.6, "acc_stderr,none": 0.05},
            "gsm8k": {"exact_match,strict-match": 0.25, "exact_match,flexible-extract": float("nan")},
        },
        "group_subtasks": {"mmlu": ["mmlu_anatomy", "mmlu_astronomy"], "gsm8k": []},
        "configs": {"gsm8k": {"output_type": "generate_until"}},
        "n-shot": {"mmlu": 0, "mmlu_anatomy": 5, "mmlu_astronomy": 5, "gsm8k": 5},
        "n-samples": {
            "mmlu_anatomy": {"original": 135, "effective": 135},
            "mmlu_astronomy": {"original": 152, "effective": 152},
            "gsm8k": {"original": 1319, "effective": 20},
        },
        "config": {
            "model": "hf",
            "model_args": "pretrained=owner/name,dtype=bfloat16,trust_remote_code=True,odd=a,b",
            "model_sha": "a" * 40,
            "model_dtype": "torch.bfloat16",
            "gen_kwargs": "temperature=0.5,do_sample=True",
            "torch_seed": 7,
            "fewshot_seed": 99,
            "limit": 20.0,
        },
        "model_name": "owner/name",
        "chat_template": "{{ messages }}",
        "fewshot_as_multiturn": False,
        "system_instruction": "Be brief.",
        "lm_eval_version": "0.4.3",
    } | changes


def written(folder: Path, value: Any, name: str = f"results_{STAMP}.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(value), "utf-8")
    return path


def evalplus(**changes: Any) -> dict[str, Any]:
    def sample(base: str, plus: str) -> dict[str, str]:
        return {"solution": "def f(): ...", "base_status": base, "plus_status": plus}

    return {
        "date": "2024-01-01",
        "hash": "0" * 32,
        "eval": {
            "HumanEval/2": [sample("pass", "fail")],
            "HumanEval/0": [sample("pass", "pass")],
            "HumanEval/1": [sample("fail", "pass")],
            "HumanEval/3": [{"solution": "", "base_status": "fail", "plus_status": "fail"}],
        },
    } | changes


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
        "a version that it does not name",
    ):
        assert word in text


def test_members_that_were_asked_differently_are_named_by_themselves(tmp_path: Path) -> None:
    value = results()
    value["n-shot"]["mmlu_astronomy"] = 0
    found = read_published(written(tmp_path, value))
    assert [task.name for task in found.tasks] == ["mmlu_anatomy", "mmlu_astronomy", "gsm8k"]
    assert "different shots" in found.notes[0]


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


NAME = "owner--name-7B-Instruct_vllm_temp_0.0-sanitized_eval_results.json"


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


def test_the_scores_are_those_of_the_index_of_published_files(published: Path) -> None:
    compared = 0
    with (published / "index.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["format"] not in ("lm_eval_0.4", "evalplus") or "derived" in row["task"] or "," not in row["metric"]:
                continue
            metric, _, name = row["metric"].partition(",")
            try:
                claim = read_published(published / row["file"]).claims[row["task"], metric, name]
            except BenchproofError:
                continue
            assert claim.value == pytest.approx(float(row["value"]), abs=1e-6), row
            compared += 1
    assert compared > 20
