"""Audits as metrics read them: decisions drawn with a known chance and judged blind, and what they say of all decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

from endcap import schema
from endcap.metrics import Figure, Slice, not_enough
from endcap.shares import weighted_share

MIN_AUDITS = 30
# One row an answered audit of an automatic decision whose answer stands: where it was drawn, with which chance, and whether the decision was
# right. Whoever is held back judges nothing.
_FOUNDED_AGAIN = schema.FOUNDED_AGAIN.format(offer="b.offer_id", run="b.run", chosen="b.chosen")
SQL = f"""
SELECT b.stratum, b.probability, b.decided, coalesce(o.supplier, 'gone') AS supplier, coalesce(p.category, 'none') AS category, b.confidence,
       CASE WHEN b.decided = 'linked' THEN b.action = 'same' ELSE b.action IN ('different', 'new') OR NOT {_FOUNDED_AGAIN} END AS "right"
FROM blind_asks b JOIN overrides v ON v.key = b.key
LEFT JOIN offers o ON o.offer_id = b.offer_id LEFT JOIN products p ON p.product_id = b.product_id
WHERE b.purpose = 'audit' AND b.decided IN ('linked', 'new_product') AND b.action IN ('same', 'other', 'different', 'new') AND b.probability > 0
  AND v.override_id NOT IN (SELECT undoes FROM overrides WHERE undoes IS NOT NULL)
  AND b.asked_of NOT IN (SELECT person FROM reviewer_holds GROUP BY person HAVING arg_max(held, hold_id))
ORDER BY b.ask_id
"""
Audit = tuple[str, float, bool, str, str, str]


def audits(con: duckdb.DuckDBPyConnection) -> list[Audit]:
    """(stratum, chance of being drawn, whether right, decided, supplier, category) of each audit in force."""
    rows = con.execute(SQL).fetchall()
    return [(stratum or decided, chance, bool(right), decided, supplier, category) for stratum, chance, decided, supplier, category, _sure, right in rows]


def audited_share(found: Sequence[Audit], *, holds: bool, min_n: int, **about: Any) -> Figure:
    """The share of automatic decisions that are right (`holds`) or wrong, weighted by the chance of being drawn; hidden below `min_n` audits."""
    least = min(min_n, MIN_AUDITS)
    slices = [
        _slice(by, str(name), [one for one in found if one[place] == name], holds, least)
        for by, place in (("decision", 3), ("supplier", 4), ("category", 5)) for name in sorted({one[place] for one in found})
    ]  # fmt: skip
    estimate = weighted_share([(stratum, chance, right == holds) for stratum, chance, right, *_rest in found])
    words = str(about.pop("words"))
    if estimate is None or len(found) < least:
        return Figure(value=None, n=len(found), low=None, high=None, unit="share", words=f"{not_enough(len(found))}: {words}", slices=tuple(slices), **about)
    return Figure(value=estimate.value, n=estimate.n, low=estimate.low, high=estimate.high, unit="share", words=words, slices=tuple(slices), **about)


def _slice(by: str, name: str, found: Sequence[Audit], holds: bool, least: int) -> Slice:
    estimate = weighted_share([(stratum, chance, right == holds) for stratum, chance, right, *_rest in found])
    return Slice(by, name, estimate.value if estimate is not None and len(found) >= least else None, len(found))
