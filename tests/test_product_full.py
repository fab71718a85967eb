"""The product page at its full counts: history against a replay, every version against its snapshot, sources, 5,000 offers, and bars that sum."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from conftest import Demo, endcap
from desk import Desk
from fastapi.testclient import TestClient

from endcap import settings
from endcap.ops import access
from endcap.ops.home import Home
from endcap.publish.folder import read_products
from endcap.serve.app import make_app
from endcap.serve.gate import HomeGate
from endcap.serve.sample_catalog import SNAPSHOT, SampleGate, SampleHome

SAMPLES = [20, pytest.param(200, marks=pytest.mark.nightly)]


def client_of(home: Home, role: str = "viewer") -> TestClient:
    client = TestClient(make_app(home, HomeGate(home)), base_url="http://localhost", follow_redirects=False, raise_server_exceptions=False)
    client.headers["authorization"] = f"Bearer {access.make_token(home.engine, role, role, days=1, actor='admin')}"
    return client


@pytest.fixture
def client(copy_of_demo: Path) -> TestClient:
    return client_of(Home(settings.read(copy_of_demo)))


def published(home: Home) -> dict[str, dict[str, dict[str, Any]]]:
    """Every snapshot's published products, the oldest first: snapshot -> product -> row."""
    with home.connect() as con:
        names = [name for (name,) in con.execute("SELECT snapshot_id FROM snapshots ORDER BY run").fetchall()]
    return {name: {row["product_id"]: row for row in read_products(home.published_folder / name).to_pylist()} for name in names}


def values_in(row: dict[str, Any] | None) -> dict[str, tuple[str, str | None]]:
    return {} if row is None else {one["field"]: (one["value"], one["source_offer_id"]) for one in row["values"]}


@pytest.mark.parametrize("count", SAMPLES)
def test_the_history_of_a_field_is_what_replaying_every_snapshot_tells(client: TestClient, copy_of_demo: Path, count: int) -> None:
    snapshots = list(published(Home(settings.read(copy_of_demo))).values())
    products = sorted(snapshots[-1])
    changed = [one for one in products if len({repr(values_in(snapshot.get(one))) for snapshot in snapshots}) > 1]
    dice = random.Random(5)
    fields = ("title", "brand", "gtin", "category", "quantity", "colour")
    longest = 0
    for number in range(count):
        product_id = dice.choice(changed if number % 2 else products)
        field = dice.choice([name for name in fields if len({values_in(snapshot.get(product_id)).get(name) for snapshot in snapshots}) > 1] or fields)
        replayed: list[str | None] = []
        for snapshot in snapshots:
            if product_id in snapshot:
                value = values_in(snapshot[product_id]).get(field, (None, None))[0]
                if not replayed or replayed[-1] != value:
                    replayed.append(value)
        told = client.get(f"/api/v1/products/{product_id}/history", params={"field": field}).json()["versions"]
        spoken = [one["value"] for one in reversed(told)]
        assert [value for place, value in enumerate(spoken) if not place or spoken[place - 1] != value] == replayed, (product_id, field)
        longest = max(longest, len(replayed))
    assert longest > 1, "something changed"


@pytest.mark.parametrize("count", SAMPLES)
def test_a_product_as_of_any_version_is_the_one_that_was_published(client: TestClient, copy_of_demo: Path, count: int) -> None:
    snapshots = published(Home(settings.read(copy_of_demo)))
    dice = random.Random(6)
    for _number in range(count):
        name = dice.choice(list(snapshots))
        product_id = dice.choice(sorted(snapshots[name]))
        row, told = snapshots[name][product_id], client.get(f"/api/v1/products/{product_id}", params={"version": name}).json()
        assert told["snapshot"] == name
        assert [told[one] for one in ("title", "brand", "category", "gtin", "offer_count")] == [
            row[one] for one in ("title", "brand", "category", "gtin", "offers")
        ]
        assert {one["field"]: (one["value"], one["source_offer_id"]) for one in told["values"]} == values_in(row)


def sourceless(folder: Path) -> tuple[int, int]:
    """(values of every version of every product, those without a source)."""
    with Home(settings.read(folder)).connect() as con:
        found = con.execute(
            "SELECT count(*), count(*) FILTER (coalesce(v.source_offer_id, '') = '' AND v.override_id IS NULL OR coalesce(v.extractor, '') = '') "
            "FROM (SELECT unnest(values) AS v FROM products_log WHERE NOT gone)"
        ).fetchall()
    return found[0]


def test_every_value_has_a_source(demo: Demo) -> None:
    values, blank = sourceless(demo.folder)
    assert values > 3_000 and blank == 0


@pytest.mark.nightly
def test_each_of_10000_values_has_a_source(tmp_path: Path) -> None:
    assert endcap("demo", "--dir", tmp_path / "world", "--offers", "6000", "--json").code == 0
    values, blank = sourceless(tmp_path / "world")
    assert values >= 10_000 and blank == 0


@pytest.mark.parametrize("count", [5, pytest.param(200, marks=pytest.mark.nightly)])
def test_bars_sum_to_the_weight_that_is_shown_and_the_score_is_the_same_everywhere(client: TestClient, copy_of_demo: Path, count: int) -> None:
    with Home(settings.read(copy_of_demo)).connect() as con:
        pairs = con.execute("SELECT left_id, right_id, score FROM pairs ORDER BY md5(left_id || right_id) LIMIT ?", [count]).fetchall()
    assert len(pairs) == count
    for left, right, score in pairs:
        told = client.get("/api/v1/pairs", params={"left": left, "right": right}).json()
        assert sum(bar["contribution"] for bar in told["bars"]) == pytest.approx(told["log_odds"], abs=1e-6)
        turned = client.get("/api/v1/pairs", params={"left": right, "right": left}).json()
        offers = [client.get(f"/api/v1/offers/{one}").json() for one in (left, right)]
        seen = [
            candidate["score"]
            for offer, other in zip(offers, (right, left), strict=True)
            for candidate in offer["candidates"]
            if candidate["offer_id"] == other
        ]
        assert seen and {round(one, 9) for one in (score, told["score"], turned["score"], *seen)} == {round(score, 9)}, (left, right)


def test_the_bars_on_the_screen_sum_to_what_stands_below_them(lookout: Desk) -> None:
    with lookout.home.connect() as con:
        (product_id,) = con.execute("SELECT product_id FROM products WHERE state = 'live' ORDER BY offers DESC, 1 LIMIT 1").fetchall()[0]
    page = lookout.person(role="reviewer")
    page.goto(f"{lookout.address}/p/{product_id}")
    page.wait_for_selector(".verbs-line >> visible=true")
    for offer in page.locator("input[name=offer]").all()[:3]:
        offer.focus()
        page.keyboard.press("w")
        page.wait_for_selector("#told[open] .waterfall")
        numbers = [float(text.replace("−", "-")) for text in page.locator("#told td.r").all_inner_texts()]
        assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=0.005 * len(numbers)) and len(numbers) > 5
        page.keyboard.press("Escape")
        page.wait_for_selector("#told:not([open])", state="attached")


@pytest.mark.parametrize("many", [500, pytest.param(5_000, marks=pytest.mark.nightly)])
def test_a_product_of_5000_offers_is_paged_and_every_page_is_light(many: int) -> None:
    """How fast it is painted is measured by bench/review.py."""
    names = [f"nord:{number:04}" for number in range(many)]
    tables: dict[str, list[dict[str, Any]]] = {
        "products": [{"product_id": "p1", "title": "Mug", "state": "live", "offers": many, "suppliers": 1, "founded_by": names[0], "values": []}],
        "offers": [{"offer_id": name, "feed": "nord", "supplier": "nord", "title": f"Mug {name}", "price": "1.00", "currency": "EUR"} for name in names],
        "decisions": [
            {"offer_id": name, "kind": "product", "action": "linked", "product_id": "p1", "confidence": 0.9, "reason": "r", "decided_by": "machine"}
            for name in names
        ],
    }  # fmt: skip
    client = TestClient(make_app(SampleHome(tables, SNAPSHOT), SampleGate()), base_url="http://localhost")
    pages = client.get("/api/v1/products/p1").json()["pages"]
    seen = [one["offer_id"] for page in range(1, pages + 1) for one in client.get("/api/v1/products/p1", params={"page": page}).json()["offers"]]
    assert len(seen) == len(set(seen)) == many
    html = client.get("/p/p1").text
    assert f"{many:,}" in html and html.count("<tr data-offer") < 201 and len(html) < 200_000
