"""What makes a model that model: read from the files alone, and refused where a file is not what it says."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from benchproof.engines import weights
from benchproof.errors import BadInput, MissingInput
from benchproof.report.progress import Silent
from benchproof.schema.canonical import sha256
from fakes.smoke import SHIPPED


def safetensors(path: Path, shapes: dict[str, list[int]], **metadata: str) -> Path:
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, shape in shapes.items():
        size = 4
        for n in shape:
            size *= n
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))
    return path


def test_weights_are_counted_in_the_headers(tmp_path: Path) -> None:
    safetensors(tmp_path / "a.safetensors", {"x": [2, 3], "scalar": []}, format="pt")
    safetensors(tmp_path / "b.safetensors", {"y": [5]})
    files = weights.weight_files(tmp_path)
    assert [file.name for file in files] == ["a.safetensors", "b.safetensors"]
    assert weights.parameters(files) == 6 + 1 + 5


def test_the_count_is_the_one_that_torch_has() -> None:
    from safetensors import safe_open

    files = weights.weight_files(SHIPPED / "model")
    with safe_open(files[0], "pt") as file:
        assert weights.parameters(files) == sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118


@pytest.mark.parametrize("change", [-1, -100, 1])
def test_a_file_of_the_wrong_size_names_both_sizes(tmp_path: Path, change: int) -> None:
    path = safetensors(tmp_path / "model.safetensors", {"x": [100]})
    whole = path.read_bytes()
    path.write_bytes(whole[:change] if change < 0 else whole + b"x")
    with pytest.raises(MissingInput) as caught:
        weights.weight_files(tmp_path)
    assert caught.value.exit_code == 3
    for word in ("model.safetensors", str(len(whole)), str(len(whole) + change)):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1234",
        struct.pack("<Q", 2**60),
        struct.pack("<Q", 2) + b"{]",
        struct.pack("<Q", 8) + b'{"x":{}}',
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
    ],
)
def test_what_is_no_safetensors_file_is_said(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(MissingInput) as caught:
        weights.weight_files(tmp_path)
    assert "model.safetensors" in str(caught.value)


def test_no_weights_at_all(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"no \*\.safetensors"):
        weights.weight_files(tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pth", "model.ckpt", "model.pt"])
def test_a_pickle_is_code(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04")
    with pytest.raises(BadInput, match="pickle") as caught:
        weights.weight_files(tmp_path)
    assert caught.value.exit_code == 2


def test_an_index_says_which_files_are_the_model(tmp_path: Path) -> None:
    for name in ("a", "b", "stray"):
        safetensors(tmp_path / f"{name}.safetensors", {"x": [1]})
    index = {"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert [file.name for file in weights.weight_files(tmp_path)] == ["a.safetensors", "b.safetensors"]
    (tmp_path / "b.safetensors").unlink()
    with pytest.raises(MissingInput, match=r"1 of 2 weight files are missing, b\.safetensors"):
        weights.weight_files(tmp_path)


def test_a_pin_is_of_the_bytes_sorted_by_name(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"two")
    (tmp_path / "a").write_bytes(b"one")
    pins = weights.pin_files([tmp_path / "b", tmp_path / "a"], Silent(), "x")
    assert [(pin.path, pin.size, pin.sha256) for pin in pins] == [("a", 3, sha256(b"one")), ("b", 3, sha256(b"two"))]


def test_the_tokenizers_files_are_found_and_no_others(tmp_path: Path) -> None:
    for name in ("vocab.json", "merges.txt", "tokenizer.json", "config.json", "README.md"):
        (tmp_path / name).touch()
    assert [path.name for path in weights.tokenizer_files(tmp_path)] == ["merges.txt", "tokenizer.json", "vocab.json"]
