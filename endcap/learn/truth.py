"""How right the catalog's links are, where the truth is known (a sandbox world)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from endcap.problems import BadInput
from endcap.review.queue import waiting

# Pairs are counted from group sizes: n offers in one group are n(n-1)/2 pairs.
_PAIRS = """
    WITH truth AS (
        SELECT offer_id, arg_max(product, date_from) AS truth FROM read_csv($file, header = true, all_varchar = true)
        WHERE date_from <= $date GROUP BY offer_id),
    both_known AS (
        SELECT o.offer_id, t.truth, d.product_id, d.action FROM offers o JOIN truth t USING (offer_id)
        LEFT JOIN decisions d ON d.offer_id = o.offer_id AND d.kind = 'product'),
    pairs_of AS (
        SELECT (SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM both_known WHERE product_id IS NOT NULL GROUP BY product_id, truth)) AS right_pairs,
               (SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM both_known WHERE product_id IS NOT NULL GROUP BY product_id)) AS linked_pairs,
               (SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM both_known GROUP BY truth)) AS true_pairs)
    SELECT coalesce(right_pairs, 0), coalesce(linked_pairs, 0), coalesce(true_pairs, 0), (SELECT count(*) FROM both_known),
           (SELECT count(*) FROM both_known WHERE action = 'to_review'), (SELECT count(*) FROM offers) - (SELECT count(*) FROM both_known)
    FROM pairs_of
"""


LOOKED_AT = 40
_PRODUCTS = "SELECT offer_id, arg_max(product, date_from) FROM read_csv($file, header = true, all_varchar = true) WHERE date_from <= $date GROUP BY offer_id"


@dataclass(frozen=True, slots=True)
class TruthFigures:
    """Links against truth, over pairs of live offers; an offer that waits for a person is in no product, so its links count as missed."""

    precision: float
    recall: float
    f1: float
    right_pairs: int
    linked_pairs: int
    true_pairs: int
    offers: int
    waiting: int
    unknown: int


def first_true_match(con: duckdb.DuckDBPyConnection, file: Path, date: str) -> str | None:
    """Of the first that wait for a person, an offer that does belong to the product that is proposed first: where a demo begins. None where none does."""
    truth = {str(offer_id): product for offer_id, product in con.execute(_PRODUCTS, {"file": str(file), "date": date}).fetchall()}
    for item in waiting(con, 0, limit=LOOKED_AT):
        first = item.candidates[0] if item.candidates else None
        if first is not None and first.product_id == item.proposed_product_id and truth.get(item.offer_id, "?") == truth.get(first.counterpart_offer_id or ""):
            return item.offer_id
    return None


def compare_with_truth(con: duckdb.DuckDBPyConnection, file: Path, date: str) -> TruthFigures:
    """Precision and recall of the links as of a date. `file`: CSV with offer_id, product, date_from. Raises BadInput when it is missing."""
    if not file.exists():
        raise BadInput("there is no truth file", where=str(file), todo="the sandbox writes one; real feeds have none")
    row: tuple[Any, ...] = con.execute(_PAIRS, {"file": str(file), "date": date}).fetchone() or (0,) * 6
    right, linked, true, offers, waiting, unknown = (int(count) for count in row)
    precision, recall = right / linked if linked else 0.0, right / true if true else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return TruthFigures(round(precision, 4), round(recall, 4), round(f1, 4), right, linked, true, offers, waiting, unknown)
