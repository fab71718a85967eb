"""The deciding stage: tables in, decisions, products and what happened to product ids out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from endcap import schema
from endcap.decide.categories import category_rows
from endcap.decide.deciding import Ruling, rule
from endcap.decide.fields import carried_along, spoken_of, value_rows
from endcap.decide.inputs import Inputs, read_inputs
from endcap.decide.policy import policy_id
from endcap.decide.products import rebuild_products
from endcap.decide.promised import Thresholds
from endcap.decide.restoring import Past, brought_back
from endcap.lake.tables import differing
from endcap.settings import Catalog, Policy

EVENT_WORDS = {
    "founded": "founded by this offer", "absorbed": "this offer joined", "split": "this offer left for another product",
    "merged": "all its offers went to another product", "gone": "no offer is left", "revived": "an offer came back",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decided:
    """Rows to append: what changed in this run."""

    decisions: pa.Table
    products: pa.Table
    events: pa.Table


@dataclass(frozen=True, slots=True)
class Tried:
    """Another model than the champion, which decides for some offers."""

    model_id: str
    offers: frozenset[str]


def decide(
    con: duckdb.DuckDBPyConnection, catalog: Catalog, *, open_ids: pa.Array, touched_ids: pa.Array, vanished_ids: pa.Array,
    overrides: pa.Table, model_id: str, run: int, allowed: Thresholds | None = None, answered_after: int = 0,
    today: str = "", past: Past | None = None, tried: Tried | None = None, off: Mapping[str, str] | None = None, reread_ids: pa.Array | None = None,
) -> Decided:  # fmt: skip
    """Decide the open offers and rebuild the products of all touched ones.

    `open_ids`: offers whose place is to be decided (new, changed, answered by a person, or all under a new model);
    `touched_ids`: offers of which anything changed, e.g. a price; `vanished_ids`: offers no longer delivered.
    `con` shows the tables with this run's offers, facts and pairs in them. `allowed` says from which likeness on links are made by machine;
    answers up to override `answered_after` were taken in before; `today` is the newest delivery date, past which an answer may hold no more.
    `off` are offers about which a switch lets nobody but a person decide, with why; of `reread_ids` other facts are believed now;
    `tried` names offers for which another model than `model_id` scored.
    With a `past` the tables show an earlier run (`look_back`), and what is not decided here is brought back from it.
    """
    touched_ids = pa.concat_arrays([_strings(touched_ids), _strings(vanished_ids)])

    def model_of(offer_id: str) -> str:
        return tried.model_id if tried and offer_id in tried.offers else model_id

    reread = _strings(reread_ids).to_pylist() if reread_ids is not None else ()
    inputs = read_inputs(con, _strings(open_ids), touched_ids, overrides, catalog.policy, answered_after=answered_after, model_of=model_of, today=today)
    rulings = rule(inputs, catalog.policy, allowed, off)
    vanished = _vanished_decisions(con, vanished_ids, run)
    was = _products_of(con)
    now = {offer_id: ruling.product_id for offer_id, ruling in rulings.items() if ruling.product_id}
    spoken = spoken_of(con, overrides, answered_after)
    touched = set(now.values()) | set(inputs.before.values()) | set(was.values()) | spoken | (set(past.founded) if past else set())
    members = _members(con, touched, rulings)
    if past is not None:
        now, inputs = _with_moved(con, now, inputs, past)
    merged = _merged(inputs, touched, members, now)
    trust = {name: feed.trust for name, feed in catalog.feeds.items()}
    said = carried_along(inputs.answers.fields, merged)
    products, doubts = rebuild_products(con, members, touched, merged, trust, run, said, _as_of(inputs))
    decisions = pa.concat_tables(
        [
            _decision_rows(inputs, rulings, catalog.policy, model_of, run),
            category_rows(con, catalog.policy, members, spoken, said, run, off or {}, reread), vanished,
            value_rows(con, doubts, touched, set(_strings(vanished_ids).to_pylist()), policy_id(catalog.policy), run),
        ]
    )  # fmt: skip
    events = _events(inputs, now, was, products, run)
    if past is not None:
        return Decided(brought_back(con, schema.Decision, decisions, run), brought_back(con, schema.Product, products, run), events)
    return Decided(differing(con, schema.Decision, decisions), differing(con, schema.Product, products), events)


def _with_moved(con: duckdb.DuckDBPyConnection, now: Mapping[str, str], inputs: Inputs, past: Past) -> tuple[dict[str, str], Inputs]:
    """Where every offer goes that is elsewhere now, decided here or brought back, with the product it is in now as the one before."""
    con.register("moved", pa.table({"offer_id": pa.array(past.moved.keys(), pa.string())}))
    back = con.execute("SELECT offer_id, product_id FROM decisions SEMI JOIN moved USING (offer_id) SEMI JOIN offers USING (offer_id) WHERE kind = 'product'")
    goes = {offer_id: product_id for offer_id, product_id in back.fetchall() if product_id and offer_id not in inputs.offers} | dict(now)
    return goes, replace(inputs, before={**inputs.before, **past.moved}, states={**inputs.states, **past.states})


def _as_of(inputs: Inputs) -> dict[str, int]:
    """Products that an answer had changed which was taken back, with the run before which their values stood without it."""
    found: dict[str, int] = {}
    for offer_id, was in inputs.restored.items():
        for product_id in (was.product_id, inputs.before.get(offer_id)):
            if product_id is not None:
                found[product_id] = min(was.run, found.get(product_id, was.run))
    return found


def _strings(array: Any) -> pa.Array:
    combined = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    return combined.cast(pa.string())


def _products_of(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The product of each touched offer before this run."""
    rows = con.execute(
        "SELECT offer_id, product_id FROM decisions SEMI JOIN touched_ids USING (offer_id) WHERE kind = 'product' AND product_id IS NOT NULL"
    ).fetchall()
    return dict(rows)


def _members(con: duckdb.DuckDBPyConnection, touched: set[str], rulings: Mapping[str, Ruling]) -> dict[str, str]:
    """Offer -> product for every live offer of a touched product, as decided in this run."""
    con.register("touched_products", pa.table({"product_id": pa.array(sorted(touched), pa.string())}))
    rows = con.execute("""
        SELECT d.offer_id, d.product_id FROM decisions d SEMI JOIN touched_products USING (product_id) SEMI JOIN offers o ON o.offer_id = d.offer_id
        WHERE d.kind = 'product' ORDER BY d.offer_id
    """).fetchall()
    members = {offer_id: product_id for offer_id, product_id in rows if offer_id not in rulings}
    members.update({offer_id: ruling.product_id for offer_id, ruling in rulings.items() if ruling.product_id})
    return dict(sorted(members.items()))


def _merged(inputs: Inputs, touched: set[str], members: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Products left without offers, each with the product that most of its offers went to."""
    kept = set(members.values())
    went: dict[str, Counter[str]] = {}
    for offer_id, product_id in inputs.before.items():
        if product_id not in kept and offer_id in now:
            went.setdefault(product_id, Counter())[now[offer_id]] += 1
    return {product_id: min(into, key=lambda one: (-into[one], one)) for product_id, into in went.items() if product_id in touched}


def _decision_rows(inputs: Inputs, rulings: Mapping[str, Ruling], policy: Policy, model_of: Callable[[str], str], run: int) -> pa.Table:
    policy_hash = policy_id(policy)
    rows = [
        {
            "offer_id": ruling.offer_id, "kind": "product", "action": ruling.action, "product_id": ruling.product_id,
            "proposed_product_id": ruling.proposed_product_id, "counterpart_offer_id": ruling.counterpart_offer_id, "value": None,
            "confidence": ruling.confidence, "reason_code": ruling.reason_code, "reason": ruling.reason, "decided_by": ruling.decided_by,
            "override_id": ruling.override_id, "model": model_of(ruling.offer_id) if ruling.decided_by == "machine" else None, "policy": policy_hash,
            "identity_hash": inputs.offers[ruling.offer_id].identity_hash, "run": run, "gone": False,
        }
        for ruling in rulings.values()
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=schema.arrow_schema(schema.Decision))


def _vanished_decisions(con: duckdb.DuckDBPyConnection, vanished_ids: pa.Array, run: int) -> pa.Table:
    """Decisions on offers that are no longer delivered end; the log keeps them, for the day the offer returns."""
    con.register("vanished_ids", pa.table({"offer_id": _strings(vanished_ids)}))
    found = con.sql("SELECT * FROM decisions SEMI JOIN vanished_ids USING (offer_id) ORDER BY offer_id, kind").to_arrow_table()
    found = found.cast(schema.arrow_schema(schema.Decision))
    found = found.set_column(found.schema.get_field_index("run"), "run", pa.repeat(pa.scalar(run, pa.int64()), found.num_rows))
    ended = found.set_column(found.schema.get_field_index("gone"), "gone", pa.repeat(pa.scalar(True), found.num_rows))
    return ended.cast(schema.arrow_schema(schema.Decision))


def _events(inputs: Inputs, now: Mapping[str, str], was: Mapping[str, str], products: pa.Table, run: int) -> pa.Table:
    """What happened to product identities, one row each, sorted."""
    rows: set[tuple[str, str, str | None, str]] = set()
    founders = {row["product_id"]: row["founded_by"] for row in products.select(["product_id", "founded_by"]).to_pylist()}
    for offer_id, product_id in now.items():
        former = inputs.before.get(offer_id)
        if product_id not in inputs.taken and founders.get(product_id) == offer_id:
            rows.add((product_id, "founded", None, offer_id))
        elif former != product_id:
            rows.add((product_id, "absorbed", None, offer_id))
        if former is not None and former != product_id:
            rows.add((former, "split", product_id, offer_id))
        if inputs.states.get(product_id) in ("gone", "merged"):
            rows.add((product_id, "revived", None, offer_id))
    ended = products.filter(pc.is_in(products["state"], pa.array(["merged", "gone"])))
    for row in ended.select(["product_id", "state", "merged_into", "founded_by"]).to_pylist():
        if inputs.states.get(row["product_id"]) == "live" or row["product_id"] in was.values():
            rows.add((row["product_id"], row["state"], row["merged_into"], row["founded_by"]))
    return pa.Table.from_pylist(
        [
            {"product_id": product_id, "event": event, "into_product_id": into, "offer_id": offer_id, "reason": EVENT_WORDS[event], "run": run, "gone": False}
            for product_id, event, into, offer_id in sorted(rows, key=lambda row: (row[0], row[1], row[3], row[2] or ""))
        ],
        schema=schema.arrow_schema(schema.ProductEvent),
    )  # fmt: skip
