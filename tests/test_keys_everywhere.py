"""What keys do on every page: commands and products, help, going, searching, lists, remapping, switching off, and light or dark."""

from __future__ import annotations

import pytest
from desk import Desk, violations
from playwright.sync_api import Page, expect

GOES = {
    "c": "/review?kind=category", "v": "/review?kind=value", "p": "/products", "f": "/feeds", "d": "/deliveries", "r": "/runs", "s": "/metrics", "o": "/",
    "q": "/review",
}  # fmt: skip


@pytest.fixture(scope="module")
def page(lookout: Desk) -> Page:
    return lookout.person(role="lead")


def one(desk: Desk, query: str) -> str:
    with desk.home.connect() as con:
        return str(con.execute(query).fetchall()[0][0])


def pages_of(desk: Desk) -> dict[str, str]:
    """Every page that people see, with words that only its own keys have."""
    product = one(desk, "SELECT product_id FROM products WHERE state = 'live' ORDER BY offers DESC, 1 LIMIT 1")
    feed = one(desk, "SELECT feed FROM deliveries ORDER BY 1 LIMIT 1")
    delivery = one(desk, "SELECT delivery_id FROM deliveries WHERE quarantined > 0 ORDER BY 1 LIMIT 1")
    version = one(desk, "SELECT snapshot_id FROM snapshots WHERE NOT current ORDER BY run DESC LIMIT 1")
    offer = one(desk, "SELECT offer_id FROM offers ORDER BY 1 LIMIT 1")
    return {
        "/": "", "/products": "", "/review": "decide all with the same evidence", "/review?kind=category": "the first value is right",
        "/review?kind=value": "let the suppliers' word stand", "/feeds": "", f"/feeds/{feed}": "let the held delivery through",
        "/runs": "the latest run that failed",
        "/runs/1": "what changed for readers", "/deliveries": "", f"/quarantine/{delivery}": "", "/metrics": "", f"/p/{product}": "split the marked offers off",
        f"/p/{product}?version={version}": "", f"/o/{offer}": "", "/p/none": "",
    }  # fmt: skip


def settled(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("#page-keys button")
    page.wait_for_load_state("networkidle")


def test_help_and_commands_are_on_every_page_with_the_verbs_of_that_page(lookout: Desk, page: Page) -> None:
    title = one(lookout, "SELECT title FROM products WHERE state = 'live' ORDER BY offers DESC, 1 LIMIT 1")
    found = pages_of(lookout)
    for path, words in found.items():
        settled(page, lookout.address + path)
        page.keyboard.press("?")
        for expected in (words, "search products", "go to a page: then its letter"):
            expect(page.locator("#help")).to_contain_text(expected)
        page.keyboard.press("Escape")
        page.keyboard.press("Control+k")
        expect(page.locator("#commands")).to_contain_text(words)
        page.keyboard.type(title)
        page.wait_for_selector("#commands li:has-text('" + title.replace("'", "\\'") + "')")
        page.keyboard.press("Escape")
        expect(page.locator("#palette")).not_to_have_attribute("open", "")
    page.keyboard.press("Control+k")
    page.keyboard.type(title)
    page.wait_for_selector("#commands li")
    page.keyboard.press("Enter")
    page.wait_for_url("**/p/*")
    expect(page.locator("h1")).to_have_text(title)
    assert len(found) == 16


def test_g_and_a_letter_go_anywhere_and_slash_searches_from_anywhere(lookout: Desk, page: Page) -> None:
    settled(page, f"{lookout.address}/review")
    for letter, path in GOES.items():
        page.keyboard.press("g")
        expect(page.locator("#going")).to_contain_text("Review")
        page.keyboard.press(letter)
        page.wait_for_url(lookout.address + path)
        page.wait_for_selector("#page-keys button")
    page.keyboard.press("/")
    page.keyboard.type("g p / ? j")
    assert page.locator(".search input").input_value() == "g p / ? j" and page.url == f"{lookout.address}/review"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement === document.body")


def test_j_and_k_move_along_lists_enter_opens_and_escape_leads_back(lookout: Desk, page: Page) -> None:
    for path, opened in (("/products", "/p/"), ("/feeds", "/feeds/"), ("/runs", "/runs/")):
        settled(page, lookout.address + path)
        for key in "jjk":
            page.keyboard.press(key)
        assert page.evaluate("document.activeElement.closest('tr') === document.querySelector('main tbody tr')")
        assert page.evaluate("document.activeElement.closest('tr').classList.contains('at')"), "the line is marked"
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{opened}*")
        page.wait_for_selector("#page-keys button")
        page.keyboard.press("Escape")
        page.wait_for_url(f"**{path}*")
    settled(page, f"{lookout.address}/products")
    page.keyboard.press("]")
    page.wait_for_url("**page=2")
    page.keyboard.press("[")
    page.wait_for_url("**page=1")


def test_keys_are_changed_and_switched_off_for_every_page_and_stay_so(lookout: Desk) -> None:
    page = lookout.person("ines", role="lead")
    settled(page, f"{lookout.address}/products")
    page.keyboard.press("?")
    page.locator("[data-remap=down]").fill("x")
    expect(page.locator("#key-said")).to_have_text("")
    page.locator("[data-remap=up]").fill("x")
    expect(page.locator("#key-said")).to_contain_text("had this key and has k now")
    page.locator("[data-remap=down]").fill("x")
    page.locator("[data-remap=go]").fill("z")
    page.locator("#help button[value=close]").click()
    for path in ("/feeds", "/runs"):
        settled(page, lookout.address + path)
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement === document.body"), "what was changed means nothing any more"
        page.keyboard.press("x")
        assert page.evaluate("document.activeElement.closest('tr') !== null")
    page.keyboard.press("z")
    page.keyboard.press("s")
    page.wait_for_url("**/metrics")
    page.locator("[data-foot=help]").click()
    page.locator("#single-keys").uncheck()
    page.locator("#help button[value=close]").click()
    for path in ("/products", "/feeds", "/review", "/metrics"):
        settled(page, lookout.address + path)
        for key in ("x", "/", "?", "z", "p", "y", "n", "e", "o"):
            page.keyboard.press(key)
        assert page.url == lookout.address + path and page.locator("dialog[open]").count() == 0
        assert page.evaluate("document.activeElement === document.body")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_have_attribute("open", "")
    page.keyboard.press("Escape")
    page.locator("[data-foot=help]").click()
    page.locator("#reset-keys").click()
    page.locator("#help button[value=close]").click()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_have_attribute("open", "")
    assert lookout.stored() == []


def test_no_key_acts_while_a_word_is_composed_or_with_control(lookout: Desk, page: Page) -> None:
    settled(page, f"{lookout.address}/review")
    page.wait_for_selector(".side.asked .title")
    before = page.locator(".side.asked .title").inner_text()
    for more in ("isComposing: true", "keyCode: 229", "ctrlKey: true", "metaKey: true", "altKey: true"):
        for key in "yn0s1?":
            page.evaluate(f"(key) => document.dispatchEvent(new KeyboardEvent('keydown', {{ key, bubbles: true, {more} }}))", key)
    assert page.locator(".side.asked .title").inner_text() == before and page.locator("dialog[open]").count() == 0


def test_light_and_dark_follow_the_system_until_one_is_chosen_and_are_there_before_the_first_paint(lookout: Desk) -> None:
    page = lookout.person("ole", role="viewer", color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    settled(page, f"{lookout.address}/products")
    dark = page.evaluate(ground)
    page.locator("[data-foot=theme]").click()
    expect(page.locator("[data-foot=theme]")).to_have_text("Theme: light")
    light = page.evaluate(ground)
    assert light == "rgb(255, 255, 255)" != dark
    for path in ("/", "/feeds", "/p/none"):
        page.goto(lookout.address + path, wait_until="commit")
        page.wait_for_selector("body")
        assert page.evaluate(ground) == light
    page.wait_for_selector("#page-keys button")
    page.keyboard.press("Control+k")
    page.keyboard.type("theme: as the")
    page.keyboard.press("Enter")
    assert page.evaluate(ground) == dark
    page.emulate_media(color_scheme="light")
    assert page.evaluate(ground) == light


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.nightly)])
def test_axe_finds_nothing_in_the_dialogs_of_every_page(lookout: Desk, page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    found = {}
    for path in ("/products", "/review"):
        settled(page, lookout.address + path)
        for key, dialog in (("?", "#help"), ("Control+k", "#palette")):
            page.keyboard.press(key)
            page.wait_for_selector(f"{dialog}[open]")
            found[path, key] = violations(page)
            page.keyboard.press("Escape")
            page.wait_for_selector(f"{dialog}:not([open])", state="attached")
        page.keyboard.press("g")
        found[path, "g"] = violations(page)
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_on_no_page_two_verbs_have_the_same_key(lookout: Desk, page: Page) -> None:
    settled(page, f"{lookout.address}/products")
    doubled = page.evaluate("""async () => {
        const keys = await import('/static/keys.js');
        return [['ON_REVIEW', false], ['ON_VALUES', false], ['ON_PRODUCT', true], ['ON_FEED', true], ['ON_RUNS', true]].flatMap(([name, lists]) => {
            keys.listen(() => {}, keys[name], { lists });
            const all = keys.here().all.map((verb) => keys.STANDARD[verb]);
            return all.filter((key, place) => all.indexOf(key) !== place || key === undefined).map((key) => `${name} ${key}`);
        });
    }""")
    assert doubled == []
