"""How likely a decision of the machine is right, link or new product alike, learned from answers about decisions.

A pair's likeness says little of a new product, and less of a product that another one resembles. So what surrounds a decision is looked at:
how alike the offer is to its product's other offers, to offers elsewhere, and to offers elsewhere of shops that its product has already (a
twin). A ridge-penalised logistic regression (Hoerl and Kennard 1970; le Cessie and van Houwelingen 1992) over few columns weighs them, since
answers are few; where reviewers err at a known rate, what they say is read as truth seen through that noise (Hausman et al. 1998).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

KINDS = ("linked", "founds", "new")  # of a product with others: joined it, came first; alone in its product
COLUMNS = (
    "inside_best", "inside_second", "inside_mean", "inside_count", "outside_best", "outside_free", "outside_twin", "outside_count", "product_outside",
    "product_size", "words", "has_code", "unlike_all", "believed",
)  # fmt: skip
# Fewer answers of either kind teach nothing yet.
LEAST_EACH = 3
RIDGE = 10.0
# What was believed before weighs as much as so many wrong decisions found: they are what little is known of.
BELIEF = 10.0
FOLDS = 5
# A like offer elsewhere takes from a link, or from the first of several, this share of its own log-odds (sandbox seeds 101 and 102, Abt-Buy).
RIVAL, LEAST_RIVAL = 0.35, -3.0
NEVER_SURER = 0.003
ALIKE_AT_ALL = 0.1
CODE_LENGTH = 5


@dataclass(frozen=True)
class Evidence:
    """What surrounds each decision: `kinds` bool [n, 3] and `columns` float64 [n, c], a row an offer in the order asked; waiting offers have no kind."""

    kinds: np.ndarray
    columns: np.ndarray

    def take(self, rows: np.ndarray) -> Evidence:
        return Evidence(self.kinds[rows], self.columns[rows])

    @property
    def decided(self) -> np.ndarray:
        """bool [n]: the machine or a person decided it."""
        return np.asarray(self.kinds.any(axis=1))

    @property
    def believed_odds(self) -> np.ndarray:
        """float64 [n]: log-odds that each decision is right before anybody answered: as deciding believed, less where an offer elsewhere is as alike."""
        odds, rival = (self.columns[:, COLUMNS.index(name)] for name in ("believed", "outside_best"))
        joined = self.kinds[:, 0] | self.kinds[:, 1]
        return np.where(joined, odds - RIVAL * np.maximum(rival, LEAST_RIVAL), odds)

    @property
    def believed(self) -> np.ndarray:
        """float64 [n]: the same as a chance; 0 where nothing is decided."""
        return np.where(self.decided, _logistic(self.believed_odds), 0.0)


def together(parts: list[Evidence]) -> Evidence:
    """One after the other."""
    return Evidence(np.concatenate([part.kinds for part in parts]), np.concatenate([part.columns for part in parts]))


def gather(offers: pa.Table, pairs: pa.Table, decisions: pa.Table) -> Evidence:
    """The evidence of every offer of `decisions` (product decisions in the order of `offers`, both by offer id), from scored pairs."""
    size = offers.num_rows
    product = _codes(decisions["product_id"])
    feed = _codes(offers["feed"])
    sides = [np.asarray(pc.index_in(pairs[name], value_set=offers["offer_id"].combine_chunks()).to_numpy()) for name in ("left_id", "right_id")]
    mine, its = np.concatenate(sides), np.concatenate(sides[::-1])
    score = np.tile(np.asarray(pairs["score"].to_numpy(), dtype=np.float64), 2)
    placed = product[mine] >= 0
    inside = placed & (product[mine] == product[its])
    feeds = int(feed.max(initial=0)) + 1
    held = np.unique(product[product >= 0] * feeds + feed[product >= 0])
    twin = placed & ~inside & np.isin(product[mine] * feeds + feed[its], held)
    members = np.bincount(product[product >= 0], minlength=int(product.max(initial=-1)) + 1)
    of_product = np.where(product >= 0, members[np.maximum(product, 0)] if members.size else 0, 1)
    first, second = _best_two(mine[inside], score[inside], size)
    count = np.bincount(mine[inside], minlength=size)
    mean = np.bincount(mine[inside], score[inside], size) / np.maximum(count, 1)
    outside, _second = _best_two(mine[~inside], score[~inside], size)
    free, _second = _best_two(mine[~inside & ~twin], score[~inside & ~twin], size)
    twins, _second = _best_two(mine[twin], score[twin], size)
    best_of_product = np.zeros(members.size + 1)
    np.maximum.at(best_of_product, product, outside)  # what waits has place -1, the last, which is not read
    titles = [str(title or "").split() for title in offers["title"].to_pylist()]
    columns = np.stack(
        [
            np.where(count > 0, _odds(first), 0.0), np.where(count > 1, _odds(second), 0.0), np.where(count > 0, _odds(mean), 0.0), np.log1p(count),
            _odds(outside), _odds(free), _odds(twins), np.bincount(mine[~inside & (score > ALIKE_AT_ALL)], minlength=size),
            _odds(np.where(product >= 0, best_of_product[product], 0.0)), np.log(np.maximum(of_product, 1)), np.log1p([len(title) for title in titles]),
            np.array([any(map(_is_code, title)) for title in titles], dtype=np.float64), (count == 0) & (outside == 0.0),
            _odds(np.asarray(decisions["confidence"].to_numpy(), dtype=np.float64)),
        ], axis=1,
    )  # fmt: skip
    linked = np.asarray(pc.equal(decisions["action"], "linked").to_numpy(zero_copy_only=False), dtype=bool)
    kinds = np.stack([linked, ~linked & (of_product > 1), ~linked & (of_product <= 1)], axis=1) & (product >= 0)[:, None]
    return Evidence(kinds, columns)


@dataclass(frozen=True)
class Sureness:
    """Numbers that turn evidence into the chance that a decision is right."""

    middle: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    share: float  # of what was learned; the rest is what was believed before

    def chance(self, evidence: Evidence) -> np.ndarray:
        """float64 [n]: how likely each decision is right; 0 where there is none."""
        learned = _design(evidence, self.middle, self.spread) @ self.weights
        return np.where(evidence.decided, _logistic(self.share * learned + (1 - self.share) * evidence.believed_odds), 0.0)


def fit(every: Evidence, told: Evidence, right: np.ndarray, *, error: float = 0.0) -> Sureness | None:
    """From answers about decisions: `told` their evidence, `right` what was said, `error` how often reviewers err; `every` decision gives the scale.

    None where there are too few answers of one kind.
    """
    right = np.asarray(right, dtype=bool)
    if min(int(right.sum()), int((~right).sum())) < LEAST_EACH:
        return None
    known = every.take(np.flatnonzero(every.decided))
    middle, spread = known.columns.mean(axis=0), known.columns.std(axis=0) + 1e-9
    design = _design(told, middle, spread)
    penalty = np.full(design.shape[1], RIDGE)
    penalty[0] = 1e-3
    weights = np.zeros(design.shape[1])
    share = 1.0 - 2.0 * min(error, 0.45)
    for _step in range(100):
        chance = _logistic(design @ weights)
        seen = np.clip((1 - share) / 2 + share * chance, 1e-6, 1 - 1e-6)  # how likely a person says 'right'
        slope = share * chance * (1 - chance)
        gradient = design.T @ ((seen - right) / (seen * (1 - seen)) * slope) + penalty * weights
        curvature = (design * (slope**2 / (seen * (1 - seen)))[:, None]).T @ design + np.diag(penalty)
        step = np.clip(np.linalg.solve(curvature, gradient), -1.0, 1.0)
        weights = weights - step
        if np.abs(step).max() < 1e-7:
            break
    wrong = float((~right).sum()) * (1 - 2 * min(error, 0.45)) ** 2
    return Sureness(middle, spread, weights, wrong / (wrong + BELIEF))


def is_fit(every: Evidence, told: Evidence, right: np.ndarray, *, error: float = 0.0, seed: int) -> bool:
    """Whether what is learned puts right decisions before wrong ones no worse than what was believed before, on answers that it has not seen.

    No worse: not by more than a standard error of the difference could be, which with few wrong decisions is much.
    """
    order = np.random.default_rng(seed).permutation(right.size)
    fold = np.empty(right.size, dtype=np.int64)
    fold[order[np.argsort(right[order], kind="stable")]] = np.arange(right.size) % FOLDS  # of wrong ones as many in each
    unseen = np.zeros(right.size)
    for number in range(FOLDS):
        learned = fit(every, told.take(np.flatnonzero(fold != number)), right[fold != number], error=error)
        if learned is None:
            return False
        unseen[fold == number] = learned.chance(told.take(np.flatnonzero(fold == number)))
    before = _ordered(told.believed_odds, right)
    spread = np.sqrt(before * (1 - before) / min(int(right.sum()), int((~right).sum())))
    return _ordered(unseen, right) >= before - float(spread)


def _ordered(scores: np.ndarray, right: np.ndarray) -> float:
    """Share of pairs of a right and a wrong decision in which the right one has the higher score; ties count half (the area under the ROC curve)."""
    above = scores[right][:, None] - scores[~right][None, :]
    return float(((above > 0) + 0.5 * (above == 0)).mean())


def _design(evidence: Evidence, middle: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """A level, the kinds, every column for all kinds together and once more for each kind."""
    columns = np.clip((evidence.columns - middle) / spread, -4.0, 4.0)
    kinds = evidence.kinds.astype(np.float64)
    return np.hstack([np.ones((kinds.shape[0], 1)), kinds, columns, *(columns * kinds[:, [place]] for place in range(len(KINDS)))])


def _best_two(places: np.ndarray, scores: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(best, second best) score of each place 0..size-1; 0 where there is none."""
    order = np.lexsort((-scores, places))
    places, scores = places[order], scores[order]
    starts = np.searchsorted(places, np.arange(size + 1))
    count = np.diff(starts)
    padded = np.append(scores, [0.0, 0.0])
    return np.where(count > 0, padded[starts[:-1]], 0.0), np.where(count > 1, padded[np.minimum(starts[:-1] + 1, padded.size - 1)], 0.0)


def _codes(values: pa.ChunkedArray) -> np.ndarray:
    """A number for each distinct value, -1 for none."""
    encoded = pc.dictionary_encode(values).combine_chunks()
    return np.asarray(pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _is_code(word: str) -> bool:
    return len(word) >= CODE_LENGTH and any(map(str.isdigit, word)) and any(map(str.isalpha, word))


def _odds(scores: np.ndarray) -> np.ndarray:
    clipped = np.clip(scores, NEVER_SURER, 1 - NEVER_SURER)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _logistic(odds: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))))
