"""The product page in a real browser: values set and locked, offers split off and products merged by keys, undone, and seen as of any version."""

from __future__ import annotations

from pathlib import Path

import pytest
from desk import Desk, violations
from playwright.sync_api import Page, expect

from endcap import flow, settings
from endcap.review.product import Actor, set_field, split
from endcap.serve.reading import Reading


def products_of(desk: Desk, least: int = 3) -> list[str]:
    with desk.home.connect() as con:
        found = con.execute("SELECT product_id FROM products WHERE state = 'live' AND offers BETWEEN ? AND 9 ORDER BY product_id", [least]).fetchall()
    return [product_id for (product_id,) in found]


def opened(desk: Desk, product_id: str, role: str = "reviewer", **given: object) -> Page:
    page = desk.person(role=role, **given)
    page.goto(f"{desk.address}/p/{product_id}")
    if role == "viewer":
        page.wait_for_load_state("networkidle")
    else:
        page.wait_for_selector(".verbs-line >> visible=true")
    return page


def to_line(page: Page, field: str) -> None:
    page.locator(f"tr[data-field='{field}'] [data-edit]").focus()


def type_value(page: Page, value: str) -> None:
    page.wait_for_selector("#edit[open]")
    page.locator("#edit-value").fill(value)
    page.keyboard.press("Enter")


def test_a_value_is_set_waits_is_served_and_taken_back_by_keys(desk: Desk, copy_of_demo: Path) -> None:
    product_id = products_of(desk)[0]
    page = opened(desk, product_id)
    was = page.locator("tr[data-field='brand'] td").first.inner_text() if page.locator("tr[data-field='brand']").count() else ""
    page.keyboard.press("j")
    page.keyboard.press("v")
    page.wait_for_selector("#edit[open]")
    page.locator("#edit-field").select_option("brand")
    type_value(page, "Öther & Söhne <b>")
    expect(page.locator("#waits-list")).to_contain_text("rita set brand: Öther & Söhne <b>")
    expect(page.locator("#said")).to_contain_text("1 answer waits for the next run")
    row = desk.stored()[-1]
    assert (row["action"], row["field"], row["value"], row["said"] or "", row["role"]) == ("set", "brand", "Öther & Söhne <b>", was, "reviewer")
    flow.run(settings.read(copy_of_demo))
    desk.renew(page)
    expect(page.locator("tr[data-field='brand'] td").first).to_have_text("Öther & Söhne <b>")
    expect(page.locator("tr[data-field='brand'] .badge")).to_have_text("a person")
    page.wait_for_selector(".verbs-line >> visible=true")
    to_line(page, "brand")
    page.keyboard.press("h")
    expect(page.locator("#told-body tr").first).to_contain_text("a person, answer 1")
    page.keyboard.press("Escape")
    expect(page.locator("#told")).not_to_have_attribute("open", "")
    page.keyboard.press("u")
    expect(page.locator("#said")).to_contain_text("Taken back. ")
    flow.run(settings.read(copy_of_demo))
    desk.renew(page)
    if was:
        expect(page.locator("tr[data-field='brand'] td").first).to_have_text(was)


def test_marked_offers_are_split_off_after_a_preview_and_come_back(desk: Desk, copy_of_demo: Path) -> None:
    product_id = products_of(desk)[1]
    page = opened(desk, product_id)
    offers = page.locator("input[name=offer]").count()
    page.locator("input[name=offer]").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("x")
    expect(page.locator("#change-body")).to_contain_text("1 offer would become the product P")
    expect(page.locator("#change-body")).to_contain_text(f"{offers - 1} offers would stay")
    page.locator("#change-note").fill("another model")
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("wait for the next run")
    flow.run(settings.read(copy_of_demo))
    desk.renew(page)
    page.wait_for_selector(".verbs-line >> visible=true")
    assert page.locator("input[name=offer]").count() == offers - 1
    page.keyboard.press("u")
    expect(page.locator("#said")).to_contain_text("Taken back")
    flow.run(settings.read(copy_of_demo))
    desk.renew(page)
    expect(page.locator("input[name=offer]")).to_have_count(offers)


def test_a_product_is_merged_and_its_address_leads_to_the_other(desk: Desk, copy_of_demo: Path) -> None:
    one, other = products_of(desk)[2:4]
    page = opened(desk, one)
    page.keyboard.press("m")
    page.locator("#merge-search").fill(other)
    page.locator("#change-body button").first.click()
    expect(page.locator("#change-body")).to_contain_text(f"({other}), which has")
    page.locator("#change-do").click()
    expect(page.locator("#waits-list tr")).to_have_count(1)
    flow.run(settings.read(copy_of_demo))
    desk.renew(page, f"/p/{one}")
    assert page.url.startswith(f"{desk.address}/p/{other}") and page.locator("[role=status]").first.inner_text().startswith(one)


def test_what_somebody_else_changed_meanwhile_is_not_overwritten_unseen(desk: Desk) -> None:
    product_id = products_of(desk)[0]
    first, second = opened(desk, product_id), opened(desk, product_id)
    for page, value in ((first, "Acme"), (second, "Other")):
        page.keyboard.press("v")
        type_value(page, value)
        if page is first:  # stored before the second one is asked, which overtakes it on a busy machine
            expect(page.locator("#edit")).not_to_have_attribute("open", "")
    expect(second.locator("#edit-mistake")).to_contain_text("was changed meanwhile")
    assert [row["value"] for row in desk.stored()] == ["Acme"]
    second.locator("#edit-save").click()
    expect(second.locator("#edit")).not_to_have_attribute("open", "")
    assert [row["value"] for row in desk.stored()] == ["Acme", "Other"], "seen again, it may be changed"


def test_what_a_run_brought_meanwhile_is_shown_before_a_change_is_stored_over_it(desk: Desk, copy_of_demo: Path) -> None:
    product_id = products_of(desk)[0]
    page = opened(desk, product_id)
    offers, shown = page.locator("input[name=offer]"), page.locator("footer code").inner_text()
    count = offers.count()
    home, reading, by = desk.home, Reading(desk.home, desk.home.snapshot()), Actor("rob", "reviewer")
    set_field(home, reading, product_id, "title", "Title of rob", by, key="title of rob")
    split(home, reading, product_id, [offers.first.input_value()], by, key="split of rob")
    flow.run(settings.read(copy_of_demo))
    while page.request.get(f"{desk.address}/api/v1/products/{product_id}/answers").json()["snapshot"] == shown:
        page.wait_for_timeout(100)
    page.keyboard.press("v")
    page.wait_for_selector("#edit[open]")
    page.locator("#edit-field").select_option("title")
    type_value(page, "Title of rita")
    expect(page.locator("#edit-mistake")).to_contain_text("was changed meanwhile")
    expect(page.locator("#edit-now")).to_have_text("Now: Title of rob")
    expect(page.locator("h1")).to_have_text("Title of rob")
    expect(page.locator("#edit-value")).to_have_value("Title of rita")
    assert offers.count() == count - 1 and desk.stored()[-1]["actor"] == "rob"
    page.locator("#edit-save").click()
    expect(page.locator("#edit")).not_to_have_attribute("open", "")
    assert desk.stored()[-1]["value"] == "Title of rita"


def test_a_lead_locks_and_a_reviewer_neither_overrules_nor_a_viewer_changes(desk: Desk) -> None:
    product_id = products_of(desk)[0]
    lead = opened(desk, product_id, role="lead")
    lead.keyboard.press("l")
    lead.wait_for_selector("#edit[open]")
    assert lead.locator("#edit-lock").is_checked()
    type_value(lead, "Locked title")
    expect(lead.locator("#waits-list")).to_contain_text("locked title: Locked title")
    page = opened(desk, product_id)
    page.keyboard.press("l")
    page.wait_for_selector("#edit[open]")
    expect(page.locator("#lock-line")).to_be_hidden()
    page.keyboard.press("Escape")
    page.wait_for_selector("#edit:not([open])", state="attached")
    page.keyboard.press("v")
    page.wait_for_selector("#edit[open]")
    page.locator("#edit-field").select_option("title")
    type_value(page, "Mine")
    expect(page.locator("#edit-mistake")).to_contain_text("(lead) set the title")
    assert [row["action"] for row in desk.stored()] == ["lock"]
    viewer = opened(desk, product_id, role="viewer")
    assert not viewer.locator(".verbs-line").first.is_visible() and not viewer.locator("[data-edit]").first.is_visible()
    viewer.keyboard.press("v")
    expect(viewer.locator("#notice")).to_contain_text("takes the role reviewer")


def test_a_gtin_that_another_product_has_is_set_only_once_one_has_been_led_there(desk: Desk) -> None:
    with desk.home.connect() as con:
        (mine, other, title, code), *_rest = con.execute(
            "SELECT a.product_id, b.product_id, b.title, b.gtin FROM products a JOIN products b ON a.product_id <> b.product_id "
            "WHERE a.state = 'live' AND b.state = 'live' AND b.gtin IS NOT NULL AND a.gtin IS DISTINCT FROM b.gtin ORDER BY 1, 2 LIMIT 1"
        ).fetchall()
    page = opened(desk, mine)
    page.keyboard.press("v")
    page.wait_for_selector("#edit[open]")
    page.locator("#edit-field").select_option("gtin")
    type_value(page, code)
    expect(page.locator("#edit-mistake")).to_contain_text(f"The GTIN {code} is that of “{title}” too")
    assert page.locator("#edit-mistake a").get_attribute("href") == f"/p/{other}" and desk.stored() == []
    assert violations(page) == []
    page.get_by_role("button", name="Both have it").click()
    page.wait_for_selector("#edit:not([open])", state="attached")
    expect(page.locator("#said")).to_contain_text(f"gtin set to {code}")
    assert [(row["field"], row["value"], row["product_id"]) for row in desk.stored()] == [("gtin", code, mine)]


def test_versions_lead_back_and_forth_and_are_read_only(desk: Desk, copy_of_demo: Path) -> None:
    with desk.home.connect() as con:
        found = con.execute(
            "SELECT product_id FROM products_log GROUP BY product_id HAVING count(DISTINCT title) > 1 AND count(DISTINCT run) > 1 ORDER BY 1 LIMIT 1"
        ).fetchall()
    page = opened(desk, found[0][0]) if found else pytest.fail("the demo has no product whose title changed")
    now = page.locator("h1").inner_text()
    page.keyboard.press("[")
    page.wait_for_url("**version=**")
    assert "This is the product as of" in page.locator("[role=status]").first.inner_text()
    assert not page.locator(".verbs-line").first.is_visible()
    while page.locator(".versions a", has_text="before").count():
        page.locator(".versions a", has_text="before").click()
    assert page.locator("h1").inner_text() != now or page.locator("tbody").first.inner_text()
    for _step in range(10):  # forth again, to what can be worked on
        if "version=" not in page.url:
            break
        page.wait_for_selector("#page-keys button")
        with page.expect_navigation():
            page.keyboard.press("]")
    assert page.url == f"{desk.address}/p/{found[0][0]}" and page.locator("h1").inner_text() == now
    expect(page.locator(".verbs-line").first).to_be_visible()
    page.goto(f"{desk.address}/p/{found[0][0]}?version=nonsense")
    assert "There is no version 'nonsense'".lower() in page.locator("main").inner_text().lower()


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.nightly)])
def test_axe_finds_nothing_on_the_page_and_its_dialogs(desk: Desk, scheme: str) -> None:
    page = opened(desk, products_of(desk)[0], role="lead", color_scheme=scheme)
    found = {"page": violations(page)}
    for key, dialog in (("v", "#edit"), ("m", "#change"), ("h", "#told"), ("w", "#told"), ("?", "#help")):
        page.locator("input[name=offer]").first.focus()
        page.keyboard.press(key)
        page.wait_for_selector(f"{dialog}[open]")
        found[key] = violations(page)
        page.keyboard.press("Escape")
        page.wait_for_selector(f"{dialog}:not([open])", state="attached")
    page.set_viewport_size({"width": 320, "height": 700})
    found["narrow"] = violations(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
