"""Tiny random models in transformers' own folders: every family that treats tokens or positions its own way.

The weights are drawn wide, so that choices differ by much more than arithmetic does: an answer that flips between
two ways of computing the same model is then a defect and not noise.
"""

import json
import shutil
from pathlib import Path
from typing import Any, Literal

Kind = Literal["llama", "gpt2", "bos", "chat", "short"]

SMOKE = Path(__file__).resolve().parents[2] / "runner" / "benchproof" / "smoke" / "model"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
BOS = "<|begin|>"
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
NO_SYSTEM_TEMPLATE = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system message') }}{% endif %}" + TEMPLATE
)


def make_model(folder: Path, kind: Kind, *, seed: int = 0, template: str = TEMPLATE, layers: int = 2) -> Path:
    """A model folder, fp32. `layers` makes it slow, but for gpt2.

    llama: rotary positions, a context of 4096, no BOS. gpt2: learned positions, BOS and EOS are one token.
    bos: llama whose tokenizer puts BOS before every text. chat: bos with a chat template that writes BOS itself.
    short: llama with a context of 192 tokens, so that prompts are cut on the left.
    """
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    folder.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER:
        shutil.copy(SMOKE / name, folder / name)
        (folder / name).chmod(0o644)
    length = 192 if kind == "short" else 1024 if kind == "gpt2" else 4096
    settings: dict[str, Any] = {"model_max_length": length}
    vocabulary = json.loads((SMOKE / "config.json").read_text("utf-8"))["vocab_size"]
    if kind == "gpt2":
        settings["bos_token"] = "<|end|>"
    if kind in ("bos", "chat"):
        settings["bos_token"] = BOS
        _add_bos(folder / "tokenizer.json", vocabulary)
        vocabulary += 1
    if kind == "chat":
        (folder / "chat_template.jinja").write_text(template, "utf-8")
    config = folder / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text("utf-8")) | settings, indent=2), "utf-8")
    torch.manual_seed(seed)
    model: Any
    if kind == "gpt2":
        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocabulary,
                n_positions=length,
                n_embd=64,
                n_layer=2,
                n_head=4,
                bos_token_id=0,
                eos_token_id=0,
                initializer_range=0.2,
            )
        )
    else:
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=vocabulary,
                hidden_size=64,
                intermediate_size=128,
                num_hidden_layers=layers,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=length,
                bos_token_id=vocabulary - 1 if kind in ("bos", "chat") else None,
                eos_token_id=0,
                pad_token_id=1,
                initializer_range=0.2,
            )
        )
    model.float().eval().save_pretrained(folder)
    return folder


def _add_bos(path: Path, token_id: int) -> None:
    """A tokenizer.json with one more token, which its post-processor puts before every text, as Llama's does."""
    tokenizer = json.loads(path.read_text("utf-8"))
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    tokenizer["added_tokens"].append({"id": token_id, "content": BOS, **special})
    begin, first = {"SpecialToken": {"id": BOS, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    second = {"Sequence": {"id": "B", "type_id": 1}}
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [begin, first],
        "pair": [begin, first, second],
        "special_tokens": {BOS: {"id": BOS, "ids": [token_id], "tokens": [BOS]}},
    }
    path.write_text(json.dumps(tokenizer, ensure_ascii=False), "utf-8")
