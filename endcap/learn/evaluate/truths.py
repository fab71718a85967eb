"""Which decisions are right where every offer's true product is known, and how a reviewer who knows it answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa


class Truth(NamedTuple):
    """What is true of one state of the catalog. A product stands for the true product of most of its offers; a true product's home is the
    product that stands for it with most of its offers. Ties go to the smaller name."""

    right: np.ndarray  # bool [n], of decided offers: its product stands for its true product, and a founder's product is the home
    home: Mapping[str, str]  # true product -> product
    members: Mapping[str, Mapping[str, list[str]]]  # product -> true product -> offers


def judge(decisions: pa.Table, truth: Mapping[str, str]) -> Truth:
    """Judge product decisions, in their order. What waits is in no product; a link to a second product of its kind is right, its founding was wrong."""
    ids, actions, products = (decisions[name].to_pylist() for name in ("offer_id", "action", "product_id"))
    members: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for offer_id, action, product in zip(ids, actions, products, strict=True):
        if product is not None and action != "to_review":
            members[product][truth[offer_id]].append(offer_id)
    stands = {product: min(parts, key=lambda one: (-len(parts[one]), one)) for product, parts in members.items()}
    homes: dict[str, tuple[int, str]] = {}
    for product, true in stands.items():
        homes[true] = min(homes.get(true, (0, "")), (-len(members[product][true]), product))
    home = {true: product for true, (_size, product) in homes.items()}
    right = [
        action != "to_review" and product is not None and stands[product] == truth[offer_id] and (action == "linked" or home[truth[offer_id]] == product)
        for offer_id, action, product in zip(ids, actions, products, strict=True)
    ]
    return Truth(np.array(right, dtype=bool), home, members)


def place_of(offer_id: str, found: Truth, truth: Mapping[str, str]) -> tuple[str, str] | None:
    """(product, another offer in it) where an offer truly belongs; None where no other offer of its true product is placed yet."""
    true = truth[offer_id]
    home = found.home.get(true)
    others = [] if home is None else [other for other in found.members[home][true] if other != offer_id]
    return (home, min(others)) if home is not None and others else None
