"""How near is the pair in the worse of both candidate lists (1 = each other's nearest)?"""

from __future__ import annotations

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.record import Record, standing

VIEW = "context"
DIRECTION = -1


def compare(left: Record, right: Record) -> float:
    """The greater rank of both sides."""
    return float(max(standing(left, right).rank, standing(right, left).rank))


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    return np.maximum(pairs.ranked("left_rank"), pairs.ranked("right_rank"))


def words(left: Record, right: Record, value: float) -> str:
    """Whether each is the nearest that the other has in its feed; of one feed they are candidates only in a marketplace, which may list a product often."""
    if left.feed == right.feed:
        return "of one feed, where ranks say little"
    return "each other's nearest" if value == 1 else f"rank {value:.0f} of its feed, seen from the other side"


CASES = [
    ({"title": "red mug"}, {"title": "mug red"}, 1.0),
    ({"title": "red mug"}, {"title": "blue pot"}, 1.0),
]
