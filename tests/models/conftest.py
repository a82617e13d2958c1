"""Each folder is made once; what remembers or caches anything does so in a folder of the tests' own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models import folders

Folder = Callable[[str], Path]


@pytest.fixture(scope="session", autouse=True)
def own_caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hashes are remembered, and the code of models is copied, in folders that end with the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCHPROOF_CACHE", str(tmp_path_factory.mktemp("cache")))
        modules = str(tmp_path_factory.mktemp("modules"))
        patch.setenv("HF_MODULES_CACHE", modules)
        patch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", modules)
        yield


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A model folder by its name, made when it is first asked for; read it, never write in it."""
    home = tmp_path_factory.mktemp("folders")

    def make(name: str) -> Path:
        folder = home / name
        if folder.exists():
            return folder
        match name:
            case "lora":
                return folders.make_adapter(folder, make("llama"))
            case "gpt2-lora":
                return folders.make_adapter(folder, make("gpt2"), ["c_attn"])
            case "sharded":
                return folders.make_sharded(folder, make("llama"))
            case "pickled":
                return folders.make_pickled(folder, make("llama"))
            case "chat":
                return folders.make_family(folder, "qwen2", template=folders.CHATML)
            case "own":
                return folders.make_own_code(folder)
            case _:
                return folders.make_family(folder, name)

    return make
