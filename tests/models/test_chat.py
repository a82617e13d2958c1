"""Chat templates: the prompts are those of `apply_chat_template`, with its arguments; BOS once, or it is told."""

import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from cli.call import in_process
from fakes.models import BOS, TEMPLATE, make_model
from fakes.smoke import GSM8K, MMLU, write_spec
from models.conftest import Folder
from models.folders import copied, edit
from models.small import measured_anew, plan_of, run_of, spec_of


def asked(out: Path, task: str) -> list[dict[str, Any]]:
    """Rows of the requests file."""
    data = (out / "requests" / f"{task}.jsonl.zst").read_bytes()
    return [json.loads(line) for line in zstandard.ZstdDecompressor().stream_reader(data).read().splitlines()]


def questions(name: str, split: str) -> list[dict[str, Any]]:
    from fakes.smoke import SHIPPED

    lines = (SHIPPED / "data" / name / f"{split}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def chat_spec(folder: Path, *, turns: bool = True, shots: int = 0, **model: Any) -> dict[str, Any]:
    spec = spec_of(folder, chat_template="model", **model)
    spec["suite"]["tasks"][1] |= {"num_fewshot": shots, "fewshot_as_turns": turns}
    return spec


def tokenizer_of(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


@pytest.mark.parametrize("system", [None, "You count well."])
@pytest.mark.parametrize("kwargs", [{}, {"enable_thinking": False}, {"enable_thinking": True}])
def test_a_prompt_is_the_template_by_hand(
    system: str | None, kwargs: dict[str, bool], made: Folder, tmp_path: Path
) -> None:
    out, tokenizer = tmp_path / "out", tokenizer_of(made("chat"))
    record = run_of(out, chat_spec(made("chat"), system_prompt=system, template_kwargs=kwargs))
    for row, question in zip(asked(out, GSM8K), questions("gsm8k/main", "test"), strict=False):
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": f"Question: {question['question']}\nAnswer:"})
        expected = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **kwargs)
        assert [context["text"] for context in row["contexts"]] == [expected]
        assert row["contexts"][0]["ids"] == tokenizer.encode(expected)
        assert ("<think>\n\n</think>" in expected) == (kwargs.get("enable_thinking") is False)
    content = record.effective.ask.model.content
    assert (content.template_kwargs, content.system_prompt) == (kwargs, system)
    assert all(task.chat.applied for task in record.effective.ask.tasks)


@pytest.mark.parametrize("turns", [True, False])
def test_shots_are_turns_or_text(turns: bool, made: Folder, tmp_path: Path) -> None:
    out = tmp_path / "out"
    record = run_of(out, chat_spec(made("chat"), turns=turns, shots=2))
    for row in asked(out, GSM8K):
        (text,) = [context["text"] for context in row["contexts"]]
        roles = [part.split("\n")[0] for part in text.split("<|im_start|>")[1:]]
        assert roles == (["user", "assistant"] * 3 if turns else ["user", "assistant"])
        assert text.count("Question: ") == 3
    pins = {task.task: task.chat.fewshot_as_turns for task in record.effective.ask.tasks}
    assert pins[GSM8K] == turns


def test_arguments_system_prompt_and_template_are_the_models(made: Folder, tmp_path: Path) -> None:
    """Another way to address the model is another measurement of the same benchmark."""

    def plan(folder: Path, **model: Any) -> Any:
        return plan_of(folder, chat_template="model", **model)

    before = plan(made("chat"))
    measured_anew(before, plan(made("chat"), template_kwargs={"enable_thinking": False}))
    measured_anew(before, plan(made("chat"), system_prompt="You count well."))
    folder = copied(made("chat"), tmp_path / "model")
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text("utf-8") + " ", "utf-8")
    measured_anew(before, plan(folder))
    assert plan_of(folder).ask.model.content == plan_of(made("chat")).ask.model.content, "where none is applied"


def test_arguments_without_a_template_are_refused(
    made: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_spec(tmp_path, spec_of(made("chat"), template_kwargs={"enable_thinking": False}))
    in_process(capsys, "plan", str(path), "--quiet").refused(2, "template_kwargs")


# ---------------------------------------------------------------------------- BOS


def test_a_template_that_writes_bos_gets_no_second_one(tmp_path: Path) -> None:
    folder, out = make_model(tmp_path / "model", "chat"), tmp_path / "out"
    bos = tokenizer_of(folder).bos_token_id
    record = run_of(out, chat_spec(folder))
    for task in (GSM8K, MMLU):
        for row in asked(out, task):
            for context in row["contexts"]:
                assert context["ids"][0] == bos
                assert context["ids"].count(bos) == 1
    assert [tokens.no_bos for tokens in record.observed.tokens] == [0, 0]
    assert not [warning for warning in record.warnings if warning.code == "no_bos"]


def test_two_bos_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_model(tmp_path / "model", "chat", template=f"{{{{ bos_token }}}}{TEMPLATE}")
    path = write_spec(tmp_path, chat_spec(folder))
    for command in ("plan", "run"):
        in_process(capsys, command, str(path), "--quiet").refused(2, "two BOS tokens", "chat_template")


def test_a_bos_that_is_not_added_is_warned_about_with_its_count(tmp_path: Path) -> None:
    folder, out = make_model(tmp_path / "model", "bos"), tmp_path / "out"
    edit(folder / "tokenizer.json", post_processor=None)
    assert BOS not in tokenizer_of(folder).decode(tokenizer_of(folder).encode("abc"))
    record = run_of(out, spec_of(folder))
    counts = {tokens.task: (tokens.no_bos, tokens.requests) for tokens in record.observed.tokens}
    assert counts == {MMLU: (8, 8), GSM8K: (2, 2)}
    found = {w.where: (w.count, w.total) for w in record.warnings if w.code == "no_bos"}
    assert found == counts


def test_every_prompts_ids_are_kept(made: Folder, tmp_path: Path) -> None:
    out, tokenizer = tmp_path / "out", tokenizer_of(made("llama"))
    run_of(out, spec_of(made("llama")))
    for row in asked(out, MMLU):
        for context in row["contexts"]:
            assert context["ids"] == tokenizer.encode(context["text"].rstrip())
        assert all(request["continuation_ids"] for request in row["requests"])


def test_limits_of_tokens_are_each_tasks_own(made: Folder, tmp_path: Path) -> None:
    out, spec = tmp_path / "out", chat_spec(made("chat"))
    texts = spec["suite"]["tasks"][1]
    spec["suite"]["tasks"] = [texts, texts | {"task": "mini_other", "generation": {"max_gen_toks": 3}}]
    record = run_of(out, spec)
    limits = {task.task: (task.generation or {})["max_gen_toks"] for task in record.effective.ask.tasks}
    assert limits == {GSM8K: 6, "mini_other": 3}
    assert {row["requests"][0]["generation"]["max_gen_toks"] for row in asked(out, "mini_other")} == {3}
    cut_short = {tokens.task: tokens.cut_short for tokens in record.observed.tokens}
    warned = {w.where: w.count for w in record.warnings if w.code == "cut_short"}
    assert warned == {task: count for task, count in cut_short.items() if count}
