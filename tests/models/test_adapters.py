"""PEFT adapters: peft's own numbers, pinned by their bytes, and refused where they fit only in part."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cli.call import in_process
from fakes.smoke import write_spec
from models.conftest import Folder
from models.folders import copied, edit, flip, make_adapter
from models.small import measured_anew, plan_of, run_of, spec_of
from models.test_architectures import an_engine, requests
from models.test_folders import pinned


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft's own, of transformers
def test_an_adapter_gives_the_log_likelihoods_of_peft(made: Folder) -> None:
    """Merged by peft into a plain model of transformers; nothing of ours but the token ids."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from benchproof.engines.hf import HfEngine
    from benchproof.ports import ModelFiles, Place
    from benchproof.report.progress import Silent
    from benchproof.schema.response import Loglikelihood
    from benchproof.schema.spec import EngineAsk, ModelAsk

    base = AutoModelForCausalLM.from_pretrained(made("llama"), dtype=torch.float32)
    native = PeftModel.from_pretrained(base, str(made("lora"))).merge_and_unload().eval()
    ask, settings = ModelAsk(path="x", adapter={"path": "y"}), EngineAsk(dtype="float32", token_budget=256)  # type: ignore[arg-type]
    files = ModelFiles(made("llama"), "tiny", None, None, adapter=Place(made("lora"), None, None))
    engine, bare = HfEngine(files, ask, settings, "cpu", 1), an_engine(made("llama"))
    engine.load(Silent())
    asked = requests()
    encoded = engine.encode(asked, Silent())
    moved = 0
    for op in engine.ops(asked, encoded):
        answers = zip(op.requests, engine.answer(op, asked, encoded), bare.answer(op, asked, encoded), strict=True)
        for i, response, without in answers:
            assert isinstance(response, Loglikelihood)
            assert isinstance(without, Loglikelihood)
            item = encoded[i]
            ids, n = torch.tensor([item.context + item.continuation]), len(item.continuation)
            with torch.no_grad():
                scores = native(ids).logits[0, -n - 1 : -1].double().log_softmax(-1)
            assert response.loglikelihood == pytest.approx(float(scores.gather(1, ids[0, -n:, None]).sum()), abs=1e-4)
            moved += abs(response.loglikelihood - without.loglikelihood) > 0.01
    assert moved > len(asked) / 2, "an adapter that does nothing shows nothing"


def test_it_runs_and_is_pinned(made: Folder, tmp_path: Path) -> None:
    record = run_of(tmp_path / "out", spec_of(made("llama"), adapter={"path": str(made("lora"))}))
    bare = run_of(tmp_path / "bare", spec_of(made("llama")))
    measured_anew(bare.effective, record.effective)
    content = record.effective.ask.model.content
    files = pinned(made("lora") / "adapter_config.json", made("lora") / "adapter_model.safetensors")
    assert content.adapter == files
    assert content.weights == bare.effective.ask.model.content.weights
    assert record.observed.answers_digest != bare.observed.answers_digest
    assert record.observed.attempts[0].engine.model_class == "PeftModelForCausalLM"


def test_no_path_of_a_machine_stands_in_the_record(made: Folder, tmp_path: Path) -> None:
    parts = {"adapter": {"path": str(made("lora"))}, "tokenizer": {"path": str(made("llama"))}}
    run_of(tmp_path / "out", spec_of(made("llama"), **parts))
    text = (tmp_path / "out" / "record.json").read_text("utf-8")
    assert str(made("llama").parent) not in text


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "adapter_config.json"])
def test_a_byte_of_it_is_another_measurement(file: str, made: Folder, tmp_path: Path) -> None:
    folder = copied(made("lora"), tmp_path / "lora")
    before = plan_of(made("llama"), adapter={"path": str(folder)})
    if file.endswith(".json"):
        edit(folder / file, lora_alpha=9)
    else:
        flip(folder / file)
    measured_anew(before, plan_of(made("llama"), adapter={"path": str(folder)}))


def prompt_tuning(folder: Path) -> None:
    edit(folder / "adapter_config.json", peft_type="PROMPT_TUNING", num_virtual_tokens=4)


def pickled(folder: Path) -> None:
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")


def no_weights(folder: Path) -> None:
    (folder / "adapter_model.safetensors").unlink()


def truncated(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])


def no_config(folder: Path) -> None:
    (folder / "adapter_config.json").unlink()


def not_json(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{")


SPOILED: dict[str, tuple[Callable[[Path], None], int, str]] = {
    "prompt tuning": (prompt_tuning, 2, "prompt-tuning"),
    "pickled": (pickled, 2, "pickled"),
    "no weights": (no_weights, 3, "adapter_model.safetensors"),
    "truncated": (truncated, 3, "its header says"),
    "no config": (no_config, 3, "adapter_config.json"),
    "not JSON": (not_json, 2, "adapter_config.json"),
}


@pytest.mark.parametrize(("spoil", "code", "words"), SPOILED.values(), ids=SPOILED)
def test_what_cannot_be_put_on_is_told_by_plan_already(
    spoil: Callable[[Path], None],
    code: int,
    words: str,
    made: Folder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = copied(made("lora"), tmp_path / "lora")
    spoil(folder)
    path = write_spec(tmp_path, spec_of(made("llama"), adapter={"path": str(folder)}))
    in_process(capsys, "plan", str(path), "--quiet").refused(code, words)


def test_a_pickled_adapter_where_the_spec_allows_it(made: Folder, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder = copied(made("lora"), tmp_path / "lora")
    torch.save(load_file(folder / "adapter_model.safetensors"), folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()
    asked: dict[str, Any] = {"adapter": {"path": str(folder)}, "allow_pickle": True}
    record = run_of(tmp_path / "out", spec_of(made("llama"), **asked))
    other = run_of(tmp_path / "other", spec_of(made("llama"), adapter={"path": str(made("lora"))}))
    assert record.observed.answers_digest == other.observed.answers_digest
    assert [pin.path for pin in record.effective.ask.model.content.adapter] == [
        "adapter_config.json",
        "adapter_model.bin",
    ]


def of_another_family(made: Folder, folder: Path) -> Path:
    return made("gpt2-lora")


def of_a_wider_base(made: Folder, folder: Path) -> Path:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(made("llama"))
    config.hidden_size = 128
    AutoModelForCausalLM.from_config(config).save_pretrained(folder / "base")
    return make_adapter(folder / "lora", folder / "base")


def of_more_layers(made: Folder, folder: Path, layers: int = 3) -> Path:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(made("llama"))
    config.num_hidden_layers = layers
    config.layer_types = None
    AutoModelForCausalLM.from_config(config).save_pretrained(folder / "base")
    return make_adapter(folder / "lora", folder / "base")


def of_fewer_layers(made: Folder, folder: Path) -> Path:
    return of_more_layers(made, folder, 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (of_another_family, "not found in the base model"),
        (of_a_wider_base, "size mismatch"),
        (of_more_layers, "only in part"),
        (of_fewer_layers, "only in part"),
    ],
)
def test_an_adapter_of_another_base(
    make: Callable[[Folder, Path], Path],
    words: str,
    made: Folder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = make(made, tmp_path)
    path = write_spec(tmp_path, spec_of(made("llama"), adapter={"path": str(folder)}))
    called = in_process(capsys, "run", str(path), "--out", str(tmp_path / "out"), "--quiet")
    called.refused(2, words, "give the adapter of this base model")


def test_without_peft_it_is_told_before_the_weights_are_loaded(
    made: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing_is_loaded(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("weights were loaded")

    path = write_spec(tmp_path, spec_of(made("llama"), adapter={"path": str(made("lora"))}))
    monkeypatch.setattr("benchproof.engines.loading.find_spec", lambda name: None)
    monkeypatch.setattr("benchproof.engines.loading.AutoModelForCausalLM.from_pretrained", nothing_is_loaded)
    called = in_process(capsys, "run", str(path), "--out", str(tmp_path / "out"), "--quiet")
    called.refused(5, "pip install peft")


def test_its_base_is_named_in_its_config_and_read_from_nowhere(made: Folder, tmp_path: Path) -> None:
    folder = copied(made("lora"), tmp_path / "lora")
    config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    assert config["base_model_name_or_path"] == str(made("llama"))
    edit(folder / "adapter_config.json", base_model_name_or_path="nobody/nothing")
    record = run_of(tmp_path / "out", spec_of(made("llama"), adapter={"path": str(folder)}))
    assert record.effective.ask.model.content.adapter[0].path == "adapter_config.json"
