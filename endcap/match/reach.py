"""Whether two offers reach each other: what a run that takes in just these two would find, pair or no pair."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from endcap.match.block import COMPARED, Candidates, find_candidates
from endcap.match.conflict import find_conflicts
from endcap.match.explain import read_records
from endcap.match.index import SEARCHED, Index
from endcap.match.matching import Catalog, asked_rows, candidate_pairs, candidates_of, places_of, read_catalog, score_pairs
from endcap.match.pairs import Pairs
from endcap.match.score import Model
from endcap.match.tokens import COLUMNS
from endcap.settings import Matching

# What `find_reach` reads of offers.
REACH_COLUMNS = tuple(dict.fromkeys((*COLUMNS, "feed", "price", "currency")))


@dataclass(frozen=True)
class SharedToken:
    """A word, code or joined form that both offers hold."""

    form: str  # as written
    rarity: float  # 1 = in one offer, 0 = in all
    offers: int  # how many live offers hold it


@dataclass(frozen=True)
class Near:
    """An offer in the candidate list of another."""

    offer_id: str
    similarity: float  # 0..1, by which candidates are found
    score: float  # probability of being the same product


@dataclass(frozen=True)
class Side:
    """One offer's candidate list, and where the other offer stands in it."""

    rank: int | None  # 1 = nearest; None = not among the `compared` most promising
    listed: bool  # the other offer is one of its candidates
    offers: tuple[Near, ...]  # its candidates, nearest first
    cut: float | None  # similarity of the last candidate; None where the list is not full


@dataclass(frozen=True)
class Reach:
    """Two offers as a run would see them; `left` has the smaller id."""

    features: tuple[float, ...]  # in the model's order
    score: float
    conflict: str | None
    similarity: float
    left: Side
    right: Side
    candidates: int  # k: how many candidates an offer has
    compared: int  # how many are compared exactly to find them
    same_key: bool  # they share a GTIN, or a brand and part number, so that they are compared whatever their ranks
    shared: tuple[SharedToken, ...]  # the rarest first

    @property
    def found(self) -> bool:
        """Whether a run would compare the two."""
        return self.same_key or self.left.listed or self.right.listed


def find_reach(offers: pa.Table, offer_ids: tuple[str, str], *, matching: Matching, model: Model, marketplaces: Collection[str] = ()) -> Reach:
    """Look two live offers up in the catalog and score them, whether or not a run would compare them.

    `offers` holds all live Offer rows in any order with REACH_COLUMNS. The steps are those of `match_offers`; the pair itself is
    added to what they find, so that it has features. Raises ValueError when an id is not live or the two are one.
    """
    catalog = read_catalog(offers, marketplaces)
    rows = asked_rows(catalog, pa.array(sorted(offer_ids), pa.string()))
    if rows.size != 2:
        raise ValueError("two different live offers are needed")
    held, k = rows.astype(np.int64).reshape(1, 2), candidates_of(matching, catalog.index.postings)
    graph = find_candidates(catalog.index, rows, k)
    unaided = candidate_pairs(catalog, graph, rows, k)
    pairs = candidate_pairs(catalog, graph, rows, k, held)
    if model.stack is not None:  # learned columns look at all candidates of both offers' candidates
        met = np.unique(np.concatenate([pairs.left, pairs.right])).astype(np.int32)
        pairs = candidate_pairs(catalog, find_candidates(catalog.index, met, k), met, k, held)
    features, scores = score_pairs(pairs, model)
    place = int(places_of(pairs, held)[0])
    wide = find_candidates(catalog.index, rows, COMPARED)
    known = {(int(left), int(right)): float(score) for left, right, score in zip(pairs.left, pairs.right, scores, strict=True)}
    sides = [_side(catalog, graph, wide, known, own, int(rows[1 - own])) for own in (0, 1)]
    return Reach(
        features=tuple(features[place].tolist()), score=float(scores[place]), conflict=find_conflicts(pairs, np.array([place]))[0],
        similarity=float(pairs.similarity[place]), left=sides[0], right=sides[1], candidates=k, compared=COMPARED,
        same_key=_holds(unaided, held[0]) and not any(side.listed for side in sides),
        shared=_shared_tokens(catalog.index, int(rows[0]), int(rows[1]), _forms(offers, sorted(offer_ids))),
    )  # fmt: skip


def _holds(pairs: Pairs, pair: np.ndarray) -> bool:
    return bool(((np.asarray(pairs.left) == pair[0]) & (np.asarray(pairs.right) == pair[1])).any())


def _side(catalog: Catalog, graph: Candidates, wide: Candidates, known: dict[tuple[int, int], float], own: int, other: int) -> Side:
    """The candidates of the asked row number `own`, and the rank of row `other` among the rows compared exactly."""
    row = int(graph.rows[own])
    found = np.flatnonzero(wide.near[own] == other)
    near = [(int(one), float(value)) for one, value in zip(graph.near[own], graph.similarity[own], strict=True) if one >= 0]
    ids: list[Any] = catalog.offer_ids.take(pa.array([one for one, _value in near], pa.int64())).to_pylist()
    listed = tuple(
        Near(str(offer_id), value, known[min(row, one), max(row, one)]) for offer_id, (one, value) in zip(ids, near, strict=True)
    )  # fmt: skip
    full = len(near) == graph.near.shape[1]
    return Side(int(found[0]) + 1 if found.size else None, bool((graph.near[own] == other).any()), listed, near[-1][1] if near and full else None)


def _forms(offers: pa.Table, offer_ids: list[str]) -> dict[int, str]:
    """Tokens of offers as written, by hash."""
    rows = offers.filter(pc.is_in(offers["offer_id"], value_set=pa.array(offer_ids, pa.string()))).to_pylist()
    shown = [key_and_form for record in read_records(rows) for key_and_form in sorted(record.shown.items())]
    return {int(key.removeprefix("token ")): form for key, form in shown if key.startswith("token ")}


def _shared_tokens(index: Index, left: int, right: int, forms: dict[int, str]) -> tuple[SharedToken, ...]:
    """Tokens that both rows hold and candidates are searched by, the rarest first."""
    tokens, postings = index.tokens, index.postings
    if postings is None:
        raise ValueError("this index holds offers to be compared, not to be searched")
    sides = []
    for row in (left, right):
        span = slice(int(tokens.hashes.start[row]), int(tokens.hashes.start[row + 1]))
        searched = (tokens.flags.values[span] & SEARCHED) != 0
        sides.append(
            dict(
                zip(
                    tokens.hashes.values[span][searched].tolist(),
                    zip(postings.base.ids[span][searched].tolist(), index.weights[span][searched].tolist(), strict=True),
                    strict=True,
                )
            )
        )
    found = []
    for token in sorted(sides[0].keys() & sides[1].keys()):
        number, weight = sides[0][token]
        if token in forms:  # a joined form that neither offer writes has no words
            found.append(SharedToken(forms[token], float(weight), int(postings.counts.known[number])))
    return tuple(sorted(found, key=lambda shared: (-shared.rarity, shared.form)))
