"""lm-eval's results files: every setting that moves a score is in the spec, or its loss is said."""

from pathlib import Path
from typing import Any

import pytest

from benchproof.cli.foreign import spec_of_published
from benchproof.errors import BadInput, VerificationFailed
from benchproof.ledger.foreign import read_published
from benchproof.ledger.published import PublishedTask
from benchproof.schema.spec import RunSpec, SuiteAsk, TaskAsk
from ledger.files import results, written


def spec_of(folder: Path, value: Any) -> tuple[RunSpec, dict[str, TaskAsk], str]:
    spec, assumed = spec_of_published(read_published(written(folder, value)), None)
    assert isinstance(spec.suite, SuiteAsk)
    return spec, {task.task: task for task in spec.suite.tasks}, "\n".join(assumed)


def tasks_of(folder: Path, value: Any) -> dict[str, PublishedTask]:
    return {task.name: task for task in read_published(written(folder, value)).tasks}


def only(name: str, row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A file of one task."""
    value = results(results={name: row}, group_subtasks={name: []}, configs={}, **changes)
    value["n-samples"] = {}
    value["config"] = {**value["config"], "limit": None}
    return value


@pytest.mark.parametrize("name", ["../evil", "evil.yaml", "evil.yml", "/tmp/evil", "a\\b"])
def test_a_task_that_is_named_as_a_file_is_refused_because_a_task_yaml_can_run_python(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(BadInput, match="named as a file"):
        read_published(written(tmp_path, only(name, {"acc,none": 0.5})))


def test_shots_of_a_task_that_only_begins_like_one_without_any_are_kept(tmp_path: Path) -> None:
    value = only("truthfulqa-multi_gen_en", {"bleu_max,none": 0.5}, **{"n-shot": {"truthfulqa-multi_gen_en": 6}})
    assert spec_of(tmp_path, value)[1]["truthfulqa-multi_gen_en"].num_fewshot == 6


def test_shots_of_a_group_are_never_taken_for_those_of_its_members(tmp_path: Path) -> None:
    value = results(**{"n-shot": {"mmlu": 0}})
    assert tasks_of(tmp_path, value)["mmlu"].num_fewshot is None
    value["results"] = {"mmlu": value["results"]["mmlu"]}  # the members have no rows at all
    assert tasks_of(tmp_path, value)["mmlu"].num_fewshot is None


def test_a_share_of_the_docs_that_cannot_be_counted_is_said(tmp_path: Path) -> None:
    value = results(**{"n-samples": {}})
    value["config"]["limit"] = 0.1
    _, tasks, assumed = spec_of(tmp_path, value)
    assert tasks["mmlu"].limit is None
    assert "limit: the file says 0.1 of mmlu" in assumed
    value["n-samples"] = {"gsm8k": {"original": 1319, "effective": 131}}
    assert spec_of(tmp_path, value)[1]["gsm8k"].limit == 131


def test_a_limit_that_is_more_docs_than_some_members_have_is_one_limit_of_the_group(tmp_path: Path) -> None:
    value = results()
    value["config"]["limit"] = 140.0
    value["n-samples"]["mmlu_anatomy"] = {"original": 135, "effective": 135}
    value["n-samples"]["mmlu_astronomy"] = {"original": 152, "effective": 140}
    assert tasks_of(tmp_path, value)["mmlu"].limit == 140
    value["config"]["limit"] = 200.0
    value["n-samples"]["mmlu_astronomy"] = {"original": 152, "effective": 152}
    assert tasks_of(tmp_path, value)["mmlu"].limit is None, "nothing was cut off"


def test_docs_that_were_chosen_without_a_limit_are_said(tmp_path: Path) -> None:
    value = results()
    value["config"]["limit"] = None
    _, tasks, assumed = spec_of(tmp_path, value)
    assert tasks["gsm8k"].limit == 20
    assert "gsm8k was asked over 20 docs, the file does not say which" in assumed


def test_a_group_of_the_same_beginning_is_not_another_ones_member(tmp_path: Path) -> None:
    value = results(**{"n-shot": {}, "n-samples": {}})
    del value["group_subtasks"]
    value["results"]["mmlu_pro"] = {"exact_match,custom-extract": 0.3, "alias": "mmlu_pro"}
    assert list(tasks_of(tmp_path, value)) == ["mmlu", "gsm8k", "mmlu_pro"]


def test_generation_settings_are_kept_where_the_file_does_not_say_what_generates(tmp_path: Path) -> None:
    value = results(configs={})
    value["results"]["own_task"] = {"acc,none": 0.5}
    _, tasks, assumed = spec_of(tmp_path, value)
    assert tasks["gsm8k"].generation.temperature == 0.5
    assert tasks["own_task"].generation.temperature is None
    assert "left out for own_task: the file does not say whether it generates text" in assumed


def test_a_group_in_which_only_some_generate_is_asked_member_by_member_where_that_matters(tmp_path: Path) -> None:
    value = results()
    value["configs"]["mmlu_anatomy"] = {"output_type": "multiple_choice"}
    value["configs"]["mmlu_astronomy"] = {"output_type": "generate_until"}
    _, tasks, _ = spec_of(tmp_path, value)
    assert tasks["mmlu_anatomy"].generation.temperature is None
    assert tasks["mmlu_astronomy"].generation.temperature == 0.5
    value["config"]["gen_kwargs"] = None
    assert "mmlu" in tasks_of(tmp_path, value)


def test_humaneval_of_lm_eval_is_not_asked_of_evalplus(tmp_path: Path) -> None:
    value = results()
    value["results"]["humaneval"] = {"pass@1,create_test": 0.3}
    found = read_published(written(tmp_path, value))
    assert "humaneval" not in {task.name for task in found.tasks} | {key[0] for key in found.claims}
    assert any("evalplus's measurement" in note for note in found.notes)
    value["results"]["humaneval"] = {"pass@1,base": 0.3}  # as our own export has it
    assert "humaneval" in tasks_of(tmp_path, value)


def test_a_template_of_which_only_the_hash_is_there_was_applied(tmp_path: Path) -> None:
    value = results(chat_template_sha="f" * 64)
    del value["chat_template"]
    assert spec_of(tmp_path, value)[0].model.chat_template == "model"
    value = results(chat_template=None, chat_template_sha=None)
    assert spec_of(tmp_path, value)[0].model.chat_template == "none"


def test_turns_that_the_file_does_not_tell_are_the_harnesss_of_the_time(tmp_path: Path) -> None:
    value = results()
    del value["fewshot_as_multiturn"]
    _, tasks, assumed = spec_of(tmp_path, value)
    assert tasks["mmlu"].fewshot_as_turns is False
    assert "few-shot turns" in assumed


def test_a_stock_file_is_asked_with_the_harnesss_own_softmax(tmp_path: Path) -> None:
    value = results()
    assert spec_of(tmp_path, value)[0].engine.softmax_dtype == "model"
    value["config"]["model_args"] += ",softmax_dtype=float32"
    assert spec_of(tmp_path, value)[0].engine.softmax_dtype == "float32"
    value = results()
    value["config"]["model"] = "vllm"
    assert spec_of(tmp_path, value)[0].engine.softmax_dtype == "float32"


def test_settings_that_no_spec_has_are_said(tmp_path: Path) -> None:
    value = results(versions={"mmlu": 2, "gsm8k": 3.0})
    value["config"]["model_args"] = "pretrained=owner/name,add_bos_token=True,load_in_4bit=True"
    value["config"]["predict_only"] = True
    del value["config"]["torch_seed"]
    _, _, assumed = spec_of(tmp_path, value)
    for word in (
        "add_bos_token: not carried (True)",
        "load_in_4bit: not carried (True)",
        "config predict_only: not carried (True)",
        "task versions: the file says mmlu 2, gsm8k 3.0",
        "seeds: the file names none for generation",
        "gsm8k is no number in the file",
    ):
        assert word in assumed


def test_a_dtype_that_is_none_here_is_refused_where_the_file_says_it(tmp_path: Path) -> None:
    value = results()
    value["config"]["model_args"] = "pretrained=owner/name,dtype=float64"
    with pytest.raises(BadInput) as caught:
        spec_of(tmp_path, value)
    assert caught.value.where == "model_args of the file: dtype"


def test_a_model_that_is_named_only_beside_its_arguments_is_none_that_can_be_loaded(tmp_path: Path) -> None:
    value = results(model_name="/somewhere/steering.csv")
    value["config"] |= {"model": "steered", "model_args": "base_name=owner/name"}
    with pytest.raises(BadInput, match="names no model"):
        read_published(written(tmp_path, value))


def test_a_file_without_config_names_its_model_and_shots_at_the_top(tmp_path: Path) -> None:
    value = {"model": "owner/name", "num_fewshot": 5, "tasks": ["mmlu"], "results": results()["results"]}
    del value["results"]["gsm8k"]
    spec, tasks, _ = spec_of(tmp_path, value)
    assert (spec.model.repo, list(tasks), tasks["mmlu"].num_fewshot) == ("owner/name", ["mmlu"], 5)


def test_numbers_that_only_the_groups_have_are_claims_and_two_that_differ_are_refused(tmp_path: Path) -> None:
    value = results()
    value["groups"] = {"mmlu": value["results"].pop("mmlu")}
    assert read_published(written(tmp_path, value)).claims["mmlu", "acc", "none"].value == 0.5
    value = results(groups={"mmlu": {"acc,none": 0.9}})
    with pytest.raises(VerificationFailed, match="two values"):
        read_published(written(tmp_path, value))


def test_groups_in_a_circle_are_refused(tmp_path: Path) -> None:
    value = results(group_subtasks={"mmlu": ["a"], "a": ["b"], "b": ["a", "mmlu_anatomy"]})
    with pytest.raises(BadInput, match="levels deep"):
        read_published(written(tmp_path, value))


def test_a_task_in_two_groups_is_asked_once(tmp_path: Path) -> None:
    value = results()
    value["results"]["other"] = {"acc,none": 0.5}
    value["group_subtasks"]["other"] = ["mmlu_anatomy", "gsm8k"]
    assert list(tasks_of(tmp_path, value)) == ["mmlu", "gsm8k"]


def test_docs_of_a_group_are_known_only_if_those_of_all_its_members_are(tmp_path: Path) -> None:
    value = results()
    assert read_published(written(tmp_path, value)).claims["mmlu", "acc", "none"].n == 287
    del value["n-samples"]["mmlu_anatomy"]
    assert read_published(written(tmp_path, value)).claims["mmlu", "acc", "none"].n is None


@pytest.mark.parametrize("commit", ["", "abc", "a" * 39, None, 5])
def test_what_is_no_commit_is_not_taken_for_one(tmp_path: Path, commit: Any) -> None:
    value = results()
    value["config"]["model_sha"] = commit
    spec, _, assumed = spec_of(tmp_path, value)
    assert spec.model.revision == "main"
    assert "model revision: the file names none" in assumed


@pytest.mark.parametrize("key", ["pretrained", "tokenizer", "peft"])
def test_a_name_that_no_file_system_takes_is_refused(tmp_path: Path, key: str) -> None:
    value = results()
    value["config"]["model_args"] = {"pretrained": "owner/name", key: "owner/" + "x" * 256}
    with pytest.raises(BadInput, match=f"{key} is no name of a model"):
        read_published(written(tmp_path, value))


def test_a_group_whose_tasks_another_group_has_named_is_not_called_uneven(tmp_path: Path) -> None:
    value = results()
    value["results"]["mmlu_some"] = {"acc,none": 0.4, "alias": "mmlu_some"}
    value["group_subtasks"] |= {"mmlu_some": ["mmlu_anatomy"]}
    _, tasks, assumed = spec_of(tmp_path, value)
    assert list(tasks) == ["mmlu", "gsm8k"]
    assert "named by itself" not in assumed
    value["n-shot"] |= {"mmlu_astronomy": 0}
    _, tasks, assumed = spec_of(tmp_path, value)
    assert list(tasks) == ["mmlu_anatomy", "mmlu_astronomy", "gsm8k"]
    assert "the members of mmlu have different shots" in assumed
