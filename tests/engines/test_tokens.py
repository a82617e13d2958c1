"""Token ids: lm-eval's rules for the border, for BOS and for what is too long, against its own code."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchproof.engines.tokens import Tokens
from benchproof.errors import BadInput
from benchproof.report.progress import Silent
from benchproof.schema.request import Encoded, Generation, Request
from fakes.models import BOS, make_model
from fakes.plans import a_choice, a_generation

TEXT = st.text(alphabet=" \nabcdefgQA:.é日", max_size=12)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("tokenizers")
    return {
        kind: AutoTokenizer.from_pretrained(make_model(folder / kind, kind), local_files_only=True)
        for kind in ("llama", "gpt2", "bos")
    }


def encode(tokenizer: Any, *requests: Request, max_length: int = 512) -> list[Encoded]:
    return Tokens(tokenizer, max_length).encode(requests, Silent())


@pytest.mark.parametrize("kind", ["llama", "gpt2", "bos"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(context=TEXT, answer=TEXT.filter(bool))
def test_a_pair_is_split_as_the_harness_splits_it(
    kind: str, context: str, answer: str, tokenizers: dict[str, Any]
) -> None:
    """lm-eval's TemplateLM._encode_pair and its empty-context rule, written out from its source."""
    tokenizer = tokenizers[kind]

    def harness(text: str, **more: Any) -> list[int]:
        if kind == "bos" and text.startswith(BOS):
            more = {"add_special_tokens": False}
        return list(tokenizer.encode(text, **more))

    if context == "":
        prefix = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        expected: tuple[list[int], list[int]] = ([prefix], harness(answer, add_special_tokens=False))
        if expected[1][0] == prefix:
            expected = (expected[1][:1], expected[1][1:])
    else:
        spaces = len(context) - len(context.rstrip())
        left, right = context.rstrip(), context[len(context) - spaces :] + answer if spaces else answer
        whole, alone = harness(left + right), harness(left)
        expected = (alone, whole[len(alone) :])
    request = a_choice(context=context, answer=answer)
    if not expected[0]:  # the harness fails an assertion
        with pytest.raises(BadInput, match="nothing but spaces"):
            encode(tokenizer, request)
        return
    if not expected[1]:
        with pytest.raises(BadInput, match="nothing is left to score"):
            encode(tokenizer, request)
        return
    (found,) = encode(tokenizer, request)
    assert (list(found.context), list(found.continuation)) == expected


def test_many_at_once_are_encoded_as_each_alone(tokenizers: dict[str, Any]) -> None:
    requests = [a_choice(doc_id=i, context=f"Q{i % 7}: a b", answer=f" c{i % 3}") for i in range(50)]
    requests += [a_generation(doc_id=i, context=f"G{i}") for i in range(5)]
    for tokenizer in tokenizers.values():
        assert encode(tokenizer, *requests) == [encode(tokenizer, r)[0] for r in requests]


def test_bos_is_put_once(tokenizers: dict[str, Any]) -> None:
    bos = tokenizers["bos"].bos_token_id
    plain, with_bos = a_generation(context="abc"), a_generation(context=f"{BOS}abc")
    for found in encode(tokenizers["bos"], plain, with_bos):
        assert found.context.count(bos) == 1
        assert found.context[0] == bos
    (found,) = encode(tokenizers["bos"], a_choice(context=f"{BOS}abc", answer=" d"))
    assert (found.context + found.continuation).count(bos) == 1


def test_a_border_that_the_tokenizer_joins_is_told(tokenizers: dict[str, Any]) -> None:
    tokenizer = tokenizers["llama"]
    joined = next(
        (text[:cut], text[cut:])
        for text in tokenizer.get_vocab()
        if text.isalpha() and text.isascii() and len(tokenizer.encode(text)) == 1
        for cut in range(1, len(text))
    )
    plain, merged = encode(
        tokenizer, a_choice(context="Q: ?", answer=" a"), a_choice(context=joined[0], answer=joined[1] + " b")
    )
    assert (plain.merged, merged.merged) == (False, True)


def test_a_long_context_loses_its_left_end_and_says_how_much(tokenizers: dict[str, Any]) -> None:
    (whole,) = encode(tokenizers["llama"], a_choice(context="abc " * 30, answer=" yes"))
    limit = 20
    (cut,) = encode(tokenizers["llama"], a_choice(context="abc " * 30, answer=" yes"), max_length=limit)
    assert cut.continuation == whole.continuation
    assert len(cut.context) + len(cut.continuation) == limit + 1, "the last token is predicted, not read"
    assert cut.context == whole.context[cut.truncated :]
    assert cut.truncated == len(whole.context) - len(cut.context) > 0


def test_a_prompt_leaves_room_for_what_is_generated(tokenizers: dict[str, Any]) -> None:
    request = a_generation(context="abc " * 30, settings=Generation(until=(), max_gen_toks=8))
    (whole,) = encode(tokenizers["llama"], request)
    (cut,) = encode(tokenizers["llama"], request, max_length=20)
    assert len(cut.context) == 12
    assert cut.context == whole.context[-12:]
    assert cut.truncated == len(whole.context) - 12
    with pytest.raises(BadInput) as caught:
        encode(tokenizers["llama"], request, max_length=8)
    for word in ("max_gen_toks 8", "8 tokens", "task write"):
        assert word in str(caught.value)


def test_an_answer_longer_than_the_context_is_refused(tokenizers: dict[str, Any]) -> None:
    request = a_choice(context="Q", answer=" abc" * 30)
    with pytest.raises(BadInput, match="longer than the model's context of 10") as caught:
        encode(tokenizers["llama"], request, max_length=10)
    assert "task choose, doc 0" in caught.value.where


def test_where_the_tokenizer_runs_on_is_no_part_of_its_ids(tokenizers: dict[str, Any], tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    again = AutoTokenizer.from_pretrained(make_model(tmp_path / "copy", "llama"), local_files_only=True)
    requests = [a_choice(context="Q: é?", answer=" 日"), a_generation(context="")]
    assert encode(again, *requests) == encode(tokenizers["llama"], *requests)
