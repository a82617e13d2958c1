"""Models that reason first: filters see the answer alone, the journal keeps everything, what was cut is counted."""

from pathlib import Path
from typing import Any

import pytest
import torch

from benchproof.engines.generation import StopAtStrings, after_thinking, cut
from benchproof.schema.record import Record
from benchproof.schema.response import Generated
from benchproof.schema.spec import ThinkingAsk
from benchproof.store.journal import merge, read_journal
from fakes.smoke import GSM8K
from models.conftest import Folder
from models.folders import edit, make_own_code
from models.small import run_of, spec_of

THINK = ThinkingAsk(end_token="</think>")

# ------------------------------------------------------------------- the pieces


@pytest.mark.parametrize(
    ("text", "answer", "answered"),
    [
        ("<think>a\n\nb</think>\n\nthe answer", "the answer", True),
        ("a</think>b</think> c", "c", True),
        ("a</think>", "", True),
        ("a</think>\n\n", "", True),
        ("never done", "", False),
        ("", "", False),
    ],
)
def test_the_answer_is_what_follows_the_last_end(text: str, answer: str, answered: bool) -> None:
    assert after_thinking(text, THINK) == (answer, answered)
    kept = THINK.model_copy(update={"count_truncated": False})
    assert after_thinking(text, kept) == (answer if answered else text, answered)
    assert after_thinking(text, ThinkingAsk()) == (text, True)


@pytest.fixture(scope="module")
def tokenizer(made: Folder) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(made("llama"), local_files_only=True)


def stopped_at(tokenizer: Any, text: str, until: list[str], end: str | None) -> str | None:
    """The text of a row when it ends, fed one token after the other; None if it does not end."""
    ids = tokenizer.encode(text, add_special_tokens=False)
    stops = StopAtStrings(tokenizer, until, 0, 1, [0], end)
    for n in range(1, len(ids) + 1):
        if bool(stops(torch.tensor([ids[:n]]), torch.empty(0))[0]):
            return str(tokenizer.decode(ids[:n]))
    return None


@pytest.mark.parametrize("until", [["\n\n"], ["\n"], ["Q:"], ["Question:", "\n\n"]])
@pytest.mark.parametrize("after", ["", "\n", "\n\n", "\n \n\n  "])
def test_a_stop_string_counts_after_the_end_of_thinking(tokenizer: Any, until: list[str], after: str) -> None:
    stop = until[0]
    thought = f"so {stop}so {stop} hm. {stop * 3}"
    text = f"{thought}</think>{after}The answer is 7.{stop}and more that nobody reads"
    found = stopped_at(tokenizer, text, until, "</think>")
    assert found is not None
    answer, answered = after_thinking(found, THINK)
    assert (cut(answer, until), answered) == ("The answer is 7.", True)
    assert len(found) <= len(f"{thought}</think>{after}The answer is 7.{stop}") + 4, "and no later"
    assert stopped_at(tokenizer, thought + "</think>", until, "</think>") is None
    assert stopped_at(tokenizer, thought, until, "</think>") is None
    assert stopped_at(tokenizer, thought, until, None) is not None, "where nothing thinks it ends at once"


class Syllables:
    """A tokenizer with a token that begins with a blank line, as large vocabularies have."""

    words = ("", "hm", "</think>", "\n\nSeven", ".", "\n\n", "more")

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return [0] * len(text)

    def batch_decode(self, rows: list[list[int]]) -> list[str]:
        return ["".join(self.words[token] for token in row) for row in rows]


def test_a_blank_line_inside_the_first_token_of_the_answer_ends_nothing() -> None:
    stops, ids = StopAtStrings(Syllables(), ["\n\n"], 0, 1, [0], "</think>"), [1, 5, 1, 2, 3, 4, 4, 5, 6]
    ended = [bool(stops(torch.tensor([ids[:n]]), torch.empty(0))[0]) for n in range(1, len(ids) + 1)]
    assert ended == [False] * 7 + [True] * 2
    assert stops.lengths == [8]


def test_eos_ends_a_thought_too(tokenizer: Any) -> None:
    stops = StopAtStrings(tokenizer, ["\n"], 0, 1, [0], "</think>")
    ids = tokenizer.encode("hm \n", add_special_tokens=False)
    assert not stops(torch.tensor([ids]), torch.empty(0))[0]
    assert stops(torch.tensor([[*ids, 0]]), torch.empty(0))[0]
    assert stops.lengths == [len(ids) + 1]


# ------------------------------------------------------------- the whole main path

THOUGHT = "Let me see.\n\nQuestion: is #### 99 right? No."
DONE = f"{THOUGHT}</think>\n\nIt is #### 11\n\nQuestion: what else"
MARKS = ["Answer:"]


@pytest.fixture(scope="module")
def reasoners(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models that write one text: with an answer, and one that is still thinking when its tokens are spent."""
    home = tmp_path_factory.mktemp("reasoners")
    texts = {"done": DONE, "lost": THOUGHT * 8, "gave up": THOUGHT}
    return {name: make_own_code(home / name, scripts=[("Answer:", text)]) for name, text in texts.items()}


def thinking_spec(folder: Path, tokens: int = 120, **thinking: Any) -> dict[str, Any]:
    spec = spec_of(folder, trust_remote_code=True)
    del spec["suite"]["tasks"][0]
    spec["suite"]["tasks"][0] |= {"num_fewshot": 1, "generation": {"max_gen_toks": tokens}}
    spec["thinking"] = thinking
    return spec


def answers(out: Path) -> list[Generated]:
    merged = merge([read_journal(path) for path in sorted((out / "journal").glob("*.journal"))])
    return [answer for answer in merged.values() if isinstance(answer, Generated)]


def warned(record: Record, code: str) -> list[tuple[int | None, int | None]]:
    return [(warning.count, warning.total) for warning in record.warnings if warning.code == code]


def samples(out: Path) -> list[dict[str, Any]]:
    import json

    import zstandard

    data = (out / "samples" / f"{GSM8K}.jsonl.zst").read_bytes()
    return [json.loads(line) for line in zstandard.ZstdDecompressor().stream_reader(data).read().splitlines()]


def test_filters_see_the_answer_and_the_journal_keeps_the_thought(reasoners: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    record = run_of(out, thinking_spec(reasoners["done"], end_token="</think>"))
    for answer in answers(out):
        assert answer.raw.startswith(f"{THOUGHT}</think>\n\nIt is #### 11")
        assert (answer.text.rstrip(), answer.stop, answer.answered) == ("It is #### 11", "until", True)
    for row in samples(out):
        assert "99" not in str(row["filtered"])
        assert "11" in str(row["filtered"])
    assert record.observed.tokens[0].unanswered == 0
    assert warned(record, "unanswered") == []
    assert record.effective.ask.model.content.thinking == {"end_token": "</think>", "count_truncated": True}


def test_without_an_end_token_the_thought_is_marked_and_cut_at_its_first_stop(
    reasoners: dict[str, Path], tmp_path: Path
) -> None:
    plain = run_of(tmp_path / "plain", thinking_spec(reasoners["done"]))
    assert {answer.text for answer in answers(tmp_path / "plain")} == {"Let me see.\n\n"}
    assert plain.effective.ask.model.content.thinking is None
    asked = run_of(tmp_path / "asked", thinking_spec(reasoners["done"], end_token="</think>"))
    assert plain.ids[0].benchmark_id == asked.ids[0].benchmark_id
    assert plain.ids[0].measurement_id != asked.ids[0].measurement_id


@pytest.mark.parametrize("count", [True, False])
@pytest.mark.parametrize(("name", "stop"), [("lost", "length"), ("gave up", "eos")])
def test_what_ended_before_its_answer_is_counted_and_warned_about(
    name: str, stop: str, count: bool, reasoners: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    spec = thinking_spec(reasoners[name], tokens=40, end_token="</think>", count_truncated=count)
    record = run_of(out, spec)
    assert [(a.stop, a.answered) for a in answers(out)] == [(stop, False)] * 2
    assert all(answer.raw.startswith("Let me see.") for answer in answers(out))
    assert {answer.text for answer in answers(out)} == ({""} if count else {"Let me see.\n\n"})
    assert record.observed.tokens[0].unanswered == 2
    assert warned(record, "unanswered") == [(2, 2)]
    assert warned(record, "cut_short") == ([(2, 2)] if stop == "length" else [])
    if count:
        assert all("99" not in str(row["filtered"]) for row in samples(out))


def test_a_marker_that_is_a_special_token(tmp_path: Path) -> None:
    """Decoding drops special tokens: the end is found in the ids."""
    folder = make_own_code(tmp_path / "model", scripts=[("Answer:", "hm <|pad|>It is #### 11\n\nQuestion:")])
    out = tmp_path / "out"
    run_of(out, thinking_spec(folder, end_token="<|pad|>"))
    for answer in answers(out):
        assert answer.raw.startswith("hm It is #### 11")
        assert (answer.text.rstrip(), answer.answered) == ("It is #### 11", True)


def test_a_marker_of_several_tokens_is_no_unknown_token(tmp_path: Path) -> None:
    """A tokenizer answers "unknown" for it, and an unknown token in the text is no end of thinking."""
    folder = make_own_code(tmp_path / "model", scripts=[("Answer:", "hm <|pad|>still thinking")])
    edit(folder / "tokenizer_config.json", unk_token="<|pad|>")
    out = tmp_path / "out"
    run_of(out, thinking_spec(folder, end_token="</no such token>", count_truncated=False))
    assert {(answer.text, answer.answered) for answer in answers(out)} == {("hm still thinking", False)}
