"""`benchproof export` and `publish`: a record in other people's formats, and where they look for it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from benchproof.cli.options import AsJson, print_json

if TYPE_CHECKING:
    from benchproof.publish.source import Exported

FORMATS = ("eee", "lm-eval", "model-index", "eval-results")
DATASTORE = "evaleval/EEE_datastore"  # where Every Eval Ever keeps what is sent to it

Texts = Annotated[
    str,
    typer.Option(
        "--samples", help="full, or hashes: no prompt, answer or reference, for data that must not be spread."
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(
        epilog="\b\nExample:\n  benchproof export results/mine --to eee -o exported\n"
        "  benchproof export results/mine --to eee -o exported --samples hashes",
    )(export)
    app.command(
        epilog="\b\nExample:\n  benchproof publish results/mine --to model --dry-run\n"
        "  benchproof publish results/mine --to eee",
    )(publish)


def export(
    record: Annotated[Path, typer.Argument(metavar="RECORD|RUN_DIR", help="A record.json, or its run folder.")],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="eee: Every Eval Ever 0.3.0; lm-eval: the harness's own result files; model-index, eval-results: "
            "a model's page.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where the files go.")],
    samples: Texts = "full",
    card: Annotated[
        Path | None,
        typer.Option("--card", metavar="README.md", help="With model-index: the card to put the scores into."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a record in another format.

    Pure and offline: the same record gives the same bytes. Nothing is overwritten.
    """
    from benchproof.errors import BadInput
    from benchproof.proof.keys import trusted_keys
    from benchproof.publish.source import read_exported
    from benchproof.store.files import disk_errors, write_once

    source = read_exported(record, trusted_keys())
    files, left_out = _files(source, to, _texts(samples), None if card is None else _text(card))
    for path in (out / name for name in files):
        if path.exists():  # told before the first is written
            raise BadInput(
                "that file exists and is never overwritten", where=str(path), do="give another folder to --out"
            )
    for name, data in files.items():
        path = out / name
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_once(path, data)
    status = source.record.status
    if as_json:
        print_json({"files": [str(out / name) for name in files], "status": status, "left_out": list(left_out)})
    else:
        for name in files:
            typer.echo(str(out / name))
        for line in left_out:
            typer.echo(f"left out: {line}")
        if status != "complete":
            typer.echo(f"this is a {status} run: the files say so, and it is not a score of the benchmarks")


def publish(
    record: Annotated[Path, typer.Argument(metavar="RECORD|RUN_DIR", help="A finished, complete record.")],
    to: Annotated[str, typer.Option("--to", help="eee: Every Eval Ever's data store; model: the model's own page.")],
    repo: Annotated[
        str | None, typer.Option("--repo", metavar="OWNER/NAME", help="Another repository than the usual one.")
    ] = None,
    create_pr: Annotated[
        bool, typer.Option("--create-pr/--push", help="A pull request, or a commit on the main branch.")
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, and stop.")] = False,
    samples: Texts = "full",
) -> None:
    """Send a record's scores where others look for them.

    Shows what is sent, and sends it as a pull request. A record that does not verify, or is limited or a smoke run, is
    refused. The same command again never makes a second pull request.
    """
    import time

    from benchproof.cli.checking import verified_record
    from benchproof.errors import BadInput
    from benchproof.proof.keys import trusted_keys
    from benchproof.publish.source import read_exported

    found, _ = verified_record(record)
    if found.status != "complete":
        raise BadInput(
            f"a {found.status} run is not published: its scores are not scores of the benchmarks",
            where=str(record),
            do="publish a complete run; `export` writes the files of any",
        )
    if to not in ("eee", "model"):
        raise BadInput(f"no target {to!r}", where="--to", do="eee or model")
    _needs_hub()
    from benchproof.publish import hub

    source, api = read_exported(record, trusted_keys()), hub.hub_api()
    target = repo or (DATASTORE if to == "eee" else source.published[0])
    if target is None:
        raise BadInput("what was measured is a folder, not a repository", where="--repo", do="give --repo OWNER/NAME")
    kind: Literal["model", "dataset"] = "dataset" if to == "eee" else "model"
    before = hub.current(api, target, kind, "README.md") if to == "model" else None
    files: dict[str, bytes] = {}
    left_out: list[str] = []
    for name in ("eee",) if to == "eee" else ("model-index", "eval-results"):
        more, without = _files(source, name, _texts(samples), before)
        files |= more
        left_out += [f"{name}: {line}" for line in without]
    if not files:
        raise BadInput("nothing of this record has a place there", where=target, do="; ".join(left_out)[:200])
    for path in sorted(set(files) - {"README.md"} if to == "model" else ()):
        if hub.current(api, target, kind, path) not in (None, files[path].decode("utf-8")):
            raise BadInput(
                f"{path} is there already, with another result",
                where=target,
                do="settle with its author which one stays",
            )
    _show(files, before, left_out, target, kind)
    if dry_run:
        typer.echo("dry run: nothing was sent")
        return
    sent = hub.send(
        api,
        files,
        target,
        kind,
        found.record_id,
        create_pr=create_pr,
        say=lambda t: typer.echo(t, err=True),
        sleep=time.sleep,
    )
    typer.echo(f"{'already there' if sent.already else 'sent'}: {sent.url}")


def _files(
    source: "Exported", to: str, texts: Literal["full", "hashes"], card: str | None
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """The files of a format, and what has no place in it."""
    from benchproof.errors import BadInput
    from benchproof.publish.eee import export_eee
    from benchproof.publish.lmeval import export_lmeval

    if to == "eee":
        return export_eee(source, texts), ()
    if to == "lm-eval":
        return export_lmeval(source, texts), ()
    if to not in FORMATS:
        raise BadInput(f"no format {to!r}", where="--to", do=f"one of {', '.join(FORMATS)}")
    _needs_hub()
    from benchproof.publish.card import export_card, export_eval_results

    page = export_card(source, card) if to == "model-index" else export_eval_results(source)
    return page.files, page.left_out


def _show(files: dict[str, bytes], before: str | None, left_out: list[str], target: str, kind: str) -> None:
    """Exactly what would be sent: paths, sizes, and the change of the card."""
    import difflib

    from benchproof.report.text import out, size

    out(f"to {kind} {target}:", bold=True)
    for path, data in sorted(files.items()):
        out(f"  {path}  {size(len(data))}")
    if "README.md" in files:
        after = files["README.md"].decode("utf-8").splitlines()
        for line in difflib.unified_diff((before or "").splitlines(), after, "README.md", "README.md", lineterm=""):
            out(f"  {line}")
    for line in left_out:
        out(f"  left out: {line}")


def _texts(word: str) -> Literal["full", "hashes"]:
    from benchproof.errors import BadInput

    if word not in ("full", "hashes"):
        raise BadInput(f"no samples {word!r}", where="--samples", do="full or hashes")
    return "hashes" if word == "hashes" else "full"


def _text(path: Path) -> str:
    from benchproof.errors import MissingInput

    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, ValueError) as error:
        raise MissingInput(f"the card cannot be read: {error}", where=str(path), do="give the README.md") from error


def _needs_hub() -> None:
    from importlib.util import find_spec

    from benchproof.errors import MachineError

    if find_spec("huggingface_hub") is None:
        raise MachineError("huggingface_hub is not installed", where="--to", do='pip install "benchproof[hf]"')
