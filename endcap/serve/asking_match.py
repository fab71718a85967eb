"""Offers and words that are looked up in the whole catalog: an index of the snapshot, built once for it."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pyarrow as pa

from endcap import gtin, match, shelf
from endcap.decide.in_force import at_snapshot
from endcap.decide.inputs import CONTRADICTING, SURE_FACT
from endcap.decide.promised import Thresholds, thresholds
from endcap.decide.single import SHOWN_FIELDS, Around, Near, Single, decide_single, find_by_text, offer_of
from endcap.decide.suspicion import placeholder_gtins
from endcap.decide.switched import CODE as AUTOMATION_OFF
from endcap.decide.switched import scopes_off
from endcap.infer import load_known
from endcap.infer.attributes import best
from endcap.infer.find import find_all, offer_texts
from endcap.infer.known import Known
from endcap.match.cache import opened_store
from endcap.match.live import live_in
from endcap.match.matching import candidates_of
from endcap.match.store import Store
from endcap.problems import BadInput
from endcap.serve import answers_match as answers
from endcap.serve.asking_overview import feed_states
from endcap.serve.reading import Reading
from endcap.settings import Policy

OFFERS_A_PRODUCT = 5
LOG = logging.getLogger("endcap.serve")
CACHE = "cache"  # where a run leaves its index, in the catalog's folder
PRODUCT_FIELDS = ("product_id", "title", "brand", "category", "gtin", "price_min", "price_max", "currency", "offers")


@dataclass(frozen=True)
class Finder:
    """What matching needs of a snapshot."""

    store: Store
    model: match.Model
    allowed: Thresholds
    policy: Policy
    candidates: int
    kept: int
    known: Known | None
    placeholder_gtins: frozenset[str]  # of no product


def finder_of(reading: Reading) -> Finder:
    """The snapshot's finder, built when it is asked for the first time. Raises BadInput before the first run or without a model."""
    return reading.keep("finder", _build)


def prepare(reading: Reading) -> None:
    """Build the finder and go its way once, so that who asks first does not wait for it; nothing before the first run."""
    if reading.snapshot_id is not None and reading.home.manifest(reading.snapshot_id).models.get("match") is not None:
        match_one(reading, answers.Asked(title="anything"))


def match_one(reading: Reading, given: answers.Asked) -> answers.Match:
    """What would be decided of an offer now, with the `k` most likely candidates and the one decided on. Raises BadInput for a feed that nobody knows."""
    check_feed(reading, given.feed)
    found, titles = decide_of(reading, given, explained=given.k)
    shown = [_candidate(one, titles) for one in found.near if one.bars]
    told = {"snapshot": reading.snapshot_id, "model": finder_of(reading).model.model_id, "candidates": shown}
    decided = {name: getattr(found, name) for name in ("action", "product_id", "confidence", "reason_code", "reason")}
    return answers.Match.model_validate(told | decided)


def decide_of(reading: Reading, given: answers.Asked, *, explained: int = 0) -> tuple[Single, dict[str, dict[str, Any]]]:
    """The same as `match_one`, not yet as an answer, with the products named and bars for the first few; compared are as many as in a run, or `k`."""
    finder = finder_of(reading)
    fields = _fields(given)
    offer = offer_of(fields | {"gtin": None if fields["gtin"] in finder.placeholder_gtins else fields["gtin"]})
    found = decide_single(
        finder.store, finder.model, offer, finder.policy, finder.allowed, lambda ids: _around(reading, ids), k=max(given.k, finder.candidates),
        kept=finder.kept, stated=_read_from(offer, finder), explained=explained,
    )  # fmt: skip
    why_off = _why_off(reading, given.feed)
    if why_off and found.action != "to_review":
        found = replace(found, action="to_review", reason_code=AUTOMATION_OFF, reason=why_off)
    return found, _titles(reading, [one.product_id for one in found.near if one.product_id])


def check_feed(reading: Reading, feed: str | None) -> None:
    """Raise BadInput where neither the settings nor the catalog know a feed of this name."""
    if feed is None or feed in reading.home.catalog.feeds or any(one.feed == feed for one in feed_states(reading)):
        return
    raise BadInput(f"there is no feed {feed!r}", where="feed", todo="every feed is listed at /api/v1/feeds; leave it out for an offer of none")


def _why_off(reading: Reading, feed: str | None) -> str | None:
    """Why the machine may not decide of an offer of this feed now; None where it may. Scopes of a category hold at the run, which knows the category."""
    off = reading.keep_while("scopes off", lambda given: scopes_off(given.rows("SELECT scope, automation, reason FROM switches ORDER BY switch_id")))
    known = reading.home.catalog.feeds.get(feed or "")
    names = ["*", *([f"feed:{feed}", f"supplier:{known.supplier or feed}"] if known else [])]
    return next((off[name] for name in names if name in off), None)


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
        policy = at_snapshot(reading.home).policy
        store = opened_store(live_in(con, policy.marketplaces), reading.home.path / CACHE)
        nobodys = frozenset(placeholder_gtins(con, policy.marketplaces)["gtin"].to_pylist())
        allowed = thresholds(con, policy)
    models, catalog = reading.home.manifest(reading.snapshot_id).models, reading.home.catalog
    try:
        known = load_known(reading.home.model_folder(models["infer"])) if "infer" in models else None
    except BadInput as problem:  # a run learns it again; until then titles are compared without what would be read from them
        LOG.warning("%s", problem.sentence())
        known = None
    candidates = candidates_of(catalog.matching, store.postings)
    return Finder(store, match.Model.load(reading.home.model_folder(model_id)), allowed, policy, candidates, catalog.matching.kept, known, nobodys)


def _read_from(offer: pa.Table, finder: Finder) -> dict[str, str]:
    """What a run would read from the offer of what must not contradict within a product."""
    if finder.known is None:
        return {}
    (texts,) = offer_texts(offer.to_batches()[0])
    found = {name: best(find_all(shelf.component("attributes", name), [texts], finder.known)[0]) for name in CONTRADICTING}
    sure = {name: one for name, one in found.items() if one is not None and one.confidence >= SURE_FACT}
    return {name.replace("_", " "): " ".join(filter(None, (finder.known.meant(name, one.value), one.unit))) for name, one in sure.items()}


def _fields(given: answers.Asked) -> dict[str, Any]:
    fields = given.model_dump(exclude={"k"})
    if given.gtin is not None:
        digits, mistake = gtin.normalise(given.gtin)
        if digits is None:
            raise BadInput(f"{given.gtin!r} is no GTIN: {gtin.REASONS[mistake or '']}", where="gtin", todo="leave it out or copy the digits below the bar code")
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


def _around(reading: Reading, offer_ids: Sequence[str]) -> Around:
    offers = _details(reading, offer_ids)
    products = sorted({row["product_id"] for row in offers.values() if row["product_id"]})
    placed = [row for row in reading.find("decisions", "product_id", products, ("offer_id", "kind", "product_id")) if row["kind"] == "product"]
    members = [row["offer_id"] for row in placed]
    feeds = {row["offer_id"]: row["feed"] for row in reading.find("offers", "offer_id", members, ("offer_id", "feed"))}
    together: dict[str, dict[str, str]] = {product_id: {} for product_id in products}
    for row in placed:
        if row["offer_id"] in feeds:
            together[row["product_id"]][row["offer_id"]] = feeds[row["offer_id"]]
    return Around(offers, together, _stated(reading, sorted({*offer_ids, *members})))


def _stated(reading: Reading, offer_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """For each offer the values that must not contradict within one product, as a run reads them (see decide/inputs.py)."""
    found: dict[str, dict[str, str]] = {}
    for row in reading.find("facts", "offer_id", offer_ids, ("offer_id", "attribute", "value", "unit", "confidence")):
        if row["attribute"] in CONTRADICTING and row["confidence"] >= SURE_FACT:
            found.setdefault(row["offer_id"], {})[row["attribute"].replace("_", " ")] = " ".join(filter(None, (row["value"], row["unit"])))
    for row in reading.find("offers", "offer_id", offer_ids, ("offer_id", "gtin")):
        if row["gtin"] is not None and row["gtin"] not in finder_of(reading).placeholder_gtins:
            found.setdefault(row["offer_id"], {})["GTIN"] = row["gtin"]
    return found


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
