"""What the commands that compute again have in common: the record they check, the world they run in, how they end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from benchproof.cli.options import print_json

if TYPE_CHECKING:
    from benchproof.ladder import Side
    from benchproof.ports import Progress
    from benchproof.run import World
    from benchproof.schema.record import Record
    from benchproof.schema.spec import RunSpec
    from benchproof.schema.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Checked:
    """A record that verifies, the sha256 of its file, and the spec that asks it again."""

    side: "Side"
    sha256: str
    spec: "RunSpec"


def checked_record(path: Path, model: str | None, *, verified: bool = True) -> Checked:
    """A record and how to ask it again. Raises VerificationFailed (1) for one that fails level 0, if that is asked."""
    from benchproof.asked import spec_of
    from benchproof.ladder import Side
    from benchproof.store.files import file_sha256
    from benchproof.store.runs import load_record

    record, file = verified_record(path) if verified else load_record(path)
    return Checked(Side(record, file.parent), file_sha256(file), spec_of(record, file.parent, model=model))


def verified_record(path: Path) -> "tuple[Record, Path]":
    """A record that holds at level 0, and its file. Raises VerificationFailed (1) naming the first check that fails."""
    from benchproof.errors import VerificationFailed
    from benchproof.store.runs import load_record
    from benchproof.verify import verify

    record, file = load_record(path)
    failed = [check for check in verify(path).checks if check.result == "failed"]
    if failed:
        raise VerificationFailed(
            f"the record does not verify: {failed[0].name}: {failed[0].detail}",
            where=str(file),
            do=f"see all of it with `benchproof verify {path}`; nothing more is done with it",
        )
    return record, file


def with_margin(checked: Checked, given: float | None) -> "tuple[RunSpec, Any]":
    """The spec with the margin that counts, and who declared it. Raises BadInput for one that is wider."""
    from benchproof.errors import BadInput
    from benchproof.verdict import Margin

    stated = float(checked.side.record.margin_points)
    if given is None:
        return checked.spec, Margin(stated, "record")
    if not 0 < given <= stated:
        raise BadInput(
            f"a margin of {given:g} points: the record declared {stated:g}, and only a stricter one may replace it",
            where="--margin",
            do=f"give more than 0 and at most {stated:g}",
        )
    strict = checked.spec.reproduce.model_copy(update={"margin_points": given})
    return checked.spec.model_copy(update={"reproduce": strict}), Margin(given, "verifier")


def make_progress(quiet: bool) -> "Progress":
    """Lines for people; events wait for a run folder's log."""
    from benchproof.report.progress import for_terminal
    from benchproof.store import log

    log.wait()
    return for_terminal(quiet)


def world_of(spec: "RunSpec", device: str | None, progress: "Progress", commits: dict[str, str]) -> "World":
    """The adapters of a spec, everything of the Hub at these commits."""
    from benchproof.wire import make_world

    return make_world(spec, device=device, progress=progress, pinned=commits)


@contextmanager
def interruptible(out: Path | None) -> Iterator[None]:
    """Signals end it within ten seconds; the same command goes on where there is a folder to go on in."""
    from benchproof.cli.signals import stoppable
    from benchproof.errors import Interrupted

    try:
        with stoppable():
            yield
    except KeyboardInterrupt as error:
        raise Interrupted(
            "interrupted; every answer that was acknowledged is on disk" if out else "interrupted",
            where=str(out or ""),
            do="run the same command again",
        ) from error


def tell(verdict: "Verdict | None", as_json: bool, more: dict[str, Any]) -> None:
    """Shows a verdict, and ends with its exit code."""
    from benchproof.report.verdicts import show_verdict

    if verdict is None:
        return
    if as_json:
        print_json(verdict.model_dump(mode="json", by_alias=True) | more)
    else:
        show_verdict(verdict)
    if verdict.exit_code:
        raise typer.Exit(verdict.exit_code)
