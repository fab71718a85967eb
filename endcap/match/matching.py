"""The stage of the flow: live offers in, scored pairs out, for the offers that changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from endcap import shelf
from endcap.match.apart import find_siblings, fit_apart
from endcap.match.block import Candidates, find_candidates, find_near, share_key
from endcap.match.cache import synced_store
from endcap.match.conflict import find_conflicts
from endcap.match.details import find_own_details
from endcap.match.difference import Difference
from endcap.match.index import Index, Postings, build_index
from endcap.match.listings import Score, teach_listings
from endcap.match.pairs import Pairs
from endcap.match.score import Model, feature_names, fit_unsupervised
from endcap.match.store import THIN, Live, Store, distinct, hash_bytes, part_numbers, price_numbers
from endcap.match.tokens import Tokens, hash_texts, read_tokens
from endcap.schema import Pair, arrow_schema
from endcap.settings import Matching

# Features of this many pairs are in memory at once, besides those of pairs that may be kept.
CHUNK_PAIRS = 200_000

# Candidates of an offer where two feeds are compared, and where more are, each of which may have the product and its siblings.
OF_TWO, OF_MANY = 10, 20
NO_ROWS = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Matched:
    """What matching found: pairs (schema Pair), the model that scored them, and counts and seconds by step."""

    pairs: pa.Table
    model: Model
    figures: dict[str, float]


@dataclass(frozen=True)
class Catalog:
    """Offers in memory in the order of their ids, to be searched and compared."""

    offer_ids: pa.ChunkedArray[Any]
    titles: pa.ChunkedArray[Any]
    index: Index
    feed_names: tuple[str, ...]  # by the numbers of the index


@dataclass(frozen=True)
class Found:
    """Candidate pairs of a store: rows [n, 2] of each, smaller key first, in the order of keys, and the lists of every row in them."""

    pairs: np.ndarray
    graph: Candidates


def match_offers(
    offers: pa.Table | Live, changed: pa.Array[Any], *, matching: Matching, model: Model | None, run: int, cache: Path | None = None,
    former: pa.Table | None = None,
) -> Matched:  # fmt: skip
    """Pairs of the changed offers with offers of other feeds, and of their own where that is a marketplace.

    `offers` holds all live Offer rows in any order, or says which they are and fetches what is asked (Live); `changed` the
    offer_ids whose pairs are wanted; ids that are not live are passed over. `former` (left_id, right_id) names pairs of live
    offers to be scored and kept besides those found. Without a `model` an unsupervised one is fitted on the catalog. `cache` is
    a folder for the index; it changes the time, never the result. Kept are the best `matching.kept` pairs of each changed
    offer, those that share a GTIN, and the former ones; left_id < right_id, sorted by key.
    """
    clock = _Clock()
    store = synced_store(offers if isinstance(offers, Live) else live_offers(offers), cache)
    clock.note("tokens_and_index")
    k = candidates_of(matching, store.postings)
    rows = _live(store.rows_of(hash_bytes(pa.chunked_array([changed], pa.string()))))
    held = _rows_of(store, former)
    found = find_pairs(store, rows, k, held)
    clock.note("block")
    model = model or fit_store(store, matching, found.graph)
    clock.note("fit")
    asked = np.zeros(store.postings.feeds.size, dtype=np.bool_)
    asked[rows] = True
    if model.stack is None:
        scored = [_keep(store, *_score_chunk(store, chunk, model), asked, held, matching.kept) for chunk in _chunks(found, CHUNK_PAIRS)]
    else:
        scored = [_keep(store, *_score_stacked(store, found, model, k), asked, held, matching.kept)]
    clock.note("features_and_score")
    table = _pair_table(store, scored, asked, held, model, matching.kept, run)
    clock.note("keep")
    figures = {"offers": float(store.size), "changed": float(rows.size), "candidates": float(found.pairs.shape[0]), "kept": float(table.num_rows)}
    return Matched(table, model, {**figures, **clock.seconds})


def candidates_of(matching: Matching, postings: Postings | None) -> int:
    """How many candidates an offer has: as the settings say, else by how many feeds, or listings of a marketplace, may have its product."""
    if matching.candidates is not None:
        return matching.candidates
    if postings is None:
        raise ValueError("this index holds offers to be compared, not to be searched")
    feeds = postings.feeds[postings.feeds >= 0]
    many = np.count_nonzero(np.bincount(feeds)) > 2 or bool(postings.often(np.arange(postings.feeds.size)).any())
    return OF_MANY if many else OF_TWO


def live_offers(offers: pa.Table) -> Live:
    """A table of whole rows as Live."""

    def fetch(offer_ids: pa.Array[Any]) -> pa.Table:
        if len(offer_ids) == offers.num_rows:
            return offers
        # The few are put in a table and the many looked up in it, not the other way round.
        few = offers.filter(pc.is_in(offers["offer_id"], value_set=offer_ids))
        return few.take(pc.index_in(offer_ids, value_set=few["offer_id"].combine_chunks()))

    return Live(offers.select(list(THIN)), fetch)


def with_first_columns(pairs: pa.Table, model: Model, live: Callable[[], Live], cache: Path | None) -> pa.Table:
    """The same pairs (left_id, right_id and features of schema Pair) with the columns that the model knows without labels.

    Those of the shelf are as stored, whatever models wrote the rows; what tells products apart is looked up in the index of `live` offers, which
    must hold both of each pair and are read only where the model asks for it.
    """
    shelf_columns = pc.list_slice(pairs["features"], 0, len(model.shelf_names), return_fixed_size_list=False)
    features = np.asarray(pc.list_flatten(shelf_columns).to_numpy(), dtype=np.float32).reshape(pairs.num_rows, len(model.shelf_names))
    if model.apart is not None and pairs.num_rows:
        store = synced_store(live(), cache)
        rows = np.stack([store.rows_of(hash_bytes(pairs[name])) for name in ("left_id", "right_id")], axis=1)
        seen = np.unique(rows)
        told = model.apart.between(store.view(seen).tokens, *np.searchsorted(seen, rows).T)
        features = np.hstack([features, told[:, None]])
    kind = arrow_schema(Pair).field("features")
    offsets = pa.array(np.arange(pairs.num_rows + 1, dtype=np.int32) * features.shape[1])
    return pairs.set_column(pairs.schema.get_field_index("features"), kind, pa.ListArray.from_arrays(offsets, pa.array(features.ravel()), type=kind.type))


def rescore(pairs: pa.Table, model: Model) -> pa.Table:
    """The same pairs (schema Pair) with another model's scores; features are as stored, in the model's order."""
    flat = np.asarray(pc.list_flatten(pairs["features"]).to_numpy(), dtype=np.float32)
    features = flat.reshape(pairs.num_rows, len(model.names))
    scored = pairs.set_column(pairs.schema.get_field_index("score"), arrow_schema(Pair).field("score"), pa.array(model.score(features)))
    named = pa.array([model.model_id] * pairs.num_rows, pa.string())
    return scored.set_column(pairs.schema.get_field_index("model"), arrow_schema(Pair).field("model"), named)


def read_catalog(offers: pa.Table, marketplaces: Collection[str] = ()) -> Catalog:
    """Sort, read and index offers in memory."""
    offers = offers.take(pc.sort_indices(offers["offer_id"]))
    feeds, feed_of = distinct(offers["feed"])
    currencies, currency_of = distinct(offers["currency"])
    numbers = np.argsort(np.argsort(np.array(feeds, dtype=object), kind="stable"), kind="stable").astype(np.int32)
    keys = hash_bytes(offers["offer_id"])
    names = tuple(sorted(map(str, feeds)))
    often = [number for number, name in enumerate(names) if name in marketplaces]
    index = build_index(read_tokens(offers), numbers[feed_of], price_numbers(offers["price"]), hash_texts(currencies)[currency_of], keys, often=often)
    return Catalog(offers["offer_id"], offers["title"], index, names)


def asked_rows(catalog: Catalog, changed: pa.Array[Any]) -> np.ndarray:
    """Rows of the given offer ids, ascending; ids that are not live are passed over."""
    wanted = pc.is_in(catalog.offer_ids, value_set=pa.array(changed, pa.string()))
    return np.flatnonzero(np.asarray(wanted.to_numpy())).astype(np.int32)


def _live(rows: np.ndarray) -> np.ndarray:
    return np.unique(rows[rows >= 0]).astype(np.int32)


def _rows_of(store: Store, former: pa.Table | None) -> np.ndarray:
    """Rows [m, 2] of pairs named by offer ids, those of live offers only."""
    if former is None or not former.num_rows:
        return np.zeros((0, 2), dtype=np.int64)
    rows = np.stack([store.rows_of(hash_bytes(former[name])) for name in ("left_id", "right_id")], axis=1)
    return rows[(rows >= 0).all(axis=1)]


def places_of(pairs: Pairs, rows: np.ndarray) -> np.ndarray:
    """Where pairs of rows [m, 2] stand among `pairs`, which are in order and hold them all."""
    size = max(pairs.index.size, 1)
    return np.searchsorted(np.asarray(pairs.left, dtype=np.int64) * size + pairs.right, rows[:, 0] * size + rows[:, 1])


def find_pairs(store: Store, rows: np.ndarray, k: int, held: np.ndarray | None = None, known: Candidates | None = None) -> Found:
    """Pairs of `rows` with their candidates, with offers that share a strong key, and those `held` [m, 2]; `known` lists are not sought again."""
    graph = _grow_graph(store, known or find_near(store.postings, rows[:0], k, threads=1), rows, k)
    near = graph.near[np.searchsorted(graph.rows, rows)]
    found = np.stack([np.repeat(rows, k), near.ravel()], axis=1).astype(np.int64)
    parts = [found[found[:, 1] >= 0], _shared(store, store.column("gtin"), rows, k), _shared(store, _brand_and_mpn(store), rows, k)]
    pairs = _unique(np.sort(np.concatenate([*parts, *([] if held is None else [held])]), axis=1))
    return Found(pairs, _grow_graph(store, graph, np.unique(pairs).astype(np.int32), k))


def _grow_graph(store: Store, graph: Candidates, rows: np.ndarray, k: int) -> Candidates:
    """The graph with the lists of all `rows`."""
    more = np.setdiff1d(rows, graph.rows, assume_unique=True).astype(np.int32)
    return _merge_graphs(graph, find_near(store.postings, more, k, threads=_threads())) if more.size else graph


def _shared(store: Store, keys: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """Pairs of `rows` with live offers of other sources that hold the same key, at most `k` each; the smallest offer keys of a group stand for it."""
    wanted = np.unique(keys[rows])
    wanted = wanted[wanted != 0]
    if not wanted.size:
        return np.zeros((0, 2), dtype=np.int64)
    places = np.minimum(np.searchsorted(wanted, keys), wanted.size - 1)
    group = np.flatnonzero((wanted[places] == keys) & (store.postings.feeds >= 0))
    group = group[np.argsort(store.postings.keys[group], kind="stable")]
    asked = np.flatnonzero(np.isin(group, rows))
    return group[share_key(keys[group], store.postings.sources[group], asked, k)]


def _merge_graphs(graph: Candidates, more: Candidates) -> Candidates:
    together = np.concatenate([graph.rows, more.rows])
    order = np.argsort(together, kind="stable")
    return Candidates(together[order], np.concatenate([graph.near, more.near])[order], np.concatenate([graph.similarity, more.similarity])[order])


def _threads() -> int:
    return min(os.cpu_count() or 1, 16)


def _chunks(found: Found, size: int) -> list[Found]:
    return [replace(found, pairs=found.pairs[first : first + size]) for first in range(0, found.pairs.shape[0], size)]


def view_pairs(store: Store, found: Found, besides: np.ndarray = NO_ROWS) -> tuple[Pairs, np.ndarray]:
    """(pairs to be compared, their rows [n, 2] in the store): left has the smaller offer id, and so in order; `besides` are further rows to see."""
    rows = np.unique(np.concatenate([found.pairs.ravel(), besides]))
    flat = np.searchsorted(rows, found.pairs)
    ids = store.texts("offer_ids", rows)
    order = np.asarray(pc.sort_indices(ids).to_numpy())
    place = np.empty(rows.size, dtype=np.int64)
    place[order] = np.arange(rows.size)
    sides = np.sort(place[flat.reshape(-1, 2)], axis=1)
    sides = sides[np.lexsort((sides[:, 1], sides[:, 0]))]
    rows = rows[order]
    at = np.searchsorted(found.graph.rows, rows)
    near = found.graph.near[at]
    inside = np.full(store.postings.feeds.size, -1, dtype=np.int32)
    inside[rows] = np.arange(rows.size, dtype=np.int32)
    # Rows outside this view keep a number that none in it has.
    shown = np.where(near < 0, -1, np.where(inside[near] >= 0, inside[near], rows.size + near)).astype(np.int32)
    graph = Candidates(np.arange(rows.size, dtype=np.int32), shown, found.graph.similarity[at], store.postings.feeds[near])
    titles = pa.chunked_array([store.texts("titles", rows)])
    return Pairs(store.view(rows), graph, titles, sides[:, 0], sides[:, 1], store.delta.feed_names), rows[sides]


@dataclass(frozen=True)
class Scored:
    """Pairs that may be kept, of one chunk."""

    rows: np.ndarray  # int64 [n, 2], the smaller offer id first
    features: np.ndarray
    scores: np.ndarray
    conflicts: list[str | None]
    forced: np.ndarray  # bool [n]: kept whatever the score


def _score_chunk(store: Store, chunk: Found, model: Model) -> tuple[Pairs, np.ndarray, np.ndarray, np.ndarray]:
    """(pairs, their rows, features, scores)."""
    pairs, rows = view_pairs(store, chunk)
    return pairs, rows, *score_pairs(pairs, model)


def _score_stacked(store: Store, found: Found, model: Model, k: int) -> tuple[Pairs, np.ndarray, np.ndarray, np.ndarray]:
    """The same by a model with learned columns, which looks at all candidate pairs of both offers and at the known offers it remembers."""
    stack = model.stack
    keys = np.concatenate([store.base.rows.tokens.keys, store.delta.tokens.keys])
    known = np.flatnonzero(np.isin(keys, stack.memory.keys) & (store.postings.feeds >= 0)) if stack else NO_ROWS
    wide = find_pairs(store, np.unique(found.pairs).astype(np.int32), k, found.pairs, found.graph)
    wide = Found(wide.pairs, _grow_graph(store, wide.graph, known.astype(np.int32), k))
    pairs, rows = view_pairs(store, wide, known)
    features, scores = score_pairs(pairs, model)
    packed, wanted = (np.sort(some, axis=1) @ np.array([1 << 32, 1]) for some in (rows, found.pairs))
    places = np.flatnonzero(np.isin(packed, wanted))
    return pairs.only(places), rows[places], features[places], scores[places]


def _keep(
    store: Store, pairs: Pairs, rows: np.ndarray, features: np.ndarray, scores: np.ndarray, asked: np.ndarray, held: np.ndarray, limit: int
) -> Scored:  # fmt: skip
    """Of these pairs those that may be kept."""
    left, right = pairs.both(pairs.index.tokens.gtin)
    forced = (left != 0) & (left == right)
    if held.size:
        packed = np.sort(rows, axis=1)
        forced |= np.isin((packed[:, 0] << 32) | packed[:, 1], np.sort(held, axis=1) @ np.array([1 << 32, 1]))
    places = np.flatnonzero(forced | _best(store, rows, scores, asked, limit))
    return Scored(rows[places], features[places], scores[places], find_conflicts(pairs, places), forced[places])


def _best(store: Store, rows: np.ndarray, scores: np.ndarray, asked: np.ndarray, limit: int) -> np.ndarray:
    """bool [n]: among the best `limit` pairs of an asked side; ties to the partner of the smaller key."""
    sides = np.concatenate([rows[:, 0], rows[:, 1]])
    partners = store.postings.keys[np.concatenate([rows[:, 1], rows[:, 0]])]
    places = np.tile(np.arange(rows.shape[0]), 2)
    wanted = asked[sides]
    sides, partners, places = sides[wanted], partners[wanted], places[wanted]
    order = np.lexsort((partners, -scores[places], sides))
    sides, places = sides[order], places[order]
    best = np.zeros(rows.shape[0], dtype=np.bool_)
    best[places[np.arange(sides.size) - np.searchsorted(sides, sides, side="left") < limit]] = True
    return best


def fit_store(store: Store, matching: Matching, graph: Candidates | None = None) -> Model:
    """The unsupervised scorer, fitted on the pairs of a sample of all live offers: those whose mixed key is smallest."""
    rows = store.live_rows()
    if rows.size > matching.fit_offers:
        mixed = (store.postings.keys[rows] ^ np.uint64(matching.seed)) * np.uint64(0x9E3779B97F4A7C15)
        rows = np.sort(rows[np.argsort(mixed ^ (mixed >> np.uint64(32)), kind="stable")[: matching.fit_offers]])
    if rows.size:
        seen, places = view_pairs(store, find_pairs(store, rows, candidates_of(matching, store.postings), known=graph))
        across, within = _by_feeds(seen)
        # In a marketplace what is nearer is no rival, so that its own pairs teach ranks only where there are no others.
        teaching = across if across.size else within
        pairs, places = seen.only(teaching), places[teaching]

        def tell(scores: np.ndarray) -> Difference | None:
            siblings = find_siblings(store.postings, rows, matching.seed)
            shown = np.unique(np.concatenate([places.ravel(), siblings.ravel()]))
            return fit_apart(store.view(shown).tokens, np.searchsorted(shown, places), scores, np.searchsorted(shown, siblings), seed=matching.seed)

        return _fit(pairs, matching, tell, seen.only(within))
    return fit_unsupervised(np.zeros((0, len(feature_names())), dtype=np.float32), seed=matching.seed)


def _by_feeds(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """(places of the pairs of two feeds, of those of one)."""
    left, right = pairs.both(pairs.index.feeds)
    return np.flatnonzero(left != right), np.flatnonzero(left == right)


def candidate_pairs(catalog: Catalog, graph: Candidates, rows: np.ndarray, k: int, held: np.ndarray | None = None) -> Pairs:
    """Pairs of `rows` with their candidates, with offers that share a strong key, and those `held` [m, 2]; the graph grows by the rows met."""
    index = catalog.index
    places = np.searchsorted(graph.rows, rows)
    near = graph.near[places]
    found = np.stack([np.repeat(rows, near.shape[1]), near.ravel()], axis=1).astype(np.int64)
    found = np.sort(found[found[:, 1] >= 0], axis=1)
    sources = index.feeds if index.postings is None else index.postings.sources
    gtin = share_key(index.tokens.gtin, sources, rows, k)
    part_number = share_key(_brand_and_mpn(index.tokens), sources, rows, k)
    pairs = _unique(np.concatenate([found, gtin, part_number, *([] if held is None else [held])]))
    met = np.setdiff1d(pairs.ravel(), graph.rows).astype(np.int32)
    if met.size:
        graph = _merge_graphs(graph, find_candidates(index, met, k))
    return Pairs(index, graph, catalog.titles, pairs[:, 0], pairs[:, 1], catalog.feed_names)


def fit_catalog(catalog: Catalog, matching: Matching, graph: Candidates | None = None) -> Model:
    """The unsupervised scorer, fitted on the pairs of a sample of all offers."""
    size, k = catalog.index.size, candidates_of(matching, catalog.index.postings)
    rows = np.arange(size, dtype=np.int32)
    if size > matching.fit_offers:
        rows = np.sort(np.random.default_rng(matching.seed).permutation(size)[: matching.fit_offers]).astype(np.int32)
    if graph is None or not np.isin(rows, graph.rows).all():
        graph = find_candidates(catalog.index, rows, k)
    pairs = candidate_pairs(catalog, graph, rows, k)

    def tell(scores: np.ndarray) -> Difference | None:
        if catalog.index.postings is None:
            raise ValueError("this index holds offers to be compared, not to be searched")
        siblings = find_siblings(catalog.index.postings, rows, matching.seed)
        return fit_apart(catalog.index.tokens, np.stack([pairs.left, pairs.right], axis=1), scores, siblings, seed=matching.seed)

    return _fit(pairs, matching, tell, pairs.only(NO_ROWS))


def _fit(pairs: Pairs, matching: Matching, tell: Callable[[np.ndarray], Difference | None], listings: Pairs) -> Model:
    """The unsupervised scorer of these pairs, after it is known which details of theirs say nothing; `listings` are pairs of one marketplace."""
    names = feature_names()
    features = compute_features(pairs, names)
    own = find_own_details(pairs, features[:, names.index("rank_worst")] == 1)
    if own:
        features[:, names.index("detail_agreement")] = replace(pairs, own_details=own).measured("detail")

    def teach(score: Score) -> tuple[np.ndarray, np.ndarray]:
        told = replace(listings, own_details=own)
        return teach_listings(told, compute_features(told, names), pairs, features, score)

    return fit_unsupervised(features, seed=matching.seed, tell=tell, own_details=own, teach=teach if listings.size else None)


def compute_features(pairs: Pairs, names: tuple[str, ...]) -> np.ndarray:
    """float32 [n, f], one column a feature."""
    columns = np.empty((pairs.size, len(names)), dtype=np.float32)
    for first in range(0, pairs.size, CHUNK_PAIRS):
        chunk = pairs
        if pairs.size > CHUNK_PAIRS:
            chunk = replace(pairs, left=pairs.left[first : first + CHUNK_PAIRS], right=pairs.right[first : first + CHUNK_PAIRS])
        # Written a feature after another and turned at once: to write every so many bytes takes ten times as long.
        block = np.empty((len(names), chunk.size), dtype=np.float32)
        for place, name in enumerate(names):
            block[place] = shelf.component("features", name).column(chunk)
        columns[first : first + CHUNK_PAIRS] = block.T
    return columns


def first_features(pairs: Pairs, model: Model) -> np.ndarray:
    """float32 [n, len(model.first_names)]: what the model knows of pairs without labels."""
    told = replace(pairs, own_details=model.own_details)
    return model.first_columns(told, compute_features(told, model.shelf_names))


def score_pairs(pairs: Pairs, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """(features float32 [n, f], probabilities float64 [n])."""
    told = pairs if pairs.own_details == model.own_details else replace(pairs, own_details=model.own_details)
    features = model.columns(told, compute_features(told, model.shelf_names))
    return features, model.score(features)


def _brand_and_mpn(source: Tokens | Store) -> np.ndarray:
    return part_numbers(*(source.column(name) if isinstance(source, Store) else getattr(source, name) for name in ("brand", "mpn")))


def _unique(pairs: np.ndarray) -> np.ndarray:
    """Distinct rows [m, 2], sorted."""
    packed = np.unique((pairs[:, 0] << 32) | pairs[:, 1])
    return np.stack([packed >> 32, packed & 0xFFFFFFFF], axis=1)


def _pair_table(store: Store, scored: list[Scored], asked: np.ndarray, held: np.ndarray, model: Model, limit: int, run: int) -> pa.Table:
    """Rows of schema Pair, the best of all chunks, in the order of ids."""
    schema = arrow_schema(Pair)
    if not scored:
        return schema.empty_table()
    rows, scores = np.concatenate([part.rows for part in scored]), np.concatenate([part.scores for part in scored])
    kept = np.flatnonzero(np.concatenate([part.forced for part in scored]) | _best(store, rows, scores, asked, limit))
    named, flat = np.unique(rows[kept], return_inverse=True)
    ids = store.texts("offer_ids", named)
    order = np.asarray(pc.sort_indices(ids).to_numpy())
    rank = np.empty(named.size, dtype=np.int64)
    rank[order] = np.arange(named.size)
    sides = rank[flat.reshape(-1, 2)]
    by_id = np.lexsort((sides[:, 1], sides[:, 0]))
    kept, sides, ids = kept[by_id], sides[by_id], pc.cast(ids.take(pa.array(order)), pa.string())
    features = np.concatenate([part.features for part in scored])[kept]
    conflicts = pa.chunked_array([pa.array(part.conflicts, pa.string()) for part in scored])
    offsets = pa.array(np.arange(kept.size + 1, dtype=np.int32) * features.shape[1])
    columns = {
        "left_id": ids.take(pa.array(sides[:, 0])),
        "right_id": ids.take(pa.array(sides[:, 1])),
        "features": pa.ListArray.from_arrays(offsets, pa.array(features.ravel()), type=schema.field("features").type),
        "score": pa.array(scores[kept]),
        "conflict": conflicts.take(pa.array(kept)),
        "model": pa.array([model.model_id] * kept.size, pa.string()),
        "run": pa.array(np.full(kept.size, run), pa.int64()),
        "gone": pa.array(np.zeros(kept.size, dtype=np.bool_)),
    }
    return pa.table([columns[name] for name in schema.names], schema=schema)


class _Clock:
    """Seconds by step, since the step before."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def note(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[f"{step}_s"] = round(now - self._last, 3)
        self._last = now
