"""Tail selection coverage: the share of rarely sold offers that a shopper can find in the catalog."""

from __future__ import annotations

from typing import Any

import duckdb

from endcap.metrics import Figure, Slice, as_of, not_enough, share, share_slice

NAME = "tail_coverage"
VERSION = 1
GRAIN = "live tail offer, quarantined records of each feed's newest accepted delivery included"
DIRECTION = "up"
MIN_N = 200
GUARD_RAILS = ("duplicate products", "new products per 100 offers", "id churn", "head coverage")

# Demand is the number of offers as long as no units, clicks or views are known; the head is the smallest set of a
# category's products that holds 80 % of it, and everything else is tail, what belongs to no product too.
SQL = """
WITH ranked AS (
    SELECT product_id, coalesce(category, '') AS category,
           coalesce(sum(offers) OVER (PARTITION BY coalesce(category, '') ORDER BY offers DESC, product_id
                                      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS demand_before,
           sum(offers) OVER (PARTITION BY coalesce(category, '')) AS demand
    FROM products WHERE state = 'live'
), placed AS (
    SELECT o.offer_id AS unit, o.supplier, coalesce(r.category, '') AS category,
           coalesce(r.demand_before < 0.8 * r.demand, false) AS head,
           r.product_id IS NOT NULL AND coalesce(d.action IN ('linked', 'new_product'), false)
           AND coalesce(c.action = 'accepted', false) AND o.available IS DISTINCT FROM false AS covered
    FROM offers o
    LEFT JOIN decisions d ON d.offer_id = o.offer_id AND d.kind = 'product'
    LEFT JOIN decisions c ON c.offer_id = o.offer_id AND c.kind = 'category'
    LEFT JOIN ranked r ON r.product_id = d.product_id
), newest AS (
    SELECT delivery_id, supplier FROM deliveries WHERE state = 'accepted'
    QUALIFY row_number() OVER (PARTITION BY feed ORDER BY date DESC, delivery_id DESC) = 1
)
SELECT unit, supplier, category, covered FROM placed WHERE NOT head
UNION ALL
SELECT NULL, n.supplier, '', false FROM quarantined q JOIN newest n ON n.delivery_id = q.delivery_id
"""


def measure(con: duckdb.DuckDBPyConnection, min_n: int = MIN_N) -> list[Figure]:
    """Coverage now, and its increase since the first run on the tail as it was then."""
    rows = con.execute(
        f"SELECT supplier, category, count(*), count(*) FILTER (covered), grouping(supplier, category) FROM ({SQL}) "
        "GROUP BY GROUPING SETS ((), (supplier), (category)) ORDER BY 5, 1, 2"
    ).fetchall()
    n, covered = next(((row[2], row[3]) for row in rows if row[4] == 3), (0, 0))
    slices = [_slice(row, min_n) for row in rows if row[4] != 3]
    now = share(
        name=NAME, version=VERSION, label="Tail selection coverage", counted=covered, n=n, direction=DIRECTION, min_n=min_n, slices=slices,
        words="tail by number of offers, since no demand is known; covered = linked, category accepted, buyable, in this snapshot",
    )  # fmt: skip
    return [now, _increase(con, min_n)]


def _slice(row: tuple[Any, ...], min_n: int) -> Slice:
    by, name = ("supplier", row[0]) if row[4] == 1 else ("category", row[1] or "no category")
    return share_slice(by, name, row[3], row[2], min_n)


def _increase(con: duckdb.DuckDBPyConnection, min_n: int) -> Figure:
    """100 * (c1 - c0) / c0 on the offers that were tail after the first run and are still delivered."""
    label, unit = "Increase of tail selection coverage", "%"
    first, last = con.execute("SELECT min(run), max(run) FROM products_log").fetchone() or (None, None)
    if first is None or first == last:
        words = f"{not_enough(0)}: it needs a second run to compare with the first"
        return Figure(f"{NAME}.increase", VERSION, label, None, 0, None, None, unit, words, DIRECTION)
    covered = SQL.replace("WHERE NOT head", "")
    con.execute(f"CREATE OR REPLACE TEMP TABLE tail_then AS {as_of(first, SQL)}")
    n, then, now = con.execute(
        f"SELECT count(*), count(*) FILTER (t.covered), count(*) FILTER (u.covered) FROM tail_then t JOIN ({covered}) u ON u.unit = t.unit"
    ).fetchone() or (0, 0, 0)
    con.execute("DROP TABLE tail_then")
    if n < min_n or not then:
        words = f"{not_enough(n)}: tail offers of the first run that are still delivered"
        return Figure(f"{NAME}.increase", VERSION, label, None, n, None, None, unit, words, DIRECTION)
    words = f"of the {n:,} offers that were tail after run {first} and are still delivered, {then:,} were covered then and {now:,} are now"
    return Figure(f"{NAME}.increase", VERSION, label, 100 * (now - then) / then, n, None, None, unit, words, DIRECTION)


_PRODUCTS = [
    {"product_id": "p1", "state": "live", "category": "mugs", "offers": 8},
    {"product_id": "p2", "state": "live", "category": "mugs", "offers": 1},
    {"product_id": "p3", "state": "live", "category": "mugs", "offers": 1},
]
_OFFERS = [{"offer_id": f"a:{i}", "supplier": "a"} for i in range(1, 5)]
_DECISIONS = [
    {"offer_id": "a:1", "kind": "product", "action": "linked", "product_id": "p1"},
    {"offer_id": "a:2", "kind": "product", "action": "new_product", "product_id": "p2"},
    {"offer_id": "a:2", "kind": "category", "action": "accepted", "value": "mugs"},
    {"offer_id": "a:3", "kind": "product", "action": "new_product", "product_id": "p3"},
    {"offer_id": "a:3", "kind": "category", "action": "to_review", "value": "mugs"},
    {"offer_id": "a:4", "kind": "product", "action": "to_review"},
]
_QUARANTINE: dict[str, list[dict[str, Any]]] = {
    "deliveries": [{"delivery_id": "a@2", "feed": "a", "supplier": "a", "date": "2", "state": "accepted"}],
    "quarantined": [{"delivery_id": "a@2", "position": 9}, {"delivery_id": "a@1", "position": 9}],
}
CASES: list[tuple[dict[str, list[dict[str, Any]]], dict[str, tuple[float | None, int]]]] = [
    ({}, {"tail_coverage": (None, 0), "tail_coverage.increase": (None, 0)}),
    ({"products": _PRODUCTS, "offers": _OFFERS, "decisions": _DECISIONS}, {"tail_coverage": (1 / 3, 3)}),
    ({"products": _PRODUCTS, "offers": _OFFERS, "decisions": _DECISIONS, **_QUARANTINE}, {"tail_coverage": (1 / 4, 4)}),
    (
        {
            "products": [*_PRODUCTS, {**_PRODUCTS[0], "offers": 9, "run": 2}],
            "offers": _OFFERS,
            "decisions": [*_DECISIONS, {"offer_id": "a:3", "kind": "category", "action": "accepted", "run": 2}],
        },
        {"tail_coverage": (2 / 3, 3), "tail_coverage.increase": (100.0, 3)},
    ),
]
