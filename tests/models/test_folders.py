"""Folders as people have them, through the whole main path: what is pinned, and what moves which id."""

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchproof.schema.canonical import sha256
from benchproof.schema.history import read_record
from benchproof.schema.plan import FilePin
from benchproof.schema.unknown import Unknown
from cli.call import in_process
from fakes.smoke import write_spec
from models.conftest import Folder
from models.folders import copied, edit, flip
from models.small import measured_anew, plan_of, run_of, spec_of


def pinned(*paths: Path) -> list[FilePin]:
    """Pins made by hand."""
    pins = [FilePin(path=p.name, size=p.stat().st_size, sha256=sha256(p.read_bytes())) for p in paths]
    return sorted(pins, key=lambda pin: pin.path)


@pytest.mark.parametrize(
    ("name", "architecture"),
    [("llama", "LlamaForCausalLM"), ("gpt2", "GPT2LMHeadModel"), ("chat", "Qwen2ForCausalLM")],
)
def test_a_family_runs_and_its_files_are_pinned(name: str, architecture: str, made: Folder, tmp_path: Path) -> None:
    folder = made(name)
    record = run_of(tmp_path / "out", spec_of(folder, chat_template="model" if name == "chat" else "none"))
    model = record.effective.ask.model
    assert model.content.weights == pinned(folder / "model.safetensors")
    assert model.content.tokenizer == pinned(folder / "tokenizer.json", folder / "tokenizer_config.json")
    assert model.content.config_sha256 == sha256((folder / "config.json").read_bytes())
    assert (model.content.adapter, model.content.code, model.content.quantisation) == ([], [], None)
    assert (model.repo, model.commit, model.origins, model.architecture) == (None, None, {}, architecture)
    template = folder / "chat_template.jinja"
    expected = sha256(template.read_bytes()) if name == "chat" else None
    assert model.content.chat_template_sha256 == expected
    attempt = record.observed.attempts[0].engine
    assert (attempt.model_class, attempt.dtype_loaded) == (architecture, "float32")
    assert {result.task for result in record.results} >= {"mini_gsm8k", "mini_mmlu_kitchen_science"}
    assert read_record((tmp_path / "out" / "record.json").read_bytes(), "record") == record


def test_shards_are_one_model_in_several_files(made: Folder, tmp_path: Path) -> None:
    folder = made("sharded")
    shards = sorted(folder.glob("*.safetensors"))
    assert len(shards) > 2
    whole, record = run_of(tmp_path / "a", spec_of(made("llama"))), run_of(tmp_path / "b", spec_of(folder))
    assert record.effective.ask.model.content.weights == pinned(*shards)
    assert record.effective.ask.model.parameters == whole.effective.ask.model.parameters
    assert record.observed.answers_digest == whole.observed.answers_digest
    measured_anew(whole.effective, record.effective)


def test_a_shard_that_is_missing_is_named_before_anything_is_loaded(
    made: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(made("sharded"), tmp_path / "model")
    gone = sorted(folder.glob("*.safetensors"))[1]
    gone.unlink()
    in_process(capsys, "plan", str(folder), "--suite", "smoke", "--quiet").refused(3, gone.name, "are missing")


def test_pickled_weights_run_only_where_the_spec_allows_them(
    made: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made("pickled")
    path = write_spec(tmp_path, spec_of(folder))
    in_process(capsys, "run", str(path), "--quiet").refused(2, "pickled", "allow_pickle")
    record = run_of(tmp_path / "out", spec_of(folder, allow_pickle=True))
    model = record.effective.ask.model
    assert model.content.weights == pinned(folder / "pytorch_model.bin")
    assert isinstance(model.parameters, Unknown)
    assert any(unknown.path == "effective.ask.model.parameters" for unknown in record.unknowns)
    plain = run_of(tmp_path / "plain", spec_of(made("llama")))
    assert record.observed.answers_digest == plain.observed.answers_digest


def test_safetensors_are_taken_where_both_lie(made: Folder, tmp_path: Path) -> None:
    folder = copied(made("llama"), tmp_path / "both")
    shutil.copy(made("pickled") / "pytorch_model.bin", folder)
    for allowed in (False, True):
        content = plan_of(folder, allow_pickle=allowed).ask.model.content
        assert content == plan_of(made("llama")).ask.model.content


def without_head(tensors: dict[str, Any]) -> None:
    del tensors["lm_head.weight"]


def another_shape(tensors: dict[str, Any]) -> None:
    tensors["lm_head.weight"] = tensors["lm_head.weight"][:, :3].contiguous()


@pytest.mark.parametrize(
    ("spoil", "code", "words"), [(without_head, 2, "lacks 1 of the model's weights"), (another_shape, 5, "mismatched")]
)
def test_weights_are_never_made_up(
    spoil: Callable[[dict[str, Any]], None],
    code: int,
    words: str,
    made: Folder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """transformers draws a weight that no file holds at random, and says so in a log."""
    from safetensors.torch import load_file, save_file

    folder = copied(made("llama"), tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    spoil(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    path = write_spec(tmp_path, spec_of(folder))
    in_process(capsys, "run", str(path), "--out", str(tmp_path / "out"), "--quiet").refused(code, words)


# --------------------------------------------------------- a tokenizer from elsewhere


def test_another_tokenizer_is_the_one_that_is_used_and_pinned(made: Folder, tmp_path: Path) -> None:
    other = tmp_path / "tokenizer"
    other.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(made("llama") / name, other / name)
    own = plan_of(made("llama"))
    before = plan_of(made("llama"), tokenizer={"path": str(other)})
    assert before.ask.model.content == own.ask.model.content, "the same bytes are the same tokenizer, wherever they lie"
    tokenizer = json.loads((other / "tokenizer.json").read_text("utf-8"))
    tokenizer["post_processor"] = None
    tokenizer["normalizer"] = {"type": "Lowercase"}
    (other / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    record = run_of(tmp_path / "out", spec_of(made("llama"), tokenizer={"path": str(other)}))
    measured_anew(before, record.effective)
    pins = record.effective.ask.model
    assert pins.content.tokenizer == pinned(other / "tokenizer.json", other / "tokenizer_config.json")
    assert pins.origins == {}
    same = run_of(tmp_path / "own", spec_of(made("llama")))
    assert record.observed.tokens[0].prompt_tokens != same.observed.tokens[0].prompt_tokens, "it is used"


def test_a_byte_of_the_tokenizers_own_vocabulary_file_counts(made: Folder, tmp_path: Path) -> None:
    """What a tokenizer with code of its own reads has no name that everybody knows."""
    folder = copied(made("llama"), tmp_path / "model")
    for name in ("own.tiktoken", "sentencepiece.bpe.model"):
        (folder / name).write_bytes(b"first")
    before = plan_of(folder)
    assert {"own.tiktoken", "sentencepiece.bpe.model"} <= {pin.path for pin in before.ask.model.content.tokenizer}
    flip(folder / "own.tiktoken")
    measured_anew(before, plan_of(folder))


# ------------------------------------------------------- prequantised, and devices

BNB = {"quant_method": "bitsandbytes", "load_in_4bit": True, "_load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}


def test_a_quantised_checkpoint_is_pinned_by_its_config_and_names_the_library_that_is_missing(
    made: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if find_spec("bitsandbytes"):
        pytest.skip("bitsandbytes is installed here")
    folder = copied(made("llama"), tmp_path / "model")
    edit(folder / "config.json", quantization_config=BNB)
    plan = plan_of(folder)
    quantisation = plan.ask.model.content.quantisation
    assert quantisation is not None
    assert {key: quantisation[key] for key in BNB} == BNB
    measured_anew(plan_of(made("llama")), plan)
    path = write_spec(tmp_path, spec_of(folder))
    in_process(capsys, "run", str(path), "--out", str(tmp_path / "out"), "--quiet").refused(5, "bitsandbytes")


def test_quantisation_that_is_not_applied_is_refused(
    made: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """transformers skips a method that it does not know, and unpacks fp8 where there is no GPU: another model."""
    folder = copied(made("llama"), tmp_path / "model")
    edit(folder / "config.json", quantization_config={"quant_method": "of_tomorrow"})
    path = write_spec(tmp_path, spec_of(folder))
    out = str(tmp_path / "out")
    in_process(capsys, "run", str(path), "--out", out, "--quiet").refused(5, "of_tomorrow", "quantization_config")


def test_a_balanced_map_is_pinned_and_needs_gpus(
    made: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    spec = spec_of(made("llama"))
    spec["engine"]["device_map"] = "balanced"
    path = write_spec(tmp_path, spec)
    called = in_process(capsys, "run", str(path), "--out", str(tmp_path / "out"), "--quiet")
    called.refused(5, "device_map", "single")
    plan = json.loads((tmp_path / "out" / "plan.json").read_bytes())
    assert plan["ask"]["engine"]["device_map"] == "balanced"


@pytest.mark.parametrize("place", ["cpu", "disk", "meta"])
def test_offloading_is_refused(place: str, made: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """As accelerate answers where the layers do not fit on the GPUs."""
    import torch

    from benchproof.engines import loading
    from benchproof.errors import MachineError
    from models.test_architectures import an_engine

    engine = an_engine(made("llama"))
    pin = engine.pin().model_copy(update={"device_map": "balanced"})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    def spread(*args: Any, **asked: Any) -> Any:
        assert asked["device_map"] == "balanced"
        engine._model.hf_device_map = {"model.embed_tokens": 0, "model.layers.1": place}
        return engine._model, {"missing_keys": set()}

    monkeypatch.setattr("benchproof.engines.loading.AutoModelForCausalLM.from_pretrained", spread)
    with pytest.raises(MachineError, match=f"layers would go to {place}") as caught:
        loading.load(engine.files, pin, "cuda:0", {}, pickled=False)
    assert "offloading is refused" in str(caught.value)
