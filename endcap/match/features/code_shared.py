"""How rare is the rarest model or part number of one that the other's text holds, spaces and hyphens aside?"""

from __future__ import annotations

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.reading import CODE
from endcap.match.record import Record

VIEW = "content"
DIRECTION = 1


def compare(left: Record, right: Record) -> float:
    """Rarity 0..1 of the rarest shared code; 0 = none."""
    return max((left.rarity[token] for token in _shared(left, right)), default=0.0)


def column(pairs: Pairs) -> np.ndarray:
    """As `compare`, float32 [n]."""
    return pairs.shared("code_shared")


def words(left: Record, right: Record, value: float) -> str:
    """The code that both hold."""
    shared = _shared(left, right)
    if not shared:
        return ""
    written = (side.rarest(shared) for side in (left, right))
    return f"same code {next((code for code in written if code != '?'), '')}".strip()


def _shared(left: Record, right: Record) -> set[int]:
    return {token for token in left.flags.keys() & right.flags.keys() if (left.flags[token] | right.flags[token]) & CODE}


CASES = [
    ({"title": "Headphones WH-1000XM4"}, {"title": "WH 1000 XM4 wireless"}, 0.3690702),
    ({"title": "Headphones WH1000XM4"}, {"title": "Headphones WH1000XM5"}, 0.0),
]
