"""Audits: links drawn at random and judged blind, so that precision is known and not guessed.

The draw is a simple random sample of what the machine linked, or would link at a lower threshold: a fixed order by a hash of the offer's
id, of which each audit takes the next ones. Audits teach no model, so that their answers stay a fair judge of every model.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from endcap.decide.promised import AUDIT
from endcap.ops.home import Home
from endcap.review.override import Override, store
from endcap.review.shown import Tables

# Pairs less alike than this would not be linked under any threshold.
LEAST = 0.5

_DRAWN = f"""
    SELECT d.offer_id, o.supplier, o.title, o.brand, printf('%.2f', o.price) || ' ' || coalesce(o.currency, ''), o.quantity_text, o.identity_hash,
           c.offer_id, c.supplier, c.title, c.brand, printf('%.2f', c.price) || ' ' || coalesce(c.currency, ''), c.quantity_text,
           coalesce(d.product_id, d.proposed_product_id)
    FROM decisions d JOIN offers o USING (offer_id) JOIN offers c ON c.offer_id = d.counterpart_offer_id
    JOIN pairs p ON p.left_id = least(d.offer_id, c.offer_id) AND p.right_id = greatest(d.offer_id, c.offer_id)
    WHERE d.kind = 'product' AND d.decided_by = 'machine' AND p.score >= {LEAST}
      AND (d.action = 'linked' OR d.reason_code IN ('doubtful', 'no_promise'))
      AND NOT EXISTS (
          SELECT 1 FROM overrides v WHERE v.offer_id = d.offer_id AND v.counterpart_offer_id = c.offer_id
            AND v.action NOT IN ('skip', 'escalate') AND v.field IS NULL)
    ORDER BY md5(d.offer_id || $seed), d.offer_id LIMIT $count
"""


# The same order, of all that the snapshot decided, whatever people said since.
_ORDER = f"""
    SELECT d.offer_id, coalesce(d.product_id, d.proposed_product_id) AS product_id, c.offer_id AS counterpart_offer_id
    FROM decisions d JOIN offers o USING (offer_id) JOIN offers c ON c.offer_id = d.counterpart_offer_id
    JOIN pairs p ON p.left_id = least(d.offer_id, c.offer_id) AND p.right_id = greatest(d.offer_id, c.offer_id)
    WHERE d.kind = 'product' AND d.decided_by = 'machine' AND p.score >= {LEAST}
      AND (d.action = 'linked' OR d.reason_code IN ('doubtful', 'no_promise'))
    ORDER BY md5(d.offer_id || ?), d.offer_id LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Drawable:
    """A link as it stands in the order of the draw."""

    offer_id: str
    product_id: str | None
    counterpart_offer_id: str


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two offers, as a person sees it."""

    offer_id: str
    supplier: str
    title: str
    brand: str | None
    price: str | None
    quantity_text: str | None


@dataclass(frozen=True, slots=True)
class AuditItem:
    """Two offers that the machine takes, or might take, for one product; the likeness is not shown."""

    offer: Side
    counterpart: Side
    identity_hash: int
    product_id: str | None


def draw(con: duckdb.DuckDBPyConnection, count: int, *, seed: int) -> list[AuditItem]:
    """The next links to audit, at most `count`."""
    rows = con.execute(_DRAWN, {"seed": str(seed), "count": count}).fetchall()
    return [AuditItem(Side(*row[:6]), Side(*row[7:13]), row[6], row[13]) for row in rows]


def order_of_draw(tables: Tables, count: int, *, seed: int) -> list[Drawable]:
    """The first `count` links in the order in which `draw` takes them, those that people spoke of since the snapshot too."""
    return [Drawable(**row) for row in tables.rows(_ORDER, [str(seed), count])]


def answer_audit(home: Home, item: AuditItem, *, same: bool, actor: str) -> Override:
    """Store a judgement; it is durable when this returns, and binds as any answer does."""
    return store(
        home, offer_id=item.offer.offer_id, action="same" if same else "different", product_id=item.product_id,
        counterpart_offer_id=item.counterpart.offer_id, actor=actor, reason_code=AUDIT, note="", undoes=None, identity_hash=item.identity_hash,
    )  # fmt: skip
