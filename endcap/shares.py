"""Shares and how sure they are: the 95 % interval of a plain count, and of a sample drawn with known, unequal chances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share of a population as a sample tells it, with its 95 % interval; `n` judged ones stand behind it."""

    value: float
    low: float
    high: float
    n: int


def wilson_interval(counted: float, n: float) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927), 0 to 1 in, 0 to 1 out; `n` may be an effective size."""
    if n <= 0 or not 0 <= counted <= n:
        raise ValueError(f"{counted} of {n} is no share")
    rate = counted / n
    spread = Z_95 * math.sqrt(rate * (1 - rate) / n + Z_95**2 / (4 * n**2))
    middle = rate + Z_95**2 / (2 * n)
    scale = 1 + Z_95**2 / n
    return max(0.0, min(rate, (middle - spread) / scale)), min(1.0, max(rate, (middle + spread) / scale))


def weighted_share(judged: Sequence[tuple[str, float, bool]]) -> Estimate | None:
    """The share of a population that holds, from (stratum, chance of being drawn, whether it holds) of each judged member; None for none.

    Each member counts 1 / chance (Horvitz and Thompson 1952, divided by the sum of weights: Hajek). Its variance is that of a stratified
    sample; the interval is Wilson's at the size of a simple random sample of that variance. Raises ValueError for a chance outside 0 to 1.
    """
    if not judged:
        return None
    strata: dict[str, list[float]] = {}  # members, weight, weight of those that hold
    for stratum, chance, holds in judged:
        if not 0 < chance <= 1:
            raise ValueError(f"{chance} is no chance of being drawn")
        found = strata.setdefault(stratum, [0.0, 0.0, 0.0])
        found[0] += 1
        found[1] += 1 / chance
        found[2] += holds / chance
    whole = sum(weight for _members, weight, _held in strata.values())
    value = min(1.0, sum(held for _members, _weight, held in strata.values()) / whole)
    # Two members more, one that holds and one that does not, keep a small sample without an error from looking certain.
    prior = (value * len(judged) + 1) / (len(judged) + 2)
    # The more cautious of two variances: as if every stratum were like the whole, and of each as it was found.
    alike = found_so = 0.0
    for members, weight, held in strata.values():
        rate = (held / weight * members + 2 * prior) / (members + 2)
        alike += (weight / whole) ** 2 * prior * (1 - prior) / members
        found_so += (weight / whole) ** 2 * rate * (1 - rate) / members
    size = prior * (1 - prior) / max(alike, found_so)
    low, high = wilson_interval(value * size, size)
    return Estimate(value, low, high, len(judged))
