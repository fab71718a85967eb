"""The review desk in a real browser: keys alone, answers that outlive the network and the server, undo, states, and accessibility."""

from __future__ import annotations

import gzip
import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from desk import Desk, violations
from playwright.sync_api import Page, expect
from sqlalchemy import select

from endcap import settings
from endcap.ops import access, audit
from endcap.ops.tables import BLIND_ASKS
from endcap.review import lease
from endcap.review.override import Given, give

NEXT = "**/api/v1/review/next*"


def title(page: Page) -> str:
    return page.locator(".side.asked .title").inner_text()


def sent(page: Page) -> None:
    """Wait until nothing is on its way any more."""
    page.wait_for_function("() => (localStorage.getItem('endcap.outbox ' + document.body.dataset.person) || '[]') === '[]'", timeout=20_000)


def ready(page: Page) -> Page:
    page.wait_for_selector(".side.asked .title")
    return page


def client_count(page: Page) -> int:
    """How many offers the page says wait."""
    found = re.search(r"([\d,]+) offers? waits?", page.locator("#left").inner_text())
    assert found, page.locator("#left").inner_text()
    return int(found[1].replace(",", ""))


def served(page: Page, items: list[dict[str, Any]], waiting: int | None = None, **more: Any) -> None:
    """Answer for the server, once with these items and then with none."""
    page.wait_for_load_state("networkidle")  # what the page asks at its start is the server's to answer
    left = [items]

    def answer(route: Any) -> None:
        found = left.pop() if left else []
        n = len(items) if waiting is None else waiting
        told = {
            "snapshot": "s",
            "waiting": n,
            "fitting": len(items),
            "leased": 0,
            "holders": {},
            "suppliers": {},
            "categories": {},
            "reasons": {},
            "items": found,
            **more,
        }
        route.fulfill(content_type="application/json", body=json.dumps(told))

    page.route(NEXT, answer)


def item_of(text: str, number: int = 0) -> dict[str, Any]:
    stated = {
        "offer_id": f"x:{number}", "supplier": text, "title": text, "words": [{"text": word, "shared": False} for word in text.split()], "brand": text,
        "gtin": None, "mpn": text, "price": "1.00 EUR", "quantity": text, "description": text, "url": None,
    }  # fmt: skip
    fields = [{"name": "colour", "offer": text, "other": text, "same": False}]
    choice = {"product_id": "P1", "title": text, "offers": 3, "suppliers": 2, "nearest": stated, "fields": fields, "words": text}
    return {
        "offer_id": f"x:{number}", "identity": "1", "evidence": "e", "reason_code": "doubtful", "reason": text, "model": None, "group": "g", "risks": [text],
        "offer": stated, "choices": [choice, {**choice, "product_id": "P2"}],
    }  # fmt: skip


def test_who_closes_the_desk_gives_back_what_it_fetched_ahead(desk: Desk) -> None:
    page = ready(desk.person())
    assert lease.hidden(desk.home, "rob")
    page.close()
    until = time.monotonic() + 10
    while lease.hidden(desk.home, "rob") and time.monotonic() < until:
        time.sleep(0.05)
    assert not lease.hidden(desk.home, "rob"), "another is asked at once"


def test_a_queue_is_cleared_by_keys_alone_and_every_answer_is_stored_once(desk: Desk) -> None:
    page = ready(desk.person())
    seen = []
    for number in range(60):
        if page.locator(".side.asked").count() == 0:
            break
        seen.append(title(page))
        page.keyboard.press("yn0s"[number % 4])
        page.wait_for_function("(before) => document.querySelector('.side.asked .title')?.innerText !== before", arg=seen[-1])
        assert page.evaluate("document.activeElement === document.body"), "focus stays where keys work"
    sent(page)
    rows = desk.stored()
    assert len(seen) >= 30 and len(rows) == len(seen) == len({row["key"] for row in rows})
    assert {row["actor"] for row in rows} == {"rita"} and all(row["evidence"] and row["seconds"] is not None and row["snapshot_id"] for row in rows)
    assert audit.verify(desk.home.engine).broken is None


def test_the_next_item_is_there_before_the_server_answers(desk: Desk) -> None:
    page = ready(desk.person())

    def slowly(route: Any) -> None:
        time.sleep(0.5)
        route.continue_()

    page.route("**/api/v1/review/decisions", slowly)
    took = page.evaluate("""async () => {
        const times = [];
        for (let number = 0; number < 8; number += 1) {
            const before = document.querySelector('.side.asked .title').innerText, start = performance.now();
            document.dispatchEvent(new KeyboardEvent('keydown', { key: 'n', bubbles: true }));
            if (document.querySelector('.side.asked .title').innerText === before) throw new Error('the next item was not there');
            times.push(performance.now() - start);
            await new Promise((done) => setTimeout(done, 50));
        }
        return times;
    }""")
    assert len(took) == 8
    sent(page)
    assert len(desk.stored()) == 8


def test_answers_outlive_a_closed_tab(desk: Desk) -> None:
    page = ready(desk.person())
    context = desk.contexts[-1]
    page.route("**/api/v1/review/decisions", lambda route: route.abort())
    for _number in range(15):
        page.keyboard.press("n")
    expect(page.locator("#notice")).to_contain_text("does not answer")
    page.close()
    assert desk.stored() == []
    again = context.new_page()
    again.goto(f"{desk.address}/review")
    sent(again)
    assert len(desk.stored()) == len({row["key"] for row in desk.stored()}) == 15


def test_a_reopened_page_counts_what_waits_without_what_a_closed_one_left_unsent(desk: Desk) -> None:
    page = ready(desk.person())
    context = desk.contexts[-1]
    waits = client_count(page)
    page.route("**/api/v1/review/decisions", lambda route: route.abort())
    for _number in range(5):
        page.keyboard.press("n")
    page.keyboard.press("s")  # put off: it goes on waiting
    expect(page.locator("#left")).to_contain_text(f"{waits - 5:,} offers wait")
    expect(page.locator("#notice")).to_contain_text("does not answer")
    page.close()
    again = context.new_page()
    again.goto(f"{desk.address}/review")
    ready(again)
    sent(again)
    # One of the five may have been asked to be checked: that one waited for nobody.
    expect(again.locator("#left")).to_have_text(re.compile(f"^({waits - 5:,}|{waits - 4:,}) offers wait$"))


def test_undo_without_the_server_takes_back_what_is_unsent_and_then_says_that_nothing_is_left(desk: Desk) -> None:
    page = ready(desk.person())
    first = title(page)
    page.keyboard.press("n")
    sent(page)
    second = title(page)
    page.context.set_offline(True)
    page.keyboard.press("n")
    expect(page.locator("#notice")).to_contain_text("does not answer")
    page.keyboard.press("u")
    expect(page.locator(".side.asked .title")).to_have_text(second)
    expect(page.locator("#left")).to_contain_text("Taken back")
    page.keyboard.press("u")
    expect(page.locator("#left")).to_contain_text("Nothing unsent is left to take back")
    assert title(page) == second
    page.context.set_offline(False)
    page.keyboard.press("u")
    expect(page.locator(".side.asked .title")).to_have_text(first)


def test_a_page_an_overview_and_the_api_say_the_same_of_how_much_waits(desk: Desk) -> None:
    page = ready(desk.person())
    waits = client_count(page)

    def told() -> set[str]:
        page.goto(desk.address)
        return {row.inner_text().split("\n")[0] for row in page.locator(".needs .words a").all() if "choose the product" in row.inner_text()}

    with desk.home.connect() as con:
        assert con.execute("SELECT count(*) FROM decisions WHERE kind = 'product' AND action = 'to_review'").fetchall() == [(waits,)]
    assert told() == {f"{waits:,} offers wait for a person to choose the product"}
    page.goto(f"{desk.address}/review")
    ready(page).keyboard.press("n")
    sent(page)
    assert told() == {f"{waits - 1:,} offers wait for a person to choose the product"}, "an answered one waits no more, before the next run too"
    page.goto(f"{desk.address}/review?kind=category")
    expect(page.locator("#left")).not_to_have_text("…")
    categories = re.match(r"([\d,]+) question", page.locator("#left").inner_text())
    page.goto(desk.address)
    shown = [row.inner_text() for row in page.locator(".needs .words a").all() if "choose the category" in row.inner_text()]
    assert (shown[0].split()[0] if shown else "0") == (categories[1] if categories else "0")


def test_what_was_asked_with_a_filter_that_is_cleared_by_then_is_not_shown(desk: Desk) -> None:
    page = ready(desk.person())
    supplier = page.locator("#filters [name=supplier] option").last.get_attribute("value")
    waiting: list[Any] = []
    page.route(re.compile(rf"review/next.*supplier={supplier}&"), lambda route: waiting.append(route))
    page.locator("#filters [name=supplier]").select_option(supplier)
    expect(page).to_have_url(re.compile("supplier="))
    with page.expect_response(NEXT):
        page.go_back()
    expect(page.locator("#filters [name=supplier]")).to_have_value("")
    ready(page)
    for late in waiting:
        late.continue_()
    page.wait_for_timeout(500)
    expect(page.locator("#left")).not_to_have_text(re.compile(r"\d of "))
    seen = set()
    for _number in range(6):
        seen.add(title(page))
        page.keyboard.press("s")
    assert len(waiting) == 1 and len(seen) > 1
    with desk.home.connect() as con:
        of = con.execute("SELECT DISTINCT supplier FROM offers WHERE title IN (SELECT unnest(?))", [sorted(seen)]).fetchall()
    assert of != [(supplier,)], "what the filter left is not what is shown"


def test_filters_say_how_many_of_all_they_leave(desk: Desk) -> None:
    page = ready(desk.person())
    waits = client_count(page)
    option = page.locator("#filters select[name=supplier] option").last
    few = int(re.search(r"\((\d+)\)$", option.inner_text())[1])  # type: ignore[index]
    assert 0 < few < waits
    page.locator("#filters select[name=supplier]").select_option(option.get_attribute("value"))
    expect(page.locator("#left")).to_have_text(f"{few:,} of {waits:,} offers wait")


def test_a_viewer_is_told_that_looking_is_theirs_and_deciding_is_not(desk: Desk) -> None:
    page = desk.person("vic", "viewer")
    page.goto(f"{desk.address}/review")
    expect(page.locator("#item")).to_contain_text("Reviewers decide here. Products, feeds and runs are open to you.")
    expect(page.locator("#left")).to_have_text("Nothing for you to decide")
    page.keyboard.press("y")
    expect(page.locator("#notice")).to_contain_text("Your role may look at the catalog, not decide")
    assert desk.stored() == [] and page.locator("#item .verbs").count() == 0


def test_unsent_answers_are_their_persons_whoever_signs_in_next(desk: Desk) -> None:
    page = ready(desk.person())
    context = desk.contexts[-1]
    page.route("**/api/v1/review/decisions", lambda route: route.abort())
    for _number in range(3):
        page.keyboard.press("n")
    expect(page.locator("#notice")).to_contain_text("does not answer")
    context.clear_cookies()
    other = context.new_page()
    other.goto(f"{desk.address}/enter?once={access.make_link(desk.home.engine, 'karl', 'reviewer')}")
    ready(other)
    page.unroute("**/api/v1/review/decisions")  # the page left open is rita's, and the session karl's
    expect(page.locator("#notice")).to_contain_text("Your session has ended; nothing is lost", timeout=20_000)
    assert desk.stored() == []
    context.clear_cookies()
    other.goto(f"{desk.address}/enter?once={access.make_link(desk.home.engine, 'rita', 'reviewer')}")
    sent(ready(other))
    assert [row["actor"] for row in desk.stored()] == ["rita"] * 3


def test_what_cannot_be_stored_takes_no_other_answer_with_it(desk: Desk) -> None:
    page = ready(desk.person())

    def spoil(route: Any) -> None:
        told = json.loads(route.request.post_data)
        for one in told["decisions"]:
            one["product_id"] = "PNOSUCHTHING0" if one["action"] == "new" else one["product_id"]
        route.continue_(post_data=json.dumps(told))

    with page.expect_response("**/api/v1/review/decisions"):
        page.keyboard.press("n")
    page.route("**/api/v1/review/decisions", lambda route: route.abort())
    for key in "n0nn":
        page.keyboard.press(key)
    page.route("**/api/v1/review/decisions", spoil)  # before the other: nothing gets through between the two
    sent(page)
    expect(page.locator("#notice")).to_contain_text("One answer was not stored: there is no product 'PNOSUCHTHING0'")
    assert [row["action"] for row in desk.stored()] == ["different"] * 4


def test_answers_outlive_a_killed_server(desk: Desk) -> None:
    page = ready(desk.person())
    for number in range(20):
        page.keyboard.press("n")
        if number == 7:
            desk.kill()
    desk.start()
    sent(page)
    rows = desk.stored()
    assert len(rows) == len({row["key"] for row in rows}) == 20 and audit.verify(desk.home.engine).broken is None


def test_undo_goes_back_through_everything_across_a_reload(desk: Desk) -> None:
    page = ready(desk.person())
    first = title(page)
    for key in "ynyn0yn":
        page.keyboard.press(key)
    sent(page)
    for _number in range(3):
        page.keyboard.press("u")
        page.wait_for_timeout(150)
    page.reload()
    ready(page)
    for _number in range(4):
        page.keyboard.press("u")
        page.wait_for_timeout(250)
    expect(page.locator(".side.asked .title")).to_have_text(first)
    rows = desk.stored()
    undone = {row["undoes"] for row in rows if row["undoes"]}
    assert len(undone) == 7 and {row["override_id"] for row in rows if row["action"] != "undo"} == undone


def test_two_people_are_shown_different_items(desk: Desk) -> None:
    hers, his = ready(desk.person("rita")), ready(desk.person("karl"))
    mine = set(hers.evaluate("fetch('/api/v1/review/next?n=100').then(a => a.json()).then(a => a.items.map(i => i.offer_id))"))
    theirs = set(his.evaluate("fetch('/api/v1/review/next?n=100').then(a => a.json()).then(a => a.items.map(i => i.offer_id))"))
    with desk.home.engine.connect() as connection:
        blind = set(connection.execute(select(BLIND_ASKS.c.offer_id)).scalars())
    assert mine and not (mine & theirs) - blind, "but for audits nothing is served twice within a lease"


def test_another_persons_answer_is_shown_and_settled_by_a_key(desk: Desk) -> None:
    page = ready(desk.person())
    item = page.evaluate("fetch('/api/v1/review/next?n=1').then(a => a.json()).then(a => a.items[0])")
    given = Given("k" * 32, item["offer_id"], "new", None, None, int(item["identity"]), item["evidence"])
    give(desk.home, [given], actor="karl")
    page.keyboard.press("n")
    expect(page.locator("#item .notice")).to_contain_text("karl decided “new” meanwhile")
    page.keyboard.press("n")
    expect(page.locator("#left")).to_contain_text("Another's answer stands: k keeps it, a lets yours hold")
    assert len(desk.stored()) == 1, "a key pressed twice overrules nobody"
    page.keyboard.press("a")
    sent(page)
    assert [(row["actor"], row["action"]) for row in desk.stored()] == [("karl", "new"), ("rita", "different")]


def test_an_answer_kept_over_a_closed_tab_is_shown_beside_anothers_that_came_first(desk: Desk) -> None:
    page = ready(desk.person())
    context = desk.contexts[-1]
    item = page.evaluate("fetch('/api/v1/review/next?n=1').then(a => a.json()).then(a => a.items[0])")
    context.set_offline(True)
    page.keyboard.press("n")
    expect(page.locator("#notice")).to_contain_text("1 decision is kept here")
    page.close()
    give(desk.home, [Given("k" * 32, item["offer_id"], "new", None, None, int(item["identity"]), item["evidence"])], actor="karl")
    context.set_offline(False)
    page = context.new_page()
    page.goto(f"{desk.address}/review")
    expect(page.locator("#item .notice")).to_contain_text("karl decided “new” meanwhile")
    page.keyboard.press("a")
    sent(page)
    page.wait_for_function("() => document.querySelector('#last').innerText.includes('different')")
    assert [(row["actor"], row["action"], row["offer_id"]) for row in desk.stored()] == [
        (who, what, item["offer_id"]) for who, what in (("karl", "new"), ("rita", "different"))
    ]


def test_what_met_anothers_answer_is_asked_again_of_its_giver_after_a_reload_until_it_is_settled(desk: Desk) -> None:
    page = ready(desk.person())
    two = page.evaluate("fetch('/api/v1/review/next?n=2').then(a => a.json()).then(a => a.items)")
    for key, item in zip(("1" * 32, "2" * 32), two, strict=True):
        give(desk.home, [Given(key, item["offer_id"], "new", None, None, int(item["identity"]), item["evidence"])], actor="karl")
    page.keyboard.press("n")
    notice = page.locator("#item .notice.conflicts")
    expect(notice).to_contain_text("karl decided “new” meanwhile")
    met = title(page)
    desk.contexts[-1].new_page().goto(f"{desk.address}/enter?once={access.make_link(desk.home.engine, 'rob', 'reviewer')}")
    page.reload()
    assert title(ready(page)) != met and notice.count() == 0, "it is rita's, not of who signed in since"
    desk.contexts[-1].new_page().goto(f"{desk.address}/enter?once={access.make_link(desk.home.engine, 'rita', 'reviewer')}")
    for _time in range(2):
        page.reload()
        expect(notice).to_contain_text("karl decided “new” meanwhile")
        assert title(page) == met
    supplier = page.locator("#filters select[name=supplier] option:not([value=''])").first.get_attribute("value")
    page.locator("#filters select[name=supplier]").select_option(supplier)
    expect(notice).to_be_visible()
    assert title(page) == met, "no filter hides it"
    page.goto(f"{desk.address}/review")
    expect(notice).to_be_visible()
    page.keyboard.press("a")
    expect(notice).to_have_count(0)
    sent(page)
    assert [(row["actor"], row["action"]) for row in desk.stored()] == [("karl", "new"), ("karl", "new"), ("rita", "different")]
    page.reload()
    ready(page)
    expect(notice).to_have_count(0)


def test_what_one_tab_is_sending_no_other_takes_back_unsent(desk: Desk) -> None:
    page = ready(desk.person())
    other = desk.contexts[-1].new_page()
    other.goto(f"{desk.address}/review")

    def slowly(route: Any) -> None:
        time.sleep(2)
        route.continue_()

    page.route("**/api/v1/review/decisions", slowly)
    page.keyboard.press("n")
    other.bring_to_front()
    other.wait_for_selector("#session")
    other.keyboard.press("u")
    expect(other.locator("#left")).to_contain_text("Taken back", timeout=20_000)
    sent(page)
    rows = desk.stored()
    assert [row["undoes"] for row in rows] == [None, rows[0]["override_id"]], "what is taken back does not stand"


def test_an_undo_whose_answer_was_lost_takes_back_one_however_often_it_is_asked(desk: Desk) -> None:
    page = ready(desk.person())
    for _number in range(3):
        page.keyboard.press("n")
    sent(page)
    lost: list[Any] = []

    def lose(route: Any) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route.fetch())
            route.abort()

    page.route("**/api/v1/review/undo", lose)
    page.keyboard.press("u")
    expect(page.locator("#left")).to_contain_text("Nothing unsent is left to take back")
    page.keyboard.press("u")
    expect(page.locator("#left")).to_contain_text("Taken back")
    assert len([row for row in desk.stored() if row["undoes"]]) == 1
    page.keyboard.press("u")
    expect(page.locator("#last li button")).to_have_count(1)
    assert len([row for row in desk.stored() if row["undoes"]]) == 2, "the next one is another"


def test_a_page_left_open_takes_nothing_back_of_who_signed_in_since(desk: Desk) -> None:
    page = ready(desk.person("rob"))
    item = page.evaluate("fetch('/api/v1/review/next?n=1').then(a => a.json()).then(a => a.items[0])")
    desk.contexts[-1].new_page().goto(f"{desk.address}/enter?once={access.make_link(desk.home.engine, 'rita', 'reviewer')}")
    give(desk.home, [Given("k" * 32, item["offer_id"], "new", None, None, int(item["identity"]), item["evidence"])], actor="rita")
    page.keyboard.press("u")
    expect(page.locator("#notice")).to_contain_text("Your session has ended")
    assert [row["undoes"] for row in desk.stored()] == [None]


def test_typing_a_note_decides_nothing_and_the_reason_is_stored(desk: Desk) -> None:
    page = ready(desk.person())
    before = title(page)
    page.keyboard.press("r")
    page.locator("#note").focus()
    page.keyboard.type("yn0s1u yes no")
    page.keyboard.press("Escape")
    assert title(page) == before and desk.stored() == []
    page.keyboard.press("r")
    page.locator("#note-box").press("c")
    page.keyboard.press("r")
    page.locator("#note-box").press("p")
    page.keyboard.press("n")
    sent(page)
    (row,) = desk.stored()
    assert (row["reason_code"], row["note"]) == ("pack", "yn0s1u yes no")


def test_keys_can_be_changed_and_switched_off_and_stay_so(desk: Desk) -> None:
    page = ready(desk.person())
    page.keyboard.press("?")
    page.locator("[data-remap=different]").fill("x")
    page.locator("#help button[value=close]").click()
    page.reload()
    before = title(ready(page))
    page.keyboard.press("n")
    assert title(page) == before
    page.keyboard.press("x")
    page.wait_for_function("(before) => document.querySelector('.side.asked .title')?.innerText !== before", arg=before)
    page.keyboard.press("?")
    page.locator("#single-keys").uncheck()
    page.locator("#help button[value=close]").click()
    now = title(page)
    page.keyboard.press("x")
    page.keyboard.press("y")
    assert title(page) == now
    sent(page)
    assert len(desk.stored()) == 1


def test_items_of_the_same_evidence_are_decided_and_undone_as_one(desk: Desk) -> None:
    page = ready(desk.person())
    groups = page.evaluate("fetch('/api/v1/review/groups').then(a => a.json()).then(a => a.groups)")
    largest = groups[0]
    assert largest["count"] > 1, "the demo asks the same of several offers"
    shown = page.evaluate("(ids) => fetch('/api/v1/review/items?ids=' + encodeURIComponent(ids)).then(a => a.json())", largest["offer_ids"][0])
    served(page, shown["items"], 50)
    page.reload()
    ready(page)
    page.keyboard.press(" ")
    everything = page.get_by_role("button", name=f"All {largest['count']}: different")
    expect(everything).to_be_visible()
    for key in ("s", "f", "1", "u"):
        page.keyboard.press(key)
    expect(everything).to_be_visible()
    assert desk.stored() == [], "a key never decides the item that the batch covers"
    page.keyboard.press("Escape")
    ready(page)
    page.keyboard.press(" ")
    expect(everything).to_be_visible()
    page.keyboard.press("n")
    expect(page.locator("#left")).to_contain_text("Different")
    sent(page)
    rows = desk.stored()
    assert {row["offer_id"] for row in rows} <= set(largest["offer_ids"]) and len({row["group_id"] for row in rows}) == 1
    page.keyboard.press("u")
    expect(page.locator("#left")).to_contain_text("Taken back")
    assert len([row for row in desk.stored() if row["action"] == "undo"]) == len(rows)


def test_a_batch_is_asked_for_with_the_filters(desk: Desk) -> None:
    page = desk.person()
    ready(page)
    supplier = page.evaluate("fetch('/api/v1/review/next?n=1').then(a => a.json()).then(a => Object.keys(a.suppliers)[0])")
    page.goto(f"{desk.address}/review?{urlencode({'supplier': supplier})}")
    ready(page)
    with page.expect_request("**/api/v1/review/groups*") as request:
        page.keyboard.press(" ")
    assert parse_qs(urlsplit(request.value.url).query) == {"supplier": [supplier]}


def test_a_key_pressed_beside_the_list_of_keys_means_what_it_meant(desk: Desk) -> None:
    page = ready(desk.person())
    before = title(page)
    page.keyboard.press("?")
    expect(page.locator("#help button[value=close]")).to_be_focused()
    page.keyboard.press("n")
    page.keyboard.press("Escape")
    expect(page.locator("#help")).not_to_be_visible()
    assert page.evaluate("localStorage.getItem('endcap.keys')") is None and title(page) == before and desk.stored() == []


def test_a_filter_is_taken_back_by_the_browsers_own_way_back(desk: Desk) -> None:
    page = ready(desk.person())
    first, supplier = title(page), page.locator("#filters [name=supplier] option").nth(2).get_attribute("value")
    page.locator("#filters [name=supplier]").select_option(supplier)
    expect(page.locator(".side.asked dl")).to_contain_text(str(supplier))
    with page.expect_response(NEXT):  # whether or not the filter's own answer was there by now
        page.go_back()
    expect(page.locator("#filters [name=supplier]")).to_have_value("")
    expect(page.locator("#left")).not_to_have_text(re.compile(r"\d of "))
    expect(page.locator(".side.asked .title")).to_have_text(first)
    page.wait_for_timeout(300)  # drawn is not yet fetched: the first of the filter may be the first of all
    page.keyboard.press("Escape")  # out of the filter
    if page.locator(".choices li").count() < 9:
        page.keyboard.press("9")
        expect(page.locator("#left")).to_contain_text("candidate")
    assert desk.stored() == []


def test_a_decision_is_reopened_from_the_rail_from_the_history_and_after_a_reload_and_the_product_stands_beside_it(desk: Desk) -> None:
    page = ready(desk.person())
    titles = []
    for key in "nyn":
        titles.append(title(page))
        page.keyboard.press(key)
        page.wait_for_function("(before) => document.querySelector('.side.asked .title').innerText !== before", arg=titles[-1])
    sent(page)
    page.locator("#last button").nth(1).click()
    expect(page.locator(".side.asked .title")).to_have_text(titles[1])
    page.keyboard.press("o")
    expect(page.locator("#panel h3")).to_contain_text("As its sellers sent it")
    assert page.locator("#panel .beside li").count() and violations(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    page.reload()
    ready(page)
    expect(page.locator("#last li")).to_have_count(2)
    page.keyboard.press("U")
    expect(page.locator("#decided tr")).to_have_count(3)
    assert page.locator("#decided tr", has_text="taken back").count() == 1 and violations(page) == []
    page.locator("#decided tr").last.locator("button").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".side.asked .title")).to_have_text(titles[0])
    assert sorted(row["undoes"] for row in desk.stored() if row["action"] == "undo") == [1, 2]


def test_where_nothing_waits_links_of_the_machine_can_be_checked(desk: Desk) -> None:
    page = desk.person()
    served(page, [])
    page.reload()
    button = page.get_by_role("button", name="Check links the machine is sure of")
    expect(button).to_be_visible()
    page.unroute(NEXT)
    button.click()
    ready(page)
    page.keyboard.press("y")
    sent(page)
    (row,) = desk.stored()
    assert row["reason_code"] == "audit" and row["action"] == "same"


HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>', "javascript:alert(1)", "{{7*7}}", "</p><form action=//evil>",
    "<iframe srcdoc='<script>alert(1)</script>'>", "\u202eabc", "&lt;b&gt;",
]  # fmt: skip


def test_markup_in_titles_stays_text(desk: Desk) -> None:
    page = desk.person()
    served(page, [item_of(text, number) for number, text in enumerate(HOSTILE)])
    page.reload()
    for text in HOSTILE:
        assert title(ready(page)) == " ".join(text.split())
        assert page.locator("#item script, #item img, #item svg, #item iframe, #item form, #item b").count() == 0
        page.keyboard.press("s")


LONG = "Ultrakompressionsgarantieverlängerungsversicherung" * 4
SCRIPTS = [LONG, "قهوة عربية محمصة 500 غرام " * 8, "日本製ステンレス電気ケトル一・五リットル" * 8, "word " * 44]


@pytest.mark.parametrize("width", [320, pytest.param(768, marks=pytest.mark.nightly), 1280])
def test_long_titles_in_any_script_overflow_nothing(desk: Desk, width: int) -> None:
    page = desk.person(viewport={"width": width, "height": 800})
    served(page, [item_of(text, number) for number, text in enumerate(SCRIPTS)])
    page.reload()
    for _text in SCRIPTS:
        ready(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        sides = [page.locator(f".side.{side}").bounding_box() or {} for side in ("asked", "other")]
        apart = sides[0]["x"] + sides[0]["width"] <= sides[1]["x"] + 1 or sides[0]["y"] + sides[0]["height"] <= sides[1]["y"] + 1
        assert apart, "the two sides stand beside or under each other"
        page.keyboard.press("s")


def test_every_state_says_what_it_is(desk: Desk) -> None:
    page = desk.person()
    for told, words in (
        ({"waiting": 0}, "Nothing needs you"), ({"waiting": 9, "leased": 9}, "Others are looking at the last 9"),
    ):  # fmt: skip
        page.unroute(NEXT)
        served(page, [], told["waiting"], **{name: value for name, value in told.items() if name != "waiting"})
        page.reload()
        expect(page.locator("#item")).to_contain_text(words)
    page.unroute(NEXT)
    page.goto(f"{desk.address}/review?supplier=left-since")  # a bookmark of what waits no longer
    expect(page.locator("#item")).to_contain_text(re.compile(r"Nothing here; 1 filter hides \d+"))
    expect(page.locator("#filters select[name=supplier]")).to_have_value("left-since")
    page.get_by_role("button", name="Show all").click()
    ready(page)
    page.route(NEXT, lambda route: route.abort())
    page.reload()
    expect(page.locator("#notice")).to_contain_text("does not answer")
    page.unroute(NEXT)
    looking = desk.person("vic", "viewer")
    for path in ("/review", "/review?kind=category"):
        looking.goto(desk.address + path)
        expect(looking.locator("#notice")).to_contain_text("Your role may look at the catalog, not decide")
    page.context.clear_cookies()
    page.goto(f"{desk.address}/review")
    assert page.url.endswith("/sign-in")


def test_a_session_that_ends_loses_nothing(desk: Desk) -> None:
    page = ready(desk.person())
    cookies = page.context.cookies()
    page.context.clear_cookies()
    page.keyboard.press("n")
    expect(page.locator("#notice")).to_contain_text("Your session has ended; nothing is lost")
    page.context.add_cookies(cookies)  # type: ignore[arg-type]
    sent(page)
    assert len(desk.stored()) == 1


# --- accessibility --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(desk: Desk, scheme: str) -> None:
    page = ready(desk.person(color_scheme=scheme))
    found: dict[str, list[str]] = {}

    def look(name: str) -> None:
        found[name] = violations(page)

    look("review")
    for key, selector in (("?", "#help"), ("Control+k", "#palette"), ("r", "#note-box")):
        page.keyboard.press(key)
        page.wait_for_selector(f"{selector}[open]")
        look(selector)
        page.keyboard.press("Escape")
        page.wait_for_selector(f"{selector}:not([open])", state="attached")
    page.keyboard.press(" ")
    page.wait_for_timeout(300)
    look("batch")
    product = desk.home.connect().execute("SELECT product_id FROM products WHERE state = 'live' ORDER BY 1 LIMIT 1").fetchone()
    offer = desk.home.connect().execute("SELECT offer_id FROM offers ORDER BY 1 LIMIT 1").fetchone()
    broken = desk.home.connect().execute("SELECT delivery_id FROM deliveries WHERE quarantined > 0 ORDER BY 1 LIMIT 1").fetchone()
    for path in (
        "/",
        "/products",
        f"/p/{product[0]}",
        f"/o/{offer[0]}",
        "/deliveries",
        "/metrics",
        "/review?kind=category",
        "/products?q=zzzz",
        "/p/none",
        "/review?kind=value",
        f"/quarantine/{broken[0]}",
    ):
        page.goto(desk.address + path)
        look(path)
    page.context.clear_cookies()
    page.goto(desk.address)
    look("sign-in")
    assert {name: wrong for name, wrong in found.items() if wrong} == {} and len(found) == 17


def test_the_desk_works_without_a_mouse_from_the_link_on(desk: Desk) -> None:
    page = ready(desk.person())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    names = []
    for _step in range(24):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.dataset.verb || document.activeElement.tagName"))
        box = page.evaluate("(() => { const one = document.activeElement.getBoundingClientRect(); return [one.width, one.height]; })()")
        assert min(box) >= 18 or names[-1] in ("BODY", "A"), names[-1]
    assert {"same", "different", "new", "skip", "undo"} <= set(names), "every verb can be reached"
    page.keyboard.press("Control+k")
    page.keyboard.type("go to met")
    page.keyboard.press("Enter")
    page.wait_for_url("**/metrics")


def test_the_page_is_light_and_asks_nobody_else(desk: Desk) -> None:
    page = desk.person()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    ready(page)
    assert asked and all(url.startswith(desk.address) for url in asked)
    static = Path(settings.__file__).parent / "serve" / "static"
    weight = sum(len(gzip.compress(file.read_bytes())) for file in static.iterdir())
    assert weight < 60_000 and re.search(r"endcap\.css", " ".join(asked))
