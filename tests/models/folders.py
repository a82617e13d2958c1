"""Model folders as people have them, tiny: families, adapters, shards, pickles, code of their own, chat templates."""

import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fakes.models import SMOKE, TOKENIZER

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
NARROW = SIZES | {"intermediate_size": 128, "num_key_value_heads": 2}
# family -> its config class, and what makes it small
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", NARROW),
    "qwen2": ("Qwen2Config", NARROW),
    "mistral": ("MistralConfig", NARROW | {"sliding_window": 16}),
    "gemma2": ("Gemma2Config", NARROW | {"head_dim": 16, "sliding_window": 16}),
    "gpt2": ("GPT2Config", {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 1024}),
    "gpt_neox": ("GPTNeoXConfig", SIZES | {"intermediate_size": 128}),
    "opt": ("OPTConfig", SIZES | {"ffn_dim": 128, "word_embed_proj_dim": 64}),
}
CONFIGURATION = '''"""The configuration of a model that transformers does not know."""

from transformers import PretrainedConfig


class TinyConfig(PretrainedConfig):
    model_type = "tiny_of_its_own"

    def __init__(self, vocab_size=0, hidden_size=16, scripts=(), **kwargs):
        self.vocab_size, self.hidden_size, self.scripts = vocab_size, hidden_size, list(scripts)
        self.num_hidden_layers = self.num_attention_heads = 1
        super().__init__(**kwargs)
'''
MODELING = '''"""A model of its own: old manners, without `logits_to_keep`, a cache, or attention of any kind."""

import torch
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from .configuration_tiny import TinyConfig


class TinyForCausalLM(PreTrainedModel, GenerationMixin):
    config_class = TinyConfig

    def __init__(self, config):
        super().__init__(config)
        self.embed = torch.nn.Embedding(config.vocab_size, config.hidden_size)
        self.head = torch.nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def prepare_inputs_for_generation(self, input_ids, attention_mask=None, **kwargs):
        return {"input_ids": input_ids, "attention_mask": attention_mask}

    def forward(self, input_ids, attention_mask=None, use_cache=None, return_dict=None):
        seen = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        weighed = self.embed(input_ids) * seen[..., None]
        logits = self.head(weighed + weighed.cumsum(1) / seen.cumsum(1).clamp(min=1)[..., None])
        for row, ids in enumerate(input_ids.tolist()):
            token = scripted(ids, self.config.scripts)
            if token is not None:
                logits[row, -1, token] += 1000.0
        return CausalLMOutput(logits=logits)


def scripted(ids, scripts):
    """The next token of the first script whose mark stands in the prompt; None without scripts."""
    for mark, script in scripts:
        if any(ids[i : i + len(mark)] == mark for i in range(len(ids) - len(mark) + 1)):
            said = next(n for n in range(len(script), -1, -1) if n == 0 or ids[-n:] == script[:n])
            return script[said] if said < len(script) else 0
    return None
'''
AUTO_MAP = {
    "AutoConfig": "configuration_tiny.TinyConfig",
    "AutoModelForCausalLM": "modeling_tiny.TinyForCausalLM",
}


def edit(path: Path, **changes: Any) -> Path:
    """A JSON file with some keys changed; None takes a key away."""
    value = json.loads(path.read_text("utf-8")) | changes
    path.write_text(json.dumps({k: v for k, v in value.items() if v is not None}, indent=2), "utf-8")
    return path


def flip(path: Path, at: int = -1) -> None:
    """One byte of a file changed: another file of the same size."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def copied(source: Path, target: Path) -> Path:
    """A folder of one's own, to be changed."""
    shutil.copytree(source, target)
    return target


def with_tokenizer(folder: Path) -> int:
    """The smoke model's tokenizer in a folder, without BOS; returns the size of its vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER:
        shutil.copy(SMOKE / name, folder / name)
        (folder / name).chmod(0o644)
    edit(folder / "tokenizer_config.json", model_max_length=1024)
    return int(json.loads((SMOKE / "config.json").read_text("utf-8"))["vocab_size"])


def make_family(folder: Path, family: str, *, template: str | None = None) -> Path:
    """A model of a family of FAMILIES with wide random weights, fp32."""
    import torch
    import transformers

    vocabulary = with_tokenizer(folder)
    kind, sizes = FAMILIES[family]
    config = getattr(transformers, kind)(
        vocab_size=vocabulary, bos_token_id=None, eos_token_id=0, pad_token_id=1, initializer_range=0.2, **sizes
    )
    setattr(config, "init_std", 0.2)  # noqa: B010  # OPT's word for it
    torch.manual_seed(3)
    transformers.AutoModelForCausalLM.from_config(config).float().eval().save_pretrained(folder)
    if template is not None:
        (folder / "chat_template.jinja").write_text(template, "utf-8")
    return folder


def make_adapter(folder: Path, base: Path, targets: Sequence[str] = ("q_proj", "v_proj"), seed: int = 5) -> Path:
    """A LoRA adapter of a base model, its weights drawn at random."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base, local_files_only=True)
    config = LoraConfig(r=4, target_modules=list(targets), task_type="CAUSAL_LM", init_lora_weights=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft asks transformers in words of yesterday
        get_peft_model(model, config).save_pretrained(str(folder))
    return folder


def make_sharded(folder: Path, base: Path) -> Path:
    """The same model in several files, with an index."""
    from transformers import AutoModelForCausalLM

    copied(base, folder)
    (folder / "model.safetensors").unlink()
    model = AutoModelForCausalLM.from_pretrained(base, local_files_only=True)
    model.save_pretrained(folder, max_shard_size="200KB")
    return folder


def make_pickled(folder: Path, base: Path) -> Path:
    """The same weights as pytorch_model.bin."""
    import torch
    from safetensors.torch import load_file

    copied(base, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def make_own_code(folder: Path, *, scripts: Sequence[tuple[str, str]] = (), code_repo: str | None = None) -> Path:
    """A model that brings its own Python, here or in `code_repo`.

    scripts: (mark, text): what it writes after a prompt that holds the mark, then EOS; the first mark counts.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import AutoTokenizer

    vocabulary = with_tokenizer(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    prefix = f"{code_repo}--" if code_repo else ""
    config = {
        "model_type": "tiny_of_its_own",
        "architectures": ["TinyForCausalLM"],
        "auto_map": {key: prefix + value for key, value in AUTO_MAP.items()},
        "vocab_size": vocabulary,
        "hidden_size": 16,
        "eos_token_id": 0,
        "pad_token_id": 1,
        "scripts": [[tokenizer.encode(mark), tokenizer.encode(text)] for mark, text in scripts],
    }
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    generator = torch.Generator().manual_seed(7)
    weights = {name: torch.randn(vocabulary, 16, generator=generator) for name in ("embed.weight", "head.weight")}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    if code_repo is None:
        write_code(folder)
    return folder


def write_code(folder: Path) -> Path:
    """The Python of the model of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "configuration_tiny.py").write_text(CONFIGURATION, "utf-8")
    (folder / "modeling_tiny.py").write_text(MODELING, "utf-8")
    return folder
