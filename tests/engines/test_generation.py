"""Stop strings, and sampling: the right distribution, and nothing of the batch neighbours in it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchproof.engines.generation import GumbelNoise, StopAtStrings, cut
from benchproof.schema.request import Generation
from fakes.models import make_model

LOGITS = torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0, -3.0])


def settings(**more: Any) -> Generation:
    given: dict[str, Any] = {"until": (), "max_gen_toks": 1, "temperature": 1.0}
    return Generation(**(given | more))


# ------------------------------------------------------------------------ stop


@given(st.text("abQ:\n", max_size=20), st.lists(st.text("abQ:\n", min_size=1, max_size=3), max_size=3))
def test_a_text_ends_where_the_harness_ends_it(text: str, until: list[str]) -> None:
    """One stop string after the other, as lm-eval does: of two that overlap, the one that is listed first cuts."""
    found = cut(text, until)
    assert text.startswith(found)
    assert not any(stop in found for stop in until)
    ends = [text.index(stop) for stop in until if stop in text]
    assert min(ends, default=len(text)) <= len(found) <= (len(text) if not ends else max(ends))
    assert cut(text, until[:1]) == text.split(until[0])[0] if until else found == text


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(make_model(tmp_path_factory.mktemp("t") / "llama", "llama"))


def ended_after(tokenizer: Any, text: str, until: list[str], prompt: str = "") -> int | None:
    """After how many new tokens a row ends, fed one token after the other as `generate` does."""
    start = tokenizer.encode(prompt, add_special_tokens=False)
    ids = tokenizer.encode(text, add_special_tokens=False)
    stops = StopAtStrings(tokenizer, until, len(start), 1, [0])
    for n in range(1, len(ids) + 1):
        done = stops(torch.tensor([start + ids[:n]]), torch.empty(0))
        assert bool(done[0]) == (stops.lengths[0] is not None)
    return stops.lengths[0]


@pytest.mark.parametrize("until", [["\n"], ["Question:"], ["\n\n", "Q:"], ["</s>", "<|im_end|>"], ["é"]])
def test_a_row_ends_exactly_when_its_text_holds_a_stop_string(tokenizer: Any, until: list[str]) -> None:
    for stop in until:
        for before in ("", "so ", "a longer answer with Quest and \t"):
            text = f"{before}{stop} and on, far beyond any window of tokens that is looked at"
            ids = tokenizer.encode(text, add_special_tokens=False)
            first = next(n for n in range(1, len(ids) + 1) if stop in tokenizer.decode(ids[:n]))
            assert ended_after(tokenizer, text, until) == first
            assert cut(tokenizer.decode(ids[:first]), until) == before


def test_a_stop_string_of_the_prompt_ends_nothing(tokenizer: Any) -> None:
    assert ended_after(tokenizer, " fine", ["Q:"], prompt="Q: one\nQ:") is None


def test_eos_ends_a_row_and_what_follows_is_not_counted(tokenizer: Any) -> None:
    stops = StopAtStrings(tokenizer, [], 0, 2, [0])
    a, b = tokenizer.encode("ab", add_special_tokens=False)[0], 0
    assert stops(torch.tensor([[b], [a]]), torch.empty(0)).tolist() == [True, False]
    assert stops(torch.tensor([[b, a], [a, a]]), torch.empty(0)).tolist() == [True, False]
    assert stops(torch.tensor([[b, a, a], [a, a, b]]), torch.empty(0)).tolist() == [True, True]
    assert stops.lengths == [1, 3]


# -------------------------------------------------------------------- sampling


def draws(asked: Generation, seeds: list[int], logits: torch.Tensor = LOGITS) -> list[int]:
    noise = GumbelNoise(asked, seeds)
    return noise(torch.empty(len(seeds), 0, dtype=torch.long), logits.repeat(len(seeds), 1)).argmax(-1).tolist()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_are_those_of_softmax(temperature: float) -> None:
    n = 20_000
    counts = torch.bincount(torch.tensor(draws(settings(temperature=temperature), list(range(n)))), minlength=6)
    p = (LOGITS.double() / temperature).softmax(-1)
    chi2 = float(((counts - n * p) ** 2 / (n * p)).sum())
    assert chi2 < 20.5, "5 degrees of freedom: 1 in 1000"


def test_the_rest_is_renormalised_within_top_k_and_top_p() -> None:
    n = 5_000
    for asked, kept in ((settings(top_k=2), 2), (settings(top_p=0.7), 2), (settings(top_k=1), 1)):
        counts = torch.bincount(torch.tensor(draws(asked, list(range(n)))), minlength=6)
        assert counts[kept:].sum() == 0
        p = LOGITS[:kept].double().softmax(-1)
        assert float(((counts[:kept] - n * p).abs() / n).max()) < 0.025


@given(st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=8), st.integers(1, 9), st.floats(0.05, 1.0))
def test_what_is_kept_is_what_transformers_keeps(logits: list[float], k: int, p: float) -> None:
    from transformers import TopKLogitsWarper, TopPLogitsWarper

    scores = torch.tensor([logits])
    ids = torch.empty(1, 0, dtype=torch.long)
    expected = TopPLogitsWarper(p)(ids, TopKLogitsWarper(k)(ids, scores.clone()))
    found = GumbelNoise(settings(top_k=k, top_p=p), [0])._warped(scores.clone())
    assert torch.equal(expected.isinf(), found.isinf())


def test_a_sample_depends_on_its_seed_and_never_on_its_neighbours() -> None:
    asked, ids = settings(temperature=1.5), torch.empty(1, 0, dtype=torch.long)
    torch.manual_seed(1)
    alone = GumbelNoise(asked, [7])
    first = [alone(ids, LOGITS[None])[0] for _ in range(5)]
    torch.manual_seed(2)
    for seeds in ([7, 1], [1, 7, 3], [9, 9, 9, 7]):
        together = GumbelNoise(asked, seeds)
        for step in range(5):
            rows = together(ids.expand(len(seeds), 0), LOGITS.repeat(len(seeds), 1))
            assert torch.equal(rows[seeds.index(7)], first[step])
    assert not torch.equal(first[0], first[1]), "each token has noise of its own"
    assert len(set(draws(asked, list(range(50))))) > 1


def test_noise_is_drawn_on_the_cpu_so_that_a_seed_is_the_same_everywhere(tmp_path: Path) -> None:
    assert all(generator.device.type == "cpu" for generator in GumbelNoise(settings(), [1, 2])._generators)
