"""The unmodified client against the stand-in for the Hub: what lands there is what was sent, once, over a bad line."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from benchproof.publish.hub import send
from fakes.hub import local_hub
from fakes.hub_faults import HANG, Kind, Line, failing_line

FILES = {"README.md": b"---\nlicense: mit\n---\n", "data/a/b.json": b"{}\n", "data/a/b_samples.jsonl": b"{}\n{}\n"}
REPO = "owner/evals"


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("benchproof.publish.hub.SILENCE_S", 0.5)
    root = tmp_path / "root"
    (root / "datasets" / REPO).mkdir(parents=True)
    (root / "datasets" / REPO / "README.md").write_text("# there before\n")
    with local_hub(root, state=tmp_path / "state") as address, failing_line(address) as line:
        yield line


def pulls(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "state" / "datasets" / REPO).glob("pr-*"))


def sent(line: Line) -> bool:
    """Whether it was there already."""
    api = HfApi(endpoint=line.url, token="hf_plantedplantedplanted")
    return send(
        api, FILES, REPO, "dataset", "f" * 64, create_pr=True, say=lambda text: None, sleep=lambda s: None
    ).already


def test_what_lands_there_is_what_was_sent_and_once(line: Line, tmp_path: Path) -> None:
    assert not sent(line)
    assert sent(line)
    (pull,) = pulls(tmp_path)
    assert {name: (pull / name).read_bytes() for name in FILES} == FILES


@pytest.mark.parametrize("kind", ["drop", "500", "429", "timeout", "lost", "garbage"])
def test_a_failure_at_any_request_ends_in_one_pull_request(line: Line, tmp_path: Path, kind: Kind) -> None:
    sent(line)
    for number in range(len(line.seen)):
        for pull in pulls(tmp_path):
            shutil.rmtree(pull)
        line.fail(number, kind)
        began = time.monotonic()
        sent(line)
        assert time.monotonic() - began < HANG, f"{line.seen[number]}: a Hub that is silent is waited for"
        (pull,) = pulls(tmp_path)
        assert {name: (pull / name).read_bytes() for name in FILES} == FILES, line.seen[number]
        line.fail(None)
        assert sent(line), line.seen
