"""Success of automated decisions: how much is decided without a person, how often that is right, and the yield of both."""

from __future__ import annotations

from typing import Any

import duckdb

from endcap.metrics import Figure, Slice, not_enough, share, share_slice
from endcap.metrics._audits import audited_share, audits

NAME = "automated_success"
VERSION = 3
GRAIN = "live offer with its decision"
DIRECTION = "up"
MIN_N = 200
GUARD_RAILS = ("audited success at its lower bound", "recall from audits with a wider search", "calibration of confidence")

SQL = """
SELECT o.supplier, coalesce(d.action, 'undecided') AS action, d.decided_by,
       coalesce(d.decided_by = 'machine' AND d.action IN ('linked', 'new_product'), false) AS automatic, d.confidence
FROM offers o LEFT JOIN decisions d ON d.offer_id = o.offer_id AND d.kind = 'product'
"""
# One row an automatic decision that the machine did not replace itself: whether a person changed it; an answer that was
# itself undone does not count.
STANDING_SQL = """
WITH undone AS (
    SELECT u.undoes AS override_id FROM overrides u
    WHERE u.undoes IS NOT NULL AND u.override_id NOT IN (SELECT undoes FROM overrides WHERE undoes IS NOT NULL)
), steps AS (
    SELECT action, product_id, decided_by, lead(decided_by) OVER each AS decided_after,
           lead(product_id) OVER each AS product_after, lead(override_id) OVER each AS override_after
    FROM decisions_log WHERE kind = 'product' AND NOT gone WINDOW each AS (PARTITION BY offer_id ORDER BY run)
)
SELECT coalesce(decided_after = 'person' AND product_after IS DISTINCT FROM product_id
                AND override_after NOT IN (SELECT override_id FROM undone), false) AS changed
FROM steps WHERE decided_by = 'machine' AND action IN ('linked', 'new_product') AND decided_after IS DISTINCT FROM 'machine'
"""


def measure(con: duckdb.DuckDBPyConnection, min_n: int = MIN_N) -> list[Figure]:
    """Automation rate, audited success, its proxy 'not overridden', and straight-through yield: never one number."""
    automation, success = _automation(con, min_n), _success(con, min_n)
    return [automation, success, _not_overridden(con, min_n), _yield(automation, success)]


def _automation(con: duckdb.DuckDBPyConnection, min_n: int) -> Figure:
    rows = con.execute(
        f"SELECT supplier, count(*), count(*) FILTER (automatic), count(*) FILTER (automatic AND action = 'linked') FROM ({SQL}) "
        "GROUP BY ROLLUP (supplier) ORDER BY grouping(supplier) DESC, supplier"
    ).fetchall()
    _all, n, automatic, linked = rows[0] if rows else (None, 0, 0, 0)
    slices: list[Slice] = [
        share_slice("decision", "linked", linked, n, min_n),
        share_slice("decision", "new product", automatic - linked, n, min_n),
        *(share_slice("supplier", row[0], row[2], row[1], min_n) for row in rows[1:]),
    ]
    return share(
        name=f"{NAME}.automation", version=VERSION, label="Automation rate", counted=automatic, n=n, direction=DIRECTION, min_n=min_n, slices=slices,
        words="live offers that the machine linked or founded a product for, without a person",
    )  # fmt: skip


def _success(con: duckdb.DuckDBPyConnection, min_n: int) -> Figure:
    return audited_share(
        audits(con), holds=True, min_n=min_n, name=f"{NAME}.success", version=VERSION, label="Success of automatic decisions", direction=DIRECTION,
        words="of blind random audits, each counted by its chance of being drawn; a founded product that existed already is a failure too",
    )  # fmt: skip


def _not_overridden(con: duckdb.DuckDBPyConnection, min_n: int) -> Figure:
    n, changed = con.execute(f"SELECT count(*), count(*) FILTER (changed) FROM ({STANDING_SQL})").fetchone() or (0, 0)
    return share(
        name=f"{NAME}.not_overridden", version=VERSION, label="Not overridden (proxy)", counted=n - changed, n=n, direction=DIRECTION, min_n=min_n,
        words="automatic decisions that nobody changed: a proxy only, since what nobody looks at is not overridden either",
    )  # fmt: skip


def _yield(automation: Figure, success: Figure) -> Figure:
    """Both known: their product; its interval is that of success, since automation is counted and not sampled."""
    words = "automation rate times audited success"
    if automation.value is None or success.value is None:
        words = f"{not_enough(success.n)}: {words}"
        return Figure(f"{NAME}.yield", VERSION, "Straight-through yield", None, success.n, None, None, "share", words, DIRECTION)
    rate = automation.value
    low, high = (None if bound is None else rate * bound for bound in (success.low, success.high))
    return Figure(f"{NAME}.yield", VERSION, "Straight-through yield", rate * success.value, success.n, low, high, "share", words, DIRECTION)


_AUTOMATIC = {"kind": "product", "action": "linked", "product_id": "p1", "decided_by": "machine"}
_CHANGED = {"offer_id": "a:1", "kind": "product", "action": "linked", "product_id": "p2", "decided_by": "person", "override_id": 1, "run": 2}
_FOUR: dict[str, list[dict[str, Any]]] = {
    "offers": [{"offer_id": f"a:{i}", "supplier": "a"} for i in range(1, 5)],
    "decisions": [
        {**_AUTOMATIC, "offer_id": "a:1"},
        {**_AUTOMATIC, "offer_id": "a:2", "action": "new_product"},
        {**_AUTOMATIC, "offer_id": "a:3", "action": "to_review"},
    ],
}
_ASKED = {"purpose": "audit", "probability": 0.1, "stratum": "linked", "decided": "linked", "asked_of": "ann", "action": "same"}
_FOUNDED = {**_ASKED, "probability": 0.5, "stratum": "new_product", "decided": "new_product"}
_AUDITED: dict[str, list[dict[str, Any]]] = {
    **_FOUR,
    "blind_asks": [
        {**_ASKED, "ask_id": 1, "key": "k1", "asked_of": "ben"},
        {**_ASKED, "ask_id": 2, "key": "k2"},
        {**_FOUNDED, "ask_id": 3, "key": "k3", "action": "new", "asked_of": "ben"},
        {**_FOUNDED, "ask_id": 4, "key": "k4"},
        {**_ASKED, "ask_id": 5, "action": None},
    ],
    "overrides": [{"override_id": number, "action": "same", "key": f"k{number}"} for number in range(1, 5)],
}
_FIRST = {**_FOUNDED, "ask_id": 4, "key": "k4", "offer_id": "a:2", "chosen": "p2", "run": 3}
_EVENTS = [{"product_id": "p1", "event": "founded", "offer_id": "a:2", "run": 1}, {"product_id": "p2", "event": "founded", "offer_id": "a:3", "run": 2}]
CASES: list[tuple[dict[str, list[dict[str, Any]]], dict[str, tuple[float | None, int]]]] = [
    ({}, {"automated_success.automation": (None, 0), "automated_success.not_overridden": (None, 0)}),
    (_FOUR, {"automated_success.automation": (0.5, 4), "automated_success.not_overridden": (1.0, 2), "automated_success.yield": (None, 0)}),
    (
        {**_FOUR, "decisions": [*_FOUR["decisions"], _CHANGED], "overrides": [{"override_id": 1, "action": "different"}]},
        {"automated_success.automation": (0.25, 4), "automated_success.not_overridden": (0.5, 2), "automated_success.success": (None, 0)},
    ),
    (
        {
            **_FOUR,
            "decisions": [*_FOUR["decisions"], _CHANGED],
            "overrides": [{"override_id": 1, "action": "different"}, {"override_id": 2, "action": "undo", "undoes": 1}],
        },
        {"automated_success.not_overridden": (1.0, 2)},
    ),
    (
        _AUDITED,
        # Weights 10 and 2: (10 + 10 + 2) of (10 + 10 + 2 + 2) are right.
        {"automated_success.success": (22 / 24, 4), "automated_success.yield": (0.5 * 22 / 24, 4)},
    ),
    (
        # The one that k4 is the same as was founded after it: not k4 failed.
        {**_AUDITED, "blind_asks": [*_AUDITED["blind_asks"][:3], _FIRST], "product_events": _EVENTS},
        {"automated_success.success": (1.0, 4)},
    ),
    (
        {**_AUDITED, "blind_asks": [*_AUDITED["blind_asks"][:3], {**_FIRST, "offer_id": "a:3", "chosen": "p1"}], "product_events": _EVENTS},
        {"automated_success.success": (22 / 24, 4)},
    ),
    (
        {**_AUDITED, "reviewer_holds": [{"hold_id": 1, "person": "ann", "held": True}]},
        {"automated_success.success": (1.0, 2), "automated_success.yield": (0.5, 2)},
    ),
    (
        {**_AUDITED, "overrides": [*_AUDITED["overrides"], {"override_id": 5, "action": "undo", "undoes": 4}]},
        {"automated_success.success": (1.0, 3)},
    ),
]
