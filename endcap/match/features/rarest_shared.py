"""How rare is the rarest word or code that both titles hold?"""

from __future__ import annotations

import numpy as np

from endcap.match.index import SEARCHED
from endcap.match.pairs import Pairs
from endcap.match.record import Record

VIEW = "content"
DIRECTION = 1


def compare(left: Record, right: Record) -> float:
    """Rarity 0..1; 0 = none."""
    return max((left.rarity[token] for token in left.only(SEARCHED) & right.only(SEARCHED)), default=0.0)


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    return pairs.shared("rarest_shared")


def words(left: Record, right: Record, value: float) -> str:
    """The rarest word or code of both."""
    both = left.only(SEARCHED) & right.only(SEARCHED)
    return f"both say {left.rarest(both)}" if both else ""


CASES = [
    ({"title": "steel kettle"}, {"title": "steel pan"}, 0.3690702),
    ({"title": "kettle"}, {"title": "pan"}, 0.0),
]
