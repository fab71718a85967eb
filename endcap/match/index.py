"""Offers as arrays that can be searched and compared: numbered tokens, in how many offers each is, and postings from token to offers.

Rarity and lengths are never stored: they follow from the counts of live offers when they are asked for, so that an index that
grew by additions and removals answers as one built at once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

import numba
import numpy as np

from endcap.match.reading import CODE, FORM, GRAM_BUCKETS, WORD
from endcap.match.tokens import Ragged, Tokens

SEARCHED = WORD | CODE | FORM
NONE = np.zeros(0, dtype=np.int32)
# Postings visited per offer, for tokens and for 3-grams: enough to see every row of a catalog of a few thousand, and constant work
# per offer in one of millions. Longer postings are never visited; a base leaves those out that are twice as long.
POSTINGS, GRAM_POSTINGS = 3000, 1000
# A larger catalog needs more of them to lose no more: as many as this many offers, at least the least and at most POSTINGS.
LEAST_POSTINGS, OFFERS_A_POSTING = 2000, 650
LEFT_OUT = 2 * POSTINGS
# No feed has a number so high.
OFFERS_ALONE = 1 << 30


class Part(NamedTuple):
    """Some offers' tokens and 3-grams both ways: by offer, and inverted. A tuple of arrays, so that compiled code takes it whole."""

    start: np.ndarray  # int64 [n + 1]
    ids: np.ndarray  # int32 token numbers, within an offer in the order of their hashes
    flags: np.ndarray  # uint8 beside ids
    gram_start: np.ndarray  # int64 [n + 1]
    grams: np.ndarray  # uint32 buckets, ascending within an offer
    place: np.ndarray  # int32 by token number: 1 + where its posting is, 0 = nowhere; empty: a number is its own place
    posting_start: np.ndarray  # int64 [tokens + 1], of searched tokens
    posting: np.ndarray  # int32 rows of this part
    gram_posting_start: np.ndarray  # int64 [GRAM_BUCKETS + 1]
    gram_posting: np.ndarray  # int32 rows of this part


class Counts(NamedTuple):
    """In how many live offers each token and 3-gram is."""

    offers: int
    known: np.ndarray  # int32 by token number, of tokens numbered in the base
    new: np.ndarray  # int32, of tokens numbered after those
    grams: np.ndarray  # int32 by bucket


@dataclass(frozen=True)
class Postings:
    """All offers to be searched: a base part and what was added since. Rows of the base come first, then those of the delta."""

    base: Part
    delta: Part
    counts: Counts
    feeds: np.ndarray  # int32 [n], -1 = no longer live
    sources: np.ndarray  # int32 [n], who lists a product once, and is not compared with itself: the feed, or in a marketplace the offer; -1 as in `feeds`
    keys: np.ndarray  # uint64 [n], hash of the offer id: settles ties, whatever the row
    prices: np.ndarray  # float64 [n], NaN = not stated
    currencies: np.ndarray  # uint64 [n], 0 = not stated
    gram_rarity: np.ndarray  # float32 by gram bucket
    lengths: np.ndarray  # float32 [n, 3], filled when first needed; 0 = not yet

    def often(self, rows: np.ndarray) -> np.ndarray:
        """bool by row: whether its feed lists a product often."""
        return np.asarray(self.sources[rows] != self.feeds[rows])

    def listing(self, often: Collection[int]) -> Postings:
        """The same with feeds that list a product `often`: each of their offers is a source of its own."""
        if not often:
            return replace(self, sources=self.feeds)
        own = np.isin(self.feeds, list(often))
        return replace(self, sources=np.where(own, OFFERS_ALONE + np.arange(self.feeds.size), self.feeds).astype(np.int32))


@dataclass(frozen=True)
class Index:
    """Offers ready to be compared. Row i is offer i everywhere; with `postings` they can be searched too."""

    tokens: Tokens
    feeds: np.ndarray  # int32 [n], number of the offer's feed
    prices: np.ndarray  # float64 [n], NaN = not stated
    currencies: np.ndarray  # uint64 [n], hash of the currency, 0 = not stated
    weights: np.ndarray  # float32 beside tokens.hashes.values: rarity, 1 = in one offer, 0 = in all
    gram_rarity: np.ndarray  # float32 by gram bucket
    norms: np.ndarray  # float32 [n], length of the offer's vector of title words and codes
    gram_norms: np.ndarray  # float32 [n]
    often: np.ndarray  # bool [n], the offer's feed lists a product often
    postings: Postings | None = None

    @property
    def size(self) -> int:
        """How many offers."""
        return self.tokens.size


def build_index(
    tokens: Tokens, feeds: np.ndarray, prices: np.ndarray, currencies: np.ndarray, keys: np.ndarray | None = None, *, often: Collection[int] = ()
) -> Index:  # fmt: skip
    """Number, count and invert the tokens of offers. `keys` uint64 [n] settle ties; without them the order of rows does. `often` as in `Postings.listing`."""
    ids, vocabulary = number_tokens(tokens.hashes.values)
    part = build_part(tokens, ids, vocabulary.size)
    counts = Counts(tokens.size, *count_tokens(ids, tokens.grams.values, vocabulary.size))
    ties = np.arange(tokens.size, dtype=np.uint64) if keys is None else keys
    postings = open_postings(part, empty_part(), counts, feeds, ties, prices, currencies).listing(often)
    return view_index(tokens, ids, counts, feeds, prices, currencies, postings, postings.gram_rarity, often=postings.often(np.arange(feeds.size)))


def view_index(
    tokens: Tokens, ids: np.ndarray, counts: Counts, feeds: np.ndarray, prices: np.ndarray, currencies: np.ndarray, postings: Postings | None = None,
    gram_rarity: np.ndarray | None = None, often: np.ndarray | None = None,
) -> Index:  # fmt: skip
    """Offers to be compared with rarity as the whole catalog has it; `ids` are the numbers of their tokens in `counts`."""
    weights = token_rarity(ids, counts)
    gram_rarity = gram_rarities(counts) if gram_rarity is None else gram_rarity
    flags = tokens.flags.values
    norms = _norms(tokens.hashes.start, weights, (flags & (WORD | CODE)) != 0)
    gram_norms = _norms(tokens.grams.start, gram_rarity[tokens.grams.values], np.ones(tokens.grams.values.size, dtype=np.bool_))
    often = np.zeros(feeds.size, dtype=np.bool_) if often is None else often
    return Index(tokens, feeds, prices, currencies, weights, gram_rarity, norms, gram_norms, often, postings)


def open_postings(
    base: Part, delta: Part, counts: Counts, feeds: np.ndarray, keys: np.ndarray, prices: np.ndarray, currencies: np.ndarray
) -> Postings:  # fmt: skip
    """Parts with what belongs to their rows, lengths still to be found."""
    return Postings(base, delta, counts, feeds, feeds, keys, prices, currencies, gram_rarities(counts), np.zeros((feeds.size, 3), np.float32))


def number_tokens(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(number of each hash int32, the distinct hashes ascending): a number is the place among them."""
    first, found = _intern(hashes)
    order = np.argsort(found, kind="stable")
    place = np.empty(found.size, np.int32)
    place[order] = np.arange(found.size, dtype=np.int32)
    return place[first], found[order]


def build_part(tokens: Tokens, ids: np.ndarray, vocabulary: int, place: np.ndarray = NONE) -> Part:
    """Invert offers whose tokens have these numbers; with `place` the postings stand where it says, and all are there (see Part)."""
    flags, grams = tokens.flags.values, tokens.grams.values
    at = ids if place.size == 0 else place[ids] - 1
    searched = (flags & SEARCHED) != 0
    wanted = np.ones(grams.size, dtype=np.bool_)
    if place.size == 0:
        known, _, gram_counts = count_tokens(ids, grams, vocabulary)
        searched &= known[ids] <= LEFT_OUT
        wanted = gram_counts[grams] <= LEFT_OUT
    posting_start, posting = _invert(tokens.hashes.start, at, searched, vocabulary)
    gram_posting_start, gram_posting = _invert(tokens.grams.start, grams.view(np.int32), wanted, GRAM_BUCKETS)
    return Part(
        tokens.hashes.start, ids, flags, tokens.grams.start, tokens.grams.values, place, posting_start, posting, gram_posting_start, gram_posting,
    )  # fmt: skip


def empty_part() -> Part:
    """A part of no offers."""
    nothing = Ragged(np.zeros(1, np.int64), np.zeros(0, np.uint32))
    start = np.zeros(1, np.int64)
    return Part(
        start, NONE, np.zeros(0, np.uint8), start, nothing.values, np.zeros(1, np.int32), start, NONE, np.zeros(GRAM_BUCKETS + 1, np.int64), NONE,
    )  # fmt: skip


def count_tokens(ids: np.ndarray, grams: np.ndarray, vocabulary: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(int32 by token number, none beyond those, int32 by gram bucket)."""
    known = np.bincount(ids, minlength=vocabulary).astype(np.int32)
    return known, NONE.copy(), np.bincount(grams, minlength=GRAM_BUCKETS).astype(np.int32)


@numba.njit(cache=True, nogil=True, inline="always")
def rarity(count: int, offers: int) -> np.float32:
    """log((n + 1) / count) / log(n + 1): the same scale whatever the catalog's size."""
    scale = np.log(offers + 1.0)
    return np.float32(np.log((offers + 1.0) / max(count, 1)) / max(scale, 1e-9))


@numba.njit(cache=True, nogil=True, inline="always")
def count_of(token: int, counts: Counts) -> int:
    """In how many live offers a token is."""
    return counts.known[token] if token < counts.known.size else counts.new[token - counts.known.size]


@numba.njit(cache=True, nogil=True)
def token_rarity(ids: np.ndarray, counts: Counts) -> np.ndarray:
    """float32 beside token numbers."""
    found = np.empty(ids.size, np.float32)
    for i in range(ids.size):
        found[i] = rarity(count_of(ids[i], counts), counts.offers)
    return found


@numba.njit(cache=True, nogil=True)
def gram_rarities(counts: Counts) -> np.ndarray:
    """float32 by gram bucket."""
    found = np.empty(counts.grams.size, np.float32)
    for i in range(found.size):
        found[i] = rarity(counts.grams[i], counts.offers)
    return found


@numba.njit(cache=True)
def _intern(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the distinct hashes in order of first appearance, by open addressing; returns (numbers, distinct hashes)."""
    slots = 1024
    table = np.full(slots, -1, np.int32)
    known = np.empty(slots, np.uint64)
    ids = np.empty(hashes.size, np.int32)
    count = 0
    for i in range(hashes.size):
        if 2 * count >= slots:
            slots *= 4
            known = np.concatenate((known, np.empty(slots - known.size, np.uint64)))
            table = np.full(slots, -1, np.int32)
            for j in range(count):
                at = known[j] & np.uint64(slots - 1)
                while table[at] >= 0:
                    at = (at + np.uint64(1)) & np.uint64(slots - 1)
                table[at] = j
        slot = hashes[i] & np.uint64(slots - 1)
        while table[slot] >= 0 and known[table[slot]] != hashes[i]:
            slot = (slot + np.uint64(1)) & np.uint64(slots - 1)
        if table[slot] < 0:
            table[slot], known[count] = count, hashes[i]
            count += 1
        ids[i] = table[slot]
    return ids, known[:count].copy()


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
