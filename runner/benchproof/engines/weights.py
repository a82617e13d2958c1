"""A model folder -> what makes that model that model: file hashes, read without torch."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

from benchproof.errors import BadInput, MissingInput
from benchproof.ports import Progress
from benchproof.schema.plan import FilePin
from benchproof.schema.unknown import Known, Unknown
from benchproof.store.hashes import remembered_sha256

TOKENIZER_FILES = (
    "added_tokens.json",
    "merges.txt",
    "special_tokens_map.json",
    "spiece.model",
    "tekken.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
TOKENIZER_PATTERNS = ("*.model", "*.tiktoken")  # what a tokenizer with code of its own reads
TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json", "additional_chat_templates")
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")
PROMPT_TUNING = ("PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "CPT")
HEADER_LENGTH = struct.Struct("<Q")  # safetensors: u64 little-endian, then that many bytes of JSON


def weight_files(folder: Path, *, allow_pickle: bool = False) -> list[Path]:
    """The weight files of a model, sorted; complete by its index and by each file's own header.

    Pickled ones (*.bin) only where there are no safetensors and the spec allows them.
    Raises BadInput for pickled weights, MissingInput for none, a missing shard or a truncated file.
    """
    files, index = sorted(folder.glob("*.safetensors")), folder / "model.safetensors.index.json"
    if not files:
        pickled = sorted(p for pattern in PICKLED for p in folder.glob(pattern) if not p.name.startswith("training"))
        if pickled and not allow_pickle:
            raise BadInput(
                "the weights are pickled, and a pickle is code",
                where="model",
                do="convert them to safetensors, or set `model.allow_pickle: true` if you trust their author",
            )
        if not pickled:
            raise MissingInput("no *.safetensors in the model folder", where="model", do="give a complete model folder")
        files, index = pickled, folder / "pytorch_model.bin.index.json"
    if index.is_file():
        named = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        missing = sorted(named - {file.name for file in files})
        if missing:
            raise MissingInput(
                f"{len(missing)} of {len(named)} weight files are missing, {missing[0]} first",
                where="model",
                do="download the model again",
            )
        files = [file for file in files if file.name in named]
    for file in files:
        if file.suffix == ".safetensors":
            _check_size(file)
    return files


def parameters(files: list[Path]) -> Known[int]:
    """Number of weights, counted in the files' headers; a pickle tells it only when it is run."""
    if any(file.suffix != ".safetensors" for file in files):
        return Unknown(unknown="not_exposed", detail="the weights are pickled: their sizes are known after loading")
    total = 0
    for file in files:
        for _, shape in _tensors(file):
            count = 1
            for size in shape:
                count *= size
            total += count
    return total


def pin_files(files: list[Path], progress: Progress, what: str, *, rehash: bool = False) -> list[FilePin]:
    """Each file by its bytes, sorted by name; hashes that are known already are not computed again."""
    total = sum(file.stat().st_size for file in files)
    found = []
    with progress.phase(f"hashing {what}", total=total, unit="bytes") as phase:
        for file in sorted(files, key=lambda path: path.name):
            size = file.stat().st_size
            found.append(FilePin(path=file.name, size=size, sha256=remembered_sha256(file, rehash=rehash)))
            phase.advance(size, file.name)
    return found


def tokenizer_files(folder: Path) -> list[Path]:
    """The files that a tokenizer is made of, sorted."""
    named = {folder / name for name in TOKENIZER_FILES if (folder / name).is_file()}
    return sorted(named.union(*(folder.glob(pattern) for pattern in TOKENIZER_PATTERNS)))


def adapter_files(folder: Path, *, allow_pickle: bool = False) -> list[Path]:
    """An adapter's files, its weights after its config.

    Raises BadInput for pickled weights and for one that is no adapter of weights, MissingInput for no weights.
    """
    config = folder / "adapter_config.json"
    try:
        kind = str(json.loads(config.read_text("utf-8"))["peft_type"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput("adapter_config.json cannot be used", where="model.adapter", do="download it again") from error
    if kind in PROMPT_TUNING:
        raise BadInput(
            f"prompt-tuning adapters ({kind}) put tokens of their own before every prompt; they are not run",
            where="model.adapter",
            do="use a LoRA adapter, or merge it into the model",
        )
    files, pickled = sorted(folder.glob("adapter_model*.safetensors")), sorted(folder.glob("adapter_model*.bin"))
    if not files and pickled and not allow_pickle:
        raise BadInput(
            "the adapter's weights are pickled, and a pickle is code",
            where="model.adapter",
            do="convert them to safetensors, or set `model.allow_pickle: true` if you trust their author",
        )
    if not files and not pickled:
        raise MissingInput(
            "the adapter has no adapter_model.safetensors", where="model.adapter", do="give a complete adapter folder"
        )
    for file in files:
        _check_size(file)
    return [config, *(files or pickled)]


def needs_chat_template(folder: Path) -> None:
    """Raises BadInput if no file of the tokenizer holds a chat template."""
    config = folder / "tokenizer_config.json"
    inside = config.is_file() and "chat_template" in json.loads(config.read_text("utf-8"))
    if not inside and not any((folder / name).exists() for name in TEMPLATE_FILES):
        raise BadInput(
            "the tokenizer has no chat template", where="model.chat_template", do="set `chat_template: none`"
        )


def _tensors(file: Path) -> Iterator[tuple[str, list[int]]]:
    with file.open("rb") as handle:
        (length,) = HEADER_LENGTH.unpack(handle.read(HEADER_LENGTH.size))
        header = json.loads(handle.read(length))
    for name, entry in header.items():
        if name != "__metadata__":
            yield name, entry["shape"]


def _check_size(file: Path) -> None:
    size = file.stat().st_size
    try:
        with file.open("rb") as handle:
            (length,) = HEADER_LENGTH.unpack(handle.read(HEADER_LENGTH.size))
            header = json.loads(handle.read(length)) if length < size else {}
        if not isinstance(header, dict):
            raise ValueError("the header is no mapping")
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        expected = HEADER_LENGTH.size + length + max(ends, default=0)
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise MissingInput("not a safetensors file", where=file.name, do="download it again") from error
    if size != expected:
        raise MissingInput(
            f"{file.name} has {size} bytes, its header says {expected}", where="model", do="download it again"
        )
