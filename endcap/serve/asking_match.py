"""Offers and words that are looked up in the whole catalog: an index of the snapshot, built once for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from endcap import gtin, match
from endcap.decide.in_force import at_snapshot
from endcap.decide.promised import Thresholds, thresholds
from endcap.decide.single import SHOWN_FIELDS, Near, Single, decide_single, find_by_text, offer_of
from endcap.match.cache import opened_store
from endcap.match.live import live_in
from endcap.match.store import Store
from endcap.problems import BadInput
from endcap.serve import answers_match as answers
from endcap.serve.reading import Reading
from endcap.settings import Policy

OFFERS_A_PRODUCT = 5
CACHE = "cache"  # where a run leaves its index, in the catalog's folder
PRODUCT_FIELDS = ("product_id", "title", "brand", "category", "gtin", "price_min", "price_max", "currency", "offers")


@dataclass(frozen=True)
class Finder:
    """What matching needs of a snapshot."""

    store: Store
    model: match.Model
    allowed: Thresholds
    policy: Policy


def finder_of(reading: Reading) -> Finder:
    """The snapshot's finder, built when it is asked for the first time. Raises BadInput before the first run or without a model."""
    return reading.keep("finder", _build)


def prepare(reading: Reading) -> None:
    """Build the finder and go its way once, so that who asks first does not wait for it; nothing before the first run."""
    if reading.snapshot_id is not None and reading.home.manifest(reading.snapshot_id).models.get("match") is not None:
        match_one(reading, answers.Asked(title="anything"))


def match_one(reading: Reading, given: answers.Asked) -> answers.Match:
    """What would be decided of an offer now, with up to `k` candidates."""
    found, titles = decide_of(reading, given)
    told = {"snapshot": reading.snapshot_id, "model": finder_of(reading).model.model_id, "candidates": [_candidate(one, titles) for one in found.near]}
    decided = {name: getattr(found, name) for name in ("action", "product_id", "confidence", "reason_code", "reason")}
    return answers.Match.model_validate(told | decided)


def decide_of(reading: Reading, given: answers.Asked) -> tuple[Single, dict[str, dict[str, Any]]]:
    """The same as `match_one`, not yet as an answer, with the products named."""
    finder = finder_of(reading)
    found = decide_single(finder.store, finder.model, offer_of(_fields(given)), finder.policy, finder.allowed, lambda ids: _details(reading, ids), k=given.k)
    return found, _titles(reading, [one.product_id for one in found.near if one.product_id])


def check(given: answers.Asked) -> None:
    """Raises BadInput where a field cannot be what it says."""
    _fields(given)


def products_by_id(reading: Reading, product_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Products by id, whatever their state; unknown ids are left out."""
    return reading.find("products", "product_id", product_ids, PRODUCT_FIELDS)


def search(reading: Reading, words: str, n: int) -> answers.Found:
    """Live products whose offers are most alike to some words, best first."""
    alike = find_by_text(finder_of(reading).store, words, n * OFFERS_A_PRODUCT)
    known = _details(reading, [offer_id for offer_id, _similarity in alike])
    best: dict[str, float] = {}
    for offer_id, similarity in alike:
        product_id = known.get(offer_id, {}).get("product_id")
        if product_id:
            best[product_id] = max(similarity, best.get(product_id, 0.0))
    chosen = sorted(best, key=lambda one: (-best[one], one))[:n]
    titles = _titles(reading, chosen)
    return answers.Found(
        snapshot=reading.snapshot_id,
        products=[answers.FoundProduct(**titles[one], similarity=round(best[one], 4)) for one in chosen if one in titles],
    )


def _build(reading: Reading) -> Finder:
    model_id = reading.home.manifest(reading.snapshot_id).models.get("match") if reading.snapshot_id else None
    if model_id is None:
        raise BadInput("nothing can be matched yet", where="the catalog", todo="run it once: `endcap run`")
    with reading.cursor() as con:
        store = opened_store(live_in(con), reading.home.path / CACHE)
        policy = at_snapshot(reading.home).policy
        allowed = thresholds(con, policy)
    return Finder(store, match.Model.load(reading.home.model_folder(model_id)), allowed, policy)


def _fields(given: answers.Asked) -> dict[str, Any]:
    fields = given.model_dump(exclude={"k"})
    if given.gtin is not None:
        digits, mistake = gtin.normalise(given.gtin)
        if digits is None:
            raise BadInput(f"{given.gtin!r} is no GTIN: {mistake}", where="gtin", todo="leave it out or copy the digits below the bar code")
        fields["gtin"] = digits
    fields["price"] = None if given.price is None else Decimal(str(given.price)).quantize(Decimal("0.0001"))
    return fields


def _details(reading: Reading, offer_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    rows = reading.find("offers", "offer_id", offer_ids, SHOWN_FIELDS)
    placed = {
        row["offer_id"]: row["product_id"]
        for row in reading.find("decisions", "offer_id", offer_ids, ("offer_id", "kind", "product_id")) if row["kind"] == "product"
    }  # fmt: skip
    return {row["offer_id"]: row | {"product_id": placed.get(row["offer_id"])} for row in rows}


def _titles(reading: Reading, product_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    columns = ("product_id", "title", "brand", "category", "gtin", "offers", "state")
    return {row["product_id"]: row for row in reading.find("products", "product_id", product_ids, columns) if row.pop("state") == "live"}


def _candidate(one: Near, titles: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The fields of a MatchCandidate, which are checked with the whole answer at once."""
    evidence = [{"name": bar.name, "words": bar.words, "contribution": bar.contribution, "value": _number(bar.value)} for bar in one.bars]
    title = titles.get(one.product_id or "", {}).get("title")
    told = {"product_id": one.product_id, "title": title, "offer_id": one.offer_id, "probability": one.score, "does": one.does}
    return told | {"words": one.words, "conflict": one.conflict, "evidence": evidence}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
