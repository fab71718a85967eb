"""How much of the longer title, weighed by rarity, does the other's whole text hold?"""

from __future__ import annotations

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.reading import WORD
from endcap.match.record import Record

VIEW = "content"
DIRECTION = 1


def compare(left: Record, right: Record) -> float:
    """0..1, the lesser of both sides."""
    return min(_held(left, right), _held(right, left))


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    left = 1 - pairs.shared("lost_left") / np.maximum(pairs.shared("words_left"), np.float32(1e-9))
    right = 1 - pairs.shared("lost_right") / np.maximum(pairs.shared("words_right"), np.float32(1e-9))
    return np.minimum(left, right)


def words(left: Record, right: Record, value: float) -> str:
    """The share in percent."""
    return f"at least {100 * value:.0f} % of either title stands in the other's text"


def _held(own: Record, other: Record) -> float:
    mine = own.only(WORD)
    return 1 - own.squares({token for token in mine if token not in other.flags}) / max(own.squares(mine), 1e-9)


CASES = [
    ({"title": "steel kettle"}, {"title": "kettle steel"}, 1.0),
    ({"title": "kettle"}, {"title": "pan"}, 0.0),
]
