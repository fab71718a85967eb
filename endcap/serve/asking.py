"""The questions that pages and API ask of a snapshot; each is answered by a few queries by key, never by a scan in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from endcap import metrics
from endcap.serve import answers
from endcap.serve.reading import Reading

ROWS_A_PAGE = 50
OFFERS_A_PAGE = 100
MOST_EVENTS = 200
MOST_CANDIDATES = 10
RAW_SHOWN_BYTES = 2000


class NotFound(Exception):
    """There is no such thing in this snapshot."""

    def __init__(self, what: str, hint: str) -> None:
        self.what, self.hint = what, hint
        super().__init__(what)


class Conflict(Exception):
    """What is asked for contradicts something that the catalog has, which the hint leads to."""

    def __init__(self, what: str, hint: str) -> None:
        self.what, self.hint = what, hint
        super().__init__(what)


def products(reading: Reading, q: str, category: str, page: int) -> answers.ProductList:
    """Live products that hold every word of `q` in title, brand, GTIN or id, in the order of titles; one page."""
    words = q.split()[:8]
    searched = "lower(concat_ws(' ', title, brand, gtin, product_id))"
    where = ["state = 'live'", *(f"contains({searched}, lower(?))" for _word in words)]
    values: list[Any] = [*words]
    if category:
        where.append("category = ?")
        values.append(category)
    condition = " AND ".join(where)
    found = count(reading, f"FROM products WHERE {condition}", values)
    rows = reading.rows(
        "SELECT product_id, title, brand, category, gtin, price_min, price_max, currency, offers, suppliers "
        f"FROM products WHERE {condition} ORDER BY offers DESC, title, product_id LIMIT {ROWS_A_PAGE} OFFSET ?",
        [*values, (page - 1) * ROWS_A_PAGE],
    )
    return answers.ProductList(
        snapshot=reading.snapshot_id, q=q, category=category, page=page, pages=pages(found), found=found,
        products=[answers.ProductRow(**row) for row in rows],
    )  # fmt: skip


def review(reading: Reading, kind: str, page: int) -> answers.Review:
    """Decisions that wait for a person, the surest first; one page. `kind` is 'product' or 'category'."""
    waiting = "FROM decisions WHERE action = 'to_review' AND kind = ?"
    found = count(reading, waiting, [kind])
    rows = reading.rows(
        "SELECT d.offer_id, d.kind, d.proposed_product_id, p.title AS proposed_title, p.offers AS proposed_offers, d.value, d.confidence, d.reason_code, "
        f"d.reason, d.run FROM (SELECT * {waiting} ORDER BY confidence DESC, offer_id LIMIT {ROWS_A_PAGE} OFFSET ?) d "
        "LEFT JOIN products p ON p.product_id = d.proposed_product_id ORDER BY d.confidence DESC, d.offer_id",
        [kind, (page - 1) * ROWS_A_PAGE],
    )
    reasons = reading.rows(f"SELECT reason_code, count(*) AS n {waiting} GROUP BY ALL ORDER BY n DESC, 1", [kind])
    sent = offers_by_id(reading, [row["offer_id"] for row in rows])
    return answers.Review(
        snapshot=reading.snapshot_id, kind=kind, page=page, pages=pages(found), found=found,
        by_reason={row["reason_code"]: row["n"] for row in reasons},
        questions=[answers.Question(**row, **_asked(sent.get(row["offer_id"], {}))) for row in rows],
    )  # fmt: skip


def offers_by_id(reading: Reading, offer_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Live offers as sent, by id; ids of offers that are gone are left out."""
    rows = reading.find("offers", "offer_id", offer_ids, ("offer_id", "supplier", "title", "price", "currency", "available", "url", "image_url"))
    return {row["offer_id"]: row | {"picture": bool(row.pop("image_url"))} for row in rows}


def _asked(sent: dict[str, Any]) -> dict[str, Any]:
    return {"supplier": sent.get("supplier", ""), "title": sent.get("title", "no longer offered"), "price": sent.get("price"), "currency": sent.get("currency")}


def quarantine(reading: Reading, delivery_id: str, page: int) -> answers.Quarantine:
    """The records of one delivery that broke the contract, with the beginning of their raw bytes; one page. Raises NotFound."""
    told = reading.row("SELECT quarantined FROM deliveries WHERE delivery_id = ?", [delivery_id])
    if told is None:
        raise NotFound(f"there is no delivery {delivery_id!r}", "every delivery is listed at /deliveries")
    found = count(reading, "FROM quarantined WHERE delivery_id = ?", [delivery_id])
    rows = reading.rows(
        f'SELECT "position", code, reason, raw[1:{RAW_SHOWN_BYTES}] AS raw FROM quarantined WHERE delivery_id = ? '
        f'ORDER BY "position" LIMIT {ROWS_A_PAGE} OFFSET ?',
        [delivery_id, (page - 1) * ROWS_A_PAGE],
    )
    codes = reading.rows("SELECT code, count(*) AS n FROM quarantined WHERE delivery_id = ? GROUP BY ALL ORDER BY n DESC, 1", [delivery_id])
    return answers.Quarantine(
        snapshot=reading.snapshot_id, delivery_id=delivery_id, page=page, pages=pages(found), found=found, quarantined=told["quarantined"] or 0,
        by_code={row["code"]: row["n"] for row in codes},
        rows=[answers.QuarantinedRow(**{**row, "raw": bytes(row["raw"]).decode("utf-8", "backslashreplace")}) for row in rows],
    )  # fmt: skip


def deliveries(reading: Reading) -> answers.Deliveries:
    """Every delivery, the newest first."""
    rows = reading.rows("SELECT * FROM deliveries ORDER BY date DESC, feed LIMIT 1000")
    return answers.Deliveries(snapshot=reading.snapshot_id, deliveries=[delivery(row) for row in rows])


def snapshots(reading: Reading) -> answers.Snapshots:
    """Every snapshot, the newest first."""
    rows = reading.rows('SELECT snapshot_id, parent, run, content_hash, created_at, "current" FROM snapshots ORDER BY run DESC, created_at DESC LIMIT 1000')
    return answers.Snapshots(snapshot=reading.snapshot_id, snapshots=[answers.SnapshotRow(**row) for row in rows])


def figures(reading: Reading) -> list[answers.Figure]:
    """Every figure of the metrics shelf, measured once until a run, an answer or a loop changes."""
    changed = reading.row(
        "SELECT (SELECT max(override_id) FROM overrides) AS override, "
        "(SELECT max(concat(opened_at, in_snapshot_at, verified_at, closed_at)) FROM loops) AS loop, "
        "(SELECT count(*) FROM loops) AS loops, (SELECT count(*) FROM teams) AS teams"
    )
    return reading.keep("figures", _measure, until=changed)


def delivery(row: dict[str, Any]) -> answers.Delivery:
    return answers.Delivery(**{name: row[name] for name in answers.Delivery.model_fields})


def count(reading: Reading, rest: str, values: list[Any]) -> int:
    """How many rows 'FROM ...' has."""
    found = reading.row(f"SELECT count(*) AS n {rest}", values)
    return int(found["n"]) if found else 0


def pages(found: int, rows_a_page: int = ROWS_A_PAGE) -> int:
    """Pages needed; one where there is nothing."""
    return max(1, -(-found // rows_a_page))


def _measure(reading: Reading) -> list[answers.Figure]:
    with reading.cursor() as cursor:
        return [answers.Figure(**{**figure.to_dict(), "shown": figure.shown()}) for figure in metrics.measure(cursor)]
