"""How far likeness can be read as a chance: judged by audits, by category, and mended by two numbers that go with the model.

A model's log-odds times a slope plus a shift (Platt 1999) is the chance that people are shown; thresholds stay on likeness, where the promise
is proved. Whether the two numbers are needed is Cox's test (1958): the likelihood with them against that without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from endcap.decide.promised import LAST_AUDITS, Thresholds, thresholds
from endcap.match import Model
from endcap.match.score import PLATT
from endcap.match.trees import log_odds, probability
from endcap.settings import Policy

LEAST_AUDITS = 50
# Chi-squared with two degrees of freedom: a calibrated model exceeds it once in a hundred.
OFF = 9.21
BINS = 10
# What was believed before any audit: the log-odds are right as they are. It weighs little.
RIDGE = 1.0

_AUDITED_PAIRS = f"""
    WITH audited AS ({LAST_AUDITS})
    SELECT p.left_id, p.right_id, p.features, p.score, a.same, a.offer_id, coalesce(f.value, '') AS category
    FROM audited a JOIN pairs p ON p.left_id = least(a.offer_id, a.other_id) AND p.right_id = greatest(a.offer_id, a.other_id)
    LEFT JOIN facts f ON f.offer_id = a.offer_id AND f.attribute = 'category' ORDER BY p.left_id, p.right_id
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the chances of one part of the audits compare with what people said."""

    part: str  # everything, or a category
    n: int
    believed: float  # mean chance
    right: float  # share that is right
    error: float  # expected calibration error: mean distance between the two over bins, weighted by their size
    off: bool  # further apart than chance would make them

    def to_dict(self) -> dict[str, Any]:
        return {"part": self.part, "n": self.n, "believed": self.believed, "right": self.right, "error": self.error, "off": self.off}


def audited_pairs(con: duckdb.DuckDBPyConnection) -> pa.Table:
    """Audited pairs in force with features, the champion's score, what people said (same) and the category."""
    return con.sql(_AUDITED_PAIRS).to_arrow_table()


def platt(scores: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """(slope, shift) of the log-odds, by Newton's method; near (1, 0) where little is known."""
    odds, told = log_odds(np.asarray(scores, dtype=np.float64)), np.asarray(right, dtype=np.float64)
    columns, start = np.stack([odds, np.ones(odds.size)], axis=1), np.array([1.0, 0.0])
    found, loss = start.copy(), _loss(columns, told, start, start)
    for _step in range(100):
        chance = probability(columns @ found)
        gradient = columns.T @ (told - chance) - RIDGE * (found - start)
        curvature = (columns * (chance * (1 - chance))[:, None]).T @ columns + RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        while (there := _loss(columns, told, found + step, start)) > loss and np.abs(step).max() > 1e-9:
            step = step / 2  # too far: the likelihood fell
        if np.abs(step).max() < 1e-9:
            break
        found, loss = found + step, there
    return round(float(found[0]), 4), round(float(found[1]), 4)


def calibrated(model: Model, scores: np.ndarray, right: np.ndarray) -> Model:
    """The model with its two numbers, where there are audits enough; `scores` are its own of audited pairs. Its decisions stay the same."""
    if scores.size < LEAST_AUDITS or not _is_off(scores, right):
        return model
    return replace(model, numbers={**model.numbers, **dict(zip(PLATT, platt(scores, right), strict=True))})


def read_off(scores: np.ndarray, right: np.ndarray, parts: Sequence[str]) -> list[Reading]:
    """How everything and each part with enough audits compares; a part is off beyond what chance explains, however many parts are looked at."""
    scores, right, names = np.asarray(scores, dtype=np.float64), np.asarray(right, dtype=bool), np.array(parts, dtype=object)
    known = [name for name in sorted(set(parts)) if name and (names == name).sum() >= LEAST_AUDITS]
    chosen = [("everything", np.ones(scores.size, dtype=bool)), *((name, names == name) for name in known)]
    limit = OFF + 2 * float(np.log(len(chosen)))
    return [_reading(name, scores[rows], right[rows], limit) for name, rows in chosen if rows.sum() >= LEAST_AUDITS]


def figures_of(con: duckdb.DuckDBPyConnection, policy: Policy, audited: pa.Table, challenger_scores: np.ndarray) -> dict[str, Any]:
    """What audits say of the challenger: its calibration by part, and from which likeness on it would keep each promise that is asked for."""
    right = np.array(audited["same"].to_pylist(), dtype=bool)
    read = read_off(challenger_scores, right, audited["category"].to_pylist()) if audited.num_rows else []
    figures: dict[str, Any] = {"audits": audited.num_rows, "calibration": [one.to_dict() for one in read]}
    now = thresholds(con, policy)
    if now.promises:
        figures["promises"] = _promises(now, _under(con, policy, audited, challenger_scores))
    return figures


def _under(con: duckdb.DuckDBPyConnection, policy: Policy, audited: pa.Table, scores: np.ndarray) -> Thresholds:
    """The promises under other scores of the audited pairs."""
    table = audited.select(["left_id", "right_id"]).append_column("score", pa.array(scores, pa.float64()))
    con.register("rescored", table.append_column("conflict", pa.nulls(table.num_rows, pa.string())))
    return thresholds(con, policy, pairs="rescored")


def _promises(now: Thresholds, then: Thresholds) -> dict[str, Any]:
    return {
        name: {"champion": now.promises[name].threshold, "challenger": then.promises[name].threshold, "missing": then.promises[name].missing}
        for name in now.promises
    }


def _reading(name: str, scores: np.ndarray, right: np.ndarray, limit: float) -> Reading:
    bins = np.minimum((scores * BINS).astype(int), BINS - 1)
    sizes = np.bincount(bins, minlength=BINS)
    apart = np.abs(np.bincount(bins, scores, BINS) - np.bincount(bins, right, BINS))
    believed, told = float(scores.mean()), float(right.mean())
    return Reading(name, int(sizes.sum()), round(believed, 4), round(told, 4), round(float(apart.sum() / sizes.sum()), 4), _is_off(scores, right, limit))


def _is_off(scores: np.ndarray, right: np.ndarray, limit: float = OFF) -> bool:
    if not scores.size:
        return False
    slope, shift = platt(scores, right)
    mended = probability(slope * log_odds(scores) + shift)
    return 2 * (_likelihood(mended, right) - _likelihood(scores, right)) > limit


def _loss(columns: np.ndarray, told: np.ndarray, numbers: np.ndarray, start: np.ndarray) -> float:
    odds = columns @ numbers
    return float(np.sum(np.logaddexp(0, odds) - told * odds) + RIDGE / 2 * np.sum((numbers - start) ** 2))


def _likelihood(chance: np.ndarray, right: np.ndarray) -> float:
    clipped = np.clip(chance, 1e-4, 1 - 1e-4)
    return float(np.sum(np.where(np.asarray(right, dtype=bool), np.log(clipped), np.log1p(-clipped))))
