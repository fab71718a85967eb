"""A linear classifier of titles: hashed words, word pairs and character 3-5-grams, multinomial logistic regression.

Features and training are loops in numba over the bytes of folded titles: about 3 us a title for features. The model is
arrays of numbers. Method: TF-IDF weights scaled to length one; AdaGrad on the log-loss, seeded order, single thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from endcap.infer import folding

BUCKETS = 1 << 18
_FNV_START, _FNV_PRIME = np.uint64(14695981039346656037), np.uint64(1099511628211)
_SPACE, _END = 32, 10


@dataclass(frozen=True)
class Features:
    """Hashed counts of texts as a sparse matrix in CSR form: row i is columns[starts[i]:starts[i + 1]]."""

    starts: NDArray[np.int64]
    columns: NDArray[np.int32]
    counts: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def rows(self, numbers: NDArray[np.int64]) -> Features:
        """The named rows, in that order."""
        lengths = (self.starts[1:] - self.starts[:-1])[numbers]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        picked = np.repeat(self.starts[:-1][numbers] - starts[:-1], lengths) + np.arange(starts[-1])
        return Features(starts, self.columns[picked], self.counts[picked])


@dataclass(frozen=True)
class TitleModel:
    """Weights of a fitted classifier: `slots[column]` is the row of `weights` (rows x classes, float16) or -1."""

    slots: NDArray[np.int32]
    idf: NDArray[np.float16]
    weights: NDArray[np.float16]
    bias: NDArray[np.float32]
    temperature: float

    def probabilities(self, features: Features) -> NDArray[np.float32]:
        """Probability of each class, texts x classes; a text without any known feature gets the classes' shares."""
        idf, weights = self.idf.astype(np.float32), self.weights.astype(np.float32)
        scores = _scores(features.starts, features.columns, features.counts, self.slots, idf, weights, self.bias)
        scores /= np.float32(self.temperature)
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores


def features_of(texts: Sequence[str]) -> Features:
    """Hashed features of texts; each text's depend on that text alone."""
    data = "\n".join(folding.folded(text).replace("\n", " ") for text in texts) + "\n"
    bytes_ = np.frombuffer(data.encode(), dtype=np.uint8)
    if not len(texts):
        return Features(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    starts, columns = _hashed(bytes_, len(texts), BUCKETS)
    return Features(*_counted(starts, columns))


def fit(features: Features, classes: NDArray[np.int64], weights: NDArray[np.float32], size: int, *, seed: int, epochs: int = 8) -> TitleModel:
    """A classifier of `size` classes from features, class numbers and sample weights; deterministic by seed. Temperature 1."""
    frequency = np.bincount(features.columns, minlength=BUCKETS)
    known = frequency >= (2 if len(features) >= 200 else 1)
    slots = np.where(known, np.cumsum(known) - 1, -1).astype(np.int32)
    idf = np.log((1 + len(features)) / (1 + frequency[known])).astype(np.float32) + np.float32(1)
    shares = np.bincount(classes, weights=weights, minlength=size) + 0.5
    bias = np.log(shares / shares.sum()).astype(np.float32)
    generator = np.random.default_rng(seed)
    order = np.concatenate([generator.permutation(len(features)) for _ in range(epochs)]) if len(features) else np.zeros(0, np.int64)
    learned = np.zeros((int(known.sum()), size), np.float32)
    idf16 = idf.astype(np.float16)
    _fit(features.starts, features.columns, features.counts, slots, idf16.astype(np.float32), classes, weights, order, learned, bias)
    return TitleModel(slots, idf16, learned.astype(np.float16), bias, 1.0)


def fit_temperature(probabilities: NDArray[np.float32], classes: NDArray[np.int64]) -> float:
    """The temperature at which held-out probabilities (made at temperature 1) are most likely; 1 when there are too few."""
    if len(classes) < 30:
        return 1.0
    scores = np.log(np.clip(probabilities, 1e-12, 1.0)).astype(np.float64)
    rows = np.arange(len(classes))

    def loss(temperature: float) -> float:
        tempered = scores / temperature
        tempered -= tempered.max(axis=1, keepdims=True)
        return float(np.mean(np.log(np.exp(tempered).sum(axis=1)) - tempered[rows, classes]))

    grid = [round(0.6 * 1.1**step, 4) for step in range(21)]
    return min(grid, key=loss)


@njit(cache=True)
def _is_word(byte: int) -> bool:
    return (48 <= byte <= 57) or (97 <= byte <= 122) or byte >= 128


@njit(cache=True)
def _grams(data, start, end, buckets, out, filled):  # type: ignore[no-untyped-def]
    """Character 3-, 4- and 5-grams of the word at [start, end), with a mark before and after it."""
    length = end - start + 2
    for size in range(3, 6):
        if length < size:
            break
        for first in range(length - size + 1):
            value = _FNV_START ^ np.uint64(size)
            for place in range(first, first + size):
                byte = _SPACE if place == 0 or place == length - 1 else data[start + place - 1]
                value = (value ^ np.uint64(byte)) * _FNV_PRIME
            value ^= value >> np.uint64(29)
            out[filled] = np.int32(value % np.uint64(buckets))
            filled += 1
    return filled


@njit(cache=True)
def _hashed(data, texts, buckets):  # type: ignore[no-untyped-def]
    out = np.empty(len(data) * 4 + 64, np.int32)
    starts = np.zeros(texts + 1, np.int64)
    filled, text, position = 0, 0, 0
    previous = np.uint64(0)
    while position < len(data):
        if data[position] == _END:
            text += 1
            starts[text] = filled
            previous = np.uint64(0)
            position += 1
            continue
        if not _is_word(data[position]):
            position += 1
            continue
        end = position
        value = _FNV_START
        while end < len(data) and _is_word(data[end]):
            value = (value ^ np.uint64(data[end])) * _FNV_PRIME
            end += 1
        value ^= value >> np.uint64(31)
        out[filled] = np.int32(value % np.uint64(buckets))
        filled += 1
        if previous != 0:
            pair = (previous * _FNV_PRIME) ^ value
            pair = (pair ^ (pair >> np.uint64(27))) * _FNV_PRIME
            out[filled] = np.int32((pair >> np.uint64(7)) % np.uint64(buckets))
            filled += 1
        previous = value
        # Long runs (ids, addresses) say nothing about the kind of goods.
        if end - position <= 24:
            filled = _grams(data, position, end, buckets, out, filled)
        position = end
    return starts, out[:filled].copy()


@njit(cache=True)
def _counted(starts, columns):  # type: ignore[no-untyped-def]
    """Sorted distinct columns a row with 1 + log(count)."""
    out = np.empty(len(columns), np.int32)
    counts = np.empty(len(columns), np.float32)
    new_starts = np.zeros(len(starts), np.int64)
    filled = 0
    for row in range(len(starts) - 1):
        part = np.sort(columns[starts[row] : starts[row + 1]])
        place = 0
        while place < len(part):
            end = place
            while end < len(part) and part[end] == part[place]:
                end += 1
            out[filled] = part[place]
            counts[filled] = np.float32(1.0 + np.log(np.float64(end - place)))
            filled += 1
            place = end
        new_starts[row + 1] = filled
    return new_starts, out[:filled].copy(), counts[:filled].copy()


@njit(cache=True)
def _row(starts, columns, counts, slots, idf, row, places, values):  # type: ignore[no-untyped-def]
    """The row's known features as TF-IDF scaled to length one; returns how many."""
    filled, norm = 0, np.float32(0)
    for entry in range(starts[row], starts[row + 1]):
        slot = slots[columns[entry]]
        if slot >= 0:
            value = counts[entry] * idf[slot]
            places[filled], values[filled] = slot, value
            norm += value * value
            filled += 1
    if norm > 0:
        scale = np.float32(1.0) / np.sqrt(norm)
        for entry in range(filled):
            values[entry] *= scale
    return filled


@njit(cache=True)
def _scores(starts, columns, counts, slots, idf, weights, bias):  # type: ignore[no-untyped-def]
    rows, classes = len(starts) - 1, len(bias)
    longest = 1
    for row in range(rows):
        longest = max(longest, starts[row + 1] - starts[row])
    places, values = np.empty(longest, np.int64), np.empty(longest, np.float32)
    out = np.empty((rows, classes), np.float32)
    for row in range(rows):
        out[row] = bias
        for entry in range(_row(starts, columns, counts, slots, idf, row, places, values)):
            for number in range(classes):
                out[row, number] += values[entry] * weights[places[entry], number]
    return out


@njit(cache=True)
def _fit(starts, columns, counts, slots, idf, classes, sample_weights, order, weights, bias):  # type: ignore[no-untyped-def]
    """AdaGrad with one step size a feature (its summed squared gradient); changes `weights` and `bias` in place."""
    rate, size = np.float32(1.0), len(bias)
    longest = 1
    for row in range(len(starts) - 1):
        longest = max(longest, starts[row + 1] - starts[row])
    places, values = np.empty(longest, np.int64), np.empty(longest, np.float32)
    seen = np.full(len(weights), np.float32(0.1))
    scores = np.empty(size, np.float32)
    for row in order:
        filled = _row(starts, columns, counts, slots, idf, row, places, values)
        scores[:] = bias
        for entry in range(filled):
            for number in range(size):
                scores[number] += values[entry] * weights[places[entry], number]
        scores -= scores.max()
        total = np.float32(0)
        for number in range(size):
            scores[number] = np.exp(scores[number])
            total += scores[number]
        squared = np.float32(0)
        for number in range(size):
            gradient = scores[number] / total - (np.float32(1) if number == classes[row] else np.float32(0))
            scores[number] = gradient * sample_weights[row]
            squared += scores[number] * scores[number]
        for entry in range(filled):
            place, value = places[entry], values[entry]
            seen[place] += squared * value * value
            step = rate * value / np.sqrt(seen[place])
            for number in range(size):
                weights[place, number] -= step * scores[number]
