"""Audits: decisions drawn at random and judged blind, so that how often the machine is right is known and not guessed.

Every decision of the machine has a known chance of being drawn. Links, and pairs that would be links at a lower threshold, all have the
same one, so that their audits are a simple random sample of them; founded products have another, and are shown beside the likest offer that a
search over all offers finds, since a product founded wrongly is a failure too. Within both, each stratum (decision, confidence, head or tail)
gets its share. The order is fixed by a hash of the offer's id, and each audit takes the next ones. Audits teach no model.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
from sqlalchemy import insert

from endcap.decide.promised import AUDIT
from endcap.ops.database import now, writing
from endcap.ops.home import Home
from endcap.ops.tables import BLIND_ASKS
from endcap.review.override import Override, store

# Pairs less alike than this would not be linked under any threshold.
LEAST = 0.5
# Of founded products among audits, while there are links to judge.
NEW_SHARE = 1 / 3
# A chance of being drawn is that of a sample of this size; what counts is how chances compare.
SAMPLE = 400
# A product with so many offers or more is of the head.
HEAD_OFFERS = 5
# Offers that a wider search compares by their words.
WIDE = 50

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
# By what an offer is found: each word of its title, its GTIN and its part number, each with the places of the offers that state it.
_STATED = """
    WITH known AS (SELECT row_number() OVER (ORDER BY o.offer_id) - 1 AS place, o.title, o.gtin, o.mpn
                   FROM offers o JOIN decisions d ON d.offer_id = o.offer_id AND d.kind = 'product' WHERE d.product_id IS NOT NULL),
    stated AS (
        SELECT DISTINCT 'word ' || unnest(string_split(lower(title), ' ')) AS stated, place FROM known
        UNION ALL SELECT 'gtin ' || gtin, place FROM known WHERE gtin IS NOT NULL UNION ALL SELECT 'mpn ' || lower(mpn), place FROM known WHERE mpn IS NOT NULL)
    SELECT stated, list(place::INTEGER) AS places FROM stated GROUP BY stated
"""
_PLACED = """
    SELECT o.offer_id, d.product_id, lower(o.title) AS title FROM offers o JOIN decisions d ON d.offer_id = o.offer_id AND d.kind = 'product'
    WHERE d.product_id IS NOT NULL ORDER BY o.offer_id
"""
_ASKED = "SELECT string_split(lower(title), ' '), gtin, lower(mpn), lower(title) FROM offers WHERE offer_id = ?"
# The likest of those that share most, by the letters of their titles too.
_LIKEST = """
    SELECT place FROM (SELECT unnest($places) AS place, unnest($ids) AS offer_id, unnest($titles) AS title, unnest($rank) AS rank, unnest($shared) AS shared)
    ORDER BY rank DESC, jaro_winkler_similarity(title, $asked) + shared DESC, offer_id LIMIT 1
"""
# A GTIN in common counts more than any part number, and that more than any number of words.
_SAME_GTIN, _SAME_MPN = 2 << 20, 1 << 20
_NEVER = np.iinfo(np.int64).min


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

    def noted(self) -> dict[str, Any]:
        """Its columns of BLIND_ASKS."""
        return {"stratum": self.stratum, "probability": self.probability, "run": self.run, "decided": self.decided, "confidence": self.confidence}


@dataclass(frozen=True, slots=True)
class AuditItem:
    """Two offers that the machine takes, or might take, for one product, or keeps apart; neither that nor the likeness is shown."""

    offer: Side
    counterpart: Side
    identity_hash: int
    product_id: str | None
    drawn: Drawn


def order_of_draw(con: duckdb.DuckDBPyConnection, count: int, *, seed: int) -> list[Drawn]:
    """The first `count` decisions in the order in which they are drawn, those that people spoke of since the snapshot too."""
    return [Drawn(*row) for row in con.execute(_DRAWN.format(among=""), {"seed": str(seed), "count": count}).fetchall()]


class Titles:
    """Offers of products by what they state, read once a snapshot: the likest offer of another product is found without reading all of them again."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        """Reads the snapshot that `con` shows."""
        stated = con.sql(_STATED).to_arrow_table().combine_chunks()
        placed = con.sql(_PLACED).to_arrow_table().combine_chunks()
        places = stated["places"].combine_chunks()
        self._number = {one: number for number, one in enumerate(stated["stated"].to_pylist())}
        self._offsets, self._places = places.offsets.to_numpy(), places.values.to_numpy()
        self._offers, self._titles = placed["offer_id"], placed["title"]
        products = placed["product_id"].combine_chunks().dictionary_encode()
        self._product_of, self._products = products.indices.to_numpy(), products.dictionary
        self._product_number = {one: number for number, one in enumerate(products.dictionary.to_pylist())}

    def likest(self, con: duckdb.DuckDBPyConnection, offer_id: str, product_id: str | None) -> tuple[str, str] | None:
        """(offer, its product) that resembles the named offer most and is of another product than the named one: by GTIN, part number, then words."""
        found = con.execute(_ASKED, [offer_id]).fetchall()
        if not found or not len(self._offers):
            return None
        words, gtin, mpn, title = found[0]
        counts = self._stating({f"word {word}" for word in words})
        rank = _SAME_GTIN * self._stating({f"gtin {gtin}"}) + _SAME_MPN * self._stating({f"mpn {mpn}"})
        order = (rank + counts) * len(self._offers) - np.arange(len(self._offers))  # of equals, the one whose id comes first
        order[self._product_of == self._product_number.get(product_id, -1)] = _NEVER
        first = np.argpartition(order, -min(WIDE, order.size))[-WIDE:]
        best = [int(place) for place in first if order[place] != _NEVER and self._offers[int(place)].as_py() != offer_id]
        if not best:
            return None
        told = {
            "places": best, "ids": self._offers.take(best).to_pylist(), "titles": self._titles.take(best).to_pylist(), "rank": rank[best].tolist(),
            "shared": (counts[best] / max(len(words), 1)).tolist(), "asked": title,
        }  # fmt: skip
        place = con.execute(_LIKEST, told).fetchall()[0][0]
        return self._offers[place].as_py(), self._products[int(self._product_of[place])].as_py()

    def _stating(self, named: set[str]) -> npt.NDArray[np.int64]:
        """Of every offer, how many of the named things it states."""
        numbers = [self._number[one] for one in named if one in self._number]
        found = [self._places[self._offsets[number] : self._offsets[number + 1]] for number in numbers]
        return np.bincount(np.concatenate(found), minlength=len(self._offers)) if found else np.zeros(len(self._offers), np.int64)


def beside(con: duckdb.DuckDBPyConnection, drawn: Drawn, titles: Titles | None = None) -> Drawn | None:
    """A drawn decision with the offer that it is shown beside; None for a founded product beside which nothing at all could stand.

    `titles` are those of the snapshot; whoever asks for many reads them once.
    """
    if drawn.decided != "new_product":
        return drawn
    near = (titles or Titles(con)).likest(con, drawn.offer_id, drawn.product_id)
    return replace(drawn, counterpart_offer_id=near[0], product_id=near[1]) if near else None


def draw_decisions(con: duckdb.DuckDBPyConnection, count: int, *, seed: int) -> list[Drawn]:
    """The next decisions to audit, at most `count`."""
    rows = con.execute(_DRAWN.format(among=_UNSPOKEN), {"seed": str(seed), "count": count}).fetchall()
    titles = Titles(con)
    found = (beside(con, Drawn(*row), titles) for row in rows)
    return [one for one in found if one is not None]


def draw(con: duckdb.DuckDBPyConnection, count: int, *, seed: int) -> list[AuditItem]:
    """The next decisions to audit, as people see them."""
    drawn = draw_decisions(con, count, seed=seed)
    named = sorted({one for item in drawn for one in (item.offer_id, item.counterpart_offer_id) if one})
    rows = con.execute(f"SELECT offer_id, {_SIDE}, identity_hash FROM offers WHERE offer_id IN (SELECT unnest($named))", {"named": named}).fetchall()
    sides = {row[0]: (Side(*row[:6]), row[6]) for row in rows}
    return [AuditItem(sides[one.offer_id][0], sides[one.counterpart_offer_id or ""][0], sides[one.offer_id][1], one.product_id, one) for one in drawn]


def answer_audit(home: Home, item: AuditItem, *, same: bool, actor: str) -> Override:
    """Store a judgement; it is durable when this returns, and binds as any answer does."""
    key, action = secrets.token_hex(16), "same" if same else "different"
    stored = store(
        home, offer_id=item.offer.offer_id, action=action, product_id=item.product_id, counterpart_offer_id=item.counterpart.offer_id, actor=actor,
        reason_code=AUDIT, note="", undoes=None, identity_hash=item.identity_hash, key=key,
    )  # fmt: skip
    asked = {"offer_id": item.offer.offer_id, "asked_of": actor, "purpose": AUDIT, "product_id": item.product_id, "asked_at": now(), "answered_at": now()}
    told = {"counterpart_offer_id": item.counterpart.offer_id, "action": action, "chosen": item.product_id, "after_override": stored.override_id, "key": key}
    with writing(home.engine) as connection:
        connection.execute(insert(BLIND_ASKS).values(asked | told | item.drawn.noted()))
    return stored
