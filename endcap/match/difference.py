"""What sets products apart, learned from labels: a linear model over hashed words and 3-grams that one side has alone or both share.

'4TB' on one side alone speaks against a match whatever else agrees, 'retail' says nothing: which is which differs from catalog to catalog,
so it is learned. The model is a linear support vector machine with squared hinge loss, fitted by dual coordinate descent (Hsieh et al.,
ICML 2008). Left and right are the same to it, so that a pair has one value.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.reading import GRAM_BUCKETS, WORD
from endcap.match.spread import Spread, choose_side, find_common_grams, find_common_tokens, make_room, spread_out
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
        return self.between(pairs.index.tokens, pairs.left, pairs.right)

    def between(self, tokens: Tokens, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The same of pairs of rows of `tokens`."""
        hashes, grams = tokens.hashes, tokens.grams
        words, letters = self._weights
        own = _sum_own(hashes.start, hashes.values, tokens.flags.values, grams.start, grams.values, words, letters)
        return np.asarray(
            _apply(
                np.asarray(left, dtype=np.int64), np.asarray(right, dtype=np.int64), hashes.start, hashes.values, tokens.flags.values,
                grams.start, grams.values, words, letters, own, make_room(hashes.start, grams.start, GRAM_BUCKETS),
            )
        )  # fmt: skip

    @cached_property
    def _weights(self) -> tuple[np.ndarray, np.ndarray]:
        """float32 [WORD_BUCKETS, 2] and [GRAM_BUCKETS, 2]: on one side, on both."""
        weights = np.zeros(SIZE, np.float32)
        weights[self.places] = self.thousandths * np.float32(STEP)
        words, letters = weights[: 2 * WORD_BUCKETS], weights[2 * WORD_BUCKETS :]
        return words.reshape(2, -1).T.copy(), letters.reshape(2, -1).T.copy()

    def times(self, factor: float) -> Difference:
        """The same weights, each by a factor."""
        thousandths = np.rint(self.thousandths * factor).astype(np.int64)
        kept = np.flatnonzero(thousandths)
        return Difference(self.places[kept], thousandths[kept])

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


def fit_difference(
    tokens: Tokens, left: np.ndarray, right: np.ndarray, labels: np.ndarray, weights: np.ndarray, *, seed: int, cost: float = COST
) -> Difference:  # fmt: skip
    """Fit on labels (1 = same product) of pairs of rows, weighted; deterministic for a seed. A small `cost` follows them less closely."""
    start, places, values = _gather(tokens, np.asarray(left), np.asarray(right))
    signs = np.where(np.asarray(labels) > 0.5, 1.0, -1.0)
    order = np.stack([np.random.default_rng((seed, number)).permutation(signs.size) for number in range(ROUNDS)])
    # Numbered anew without the places that never occur, the weights lie close together.
    met, number = np.unique(places, return_inverse=True)
    found = _descend(start, number.astype(np.int32), values, signs, np.asarray(weights, dtype=np.float64) * cost, order, np.zeros(met.size))
    thousandths = np.rint(found / STEP).astype(np.int64)
    kept = np.flatnonzero(thousandths)
    return Difference(met[kept], thousandths[kept])


def _gather(tokens: Tokens, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sparse rows (start, places, values) of pairs; each block of a row has length 1."""
    room = sum(int((np.diff(starts)[left] + np.diff(starts)[right]).sum()) for starts in (tokens.hashes.start, tokens.grams.start))
    start, places, values = np.zeros(left.size + 1, np.int64), np.empty(room, np.int64), np.empty(room, np.float32)
    _gather_rows(
        left, right, tokens.hashes.start, tokens.hashes.values, tokens.flags.values, tokens.grams.start, tokens.grams.values, start, places, values
    )  # fmt: skip
    return start, places[: start[-1]], values[: start[-1]]


@numba.njit(cache=True, nogil=True, inline="always")
def _skip(flags: np.ndarray, place: int, end: int) -> int:
    """The next title word of an offer from a place on."""
    while place < end and not flags[place] & WORD:
        place += 1
    return place


@numba.njit(cache=True, nogil=True, inline="always")
def _scale(count: int) -> float:
    """What makes a block of so many equal values one of length 1."""
    return 1.0 / np.sqrt(count) if count else 0.0


@numba.njit(cache=True, nogil=True)
def _gather_words(
    i: int, end: int, j: int, its_end: int, hashes: np.ndarray, flags: np.ndarray, places: np.ndarray, count: int
) -> tuple[int, int]:  # fmt: skip
    """Write the places of the title words on one side and on both, in the order of hashes; returns (new count, how many are on both)."""
    both = 0
    i, j = _skip(flags, i, end), _skip(flags, j, its_end)
    while i < end or j < its_end:
        if i < end and j < its_end and hashes[i] == hashes[j]:
            places[count] = WORD_BUCKETS + np.int64(hashes[i] % np.uint64(WORD_BUCKETS))
            both += 1
            i, j = _skip(flags, i + 1, end), _skip(flags, j + 1, its_end)
        elif j >= its_end or (i < end and hashes[i] < hashes[j]):
            places[count] = np.int64(hashes[i] % np.uint64(WORD_BUCKETS))
            i = _skip(flags, i + 1, end)
        else:
            places[count] = np.int64(hashes[j] % np.uint64(WORD_BUCKETS))
            j = _skip(flags, j + 1, its_end)
        count += 1
    return count, both


@numba.njit(cache=True, nogil=True)
def _gather_grams(i: int, end: int, j: int, its_end: int, grams: np.ndarray, places: np.ndarray, count: int) -> tuple[int, int]:
    """The same for 3-grams."""
    both = 0
    while i < end or j < its_end:
        if i < end and j < its_end and grams[i] == grams[j]:
            places[count] = 2 * WORD_BUCKETS + GRAM_BUCKETS + np.int64(grams[i])
            both += 1
            i += 1
            j += 1
        elif j >= its_end or (i < end and grams[i] < grams[j]):
            places[count] = 2 * WORD_BUCKETS + np.int64(grams[i])
            i += 1
        else:
            places[count] = 2 * WORD_BUCKETS + np.int64(grams[j])
            j += 1
        count += 1
    return count, both


@numba.njit(cache=True, nogil=True)
def _row(
    a: int, b: int, start: np.ndarray, hashes: np.ndarray, flags: np.ndarray, gram_start: np.ndarray, grams: np.ndarray, places: np.ndarray, count: int,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Write the places of a pair; returns (where its 3-grams begin, where it ends, words on both sides, 3-grams on both sides)."""
    middle, words = _gather_words(start[a], start[a + 1], start[b], start[b + 1], hashes, flags, places, count)
    end, letters = _gather_grams(gram_start[a], gram_start[a + 1], gram_start[b], gram_start[b + 1], grams, places, middle)
    return middle, end, words, letters


@numba.njit(cache=True)
def _gather_rows(
    left: np.ndarray, right: np.ndarray, start: np.ndarray, hashes: np.ndarray, flags: np.ndarray, gram_start: np.ndarray, grams: np.ndarray,
    row_start: np.ndarray, places: np.ndarray, values: np.ndarray,
) -> None:  # fmt: skip
    for pair in range(left.size):
        first = row_start[pair]
        middle, end, words, letters = _row(left[pair], right[pair], start, hashes, flags, gram_start, grams, places, first)
        for at in range(first, middle):
            values[at] = _scale(words) if places[at] >= WORD_BUCKETS else _scale(middle - first - words)
        for at in range(middle, end):
            values[at] = _scale(letters) if places[at] >= 2 * WORD_BUCKETS + GRAM_BUCKETS else _scale(end - middle - letters)
        row_start[pair + 1] = end


@numba.njit(cache=True, nogil=True)
def _sum_own(
    start: np.ndarray, hashes: np.ndarray, flags: np.ndarray, gram_start: np.ndarray, grams: np.ndarray, words: np.ndarray, letters: np.ndarray
) -> np.ndarray:  # fmt: skip
    """float64 [offers, 3]: the weights of an offer's title words if the other lacks them all, how many these are, and the same weights of 3-grams."""
    own = np.zeros((start.size - 1, 3))
    for row in range(own.shape[0]):
        for i in range(start[row], start[row + 1]):
            if flags[i] & WORD:
                own[row, 0] += words[hashes[i] % np.uint64(WORD_BUCKETS), 0]
                own[row, 1] += 1.0
        for i in range(gram_start[row], gram_start[row + 1]):
            own[row, 2] += letters[grams[i], 0]
    return own


@numba.njit(cache=True, nogil=True)
def _sum_words(
    count: int, mine: np.ndarray, its: np.ndarray, hashes: np.ndarray, flags: np.ndarray, words: np.ndarray
) -> tuple[float, float, float]:  # fmt: skip
    """(what common title words would weigh on one side, what they weigh on both, how many they are)."""
    alone, both, found = 0.0, 0.0, 0.0
    for at in range(count):
        word = np.float64(flags[mine[at]] & flags[its[at]] & WORD != 0)
        bucket = hashes[mine[at]] % np.uint64(WORD_BUCKETS)
        alone += word * words[bucket, 0]
        both += word * words[bucket, 1]
        found += word
    return alone, both, found


@numba.njit(cache=True, nogil=True)
def _sum_letters(count: int, held: np.ndarray, letters: np.ndarray) -> tuple[float, float]:
    """The same of common 3-grams."""
    alone, both = 0.0, 0.0
    for at in range(count):
        alone += letters[held[at], 0]
        both += letters[held[at], 1]
    return alone, both


@numba.njit(cache=True, nogil=True)
def _apply(
    left: np.ndarray, right: np.ndarray, start: np.ndarray, hashes: np.ndarray, flags: np.ndarray, gram_start: np.ndarray, grams: np.ndarray,
    words: np.ndarray, letters: np.ndarray, own: np.ndarray, spread: Spread,
) -> np.ndarray:  # fmt: skip
    """What is alone is what both sides have less twice what is common: as whole steps of 2 ** -33, the weights add up without rounding in any order."""
    out = np.empty(left.size, np.float32)
    for pair in range(left.size):
        a, b = left[pair], right[pair]
        chosen = choose_side(pair, left, right, spread)
        if chosen != spread.row[0]:
            spread_out(chosen, start, hashes, gram_start, grams, spread)
        other = b if chosen == a else a
        count = find_common_tokens(start[other], start[other + 1], hashes, spread)
        alone, both, found = _sum_words(count, spread.mine, spread.its, hashes, flags, words)
        alone = own[a, 0] + own[b, 0] - 2.0 * alone
        total = alone * _scale(int(own[a, 1] + own[b, 1] - 2.0 * found)) + both * _scale(int(found))
        count = find_common_grams(gram_start[other], gram_start[other + 1], grams, spread.grams, spread.held)
        alone, both = _sum_letters(count, spread.held, letters)
        alone = own[a, 2] + own[b, 2] - 2.0 * alone
        size = gram_start[a + 1] - gram_start[a] + gram_start[b + 1] - gram_start[b]
        out[pair] = total + alone * _scale(size - 2 * count) + both * _scale(count)
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
