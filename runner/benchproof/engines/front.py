"""What is known of a model before its weights are loaded: config, tokenizer, context length, sizes."""

import importlib.metadata
import inspect
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.dynamic_module_utils import get_class_from_dynamic_module

from benchproof.engines import weights
from benchproof.engines.batches import BATCHING, make_ops
from benchproof.engines.determinism import WORKSPACE
from benchproof.engines.tokens import Tokens
from benchproof.errors import BadInput, MachineError, MissingInput
from benchproof.ports import ModelFiles, Op, Progress
from benchproof.schema.canonical import plain, sha256, text_sha256
from benchproof.schema.plan import EnginePin, FilePin, ModelContent, ModelPin
from benchproof.schema.request import Encoded, Request
from benchproof.schema.spec import EngineAsk, ModelAsk, ThinkingAsk

LENGTH_KEYS = ("n_positions", "max_position_embeddings", "n_ctx")  # in lm-eval's order
DEFAULT_MAX_LENGTH = 2048  # lm-eval's, where neither config nor tokenizer says
NO_THINKING = ThinkingAsk()
PACKAGES = ("torch", "transformers", "tokenizers", "safetensors")
# Settings of a checkpoint's generation_config that alter greedy text; stock applies them, we do not.
NEUTRAL = {
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_repetition_penalty": 1.0,
    "bad_words_ids": None,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "min_length": 0,
    "min_new_tokens": None,
    "num_beams": 1,
    "penalty_alpha": None,
}


class HfFront:
    """The part of ports.Engine that needs no weights. Shared by `hf` and `replay`."""

    def __init__(
        self,
        files: ModelFiles,
        model: ModelAsk,
        engine: EngineAsk,
        device: str,
        *,
        thinking: ThinkingAsk = NO_THINKING,
        rehash: bool = False,
    ) -> None:
        self.files, self.model_ask, self.engine_ask, self.device = files, model, engine, device
        self.thinking, self._rehash = thinking, rehash
        # What transformers needs to run a model's own code, at the commit that is pinned.
        self.remote: dict[str, Any] = {"trust_remote_code": model.trust_remote_code, "local_files_only": not files.code}
        if files.code:
            self.remote["code_revision"] = files.code[0].commit
        self._tokenizer_folder = files.tokenizer.folder if files.tokenizer else files.folder
        self.config = _config(files.folder, self.remote)
        self.tokenizer = _tokenizer(self._tokenizer_folder, self.remote)
        if model.chat_template == "model" and not self.tokenizer.chat_template:
            raise BadInput(
                "the tokenizer has no chat template", where="model.chat_template", do="set `chat_template: none`"
            )
        self._weights = weights.weight_files(files.folder, allow_pickle=model.allow_pickle)
        self._parameters = weights.parameters(self._weights)
        self._adapter: list[Path] = []
        if files.adapter:
            self._adapter = weights.adapter_files(files.adapter.folder, allow_pickle=model.allow_pickle)
        self._class = _model_class(self.config, files.folder, self.remote)
        # Whether the output head can be applied to chosen positions; else every position gets its logits.
        self._keeps = "logits_to_keep" in inspect.signature(self._class.forward).parameters
        self.pickled = self._weights[0].suffix != ".safetensors"
        self.max_length = self._length()
        self.tokens = Tokens(self.tokenizer, self.max_length)
        ids = (self.tokenizer.pad_token_id, self.tokenizer.unk_token_id, self.tokenizer.eos_token_id)
        self.pad_id: int = next((i for i in ids if i is not None), 0)  # in lm-eval's order

    def device_uuid(self) -> str | None:
        """See ports.Engine.device_uuid. Asking starts CUDA, so what must be set before is set here too."""
        if not self.device.startswith("cuda"):
            return None
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", WORKSPACE)
        return str(torch.cuda.get_device_properties(self.device).uuid)

    def pin_model(self, progress: Progress) -> ModelPin:
        """See ports.Engine.pin_model."""
        folder, files = self.files.folder, self.files
        generation = folder / "generation_config.json"
        template = self.tokenizer.chat_template if self.model_ask.chat_template == "model" else None
        if isinstance(template, dict):  # several, by name
            template = json.dumps(template, sort_keys=True)
        places = dict.fromkeys((folder, self._tokenizer_folder, *(place.folder for place in files.code)))
        code = [path for place in places for path in sorted(place.glob("*.py"))]
        parts = {"tokenizer": files.tokenizer, "adapter": files.adapter, "code": next(iter(files.code), None)}
        return ModelPin(
            content=ModelContent(
                weights=self._pinned(self._weights, progress, "weights"),
                config_sha256=sha256((folder / "config.json").read_bytes()),
                generation_config_sha256=sha256(generation.read_bytes()) if generation.is_file() else None,
                tokenizer=self._pinned(weights.tokenizer_files(self._tokenizer_folder), progress, "tokenizer"),
                chat_template_sha256=None if template is None else text_sha256(template),
                template_kwargs=dict(self.model_ask.template_kwargs),
                system_prompt=self.model_ask.system_prompt,
                thinking=self.thinking.model_dump(mode="json") if self.thinking.end_token else None,
                adapter=self._pinned(self._adapter, progress, "adapter") if self._adapter else [],
                code=self._pinned(code, progress, "code") if self.model_ask.trust_remote_code else [],
                quantisation=quantisation_of(self.config),
            ),
            repo=files.repo,
            commit=files.commit,
            origins={name: place.origin for name, place in parts.items() if place and place.origin},
            architecture=str((self.config.architectures or [type(self.config).__name__])[0]),
            parameters=self._parameters,
        )

    def _pinned(self, files: list[Path], progress: Progress, what: str) -> list[FilePin]:
        return weights.pin_files(files, progress, what, rehash=self._rehash)

    def pin(self) -> EnginePin:
        """See ports.Engine.pin."""
        return EnginePin(
            name="hf",
            dtype=self._dtype(),
            softmax_dtype=self.engine_ask.softmax_dtype,
            token_budget=self.engine_ask.token_budget,
            generation_batch=self.engine_ask.generation_batch,
            deterministic=self.engine_ask.deterministic,
            # By name: sdpa where the class has it, else eager, so the record's word is the one that ran.
            attention="sdpa" if getattr(self._class, "_supports_sdpa", False) else "eager",
            device_map=self.engine_ask.device_map,
            max_length=self.max_length,
            batching=BATCHING,
            neutralised=self._neutralised(),
        )

    def packages(self) -> dict[str, str]:
        """See ports.Engine.packages."""
        names = (*PACKAGES, "jinja2") if self.model_ask.chat_template == "model" else PACKAGES
        return {name: importlib.metadata.version(name) for name in names}

    def render(self, messages: list[dict[str, str]], add_generation_prompt: bool) -> str:
        """See ports.Engine.render.

        Unlike stock, a template that fails is an error: never a retry without the system message, which
        would be another prompt under the same name.
        """
        try:
            text = self.tokenizer.apply_chat_template(
                messages,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
                **self.model_ask.template_kwargs,
            )
        except (TemplateError, ValueError) as error:
            raise BadInput(
                f"the chat template refuses these messages: {error}",
                where="model.chat_template",
                do="leave out `system_prompt`, or set `chat_template: none`",
            ) from error
        system = next((m["content"].strip() for m in messages if m["role"] == "system"), "")
        if system and system not in text:
            raise BadInput(
                "the chat template drops the system message",
                where="model.chat_template",
                do="set `chat_template: none`",
            )
        return str(text)

    def encode(self, requests: Sequence[Request], progress: Progress) -> list[Encoded]:
        """See ports.Engine.encode."""
        return self.tokens.encode(requests, progress)

    def ops(self, requests: Sequence[Request], encoded: Sequence[Encoded]) -> list[Op]:
        """See ports.Engine.ops."""
        return make_ops(
            requests,
            encoded,
            token_budget=self.engine_ask.token_budget,
            generation_batch=self.engine_ask.generation_batch,
            bytes_of=self._op_bytes,
        )

    def memory_bytes(self, ops: Sequence[Op]) -> int | None:
        """See ports.Engine.memory_bytes: weights, and the op that needs most beside them."""
        stored = sum(file.stat().st_size for file in self._weights)
        counted = isinstance(self._parameters, int) and not quantisation_of(self.config)
        loaded = int(str(self._parameters)) * _bytes_of(self._dtype()) if counted else stored
        return loaded + max((self._op_bytes(op) for op in ops), default=0)

    def _op_bytes(self, op: Op) -> int:
        """Activations, cache and logits of one op. ENGINE's formula; an estimate, in no id but for its order."""
        text = self.config.get_text_config()
        size = _bytes_of(self._dtype())
        hidden = int(getattr(text, "hidden_size", 0) or getattr(text, "n_embd", 0))
        layers = int(getattr(text, "num_hidden_layers", 0) or getattr(text, "n_layer", 0))
        heads = int(getattr(text, "num_attention_heads", 0) or getattr(text, "n_head", 0)) or 1
        cache = 2 * layers * int(getattr(text, "num_key_value_heads", None) or heads) * (hidden // heads) * size
        inner = int(getattr(text, "intermediate_size", None) or 4 * hidden)
        activations = op.cost * (8 * hidden + 2 * inner) * size
        # At least one row of logits for each request; all positions where the head cannot be told which.
        rows = op.cost if op.kind == "loglikelihood" and not self._keeps else len(op.requests)
        logits = rows * int(text.vocab_size) * (size + 4)
        return activations + logits + (op.cost * cache if op.kind == "generate_until" else 0)

    def _length(self) -> int:
        text = self.config.get_text_config()
        for key in LENGTH_KEYS:
            if getattr(text, key, None) is not None:
                return int(getattr(text, key))
        limit = getattr(self.tokenizer, "model_max_length", None)
        return int(limit) if limit is not None and limit < 1e20 else DEFAULT_MAX_LENGTH

    def _dtype(self) -> str:
        """The asked dtype, or the checkpoint's own."""
        if self.engine_ask.dtype != "auto":
            return self.engine_ask.dtype
        declared = getattr(self.config, "dtype", None) or torch.float32
        return str(declared).removeprefix("torch.")

    def _neutralised(self) -> list[str]:
        """`name=value` of what the checkpoint would do to greedy text, and we leave undone."""
        path = self.files.folder / "generation_config.json"
        if not path.is_file():
            return []
        given = json.loads(path.read_text("utf-8"))
        return sorted(
            f"{k}={given[k]}" for k, neutral in NEUTRAL.items() if k in given and given[k] not in (neutral, None)
        )


def _config(folder: Path, remote: dict[str, Any]) -> Any:
    try:
        config = AutoConfig.from_pretrained(folder, **remote)
    except (ValueError, KeyError, OSError, ImportError) as error:
        _refuse_untrusted(error, "model")
        text = " ".join(str(error).split())
        raise BadInput(
            f"config.json cannot be used: {text[:200]}", where="model", do="give a transformers model folder"
        ) from error
    if config.is_encoder_decoder:
        raise BadInput("encoder-decoder models are not run", where="model", do="choose a decoder-only model")
    own = remote["trust_remote_code"] and "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {})
    if type(config) not in AutoModelForCausalLM._model_mapping and not own:
        raise BadInput(
            f"{type(config).__name__} is no causal language model that transformers knows",
            where="model",
            do="choose another model, or set `model.trust_remote_code: true` if it brings its own code",
        )
    return config


def _refuse_untrusted(error: Exception, what: str) -> None:
    """Raises BadInput if it was foreign code that transformers would not run."""
    if "trust_remote_code" in str(error) or "custom code" in str(error):
        raise BadInput(
            f"the {what} brings code of its own, which is not run unasked",
            where="model",
            do="read that code, then set `model.trust_remote_code: true`",
        ) from error


def _tokenizer(folder: Path, remote: dict[str, Any]) -> Any:
    if not weights.tokenizer_files(folder):
        raise MissingInput("no tokenizer in the folder", where="model", do="copy its files there, or name `tokenizer:`")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **remote)
    except (ValueError, KeyError, OSError, ImportError) as error:
        _refuse_untrusted(error, "tokenizer")
        raise BadInput(
            f"the tokenizer cannot be loaded: {' '.join(str(error).split())[:200]}", where="model", do="check its files"
        ) from error
    if tokenizer.eos_token_id is None and tokenizer.bos_token_id is None:
        raise BadInput("the tokenizer has neither BOS nor EOS", where="model", do="choose another tokenizer")
    return tokenizer


def _model_class(config: Any, folder: Path, remote: dict[str, Any]) -> Any:
    """The class that will be loaded: the model's own where its code is trusted, else transformers'."""
    own = (getattr(config, "auto_map", None) or {}).get("AutoModelForCausalLM")
    if not (remote["trust_remote_code"] and own):
        return AutoModelForCausalLM._model_mapping[type(config)]
    revision = {"code_revision": remote["code_revision"]} if "code_revision" in remote else {}
    # transformers would go on with the class of a model that was loaded before, where only this code differs.
    AutoModelForCausalLM._model_mapping._extra_content.pop(type(config), None)
    try:
        return get_class_from_dynamic_module(own, str(folder), **revision)
    except ImportError as error:
        raise MachineError(
            f"the model's own code cannot be imported: {' '.join(str(error).split())[:200]}",
            where="model",
            do="install the library that is named, then run again",
        ) from error
    except Exception as error:  # the model's code: foreign, and run by being read
        raise BadInput(
            f"the model's own code fails: {type(error).__name__}: {' '.join(str(error).split())[:160]}",
            where="model",
            do="check `auto_map` in config.json, and the code that it names",
        ) from error


def quantisation_of(config: Any) -> dict[str, Any] | None:
    """The checkpoint's own word on how its weights are packed."""
    given = getattr(config, "quantization_config", None)
    if given is None:
        return None
    value = given if isinstance(given, dict) else given.to_dict()
    return dict(plain(json.loads(json.dumps(value, default=str))))


def _bytes_of(dtype: str) -> int:
    return int(getattr(torch, dtype).itemsize)
