"""Request hashes: the key of every answer, so everything that is asked is in them."""

from dataclasses import replace
from typing import Any

import pytest

from benchproof.schema.canonical import digest, text_sha256
from benchproof.schema.request import Encoded, Generation, Request
from fakes.plans import GREEDY, a_choice, a_generation

SAMPLED = Generation(until=("\n", "Q:"), max_gen_toks=8, temperature=0.7, top_p=0.9, top_k=40)


def test_the_hash_is_the_documented_function() -> None:
    request = Request("t", 3, 1, 0, "loglikelihood", "ctx", " yes").with_hash()
    assert request.hash == digest(
        {
            "task": "t",
            "doc": 3,
            "choice": 1,
            "repeat": 0,
            "seed": None,
            "kind": "loglikelihood",
            "context": text_sha256("ctx"),
            "continuation": text_sha256(" yes"),
            "generation": None,
        }
    )


@pytest.mark.parametrize(
    "change",
    [
        {"task": "other"},
        {"doc_id": 9},
        {"choice": 9},
        {"repeat": 9},
        {"seed": 2**62},
        {"context": "Q: ? "},
        {"continuation": " yes "},
        {"continuation": None},
    ],
)
def test_everything_in_a_choice_is_in_its_hash(change: dict[str, Any]) -> None:
    request = a_choice()
    assert replace(request, **change, hash="").with_hash().hash != request.hash


@pytest.mark.parametrize(
    "change",
    [
        {"until": ("Q:", "\n")},
        {"until": ("\n",)},
        {"max_gen_toks": 9},
        {"temperature": 0.7000000000000001},
        {"temperature": 0.0},
        {"top_p": 0.8},
        {"top_p": None},
        {"top_k": None},
    ],
)
def test_every_generation_setting_is_in_the_hash(change: dict[str, Any]) -> None:
    settings = replace(SAMPLED, **change)
    assert a_generation(settings=settings, seed=1).hash != a_generation(settings=SAMPLED, seed=1).hash


def test_a_whole_temperature_and_its_float_are_one_request() -> None:
    one, other = replace(SAMPLED, temperature=1), replace(SAMPLED, temperature=1.0)
    assert a_generation(settings=one).hash == a_generation(settings=other).hash


def test_a_border_that_moves_between_context_and_continuation_is_another_request() -> None:
    assert a_choice(context="ab", answer="c").hash != a_choice(context="a", answer="bc").hash


def test_an_old_hash_is_not_taken_over() -> None:
    assert replace(a_choice(), hash="wrong").with_hash() == a_choice()
    assert replace(a_choice(), hash="wrong").with_hash().hash == a_choice().hash


def test_the_key_orders_answers_as_every_digest_does() -> None:
    keys = [a_choice("b", 0, 0).key, a_choice("a", 10, 0).key, a_choice("a", 9, 1).key, a_choice("a", 9, 0).key]
    assert sorted(keys) == [("a", 9, 0, 0), ("a", 9, 1, 0), ("a", 10, 0, 0), ("b", 0, 0, 0)]


def test_what_the_model_reads_leaves_out_the_last_token() -> None:
    assert Encoded((1, 2), (3, 4), 0, False).n_tokens == 3
    assert Encoded((1, 2), (), 0, False).n_tokens == 2
    assert GREEDY.json_value()["temperature"] == "0.0"
