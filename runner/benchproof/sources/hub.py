"""The Hub and local folders: asked revisions become commits, names become folders on this machine."""

import importlib.resources
import re
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from benchproof.errors import BadInput, BenchproofError, MachineError, MissingInput
from benchproof.ports import ModelFiles, Progress
from benchproof.schema.spec import ModelAsk

# What a transformers model folder is made of. Pickled weights and other frameworks' files stay behind.
MODEL_PATTERNS = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken"]
IGNORED = ["*/*.safetensors", "original/*", "onnx/*", "training_args*"]
COMMIT = re.compile(r"[0-9a-f]{40}")
HttpErrors = (HfHubHTTPError, OfflineModeIsEnabled, LocalEntryNotFoundError, OSError)


class HubSource:
    """Implements ports.Source."""

    def __init__(self) -> None:
        self._api = HfApi()

    def model(self, ask: ModelAsk, progress: Progress) -> ModelFiles:
        """See ports.Source.model."""
        if ask.path is not None:
            return self._local(ask, ask.path)
        repo = str(ask.repo)
        with progress.phase(f"model {repo}"):
            commit = self._model_commit(repo, ask.revision)
            try:
                folder = snapshot_download(
                    repo, revision=commit, allow_patterns=MODEL_PATTERNS, ignore_patterns=IGNORED, tqdm_class=None
                )
            except HttpErrors as error:
                raise _hub_error(error, "model", repo, ask.revision) from error
        return ModelFiles(Path(folder), ask.name or repo, repo, commit)

    def dataset_commit(self, repo: str, revision: str) -> str:
        """See ports.Source.dataset_commit."""
        if COMMIT.fullmatch(revision):
            return revision  # `datasets` is asked for exactly this, and what it loaded is compared
        try:
            return str(self._api.dataset_info(repo, revision=revision, timeout=30).sha)
        except HFValidationError as error:
            raise BadInput(f"{repo!r} is no repository name", where="data set", do="write owner/name") from error
        except HttpErrors as error:
            cached = _cached_commit(repo, revision, "dataset", "README.md")
            if cached is not None and not isinstance(error, RepositoryNotFoundError | RevisionNotFoundError):
                return cached
            raise _hub_error(error, "data set", repo, revision) from error

    def rows_folder(self, data: str) -> Path:
        """See ports.Source.rows_folder."""
        if data.startswith("smoke:"):
            return shipped() / "data" / data.removeprefix("smoke:")
        folder = Path(data)
        if not folder.is_dir():
            raise MissingInput(
                "no such data folder",
                where=data,
                do="give a folder of <split>.jsonl, relative to the current directory",
            )
        return folder

    def _local(self, ask: ModelAsk, path: str) -> ModelFiles:
        folder = shipped() / "model" if path == "smoke" else Path(path).expanduser()
        if not folder.exists():
            raise MissingInput(
                f"no model at {path!r}", where="model.path", do="check the path, or use `repo:` for a model on the Hub"
            )
        if not folder.is_dir():
            raise BadInput("model.path is a file", where=path, do="give the folder that holds config.json")
        if not (folder / "config.json").is_file():
            raise MissingInput(
                "config.json is not in the model folder", where=path, do="give a transformers model folder"
            )
        name = ask.name or ("benchproof smoke model" if path == "smoke" else "local model")
        return ModelFiles(folder, name, None, None)

    def _model_commit(self, repo: str, revision: str) -> str:
        try:
            return str(self._api.model_info(repo, revision=revision, timeout=30).sha)
        except HFValidationError as error:
            raise BadInput(
                f"{repo!r} is no repository name",
                where="model.repo",
                do="write owner/name, or use `path:` for a folder",
            ) from error
        except HttpErrors as error:
            cached = _cached_commit(repo, revision, "model", "config.json")
            if cached is not None and not isinstance(error, RepositoryNotFoundError | RevisionNotFoundError):
                return cached
            raise _hub_error(error, "model", repo, revision) from error


def shipped() -> Path:
    """The folder of what ships with benchproof for smoke runs."""
    return Path(str(importlib.resources.files("benchproof") / "smoke"))


def _cached_commit(repo: str, revision: str, kind: str, file: str) -> str | None:
    """The commit that the local cache knows for a revision, for work without a network."""
    found = try_to_load_from_cache(repo, file, revision=revision, repo_type=kind)
    if not isinstance(found, str):
        return None
    return next((part for part in reversed(Path(found).parts) if COMMIT.fullmatch(part)), None)


def _hub_error(error: Exception, noun: str, repo: str, revision: str) -> BenchproofError:
    """A failure of the Hub as an error that names what to do; a token never stands in it."""
    where = f"{repo}@{revision}"
    match error:
        case GatedRepoError():
            return MissingInput(
                f"the {noun} is gated and this account may not read it",
                where=where,
                do=f"accept its licence at https://huggingface.co/{repo}, then set HF_TOKEN",
            )
        case RepositoryNotFoundError():
            return MissingInput(
                f"no such {noun} on the Hub, or it is private", where=where, do="check the name, or set HF_TOKEN"
            )
        case RevisionNotFoundError():
            return MissingInput(
                f"the {noun} has no revision {revision!r}", where=where, do="give a branch, tag or commit that it has"
            )
        case EntryNotFoundError() if not isinstance(error, LocalEntryNotFoundError):
            return MissingInput(f"a file of the {noun} is missing on the Hub", where=where, do="check the revision")
        case HfHubHTTPError() if error.response is not None and error.response.status_code >= 500:
            return MachineError(
                f"the Hub answered {error.response.status_code}", where=where, do="retry in a minute; nothing is lost"
            )
        case _:
            return MissingInput(
                f"the Hub cannot be reached and the {noun} is not in the cache at this revision",
                where=where,
                do="connect once, check HF_ENDPOINT, or give a cached 40-hex commit as the revision",
            )
