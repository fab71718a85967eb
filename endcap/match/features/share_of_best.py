"""How near is the pair compared with the nearest candidate of any feed, the lesser of both sides?"""

from __future__ import annotations

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.record import Record, standing

VIEW = "context"
DIRECTION = 1


def compare(left: Record, right: Record) -> float:
    """0..1; 1 = nothing is nearer to either."""
    return float(min(standing(left, right).of_best, standing(right, left).of_best))


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    return np.minimum(pairs.ranked("left_of_best"), pairs.ranked("right_of_best"))


def words(left: Record, right: Record, value: float) -> str:
    """The share in percent."""
    return f"{100 * value:.0f} % as near as the nearest of all"


CASES = [
    ({"title": "red mug"}, {"title": "mug red"}, 1.0),
    ({"title": "red mug"}, {"title": "blue pot"}, 0.0),
]
