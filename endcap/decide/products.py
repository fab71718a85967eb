"""Products rebuilt from the offers that belong to them now; only products that were touched are rebuilt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa

from endcap import schema
from endcap.decide.answers import FieldAnswer
from endcap.decide.fields import Doubt, told_by_suppliers, with_answers
from endcap.decide.survivorship import Statement, as_dict, surviving_values
from endcap.schema import Value

# Fields that offers state themselves, with how far a plain statement is believed.
STATED_FIELDS = {"title": 0.8, "gtin": 0.9, "mpn": 0.8}
FOUND_FIRST = ("brand", "category")

_OFFERS = """
    SELECT m.product_id, o.offer_id, o.feed, o.supplier, o.title, o.gtin, o.mpn, o.price, o.currency
    FROM members m JOIN offers o USING (offer_id) ORDER BY m.product_id, o.offer_id
"""
_FACTS = """
    SELECT f.offer_id, f.attribute, f.value, f.unit, f.confidence, f.extractor, f.model
    FROM facts f SEMI JOIN members USING (offer_id) ORDER BY f.offer_id, f.attribute
"""
_STANDING = "SELECT product_id, founded_by, values FROM products SEMI JOIN touched_products USING (product_id) ORDER BY product_id"
_STOOD = "SELECT product_id, founded_by, values FROM products_log WHERE product_id = ? AND run < ? AND NOT gone ORDER BY run DESC LIMIT 1"


def rebuild_products(
    con: duckdb.DuckDBPyConnection, members: Mapping[str, str], touched: set[str], merged: Mapping[str, str], trust: Mapping[str, float], run: int,
    answers: Mapping[tuple[str, str], FieldAnswer], as_of: Mapping[str, int],
) -> tuple[pa.Table, list[Doubt]]:  # fmt: skip
    """Product rows for every touched product, and the values that people set and the suppliers now contradict.

    `members` maps each offer of a touched product to it; `merged` a product without offers to the one that took them over;
    `trust` a feed to its weight, `as_of` a product to the run before which its values stood without an answer that was taken back. Touched
    products without offers become merged or gone.
    """
    con.register("members", pa.table({"offer_id": pa.array(members.keys(), pa.string()), "product_id": pa.array(members.values(), pa.string())}))
    con.register("touched_products", pa.table({"product_id": pa.array(sorted(touched), pa.string())}))
    standing = {row[0]: row for row in con.execute(_STANDING).fetchall()}
    for product_id, before in as_of.items():
        standing |= {row[0]: row for row in con.execute(_STOOD, [product_id, before]).fetchall()}
    offers: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in con.execute(_OFFERS).fetchall():
        offers[row[0]].append(row[1:])
    facts: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in con.execute(_FACTS).fetchall():
        facts[row[0]].append(row[1:])
    spoken: dict[str, dict[tuple[str, str], FieldAnswer]] = defaultdict(dict)
    for key, answer in answers.items():
        spoken[key[0]][key] = answer
    rows, doubts = [], []
    for product_id in sorted(touched):
        _id, founded_by, values = standing.get(product_id, (product_id, None, None))
        by_field = {value["field"]: value for value in values or ()}
        if offers.get(product_id):
            statements = [statement for offer in offers[product_id] for statement in _statements(offer, facts.get(offer[0], ()), trust)]
            told = told_by_suppliers(con, product_id, by_field)
            values = {value.field: value for value in surviving_values(statements, told, run)}
            filed_by = founded_by if founded_by in {offer[0] for offer in offers[product_id]} else offers[product_id][0][0]
            values, asked = with_answers(product_id, values, by_field, spoken.get(product_id, {}), str(filed_by), run)
            doubts += asked
            rows.append(_live(product_id, offers[product_id], values, founded_by, run))
        elif founded_by is not None:
            rows.append(_without_offers(product_id, by_field, founded_by, merged.get(product_id), run))
    return pa.Table.from_pylist(rows, schema=schema.arrow_schema(schema.Product)), doubts


def _live(product_id: str, offers: list[tuple[Any, ...]], values: Mapping[str, Value], founded_by: str | None, run: int) -> dict[str, Any]:
    priced = [(offer[2], offer[-2], offer[-1]) for offer in offers if offer[-2] is not None]
    # One currency a product's price range: that of most suppliers, the first by name on a tie.
    suppliers: dict[str | None, set[str]] = defaultdict(set)
    for supplier, _price, its in priced:
        suppliers[its].add(supplier)
    currency = min(suppliers, key=lambda one: (-len(suppliers[one]), one or "")) if suppliers else None
    prices: list[Decimal] = [price for _supplier, price, its in priced if its == currency]
    return {
        "product_id": product_id, "state": "live", "merged_into": None, "title": values["title"].value,
        **{name: values[name].value if name in values else None for name in (*FOUND_FIRST, "gtin")},
        "price_min": min(prices, default=None), "price_max": max(prices, default=None), "currency": currency,
        "offers": len(offers), "suppliers": len({offer[2] for offer in offers}),
        "values": [as_dict(value) for value in values.values()],
        "founded_by": founded_by or offers[0][0], "run": run, "gone": False,
    }  # fmt: skip


def _statements(offer: tuple[Any, ...], facts: Any, trust: Mapping[str, float]) -> list[Statement]:
    offer_id, feed, supplier, title, gtin, mpn, _price, _currency = offer
    weight = trust.get(feed, 1.0)
    stated = {"title": title, "gtin": gtin, "mpn": mpn}
    found = [
        Statement(name, value, None, STATED_FIELDS[name], offer_id, supplier, weight, "as stated", None) for name, value in stated.items() if value is not None
    ]
    return found + [Statement(attribute, value, unit, confidence, offer_id, supplier, weight, extractor, model)
                    for attribute, value, unit, confidence, extractor, model in facts]  # fmt: skip


def _without_offers(product_id: str, values: Mapping[str, Mapping[str, Any]], founded_by: str, merged_into: str | None, run: int) -> dict[str, Any]:
    """A product that no offer belongs to any more keeps its last values, so that an old id still explains itself."""
    named = {name: values[name]["value"] if name in values else None for name in ("title", *FOUND_FIRST, "gtin")}
    return {
        "product_id": product_id, "state": "merged" if merged_into else "gone", "merged_into": merged_into, **named,
        "price_min": None, "price_max": None, "currency": None, "offers": 0, "suppliers": 0,
        "values": list(values.values()), "founded_by": founded_by, "run": run, "gone": False,
    }  # fmt: skip
