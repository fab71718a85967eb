"""Given pairs of two tables, classified: learned from train, with the threshold from valid, counted on test."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from endcap.learn.choose import choose
from endcap.learn.crossing import cross_fitted_scores
from endcap.learn.evaluate.encoded import blended_scores
from endcap.learn.evaluate.figures import FIXED_THRESHOLD, best_threshold, cost, quality
from endcap.learn.evaluate.tables import SPLITS, Judged, Labelled, Tables, judge_all, read_split, read_tables
from endcap.match.score import STACK_LABELS, Model, fit_labelled, fit_stacked
from endcap.problems import BadInput
from endcap.settings import Matching

# Fewer labels than this say too little about a threshold.
THRESHOLD_LABELS = 500
CHOICES = ("active", "random")


def evaluate_match(folder: Path, *, labels: str | int = "all", choice: str = "active", encoder: bool = False, seed: int = 7) -> dict[str, Any]:
    """Classify the pairs of test.csv: {dataset, labels, precision, recall, f1, threshold, threshold_from, pairs, contradictions, cpu_s, peak_mb}.

    labels 'all' learns from train and chooses the threshold on valid, with cross-fitted scores of train beside; 'none' sees no label; a number
    learns from that many pairs of train and valid, chosen one after the other as a reviewer would be asked ('active') or drawn by seed
    ('random'), and from THRESHOLD_LABELS on chooses the threshold among them by cross-fitting. The two tables are the context; labels of test
    are only counted. Pairs that are labelled both ways count as contradictions and are learned from with half the weight each. With `encoder`
    and all labels, a text encoder tuned on train is weighed in on valid. Raises BadInput on a folder of another shape, or without the extra
    that the encoder needs.
    """
    if encoder and labels != "all":
        raise BadInput("the text encoder is tuned on all labels of train", where="--encoder", todo="leave out --labels")
    if choice not in CHOICES:
        raise BadInput(f"there is no choice {choice!r}", where="--choose", todo=f"give {' or '.join(CHOICES)}")
    clock = time.process_time()
    tables = read_tables(folder)
    given = {split: _read(folder, split, tables, labels) for split in SPLITS}
    judged = judge_all(tables, Matching.model_validate({"seed": seed}), [pair for split in SPLITS for pair in given[split].pairs])
    places = {split: judged.places(tables.rows(given[split].pairs)) for split in SPLITS}
    same = {split: given[split].labels for split in SPLITS}
    if not (same["test"] == 1).any():
        raise BadInput("no pair of test.csv is labelled the same, so that nothing can be found", where=str(folder / "test.csv"), todo="label some with 1")
    weights = _weights(places["train"], same["train"])
    if labels == "all":
        model, columns = fit(judged, places["train"], same["train"], weights, seed)
        told = cross_fitted_scores(model, columns[places["train"]], same["train"], judged.pairs.left[places["train"]], seed=seed)
        threshold, source = _threshold(model.score(columns[places["valid"]]), same["valid"], told, same["train"]), "valid"
    elif labels == "none":
        model, columns, threshold, source = judged.base, judged.features, FIXED_THRESHOLD, "fixed"
    else:
        pool, known = (np.concatenate([part[split] for split in ("train", "valid")]) for part in (places, same))
        model, columns, threshold, source = _fit_few(judged, pool, known, _count(labels), choice, seed)
    scores = model.score(columns[places["test"]])
    if encoder:
        scores, threshold = blended_scores(tables, given, {split: model.log_odds(columns[places[split]]) for split in SPLITS[1:]}, seed=seed)
    predicted = scores >= threshold
    counted = quality(predicted, same["test"] == 1, int((same["test"] == 1).sum()))
    head = {"dataset": tables.name, "labels": labels, **({"encoder": True} if encoder else {}), **counted, "threshold": threshold, "threshold_from": source}
    return {**head, "pairs": len(given["test"].pairs), "contradictions": np.unique(places["train"][weights < 1]).size, **cost(clock)}


def _read(folder: Path, split: str, tables: Tables, labels: str | int) -> Labelled:
    """A split's pairs; without labels only test is needed, and what else there is counts among the pairs."""
    if labels == "none" and split != "test" and not (folder / f"{split}.csv").exists():
        return Labelled([], np.zeros(0))
    return read_split(folder, split, tables)


def fit(judged: Judged, places: np.ndarray, labels: np.ndarray, weights: np.ndarray, seed: int) -> tuple[Model, np.ndarray]:
    """(model, its columns of all pairs); what is learned depends on how many labels there are."""
    if labels.size >= STACK_LABELS:
        return fit_stacked(judged.pairs, judged.features, places, labels, weights, seed=seed, base=judged.base)
    return fit_labelled(judged.features[places], labels, weights, seed=seed, base=judged.base), judged.features


def _fit_few(judged: Judged, pool: np.ndarray, known: np.ndarray, count: int, choice: str, seed: int) -> tuple[Model, np.ndarray, float, str]:
    """(model, its columns, threshold, where it came from) from `count` labels out of the pool. Raises BadInput where the pool has fewer."""
    if count > known.size:
        raise BadInput(f"train and valid have {known.size:,} labels, not {count:,}", where="--labels", todo=f"give at most {known.size}")
    if choice == "active":
        chosen = np.sort(choose(judged.features[pool], lambda asked: known[asked], count, base=judged.base, seed=seed))
    else:
        chosen = np.sort(np.random.default_rng(seed).permutation(known.size)[:count])
    places, labels = pool[chosen], known[chosen]
    model, columns = fit(judged, places, labels, _weights(places, labels), seed)
    if labels.size < THRESHOLD_LABELS:
        return model, columns, FIXED_THRESHOLD, "fixed"
    scores = cross_fitted_scores(model, columns[places], labels, np.arange(labels.size), seed=seed)
    return model, columns, best_threshold(scores, labels), "valid"


def _threshold(scores: np.ndarray, labels: np.ndarray, told: np.ndarray, taught: np.ndarray) -> float:
    """The best threshold on valid, steadied by the cross-fitted scores of train, whose 'different' answers are weighed to be as frequent as in valid."""
    same, different = float((labels == 1).sum()), float((labels == 0).sum())
    share = (different / max(same, 1.0)) * float((taught == 1).sum()) / max(float((taught == 0).sum()), 1.0)
    weights = np.concatenate([np.ones(labels.size), np.where(taught == 1, 1.0, share)])
    return best_threshold(np.concatenate([scores, told]), np.concatenate([labels, taught]), weights)


def _weights(places: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """1 for each label, a half where another label of the same pair contradicts it."""
    _pairs, number = np.unique(places, return_inverse=True)
    said_same, said = np.bincount(number, weights=labels), np.bincount(number)
    contradicted = (said_same > 0) & (said_same < said)
    return np.where(contradicted[number], 0.5, 1.0)


def _count(labels: str | int) -> int:
    try:
        count = int(labels)
    except ValueError:
        count = 0
    if count < 1:
        raise BadInput(f"match knows no labels {labels!r}", where="--labels", todo="give all, none or a number")
    return count
