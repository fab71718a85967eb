"""What share of the units that both use have an amount in common (within 2 %)?"""

from __future__ import annotations

import math

import numpy as np

from endcap.match.overlap import SAME_AMOUNT
from endcap.match.pairs import Pairs
from endcap.match.record import Record

VIEW = "content"
DIRECTION = 1


def compare(left: Record, right: Record) -> float:
    """0..1; NaN = no unit in common."""
    units = {unit for unit, _ in left.quantities} & {unit for unit, _ in right.quantities}
    agreed = sum(any(_same(a, b) for u, a in left.quantities for v, b in right.quantities if u == v == unit) for unit in units)
    return agreed / len(units) if units else math.nan


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    return pairs.measured("quantity")


def words(left: Record, right: Record, value: float) -> str:
    """Whether the stated amounts agree."""
    if math.isnan(value):
        return ""
    mine, its = left.shown.get("quantities", "?"), right.shown.get("quantities", "?")
    return f"amounts agree: {mine}" if mine == its else f"amounts {mine} against {its}"


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= SAME_AMOUNT * max(a, b)


CASES = [
    ({"title": "Cola 1,5 l"}, {"title": "Cola 1500ml"}, 1.0),
    ({"title": "Cola 1,5 l"}, {"title": "Cola 330 ml"}, 0.0),
    ({"title": "Cola 1,5 l"}, {"title": "Flour 500 g"}, math.nan),
]
