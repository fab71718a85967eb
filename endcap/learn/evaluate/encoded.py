"""What the optional text encoder adds to given pairs: tuned on train, weighed against the scorer on valid, counted on test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from endcap.learn.evaluate.figures import best_threshold
from endcap.learn.evaluate.tables import Labelled, Tables
from endcap.match import trees
from endcap.match.encoder import fit_encoder, offer_text
from endcap.match.product_memory import memory_columns

FOLDS = 5
# Strength of the pull of each weight towards none, in labels.
RIDGE = 1.0
NEWTON_STEPS = 25


@dataclass(frozen=True)
class Known:
    """The products that labels of train name, by row of the two tables."""

    texts: list[str]  # what the encoder reads of each row
    text: np.ndarray  # int64 [rows], equal for equal texts
    product: np.ndarray  # int64 [rows], -1 where no label names one
    rivals: list[tuple[int, int]]  # products of which a label says that they differ


def blended_scores(tables: Tables, given: Mapping[str, Labelled], log_odds: Mapping[str, np.ndarray], *, seed: int) -> tuple[np.ndarray, float]:
    """(scores of the pairs of test, float64 [n]; threshold on them from valid).

    The encoder is tuned on train; a logistic regression on valid weighs the scorer's `log_odds` (by split) against the encoder's columns; its
    threshold comes from cross-fitted answers on valid. Raises BadInput without the extra, or where train names fewer than two known products.
    """
    known = read_known(tables, given["train"])
    rows = np.flatnonzero(known.product >= 0)
    first = rows[np.unique(known.text[rows], return_index=True)[1]]
    encoder = fit_encoder([known.texts[row] for row in first], known.product[first], known.rivals, seed=seed)
    vectors = encoder.encode(known.texts)

    def columns(split: str) -> np.ndarray:
        left, right = tables.rows(given[split].pairs)
        return np.column_stack([log_odds[split], np.nan_to_num(memory_columns(vectors, known.product, left, right, known.text))])

    valid, labels = columns("valid"), given["valid"].labels
    center, scale = valid.mean(0), valid.std(0) + 1e-9
    valid, test = (valid - center) / scale, (columns("test") - center) / scale
    threshold = best_threshold(_cross_fitted(valid, labels, seed), labels)
    return _answer(fit_logistic(valid, labels), test), threshold


def read_known(tables: Tables, train: Labelled) -> Known:
    """Products as the labels of train connect their offers; offers of equal text are one."""
    columns = (tables.offers[name].to_pylist() for name in ("title", "brand", "description"))
    texts = [offer_text(title, brand, description) for title, brand, description in zip(*columns, strict=True)]
    number_of = {text: number for number, text in enumerate(sorted(set(texts)))}
    text = np.array([number_of[one] for one in texts], dtype=np.int64)
    left, right = (text[rows] for rows in tables.rows(train.pairs))
    product_of = _connected(len(number_of), left[train.labels == 1], right[train.labels == 1])
    product = np.full(text.size, -1, dtype=np.int64)
    told = np.isin(text, np.concatenate([left, right]))
    product[told] = product_of[text[told]]
    apart = np.sort(np.stack([product_of[left], product_of[right]], axis=1)[train.labels == 0], axis=1)
    rivals = [(int(one), int(other)) for one, other in np.unique(apart, axis=0) if one != other]
    return Known(texts, text, product, rivals)


def fit_logistic(columns: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Weights float64 [columns + 1], the constant last, of a logistic regression with a ridge, by Newton's method."""
    design = np.column_stack([columns, np.ones(labels.size)])
    ridge = np.diag([RIDGE] * columns.shape[1] + [1e-6])
    weights = np.zeros(design.shape[1])
    for _ in range(NEWTON_STEPS):
        share = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (share - labels) + ridge @ weights
        curve = (design * (share * (1 - share))[:, None]).T @ design + ridge
        weights -= np.linalg.solve(curve, slope)
    return weights


def _answer(weights: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return trees.probability(columns @ weights[:-1] + weights[-1])


def _cross_fitted(columns: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    fold = np.random.default_rng(seed).permutation(labels.size) % FOLDS
    found = np.empty(labels.size)
    for number in range(FOLDS):
        found[fold == number] = _answer(fit_logistic(columns[fold != number], labels[fold != number]), columns[fold == number])
    return found


def _connected(size: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """int64 [size]: the smallest number that each is connected to."""
    parent = list(range(size))

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return np.array([root(one) for one in range(size)], dtype=np.int64)
