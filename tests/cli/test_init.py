"""`init`: the text parses to what was asked, says every setting, and lm-eval's words mean what they mean there."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from benchproof.cli import compose
from benchproof.cli.init import joined
from benchproof.cli.lmeval_args import Translated
from benchproof.cli.lmeval_words import Words, translate
from benchproof.errors import BadInput
from benchproof.schema.spec import ModelAsk, PublisherAsk, RunSpec, SuiteAsk, TaskAsk
from benchproof.spec import parse, resolve_suite
from cli.call import benchproof, in_process

FLOWS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


LONG = """--model hf --model_args pretrained=EleutherAI/pythia-160m,revision=step100000,dtype=float
    --tasks mmlu,gsm8k,truthfulqa_mc1 --num_fewshot 5 --limit 100 --batch_size auto --device cuda:0
    --output_path out --log_samples --seed 42 --gen_kwargs temperature=0,max_gen_toks=64
    --apply_chat_template --fewshot_as_multiturn --trust_remote_code --use_cache cache
    --confirm_run_unsafe_code --include_path tasks"""
SHORT = "-M hf -a pretrained=gpt2 dtype=float32 -t gsm8k mmlu -f 3 -L 7 -b 8 -s -c x"


def spec_of(choices: compose.Choices) -> RunSpec:
    return parse(RunSpec, compose.compose(choices).encode(), where="spec")


def words(**given: Any) -> Translated:
    return translate(Words(**given), None, None)


def told(translated: Translated) -> dict[str, str]:
    return dict(translated.notes)


def names_of(kind: type[BaseModel], prefix: str = "") -> set[str]:
    return {f"{prefix}{name}" for name in kind.model_fields}


def test_every_setting_stands_there_and_none_that_is_not() -> None:
    nested: dict[str, type[BaseModel]] = {"model": ModelAsk, "publisher": PublisherAsk, **dict(compose.SECTIONS)}
    fields = {name for section, kind in nested.items() for name in names_of(kind, f"{section}.")}
    alone = {"truncation", "sandbox"}
    assert fields | alone == set(compose.WHY)
    assert set(nested) | alone | {"suite"} == names_of(RunSpec)
    text = compose.compose(compose.Choices(fields={"model.path": "smoke"}))
    for name in compose.WHY:
        assert f"{name.split('.')[-1]}: " in text


def test_what_is_written_by_hand_is_valid_too() -> None:
    by_hand = "\n".join(line.removeprefix("# ") for line in compose.TASKS_BY_HAND.splitlines()[1:])
    suite = parse(RunSpec, f"model: {{path: smoke}}\n{by_hand}\n".encode(), where="by hand").suite
    assert isinstance(suite, SuiteAsk)
    shown = {name for task in suite.tasks for name in task.model_fields_set}
    assert shown == names_of(TaskAsk)


def test_without_choices_it_is_the_defaults() -> None:
    written = spec_of(compose.Choices(fields={"model.repo": "owner/name"}))
    assert written == parse(RunSpec, b"model: {repo: owner/name}\nsuite: core\n", where="spec")


def test_uncommented_it_still_parses() -> None:
    text = compose.compose(compose.Choices(fields={"model.repo": "owner/name"}))
    publisher = text[text.index("# publisher:") :]
    mended = text.replace(publisher, "".join(line.removeprefix("# ") + "\n" for line in publisher.splitlines()))
    mended = mended.replace("  # name:", "  name:").replace("  # system_prompt:", "  system_prompt:")
    written = parse(RunSpec, mended.encode(), where="spec")
    assert written.publisher is not None and written.model.name == "my model"


@given(FLOWS)
def test_any_value_reads_back_as_itself(value: Any) -> None:
    text = compose.flow(value)
    assert "\n" not in text
    assert yaml.safe_load(f"key: {text}") == {"key": value}


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "model.revision": st.text(min_size=1),
            "model.name": st.text(min_size=1),
            "model.system_prompt": st.text(),
            "engine.dtype": st.sampled_from(["auto", "float32", "bfloat16", "float16"]),
            "engine.softmax_dtype": st.sampled_from(["float32", "model"]),
            "seeds.fewshot": st.integers(0, 2**63 - 1),
            "seeds.generation": st.integers(0, 2**63 - 1),
        },
    )
)
def test_any_choice_reads_back_as_itself(fields: dict[str, Any]) -> None:
    spec = spec_of(compose.Choices(fields={"model.repo": "owner/name", **fields}))
    for name, value in fields.items():
        section, key = name.split(".")
        assert getattr(getattr(spec, section), key) == value


@pytest.mark.parametrize("word", ["smoke", ".", "owner/name", "gpt2", "/tmp"])
@pytest.mark.parametrize("suite", [None, "mmlu", "smoke"])
def test_every_kind_of_model_and_suite(word: str, suite: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    called = in_process(capsys, "init", word, *(["--suite", suite] if suite else []))
    assert called.code == 0
    spec = parse(RunSpec, called.out.encode(), where="spec")
    assert resolve_suite(spec.suite)
    place = spec.model.repo if "/" in word[1:] or word == "gpt2" else spec.model.path
    assert place == word


def test_it_writes_a_file_and_never_over_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    called = in_process(capsys, "init", "smoke", "-o", str(path))
    assert called.code == 0 and called.out == "" and str(path) in called.err
    written = path.read_bytes()
    in_process(capsys, "init", "owner/name", "-o", str(path)).refused(2, "mine.yaml")
    assert path.read_bytes() == written
    in_process(capsys, "init", "smoke", "-o", str(tmp_path / "no" / "a.yaml")).refused(3)


@pytest.mark.parametrize("suite", ["cor", "no/such.yaml"])
def test_a_suite_that_is_not_there(suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    in_process(capsys, "init", "smoke", "--suite", suite).refused(2 if suite == "cor" else 3)


def test_the_command_of_lm_evals_readme() -> None:
    called = benchproof("init", *LONG.split(), "--system_instruction", "Answer: be brief.")
    assert called.code == 0
    spec = parse(RunSpec, called.out.encode(), where="spec")
    assert spec.model.repo == "EleutherAI/pythia-160m"
    assert (spec.model.revision, spec.engine.dtype) == ("step100000", "float32")
    assert (spec.model.chat_template, spec.model.system_prompt) == ("model", "Answer: be brief.")
    assert (spec.seeds.fewshot, spec.seeds.generation) == (42, 42)
    tasks = {task.task: task for task in resolve_suite(spec.suite)}
    assert {name: (task.num_fewshot, task.limit) for name, task in tasks.items()} == {
        "mmlu": (5, 100),
        "gsm8k": (5, 100),
        "truthfulqa_mc1": (None, 100),
    }
    assert (tasks["gsm8k"].generation.temperature, tasks["gsm8k"].generation.max_gen_toks) == (0.0, 64)
    assert tasks["mmlu"].generation.max_gen_toks is None
    said = [line.partition(":")[0] for line in called.err.splitlines()]
    for word in (
        *("num_fewshot", "batch_size", "device", "output_path", "log_samples", "gen_kwargs"),
        *("trust_remote_code", "use_cache", "confirm_run_unsafe_code", "include_path"),
    ):
        assert word in said


def test_lm_evals_shorts() -> None:
    called = benchproof("init", *SHORT.split())
    assert called.code == 0
    spec = parse(RunSpec, called.out.encode(), where="spec")
    assert [(task.task, task.num_fewshot, task.limit) for task in resolve_suite(spec.suite)] == [
        ("gsm8k", 3, 7),
        ("mmlu", 3, 7),
    ]


def test_several_values_and_perhaps_values() -> None:
    assert joined(["--tasks", "a", "b,", "c", "--limit", "5"]) == ["--tasks", "a,b,c", "--limit", "5"]
    assert joined(["-a", "pretrained=x", "dtype=auto", "word"]) == ["-a", "pretrained=x,dtype=auto", "word"]
    assert joined(["--apply_chat_template", "./m"]) == ["--apply_chat_template=true", "./m"]
    both = ["--apply_chat_template", "--fewshot_as_multiturn", "false", "--model_args", "pretrained=x"]
    assert joined(both)[:2] == ["--apply_chat_template=true", "--fewshot_as_multiturn=false"]


@pytest.mark.parametrize(
    ("seed", "fewshot", "generation", "said"),
    [
        ("7", 7, 7, False),
        ("0,1234,1234,1234", 1234, 1234, True),
        ("1,2,3,4", 4, 3, True),
        ("1,2,3", 1234, 3, True),
        ("0,None,8,52", 52, 8, True),
        ("0,1,None,None", 1234, 1234, True),
    ],
)
def test_seeds(seed: str, fewshot: int, generation: int, said: bool) -> None:
    found = words(model_args="pretrained=gpt2", seed=seed)
    spec = spec_of(found.choices)
    assert (spec.seeds.fewshot, spec.seeds.generation) == (fewshot, generation)
    assert ("seed" in told(found)) == said


def test_a_fraction_is_not_carried_and_says_so() -> None:
    found = words(model_args="pretrained=gpt2", tasks="gsm8k", limit="0.1")
    assert "limit" not in found.choices.tasks[0] and "fraction" in told(found)["limit"]
    assert words(model_args="pretrained=gpt2", tasks="gsm8k", limit="100.0").choices.tasks[0]["limit"] == 100


def test_generation_settings() -> None:
    found = words(
        model_args="pretrained=gpt2",
        tasks="gsm8k,truthfulqa_gen",
        gen_kwargs="do_sample=True,temperature=1,top_p=0.9,top_k=5,max_new_tokens=9,until=['a,b','c'],num_beams=4",
    )
    spec = spec_of(found.choices)
    for task in resolve_suite(spec.suite):
        generation = task.generation
        assert (generation.do_sample, generation.temperature, generation.top_p) == (True, 1.0, 0.9)
        assert (generation.top_k, generation.max_gen_toks, generation.until) == (5, 9, ["a,b", "c"])
    assert "gen_kwargs num_beams" in told(found)


def test_chat_words() -> None:
    args = "pretrained=gpt2,enable_thinking=False,chat_template_args={'date': 'today'}"
    found = words(model_args=args, apply_chat_template="default", tasks="gsm8k", fewshot_as_multiturn="false")
    spec = spec_of(found.choices)
    assert spec.model.template_kwargs == {"enable_thinking": False, "date": "today"}
    assert resolve_suite(spec.suite)[0].fewshot_as_turns is False
    assert "apply_chat_template" in told(found)
    plain = words(model_args=args)
    assert spec_of(plain.choices).model.template_kwargs == {} and "chat_template_args" in told(plain)


@pytest.mark.parametrize("name", ["truthfulqa_gen", "truthfulqa", "bbh_zeroshot", "gsm8k_cot_zeroshot"])
def test_tasks_that_fix_their_shots(name: str) -> None:
    found = words(model_args="pretrained=gpt2", tasks=name, num_fewshot=5)
    assert "num_fewshot" not in found.choices.tasks[0] and name in told(found)["num_fewshot"]
    assert words(model_args="pretrained=gpt2", tasks=name, num_fewshot=0).choices.tasks[0]["num_fewshot"] == 0


def test_what_a_models_own_words_cannot_mean_here() -> None:
    found = words(model_args="pretrained=gpt2,load_in_4bit=True,batch_size=8,softmax_dtype=float16")
    assert {"model_args load_in_4bit", "batch_size", "softmax_dtype"} <= set(told(found))


def test_a_models_own_words_that_have_a_field_here_are_carried() -> None:
    args = "pretrained=gpt2,peft=owner/lora,tokenizer=./mine,parallelize=True,think_end_token=</think>"
    spec = spec_of(words(model_args=args, trust_remote_code=True).choices)
    assert spec.model.adapter is not None and spec.model.adapter.repo == "owner/lora"
    assert spec.model.tokenizer is not None and spec.model.tokenizer.path == "./mine"
    assert (spec.engine.device_map, spec.thinking.end_token) == ("balanced", "</think>")
    assert spec.model.trust_remote_code


def test_a_revision_of_a_folder(tmp_path: Path) -> None:
    found = words(model_args=f"pretrained={tmp_path},revision=abc")
    assert spec_of(found.choices).model.revision == "main" and "revision" in told(found)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"model": "vllm", "model_args": "pretrained=gpt2"},
        {"model_args": "pretrained"},
        {"model_args": "pretrained=gpt2,dtype=int4"},
        {"model_args": "pretrained=gpt2", "tasks": "mmlu_*"},
        {"model_args": "pretrained=gpt2", "tasks": ","},
        {"model_args": "pretrained=gpt2", "tasks": "gsm8k", "limit": "0"},
        {"model_args": "pretrained=gpt2", "tasks": "gsm8k", "limit": "1.5"},
        {"model_args": "pretrained=gpt2", "tasks": "gsm8k", "limit": "few"},
        {"model_args": "pretrained=gpt2", "seed": "1,2"},
        {"model_args": "pretrained=gpt2", "seed": "x"},
        {"model_args": "pretrained=gpt2", "num_fewshot": 5},
        {"model_args": "pretrained=gpt2,chat_template_args=1"},
    ],
    ids=str,
)
def test_words_that_cannot_be(given: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        words(**given)


def test_model_or_suite_given_twice() -> None:
    with pytest.raises(BadInput):
        translate(Words(model_args="pretrained=gpt2"), "owner/name", None)
    with pytest.raises(BadInput):
        translate(Words(tasks="gsm8k"), "owner/name", "core")
