"""Do both state the same pack count?"""

from __future__ import annotations

import math

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.record import Record

VIEW = "content"
DIRECTION = 1


def compare(left: Record, right: Record) -> float:
    """1 = a count in common, -1 = both state counts and none in common, 0 = one states more than one piece, NaN = nothing stated."""
    if left.packs and right.packs:
        return 1.0 if left.packs & right.packs else -1.0
    return 0.0 if any(count > 1 for count in left.packs | right.packs) else math.nan


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    return pairs.measured("pack")


def words(left: Record, right: Record, value: float) -> str:
    """The counts of each side."""
    mine, its = (" or ".join(map(str, sorted(side.packs))) or "none stated" for side in (left, right))
    if math.isnan(value):
        return ""
    return f"pack of {mine}" if mine == its else f"pack {mine} against {its}"


CASES = [
    ({"title": "Mug pack of 2"}, {"title": "2 pack mug"}, 1.0),
    ({"title": "Mug pack of 2"}, {"title": "Mug pack of 6"}, -1.0),
    ({"title": "Mug pack of 2"}, {"title": "Mug"}, 0.0),
    ({"title": "Mug"}, {"title": "Mug"}, math.nan),
]
