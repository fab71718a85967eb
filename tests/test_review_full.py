"""The review desk at the full counts that it is built for; test_review_page.py looks at a sample of each in every run."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, at_desk, violations
from doubtful import make
from playwright.sync_api import Browser, Page, Request, expect
from sqlalchemy import select
from test_review_page import NEXT, item_of, ready, sent, served, title

from endcap.ops import audit
from endcap.ops.tables import BLIND_ASKS

pytestmark = pytest.mark.nightly
WAITING, DECIDED, REPEATS, UNSENT, UNDONE, BATCH, HOSTILE_TITLES, NOTES = 1_150, 600, 20, 50, 100, 500, 600, 20
PAYLOADS = (
    "<script>alert({n})</script>", "<img src=x onerror=alert({n})>", "'\"><svg/onload=alert({n})>", "<iframe srcdoc='<script>alert({n})</script>'></iframe>",
    "<a href=javascript:alert({n})>x</a>", "</p></section><script>alert({n})</script>", "<details open ontoggle=alert({n})>",
    "{{constructor.constructor('alert({n})')()}}",
    "<math><mtext></table><img src onerror=alert({n})>", "<body onload=alert({n})>",
)  # fmt: skip
MOVED = "(before) => document.querySelector('.side.asked .title')?.innerText !== before"


@pytest.fixture(scope="module")
def doubted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("doubted") / "world", WAITING)


@pytest.fixture
def long_desk(doubted: Path, browser: Browser, tmp_path: Path) -> Iterator[Desk]:
    yield from at_desk(Path(shutil.copytree(doubted, tmp_path / "world")), browser)


def press(page: Page, key: str) -> None:
    """Press a key and wait for what it brings."""
    before = title(page)
    page.keyboard.press(key)
    page.wait_for_function(MOVED, arg=before)


def queue_of(page: Page) -> str:
    """A hash of everything that waits and of nothing else."""
    told = page.evaluate("fetch('/api/v1/review/groups').then((answer) => answer.json())")
    return hashlib.sha256(json.dumps([sorted(one["offer_ids"]) for one in told["groups"]]).encode()).hexdigest()


def test_600_decisions_by_keys_alone_without_a_mouse_and_without_losing_the_focus(long_desk: Desk) -> None:
    page = ready(long_desk.person())
    page.evaluate(
        "() => { window.mice = 0; for (const one of ['mousedown', 'pointerdown', 'click']) addEventListener(one, () => { window.mice += 1; }, true); }"
    )
    for number in range(DECIDED):
        press(page, "ynyn0"[number % 5])
        assert page.evaluate("document.activeElement === document.body")
    sent(page)
    rows = long_desk.stored()
    assert page.evaluate("window.mice") == 0 and len(rows) == len({row["key"] for row in rows}) == DECIDED
    assert all(row["evidence"] and row["model"] and row["snapshot_id"] and row["seconds"] is not None for row in rows)
    assert audit.verify(long_desk.home.engine).broken is None


def test_50_unsent_answers_arrive_once_after_the_tab_was_closed_20_times(long_desk: Desk) -> None:
    page = ready(long_desk.person())
    context = long_desk.contexts[-1]
    for repeat in range(REPEATS):
        page.route("**/api/v1/review/decisions", lambda route: route.abort())
        for _number in range(UNSENT):
            press(page, "n")
        page.close()
        assert len(long_desk.stored()) == UNSENT * repeat
        page = context.new_page()
        page.goto(f"{long_desk.address}/review")
        sent(ready(page))
        rows = long_desk.stored()
        assert len(rows) == len({row["key"] for row in rows}) == len({row["offer_id"] for row in rows}) == UNSENT * (repeat + 1)


def test_a_server_killed_amid_50_answers_20_times_loses_and_doubles_none(long_desk: Desk) -> None:
    page = ready(long_desk.person())
    pressed = 0
    for repeat in range(REPEATS):
        for number in range(UNSENT):
            if number <= 5 + 2 * repeat:
                ready(page)
            elif page.locator(".side.asked .title").count() == 0:  # what was fetched ahead is answered, and the server is not there to give more
                break
            page.keyboard.press("n")
            pressed += 1
            if number == 5 + 2 * repeat:
                long_desk.kill()
        long_desk.start()
        sent(page)
        ready(page)
        rows = long_desk.stored()
        assert len(rows) == len({row["key"] for row in rows}) == pressed
    assert pressed >= 0.6 * UNSENT * REPEATS
    assert audit.verify(long_desk.home.engine).broken is None


def test_undo_goes_100_deep_across_a_reload_to_the_very_state_before(long_desk: Desk) -> None:
    page = ready(long_desk.person())
    before, first = queue_of(page), title(page)
    for number in range(UNDONE):
        press(page, "yn0"[number % 3])
    sent(page)
    assert queue_of(page) != before
    for number in range(UNDONE):
        if number == UNDONE // 2:
            page.reload()
            ready(page)
        page.keyboard.press("u")
        expect(page.locator("#left")).to_contain_text("Taken back")
        page.wait_for_function("(n) => Number(document.querySelector('#session div:nth-child(3) dd').innerText) >= n", arg=number % (UNDONE // 2) + 1)
    expect(page.locator(".side.asked .title")).to_have_text(first)
    rows = long_desk.stored()
    assert {row["undoes"] for row in rows if row["undoes"]} == {row["override_id"] for row in rows if row["action"] != "undo"}
    assert queue_of(page) == before


def test_of_500_items_two_people_are_shown_none_twice_but_those_asked_blind(long_desk: Desk) -> None:
    shown: dict[str, list[str]] = {"rita": [], "karl": []}
    pages = {}
    for name, offers in shown.items():
        page = long_desk.person(name)
        page.on(
            "response", lambda answer, offers=offers: offers.extend(one["offer_id"] for one in answer.json()["items"]) if "/review/next" in answer.url else None
        )
        page.reload()
        pages[name] = ready(page)
    for _number in range(BATCH // 2):
        for page in pages.values():
            press(page, "n")
    for page in pages.values():
        sent(page)
    with long_desk.home.engine.connect() as connection:
        blind = set(connection.execute(select(BLIND_ASKS.c.offer_id)).scalars())
    assert not (set(shown["rita"]) & set(shown["karl"])) - blind
    rows = [row for row in long_desk.stored() if row["offer_id"] not in blind]
    assert Counter(row["offer_id"] for row in rows).most_common(1)[0][1] == 1 and len(rows) >= 0.9 * BATCH


def test_a_batch_of_500_is_one_request_and_one_undo(long_desk: Desk) -> None:
    page = ready(long_desk.person())
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request) if request.url.endswith("/review/decisions") else None)
    page.keyboard.press(" ")
    page.get_by_role("button", name=f"All {BATCH}: different").click()
    sent(page)
    rows = long_desk.stored()
    assert len(asked) == 1 and len(rows) == BATCH and len({row["group_id"] for row in rows}) == 1
    page.keyboard.press("u")
    expect(page.locator("#left")).to_contain_text("Taken back")
    assert sum(row["action"] == "undo" for row in long_desk.stored()) == BATCH


def test_600_items_with_markup_in_their_titles_open_no_dialog_and_make_no_element(browser: Browser, tmp_path: Path) -> None:
    def hostile(text: str, number: int) -> str:
        return f"{text} {PAYLOADS[number % len(PAYLOADS)].replace('{n}', str(number))}"

    folder = make(tmp_path / "world", HOSTILE_TITLES, hostile)
    for desk in at_desk(folder, browser):
        page = ready(desk.person())
        seen: set[str] = set()
        for _number in range(2 * HOSTILE_TITLES):
            seen.add(title(page))
            if len(seen) == HOSTILE_TITLES:
                break
            press(page, "s")
        assert any("alert(" in one for one in seen), "what is no markup is shown, as text"
        assert page.locator("#item script, #item img, #item svg, #item iframe, #item details, #item math, #last script, #last img").count() == 0
        sent(page)
        assert len(seen) == HOSTILE_TITLES <= len(desk.stored()) + 1


def test_in_20_notes_typing_every_key_decides_nothing(long_desk: Desk) -> None:
    page = ready(long_desk.person())
    before = title(page)
    for number in range(NOTES):
        page.keyboard.press("r")
        page.wait_for_selector("#note-box[open]")
        page.locator("#note").focus()
        page.keyboard.type(f"yn0123456789sufrebo UkaJ {number}")
        page.keyboard.press("Escape")
        page.wait_for_selector("#note-box:not([open])", state="attached")
    assert title(page) == before and long_desk.stored() == []


LONG = {
    "long": "Ultrakompressionsgarantieverlängerung" * 6, "words": "stainless steel kettle with a lid " * 7, "rtl": "قهوة عربية محمصة 500 غرام " * 9,
    "cjk": "日本製ステンレス電気ケトル一・五リットル" * 11, "mixed": "Kettle קומקום חשמלי 1,5 l ケトル " * 7, "marks": "e\u0301\u0302\u0303" * 55,
}  # fmt: skip


@pytest.mark.parametrize("width", [320, 640, 768, 1280])
@pytest.mark.parametrize("script", sorted(LONG))
def test_220_letters_of_any_script_overlap_nothing_at_any_width_and_at_200_percent(long_desk: Desk, script: str, width: int) -> None:
    """640 is 1280 at 200 %."""
    text = LONG[script][:220]
    page = long_desk.person(viewport={"width": width, "height": 800})
    served(page, [item_of(text, number) for number in range(2)])
    page.reload()
    ready(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = page.evaluate(
        """() => [...document.querySelectorAll('#item .title, #item dd, #item th, #item td, #item .verbs, #item .choices .name, #item .words')]
        .map((one) => { const box = one.getBoundingClientRect(); return [one.className || one.tagName, box.left, box.right, box.top, box.bottom]; })"""
    )
    outside = [one for one in boxes if one[1] < -1 or one[2] > width + 1]
    sides = [page.locator(f".side.{side}").bounding_box() or {} for side in ("asked", "other")]
    apart = sides[0]["x"] + sides[0]["width"] <= sides[1]["x"] + 1 or sides[0]["y"] + sides[0]["height"] <= sides[1]["y"] + 1
    assert apart and outside == []


def test_a_person_who_thinks_for_1_2_seconds_is_never_kept_waiting(long_desk: Desk) -> None:
    """Simulated: what the desk adds to 60 answers after 1.2 s of thinking each is less than what would bring them below 45 a minute."""
    page = ready(long_desk.person())
    page.clock.install()
    for _number in range(60):
        before = title(page)
        page.clock.run_for(1200)
        page.keyboard.press("n")
        assert title(page) != before, "the next item is there at once"
    page.clock.resume()
    sent(page)
    assert len(long_desk.stored()) == 60


def told_states() -> dict[str, Any]:
    """Each state of the desk as (what the server answers, the words that say it)."""
    none: dict[str, Any] = {"waiting": 0, "fitting": 0, "leased": 0, "holders": {}}
    return {
        "nothing waits": (none, "Nothing needs you"),
        "filters hide": ({**none, "waiting": 214}, "1 filter hides 214"),
        "others look": ({**none, "waiting": 9, "fitting": 9, "leased": 9, "holders": {"karl": 9}}, "Others are looking at the last 9: karl (9)"),
        "failing": (500, "cannot store now"),
        "offline": (None, "does not answer"),
        "signed out": (401, "Your session has ended"),
        "one more": ({**none, "waiting": 1, "fitting": 1, "items": [item_of("kettle", 1)]}, "1 offer waits"),
        "conflict": ("conflict", "karl decided “new” meanwhile"),
    }


def meets(route: Any) -> None:
    (sent_now,) = route.request.post_data_json["decisions"]
    outcome = {"key": sent_now["key"], "state": "conflict", "override_id": 7, "action": "new", "actor": "karl"}
    route.fulfill(content_type="application/json", body=json.dumps({"snapshot": "s", "outcomes": [outcome]}))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", sorted(told_states()))
def test_each_state_says_what_it_is_and_looks_like_no_other(long_desk: Desk, state: str, scheme: str) -> None:
    told, words = told_states()[state]
    page = long_desk.person(color_scheme=scheme)
    whole = {"snapshot": "s", "suppliers": {"beta": 214}, "categories": {}, "reasons": {}, "items": []}
    if told == "conflict":
        page.route("**/api/v1/review/decisions", meets)
        served(page, [item_of("kettle", 1), item_of("lamp", 2)], holders={})
    elif told is None:
        page.route(NEXT, lambda route: route.abort())
    elif isinstance(told, int):
        page.route(NEXT, lambda route: route.fulfill(status=told, content_type="application/json", body="{}"))
    else:
        page.route(NEXT, lambda route: route.fulfill(content_type="application/json", body=json.dumps({**whole, **told})))
    page.goto(f"{long_desk.address}/review{'?supplier=beta' if state == 'filters hide' else ''}")
    if told == "conflict":
        ready(page)
        page.keyboard.press("n")
    expect(page.locator("main")).to_contain_text(words)
    others = [other for name, (_told, other) in told_states().items() if name != state]
    assert not [other for other in others if other in page.locator("main").inner_text() and other not in words]
    assert violations(page) == []
