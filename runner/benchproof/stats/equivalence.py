"""Are two runs the same, and how much of a record can be forged: what a margin, a discordance, an audit support."""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtrc
from scipy.stats import hypergeom

from benchproof.stats.intervals import Interval

AUDIT_ALPHA = 0.01  # an honest audit fails this seldom


@dataclass(frozen=True, slots=True)
class ForgedBound:
    """At most `count` answers of the population are forged, `share` of it, with confidence `level`."""

    count: int
    share: float
    level: float


def within(interval: Interval, margin: float) -> bool:
    """Whether the interval lies inside (-margin, margin). Of a 90 % interval it is TOST at 5 %.

    Source: Schuirmann 1987, J. Pharmacokinet. Biopharm. 15:657-680. ValueError if the margin is not positive.
    """
    if not margin > 0:
        raise ValueError(f"a margin is positive, not {margin}")
    return -margin < interval.lower and interval.upper < margin


def discordance_p(discordant: int, n: int, benign_rate: float) -> float:
    """P(X >= discordant) of n pairs, if pairs differ with the benign rate that was measured.

    Binomial: assumes independent pairs. ValueError for a count above n, or a rate outside 0..1.
    """
    _check(discordant, n, benign_rate)
    return float(bdtrc(discordant - 1, n, benign_rate)) if discordant else 1.0


def allowed_mismatches(samples: int, benign_rate: float) -> int:
    """Smallest k with P(X > k) < AUDIT_ALPHA over `samples` draws; fixed before the nonce is made.

    0 for an engine that is bitwise. Binomial. ValueError for no samples, or a rate outside 0..1.
    """
    _check(0, samples, benign_rate)
    return int(np.argmax(bdtrc(np.arange(samples + 1), samples, benign_rate) < AUDIT_ALPHA))


def forged_share_upper(mismatches: int, samples: int, population: int, level: float = 0.95) -> ForgedBound:
    """Largest number of forged answers under which so few mismatches are not rarer than 1 - level.

    Hypergeometric: drawn without repeats from `population` answers after they were fixed. Assumes that a forged answer
    that is drawn mismatches. Its share is Clopper and Pearson's bound in the limit of a large population.
    Source: Buonaccorsi 1987, Am. Stat. 41:215-218.
    ValueError for more mismatches than samples, or more samples than answers.
    """
    if not (0 <= mismatches <= samples <= population and samples >= 1 and 0 < level < 1):
        raise ValueError(f"{mismatches} mismatches in {samples} of {population}, level {level}")
    # Known without any chance: `mismatches` are forged, and the other answers that were drawn are not.
    possible = range(mismatches, population - samples + mismatches + 1)
    excluded = bisect_left(
        possible, True, key=lambda forged: bool(hypergeom.cdf(mismatches, population, forged, samples) < 1 - level)
    )
    count = possible[excluded - 1]
    return ForgedBound(count, count / population, level)


def detection_rate(population: int, forged: int, samples: int) -> float:
    """Chance that at least one of the forged answers is among the samples; drawn without repeats.

    ValueError for more forged answers, or more samples, than the population has.
    """
    if not (population >= 1 and 0 <= forged <= population and 0 <= samples <= population):
        raise ValueError(f"{samples} samples and {forged} forged of {population}")
    return float(hypergeom.sf(0, population, forged, samples))


def _check(k: int, n: int, rate: float) -> None:
    if not (n >= 1 and 0 <= k <= n and 0 <= rate <= 1):
        raise ValueError(f"{k} of {n} at a rate of {rate}")
