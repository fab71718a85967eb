"""Blind questions: audits and second opinions that look like all else, disagreements that reach a lead, agreement, and their undo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from playwright.sync_api import expect
from sqlalchemy import insert, select, update
from test_review_api import client_of, decision, items, send, stored

from endcap import flow, settings
from endcap.ops import access, audit
from endcap.ops.home import Home
from endcap.ops.tables import AUDIT, BLIND_ASKS, OVERRIDES
from endcap.review import blind

UNDO = "/api/v1/review/undo"


@pytest.fixture
def home(copy_on: Path) -> Home:
    return Home(settings.read(copy_on))


def asks(home: Home) -> list[dict[str, Any]]:
    with home.engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(BLIND_ASKS).order_by(BLIND_ASKS.c.ask_id)).mappings()]


def linked(home: Home) -> set[str]:
    rows = home.connect().execute("SELECT offer_id FROM decisions WHERE kind = 'product' AND action = 'linked'").fetchall()
    return {row[0] for row in rows}


def test_one_in_twenty_is_an_audit_that_looks_like_the_rest_and_counts_as_one(home: Home) -> None:
    kim = client_of(home, "kim", "reviewer")
    shown = items(kim, 40)
    drawn = [one for one in asks(home) if one["purpose"] == "audit"]
    assert len(drawn) == 2 and {one["offer_id"] for one in drawn} <= {one["offer_id"] for one in shown}
    sure = [one for one in shown if one["offer_id"] in {ask["offer_id"] for ask in drawn} & linked(home)]
    rest = [one for one in shown if one["reason_code"] == "doubtful" and one not in sure]
    for one in sure:
        assert (one["reason"], one["reason_code"], one["left"]) == (rest[0]["reason"], "doubtful", None) and one.keys() == rest[0].keys()
        ask = next(ask for ask in drawn if ask["offer_id"] == one["offer_id"])
        assert one["choices"][0]["product_id"] == ask["product_id"] and one["choices"][0]["nearest"]["offer_id"] == ask["counterpart_offer_id"]
    assert {one["offer_id"] for one in items(kim, 40)} >= {one["offer_id"] for one in drawn}, "what lies open is asked again, nothing new is drawn"
    assert len(asks(home)) == len(drawn)
    used, audit = decision(rest[1]), next(one for one in shown if one["offer_id"] == drawn[0]["offer_id"])
    send(kim, used)
    assert [one["state"] for one in send(kim, {**decision(audit, "same"), "key": used["key"]})] == ["reused"]
    assert [one["action"] for one in asks(home) if one["purpose"] == "audit"] == [None] * 2, "what was not stored answers no question"
    send(kim, *[decision(one, "same", reason_code="pack") for one in shown if one["offer_id"] in {ask["offer_id"] for ask in drawn}], decision(rest[0]))
    assert sorted(row["reason_code"] for row in stored(home)) == ["", "", "audit", "audit"] and {row["note"] for row in stored(home)} == {"", "pack"}
    assert all(one["action"] == "same" for one in asks(home) if one["purpose"] == "audit")


def test_an_audit_that_is_taken_back_and_answered_anew_counts_as_it_was_answered_last(home: Home) -> None:
    kim = client_of(home, "kim", "reviewer")
    shown = items(kim, 40)
    drawn = next(one for one in asks(home) if one["purpose"] == "audit")
    item = next(one for one in shown if one["offer_id"] == drawn["offer_id"])
    first, then, last = decision(item, "same"), decision(item, "different"), decision(item, "new")
    for sent in (first, then):
        assert [one["state"] for one in send(kim, sent)] == ["stored"]
        assert kim.post(UNDO, json={}).json()["count"] == 1
    assert [one["state"] for sent in (last, first) for one in send(kim, sent)] == ["stored", "repeated"]
    found = [(one["action"], one["key"]) for one in asks(home) if one["ask_id"] == drawn["ask_id"]]
    assert found == [("new", last["key"])], "what is counted is the answer that stands"


def test_an_audit_of_what_waits_too_is_one_persons_at_a_time_and_waits_while_anothers_answer_stands(home: Home) -> None:
    kim, lee = client_of(home, "kim", "reviewer"), client_of(home, "lee", "reviewer")
    waiting = {row[0] for row in home.connect().execute("SELECT offer_id FROM decisions WHERE kind = 'product' AND action = 'to_review'").fetchall()}
    both: list[str] = []
    for _round in range(40):
        shown = items(kim, 40, checks="true")
        both = [one["offer_id"] for one in shown if one["offer_id"] in waiting]
        if both or not shown:
            break
        send(kim, *[decision(one, "same") for one in shown if one["choices"]])
    assert both, "some of what is drawn waits"

    def ids(client: Any, **asked: Any) -> set[str]:
        return {one["offer_id"] for one in items(client, 100, **asked)}

    assert both[0] not in ids(lee), "kim has it"
    for client in (kim, lee):
        client.post("/api/v1/review/release")
    mine = next(one for one in items(lee, 100, first=both[0]) if one["offer_id"] == both[0])
    assert both[0] not in ids(kim, checks="true")
    assert [one["state"] for one in send(lee, decision(mine, "new"))] == ["stored"]
    assert both[0] not in ids(kim, checks="true") | ids(kim), "it would only meet lee's answer"
    lee.post(UNDO, json={})
    assert both[0] not in ids(kim, checks="true"), "it stands before lee again"
    lee.post("/api/v1/review/release")
    again = next(one for one in items(kim, 40, checks="true") if one["offer_id"] == both[0])
    assert [one["state"] for one in send(kim, decision(again, "new"))] == ["stored"]


def test_filters_show_nothing_blind(home: Home) -> None:
    shown = items(client_of(home, "kim", "reviewer"), 40)
    assert shown
    supplier = shown[0]["offer"]["supplier"]
    before = len(asks(home))
    items(client_of(home, "lee", "reviewer"), 40, supplier=supplier)
    assert len(asks(home)) == before


def double_asked(home: Home) -> tuple[Any, Any, dict[str, Any]]:
    """(first person's client, second's, an item that the second is asked again); the first answered a whole group as one."""
    kim, lee = client_of(home, "kim", "reviewer"), client_of(home, "lee", "reviewer")
    first = [one for one in items(kim, 30) if one["offer_id"] not in {ask["offer_id"] for ask in asks(home)} and one["choices"]]
    send(kim, *[decision(one, "same", group_id="the group") for one in first[:10]])
    kim.post("/api/v1/review/release")
    again = [one for one in items(lee, 40) if one["offer_id"] in {one["offer_id"] for one in first[:10]}]
    assert len(again) == 1, "3 in 100 of what was answered as one, one at least, is asked again"
    return kim, lee, again[0]


def test_a_person_and_their_programs_are_one_and_judge_themselves_never(home: Home) -> None:
    access.add_user(home.engine, "kim", "reviewer", team="t", password=None, actor="test")
    kim, lee, own = client_of(home, "kim", "reviewer"), client_of(home, "lee", "reviewer"), client_of(home)
    own.headers["authorization"] = f"Bearer {access.make_token(home.engine, 'sync', 'reviewer', days=1, actor='test', owner='kim')}"
    first = [one for one in items(kim, 30) if one["offer_id"] not in {ask["offer_id"] for ask in asks(home)} and one["choices"]][:10]
    send(kim, *[decision(one, "same", group_id="the group") for one in first])
    kim.post("/api/v1/review/release")
    shown = {one["offer_id"] for one in items(own, 40)}
    assert shown and not shown & {one["offer_id"] for one in first}
    own.post("/api/v1/review/release")
    assert {one["offer_id"] for one in items(lee, 40)} & {one["offer_id"] for one in first}, "another is asked"
    assert [one["state"] for one in send(own, decision(first[0], "different"))] == ["stored"], "what the program says later is the person's own second thought"


def test_a_second_answer_that_agrees_changes_nothing_and_is_counted(home: Home) -> None:
    _kim, lee, again = double_asked(home)
    before = stored(home)
    sent = decision(again, "same")
    assert [one["state"] for one in send(lee, sent)] == ["stored"] and stored(home) == before
    assert [one["state"] for one in send(lee, sent)] == ["repeated"] and stored(home) == before
    told = lee.get("/api/v1/review/agreement").json()["agreements"]
    assert [(one["purpose"], one["n"], one["agreed"]) for one in told] == [("batch", 1, 1)]
    assert again["offer_id"] not in {one["offer_id"] for one in items(lee, 40)}


def test_a_second_question_outlives_a_run_and_blocks_no_other(home: Home) -> None:
    _kim, lee, again = double_asked(home)
    flow.run(home.catalog)
    later = client_of(Home(settings.read(home.catalog.root)), "lee", "reviewer")
    shown = next((one for one in items(later, 100) if one["offer_id"] == again["offer_id"]), None)
    assert shown is not None, "the run has taken the first answer in, and the question is asked all the same"
    assert [one["state"] for one in send(later, decision(shown, "same"))] == ["stored"]
    assert [(one["n"], one["agreed"]) for one in later.get("/api/v1/review/agreement").json()["agreements"]] == [(1, 1)]
    assert lee.get("/api/v1/me").status_code == 200


def test_a_second_answer_to_what_the_supplier_changed_since_is_an_answer_as_any(home: Home) -> None:
    _kim, lee, again = double_asked(home)
    with home.engine.begin() as connection:  # as if the first answer had been to another version of the offer
        first = dict(connection.execute(select(OVERRIDES).where(OVERRIDES.c.offer_id == again["offer_id"])).mappings().one())
        older = {name: value for name, value in first.items() if name != "override_id"} | {"identity_hash": first["identity_hash"] + 1, "key": "older"}
        made = connection.execute(insert(OVERRIDES).values(older)).inserted_primary_key
        asked = BLIND_ASKS.c.offer_id == again["offer_id"]
        connection.execute(update(BLIND_ASKS).where(asked).values(override_id=made[0] if made else None))
    count = len(stored(home))
    [told] = send(lee, decision(again, "same"))
    assert (told["state"], told["actor"]) == ("conflict", "kim") and len(stored(home)) == count, "it meets what stands, as any does"
    assert lee.get("/api/v1/review/agreement").json()["agreements"] == [], "what was said of two versions neither agrees nor differs"
    assert not {one["offer_id"] for one in items(lee, 40)} & {again["offer_id"]}


@pytest.mark.parametrize(("altered", "words"), [
    ("UPDATE blind_asks SET action = 'different', agrees = false WHERE action IS NOT NULL", "altered"), ("DELETE FROM blind_asks", "removed"),
    ("INSERT INTO blind_asks (offer_id, asked_of, purpose, asked_at) VALUES ('x:1', 'kim', 'audit', '2026-01-01')", "made"),
])  # fmt: skip
def test_what_was_asked_and_answered_blind_is_sealed(home: Home, altered: str, words: str) -> None:
    _kim, lee, again = double_asked(home)
    send(lee, decision(again, "same"))
    assert audit.verify(home.engine).broken is None
    with home.engine.begin() as connection:
        connection.exec_driver_sql(altered)
    assert f"was {words} past the product" in audit.verify(home.engine).words


def test_a_key_that_was_used_for_another_offer_stores_no_second_answer(home: Home) -> None:
    _kim, lee, again = double_asked(home)
    one = next(one for one in items(lee, 40) if one["offer_id"] != again["offer_id"] and one["choices"])
    used, second = decision(one), decision(again, "same")
    assert [one["state"] for one in send(lee, used)] == ["stored"]
    assert [one["state"] for one in send(lee, {**second, "key": used["key"]})] == ["reused"]
    assert all(ask["action"] is None for ask in asks(home) if ask["offer_id"] == again["offer_id"])
    assert [one["state"] for one in send(lee, second)] == ["stored"]


def test_a_second_answer_that_differs_goes_to_a_lead_with_the_words_of_both(home: Home) -> None:
    kim, lee, again = double_asked(home)
    assert [one["state"] for one in send(lee, decision(again, "different", note="other pack"))] == ["stored"]
    left = [row for row in stored(home) if row["action"] == "escalate"]
    assert [row["note"] for row in left] == ["kim said same, lee said different: other pack"]
    standing = [row for row in stored(home) if row["offer_id"] == again["offer_id"] and row["action"] == "same"]
    assert len(standing) == 1, "the first answer holds meanwhile"
    assert again["offer_id"] not in {one["offer_id"] for one in items(kim, 40)}
    lea = client_of(home, "lea", "lead")
    first = items(lea, 40)
    mine = next(one for one in first if one["offer_id"] == again["offer_id"])
    assert "kim said same, lee said different" in mine["left"] and [one["left"] is not None for one in first].count(True) == 1
    assert [one["state"] for one in send(lea, decision(mine, "different", over=standing[0]["override_id"]))] == ["stored"]
    assert all(one["left"] is None for one in items(lea, 40))


def test_a_second_answer_is_taken_back_in_its_turn(home: Home) -> None:
    _kim, lee, again = double_asked(home)
    others = [one for one in items(lee, 40) if one["offer_id"] != again["offer_id"] and one["choices"]][:2]
    send(lee, decision(others[0]))
    send(lee, decision(again, "different"))
    send(lee, decision(others[1]))
    back = [[one["offer_id"] for one in lee.post(UNDO, json={}).json()["items"]] for _time in range(3)]
    assert back == [[others[1]["offer_id"]], [again["offer_id"]], [others[0]["offer_id"]]]
    assert all(ask["action"] is None for ask in asks(home) if ask["offer_id"] == again["offer_id"])
    assert [row["action"] for row in stored(home) if row["actor"] == "lee"].count("undo") == 3 and audit.verify(home.engine).broken is None


def test_a_second_answer_is_taken_back_once_under_a_key_and_whatever_was_said_of_values(home: Home) -> None:
    _kim, lee, again = double_asked(home)
    other = next(one for one in items(lee, 40) if one["offer_id"] != again["offer_id"] and one["choices"])
    send(lee, decision(other))
    send(lee, decision(again, "same"))
    product_id = lee.get("/api/v1/products").json()["products"][0]["product_id"]
    version = lee.get(f"/api/v1/products/{product_id}/answers").json()["version"]
    title = {"key": "a title of mine", "field": "title", "value": "Another title"}
    assert lee.post(f"/api/v1/products/{product_id}/values", json=title, headers={"if-match": f'"{version}"'}).status_code == 200
    told = [lee.post(UNDO, json={"key": "my undo's key", "about": "offers"}).json() for _time in range(2)]
    assert [[one["offer_id"] for one in one["items"]] for one in told] == [[again["offer_id"]]] * 2
    assert "undo" not in {row["action"] for row in stored(home)}, "the answers before it stand"


@pytest.mark.parametrize("action", ["same", "different", "skip"])
def test_a_second_answer_taken_back_stands_in_the_audit_and_comes_late_in_vain(home: Home, action: str) -> None:
    _kim, lee, again = double_asked(home)
    sent = decision(again, action)
    send(lee, sent)
    assert lee.post(UNDO, json={}).json()["count"] == 1
    before = stored(home)
    with home.engine.connect() as connection:
        left = connection.execute(select(AUDIT.c.actor, AUDIT.c.details_json).where(AUDIT.c.verb == "open_again", AUDIT.c.object == sent["key"])).all()
    undone = [row["undoes"] for row in before if row["actor"] == "lee" and row["action"] == "undo"]
    told = [(who, {name: json.loads(details)[name] for name in ("offer", "action", "undoes")}) for who, details in left]
    assert told == [("lee", {"offer": again["offer_id"], "action": action, "undoes": undone[0] if undone else None})]
    assert len(undone) == (action == "different") and audit.verify(home.engine).broken is None
    assert [one["state"] for one in send(lee, sent)] == ["repeated"], "as any answer that was taken back"
    assert stored(home) == before and [ask["action"] for ask in asks(home) if ask["offer_id"] == again["offer_id"]] == [None]
    other = next(one for one in items(lee, 40) if one["offer_id"] != again["offer_id"] and one["choices"])
    assert [one["state"] for one in send(lee, decision(again, "same"), decision(other))] == ["stored"] * 2
    assert [one["state"] for one in send(lee, sent)] == ["repeated"], "the answer after it holds"
    assert [ask["action"] for ask in asks(home) if ask["offer_id"] == again["offer_id"]] == ["same"]


def test_where_the_first_answer_was_taken_back_the_second_is_an_answer(home: Home) -> None:
    kim, lee, again = double_asked(home)
    kim.post(UNDO, json={})
    send(lee, decision(again, "same"))
    assert [row["offer_id"] for row in stored(home) if row["actor"] == "lee"] == [again["offer_id"]]


def test_what_is_left_to_a_lead_waits_for_nobody_else(home: Home) -> None:
    kim = client_of(home, "kim", "reviewer")
    item = next(one for one in items(kim, 10) if one["choices"])
    kim.post("/api/v1/review/release")
    send(kim, decision(item, "escalate", note="too hard"))
    assert item["offer_id"] not in {one["offer_id"] for one in items(client_of(home, "lee", "reviewer"), 100)}
    first = items(client_of(home, "lea", "lead"), 1)[0]
    assert first["offer_id"] == item["offer_id"] and first["left"] == "kim leaves this to a lead: too hard"
    kim.post(UNDO, json={})
    client_of(home, "lea", "lead").post("/api/v1/review/release")
    assert item["offer_id"] in {one["offer_id"] for one in items(kim, 100)}


def test_what_is_left_to_a_lead_stays_with_leads_over_runs_until_it_is_answered(home: Home, copy_on: Path) -> None:
    kim, lee, again = double_asked(home)
    asked = next(one for one in items(kim, 40) if one["choices"] and one["offer_id"] != again["offer_id"])
    kim.post("/api/v1/review/release")
    send(kim, decision(asked, "escalate", note="too hard"))
    send(lee, decision(again, "different", note="other pack"))
    flow.run(settings.read(copy_on))
    both = {asked["offer_id"], again["offer_id"]}
    lea = client_of(home, "lea", "lead")
    first = {one["offer_id"]: one for one in items(lea, 40)}
    told = {offer_id: first[offer_id]["left"] for offer_id in list(first)[:3] if first[offer_id]["left"]}  # an audit may stand between
    assert told == {asked["offer_id"]: "kim leaves this to a lead: too hard", again["offer_id"]: (
        "lee leaves this to a lead: kim said same, lee said different: other pack")}  # fmt: skip
    assert first[again["offer_id"]]["choices"][0]["product_id"] == again["choices"][0]["product_id"], "it is compared with what the two were asked about"
    named = lea.get("/api/v1/review/items", params={"ids": "\n".join(both)}).json()["items"]
    assert {one["offer_id"]: one["left"] for one in named} == told
    lea.post("/api/v1/review/release")
    assert both.isdisjoint(one["offer_id"] for client in (kim, lee) for one in items(client, 100))
    held = next(row for row in stored(home) if row["offer_id"] == again["offer_id"] and row["action"] == "same")
    answered = [decision(first[asked["offer_id"]], "new"), decision(first[again["offer_id"]], "different", over=held["override_id"])]
    assert [one["state"] for one in send(lea, *answered)] == ["stored"] * 2
    assert both.isdisjoint(one["offer_id"] for one in items(lea, 100))
    lea.post(UNDO, json={"offer_id": again["offer_id"]})
    assert [one["offer_id"] for one in items(lea, 100) if one["left"]] == [again["offer_id"]], "an answer taken back answers nothing"


@pytest.mark.parametrize(("pairs", "kappa"), [
    ([(True, True)] * 45 + [(True, False)] * 15 + [(False, True)] * 25 + [(False, False)] * 15, 0.1304),
    ([(True, True), (False, False)], 1.0), ([(True, True)] * 9, None), ([(True, False), (False, True)], -1.0),
])  # fmt: skip
def test_kappa_is_cohens(pairs: list[tuple[bool, bool]], kappa: float | None) -> None:
    found = blind._kappa(pairs)
    assert found is None if kappa is None else found == pytest.approx(kappa, abs=1e-4)


def test_in_the_page_nothing_tells_an_audit_from_the_rest(desk: Desk) -> None:
    page = desk.person()
    page.wait_for_selector(".side.asked .title")
    sure = {ask["offer_id"] for ask in asks(desk.home) if ask["purpose"] == "audit"}
    # Where rows may be more or fewer by what an offer states, only what stands around them is compared.
    shape = """() => [...document.querySelector('#item').querySelectorAll('*')].filter((one) => !one.closest('dl, table, ol') && one.tagName !== 'MARK')
        .map((one) => [one.tagName, one.className, ...[...one.attributes].map((a) => a.name).sort()].join(' '))"""
    shapes: dict[bool, set[str]] = {True: set(), False: set()}
    for _number in range(44):
        said = page.locator("#item .why").inner_text()
        offer = page.evaluate("() => document.querySelector('.side.asked .title').innerText")
        assert "likeness" not in said.lower()
        row = desk.home.connect().execute("SELECT offer_id FROM offers WHERE title = ?", [offer]).fetchall()
        shapes[bool({one[0] for one in row} & sure)] |= set(page.evaluate(shape))
        page.keyboard.press("s")
        page.wait_for_timeout(15)
        if page.locator(".side.asked .title").count() == 0:
            break
    assert sure and shapes[True] and shapes[True] <= shapes[False]
    expect(page.locator("#notice")).to_be_hidden()
