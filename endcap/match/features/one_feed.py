"""Are both listings of one marketplace? They are as often two products as one, so that what they share says less than between two suppliers."""

from __future__ import annotations

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.record import Record

VIEW = "key"
DIRECTION = 0


def compare(left: Record, right: Record) -> float:
    """1 = both of one feed, 0 = of two."""
    return float(left.feed == right.feed)


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    left, right = pairs.both(pairs.index.feeds)
    return (left == right).astype(np.float32)


def words(left: Record, right: Record, value: float) -> str:
    """That both are of one feed; nothing of two, as nearly all pairs are."""
    return "both are listings of one marketplace" if value == 1.0 else ""


CASES = [
    ({"title": "Tea", "feed": "market"}, {"title": "Tea", "feed": "market"}, 1.0),
    ({"title": "Tea", "feed": "market"}, {"title": "Tea", "feed": "shop"}, 0.0),
]
