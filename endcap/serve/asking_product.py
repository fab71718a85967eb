"""One product or one offer with everything known of it: values and their provenance, decisions and their reasons, history."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from endcap.serve import answers
from endcap.serve.asking import MOST_CANDIDATES, MOST_EVENTS, OFFERS_A_PAGE, NotFound, offers_by_id, pages
from endcap.serve.reading import Reading

MERGES_FOLLOWED = 100
SHARED_FIELDS = ("product_id", "state", "merged_into", "title", "brand", "category", "gtin", "price_min", "price_max", "currency", "founded_by")
DECIDED_FIELDS = ("offer_id", "action", "confidence", "reason_code", "reason", "decided_by", "run", "kind")
COMPARED_FIELDS = ("title", "brand", "category", "gtin")


def product(reading: Reading, product_id: str, page: int = 1) -> answers.Product:
    """A product by its id, whatever its state; a gone one with its last good values. Raises NotFound."""
    row: dict[str, Any] | None = next(iter(reading.find("products", "product_id", [product_id])), None)
    if row is None:
        row = reading.row("SELECT * FROM products_log WHERE product_id = ? ORDER BY run DESC LIMIT 1", [product_id])
        if row is None:
            raise NotFound(f"there is no product {product_id!r}", "search at /products")
        row["state"] = "gone"
    found, decided = _decided(reading, product_id, page)
    values = row["values"] or []
    sent = offers_by_id(reading, [*(value["source_offer_id"] for value in values), *(decision["offer_id"] for decision in decided)])
    return answers.Product(
        snapshot=reading.snapshot_id, **{name: row[name] for name in SHARED_FIELDS}, offer_count=found, supplier_count=row["suppliers"],
        values=[
            answers.Value(**value, supplier=None if value["override_id"] else sent.get(value["source_offer_id"], {}).get("supplier")) for value in values
        ],
        page=page, pages=pages(found, OFFERS_A_PAGE), history=_history(reading, product_id),
        offers=[answers.ProductOffer(**{**sent[decision["offer_id"]], **decision}) for decision in decided if decision["offer_id"] in sent],
    )  # fmt: skip


def end_of_merges(reading: Reading, product_id: str) -> str | None:
    """Where a merged product id leads in the end; None when it is not merged or its merges form a ring."""
    at, seen = product_id, {product_id}
    for _step in range(MERGES_FOLLOWED):
        row = next(iter(reading.find("products", "product_id", [at], ("state", "merged_into"))), None)
        if row is None or row["state"] != "merged" or row["merged_into"] is None:
            return at if at != product_id else None
        at = row["merged_into"]
        if at in seen:
            return None
        seen.add(at)
    return None


def versions_beside(now: Reading, product_id: str, snapshot_id: str | None) -> tuple[str | None, str | None]:
    """(the last snapshot before and the first after the one shown in which the product was another), of those still kept."""
    kept = now.keep("snapshots in order", lambda now: now.rows("SELECT snapshot_id, run FROM snapshots ORDER BY run, created_at"))
    changed = {row["run"] for row in now.find("product_versions", "product_id", [product_id], ("run",))}
    place = next((at for at, row in enumerate(kept) if row["snapshot_id"] == snapshot_id), None)
    if place is None:
        return None, None
    since = max((run for run in changed if run <= kept[place]["run"]), default=0)
    older = [row["snapshot_id"] for row in kept[:place] if row["run"] < since and row["run"] >= min(changed, default=0)]
    newer = [row["snapshot_id"] for row in kept[place + 1 :] if row["run"] in changed]
    return older[-1] if older else None, newer[0] if newer else None


def offer(reading: Reading, offer_id: str) -> answers.Offer:
    """An offer by its id as its supplier sent it, with what was believed, compared and decided. Raises NotFound."""
    found = reading.find("offers", "offer_id", [offer_id])
    if not found:
        raise NotFound(f"there is no live offer {offer_id!r}", "its id is the feed's name, a colon and the supplier's own id")
    row = found[0]
    facts = sorted(reading.find("facts", "offer_id", [offer_id]), key=lambda fact: str(fact["attribute"]))
    decisions = sorted(reading.find("decisions", "offer_id", [offer_id]), key=lambda decision: str(decision["kind"]), reverse=True)
    history = reading.rows(f"SELECT * FROM decisions_log WHERE offer_id = ? AND NOT gone ORDER BY run DESC, kind DESC LIMIT {MOST_EVENTS}", [offer_id])
    return answers.Offer(
        snapshot=reading.snapshot_id, **{name: row[name] for name in answers.Offer.model_fields if name in row},
        facts=[_fact(fact, row) for fact in facts], decisions=[_decision(decision) for decision in decisions],
        candidates=_candidates(reading, offer_id), history=[_decision(decision) for decision in history],
    )  # fmt: skip


def _decided(reading: Reading, product_id: str, page: int) -> tuple[int, list[dict[str, Any]]]:
    """(how many decisions there are, those of one page)."""
    found = [row for row in reading.find("decisions", "product_id", [product_id], DECIDED_FIELDS) if row.pop("kind") == "product"]
    found.sort(key=lambda row: str(row["offer_id"]))
    return len(found), [row | {"since_run": row.pop("run")} for row in found[(page - 1) * OFFERS_A_PAGE : page * OFFERS_A_PAGE]]


def _history(reading: Reading, product_id: str) -> list[answers.Event]:
    """Events of its identity and changes of its main fields, the newest first."""
    rows = sorted(reading.find("product_history", "product_id", [product_id]), key=lambda row: (-row["run"], row["event"], row["offer_id"]))
    events = [_event(row) for row in rows[:MOST_EVENTS]]
    versions = sorted((row for row in reading.find("product_versions", "product_id", [product_id]) if not row["gone"]), key=lambda row: row["run"])
    for before, after in pairwise(versions):
        events += [
            answers.Event(run=after["run"], event="changed", words=f"{field}: {before[field] or 'unknown'} → {after[field] or 'unknown'}", offer_id=None)
            for field in COMPARED_FIELDS if before[field] != after[field]
        ]  # fmt: skip
    return sorted(events, key=lambda event: -event.run)[:MOST_EVENTS]


def _event(row: dict[str, Any]) -> answers.Event:
    words = f"merged into {row['into_product_id']}" if row["event"] == "merged" and row["into_product_id"] else row["event"]
    return answers.Event(run=row["run"], event=row["event"], words=f"{words}: {row['reason']}" if row["reason"] else words, offer_id=row["offer_id"] or None)


def _fact(fact: dict[str, Any], sent: dict[str, Any]) -> answers.Fact:
    field, start, end = fact["evidence_field"], fact["evidence_start"], fact["evidence_end"]
    text = sent.get(field) if field else None
    evidence = text[start:end] if isinstance(text, str) and start is not None and end is not None else None
    return answers.Fact(**{name: fact[name] for name in answers.Fact.model_fields if name in fact}, evidence=evidence)


def _decision(row: dict[str, Any]) -> answers.Decision:
    return answers.Decision(**{name: row[name] for name in answers.Decision.model_fields})


def _candidates(reading: Reading, offer_id: str) -> list[answers.Candidate]:
    left = [row | {"offer_id": row["right_id"]} for row in reading.find("pairs", "left_id", [offer_id])]
    right = [row | {"offer_id": row["left_id"]} for row in reading.find("pairs", "right_id", [offer_id])]
    best = sorted(left + right, key=lambda pair: (-pair["score"], pair["offer_id"]))[:MOST_CANDIDATES]
    sent = offers_by_id(reading, [pair["offer_id"] for pair in best])
    unknown = {"supplier": None, "title": None, "price": None, "currency": None}
    shown = [{name: sent.get(pair["offer_id"], unknown)[name] for name in unknown} for pair in best]
    return [answers.Candidate(**{name: pair[name] for name in ("offer_id", "score", "conflict")}, **more) for pair, more in zip(best, shown, strict=True)]
