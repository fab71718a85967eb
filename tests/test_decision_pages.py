"""Pages of decisions in a real browser: what a moved threshold says is what the tables say, and every chart carries its numbers."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from conftest import endcap
from desk import Desk, violations
from fastapi.testclient import TestClient
from playwright.sync_api import Page, expect

from endcap import settings
from endcap.ops.home import Home
from endcap.review.override import store
from endcap.serve.app import make_app
from endcap.serve.sample_catalog import SampleGate

PAGES = ("/decisions", "/thresholds", "/models", "/loops")
DECIDED = """
    SELECT offer_id, counterpart_offer_id, product_id, proposed_product_id, action, confidence FROM decisions WHERE kind = 'product' AND decided_by = 'machine'
      AND counterpart_offer_id IS NOT NULL AND (action = 'linked' OR reason_code IN ('doubtful', 'no_promise')) ORDER BY offer_id
"""


@pytest.fixture
def audited(copy_of_demo: Path) -> Home:
    """The demo with every third link judged, as often right as it is sure."""
    home, dice = Home(settings.read(copy_of_demo)), random.Random(7)
    for offer_id, counterpart, product_id, proposed, _action, confidence in home.connect().execute(DECIDED).fetchall()[::3]:
        store(
            home, offer_id=offer_id, action="same" if dice.random() < confidence else "different", product_id=product_id or proposed,
            counterpart_offer_id=counterpart, actor="kim", reason_code="audit", note="", undoes=None, identity_hash=0,
        )  # fmt: skip
    return home


def test_every_band_and_cut_is_what_the_tables_hold(audited: Home) -> None:
    client = TestClient(make_app(audited, SampleGate()), base_url="http://localhost")
    curve = client.get("/api/v1/thresholds").json()
    rows = [(row[4] == "linked", round(row[5] * 10_000)) for row in audited.connect().execute(DECIDED).fetchall()]
    assert sum(band["linked"] + band["asked"] for band in curve["bands"]) == sum(likeness >= 5_000 for _linked, likeness in rows) > 100
    for cut in curve["cuts"]:
        assert cut["linked"] == sum(likeness >= round(cut["threshold"] * 10_000) for _linked, likeness in rows)
        assert cut["right"] <= cut["audited"] and (cut["bound"] is None) is (cut["audited"] == 0)
    assert sum(band["audited"] for band in curve["bands"]) > 30
    between = client.get("/api/v1/thresholds/samples", params={"low": 0.85, "high": 0.9}).json()
    assert between["found"] == sum(8_500 <= likeness < 9_000 for _linked, likeness in rows)
    assert len(between["samples"]) == min(20, between["found"]) and all(0.85 <= one["likeness"] < 0.9 for one in between["samples"])


def test_the_place_that_a_page_belongs_to_is_marked(copy_of_demo: Path) -> None:
    home = Home(settings.read(copy_of_demo))
    client = TestClient(make_app(home, SampleGate()), base_url="http://localhost")
    ((product, feed),) = home.connect().execute("SELECT min(product_id), (SELECT min(feed) FROM offers) FROM products WHERE state = 'live'").fetchall()
    of = {"/models": "/decisions", "/thresholds": "/decisions", f"/feeds/{feed}": "/feeds", f"/p/{product}": "/products", "/runs/1": "/runs"}
    for path, mark in of.items():
        marked = re.findall(r'<a href="([^"]+)" aria-current="(true|page)"', client.get(path).text.split("</header>")[0])
        assert marked == [(mark, "true")], path
    assert 'href="/decisions" aria-current="page"' in client.get("/decisions").text


def test_a_moved_threshold_says_exactly_what_changes_side(desk: Desk) -> None:
    page, dice = desk.person(role="viewer"), random.Random(11)
    rows = [(row[4] == "linked", round(row[5] * 10_000)) for row in desk.home.connect().execute(DECIDED).fetchall()]
    accept = round(desk.home.catalog.policy.accept * 10_000)
    page.goto(f"{desk.address}/thresholds")
    slider = page.locator("#threshold")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#effect")).to_contain_text("audited")
    for _position in range(50):
        at = dice.randrange(5_000, 10_001, 50)
        slider.evaluate("(slider, at) => { slider.value = at; slider.dispatchEvent(new Event('input')); }", at / 10_000)
        if at > accept:
            changed = sum(linked and accept <= likeness < at for linked, likeness in rows)
        else:
            changed = sum(not linked and at <= likeness < accept for linked, likeness in rows)
        words = page.locator("#effect").inner_text()
        said = re.match(r"([\d,]+) decisions change side", words)
        assert (int(said.group(1).replace(",", "")) if said else 0) == changed, (at, words)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_no_page_is_wider_than_its_window(desk: Desk, scheme: str) -> None:
    page = desk.person(role="lead", color_scheme=scheme)
    for path in PAGES:
        page.goto(desk.address + path)
        assert violations(page) == [], path
        page.set_viewport_size({"width": 320, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
        page.set_viewport_size({"width": 1280, "height": 900})


def test_a_threshold_goes_from_the_slider_to_production_and_back(desk: Desk) -> None:
    page = desk.person(role="lead", name="lena")
    page.goto(f"{desk.address}/thresholds")
    page.locator("#threshold").focus()
    for _step in range(6):
        page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Propose this threshold").click()
    page.keyboard.type("two links a day were taken back")
    page.keyboard.press("Enter")
    page.wait_for_url("**/decisions")
    page.get_by_role("link", name="1", exact=True).click()
    expect(page.locator(".hypothesis")).to_contain_text("linking from 0.88 for everything will leave")
    do(page, "Accept", "agreed at the sync")
    do(page, "Validate", "now")
    expect(page.locator("#gate ~ .wide tbody tr").first).to_contain_text("right, by machine")
    page.get_by_role("button", name="Promote", exact=True).click()
    page.keyboard.type("in spite of it")
    page.get_by_role("button", name="Do it").click()
    refused = page.locator("#ask-mistake")
    expect(refused).to_be_visible()
    page.locator("#ask-overrule").check()
    page.get_by_role("button", name="Do it").click()
    expect(page.locator("h1 .badge")).to_have_text("promoted")
    assert endcap("run", "--dir", desk.folder).code == 0
    do(page, "Roll back", "too careful")
    expect(page.locator("h1 .badge")).to_have_text("rolled back")
    expect(page.get_by_role("heading", name="Postmortem 1")).to_be_visible()
    assert violations(page) == []


def do(page: Page, verb: str, why: str) -> None:
    page.wait_for_load_state("load")  # the buttons are drawn before what they do is there
    page.get_by_role("button", name=verb, exact=True).click()
    page.keyboard.type(why)
    with page.expect_navigation():
        page.get_by_role("button", name="Do it").click()


def test_a_problem_is_reported_taken_on_and_not_closed_before_it_is_right(desk: Desk) -> None:
    page = desk.person(role="lead", name="lena")
    offer, other = desk.home.connect().execute("SELECT left_id, right_id FROM pairs WHERE score < 0.2 ORDER BY 1, 2 LIMIT 1").fetchone() or ("", "")
    page.goto(f"{desk.address}/loops")
    page.get_by_role("button", name="Report a problem").click()
    page.keyboard.type("these two are one")
    page.locator("#new-offer").fill(offer)
    page.locator("#new-other").fill(other)
    page.locator("#new-expected").select_option("same")
    with page.expect_navigation():
        page.get_by_role("button", name="Report it").click()
    page.get_by_role("link", name="1", exact=True).click()
    do(page, "Acknowledge", "mine")
    expect(page.locator(".path .done")).to_have_count(2)
    page.get_by_role("button", name="Close", exact=True).click()
    page.locator("#ask-cause").select_option("scoring")
    page.locator("#ask-reason").fill("it is as it is")
    page.get_by_role("button", name="Do it").click()
    expect(page.locator("#ask-mistake")).to_contain_text("is not solved")
    assert violations(page) == []
