"""Distributions with their origins, no path among them; the commit of one's own code and of nobody else's."""

import importlib.metadata
import json
import subprocess
from pathlib import Path

import pytest

from benchproof.observe import packages
from benchproof.observe.reason import NotKnown

SECRET_PATH = "file:///data/people/alice/wheels/x-1.0-py3-none-any.whl"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def installed(folder: Path, direct: object = None, installer: str | None = "pip\n") -> importlib.metadata.Distribution:
    info = folder / "x-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: x\nVersion: 1.0\n", "utf-8")
    if installer is not None:
        (info / "INSTALLER").write_text(installer, "utf-8")
    if direct is not None:
        (info / "direct_url.json").write_text(direct if isinstance(direct, str) else json.dumps(direct), "utf-8")
    return importlib.metadata.PathDistribution(info)


@pytest.mark.parametrize(
    ("direct", "origin"),
    [
        (None, "index"),
        ({"url": SECRET_PATH, "archive_info": {}}, "local file"),
        ({"url": "file:///data/people/alice/x", "dir_info": {}}, "local folder"),
        ({"url": "file:///data/people/alice/x", "dir_info": {"editable": True}}, "editable"),
        (
            {"url": "https://alice:pw@git.example/o/x.git?token=t", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
            f"git https://git.example/o/x.git@{COMMIT}",
        ),
        (
            {"url": "ssh://alice@git.example:2222/o/x", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
            f"git ssh://git.example:2222/o/x@{COMMIT}",
        ),
        (
            {"url": "file:///data/people/alice/x", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
            f"git (local)@{COMMIT}",
        ),
        (
            {"url": "https://alice:pw@example.org/x.whl?sig=t#sha256=0", "archive_info": {}},
            "url https://example.org/x.whl",
        ),
        ("{", "not said"),
        ({}, "not said"),
        ([], "not said"),
        ({"url": "https://[broken", "archive_info": {}}, "not said"),
    ],
)
def test_origins_hold_no_path_and_no_secret(tmp_path: Path, direct: object, origin: str) -> None:
    said = packages.origin(installed(tmp_path, direct))
    assert said == origin
    assert not {"alice", "pw", "token", "sig"} & set(said.replace("/", " ").replace("@", " ").split())


def test_origins_by_installer(tmp_path: Path) -> None:
    assert packages.origin(installed(tmp_path / "a", installer="conda\n")) == "conda"
    assert packages.origin(installed(tmp_path / "b", installer=None)) == "not said"


def test_every_distribution_is_there_once_and_the_first_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    installed(first)
    installed(second, {"url": SECRET_PATH, "archive_info": {}})
    monkeypatch.syspath_prepend(str(second))
    (first / "remnant-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(first))
    found = packages.distributions()
    assert found["x"] == {"version": "1.0", "origin": "index"}
    assert found["benchproof"]["version"] == importlib.metadata.version("benchproof")
    assert list(found) == sorted(found, key=str.lower)
    assert "/data/" not in str(found) and "remnant" not in found


def git(folder: Path, *words: str) -> str:
    settings = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *settings, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A checkout with one commit; its package's folder."""
    package = tmp_path / "checkout" / "runner" / "benchproof"
    package.mkdir(parents=True)
    (package / "run.py").write_text("1\n", "utf-8")
    root = package.parents[1]
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "m")
    return package


def test_the_commit_and_whether_the_code_differs(package: Path) -> None:
    root = package.parents[1]
    assert packages.code_commit(package) == git(root, "rev-parse", "HEAD")
    assert packages.code_dirty(package) is False
    (root / "results").mkdir()
    (root / "results" / "x").write_text("x", "utf-8")
    assert packages.code_dirty(package) is False, "not code"
    (package / "run.py").write_text("2\n", "utf-8")
    assert packages.code_dirty(package) is True
    git(root, "commit", "-q", "-a", "-m", "m2")
    assert packages.code_dirty(package) is False
    (package / "new.py").write_text("3\n", "utf-8")
    assert packages.code_dirty(package) is True, "a new file runs too"


def test_a_hooks_environment_does_not_lead_astray(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert len(packages.code_commit(package)) == 40


def test_a_foreign_repository_around_an_installed_package_is_not_ours(package: Path) -> None:
    inside = package.parents[1] / "lib" / "benchproof"
    inside.mkdir(parents=True)
    assert packages.checkout(inside) is None
    for probe in (packages.code_commit, packages.code_dirty):
        with pytest.raises(NotKnown) as caught:
            probe(inside)
        assert caught.value.unknown.unknown == "not_applicable"


def test_without_git_and_without_a_commit(package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (package.parents[1] / ".git" / "HEAD").write_text("ref: refs/heads/none\n", "utf-8")
    with pytest.raises(NotKnown, match="rev-parse ended with"):
        packages.code_commit(package)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(NotKnown, match="not installed"):
        packages.code_commit(package)


def test_an_install_from_git_names_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    direct = {"url": "https://git.example/o/x", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}
    item = installed(tmp_path, direct)
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: item)
    assert packages.code_commit(tmp_path / "site-packages" / "benchproof") == COMMIT
