"""How far do the amounts agree in the units that both use (within 2 %)? What only one side adds contradicts nothing."""

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
    return sum(_agreement(_in(left, unit), _in(right, unit)) for unit in sorted(units)) / len(units) if units else math.nan


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    return pairs.measured("quantity")


def words(left: Record, right: Record, value: float) -> str:
    """Whether the stated amounts agree."""
    if math.isnan(value):
        return ""
    mine, its = left.shown.get("quantities", "?"), right.shown.get("quantities", "?")
    return f"amounts agree: {mine}" if mine == its else f"amounts {mine} against {its}"


def _in(side: Record, unit: int) -> list[float]:
    return [amount for its_unit, amount in side.quantities if its_unit == unit]


def _agreement(mine: list[float], its: list[float]) -> float:
    met, its_met = (sum(any(_same(a, b) for b in others) for a in own) for own, others in ((mine, its), (its, mine)))
    both, besides = min(met, its_met), min(len(mine) - met, len(its) - its_met)
    return both / (both + besides) if both + besides else 0.0


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= SAME_AMOUNT * max(a, b)


CASES = [
    ({"title": "Cola 1,5 l"}, {"title": "Cola 1500ml"}, 1.0),
    ({"title": "Cola 1,5 l"}, {"title": "Cola 330 ml"}, 0.0),
    ({"title": "Cola 1,5 l"}, {"title": "Flour 500 g"}, math.nan),
    ({"title": "Hose 13 mm 1500 cm"}, {"title": "Hose 20 m 13 mm"}, 0.5),
    ({"title": "Hose 13 mm"}, {"title": "Hose 20 m 13 mm"}, 1.0),
]
