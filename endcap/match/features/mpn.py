"""Do both state the same manufacturer's part number, or does one's text hold the number that the other states?"""

from __future__ import annotations

import math

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.record import Record

VIEW = "content"
DIRECTION = 1


def compare(left: Record, right: Record) -> float:
    """1 = the same or held by the other's text, 0 = two different ones, NaN = unknown."""
    if left.mpn in right.flags or right.mpn in left.flags:
        return 1.0
    return 0.0 if left.mpn and right.mpn else math.nan


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    return pairs.stated(pairs.index.tokens.mpn, equal=False)


def words(left: Record, right: Record, value: float) -> str:
    """The part numbers as stated."""
    mine, its = left.shown.get("mpn", ""), right.shown.get("mpn", "")
    if value == 1.0:
        return f"same part number {mine or its}"
    return f"part number {mine} against {its}" if value == 0.0 else ""


CASES = [
    ({"title": "Drill", "mpn": "GSR-18"}, {"title": "Drill", "mpn": "gsr 18"}, 1.0),
    ({"title": "Drill", "mpn": "GSR-18"}, {"title": "Cordless drill GSR18 kit"}, 1.0),
    ({"title": "Drill", "mpn": "GSR-18"}, {"title": "Drill", "mpn": "GSB-18"}, 0.0),
    ({"title": "Drill", "mpn": "GSR-18"}, {"title": "Drill"}, math.nan),
]
