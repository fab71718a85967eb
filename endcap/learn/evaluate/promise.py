"""Is a promise of precision kept? Random splits of all labelled pairs: one part teaches, one is audited, one is counted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from endcap.decide.promise import Promise, solve
from endcap.learn.evaluate.figures import cost
from endcap.learn.evaluate.match import fit
from endcap.learn.evaluate.tables import SPLITS, judge_all, read_split, read_tables
from endcap.problems import BadInput
from endcap.settings import Matching

TEACH, AUDIT = 0.3, 0.4


def evaluate_promise(folder: Path, *, precision: float = 0.97, confidence: float = 0.9, splits: int = 20, seed: int = 7) -> dict[str, Any]:
    """How often the promise was broken over random splits by left record, and how much it covers.

    {dataset, precision, confidence, splits, broken, abstained, missing (right answers still needed, the median of splits that abstained),
    coverage (share of true matches at or above the threshold, the mean; abstaining covers nothing), achieved (mean precision), empirical_broken
    (the same for the threshold whose precision among the audited was just enough), cpu_s, peak_mb}. Of each split 30 % of the left records
    teach, 40 % are audited and 30 % are counted. Raises BadInput on a folder of another shape, or shares outside 0 to 1.
    """
    for name, value in (("--precision", precision), ("--confidence", confidence)):
        if not 0 < value < 1:
            raise BadInput(f"{value:g} is not a share between 0 and 1", where=name, todo="give for example 0.97")
    clock = time.process_time()
    tables = read_tables(folder)
    given = [read_split(folder, split, tables) for split in SPLITS]
    pairs = [pair for part in given for pair in part.pairs]
    same = np.concatenate([part.labels for part in given])
    judged = judge_all(tables, Matching.model_validate({"seed": seed}), pairs)
    places = judged.places(tables.rows(pairs))
    records, record_of = np.unique(judged.pairs.left[places], return_inverse=True)
    found: list[tuple[Promise, float, float, float]] = []
    for number in range(splits):
        part = np.random.default_rng((seed, number)).permutation(records.size)[record_of] / max(records.size, 1)
        taught, audited, counted = part < TEACH, (part >= TEACH) & (part < TEACH + AUDIT), part >= TEACH + AUDIT
        model, columns = fit(judged, places[taught], same[taught], np.ones(int(taught.sum())), seed)
        scores = model.score(columns[places])
        promise = solve(scores[audited], same[audited] == 1, precision=precision, confidence=confidence)
        empirical = _empirical(scores[audited], same[audited] == 1, precision)
        found.append((promise, *_kept(scores[counted], same[counted] == 1, promise.threshold), _kept(scores[counted], same[counted] == 1, empirical)[0]))
    return {**_summary(found, precision), "dataset": tables.name, "precision": precision, "confidence": confidence, "splits": splits, **cost(clock)}


def _kept(scores: np.ndarray, same: np.ndarray, threshold: float | None) -> tuple[float, float]:
    """(precision, share of true matches) at or above a threshold; nothing accepted is all right."""
    if threshold is None:
        return 1.0, 0.0
    taken = scores >= threshold
    return float(same[taken].mean()) if taken.any() else 1.0, float(taken[same].mean())


def _empirical(scores: np.ndarray, same: np.ndarray, precision: float) -> float | None:
    """The lowest score at which the audited precision is just enough: the rule that a promise must not be built on."""
    order = np.argsort(-scores, kind="stable")
    enough = np.flatnonzero(np.cumsum(same[order]) / np.arange(1, order.size + 1) >= precision)
    return float(scores[order[enough[-1]]]) if enough.size else None


def _summary(found: list[tuple[Promise, float, float, float]], precision: float) -> dict[str, Any]:
    made = [one for one in found if one[0].threshold is not None]
    missing = [one[0].missing for one in found if one[0].threshold is None]
    return {
        "broken": sum(achieved < precision for _, achieved, _, _ in made), "abstained": len(missing), "missing": int(np.median(missing)) if missing else 0,
        "coverage": float(np.mean([covered for _, _, covered, _ in found])) if found else 0.0,
        "achieved": float(np.mean([achieved for _, achieved, _, _ in made])) if made else None,
        "empirical_broken": sum(empirical < precision for *_, empirical in found),
    }  # fmt: skip
