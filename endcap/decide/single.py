"""One offer that nobody delivered: what the catalog would decide of it now, with the evidence; nothing is stored.

It is decided as a run decides an offer that has just come, by the same rules: likeness, contradictions, GTIN and price, the promises in force, and the
other offers of the product. What people said of it nobody can know, and offers of its own feed are passed over unless that is a marketplace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

from endcap import match, schema
from endcap.decide.answers import Answers
from endcap.decide.deciding import Ruling, rule
from endcap.decide.inputs import Inputs, OpenOffer, contradiction
from endcap.decide.policy import Edge, judge
from endcap.decide.promised import Thresholds
from endcap.match.explain import Bar, explain_beside
from endcap.match.search import Hit, find_alike, search_one
from endcap.match.store import Store
from endcap.settings import Policy

ASKED = "asked"
SHOWN_FIELDS = ("offer_id", "feed", "supplier", "title", "brand", "gtin", "mpn", "price", "currency", "quantity_text", "description", "details_json")


@dataclass(frozen=True, slots=True)
class Near:
    """A live offer that may be the same product, with the bars that sum to its log-odds where they were asked for."""

    offer_id: str
    product_id: str | None
    score: float
    does: str  # link | ask | apart
    words: str
    conflict: str | None
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Around:
    """What the catalog holds around some live offers."""

    offers: Mapping[str, Mapping[str, Any]]  # SHOWN_FIELDS and product_id
    members: Mapping[str, Mapping[str, str]]  # product -> its offers -> their feed
    stated: Mapping[str, Mapping[str, str]]  # offer -> name -> value, of what must not contradict within a product


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
    store: Store, model: match.Model, offer: pa.Table, policy: Policy, thresholds: Thresholds, look: Callable[[Sequence[str]], Around], *, k: int = 10,
    kept: int = 5, stated: Mapping[str, str] | None = None, explained: int = 50,
) -> Single:  # fmt: skip
    """Decide one row of schema Offer by the very rules of a run. `look` gives what the catalog holds around live offers, by id.

    `k` offers are compared, and the `kept` most likely ones and those of the same GTIN decide, as a run keeps so many pairs an offer; `stated` is what
    was read from the offer. The `explained` most likely of what is near have bars, and so has the product that was decided on: bars cost more than
    the decision.
    """
    asked = offer.to_pylist()[0]
    hits = search_one(store, offer, model, k)
    around = look([hit.offer_id for hit in hits])
    hits = [hit for hit in hits if hit.offer_id in around.offers]
    said = {**around.stated, str(asked["offer_id"]): {**(stated or {}), **({"GTIN": asked["gtin"]} if asked["gtin"] else {})}}
    edges = [_edge(hit, asked, around.offers[hit.offer_id], said) for hit in hits]
    chosen: dict[str, tuple[Hit, Edge]] = {}
    for hit, edge in zip(hits, edges, strict=True):
        chosen.setdefault(around.offers[hit.offer_id]["product_id"] or hit.offer_id, (hit, edge))
    ruling = _ruling(asked, [edge for place, edge in enumerate(edges) if place < kept or edge.same_gtin], around, said, policy, thresholds)
    product_id = {"linked": ruling.product_id, "to_review": ruling.proposed_product_id}.get(ruling.action)
    shown = [name for place, name in enumerate(chosen) if place < explained or (explained and name == product_id)]
    others = [{field: around.offers[chosen[name][0].offer_id][field] for field in SHOWN_FIELDS} for name in shown]
    bars = dict(zip(shown, explain_beside(asked, others, model, [chosen[name][0].features for name in shown]), strict=True))
    near = [_near(hit, edge, around, bars.get(name, ()), policy, thresholds) for name, (hit, edge) in chosen.items()]
    return Single(ruling.action, product_id, ruling.confidence, ruling.reason_code, ruling.reason, tuple(near))


def find_by_text(store: Store, text: str, k: int) -> list[tuple[str, float]]:
    """(offer id, similarity) of the live offers most alike to some words, best first."""
    return find_alike(store, offer_of({"title": text}), k)


def _edge(hit: Hit, asked: Mapping[str, Any], other: Mapping[str, Any], said: Mapping[str, Mapping[str, str]]) -> Edge:
    left, right = sorted((str(asked["offer_id"]), hit.offer_id))
    same_gtin = asked["gtin"] is not None and asked["gtin"] == other["gtin"]
    conflict = hit.conflict or contradiction(said.get(left, {}), said.get(right, {}))
    return Edge(left, right, hit.score, conflict, same_gtin, _price_ratio(asked, other))


def _near(hit: Hit, edge: Edge, around: Around, bars: Sequence[Bar], policy: Policy, thresholds: Thresholds) -> Near:
    verdict = judge(edge, policy, *thresholds.of(edge))
    return Near(hit.offer_id, around.offers[hit.offer_id]["product_id"], hit.score, verdict.does, verdict.words, edge.conflict, tuple(bars))


def _price_ratio(one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
    prices: list[Decimal | None] = [one["price"], other["price"]]
    if one["currency"] != other["currency"] or not prices[0] or not prices[1] or min(prices[0], prices[1]) <= 0:
        return None
    return float(max(prices[0] / prices[1], prices[1] / prices[0]))


def _ruling(
    asked: Mapping[str, Any], edges: Sequence[Edge], around: Around, said: Mapping[str, Mapping[str, str]], policy: Policy, thresholds: Thresholds,
) -> Ruling:  # fmt: skip
    """The ruling of a run in which this offer alone is open."""
    offer_id, feed = str(asked["offer_id"]), str(asked["feed"])
    # Offers of its own feed are passed over, but in a marketplace: where the offer is in the catalog already, it is decided as if it were not.
    own = None if feed in policy.marketplaces else feed
    settled = {product: {one: of for one, of in members.items() if of != own} for product, members in around.members.items()}
    opened = OpenOffer(offer_id, feed, str(asked["title"]), asked["gtin"], 0, None, None)
    inputs = Inputs(
        offers={offer_id: opened},
        edges=tuple(edges),
        stated=said,
        answers=Answers(),
        before={},
        settled=settled,
        founders={},
        states={},
        taken=frozenset(settled),
    )
    return rule(inputs, policy, thresholds)[offer_id]
