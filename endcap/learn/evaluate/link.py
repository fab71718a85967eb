"""Two raw tables to matched pairs, end to end, against all true pairs."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from endcap.learn.crossing import cross_fitted_scores
from endcap.learn.evaluate.figures import FIXED_THRESHOLD, best_threshold, cost, quality
from endcap.learn.evaluate.tables import Tables, judge_all, read_matches, read_tables
from endcap.match.pairs import Pairs
from endcap.match.score import fit_stacked
from endcap.problems import BadInput
from endcap.settings import Matching

LEARNING_SHARE = 70


def evaluate_link(folder: Path, *, labels: str = "none", seed: int = 7) -> dict[str, Any]:
    """Two raw tables to matched pairs: the keys of `evaluate_match` and candidate_recall, against all true pairs.

    labels 'none': all records are scored and a fixed threshold decides; 'all': the pairs of 70 % of the left records (by
    hash) are learned from, the threshold is chosen there by cross-fitting, and the rest is scored. One product per offer:
    pairs are taken from the best score down while both records are free. Raises BadInput on a folder of another shape.
    """
    if labels not in ("none", "all"):
        raise BadInput(f"link knows no labels {labels!r}", where="--labels", todo="give all or none")
    clock = time.process_time()
    tables = read_tables(folder)
    truth = set(zip(*(rows.tolist() for rows in tables.rows(read_matches(folder, tables))), strict=True))
    judged = judge_all(tables, Matching.model_validate({"seed": seed}), [])
    pairs = judged.pairs
    same = np.array([pair in truth for pair in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)])
    scored = np.ones(pairs.size, dtype=bool)
    model, columns, threshold, source = judged.base, judged.features, FIXED_THRESHOLD, "fixed"
    if labels == "all":
        learning = _learning_rows(tables)
        scored = ~learning[pairs.left]
        told = np.flatnonzero(~scored)
        model, columns = fit_stacked(pairs, judged.features, told, same[told], seed=seed, base=judged.base)
        answered = replace(pairs, left=pairs.left[told], right=pairs.right[told])
        known = cross_fitted_scores(model, columns[told], same[told].astype(np.float64), pairs.left[told], seed=seed)
        alone = one_to_one(answered, known, 0.0)
        threshold, source = best_threshold(known[alone], same[told][alone]), "valid"
        truth = {pair for pair in truth if not learning[pair[0]]}
    scores = np.where(scored, model.score(columns), 0.0)
    taken = one_to_one(pairs, scores, threshold)
    counted = quality(taken, same, len(truth))
    reached = int((same & scored).sum()) / max(len(truth), 1)
    head = {"dataset": tables.name, "labels": labels, **counted, "threshold": threshold, "threshold_from": source}
    return {**head, "pairs": int(scored.sum()), "candidate_recall": reached, **cost(clock)}


def one_to_one(pairs: Pairs, scores: np.ndarray, threshold: float) -> np.ndarray:
    """bool [n]: pairs at or above the threshold, from the best score down, while both records are free; ties to the earlier pair."""
    taken = np.zeros(pairs.size, dtype=bool)
    used: set[int] = set()
    for place in np.argsort(-scores, kind="stable"):
        if scores[place] < threshold:
            break
        left, right = int(pairs.left[place]), int(pairs.right[place])
        if left not in used and right not in used:
            used |= {left, right}
            taken[place] = True
    return taken


def _learning_rows(tables: Tables) -> np.ndarray:
    """bool by row: left records whose pairs may be learned from, by hash of the id."""
    learning = np.zeros(tables.catalog.index.size, dtype=bool)
    for offer_id, row in tables.row_of.items():
        learning[row] = int.from_bytes(hashlib.sha256(offer_id.encode()).digest()[:4], "big") % 100 < LEARNING_SHARE
    return learning
