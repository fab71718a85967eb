"""Questions about products' values: doubtful categories and contradicted words, asked, answered, closed by the next run, and taken back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, at_desk, violations
from playwright.sync_api import Browser, Page, expect

from endcap import flow, sandbox, settings
from endcap.ops import audit
from endcap.ops.home import Home
from endcap.problems import BadInput
from endcap.review.override import store
from endcap.review.product import Actor, house_categories, take_back
from endcap.review.values import GivenValue, Question, give_values, questions, still_open
from endcap.serve.asking_changes import said_of, suggestions
from endcap.serve.reading import Reading

KIM, LEE, LEA = Actor("kim", "reviewer"), Actor("lee", "reviewer"), Actor("lea", "lead")
STRICT = "policy:\n  accept_category: 1.0\n"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small catalog that accepts a category only where it is quite certain, so that all wait."""
    folder = tmp_path_factory.mktemp("strict") / "demo"
    sandbox.make(folder, offers=600, days=1, seed=7)
    file = folder / "endcap.yaml"
    file.write_text(file.read_text(encoding="utf-8") + STRICT, encoding="utf-8")
    flow.run(settings.read(folder))
    return folder


@pytest.fixture
def folder(strict: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(strict, tmp_path / "demo"))


def opened(folder: Path) -> tuple[Home, Reading, int]:
    home = Home(settings.read(folder))
    return home, Reading(home, home.snapshot()), home.manifest().override_sequence


def given(question: Question, value: str | None, key: str, **more: Any) -> GivenValue:
    return GivenValue(key, question.product_id, question.field, "set" if value else "suppliers", value, question.override_id, **more)


def categories_of(reading: Reading, product_id: str) -> list[tuple[str, str, str]]:
    return [(row["value"], row["action"], row["decided_by"]) for row in reading.rows(
        "SELECT c.value, c.action, c.decided_by FROM decisions c JOIN decisions d ON d.offer_id = c.offer_id AND d.kind = 'product' "
        "WHERE c.kind = 'category' AND d.product_id = ? ORDER BY c.offer_id", [product_id])]  # fmt: skip


def test_an_answered_category_holds_for_every_offer_of_the_product_until_it_is_taken_back(folder: Path) -> None:
    home, reading, taken_in = opened(folder)
    asked = questions(reading, "category")
    question = max(asked, key=lambda one: one.offers)
    before = categories_of(reading, question.product_id)
    assert len(asked) >= 5 and "to_review" in {action for _value, action, _by in before}
    assert len({(one.product_id, one.field) for one in asked}) == len(asked), "one question a product"
    [stored] = give_values(home, reading, [given(question, question.options[0].value, "first key")], KIM, taken_in)
    assert stored.state == "stored" and question not in still_open(home, asked, taken_in)
    flow.run(settings.read(folder))
    home, reading, taken_in = opened(folder)
    after = categories_of(reading, question.product_id)
    assert after == [(question.options[0].value, "accepted", "person")] * len(before)
    assert question.product_id not in {one.product_id for one in questions(reading, "category")}
    assert stored.override_id is not None
    take_back(home, stored.override_id, KIM)
    flow.run(settings.read(folder))
    assert categories_of(opened(folder)[1], question.product_id) == before
    assert audit.verify(home.engine).broken is None


def test_of_several_answers_one_that_cannot_be_stores_none(folder: Path) -> None:
    home, reading, taken_in = opened(folder)
    first, second = questions(reading, "category")[:2]
    one = house_categories(home)[0]
    with pytest.raises(BadInput, match="no category"):
        give_values(home, reading, [given(first, one, "a good answer"), given(second, "No Such Place", "a bad answer")], KIM, taken_in)
    assert first in still_open(home, [first, second], taken_in), "nothing of it was stored"
    states = give_values(home, reading, [given(first, one, "a good answer"), given(second, one, "another one")], KIM, taken_in)
    assert [one.state for one in states] == ["stored", "stored"] and audit.verify(home.engine).broken is None


def test_sent_twice_it_is_stored_once_and_another_persons_word_stands_until_it_is_overruled(folder: Path) -> None:
    home, reading, taken_in = opened(folder)
    question = questions(reading, "category")[0]
    one, two, three, four = house_categories(home)[:4]
    first = given(question, one.upper(), "key of kim")
    states = [give_values(home, reading, [first], KIM, taken_in)[0] for _time in range(2)]
    assert [one.state for one in states] == ["stored", "repeated"] and states[0].override_id == states[1].override_id
    [met] = give_values(home, reading, [given(question, two, "key of lee")], LEE, taken_in)
    assert (met.state, met.value, met.actor) == ("conflict", one, "kim")
    [over] = give_values(home, reading, [given(question, two, "key of lee", over=met.override_id)], LEE, taken_in)
    assert over.state == "stored"
    [lead] = give_values(home, reading, [given(question, three, "key of lea", over=over.override_id)], LEA, taken_in)
    [weaker] = give_values(home, reading, [given(question, four, "key of kim 2", over=lead.override_id)], KIM, taken_in)
    assert (lead.state, weaker.state) == ("stored", "outweighed")


def test_a_key_is_one_answers_whether_a_value_or_the_suppliers_word(folder: Path) -> None:
    home, reading, taken_in = opened(folder)
    question = questions(reading, "category")[0]
    value = house_categories(home)[0]
    [own] = give_values(home, reading, [given(question, value, "key of mine")], KIM, taken_in)
    suppliers = GivenValue("key of mine", question.product_id, "category", "suppliers", None, own.override_id)
    with pytest.raises(BadInput, match="this key was used for something else"):
        give_values(home, reading, [suppliers], KIM, taken_in)
    withdrawn = replace(suppliers, key="another key")
    assert [one.state for _time in range(2) for one in give_values(home, reading, [withdrawn], KIM, taken_in)] == ["stored", "repeated"]
    with pytest.raises(BadInput, match="this key was used for something else"):
        give_values(home, reading, [given(question, value, "another key")], KIM, taken_in)


@pytest.mark.parametrize("wrong", [
    {"value": "", "key": "wrong key"}, {"value": "x" * 501, "key": "wrong key"}, {"value": "a\x00b", "key": "wrong key"},
    {"value": "choc", "key": "wrong key"}, {"value": "Elsewhere > Things", "key": "wrong key"},
])  # fmt: skip
def test_a_value_that_cannot_be_is_refused_in_a_sentence(folder: Path, wrong: dict[str, str]) -> None:
    home, reading, taken_in = opened(folder)
    question = questions(reading, "category")[0]
    with pytest.raises(BadInput):
        give_values(home, reading, [GivenValue(wrong["key"], question.product_id, "category", "set", wrong["value"])], KIM, taken_in)
    assert still_open(home, [question], taken_in) == [question]


@pytest.mark.parametrize("action", ["set", "suppliers"])
def test_an_answer_to_a_word_that_is_not_there_or_about_something_else_is_refused(folder: Path, action: str) -> None:
    home, reading, taken_in = opened(folder)
    question, other = questions(reading, "category")[:2]
    one, two = house_categories(home)[:2]
    [elsewhere] = give_values(home, reading, [given(other, one, "of another product")], KIM, taken_in)
    for unknown in (elsewhere.override_id, 9999):
        answer = GivenValue("of a word", question.product_id, "category", action, two if action == "set" else None, unknown)
        with pytest.raises(BadInput, match=f"answer {unknown} is not about the category of this product"):
            give_values(home, reading, [answer], KIM, taken_in)
    assert still_open(home, [question, other], taken_in) == [question]


def test_every_category_of_the_house_is_suggested_by_any_of_its_words(folder: Path) -> None:
    _home, reading, _taken_in = opened(folder)
    paths = [line.split(",")[0].strip('"') for line in (folder / "taxonomy.csv").read_text(encoding="utf-8").splitlines()[1:]]
    for path in paths:
        words = " ".join(reversed(path.replace(">", " ").split())).lower()
        assert path in suggestions(reading, "category", words).values, path


# --- in a browser ---------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(folder: Path, browser: Browser) -> Iterator[Desk]:
    yield from at_desk(folder, browser)


def ready(page: Page) -> str:
    page.wait_for_selector("#item .title")
    return page.locator("#item .title").inner_text()


def sent(page: Page) -> None:
    page.wait_for_function("() => (localStorage.getItem('endcap.outbox.values ' + document.body.dataset.person) || '[]') === '[]'", timeout=20_000)


def test_categories_are_answered_by_keys_alone(desk: Desk) -> None:
    page, chosen = desk.person(), house_categories(desk.home)[5]
    page.goto(f"{desk.address}/review?kind=category")
    seen = [ready(page)]
    page.keyboard.press("y")
    seen.append(ready(page))
    page.keyboard.press("v")
    page.keyboard.type("no such thing")
    page.keyboard.press("Enter")
    expect(page.locator("#edit-mistake")).to_have_text("The house has no category of these words.")
    page.locator("#edit-value").fill(chosen.lower())
    page.keyboard.press("Enter")
    page.wait_for_selector("#edit:not([open])", state="attached")  # the server is asked for the category first
    seen.append(ready(page))
    page.keyboard.press("s")
    assert len({*seen, ready(page)}) == 4
    sent(page)
    rows = desk.stored()
    assert [row["field"] for row in rows] == ["category"] * 2 and rows[1]["value"] == chosen and {row["actor"] for row in rows} == {"rita"}
    page.keyboard.press("u")
    expect(page.locator("#left")).to_contain_text("Taken back")
    assert ready(page) == seen[1] and desk.stored()[-1]["undoes"] == rows[1]["override_id"]


def test_enter_that_ends_a_word_being_composed_sets_no_value(desk: Desk) -> None:
    page = desk.person()
    page.goto(f"{desk.address}/review?kind=category")
    ready(page)
    page.keyboard.press("v")
    enter = "(box, isComposing) => box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing, bubbles: true, cancelable: true }))"
    goes_on = [page.locator("#edit-value").evaluate(enter, composing) for composing in (True, False)]
    assert goes_on == [True, False]


def test_the_same_question_of_many_products_is_answered_and_undone_at_once(desk: Desk) -> None:
    page = desk.person()
    asked = [{"product_id": f"P{number}", "title": f"Thing {number}", "group": "shop · path · Cups"} for number in range(7)]
    option = {"field": "category", "offers": 1, "supplier": "shop", "path": "path", "reason": "r", "says": "Cups", "override_id": None,
              "options": [{"value": "Cups", "words": "w"}, {"value": "Mugs", "words": "w"}], "evidence": "e"}  # fmt: skip
    told = {"snapshot": "s", "waiting": 7, "questions": [{**option, **one} for one in asked]}
    posted: list[Any] = []

    def answer(route: Any) -> None:
        if route.request.method == "GET":
            return route.fulfill(content_type="application/json", body=json.dumps(told))
        posted.append(json.loads(route.request.post_data))
        outcomes = [{"key": one["key"], "state": "stored", "override_id": 1, "value": one["value"], "actor": "rita"} for one in posted[-1]["decisions"]]
        return route.fulfill(content_type="application/json", body=json.dumps({"snapshot": "s", "outcomes": outcomes}))

    page.route("**/api/v1/review/values*", answer)
    page.goto(f"{desk.address}/review?kind=category")
    ready(page)
    page.keyboard.press(" ")
    page.get_by_role("button", name="All: Mugs").click()
    sent(page)
    assert len(posted) == 1 and len(posted[0]["decisions"]) == 7 and len({one["group_id"] for one in posted[0]["decisions"]}) == 1
    assert {one["value"] for one in posted[0]["decisions"]} == {"Mugs"}


@pytest.mark.parametrize("width", [320, pytest.param(360, marks=pytest.mark.nightly)])
def test_long_options_paths_and_titles_make_no_page_wider_than_its_screen(desk: Desk, width: int) -> None:
    page, long = desk.person(viewport={"width": width, "height": 800}), "Kitchen-and-dining-room-appliance-spare-part > " + "x" * 90
    option = {"value": long, "words": long}
    asked = [{"product_id": f"P{number}", "title": long, "group": long, "field": "category", "offers": 1, "supplier": "s" * 60, "path": long, "reason": long,
              "says": long, "override_id": None, "options": [option, {**option, "value": f"{long}y"}], "evidence": "e"} for number in range(3)]  # fmt: skip
    told = json.dumps({"snapshot": "s", "waiting": 3, "questions": asked})
    page.route(
        "**/api/v1/review/values*", lambda route: route.fulfill(content_type="application/json", body=told) if route.request.method == "GET" else route.abort()
    )
    page.goto(f"{desk.address}/review?kind=category")
    ready(page)
    widths = [page.evaluate("document.documentElement.scrollWidth")]
    page.keyboard.press(" ")
    together = page.get_by_role("button", name="All: ").last
    expect(together).to_be_visible()
    box = together.bounding_box()
    assert box and box["x"] + box["width"] <= width, "an option for many at once is read whole"
    widths.append(page.evaluate("document.documentElement.scrollWidth"))
    together.click()
    widths.append(page.evaluate("document.documentElement.scrollWidth"))
    assert widths == [width] * 3


def test_a_word_that_suppliers_contradict_is_asked_and_kept_or_withdrawn(desk: Desk, folder: Path) -> None:
    home, reading, _taken_in = opened(folder)
    named = reading.rows("SELECT product_id, founded_by FROM products WHERE state = 'live' AND brand IS NOT NULL ORDER BY product_id LIMIT 2")
    for number, row in enumerate(named):  # as if the suppliers had said something else when the person spoke
        told = {"counterpart_offer_id": None, "reason_code": "", "note": "", "undoes": None, "identity_hash": 0, "said": "Former", "role": "reviewer"}
        store(home, **told, offer_id=row["founded_by"], action="set", product_id=row["product_id"], actor="kim", field="brand", value=f"Otherwise {number}")
    flow.run(settings.read(folder))
    page = desk.person(name="kim")
    page.goto(desk.address)
    page.get_by_role("link", name="2 people's words are contradicted by the suppliers").click()
    ready(page)
    assert page.url == f"{desk.address}/review?kind=value"
    expect(page.locator("#left")).to_have_text("2 questions wait")
    assert "Otherwise" in page.locator(".choices .chosen").inner_text()
    page.keyboard.press("y")
    ready(page)
    page.keyboard.press("n")
    expect(page.locator("#item .empty")).to_contain_text("Nothing needs you here")
    sent(page)
    assert [row["action"] for row in desk.stored()] == ["set", "set", "set", "undo"]
    page.keyboard.press("u")  # of the suppliers' word: what it withdrew holds again
    expect(page.locator("#left")).to_contain_text("The person's word holds again")
    page.keyboard.press("u")  # of the answer before
    expect(page.locator("#left")).to_have_text("Taken back. 1 question waits")
    page.keyboard.press("n")
    expect(page.locator("#item .empty")).to_contain_text("Nothing needs you here")
    sent(page)
    assert "value" not in {one["kind"] for one in page.request.get(f"{desk.address}/api/v1/overview").json()["needs"]}, "it waits for the next run alone"
    stored = desk.stored()
    assert [row["action"] for row in stored] == ["set", "set", "set", "undo", "set", "undo", "undo"]
    kept, withdrawn = stored[4]["product_id"], stored[6]["product_id"]
    assert {kept, withdrawn} == {row["product_id"] for row in named}
    assert said_of(reading, home, withdrawn).asked == []
    flow.run(settings.read(folder))
    assert [one.product_id for one in questions(opened(folder)[1], "value")] == [kept]


def ask_about_a_brand(folder: Path) -> dict[str, Any]:
    """A product whose brand a person set by what was said of it then, so that it is asked about after a run; the product."""
    home, reading, _taken_in = opened(folder)
    [row] = reading.rows("SELECT product_id, founded_by, title, brand FROM products WHERE state = 'live' AND brand IS NOT NULL ORDER BY product_id LIMIT 1")
    told = {"counterpart_offer_id": None, "reason_code": "", "note": "", "undoes": None, "identity_hash": 0, "said": "Former", "role": "reviewer"}
    store(home, **told, offer_id=row["founded_by"], action="set", product_id=row["product_id"], actor="ann", field="brand", value="Otherwise")
    flow.run(settings.read(folder))
    return row


def test_the_suppliers_word_over_anothers_answer_lets_neither_word_stand(folder: Path) -> None:
    row = ask_about_a_brand(folder)
    home, reading, taken_in = opened(folder)
    [question] = questions(reading, "value")
    mine = GivenValue("of kim", question.product_id, "brand", "set", "Otherwise", question.override_id)
    [own] = give_values(home, reading, [mine], KIM, taken_in)
    suppliers = GivenValue("of lee", question.product_id, "brand", "suppliers", None, question.override_id)
    [met] = give_values(home, reading, [suppliers], LEE, taken_in)
    assert (met.state, met.override_id) == ("conflict", own.override_id)
    over = replace(suppliers, over=own.override_id)
    assert [one.state for _time in range(2) for one in give_values(home, reading, [over], LEE, taken_in)] == ["stored", "repeated"]
    flow.run(settings.read(folder))
    [now_is] = opened(folder)[1].rows("SELECT brand FROM products WHERE product_id = ?", [question.product_id])
    assert now_is["brand"] == row["brand"] and questions(opened(folder)[1], "value") == []


def test_undo_takes_back_what_was_stored_and_no_answer_that_met_anothers(desk: Desk) -> None:
    page = desk.person()
    page.goto(f"{desk.address}/review?kind=category")
    first = ready(page)
    page.keyboard.press("y")
    second = ready(page)
    sent(page)
    asked = page.evaluate("fetch('/api/v1/review/values?kind=category&n=1').then(a => a.json()).then(a => a.questions[0])")
    assert asked["title"] == second != first
    lena = desk.person("lena", "lead")
    told = {"key": "k" * 32, "product_id": asked["product_id"], "field": "category", "action": "set", "value": house_categories(desk.home)[5]}
    posted = lena.evaluate(
        "given => fetch('/api/v1/review/values', { method: 'POST', headers: { 'content-type': 'application/json' }, "
        "body: JSON.stringify({ decisions: [given] }) }).then(a => a.json())", told
    )  # fmt: skip
    assert [one["state"] for one in posted["outcomes"]] == ["stored"]
    page.keyboard.press("y")
    expect(page.locator("#item .notice")).to_contain_text("lena set it to")
    page.keyboard.press("k")
    expect(page.locator("#last li")).to_have_count(1)
    page.keyboard.press("u")
    expect(page.locator("#left")).to_contain_text("Taken back")
    assert ready(page) == first and desk.stored()[-1]["undoes"] == desk.stored()[0]["override_id"]
    expect(page.locator("#last li")).to_have_count(0)


def test_a_value_kept_over_a_closed_tab_is_shown_beside_anothers_that_came_first(desk: Desk) -> None:
    page = desk.person()
    context = desk.contexts[-1]
    page.goto(f"{desk.address}/review?kind=category")
    ready(page)
    asked = page.evaluate("fetch('/api/v1/review/values?kind=category&n=1').then(a => a.json()).then(a => a.questions[0])")
    context.set_offline(True)
    page.keyboard.press("y")
    expect(page.locator("#notice")).to_contain_text("1 answer is kept here")
    page.close()
    other = next(one for one in house_categories(desk.home) if one != asked["options"][0]["value"])
    give_values(desk.home, opened(desk.folder)[1], [GivenValue("k" * 32, asked["product_id"], "category", "set", other)], Actor("karl", "reviewer"), 0)
    context.set_offline(False)
    page = context.new_page()
    page.goto(f"{desk.address}/review?kind=category")
    expect(page.locator("#item .notice")).to_contain_text(f"karl set it to “{other}” meanwhile")
    assert ready(page) == asked["title"]
    page.reload()
    expect(page.locator("#item .notice")).to_contain_text(f"karl set it to “{other}” meanwhile")
    assert ready(page) == asked["title"]
    page.keyboard.press("y")
    expect(page.locator("#left")).to_contain_text("Another's answer stands: k keeps it, a lets yours hold")
    page.keyboard.press("a")
    sent(page)
    expect(page.locator("#last li")).to_have_count(1)
    assert [(row["actor"], row["value"]) for row in desk.stored()] == [("karl", other), ("rita", asked["options"][0]["value"])]


def test_a_word_that_met_anothers_is_asked_again_of_its_giver_after_a_reload_until_it_is_settled(desk: Desk, folder: Path) -> None:
    row = ask_about_a_brand(folder)
    home, reading, taken_in = opened(folder)
    [question] = questions(reading, "value")
    page = desk.person()
    page.goto(f"{desk.address}/review?kind=value")
    assert ready(page) == row["title"]
    give_values(home, reading, [given(question, "Otherwise", "of karl")], Actor("karl", "reviewer"), taken_in)
    notice = page.locator("#item .notice.conflicts")
    page.keyboard.press("n")
    for _time in range(2):
        expect(notice).to_contain_text("karl set it to “Otherwise” meanwhile")
        assert ready(page) == row["title"]
        page.reload()
    expect(notice).to_be_visible()
    page.keyboard.press("k")
    expect(page.locator("#item .empty")).to_contain_text("Nothing needs you here")
    page.reload()
    expect(page.locator("#item .empty")).to_contain_text("Nothing needs you here")
    assert [(one["actor"], one["action"]) for one in desk.stored()] == [("ann", "set"), ("karl", "set")], "what was kept is the other's"


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.nightly)])
def test_axe_finds_nothing_on_the_page_and_its_dialogs(desk: Desk, scheme: str) -> None:
    page = desk.person(color_scheme=scheme)
    page.goto(f"{desk.address}/review?kind=category")
    ready(page)
    found = {"page": violations(page)}
    for key, dialog in (("?", "#help"), ("Control+k", "#palette"), ("v", "#edit")):
        page.keyboard.press(key)
        page.wait_for_selector(f"{dialog}[open]")
        found[dialog] = violations(page)
        page.keyboard.press("Escape")
        page.wait_for_selector(f"{dialog}:not([open])", state="attached")
    page.goto(f"{desk.address}/review?kind=value")
    page.wait_for_selector("#item .empty")
    found["empty"] = violations(page)
    for width in (320, 768, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
