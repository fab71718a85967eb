"""Do both state the same brand, or does one's text hold the brand that the other states?"""

from __future__ import annotations

import math

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.record import Record

VIEW = "content"
DIRECTION = 1


def compare(left: Record, right: Record) -> float:
    """1 = the same brand, 0 = different ones, NaN = at most one states it and the other's text does not hold it."""
    if left.brand and right.brand:
        named = left.brand in right.flags or right.brand in left.flags
        return 1.0 if left.brand == right.brand or named else 0.0
    found = (left.brand and left.brand in right.flags) or (right.brand and right.brand in left.flags)
    return 1.0 if found else math.nan


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    return pairs.stated(pairs.index.tokens.brand, equal=True)


def words(left: Record, right: Record, value: float) -> str:
    """The brands as both state them."""
    mine, its = left.shown.get("brand", ""), right.shown.get("brand", "")
    if value == 1.0:
        return f"same brand {mine or its}"
    return f"brand {mine} against {its}" if value == 0.0 else ""


CASES = [
    ({"title": "Kettle", "brand": "Acme"}, {"title": "Jug", "brand": "ACME"}, 1.0),
    ({"title": "Kettle", "brand": "Acme"}, {"title": "Jug", "brand": "Bolt"}, 0.0),
    ({"title": "Kettle", "brand": "Acme"}, {"title": "Acme jug"}, 1.0),
    ({"title": "Kettle", "brand": "Acme"}, {"title": "Jug"}, math.nan),
]
