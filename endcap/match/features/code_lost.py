"""Does each side name a model or part number that the other lacks?"""

from __future__ import annotations

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.reading import CODE
from endcap.match.record import Record

VIEW = "content"
DIRECTION = -1


def compare(left: Record, right: Record) -> float:
    """Rarity 0..1 of the rarest code that stands only on one side, the lesser of both sides."""
    return min(_rarest_lost(left, right), _rarest_lost(right, left))


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    return np.minimum(pairs.shared("code_lost_left"), pairs.shared("code_lost_right"))


def words(left: Record, right: Record, value: float) -> str:
    """The code of each side."""
    if not value > 0:
        return ""
    return f"code {_shown(left, right)} against {_shown(right, left)}"


def _lost(own: Record, other: Record) -> set[int]:
    return {token for token in own.only(CODE) if token not in other.flags}


def _rarest_lost(own: Record, other: Record) -> float:
    return max((own.rarity[token] for token in _lost(own, other)), default=0.0)


def _shown(own: Record, other: Record) -> str:
    return own.rarest(_lost(own, other))


CASES = [
    ({"title": "Headphones WH1000XM4"}, {"title": "Headphones WH1000XM5"}, 1.0),
    ({"title": "Headphones WH1000XM4"}, {"title": "Headphones"}, 0.0),
]
