"""Whatever a person gets wrong: the documented exit code, a few lines, no traceback."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.call import benchproof, in_process
from fakes.smoke import copy_model

GOOD = "model: {path: smoke}\nsuite: smoke\n"

SPECS: dict[str, tuple[str, int, str]] = {
    "empty": ("", 2, "empty"),
    "only a comment": ("# nothing\n", 2, "empty"),
    "not YAML": ("model: [\n", 2, "not YAML"),
    "not a mapping": ("- smoke\n", 2, "mapping"),
    "unknown key": (GOOD + "sede: 1\n", 2, "did you mean 'seeds'"),
    "unknown nested key": ("model: {path: smoke, chat_templat: none}\nsuite: smoke\n", 2, "chat_template"),
    "wrong type": (GOOD + "engine: {token_budget: many}\n", 2, "token_budget"),
    "limit 0": ("model: {path: smoke}\nsuite: {tasks: [{task: gsm8k, limit: 0}]}\n", 2, "limit"),
    "negative shots": ("model: {path: smoke}\nsuite: {tasks: [{task: gsm8k, num_fewshot: -1}]}\n", 2, "num_fewshot"),
    "same task twice": ("model: {path: smoke}\nsuite: {tasks: [{task: gsm8k}, {task: gsm8k}]}\n", 2, "twice"),
    "unknown engine": (GOOD + "engine: {name: vlm}\n", 2, "engine.name"),
    "unknown dtype": (GOOD + "engine: {dtype: float8}\n", 2, "engine.dtype"),
    "unknown suite": ("model: {path: smoke}\nsuite: cor\n", 2, "did you mean 'core'"),
    "no model": ("suite: smoke\n", 2, "model"),
    "model path absent": ("model: {path: nowhere}\nsuite: smoke\n", 3, "nowhere"),
}


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize(("text", "code", "word"), SPECS.values(), ids=SPECS)
def test_a_spec_that_cannot_be(
    command: str, text: str, code: int, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(text, "utf-8")
    in_process(capsys, command, str(path), "--quiet").refused(code, word)


def test_a_spec_that_is_not_there_or_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_process(capsys, "run", str(tmp_path / "absent.yaml")).refused(3, "absent.yaml")
    (tmp_path / "folder.yaml").mkdir()
    in_process(capsys, "run", str(tmp_path / "folder.yaml")).refused(2, "directory")


def test_a_suite_beside_a_spec(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(GOOD, "utf-8")
    in_process(capsys, "run", str(path), "--suite", "core").refused(2, "--suite")


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def truncated(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


MODELS: dict[str, tuple[Callable[[Path], None], int, str]] = {
    "no config.json": (no_config, 3, "config.json"),
    "truncated weights": (truncated, 3, "model.safetensors"),
    "pickled weights": (pickled, 2, "pickled"),
    "no weights": (no_weights, 3, "safetensors"),
}


@pytest.mark.parametrize(("spoil", "code", "word"), MODELS.values(), ids=MODELS)
def test_a_model_folder_that_is_not_whole(
    spoil: Callable[[Path], None], code: int, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_model(tmp_path / "model")
    spoil(folder)
    in_process(capsys, "run", str(folder), "--suite", "smoke", "--quiet").refused(code, word)


def test_no_chat_template(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("model: {path: smoke, chat_template: model}\nsuite: smoke\n", "utf-8")
    in_process(capsys, "plan", str(path), "--quiet").refused(2, "chat template", "chat_template: none")


def test_a_gpu_where_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    in_process(capsys, "run", "smoke", "--device", "cuda:0", "--quiet").refused(5, "cuda")


def test_an_unknown_task_gets_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("model: {path: smoke}\nsuite: {tasks: [{task: gsm8kk}]}\n", "utf-8")
    in_process(capsys, "plan", str(path), "--quiet").refused(2, "gsm8kk", "did you mean 'gsm8k'")


@pytest.mark.parametrize("word", ["smok", "a b", "", "https://example.org/model", "owner/name/more"])
def test_a_word_that_is_no_model(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    in_process(capsys, "run", word).refused(2, "MODEL")


def test_a_file_that_is_neither_spec_nor_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"x")
    in_process(capsys, "run", str(path)).refused(2, ".yaml")


@pytest.mark.parametrize("command", ["plan", "run"])
def test_without_the_extra_it_names_the_command_that_installs_it(command: str, tmp_path: Path) -> None:
    benchproof(command, "smoke", cwd=tmp_path, base_only=True).refused(5, "torch", 'pip install "benchproof[hf]"')
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_everything_that_reads_works(smoke_run: Path) -> None:
    shown = benchproof("show", str(smoke_run), base_only=True)
    assert shown.code == 0 and "mini_mmlu" in shown.out
    assert benchproof("ls", str(smoke_run.parent), base_only=True).code == 0
    assert benchproof("init", "smoke", base_only=True).code == 0
    assert benchproof("schema", "record", base_only=True).code == 0


def test_a_finished_record_is_never_overwritten(smoke_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (smoke_run / "record.json").read_bytes()
    in_process(capsys, "run", "smoke", "--out", str(smoke_run)).refused(2, "--new")
    assert (smoke_run / "record.json").read_bytes() == before


def test_a_record_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_process(capsys, "show", str(tmp_path / "record.json")).refused(3, "record.json")
    in_process(capsys, "show", str(tmp_path)).refused(3)
    in_process(capsys, "ls", str(tmp_path / "results")).refused(3)


def changed(smoke_run: Path, change: Callable[[dict[str, object]], object]) -> bytes:
    value = json.loads((smoke_run / "record.json").read_bytes())
    change(value)
    return json.dumps(value).encode()


RECORDS: dict[str, tuple[Callable[[Path], bytes], int, str]] = {
    "not JSON": (lambda run: b'{"schema": ', 1, "char 11"),
    "a key twice": (lambda run: b'{"schema": 1, "schema": 2}', 1, "twice"),
    "not UTF-8": (lambda run: b"\xff\xfe", 1, "JSON"),
    "another file": (lambda run: b"{}", 1, "not a benchproof record"),
    "no object": (lambda run: b"[]", 1, "not a benchproof record"),
    "newer": (lambda run: changed(run, lambda v: v.update(schema="benchproof/record/v2")), 2, "newer"),
    "newer minor": (lambda run: changed(run, lambda v: v.update(schema_minor=7)), 2, "newer"),
    "an unknown field": (lambda run: changed(run, lambda v: v.update(extra=1)), 1, "extra"),
    "a field missing": (lambda run: changed(run, lambda v: v.pop("plan_id")), 1, "plan_id"),
}


@pytest.mark.parametrize(("make", "code", "word"), RECORDS.values(), ids=RECORDS)
def test_a_record_that_cannot_be_read(
    make: Callable[[Path], bytes],
    code: int,
    word: str,
    smoke_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(make(smoke_run))
    in_process(capsys, "show", str(path)).refused(code, word, "record.json")


def test_an_unknown_schema(capsys: pytest.CaptureFixture[str]) -> None:
    in_process(capsys, "schema", "recrod").refused(2, "did you mean 'record'")


def test_a_bug_is_70_and_says_where_the_traceback_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("benchproof.store.runs.load_record", broken)
    called = in_process(capsys, "show", "anything")
    called.refused(70, "ZeroDivisionError: division by zero", "report it")
    written = Path(called.err.split("the traceback is in ")[1].splitlines()[0])
    assert "in broken" in written.read_text("utf-8")
    written.unlink()


def test_ctrl_c_is_75(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchproof.store.runs.load_record", stopped)
    in_process(capsys, "show", "anything").refused(75, "same command again")
