"""Help: every command shows an example, and a wrong word gets the nearest right one."""

import pytest
import typer

from benchproof import __version__
from benchproof.cli.app import app
from cli.call import benchproof, in_process

COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_the_commands_are_there() -> None:
    assert {"init", "ls", "plan", "run", "schema", "show"} <= set(COMMANDS)


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=lambda words: " ".join(words) or "alone")
def test_help_shows_an_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    called = in_process(capsys, *command, "--help")
    assert called.code == 0 and called.err == ""
    assert f"Example:\n    benchproof {' '.join(command)}".rstrip() in called.out


def test_without_a_command_it_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process(capsys) == in_process(capsys, "--help")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process(capsys, "--version").out == f"benchproof {__version__}\n"


def test_the_first_lines_of_commands_are_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    assert "..." not in in_process(capsys, "--help").out.replace("[ARGS]...", "")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["rn"], "did you mean 'run'?"),
        (["run", "smoke", "--devise", "cpu"], "--device"),
        (["show"], "RECORD|RUN_DIR"),
        (["plan", "smoke", "--samples", "-1"], "--samples"),
        (["plan", "smoke", "--samples", "many"], "--samples"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_word_is_2_with_the_nearest(words: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    called = in_process(capsys, *words)
    called.refused(2, "--help")
    assert hint.lower() in called.err.lower()


def test_debug_shows_the_traceback_before_and_after_the_command() -> None:
    for words in (["--debug", "show", "nothing"], ["show", "nothing", "--debug"]):
        called = benchproof(*words)
        assert called.code == 3 and "Traceback" in called.err
    assert "Traceback" in benchproof("show", "nothing", BENCHPROOF_DEBUG="1").err
    assert "Traceback" not in benchproof("show", "nothing", BENCHPROOF_DEBUG="0").err
