"""Given pairs of two tables, classified: trained on train, with the threshold from valid, counted on test."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from endcap.learn.evaluate.figures import FIXED_THRESHOLD, best_threshold, cost, cross_fitted_threshold, quality
from endcap.learn.evaluate.tables import SPLITS, pair_features, read_split, read_tables
from endcap.match.matching import fit_catalog
from endcap.match.score import Model, fit_labelled
from endcap.problems import BadInput
from endcap.settings import Matching

# Fewer labels than this say too little about a threshold.
THRESHOLD_LABELS = 500


def evaluate_match(folder: Path, *, labels: str | int = "all", seed: int = 7) -> dict[str, Any]:
    """Classify the pairs of test.csv: {dataset, labels, precision, recall, f1, threshold, threshold_from, pairs, cpu_s, peak_mb}.

    labels 'all' learns from train and chooses the threshold on valid; 'none' sees no label; a number learns from that many
    pairs of train and valid drawn by seed, and from THRESHOLD_LABELS on chooses the threshold among them by cross-fitting. The two tables are the
    context; labels of test are only counted. Raises BadInput on a folder of another shape.
    """
    clock = time.process_time()
    tables = read_tables(folder)
    given = {split: read_split(folder, split, tables) for split in SPLITS}
    matching = Matching.model_validate({"seed": seed})
    base = fit_catalog(tables.catalog, matching)
    features = {split: pair_features(tables, given[split].pairs, matching) for split in SPLITS}
    model, threshold, source = base, FIXED_THRESHOLD, "fixed"
    if labels == "all":
        model = fit_labelled(features["train"], given["train"].labels, seed=seed, base=base)
        threshold, source = best_threshold(model.score(features["valid"]), given["valid"].labels), "valid"
    elif labels != "none":
        known = np.concatenate([given["train"].labels, given["valid"].labels])
        model, threshold, source = _fit_few(np.concatenate([features["train"], features["valid"]]), known, _count(labels), seed, base)
    predicted = model.score(features["test"]) >= threshold
    counted = quality(predicted, given["test"].labels == 1, int((given["test"].labels == 1).sum()))
    head = {"dataset": tables.name, "labels": labels, **counted, "threshold": threshold, "threshold_from": source}
    return {**head, "pairs": len(given["test"].pairs), **cost(clock)}


def _fit_few(features: np.ndarray, labels: np.ndarray, count: int, seed: int, base: Model) -> tuple[Model, float, str]:
    """(model, threshold, where it came from) from `count` labels drawn by seed."""
    chosen = np.sort(np.random.default_rng(seed).permutation(labels.size)[:count])
    features, labels = features[chosen], labels[chosen]
    model = fit_labelled(features, labels, seed=seed, base=base)
    if labels.size < THRESHOLD_LABELS:
        return model, FIXED_THRESHOLD, "fixed"
    return model, cross_fitted_threshold(features, labels, seed, base, np.arange(labels.size)), "valid"


def _count(labels: str | int) -> int:
    try:
        count = int(labels)
    except ValueError:
        count = 0
    if count < 1:
        raise BadInput(f"match knows no labels {labels!r}", where="--labels", todo="give all, none or a number")
    return count
