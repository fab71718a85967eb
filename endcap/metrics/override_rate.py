"""Override rate by team: how often a person changed what was decided, for machine and people apart."""

from __future__ import annotations

from typing import Any

import duckdb

from endcap.metrics import Figure, Slice, share, share_slice
from endcap.metrics._audits import audited_share, audits

NAME = "override_rate"
VERSION = 3
GRAIN = "decision of an offer's product, net of undo"
DIRECTION = "down"
MIN_N = 200
GUARD_RAILS = ("share of decisions a person inspected", "audited success", "appropriateness of overrides in a blind second judgement")

# One row a decision that could be changed: what it was, whether a person changed it, whose scope it is; one that the machine
# itself replaced is left out, but not where a person had said that it is another product: what it becomes instead the machine says.
# The owner is the team whose scope names the supplier, else the category, else everything.
# Cohorts are not yet held back until they mature.
SQL = """
WITH undone AS (
    SELECT u.undoes AS override_id FROM overrides u
    WHERE u.undoes IS NOT NULL AND u.override_id NOT IN (SELECT undoes FROM overrides WHERE undoes IS NOT NULL)
), steps AS (
    SELECT offer_id, run, action, product_id, proposed_product_id, decided_by, override_id,
           lead(decided_by) OVER each AS decided_after, lead(product_id) OVER each AS product_after, lead(override_id) OVER each AS override_after
    FROM decisions_log WHERE kind = 'product' AND NOT gone WINDOW each AS (PARTITION BY offer_id ORDER BY run)
), denied AS (
    SELECT DISTINCT offer_id, product_id FROM overrides
    WHERE action = 'different' AND product_id IS NOT NULL AND override_id NOT IN (SELECT override_id FROM undone)
), said AS (
    SELECT s.*, d.offer_id IS NOT NULL AND decided_by = 'machine' AND coalesce(decided_after = 'machine', false)
           AND product_after IS DISTINCT FROM d.product_id AS refused
    FROM steps s LEFT JOIN denied d ON d.offer_id = s.offer_id AND d.product_id = coalesce(s.product_id, s.proposed_product_id)
), judged AS (
    SELECT s.*, refused OR coalesce(decided_after = 'person' AND override_after NOT IN (SELECT override_id FROM undone), false) AS answered
    FROM said s WHERE refused OR decided_by = 'person' OR decided_after IS DISTINCT FROM 'machine'
), places AS (
    SELECT j.*, o.supplier, p.category FROM judged j
    LEFT JOIN offers o ON o.offer_id = j.offer_id LEFT JOIN products p ON p.product_id = j.product_id
), owned AS (
    SELECT p.*, coalesce(
        (SELECT min(team) FROM teams WHERE scope = p.supplier), (SELECT min(team) FROM teams WHERE scope = p.category),
        (SELECT min(team) FROM teams WHERE scope = '*'), 'nobody yet') AS team
    FROM places p
)
SELECT 'escapes' AS rate, team, answered AND product_after IS DISTINCT FROM product_id AS changed
FROM owned WHERE decided_by = 'machine' AND action IN ('linked', 'new_product')
UNION ALL
SELECT 'inspected', team, answered FROM owned WHERE decided_by = 'machine'
UNION ALL
SELECT 'rejections', team, product_after IS DISTINCT FROM proposed_product_id FROM owned WHERE action = 'to_review' AND answered
UNION ALL
SELECT 'reversals', team, answered AND override_after IS DISTINCT FROM override_id AND product_after IS DISTINCT FROM product_id
FROM owned WHERE decided_by = 'person' AND override_id NOT IN (SELECT override_id FROM undone)
"""
RATES: dict[str, tuple[str, str]] = {
    "escapes": ("Override rate", "automatic decisions that a person changed; observed, not audited, and young decisions are counted too"),
    "inspected": (
        "Decisions inspected",
        "decisions of the machine that a person answered; who looks at less overrides less, so read it beside the override rate",
    ),
    "rejections": ("Suggestions rejected", "answered questions in which the person did not take what was proposed"),
    "reversals": ("Answers reversed", "answers of a person that another answer changed"),
}


def measure(con: duckdb.DuckDBPyConnection, min_n: int = MIN_N) -> list[Figure]:
    """Escapes beside the share inspected, rejections and reversals, each with a slice by owning team, and the audit-weighted rate."""
    rows = con.execute(f"SELECT rate, team, count(*), count(*) FILTER (changed) FROM ({SQL}) GROUP BY ALL ORDER BY rate, team").fetchall()
    figures = []
    for rate, (label, words) in RATES.items():
        mine = [row for row in rows if row[0] == rate]
        slices: list[Slice] = [share_slice("team", row[1], row[3], row[2], min_n) for row in mine]
        figures.append(
            share(
                name=f"{NAME}.{rate}",
                version=VERSION,
                label=label,
                counted=sum(row[3] for row in mine),
                n=sum(row[2] for row in mine),
                words=words,
                direction="up" if rate == "inspected" else DIRECTION,
                min_n=min_n,
                slices=slices,
            )
        )
    words = "automatic decisions that are wrong by blind random audits, each counted by its chance of being drawn: what looking less does not lower"
    audited = audited_share(
        audits(con), holds=False, min_n=min_n, name=f"{NAME}.audited", version=VERSION, label="Override rate, audited", direction=DIRECTION, words=words
    )
    return [*figures, audited]


_MACHINE = {"kind": "product", "decided_by": "machine", "product_id": "p1"}
_PERSON = {"kind": "product", "decided_by": "person", "action": "linked"}
_ROWS: dict[str, list[dict[str, Any]]] = {
    "offers": [{"offer_id": f"a:{i}", "supplier": "a"} for i in range(1, 5)],
    "decisions": [
        {**_MACHINE, "offer_id": "a:1", "action": "linked"},
        {**_MACHINE, "offer_id": "a:2", "action": "linked"},
        {**_MACHINE, "offer_id": "a:3", "action": "to_review", "product_id": None, "proposed_product_id": "p1"},
        {**_MACHINE, "offer_id": "a:4", "action": "to_review", "product_id": None, "proposed_product_id": "p1"},
        {**_PERSON, "offer_id": "a:1", "product_id": "p2", "override_id": 1, "run": 2},
        {**_PERSON, "offer_id": "a:3", "product_id": "p1", "override_id": 2, "run": 2},
        {**_PERSON, "offer_id": "a:4", "product_id": "p3", "override_id": 3, "run": 2},
    ],
    "overrides": [{"override_id": 1, "action": "other"}, {"override_id": 2, "action": "same"}, {"override_id": 3, "action": "new"}],
}
_REVERSED = {**_PERSON, "offer_id": "a:1", "product_id": "p1", "override_id": 4, "run": 3}
CASES: list[tuple[dict[str, list[dict[str, Any]]], dict[str, tuple[float | None, int]]]] = [
    (
        {},
        {"override_rate.escapes": (None, 0), "override_rate.inspected": (None, 0), "override_rate.rejections": (None, 0), "override_rate.reversals": (None, 0)},
    ),
    (
        _ROWS,
        {"override_rate.escapes": (0.5, 2), "override_rate.inspected": (0.75, 4), "override_rate.rejections": (0.5, 2), "override_rate.reversals": (0.0, 3)},
    ),
    (
        {**_ROWS, "decisions": [*_ROWS["decisions"], _REVERSED], "overrides": [*_ROWS["overrides"], {"override_id": 4, "action": "other"}]},
        {"override_rate.escapes": (0.5, 2), "override_rate.reversals": (0.25, 4)},
    ),
    (
        {**_ROWS, "overrides": [*_ROWS["overrides"], {"override_id": 5, "action": "undo", "undoes": 1}]},
        {"override_rate.escapes": (0.0, 2), "override_rate.reversals": (0.0, 2)},
    ),
    (
        {**_ROWS, "decisions": [*_ROWS["decisions"], {**_MACHINE, "offer_id": "a:2", "action": "linked", "confidence": 0.9, "run": 3}]},
        {"override_rate.escapes": (0.5, 2)},
    ),
    (
        {
            **_ROWS,
            "decisions": [*_ROWS["decisions"], {**_MACHINE, "offer_id": "a:2", "action": "new_product", "product_id": "p9", "run": 3}],
            "overrides": [*_ROWS["overrides"], {"override_id": 6, "action": "different", "offer_id": "a:2", "product_id": "p1"}],
        },
        {"override_rate.escapes": (2 / 3, 3), "override_rate.inspected": (0.8, 5)},
    ),
    (
        {
            "blind_asks": [
                {"ask_id": 1, "purpose": "audit", "probability": 0.25, "decided": "linked", "action": "different", "key": "a", "asked_of": "ann"},
                {"ask_id": 2, "purpose": "audit", "probability": 0.5, "decided": "linked", "action": "same", "key": "b", "asked_of": "ann"},
            ],
            "overrides": [{"override_id": 1, "action": "different", "key": "a"}, {"override_id": 2, "action": "same", "key": "b"}],
        },
        {"override_rate.audited": (4 / 6, 2)},
    ),
]
