"""Cross-fitting: scores of labelled pairs by models that have not seen them."""

from __future__ import annotations

import numpy as np

from endcap.learn.splits import Groups, sides_of
from endcap.match.score import Model, refit

FOLDS = 3


def cross_fitted_scores(
    model: Model, columns: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, seed: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """float64 [n]: scores by models of the same kind that have not seen the pair's group; 0.5 where no model can be fitted."""
    known, number_of = np.unique(groups, return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(known.size) % FOLDS)[number_of]
    return scores_by_folds(model, columns, labels, Groups(fold, fold), FOLDS, seed=seed, weights=weights)[0]


def scores_by_folds(
    model: Model, columns: np.ndarray, labels: np.ndarray, folds: Groups, count: int, *, seed: int, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(scores float64 [n], bool [n] whether judged): each fold's pairs by a model of the others; 0.5 where none can be fitted.

    Pairs that straddle two folds are judged by no model; those of fold -1 teach every model and are judged by none.
    """
    scores, judged = np.full(labels.size, 0.5), np.zeros(labels.size, dtype=bool)
    for number in range(count):
        seen, unseen = sides_of(folds, number)
        if seen.size and unseen.size and labels[seen].min() < labels[seen].max():
            of_seen = None if weights is None else weights[seen]
            scores[unseen] = refit(model, columns[seen], labels[seen], of_seen, seed=seed).score(columns[unseen])
            judged[unseen] = True
    return scores, judged
