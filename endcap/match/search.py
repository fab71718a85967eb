"""One offer against the whole index, at once: what an API asks while a person waits.

The offer need not be in the index. It is compared as the catalog is without it, rarity included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from endcap.match.block import Candidates, find_near, find_near_offer, nothing
from endcap.match.conflict import find_conflicts
from endcap.match.index import OFFERS_ALONE, Part, view_index
from endcap.match.matching import score_pairs
from endcap.match.pairs import Pairs
from endcap.match.score import Model
from endcap.match.store import Store, price_numbers
from endcap.match.tokens import Tokens, hash_texts, join, read_tokens


@dataclass(frozen=True)
class Hit:
    """A live offer that may be the same product."""

    offer_id: str
    similarity: float  # 0 of what a strong key alone found
    score: float
    features: tuple[float, ...]
    conflict: str | None


@dataclass(frozen=True)
class _Asked:
    """The offer that is looked for, as `store.read_rows` reads many."""

    tokens: Tokens
    title: pa.Array[Any]  # large_string, this one
    feed: int
    source: int  # see `index.Postings`
    feed_names: tuple[str, ...]  # of the store, and this offer's where it is new
    price: float
    currency: np.uint64


def search_one(store: Store, offer: pa.Table, model: Model, k: int = 10) -> list[Hit]:
    """The k nearest live offers of other sources of one row of schema Offer, and those that share a strong key, the most likely first; ties by offer id.

    What the index has of the offer itself is of its own feed and so passed over, but in a marketplace: there it is a listing as any.
    """
    asked = _read(offer, store)
    tokens = asked.tokens
    ids, near, similarity = _near(store, asked, k)
    rows = np.union1d(near, store.sharing(tokens, asked.source, k)).astype(np.int32)
    if not rows.size:
        return []
    others = find_near(store.postings, rows, k, threads=1)
    found, numbers = store.tokens_of(rows.astype(np.int64))
    postings = store.postings
    feeds = np.append(postings.feeds[rows], asked.feed).astype(np.int32)
    prices, currencies = np.append(postings.prices[rows], asked.price), np.append(postings.currencies[rows], asked.currency)
    both, numbers = join([found, tokens]), np.concatenate([numbers, ids])
    often = np.append(postings.often(rows), asked.source != asked.feed)
    index = view_index(both, numbers, postings.counts, feeds, prices, currencies, gram_rarity=postings.gram_rarity, often=often)
    titles = pa.chunked_array([store.texts("titles", rows), asked.title])
    left, right = np.arange(rows.size, dtype=np.int64), np.full(rows.size, rows.size, dtype=np.int64)
    pairs = Pairs(index, _graph(store, others, near, similarity, k), titles, left, right, asked.feed_names, model.own_details)
    features, scores = score_pairs(pairs, model)
    conflicts = find_conflicts(pairs, np.arange(rows.size))
    value_of = dict(zip(near.tolist(), similarity.tolist(), strict=True))
    offer_ids = store.texts("offer_ids", rows).to_pylist()
    hits = [
        Hit(str(name), value_of.get(row, 0.0), score, tuple(values), conflict)
        for name, row, score, values, conflict in zip(offer_ids, rows.tolist(), scores.tolist(), features.tolist(), conflicts, strict=True)
    ]
    return sorted(hits, key=lambda hit: (-hit.score, hit.offer_id))


def find_alike(store: Store, offer: pa.Table, k: int = 10) -> list[tuple[str, float]]:
    """(offer id, similarity) of the k nearest live offers of one row of schema Offer, the most alike first; no model is asked."""
    asked = _read(offer, store)
    _ids, near, similarity = _near(store, asked, k)
    named = store.texts("offer_ids", near).to_pylist() if near.size else []
    return sorted(zip(map(str, named), similarity.tolist(), strict=True), key=lambda found: (-found[1], found[0]))


def _read(offer: pa.Table, store: Store) -> _Asked:
    feed, currency, feed_names = str(offer["feed"][0].as_py()), offer["currency"][0].as_py(), store.delta.feed_names
    feed_names = feed_names if feed in feed_names else (*feed_names, feed)
    number = feed_names.index(feed)
    source = OFFERS_ALONE - 1 if feed in store.marketplaces else number
    title = pa.array([offer["title"][0].as_py()], pa.large_string())
    return _Asked(read_tokens(offer), title, number, source, feed_names, float(price_numbers(offer["price"])[0]), hash_texts([currency])[0])


def _near(store: Store, asked: _Asked, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(the asked offer's tokens by number, rows of the nearest offers, their similarity)."""
    tokens = asked.tokens
    ids = store.number(tokens.hashes.values)
    none = nothing()
    part = Part(
        tokens.hashes.start, ids, tokens.flags.values, tokens.grams.start, tokens.grams.values, none.place, none.posting_start, none.posting,
        none.gram_posting_start, none.gram_posting,
    )  # fmt: skip
    near, similarity = find_near_offer(store.postings, part, asked.source, asked.price, asked.currency, k)
    return ids, near, similarity


def _graph(store: Store, others: Candidates, near: np.ndarray, similarity: np.ndarray, k: int) -> Candidates:
    """The lists of the found rows and, last, of the offer asked about; rows outside keep a number that none of them has."""
    size = others.rows.size
    lists, values = np.full((size + 1, k), -1, dtype=np.int32), np.zeros((size + 1, k), dtype=np.float32)
    lists[:size], values[:size] = others.near, others.similarity
    lists[size, : near.size], values[size, : near.size] = near, similarity
    places = np.minimum(np.searchsorted(others.rows, lists), size - 1)
    shown = np.where(lists < 0, -1, np.where(others.rows[places] == lists, places, size + 1 + lists)).astype(np.int32)
    return Candidates(np.arange(size + 1, dtype=np.int32), shown, values, store.postings.feeds[lists])
