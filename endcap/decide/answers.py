"""What people's overrides mean for the next decisions: who is placed where, and who is kept apart from what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

PLACING, TOGETHER, APART = ("same", "other", "new"), ("same", "other"), ("different", "new")
PLACED = (*TOGETHER, *APART)
# Answers about one field of a product; a lock holds whatever the suppliers say later.
SET, LOCK = "set", "lock"
ABOUT_FIELDS = (SET, LOCK)
# Whose word counts more, the later one among equals (docs/precedence.md).
WEIGHT = {"reviewer": 1, "lead": 2, "admin": 2}


@dataclass(frozen=True, slots=True)
class Placement:
    """A person's last word on where an offer belongs: with its counterpart; `product_id` None means a product of its own.

    The counterpart is what holds: product ids come and go with the clusters, the two offers the person compared stay.
    """

    product_id: str | None
    counterpart: str | None
    override_id: int
    identity_hash: int
    action: str
    actor: str


@dataclass(frozen=True, slots=True)
class FieldAnswer:
    """A person's word on one field of a product, with what the suppliers said of it then."""

    value: str
    said: str | None
    override_id: int
    actor: str
    locked: bool
    weight: int


@dataclass(frozen=True, slots=True)
class Answers:
    """All overrides in force: must-links (placed) and cannot-links by offer, from products (apart) and from other offers (apart_offers)."""

    placed: dict[str, Placement] = field(default_factory=dict)
    apart: dict[str, frozenset[str]] = field(default_factory=dict)
    apart_offers: dict[str, frozenset[str]] = field(default_factory=dict)  # both ways
    fields: dict[tuple[str, str], FieldAnswer] = field(default_factory=dict)  # (product, field)
    denied: dict[str, Placement] = field(default_factory=dict)  # by offer, where a person's last word is that it is not that product

    def following(self, offer_ids: Iterable[str]) -> list[str]:
        """Offers that people placed with one of these, with one placed so, and on: where these go they go. In order, without the given ones."""
        by_counterpart: dict[str, list[str]] = {}
        for offer_id, placement in self.placed.items():
            if placement.counterpart is not None and placement.product_id is not None:
                by_counterpart.setdefault(placement.counterpart, []).append(offer_id)
        given = set(offer_ids)
        found, ahead = set(given), list(given)
        while ahead:
            beside = [offer_id for offer_id in by_counterpart.get(ahead.pop(), ()) if offer_id not in found]
            found.update(beside)
            ahead += beside
        return sorted(found - given)


def standing(overrides: pa.Table, resolve: Callable[[str], str], today: str = "") -> Answers:
    """Read the append-only overrides (in the order of their ids) into what holds now; undone rows count for nothing.

    `resolve` follows redirects of merged products; `today` is the newest delivery date, past which an answer may no longer hold.
    The later word holds, but not the contrary of what one of a higher role said of the same offer (docs/precedence.md).
    """
    rows = overrides.to_pylist()
    undone = {row["undoes"] for row in rows if row["undoes"] is not None}
    undone |= _outweighed([row for row in rows if row["override_id"] not in undone and row["action"] in PLACED])
    placed: dict[str, Placement] = {}
    denied: dict[str, Placement] = {}
    apart: dict[str, set[str]] = {}
    pairs: set[tuple[str, str]] = set()
    for row in rows:
        if row["override_id"] in undone or row["action"] in ("undo", "skip", "escalate", *ABOUT_FIELDS):
            continue
        offer_id, product_id = row["offer_id"], resolve(row["product_id"]) if row["product_id"] else None
        counterpart = row["counterpart_offer_id"]
        pair = (min(offer_id, counterpart), max(offer_id, counterpart)) if counterpart else None
        if row["action"] in ("different", "new"):
            apart.setdefault(offer_id, set()).update({product_id} if product_id else ())
            pairs |= {pair} if pair else set()
        if row["action"] in ("same", "other"):
            apart.get(offer_id, set()).discard(product_id or "")
            pairs.discard(pair or ("", ""))
        denied.pop(offer_id, None)
        if row["action"] == "different":
            denied[offer_id] = Placement(product_id, counterpart, row["override_id"], row["identity_hash"], row["action"], row["actor"])
        if row["action"] in PLACING:
            target = None if row["action"] == "new" else product_id
            placed[offer_id] = Placement(target, counterpart, row["override_id"], row["identity_hash"], row["action"], row["actor"])
        elif offer_id in placed and (placed[offer_id].product_id == product_id or placed[offer_id].counterpart == counterpart):
            del placed[offer_id]
    kept_apart = {offer_id: frozenset(products) for offer_id, products in sorted(apart.items())}
    return Answers(placed, kept_apart, _both_ways(pairs), _about_fields(rows, undone, resolve, today), denied)


def outweighs(said: Mapping[str, Any], answer: Mapping[str, Any]) -> bool:
    """Whether an answer, a row of OVERRIDES, says the contrary of what one of a higher role `said` of the offer as it still is."""
    return WEIGHT.get(said.get("role") or "", 1) > WEIGHT.get(answer.get("role") or "", 1) and contrary(said, answer)


def contrary(said: Mapping[str, Any], answer: Mapping[str, Any]) -> bool:
    """Whether two answers, rows of OVERRIDES, of an offer as it still is cannot both hold: together and apart of the same two, or two places for one offer."""
    if said["offer_id"] != answer["offer_id"]:  # of the same two, seen from the other one
        mirrored = (said["offer_id"], said["counterpart_offer_id"]) == (answer["counterpart_offer_id"], answer["offer_id"])
        return mirrored and (said["action"] in TOGETHER) != (answer["action"] in TOGETHER)
    if said["identity_hash"] != answer["identity_hash"]:
        return False
    same_two = any(said[name] is not None and said[name] == answer[name] for name in ("counterpart_offer_id", "product_id"))
    if said["action"] in TOGETHER:
        return answer["action"] == "new" or (answer["action"] == "different") == same_two
    return answer["action"] in TOGETHER and (same_two or said["action"] == "new")


def _outweighed(rows: list[dict[str, Any]]) -> set[int]:
    """The answers that count for nothing beside one of a higher role."""
    heavy = [row for row in rows if WEIGHT.get(row.get("role") or "", 1) > 1]
    by_offer: dict[str, list[dict[str, Any]]] = {}
    for row in heavy:
        for offer_id in {row["offer_id"], row["counterpart_offer_id"]} - {None}:
            by_offer.setdefault(offer_id, []).append(row)
    return {row["override_id"] for row in rows if any(outweighs(said, row) for said in by_offer.get(row["offer_id"], ()))}


def _about_fields(rows: list[dict[str, Any]], undone: set[int], resolve: Callable[[str], str], today: str) -> dict[tuple[str, str], FieldAnswer]:
    """For each field of a product the word that counts most: a lock, then a lead's, then a reviewer's; the last among equals."""
    found: dict[tuple[str, str], FieldAnswer] = {}
    for row in rows:
        expired = bool(row.get("until")) and today > row["until"]
        if row["action"] not in ABOUT_FIELDS or row["override_id"] in undone or expired:
            continue
        locked = row["action"] == LOCK
        answer = FieldAnswer(row["value"], row["said"], row["override_id"], row["actor"], locked, 9 if locked else WEIGHT.get(row["role"], 1))
        key = (resolve(row["product_id"]), row["field"])
        if key not in found or answer.weight >= found[key].weight:
            found[key] = answer
    return dict(sorted(found.items()))


def _both_ways(pairs: set[tuple[str, str]]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for left, right in sorted(pairs):
        found.setdefault(left, set()).add(right)
        found.setdefault(right, set()).add(left)
    return {offer_id: frozenset(others) for offer_id, others in sorted(found.items())}
