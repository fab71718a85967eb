"""What share of the bare numbers of both titles do both hold?"""

from __future__ import annotations

import math

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.reading import NUMBER
from endcap.match.record import Record

VIEW = "content"
DIRECTION = 1


def compare(left: Record, right: Record) -> float:
    """0..1, shared / either; NaN = no bare number in either title."""
    mine, its = left.only(NUMBER), right.only(NUMBER)
    return len(mine & its) / len(mine | its) if mine | its else math.nan


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    shared = pairs.shared("numbers_shared")
    either = pairs.shared("numbers_left") + pairs.shared("numbers_right") - shared
    return np.where(either > 0, shared / np.maximum(either, 1), np.nan).astype(np.float32)


def words(left: Record, right: Record, value: float) -> str:
    """The share in percent."""
    return "" if math.isnan(value) else f"{100 * value:.0f} % of the numbers agree"


CASES = [
    ({"title": "Office 2007"}, {"title": "office 2007 upgrade"}, 1.0),
    ({"title": "Office 2007"}, {"title": "Office 2010"}, 0.0),
    ({"title": "Office"}, {"title": "Office"}, math.nan),
]
