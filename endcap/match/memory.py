"""What labels say of whole products: the offers known to be one product, and how alike both sides of a pair are to them.

Two offers that resemble the same known product support each other even where their own texts share little; two that resemble
different known products speak against each other. Resemblance is the content score of a pair model, so that it knows codes, packs and
amounts. The pair's own two offers, and other records with the same text, are left out, so that nothing is its own witness.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numba
import numpy as np

from endcap.match.block import Candidates, Effort, find_candidates
from endcap.match.index import Index, build_index
from endcap.match.pairs import Pairs
from endcap.match.tokens import Tokens

# Known offers that each offer is compared with (8 did better than 25 on the valid splits of four labelled tables).
COMPARED = 8
# They are sought with less effort than candidates are: one missed takes nothing from the pair's own columns.
EFFORT = Effort(postings=600, gram_postings=200, read=256, compared=24)
FLOOR = -8.0
COLUMNS = ("known_both", "known_best", "known_least", "known_agree", "known_apart_high", "known_apart_low", "known_chance", "known_other")
# Log-odds float64 [n] of pairs (left < right) from content alone; beside each pair stands the known product of the offer that asks (-1: none), whose own
# labels must not have taught the score.
ContentScore = Callable[[Pairs, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Memory:
    """Offers of known products."""

    keys: np.ndarray  # uint64 [m], ascending: the offers' token keys
    products: np.ndarray  # int64 [m], beside keys

    def to_text(self) -> str:
        """One line an offer: key, product."""
        return "".join(f"{key} {product}\n" for key, product in zip(self.keys.tolist(), self.products.tolist(), strict=True))

    @classmethod
    def from_text(cls, text: str) -> Memory:
        """What `to_text` wrote. Raises ValueError on anything else."""
        lines = [line.split(" ") for line in text.splitlines()]
        if any(len(line) != 2 for line in lines):
            raise ValueError("a line must hold a key and a product")
        return cls(np.array([int(key) for key, _ in lines], dtype=np.uint64), np.array([int(product) for _, product in lines], dtype=np.int64))

    def columns(self, pairs: Pairs, score: ContentScore) -> np.ndarray:
        """float32 [n, len(COLUMNS)]; known offers that are no longer live, or were changed since, count for nothing."""
        index = pairs.index
        contents = content_keys(index.tokens)
        known = self._rows(index, contents)
        product_of = np.full(index.size, -1, np.int64)
        found = np.searchsorted(self.keys, index.tokens.keys[known])
        product_of[known] = self.products[np.minimum(found, max(self.keys.size - 1, 0))]
        rows = np.unique(np.concatenate([pairs.left, pairs.right]))
        near = _nearest_known(index, known, rows)
        likeness = _likeness(pairs, rows, near, score, product_of)
        products = np.where(near >= 0, product_of[np.maximum(near, 0)], -1)
        sides = np.searchsorted(rows, pairs.left), np.searchsorted(rows, pairs.right)
        return np.asarray(_compare(*sides, rows, near, products, likeness, contents))

    def _rows(self, index: Index, contents: np.ndarray) -> np.ndarray:
        """Rows of the known offers, one of each text, ascending."""
        places = np.minimum(np.searchsorted(self.keys, index.tokens.keys), max(self.keys.size - 1, 0))
        live = np.flatnonzero(self.keys[places] == index.tokens.keys) if self.keys.size else np.zeros(0, dtype=np.int64)
        _texts, first = np.unique(contents[live], return_index=True)
        return np.sort(live[first])


def remember(index: Index, left: np.ndarray, right: np.ndarray, labels: np.ndarray) -> Memory:
    """The products that labelled pairs of rows make: offers joined by 'same', and those with the same text; others stand alone."""
    contents = content_keys(index.tokens)
    rows = np.unique(np.concatenate([left, right]))
    same = np.asarray(labels) > 0.5
    _texts, first, text_of = np.unique(contents[rows], return_index=True, return_inverse=True)
    left_of, right_of = np.searchsorted(rows, left[same]), np.searchsorted(rows, right[same])
    products = _join(rows.size, np.concatenate([left_of, first[text_of]]), np.concatenate([right_of, np.arange(rows.size)]))
    keys = index.tokens.keys[rows]
    order = np.argsort(keys, kind="stable")
    return Memory(keys[order], products[order])


@numba.njit(cache=True)
def content_keys_of(start: np.ndarray, hashes: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """A hash of the tokens of each row."""
    keys = np.empty(start.size - 1, np.uint64)
    for row in range(keys.size):
        value = np.uint64(14695981039346656037)
        for i in range(start[row], start[row + 1]):
            value = (value ^ hashes[i] ^ np.uint64(flags[i])) * np.uint64(1099511628211)
            value ^= value >> np.uint64(31)
        keys[row] = value
    return keys


def content_keys(tokens: Tokens) -> np.ndarray:
    """uint64 [n]: equal where two offers have the same tokens."""
    return np.asarray(content_keys_of(tokens.hashes.start, tokens.hashes.values, tokens.flags.values))


@numba.njit(cache=True)
def _join(size: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Number of the connected component of each node: its smallest node."""
    parent = np.arange(size)
    for i in range(left.size):
        a, b = left[i], right[i]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        parent[max(a, b)] = min(a, b)
    for node in range(size):
        parent[node] = parent[parent[node]]
    return parent


def _nearest_known(index: Index, known: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """int64 [rows, COMPARED]: rows of the nearest known offers, -1 where there are fewer; the offer itself may be among them."""
    if not known.size:
        return np.full((rows.size, COMPARED), -1, np.int64)
    both = np.concatenate([known, rows])
    side = np.repeat(np.array([0, 1], dtype=np.int32), [known.size, rows.size])
    small = build_index(index.tokens.take(both), side, index.prices[both], index.currencies[both])
    graph = find_candidates(small, np.arange(known.size, both.size, dtype=np.int32), COMPARED + 2, EFFORT)
    return np.where(graph.near >= 0, known[np.maximum(graph.near, 0)], -1)


def _likeness(pairs: Pairs, rows: np.ndarray, near: np.ndarray, score: ContentScore, product_of: np.ndarray) -> np.ndarray:
    """Log-odds float64 beside `near`; FLOOR where there is nothing to compare."""
    likeness = np.full(near.size, FLOOR)
    asked, other = np.repeat(rows, near.shape[1]), near.ravel()
    real = np.flatnonzero((other >= 0) & (other != asked))
    empty = Candidates(np.zeros(0, np.int32), np.zeros((0, 1), np.int32), np.zeros((0, 1), np.float32))
    left, right = np.minimum(asked[real], other[real]), np.maximum(asked[real], other[real])
    likeness[real] = score(replace(pairs, left=left, right=right, graph=empty), product_of[asked[real]])
    return np.maximum(likeness, FLOOR).reshape(near.shape)


@numba.njit(cache=True)
def _best_of_products(
    near: np.ndarray, products: np.ndarray, likeness: np.ndarray, contents: np.ndarray, own: int, other: int, known: np.ndarray, best: np.ndarray
) -> int:
    """Each product among the nearest known offers with its best likeness, both offers' own texts left out; returns how many."""
    count = 0
    for i in range(near.size):
        if near[i] < 0 or contents[near[i]] == contents[own] or contents[near[i]] == contents[other]:
            continue
        place = 0
        while place < count and known[place] != products[i]:
            place += 1
        if place == count:
            known[count], best[count] = products[i], likeness[i]
            count += 1
        else:
            best[place] = max(best[place], likeness[i])
    return count


@numba.njit(cache=True)
def _value_of(known: np.ndarray, best: np.ndarray, count: int, product: int) -> float:
    for i in range(count):
        if known[i] == product:
            return best[i]
    return FLOOR


@numba.njit(cache=True)
def _top(best: np.ndarray, count: int) -> int:
    top = -1
    for i in range(count):
        if top < 0 or best[i] > best[top]:
            top = i
    return top


@numba.njit(cache=True)
def _compare(
    left: np.ndarray, right: np.ndarray, rows: np.ndarray, near: np.ndarray, products: np.ndarray, likeness: np.ndarray, contents: np.ndarray
) -> np.ndarray:
    out = np.empty((left.size, 8), np.float32)
    width = near.shape[1]
    mine, its = np.empty(width, np.int64), np.empty(width, np.int64)
    my_best, its_best = np.empty(width), np.empty(width)
    for pair in range(left.size):
        a, b = left[pair], right[pair]
        my_count = _best_of_products(near[a], products[a], likeness[a], contents, rows[a], rows[b], mine, my_best)
        its_count = _best_of_products(near[b], products[b], likeness[b], contents, rows[b], rows[a], its, its_best)
        my_top, its_top = _top(my_best, my_count), _top(its_best, its_count)
        my_value = my_best[my_top] if my_top >= 0 else FLOOR
        its_value = its_best[its_top] if its_top >= 0 else FLOOR
        its_of_mine = _value_of(its, its_best, its_count, mine[my_top]) if my_top >= 0 else FLOOR
        mine_of_its = _value_of(mine, my_best, my_count, its[its_top]) if its_top >= 0 else FLOOR
        both, chance = FLOOR, 0.0
        for i in range(my_count):
            value = _value_of(its, its_best, its_count, mine[i])
            both = max(both, min(my_best[i], value))
            chance += 1.0 / (1.0 + np.exp(-my_best[i])) / (1.0 + np.exp(-value)) if value > FLOOR else 0.0
        agree = my_top >= 0 and its_top >= 0 and mine[my_top] == its[its_top]
        out[pair, 0], out[pair, 1], out[pair, 2] = both, max(my_value, its_value), min(my_value, its_value)
        out[pair, 3] = 1.0 if agree else 0.0
        out[pair, 4] = max(my_value - mine_of_its, its_value - its_of_mine)
        out[pair, 5] = min(my_value - mine_of_its, its_value - its_of_mine)
        out[pair, 6], out[pair, 7] = chance, max(mine_of_its, its_of_mine)
    return out
