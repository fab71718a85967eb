"""The catalog as a reconciliation service (W3C Reconciliation Service API 0.2), so that OpenRefine can match a table's rows to products.

OpenRefine knows a service by its address alone and sends no headers of ours, so this one route takes its token in the address too.
"""

from __future__ import annotations

import html
import json
import re
from typing import Annotated, Any
from urllib.parse import parse_qs

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from endcap.problems import BadInput
from endcap.serve import answers_match, answers_reconcile, asking_match, asking_product
from endcap.serve.answering import Answering
from endcap.serve.api import Pinned
from endcap.serve.reading import Reading

ROUTER = APIRouter(prefix="/api/v1/reconcile", route_class=Answering)
MOST_QUERIES, MOST_IDS = 50, 200
PRODUCT = answers_reconcile.Named(id="product", name="Product")
# What a row may say beside its name, and what can be fetched of a product.
ASKED_PROPERTIES = {"brand": "Brand", "gtin": "GTIN", "mpn": "Part number", "price": "Price", "currency": "Currency", "description": "Description"}
TOLD_PROPERTIES = {"title": "Title", "brand": "Brand", "category": "Category", "gtin": "GTIN", "price_min": "Lowest price", "price_max": "Highest price",
                   "currency": "Currency", "offers": "Offers"}  # fmt: skip
Typed = Annotated[str, Query(max_length=200)]
# Of an address; what is longer goes in a body.
JsonText = Annotated[str, Query(max_length=40_000)]
# Legal in JSON as an escape, and no text that can be looked for or sent back.
HALF_CHARACTER = re.compile("[\ud800-\udfff]")


@ROUTER.get("")
def manifest_or_answers(request: Request, reading: Pinned, queries: JsonText = "", extend: JsonText = "") -> answers_reconcile.Reconciled:
    """The service's manifest, or the answers to `queries` or `extend` given as JSON."""
    return answers_reconcile.Reconciled(_answer(request, reading, queries, extend))


@ROUTER.post("")
async def answers_to(request: Request, reading: Pinned) -> answers_reconcile.Reconciled:
    """The answers to `queries` or `extend`, sent as a form whose one field is JSON."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    queries, extend = (form.get(name, [""])[0] for name in ("queries", "extend"))
    return answers_reconcile.Reconciled(await to_thread.run_sync(_answer, request, reading, queries, extend))


@ROUTER.get("/suggest/entity")
def suggest_entity(reading: Pinned, prefix: Typed = "", cursor: Annotated[int, Query(ge=0, le=1000)] = 0) -> answers_reconcile.Suggested:
    """Products by what somebody types."""
    found = asking_match.search(reading, prefix, 20).products if prefix.strip() else []
    shown = [(one.product_id, one.title, f"{one.brand or ''} {one.category or ''}".strip()) for one in found[cursor:]]
    return answers_reconcile.Suggested(result=[answers_reconcile.Suggestion(id=key, name=name, description=more) for key, name, more in shown])


@ROUTER.get("/suggest/property")
def suggest_property(prefix: Typed = "") -> answers_reconcile.Suggested:
    """Columns that a query may send along."""
    fits = {key: name for key, name in ASKED_PROPERTIES.items() if prefix.casefold() in name.casefold()}
    return answers_reconcile.Suggested(result=[answers_reconcile.Suggestion(id=key, name=name, description="") for key, name in fits.items()])


@ROUTER.get("/properties")
def properties(type: Annotated[str, Query(max_length=80)] = "") -> answers_reconcile.Proposed:
    """Columns that can be fetched of products."""
    return answers_reconcile.Proposed(type=type, properties=[answers_reconcile.Named(id=key, name=name) for key, name in TOLD_PROPERTIES.items()])


@ROUTER.get("/preview", response_class=HTMLResponse, include_in_schema=False)
def preview(reading: Pinned, id: Annotated[str, Query(max_length=64)]) -> HTMLResponse:
    """A product in a few lines, for OpenRefine's little window. Raises NotFound."""
    product = asking_product.product(reading, id)
    about = f"{product.brand or 'unknown brand'}, {product.category or 'no category'}"
    lines = [product.title, about, f"{product.offer_count} offers, GTIN {product.gtin or 'unknown'}"]
    return HTMLResponse('<!doctype html><meta charset="utf-8">' + "".join(f"<p>{html.escape(line)}</p>" for line in lines))


def _answer(request: Request, reading: Reading, queries: str, extend: str) -> dict[str, Any]:
    if extend:
        return _extend(reading, _parsed(extend, "extend"))
    if queries:
        return _reconcile(reading, _parsed(queries, "queries"))
    return _manifest(str(request.base_url).rstrip("/"), request.query_params.get("token", ""))


def _manifest(base: str, token: str) -> dict[str, Any]:
    service = f"{base}/api/v1/reconcile"
    with_token = f"?token={token}" if token else ""
    suggest = {"service_url": service, "service_path": f"/suggest/entity{with_token}"}
    return {
        "versions": ["0.2"], "name": "endcap", "identifierSpace": f"{base}/p/", "schemaSpace": f"{base}/schema/", "defaultTypes": [PRODUCT.model_dump()],
        "view": {"url": f"{base}/p/{{{{id}}}}"},
        "preview": {"url": f"{service}/preview?id={{{{id}}}}" + (f"&token={token}" if token else ""), "width": 400, "height": 120},
        "suggest": {"entity": suggest, "property": {**suggest, "service_path": f"/suggest/property{with_token}"}},
        "extend": {"propose_properties": {"service_url": service, "service_path": f"/properties{with_token}"}, "property_settings": []},
    }  # fmt: skip


def _parsed(text: str, name: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
        told = json.dumps(found, ensure_ascii=False)
    except (ValueError, RecursionError):
        found, told = None, ""
    if HALF_CHARACTER.search(told):
        raise BadInput(f"{name} holds half of a character (a lone surrogate)", where="reconciliation", todo="send whole characters")
    if not isinstance(found, dict):
        raise BadInput(f"{name} is no JSON object", where="reconciliation", todo='send {"q0": {"query": "..."}}')
    return found


def _reconcile(reading: Reading, queries: dict[str, Any]) -> dict[str, Any]:
    if len(queries) > MOST_QUERIES:
        raise BadInput(f"{len(queries):,} queries are too many", where="reconciliation", todo=f"send at most {MOST_QUERIES} at once")
    return {key: {"result": _candidates(reading, key, query)} for key, query in queries.items()}


def _candidates(reading: Reading, key: str, query: Any) -> list[dict[str, Any]]:
    asked = _asked(key, query)
    if asked is None:
        return []
    found, titles = asking_match.decide_of(reading, asked)
    limit = query["limit"] if type(query.get("limit")) is int and query["limit"] > 0 else 10
    shown = [one for one in found.near if one.product_id in titles][:limit]
    return [
        {
            "id": one.product_id, "name": titles[str(one.product_id)]["title"], "score": round(100 * one.score, 2), "type": [PRODUCT.model_dump()],
            "match": found.action == "linked" and one.product_id == found.product_id, "description": one.words,
        }
        for one in shown
    ]  # fmt: skip


def _asked(key: str, query: Any) -> answers_match.Asked | None:
    """A query with its properties as an offer; what is no value of its field is left out rather than refused, as the standard asks.

    None where its text is blank: clients send the empty cells of a table along with the others.
    """
    if not isinstance(query, dict) or not isinstance(query.get("query"), str):
        raise BadInput(f"{key} has no text to look for", where="reconciliation", todo='send {"query": "..."}')
    if not query["query"].strip():
        return None
    fields: dict[str, Any] = {"title": query["query"][:2000]}
    told = query.get("properties")
    for one in told if isinstance(told, list) else []:
        name, value = (_name_of(one, "pid"), one.get("v")) if isinstance(one, dict) else ("", None)
        value = value[0] if isinstance(value, list) and value else value
        if name in ASKED_PROPERTIES and isinstance(value, (str, int, float)):
            try:
                trial = fields | {name: float(value) if name == "price" else str(value)}
                asking_match.check(answers_match.Asked(**trial))
                fields = trial
            except (BadInput, ValueError, OverflowError):  # pydantic's are ValueErrors
                continue
    return answers_match.Asked(**fields)


def _name_of(told: dict[str, Any], key: str) -> str:
    """What a property is called, "" where nothing is said. Raises BadInput where that is no text."""
    name = told.get(key) or ""
    if not isinstance(name, str):
        raise BadInput(f"the {key} of a property is no text", where="reconciliation", todo=f'send {{"{key}": "brand"}}')
    return name


def _extend(reading: Reading, asked: dict[str, Any]) -> dict[str, Any]:
    ids, wanted = asked.get("ids"), asked.get("properties")
    if not isinstance(ids, list) or not isinstance(wanted, list) or len(ids) > MOST_IDS or not all(isinstance(one, str) for one in ids):
        raise BadInput("ids and properties are lists", where="reconciliation", todo=f"send at most {MOST_IDS} ids")
    named = [_name_of(one, "id") for one in wanted if isinstance(one, dict)]
    names = [one for one in named if one in TOLD_PROPERTIES]
    rows = {row["product_id"]: row for row in asking_match.products_by_id(reading, ids)}
    return {
        "meta": [{"id": name, "name": TOLD_PROPERTIES[name]} for name in names],
        "rows": {one: {name: _cell(rows.get(one, {}).get(name)) for name in names} for one in ids},
    }


def _cell(value: Any) -> list[dict[str, str]]:
    return [] if value is None else [{"str": str(value)}]
