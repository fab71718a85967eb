"""By how much is the pair nearer than the best rival, seen from the side where it is closer?"""

from __future__ import annotations

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.record import Record, standing

VIEW = "context"
DIRECTION = 1


def compare(left: Record, right: Record) -> float:
    """The lesser margin of both sides, as a share of the similarity; negative = a rival is nearer."""
    return float(min(standing(left, right).margin, standing(right, left).margin))


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    return np.minimum(pairs.ranked("left_margin"), pairs.ranked("right_margin"))


def words(left: Record, right: Record, value: float) -> str:
    """The margin in percent."""
    if value >= 1:
        return "no rival in sight"
    return f"{100 * value:.0f} % nearer than the runner-up" if value >= 0 else f"a rival is {-100 * value:.0f} % nearer"


CASES = [
    ({"title": "red mug"}, {"title": "mug red"}, 1.0),
    ({"title": "red mug"}, {"title": "blue pot"}, 0.0),
]
