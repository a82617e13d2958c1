"""Files -> a pull request on the Hub: one commit, found again by its title, so that it is never sent twice.

The title holds a digest of the files. Whatever is lost on the way (no answer, a server's error), what the Hub has is
looked at before anything is sent again: a commit is whole or not there.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from json import JSONDecodeError
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import (  # type: ignore[attr-defined]
    EntryNotFoundError,
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

from benchproof.errors import BadInput, BenchproofError, MachineError, MissingInput

TRIES = 4
FIRST_WAIT_S = 1.0  # doubled each time
SILENCE_S = 60.0  # without a byte; the library itself waits for ever
TRANSIENT = (408, 429, 500, 502, 503, 504)
Kind = Literal["model", "dataset"]


@dataclass(frozen=True, slots=True)
class Sent:
    """Where it lies. already: it was there before, by an earlier call."""

    url: str
    already: bool


def hub_api() -> HfApi:
    """The Hub as the user's environment has it: endpoint, token."""
    return HfApi()


def title_of(files: Mapping[str, bytes], record_id: str) -> str:
    """The title of the one pull request for these files. A card is left out: others edit it between two tries."""
    outer = hashlib.sha256()
    for path in sorted(set(files) - {"README.md"}):
        outer.update(hashlib.sha256(path.encode() + b"\0" + files[path]).digest())
    return f"benchproof record {record_id[:12]}, files {outer.hexdigest()[:12]}"


def send(
    api: HfApi,
    files: Mapping[str, bytes],
    repo: str,
    kind: Kind,
    record_id: str,
    *,
    create_pr: bool,
    say: Callable[[str], None],
    sleep: Callable[[float], None],
) -> Sent:
    """One commit with all files, as a pull request unless told otherwise. The same call again changes nothing.

    Raises BadInput (2) for a token that is refused or a conflict, MissingInput (3) for a repository that is not there,
    MachineError (5) when the Hub cannot be reached or does not recover: the record is safe, the call can be repeated.
    """
    get_session().timeout = SILENCE_S
    title = title_of(files, record_id)
    wait = FIRST_WAIT_S
    for attempt in range(1, TRIES + 1):
        try:
            if create_pr and (there := _existing(api, repo, kind, title)):
                return Sent(there, True)
            info = api.create_commit(
                repo,
                [CommitOperationAdd(path, data) for path, data in sorted(files.items())],
                commit_message=title,
                commit_description=f"Record {record_id}, written and verified by benchproof.",
                repo_type=kind,
                create_pr=create_pr,
            )
            return Sent(str(info.pr_url or info.commit_url), False)
        except (HfHubHTTPError, HTTPError, OfflineModeIsEnabled, OSError, JSONDecodeError) as error:
            if not _passes(error):
                raise _told(error, repo) from None  # the library's words may hold a token
            if attempt == TRIES:
                raise MachineError(
                    "the Hub does not answer, or answers with an error",
                    where=repo,
                    do="retry later; the record is safe",
                ) from None
            say(f"the Hub failed ({_status(error) or type(error).__name__}); trying again in {wait:.0f} s")
            sleep(wait)
            wait *= 2
    raise AssertionError("every try returns or raises")


def current(api: HfApi, repo: str, kind: Kind, path: str) -> str | None:
    """A file's text on the default branch; None if it is not there. Raises as `send`."""
    get_session().timeout = SILENCE_S
    try:
        with TemporaryDirectory() as fresh:  # the cache would stand in for a Hub that is not reached
            got = api.hf_hub_download(repo, path, repo_type=kind, local_dir=fresh)
            return Path(got).read_bytes().decode("utf-8")
    except LocalEntryNotFoundError as error:  # not reached: a card that is there would be lost
        raise _told(error, repo) from None
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, HTTPError, OfflineModeIsEnabled, OSError) as error:
        raise _told(error, repo) from None


def _existing(api: HfApi, repo: str, kind: Kind, title: str) -> str | None:
    for found in api.get_repo_discussions(repo, repo_type=kind, discussion_type="pull_request"):
        ours = found.title == title and found.status in ("open", "draft", "merged")
        if ours and found.author == api.whoami()["name"]:  # a stranger's of that title is not
            return found.url
    return None


def _status(error: Exception) -> int | None:
    response = getattr(error, "response", None)
    return None if response is None else int(response.status_code)


def _passes(error: Exception) -> bool:
    """Whether it may be otherwise in a second: no answer, too many requests, the server's own error."""
    status = _status(error)
    return not isinstance(error, OfflineModeIsEnabled | LocalTokenNotFoundError) and (
        status is None or status in TRANSIENT
    )


def _told(error: Exception, repo: str) -> BenchproofError:
    status = _status(error)
    if status in (401, 403) or isinstance(error, LocalTokenNotFoundError):
        return BadInput("the Hub refuses the token", where=repo, do="set HF_TOKEN to one that may write there")
    if isinstance(error, RepositoryNotFoundError) or status == 404:
        return MissingInput("no such repository, or it is private", where=repo, do="check --repo, or set HF_TOKEN")
    if status in (409, 412):
        return BadInput("the repository has changed meanwhile", where=repo, do="run the same command again")
    if status is not None and status < 500:
        return BadInput(f"the Hub refuses it with {status}", where=repo, do="look at what would be sent with --dry-run")
    return MachineError("the Hub cannot be reached", where=repo, do="retry with a network; the record is safe")
