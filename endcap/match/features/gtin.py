"""Do both state the same GTIN? Strong evidence, not proof: suppliers make mistakes."""

from __future__ import annotations

import math

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.record import Record

VIEW = "key"
DIRECTION = 1


def compare(left: Record, right: Record) -> float:
    """1 = the same, 0 = two different ones, NaN = at most one states it."""
    if not left.gtin or not right.gtin:
        return math.nan
    return float(left.gtin == right.gtin)


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    left, right = pairs.both(pairs.index.tokens.gtin)
    return np.where((left == 0) | (right == 0), np.nan, left == right).astype(np.float32)


def words(left: Record, right: Record, value: float) -> str:
    """The GTINs."""
    if value == 1.0:
        return f"same GTIN {left.gtin:014d}"
    return f"GTIN {left.gtin:014d} against {right.gtin:014d}" if value == 0.0 else ""


CASES = [
    ({"title": "Tea", "gtin": "04006381333931"}, {"title": "Tee", "gtin": "04006381333931"}, 1.0),
    ({"title": "Tea", "gtin": "04006381333931"}, {"title": "Tea", "gtin": "04006381333948"}, 0.0),
    ({"title": "Tea", "gtin": "04006381333931"}, {"title": "Tea"}, math.nan),
]
