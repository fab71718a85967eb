"""The catalog's offers as one searchable index: interned tokens, their rarity, and postings from token to offers."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from endcap.match.reading import CODE, FORM, GRAM_BUCKETS, WORD
from endcap.match.tokens import Tokens

SEARCHED = WORD | CODE | FORM


@dataclass(frozen=True)
class Index:
    """Tokens of all live offers, ready to be searched and compared. Row i is offer i everywhere."""

    tokens: Tokens
    feeds: np.ndarray  # int32 [n], number of the offer's feed
    prices: np.ndarray  # float64 [n], NaN = not stated
    currencies: np.ndarray  # uint64 [n], hash of the currency, 0 = not stated
    ids: np.ndarray  # int32 beside tokens.hashes.values: interned token
    weights: np.ndarray  # float32 beside tokens.hashes.values: rarity, 1 = in one offer, 0 = in all
    rarity: np.ndarray  # float32 by interned token
    gram_rarity: np.ndarray  # float32 by gram bucket
    norms: np.ndarray  # float32 [n], length of the offer's vector of title words and codes
    gram_norms: np.ndarray  # float32 [n]
    posting_start: np.ndarray  # int64 by interned token, of searched tokens
    posting: np.ndarray  # int32 rows, ascending within a token
    gram_posting_start: np.ndarray
    gram_posting: np.ndarray

    @property
    def size(self) -> int:
        """How many offers."""
        return self.tokens.size


def build_index(tokens: Tokens, feeds: np.ndarray, prices: np.ndarray, currencies: np.ndarray) -> Index:
    """Intern, weigh and invert the tokens of all live offers; the order of rows must be the order of offer ids."""
    ids, vocabulary = _intern(tokens.hashes.values)
    flags = tokens.flags.values
    frequency = np.bincount(ids, minlength=vocabulary)
    gram_frequency = np.bincount(tokens.grams.values, minlength=GRAM_BUCKETS)
    rarity, gram_rarity = _rarity(frequency, tokens.size), _rarity(gram_frequency, tokens.size)
    weights = rarity[ids]
    posting_start, posting = _invert(tokens.hashes.start, ids, (flags & SEARCHED) != 0, vocabulary)
    every = np.ones(tokens.grams.values.size, dtype=np.bool_)
    gram_posting_start, gram_posting = _invert(tokens.grams.start, tokens.grams.values.astype(np.int32), every, GRAM_BUCKETS)
    return Index(
        tokens=tokens,
        feeds=feeds,
        prices=prices,
        currencies=currencies,
        ids=ids,
        weights=weights,
        rarity=rarity,
        gram_rarity=gram_rarity,
        norms=_norms(tokens.hashes.start, weights, (flags & (WORD | CODE)) != 0),
        gram_norms=_norms(tokens.grams.start, gram_rarity[tokens.grams.values], every),
        posting_start=posting_start,
        posting=posting,
        gram_posting_start=gram_posting_start,
        gram_posting=gram_posting,
    )


def _rarity(frequency: np.ndarray, offers: int) -> np.ndarray:
    """log((n + 1) / frequency) / log(n + 1): the same scale whatever the catalog's size."""
    scale = np.log(offers + 1.0)
    return (np.log((offers + 1.0) / np.maximum(frequency, 1)) / max(scale, 1e-9)).astype(np.float32)


@numba.njit(cache=True)
def _intern(hashes: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the distinct hashes in order of first appearance, by open addressing; returns (ids, how many)."""
    slots = 1024
    while slots < 2 * hashes.size:
        slots *= 2
    mask = np.uint64(slots - 1)
    table = np.full(slots, -1, np.int32)
    known = np.empty(hashes.size, np.uint64)
    ids = np.empty(hashes.size, np.int32)
    count = 0
    for i in range(hashes.size):
        slot = hashes[i] & mask
        while table[slot] >= 0 and known[table[slot]] != hashes[i]:
            slot = (slot + np.uint64(1)) & mask
        if table[slot] < 0:
            table[slot], known[count] = count, hashes[i]
            count += 1
        ids[i] = table[slot]
    return ids, count


@numba.njit(cache=True)
def _invert(start: np.ndarray, ids: np.ndarray, wanted: np.ndarray, vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """Postings of each token: the rows that hold it, ascending."""
    posting_start = np.zeros(vocabulary + 1, np.int64)
    for i in range(ids.size):
        if wanted[i]:
            posting_start[ids[i] + 1] += 1
    for token in range(vocabulary):
        posting_start[token + 1] += posting_start[token]
    posting = np.empty(posting_start[vocabulary], np.int32)
    place = posting_start[:-1].copy()
    for row in range(start.size - 1):
        for i in range(start[row], start[row + 1]):
            if wanted[i]:
                posting[place[ids[i]]] = row
                place[ids[i]] += 1
    return posting_start, posting


@numba.njit(cache=True)
def _norms(start: np.ndarray, weights: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    norms = np.empty(start.size - 1, np.float32)
    for row in range(norms.size):
        total = 0.0
        for i in range(start[row], start[row + 1]):
            if wanted[i]:
                total += weights[i] ** 4
        norms[row] = np.sqrt(total)
    return norms
