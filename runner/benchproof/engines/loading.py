"""Weights into memory: dtype and attention as pinned, an adapter on top, on one device or balanced over GPUs."""

import logging
import pickle
import warnings
from importlib.util import find_spec
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from benchproof.errors import BadInput, MachineError
from benchproof.ports import ModelFiles
from benchproof.schema.plan import EnginePin

log = logging.getLogger(__name__)


def load(
    files: ModelFiles,
    pin: EnginePin,
    device: str,
    remote: dict[str, Any],
    *,
    pickled: bool,
    quantisation: dict[str, Any] | None = None,
) -> Any:
    """The model. Raises MachineError for a library that is missing or layers that do not fit on the GPUs.

    quantisation: what the checkpoint's config says; refused where it would be left out.
    """
    if files.adapter is not None and find_spec("peft") is None:  # before minutes of loading
        raise MachineError(
            "the spec names an adapter, and peft is not installed", where="model.adapter", do="pip install peft"
        )
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
        model, found = AutoModelForCausalLM.from_pretrained(
            files.folder,
            dtype=getattr(torch, pin.dtype),
            attn_implementation=pin.attention,
            use_safetensors=not pickled,
            output_loading_info=True,
            **remote,
            **place,
        )
    except ImportError as error:
        raise MachineError(
            f"a library that this checkpoint needs is missing: {' '.join(str(error).split())[:200]}",
            where="model",
            do="install the library that is named, then run again",
        ) from error
    except (ValueError, KeyError, OSError, pickle.UnpicklingError) as error:
        raise BadInput(
            f"the model cannot be loaded: {' '.join(str(error).split())[:200]}",
            where="model",
            do="check that its files belong together, or download it again",
        ) from error
    _refuse_invented(sorted(found["missing_keys"] & {name for name, _ in model.named_parameters()}))
    if quantisation is not None and not getattr(model, "is_quantized", False):
        raise MachineError(
            f"transformers does not apply the checkpoint's quantisation here ({quantisation.get('quant_method')})",
            where="config.json, quantization_config",
            do="run it on a GPU with its kernels installed; unpacked weights would be another model",
        )
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


def _refuse_invented(missing: list[str]) -> None:
    """Raises BadInput for weights that no file holds: transformers would draw them at random and go on."""
    if missing:
        raise BadInput(
            f"the checkpoint lacks {len(missing)} of the model's weights, {missing[0]} first",
            where="model",
            do="download it again, or choose the checkpoint of a causal language model",
        )


def _with_adapter(model: Any, files: ModelFiles) -> Any:
    """The adapter on top, all of it: one that fits in part was made for another model."""
    from peft import PeftConfig, PeftModel

    folder = str(files.adapter.folder) if files.adapter else ""
    names = getattr(model, "_checkpoint_conversion_mapping", {})
    try:
        if PeftConfig.from_pretrained(folder).is_prompt_learning:
            raise BadInput(
                "prompt-tuning adapters put tokens of their own before every prompt; they are not run",
                where="model.adapter",
                do="use a LoRA adapter, or merge it into the model",
            )
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            adapted = PeftModel.from_pretrained(model, folder)
        for warning in told:
            log.info("peft: %s", warning.message)
        # Loaded once more: only this call tells what of the file found no place, only the other what it lacked.
        unused = adapted.load_adapter(folder, "default", key_mapping=names).unexpected_keys
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise BadInput(
            f"the adapter does not go onto this model: {' '.join(str(error).split())[:160]}",
            where="model.adapter",
            do="give the adapter of this base model",
        ) from error
    if unused or any("missing adapter keys" in str(warning.message) for warning in told):
        raise BadInput(
            f"the adapter fits this model only in part: {f'{unused[0]} has no place' if unused else 'it lacks layers'}",
            where="model.adapter",
            do="give the adapter of this base model",
        )
    return adapted
