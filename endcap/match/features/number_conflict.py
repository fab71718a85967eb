"""How many bare numbers of each title does the other's whole text lack (the lesser of both sides)?"""

from __future__ import annotations

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.reading import NUMBER
from endcap.match.record import Record

VIEW = "content"
DIRECTION = -1


def compare(left: Record, right: Record) -> float:
    """A count; 0 = at least one side's numbers all stand in the other's text."""
    return float(min(len(_lost(left, right)), len(_lost(right, left))))


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    return np.minimum(pairs.shared("numbers_lost_left"), pairs.shared("numbers_lost_right"))


def words(left: Record, right: Record, value: float) -> str:
    """A number of each side."""
    return f"number {_shown(left, right)} against {_shown(right, left)}" if value > 0 else ""


def _lost(own: Record, other: Record) -> set[int]:
    return {token for token in own.only(NUMBER) if token not in other.flags}


def _shown(own: Record, other: Record) -> str:
    return own.rarest(_lost(own, other))


CASES = [
    ({"title": "Office 2007"}, {"title": "Office 2010"}, 1.0),
    ({"title": "Office 2007"}, {"title": "Office 2007 10"}, 0.0),
]
