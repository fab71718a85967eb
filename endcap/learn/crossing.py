"""Cross-fitting: scores of labelled pairs by models that have not seen them."""

from __future__ import annotations

import numpy as np

from endcap.match.score import Model, refit

FOLDS = 3


def cross_fitted_scores(
    model: Model, columns: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, seed: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """float64 [n]: scores by models of the same kind that have not seen the pair's group; 0.5 where no model can be fitted."""
    known, number_of = np.unique(groups, return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(known.size) % FOLDS)[number_of]
    scores = np.full(labels.size, 0.5)
    for number in range(FOLDS):
        seen, unseen = fold != number, fold == number
        if labels[seen].size and labels[seen].min() < labels[seen].max():
            of_seen = None if weights is None else weights[seen]
            scores[unseen] = refit(model, columns[seen], labels[seen], of_seen, seed=seed).score(columns[unseen])
    return scores
