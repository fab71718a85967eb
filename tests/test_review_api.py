"""Reviewing over HTTP: who may do what, answers that are stored once, leases that hide, conflicts that are said, and undo."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import moved_to_postgres
from fastapi.testclient import TestClient
from sqlalchemy import insert, select

from endcap import flow, settings
from endcap.ops import access, audit
from endcap.ops.home import Home
from endcap.ops.tables import AUDIT, BLIND_ASKS, OVERRIDES, PASSES, USERS
from endcap.problems import BadInput
from endcap.review import lease
from endcap.review.override import REASONS
from endcap.review.shown import compare, mark_words
from endcap.serve import gate
from endcap.serve.app import make_app
from endcap.serve.gate import COOKIE, LEAST_ROLE, HomeGate

SAME_SITE = {"sec-fetch-site": "same-origin"}
NEXT, DECISIONS, UNDO = "/api/v1/review/next", "/api/v1/review/decisions", "/api/v1/review/undo"


@pytest.fixture
def home(copy_on: Path) -> Home:
    return Home(settings.read(copy_on))


def client_of(home: Home, name: str = "", role: str = "") -> TestClient:
    """A browser of a person, or of nobody."""
    client = TestClient(make_app(home, HomeGate(home)), base_url="http://localhost", follow_redirects=False, raise_server_exceptions=False)
    if name:
        client.headers.update(SAME_SITE)
        client.get("/enter", params={"once": access.make_link(home.engine, name, role)})
        assert client.cookies.get(COOKIE)
    return client


def items(client: TestClient, n: int = 5, **filters: str) -> list[dict[str, Any]]:
    answer = client.get(NEXT, params={"n": n, **filters})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def decision(item: dict[str, Any], action: str = "same", **more: Any) -> dict[str, Any]:
    choice = item["choices"][0] if item["choices"] else {}
    return {
        "key": uuid.uuid4().hex, "offer_id": item["offer_id"], "action": action if item["choices"] else "new", "product_id": choice.get("product_id"),
        "counterpart_offer_id": (choice.get("nearest") or {}).get("offer_id"), "identity": item["identity"], "evidence": item["evidence"],
        "model": item["model"], "shown_ms": 1000.0, "answered_ms": 2500.0, **more,
    }  # fmt: skip


def send(client: TestClient, *decisions: dict[str, Any]) -> list[dict[str, Any]]:
    answer = client.post(DECISIONS, json={"decisions": list(decisions)})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["outcomes"]
    return found


def stored(home: Home) -> list[dict[str, Any]]:
    with home.engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(OVERRIDES).order_by(OVERRIDES.c.override_id)).mappings()]


# --- who may do what ------------------------------------------------------------------------------------------------


def all_routes(home: Home) -> Iterator[tuple[str, str]]:
    """(method, path) of everything the application answers, but for files and the description itself."""
    app = make_app(home, HomeGate(home))
    found = {(route.path, method) for router in app.router.routes if hasattr(router, "original_router")
             for route in router.original_router.routes for method in route.methods}  # fmt: skip
    assert {(path, method.upper()) for path, methods in app.openapi()["paths"].items() for method in methods} <= {
        (path.replace(":path}", "}"), method) for path, method in found
    }
    yield from ((method, path) for path, method in found if method != "HEAD")


def test_every_route_has_its_least_role(home: Home) -> None:
    assert set(LEAST_ROLE) == set(all_routes(home))
    assert set(LEAST_ROLE.values()) <= {"", *access.ROLES}


def test_the_matrix_of_roles_holds_over_http(home: Home) -> None:
    """Every route of the API asked as each kind of person (THREATS C4): never more than the table says, and never less."""
    clients = {role: client_of(home, role, role) for role in access.ROLES}
    nobody = client_of(home)
    nobody.headers.update(SAME_SITE)
    asked = 0
    for (method, path), least in sorted(LEAST_ROLE.items()):
        address = re.sub(r"\{[^}]*\}", "x", path)
        for role, client in (("nobody", nobody), *clients.items()):
            if path == "/sign-out":
                continue
            answer = client.request(method, address, json={} if method == "POST" else None)
            allowed = least == "" or (role != "nobody" and access.ROLES.index(role) >= access.ROLES.index(least))
            refused = answer.status_code in (401, 403) and not path.startswith(("/sign-in", "/enter"))
            assert refused is not allowed, (method, path, role, answer.status_code)
            assert answer.status_code < 500
            asked += 1
    assert asked >= 120


def test_a_page_sends_strangers_to_sign_in_and_a_program_gets_a_sentence(home: Home) -> None:
    page = client_of(home).get("/review", headers={"accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in")
    told = client_of(home).get("/api/v1/overview")
    assert told.status_code == 401 and told.json()["error"]["code"] == "not_signed_in"


@pytest.mark.parametrize("headers", [
    {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"sec-fetch-site": "none"}, {}, {"origin": "http://evil.example"}, {"origin": "null"},
])  # fmt: skip
def test_no_write_from_another_site_is_taken(home: Home, headers: dict[str, str]) -> None:
    client = client_of(home, "rita", "admin")
    del client.headers["sec-fetch-site"]
    writes = [path for (method, path) in LEAST_ROLE if method == "POST"]
    answered = {path: client.post(path, json={}, headers=headers).status_code for path in writes}
    assert set(answered.values()) == {403} and len(answered) >= 20, answered
    assert client.get(NEXT).status_code == 200 and stored(home) == [], "the session lives and nothing was stored"


def test_a_program_without_a_token_is_told_to_say_who_it_is(home: Home) -> None:
    answer = client_of(home).post(DECISIONS, json={"decisions": []})
    assert (answer.status_code, answer.json()["error"]["code"], answer.headers["www-authenticate"]) == (401, "not_signed_in", "Bearer")


@pytest.mark.parametrize("body", [b'{"decisions": ', b'{"decisions": "\xff"}'])
def test_a_body_that_cannot_be_read_tells_a_stranger_to_say_who_it_is_and_nothing_else(home: Home, body: bytes) -> None:
    def answered(*person: str) -> int:
        return client_of(home, *person).post(DECISIONS, content=body, headers={"content-type": "application/json"}).status_code

    assert (answered(), answered("vic", "viewer")) == (401, 403)
    assert answered("rita", "reviewer") in (400, 422)


@pytest.mark.parametrize(("body", "words"), [
    ({"content": b'{"title": ', "headers": {"content-type": "application/json"}}, "the body is no JSON"), ({"json": [1]}, "the body must be a JSON object"),
    ({"content": b"title=x"}, "the body must be a JSON object"), ({"json": {"title": 3}}, "title: input should be a valid string"),
])  # fmt: skip
def test_a_body_that_cannot_be_read_is_named_as_one(home: Home, body: dict[str, Any], words: str) -> None:
    answer = client_of(home, "rita", "reviewer").post("/api/v1/match", **body)
    assert answer.status_code == 422 and answer.json()["error"]["message"].startswith(words) and "correct what was sent" in answer.json()["error"]["hint"], (
        answer.text
    )


def test_a_link_works_once_and_a_session_ends_at_once(home: Home) -> None:
    secret = access.make_link(home.engine, "rita", "reviewer")
    client = client_of(home)
    assert client.get("/enter", params={"once": secret}).headers["location"] == "/review"
    assert client.get("/api/v1/me").json()["name"] == "rita"
    assert client_of(home).get("/enter", params={"once": secret}).status_code == 401
    cookie = client.cookies.get(COOKIE)
    client.post("/sign-out", headers=SAME_SITE)
    client.cookies.set(COOKIE, cookie or "")
    assert client.get("/api/v1/me").status_code == 401
    with home.engine.connect() as connection:
        kept = " ".join(str(value) for row in connection.execute(select(PASSES)).all() for value in row)
    assert secret not in kept and (cookie or "?") not in kept, "only hashes are kept"


def test_the_cookie_is_for_this_site_and_no_script(home: Home) -> None:
    answer = client_of(home).get("/enter", params={"once": access.make_link(home.engine, "rita", "viewer")})
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(answer.headers["set-cookie"].split("; "))


def test_passwords_sign_in_and_guesses_learn_nothing(home: Home) -> None:
    access.add_user(home.engine, "rita", "reviewer", team="audio", password="correct horse battery", actor="boss")
    client = client_of(home)
    client.headers.update(SAME_SITE)
    form = {"content-type": "application/x-www-form-urlencoded"}
    answers = [
        client.post("/sign-in", content=f"name={name}&password={password}", headers=form)
        for name, password in (("rita", "wrong"), ("nobody", "wrong"), ("rita", ""))
    ]
    assert {answer.status_code for answer in answers} == {401} and len({answer.text for answer in answers}) == 1
    assert client.post("/sign-in", content="name=rita&password=correct+horse+battery", headers=form).status_code == 303
    assert client.get("/api/v1/me").json()["role"] == "reviewer"
    with home.engine.connect() as connection:
        assert str(connection.execute(select(USERS.c.password)).scalar()).startswith("$argon2id$")
    access.add_user(home.engine, "rita", "viewer", team="audio", password=None, actor="boss")
    assert client.get("/api/v1/me").status_code == 401, "another role ends what was open"


def test_signing_in_leads_on_to_the_page_that_was_asked_for_and_to_no_other_site(home: Home) -> None:
    access.add_user(home.engine, "rita", "reviewer", team="audio", password="correct horse battery", actor="boss")
    client = client_of(home)
    client.headers.update(SAME_SITE | {"accept": "text/html"})

    def signed_in(wanted: str, password: str = "correct horse battery") -> Any:
        return client.post("/sign-in", data={"name": "rita", "password": password, "next": wanted})

    wanted = "/products?q=a%20%22lamp%22&category=Home%20%3E%20Lamps"
    door = client.get(wanted).headers["location"]
    assert door.startswith("/sign-in?next=%2Fproducts%3Fq%3D")
    for page in (client.get(door), signed_in(wanted, "wrong")):
        assert f'name="next" value="{wanted.replace("&", "&amp;")}"' in page.text
    assert signed_in(wanted).headers["location"] == wanted
    elsewhere = ("//evil.example", "https://evil.example/", "/\\evil.example", "\\/evil.example", "/\t/evil.example", "/enter?once=x", "/api/v1/me", "x", "")
    assert not any('name="next"' in client.get("/sign-in", params={"next": one}).text for one in elsewhere)
    assert signed_in(elsewhere[0]).headers["location"] == "/review"


def test_a_programs_token_needs_no_cookie_and_can_be_ended(home: Home) -> None:
    token = access.make_token(home.engine, "import", "reviewer", days=1, actor="boss")
    client = client_of(home)
    client.headers["authorization"] = f"Bearer {token}"
    (item, *_rest) = items(client)
    assert send(client, decision(item))[0]["state"] == "stored" and stored(home)[0]["actor"] == "import"
    person = access.who(home.engine, token, "token")
    assert person and access.end(home.engine, person.pass_id, actor="boss")
    assert client.get("/api/v1/me").status_code == 401
    assert access.who(home.engine, token, "session") is None, "a token is no session"


@pytest.mark.parametrize(("role", "days"), [("king", 1.0), ("viewer", 0.0), ("viewer", 400.0), ("viewer", float("nan"))])
def test_a_token_of_no_role_or_no_time_is_refused(home: Home, role: str, days: float) -> None:
    with pytest.raises(BadInput):
        access.make_token(home.engine, "import", role, days=days, actor="boss")


def test_secrets_are_in_no_table_that_readers_see(home: Home) -> None:
    with home.connect() as con:
        names = {name for (name,) in con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}
    assert "overrides" in names and not names & {"users", "passes"}


# --- answers --------------------------------------------------------------------------------------------------------


def test_what_a_person_answers_is_stored_with_what_they_saw(home: Home) -> None:
    client = client_of(home, "rita", "reviewer")
    (item, *_rest) = items(client)
    (outcome,) = send(client, decision(item, "same", reason_code="pack", note="six against one"))
    (row,) = stored(home)
    assert outcome["state"] == "stored" and outcome["override_id"] == row["override_id"]
    assert (row["offer_id"], row["action"], row["actor"], row["reason_code"], row["seconds"]) == (item["offer_id"], "same", "rita", "pack", 1.5)
    assert (row["evidence"], row["model"], str(row["identity_hash"])) == (item["evidence"], item["model"], item["identity"]) and row["snapshot_id"]
    assert item["offer_id"] not in {one["offer_id"] for one in items(client, 100)}
    assert audit.verify(home.engine).broken is None
    with home.engine.connect() as connection:
        assert ("rita", "same", item["offer_id"]) in connection.execute(select(AUDIT.c.actor, AUDIT.c.verb, AUDIT.c.object)).all()


def test_the_same_answer_sent_again_is_stored_once(home: Home) -> None:
    client = client_of(home, "rita", "reviewer")
    answers = [decision(item) for item in items(client, 10)]
    assert {one["state"] for one in send(client, *answers)} == {"stored"}
    assert {one["state"] for one in send(client, *answers)} == {"repeated"}
    assert send(client, {**answers[0], "action": "new"})[0]["state"] == "reused"
    assert send(client, {**answers[0], "note": "another word"})[0]["state"] == "reused"
    assert len(stored(home)) == 10


def test_answers_sent_again_count_once_toward_what_one_person_may_give(home: Home) -> None:
    limited = Home(home.catalog.model_copy(update={"govern": home.catalog.govern.model_copy(update={"bulk": 8, "answers_a_day": 8})}))
    client = client_of(limited, "rita", "reviewer")
    answers = [decision(item, group_id="one deed") for item in items(client, 20)][:8]
    assert {one["state"] for one in send(client, *answers)} == {"stored"}
    assert {one["state"] for one in send(client, *answers)} == {"repeated"}
    more = client.post(DECISIONS, json={"decisions": [{**answers[0], "key": "another answer"}]})
    assert more.status_code in (422, 429) and "answers today" in more.json()["error"]["message"]


def test_another_persons_answer_stands_until_it_is_overruled_knowingly(home: Home) -> None:
    rita, karl = client_of(home, "rita", "reviewer"), client_of(home, "karl", "reviewer")
    (item, *_rest) = [one for one in items(rita) if one["choices"]]
    (hers,) = send(rita, decision(item, "same"))
    (his,) = send(karl, decision(item, "different"))
    assert (his["state"], his["action"], his["actor"], his["override_id"]) == ("conflict", "same", "rita", hers["override_id"])
    assert len(stored(home)) == 1
    assert send(karl, decision(item, "different", over=hers["override_id"]))[0]["state"] == "stored"
    assert [row["actor"] for row in stored(home)] == ["rita", "karl"]


def test_what_a_run_took_in_is_not_reversed_by_one_who_has_not_seen_it(home: Home, copy_on: Path) -> None:
    """Two people have one offer on their screens; the answer of the slower one comes after the run that took the other's in."""
    rita, karl = client_of(home, "rita", "reviewer"), client_of(home, "karl", "reviewer")
    item, other, *_rest = [one for one in items(rita, 20) if len(one["choices"]) > 1]
    hers, no = send(rita, decision(item, "same"), decision(other, "different"))
    flow.run(settings.read(copy_on))
    (late,) = send(karl, decision(item, "different"))
    assert (late["state"], late["actor"], late["override_id"]) == ("conflict", "rita", hers["override_id"])
    (agrees,) = send(karl, decision(item, "same"))
    assert agrees["state"] == "stored", "who says the same reverses nothing"
    elsewhere = other["choices"][1]
    (fits,) = send(karl, decision(other, "other", product_id=elsewhere["product_id"], counterpart_offer_id=elsewhere["nearest"]["offer_id"]))
    assert fits["state"] == "stored" and no["state"] == "stored", "nor who names another product than the one that it is not"
    assert send(karl, decision(item, "different", over=hers["override_id"]))[0]["state"] == "stored"
    flow.run(settings.read(copy_on))
    lena = client_of(home, "lena", "reviewer")
    assert send(lena, decision(item, "different"))[0]["state"] == "stored", "what was overruled stands in nobody's way"


def test_a_lead_has_the_last_word_on_an_offer_and_a_reviewer_takes_nothing_of_it_back(home: Home, copy_on: Path) -> None:
    lead, rita = client_of(home, "lea", "lead"), client_of(home, "rita", "reviewer")
    (item, *_rest) = [one for one in items(lead, 20) if one["choices"] and one["choices"][0]["nearest"]]
    (hers,) = send(lead, decision(item, "different"))
    (over,) = send(rita, decision(item, "same", over=hers["override_id"]))
    assert (over["state"], over["actor"], over["action"]) == ("outweighed", "lea", "different")
    assert rita.post(f"/api/v1/overrides/{hers['override_id']}/undo").status_code == 409
    made_up = rita.post(DECISIONS, json={"decisions": [decision(item, "same", over=hers["override_id"], identity="12345")]})
    assert made_up.status_code == 422 and "was never as it is said" in made_up.json()["error"]["message"]
    assert send(rita, decision(item, "new", over=hers["override_id"]))[0]["state"] == "stored", "it says nothing to the contrary"
    flow.run(settings.read(copy_on))
    assert send(rita, decision(item, "same"))[0]["state"] == "outweighed", "nor after a run"
    (met,) = send(lead, decision(item, "same"))
    assert (met["state"], met["actor"]) == ("conflict", "rita"), "a lead too is shown what stands"
    (freed,) = send(lead, decision(item, "same", over=met["override_id"]))
    assert freed["state"] == "stored" and [row["role"] for row in stored(home)] == ["lead", "reviewer", "lead"]


def test_an_offer_that_is_gone_takes_no_other_answer_with_it(home: Home, copy_on: Path) -> None:
    client = client_of(home, "rita", "reviewer")
    (gone, *_rest), (first, last) = items(client, supplier="elektro-hansa"), items(client, 2, supplier="harbor-wholesale")
    newest = max((copy_on / "inbox").glob("*/elektro-hansa.csv"))
    later = copy_on / "inbox" / "2026-04-01" / newest.name
    later.parent.mkdir()
    lines = newest.read_bytes().splitlines(keepends=True)
    later.write_bytes(b"".join(line for line in lines if gone["offer_id"].partition(":")[2].encode() not in line))
    flow.run(settings.read(copy_on))
    outcomes = send(client, decision(first, "new"), decision(gone, "new"), decision(last, "new"))
    assert [one["state"] for one in outcomes] == ["stored", "gone", "stored"] and len(stored(home)) == 2


def test_the_page_gives_the_reasons_that_are_taken() -> None:
    page = (Path(gate.__file__).parent / "static" / "drawing.js").read_text(encoding="utf-8")
    told = page.partition("const REASONS = {")[2].partition("};")[0]
    assert sorted(re.findall(r'\["(\w+)", ', told)) == sorted(REASONS)


def test_two_that_nobody_was_shown_as_one_are_refused(home: Home) -> None:
    client = client_of(home, "rita", "reviewer")
    item = next(one for one in items(client, 50) if len(one["choices"]) > 1 and one["choices"][1]["nearest"])
    for wrong in ({"counterpart_offer_id": item["choices"][1]["nearest"]["offer_id"]}, {"counterpart_offer_id": item["offer_id"]}, {"answered_ms": 1e300}):
        answer = client.post(DECISIONS, json={"decisions": [{**decision(item), **wrong}]})
        assert answer.status_code == 422, answer.text
    assert stored(home) == []


def test_what_was_done_by_another_than_who_is_signed_in_is_refused(home: Home) -> None:
    client = client_of(home, "rita", "reviewer")
    (item, *_rest) = items(client)
    answer = client.post(DECISIONS, json={"decisions": [decision(item)]}, headers={"endcap-person": "karl%20a"})
    assert answer.status_code == 401 and answer.json()["error"]["message"] == "this was done by karl a, and rita is signed in" and stored(home) == []
    assert client.post(DECISIONS, json={"decisions": [decision(item)]}, headers={"endcap-person": "rita"}).status_code == 200


def test_leases_hide_items_from_others_and_come_back(home: Home) -> None:
    rita, karl = client_of(home, "rita", "reviewer"), client_of(home, "karl", "reviewer")
    hers, his = ({one["offer_id"] for one in items(client, 8)} for client in (rita, karl))
    assert hers and his and not hers & his
    assert {one["offer_id"] for one in items(rita, 8)} == hers, "her own stay hers"
    answered = items(rita, 8)[0]
    send(rita, decision(answered))
    assert lease.hidden(home, "karl").keys() == hers - {answered["offer_id"]}
    assert [one["offer_id"] for one in rita.post(UNDO, json={}).json()["items"]] == [answered["offer_id"]]
    assert lease.hidden(home, "karl").keys() == hers, "what she takes back stands before her again"
    assert rita.post("/api/v1/review/release", json={}).json()["count"] == len(hers)
    assert hers & {one["offer_id"] for one in items(karl, 100)}
    (item, *_rest) = items(karl)
    assert send(rita, decision(item))[0]["state"] == "stored", "a lease blocks nobody's answer"


def test_a_lease_ends_by_itself(home: Home) -> None:
    assert lease.take(home, ["a:1", "a:2"], "rita", limit=5, seconds=0.2) == ["a:1", "a:2"]
    assert lease.take(home, ["a:1", "a:3"], "karl", limit=5) == ["a:3"] and lease.hidden(home, "karl") == {"a:1": "rita", "a:2": "rita"}
    time.sleep(0.25)
    assert lease.take(home, ["a:1"], "karl", limit=5) == ["a:1"] and lease.hidden(home, "karl") == {}


def test_undo_walks_back_answer_by_answer_and_groups_as_one(home: Home) -> None:
    client = client_of(home, "rita", "reviewer")
    first, *rest = items(client, 6)
    send(client, decision(first))
    group = uuid.uuid4().hex
    send(client, *[decision(item, "new", group_id=group) for item in rest])
    taken_back = client.post(UNDO, json={}).json()
    assert taken_back["count"] == 5 and {one["offer_id"] for one in taken_back["items"]} == {one["offer_id"] for one in rest}
    assert [one["offer_id"] for one in client.post(UNDO, json={}).json()["items"]] == [first["offer_id"]]
    assert client.post(UNDO, json={}).json()["count"] == 0
    assert {one["offer_id"] for one in (first, *rest)} <= {one["offer_id"] for one in items(client, 100)}
    stats = client.get("/api/v1/review/stats").json()
    assert (stats["answered"], stats["undone"], stats["median_s"]) == (6, 6, 1.5)


def test_an_undo_sent_again_takes_nothing_more_back(home: Home) -> None:
    client = client_of(home, "rita", "reviewer")
    two = items(client, 2)
    for item in two:
        send(client, decision(item))
    sent = {"key": "an undo of mine", "about": "offers"}
    told = [client.post(UNDO, json=sent).json() for _time in range(2)]
    assert told[0] == told[1] and [one["offer_id"] for one in told[0]["items"]] == [two[1]["offer_id"]]
    assert [row["undoes"] is not None for row in stored(home)] == [False, False, True]
    other = client.post(UNDO, json=sent | {"offer_id": two[0]["offer_id"]})
    assert other.status_code == 422 and "this key was used for something else" in other.json()["error"]["message"]
    assert client.post(UNDO, json=sent | {"key": "another undo"}).json()["count"] == 1
    assert client_of(home, "karl", "reviewer").post(UNDO, json=sent).json()["count"] == 0, "a key is its person's"
    assert audit.verify(home.engine).broken is None


def test_no_answer_joins_anothers_group_or_a_split_nor_overrules_what_is_about_something_else(home: Home) -> None:
    rita, karl = client_of(home, "rita", "reviewer"), client_of(home, "karl", "reviewer")
    first, second, third, *_rest = items(rita, 6)
    rita.post("/api/v1/review/release")
    send(rita, decision(first, "new", group_id="of rita"))
    with home.connect() as con:
        of = con.execute("SELECT product_id FROM decisions WHERE kind = 'product' AND action = 'linked' GROUP BY 1 ORDER BY 1 LIMIT 1").fetchall()[0][0]
        moved = con.execute("SELECT offer_id FROM decisions WHERE kind = 'product' AND product_id = ? ORDER BY 1 LIMIT 1", [of]).fetchall()[0][0]
    page = rita.get(f"/api/v1/products/{of}/answers")
    split = rita.post(f"/api/v1/products/{of}/split", json={"key": uuid.uuid4().hex, "offer_ids": [moved]}, headers={"If-Match": page.headers["etag"]})
    assert split.status_code == 200, split.text
    group = next(row["group_id"] for row in stored(home) if row["offer_id"] == moved)
    before = len(stored(home))
    for client, more, words in (
        (karl, {"group_id": "of rita"}, "is another person's"), (rita, {"group_id": group}, "is of another deed"),
        (karl, {"over": 9999}, "answer 9999 is not about"),
        (karl, {"over": stored(home)[0]["override_id"]}, f"is not about {third['offer_id']}"),
    ):  # fmt: skip
        answer = client.post(DECISIONS, json={"decisions": [decision(second), decision(third, **more)]})
        assert answer.status_code == 422 and words in answer.json()["error"]["message"], answer.text
    assert len(stored(home)) == before, "nothing of a refused batch is stored"
    send(rita, decision(third, "new", group_id="of rita"))
    assert rita.post(UNDO, json={}).json()["count"] == 2, "what was given as one is taken back as one, and the split stays"
    question = rita.get("/api/v1/review/values", params={"kind": "category"}).json()["questions"][:1]
    for one in question:
        told = {"key": uuid.uuid4().hex, "product_id": one["product_id"], "field": "category", "action": "set", "value": one["options"][0]["value"]}
        for more, words in (({"group_id": group}, "is of another deed"), ({"over": stored(home)[0]["override_id"]}, "is not about the category of")):
            answer = rita.post("/api/v1/review/values", json={"decisions": [told | more]})
            assert answer.status_code == 422 and words in answer.json()["error"]["message"], answer.text


def test_any_answer_can_be_taken_back_by_its_offer_and_all_are_listed(home: Home) -> None:
    client = client_of(home, "rita", "reviewer")
    found = items(client, 4)
    for item in found:
        send(client, decision(item))
    told = client.post(UNDO, json={"offer_id": found[1]["offer_id"]}).json()
    assert told["count"] == 1 and [one["offer_id"] for one in told["items"]] == [found[1]["offer_id"]]
    assert client.post(UNDO, json={"offer_id": found[1]["offer_id"]}).json()["count"] == 0, "it does not stand any more"
    mine = client.get("/api/v1/review/mine").json()["answers"]
    assert [(one["offer_id"], one["standing"]) for one in mine] == [(one["offer_id"], one is not found[1]) for one in reversed(found)]
    assert [one["title"] for one in mine] == [one["offer"]["title"] for one in reversed(found)]
    assert client_of(home, "karl", "reviewer").get("/api/v1/review/mine").json()["answers"] == []


def test_a_named_offer_comes_first_and_others_are_told_who_looks(home: Home) -> None:
    rita, karl = client_of(home, "rita", "reviewer"), client_of(home, "karl", "reviewer")
    last = items(rita, 100)[-1]["offer_id"]
    rita.post("/api/v1/review/release", json={})
    assert items(karl, 5, first=last)[0]["offer_id"] == last
    told = rita.get(NEXT, params={"n": 5}).json()
    assert told["holders"] == {"karl": told["leased"]} and told["leased"] >= 4
    assert items(rita, 5, first=last)[0]["offer_id"] != last, "somebody else looks at it"


def test_groups_hold_items_of_the_same_evidence(home: Home) -> None:
    client = client_of(home, "rita", "reviewer")
    groups = client.get("/api/v1/review/groups").json()["groups"]
    assert groups and [one["count"] for one in groups] == sorted((one["count"] for one in groups), reverse=True)
    shown = client.get("/api/v1/review/items", params={"ids": "\n".join(groups[0]["offer_ids"])}).json()["items"]
    assert {one["group"] for one in shown} == {groups[0]["group"]} and len(shown) == groups[0]["count"]


def test_a_group_whose_titles_state_other_numbers_says_so(home: Home) -> None:
    client, apart = client_of(home, "rita", "reviewer"), 0
    for item in items(client, 100):
        nearest = item["choices"][0]["nearest"] if item["choices"] else None
        if nearest is None:
            continue
        sides = [[one for one in words if not one["shared"] and any(map(str.isdigit, one["text"]))] for words in (item["offer"]["words"], nearest["words"])]
        apart += all(sides)
        assert ("numbers in the titles" in item["group"]) == all(sides), item["group"]
    assert apart > 3


def test_groups_leave_out_what_the_filters_do(home: Home) -> None:
    client, api = client_of(home, "rita", "reviewer"), "/api/v1/review"
    every = {offer_id for group in client.get(f"{api}/groups").json()["groups"] for offer_id in group["offer_ids"]}
    for name, values in (("category", "categories"), ("reason", "reasons"), ("supplier", "suppliers")):
        value = next(one for one in client.get(NEXT, params={"n": 1}).json()[values] if one)
        fitting = {one["offer_id"] for one in client.get(NEXT, params={"n": 100, name: value}).json()["items"]}
        found = [offer_id for group in client.get(f"{api}/groups", params={name: value}).json()["groups"] for offer_id in group["offer_ids"]]
        assert set(found) <= fitting < every | fitting, name


def test_nobody_is_told_how_sure_the_machine_is_nor_what_is_an_audit(home: Home) -> None:
    client = client_of(home, "rita", "reviewer")
    told = client.get(NEXT, params={"n": 40})
    assert len(told.json()["items"]) > 30 and not {"likeness", "confidence", "score", "probability", "doubt"} & set(re.findall(r'"(\w+)":', told.text))


def test_filters_count_what_they_hide(home: Home) -> None:
    client = client_of(home, "rita", "reviewer")
    whole = client.get(NEXT, params={"n": 1}).json()
    supplier, count = next(iter(whole["suppliers"].items()))
    found = client.get(NEXT, params={"n": 100, "supplier": supplier}).json()
    assert found["fitting"] == count <= whole["waiting"] == sum(whole["suppliers"].values())
    assert {one["offer"]["supplier"] for one in found["items"]} == {supplier}


@pytest.mark.parametrize("wrong", [
    {"offer_id": "nosuch:1"}, {"action": "maybe"}, {"identity": "x"}, {"key": "short"}, {"action": "same", "product_id": None}, {"more": 1},
    {"reason_code": "audit"}, {"reason_code": "because"},
    {"product_id": "P0"}, {"counterpart_offer_id": "nosuch:1"}, {"identity": "9" * 19}, {"note": "a\x00b"}, {"over": "1"},
    {"evidence": "not a hash"}, {"evidence": "0" * 17}, {"over": 1}, {"over": -1}, {"group_id": ""},
])  # fmt: skip
def test_a_wrong_answer_stores_nothing_of_its_batch(home: Home, wrong: dict[str, Any]) -> None:
    client = client_of(home, "rita", "reviewer")
    one, other = (decision(item) for item in items(client, 2))
    answer = client.post(DECISIONS, json={"decisions": [one, {**other, **wrong}]})
    assert answer.status_code == 422 and answer.json()["error"]["code"] == "invalid" and stored(home) == []


def test_an_answer_reaches_the_next_run(home: Home, copy_on: Path) -> None:

    client = client_of(home, "rita", "reviewer")
    item = next(one for one in items(client, 20) if one["choices"] and one["choices"][0]["nearest"])
    send(client, decision(item, "same"))
    flow.run(settings.read(copy_on))
    with Home(settings.read(copy_on)).connect() as con:
        rows = dict(con.execute("SELECT offer_id, product_id FROM decisions WHERE kind = 'product'").fetchall())
    assert rows[item["offer_id"]] == rows[item["choices"][0]["nearest"]["offer_id"]]
    assert item["offer_id"] not in {one["offer_id"] for one in items(client, 100)}


@pytest.mark.parametrize(("title", "other", "only"), [
    ("Cola Apfel 500 ml", "COLA elderflower 500ML", ["Apfel"]), ("WH-1000 XM4", "WH1000XM4 black", []), ("a b", None, []),
    ("red mug", "blue mug", ["red"]), ("Tasse (6 Stück)", "Tasse 6 stück", []), ("Zen 100", "Luna 100% original", ["Zen", "100"]),
])  # fmt: skip
def test_only_words_that_the_other_lacks_are_marked(title: str, other: str | None, only: list[str]) -> None:
    assert [word.text for word in mark_words(title, other) if not word.shared] == only


@pytest.mark.parametrize(("one", "other", "same"), [
    ("500 ml", "500 ml", True), ("500 ml", "1000 ml", False), ("1000 ml", "40 wash", None), ("red", "blue", False),
])  # fmt: skip
def test_values_in_different_units_are_neither_the_same_nor_different(one: str, other: str, same: bool | None) -> None:
    assert [field.same for field in compare({"quantity": one}, {"quantity": other})] == [same]


def test_on_postgres_answers_are_stored_taken_in_by_a_run_and_taken_back(copy_of_demo: Path, postgres: str) -> None:
    folder = moved_to_postgres(copy_of_demo, postgres)
    home = Home(settings.read(folder))
    assert home.engine.dialect.name == "postgresql"
    kim, lea = client_of(home, "kim", "reviewer"), client_of(home, "lea", "lead")
    asked = [one for one in items(kim, 20) if one["choices"]][:8]
    assert {one["state"] for one in send(kim, *[decision(one, "same") for one in asked])} == {"stored"}
    again = decision(asked[0], "different")
    [met] = send(lea, again)
    assert met["state"] == "conflict" and met["actor"] == "kim"
    assert [one["state"] for one in send(lea, {**again, "over": met["override_id"]})] == ["stored"]
    assert kim.post(UNDO, json={}).json()["count"] == 1
    product_id = asked[1]["choices"][0]["product_id"]
    version = lea.get(f"/api/v1/products/{product_id}/answers").json()["version"]
    told = lea.post(f"/api/v1/products/{product_id}/values", json={"key": "brand key", "field": "brand", "value": "Otherwise"}, headers={"if-match": version})
    assert told.status_code == 200, told.text
    flow.run(settings.read(folder))
    with Home(settings.read(folder)).connect() as con:
        decided = dict(con.execute("SELECT offer_id, decided_by FROM decisions WHERE kind = 'product'").fetchall())
        assert con.execute("SELECT brand FROM products WHERE product_id = ?", [product_id]).fetchall() == [("Otherwise",)]
    assert [decided[one["offer_id"]] for one in asked[1:7]] == ["person"] * 6
    assert audit.verify(home.engine).broken is None


def test_gold_answers_are_counted_by_tens_and_for_oneself(home: Home) -> None:
    kim = client_of(home, "kim", "reviewer")
    assert (kim.get("/api/v1/review/stats").json()["gold"], kim.get("/api/v1/review/stats").json()["gold_right"]) == (0, 0)
    rows = [
        {"offer_id": f"{who}:{n}", "asked_of": who, "purpose": "gold", "asked_at": f"2026-01-01T00:00:{n:02d}Z", "answered_at": f"2026-01-01T00:00:{n:02d}Z",
         "decided": "same", "action": "different" if n % 5 == 0 else "same", "agrees": None if n == 49 else n % 5 != 0}
        for who, count in (("kim", 50), ("lea", 9)) for n in range(count)
    ]  # fmt: skip
    with home.engine.begin() as connection:
        connection.execute(insert(BLIND_ASKS), rows)
    told = kim.get("/api/v1/review/stats").json()
    assert (told["gold"], told["gold_right"]) == (40, 32), "49 answers that judge, of which 40 are counted"
    assert client_of(home, "lea", "reviewer").get("/api/v1/review/stats").json()["gold"] == 0, "nine tell nothing yet"


def test_an_item_shows_the_offers_of_its_product_that_are_least_like_it(home: Home) -> None:
    found = [one for one in items(client_of(home, "kim", "reviewer"), 60) if one["choices"]]
    with home.connect() as con:
        placed = con.execute("SELECT product_id, offer_id FROM decisions WHERE kind = 'product' AND product_id IS NOT NULL").fetchall()
        titles = dict(con.execute("SELECT offer_id, title FROM offers").fetchall())
    checked = 0
    for item in found:
        first = item["choices"][0]
        members = {offer_id for product_id, offer_id in placed if product_id == first["product_id"]} - {item["offer_id"]}
        others = [one["offer_id"] for one in item["others"]]
        nearest = (first["nearest"] or {}).get("offer_id")
        assert len(others) == len(set(others)) <= 3 and set(others) <= members - {nearest}
        shared = {one: [word.shared for word in mark_words(titles[one], item["offer"]["title"])] for one in members}
        likeness = {one: sum(words) / len(words) for one, words in shared.items()}
        told = [{"text": word.text, "shared": word.shared} for one in others for word in mark_words(titles[one], item["offer"]["title"])]
        assert [word for one in item["others"] for word in one["words"]] == told
        if len(others) == 3:
            assert [likeness[one] for one in others] == sorted(likeness[one] for one in others)
            assert likeness[others[0]] == min(likeness[one] for one in members - {nearest})
            checked += 1
    assert checked


def test_an_answer_without_an_offer_to_compare_with_gets_the_likest_of_the_product(home: Home) -> None:
    """What a program says of a product is held between offers, as what a person says is: it outlives the product's id."""
    kim = client_of(home, "kim", "reviewer")
    shown = items(kim, 3)
    said = [decision(item, action) for item, action in zip(shown, ("same", "different", "new"), strict=False)]
    bare = [one | {"counterpart_offer_id": None} for one in said]
    assert [one["state"] for one in send(kim, *bare)] == ["stored"] * len(said)
    assert [row["counterpart_offer_id"] for row in stored(home)] == [one["counterpart_offer_id"] for one in said]
