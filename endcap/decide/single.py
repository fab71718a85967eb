"""One offer that nobody delivered: what the catalog would decide of it now, with the evidence; nothing is stored.

It is judged as a run judges a pair: score, contradictions, GTIN and price by the policy and the promises in force. What a run knows beyond
that (one offer of a feed a product, facts read from the offer, what people said of it) it cannot know of an offer that is in no feed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

from endcap import match, schema
from endcap.decide.policy import ASK, LINK, Edge, judge
from endcap.decide.promised import Thresholds
from endcap.match.explain import Bar, explain_beside
from endcap.match.search import Hit, find_alike, search_one
from endcap.match.store import Store
from endcap.settings import Policy

ASKED = "asked"
SHOWN_FIELDS = ("offer_id", "feed", "supplier", "title", "brand", "gtin", "mpn", "price", "currency", "quantity_text", "description", "details_json")


@dataclass(frozen=True, slots=True)
class Near:
    """A live offer that may be the same product, with the bars that sum to its log-odds."""

    offer_id: str
    product_id: str | None
    score: float
    does: str  # link | ask | apart
    words: str
    conflict: str | None
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Single:
    """What would be decided: linked, to_review or new_product; `near` best first, one a product."""

    action: str
    product_id: str | None
    confidence: float
    reason_code: str
    reason: str
    near: tuple[Near, ...]


def offer_of(given: Mapping[str, Any]) -> pa.Table:
    """One row of schema Offer from fields by name; what is not given is unknown."""
    nothing = dict.fromkeys(schema.arrow_schema(schema.Offer).names)
    feed = given.get("feed") or ASKED
    fixed = {"offer_id": f"{feed}:{ASKED}", "feed": feed, "supplier": feed, "source_id": ASKED, "delivery_id": ASKED}
    numbers = {"position": 1, "raw_hash": 0, "identity_hash": 0, "run": 0, "gone": False}
    return pa.Table.from_pylist([nothing | dict(given) | fixed | numbers], schema=schema.arrow_schema(schema.Offer))


def decide_single(
    store: Store, model: match.Model, offer: pa.Table, policy: Policy, thresholds: Thresholds, details: Callable[[Sequence[str]], dict[str, dict[str, Any]]],
    *, k: int = 10,
) -> Single:  # fmt: skip
    """Decide one row of schema Offer. `details` gives live offers by id: SHOWN_FIELDS and product_id."""
    asked = offer.to_pylist()[0]
    hits = search_one(store, offer, model, k)
    known = details([hit.offer_id for hit in hits])
    chosen: list[Hit] = []
    seen: set[str] = set()
    for hit in hits:
        product = known.get(hit.offer_id, {}).get("product_id") or hit.offer_id
        if hit.offer_id in known and product not in seen:
            seen.add(product)
            chosen.append(hit)
    others = [{name: known[hit.offer_id][name] for name in SHOWN_FIELDS} for hit in chosen]
    bars = explain_beside(asked, others, model, [hit.features for hit in chosen])
    near = [_near(hit, asked, known[hit.offer_id], told, policy, thresholds) for hit, told in zip(chosen, bars, strict=True)]
    return _decision(near)


def find_by_text(store: Store, text: str, k: int) -> list[tuple[str, float]]:
    """(offer id, similarity) of the live offers most alike to some words, best first."""
    return find_alike(store, offer_of({"title": text}), k)


def _near(hit: Hit, asked: Mapping[str, Any], other: Mapping[str, Any], bars: Sequence[Bar], policy: Policy, thresholds: Thresholds) -> Near:
    left, right = sorted((str(asked["offer_id"]), hit.offer_id))
    same_gtin = asked["gtin"] is not None and asked["gtin"] == other["gtin"]
    edge = Edge(left, right, hit.score, hit.conflict, same_gtin, _price_ratio(asked, other))
    verdict = judge(edge, policy, *thresholds.of(edge))
    return Near(hit.offer_id, other["product_id"], hit.score, verdict.does, verdict.words, hit.conflict, tuple(bars))


def _price_ratio(one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
    prices: list[Decimal | None] = [one["price"], other["price"]]
    if one["currency"] != other["currency"] or not prices[0] or not prices[1] or min(prices[0], prices[1]) <= 0:
        return None
    return float(max(prices[0] / prices[1], prices[1] / prices[0]))


def _decision(found: Sequence[Near]) -> Single:
    near = tuple(found)
    for wanted, action in ((LINK, "linked"), (ASK, "to_review")):
        best = next((one for one in near if one.does == wanted and (one.product_id is not None or wanted == ASK)), None)
        if best is not None:
            return Single(action, best.product_id, round(best.score, 4), "alike" if wanted == LINK else "doubtful", best.words, near)
    if not near:
        return Single("new_product", None, 0.99, "alone", "no other offer resembles it", near)
    return Single("new_product", None, round(1 - near[0].score, 4), "new", f"nothing is alike enough to link; the nearest: {near[0].words}", near)
