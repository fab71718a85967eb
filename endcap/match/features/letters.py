"""How alike are the titles letter by letter (cosine over character 3-grams)?"""

from __future__ import annotations

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.record import Record, letter_cosine

VIEW = "content"
DIRECTION = 1


def compare(left: Record, right: Record) -> float:
    """0..1."""
    return letter_cosine(left, right)


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    return pairs.shared("letter_cosine")


def words(left: Record, right: Record, value: float) -> str:
    """How alike in percent."""
    return f"spelling {100 * value:.0f} % alike"


CASES = [
    ({"title": "red mug"}, {"title": "Red Mug"}, 1.0),
    ({"title": "red mug"}, {"title": "blue pot"}, 0.0),
]
