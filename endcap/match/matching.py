"""The stage of the flow: live offers in, scored pairs out, for the offers that changed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from endcap import shelf
from endcap.match.block import Candidates, find_candidates, share_key
from endcap.match.cache import cached_tokens
from endcap.match.conflict import find_conflicts
from endcap.match.index import Index, build_index
from endcap.match.pairs import Pairs
from endcap.match.score import Model, feature_names, fit_unsupervised
from endcap.match.tokens import Tokens, hash_texts
from endcap.schema import Pair, arrow_schema
from endcap.settings import Matching

# Features of this many pairs are in memory at once, besides those of kept pairs.
CHUNK_PAIRS = 250_000


@dataclass(frozen=True)
class Matched:
    """What matching found: pairs (schema Pair), the model that scored them, and counts and seconds by step."""

    pairs: pa.Table
    model: Model
    figures: dict[str, float]


@dataclass(frozen=True)
class Catalog:
    """All live offers in the order of their ids, indexed."""

    offer_ids: pa.ChunkedArray[Any]
    titles: pa.ChunkedArray[Any]
    index: Index


def match_offers(
    offers: pa.Table, changed: pa.Array[Any], *, matching: Matching, model: Model | None, run: int, cache: Path | None = None,
    former: pa.Table | None = None,
) -> Matched:  # fmt: skip
    """Pairs of the changed offers with offers of other feeds.

    `offers` holds all live Offer rows in any order, `changed` the offer_ids whose pairs are wanted; ids that are not live are
    passed over. `former` (left_id, right_id) names pairs of live offers to be scored and kept besides those found. Without a
    `model` an unsupervised one is fitted on the catalog. `cache` is a folder for token arrays; it changes the time, never the
    result. Kept are the best `matching.kept` pairs of each changed offer, those that share a GTIN, and the former ones;
    left_id < right_id, sorted by key.
    """
    clock = _Clock()
    catalog = read_catalog(offers, cache)
    clock.note("tokens_and_index")
    rows = asked_rows(catalog, changed)
    graph = find_candidates(catalog.index, rows, matching.candidates)
    held = _rows_of(catalog, former)
    pairs = candidate_pairs(catalog, graph, rows, matching.candidates, held)
    clock.note("block")
    model = model or fit_catalog(catalog, matching, graph)
    clock.note("fit")
    features, scores = score_pairs(pairs, model)
    clock.note("features_and_score")
    kept = np.union1d(_kept(pairs, scores, rows, matching.kept), places_of(pairs, held))
    table = _pair_table(catalog, pairs, kept, features, scores, model, run)
    clock.note("keep")
    figures = {"offers": float(catalog.index.size), "changed": float(rows.size), "candidates": float(pairs.size), "kept": float(kept.size)}
    return Matched(table, model, {**figures, **clock.seconds})


def rescore(pairs: pa.Table, model: Model) -> pa.Table:
    """The same pairs (schema Pair) with another model's scores; features are as stored, in the model's order."""
    flat = np.asarray(pc.list_flatten(pairs["features"]).to_numpy(), dtype=np.float32)
    features = flat.reshape(pairs.num_rows, len(model.names))
    scored = pairs.set_column(pairs.schema.get_field_index("score"), arrow_schema(Pair).field("score"), pa.array(model.score(features)))
    named = pa.array([model.model_id] * pairs.num_rows, pa.string())
    return scored.set_column(pairs.schema.get_field_index("model"), arrow_schema(Pair).field("model"), named)


def read_catalog(offers: pa.Table, cache: Path | None) -> Catalog:
    """Sort, read (or take from the cache) and index all live offers."""
    offers = offers.take(pc.sort_indices(offers["offer_id"]))
    feeds, feed_of = _distinct(offers["feed"])
    currencies, currency_of = _distinct(offers["currency"])
    prices = np.asarray(pc.cast(offers["price"], pa.float64()).to_numpy(), dtype=np.float64)
    feed_numbers = np.argsort(np.argsort(np.array(feeds, dtype=object), kind="stable"), kind="stable").astype(np.int32)
    index = build_index(cached_tokens(offers, cache), feed_numbers[feed_of], prices, hash_texts(currencies)[currency_of])
    return Catalog(offers["offer_id"], offers["title"], index)


def _distinct(column: pa.ChunkedArray) -> tuple[list[str | None], np.ndarray]:
    """The distinct values of a column, and for each row the place of its value among them."""
    encoded = pc.dictionary_encode(column, null_encoding="encode").combine_chunks()
    encoded = encoded if isinstance(encoded, pa.DictionaryArray) else pa.array([], pa.dictionary(pa.int32(), pa.string()))
    return encoded.dictionary.to_pylist(), np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)


def asked_rows(catalog: Catalog, changed: pa.Array[Any]) -> np.ndarray:
    """Rows of the given offer ids, ascending; ids that are not live are passed over."""
    wanted = pc.is_in(catalog.offer_ids, value_set=pa.array(changed, pa.string()))
    return np.flatnonzero(np.asarray(wanted.to_numpy())).astype(np.int32)


def _rows_of(catalog: Catalog, former: pa.Table | None) -> np.ndarray:
    """Rows [m, 2] of pairs named by offer ids, those of live offers only."""
    if former is None or not former.num_rows:
        return np.zeros((0, 2), dtype=np.int64)
    sides = [pc.fill_null(pc.index_in(former[name], value_set=catalog.offer_ids), -1) for name in ("left_id", "right_id")]
    rows = np.stack([np.asarray(side.to_numpy(), dtype=np.int64) for side in sides], axis=1)
    return rows[(rows >= 0).all(axis=1)]


def places_of(pairs: Pairs, rows: np.ndarray) -> np.ndarray:
    """Where pairs of rows [m, 2] stand among `pairs`, which are in order and hold them all."""
    size = max(pairs.index.size, 1)
    return np.searchsorted(np.asarray(pairs.left, dtype=np.int64) * size + pairs.right, rows[:, 0] * size + rows[:, 1])


def candidate_pairs(catalog: Catalog, graph: Candidates, rows: np.ndarray, k: int, held: np.ndarray | None = None) -> Pairs:
    """Pairs of `rows` with their candidates and with offers that share a strong key, and those `held` [m, 2]; the graph grows by the rows met."""
    index = catalog.index
    places = np.searchsorted(graph.rows, rows)
    near = graph.near[places]
    found = np.stack([np.repeat(rows, near.shape[1]), near.ravel()], axis=1).astype(np.int64)
    found = np.sort(found[found[:, 1] >= 0], axis=1)
    gtin = share_key(index.tokens.gtin, index.feeds, rows, k)
    part_number = share_key(_brand_and_mpn(index.tokens), index.feeds, rows, k)
    pairs = _unique(np.concatenate([found, gtin, part_number, *([] if held is None else [held])]))
    met = np.setdiff1d(pairs.ravel(), graph.rows).astype(np.int32)
    if met.size:
        graph = _grow_graph(index, graph, met, k)
    return Pairs(index, graph, catalog.titles, pairs[:, 0], pairs[:, 1])


def fit_catalog(catalog: Catalog, matching: Matching, graph: Candidates | None = None) -> Model:
    """The unsupervised scorer, fitted on the pairs of a sample of all offers."""
    size = catalog.index.size
    rows = np.arange(size, dtype=np.int32)
    if size > matching.fit_offers:
        rows = np.sort(np.random.default_rng(matching.seed).permutation(size)[: matching.fit_offers]).astype(np.int32)
    if graph is None or not np.isin(rows, graph.rows).all():
        graph = find_candidates(catalog.index, rows, matching.candidates)
    pairs = candidate_pairs(catalog, graph, rows, matching.candidates)
    return fit_unsupervised(compute_features(pairs, feature_names()), seed=matching.seed)


def compute_features(pairs: Pairs, names: tuple[str, ...]) -> np.ndarray:
    """float32 [n, f], one column a feature."""
    columns = np.empty((pairs.size, len(names)), dtype=np.float32)
    for first in range(0, pairs.size, CHUNK_PAIRS):
        chunk = replace(pairs, left=pairs.left[first : first + CHUNK_PAIRS], right=pairs.right[first : first + CHUNK_PAIRS])
        for place, name in enumerate(names):
            columns[first : first + CHUNK_PAIRS, place] = shelf.component("features", name).column(chunk)
    return columns


def score_pairs(pairs: Pairs, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """(features float32 [n, f], probabilities float64 [n])."""
    features = model.columns(pairs, compute_features(pairs, model.shelf_names))
    return features, model.score(features)


def _grow_graph(index: Index, graph: Candidates, rows: np.ndarray, k: int) -> Candidates:
    """The graph with further rows."""
    more = find_candidates(index, rows, k)
    together = np.concatenate([graph.rows, more.rows])
    order = np.argsort(together, kind="stable")
    return Candidates(together[order], np.concatenate([graph.near, more.near])[order], np.concatenate([graph.similarity, more.similarity])[order])


def _brand_and_mpn(tokens: Tokens) -> np.ndarray:
    known = (tokens.brand != 0) & (tokens.mpn != 0)
    mixed = (tokens.brand * np.uint64(0x9E3779B97F4A7C15)) ^ tokens.mpn
    return np.where(known, mixed, np.uint64(0))


def _unique(pairs: np.ndarray) -> np.ndarray:
    """Distinct rows [m, 2], sorted."""
    packed = np.unique((pairs[:, 0] << 32) | pairs[:, 1])
    return np.stack([packed >> 32, packed & 0xFFFFFFFF], axis=1)


def _kept(pairs: Pairs, scores: np.ndarray, rows: np.ndarray, limit: int) -> np.ndarray:
    """Places of the best `limit` pairs of each asked row, ties to the earlier pair, and of all that share a GTIN."""
    asked = np.zeros(pairs.index.size, dtype=np.bool_)
    asked[rows] = True
    sides = np.concatenate([pairs.left, pairs.right])
    places = np.tile(np.arange(pairs.size), 2)
    wanted = asked[sides]
    sides, places = sides[wanted], places[wanted]
    order = np.lexsort((places, -scores[places], sides))
    sides, places = sides[order], places[order]
    first = np.searchsorted(sides, sides, side="left")
    best = places[np.arange(sides.size) - first < limit]
    left, right = pairs.both(pairs.index.tokens.gtin)
    return np.unique(np.concatenate([best, np.flatnonzero((left != 0) & (left == right))]))


def _pair_table(
    catalog: Catalog, pairs: Pairs, kept: np.ndarray, features: np.ndarray, scores: np.ndarray, model: Model, run: int
) -> pa.Table:  # fmt: skip
    schema = arrow_schema(Pair)
    offsets = pa.array(np.arange(kept.size + 1, dtype=np.int32) * features.shape[1])
    columns = {
        "left_id": catalog.offer_ids.take(pa.array(pairs.left[kept])),
        "right_id": catalog.offer_ids.take(pa.array(pairs.right[kept])),
        "features": pa.ListArray.from_arrays(offsets, pa.array(features[kept].ravel()), type=schema.field("features").type),
        "score": pa.array(scores[kept]),
        "conflict": pa.array(find_conflicts(pairs, kept), pa.string()),
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
