"""The searchable index of a catalog that grows and shrinks: a base built at once, and what was added or removed since.

What it answers is a function of the live offers alone, whatever the history: counts are exact, lengths follow from counts, and
ties are settled by hashes of offer ids. Rows are places in memory and mean nothing outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numba
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from endcap.match.index import LEFT_OUT, POSTINGS, Counts, Index, Part, Postings, build_part, count_tokens, empty_part, number_tokens, open_postings, view_index
from endcap.match.tokens import Ragged, Tokens, hash_texts, join, read_tokens

# What an offer's mark is made of: if none of these changed, nothing did that matching looks at.
THIN = ("offer_id", "feed", "identity_hash", "price", "currency")
_ALL = np.zeros(0, dtype=np.int64)
# So many keys are looked for one by one; more are sorted first.
SEARCHED_SINGLY = 50_000
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Live:
    """All live offers: the columns THIN of each, in any order, how to fetch whole rows of some by their ids, and which feeds list a product often."""

    thin: pa.Table
    fetch: Callable[[pa.Array[Any]], pa.Table]
    marketplaces: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Rows:
    """What is known of each of some offers besides their postings."""

    tokens: Tokens
    offer_ids: pa.Array[Any]  # large_string
    titles: pa.Array[Any]  # large_string
    keys: np.ndarray  # uint64 [n], hash of the offer id
    marks: np.ndarray  # uint64 [n], hash of the columns THIN
    feeds: np.ndarray  # int32 [n], places in `feed_names`
    prices: np.ndarray  # float64 [n]
    currencies: np.ndarray  # uint64 [n]
    feed_names: tuple[str, ...]

    @property
    def size(self) -> int:
        return int(self.keys.size)

    def take(self, rows: np.ndarray) -> Rows:
        """The given rows in the given order."""
        places = pa.array(rows)
        return Rows(
            self.tokens.take(rows), self.offer_ids.take(places), self.titles.take(places), self.keys[rows], self.marks[rows], self.feeds[rows],
            self.prices[rows], self.currencies[rows], self.feed_names,
        )  # fmt: skip


@dataclass(frozen=True)
class Base:
    """Offers built at once: rows, their postings, counts, and their order by key."""

    rows: Rows
    part: Part
    vocabulary: np.ndarray  # uint64 ascending: the hash of each token number
    known: np.ndarray  # int32 by token number
    grams: np.ndarray  # int32 by bucket
    by_key: np.ndarray  # int32 rows in the order of their keys


@dataclass(frozen=True)
class Store:
    """The index of all live offers. Rows 0 to base.rows.size - 1 are the base's, those after them the delta's."""

    base: Base
    delta: Rows
    postings: Postings
    marketplaces: frozenset[str] = frozenset()  # feeds that list a product often

    def listing(self, marketplaces: frozenset[str]) -> Store:
        """The same with these feeds as those that list a product often: their offers are compared with each other too."""
        often = [number for number, name in enumerate(self.delta.feed_names) if name in marketplaces]
        return replace(self, postings=self.postings.listing(often), marketplaces=marketplaces)

    @property
    def size(self) -> int:
        """How many live offers."""
        return self.postings.counts.offers

    @property
    def is_outdated(self) -> bool:
        """Whether a posting that the base left out as too long has become short enough to be visited."""
        pairs = ((self.base.known, self.postings.counts.known), (self.base.grams, self.postings.counts.grams))
        return any(bool(((then > LEFT_OUT) & (now <= POSTINGS)).any()) for then, now in pairs)

    def live_rows(self) -> np.ndarray:
        """Rows of all live offers, int32 ascending."""
        return np.flatnonzero(self.postings.feeds >= 0).astype(np.int32)

    def rows_of(self, keys: np.ndarray) -> np.ndarray:
        """Row of the live offer of each key, int64; -1 where there is none."""
        sorted_keys = self.base.rows.keys[self.base.by_key]
        rows = _find(sorted_keys, self.base.by_key.astype(np.int64), keys)
        found = np.flatnonzero(rows >= 0)
        rows[found[self.postings.feeds[rows[found]] < 0]] = -1
        order = np.argsort(self.delta.keys, kind="stable")
        later = _find(self.delta.keys[order], order + self.base.rows.size, keys)
        return np.where(later >= 0, later, rows)

    def column(self, name: str) -> np.ndarray:
        """A column of tokens or of rows that has one number an offer, base and delta."""
        parts = [getattr(rows if hasattr(rows, name) else rows.tokens, name) for rows in (self.base.rows, self.delta)]
        return np.concatenate(parts) if self.delta.size else np.asarray(parts[0])

    def sharing(self, tokens: Tokens, source: int, limit: int) -> np.ndarray:
        """Rows of live offers of other sources with the GTIN, or the brand and part number, of an offer outside the store; `limit` of each at most."""
        wanted = ((self._by_gtin, tokens.gtin[0]), (self._by_part_number, part_numbers(tokens.brand, tokens.mpn)[0]))
        return np.concatenate([_holding(order, key, self.postings.sources, source)[:limit] for order, key in wanted])

    @cached_property
    def _by_gtin(self) -> tuple[np.ndarray, np.ndarray]:
        return _ordered(self.column("gtin"))

    @cached_property
    def _by_part_number(self) -> tuple[np.ndarray, np.ndarray]:
        return _ordered(part_numbers(self.column("brand"), self.column("mpn")))

    def texts(self, name: str, rows: np.ndarray) -> pa.Array[Any]:
        """'offer_ids' or 'titles' of rows."""
        inside = rows < self.base.rows.size
        if inside.all():
            return getattr(self.base.rows, name).take(pa.array(rows))
        # Taken from each by itself: together they would be copied whole for a few rows.
        inner = getattr(self.base.rows, name).take(pa.array(rows[inside])).cast(pa.large_string())
        outer = getattr(self.delta, name).take(pa.array(rows[~inside] - self.base.rows.size)).cast(pa.large_string())
        place = np.empty(rows.size, dtype=np.int64)
        place[np.concatenate([np.flatnonzero(inside), np.flatnonzero(~inside)])] = np.arange(rows.size)
        return pa.concat_arrays([_whole(inner), _whole(outer)]).take(pa.array(place))

    def number(self, hashes: np.ndarray) -> np.ndarray:
        """Number of each token hash, int32, -1 = unknown. Tokens that only the delta has are looked for in it."""
        numbers = _find(self.base.vocabulary, _ALL, hashes)
        missing = np.flatnonzero(numbers < 0)
        if missing.size and self.delta.size:
            numbers[missing] = _find(*self._delta_numbers, hashes[missing])
        return numbers.astype(np.int32)

    @cached_property
    def _delta_numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """(hashes ascending, their numbers) of the delta's tokens."""
        order = np.argsort(self.delta.tokens.hashes.values, kind="stable")
        return self.delta.tokens.hashes.values[order], self.postings.delta.ids[order].astype(np.int64)

    def view(self, rows: np.ndarray) -> Index:
        """The given rows, ready to be compared with each other."""
        postings = self.postings
        return view_index(
            *self.tokens_of(rows), postings.counts, postings.feeds[rows], postings.prices[rows], postings.currencies[rows],
            gram_rarity=postings.gram_rarity, often=postings.often(rows),
        )  # fmt: skip

    def tokens_of(self, rows: np.ndarray) -> tuple[Tokens, np.ndarray]:
        """(the given rows, the number of each of their tokens int32)."""
        first, postings = self.base.rows.size, self.postings
        inner, outer = rows[rows < first], rows[rows >= first] - first
        tokens, ids = _base_tokens(self.base, inner)
        if outer.size:
            more, more_ids = _take(self.delta.tokens, postings.delta.ids, outer)
            back = np.empty(rows.size, dtype=np.int64)
            back[np.concatenate([np.flatnonzero(rows < first), np.flatnonzero(rows >= first)])] = np.arange(rows.size)
            both = join([tokens, more])
            ids = Ragged(both.hashes.start, np.concatenate([ids, more_ids])).take(back).values
            tokens = both.take(back)
        return tokens, ids


def build_store(live: Live) -> Store:
    """Read and index all live offers."""
    return open_store(build_base(read_rows(live.fetch(live.thin["offer_id"].combine_chunks()), ())))


def build_base(rows: Rows) -> Base:
    """Number, count and invert the tokens of offers."""
    ids, vocabulary = number_tokens(rows.tokens.hashes.values)
    known, _, grams = count_tokens(ids, rows.tokens.grams.values, vocabulary.size)
    part = build_part(rows.tokens, ids, vocabulary.size)
    return Base(rows, part, vocabulary, known, grams, np.argsort(rows.keys, kind="stable").astype(np.int32))


def open_store(base: Base, delta: Rows | None = None, removed: np.ndarray | None = None) -> Store:
    """A base with what came later: `delta` holds each offer once and stands before what the base has of it; `removed` are keys."""
    delta = _no_rows(base) if delta is None else delta
    sorted_keys = base.rows.keys[base.by_key]
    left = np.concatenate([delta.keys, np.zeros(0, np.uint64) if removed is None else removed])
    dead = _find(sorted_keys, base.by_key.astype(np.int64), left)
    dead = np.unique(dead[dead >= 0])
    ids, place, new = _number_delta(base, delta.tokens)
    part = build_part(delta.tokens, ids, int(place.max(initial=0)), place) if delta.size else empty_part()
    known, grams = base.known.copy(), base.grams.copy()
    _recount(known, new, grams, base.part, dead, -1)
    _recount(known, new, grams, part, np.arange(delta.size), 1)
    feeds = np.concatenate([base.rows.feeds, delta.feeds])
    feeds[dead] = -1
    counts = Counts(base.rows.size - dead.size + delta.size, known, new, grams)
    columns = [np.concatenate([getattr(base.rows, name), getattr(delta, name)]) for name in ("keys", "prices", "currencies")]
    return Store(base, delta, open_postings(base.part, part, counts, feeds, *columns))


def changes_of(store: Store, live: Live) -> tuple[np.ndarray, np.ndarray]:
    """(places in `live.thin` of offers that the store does not have as they are, keys it has of offers that are not live)."""
    keys, marks = marks_of(live.thin)
    rows = store.rows_of(keys)
    same = rows >= 0
    same[same] = store.column("marks")[rows[same]] == marks[same]
    met = np.zeros(store.postings.feeds.size, dtype=np.bool_)
    met[rows[rows >= 0]] = True
    gone = (store.postings.feeds >= 0) & ~met
    return np.flatnonzero(~same), store.column("keys")[gone]


def marks_of(thin: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """(hash of the offer id, hash of the columns THIN) of each row, uint64."""
    keys = hash_bytes(thin["offer_id"])
    feeds, feed_of = distinct(thin["feed"])
    currencies, currency_of = distinct(thin["currency"])
    prices = price_numbers(thin["price"])
    identity = np.asarray(thin["identity_hash"].to_numpy(), dtype=np.int64).view(np.uint64)
    feed_marks, currency_marks = (hash_bytes(pa.chunked_array([pa.array(names, pa.string())])) for names in (feeds, currencies))
    marks = keys
    for column in (identity, prices.view(np.uint64), feed_marks[feed_of], currency_marks[currency_of]):
        marks = (marks ^ column) * _GOLDEN
        marks ^= marks >> np.uint64(29)
    return keys, marks


def _whole(texts: Any) -> pa.Array[Any]:
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def read_rows(offers: pa.Table, feed_names: tuple[str, ...]) -> Rows:
    """Read whole offer rows into arrays; feeds not among `feed_names` are put behind them."""
    keys, marks = marks_of(offers)
    feeds, feed_of = distinct(offers["feed"])
    names = (*feed_names, *sorted({str(feed) for feed in feeds} - set(feed_names)))
    numbers = np.array([names.index(str(feed)) for feed in feeds], dtype=np.int32)
    currencies, currency_of = distinct(offers["currency"])
    texts = [pc.cast(offers[name], pa.large_string()).combine_chunks() for name in ("offer_id", "title")]
    texts = [text if isinstance(text, pa.LargeStringArray) else pa.array([], pa.large_string()) for text in texts]
    return Rows(
        read_tokens(offers), texts[0], texts[1], keys, marks, numbers[feed_of], price_numbers(offers["price"]), hash_texts(currencies)[currency_of], names,
    )  # fmt: skip


def join_rows(parts: list[Rows]) -> Rows:
    """Several parts as one, in their order; the last part names the feeds."""
    texts = [pa.chunked_array([getattr(part, name) for part in parts]).combine_chunks() for name in ("offer_ids", "titles")]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("keys", "marks", "feeds", "prices", "currencies")}
    return Rows(join([part.tokens for part in parts]), texts[0], texts[1], feed_names=parts[-1].feed_names, **columns)


def live_rows(store: Store) -> Rows:
    """Everything known of the live offers, as one part."""
    kept = store.live_rows()
    first = store.base.rows.size
    inner = kept[kept < first]
    old = replace(store.base.rows, tokens=replace(store.base.rows.tokens, hashes=Ragged(store.base.part.start, store.base.vocabulary[store.base.part.ids])))
    parts = [old.take(inner), store.delta.take(kept[kept >= first] - first)]
    return join_rows([replace(part, feed_names=store.delta.feed_names) for part in parts if part.size] or parts[:1])


def distinct(column: pa.ChunkedArray[Any]) -> tuple[list[str | None], np.ndarray]:
    """The distinct values of a column, and for each row the place of its value among them."""
    encoded = pc.dictionary_encode(column, null_encoding="encode").combine_chunks()
    encoded = encoded if isinstance(encoded, pa.DictionaryArray) else pa.array([], pa.dictionary(pa.int32(), pa.string()))
    return encoded.dictionary.to_pylist(), np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)


def part_numbers(brand: np.ndarray, mpn: np.ndarray) -> np.ndarray:
    """One key of brand and part number together, uint64; 0 where either is not stated."""
    return np.where((brand != 0) & (mpn != 0), (brand * np.uint64(0x9E3779B97F4A7C15)) ^ mpn, np.uint64(0))


def _ordered(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(keys that are stated, ascending, their rows)."""
    rows = np.flatnonzero(keys)
    rows = rows[np.argsort(keys[rows], kind="stable")]
    return keys[rows], rows


def _holding(order: tuple[np.ndarray, np.ndarray], key: np.uint64, sources: np.ndarray, source: int) -> np.ndarray:
    keys, rows = order
    found = rows[np.searchsorted(keys, key, "left") : np.searchsorted(keys, key, "right")] if key else rows[:0]
    return found[(sources[found] >= 0) & (sources[found] != source)]


def price_numbers(column: pa.ChunkedArray[Any]) -> np.ndarray:
    """float64, NaN where there is none."""
    return np.asarray(pc.cast(column, pa.float64()).to_numpy(), dtype=np.float64).copy()


def hash_bytes(column: pa.ChunkedArray[Any]) -> np.ndarray:
    """uint64 of the UTF-8 bytes of each text; of none at all for null."""
    texts = pc.cast(pc.fill_null(column, ""), pa.large_string()).combine_chunks()
    if not len(texts) or not isinstance(texts, pa.LargeStringArray):
        return np.zeros(0, dtype=np.uint64)
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return np.asarray(_hash_spans(np.frombuffer(data, dtype=np.uint8) if data else np.zeros(0, np.uint8), bounds))


@numba.njit(cache=True)
def _hash_spans(data: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """FNV-1a with a final mix."""
    hashes = np.empty(bounds.size - 1, np.uint64)
    for i in range(hashes.size):
        value = np.uint64(14695981039346656037)
        for at in range(bounds[i], bounds[i + 1]):
            value = (value ^ np.uint64(data[at])) * np.uint64(1099511628211)
        value ^= value >> np.uint64(33)
        value *= np.uint64(0xFF51AFD7ED558CCD)
        hashes[i] = value ^ (value >> np.uint64(33))
    return hashes


def _no_rows(base: Base) -> Rows:
    none = np.zeros(0, dtype=np.int64)
    tokens, _ = _base_tokens(base, none)
    return replace(replace(base.rows, tokens=tokens.take(none)).take(none), feed_names=base.rows.feed_names)


def _find(sorted_keys: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """The row of each key, -1 where it is not among the sorted ones; with _ALL as rows, its place among them."""
    if not sorted_keys.size or not keys.size:
        return np.full(keys.size, -1, dtype=np.int64)
    if keys.size < SEARCHED_SINGLY:
        places = np.minimum(np.searchsorted(sorted_keys, keys), sorted_keys.size - 1)
        return np.where(sorted_keys[places] == keys, places if rows is _ALL else rows[places], -1).astype(np.int64)
    order = np.argsort(keys)
    found = np.empty(keys.size, dtype=np.int64)
    found[order] = _walk(sorted_keys, rows, keys[order])
    return found


@numba.njit(cache=True)
def _walk(sorted_keys: np.ndarray, rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """As `_find` for keys in order: one walk along both, which meets memory in order where searches would jump."""
    found, at = np.full(wanted.size, -1, np.int64), 0
    for i in range(wanted.size):
        while at < sorted_keys.size and sorted_keys[at] < wanted[i]:
            at += 1
        if at < sorted_keys.size and sorted_keys[at] == wanted[i]:
            found[i] = rows[at] if rows.size else at
    return found


def _number_delta(base: Base, tokens: Tokens) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(number of each token of the delta, place of each number's posting as Part has it, counts of new numbers, all 0)."""
    local, hashes = number_tokens(tokens.hashes.values)
    numbers = _find(base.vocabulary, _ALL, hashes)
    fresh = np.flatnonzero(numbers < 0)
    numbers[fresh] = base.vocabulary.size + np.arange(fresh.size)
    place = np.zeros(base.vocabulary.size + fresh.size + 1, dtype=np.int32)
    place[numbers] = 1 + np.arange(hashes.size, dtype=np.int32)
    return numbers.astype(np.int32)[local], place, np.zeros(fresh.size, dtype=np.int32)


@numba.njit(cache=True)
def _recount(known: np.ndarray, new: np.ndarray, grams: np.ndarray, part: Part, rows: np.ndarray, by: int) -> None:
    for row in rows:
        for i in range(part.start[row], part.start[row + 1]):
            if part.ids[i] < known.size:
                known[part.ids[i]] += by
            else:
                new[part.ids[i] - known.size] += by
        for i in range(part.gram_start[row], part.gram_start[row + 1]):
            grams[part.grams[i]] += by


def _take(tokens: Tokens, ids: np.ndarray, rows: np.ndarray) -> tuple[Tokens, np.ndarray]:
    """Rows of a part with the numbers of their tokens."""
    return tokens.take(rows), Ragged(tokens.hashes.start, ids).take(rows).values


def _base_tokens(base: Base, rows: np.ndarray) -> tuple[Tokens, np.ndarray]:
    """As `_take`; a base keeps the numbers of its tokens, and their hashes once each."""
    ids = Ragged(base.part.start, base.part.ids).take(rows)
    none = np.broadcast_to(np.int64(0), base.rows.size + 1)  # takes no room, however large the base
    bare = replace(base.rows.tokens, hashes=Ragged(none, np.zeros(0, np.uint64)))
    return replace(bare.take(rows), hashes=Ragged(ids.start, base.vocabulary[ids.values])), ids.values
