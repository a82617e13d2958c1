"""Models that bring Python: run only when it is trusted, and pinned byte for byte."""

from pathlib import Path

import pytest

from cli.call import in_process
from fakes.smoke import write_spec
from models.conftest import Folder
from models.folders import copied, edit
from models.small import measured_anew, plan_of, run_of, spec_of
from models.test_folders import pinned


def test_it_runs_when_it_is_trusted_and_its_files_are_pinned(made: Folder, tmp_path: Path) -> None:
    record = run_of(tmp_path / "out", spec_of(made("own"), trust_remote_code=True))
    model = record.effective.ask.model
    assert model.content.code == pinned(made("own") / "configuration_tiny.py", made("own") / "modeling_tiny.py")
    assert (model.origins, model.architecture) == ({}, "TinyForCausalLM")
    assert record.effective.ask.engine.attention == "eager"
    assert record.observed.attempts[0].engine.model_class == "TinyForCausalLM"
    assert record.observed.tokens[1].requests == 2


def test_it_is_not_run_unasked(made: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copied(made("own"), tmp_path / "model")
    (folder / "configuration_tiny.py").write_text(f"open({str(tmp_path / 'was here')!r}, 'w')\n")
    path = write_spec(tmp_path, spec_of(folder))
    for command in ("plan", "run"):
        called = in_process(capsys, command, str(path), "--quiet")
        called.refused(2, "code of its own", "trust_remote_code: true")
    assert not (tmp_path / "was here").exists()


@pytest.mark.parametrize("name", ["modeling_tiny.py", "configuration_tiny.py"])
def test_a_byte_of_it_is_another_measurement(name: str, made: Folder, tmp_path: Path) -> None:
    folder = copied(made("own"), tmp_path / "model")
    before = plan_of(folder, trust_remote_code=True)
    assert before.ask.model.content == plan_of(made("own"), trust_remote_code=True).ask.model.content
    path = folder / name
    path.write_text(path.read_text("utf-8").replace("its own", "ITS own").replace("does not", "DOES not"), "utf-8")
    measured_anew(before, plan_of(folder, trust_remote_code=True))


def test_the_code_that_runs_is_the_code_that_is_pinned(made: Folder, tmp_path: Path) -> None:
    """transformers runs a copy: one that is left over from before the change would be another model's."""
    folder = copied(made("own"), tmp_path / "model")
    before = run_of(tmp_path / "before", spec_of(folder, trust_remote_code=True))
    path = folder / "modeling_tiny.py"
    path.write_text(path.read_text("utf-8").replace("weighed.cumsum(1)", "2 * weighed.cumsum(1)"), "utf-8")
    after = run_of(tmp_path / "after", spec_of(folder, trust_remote_code=True))
    measured_anew(before.effective, after.effective)
    assert before.observed.requests_digest == after.observed.requests_digest
    assert before.observed.answers_digest != after.observed.answers_digest


def test_python_of_a_model_that_is_not_trusted_is_in_no_pin(made: Folder, tmp_path: Path) -> None:
    folder = copied(made("llama"), tmp_path / "model")
    (folder / "modeling_llama.py").write_text("raise SystemExit\n")
    assert plan_of(folder).plan_id == plan_of(made("llama")).plan_id


def test_a_tokenizer_with_code_of_its_own(made: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copied(made("llama"), tmp_path / "tokenizer")
    edit(
        folder / "tokenizer_config.json",
        tokenizer_class="OwnTokenizer",
        auto_map={"AutoTokenizer": ["tokenization_own.OwnTokenizer", "tokenization_own.OwnTokenizer"]},
    )
    code = folder / "tokenization_own.py"
    code.write_text(
        "from transformers import PreTrainedTokenizerFast\n\n\n"
        "class OwnTokenizer(PreTrainedTokenizerFast):\n    spoken = 'own'\n"
    )
    elsewhere = {"tokenizer": {"path": str(folder)}}
    path = write_spec(tmp_path, spec_of(made("llama"), **elsewhere))
    in_process(capsys, "plan", str(path), "--quiet").refused(2, "tokenizer brings code", "trust_remote_code")
    before = plan_of(made("llama"), trust_remote_code=True, **elsewhere)
    assert before.ask.model.content.code == pinned(code)
    code.write_text(code.read_text("utf-8") + "# another byte\n")
    measured_anew(before, plan_of(made("llama"), trust_remote_code=True, **elsewhere))


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("import no_such_library\n", 5, "no_such_library"),
        ("raise RuntimeError('broken')\n", 2, "broken"),
        ("class Another: ...\n", 2, "TinyForCausalLM"),
        ("def broken(:\n", 2, "SyntaxError"),
    ],
)
def test_code_that_fails_is_the_models_fault_and_no_bug_of_ours(
    text: str, code: int, words: str, made: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(made("own"), tmp_path / "model")
    (folder / "modeling_tiny.py").write_text(text)
    path = write_spec(tmp_path, spec_of(folder, trust_remote_code=True))
    in_process(capsys, "plan", str(path), "--quiet").refused(code, words)


def test_code_that_is_not_there(made: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copied(made("own"), tmp_path / "model")
    (folder / "modeling_tiny.py").unlink()
    path = write_spec(tmp_path, spec_of(folder, trust_remote_code=True))
    in_process(capsys, "plan", str(path), "--quiet").refused(2, "modeling_tiny.py")


def test_code_that_fails_in_the_middle(made: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copied(made("own"), tmp_path / "model")
    path = folder / "modeling_tiny.py"
    path.write_text(path.read_text("utf-8").replace("seen = torch", "seen = input_ids.nobody or torch"), "utf-8")
    spec = write_spec(tmp_path, spec_of(folder, trust_remote_code=True))
    called = in_process(capsys, "run", str(spec), "--out", str(tmp_path / "out"), "--quiet")
    called.refused(5, "the model's own code failed: AttributeError", "nobody")
