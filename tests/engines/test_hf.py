"""The reference engine against a plain forward of one request at a time, on tiny models with wide weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from benchproof.engines.hf import HfEngine, best_device, checked_device
from benchproof.errors import BadInput, MachineError, MissingInput
from benchproof.ports import ModelFiles, Op
from benchproof.report.progress import Silent
from benchproof.schema.request import Encoded, Generation, Request
from benchproof.schema.response import Generated, Loglikelihood, Response
from benchproof.schema.spec import EngineAsk, ModelAsk
from fakes.models import make_model
from fakes.plans import a_choice, a_generation

Folders = dict[str, Path]
WORDS = ["the", "a kettle", "Question", "seven", "what is", "42", "garden", "é", "\n", "why?"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    home = tmp_path_factory.mktemp("hf")
    return {kind: make_model(home / kind, kind) for kind in ("llama", "gpt2", "bos", "chat", "short")}


def an_engine(folder: Path, *, seed: int = 1234, model: dict[str, Any] | None = None, **asked: Any) -> HfEngine:
    settings: dict[str, Any] = {"dtype": "float32", "token_budget": 256, "generation_batch": 4}
    engine = EngineAsk(**(settings | asked))
    ask = ModelAsk(path="x", **(model or {}))
    return HfEngine(ModelFiles(folder, "tiny", None, None), ask, engine, "cpu", seed)


def text(number: int, words: int) -> str:
    return " ".join(WORDS[(number * 7 + i * 3) % len(WORDS)] for i in range(words))


def choices() -> list[Request]:
    """Docs of different lengths; single-token answers that share a row, longer ones, and an empty context."""
    found = []
    for doc in range(6):
        context = text(doc, 2 + 3 * doc) if doc else ""
        answers = (" A", " B") if doc % 2 else (" garden of words", " no", " the the the")
        found += [a_choice("choose", doc, i, context, answer) for i, answer in enumerate(answers)]
    return found


def texts(settings: Generation, count: int = 6) -> list[Request]:
    seeds: list[int | None] = [None] * count if settings.temperature == 0 else [100 + i for i in range(count)]
    return [a_generation("write", i, 0, text(i, 1 + 4 * (i % 3)), settings, seed) for i, seed in enumerate(seeds)]


def answered(engine: HfEngine, requests: Sequence[Request]) -> dict[str, Response]:
    encoded = engine.encode(requests, Silent())
    found: dict[str, Response] = {}
    for op in engine.ops(requests, encoded):
        for i, response in zip(op.requests, engine.answer(op, requests, encoded), strict=True):
            assert response.request == requests[i].hash
            found[response.request] = response
    return found


def alone(engine: HfEngine, request: Request) -> tuple[float, bool]:
    """One forward over the whole of one request, without padding, cache, sharing or a cut head."""
    (item,) = engine.encode([request], Silent())
    ids = torch.tensor([item.context + item.continuation])
    with torch.no_grad():
        scores = engine._model(ids).logits[0].double().log_softmax(-1)
    n = len(item.continuation)
    wanted = ids[0, -n:]
    at = scores[-n - 1 : -1]
    return float(at.gather(1, wanted[:, None]).sum()), bool((at.argmax(-1) == wanted).all())


@pytest.fixture(scope="module")
def llama(folders: Folders) -> HfEngine:
    engine = an_engine(folders["llama"])
    engine.load(Silent())
    return engine


@pytest.mark.parametrize("kind", ["llama", "gpt2", "bos", "short"])
def test_log_likelihoods_are_those_of_a_plain_forward(kind: str, folders: Folders) -> None:
    engine = an_engine(folders[kind], token_budget=200)
    engine.load(Silent())
    requests = choices()
    if kind == "short":
        requests.append(a_choice("choose", 99, 0, text(1, 150), " yes"))
        assert engine.encode(requests[-1:], Silent())[0].truncated > 0
    found = answered(engine, requests)
    greedy = 0
    for request in requests:
        response = found[request.hash]
        assert isinstance(response, Loglikelihood)
        total, is_greedy = alone(engine, request)
        assert response.loglikelihood == pytest.approx(total, abs=2e-4)
        assert response.is_greedy == is_greedy
        assert response.loglikelihood < 0
        greedy += is_greedy
    assert len({round(alone(engine, r)[0], 3) for r in requests}) > len(requests) / 2, "the model tells answers apart"


def test_an_answer_is_greedy_exactly_if_the_model_would_write_it(llama: HfEngine) -> None:
    context = text(3, 9)
    with torch.no_grad():
        (item,) = llama.encode([a_choice(context=context, answer=" x")], Silent())
        best = int(llama._model(torch.tensor([item.context])).logits[0, -1].argmax())
    first = llama.answer(
        Op(0, "loglikelihood", "t", (0, 1), 9),
        [a_choice(context=context), a_choice(choice=1, context=context)],
        [Encoded(item.context, (best,), 0, False), Encoded(item.context, ((best + 1) % 1000,), 0, False)],
    )
    assert [r.is_greedy for r in first if isinstance(r, Loglikelihood)] == [True, False]


@pytest.mark.parametrize("budget", [64, 1000])
def test_the_budget_moves_at_most_the_last_bits(budget: int, folders: Folders, llama: HfEngine) -> None:
    other = an_engine(folders["llama"], token_budget=budget)
    other.load(Silent())
    left, right = answered(llama, choices()), answered(other, choices())
    for key, response in left.items():
        again = right[key]
        assert isinstance(response, Loglikelihood)
        assert isinstance(again, Loglikelihood)
        assert response.loglikelihood == pytest.approx(again.loglikelihood, abs=2e-4)
        assert response.is_greedy == again.is_greedy


def test_the_same_ops_give_the_same_bits(folders: Folders, llama: HfEngine) -> None:
    again = an_engine(folders["llama"])
    again.load(Silent())
    both = [*choices(), *texts(Generation(until=("\n",), max_gen_toks=6))]
    first = answered(llama, both)
    torch.manual_seed(99)
    torch.rand(3)
    assert answered(llama, both) == first
    assert answered(again, both) == first


def test_softmax_in_the_models_own_precision_is_another_number(folders: Folders) -> None:
    found = {}
    for softmax in ("float32", "model"):
        engine = an_engine(folders["llama"], dtype="bfloat16", softmax_dtype=softmax)
        engine.load(Silent())
        found[softmax] = [r.loglikelihood for r in answered(engine, choices()).values() if isinstance(r, Loglikelihood)]
    assert found["float32"] != found["model"]
    for a, b in zip(found["float32"], found["model"], strict=True):
        assert a == pytest.approx(b, rel=0.05, abs=0.3)


# ------------------------------------------------------------------- generation


def as_text(response: Response) -> Generated:
    assert isinstance(response, Generated)
    return response


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_batch_writes_what_each_alone_would(kind: str, folders: Folders) -> None:
    engine = an_engine(folders[kind], generation_batch=6)
    engine.load(Silent())
    requests = texts(Generation(until=("the", "\n"), max_gen_toks=8))
    together = answered(engine, requests)
    for request in requests:
        assert answered(engine, [request])[request.hash] == together[request.hash]


def test_a_text_is_the_greedy_one_and_says_why_it_ended(llama: HfEngine) -> None:
    requests = texts(Generation(until=("the", "a"), max_gen_toks=8), 6)
    encoded = llama.encode(requests, Silent())
    for request, item in zip(requests, encoded, strict=True):
        found = as_text(answered(llama, [request])[request.hash])
        ids = list(item.context)
        for token in found.token_ids:
            with torch.no_grad():
                assert int(llama._model(torch.tensor([ids])).logits[0, -1].argmax()) == token
            ids.append(token)
        assert found.raw == llama.tokenizer.decode(found.token_ids, skip_special_tokens=True)
        assert found.raw.startswith(found.text)
        match found.stop:
            case "length":
                assert len(found.token_ids) == 8
                assert found.text == found.raw
            case "until":
                assert found.text != found.raw
            case "eos":
                assert found.token_ids[-1] == 0


def test_a_text_ends_at_its_stop_string_and_not_at_its_neighbours(llama: HfEngine) -> None:
    long = Generation(until=(), max_gen_toks=12)
    requests = texts(long, 4)
    free = {r.doc_id: as_text(answered(llama, [r])[r.hash]) for r in requests}
    stop = next(free[0].raw[i : i + 2] for i in range(2, 8) if free[0].raw[i : i + 2].strip())
    stopped = texts(Generation(until=(stop,), max_gen_toks=12), 4)
    found = answered(llama, stopped)
    for request in stopped:
        answer = as_text(found[request.hash])
        assert answer.text == free[request.doc_id].raw.split(stop)[0]
        assert answer.token_ids == free[request.doc_id].token_ids[: len(answer.token_ids)]
    assert as_text(found[stopped[0].hash]).stop == "until"


SAMPLED = Generation(until=("\n",), max_gen_toks=6, temperature=1.2, top_k=50)


def test_a_seed_gives_its_text_whatever_the_batch_mates(folders: Folders, llama: HfEngine) -> None:
    requests = texts(SAMPLED)
    together = answered(llama, requests)
    for request in requests:
        assert answered(llama, [request])[request.hash] == together[request.hash]
    one_by_one = an_engine(folders["llama"], generation_batch=1, seed=5)
    one_by_one.load(Silent())
    assert answered(one_by_one, requests) == together


def test_another_seed_gives_another_text(llama: HfEngine) -> None:
    requests = [a_generation("write", 0, i, text(2, 5), SAMPLED, seed) for i, seed in enumerate((1, 2, 3, 4, 1))]
    found = [as_text(a).token_ids for a in answered(llama, requests).values()]
    assert len(set(found)) > 1
    by_repeat = {r.repeat: as_text(answered(llama, [r])[r.hash]).token_ids for r in requests}
    assert by_repeat[0] == by_repeat[4]


# ---------------------------------------------------------------- what it says


def test_observed_is_what_was_loaded(folders: Folders) -> None:
    engine = an_engine(folders["llama"], dtype="bfloat16")
    engine.load(Silent())
    before = engine.observed()
    assert before.model_class == "LlamaForCausalLM"
    assert before.dtype_loaded == engine.pin().dtype == "bfloat16"
    assert before.parameters_loaded == engine.pin_model(Silent()).parameters
    assert (before.device, before.attention) == ("cpu", engine.pin().attention)
    assert (before.forward_tokens, before.generated_tokens) == (0, 0)
    flags = {flag.flag: flag for flag in before.determinism}
    assert flags["torch.deterministic_algorithms"].granted == "True"
    answered(engine, choices())
    assert engine.observed().forward_tokens == sum(op.cost for op in ops(engine, choices()))


def ops(engine: HfEngine, requests: Sequence[Request]) -> list[Op]:
    return engine.ops(requests, engine.encode(requests, Silent()))


def test_dtype_auto_is_the_checkpoints_own(folders: Folders) -> None:
    assert an_engine(folders["llama"], dtype="auto").pin().dtype == "float32"


def test_settings_of_the_checkpoint_that_bend_greedy_text_are_told_and_not_applied(folders: Folders) -> None:
    path = folders["llama"] / "generation_config.json"
    before = path.read_text("utf-8") if path.exists() else None
    requests = texts(Generation(until=(), max_gen_toks=8), 3)
    plain = an_engine(folders["llama"])
    plain.load(Silent())
    try:
        path.write_text('{"eos_token_id": 0, "repetition_penalty": 5.0, "no_repeat_ngram_size": 1, "num_beams": 1}')
        engine = an_engine(folders["llama"])
        assert engine.pin().neutralised == ["no_repeat_ngram_size=1", "repetition_penalty=5.0"]
        engine.load(Silent())
        assert answered(engine, requests) == answered(plain, requests)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before)


def test_a_model_that_answers_nan_is_an_error_and_no_score(folders: Folders) -> None:
    engine = an_engine(folders["llama"])
    engine.load(Silent())
    with torch.no_grad():
        engine._model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(MachineError, match="log-likelihood is nan") as caught:
        answered(engine, choices())
    assert caught.value.exit_code == 5
    assert "task choose" in caught.value.where


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory"), "lower engine.token_budget"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "lower engine.token_budget"),
        (RuntimeError("a kernel failed\nwith details"), "the engine failed: a kernel failed"),
    ],
)
def test_a_failing_device_names_the_setting_and_never_tries_a_smaller_batch(
    error: Exception, words: str, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = an_engine(folders["llama"])
    engine.load(Silent())
    calls = []

    def forward(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        raise error

    monkeypatch.setattr(engine, "_model", forward)
    requests = choices()
    encoded = engine.encode(requests, Silent())
    with pytest.raises(MachineError) as caught:
        engine.answer(engine.ops(requests, encoded)[0], requests, encoded)
    assert words in str(caught.value)
    assert len(calls) == 1


# ------------------------------------------------------- what it will not take


def test_a_template_that_drops_or_refuses_the_system_message_is_an_error(tmp_path: Path) -> None:
    from fakes.models import NO_SYSTEM_TEMPLATE

    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    folder = make_model(tmp_path / "refuses", "chat", template=NO_SYSTEM_TEMPLATE)
    with pytest.raises(BadInput, match="refuses these messages"):
        an_engine(folder, model={"chat_template": "model"}).render(messages, True)
    folder = make_model(tmp_path / "drops", "chat", template="{{ messages[-1].content }}")
    with pytest.raises(BadInput, match="drops the system message"):
        an_engine(folder, model={"chat_template": "model"}).render(messages, True)
    folder = make_model(tmp_path / "takes", "chat")
    assert "Be brief." in an_engine(folder, model={"chat_template": "model"}).render(messages, True)


def test_a_template_asked_of_a_tokenizer_that_has_none(folders: Folders) -> None:
    with pytest.raises(BadInput, match="chat template") as caught:
        an_engine(folders["llama"], model={"chat_template": "model"})
    assert caught.value.exit_code == 2


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m", "llama")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(MissingInput, match="no tokenizer"):
        an_engine(folder)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ('{"model_type": "t5", "is_encoder_decoder": true}', "encoder-decoder"),
        ('{"model_type": "no-such-model"}', "cannot be used"),
        ("{", "cannot be used"),
    ],
)
def test_a_model_that_cannot_be_run(config: str, words: str, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m", "llama")
    (folder / "config.json").write_text(config)
    with pytest.raises(BadInput) as caught:
        an_engine(folder)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 5


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "", "cpu:a", "tpu"])
def test_a_device_nobody_has(device: str) -> None:
    with pytest.raises(BadInput, match="unknown device"):
        checked_device(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(MachineError, match="GPU") as caught:
        checked_device("cuda:0")
    assert caught.value.exit_code == 5
    assert best_device() == "cpu"
