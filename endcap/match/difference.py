"""What sets products apart, learned from labels: a linear model over hashed words and 3-grams that one side has alone or both share.

'4TB' on one side alone speaks against a match whatever else agrees, 'retail' says nothing: which is which differs from catalog to catalog,
so it is learned. The model is a linear support vector machine with squared hinge loss, fitted by dual coordinate descent (Hsieh et al.,
ICML 2008). Left and right are the same to it, so that a pair has one value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.reading import GRAM_BUCKETS, WORD
from endcap.match.tokens import Tokens

WORD_BUCKETS = 1 << 16
# Blocks of the weights: words on one side, words on both, 3-grams on one side, 3-grams on both.
BLOCKS = (WORD_BUCKETS, WORD_BUCKETS, GRAM_BUCKETS, GRAM_BUCKETS)
SIZE = sum(BLOCKS)
OFFSETS = np.concatenate([[0], np.cumsum(BLOCKS)[:-1]])
COST = 1.0
ROUNDS = 60
# Weights are kept as whole thousandths: a text that `diff` can read, and nothing that the trees could see is lost.
STEP = 0.001


@dataclass(frozen=True)
class Difference:
    """Weights of what differs and what is shared."""

    places: np.ndarray  # int64 [m], ascending, of weights that are not zero
    thousandths: np.ndarray  # int64 [m]

    def column(self, pairs: Pairs) -> np.ndarray:
        """float32 [n]: above zero speaks for one product."""
        weights = np.zeros(SIZE, np.float32)
        weights[self.places] = self.thousandths * np.float32(STEP)
        tokens = pairs.index.tokens
        return np.asarray(
            _apply(
                np.asarray(pairs.left), np.asarray(pairs.right), tokens.hashes.start, tokens.hashes.values, tokens.flags.values,
                tokens.grams.start, tokens.grams.values, weights,
            )
        )  # fmt: skip

    def to_text(self) -> str:
        """One line a weight: place, thousandths."""
        return "".join(f"{place} {value}\n" for place, value in zip(self.places.tolist(), self.thousandths.tolist(), strict=True))

    @classmethod
    def from_text(cls, text: str) -> Difference:
        """What `to_text` wrote. Raises ValueError on anything else."""
        numbers = np.array([[int(number) for number in line.split(" ")] for line in text.splitlines()], dtype=np.int64).reshape(-1, 2)
        if numbers.size and (numbers[:, 0].min() < 0 or numbers[:, 0].max() >= SIZE or (np.diff(numbers[:, 0]) <= 0).any()):
            raise ValueError("the places of the weights are not in order")
        return cls(numbers[:, 0].copy(), numbers[:, 1].copy())


def fit_difference(pairs: Pairs, labels: np.ndarray, weights: np.ndarray, *, seed: int) -> Difference:
    """Fit on labels (1 = same product) of pairs, weighted; deterministic for a seed."""
    start, places, values = _gather(pairs.index.tokens, np.asarray(pairs.left), np.asarray(pairs.right))
    signs = np.where(np.asarray(labels) > 0.5, 1.0, -1.0)
    order = np.stack([np.random.default_rng((seed, number)).permutation(signs.size) for number in range(ROUNDS)])
    found = _descend(start, places, values, signs, np.asarray(weights, dtype=np.float64) * COST, order, np.zeros(SIZE))
    thousandths = np.rint(found / STEP).astype(np.int64)
    kept = np.flatnonzero(thousandths)
    return Difference(kept, thousandths[kept])


def _gather(tokens: Tokens, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sparse rows (start, places, values) of pairs; each block of a row has length 1."""
    room = sum(int((np.diff(starts)[left] + np.diff(starts)[right]).sum()) for starts in (tokens.hashes.start, tokens.grams.start))
    start, places, values = np.zeros(left.size + 1, np.int64), np.empty(room, np.int64), np.empty(room, np.float32)
    _gather_rows(
        left, right, tokens.hashes.start, tokens.hashes.values, tokens.flags.values, tokens.grams.start, tokens.grams.values, start, places, values
    )  # fmt: skip
    return start, places[: start[-1]], values[: start[-1]]


@numba.njit(cache=True)
def _words(hashes: np.ndarray, flags: np.ndarray, first: int, end: int, out: np.ndarray) -> int:
    """The title words of one offer, in the order of their hashes."""
    count = 0
    for i in range(first, end):
        if flags[i] & WORD:
            out[count] = hashes[i]
            count += 1
    return count


@numba.njit(cache=True)
def _split(mine: np.ndarray, its: np.ndarray, buckets: int, alone_at: int, both_at: int, places: np.ndarray, values: np.ndarray, count: int) -> int:
    """Write the places of what stands on one side and on both of two ascending lists; each block is scaled to length 1."""
    i = j = alone = both = 0
    first = count
    while i < mine.size or j < its.size:
        if i < mine.size and j < its.size and mine[i] == its[j]:
            places[count] = both_at + np.int64(mine[i] % np.uint64(buckets))
            both += 1
            i += 1
            j += 1
        elif j >= its.size or (i < mine.size and mine[i] < its[j]):
            places[count] = alone_at + np.int64(mine[i] % np.uint64(buckets))
            alone += 1
            i += 1
        else:
            places[count] = alone_at + np.int64(its[j] % np.uint64(buckets))
            alone += 1
            j += 1
        count += 1
    for at in range(first, count):
        values[at] = 1.0 / np.sqrt(both if places[at] >= both_at else alone)
    return count


@numba.njit(cache=True)
def _row(
    a: int, b: int, start: np.ndarray, hashes: np.ndarray, flags: np.ndarray, gram_start: np.ndarray, grams: np.ndarray, places: np.ndarray,
    values: np.ndarray, count: int,
) -> int:  # fmt: skip
    mine, its = np.empty(start[a + 1] - start[a], np.uint64), np.empty(start[b + 1] - start[b], np.uint64)
    my_size = _words(hashes, flags, start[a], start[a + 1], mine)
    its_size = _words(hashes, flags, start[b], start[b + 1], its)
    count = _split(mine[:my_size], its[:its_size], WORD_BUCKETS, 0, WORD_BUCKETS, places, values, count)
    my_grams = grams[gram_start[a] : gram_start[a + 1]].astype(np.uint64)
    its_grams = grams[gram_start[b] : gram_start[b + 1]].astype(np.uint64)
    return _split(my_grams, its_grams, GRAM_BUCKETS, 2 * WORD_BUCKETS, 2 * WORD_BUCKETS + GRAM_BUCKETS, places, values, count)


@numba.njit(cache=True)
def _gather_rows(
    left: np.ndarray, right: np.ndarray, start: np.ndarray, hashes: np.ndarray, flags: np.ndarray, gram_start: np.ndarray, grams: np.ndarray,
    row_start: np.ndarray, places: np.ndarray, values: np.ndarray,
) -> None:  # fmt: skip
    for pair in range(left.size):
        row_start[pair + 1] = _row(left[pair], right[pair], start, hashes, flags, gram_start, grams, places, values, row_start[pair])


@numba.njit(cache=True, nogil=True)
def _apply(
    left: np.ndarray, right: np.ndarray, start: np.ndarray, hashes: np.ndarray, flags: np.ndarray, gram_start: np.ndarray, grams: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:  # fmt: skip
    out = np.empty(left.size, np.float32)
    room = 0
    for row in range(start.size - 1):
        room = max(room, start[row + 1] - start[row] + gram_start[row + 1] - gram_start[row])
    places, values = np.empty(2 * room, np.int64), np.empty(2 * room, np.float32)
    for pair in range(left.size):
        count = _row(left[pair], right[pair], start, hashes, flags, gram_start, grams, places, values, 0)
        total = 0.0
        for at in range(count):
            total += weights[places[at]] * values[at]
        out[pair] = total
    return out


@numba.njit(cache=True)
def _descend(
    start: np.ndarray, places: np.ndarray, values: np.ndarray, signs: np.ndarray, costs: np.ndarray, order: np.ndarray, weights: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Dual coordinate descent for the squared hinge: one multiplier a row, each set to its best in turn."""
    multiplier = np.zeros(signs.size)
    for turn in range(order.shape[0]):
        for row in order[turn]:
            first, end = start[row], start[row + 1]
            margin, length = 0.0, 0.0
            for at in range(first, end):
                margin += weights[places[at]] * values[at]
                length += values[at] * values[at]
            slack = 1.0 / (2.0 * costs[row])
            step = (signs[row] * margin - 1.0 + slack * multiplier[row]) / (length + slack)
            changed = max(multiplier[row] - step, 0.0)
            move = (changed - multiplier[row]) * signs[row]
            multiplier[row] = changed
            for at in range(first, end):
                weights[places[at]] += move * values[at]
    return weights
