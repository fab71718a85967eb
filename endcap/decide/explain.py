"""Why an offer is where it is, or what a product is made of: candidates, features, decision, history."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import duckdb

from endcap.decide.in_force import told
from endcap.match import Model, explain_pair
from endcap.ops.home import Home
from endcap.problems import BadInput

CANDIDATES = 5

_CANDIDATES = f"""
    WITH near AS (SELECT right_id AS other_id, score, conflict, features, model FROM pairs WHERE left_id = $id
                  UNION ALL SELECT left_id, score, conflict, features, model FROM pairs WHERE right_id = $id)
    SELECT n.other_id, o.title, d.product_id, n.score, n.conflict, n.features, n.model
    FROM near n JOIN offers o ON o.offer_id = n.other_id LEFT JOIN decisions d ON d.offer_id = n.other_id AND d.kind = 'product'
    ORDER BY n.score DESC, n.other_id LIMIT {CANDIDATES}
"""
_DECISIONS = "SELECT run, kind, action, product_id, value, reason, gone FROM decisions_log WHERE offer_id = ? ORDER BY run, kind"
_EVENTS = "SELECT run, event, into_product_id, offer_id, reason FROM product_events_log WHERE product_id = ? ORDER BY run, event, offer_id"
_MEMBERS = """
    SELECT o.offer_id, o.supplier, o.title, d.confidence, d.reason FROM decisions d JOIN offers o USING (offer_id)
    WHERE d.kind = 'product' AND d.product_id = ? ORDER BY o.offer_id
"""


def explain(home: Home, subject: str) -> dict[str, Any]:
    """Explain an offer (feed:id) or a product (P...).

    Out: title, lines (words), candidates (offers: id, title, product, score, bars), history. Raises BadInput when neither has that id.
    """
    with home.connect() as con:
        offer = _one(con, "SELECT * FROM offers WHERE offer_id = ?", subject)
        if offer is not None:
            return _explain_offer(home, con, offer)
        product = _one(con, "SELECT * FROM products WHERE product_id = ?", subject)
        if product is not None:
            return _explain_product(con, product)
        last = _one(con, "SELECT * FROM offers_log WHERE offer_id = ? ORDER BY run DESC LIMIT 1", subject)
    if last is not None:
        raise BadInput(f"{subject} is no longer delivered, since {last['delivery_id']}", where="explain", todo="name an offer that is live")
    raise BadInput(f"there is no offer and no product {subject!r}", where="explain", todo="an offer is FEED:ID, a product P and 12 letters")


def _one(con: duckdb.DuckDBPyConnection, query: str, subject: str) -> dict[str, Any] | None:
    found = con.sql(query, params=[subject]).to_arrow_table().to_pylist()
    return found[0] if found else None


def _explain_offer(home: Home, con: duckdb.DuckDBPyConnection, offer: dict[str, Any]) -> dict[str, Any]:
    offer_id = offer["offer_id"]
    decision = _one(con, "SELECT * FROM decisions WHERE kind = 'product' AND offer_id = ?", offer_id) or {}
    lines = [f"as sent: {offer['title']}" + (f", brand {offer['brand']}" if offer["brand"] else "") + (f", GTIN {offer['gtin']}" if offer["gtin"] else "")]
    lines += [f"raw bytes: record {offer['position']} of {offer['delivery_id']}"]
    if decision:
        lines.append(_decision_words(decision))
        lines.append(f"by {decision['decided_by']}, model {decision['model'] or 'none'}, policy {decision['policy']}")
        lines.append(told(home))
    facts = con.execute("SELECT attribute, value, unit, confidence, evidence_field, extractor FROM facts WHERE offer_id = ? ORDER BY attribute", [offer_id])
    for attribute, value, unit, confidence, field, extractor in facts.fetchall():
        lines.append(f"{attribute}: {value}{' ' + unit if unit else ''} ({confidence:.2f}, from {field or 'the catalog'} by {extractor})")
    candidates = _candidates(home, con, offer)
    if not candidates:
        lines.append("no offer of another feed resembles it enough to be compared")
    history = _history(con, offer_id)
    return {"kind": "offer", "id": offer_id, "title": offer_id, "lines": lines, "decision": decision, "candidates": candidates, "history": history}


def _decision_words(decision: dict[str, Any]) -> str:
    where = {
        "linked": f"linked to {decision['product_id']}", "new_product": f"founded {decision['product_id']}",
        "to_review": f"waits for a person: is it {decision['proposed_product_id']}?",
    }[decision["action"]]  # fmt: skip
    return f"{where} with confidence {decision['confidence']:.2f}: {decision['reason']}"


def _candidates(home: Home, con: duckdb.DuckDBPyConnection, offer: dict[str, Any]) -> list[dict[str, Any]]:
    """The nearest offers, each pair explained by the model that scored it: beside a canary there are two."""
    rows = con.execute(_CANDIDATES, {"id": offer["offer_id"]}).fetchall()
    models = {model_id: Model.stored(home.model_folder(model_id), model_id) for model_id in sorted({row[-1] for row in rows})}
    found = []
    for other_id, title, product_id, score, conflict, features, model_id in rows:
        other = _one(con, "SELECT * FROM offers WHERE offer_id = ?", other_id) or {}
        left, right = sorted((offer, other), key=lambda one: str(one["offer_id"]))
        bars = [asdict(bar) for bar in explain_pair(left, right, models[model_id], features)]
        for bar in bars:
            bar["value"] = None if bar["value"] is None or bar["value"] != bar["value"] else bar["value"]
        found.append({"offer_id": other_id, "title": title, "product_id": product_id, "score": score, "conflict": conflict, "bars": bars})
    return found


def _history(con: duckdb.DuckDBPyConnection, offer_id: str) -> list[dict[str, Any]]:
    events = []
    for run, kind, action, product_id, value, reason, gone in con.execute(_DECISIONS, [offer_id]).fetchall():
        words = "no longer delivered" if gone else f"{kind} {action} {product_id or value or ''}: {reason}"
        events.append({"run": run, "words": words})
    answers = con.execute('SELECT override_id, action, actor, "at", product_id FROM overrides WHERE offer_id = ? ORDER BY override_id', [offer_id]).fetchall()
    said = [f"{actor} said {action} ({product_id}) on {at}, answer {number}" for number, action, actor, at, product_id in answers]
    return events + [{"run": None, "words": words} for words in said]


def _explain_product(con: duckdb.DuckDBPyConnection, product: dict[str, Any]) -> dict[str, Any]:
    product_id = product["product_id"]
    lines = [f"{product['state']}" + (f" into {product['merged_into']}" if product["merged_into"] else "") + f", founded by {product['founded_by']}"]
    for value in product["values"]:
        unit = f" {value['unit']}" if value["unit"] else ""
        lines.append(
            f"{value['field']}: {value['value']}{unit} ({value['confidence']:.2f}, {value['support']} offers say so, "
            f"from {value['source_offer_id']} by {value['extractor']}, since run {value['since_run']})"
        )
    for offer_id, supplier, title, confidence, reason in con.execute(_MEMBERS, [product_id]).fetchall():
        lines.append(f"offer {offer_id} of {supplier}: {title} ({confidence:.2f}; {reason})")
    events = con.execute(_EVENTS, [product_id]).fetchall()
    history = [{"run": run, "words": f"{event} {into or ''} ({offer_id}): {reason}"} for run, event, into, offer_id, reason in events]
    title = f"{product_id}  {product['title']}"
    return {"kind": "product", "id": product_id, "title": title, "lines": lines, "decision": {}, "candidates": [], "history": history}
