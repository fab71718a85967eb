"""What deciding needs to see of the tables: the open offers, their edges, and the products within reach of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from endcap.decide.answers import Answers, standing
from endcap.decide.policy import Edge
from endcap.decide.stated import agree
from endcap.decide.suspicion import placeholder_gtins
from endcap.ops.home import run_of
from endcap.settings import Policy


@dataclass(frozen=True, slots=True)
class OpenOffer:
    """An offer to be decided now. `title_before` is set where the supplier changed what the id names."""

    offer_id: str
    feed: str
    title: str
    gtin: str | None
    identity_hash: int
    title_before: str | None
    gtin_before: str | None


@dataclass(frozen=True, slots=True)
class Restored:
    """What was decided of an offer before a person's answer that was taken back, and the run that took the answer in."""

    run: int
    action: str
    product_id: str | None
    confidence: float
    reason_code: str
    reason: str
    proposed_product_id: str | None
    counterpart_offer_id: str | None


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything one run of deciding looks at, by id."""

    offers: Mapping[str, OpenOffer]
    edges: tuple[Edge, ...]  # best first
    stated: Mapping[str, Mapping[str, str]]  # offer within reach -> name -> value, of what must not contradict within a product
    answers: Answers
    before: Mapping[str, str]  # open offer -> the product that it, or the one it succeeds, last belonged to, redirects followed
    settled: Mapping[str, Mapping[str, str]]  # product -> offers not open now -> their feed
    founders: Mapping[str, str]  # known product within reach -> its founding offer
    states: Mapping[str, str]  # known product within reach -> its state
    taken: frozenset[str]  # product ids that new ones must not repeat
    reopened: frozenset[str] = frozenset()  # open offers of which nothing changed: another offer now links their product to a larger one
    placeless: frozenset[str] = frozenset()  # open offers that wait now, of no product, whatever they belonged to before
    restored: Mapping[str, Restored] = field(default_factory=dict)  # open offers whose answer was taken back, with what was decided before it
    named: Mapping[str, str] = field(default_factory=dict)  # open offers that changed since a person placed them -> their title then


def read_inputs(
    con: duckdb.DuckDBPyConnection, open_ids: pa.Array, touched_ids: pa.Array, overrides: pa.Table, policy: Policy | None = None, *,
    answered_after: int = 0, model_of: Callable[[str], str] = lambda _offer_id: "", today: str = "",
) -> Inputs:  # fmt: skip
    """Read with plain SQL what is within reach of the open and touched offers; all else stays unseen and unchanged.

    What a person placed with an open offer is open too, so that what people put together moves together.
    With a policy: where an open offer is alike to two products that could be one, the offers of the smaller are open too, so that the
    two can be merged. Answers up to override `answered_after` were taken in by earlier runs; what was decided before one of them that was
    taken back since is restored, as long as the offer and the model are what they were. `today` is the newest delivery date.
    """
    con.register("touched_ids", pa.table({"offer_id": touched_ids}))
    con.register("placeholder_gtins", placeholder_gtins(con, policy.marketplaces if policy else ()))
    redirects = dict(con.execute("SELECT product_id, merged_into FROM products WHERE merged_into IS NOT NULL").fetchall())

    def resolve(product_id: str) -> str:
        while product_id in redirects:
            product_id = redirects[product_id]
        return product_id

    answers = standing(overrides, resolve, today)
    open_ids = pa.concat_arrays([open_ids, pa.array(answers.following(open_ids.to_pylist()), pa.string())])
    con.register("open_ids", pa.table({"offer_id": open_ids}))
    reopened = [] if policy is None else _reopened(con, policy, answers)
    con.register("open_ids", pa.table({"offer_id": pa.concat_arrays([open_ids, pa.array(reopened, pa.string())])}))
    offers = _open_offers(con)
    last = _succeeded(con) | dict(con.execute(_LAST_PRODUCT).fetchall())
    before = {offer_id: resolve(product_id) for offer_id, product_id in sorted(last.items()) if offer_id in offers}
    placements = [placement for offer_id, placement in answers.placed.items() if offer_id in offers]
    placed = {placement.product_id for placement in placements if placement.product_id}
    counterparts = sorted({placement.counterpart for placement in placements if placement.counterpart})
    con.register("counterparts", pa.table({"offer_id": pa.array(counterparts, pa.string())}))
    settled = _settled(con, placed | set(before.values()))
    stated = _stated(con, settled)
    products = con.execute(
        "SELECT product_id, founded_by, state FROM products WHERE product_id IN (SELECT product_id FROM reach)"
    ).fetchall()  # fmt: skip
    return Inputs(
        offers=offers,
        edges=_edges(con, stated),
        stated=stated,
        answers=answers,
        before=before,
        settled=settled,
        founders={product_id: founder for product_id, founder, _state in products},
        states={product_id: state for product_id, _founder, state in products},
        taken=frozenset(product_id for (product_id,) in con.execute("SELECT product_id FROM products").fetchall()),
        reopened=frozenset(reopened),
        placeless=frozenset(offer_id for (offer_id,) in con.execute(_PLACELESS).fetchall()),
        restored=_restored(con, overrides, offers, answers, answered_after, model_of),
        named=_named_then(con, offers, answers),
    )


_PLACELESS = "SELECT offer_id FROM decisions SEMI JOIN open_ids USING (offer_id) WHERE kind = 'product' AND product_id IS NULL ORDER BY 1"

_LAST_PRODUCT = """
    SELECT offer_id, arg_max(product_id, run) FROM decisions_log SEMI JOIN open_ids USING (offer_id)
    WHERE kind = 'product' AND product_id IS NOT NULL GROUP BY offer_id ORDER BY offer_id
"""

# A supplier that numbers its offers anew: one that is new says just what one says that it ends with, and goes on in its place.
_SUCCEEDED = """
    WITH said AS (
        SELECT offer_id, run, gone, hash(feed, title, brand, description, category_path, gtin, mpn, quantity_text, details_json) AS says
        FROM offers_log SEMI JOIN (FROM ended_ids UNION FROM open_ids) USING (offer_id)),
    ended AS (SELECT offer_id, arg_max(says, run) AS says FROM said SEMI JOIN ended_ids USING (offer_id) WHERE NOT gone GROUP BY offer_id),
    begun AS (SELECT offer_id, min(says) AS says FROM said SEMI JOIN open_ids USING (offer_id) GROUP BY offer_id HAVING count(*) = 1)
    SELECT min(b.offer_id), min(d.product_id) FROM begun b JOIN ended e USING (says)
    JOIN decisions d ON d.offer_id = e.offer_id AND d.kind = 'product' AND d.product_id IS NOT NULL
    GROUP BY says HAVING count(*) = 1 ORDER BY 1
"""

# What two offers both state and state differently: no likeness outweighs it. `pairs.conflict` holds what matching saw by itself.
CONTRADICTING = ("colour", "pack_count", "quantity", "size")
SURE_FACT = 0.7

_EDGES = """
    SELECT p.left_id, p.right_id, p.score, p.conflict, coalesce(l.gtin = r.gtin, false) AND l.gtin NOT IN (SELECT gtin FROM placeholder_gtins) AS same_gtin,
           CASE WHEN l.currency IS NOT DISTINCT FROM r.currency AND l.price > 0 AND r.price > 0
                THEN greatest(l.price::DOUBLE / r.price::DOUBLE, r.price::DOUBLE / l.price::DOUBLE) END AS price_ratio
    FROM pairs p JOIN offers l ON l.offer_id = p.left_id JOIN offers r ON r.offer_id = p.right_id
    WHERE p.left_id IN (SELECT offer_id FROM open_ids) OR p.right_id IN (SELECT offer_id FROM open_ids)
    ORDER BY p.score DESC, p.left_id, p.right_id
"""

_STATED = f"""
    WITH seen AS (
        SELECT offer_id FROM open_ids UNION SELECT offer_id FROM settled_offers
        UNION SELECT p.right_id FROM pairs p SEMI JOIN open_ids ON open_ids.offer_id = p.left_id
        UNION SELECT p.left_id FROM pairs p SEMI JOIN open_ids ON open_ids.offer_id = p.right_id)
    SELECT offer_id, replace(attribute, '_', ' ') AS name, value || coalesce(' ' || unit, '') AS value FROM facts SEMI JOIN seen USING (offer_id)
    WHERE attribute IN {CONTRADICTING} AND confidence >= {SURE_FACT}
    UNION ALL SELECT offer_id, 'GTIN', gtin FROM offers SEMI JOIN seen USING (offer_id)
    WHERE gtin IS NOT NULL AND gtin NOT IN (SELECT gtin FROM placeholder_gtins)
    ORDER BY 1, 2
"""

# What an offer was called when it last had a product: however often it was asked about since, that is what it is compared with.
_OPEN_OFFERS = """
    WITH last_placed AS (
        SELECT offer_id, max(run) AS run FROM decisions_log SEMI JOIN open_ids USING (offer_id)
        WHERE kind = 'product' AND product_id IS NOT NULL AND NOT gone GROUP BY offer_id)
    SELECT o.offer_id, o.feed, o.title, o.gtin, o.identity_hash, b.title, b.gtin
    FROM offers o SEMI JOIN open_ids USING (offer_id)
    LEFT JOIN (SELECT l.offer_id, arg_max(l.title, l.run) AS title, arg_max(l.gtin, l.run) AS gtin, arg_max(l.identity_hash, l.run) AS identity_hash
               FROM offers_log l JOIN last_placed p ON p.offer_id = l.offer_id AND l.run <= p.run WHERE NOT l.gone GROUP BY l.offer_id) b
      ON b.offer_id = o.offer_id AND b.identity_hash <> o.identity_hash
    ORDER BY o.offer_id
"""


_TAKEN_BACK = pa.schema([("override_id", pa.int64()), ("offer_id", pa.string()), ("action", pa.string()), ("given_in", pa.int64())])
# The decision before the first one that an answer made, for answers that were taken in and taken back since. What a 'different' led to bears the
# answer's number nowhere: it is what the next run after it decided of its offer.
_RESTORED = """
    WITH parted AS (
        SELECT t.offer_id, (SELECT min(run) FROM decisions_log WHERE run > t.given_in) AS run FROM taken_back t WHERE t.action = 'different'),
    led AS (
        SELECT l.offer_id, l.run FROM decisions_log l SEMI JOIN taken_back t ON t.override_id = l.override_id WHERE l.kind = 'product'
        UNION ALL SELECT l.offer_id, l.run FROM decisions_log l SEMI JOIN parted USING (offer_id, run) WHERE l.kind = 'product'),
    made AS (SELECT offer_id, min(run) AS run FROM led SEMI JOIN open_ids USING (offer_id) GROUP BY offer_id)
    SELECT l.offer_id, l.identity_hash, l.model, l.decided_by, m.run, l.action, l.product_id, l.confidence, l.reason_code, l.reason, l.proposed_product_id,
           l.counterpart_offer_id
    FROM decisions_log l JOIN made m ON m.offer_id = l.offer_id AND l.run < m.run WHERE l.kind = 'product'
    QUALIFY row_number() OVER (PARTITION BY l.offer_id ORDER BY l.run DESC) = 1 AND NOT l.gone ORDER BY l.offer_id
"""

# Settled offers of each product that an open offer may be linked to, with the open offer.
_REACHED = """
    WITH ends AS (
        SELECT left_id AS open_id, right_id AS offer_id FROM pairs WHERE score >= $accept AND conflict IS NULL
        UNION ALL SELECT right_id, left_id FROM pairs WHERE score >= $accept AND conflict IS NULL),
    reached AS (
        SELECT DISTINCT e.open_id, d.product_id FROM ends e SEMI JOIN open_ids o ON o.offer_id = e.open_id
        ANTI JOIN open_ids n ON n.offer_id = e.offer_id JOIN decisions d ON d.offer_id = e.offer_id
        WHERE d.kind = 'product' AND d.product_id IS NOT NULL),
    several AS (SELECT open_id FROM reached GROUP BY open_id HAVING count(*) > 1)
    SELECT r.open_id, r.product_id, d.offer_id, o.feed FROM reached r SEMI JOIN several s ON s.open_id = r.open_id
    JOIN decisions d ON d.product_id = r.product_id AND d.kind = 'product' JOIN offers o ON o.offer_id = d.offer_id
    ANTI JOIN open_ids n ON n.offer_id = d.offer_id ORDER BY 1, 2, 3
"""


def _reopened(con: duckdb.DuckDBPyConnection, policy: Policy, answers: Answers) -> list[str]:
    """The settled offers of products that one open offer links to a larger product of other feeds, in order.

    An offer of which a person said where it belongs, or does not, is no reason to look at others again.
    """
    offers: dict[str, dict[str, str]] = {}
    reached: dict[str, set[str]] = {}
    for open_id, product_id, offer_id, feed in con.execute(_REACHED, {"accept": policy.accept}).fetchall():
        offers.setdefault(product_id, {})[offer_id] = feed
        if open_id not in answers.placed and open_id not in answers.apart:
            reached.setdefault(open_id, set()).add(product_id)
    smaller: set[str] = set()
    for products in reached.values():
        largest, *others = sorted(products, key=lambda one: (-len(offers[one]), one))
        held = offers[largest]
        smaller |= {
            one for one in others if len(offers[one]) + len(held) <= policy.max_cluster
            and set(offers[one].values()).isdisjoint(set(held.values()) - set(policy.marketplaces))
        }  # fmt: skip
    return sorted(offer_id for product_id in smaller for offer_id in offers[product_id])


def _restored(
    con: duckdb.DuckDBPyConnection, overrides: pa.Table, offers: Mapping[str, OpenOffer], answers: Answers, after: int, model_of: Callable[[str], str]
) -> dict[str, Restored]:
    rows = overrides.select(["override_id", "undoes", "offer_id", "action", "snapshot_id"]).to_pylist()
    undone = {row["undoes"] for row in rows if row["undoes"] is not None and row["override_id"] > after >= row["undoes"]}
    if not undone:
        return {}
    given = [row | {"given_in": run_of(row["snapshot_id"])} for row in rows if row["override_id"] in undone]
    con.register("taken_back", pa.Table.from_pylist(given, schema=_TAKEN_BACK))
    found: dict[str, Restored] = {}
    for offer_id, identity_hash, model, decided_by, *was in con.execute(_RESTORED).fetchall():
        unchanged = identity_hash == offers[offer_id].identity_hash and decided_by == "machine" and model == model_of(offer_id)
        if unchanged and offer_id not in answers.placed:
            found[offer_id] = Restored(*was)
    return found


def _named_then(con: duckdb.DuckDBPyConnection, offers: Mapping[str, OpenOffer], answers: Answers) -> dict[str, str]:
    changed = {
        offer_id: placement.identity_hash
        for offer_id, placement in sorted(answers.placed.items())
        if offer_id in offers and offers[offer_id].identity_hash != placement.identity_hash
    }
    if not changed:
        return {}
    con.register("placed_then", pa.table({"offer_id": list(changed), "identity_hash": pa.array(changed.values(), pa.int64())}))
    return dict(
        con.execute("SELECT offer_id, arg_max(title, run) FROM offers_log SEMI JOIN placed_then USING (offer_id, identity_hash) GROUP BY offer_id").fetchall()
    )


def _succeeded(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Open offers that are new, with the product of the one offer that ended and said the same."""
    ended = con.sql("SELECT offer_id FROM touched_ids ANTI JOIN offers USING (offer_id)").to_arrow_table()
    con.register("ended_ids", ended)
    return dict(con.execute(_SUCCEEDED).fetchall()) if ended.num_rows else {}


def _open_offers(con: duckdb.DuckDBPyConnection) -> dict[str, OpenOffer]:
    return {row[0]: OpenOffer(*row) for row in con.execute(_OPEN_OFFERS).fetchall()}


def _edges(con: duckdb.DuckDBPyConnection, stated: Mapping[str, Mapping[str, str]]) -> tuple[Edge, ...]:
    rows = con.execute(_EDGES).fetchall()
    return tuple(
        Edge(left, right, score, conflict or contradiction(stated.get(left, {}), stated.get(right, {})), same_gtin, price_ratio)
        for left, right, score, conflict, same_gtin, price_ratio in rows
    )


def contradiction(left: Mapping[str, str], right: Mapping[str, str]) -> str | None:
    """What two sets of stated values say differently, in words; None where nothing contradicts."""
    words = [f"{name} {left[name]} against {right[name]}" for name in sorted(left.keys() & right.keys()) if not agree(left[name], right[name])]
    return "; ".join(words) or None


def _stated(con: duckdb.DuckDBPyConnection, settled: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """For each offer within reach, the values that must not contradict within one product."""
    con.register("settled_offers", pa.table({"offer_id": pa.array(sorted(offer_id for offers in settled.values() for offer_id in offers), pa.string())}))
    found: dict[str, dict[str, str]] = {}
    for offer_id, name, value in con.execute(_STATED).fetchall():
        found.setdefault(offer_id, {})[name] = value
    return found


def _settled(con: duckdb.DuckDBPyConnection, products: Iterable[str]) -> dict[str, dict[str, str]]:
    """Products within reach (of the open offers' pairs, of what touched offers belong to, and the given ones) with their settled offers."""
    con.register("given_products", pa.table({"product_id": pa.array(sorted(products), pa.string())}))
    con.execute("""
        CREATE OR REPLACE TEMP TABLE reach AS
        WITH near AS (
            SELECT p.right_id AS offer_id FROM pairs p SEMI JOIN open_ids ON open_ids.offer_id = p.left_id
            UNION SELECT p.left_id FROM pairs p SEMI JOIN open_ids ON open_ids.offer_id = p.right_id
            UNION SELECT offer_id FROM touched_ids UNION SELECT offer_id FROM open_ids UNION SELECT offer_id FROM counterparts)
        SELECT product_id FROM decisions SEMI JOIN near USING (offer_id) WHERE kind = 'product' AND product_id IS NOT NULL
        UNION SELECT product_id FROM given_products
    """)
    rows: list[tuple[Any, ...]] = con.execute("""
        SELECT d.product_id, d.offer_id, o.feed FROM decisions d SEMI JOIN reach USING (product_id) JOIN offers o USING (offer_id)
        ANTI JOIN open_ids ON open_ids.offer_id = d.offer_id WHERE d.kind = 'product' ORDER BY 1, 2
    """).fetchall()
    found: dict[str, dict[str, str]] = {}
    for product_id, offer_id, feed in rows:
        found.setdefault(product_id, {})[offer_id] = feed
    return found
