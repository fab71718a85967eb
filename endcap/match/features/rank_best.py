"""How near is the pair in the better of both candidate lists (1 = the nearest of its feed)?"""

from __future__ import annotations

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.record import Record, standing

VIEW = "context"
DIRECTION = -1


def compare(left: Record, right: Record) -> float:
    """The lesser rank of both sides."""
    return float(min(standing(left, right).rank, standing(right, left).rank))


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    return np.minimum(pairs.ranked("left_rank"), pairs.ranked("right_rank"))


def words(left: Record, right: Record, value: float) -> str:
    """The rank among the candidates of the other's feed."""
    return "" if left.feed == right.feed else f"rank {value:.0f} of its feed, seen from one side"


CASES = [
    ({"title": "red mug"}, {"title": "mug red"}, 1.0),
    ({"title": "red mug"}, {"title": "blue pot"}, 1.0),
]
