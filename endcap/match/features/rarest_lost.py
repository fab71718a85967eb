"""How rare is the rarest title word of each side that the other's text lacks (the lesser of both sides)?"""

from __future__ import annotations

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.reading import WORD
from endcap.match.record import Record

VIEW = "content"
DIRECTION = -1


def compare(left: Record, right: Record) -> float:
    """Rarity 0..1; 0 = one side's title stands wholly in the other's text."""
    return min(_rarest(left, right), _rarest(right, left))


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    return np.minimum(pairs.shared("rarest_lost_left"), pairs.shared("rarest_lost_right"))


def words(left: Record, right: Record, value: float) -> str:
    """The word of each side."""
    return f"{_shown(left, right)} against {_shown(right, left)}" if value > 0 else ""


def _lost(own: Record, other: Record) -> set[int]:
    return {token for token in own.only(WORD) if token not in other.flags}


def _rarest(own: Record, other: Record) -> float:
    return max((own.rarity[token] for token in _lost(own, other)), default=0.0)


def _shown(own: Record, other: Record) -> str:
    return own.rarest(_lost(own, other))


CASES = [
    ({"title": "steel kettle"}, {"title": "steel pan"}, 1.0),
    ({"title": "steel kettle"}, {"title": "steel kettle red"}, 0.0),
]
