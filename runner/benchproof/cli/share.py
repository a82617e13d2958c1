"""`benchproof export`: a record in other people's formats."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from benchproof.cli.options import AsJson, print_json

Texts = Annotated[
    str,
    typer.Option(
        "--samples", help="full, or hashes: no prompt, answer or reference, for data that must not be spread."
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="\b\nExample:\n  benchproof export results/mine --to eee -o exported\n"
        "  benchproof export results/mine --to eee -o exported --samples hashes",
    )(export)


def export(
    record: Annotated[Path, typer.Argument(metavar="RECORD|RUN_DIR", help="A record.json, or its run folder.")],
    to: Annotated[
        str, typer.Option("--to", help="eee: Every Eval Ever 0.3.0; lm-eval: the harness's own result files.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where the files go.")],
    samples: Texts = "full",
    as_json: AsJson = False,
) -> None:
    """Write a record in another format.

    Pure and offline: the same record gives the same bytes. Nothing is overwritten.
    """
    from benchproof.errors import BadInput
    from benchproof.publish.eee import export_eee
    from benchproof.publish.lmeval import export_lmeval
    from benchproof.publish.source import read_exported
    from benchproof.store.files import disk_errors, write_once

    texts: Literal["full", "hashes"] = "hashes" if samples == "hashes" else "full"
    if samples not in ("full", "hashes"):
        raise BadInput(f"no samples {samples!r}", where="--samples", do="full or hashes")
    source = read_exported(record)
    if to == "eee":
        files = export_eee(source, texts)
    elif to == "lm-eval":
        files = export_lmeval(source, texts)
    else:
        raise BadInput(f"no format {to!r}", where="--to", do="eee or lm-eval")
    for name, data in files.items():
        path = out / name
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_once(path, data)
    status = source.record.status
    if as_json:
        print_json({"files": [str(out / name) for name in files], "status": status})
    else:
        for name in files:
            typer.echo(str(out / name))
        if status != "complete":
            typer.echo(f"this is a {status} run: the files say so, and it is not a score of the benchmarks")
