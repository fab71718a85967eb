"""How far apart are the prices (natural logarithm of the greater over the lesser)?"""

from __future__ import annotations

import math

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.record import Record

VIEW = "content"
DIRECTION = -1


def compare(left: Record, right: Record) -> float:
    """0 = equal; NaN = a price is missing, or the currencies differ."""
    if not (left.price > 0 and right.price > 0) or left.currency != right.currency:
        return math.nan
    return abs(math.log(left.price) - math.log(right.price))


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    left, right = pairs.both(pairs.index.prices)
    mine, its = pairs.both(pairs.index.currencies)
    known = (left > 0) & (right > 0) & (mine == its)
    ratio = np.abs(np.log(np.where(known, left, 1.0)) - np.log(np.where(known, right, 1.0)))
    return np.where(known, ratio, np.nan).astype(np.float32)


def words(left: Record, right: Record, value: float) -> str:
    """The two prices."""
    return "" if math.isnan(value) else f"price {left.price:g} against {right.price:g}"


CASES = [
    ({"title": "Mug", "price": "10"}, {"title": "Mug", "price": "20"}, math.log(2)),
    ({"title": "Mug", "price": "10"}, {"title": "Mug"}, math.nan),
    ({"title": "Mug", "price": "10", "currency": "EUR"}, {"title": "Mug", "price": "10", "currency": "USD"}, math.nan),
]
