"""What share of the details that both state under the same name (colour, size ...) are equal?"""

from __future__ import annotations

import math

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.record import Record

VIEW = "content"
DIRECTION = 1


def compare(left: Record, right: Record) -> float:
    """0..1; NaN = no name in common."""
    mine, its = dict(left.details), dict(right.details)
    common = mine.keys() & its.keys()
    return sum(mine[name] == its[name] for name in common) / len(common) if common else math.nan


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    return pairs.measured("detail")


def words(left: Record, right: Record, value: float) -> str:
    """The share in percent."""
    return "" if math.isnan(value) else f"{100 * value:.0f} % of the details that both state agree"


CASES = [
    ({"title": "Shirt", "details_json": '{"size": "XL"}'}, {"title": "Shirt", "details_json": '{"size": "xl"}'}, 1.0),
    ({"title": "Shirt", "details_json": '{"size": "XL"}'}, {"title": "Shirt", "details_json": '{"size": "M"}'}, 0.0),
    ({"title": "Shirt", "details_json": '{"colour": "rot"}'}, {"title": "Shirt", "details_json": '{"colour": "red"}'}, 1.0),
    ({"title": "Shirt", "details_json": '{"size": "XL"}'}, {"title": "Shirt"}, math.nan),
]
