"""What holds of every page: accessible before the first run and after it, in light and dark, within 320 pixels, by the keyboard from the door on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk, at_desk, violations
from playwright.sync_api import Browser, Page, expect

from endcap.ops import access

PAGES = (
    "/", "/products", "/review", "/review?kind=category", "/review?kind=value", "/feeds", "/runs", "/deliveries", "/metrics", "/products?q=zzzzzz", "/p/none",
    "/style", "/nosuch",
)  # fmt: skip
PASSWORD = "correct horse battery"


@pytest.fixture
def unfilled(copy_of_demo: Path, browser: Browser) -> Iterator[Desk]:
    """A catalog before its first run."""
    shutil.rmtree(copy_of_demo / "catalog")
    yield from at_desk(copy_of_demo, browser)


def settled(page: Page, address: str) -> Page:
    page.goto(address)
    page.wait_for_function("() => !document.querySelector('#left') || document.querySelector('#left').innerText !== '…'")
    return page


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.nightly)])
def test_axe_finds_nothing_before_the_first_run(unfilled: Desk, scheme: str) -> None:
    page = unfilled.person(role="lead", color_scheme=scheme)
    found = {path: violations(settled(page, unfilled.address + path)) for path in PAGES}
    assert {path: wrong for path, wrong in found.items() if wrong} == {} and len(found) == len(PAGES)


def places(desk: Desk) -> list[str]:
    con = desk.home.connect()
    product = con.execute("SELECT product_id FROM products WHERE state = 'live' ORDER BY offers DESC, 1 LIMIT 1").fetchall()[0][0]
    offer = con.execute("SELECT offer_id FROM offers ORDER BY length(title) DESC, 1 LIMIT 1").fetchall()[0][0]
    feed = con.execute("SELECT feed FROM deliveries ORDER BY 1 LIMIT 1").fetchall()[0][0]
    return [*PAGES, f"/p/{product}", f"/o/{offer}", f"/feeds/{feed}", "/runs/1"]


def test_no_page_is_wider_than_its_window(desk: Desk) -> None:
    page = desk.person(role="lead")
    wide = []
    for path in places(desk):
        settled(page, desk.address + path)
        for width in (320, 640, 768, 1280, 2560):  # 640: 1280 at 200 % zoom
            page.set_viewport_size({"width": width, "height": 800})
            if page.evaluate("document.documentElement.scrollWidth") > width:
                wide.append((path, width))
    assert wide == []


def test_raw_bytes_in_quarantine_are_read_by_the_keyboard_on_a_narrow_screen(desk: Desk) -> None:
    longest = "SELECT delivery_id FROM quarantined GROUP BY 1 ORDER BY max(octet_length(raw)) DESC LIMIT 1"
    page = desk.person(role="lead", viewport={"width": 320, "height": 700})
    page.goto(f"{desk.address}/quarantine/{desk.home.connect().execute(longest).fetchall()[0][0]}")
    assert page.locator("pre").count() and violations(page) == []


def test_text_spaced_out_covers_nothing_and_is_cut_nowhere(desk: Desk) -> None:
    """WCAG 1.4.12: line height 1.5, paragraphs 2, letters .12, words .16 of the font's size."""
    page = desk.person(role="lead")
    spaced = "* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important } p { margin-bottom: 2em !important }"
    cut = []
    for path in places(desk):
        settled(page, desk.address + path)
        page.evaluate("(css) => { const sheet = new CSSStyleSheet(); sheet.replaceSync(css); document.adoptedStyleSheets = [sheet]; }", spaced)
        cut += page.evaluate(
            """(path) => [...document.querySelectorAll('button, .badge, h1, h2, nav a, dt, dd')].filter((one) => one.offsetParent
            && one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX === 'hidden').map((one) => [path, one.innerText])""",
            path,
        )
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            cut.append([path, "the page"])
    assert cut == []


def test_by_the_keyboard_from_signing_in_to_a_product_and_its_former_versions(desk: Desk) -> None:
    access.add_user(desk.home.engine, "otto", "reviewer", team="", password=PASSWORD, actor="test")
    page = desk.person()
    page.context.clear_cookies()
    page.goto(f"{desk.address}/sign-in")
    while page.evaluate("document.activeElement.name") != "name":
        page.keyboard.press("Tab")
    page.keyboard.type("otto")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/review")
    title = desk.home.connect().execute("SELECT title FROM products WHERE state = 'live' ORDER BY offers DESC, 1 LIMIT 1").fetchall()[0][0]
    page.wait_for_selector(".side.asked .title")
    page.keyboard.press("/")
    page.keyboard.type(title)
    page.keyboard.press("Enter")
    page.wait_for_url("**/products?q=*")
    for _step in range(40):
        page.keyboard.press("Tab")
        if "/p/" in (page.evaluate("document.activeElement.href || ''")):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/p/*")
    expect(page.locator("h1")).to_have_text(title)
    page.wait_for_selector("#product")
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url("**/runs")
    page.keyboard.press("g")
    page.keyboard.press("q")
    page.wait_for_url("**/review")


def test_motion_and_colours_follow_what_the_person_asked_for(desk: Desk) -> None:
    page = desk.person(reduced_motion="reduce", forced_colors="active")
    page.wait_for_selector(".side.asked .title")
    moving = page.evaluate("() => [...document.querySelectorAll('*')].filter((one) => parseFloat(getComputedStyle(one).transitionDuration) > 0.01).length")
    assert moving == 0 and violations(page) == []
