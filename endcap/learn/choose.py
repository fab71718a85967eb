"""Which pairs to ask a person about next, so that few answers teach much.

First the surest pairs of the scorer without labels and some at random, so that both answers occur; then batches of the pairs the scorer so
far is least sure of, with some of its highest ones as a check on what it would accept (uncertainty sampling, Lewis and Gale 1994).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from endcap.match import Model, fit_labelled

FIRST_SURE, FIRST_RANDOM = 15, 10
BATCH = 15
UNCERTAIN_SHARE = 0.8


def choose(features: np.ndarray, answer: Callable[[np.ndarray], np.ndarray], count: int, *, base: Model, seed: int) -> np.ndarray:
    """Places of `count` pairs chosen for labelling among those with features [n, f] of `base.first_names`, in the order of asking.

    `answer` gives the labels (1 = same) of places when they are asked; each batch is chosen by a scorer fitted on the answers before it.
    """
    random = np.random.default_rng(seed)
    size = features.shape[0]
    count = min(count, size)
    first = base.log_odds(features)
    sure = np.argsort(-first, kind="stable")[: min(FIRST_SURE, count)]
    rest = np.setdiff1d(random.permutation(size), sure, assume_unique=True)
    asked = np.concatenate([sure, random.permutation(rest)[: max(min(FIRST_RANDOM, count - sure.size), 0)]])
    labels = np.asarray(answer(asked), dtype=np.float64)
    while asked.size < count:
        scores = fit_labelled(features[asked], labels, seed=seed, base=base).score(features) if labels.min() < labels.max() else base.score(features)
        batch = _next_batch(scores, asked, min(BATCH, count - asked.size))
        asked, labels = np.concatenate([asked, batch]), np.concatenate([labels, answer(batch)])
    return asked


def _next_batch(scores: np.ndarray, asked: np.ndarray, size: int) -> np.ndarray:
    """The least certain pairs not asked yet, and the highest of the rest."""
    free = np.ones(scores.size, dtype=bool)
    free[asked] = False
    places = np.flatnonzero(free)
    doubtful = places[np.argsort(np.abs(scores[places] - 0.5), kind="stable")][: round(UNCERTAIN_SHARE * size)]
    others = np.setdiff1d(places, doubtful, assume_unique=True)
    highest = others[np.argsort(-scores[others], kind="stable")][: size - doubtful.size]
    return np.concatenate([doubtful, highest])
