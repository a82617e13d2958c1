"""Tests over pairs: the same docs, scored twice; and what several tests at once do to their p-values."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr

EXACT_UP_TO = 16  # differences: 2^16 sign patterns are counted in a few milliseconds
CELLS = 1 << 21  # signs held at once, 16 MiB as doubles


def mcnemar_exact(b: int, c: int) -> float:
    """Two-sided p of no difference, given b pairs with only the first right and c with only the second.

    Exact and conservative: min(1, 2 BinomCDF(min(b, c); b + c, 1/2)); 1 if nothing differs. Assumes independent pairs.
    Source: McNemar 1947, Psychometrika 12:153-157, in its exact form. ValueError if a count is negative.
    """
    if b < 0 or c < 0:
        raise ValueError(f"{b} and {c} discordant pairs")
    return min(1.0, 2 * float(bdtr(min(b, c), b + c, 0.5))) if b + c else 1.0


def sign_flip(differences: ArrayLike, seed: int, rounds: int = 9_999) -> float:
    """Two-sided p that paired differences are symmetric about 0, by the sum under flipped signs; for graded scores.

    differences: shape (n,). Up to 16 that are not 0: all sign patterns, exact, and `seed` is not used. More: Monte
    Carlo, p = (r + 1)/(rounds + 1), a valid p for any number of rounds. Memory is bounded for any n.
    Source: Fisher 1935, The Design of Experiments, section 21; Phipson and Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9,
    article 39 (the + 1).
    ValueError for differences that are not finite or not in one row, and for no rounds.
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 1 or not np.all(np.isfinite(d)) or rounds < 1:
        raise ValueError(f"finite differences in one row and at least one round are needed; {d.shape}, {rounds}")
    d = d[d != 0]
    sizes = np.abs(d)
    total = float(sizes.sum())
    # Sums that are equal on paper differ in their last bits by the order of adding; counting them in is conservative.
    reached = abs(float(d.sum())) - 1e-9 * total
    if d.size <= EXACT_UP_TO:
        patterns = np.arange(2**d.size)[:, None] >> np.arange(d.size) & 1
        return float(np.mean(np.abs(2 * (patterns @ sizes) - total) >= reached))
    rng = np.random.default_rng(seed)
    width, at_once = -(-d.size // 8), max(1, CELLS // d.size)
    extreme = 0
    for start in range(0, rounds, at_once):
        coins = rng.integers(0, 256, size=(min(at_once, rounds - start), width), dtype=np.uint8)
        positive = np.unpackbits(coins, axis=1, count=d.size).astype(np.float64)
        extreme += int(np.count_nonzero(np.abs(2 * (positive @ sizes) - total) >= reached))
    return (extreme + 1) / (rounds + 1)


def holm(ps: Sequence[float]) -> list[float]:
    """Adjusted p-values in the order given: below alpha somewhere by chance with probability <= alpha at most.

    Any dependence. For verdicts. Source: Holm 1979, Scand. J. Stat. 6:65-70. ValueError if a p is outside 0..1.
    """
    order, p = _ascending(ps)
    steps = np.maximum.accumulate(p * np.arange(p.size, 0, -1))
    return _in_order(order, steps)


def benjamini_hochberg(ps: Sequence[float]) -> list[float]:
    """Adjusted p-values in the order given: of those below alpha, a share <= alpha is false on average. For screening.

    Independent or positively dependent tests. Source: Benjamini and Hochberg 1995, J. R. Stat. Soc. B 57:289-300.
    ValueError if a p is outside 0..1.
    """
    order, p = _ascending(ps)
    steps = np.minimum.accumulate((p * (p.size / np.arange(1, p.size + 1)))[::-1])[::-1]
    return _in_order(order, steps)


def _ascending(ps: Sequence[float]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    p = np.asarray(ps, dtype=np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError("a p-value is between 0 and 1")
    order = np.argsort(p, kind="stable")
    return order, p[order]


def _in_order(order: NDArray[np.intp], steps: NDArray[np.float64]) -> list[float]:
    adjusted = np.empty_like(steps)
    adjusted[order] = np.minimum(steps, 1.0)
    return [float(p) for p in adjusted]
