"""What people's overrides mean for the next decisions: who is placed where, and who is kept apart from what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

PLACING = ("same", "other", "new")


@dataclass(frozen=True, slots=True)
class Placement:
    """A person's last word on where an offer belongs; `product_id` None means: a product of its own."""

    product_id: str | None
    override_id: int
    identity_hash: int
    action: str
    actor: str


@dataclass(frozen=True, slots=True)
class Answers:
    """All overrides in force: must-links (placed) and cannot-links (apart), by offer."""

    placed: dict[str, Placement] = field(default_factory=dict)
    apart: dict[str, frozenset[str]] = field(default_factory=dict)


def standing(overrides: pa.Table, resolve: Callable[[str], str]) -> Answers:
    """Read the append-only overrides (in the order of their ids) into what holds now; undone rows count for nothing.

    `resolve` follows redirects of merged products.
    """
    rows = overrides.to_pylist()
    undone = {row["undoes"] for row in rows if row["undoes"] is not None}
    placed: dict[str, Placement] = {}
    apart: dict[str, set[str]] = {}
    for row in rows:
        if row["override_id"] in undone or row["action"] in ("undo", "skip"):
            continue
        offer_id, product_id = row["offer_id"], resolve(row["product_id"]) if row["product_id"] else None
        if row["action"] in ("different", "new") and product_id:
            apart.setdefault(offer_id, set()).add(product_id)
        if row["action"] in ("same", "other") and product_id:
            apart.get(offer_id, set()).discard(product_id)
        if row["action"] in PLACING:
            target = None if row["action"] == "new" else product_id
            placed[offer_id] = Placement(target, row["override_id"], row["identity_hash"], row["action"], row["actor"])
        elif offer_id in placed and placed[offer_id].product_id == product_id:
            del placed[offer_id]
    return Answers(placed, {offer_id: frozenset(products) for offer_id, products in sorted(apart.items())})
