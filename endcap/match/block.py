"""Candidates: for each offer a bounded number of offers of other feeds that could be the same product.

The rarest tokens and 3-grams name possible rows until a budget of postings is spent; the most promising are compared exactly:
the cosines of the titles' words and codes, of their 3-grams, and at half of all tokens whatever the field, weighted by rarity,
and a little of how near the prices are. What is found depends on the live offers alone: budgets are counted in live offers,
sums run in the order of token hashes, and ties are settled by the hash of the offer id.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np

from endcap.match.index import GRAM_POSTINGS, POSTINGS, SEARCHED, Counts, Index, Part, Postings, count_of, empty_part, rarity
from endcap.match.reading import CODE, WORD

# Rows compared exactly: at least so many, and more where tokens too common to be visited could still put them first.
COMPARED, MOST_COMPARED = 96, 1024
# No row holds all of those common tokens: so much of what they could add is reckoned with.
REST_SHARE = np.float32(0.5)
# How much each part of the similarity says. The price settles what the texts leave open.
SHARES = (1.0, 0.5, 1.0, 0.2)
TITLE_SHARE, TEXT_SHARE, LETTER_SHARE, PRICE_SHARE = (np.float32(share / sum(SHARES)) for share in SHARES)
UNKNOWN_PRICE = np.float32(0.5)
NAMING = WORD | CODE
QUERIES_A_TASK = 4096


@dataclass(frozen=True)
class Candidates:
    """The nearest rows of other feeds of each asked row: a sparse graph."""

    rows: np.ndarray  # int32 [m], ascending
    near: np.ndarray  # int32 [m, k], nearest first, -1 where there are fewer
    similarity: np.ndarray  # float32 [m, k]
    near_feeds: np.ndarray | None = None  # int32 [m, k], where the rows named are not all at hand


def find_candidates(index: Index, rows: np.ndarray, k: int) -> Candidates:
    """The k nearest rows of other feeds of each of `rows` of an index that was built to be searched; ties go to the smaller key."""
    if index.postings is None:
        raise ValueError("this index holds offers to be compared, not to be searched")
    return find_near(index.postings, rows, k, threads=1)


def find_near(postings: Postings, rows: np.ndarray, k: int, *, threads: int) -> Candidates:
    """The k nearest live rows of other feeds of each of `rows`; the number of threads changes nothing but the time."""
    rows = np.asarray(rows, dtype=np.int32)
    near, similarity = np.full((rows.size, k), -1, np.int32), np.zeros((rows.size, k), np.float32)
    asked = (empty_part(), postings.feeds[:0], postings.prices[:0], postings.currencies[:0])
    firsts = range(0, rows.size, QUERIES_A_TASK)

    def search(first: int) -> None:
        part = slice(first, first + QUERIES_A_TASK)
        _search(
            rows[part], postings.base, postings.delta, postings.counts, postings.gram_rarity, postings.feeds, postings.keys, postings.prices,
            postings.currencies, postings.lengths, *asked, near[part], similarity[part],
        )  # fmt: skip

    if threads == 1 or rows.size <= QUERIES_A_TASK:
        for first in firsts:
            search(first)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(search, firsts))
    return Candidates(rows, near, similarity)


def find_near_offer(postings: Postings, offer: Part, feed: int, price: float, currency: np.uint64, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(the k nearest live rows int32, their similarity) of an offer outside the index, given as a part of one row; unknown tokens are numbered -1."""
    near, similarity = np.full((1, k), -1, np.int32), np.zeros((1, k), np.float32)
    asked = (offer, np.array([feed], dtype=np.int32), np.array([price]), np.array([currency], dtype=np.uint64))
    _search(
        np.array([postings.feeds.size], dtype=np.int32), postings.base, postings.delta, postings.counts, postings.gram_rarity, postings.feeds,
        postings.keys, postings.prices, postings.currencies, postings.lengths, *asked, near, similarity,
    )  # fmt: skip
    found = near[0] >= 0
    return near[0][found], similarity[0][found]


def find_similarity(index: Index, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The nearness by which candidates are found of pairs of rows, float32 [n]."""
    tokens = index.tokens
    return np.asarray(
        _similarities(
            left, right, tokens.hashes.start, tokens.hashes.values, tokens.flags.values, index.weights, tokens.grams.start, tokens.grams.values,
            index.gram_rarity, index.prices, index.currencies,
        )
    )  # fmt: skip


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


@numba.njit(cache=True, nogil=True, inline="always")
def _cosine(shared: np.float32, one: np.float32, other: np.float32) -> np.float32:
    return min(shared / max(np.sqrt(one * other), np.float32(1e-9)), np.float32(1.0))


@numba.njit(cache=True, nogil=True, inline="always")
def _blend(title: np.float32, text: np.float32, letters: np.float32, price: np.float32) -> np.float32:
    near = TITLE_SHARE * title + TEXT_SHARE * text + LETTER_SHARE * letters
    return near + PRICE_SHARE * price if near > 0.0 else np.float32(0.0)


@numba.njit(cache=True, nogil=True, inline="always")
def _names_both(flag: int, other: int) -> bool:
    """Whether a shared token counts in the titles' cosine: a word or code of one that the other holds in any form."""
    return bool(flag & SEARCHED and other & SEARCHED and (flag | other) & NAMING)


@numba.njit(cache=True, nogil=True, inline="always")
def _price_ratio(one: float, other: float, currency: np.uint64, other_currency: np.uint64) -> np.float32:
    """The smaller price by the larger; halfway where one is unknown or the currencies differ."""
    if not (one > 0.0 and other > 0.0) or (currency != other_currency and currency != 0 and other_currency != 0):
        return UNKNOWN_PRICE
    return np.float32(min(one, other) / max(one, other))


@numba.njit(cache=True, nogil=True)
def _similarities(
    left: np.ndarray, right: np.ndarray, start: np.ndarray, hashes: np.ndarray, flags: np.ndarray, weights: np.ndarray, gram_start: np.ndarray,
    grams: np.ndarray, gram_rarity: np.ndarray, prices: np.ndarray, currencies: np.ndarray,
) -> np.ndarray:  # fmt: skip
    out = np.empty(left.size, np.float32)
    lengths = np.zeros((start.size - 1, 3), np.float32)
    for row in range(start.size - 1):
        for i in range(start[row], start[row + 1]):
            lengths[row, 1] += weights[i] * weights[i]
            if flags[i] & NAMING:
                lengths[row, 0] += weights[i] * weights[i]
        for i in range(gram_start[row], gram_start[row + 1]):
            lengths[row, 2] += gram_rarity[grams[i]] * gram_rarity[grams[i]]
    for pair in range(left.size):
        a, b = left[pair], right[pair]
        i, j, title, text, letters = start[a], start[b], np.float32(0.0), np.float32(0.0), np.float32(0.0)
        while i < start[a + 1] and j < start[b + 1]:
            if hashes[i] == hashes[j]:
                text += weights[i] * weights[i]
                if _names_both(flags[i], flags[j]):
                    title += weights[i] * weights[i]
            step = hashes[i] <= hashes[j]
            j += hashes[j] <= hashes[i]
            i += step
        i, j = gram_start[a], gram_start[b]
        while i < gram_start[a + 1] and j < gram_start[b + 1]:
            if grams[i] == grams[j]:
                letters += gram_rarity[grams[i]] * gram_rarity[grams[i]]
            step = grams[i] <= grams[j]
            j += grams[j] <= grams[i]
            i += step
        price = _price_ratio(prices[a], prices[b], currencies[a], currencies[b])
        title, text = _cosine(title, lengths[a, 0], lengths[b, 0]), _cosine(text, lengths[a, 1], lengths[b, 1])
        out[pair] = _blend(title, text, _cosine(letters, lengths[a, 2], lengths[b, 2]), price)
    return out


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
    base_posting: np.ndarray, delta_start: np.ndarray, delta_posting: np.ndarray, base_rows: int, feeds: np.ndarray, feed: int,
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
            count = _note(base_posting[at], gains[place], feeds, feed, score, seen, count)
        first, end = _posting_span(delta_start, delta_place, tokens[place])
        for at in range(first, end):
            count = _note(base_rows + delta_posting[at], gains[place], feeds, feed, score, seen, count)
    return count, rest


@numba.njit(cache=True, nogil=True)
def _compared(score: np.ndarray, seen: np.ndarray, count: int, rest: np.float32) -> int:
    """How many rows to compare: those that the tokens not visited could put before the best seen, within bounds."""
    best, found = np.float32(0.0), 0
    for i in range(count):
        best = max(best, score[seen[i]])
    for i in range(count):
        found += score[seen[i]] + REST_SHARE * rest >= best
    return max(COMPARED, min(found, MOST_COMPARED))


@numba.njit(cache=True, nogil=True, inline="always")
def _note(row: int, gain: np.float32, feeds: np.ndarray, feed: int, score: np.ndarray, seen: np.ndarray, count: int) -> int:
    if feeds[row] != feed and feeds[row] >= 0:
        if score[row] == 0.0:
            seen[count] = row
            count += 1
        score[row] += gain
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
def _remember(numbers: np.ndarray, squares: np.ndarray, flags: np.ndarray, slots: np.ndarray, values: np.ndarray, slot_flags: np.ndarray) -> int:
    """Put the query's tokens in a small table by number, with what each adds to a sum; returns its mask."""
    size = 64
    while size < 4 * numbers.size:
        size *= 2
    slots[:size] = -1
    for i in range(numbers.size):
        if numbers[i] >= 0:
            at = numbers[i] & (size - 1)
            while slots[at] >= 0:
                at = (at + 1) & (size - 1)
            slots[at], values[at], slot_flags[at] = numbers[i], squares[i], flags[i]
    return size - 1


@numba.njit(cache=True, nogil=True, inline="always")
def _recall(number: int, slots: np.ndarray, mask: int) -> int:
    """Slot of a token in the query's table, or -1."""
    at = number & mask
    while slots[at] >= 0:
        if slots[at] == number:
            return at
        at = (at + 1) & mask
    return -1


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
def _known_lengths(
    length: np.ndarray, ids: np.ndarray, flags: np.ndarray, grams: np.ndarray, counts: Counts, gram_rarity: np.ndarray
) -> tuple[np.float32, np.float32, np.float32]:  # fmt: skip
    """As `_lengths`, remembered in `length`. Another thread may be writing it: only a whole set counts as known."""
    title, text, letters = length[0], length[1], length[2]
    if title == 0.0 or text == 0.0 or letters == 0.0:
        title, text, letters = _lengths(ids, flags, grams, counts, gram_rarity)
        length[0], length[1], length[2] = title, text, letters
    return title, text, letters


@numba.njit(cache=True, nogil=True)
def _squares(ids: np.ndarray, counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    """(squared rarity, number of live offers) of each token."""
    squares, sizes = np.empty(ids.size, np.float32), np.empty(ids.size, np.int64)
    for i in range(ids.size):
        sizes[i] = count_of(ids[i], counts) if ids[i] >= 0 else 0
        weight = rarity(sizes[i], counts.offers)
        squares[i] = weight * weight
    return squares, sizes


@numba.njit(cache=True, nogil=True)
def _search(
    rows: np.ndarray, base: Part, delta: Part, counts: Counts, gram_rarity: np.ndarray, feeds: np.ndarray, keys: np.ndarray, prices: np.ndarray,
    currencies: np.ndarray, lengths: np.ndarray, asked: Part, asked_feeds: np.ndarray, asked_prices: np.ndarray, asked_currencies: np.ndarray,
    near: np.ndarray, similarity: np.ndarray,
) -> None:  # fmt: skip
    """Fill `near` and `similarity` for rows of the index, or for those of `asked`, whose rows follow them."""
    score, seen = np.zeros(feeds.size, np.float32), np.empty(feeds.size, np.int32)
    slots, values, slot_flags = np.empty(1 << 16, np.int32), np.empty(1 << 16, np.float32), np.empty(1 << 16, np.uint8)
    gram_slots, gram_values, gram_flags = np.empty(1 << 16, np.int32), np.empty(1 << 16, np.float32), np.empty(1 << 16, np.uint8)
    base_rows = base.start.size - 1
    for q in range(rows.size):
        row = rows[q]
        part, at = (base, row) if row < base_rows else (delta, row - base_rows)
        if row < feeds.size:
            feed, its_price, currency = feeds[row], prices[row], currencies[row]
        else:
            part, at = asked, row - feeds.size
            feed, its_price, currency = asked_feeds[at], asked_prices[at], asked_currencies[at]
        ids, flags = part.ids[part.start[at] : part.start[at + 1]], part.flags[part.start[at] : part.start[at + 1]]
        own = part.grams[part.gram_start[at] : part.gram_start[at + 1]].astype(np.int32)
        title_length, text_length, letter_length = _lengths(ids, flags, own, counts, gram_rarity)
        squares, sizes = _squares(ids, counts)
        searched = (flags & SEARCHED) != 0
        gram_squares = gram_rarity[own] * gram_rarity[own]
        count, rest = _visit(
            ids[searched], squares[searched] * (TITLE_SHARE / max(title_length, np.float32(1e-9))), sizes[searched], base.place, delta.place,
            base.posting_start, base.posting, delta.posting_start, delta.posting, base_rows, feeds, feed, score, seen, 0, POSTINGS,
        )  # fmt: skip
        count, gram_rest = _visit(
            own, gram_squares * (LETTER_SHARE / max(letter_length, np.float32(1e-9))), counts.grams[own].astype(np.int64), base.place[:0], delta.place[:0],
            base.gram_posting_start, base.gram_posting, delta.gram_posting_start, delta.gram_posting, base_rows, feeds, feed,
            score, seen, count, GRAM_POSTINGS,
        )  # fmt: skip
        mask = _remember(ids, squares, flags, slots, values, slot_flags)
        gram_mask = _remember(own, gram_squares, np.zeros(own.size, np.uint8), gram_slots, gram_values, gram_flags)
        for other in _best_rows(score, keys, seen, count, _compared(score, seen, count, rest + gram_rest)):
            there, its = (base, other) if other < base_rows else (delta, other - base_rows)
            first, end, gram_first, gram_end = there.start[its], there.start[its + 1], there.gram_start[its], there.gram_start[its + 1]
            its_title, its_text, its_letters = _known_lengths(
                lengths[other], there.ids[first:end], there.flags[first:end], there.grams[gram_first:gram_end], counts, gram_rarity
            )  # fmt: skip
            title, text, letters = np.float32(0.0), np.float32(0.0), np.float32(0.0)
            for i in range(first, end):
                slot = _recall(there.ids[i], slots, mask)
                if slot >= 0:
                    text += values[slot]
                    if _names_both(slot_flags[slot], there.flags[i]):
                        title += values[slot]
            for i in range(gram_first, gram_end):
                slot = _recall(int(there.grams[i]), gram_slots, gram_mask)
                if slot >= 0:
                    letters += gram_values[slot]
            title, text = _cosine(title, title_length, its_title), _cosine(text, text_length, its_text)
            price = _price_ratio(its_price, prices[other], currency, currencies[other])
            _insert(near[q], similarity[q], keys, other, _blend(title, text, _cosine(letters, letter_length, its_letters), price))
        for i in range(count):
            score[seen[i]] = 0.0
