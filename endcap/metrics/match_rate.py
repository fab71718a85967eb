"""Match rate: the share of delivered offers that share a product with another offer, by the four steps that lead there."""

from __future__ import annotations

from typing import Any

import duckdb

from endcap.metrics import Figure, Slice, share, share_slice

NAME = "match_rate"
VERSION = 1
GRAIN = "delivered record of each feed's newest accepted delivery, repeats left out"
DIRECTION = "up"
MIN_N = 200
GUARD_RAILS = ("audited success", "duplicate products", "new products per 100 offers")
STEPS = ("valid", "candidate", "scored", "matched")
STEP_WORDS = {
    "valid": "valid record", "candidate": "candidate found", "scored": "scored high enough to link or to ask", "matched": "in a product with another offer",
}  # fmt: skip

# Each step holds only what passed the step before, so the rates multiply to the match rate exactly.
RECORDS_SQL = """
WITH compared AS (SELECT left_id AS offer_id FROM pairs UNION SELECT right_id FROM pairs),
shared AS (
    SELECT offer_id, action, product_id IS NOT NULL AND count(*) OVER (PARTITION BY product_id) > 1 AS matched
    FROM decisions WHERE kind = 'product'
), placed AS (
    SELECT o.offer_id, o.supplier, coalesce(k.value, '') AS category, coalesce(s.matched, false) AS matched,
           coalesce(s.matched OR s.action IN ('linked', 'to_review'), false) AS scored, c.offer_id IS NOT NULL AS compared
    FROM offers o LEFT JOIN shared s ON s.offer_id = o.offer_id LEFT JOIN compared c ON c.offer_id = o.offer_id
    LEFT JOIN decisions k ON k.offer_id = o.offer_id AND k.kind = 'category'
), newest AS (
    SELECT delivery_id, supplier FROM deliveries WHERE state = 'accepted'
    QUALIFY row_number() OVER (PARTITION BY feed ORDER BY date DESC, delivery_id DESC) = 1
)
SELECT offer_id, supplier, category, true AS valid, compared OR scored AS candidate, scored, matched FROM placed
UNION ALL
SELECT NULL, n.supplier, '', false, false, false, false FROM quarantined q JOIN newest n ON n.delivery_id = q.delivery_id
"""
SQL = f"""
SELECT supplier, category, count(*) AS delivered, count(*) FILTER (valid) AS valid, count(*) FILTER (candidate) AS candidate,
       count(*) FILTER (scored) AS scored, count(*) FILTER (matched) AS matched
FROM ({RECORDS_SQL}) GROUP BY supplier, category ORDER BY supplier, category
"""


def measure(con: duckdb.DuckDBPyConnection, min_n: int = MIN_N) -> list[Figure]:
    """The match rate with a slice a step (of what reached it) and a slice a supplier."""
    rows = con.execute(SQL).fetchall()
    reached = [sum(row[at] for row in rows) for at in range(2, 7)]
    slices: list[Slice] = [share_slice("step", STEP_WORDS[step], reached[at + 1], reached[at], min_n) for at, step in enumerate(STEPS)]
    for by, column in (("supplier", 0), ("category", 1)):
        for name in sorted({row[column] for row in rows}):
            mine = [row for row in rows if row[column] == name]
            slices.append(share_slice(by, name or f"no {by}", sum(row[6] for row in mine), sum(row[2] for row in mine), min_n))
    return [
        share(
            name=NAME,
            version=VERSION,
            label="Match rate",
            counted=reached[4],
            n=reached[0],
            direction=DIRECTION,
            min_n=min_n,
            slices=slices,
            words="delivered records that share a product with another offer",
        )
    ]


CASES: list[tuple[dict[str, list[dict[str, Any]]], dict[str, tuple[float | None, int]]]] = [
    ({}, {"match_rate": (None, 0)}),
    (
        {
            "deliveries": [{"delivery_id": "a@1", "feed": "a", "supplier": "a", "state": "accepted"}],
            "quarantined": [{"delivery_id": "a@1", "position": 5}],
            "offers": [{"offer_id": f"a:{i}", "supplier": "a"} for i in range(1, 5)],
            "pairs": [{"left_id": "a:1", "right_id": "a:2"}, {"left_id": "a:1", "right_id": "a:3"}],
            "decisions": [
                {"offer_id": "a:1", "kind": "product", "action": "new_product", "product_id": "p1"},
                {"offer_id": "a:2", "kind": "product", "action": "linked", "product_id": "p1"},
                {"offer_id": "a:3", "kind": "product", "action": "to_review"},
                {"offer_id": "a:4", "kind": "product", "action": "new_product", "product_id": "p2"},
            ],
        },
        {"match_rate": (0.4, 5)},
    ),
]
