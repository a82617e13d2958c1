"""Lines and aligned columns on stdout, by rich: colours on a terminal, plain and never cut elsewhere."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from benchproof.schema.unknown import Unknown

if TYPE_CHECKING:
    from rich.console import Console


WIDTH = 41  # columns of a drawn interval; odd, so that 0 has one of its own


class Row(NamedTuple):
    """One score: its name (indented), its value, and what is to be said of it."""

    name: str
    score: str
    note: str = ""
    headline: bool = False


def console() -> "Console":
    """Stdout; as wide as it needs to be where it is no terminal."""
    from rich.console import Console

    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else 1000, highlight=False, markup=False)


def out(text: str, *, bold: bool = False) -> None:
    """One line, or several. What a record says may be hostile: no control character reaches the terminal."""
    console().print(printable(text), style="bold" if bold else None, soft_wrap=True)


def printable(text: str) -> str:
    """The text with its control characters spelled out; line ends stay."""
    return "".join(sign if sign.isprintable() or sign == "\n" else repr(sign)[1:-1] for sign in text)


def drawn(lower: float, upper: float, most: float, sign: str) -> tuple[list[str], Callable[[float], int]]:
    """The cells of a line from -most to +most with an interval in it, and the cell of a value; beyond is at the end."""
    middle = WIDTH // 2

    def place(value: float) -> int:
        return max(0, min(WIDTH - 1, round(middle + value / most * middle)))

    first, last = place(lower), place(upper)
    return [sign if first <= position <= last else " " for position in range(WIDTH)], place


def rows(items: Sequence[Row]) -> None:
    """Scores in three columns."""
    table([(f"{'*' if row.headline else ' '} {row.name}", row.score, row.note) for row in items])


def table(items: Sequence[Sequence[str]], *, head: Sequence[str] = (), right: Sequence[int] = ()) -> None:
    """Columns as wide as they need to be. `head`: their names; `right`: those that are numbers. Nothing is cut."""
    if not items:
        return
    every = [list(head), *items] if head else list(items)
    widths = [max(len(line[i]) for line in every) for i in range(len(every[0]))]
    for number, line in enumerate(every):
        cells = [
            text.rjust(width) if i in right else text.ljust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        out("  ".join(cells).rstrip(), bold=bool(head) and number == 0)


def count(number: int | Unknown) -> str:
    """`1,319`, or that it is not known."""
    return "an unknown number of" if isinstance(number, Unknown) else f"{number:,}"


def size(bytes_: int) -> str:
    """`1.8 GB`."""
    if bytes_ < 1000:
        return f"{bytes_} bytes"
    power = min(len(str(bytes_)) // 3 - (len(str(bytes_)) % 3 == 0), 4)
    return f"{bytes_ / 1000**power:.1f} {('KB', 'MB', 'GB', 'TB')[power - 1]}"


def short(digest: str) -> str:
    """The first 12 of a digest."""
    return digest[:12]
