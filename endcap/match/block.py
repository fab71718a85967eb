"""Candidates: for each offer a bounded number of offers of other feeds that could be the same product.

The rarest tokens and 3-grams name possible rows until a budget of postings is spent; the most promising are compared
exactly by the cosine of all title words and codes (weighted by rarity squared) and of all 3-grams, half and half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from endcap.match.index import SEARCHED, Index
from endcap.match.reading import CODE, WORD

# Postings visited per offer, for tokens and for 3-grams each, and rows compared exactly: enough to see every row of a
# catalog of a few thousand, and constant work per offer in one of millions.
POSTINGS = 4000
COMPARED = 96


@dataclass(frozen=True)
class Candidates:
    """The nearest rows of other feeds of each asked row: a sparse graph."""

    rows: np.ndarray  # int32 [m], ascending
    near: np.ndarray  # int32 [m, k], nearest first, -1 where there are fewer
    similarity: np.ndarray  # float32 [m, k]


def find_candidates(index: Index, rows: np.ndarray, k: int) -> Candidates:
    """The k nearest rows of other feeds of each of `rows`; ties go to the earlier row."""
    rows = np.asarray(rows, dtype=np.int32)
    near, similarity = _search(
        rows, k, index.feeds, index.tokens.hashes.start, index.ids, index.tokens.flags.values, index.rarity, index.norms,
        index.posting_start, index.posting, index.tokens.grams.start, index.tokens.grams.values, index.gram_rarity,
        index.gram_norms, index.gram_posting_start, index.gram_posting,
    )  # fmt: skip
    return Candidates(rows, near, similarity)


def share_key(keys: np.ndarray, feeds: np.ndarray, rows: np.ndarray, limit: int) -> np.ndarray:
    """Pairs [m, 2] of rows of different feeds that share a key (0 = no key), each of `rows` with at most `limit` of its group.

    A key held by too many offers would give a pair for every two of them; the first of the group, by row, stand for it.
    """
    order = np.argsort(keys, kind="stable").astype(np.int64)
    asked = np.zeros(keys.size, dtype=np.bool_)
    asked[rows] = True
    return _group_pairs(keys[order], order, feeds, asked, limit)


@numba.njit(cache=True)
def _group_pairs(keys: np.ndarray, order: np.ndarray, feeds: np.ndarray, asked: np.ndarray, limit: int) -> np.ndarray:
    left, right = [np.int64(0) for _ in range(0)], [np.int64(0) for _ in range(0)]
    first = 0
    while first < keys.size:
        end = first
        while end < keys.size and keys[end] == keys[first]:
            end += 1
        if keys[first] != 0:
            for i in range(first, end):
                found = 0
                for j in range(first, end):
                    if not asked[order[i]] or found >= limit:
                        break
                    if feeds[order[i]] != feeds[order[j]]:
                        left.append(min(order[i], order[j]))
                        right.append(max(order[i], order[j]))
                        found += 1
        first = end
    pairs = np.empty((len(left), 2), np.int64)
    for i in range(len(left)):
        pairs[i, 0], pairs[i, 1] = left[i], right[i]
    return pairs


@numba.njit(cache=True)
def _visit(
    tokens: np.ndarray, rarity: np.ndarray, start: np.ndarray, posting: np.ndarray, feeds: np.ndarray, feed: int, budget: int, weight: np.float32,
    score: np.ndarray, seen: np.ndarray, count: int,
) -> int:  # fmt: skip
    """Add weighted rarity squared to the rows that hold the tokens, rarest token first, until the budget is spent."""
    sizes = np.empty(tokens.size, np.int64)
    for i in range(tokens.size):
        sizes[i] = start[tokens[i] + 1] - start[tokens[i]]
    for place in np.argsort(sizes, kind="mergesort"):
        if sizes[place] > budget:
            break
        gain = weight * rarity[tokens[place]] ** 2
        budget -= sizes[place]
        for at in range(start[tokens[place]], start[tokens[place] + 1]):
            row = posting[at]
            if feeds[row] != feed:
                if score[row] == 0.0:
                    seen[count] = row
                    count += 1
                score[row] += gain
    return count


@numba.njit(cache=True)
def _best_rows(score: np.ndarray, seen: np.ndarray, count: int, limit: int) -> np.ndarray:
    """The `limit` best of the seen rows by score, ties to the earlier row; ascending."""
    if count <= limit:
        return np.sort(seen[:count])
    heap = np.empty(limit, np.int32)
    for i in range(limit):
        heap[i] = seen[i]
    for place in range(limit // 2 - 1, -1, -1):
        _sink(heap, score, place)
    for i in range(limit, count):
        if _is_worse(score, heap[0], seen[i]):
            heap[0] = seen[i]
            _sink(heap, score, 0)
    return np.sort(heap)


@numba.njit(cache=True, inline="always")
def _is_worse(score: np.ndarray, row: int, other: int) -> bool:
    return score[row] < score[other] or (score[row] == score[other] and row > other)


@numba.njit(cache=True)
def _sink(heap: np.ndarray, score: np.ndarray, place: int) -> None:
    """Restore the heap, whose worst row stands first, below a place."""
    row = heap[place]
    while True:
        child = 2 * place + 1
        if child >= heap.size:
            break
        if child + 1 < heap.size and _is_worse(score, heap[child + 1], heap[child]):
            child += 1
        if not _is_worse(score, heap[child], row):
            break
        heap[place] = heap[child]
        place = child
    heap[place] = row


@numba.njit(cache=True)
def _insert(near: np.ndarray, similarity: np.ndarray, row: int, value: np.float32) -> None:
    """Keep the best k in descending order; an equal later row stands behind."""
    k = near.size
    if value <= similarity[k - 1] and near[k - 1] >= 0:
        return
    place = k - 1
    while place > 0 and (near[place - 1] < 0 or similarity[place - 1] < value):
        near[place], similarity[place] = near[place - 1], similarity[place - 1]
        place -= 1
    near[place], similarity[place] = row, value


@numba.njit(cache=True)
def _search(
    rows: np.ndarray, k: int, feeds: np.ndarray, start: np.ndarray, ids: np.ndarray, flags: np.ndarray, rarity: np.ndarray, norms: np.ndarray,
    posting_start: np.ndarray, posting: np.ndarray, gram_start: np.ndarray, grams: np.ndarray, gram_rarity: np.ndarray, gram_norms: np.ndarray,
    gram_posting_start: np.ndarray, gram_posting: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    near = np.full((rows.size, k), -1, np.int32)
    similarity = np.zeros((rows.size, k), np.float32)
    score, seen = np.zeros(feeds.size, np.float32), np.empty(feeds.size, np.int32)
    held, gram_held = np.zeros(rarity.size, np.uint8), np.zeros(gram_rarity.size, np.float32)
    for q in range(rows.size):
        row = rows[q]
        first, end = start[row], start[row + 1]
        searched = ids[first:end][(flags[first:end] & SEARCHED) != 0]
        own = grams[gram_start[row] : gram_start[row + 1]]
        count = _visit(searched, rarity, posting_start, posting, feeds, feeds[row], POSTINGS, np.float32(1.0), score, seen, 0)
        count = _visit(own, gram_rarity, gram_posting_start, gram_posting, feeds, feeds[row], POSTINGS, np.float32(0.25), score, seen, count)
        for i in range(first, end):
            held[ids[i]] = flags[i] & SEARCHED
        for gram in own:
            gram_held[gram] = gram_rarity[gram] ** 4
        for other in _best_rows(score, seen, count, COMPARED):
            words = _shared_words(start, ids, flags, rarity, held, other)
            letters = np.float32(0.0)
            for i in range(gram_start[other], gram_start[other + 1]):
                letters += gram_held[grams[i]]
            words = min(words / max(norms[row] * norms[other], np.float32(1e-9)), np.float32(1.0))
            letters = letters / max(gram_norms[row] * gram_norms[other], np.float32(1e-9))
            _insert(near[q], similarity[q], other, np.float32(0.5) * (words + letters))
        for i in range(first, end):
            held[ids[i]] = 0
        for gram in own:
            gram_held[gram] = 0.0
        for i in range(count):
            score[seen[i]] = 0.0
    return near, similarity


@numba.njit(cache=True)
def _shared_words(start: np.ndarray, ids: np.ndarray, flags: np.ndarray, rarity: np.ndarray, held: np.ndarray, other: int) -> np.float32:
    """Rarity to the fourth over tokens that at least one of both holds as a word or code and the other in any way."""
    total = np.float32(0.0)
    for i in range(start[other], start[other + 1]):
        mine, its = held[ids[i]], flags[i] & SEARCHED
        if mine and its and (mine | its) & (WORD | CODE):
            total += rarity[ids[i]] ** 4
    return total
