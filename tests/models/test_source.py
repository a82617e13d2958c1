"""What the Hub answers, as errors that say what to do; and what the cache knows without it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

from benchproof.errors import BadInput, BenchproofError, MachineError, MissingInput
from benchproof.sources.hub import COMMIT, HttpErrors, HubSource

SHA = "c" * 40
ConnectError: Any = next(kind for kind in HttpErrors if kind.__name__ == "HTTPError")


def http(kind: type[HfHubHTTPError], status: int) -> HfHubHTTPError:
    response: Any = SimpleNamespace(status_code=status, headers={}, request=None)
    error: HfHubHTTPError = kind("said the Hub", response=response)
    return error


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubSource:
    monkeypatch.setattr("benchproof.sources.hub.HF_HUB_CACHE", str(tmp_path))
    return HubSource()


def answers(source: HubSource, monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    def dataset_info(*args: Any, **kwargs: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(sha=answer)

    monkeypatch.setattr(source._api, "dataset_info", dataset_info)


UNREACHED = {
    "offline": OfflineModeIsEnabled("offline"),
    "no connection": ConnectError("refused"),
    "no name": OSError("no such host"),
    "unwell": http(HfHubHTTPError, 503),
}


@pytest.mark.parametrize("error", UNREACHED.values(), ids=UNREACHED)
def test_the_commit_of_a_data_set_is_remembered_for_work_without_a_network(
    error: Exception, source: HubSource, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers(source, monkeypatch, error)
    with pytest.raises(BenchproofError) as caught:
        source.dataset_commit("owner/rows", "main")
    assert caught.value.exit_code == (5 if "said" in str(error) else 3)
    answers(source, monkeypatch, SHA)
    assert source.dataset_commit("owner/rows", "main") == SHA
    answers(source, monkeypatch, error)
    assert source.dataset_commit("owner/rows", "main") == SHA
    assert COMMIT.fullmatch(source.dataset_commit("owner/rows", "d" * 40)), "a commit is asked of nobody"
    for other in (("owner/rows", "other"), ("owner/others", "main")):
        with pytest.raises((MissingInput, MachineError)):
            source.dataset_commit(*other)


def test_what_the_hub_no_longer_has_is_not_taken_from_memory(
    source: HubSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(source, monkeypatch, SHA)
    source.dataset_commit("owner/rows", "main")
    for kind, status, words in ((RepositoryNotFoundError, 404, "no such data set"), (GatedRepoError, 403, "HF_TOKEN")):
        answers(source, monkeypatch, http(kind, status))
        with pytest.raises(MissingInput, match=words) as caught:
            source.dataset_commit("owner/rows", "main")
        assert caught.value.exit_code == 3


def test_a_name_that_is_none(source: HubSource) -> None:
    with pytest.raises(BadInput, match="no repository name"):
        source.dataset_commit("owner/name/more", "main")


def test_a_cache_that_cannot_be_written_ends_nothing(
    source: HubSource, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("benchproof.sources.hub.HF_HUB_CACHE", str(tmp_path / "file"))
    answers(source, monkeypatch, SHA)
    assert source.dataset_commit("owner/rows", "main") == SHA
