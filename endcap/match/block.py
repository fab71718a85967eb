"""Candidates: for each offer a bounded number of offers of other sources that could be the same product.

The rarest tokens and 3-grams name possible rows until a budget of postings is spent. All those that could be among the best are
compared by their tokens, and the best of these by their letters too: the cosines of the titles' words and codes, of their 3-grams,
and at half of all tokens whatever the field, weighted by rarity, and a little of how near the prices are. The nearest of each feed
come before more of the same feed. What is found depends on
the live offers alone: budgets are counted in live offers, sums run in the order of token hashes, and ties are settled by the hash of the offer id.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numba
import numpy as np

from endcap.match.index import GRAM_POSTINGS, LEAST_POSTINGS, OFFERS_A_POSTING, POSTINGS, SEARCHED, Counts, Index, Part, Postings, count_of, empty_part, rarity
from endcap.match.reading import CODE, WORD
from endcap.match.room import Room, room_for
from endcap.match.spread import SLOTS_A_TOKEN, find_common_grams, mark_grams, unmark_grams

# Rows whose letters are compared; rows whose tokens are compared at most: those that tokens too common to be visited could put first.
COMPARED, MOST_READ = 64, 3072


class Effort(NamedTuple):
    """How much is looked at for one offer."""

    postings: int  # rows that tokens name, at most; 0 = as many as a catalog of this size needs
    gram_postings: int  # rows that 3-grams name
    read: int  # rows whose tokens are compared, at most
    compared: int  # rows whose letters are compared


THOROUGH = Effort(0, GRAM_POSTINGS, MOST_READ, COMPARED)
# No row holds all of those common tokens: so much of what they could add is reckoned with.
REST_SHARE = np.float32(0.75)
# How much each part of the similarity says. The price settles what the texts leave open.
SHARES = (1.0, 0.5, 1.0, 0.2)
TITLE_SHARE, TEXT_SHARE, LETTER_SHARE, PRICE_SHARE = (np.float32(share / sum(SHARES)) for share in SHARES)
UNKNOWN_PRICE = np.float32(0.5)
NAMING = WORD | CODE
QUERIES_A_TASK = 4096
# Of one feed so many are listed before the nearest of all fill the list: else a feed of many siblings, or copies, hides what others have.
FIRST_OF_FEED = 3


@dataclass(frozen=True)
class Candidates:
    """The nearest rows of other sources of each asked row: a sparse graph."""

    rows: np.ndarray  # int32 [m], ascending
    near: np.ndarray  # int32 [m, k], nearest first, -1 where there are fewer
    similarity: np.ndarray  # float32 [m, k]
    near_feeds: np.ndarray | None = None  # int32 [m, k], where the rows named are not all at hand


def find_candidates(index: Index, rows: np.ndarray, k: int, effort: Effort = THOROUGH) -> Candidates:
    """k rows of other sources of each of `rows` of an index that was built to be searched, nearest first; ties go to the smaller key."""
    if index.postings is None:
        raise ValueError("this index holds offers to be compared, not to be searched")
    return find_near(index.postings, rows, k, threads=1, effort=effort)


def find_near(postings: Postings, rows: np.ndarray, k: int, *, threads: int, effort: Effort = THOROUGH) -> Candidates:
    """k live rows of other sources of each of `rows`, nearest first: see `_choose`; the number of threads changes nothing but the time."""
    rows = np.asarray(rows, dtype=np.int32)
    near, similarity = np.full((rows.size, k), -1, np.int32), np.zeros((rows.size, k), np.float32)
    asked = (nothing(), postings.sources[:0], postings.prices[:0], postings.currencies[:0])
    firsts = range(0, rows.size, QUERIES_A_TASK)

    def search(first: int) -> None:
        part = slice(first, first + QUERIES_A_TASK)
        with room_for(postings.feeds.size) as room:
            _search(
                rows[part], postings.base, postings.delta, postings.counts, postings.gram_rarity, postings.feeds, postings.sources, postings.keys,
                postings.prices, postings.currencies, postings.lengths, *asked, near[part], similarity[part], room, effort,
            )  # fmt: skip

    if threads == 1 or rows.size <= QUERIES_A_TASK:
        for first in firsts:
            search(first)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(search, firsts))
    return Candidates(rows, near, similarity)


def find_near_offer(postings: Postings, offer: Part, source: int, price: float, currency: np.uint64, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(the k nearest live rows int32 of other sources, their similarity) of an offer outside the index, a part of one row; unknown tokens are numbered -1."""
    near, similarity = np.full((1, k), -1, np.int32), np.zeros((1, k), np.float32)
    asked = (offer, np.array([source], dtype=np.int32), np.array([price]), np.array([currency], dtype=np.uint64))
    with room_for(postings.feeds.size) as room:
        _search(
            np.array([postings.feeds.size], dtype=np.int32), postings.base, postings.delta, postings.counts, postings.gram_rarity, postings.feeds,
            postings.sources, postings.keys, postings.prices, postings.currencies, postings.lengths, *asked, near, similarity, room, THOROUGH,
        )  # fmt: skip
    found = near[0] >= 0
    return near[0][found], similarity[0][found]


@cache
def nothing() -> Part:
    """A part of no offers, made once: it holds a place for every 3-gram."""
    return empty_part()


def share_key(keys: np.ndarray, sources: np.ndarray, rows: np.ndarray, limit: int) -> np.ndarray:
    """Pairs [m, 2] of rows of different sources that share a key (0 = no key), each of `rows` with at most `limit` of its group.

    A key held by too many offers would give a pair for every two of them; the first of the group, by row, stand for it.
    """
    order = np.argsort(keys, kind="stable").astype(np.int64)
    asked = np.zeros(keys.size, dtype=np.bool_)
    asked[rows] = True
    return _group_pairs(keys[order], order, sources, asked, limit)


@numba.njit(cache=True)
def _group_pairs(keys: np.ndarray, order: np.ndarray, sources: np.ndarray, asked: np.ndarray, limit: int) -> np.ndarray:
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
                    if sources[order[i]] != sources[order[j]]:
                        left.append(min(order[i], order[j]))
                        right.append(max(order[i], order[j]))
                        found += 1
        first = end
    pairs = np.empty((len(left), 2), np.int64)
    for i in range(len(left)):
        pairs[i, 0], pairs[i, 1] = left[i], right[i]
    return pairs


@numba.njit(cache=True, nogil=True, inline="always")
def cosine_of(shared: np.float32, one: np.float32, other: np.float32) -> np.float32:
    """Of a sum over what two offers share, and of the sums over each."""
    return min(shared / max(np.sqrt(one * other), np.float32(1e-9)), np.float32(1.0))


@numba.njit(cache=True, nogil=True, inline="always")
def by_tokens(title: np.float32, text: np.float32, price: np.float32) -> np.float32:
    """The similarity but for what letters add."""
    return TITLE_SHARE * title + TEXT_SHARE * text + PRICE_SHARE * price


@numba.njit(cache=True, nogil=True, inline="always")
def names_both(flag: int, other: int) -> bool:
    """Whether a shared token counts in the titles' cosine: a word or code of one that the other holds in any form."""
    return bool((flag & SEARCHED != 0) & (other & SEARCHED != 0) & ((flag | other) & NAMING != 0))


@numba.njit(cache=True, nogil=True, inline="always")
def price_ratio(one: float, other: float, currency: np.uint64, other_currency: np.uint64) -> np.float32:
    """The smaller price by the larger; halfway where one is unknown or the currencies differ."""
    if not (one > 0.0 and other > 0.0) or (currency != other_currency and currency != 0 and other_currency != 0):
        return UNKNOWN_PRICE
    return np.float32(min(one, other) / max(one, other))


@numba.njit(cache=True, nogil=True, inline="always")
def _posting_span(start: np.ndarray, place: np.ndarray, token: int) -> tuple[int, int]:
    """Where the rows that hold a token stand in a part's posting."""
    at = token
    if place.size:
        at = place[token] - 1 if token < place.size else -1
    if at < 0 or at >= start.size - 1:
        return 0, 0
    return start[at], start[at + 1]


@numba.njit(cache=True, nogil=True)
def _visit(
    tokens: np.ndarray, gains: np.ndarray, sizes: np.ndarray, base_place: np.ndarray, delta_place: np.ndarray, base_start: np.ndarray,
    base_posting: np.ndarray, delta_start: np.ndarray, delta_posting: np.ndarray, base_rows: int, sources: np.ndarray, source: int,
    score: np.ndarray, seen: np.ndarray, count: int, budget: int,
) -> tuple[int, np.float32]:  # fmt: skip
    """Add the gain of each token to the rows that hold it, rarest token first, until the budget is spent.

    Returns how many rows were seen, and the gain of all tokens that were not visited.
    """
    rest = np.float32(0.0)
    for place in np.argsort(sizes, kind="mergesort"):
        if sizes[place] > budget:
            budget = 0
            rest += gains[place]
            continue
        budget -= sizes[place]
        first, end = _posting_span(base_start, base_place, tokens[place])
        for at in range(first, end):
            count = _note(base_posting[at], gains[place], sources, source, score, seen, count)
        first, end = _posting_span(delta_start, delta_place, tokens[place])
        for at in range(first, end):
            count = _note(base_rows + delta_posting[at], gains[place], sources, source, score, seen, count)
    return count, rest


@numba.njit(cache=True, nogil=True)
def _worth_reading(score: np.ndarray, keys: np.ndarray, seen: np.ndarray, count: int, rest: np.float32, effort: Effort) -> np.ndarray:
    """The seen rows that the tokens not visited could put before the best, within bounds; in any order."""
    best, found = np.float32(0.0), 0
    for i in range(count):
        best = max(best, score[seen[i]])
    least = best - REST_SHARE * rest
    for i in range(count):
        found += score[seen[i]] >= least
    if found <= effort.compared or found > effort.read:
        return _best_rows(score, keys, seen, count, max(effort.compared, min(found, effort.read)))
    kept, found = np.empty(found, np.int32), 0
    for i in range(count):
        if score[seen[i]] >= least:
            kept[found] = seen[i]
            found += 1
    return kept


@numba.njit(cache=True, nogil=True, inline="always")
def _note(row: int, gain: np.float32, sources: np.ndarray, source: int, score: np.ndarray, seen: np.ndarray, count: int) -> int:
    counts = (sources[row] != source) & (sources[row] >= 0)
    # Written whether it is new or not: which rows are cannot be foreseen, and a wrong guess costs more than to write.
    seen[count] = row
    count += int(counts & (score[row] == 0.0))
    score[row] += gain if counts else np.float32(0.0)
    return count


@numba.njit(cache=True, nogil=True)
def _best_rows(score: np.ndarray, keys: np.ndarray, seen: np.ndarray, count: int, limit: int) -> np.ndarray:
    """The `limit` best of the seen rows by score, ties to the smaller key."""
    if count <= limit:
        return seen[:count].copy()
    heap = np.empty(limit, np.int32)
    for i in range(limit):
        heap[i] = seen[i]
    for place in range(limit // 2 - 1, -1, -1):
        _sink(heap, score, keys, place)
    for i in range(limit, count):
        if _is_worse(score, keys, heap[0], seen[i]):
            heap[0] = seen[i]
            _sink(heap, score, keys, 0)
    return heap


@numba.njit(cache=True, nogil=True, inline="always")
def _is_worse(score: np.ndarray, keys: np.ndarray, row: int, other: int) -> bool:
    return score[row] < score[other] or (score[row] == score[other] and keys[row] > keys[other])


@numba.njit(cache=True, nogil=True)
def _sink(heap: np.ndarray, score: np.ndarray, keys: np.ndarray, place: int) -> None:
    """Restore the heap, whose worst row stands first, below a place."""
    row = heap[place]
    while True:
        child = 2 * place + 1
        if child >= heap.size:
            break
        if child + 1 < heap.size and _is_worse(score, keys, heap[child + 1], heap[child]):
            child += 1
        if not _is_worse(score, keys, heap[child], row):
            break
        heap[place] = heap[child]
        place = child
    heap[place] = row


@numba.njit(cache=True, nogil=True)
def _insert(near: np.ndarray, similarity: np.ndarray, keys: np.ndarray, row: int, value: np.float32) -> None:
    """Keep the best k in descending order; of equal ones the smaller key stands first."""
    place = near.size
    while place > 0:
        other = near[place - 1]
        if other >= 0 and (similarity[place - 1] > value or (similarity[place - 1] == value and keys[other] < keys[row])):
            break
        if place < near.size:
            near[place], similarity[place] = other, similarity[place - 1]
        place -= 1
    if place < near.size:
        near[place], similarity[place] = row, value


@numba.njit(cache=True, nogil=True)
def _choose(order: np.ndarray, values: np.ndarray, feeds: np.ndarray, near: np.ndarray, similarity: np.ndarray) -> None:
    """Fill a list, nearest first, with the first few of each feed among the rows in `order`, and then with the nearest of the rest."""
    chosen, count = np.zeros(order.size, np.bool_), 0
    for place in range(order.size):
        if count == near.size:
            break
        alike = 0
        for before in range(place):
            alike += int(chosen[before] & (feeds[order[before]] == feeds[order[place]]))
        if alike < FIRST_OF_FEED:
            chosen[place] = True
            count += 1
    at = 0
    for place in range(order.size):
        if not chosen[place] and count < near.size:
            chosen[place] = True
            count += 1
        if chosen[place]:
            near[at], similarity[at] = order[place], values[place]
            at += 1


@numba.njit(cache=True, nogil=True)
def _remember(
    numbers: np.ndarray, squares: np.ndarray, flags: np.ndarray, tables: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:  # fmt: skip
    """Put the query's tokens in a small table by number, with what each adds to a sum; returns (numbers, values and flags by slot, mask)."""
    slots, values, slot_flags = tables
    size = 64
    while size < SLOTS_A_TOKEN * numbers.size and size < slots.size:
        size *= 2
    slots[:size] = -1
    for i in range(numbers.size):
        if numbers[i] >= 0:
            at = numbers[i] & (size - 1)
            while slots[at] >= 0:
                at = (at + 1) & (size - 1)
            slots[at], values[at], slot_flags[at] = numbers[i], squares[i], flags[i]
    return slots, values, slot_flags, size - 1


@numba.njit(cache=True, nogil=True)
def _lengths(ids: np.ndarray, flags: np.ndarray, grams: np.ndarray, counts: Counts, gram_rarity: np.ndarray) -> tuple[np.float32, np.float32, np.float32]:
    """Sums of squared rarity of an offer's title words and codes, of all its tokens, and of its 3-grams, in the order of their hashes."""
    title, text, letters = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    for i in range(ids.size):
        weight = rarity(count_of(ids[i], counts) if ids[i] >= 0 else 1, counts.offers)
        text += weight * weight
        if flags[i] & NAMING:
            title += weight * weight
    for gram in grams:
        letters += gram_rarity[gram] * gram_rarity[gram]
    return title, text, letters


@numba.njit(cache=True, nogil=True)
def _keep_lengths(length: np.ndarray, part: Part, row: int, counts: Counts, gram_rarity: np.ndarray) -> None:
    """Write `_lengths` of a row where they are remembered."""
    ids, flags = part.ids[part.start[row] : part.start[row + 1]], part.flags[part.start[row] : part.start[row + 1]]
    length[0], length[1], length[2] = _lengths(ids, flags, part.grams[part.gram_start[row] : part.gram_start[row + 1]], counts, gram_rarity)


@numba.njit(cache=True, nogil=True)
def _squares(ids: np.ndarray, counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    """(squared rarity, number of live offers) of each token."""
    squares, sizes = np.empty(ids.size, np.float32), np.empty(ids.size, np.int64)
    for i in range(ids.size):
        sizes[i] = count_of(ids[i], counts) if ids[i] >= 0 else 0
        weight = rarity(sizes[i], counts.offers)
        squares[i] = weight * weight
    return squares, sizes


class _Query(NamedTuple):
    """The offer that is looked for: its lengths, a small table of its tokens, and marks of its 3-grams with room for those found."""

    lengths: tuple[np.float32, np.float32, np.float32]
    tokens: tuple[np.ndarray, np.ndarray, np.ndarray, int]  # number, squared rarity and flag by slot; mask
    grams: np.ndarray
    held: np.ndarray


@numba.njit(cache=True, nogil=True, inline="always")
def _read(part: Part, row: int, query: _Query, length: np.ndarray, price: np.float32) -> np.float32:
    """The share of the similarity that tokens and price give."""
    title, text = np.float32(0.0), np.float32(0.0)
    slots, values, slot_flags, mask = query.tokens
    for i in range(part.start[row], part.start[row + 1]):
        number = part.ids[i]
        at = number & mask
        if (slots[at] >= 0) & (slots[at] != number):
            while slots[at] >= 0 and slots[at] != number:
                at = (at + 1) & mask
        # Nothing is added where the query lacks the token: faster than to ask whether it does.
        value = values[at] if slots[at] == number else np.float32(0.0)
        text += value
        title += value if names_both(slot_flags[at], part.flags[i]) else np.float32(0.0)
    return by_tokens(cosine_of(title, query.lengths[0], length[0]), cosine_of(text, query.lengths[1], length[1]), price)


@numba.njit(cache=True, nogil=True, inline="always")
def _letters(part: Part, row: int, query: _Query, gram_rarity: np.ndarray) -> np.float32:
    """Sum of squared rarity of the 3-grams that both have."""
    shared = np.float32(0.0)
    for at in range(find_common_grams(part.gram_start[row], part.gram_start[row + 1], part.grams, query.grams, query.held)):
        shared += gram_rarity[query.held[at]] * gram_rarity[query.held[at]]
    return shared


@numba.njit(cache=True, nogil=True)
def _search(
    rows: np.ndarray, base: Part, delta: Part, counts: Counts, gram_rarity: np.ndarray, feeds: np.ndarray, sources: np.ndarray, keys: np.ndarray,
    prices: np.ndarray, currencies: np.ndarray, lengths: np.ndarray, asked: Part, asked_sources: np.ndarray, asked_prices: np.ndarray,
    asked_currencies: np.ndarray, near: np.ndarray, similarity: np.ndarray, room: Room, effort: Effort,
) -> None:  # fmt: skip
    """Fill `near` and `similarity` for rows of the index, or for those of `asked`, whose rows follow them."""
    # By row: what visited tokens and 3-grams gave, then what all tokens give; what visited 3-grams gave, then how good a row looks.
    score, looks, seen = room.score, room.looks, room.seen
    base_rows = base.start.size - 1
    postings = effort.postings or min(POSTINGS, max(LEAST_POSTINGS, int(counts.offers) // OFFERS_A_POSTING))
    for q in range(rows.size):
        row = rows[q]
        part, at = (base, row) if row < base_rows else (delta, row - base_rows)
        if row < feeds.size:
            source, price, currency = sources[row], prices[row], currencies[row]
        else:
            part, at = asked, row - feeds.size
            source, price, currency = asked_sources[at], asked_prices[at], asked_currencies[at]
        ids, flags = part.ids[part.start[at] : part.start[at + 1]], part.flags[part.start[at] : part.start[at + 1]]
        own_grams = part.grams[part.gram_start[at] : part.gram_start[at + 1]]
        own = own_grams.astype(np.int32)
        length = _lengths(ids, flags, own, counts, gram_rarity)
        squares, sizes = _squares(ids, counts)
        searched = (flags & SEARCHED) != 0
        gram_squares = gram_rarity[own] * gram_rarity[own]
        count, gram_rest = _visit(
            own, gram_squares * (LETTER_SHARE / max(length[2], np.float32(1e-9))), counts.grams[own].astype(np.int64), base.place[:0], delta.place[:0],
            base.gram_posting_start, base.gram_posting, delta.gram_posting_start, delta.gram_posting, base_rows, sources, source,
            score, seen, 0, effort.gram_postings,
        )  # fmt: skip
        for i in range(count):
            looks[seen[i]] = score[seen[i]]
        count, rest = _visit(
            ids[searched], squares[searched] * (TITLE_SHARE / max(length[0], np.float32(1e-9))), sizes[searched], base.place, delta.place,
            base.posting_start, base.posting, delta.posting_start, delta.posting, base_rows, sources, source, score, seen, count, postings,
        )  # fmt: skip
        asked_for = _Query(length, _remember(ids, squares, flags, room.tokens), room.grams, room.held)
        mark_grams(own_grams, room.grams)
        wide = _worth_reading(score, keys, seen, count, rest + gram_rest, effort)
        for other in wide:
            there, its = (base, other) if other < base_rows else (delta, other - base_rows)
            known = lengths[other]
            # Another thread may be writing them: only a whole set counts as known.
            if known[0] == 0.0 or known[1] == 0.0 or known[2] == 0.0:
                _keep_lengths(known, there, its, counts, gram_rarity)
            score[other] = _read(there, its, asked_for, known, price_ratio(price, prices[other], currency, currencies[other]))
            looks[other] += score[other]
        most = _best_rows(looks, keys, wide, wide.size, max(effort.compared, near.shape[1]))
        order, values = np.full(most.size, -1, np.int32), np.zeros(most.size, np.float32)
        for other in most:
            there, its = (base, other) if other < base_rows else (delta, other - base_rows)
            letters = _letters(there, its, asked_for, gram_rarity)
            value = score[other] + LETTER_SHARE * cosine_of(letters, length[2], lengths[other, 2])
            _insert(order, values, keys, other, value)
        _choose(order, values, feeds, near[q], similarity[q])
        unmark_grams(own_grams, room.grams)
        for i in range(count):
            score[seen[i]] = looks[seen[i]] = 0.0
