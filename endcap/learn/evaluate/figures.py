"""What every measurement counts the same way: precision, recall, F1, thresholds, CPU seconds and peak memory."""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

# Without labels the scorer's probability decides: more likely the same than not.
FIXED_THRESHOLD = 0.5


def quality(predicted: np.ndarray, same: np.ndarray, matches: int) -> dict[str, float]:
    hits, found = int((predicted & same).sum()), int(predicted.sum())
    precision, recall = hits / max(found, 1), hits / max(matches, 1)
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / max(precision + recall, 1e-12)}


def cost(clock: float) -> dict[str, float]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_s": round(time.process_time() - clock, 3), "peak_mb": round(peak if sys.platform != "darwin" else peak / 1024, 1)}


def best_threshold(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The threshold with the best F1 of weighted answers, half way between two scores; 0.5 where nothing is to be found."""
    order = np.argsort(-scores, kind="stable")
    weights = np.ones(scores.size) if weights is None else weights
    ranked, hits = scores[order], np.cumsum(np.where(labels == 1, weights, 0.0)[order])
    if hits.size == 0 or hits[-1] == 0:
        return FIXED_THRESHOLD
    f1 = 2 * hits / (np.cumsum(weights[order]) + hits[-1])
    last_of_equal = np.append(ranked[1:] != ranked[:-1], True)
    best = int(np.argmax(np.where(last_of_equal, f1, -1)))
    below = float(ranked[best + 1]) if best + 1 < ranked.size else 0.0
    return (float(ranked[best]) + below) / 2
