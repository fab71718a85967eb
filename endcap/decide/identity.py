"""Stable product ids: clusters keep the id most of them had; what is absorbed, merged, split or gone is recorded."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

ID_LENGTH = 12


def new_product_id(founder_offer_id: str, taken: Collection[str]) -> str:
    """An id that depends on the founding offer alone; counted on where that offer founded a product before."""
    attempt = 0
    while True:
        digest = hashlib.sha256(f"{founder_offer_id}\x1f{attempt}".encode()).digest()
        product_id = "P" + base64.b32encode(digest).decode()[:ID_LENGTH]
        if product_id not in taken:
            return product_id
        attempt += 1


def claim_ids(clusters: Sequence[Sequence[str]], before: Mapping[str, str], founders: Mapping[str, str]) -> list[str | None]:
    """Which earlier product each cluster of offers carries on, if any.

    `before` maps an offer to the product it belonged to, `founders` a product to its founding offer. A product goes to the
    cluster that holds most of its former offers; ties go to the cluster with the founder, then to the smallest offer id.
    """
    claims: list[tuple[int, bool, str, int, str]] = []
    for number, members in enumerate(clusters):
        for product_id, count in Counter(before[offer_id] for offer_id in members if offer_id in before).items():
            claims.append((-count, founders.get(product_id) not in members, min(members), number, product_id))
    result: list[str | None] = [None] * len(clusters)
    given: set[str] = set()
    for _count, _founder, _first, number, product_id in sorted(claims):
        if result[number] is None and product_id not in given:
            result[number] = product_id
            given.add(product_id)
    return result
