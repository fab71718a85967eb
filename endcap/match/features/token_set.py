"""How alike are the titles as sets of words, spelling differences allowed (rapidfuzz token_set_ratio)?"""

from __future__ import annotations

import numpy as np
from rapidfuzz import fuzz, process

from endcap.match.pairs import Pairs
from endcap.match.record import Record

VIEW = "content"
DIRECTION = 1


def compare(left: Record, right: Record) -> float:
    """0..1."""
    return fuzz.token_set_ratio(left.title, right.title) / 100


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    left, right = pairs.folded_titles
    return process.cpdist(left, right, scorer=fuzz.token_set_ratio, dtype=np.float32, workers=1) / np.float32(100)


def words(left: Record, right: Record, value: float) -> str:
    """How alike in percent."""
    return f"words {100 * value:.0f} % alike"


CASES = [
    ({"title": "steel kettle"}, {"title": "Kettle steel red"}, 1.0),
    ({"title": "aaa"}, {"title": "bbb"}, 0.0),
]
