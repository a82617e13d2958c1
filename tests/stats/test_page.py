"""docs/statistics.md: its tables are what the functions give, and its numbers are theirs.

After a change that is meant, paste the table that the failing test shows.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchproof.stats.equivalence import allowed_mismatches, forged_share_upper
from benchproof.stats.intervals import tango
from benchproof.stats.power import mde_paired, mde_unpaired, pairs_for, tost_margin

PAGE = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text("utf-8")
BENCHMARKS = {"HumanEval": 164, "TruthfulQA": 817, "GSM8K": 1_319, "BBH": 6_511, "MMLU": 14_042}
DISCORDANCES = (0.01, 0.02, 0.05, 0.10, 0.20)
AUDITS = ((164, 60), (164, 100), (817, 300), (1_319, 300), (6_511, 300), (14_042, 300), (14_042, 1_000))


def differences() -> str:
    """Smallest difference that is found, in points."""
    return rows(
        ["benchmark", "n", "unpaired", *(f"paired, {share:.0%}" for share in DISCORDANCES)],
        [
            [name, n, points(mde_unpaired(n)), *(points(mde_paired(n, d)) for d in DISCORDANCES)]
            for name, n in benchmarks()
        ],
    )


def margins() -> str:
    """Half width at no discordance, and the margin that TOST reaches, in points."""
    return rows(
        ["benchmark", "n", "nothing differs", *(f"TOST, {share:.0%}" for share in DISCORDANCES)],
        [
            [name, n, points(tango(0, 0, n, 0.90).upper), *(points(tost_margin(n, d)) for d in DISCORDANCES)]
            for name, n in benchmarks()
        ],
    )


def audits() -> str:
    """Forged answers that an audit without mismatches leaves possible, at 95 %."""
    bounds = [(n, s, forged_share_upper(0, s, n)) for n, s in AUDITS]
    return rows(
        ["answers", "drawn", "forged at most", "share", "allowed at d0 = 1 %"],
        [[n, s, bound.count, f"{bound.share:.2%}", allowed_mismatches(s, 0.01)] for n, s, bound in bounds],
    )


def benchmarks() -> list[tuple[str, int]]:
    return list(BENCHMARKS.items())


def points(difference: float | None) -> str:
    return "-" if difference is None else f"{100 * difference:.2f}"


def rows(head: list[str], body: list[list[str | int]]) -> str:
    lines: list[list[str | int]] = [[*head], ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


@pytest.mark.parametrize("table", [differences, margins, audits])
def test_each_table_of_the_page_is_what_the_functions_give(table: Callable[[], str]) -> None:
    assert table() in PAGE, f"docs/statistics.md is stale; it should hold\n\n{table()}"


def test_the_examples_of_the_page_are_what_the_functions_give() -> None:
    text = " ".join(PAGE.split())
    decided = pairs_for(1 / 164, 3 / 164, 0.02)
    assert f"(164 pairs, 2 and 1 discordant, margin 2 points) would be decided by {decided} pairs" in text
    assert f"with no discordance at all {pairs_for(0, 0, 0.01)} pairs" in text
