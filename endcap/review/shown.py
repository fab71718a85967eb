"""What a person is shown of waiting items: the offer, the products it may belong to, and what differs, for many items at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Any, Protocol

from endcap.decide.stated import agree, comparable
from endcap.review.order import ANSWERED, Place, ordered
from endcap.review.override import Given
from endcap.text import fold

MAX_CANDIDATES = 9
# Of a product, its offers that are least like the one asked about, so that a wrong link among them is seen; chosen from so many of its offers at most.
MOST_OTHERS, OTHERS_OF = 3, 60
# Attributes that are compared beside brand, GTIN and part number; what else was found says little about which product it is.
COMPARED = ("colour", "size", "pack_count", "quantity", "capacity", "material")
PART_NUMBER = "part number"
STATED = {"brand": "brand", "GTIN": "gtin", PART_NUMBER: "mpn"}
ATTRIBUTES = {name: name.replace("_", " ") for name in COMPARED}
DECISION_FIELDS = ("offer_id", "kind", "action", "product_id", "proposed_product_id", "reason_code", "reason", "model")
PRODUCT_FIELDS = ("product_id", "title", "offers", "suppliers", "price_min", "price_max", "state")
OFFER_FIELDS = (
    "offer_id", "supplier", "title", "brand", "gtin", "mpn", "price", "currency", "quantity_text", "description", "url", "image_url", "identity_hash",
)  # fmt: skip
POPULAR_OFFERS, DEAR = 5, 1.5
# Reasons without the machine's figures: whoever knows how sure it is no longer judges for themselves.
NOT_SURE = "The machine is not sure"
IN_WORDS = {
    "doubtful": NOT_SURE, "no_promise": NOT_SURE, "weak_support": "It resembles one offer of the product, the others less",
    "gtin_unlike": "Same GTIN, but the rest agrees little", "bridge": "Of the product's offers only one resembles it",
}  # fmt: skip


class Tables(Protocol):
    """What showing needs: queries of one snapshot."""

    @property
    def snapshot_id(self) -> str | None:
        """The snapshot's id; None before the first run."""
        ...

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows of a query, with bound values."""
        ...

    def by_key(self, table: str, columns: str, condition: str, values: Sequence[Any]) -> list[dict[str, Any]]:
        """Current rows of a lake table by its key."""
        ...

    def find(self, name: str, key: str, values: Iterable[str], columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Current rows of a lake table whose `key`, a column that is asked by all the time, is one of `values`; in no order that means anything."""
        ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """One place in the queue."""

    offer_id: str
    supplier: str
    category: str | None
    reason_code: str
    cost: float  # what leaving it is expected to cost: chance of an error x offers that hang on it
    doubt: float  # chance that the machine's better guess is wrong; it orders, and is never shown: who knows it judges for themselves no longer


@dataclass(frozen=True, slots=True)
class Linked:
    """What is asked about an offer that the machine has decided."""

    product_id: str | None  # the one that is asked about; None for the offer's own
    counterpart_offer_id: str | None  # that it is compared with first
    more: Sequence[str] = ()  # offers of other products that it may be the same as, shown next


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a title; `shared` says whether the other title has it too."""

    text: str
    shared: bool


@dataclass(frozen=True, slots=True)
class Stated:
    """An offer as its seller sent it; `words` are the title's."""

    offer_id: str
    supplier: str
    title: str
    words: list[Word]
    brand: str | None
    gtin: str | None
    mpn: str | None
    price: str | None
    quantity: str | None
    description: str | None
    url: str | None
    picture: bool  # its seller names one


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that both state; `same` says whether the two values agree, None where they cannot be compared (500 ml, 40 washes)."""

    name: str
    offer: str
    other: str
    same: bool | None


@dataclass(frozen=True, slots=True)
class Choice:
    """A product the offer may belong to, with its offer that resembles it most."""

    product_id: str
    title: str
    offers: int
    suppliers: int
    nearest: Stated | None
    fields: list[Difference]
    words: str


@dataclass(frozen=True, slots=True)
class Other:
    """One more offer of the proposed product, in short; `words` are its title's."""

    offer_id: str
    supplier: str
    words: list[Word]
    price: str | None


@dataclass(frozen=True, slots=True)
class Shown:
    """An item as a person sees it. `evidence` is a hash of all that may have told them; an answer carries it back."""

    offer_id: str
    identity: str  # of the offer as shown; text, since scripts round large numbers
    evidence: str
    reason_code: str
    reason: str
    model: str | None
    group: str
    risks: list[str]
    offer: Stated
    choices: list[Choice]
    others: list[Other]  # of the first choice, beside its nearest, those that differ most from the offer asked about
    left: str | None = None  # who left it to a lead, with their words


def queue(tables: Tables, within: tuple[str, Sequence[Any]] = ("TRUE", ())) -> list[Waiting]:
    """Everything that waits for a person, the answers that help most first; `within` is a condition on `d.offer_id` and its values (see review/reach.py)."""
    sql, values = within
    rows = tables.rows(
        f"""
        SELECT d.offer_id, o.supplier, p.category, d.reason_code, d.confidence, coalesce(p.offers, 0) AS offers
        FROM decisions d JOIN offers o USING (offer_id) LEFT JOIN products p ON p.product_id = d.proposed_product_id
        WHERE d.kind = 'product' AND d.action = 'to_review' AND {sql} ORDER BY d.offer_id
    """,
        values,
    )
    places = [Place(**row) for row in rows]
    chosen = [places[number] for number in ordered(places, first=not tables.rows(ANSWERED)[0]["answers"])]
    return [Waiting(one.offer_id, one.supplier, one.category, one.reason_code, one.cost, one.doubt) for one in chosen]


def settled(tables: Tables, offer_ids: Sequence[str]) -> list[Waiting]:
    """Those of the offers that are decided, as places in a queue: what was left to a lead waits for one, whatever holds meanwhile."""
    marks = ", ".join("?" * len(offer_ids)) or "NULL"
    rows = tables.rows(
        f"""
        SELECT d.offer_id, o.supplier, p.category FROM decisions d JOIN offers o USING (offer_id) LEFT JOIN products p ON p.product_id = d.product_id
        WHERE d.kind = 'product' AND d.action <> 'to_review' AND d.offer_id IN ({marks}) ORDER BY d.offer_id
    """,
        offer_ids,
    )
    return [Waiting(row["offer_id"], row["supplier"], row["category"], "doubtful", 0.0, 0.0) for row in rows]


def look_at(tables: Tables, offer_ids: Sequence[str], linked: Mapping[str, Linked] | None = None) -> list[Shown]:
    """The items of these offers, in their order; those that no longer wait are left out.

    `linked` names offers that are shown although the machine has decided them, with what they are to be compared with: an audit looks like every
    other item.
    """
    if not offer_ids:
        return []
    linked = linked or {}
    decided = _decided(tables, offer_ids, linked)
    near = _near(tables, decided)
    near |= {one: _compared_first(near.get(one, []), linked[one]) for one in linked if one in decided}
    others = {other for found in near.values() for other, _score in found}
    placed = {*others, *(one for one in linked if one in decided)}
    home_of = {row["offer_id"]: row["product_id"] for row in _placements(tables, placed) if row["product_id"] is not None}
    proposed = {row["proposed_product_id"] for row in decided.values()} - {None}
    known = tables.find("products", "product_id", proposed | set(home_of.values()), PRODUCT_FIELDS)
    products = {row["product_id"]: row for row in known if row["state"] == "live"}
    members = _members(tables, {row["proposed_product_id"] for row in decided.values()} - {None})
    asked = {*decided, *others}
    named = asked.union(*members.values())
    offers = {row["offer_id"]: row for row in tables.find("offers", "offer_id", named, OFFER_FIELDS)}
    facts = _facts(tables, asked)
    values = {offer_id: _values(offers[offer_id], facts.get(offer_id, {})) for offer_id in asked if offer_id in offers}
    return [
        _shown(decided[one], near.get(one, []), home_of, _without(products, home_of.get(one)), offers, values, members)
        for one in offer_ids if one in decided and one in offers
    ]  # fmt: skip


def stand_for(tables: Tables, given: Sequence[Given]) -> list[Given]:
    """Answers that name a product and none of its offers, with the offer of it that is likest to the one asked about.

    What people say is held between two offers: a product's id alone holds nothing once another model has clustered them otherwise.
    """
    wanted = {one.offer_id: one.product_id for one in given if one.product_id and one.counterpart_offer_id is None}
    if not wanted:
        return list(given)
    members = _members(tables, set(wanted.values()))
    near = _near(tables, wanted)
    found = {}
    for offer_id, product_id in wanted.items():
        others = [one for one in members.get(product_id, ()) if one != offer_id]
        scores = dict(near.get(offer_id, ()))
        found[offer_id] = max(others, key=lambda one: (scores.get(one, -1.0), one), default=None)
    return [replace(one, counterpart_offer_id=found[one.offer_id]) if one.offer_id in found and one.counterpart_offer_id is None else one for one in given]


def _decided(tables: Tables, offer_ids: Sequence[str], linked: Mapping[str, Linked]) -> dict[str, dict[str, Any]]:
    """What is asked of each of the offers that waits, or is named as linked."""
    decided: dict[str, dict[str, Any]] = {}
    wanted = set(offer_ids)
    for row in _placements(tables, wanted | set(linked)):
        offer_id = row["offer_id"]
        if row["action"] == "to_review" and offer_id in wanted:
            decided[offer_id] = row
        elif row["action"] != "to_review" and offer_id in linked:
            decided[offer_id] = row | {"proposed_product_id": linked[offer_id].product_id or row["product_id"], "reason_code": "doubtful", "reason": NOT_SURE}
    return decided


def _placements(tables: Tables, offer_ids: Iterable[str]) -> list[dict[str, Any]]:
    return [row for row in tables.find("decisions", "offer_id", offer_ids, DECISION_FIELDS) if row["kind"] == "product"]


def _compared_first(near: Sequence[tuple[str, float]], linked: Linked) -> list[tuple[str, float]]:
    """What an audit is about stands first, in its order; matching need not have compared it."""
    asked = [one for one in (linked.counterpart_offer_id, *linked.more) if one is not None]
    return [*((one, 2.0 - place / (1 + len(asked))) for place, one in enumerate(asked)), *((one, score) for one, score in near if one not in asked)]


def _without(products: Mapping[str, Mapping[str, Any]], own: str | None) -> Mapping[str, Mapping[str, Any]]:
    """The products as they are without the offer that is asked about."""
    if own is None or own not in products:
        return products
    return {**products, own: {**products[own], "offers": max(1, products[own]["offers"] - 1)}}


def _shown(
    decision: Mapping[str, Any], near: list[tuple[str, float]], home_of: Mapping[str, str], products: Mapping[str, Mapping[str, Any]],
    offers: Mapping[str, Mapping[str, Any]], values: Mapping[str, Mapping[str, str]], members: Mapping[str, Sequence[str]],
) -> Shown:  # fmt: skip
    offer = offers[decision["offer_id"]]
    best: dict[str, tuple[str | None, float | None]] = {}
    for other, score in sorted(near, key=lambda pair: (-pair[1], pair[0])):
        if other in home_of and home_of[other] in products and other in offers:
            best.setdefault(home_of[other], (other, score))
    first = decision["proposed_product_id"]
    if first in products:
        best = {first: best.get(first, (None, None)), **{product: found for product, found in best.items() if product != first}}
    choices = [_choice(offer, products[product], found, offers, values) for product, (found, _likeness) in list(best.items())[:MAX_CANDIDATES]]
    first_choice = choices[0] if choices else None
    differing = ", ".join(_differing(offer["title"], first_choice)) if first_choice else ""
    others = _others(offer, first_choice, [offers[one] for one in members.get(first_choice.product_id, ()) if one in offers]) if first_choice else []
    compared = [(one.product_id, one.nearest.offer_id if one.nearest else None) for one in choices]
    told = [offer["offer_id"], offer["identity_hash"], decision["reason"], compared, [one.offer_id for one in others]]
    group = " · ".join([offer["supplier"], decision["reason_code"].replace("_", " "), differing or "nothing that both state differs"])
    return Shown(
        offer["offer_id"], str(offer["identity_hash"]), hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16], decision["reason_code"],
        IN_WORDS.get(decision["reason_code"], decision["reason"]), decision["model"], group, _risks(offer, first_choice, products) if first_choice else [],
        _stated(offer, first_choice.nearest.title if first_choice and first_choice.nearest else None), choices, others,
    )  # fmt: skip


def _differing(title: str, choice: Choice) -> list[str]:
    """What tells the two apart: fields that both state, and numbers in the titles of which each has one that the other lacks."""
    fields = sorted(field.name for field in choice.fields if field.same is False)
    other = choice.nearest.title if choice.nearest else None
    sides = [mark_words(title, other), mark_words(other, title)] if other is not None else []
    apart = [any(not word.shared and any(letter.isdigit() for letter in word.text) for word in words) for words in sides]
    return fields + (["numbers in the titles"] if apart and all(apart) else [])


def _choice(
    offer: Mapping[str, Any], product: Mapping[str, Any], found: str | None, offers: Mapping[str, Mapping[str, Any]], values: Mapping[str, Mapping[str, str]],
) -> Choice:  # fmt: skip
    other = offers.get(found) if found else None
    fields = compare(values[offer["offer_id"]], values[other["offer_id"]]) if other else []
    apart = [f"{field.name} {field.offer} against {field.other}" for field in fields if field.same is False]
    alike = [f"same {field.name}" for field in fields if field.same]
    return Choice(
        product["product_id"], product["title"], product["offers"], product["suppliers"], _stated(other, offer["title"]) if other else None,
        fields, "; ".join([*alike, *apart]) or "no field is stated by both",
    )  # fmt: skip


def _members(tables: Tables, product_ids: Iterable[str]) -> dict[str, list[str]]:
    """The offers of each product, of a large one the first."""
    found: dict[str, list[str]] = {}
    for row in tables.find("decisions", "product_id", product_ids, ("offer_id", "kind", "product_id")):
        if row["kind"] == "product":
            found.setdefault(row["product_id"], []).append(row["offer_id"])
    return {product_id: sorted(offer_ids)[:OTHERS_OF] for product_id, offer_ids in found.items()}


def _others(offer: Mapping[str, Any], choice: Choice, members: Sequence[Mapping[str, Any]]) -> list[Other]:
    """Those of the product's offers that share fewest words with the offer asked about, of the same words once, without the one that is shown anyway."""
    shown = choice.nearest.offer_id if choice.nearest else None
    found: dict[frozenset[str], tuple[float, Other]] = {}
    for one in sorted(members, key=lambda row: str(row["offer_id"])):
        if one["offer_id"] in (shown, offer["offer_id"]):
            continue
        words = mark_words(one["title"], offer["title"])
        other = Other(one["offer_id"], one["supplier"], words, _price(one))
        found.setdefault(frozenset(_bare_words(one["title"])[0]), (sum(word.shared for word in words) / max(1, len(words)), other))
    if choice.nearest:
        found.pop(frozenset(_bare_words(choice.nearest.title)[0]), None)
    return [other for _share, other in sorted(found.values(), key=lambda pair: (pair[0], pair[1].offer_id))[:MOST_OTHERS]]


def _price(offer: Mapping[str, Any]) -> str | None:
    return f"{Decimal(offer['price']):,.2f} {offer['currency'] or ''}".strip() if offer["price"] is not None else None


def compare(left: Mapping[str, str], right: Mapping[str, str]) -> list[Difference]:
    """The fields that both state, those that differ first."""
    found = [Difference(name, left[name], right[name], _same(name, fold(left[name]), fold(right[name]))) for name in left if name in right]
    return sorted(found, key=lambda field: (field.same is True, field.same is None))


def _same(name: str, one: str, other: str) -> bool | None:
    if name == PART_NUMBER:  # written with hyphens or without
        return _bare(one) == _bare(other)
    return agree(one, other) if comparable(one, other) else None


def mark_words(title: str, other: str | None) -> list[Word]:
    """The words of a title, each with whether the other title has it too, whatever the case and the marks and however joined ('500 ml', '500ml')."""
    words = title.split()
    if other is None:
        return [Word(word, True) for word in words]
    (bare, joined), (known, known_joined) = _bare_words(title), _bare_words(other)
    others = set(known)
    either = others.union(known_joined)
    found = [one in either for one in bare]
    for place, both in enumerate(joined):
        if both in others:
            found[place] = found[place + 1] = True
    return [Word(word, shared) for word, shared in zip(words, found, strict=True)]


@lru_cache(maxsize=8192)
def _bare_words(title: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(the words of a title without case and marks, every two neighbours joined); a title is compared with many."""
    bare = tuple(_bare(word) for word in title.split())
    return bare, tuple(one + next_one for one, next_one in pairwise(bare))


@lru_cache(maxsize=65_536)
def _bare(word: str) -> str:
    return "".join(letter for letter in fold(word) if letter.isalnum() or letter == "%")


def _stated(offer: Mapping[str, Any], other_title: str | None) -> Stated:
    description = (offer["description"] or "")[:300] or None
    return Stated(
        offer["offer_id"], offer["supplier"], offer["title"], mark_words(offer["title"], other_title), offer["brand"], offer["gtin"], offer["mpn"],
        _price(offer), offer["quantity_text"], description, offer["url"], bool(offer["image_url"]),
    )  # fmt: skip


def _values(offer: Mapping[str, Any], facts: Mapping[str, str]) -> dict[str, str]:
    """What is compared of an offer, by the name that people read."""
    stated = ((name, offer[column]) for name, column in STATED.items())
    found = ((name, facts.get(attribute)) for attribute, name in ATTRIBUTES.items())
    return {name: value for name, value in (*stated, *found) if value}


def _risks(offer: Mapping[str, Any], choice: Choice, products: Mapping[str, Mapping[str, Any]]) -> list[str]:
    product, risks = products[choice.product_id], []
    if choice.offers >= POPULAR_OFFERS:
        risks.append(f"popular product: {choice.offers} offers")
    middle = (product["price_min"] + product["price_max"]) / 2 if product["price_min"] and product["price_max"] else None
    if offer["price"] and middle:
        times = max(offer["price"] / middle, middle / offer["price"])
        if times >= DEAR:
            risks.append(f"price {times:.1f}x {'above' if offer['price'] > middle else 'below'} the product's")
    return risks


def _near(tables: Tables, offer_ids: Iterable[str]) -> dict[str, list[tuple[str, float]]]:
    """The compared offers of each, with the score."""
    found: dict[str, list[tuple[str, float]]] = {}
    for one, other in (("left_id", "right_id"), ("right_id", "left_id")):
        for row in tables.find("pairs", one, offer_ids, ("left_id", "right_id", "score")):
            found.setdefault(row[one], []).append((row[other], row["score"]))
    return found


def _facts(tables: Tables, offer_ids: Iterable[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for row in tables.find("facts", "offer_id", offer_ids, ("offer_id", "attribute", "value", "unit")):
        if row["attribute"] in COMPARED:
            found.setdefault(row["offer_id"], {})[row["attribute"]] = f"{row['value']} {row['unit'] or ''}".strip()
    return found
