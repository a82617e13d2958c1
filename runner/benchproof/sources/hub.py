"""The Hub and local folders: asked revisions become commits, names become folders on this machine."""

import contextlib
import importlib.resources
import json
import re
from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.constants import HF_HUB_CACHE
from huggingface_hub.errors import (  # type: ignore[attr-defined]
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,  # of httpx or httpx2, by its version: no connection, a timeout
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
HttpErrors = (HfHubHTTPError, HTTPError, OfflineModeIsEnabled, LocalEntryNotFoundError, OSError)


class HubSource:
    """Implements ports.Source."""

    def __init__(self, pinned: Mapping[str, str] | None = None) -> None:
        """pinned: repository -> commit, of a run that goes on: `main` may have moved since, and the Hub may be away."""
        self._pinned = dict(pinned or {})
        self._api = HfApi()

    def model(self, ask: ModelAsk, progress: Progress) -> ModelFiles:
        """See ports.Source.model."""
        code, pickled = CODE if ask.trust_remote_code else [], PICKLED if ask.allow_pickle else []
        patterns = [*MODEL_PATTERNS, *code, *pickled]
        if ask.path is not None:
            main = Place(self._local_model(ask.path), None, None)
            name = ask.name or ("benchproof smoke model" if ask.path == "smoke" else "local model")
        else:
            main = self._fetched(str(ask.repo), ask.revision, patterns, progress)
            name = ask.name or str(ask.repo)
        tokenizer = self._part(ask.tokenizer, [*MODEL_PATTERNS[1:], *code], "tokenizer_config.json", progress)
        adapter = self._part(ask.adapter, [*MODEL_PATTERNS, *pickled], "adapter_config.json", progress)
        named_by = [main.folder / "config.json", (tokenizer or main).folder / "tokenizer_config.json"]
        return ModelFiles(
            folder=main.folder,
            name=name,
            repo=main.repo,
            commit=main.commit,
            tokenizer=tokenizer,
            adapter=adapter,
            code=self._code(named_by, progress) if ask.trust_remote_code else (),
        )

    def _part(self, ask: PlaceAsk | None, patterns: list[str], file: str, progress: Progress) -> Place | None:
        """A part that lies elsewhere. Raises MissingInput if it does not hold its file."""
        if ask is None:
            return None
        if ask.repo is not None:
            place = self._fetched(ask.repo, ask.revision, patterns, progress)
        else:
            place = Place(Path(str(ask.path)).expanduser(), None, None)
        if not (place.folder / file).is_file():
            raise MissingInput(f"no {file} there", where=ask.repo or str(ask.path), do="check the name or path")
        return place

    def _code(self, named_by: list[Path], progress: Progress) -> tuple[Place, ...]:
        """Repositories whose Python these files name (`owner/name--module.Class`), at their commits of now."""
        maps = [json.loads(path.read_text("utf-8")).get("auto_map") or {} for path in named_by if path.is_file()]
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
        return tuple(self._fetched(repo, "main", CODE, progress) for repo in repos)

    def _fetched(self, repo: str, revision: str, patterns: list[str], progress: Progress) -> Place:
        """A repository's files at a commit: of now, or what the cache holds where the Hub cannot be reached."""
        with progress.phase(f"fetching {repo}"):
            if repo in self._pinned:
                revision = self._pinned[repo]
                with contextlib.suppress(LocalEntryNotFoundError):
                    folder = snapshot_download(
                        repo, revision=revision, allow_patterns=patterns, ignore_patterns=IGNORED, local_files_only=True
                    )
                    return Place(Path(folder), repo, revision)
            unreached = self._unreached(repo, revision)
            try:
                # By the asked revision, not by its commit: so the cache remembers what it was, for work offline.
                folder = snapshot_download(
                    repo,
                    revision=revision,
                    allow_patterns=patterns,
                    ignore_patterns=IGNORED,
                    local_files_only=unreached is not None,  # else it tries for half a minute before it looks there
                )
            except HttpErrors as error:
                raise _hub_error(unreached or error, "model", repo, revision) from error
        return Place(Path(folder), repo, Path(folder).name)

    def _unreached(self, repo: str, revision: str) -> Exception | None:
        """None if the Hub knows the revision; why it cannot be asked. Raises for a name that it does not know."""
        try:
            self._api.model_info(repo, revision=revision, timeout=30)
        except HFValidationError as error:
            raise BadInput(
                f"{repo!r} is no repository name",
                where="model.repo",
                do="write owner/name, or use `path:` for a folder",
            ) from error
        except (RepositoryNotFoundError, RevisionNotFoundError) as error:
            raise _hub_error(error, "model", repo, revision) from error
        except HttpErrors as error:
            return error
        return None

    def dataset_commit(self, repo: str, revision: str) -> str:
        """See ports.Source.dataset_commit."""
        revision = self._pinned.get(repo, revision)
        if COMMIT.fullmatch(revision):
            return revision  # `datasets` is asked for exactly this, and what it loaded is compared
        ref = _dataset_ref(repo, revision)
        try:
            commit = str(self._api.dataset_info(repo, revision=revision, timeout=30).sha)
        except HFValidationError as error:
            raise BadInput(f"{repo!r} is no repository name", where="data set", do="write owner/name") from error
        except (RepositoryNotFoundError, RevisionNotFoundError) as error:
            raise _hub_error(error, "data set", repo, revision) from error
        except HttpErrors as error:
            with contextlib.suppress(OSError):
                commit = ref.read_text("ascii").strip()
                if COMMIT.fullmatch(commit):
                    return commit
            raise _hub_error(error, "data set", repo, revision) from error
        with contextlib.suppress(OSError):  # `datasets` is asked by the commit, so it does not remember the name
            ref.parent.mkdir(parents=True, exist_ok=True)
            ref.write_text(commit, "ascii")
        return commit

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


def shipped() -> Path:
    """The folder of what ships with benchproof for smoke runs."""
    return Path(str(importlib.resources.files("benchproof") / "smoke"))


def _dataset_ref(repo: str, revision: str) -> Path:
    """The file in the Hub's cache that holds the commit of a branch or tag, in the Hub's own layout."""
    return Path(HF_HUB_CACHE) / f"datasets--{repo.replace('/', '--')}" / "refs" / revision


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
