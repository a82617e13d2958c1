"""`benchproof compare`: records side by side, or one against a number that somebody printed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchproof.cli.options import AsJson, print_json

if TYPE_CHECKING:
    from benchproof.schema.record import Record

UNSAID = (
    "shots, prompt template, chat template",
    "data set revision, filters, harness version",
    "model revision, dtype, seeds, hardware",
)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="\b\nExample:\n  benchproof compare results/a results/b --flips\n"
        "  benchproof compare results/a --claimed 0.684 --n 14042 --of mmlu",
    )(compare)


def compare(
    records: Annotated[
        list[Path],
        typer.Argument(
            metavar="RECORD...",
            help="Records or run folders, each compared with the first; or one, and an lm-eval or evalplus file.",
        ),
    ],
    claimed: Annotated[
        float | None, typer.Option("--claimed", help="A score that somebody printed, from 0 to 1.")
    ] = None,
    n: Annotated[int | None, typer.Option("--n", min=1, help="Over how many docs it was printed.")] = None,
    of: Annotated[str | None, typer.Option("--of", metavar="BENCHMARK", help="Which score of the record.")] = None,
    unpaired: Annotated[
        bool, typer.Option("--unpaired", help="Compare other questions too, as independent samples, and say so.")
    ] = False,
    flips: Annotated[bool, typer.Option("--flips", help="Show the docs that flipped.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the scores of records, doc by doc.

    Where two are of the same thing, says in which layer they part. Exit 7: not comparable; 1: a printed number that the
    record is not compatible with.
    """
    from benchproof.compare import compare as compare_sides
    from benchproof.errors import BadInput
    from benchproof.ladder import Side
    from benchproof.report.comparison import as_json as to_json
    from benchproof.report.comparison import show_comparisons
    from benchproof.store.runs import is_record, load_record

    if len(records) == 2 and not is_record(records[1]):
        _published(records[0], records[1], as_json)
        return
    loaded = [load_record(path) for path in records]
    if claimed is not None:
        if len(loaded) != 1:
            raise BadInput("--claimed goes with one record", where="compare", do="give one record")
        _claim(loaded[0][0], claimed, n, of, as_json)
        return
    if n is not None or of is not None:
        raise BadInput("--n and --of go with --claimed", where="compare", do="give --claimed, or leave them out")
    sides = [Side(record, file.parent) for record, file in loaded]
    found = compare_sides(sides, unpaired=unpaired)
    if as_json:
        print_json(to_json(found))
    else:
        show_comparisons(sides[0].record, found, flips=flips)
    if any(not d.comparable for item in found for d in item.differences) or not any(item.differences for item in found):
        raise typer.Exit(7)


def _claim(record: "Record", claimed: float, n: int | None, of: str | None, as_json: bool) -> None:
    from benchproof.compare import against_claim
    from benchproof.errors import BadInput
    from benchproof.report.comparison import difference_json, show_claim
    from benchproof.schema.score import Claimed

    if not 0 <= claimed <= 1:
        raise BadInput(f"{claimed:g} is no score from 0 to 1", where="--claimed", do="write 68.4 % as 0.684")
    found = against_claim(record, Claimed(claimed, None, n), of)
    unsaid = [*UNSAID, *(["over how many docs: taken to be as many as here"] if n is None else [])]
    if as_json:
        print_json(difference_json(found) | {"unsaid": unsaid})
    else:
        show_claim(found, "claimed", unsaid)
    if found.p is not None and found.p < 0.05:
        raise typer.Exit(1)


def _published(record: Path, file: Path, as_json: bool) -> None:
    """A record against every score that somebody's result file states too."""
    from benchproof.cli.foreign import spec_of_published
    from benchproof.compare import against_claims
    from benchproof.ledger.foreign import read_published
    from benchproof.report.comparison import difference_json, show_claims
    from benchproof.store.runs import load_record

    ours, _ = load_record(record)
    theirs = read_published(file)
    _, assumptions = spec_of_published(theirs, None)
    found = against_claims(ours, theirs.claims)
    if as_json:
        print_json({"differences": [difference_json(item) for item in found], "assumptions": assumptions})
    else:
        show_claims(theirs.model_name, ours, found, assumptions)
    if not found:
        raise typer.Exit(7)
    if any(item.holm is not None and item.holm < 0.05 for item in found):
        raise typer.Exit(1)
