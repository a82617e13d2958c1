"""`export` and `publish`, as a person calls them."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from cli.call import in_process
from fakes.checks import rewrite_record
from fakes.publishing import Store, publishing_hub
from publish.runs import complete, made

Capture = pytest.CaptureFixture[str]
TOKEN = "hf_plantedplantedplanted"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("share") / "made")


@pytest.fixture(scope="module")
def hub_run(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return complete(run, tmp_path_factory.mktemp("share") / "complete")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Store]:
    store = Store(token=TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with publishing_hub(store) as address:
        monkeypatch.setattr("benchproof.publish.hub.hub_api", lambda: HfApi(endpoint=address))
        yield store


@pytest.mark.parametrize("to", ["eee", "lm-eval"])
def test_export_writes_files_and_overwrites_none(run: Path, tmp_path: Path, capsys: Capture, to: str) -> None:
    called = in_process(capsys, "export", str(run), "--to", to, "-o", str(tmp_path / "out"))
    assert called.code == 0
    files = [line for line in called.out.splitlines() if line.startswith(str(tmp_path))]
    assert files
    assert all(Path(line).is_file() for line in files)
    assert "this is a smoke run" in called.out
    first, last = sorted(map(Path, files))[0], sorted(map(Path, files))[-1]
    first.unlink()
    in_process(capsys, "export", str(run), "--to", to, "-o", str(tmp_path / "out")).refused(2, "never overwritten")
    assert not first.exists(), "a part was written"
    assert last.exists()


def test_export_to_a_page_names_what_has_no_place_there(hub_run: Path, tmp_path: Path, capsys: Capture) -> None:
    card = tmp_path / "README.md"
    card.write_text("---\nlicense: mit\n---\nHello\n")
    words = ("export", str(hub_run), "-o", str(tmp_path / "out"), "--json", "--to")
    told = json.loads(in_process(capsys, *words, "model-index", "--card", str(card)).out)
    assert told["left_out"] == []
    assert "license: mit" in (tmp_path / "out" / "README.md").read_text()
    told = json.loads(in_process(capsys, *words, "eval-results").out)
    assert len(told["left_out"]) == 2


def test_words_that_cannot_be_are_refused(run: Path, tmp_path: Path, capsys: Capture) -> None:
    out = ("-o", str(tmp_path / "out"))
    in_process(capsys, "export", str(run), "--to", "xml", *out).refused(2, "eee")
    in_process(capsys, "export", str(run), "--to", "eee", "--samples", "some", *out).refused(2, "hashes")
    in_process(capsys, "export", "nothing", "--to", "eee", *out).refused(3, "nothing")
    card = str(tmp_path / "none.md")
    in_process(capsys, "export", str(run), "--to", "model-index", "--card", card, *out).refused(3, "card")
    in_process(capsys, "publish", str(run), "--to", "eee").refused(2, "smoke run is not published")


def verified_as_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is relabelled, so that it does not verify; what comes after that is tried here."""
    monkeypatch.setattr("benchproof.verify.CHECKS", ())
    monkeypatch.setattr("benchproof.verify.verify.__defaults__", ((),))


def test_publish_refuses_what_does_not_verify(hub_run: Path, store: Store, capsys: Capture) -> None:
    in_process(capsys, "publish", str(hub_run), "--to", "model").refused(1, "does not verify")
    assert store.asked == []


def test_publish_shows_what_it_sends_and_sends_it_once(
    hub_run: Path, store: Store, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified_as_complete(monkeypatch)
    store.main["README.md"] = b"---\nlicense: mit\n---\nHello\n"
    dry = in_process(capsys, "publish", str(hub_run), "--to", "model", "--dry-run")
    assert dry.code == 0, dry
    for word in ("to model owner/name:", "README.md", ".eval_results/gsm8k.yaml", "+model-index:", "nothing was sent"):
        assert word in dry.out
    assert store.pulls == []
    first = in_process(capsys, "publish", str(hub_run), "--to", "model")
    assert first.code == 0
    assert "sent: http" in first.out
    second = in_process(capsys, "publish", str(hub_run), "--to", "model")
    assert "already there: http" in second.out
    ((_, files),) = store.pulls
    assert sorted(files) == [".eval_results/gsm8k.yaml", "README.md"]
    assert b"license: mit" in files["README.md"]
    eee = in_process(capsys, "publish", str(hub_run), "--to", "eee", "--samples", "hashes")
    assert eee.code == 0
    assert len(store.pulls) == 2
    assert all(path.startswith("data/benchproof-") for path in store.pulls[1][1])


def test_publish_replaces_nobodys_result(
    hub_run: Path, store: Store, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified_as_complete(monkeypatch)
    store.main[".eval_results/gsm8k.yaml"] = b"- dataset: {id: openai/gsm8k}\n  value: 99\n"
    words = ("publish", str(hub_run), "--to", "model")
    in_process(capsys, *words).refused(2, "another result")
    in_process(capsys, *words, "--dry-run").refused(2, "another result")
    assert store.pulls == []


def test_publish_says_what_is_wrong_and_never_the_token(
    hub_run: Path, store: Store, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    verified_as_complete(monkeypatch)
    words = ("publish", str(hub_run), "--to", "model")
    store.token = "another"
    refused = in_process(capsys, *words, "--debug")
    assert refused.code == 2
    assert "token" in refused.err
    assert TOKEN not in refused.err + refused.out
    in_process(capsys, *words, "--repo", "nobody/nothing").refused(3, "no such repository")
    in_process(capsys, "publish", str(hub_run), "--to", "page").refused(2, "eee or model")
    shutil.copytree(hub_run, tmp_path / "local")
    rewrite_record(tmp_path / "local", lambda value: value["effective"]["ask"]["model"].update(repo=None))
    in_process(capsys, "publish", str(tmp_path / "local"), "--to", "model").refused(2, "--repo")
    assert store.pulls == []
