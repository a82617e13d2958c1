"""Exports: pure, complete, and readable back with every score, n and setting that the other format can hold."""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub import parse_eval_result_entries as parse_entries

from benchproof.errors import BadInput, VerificationFailed
from benchproof.ledger.foreign import read_published
from benchproof.proof.keys import PublicKey
from benchproof.proof.signatures import write_signature
from benchproof.proof.statement import about_record
from benchproof.publish.card import export_card, export_eval_results
from benchproof.publish.eee import export_eee
from benchproof.publish.lmeval import export_lmeval
from benchproof.publish.source import read_exported
from fakes.checks import rewrite_record, side
from fakes.smoke import GSM8K
from proof.test_envelope import KEY
from publish.runs import complete, made

PLACE = re.compile(
    r"data/benchproof-[\w-]+/[^/]+/[^/]+/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    r"(\.json|_samples\.jsonl)"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("export") / "made")


@pytest.fixture(scope="module")
def hub_run(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return complete(run, tmp_path_factory.mktemp("export") / "complete")


def eee(folder: Path, texts: Any = "full") -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """Benchmark -> aggregate, and benchmark -> rows."""
    aggregates, rows = {}, {}
    for path, data in export_eee(read_exported(folder, {}), texts).items():
        benchmark = path.split("/")[1].removeprefix("benchproof-")
        if path.endswith(".json"):
            aggregates[benchmark] = json.loads(data)
        else:
            rows[benchmark] = [json.loads(line) for line in data.decode("ascii").splitlines()]
    return aggregates, rows


def strings_only(value: Any, path: str = "") -> None:
    """additional_details, details and metadata hold strings and nothing else."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in ("additional_details", "details", "metadata"):
                assert all(isinstance(text, str) for text in item.values()), f"{path}.{key}"
            else:
                strings_only(item, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            strings_only(item, path)


# ------------------------------------------------------------------ Every Eval Ever


def test_the_same_record_gives_the_same_bytes_in_its_folder_layout(run: Path, tmp_path: Path) -> None:
    files = export_eee(read_exported(run, {}), "full")
    assert all(PLACE.fullmatch(path) for path in files)
    shutil.copytree(run, tmp_path / "elsewhere")
    assert export_eee(read_exported(tmp_path / "elsewhere" / "record.json", {}), "full") == files


def test_every_score_n_and_error_comes_back(run: Path) -> None:
    record = side(run).record
    aggregates, _ = eee(run)
    found: dict[tuple[str, str, str], tuple[float, int, float | None]] = {}
    for value in aggregates.values():
        for item in value["evaluation_results"]:
            name, key = item["evaluation_result_id"].rsplit("/", 1)
            details = item["score_details"]
            error = details["uncertainty"].get("standard_error", {}).get("value")
            n = details["uncertainty"]["num_samples"]
            found[name, *key.split(",")] = (details["score"], n, error)
            for other, number in details.get("details", {}).items():
                metric, _, filter_name = other.partition(",")
                if not metric.endswith("_stderr"):
                    spread = details["details"].get(f"{metric}_stderr,{filter_name}")
                    found[name, metric, filter_name] = (float(number), n, None if spread is None else float(spread))
    told = {
        (r.task if r.category is None else f"{r.task}/{r.category}", r.metric, r.filter): (
            float(r.value),
            r.n,
            r.stderr_value,
        )
        for r in record.results
    }
    assert found == told


def test_every_setting_that_it_can_hold_is_there(hub_run: Path) -> None:
    record = side(hub_run).record
    aggregates, _ = eee(hub_run)
    gsm8k = aggregates["gsm8k"]
    (item,) = gsm8k["evaluation_results"]
    pin = record.effective.task_ask(GSM8K)
    assert item["source_data"] == {
        "dataset_name": GSM8K,
        "source_type": "hf_dataset",
        "hf_repo": "openai/gsm8k",
        "hf_split": "test",
        "samples_number": 3,
        "additional_details": {
            "docs_sha256": pin.dataset.docs_sha256,
            "docs_in_split": "30",
            "revision": "d" * 40,
            "config": "main",
        },
    }
    settings = item["generation_config"]
    assert settings["generation_args"]["max_tokens"] == 16
    assert settings["generation_args"]["temperature"] == 0.0
    assert settings["generation_args"]["prompt_template"] == pin.config["doc_to_text"]
    details = settings["additional_details"]
    assert (details["num_fewshot"], details["fewshot_seed"], details["limit"]) == ("5", "1234", "3")
    assert (details["model_sha"], details["eval_split"], details["output_type"]) == ("a" * 40, "test", "generate_until")
    assert json.loads(details["until"]) == pin.generation["until"]  # type: ignore[index]
    model = gsm8k["model_info"]
    assert (model["id"], model["developer"], model["additional_details"]["model_sha"]) == (
        "owner/name",
        "owner",
        "a" * 40,
    )
    assert model["additional_details"]["deployment_type"] == "self_deployed"
    assert gsm8k["eval_library"]["name"] == "lm_eval"
    assert gsm8k["evaluation_id"] == f"gsm8k/owner/name/{record.record_id}"
    ours = gsm8k["source_metadata"]["additional_details"]
    assert ours["benchproof_record_sha256"] == hashlib.sha256((hub_run / "record.json").read_bytes()).hexdigest()


def test_the_samples_belong_to_their_aggregate(run: Path) -> None:
    source = read_exported(run, {})
    files = export_eee(source, "full")
    for path, data in files.items():
        if not path.endswith(".json"):
            continue
        value = json.loads(data)
        strings_only(value)
        named = value["detailed_evaluation_results"]
        rows = files[named["file_path"]]
        assert named["checksum"] == hashlib.sha256(rows).hexdigest()
        lines = [json.loads(line) for line in rows.decode("ascii").splitlines()]
        assert named["total_rows"] == len(lines) == len(rows.splitlines())
        results = {item["evaluation_result_id"]: item for item in value["evaluation_results"]}
        assert len(results) == len(value["evaluation_results"])
        sums: dict[str, list[float]] = {}
        for line in lines:
            strings_only(line)
            assert (line["evaluation_id"], line["model_id"]) == (value["evaluation_id"], value["model_info"]["id"])
            sums.setdefault(line["evaluation_result_id"], []).append(line["evaluation"]["score"])
        for key, values in sums.items():
            assert sum(values) / len(values) == pytest.approx(results[key]["score_details"]["score"])


def test_a_row_says_what_was_asked_answered_and_taken(run: Path) -> None:
    _, rows = eee(run)
    doc, _ = next(side(run).docs("mini_mmlu_kitchen_science"))
    row = rows["mmlu"][0]
    assert row["input"]["raw"] == doc.requests[0].context
    assert row["input"]["choices"] == [request.continuation for request in doc.requests]
    assert row["input"]["reference"] == [doc.requests[doc.target].continuation]
    assert row["output"]["raw"][0] in row["input"]["choices"]
    assert row["evaluation"]["is_correct"] is (row["output"]["raw"] == row["input"]["reference"])
    text = rows["gsm8k"][0]
    assert text["token_usage"]["total_tokens"] == sum(text["token_usage"][k] for k in ("input_tokens", "output_tokens"))
    assert "exact_match,flexible-extract" in text["metadata"]
    hashed = json.dumps(
        {"raw": text["input"]["raw"], "reference": text["input"]["reference"]}, sort_keys=True, separators=(",", ":")
    )
    assert text["sample_hash"] == hashlib.sha256(hashed.encode()).hexdigest()


def test_hashes_hold_no_prompt_answer_or_reference(run: Path) -> None:
    whole, hashed = (export_eee(read_exported(run, {}), texts) for texts in ("full", "hashes"))
    doc, _ = next(side(run).docs(GSM8K))
    spoken = [doc.requests[0].context[-60:], doc.doc["answer"][-30:], doc.doc["question"][:40]]
    for text in spoken:
        escaped = json.dumps(text)[1:-1].encode()
        assert any(escaped in data for path, data in whole.items() if path.endswith("l"))
        assert not any(escaped in data for path, data in hashed.items() if path.endswith("l"))
    assert len(whole) == len(hashed)


def signers(folder: Path, trusted: Mapping[str, PublicKey]) -> str | None:
    files = export_eee(read_exported(folder, trusted), "full")
    value = next(json.loads(data) for path, data in files.items() if path.endswith(".json"))
    found: str | None = value["source_metadata"]["additional_details"].get("benchproof_signer_keyid")
    return found


def test_signers_that_are_trusted_stand_in_it_by_their_key_ids(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "signed")
    file = tmp_path / "signed" / "record.json"
    assert signers(tmp_path / "signed", {"me": KEY.public}) is None
    write_signature(about_record(side(tmp_path / "signed").record, file.read_bytes(), file.name, "x"), file, KEY)
    assert signers(tmp_path / "signed", {"me": KEY.public}) == KEY.public.keyid
    assert signers(tmp_path / "signed", {}) is None  # nobody looked whose it is


def test_an_envelope_that_is_not_valid_is_not_passed_on(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "signed")
    file = tmp_path / "signed" / "record.json"
    about = about_record(side(tmp_path / "signed").record, file.read_bytes() + b" ", file.name, "x")
    write_signature(about, file, KEY)
    for trusted in ({"me": KEY.public}, {}):
        with pytest.raises(VerificationFailed, match="signature is not valid"):
            read_exported(file, trusted)


def test_a_record_that_came_alone_has_no_samples_and_all_scores(run: Path, tmp_path: Path) -> None:
    shutil.copyfile(run / "record.json", tmp_path / "record.json")
    aggregates, rows = eee(tmp_path)
    assert rows == {}
    assert all("detailed_evaluation_results" not in value for value in aggregates.values())
    assert set(aggregates) == {"mmlu", "gsm8k", "truthfulqa"}


def test_a_limited_or_smoke_record_says_so(run: Path) -> None:
    aggregates, _ = eee(run)
    details = aggregates["mmlu"]["source_metadata"]["additional_details"]
    assert details["benchproof_status"] == side(run).record.status == "smoke"


# ------------------------------------------------------------------ lm-eval


def test_the_harnesss_files_are_read_back_with_every_score(hub_run: Path, tmp_path: Path) -> None:
    """By the reader of other people's files, which has seen what was really published."""
    record = side(hub_run).record
    files = export_lmeval(read_exported(hub_run, {}), "full")
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (results,) = [name for name in files if name.startswith("results_")]
    found = read_published(tmp_path / results)
    told = {(r.task, r.metric, r.filter): r for r in record.results if r.level != "category"}
    assert set(found.claims) == set(told)
    for key, claim in found.claims.items():
        assert (claim.value, claim.stderr, claim.n) == (float(told[key].value), told[key].stderr_value, told[key].n)
    assert (found.model_name, found.commit, found.dtype) == ("owner/name", "a" * 40, "float32")
    assert {task.name: (task.num_fewshot, task.limit) for task in found.tasks}[GSM8K] == (5, 3)
    assert set(found.rows) == {pin.task for pin in record.effective.ask.tasks}
    for row in side(hub_run).rows(GSM8K):
        stated = found.rows[GSM8K][row.doc_id]
        assert stated.taken == {name: list(taken) for name, taken in row.filtered.items()}
        assert stated.values["exact_match", "strict-match"] == row.metrics["strict-match"]["exact_match"]


def test_the_harnesss_samples_without_texts(run: Path) -> None:
    doc, _ = next(side(run).docs(GSM8K))
    files = export_lmeval(read_exported(run, {}), "hashes")
    samples = [data for name, data in files.items() if name.startswith("samples_")]
    assert samples
    assert not any(json.dumps(doc.doc["question"])[1:40].encode() in data for data in samples)


def test_an_adapter_has_its_own_name_and_never_its_bases(hub_run: Path, tmp_path: Path) -> None:
    part = [{"path": "adapter_model.safetensors", "size": 1, "sha256": "b" * 64}]
    for origins, name in (({"adapter": "owner/tuned@" + "c" * 40}, "owner/tuned"), ({}, None)):
        folder = tmp_path / str(name).replace("/", "-")
        shutil.copytree(hub_run, folder)

        def change(value: dict[str, Any], origins: dict[str, str] = origins) -> None:
            value["effective"]["ask"]["model"]["origins"] = origins
            value["effective"]["ask"]["model"]["content"]["adapter"] = part

        rewrite_record(folder, change)
        source = read_exported(folder, {})
        assert source.published[0] == name
        aggregates, _ = eee(folder)
        model = aggregates["gsm8k"]["model_info"]
        assert model["id"] == name or (name is None and model["id"].startswith("local/"))
        assert model["additional_details"]["base_model"] == "owner/name@" + "a" * 40
        assert model["additional_details"].get("model_sha") == ("c" * 40 if name else None)
        args = json.loads(next(d for p, d in export_lmeval(source, "hashes").items() if p.startswith("results")))
        assert args["config"]["model_args"]["pretrained"] == "owner/name"
        assert args["config"]["model_args"]["peft"] == source.model_id


# ------------------------------------------------------------------ the model's page

CARD = """---
# a comment of the author's
license: mit
tags:
- text-generation
model-index:
- name: My model
  results:
  - task: {type: text-generation}
    dataset: {name: other, type: somebody/other}
    metrics:
    - {type: acc, value: 0.25}
---
# My model

Hand-written --- text, kept as it is.
"""


def test_scores_go_into_a_card_and_the_rest_stays(hub_run: Path) -> None:
    page = export_card(read_exported(hub_run, {}), CARD)
    text = page.files["README.md"].decode()
    assert text.partition("# My model")[2] == CARD.partition("# My model")[2]
    card = ModelCard(text, ignore_metadata_errors=False)
    assert (card.data.license, card.data.tags, card.data.model_name) == ("mit", ["text-generation"], "My model")  # type: ignore[attr-defined]
    found = {result.dataset_type: result for result in card.data.eval_results}  # type: ignore[attr-defined]
    assert found["somebody/other"].metric_value == 0.25
    ours = found["openai/gsm8k"]
    assert (ours.dataset_config, ours.dataset_split, ours.dataset_revision) == ("main", "test", "d" * 40)
    assert ours.dataset_args == {"num_few_shot": 5}
    value = next(r for r in side(hub_run).record.results if r.headline and r.task == GSM8K)
    assert (ours.metric_value, ours.metric_args["filter"], ours.metric_args["n"]) == (
        float(value.value),
        "strict-match",
        3,
    )
    assert ours.verified is None
    assert ours.verify_token is None
    again = export_card(read_exported(hub_run, {}), text)
    assert again.files["README.md"].decode() == text, "a second time changes nothing"


CARDS = {
    "with results": CARD,
    "without results": "---\nlicense: mit  # as it was\ntags: [a, b]\n---\n# Hello\n",
    "results first": "---\nmodel-index:\n- name: M\n  results: []\n# then\nlicense: mit\n---\nHello",
    "of another system": "---\r\nlicense: mit\r\ntags: [a]\r\n---\r\nHello\r\n",
    "no metadata": "# Hello\n\nText.\n",
}


@pytest.mark.parametrize("name", CARDS)
def test_every_byte_outside_the_scores_stays(name: str, hub_run: Path) -> None:
    card = CARDS[name]
    text = export_card(read_exported(hub_run, {}), card).files["README.md"].decode()
    assert len(ModelCard(text, ignore_metadata_errors=False).data.eval_results) >= 3  # type: ignore[attr-defined]
    left = iter(text.splitlines(keepends=True))
    kept = [line for line in card.splitlines(keepends=True) if not line.startswith(("-", " ", "model-index"))]
    assert all(line in left for line in kept), "in their order"
    assert text.count("\r\n") == ("\r\n" in card) * text.count("\n"), "one kind of line end"
    assert export_card(read_exported(hub_run, {}), text).files["README.md"].decode() == text


def test_a_score_that_was_there_is_replaced_and_its_neighbour_stays(hub_run: Path) -> None:
    text = export_card(read_exported(hub_run, {}), None).files["README.md"].decode()
    head = text.index("    - type: exact_match\n")
    old = (
        text[:head] + "    - {type: recall, value: 0.5, name: theirs}\n" + text[head:].replace("value: ", "value: 7", 1)
    )
    new = export_card(read_exported(hub_run, {}), old).files["README.md"].decode()
    found = [
        (result.metric_name, result.metric_value)
        for result in ModelCard(new).data.eval_results  # type: ignore[attr-defined]
        if result.dataset_type == "openai/gsm8k"
    ]
    value = next(r for r in side(hub_run).record.results if r.headline and r.task == GSM8K)
    assert found == [("theirs", 0.5), (value.key, float(value.value))]


def test_a_card_of_several_models_is_refused(hub_run: Path) -> None:
    two = "---\nmodel-index:\n- {name: a, results: []}\n- {name: b, results: []}\n---\n"
    with pytest.raises(BadInput, match=r"metadata|several"):
        export_card(read_exported(hub_run, {}), two)


def test_without_a_card_there_is_a_new_one(hub_run: Path) -> None:
    text = export_card(read_exported(hub_run, {}), None).files["README.md"].decode()
    assert len(ModelCard(text).data.eval_results) == 3  # type: ignore[attr-defined]


def test_a_card_that_cannot_be_read_is_refused(hub_run: Path) -> None:
    with pytest.raises(BadInput, match="metadata"):
        export_card(read_exported(hub_run, {}), "---\n{not: [yaml\n---\n")
    broken = CARD.replace("- name: My model\n  results:", "- results:")
    with pytest.raises(BadInput, match="metadata"):
        export_card(read_exported(hub_run, {}), broken)


def test_rows_of_nobodys_hub_have_no_place_on_a_page(run: Path) -> None:
    for page in (export_card(read_exported(run, {}), None), export_eval_results(read_exported(run, {}))):
        assert page.files == {}
        assert len(page.left_out) == 3
        assert all("Hub" in line for line in page.left_out)


def test_registered_benchmarks_are_written_on_the_hubs_scale(hub_run: Path) -> None:
    page = export_eval_results(read_exported(hub_run, {}))
    assert list(page.files) == [".eval_results/gsm8k.yaml"]
    assert sorted(line.partition(":")[0] for line in page.left_out) == ["mmlu", "truthfulqa"]
    text = page.files[".eval_results/gsm8k.yaml"].decode()
    (entry,) = parse_entries(yaml.safe_load(text))
    value = next(r for r in side(hub_run).record.results if r.headline and r.task == GSM8K)
    assert entry.value == pytest.approx(100 * float(value.value))
    assert (entry.dataset_id, entry.task_id, entry.dataset_revision) == ("openai/gsm8k", "gsm8k", "d" * 40)
    assert isinstance(entry.date, str)
    assert entry.verify_token is None
    assert "verifyToken" not in text
    assert "5-shot, exact_match strict-match, greedy" in (entry.notes or "")


def test_scores_over_several_data_sets_have_no_place_on_a_page(hub_run: Path, tmp_path: Path) -> None:
    shutil.copytree(hub_run, tmp_path / "mixed")

    def change(value: dict[str, Any]) -> None:
        head = next(h for h in value["effective"]["mark"]["headlines"] if h["benchmark"] == "mmlu")
        result = next(r for r in value["results"] if r["headline"] and r["task"] == head["target"])
        result["computed_from"] = ["mini_mmlu_kitchen_science", GSM8K]

    rewrite_record(tmp_path / "mixed", change)
    page = export_card(read_exported(tmp_path / "mixed", {}), None)
    assert any(line.startswith("mmlu: its data are not one data set") for line in page.left_out)
