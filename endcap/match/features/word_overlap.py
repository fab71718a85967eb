"""What share of the titles' words, weighed by rarity, do both hold?"""

from __future__ import annotations

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.reading import WORD
from endcap.match.record import Record

VIEW = "content"
DIRECTION = 1


def compare(left: Record, right: Record) -> float:
    """0..1, shared / either."""
    mine, its = left.only(WORD), right.only(WORD)
    shared = left.squares(mine & its)
    return shared / max(left.squares(mine) + right.squares(its) - shared, 1e-9)


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    shared = pairs.shared("words_shared")
    return shared / np.maximum(pairs.shared("words_left") + pairs.shared("words_right") - shared, np.float32(1e-9))


def words(left: Record, right: Record, value: float) -> str:
    """The share in percent."""
    return f"titles share {100 * value:.0f} % of their words by rarity"


CASES = [
    ({"title": "steel kettle"}, {"title": "steel kettle"}, 1.0),
    ({"title": "steel kettle"}, {"title": "steel pan"}, 0.0637637),
    ({"title": "kettle"}, {"title": "pan"}, 0.0),
]
