"""Boosted trees as LightGBM text: deterministic, one thread, features kept to the direction their shelf file states where that is asked."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

FLOOR = 1e-4


def grow(
    features: np.ndarray, target: np.ndarray, names: Sequence[str], seed: int, *, trees: int, leaves: int, directions: Sequence[int] | None = None,
    weights: np.ndarray | None = None, start: np.ndarray | None = None, least: int = 20,
) -> str:  # fmt: skip
    """Trees for targets 0..1 from features float32 [n, f] as LightGBM text.

    `directions` (1 up, -1 down, 0 free) bind each feature; `start` are log-odds that the trees correct; `least` is the smallest leaf.
    """
    lightgbm = load_lightgbm()
    settings = {
        "objective": "cross_entropy", "num_leaves": leaves, "learning_rate": 0.05, "min_data_in_leaf": least, "lambda_l2": 5.0,
        "feature_fraction": 0.7, "bagging_fraction": 0.8, "bagging_freq": 1, "seed": seed, "deterministic": True,
        "force_row_wise": True, "num_threads": 1, "verbose": -1, "feature_pre_filter": False,
    }  # fmt: skip
    if directions is not None:
        settings |= {"monotone_constraints": list(directions), "monotone_constraints_method": "advanced"}
    if features.shape[0] < 400:
        settings["min_data_in_leaf"] = max(1, features.shape[0] // 20)
    data = lightgbm.Dataset(features, target, weight=weights, init_score=start, feature_name=list(names), free_raw_data=True)
    return str(lightgbm.train(settings, data, num_boost_round=trees).model_to_string())


def booster(text: str) -> Any:
    """LightGBM's own form of trees: what says how much each feature adds."""
    return load_lightgbm().Booster(model_str=text)


def log_odds(probability: Any) -> Any:
    """Of probabilities, never beyond those of FLOOR."""
    clipped = np.clip(probability, FLOOR, 1 - FLOOR)
    return np.log(clipped / (1 - clipped))


def probability(odds: np.ndarray) -> np.ndarray:
    """Of log-odds."""
    result: np.ndarray = 1.0 / (1.0 + np.exp(-np.clip(odds, -40, 40)))
    return result


def load_lightgbm() -> Any:
    """LightGBM without its scikit-learn wrappers, which nothing here uses: loading them takes longer than a small run's matching."""
    if "lightgbm" in sys.modules or "sklearn" in sys.modules:
        return import_module("lightgbm")
    sys.modules["sklearn"] = None  # type: ignore[assignment]  # LightGBM takes a failing import as 'not installed'
    try:
        return import_module("lightgbm")
    finally:
        del sys.modules["sklearn"]
