"""A commit reaches the Hub whole and once, through the real client, whatever fails on the way."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from benchproof.errors import BadInput, BenchproofError, MachineError, MissingInput
from benchproof.publish.hub import TRIES, Kind, Sent, current, send, title_of
from fakes.publishing import Fault, Store, publishing_hub

FILES = {"README.md": b"# card\n", ".eval_results/gsm8k.yaml": b"- value: 1\n"}
TOKEN = "hf_plantedplantedplanted"


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def api(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HfApi]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # the server is in this process
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with publishing_hub(store) as address:
        yield HfApi(endpoint=address, token=TOKEN)


def sent(api: HfApi, files: dict[str, bytes] = FILES, repo: str = "owner/name", *, create_pr: bool = True) -> Sent:
    waits: list[float] = []
    kind: Kind = "model"
    found = send(api, files, repo, kind, "f" * 64, create_pr=create_pr, say=lambda text: None, sleep=waits.append)
    assert waits == [2.0**i for i in range(len(waits))]
    return found


def test_all_files_are_one_pull_request(store: Store, api: HfApi) -> None:
    found = sent(api)
    assert not found.already
    assert found.url.endswith("/discussions/1")
    assert store.pulls == [(title_of(FILES, "f" * 64), FILES)]
    assert store.commits == []


def test_the_same_call_again_sends_nothing(store: Store, api: HfApi) -> None:
    sent(api)
    assert sent(api).already
    assert len(store.pulls) == 1
    assert sent(api, FILES | {"README.md": b"# edited meanwhile\n"}).already
    other = FILES | {".eval_results/gsm8k.yaml": b"- value: 2\n"}
    assert not sent(api, other).already
    assert [files for _, files in store.pulls] == [FILES, other]


def test_a_strangers_pull_request_of_that_title_is_not_ours(store: Store, api: HfApi) -> None:
    sent(api)
    store.author = "somebody"
    assert not sent(api).already
    assert len(store.pulls) == 2


def test_without_a_pull_request_it_is_a_commit(store: Store, api: HfApi) -> None:
    sent(api, create_pr=False)
    assert (store.commits, store.pulls) == ([FILES], [])


@pytest.mark.parametrize("fault", ["drop", "500", "429", "503", "drop after the commit"])
@pytest.mark.parametrize("request_number", range(5))
def test_a_failure_at_any_request_ends_right_with_one_pull_request(
    store: Store, api: HfApi, fault: Fault, request_number: int
) -> None:
    store.faults = {request_number: fault}
    sent(api)
    assert [files for _, files in store.pulls] == [FILES]
    assert sent(api).already


def test_a_hub_that_does_not_recover_is_told_and_can_be_called_again(store: Store, api: HfApi) -> None:
    store.faults = dict.fromkeys(range(200), "500")
    with pytest.raises(MachineError, match="retry") as caught:
        sent(api)
    assert caught.value.exit_code == 5
    assert len(store.asked) >= TRIES
    store.faults.clear()
    assert not sent(api).already
    assert len(store.pulls) == 1


def test_no_network_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    api = HfApi(endpoint="http://127.0.0.1:9", token=TOKEN)
    with pytest.raises(MachineError, match="retry"):
        sent(api)


@pytest.mark.parametrize(
    ("change", "repo", "kind", "word"),
    [
        ({"token": "another"}, "owner/name", BadInput, "token"),
        ({"status": 403}, "owner/name", BadInput, "token"),
        ({"status": 412}, "owner/name", BadInput, "changed meanwhile"),
        ({"status": 409}, "owner/name", BadInput, "changed meanwhile"),
        ({"status": 400}, "owner/name", BadInput, "refuses it with 400"),
        ({}, "nobody/nothing", MissingInput, "no such repository"),
    ],
)
def test_what_waiting_does_not_mend_is_told_at_once_and_without_the_token(
    store: Store, api: HfApi, change: dict[str, object], repo: str, kind: type[BenchproofError], word: str
) -> None:
    for name, value in change.items():
        setattr(store, name, value)
    with pytest.raises(kind, match=word) as caught:
        sent(api, repo=repo)
    assert caught.value.__cause__ is None
    assert TOKEN not in str(caught.value)
    assert len(store.asked) <= 4
    assert store.pulls == []


def test_the_card_that_is_there_is_read_and_none_is_none(store: Store, api: HfApi) -> None:
    assert current(api, "owner/name", "model", "README.md") is None
    store.main["README.md"] = b"---\r\nlicense: mit\r\n---\r\nHello"
    assert current(api, "owner/name", "model", "README.md") == "---\r\nlicense: mit\r\n---\r\nHello"
    with pytest.raises(MissingInput):
        current(api, "nobody/nothing", "model", "README.md")


def test_a_card_of_earlier_is_never_taken_for_the_one_that_is_there(
    store: Store, api: HfApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client's own waits
    store.main["README.md"] = b"earlier"
    assert current(api, "owner/name", "model", "README.md") == "earlier"
    with pytest.raises(MachineError, match="cannot be reached"):
        current(HfApi(endpoint="http://127.0.0.1:9", token=TOKEN), "owner/name", "model", "README.md")
