"""What to ask next of a pool of pairs: the review queue's order (review/order.py) for whoever simulates reviewers or labels pairs by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from endcap.review.order import Place, ordered


def next_to_ask(
    scores: np.ndarray, kinds: Sequence[tuple[str, str]], sizes: np.ndarray, asked: np.ndarray, count: int, *, names: Sequence[str] | None = None
) -> np.ndarray:
    """Places int64 [<= count] of the pairs to ask about next, in order.

    `scores` [n] are chances of being the same, `kinds` (supplier, category) of each pair, `sizes` [n] how many offers hang on it, `asked` the
    places that were asked before (none: the first screen). `names` breaks ties; the place's number where left out.
    """
    free = np.setdiff1d(np.arange(scores.size), asked)
    places = []
    for place in free.tolist():
        supplier, category = kinds[place]
        places.append(Place(names[place] if names else f"{place:09d}", supplier, category, "", float(scores[place]), int(sizes[place])))
    return free[np.array(ordered(places, first=asked.size == 0)[:count], dtype=np.int64)]
