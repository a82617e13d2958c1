"""What n docs can show: the smallest difference that a test finds, the margin that TOST reaches, the n that decides.

Tests at two-sided 5 %, power 80 %, unless said. Differences, margins and discordance are proportions.
Sources of the first three, normal approximations: Julious 2004, Stat. Med. 23:1921-1986 (unpaired, TOST); Connor 1987,
Biometrics 43:207-211 (paired). They are optimistic under some 20 expected discordant pairs: docs/statistics.md.
"""

import math
from bisect import bisect_left

from scipy.special import betainc, ndtri

from benchproof.stats.equivalence import within
from benchproof.stats.intervals import tango

ALPHA = 0.05
POWER = 0.80
TOST_LEVEL = 1 - 2 * ALPHA  # the interval of two one-sided tests
MOST_PAIRS = 10**9  # beyond, no number of docs decides


def mde_unpaired(n: int, p: float = 0.5) -> float:
    """Smallest difference found between two independent runs of n docs each, both near p.

    ValueError for no docs, or p outside 0..1.
    """
    _check(n, p)
    return float(ndtri(1 - ALPHA / 2) + ndtri(POWER)) * math.sqrt(2 * p * (1 - p) / n)


def mde_paired(n: int, discordance: float) -> float | None:
    """Smallest difference D found over n pairs of which a share d is discordant. None: not reachable, as |D| <= d.

    Solves D sqrt(n) = z_a sqrt(d) + z_b sqrt(d - D^2), a quadratic. ValueError for no pairs, or a share outside 0..1.
    """
    _check(n, discordance)
    za, zb = float(ndtri(1 - ALPHA / 2)), float(ndtri(POWER))
    if n + zb**2 < za**2:
        return None
    found = math.sqrt(discordance) * (za * math.sqrt(n) + zb * math.sqrt(n + zb**2 - za**2)) / (n + zb**2)
    return found if found <= discordance else None


def tost_margin(n: int, discordance: float) -> float:
    """Margin within which TOST at 5 % finds two equal runs with 80 % power. ValueError as `mde_paired`."""
    _check(n, discordance)
    return float(ndtri(1 - ALPHA) + ndtri((1 + POWER) / 2)) * math.sqrt(discordance / n)


def pairs_for(difference: float, discordance: float, margin: float) -> int | None:
    """Pairs that would decide, if difference and discordance stay as observed; for a verdict "inconclusive".

    |difference| < margin: the fewest whose 90 % Tango interval lies within the margin. Above: the fewest with exact
    McNemar p < 5 %, continued to fractions by the incomplete beta function. None: no number, for the difference is the
    margin, or none below MOST_PAIRS. ValueError for |difference| > discordance, or a margin outside 0..1.
    """
    if not (abs(difference) <= discordance <= 1 and 0 < margin < 1):
        raise ValueError(f"difference {difference}, discordance {discordance}, margin {margin}")
    if abs(difference) == margin:
        return None
    more, fewer = (discordance + abs(difference)) / 2, (discordance - abs(difference)) / 2

    def decides(n: int) -> bool:
        if abs(difference) < margin:
            return within(tango(n * more, n * fewer, n, TOST_LEVEL), margin)
        return 2 * float(betainc(n * more, n * fewer + 1, 0.5)) < ALPHA

    candidates = range(1, MOST_PAIRS)
    found = bisect_left(candidates, True, key=decides)
    return candidates[found] if found < len(candidates) else None


def _check(n: int, share: float) -> None:
    if not (n >= 1 and 0 <= share <= 1):
        raise ValueError(f"{n} docs, share {share}")
