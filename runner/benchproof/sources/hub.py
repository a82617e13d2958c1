"""The Hub and local folders: asked revisions become commits, names become folders on this machine."""

import importlib.resources
import json
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
from benchproof.ports import ModelFiles, Place, Progress
from benchproof.schema.spec import ModelAsk, PlaceAsk

# What a transformers model folder is made of. Pickled weights and other frameworks' files stay behind.
MODEL_PATTERNS = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken"]
CODE = ["*.py", "config.json"]
PICKLED = ["*.bin"]
IGNORED = ["*/*.safetensors", "original/*", "onnx/*", "training_args*"]
COMMIT = re.compile(r"[0-9a-f]{40}")
HttpErrors = (HfHubHTTPError, OfflineModeIsEnabled, LocalEntryNotFoundError, OSError)


class HubSource:
    """Implements ports.Source."""

    def __init__(self) -> None:
        self._api = HfApi()

    def model(self, ask: ModelAsk, progress: Progress) -> ModelFiles:
        """See ports.Source.model."""
        patterns = [*MODEL_PATTERNS, *(CODE if ask.trust_remote_code else []), *(PICKLED if ask.allow_pickle else [])]
        if ask.path is not None:
            main = Place(self._local_model(ask.path), None, None)
            name = ask.name or ("benchproof smoke model" if ask.path == "smoke" else "local model")
        else:
            main = self._fetched(str(ask.repo), ask.revision, patterns, "config.json", progress)
            name = ask.name or str(ask.repo)
        return ModelFiles(
            folder=main.folder,
            name=name,
            repo=main.repo,
            commit=main.commit,
            tokenizer=self._part(ask.tokenizer, MODEL_PATTERNS[1:], "tokenizer_config.json", progress),
            adapter=self._part(ask.adapter, MODEL_PATTERNS, "adapter_config.json", progress),
            code=self._code(main.folder, progress) if ask.trust_remote_code else (),
        )

    def _part(self, ask: PlaceAsk | None, patterns: list[str], file: str, progress: Progress) -> Place | None:
        """A part that lies elsewhere. Raises MissingInput if it does not hold its file."""
        if ask is None:
            return None
        if ask.repo is not None:
            place = self._fetched(ask.repo, ask.revision, patterns, file, progress)
        else:
            place = Place(Path(str(ask.path)).expanduser(), None, None)
        if not (place.folder / file).is_file():
            raise MissingInput(f"no {file} there", where=ask.repo or str(ask.path), do="check the name or path")
        return place

    def _code(self, folder: Path, progress: Progress) -> tuple[Place, ...]:
        """Repositories whose Python the config names (`owner/name--module.Class`), at their commits of now."""
        config = json.loads((folder / "config.json").read_text("utf-8"))
        tokenizer = folder / "tokenizer_config.json"
        maps = [config.get("auto_map") or {}]
        if tokenizer.is_file():
            maps.append(json.loads(tokenizer.read_text("utf-8")).get("auto_map") or {})
        names = [
            v for entry in maps for value in entry.values() for v in (value if isinstance(value, list) else [value])
        ]
        repos = sorted({str(name).split("--")[0] for name in names if name and "--" in str(name)})
        if len(repos) > 1:
            raise BadInput(
                f"the model's code is spread over {len(repos)} repositories: {', '.join(repos)}",
                where="config.json, auto_map",
                do="choose a model whose code lies in one place",
            )
        return tuple(self._fetched(repo, "main", CODE, "config.json", progress) for repo in repos)

    def _fetched(self, repo: str, revision: str, patterns: list[str], known_by: str, progress: Progress) -> Place:
        """A repository's files at a commit. known_by: a file that tells the commit when there is no network."""
        with progress.phase(f"fetching {repo}"):
            commit = self._model_commit(repo, revision, known_by)
            try:
                folder = snapshot_download(repo, revision=commit, allow_patterns=patterns, ignore_patterns=IGNORED)
            except HttpErrors as error:
                raise _hub_error(error, "model", repo, revision) from error
        return Place(Path(folder), repo, commit)

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

    def _local_model(self, path: str) -> Path:
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
        return folder

    def _model_commit(self, repo: str, revision: str, known_by: str) -> str:
        try:
            return str(self._api.model_info(repo, revision=revision, timeout=30).sha)
        except HFValidationError as error:
            raise BadInput(
                f"{repo!r} is no repository name",
                where="model.repo",
                do="write owner/name, or use `path:` for a folder",
            ) from error
        except HttpErrors as error:
            cached = _cached_commit(repo, revision, "model", known_by)
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
