"""Whether a reported case comes out right by itself: decided again in memory, under the champion, without what people said of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from endcap.decide.promised import thresholds
from endcap.learn.replay import replay
from endcap.settings import Catalog

SIBLINGS = 30
SAME, DIFFERENT = "same", "different"

# Other pairs that somebody judged, of the same supplier and category as either offer of the case.
_SIBLINGS = f"""
    WITH mine AS (SELECT o.feed, f.value AS category FROM offers o LEFT JOIN facts f ON f.offer_id = o.offer_id AND f.attribute = 'category'
                  WHERE o.offer_id IN ($left, $right)),
    judged AS (
        SELECT least(offer_id, counterpart_offer_id) AS left_id, greatest(offer_id, counterpart_offer_id) AS right_id, offer_id,
               CASE WHEN action IN ('same', 'other') THEN '{SAME}' ELSE '{DIFFERENT}' END AS expected FROM overrides
        WHERE action IN ('same', 'other', 'different', 'new') AND counterpart_offer_id IS NOT NULL AND field IS NULL
          AND override_id NOT IN (SELECT undoes FROM overrides WHERE undoes IS NOT NULL)
        QUALIFY row_number() OVER (
            PARTITION BY least(offer_id, counterpart_offer_id), greatest(offer_id, counterpart_offer_id) ORDER BY override_id DESC) = 1
        UNION ALL SELECT least(offer_id, counterpart_offer_id), greatest(offer_id, counterpart_offer_id), offer_id, expected FROM loops
        WHERE expected IS NOT NULL AND duplicate_of IS NULL)
    SELECT DISTINCT j.left_id, j.right_id, j.expected FROM judged j JOIN offers o ON o.offer_id = j.offer_id
    LEFT JOIN facts f ON f.offer_id = o.offer_id AND f.attribute = 'category'
    WHERE EXISTS (SELECT 1 FROM mine m WHERE m.feed = o.feed AND (m.category IS NULL OR m.category IS NOT DISTINCT FROM f.value))
      AND NOT (j.left_id = $left AND j.right_id = $right)
    ORDER BY md5(j.left_id || j.right_id), 1, 2, 3 LIMIT {SIBLINGS}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """Two offers and what is right of them."""

    left_id: str
    right_id: str
    expected: str  # same | different


@dataclass(frozen=True, slots=True)
class Replayed:
    """Whether a case came out right, and how many of its siblings did; None where an offer of it is no longer delivered."""

    right: bool | None
    siblings: int
    siblings_right: int
    model: str

    def verified(self, share: float) -> bool:
        """Whether the case is right, and at least that share of its siblings."""
        return self.right is True and self.siblings_right >= share * self.siblings

    @property
    def words(self) -> str:
        case = {True: "comes out right", False: "still comes out wrong", None: "cannot be replayed: an offer of it is no longer delivered"}[self.right]
        siblings = f"; of {self.siblings} sibling cases {self.siblings_right} come out right" if self.siblings else ""
        return f"without its own answer it {case} under {self.model}{siblings}"


def pair_case(offer_id: str, other: str, expected: str) -> Case:
    return Case(min(offer_id, other), max(offer_id, other), expected)


def replay_case(con: duckdb.DuckDBPyConnection, catalog: Catalog, case: Case, model: str) -> Replayed:
    """A case and its siblings, decided again. `con` shows a snapshot, `catalog` holds the settings in force."""
    rows = con.execute(_SIBLINGS, {"left": case.left_id, "right": case.right_id}).fetchall()
    siblings = [Case(*row) for row in rows]
    found = replay_cases(con, catalog, [case, *siblings])
    judged = [found[one] for one in siblings if found[one] is not None]
    return Replayed(found[case], len(judged), sum(bool(one) for one in judged), model)


def replay_cases(con: duckdb.DuckDBPyConnection, catalog: Catalog, cases: Sequence[Case]) -> dict[Case, bool | None]:
    """Whether each case comes out right without any answer on its pair; None where an offer of it is gone."""
    offers = {offer_id for case in cases for offer_id in (case.left_id, case.right_id)}
    con.register("case_offers", pa.table({"offer_id": pa.array(sorted(offers), pa.string())}))
    live = {row[0] for row in con.execute("SELECT offer_id FROM offers SEMI JOIN case_offers USING (offer_id)").fetchall()}
    open_ids = pa.array(sorted(offers & live), pa.string())
    overrides = _without(con.sql("SELECT * FROM overrides ORDER BY override_id").to_arrow_table(), cases)
    rulings = replay(con, catalog.policy, thresholds(con, catalog.policy), open_ids=open_ids, overrides=overrides, today=_today(con))
    placed = {offer_id: ruling.product_id for offer_id, ruling in rulings.items() if ruling.action != "to_review"}
    return {case: _right(case, placed) if {case.left_id, case.right_id} <= live else None for case in cases}


def _without(overrides: pa.Table, cases: Iterable[Case]) -> pa.Table:
    pairs = {(case.left_id, case.right_id) for case in cases}
    rows = overrides.select(["override_id", "offer_id", "counterpart_offer_id", "field"]).to_pylist()
    dropped = [row["override_id"] for row in rows if row["field"] is None and _pair(row) in pairs]
    return overrides.filter(pc.invert(pc.is_in(overrides["override_id"], pa.array(dropped, pa.int64()))))


def _pair(row: dict[str, Any]) -> tuple[str, str]:
    offer_id, other = row["offer_id"], row["counterpart_offer_id"] or ""
    return min(offer_id, other), max(offer_id, other)


def _right(case: Case, placed: dict[str, str | None]) -> bool:
    left, right = placed.get(case.left_id), placed.get(case.right_id)
    together = left is not None and left == right
    return together if case.expected == SAME else not together


def _today(con: duckdb.DuckDBPyConnection) -> str:
    return str(con.execute("SELECT coalesce(max(date), '') FROM deliveries").fetchall()[0][0])
