"""Every family gives the numbers of a plain forward, whether or not its head can be told which positions to read."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch

from benchproof.engines.hf import HfEngine
from benchproof.errors import MachineError
from benchproof.ports import ModelFiles, Op
from benchproof.report.progress import Silent
from benchproof.schema.request import Request
from benchproof.schema.response import Loglikelihood
from benchproof.schema.spec import EngineAsk, ModelAsk
from fakes.plans import a_choice
from models.conftest import Folder
from models.folders import FAMILIES, copied, edit

ANSWERS = (" A", " B", " a garden of seven words")


def an_engine(folder: Path, **model: Any) -> HfEngine:
    ask, engine = ModelAsk(path="x", **model), EngineAsk(dtype="float32", token_budget=256)
    loaded = HfEngine(ModelFiles(folder, "tiny", None, None), ask, engine, "cpu", 1)
    loaded.load(Silent())
    return loaded


def requests() -> list[Request]:
    """Rows of several lengths, longer than a sliding window; choices of one token share a row."""
    return [
        a_choice("choose", doc, choice, "Question: what is seven? " * (1 + 2 * doc), answer)
        for doc in range(4)
        for choice, answer in enumerate(ANSWERS)
    ]


def plain(engine: HfEngine, request: Request) -> float:
    """One forward over one request: no padding, no cache, no choice of positions."""
    (item,) = engine.encode([request], Silent())
    ids = torch.tensor([item.context + item.continuation])
    with torch.no_grad():
        scores = engine._model(ids).logits[0].double().log_softmax(-1)
    n = len(item.continuation)
    return float(scores[-n - 1 : -1].gather(1, ids[0, -n:, None]).sum())


def is_plain(engine: HfEngine) -> None:
    asked = requests()
    encoded = engine.encode(asked, Silent())
    seen: set[float] = set()
    for op in engine.ops(asked, encoded):
        for i, response in zip(op.requests, engine.answer(op, asked, encoded), strict=True):
            assert isinstance(response, Loglikelihood)
            assert response.loglikelihood == pytest.approx(plain(engine, asked[i]), abs=1e-4)
            seen.add(round(response.loglikelihood, 3))
    assert len(seen) > len(asked) / 2, "the model tells answers apart"


@pytest.mark.parametrize("family", FAMILIES)
def test_log_likelihoods_are_those_of_a_plain_forward(family: str, made: Folder) -> None:
    engine = an_engine(made(family))
    assert engine._keeps
    assert engine.observed().attention == engine.pin().attention == ("eager" if family == "gemma2" else "sdpa")
    is_plain(engine)


def test_a_forward_that_takes_no_positions(made: Folder) -> None:
    engine = an_engine(made("own"), trust_remote_code=True)
    assert not engine._keeps
    assert "logits_to_keep" not in inspect.signature(engine._model.forward).parameters
    assert engine.observed().attention == engine.pin().attention == "eager"
    is_plain(engine)


def test_logits_of_every_position_are_in_the_expected_memory(made: Folder) -> None:
    cut, whole = an_engine(made("llama")), an_engine(made("own"), trust_remote_code=True)
    asked = requests()
    for engine, rows in ((whole, 256), (cut, 4)):
        op = Op(0, "loglikelihood", "choose", (0, 1, 2, 3), 256)
        assert engine._op_bytes(op) >= rows * engine.config.vocab_size * 8
        assert engine.ops(asked, engine.encode(asked, Silent()))
    assert cut._op_bytes(op) < 256 * cut.config.vocab_size * 8


def test_a_known_family_with_code_of_its_own_is_asked_for_what_its_own_class_can(made: Folder, tmp_path: Path) -> None:
    """config.json says llama, `auto_map` names another class: it is that class that runs, without sdpa."""
    folder = copied(made("llama"), tmp_path / "own-llama")
    edit(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling_own.OwnForCausalLM"})
    (folder / "modeling_own.py").write_text(
        "from transformers import LlamaForCausalLM\n\n\nclass OwnForCausalLM(LlamaForCausalLM):\n"
        "    _supports_sdpa = False\n\n    def forward(self, input_ids, **kwargs):\n"
        "        assert 'logits_to_keep' not in kwargs\n        return super().forward(input_ids, **kwargs)\n"
    )
    engine = an_engine(folder, trust_remote_code=True)
    assert type(engine._model).__name__ == "OwnForCausalLM"
    assert engine.observed().attention == engine.pin().attention == "eager"
    is_plain(engine)
    stock = an_engine(folder)
    assert type(stock._model).__name__ == "LlamaForCausalLM", "code that is not trusted is not run"
    assert stock.pin().attention == "sdpa"


def test_a_forward_that_gives_other_positions_than_it_was_asked_for(
    made: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = an_engine(made("llama"))
    right = engine._model.forward
    monkeypatch.setattr(engine._model, "forward", lambda logits_to_keep, **more: right(logits_to_keep=2, **more))
    asked = requests()
    encoded = engine.encode(asked, Silent())
    with pytest.raises(MachineError, match="asked for logits at"):
        engine.answer(engine.ops(asked, encoded)[0], asked, encoded)
