"""The example of six grocers reads its feeds: shapes made by hand here, the real deliveries where they are at hand."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from endcap import settings
from endcap.feeds import Reading, read_delivery
from endcap.schema import Offer, arrow_schema
from endcap.settings import Feed

ROOT = Path(__file__).resolve().parents[1]
REPLAY = ROOT.parent / "shared" / "data" / "replay"
EMPTY = arrow_schema(Offer).empty_table()
needs_replay = pytest.mark.skipif(not REPLAY.is_dir(), reason="the grocers' deliveries are not at hand")


def _catalog() -> settings.Catalog:
    return settings.read(ROOT / "examples" / "grocers", overrides={"inbox": str(REPLAY)})


@pytest.mark.parametrize(
    ("feed", "record", "expected"),
    [
        (
            "dm-at",
            {
                "gtin": 36000291452,
                "title": "Pads, 140 St",
                "brandName": "b",
                "price": {"value": 0.95, "currencyIso": "EUR"},
                "categoryNames": ["Pads"],
                "purchasable": True,
            },
            {"source_id": "36000291452", "gtin": "00036000291452", "price": Decimal("0.95"), "currency": "EUR", "category_path": "Pads", "available": True},
        ),
        (
            "rewe-de",
            {"id": "1", "name": "Apple", "currentPrice": "1.000,50 €", "grammage": "1 kg"},
            {"price": Decimal("1000.5"), "currency": "EUR", "quantity_text": "1 kg"},
        ),
        (
            "penny-at",
            {
                "productId": "1",
                "name": "Flour",
                "price": {"regular": {"value": 149}},
                "brand": {"name": "Niedrigster 30-Tage-Preis: 1.39"},
                "parentCategories": [[{"name": "Food"}, {"name": "Flour"}]],
            },
            {"price": Decimal("1.49"), "brand": "Niedrigster 30-Tage-Preis: 1.39", "category_path": "Food > Flour"},
        ),
        (
            "bipa-at",
            {"id": "B", "name": "Lens care", "price": 5.79, "unit": "Product \r\n undefined 360 ml", "canonicalUrl": "/p", "category": "c"},
            {"quantity_text": "360 ml", "url": "/p", "price": Decimal("5.79")},
        ),
    ],
)
def test_each_shop_s_way_of_writing_is_read(tmp_path: Path, feed: str, record: dict[str, Any], expected: dict[str, Any]) -> None:
    (tmp_path / "a.json").write_text(json.dumps([record]))
    declared = _catalog().feeds[feed].model_dump()
    for name, path in (("url", "url"), ("image", "image"), ("quantity", "quantity"), ("brand", "brand"), ("available", "available")):
        if declared["fields"][name] and name not in [key.removesuffix("_text") for key in expected]:
            declared["fields"][name] = None  # only the fields this record shows
        assert path == name
    reading = read_delivery(feed, Feed.model_validate(declared), tmp_path / "a.json", "2024-01-01", EMPTY, run=1)
    offer = reading.offers.to_pylist()[0]
    assert {name: offer[name] for name in expected} == expected


def _read(name: str, date: str, known: pa.Table = EMPTY, feed: Feed | None = None) -> Reading:
    return read_delivery(name, feed or _catalog().feeds[name], REPLAY / date / f"{name}.json.gz", date, known, run=1)


@needs_replay
def test_rewe_of_the_first_of_august_is_held_with_the_reason_in_words() -> None:
    july = _read("rewe-de", "2023-07-12")
    assert july.delivery.state == "accepted"
    august = _read("rewe-de", "2023-08-01", july.offers)
    assert august.delivery.state == "held" and len(august.offers) == 0
    assert august.delivery.reason.startswith("rewe-de delivered 14,185 records but 0 % state a price, last time 100 %")
    assert august.delivery.reason.endswith("release with `endcap release rewe-de 2023-08-01 --reason ...`")


@needs_replay
def test_no_field_budget_holds_an_honest_delivery_of_the_grocers() -> None:
    """Hofer renames most of its categories in July, Penny writes other prices into its brands, dm-de's stock moves most."""
    for name, dates in {
        "hofer-at": ["2023-06-05", "2023-07-12", "2023-07-21"],
        "penny-at": ["2023-06-05", "2023-07-12", "2023-08-01", "2023-08-06", "2023-09-15", "2023-10-20"],
        "dm-de": ["2023-07-21", "2023-08-01"],
    }.items():
        known: dict[str, Any] = {}
        for date in dates:
            reading = _read(name, date, pa.Table.from_pylist(list(known.values()), schema=EMPTY.schema))
            assert reading.delivery.state == "accepted", reading.delivery.reason
            known |= {row["offer_id"]: row for row in reading.offers.to_pylist()}


@needs_replay
def test_bipa_repeats_are_counted_and_not_doubled() -> None:
    delivery = _read("bipa-at", "2023-07-12").delivery
    assert delivery.read == delivery.accepted + delivery.quarantined == 27_844
    assert delivery.repeated > delivery.read / 2 > delivery.offers - delivery.quarantined
    assert any("repeat another record" in said for said in delivery.warnings)


@needs_replay
def test_penny_s_brand_is_no_brand_and_endcap_says_so_until_it_is_ignored() -> None:
    told = _read("penny-at", "2023-06-05")
    assert any(said.startswith("brand is not a brand: 77 of 77") for said in told.delivery.warnings)
    declared = _catalog().feeds["penny-at"].model_dump()
    declared["fields"]["brand"]["ignore"] = "(?i)niedrigster.*preis"
    kept = _read("penny-at", "2023-06-05", feed=Feed.model_validate(declared))
    assert kept.delivery.warnings == [] and kept.offers["brand"].null_count == 536
