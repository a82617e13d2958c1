"""What is installed and where each distribution came from; which commit of benchproof's own code runs."""

import importlib.metadata
import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from benchproof.observe.reason import NotKnown

PACKAGE = Path(__file__).resolve().parents[1]
CODE = ("runner", "configs", "pyproject.toml")  # what of a checkout decides what runs


def distributions() -> dict[str, dict[str, str]]:
    """Every installed distribution: version and origin, sorted by name. Of two, the one that is imported."""
    found: dict[str, dict[str, str]] = {}
    for item in importlib.metadata.distributions():
        metadata = item.metadata  # parsed at every access
        if not metadata or "Name" not in metadata or "Version" not in metadata:
            continue  # what a broken uninstall left behind: nothing that could be imported
        if metadata["Name"] not in found:
            found[metadata["Name"]] = {"version": metadata["Version"], "origin": origin(item)}
    return {name: found[name] for name in sorted(found, key=str.lower)}


def origin(item: importlib.metadata.Distribution) -> str:
    """One of index | editable | local file | local folder | conda | `url …` | `git …@…` | not said; no path."""
    text = item.read_text("direct_url.json")
    if text is None:
        installer = (item.read_text("INSTALLER") or "").strip()
        return {"": "not said", "conda": "conda"}.get(installer, "index")
    try:
        direct: dict[str, Any] = json.loads(text)
        url = urlsplit(str(direct["url"]))
    except (ValueError, KeyError, TypeError):
        return "not said"
    if "vcs_info" in direct:
        vcs = direct["vcs_info"]
        return f"{vcs.get('vcs', 'vcs')} {_public(url)}@{vcs.get('commit_id', '?')}"
    if direct.get("dir_info", {}).get("editable"):
        return "editable"
    if url.scheme in ("http", "https"):
        return f"url {_public(url)}"
    return "local folder" if "dir_info" in direct else "local file"


def _public(url: Any) -> str:
    """Without user, token and query; nothing at all of a path on this machine."""
    if url.scheme not in ("http", "https", "ssh", "git") or not url.hostname:
        return "(local)"
    host = url.hostname if url.port is None else f"{url.hostname}:{url.port}"
    return str(urlunsplit((url.scheme, host, url.path, "", "")))


def code_commit(package: Path = PACKAGE) -> str:
    """The commit of the checkout that runs, or of the one it was installed from. Raises NotKnown."""
    root = checkout(package)
    if root is not None:
        return _git(root, "rev-parse", "--verify", "HEAD")
    said = origin(importlib.metadata.distribution("benchproof"))
    if said.startswith("git "):
        return said.rpartition("@")[2]
    raise NotKnown("not_applicable", "not run from a checkout: the version says which release")


def code_dirty(package: Path = PACKAGE) -> bool:
    """Whether the checkout's code differs from its commit, new files counted. Raises NotKnown."""
    root = checkout(package)
    if root is None:
        raise NotKnown("not_applicable", "not run from a checkout")
    return bool(_git(root, "status", "--porcelain", "--", *(name for name in CODE if (root / name).exists())))


def checkout(package: Path = PACKAGE) -> Path | None:
    """The checkout that this package lies in as `runner/benchproof`; a foreign repository around it is none."""
    root = package.parents[1]
    return root if package.parent.name == "runner" and (root / ".git").exists() else None


def _git(root: Path, *words: str) -> str:
    # Without GIT_*: a hook's GIT_DIR would answer for another repository. No optional lock: nothing is written.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words],
            env=environment | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except FileNotFoundError as error:
        raise NotKnown("not_installed", "git is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise NotKnown("probe_failed", f"git {words[0]} took more than 10 s") from error
    if done.returncode:
        raise NotKnown("probe_failed", f"git {words[0]} ended with {done.returncode}")
    return done.stdout.strip()
