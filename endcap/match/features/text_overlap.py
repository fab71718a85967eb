"""What share of all words, description and details too, weighed by rarity, do both hold?"""

from __future__ import annotations

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.record import Record

VIEW = "content"
DIRECTION = 1


def compare(left: Record, right: Record) -> float:
    """0..1, shared / either."""
    mine, its = set(left.flags), set(right.flags)
    shared = left.squares(mine & its)
    return shared / max(left.squares(mine) + right.squares(its) - shared, 1e-9)


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    shared = pairs.shared("all_shared")
    return shared / np.maximum(pairs.shared("all_left") + pairs.shared("all_right") - shared, np.float32(1e-9))


def words(left: Record, right: Record, value: float) -> str:
    """The share in percent."""
    return f"all text shares {100 * value:.0f} % of its words by rarity"


CASES = [
    ({"title": "kettle", "description": "red"}, {"title": "red", "description": "kettle"}, 1.0),
    ({"title": "kettle"}, {"title": "pan"}, 0.0),
]
