"""`benchproof verify`: what can be shown of a record; it needs no torch, no data and no harness."""

from pathlib import Path
from typing import Annotated

import typer

from benchproof.cli.options import AsJson, print_json


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(
        epilog="\b\nExample:\n  benchproof verify results/smoke-1a2b3c4d5e6f\n"
        "  benchproof verify old/record.json new/record.json\n"
        "  benchproof verify results/theirs --require alice\n"
        "  benchproof verify record.json --json | jq '.[].checks[] | select(.result != \"ok\")'",
    )(verify)


def verify(
    records: Annotated[list[Path], typer.Argument(metavar="RECORD|RUN_DIR...", help="record.json, or run folders.")],
    require: Annotated[
        list[str], typer.Option("--require", metavar="KEYID|NAME", help="Who must have signed; may be given again.")
    ] = [],  # noqa: B006  # typer's way to say none
    as_json: AsJson = False,
) -> None:
    """Check a record against itself and the files beside it.

    Hashes, ids, the journal's chain, every aggregate from its rows, signatures by keys that you trust. Files that are
    not at hand are told as not checked. Exit codes: 1 if a check failed, 2 for a newer record, 3 for a missing file.
    """
    from benchproof.proof.keys import trusted_keys
    from benchproof.report.text import out
    from benchproof.report.verification import show_verification, verification_json
    from benchproof.verify import verify_all

    found = verify_all(records, trusted=trusted_keys(), required=require)
    if as_json:
        print_json([verification_json(one) for one in found])
    else:
        for number, one in enumerate(found):
            if number:
                out("")
            show_verification(one)
    codes = {one.exit_code for one in found}
    raise typer.Exit(1 if 1 in codes else max(codes))
