"""`benchproof show`, `ls` and `schema`: they read, and need no torch."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchproof.cli.options import AsJson, print_json

if TYPE_CHECKING:
    from benchproof.store.runs import Found


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(
        epilog="\b\nExample:\n  benchproof show results/smoke-1a2b3c4d5e6f\n"
        "  benchproof show record.json --json | jq .results",
    )(show)
    app.command("ls", epilog="\b\nExample:\n  benchproof ls\n  benchproof ls results --json")(list_runs)
    app.command(
        epilog="\b\nExample:\n  benchproof schema record\n  benchproof schema --write docs/schemas",
    )(schema)


def show(
    record: Annotated[Path, typer.Argument(metavar="RECORD|RUN_DIR", help="A record.json, or the run folder.")],
    as_json: AsJson = False,
) -> None:
    """Show a record, its scores and pins.

    Also what it ran on, what to be warned of, and what is unknown.
    """
    from benchproof.floor import floors_beside
    from benchproof.proof.keys import trusted_keys
    from benchproof.report.details import show_record
    from benchproof.report.vouching import show_vouching
    from benchproof.store.runs import load_record

    found, file = load_record(record)
    if as_json:
        print_json(found.model_dump(mode="json", by_alias=True))
        return
    floor = next((floor for floor in floors_beside(file.parent) if floor.holds_for(found)), None)
    show_record(found, floor.shifts if floor else {})
    show_vouching(found, file, trusted_keys())


def list_runs(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that holds run folders.")] = Path("results"),
    as_json: AsJson = False,
) -> None:
    """List runs and their scores, newest first.

    A run is finished, interrupted, empty or unreadable.
    """
    from benchproof.report.text import out, table
    from benchproof.store.runs import find_runs

    runs = find_runs(folder)
    if as_json:
        print_json([_run_json(run) for run in runs])
    elif runs:
        table([_run_line(run) for run in runs], head=("run", "state", "date", "model", "scores"))
    else:
        out(f"no runs in {folder}")


def schema(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="spec, suite, plan, record, verdict, response, journal.")
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="DIR", help="Write each as DIR/NAME.schema.json, over what is there."),
    ] = None,
) -> None:
    """Print the JSON Schema of a file format.

    Without NAME, the names.
    """
    from benchproof.errors import BadInput
    from benchproof.schema.exported import KINDS, json_schema
    from benchproof.spec import nearest
    from benchproof.store.files import disk_errors

    if name is not None and name not in KINDS:
        raise BadInput(
            f"no schema {name!r}{nearest(name, list(KINDS))}", where="schema", do=f"choose: {', '.join(KINDS)}"
        )
    if write is not None:
        with disk_errors(write):
            write.mkdir(parents=True, exist_ok=True)
            for kind in [name] if name else KINDS:
                (write / f"{kind}.schema.json").write_text(schema_text(json_schema(kind)), encoding="utf-8")
    elif name is None:
        typer.echo("\n".join(KINDS))
    else:
        sys.stdout.write(schema_text(json_schema(name)))


def schema_text(value: dict[str, Any]) -> str:
    """The committed form: sorted, so that a difference shows what changed."""
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def _run_json(run: "Found") -> dict[str, Any]:
    from benchproof.report.tables import summary

    found: dict[str, Any] = {"folder": str(run.folder), "state": run.state, "changed": _date(run)}
    if run.record is not None:
        return found | summary(run.record)
    if run.state == "unreadable":
        return found | {"reason": run.reason}
    return found | {"answers": run.answers or 0, "requests": run.requests}


def _run_line(run: "Found") -> tuple[str, ...]:
    from benchproof.report.tables import headlines, score_text

    if run.record is None:
        of = f" of {run.requests}" if run.requests is not None else ""
        what = {"interrupted": f"{run.answers}{of} answers", "unreadable": run.reason}.get(run.state, "")
        return str(run.folder), run.state, _date(run), "", what
    scores = " · ".join(
        f"{headline.benchmark} {score_text(run.record, result) if result else '-'}"
        for headline, result in headlines(run.record)
    )
    return str(run.folder), f"{run.state}, {run.record.status}", _date(run), run.record.model_name, scores


def _date(run: "Found") -> str:
    if run.record is not None:
        return run.record.created
    return datetime.fromtimestamp(run.changed, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
