"""A promise of precision: the most lenient threshold that audited answers prove, or how many answers are missing.

Thresholds are tested from strict to lenient, each by the one-sided lower bound of Clopper and Pearson (Biometrika 1934); the first that fails
ends the test, so that testing many costs no confidence (fixed-sequence testing: Maurer, Hothorn and Lehmacher 1995; for risk control:
Angelopoulos et al., Learn then Test, 2021). Where the sequence begins depends on how many answers lie above a threshold, never on what they
say. Answers must be a simple random sample of the decisions promised for, and must not have taught the scores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

# Fixed beforehand, from strict to lenient; below .5 a link is less likely right than wrong.
GRID = tuple(round(1 - 0.005 * step, 3) for step in range(1, 101))


@dataclass(frozen=True, slots=True)
class Promise:
    """What the audited answers allow."""

    precision: float
    confidence: float
    threshold: float | None  # links at or above it keep the promise; None where nothing can be promised yet
    answers: int
    right: int
    bound: float  # lower bound of the precision at the threshold, or of the strictest one tested
    missing: int  # right answers still needed before anything can be promised; 0 where something is

    @property
    def words(self) -> str:
        """One sentence for people."""
        wanted = f"a precision of {self.precision:g} at {self.confidence:.0%} confidence"
        if self.threshold is not None:
            return f"{wanted} is promised from likeness {self.threshold:g} on: {self.right} of {self.answers} audited links above it were right"
        return f"{wanted} cannot be promised yet: {self.missing} more right answers needed ({self.right} of {self.answers} were right so far)"


@lru_cache(maxsize=65_536)
def lower_bound(right: int, answers: int, confidence: float) -> float:
    """One-sided Clopper-Pearson lower bound of a share: the p at which so many right or more have probability 1 - confidence."""
    if right == 0:
        return 0.0
    low, high = 0.0, right / answers
    for _halving in range(50):
        middle = (low + high) / 2
        if _tail(right, answers, middle) > 1 - confidence:
            high = middle
        else:
            low = middle
    return low


@lru_cache(maxsize=4096)
def answers_needed(wrong: int, precision: float, confidence: float) -> int:
    """The fewest answers with so many wrong ones that prove the precision."""
    high = max(wrong + 1, math.ceil(math.log(1 - confidence) / math.log(precision)))
    while lower_bound(high - wrong, high, confidence) < precision:
        high *= 2
    low = high // 2
    while low < high:
        middle = (low + high) // 2
        if middle > wrong and lower_bound(middle - wrong, middle, confidence) >= precision:
            high = middle
        else:
            low = middle + 1
    return high


def solve(scores: np.ndarray, right: np.ndarray, *, precision: float, confidence: float) -> Promise:
    """The promise that audited answers allow: scores float [n] of a simple random sample of links, right bool [n] whether each was right.

    Raises ValueError unless 0 < precision < 1 and 0 < confidence < 1.
    """
    if not (0 < precision < 1 and 0 < confidence < 1):
        raise ValueError("precision and confidence lie between 0 and 1")
    scores, right = np.asarray(scores, dtype=np.float64), np.asarray(right, dtype=bool)
    least = answers_needed(0, precision, confidence)
    promised: Promise | None = None
    for threshold in GRID:
        above = scores >= threshold
        answers, correct = int(above.sum()), int(right[above].sum())
        if answers < least:
            continue
        bound = lower_bound(correct, answers, confidence)
        if bound < precision:
            missing = answers_needed(answers - correct, precision, confidence) - answers
            return promised or Promise(precision, confidence, None, answers, correct, round(bound, 4), missing)
        promised = Promise(precision, confidence, threshold, answers, correct, round(bound, 4), 0)
    if promised is not None:
        return promised
    above = scores >= GRID[-1]
    answers, correct = int(above.sum()), int(right[above].sum())
    bound = lower_bound(correct, answers, confidence) if answers else 0.0
    missing = max(answers_needed(answers - correct, precision, confidence) - answers, 1)
    return Promise(precision, confidence, None, answers, correct, round(bound, 4), missing)


def _tail(right: int, answers: int, chance: float) -> float:
    """P(X >= right) for X binomial, summed from the likeliest end in logarithms."""
    if chance <= 0.0:
        return 0.0
    if chance >= 1.0:
        return 1.0
    steps = np.arange(right, answers + 1)
    factorials = np.array([math.lgamma(number + 1) for number in range(answers + 1)])
    logs = factorials[answers] - factorials[steps] - factorials[answers - steps] + steps * math.log(chance) + (answers - steps) * math.log1p(-chance)
    return float(np.exp(logs).sum())
