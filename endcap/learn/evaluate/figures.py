"""What every measurement counts the same way: precision, recall, F1, thresholds, CPU seconds and peak memory."""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from endcap.match.score import Model, fit_labelled

# Without labels the scorer's probability decides: more likely the same than not.
FIXED_THRESHOLD = 0.5


def quality(predicted: np.ndarray, same: np.ndarray, matches: int) -> dict[str, float]:
    hits, found = int((predicted & same).sum()), int(predicted.sum())
    precision, recall = hits / max(found, 1), hits / max(matches, 1)
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / max(precision + recall, 1e-12)}


def cost(clock: float) -> dict[str, float]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_s": round(time.process_time() - clock, 3), "peak_mb": round(peak if sys.platform != "darwin" else peak / 1024, 1)}


def best_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """The threshold with the best F1, half way between two scores; 0.5 where nothing is to be found."""
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(labels[order] == 1)
    if hits.size == 0 or hits[-1] == 0:
        return FIXED_THRESHOLD
    f1 = 2 * hits / (np.arange(1, ranked.size + 1) + hits[-1])
    last_of_equal = np.append(ranked[1:] != ranked[:-1], True)
    best = int(np.argmax(np.where(last_of_equal, f1, -1)))
    below = float(ranked[best + 1]) if best + 1 < ranked.size else 0.0
    return (float(ranked[best]) + below) / 2


def cross_fitted_threshold(features: np.ndarray, labels: np.ndarray, seed: int, base: Model, groups: np.ndarray, folds: int = 3) -> float:
    """The best threshold on scores of models that have not seen the pair's group."""
    known = np.unique(groups)
    fold_of = dict(zip(known.tolist(), (np.random.default_rng(seed).permutation(known.size) % folds).tolist(), strict=True))
    fold = np.array([fold_of[group] for group in groups.tolist()])
    scores = np.zeros(labels.size)
    for number in range(folds):
        seen, unseen = fold != number, fold == number
        if labels[seen].size == 0 or labels[seen].min() == labels[seen].max():
            return FIXED_THRESHOLD
        scores[unseen] = fit_labelled(features[seen], labels[seen], seed=seed, base=base).score(features[unseen])
    return best_threshold(scores, labels)
