"""The entry point: parses words, runs one command, and turns whatever escapes into an exit code.

Light on purpose: `--help` imports this, errors.py and the commands' signatures, and nothing else.
"""

import os
import re
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from benchproof.cli import check, compare, doctor, init, measure, prove, score_code, share, show, sign
from benchproof.errors import BenchproofError, Interrupted, noted_log

DEBUG_VARIABLE = "BENCHPROOF_DEBUG"
# Also where its end was cut off. A key given where a name belongs would stand in the message, and so in a CI's log.
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)

app = typer.Typer(
    name="benchproof",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


@app.callback(
    invoke_without_command=True,
    epilog="\b\nExample:\n  benchproof run smoke            the whole path on a CPU, offline\n"
    "  benchproof init owner/name -o my.yaml && benchproof plan my.yaml && benchproof run my.yaml",
)
def benchproof(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help=f"Show tracebacks; {DEBUG_VARIABLE}=1 in the environment does the same.")
    ] = False,
) -> None:
    """Run benchmarks on language models; every score comes with its proof.

    Exit codes: 0 ok, 1 verification failed, 2 usage or config, 3 missing input, 4 no sandbox,
    5 environment or GPU, 6 disk, 7 not comparable, 75 interrupted (go on with the same command),
    70 a bug in benchproof.
    """
    if version:
        from benchproof import __version__

        typer.echo(f"benchproof {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


init.register(app)
measure.register(app)
show.register(app)
prove.register(app)
sign.register(app)
share.register(app)
check.register(app)
compare.register(app)
doctor.register(app)
score_code.register(app)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code. Nothing asks on stdin; a traceback is shown only if asked for."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")
    if "--debug" in words:  # before or after the command
        debug = True
        words.remove("--debug")
    try:
        returned = app(args=words, prog_name="benchproof", standalone_mode=False)
        if returned == 130:  # typer turns KeyboardInterrupt into this
            raise KeyboardInterrupt
        return returned if isinstance(returned, int) else 0  # `typer.Exit(code)` comes back as the code
    except BrokenPipeError:  # `benchproof show … | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except BenchproofError as error:
        return _told(error, debug)
    except (KeyboardInterrupt, typer.Abort) as error:
        return _told(Interrupted("interrupted", do="run the same command again"), debug, error)
    except Exception as error:  # noqa: BLE001  # the last door: whatever escapes becomes an exit code
        if hasattr(error, "format_message"):  # typer's own errors; the classes' home differs between its versions
            return _told(_usage_error(error), debug, error)
        return _bug(error, debug)


def _told(error: BenchproofError, debug: bool, cause: BaseException | None = None) -> int:
    if debug:
        sys.stderr.write(_traceback(cause or error))
    for line in error.lines():
        print(_without_keys(line), file=sys.stderr)  # noqa: T201  # the command line speaks to people
    return error.exit_code


class _Usage(BenchproofError):
    exit_code = 2


def _usage_error(error: Any) -> BenchproofError:
    """A wrong word on the command line, with the nearest right one where there is one."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "benchproof"
    message = str(error.format_message()).rstrip(".")
    message = message.replace("(Possible options: ", "(did you mean ")
    return _Usage(message[:1].lower() + message[1:], do=f"see `{command} --help`")


def _bug(error: Exception, debug: bool) -> int:
    if debug:
        sys.stderr.write(_traceback(error))
    where = noted_log(error) or _written(error)
    text = " ".join(str(error).split())[:200]
    return _told(
        BenchproofError(
            f"a bug in benchproof: {type(error).__name__}: {text}",
            where=f"the traceback is in {where}",
            do="report it with that traceback; nothing acknowledged is lost",
        ),
        debug=False,
    )


def _traceback(error: BaseException) -> str:
    return _without_keys("".join(traceback.format_exception(error)))


def _without_keys(text: str) -> str:
    return PRIVATE_KEY.sub("[a private key]", text)


def _written(error: Exception) -> str:
    """The traceback in a file that stays."""
    try:
        fd, name = tempfile.mkstemp(prefix="benchproof-", suffix=".txt")
        with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(_traceback(error))
    except OSError:
        return "no file (no temporary folder can be written); use --debug"
    return str(Path(name))


if __name__ == "__main__":
    sys.exit(main())
