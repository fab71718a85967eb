"""Do the colours that titles and details name agree, whatever the language?"""

from __future__ import annotations

import math

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.reading import COLOUR
from endcap.match.record import Record

VIEW = "content"
DIRECTION = 1


def compare(left: Record, right: Record) -> float:
    """1 = a colour in common, 0 = both name colours and none in common, NaN = at most one names any."""
    mine, its = left.only(COLOUR), right.only(COLOUR)
    return float(bool(mine & its)) if mine and its else math.nan


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    both = (pairs.shared("colours_left") > 0) & (pairs.shared("colours_right") > 0)
    return np.where(both, pairs.shared("colours_shared") > 0, np.nan).astype(np.float32)


def words(left: Record, right: Record, value: float) -> str:
    """The colours of each side."""
    if math.isnan(value):
        return ""
    mine, its = (" and ".join(sorted(side.shown.get(f"token {token}", "?") for token in side.only(COLOUR))) for side in (left, right))
    return f"same colour {mine}" if value == 1.0 else f"colour {mine} against {its}"


CASES = [
    ({"title": "T-Shirt grün"}, {"title": "Green t-shirt"}, 1.0),
    ({"title": "T-shirt", "details_json": '{"colour": "rouge"}'}, {"title": "T-shirt blue"}, 0.0),
    ({"title": "T-shirt"}, {"title": "T-shirt blue"}, math.nan),
]
