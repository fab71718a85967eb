"""What waits for a person, in the order in which answers help most (see review/order.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb

from endcap.review.order import ANSWERED, Place, ordered

MAX_CANDIDATES = 9


@dataclass(frozen=True, slots=True)
class Candidate:
    """A product the offer may belong to, with its offer that resembles it most."""

    product_id: str
    title: str
    offers: int
    counterpart_offer_id: str | None  # None where no offer of it resembles this one
    counterpart_title: str | None
    score: float


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """One doubtful decision with what a person needs to see."""

    offer_id: str
    supplier: str
    title: str
    brand: str | None
    price: str | None
    quantity_text: str | None
    identity_hash: int
    confidence: float
    reason_code: str
    reason: str
    proposed_product_id: str | None
    candidates: tuple[Candidate, ...]


_QUEUE = """
    SELECT d.offer_id, o.supplier, o.title, o.brand, printf('%.2f', o.price) || ' ' || coalesce(o.currency, ''), o.quantity_text, o.identity_hash,
           d.confidence, d.reason_code, d.reason, d.proposed_product_id, p.category, coalesce(p.offers, 0) AS offers, coalesce(a.skipped, 0) AS skipped
    FROM decisions d JOIN offers o USING (offer_id) LEFT JOIN products p ON p.product_id = d.proposed_product_id
    LEFT JOIN ({answered}) a ON a.offer_id = d.offer_id
    WHERE d.kind = 'product' AND d.action = 'to_review' AND coalesce(a.answered, 0) = 0
    ORDER BY d.offer_id
"""

# An answer counts once the next run has taken it in; until then its offer must not be asked again.
_ANSWERED = """
    SELECT offer_id, count(*) FILTER (action NOT IN ('skip', 'escalate') AND override_id > {sequence}) AS answered, count(*) FILTER (action = 'skip') AS skipped
    FROM overrides WHERE action <> 'undo' AND field IS NULL AND override_id NOT IN (SELECT undoes FROM overrides WHERE undoes IS NOT NULL) GROUP BY offer_id
"""

_CANDIDATES = f"""
    WITH near AS (
        SELECT right_id AS other_id, score FROM pairs WHERE left_id = $offer_id
        UNION ALL SELECT left_id, score FROM pairs WHERE right_id = $offer_id)
    SELECT p.product_id, any_value(p.title), any_value(p.offers), first(n.other_id ORDER BY n.score DESC, n.other_id),
           first(o.title ORDER BY n.score DESC, n.other_id), coalesce(max(n.score), 0) AS score
    FROM products p LEFT JOIN (decisions d JOIN near n ON d.offer_id = n.other_id AND d.kind = 'product' JOIN offers o ON o.offer_id = n.other_id)
      ON d.product_id = p.product_id
    WHERE n.other_id IS NOT NULL OR p.product_id = $proposed
    GROUP BY p.product_id ORDER BY (p.product_id = $proposed) IS TRUE DESC, score DESC, p.product_id LIMIT {MAX_CANDIDATES}
"""


def waiting(con: duckdb.DuckDBPyConnection, override_sequence: int, *, limit: int | None = None) -> list[ReviewItem]:
    """The open items in the order they should be answered. `override_sequence`: the last override the snapshot knows of."""
    query = _QUEUE.format(answered=_ANSWERED.format(sequence=int(override_sequence)))
    rows = con.execute(query).fetchall()
    (answers,) = con.execute(ANSWERED).fetchone() or (0,)
    places = [Place(row[0], row[1], row[11], row[8], row[7], row[12], put_off=row[13] > 0) for row in rows]
    chosen = ordered(places, first=not answers)[:limit]
    return [_item(con, rows[number][:11]) for number in chosen]


def count_waiting(con: duckdb.DuckDBPyConnection, override_sequence: int) -> int:
    """How many items are open."""
    query = _QUEUE.format(answered=_ANSWERED.format(sequence=int(override_sequence)))
    found = con.execute(f"SELECT count(*) FROM ({query})").fetchone()
    return int(found[0]) if found else 0


def _item(con: duckdb.DuckDBPyConnection, row: tuple[Any, ...]) -> ReviewItem:
    found = con.execute(_CANDIDATES, {"offer_id": row[0], "proposed": row[-1]}).fetchall()
    values = (*row, tuple(Candidate(*candidate) for candidate in found))
    return ReviewItem(*values)
