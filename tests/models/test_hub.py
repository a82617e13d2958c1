"""Models of the Hub, through the command line against the local stand-in: revisions, gates, code, no network."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from benchproof.schema.history import read_record
from benchproof.schema.record import Record
from cli.call import Called
from fakes.hub import hub_environment, local_hub
from fakes.smoke import write_spec
from models.conftest import Folder
from models.folders import copied, make_own_code, write_code
from models.small import spec_of

TOKEN = "hf_" + "abcdefghijklmnopqrstuvwxyz0123"
WRONG = "hf_" + "zyxwvutsrqponmlkjihgfedcba9876"
pytestmark = [pytest.mark.slow]


class Hub(NamedTuple):
    """A stand-in with models of our own, and the environment that reads it."""

    root: Path
    address: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
def hub(made: Folder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    home = tmp_path_factory.mktemp("hub")
    models = home / "root" / "models"
    for name, folder in (("open", "llama"), ("gated", "llama"), ("adapter", "lora"), ("words", "llama")):
        copied(made(folder), models / "owner" / name)
    for name in ("model.safetensors", "config.json"):
        (models / "owner" / "words" / name).unlink()
    with (models / "owner" / "words" / "tokenizer_config.json").open("a") as file:
        file.write(" ")  # another file of the same words
    make_own_code(models / "owner" / "split", code_repo="owner/code")
    write_code(models / "owner" / "code")
    (models / "owner" / "code" / "config.json").write_text("{}")
    with local_hub(home / "root", gated=["owner/gated"], token=TOKEN) as address:
        cache = str(home / "hashes")
        yield Hub(home / "root", address, hub_environment(address, home / "hf", BENCHPROOF_CACHE=cache))


# Several commands in one process: importing the libraries takes longer than all of them.
MANY = """
import contextlib, io, json, sys
from benchproof.cli.app import main
told = []
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(words)
    told.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(told))
"""


def call_all(environment: dict[str, str], *commands: list[str]) -> list[Called]:
    """What each command left behind, in a process whose environment was there before anything was imported."""
    words = json.dumps([[*command, "--device", "cpu", "--quiet"] for command in commands])
    done = subprocess.run(
        [sys.executable, "-c", MANY, words],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [Called(*told) for told in json.loads(done.stdout)]


def call(environment: dict[str, str], *words: str) -> Called:
    """One command, as a person calls it."""
    done = subprocess.run(
        [sys.executable, "-m", "benchproof", *words, "--device", "cpu", "--quiet"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Called(done.returncode, done.stdout, done.stderr)


def spec_file(folder: Path, repo: str, **model: Any) -> str:
    spec = spec_of(folder)
    spec["model"] = {"repo": repo} | model
    name = f"spec-{len(list(folder.glob('spec-*')))}"
    return str(write_spec(folder, spec, name))


def planned(called: Called) -> dict[str, Any]:
    assert called.code == 0, called.err
    return dict(json.loads(called.out))


def recorded(called: Called, out: Path) -> Record:
    assert called.code == 0, called.err
    return read_record((out / "record.json").read_bytes(), "record")


def revision(hub: Hub, name: str) -> str:
    import urllib.request

    with urllib.request.urlopen(f"{hub.address}/api/models/{name}/revision/main") as answer:
        return str(json.load(answer)["sha"])


class Online(NamedTuple):
    """What was asked while the stand-in was there, in one process."""

    run_open: Record
    open_by_commit: dict[str, Any]
    parts: dict[str, Any]
    run_split: Record
    split_untrusted: Called


@pytest.fixture(scope="module")
def online(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Online:
    home = tmp_path_factory.mktemp("online")
    parts = {"adapter": {"repo": "owner/adapter"}, "tokenizer": {"repo": "owner/words"}}
    a, b, c, d, e = call_all(
        hub.environment,
        ["run", spec_file(home, "owner/open"), "--out", str(home / "open")],
        ["plan", spec_file(home, "owner/open", revision=revision(hub, "owner/open")), "--json"],
        ["plan", spec_file(home, "owner/open", **parts), "--json"],
        ["run", spec_file(home, "owner/split", trust_remote_code=True), "--out", str(home / "split")],
        ["plan", spec_file(home, "owner/split")],
    )
    return Online(recorded(a, home / "open"), planned(b), planned(c), recorded(d, home / "split"), e)


def test_a_branch_becomes_a_commit_and_runs(hub: Hub, online: Online) -> None:
    commit, model = revision(hub, "owner/open"), online.run_open.effective.ask.model
    assert (model.repo, model.commit, online.run_open.model_name) == ("owner/open", commit, "owner/open")
    asked = online.run_open.asked.spec["model"]
    assert (asked["repo"], asked["revision"]) == ("owner/open", "main")
    assert online.open_by_commit["plan_id"] == online.run_open.plan_id


@pytest.mark.parametrize("more", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}])
def test_without_a_network_the_cache_knows_what_main_was(
    more: dict[str, str], hub: Hub, online: Online, tmp_path: Path
) -> None:
    commit, split = revision(hub, "owner/open"), {"trust_remote_code": True}
    a, b, c, d = call_all(
        hub.environment | more,
        ["plan", spec_file(tmp_path, "owner/open"), "--json"],
        ["plan", spec_file(tmp_path, "owner/open", revision=commit), "--json"],
        ["plan", spec_file(tmp_path, "owner/split", **split), "--json"],
        ["run", spec_file(tmp_path, "owner/open"), "--out", str(tmp_path / "out")],
    )
    assert {planned(called)["plan_id"] for called in (a, b)} == {online.run_open.plan_id}
    assert planned(c)["plan_id"] == online.run_split.plan_id
    again = recorded(d, tmp_path / "out")
    assert again.observed.answers_digest == online.run_open.observed.answers_digest


@pytest.mark.parametrize(
    ("repo", "asked", "words"),
    [
        ("owner/open", "no-such-branch", "no revision 'no-such-branch'"),
        ("owner/open", "0" * 40, "no revision"),
        ("owner/nothing", "main", "no such model"),
    ],
)
def test_what_is_not_there(repo: str, asked: str, words: str, hub: Hub, tmp_path: Path) -> None:
    called = call(hub.environment, "plan", spec_file(tmp_path, repo, revision=asked))
    called.refused(3, words, f"{repo}@{asked}")


@pytest.mark.parametrize("more", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}])
def test_without_a_network_and_not_in_the_cache(more: dict[str, str], hub: Hub, tmp_path: Path) -> None:
    environment = hub.environment | more | {"HF_HOME": str(tmp_path / "empty")}
    called = call(environment, "plan", spec_file(tmp_path, "owner/open"))
    called.refused(3, "cannot be reached", "not in the cache", "HF_ENDPOINT")


def everything_said(called: Called, *folders: Path) -> str:
    texts = [called.out, called.err]
    for folder in folders:
        texts += [path.read_bytes().decode("utf-8", "replace") for path in folder.rglob("*") if path.is_file()]
    return "\n".join(texts)


@pytest.mark.parametrize("token", [None, WRONG])
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_gate_names_the_licence_page_and_the_variable(
    command: str, token: str | None, hub: Hub, tmp_path: Path
) -> None:
    environment = hub.environment | ({"HF_TOKEN": token} if token else {})
    out = ["--out", str(tmp_path / "out")] if command == "run" else []
    called = call(environment, command, spec_file(tmp_path, "owner/gated"), *out)
    called.refused(3, "gated", "https://huggingface.co/owner/gated", "HF_TOKEN", "owner/gated@main")
    assert WRONG not in everything_said(called, tmp_path)


def test_a_token_that_opens_the_gate_stands_nowhere(hub: Hub, tmp_path: Path) -> None:
    out = tmp_path / "out"
    environment = hub.environment | {"HF_TOKEN": TOKEN}
    called = call(environment, "run", spec_file(tmp_path, "owner/gated"), "--out", str(out))
    record = recorded(called, out)
    assert record.effective.ask.model.commit == revision(hub, "owner/gated")
    assert TOKEN not in everything_said(called, tmp_path)


def test_parts_from_elsewhere_are_named_with_their_commits(hub: Hub, online: Online) -> None:
    model = online.parts["plan"]["ask"]["model"]
    assert model["origins"] == {
        "adapter": f"owner/adapter@{revision(hub, 'owner/adapter')}",
        "tokenizer": f"owner/words@{revision(hub, 'owner/words')}",
    }
    files = [file["path"] for file in model["content"]["adapter"]]
    assert files == ["adapter_config.json", "adapter_model.safetensors"]


def test_code_in_another_repository_is_pinned_there(hub: Hub, online: Online, tmp_path: Path) -> None:
    before, model = revision(hub, "owner/code"), online.run_split.effective.ask.model
    assert model.origins == {"code": f"owner/code@{before}"}
    assert [file.path for file in model.content.code] == ["configuration_tiny.py", "modeling_tiny.py"]
    assert online.run_split.observed.attempts[0].engine.model_class == "TinyForCausalLM"
    online.split_untrusted.refused(2, "code of its own", "trust_remote_code")
    # The stand-in computes revisions once: a second one serves what changed.
    changed = copied(hub.root, tmp_path / "root")
    code = changed / "models" / "owner" / "code" / "modeling_tiny.py"
    code.write_text(code.read_text("utf-8").replace("old manners", "older manners"), "utf-8")
    with local_hub(changed) as address:
        environment = hub.environment | {"HF_ENDPOINT": address}
        spec = spec_file(tmp_path, "owner/split", trust_remote_code=True)
        after = planned(call(environment, "plan", spec, "--json"))
    pins = after["plan"]["ask"]["model"]
    assert pins["origins"]["code"] != f"owner/code@{before}"
    assert pins["commit"] == model.commit, "the model's own repository is as it was"
    assert after["plan_id"] != online.run_split.plan_id
    ids = {task["task"]: (task["benchmark_id"], task["measurement_id"]) for task in after["tasks"]}
    for was in online.run_split.ids:
        assert ids[was.task][0] == was.benchmark_id
        assert ids[was.task][1] != was.measurement_id
