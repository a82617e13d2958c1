"""Weights into memory: dtype and attention as pinned, an adapter on top, on one device or balanced over GPUs."""

from importlib.util import find_spec
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from benchproof.errors import BadInput, MachineError
from benchproof.ports import ModelFiles
from benchproof.schema.plan import EnginePin


def load(files: ModelFiles, pin: EnginePin, device: str, remote: dict[str, Any], *, pickled: bool) -> Any:
    """The model. Raises MachineError for a library that is missing or layers that do not fit on the GPUs."""
    place: dict[str, Any] = {}
    if pin.device_map == "balanced":
        if not torch.cuda.is_available():
            raise MachineError(
                "`device_map: balanced` spreads layers over GPUs, and torch sees none",
                where="engine.device_map",
                do="set `device_map: single`",
            )
        place = {"device_map": "balanced"}
    try:
        model = AutoModelForCausalLM.from_pretrained(
            files.folder,
            dtype=getattr(torch, pin.dtype),
            attn_implementation=pin.attention,
            use_safetensors=not pickled,
            **remote,
            **place,
        )
    except ImportError as error:
        raise MachineError(
            f"a library that this checkpoint needs is missing: {' '.join(str(error).split())[:200]}",
            where="model",
            do="install the library that is named, then run again",
        ) from error
    elsewhere = sorted({str(d) for d in layers(model).values() if str(d) in ("cpu", "disk", "meta")})
    if place and elsewhere:
        raise MachineError(
            f"the model does not fit on the GPUs: layers would go to {elsewhere[0]}",
            where="engine.device_map",
            do="use more or larger GPUs, or a smaller dtype; offloading is refused, since it changes what is measured",
        )
    if not place and not getattr(model, "is_quantized", False):
        model = model.to(device)
    return model if files.adapter is None else _with_adapter(model, files)


def layers(model: Any) -> dict[str, str]:
    """Module -> device, where transformers has spread the model; empty for one device."""
    return {str(name): str(device) for name, device in (getattr(model, "hf_device_map", None) or {}).items()}


def _with_adapter(model: Any, files: ModelFiles) -> Any:
    if find_spec("peft") is None:
        raise MachineError(
            "the spec names an adapter, and peft is not installed", where="model.adapter", do="pip install peft"
        )
    from peft import PeftConfig, PeftModel

    folder = str(files.adapter.folder) if files.adapter else ""
    try:
        config = PeftConfig.from_pretrained(folder)
        if config.is_prompt_learning:
            raise BadInput(
                "prompt-tuning adapters put tokens of their own before every prompt; they are not run",
                where="model.adapter",
                do="use a LoRA adapter, or merge it into the model",
            )
        return PeftModel.from_pretrained(model, folder)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise BadInput(
            f"the adapter does not go onto this model: {' '.join(str(error).split())[:160]}",
            where="model.adapter",
            do="give the adapter of this base model",
        ) from error
