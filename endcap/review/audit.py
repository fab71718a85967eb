"""Audits: decisions drawn at random and judged blind, so that how often the machine is right is known and not guessed.

Every decision of the machine has a known chance of being drawn. Links, and pairs that would be links at a lower threshold, all have the
same one, so that their audits are a simple random sample of them; founded products have another, and are shown beside the likest products that
a wider search finds (review/nearest.py), since a product founded wrongly is a failure too. Within both, each stratum (decision, confidence, head or
tail) gets its share. The order is fixed by a hash of the offer's id, and each audit takes the next ones. Audits teach no model.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb
from sqlalchemy import Connection, func, insert, select

from endcap.decide.promised import AUDIT
from endcap.ops.audit import record, seals_of
from endcap.ops.database import now, writing
from endcap.ops.home import Home
from endcap.ops.tables import BLIND_ASKS
from endcap.review.nearest import Nearest
from endcap.review.override import Override, store

# Pairs less alike than this would not be linked under any threshold.
LEAST = 0.5
# Of founded products among audits, while there are links to judge.
NEW_SHARE = 1 / 3
# A chance of being drawn is that of a sample of this size; what counts is how chances compare.
SAMPLE = 400
# A product with so many offers or more is of the head.
HEAD_OFFERS = 5

_DECIDED = f"""
    SELECT d.offer_id, d.counterpart_offer_id, coalesce(d.product_id, d.proposed_product_id) AS product_id, d.action AS decided, d.confidence, d.run,
           concat_ws('|', d.action, CASE WHEN d.confidence < .5 THEN 'under .5' WHEN d.confidence < .7 THEN 'under .7' WHEN d.confidence < .9 THEN 'under .9'
                     WHEN d.confidence < .97 THEN 'under .97' ELSE 'from .97' END,
                     CASE WHEN coalesce(p.offers, 0) >= {HEAD_OFFERS} THEN 'head' ELSE 'tail' END) AS stratum
    FROM decisions d JOIN offers o USING (offer_id) LEFT JOIN products p ON p.product_id = coalesce(d.product_id, d.proposed_product_id)
    LEFT JOIN pairs s ON s.left_id = least(d.offer_id, d.counterpart_offer_id) AND s.right_id = greatest(d.offer_id, d.counterpart_offer_id)
    WHERE d.kind = 'product' AND d.decided_by = 'machine'
      AND (d.action = 'new_product' OR d.counterpart_offer_id IN (SELECT offer_id FROM offers))
      AND (d.action IN ('linked', 'new_product') OR d.reason_code IN ('doubtful', 'no_promise') AND s.score >= {LEAST})
"""
# Ranks within a stratum, moved by a hash of its name and divided by its size, are spread evenly: the smallest ones are a stratified sample.
_DRAWN = f"""
    WITH decided AS ({_DECIDED}),
    sizes AS (SELECT count(*) FILTER (decided <> 'new_product') AS links, count(*) FILTER (decided = 'new_product') AS founded FROM decided),
    chances AS (
        SELECT CASE WHEN links = 0 THEN 0 WHEN founded = 0 THEN {SAMPLE}::DOUBLE / links
               ELSE {SAMPLE * (1 - NEW_SHARE)}::DOUBLE / links END AS of_link,
               CASE WHEN founded = 0 THEN 0 WHEN links = 0 THEN {SAMPLE}::DOUBLE / founded
               ELSE {SAMPLE * NEW_SHARE}::DOUBLE / founded END AS of_founded FROM sizes),
    placed AS (
        SELECT d.*, CASE WHEN decided = 'new_product' THEN of_founded ELSE of_link END AS chance,
               (row_number() OVER (PARTITION BY stratum ORDER BY md5(offer_id || $seed), offer_id) - 1 + (hash(stratum || $seed) % 1000) / 1000.0)
               / count(*) OVER (PARTITION BY stratum) AS place
        FROM decided d, chances)
    SELECT offer_id, counterpart_offer_id, product_id, decided, confidence, run, stratum, least(chance, 1.0) AS probability
    FROM placed d {{among}}
    ORDER BY place / chance, md5(offer_id || $seed), offer_id LIMIT $count
"""
_UNSPOKEN = """
    WHERE NOT EXISTS (
        SELECT 1 FROM overrides v WHERE v.offer_id = d.offer_id AND v.action NOT IN ('skip', 'escalate') AND v.field IS NULL
          AND (v.counterpart_offer_id = d.counterpart_offer_id OR d.decided = 'new_product'))
"""
_SIDE = "supplier, title, brand, printf('%.2f', price) || ' ' || coalesce(currency, ''), quantity_text"


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
class Drawn:
    """A decision that was drawn: what was decided, how sure the machine was, from which stratum and with which chance."""

    offer_id: str
    counterpart_offer_id: str | None  # of a founded product: not known before `beside` was asked
    product_id: str | None  # that is asked about
    decided: str  # linked | new_product | to_review
    confidence: float
    run: int
    stratum: str
    probability: float
    more: tuple[tuple[str, str], ...] = ()  # of a founded product: (offer, product) of others that it is likest to, after the first

    def noted(self) -> dict[str, Any]:
        """Its columns of BLIND_ASKS."""
        return {"stratum": self.stratum, "probability": self.probability, "run": self.run, "decided": self.decided, "confidence": self.confidence}


@dataclass(frozen=True, slots=True)
class AuditItem:
    """Offers that the machine takes, or might take, for one product, or keeps apart; neither that nor the likeness is shown."""

    offer: Side
    counterpart: Side
    identity_hash: int
    product_id: str | None
    drawn: Drawn
    more: tuple[tuple[Side, str], ...] = ()  # further offers that it may be the same as, with their products

    @property
    def choices(self) -> list[tuple[Side, str | None]]:
        """All that it may be the same as, each with its product."""
        return [(self.counterpart, self.product_id), *self.more]


def order_of_draw(con: duckdb.DuckDBPyConnection, count: int, *, seed: int) -> list[Drawn]:
    """The first `count` decisions in the order in which they are drawn, those that people spoke of since the snapshot too."""
    return [Drawn(*row) for row in con.execute(_DRAWN.format(among=""), {"seed": str(seed), "count": count}).fetchall()]


def beside(con: duckdb.DuckDBPyConnection, drawn: Drawn, nearest: Nearest | None = None) -> Drawn | None:
    """A drawn decision with the offers that it is shown beside; None for a founded product beside which nothing at all could stand.

    `nearest` is that of the snapshot; whoever asks for many reads it once.
    """
    if drawn.decided != "new_product":
        return drawn
    near = (nearest or Nearest(con)).of(con, drawn.offer_id)
    return replace(drawn, counterpart_offer_id=near[0][0], product_id=near[0][1], more=tuple(near[1:])) if near else None


def draw_decisions(con: duckdb.DuckDBPyConnection, count: int, *, seed: int) -> list[Drawn]:
    """The next decisions to audit, at most `count`."""
    rows = con.execute(_DRAWN.format(among=_UNSPOKEN), {"seed": str(seed), "count": count}).fetchall()
    nearest = Nearest(con)
    found = (beside(con, Drawn(*row), nearest) for row in rows)
    return [one for one in found if one is not None]


def draw(con: duckdb.DuckDBPyConnection, count: int, *, seed: int) -> list[AuditItem]:
    """The next decisions to audit, as people see them."""
    drawn = draw_decisions(con, count, seed=seed)
    named = sorted({one for item in drawn for one in (item.offer_id, item.counterpart_offer_id, *(other for other, _product in item.more)) if one})
    rows = con.execute(f"SELECT offer_id, {_SIDE}, identity_hash FROM offers WHERE offer_id IN (SELECT unnest($named))", {"named": named}).fetchall()
    sides = {row[0]: (Side(*row[:6]), row[6]) for row in rows}
    return [_item(one, sides) for one in drawn]


def _item(drawn: Drawn, sides: Mapping[str, tuple[Side, int]]) -> AuditItem:
    (offer, identity_hash), (counterpart, _identity) = sides[drawn.offer_id], sides[drawn.counterpart_offer_id or ""]
    return AuditItem(offer, counterpart, identity_hash, drawn.product_id, drawn, tuple((sides[other][0], product) for other, product in drawn.more))


def answer_audit(home: Home, item: AuditItem, *, same: int, actor: str) -> Override:
    """Store a judgement; it is durable when this returns, and binds as any answer does.

    `same` is the number of the choice that is the same product, 1 for the first, or 0 where none of them is.
    """
    counterpart, product_id = item.choices[max(0, same - 1)]
    key, action = secrets.token_hex(16), "different" if not same else "same" if same == 1 else "other"
    stored = store(
        home, offer_id=item.offer.offer_id, action=action, product_id=product_id, counterpart_offer_id=counterpart.offer_id, actor=actor,
        reason_code=AUDIT, note="", undoes=None, identity_hash=item.identity_hash, key=key,
    )  # fmt: skip
    asked = {"offer_id": item.offer.offer_id, "asked_of": actor, "purpose": AUDIT, "product_id": item.product_id, "asked_at": now(), "answered_at": now()}
    told = {"counterpart_offer_id": item.counterpart.offer_id, "action": action, "chosen": product_id, "after_override": stored.override_id, "key": key}
    with writing(home.engine) as connection:
        note_asked(connection, [asked | told | item.drawn.noted()], actor)
    return stored


def note_asked(connection: Connection, rows: Sequence[Mapping[str, Any]], person: str) -> None:
    """Note what a person was asked blind, sealed by the log of what was done: nobody draws, or answers, otherwise afterwards."""
    last = connection.execute(select(func.max(BLIND_ASKS.c.ask_id))).scalar() or 0
    connection.execute(insert(BLIND_ASKS), [dict(row) for row in rows])
    record(connection, person, "ask", "blind", {"access": seals_of(connection, BLIND_ASKS, BLIND_ASKS.c.ask_id > last)})
