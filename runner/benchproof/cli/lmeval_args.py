"""What stands in lm-eval's --model_args, one function for each key that means something here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchproof.cli.compose import Choices
from benchproof.errors import BadInput

DTYPES = {
    "auto": "auto",
    "float32": "float32",
    "float": "float32",
    "bfloat16": "bfloat16",
    "float16": "float16",
    "half": "float16",
}


@dataclass
class Translated:
    """The choices, and one (word, why) for each word that is not carried over or means something else."""

    choices: Choices = field(default_factory=Choices)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def note(self, word: str, why: str) -> None:
        """Says something about a word."""
        self.notes.append((word, why))


def _dtype(key: str, value: Any, out: Translated) -> None:
    text = str(value).removeprefix("torch.")
    if text not in DTYPES:
        raise BadInput(f"unknown dtype {text!r}", where="--model_args", do=f"choose one of {', '.join(DTYPES)}")
    out.choices.fields["engine.dtype"] = DTYPES[text]


def _softmax_dtype(key: str, value: Any, out: Translated) -> None:
    text = str(value).removeprefix("torch.")
    if text in ("float32", "float"):
        out.choices.fields["engine.softmax_dtype"] = "float32"
    else:
        out.note(key, f"{text} is not carried: here it is float32, or `model` for the model's own dtype")


def _revision(key: str, value: Any, out: Translated) -> None:
    out.choices.fields["model.revision"] = str(value)


def _template_args(key: str, value: Any, out: Translated) -> None:
    if key == "enable_thinking":
        value = {"enable_thinking": value}
    if not isinstance(value, dict):
        raise BadInput(f"{key} is no mapping: {value!r}", where="--model_args", do="write {'name': value}")
    known = out.choices.fields.setdefault("model.template_kwargs", {})
    known.update({str(name): item for name, item in value.items()})


def trust_remote_code(key: str, value: Any, out: Translated) -> None:
    """Carried, with a word of care."""
    if value:
        out.choices.fields["model.trust_remote_code"] = True
        out.note(key, "carried: read that code before you run it; its files are pinned")


def _parallelize(key: str, value: Any, out: Translated) -> None:
    if value:
        out.choices.fields["engine.device_map"] = "balanced"


def _place(key: str, value: Any, out: Translated) -> None:
    """peft=X, tokenizer=X: a folder if there is one, else a repository."""
    kind = "path" if str(value).startswith((".", "/", "~")) or Path(str(value)).exists() else "repo"
    out.choices.fields["model.adapter" if key == "peft" else "model.tokenizer"] = {kind: str(value)}


def _think_end(key: str, value: Any, out: Translated) -> None:
    out.choices.fields["thinking.end_token"] = str(value)


def batch_size_word(key: str, value: Any, out: Translated) -> None:
    """Not carried: it is not what decides batches here."""
    out.note(
        key,
        "not carried: batches follow from engine.token_budget and generation_batch, which move only last bits",
    )


def unknown_arg(key: str, value: Any, out: Translated) -> None:
    """Said, never dropped in silence."""
    out.note(f"model_args {key}", f"not carried ({value!r}): no such setting here")


MODEL_ARGS: dict[str, Callable[[str, Any, Translated], None]] = {
    "dtype": _dtype,
    "softmax_dtype": _softmax_dtype,
    "revision": _revision,
    "trust_remote_code": trust_remote_code,
    "peft": _place,
    "tokenizer": _place,
    "parallelize": _parallelize,
    "think_end_token": _think_end,
    "enable_thinking": _template_args,
    "chat_template_args": _template_args,
    "batch_size": batch_size_word,
    "max_batch_size": batch_size_word,
}
