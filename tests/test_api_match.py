"""Matching and searching over the API, changes of a product over the API, and OpenRefine's protocol, on the demo's catalog."""

from __future__ import annotations

import html
import json
import math
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Demo
from fastapi.testclient import TestClient

from endcap import settings
from endcap.govern.switches import switch
from endcap.ops import access
from endcap.ops.home import Home
from endcap.serve.app import make_app
from endcap.serve.gate import HomeGate

MATCH, SEARCH, RECONCILE = "/api/v1/match", "/api/v1/search", "/api/v1/reconcile"


def client_of(home: Home, role: str, name: str = "kim") -> TestClient:
    client = TestClient(make_app(home, HomeGate(home)), base_url="http://localhost", follow_redirects=False, raise_server_exceptions=False)
    client.headers["authorization"] = f"Bearer {access.make_token(home.engine, name, role, days=1, actor='admin')}"
    return client


@pytest.fixture(scope="module")
def home(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A copy of the demo of this module's own; its tests add answers, but run nothing."""
    import shutil

    return Home(settings.read(shutil.copytree(demo.folder, tmp_path_factory.mktemp("matched") / "world")))


@pytest.fixture(scope="module")
def client(home: Home) -> TestClient:
    return client_of(home, "reviewer")


@pytest.fixture(scope="module")
def linked(home: Home) -> list[dict[str, Any]]:
    """Offers that the machine linked, as their suppliers sent them."""
    with home.connect() as con:
        rows = con.sql(
            "SELECT o.title, o.brand, o.gtin, o.price::DOUBLE AS price, o.currency, o.feed, o.quantity_text, d.product_id, o.offer_id FROM offers o "
            "JOIN decisions d USING (offer_id) WHERE d.kind = 'product' AND d.action = 'linked' AND d.decided_by = 'machine' ORDER BY md5(o.offer_id) LIMIT 60"
        ).to_arrow_table()
    found: list[dict[str, Any]] = rows.to_pylist()
    return found


def test_an_offer_that_is_in_the_catalog_finds_its_product(client: TestClient, linked: list[dict[str, Any]]) -> None:
    right = decided = 0
    for row in linked:
        answer = client.post(MATCH, json={name: row[name] for name in ("title", "brand", "gtin", "price", "currency", "feed", "quantity_text")}).json()
        decided += answer["action"] == "linked"
        right += answer["action"] == "linked" and answer["product_id"] == row["product_id"]
        for candidate in answer["candidates"]:
            total = sum(bar["contribution"] for bar in candidate["evidence"])
            assert 1 / (1 + math.exp(-total)) == pytest.approx(candidate["probability"], abs=1e-4), "the bars sum to the probability"
            assert candidate["words"] and candidate["evidence"][0]["words"], "a feature that says nothing has no words, the rest has"
    assert decided >= 45 and right >= 0.95 * decided


def test_what_a_run_asks_or_leaves_apart_is_not_linked_here(client: TestClient, home: Home) -> None:
    with home.connect() as con:
        rows = con.sql("""
            SELECT o.title, o.brand, o.gtin, o.mpn, o.price::DOUBLE AS price, o.currency, o.feed, o.quantity_text, d.reason_code FROM offers o
            JOIN decisions d USING (offer_id) WHERE d.kind = 'product' AND d.decided_by = 'machine'
              AND d.reason_code IN ('bridge', 'weak_support', 'gtin_conflict')
            ORDER BY md5(o.offer_id) LIMIT 40
        """).to_arrow_table().to_pylist()  # fmt: skip
    codes = [row.pop("reason_code") for row in rows]
    told = [client.post(MATCH, json=row).json() for row in rows]
    assert len(rows) >= 5 and len(set(codes)) >= 2
    linked = [(one["reason_code"], one["reason"]) for one in told if one["action"] == "linked"]
    assert len(linked) <= max(2, len(rows) // 10), linked  # a run also knows which offers chose this one


def test_the_header_names_the_version_that_was_asked_for_and_the_page_shows_it(client: TestClient, home: Home) -> None:
    kept = [row["snapshot_id"] for row in client.get("/api/v1/snapshots").json()["snapshots"]]
    now, before = kept[0], kept[1]
    with home.connect(before) as con:
        product_id, title = con.execute("SELECT product_id, title FROM products WHERE state = 'live' ORDER BY product_id LIMIT 1").fetchall()[0]
    for path in (f"/api/v1/products/{product_id}", f"/p/{product_id}"):
        assert client.get(path).headers["X-Endcap-Snapshot"] == now != before
        old = client.get(path, params={"version": before})
        assert (old.status_code, old.headers["X-Endcap-Snapshot"]) == (200, before) and title in html.unescape(old.text)
        assert client.get(path, params={"version": "s0000-none"}).status_code == 404
    assert client.get(f"/api/v1/products/{product_id}", params={"version": before}).json()["snapshot"] == before


def test_a_feed_that_nobody_knows_is_refused_and_one_that_is_known_is_not(client: TestClient, linked: list[dict[str, Any]]) -> None:
    answer = client.post(MATCH, json={"title": "Kettle", "feed": "bazar-one"})
    assert answer.status_code == 422 and "there is no feed 'bazar-one'" in answer.json()["error"]["message"]
    assert "/api/v1/feeds" in answer.json()["error"]["message"]
    for feed in (None, linked[0]["feed"], client.get("/api/v1/feeds").json()["feeds"][0]["feed"]):
        assert client.post(MATCH, json={"title": "Kettle", "feed": feed}).status_code == 200, feed


def test_how_many_candidates_are_shown_changes_nothing_of_what_is_decided(client: TestClient, linked: list[dict[str, Any]]) -> None:
    decided = ("action", "product_id", "confidence", "reason_code", "reason")
    seen = 0
    for row in linked[:20]:
        asked = {name: row[name] for name in ("title", "brand", "price", "currency", "feed")}
        left_out, one, many = (client.post(MATCH, json=asked | more).json() for more in ({}, {"k": 1}, {"k": 20}))
        assert [one[name] for name in decided] == [many[name] for name in decided] == [left_out[name] for name in decided]
        assert len(one["candidates"]) <= 2 and len(left_out["candidates"]) <= 6
        assert [each["offer_id"] for each in many["candidates"]][:1] == [one["candidates"][0]["offer_id"]]
        assert many["product_id"] in {None, *(each["product_id"] for each in one["candidates"])}
        assert all(math.isclose(_log_odds(each["probability"]), sum(bar["contribution"] for bar in each["evidence"]), abs_tol=0.01)
                   for each in left_out["candidates"] if 0.001 < each["probability"] < 0.999)  # fmt: skip
        seen += len(many["candidates"]) > 6
    assert seen > 5, "some have more than are shown"


def _log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def test_an_offer_of_the_same_gtin_is_compared_however_little_its_title_says(client: TestClient, linked: list[dict[str, Any]]) -> None:
    row = next(one for one in linked if one["gtin"])
    answer = client.post(MATCH, json={"title": "Zzyzx quantum gravel", "gtin": row["gtin"], "k": 1}).json()
    assert row["product_id"] in [one["product_id"] for one in answer["candidates"]]


def test_a_contradiction_read_from_the_title_keeps_two_apart(client: TestClient, home: Home) -> None:
    with home.connect() as con:
        ((title, brand, feed),) = con.execute("""
            SELECT o.title, o.brand, o.feed FROM offers o JOIN facts f USING (offer_id) JOIN decisions d USING (offer_id)
            WHERE f.attribute = 'size' AND regexp_matches(o.title, 'EU 4[0-9]') AND d.action = 'linked' AND d.kind = 'product' ORDER BY offer_id LIMIT 1
        """).fetchall()
    size = title.partition("EU 4")[2][0]
    asked = [{"title": title.replace(f"EU 4{size}", f"EU {other}"), "feed": feed} | ({"brand": brand} if brand else {}) for other in (f"4{size}", "36")]
    same, other = (client.post(MATCH, json=one).json() for one in asked)
    assert same["candidates"][0]["conflict"] is None
    assert other["action"] != "linked" and any("36" in (one["conflict"] or "") for one in other["candidates"]), other


def test_where_automation_is_off_nothing_is_decided_here_either(client: TestClient, home: Home, linked: list[dict[str, Any]]) -> None:
    fields = ("title", "brand", "gtin", "price", "currency", "feed", "quantity_text")
    every = [{name: row[name] for name in fields} for row in linked]
    asked = next(one for one in every if client.post(MATCH, json=one).json()["action"] == "linked")
    for scope in ("*", f"feed:{asked['feed']}"):
        switch(home, scope, automation=False, actor="ann", reason="stop")
        found = client.post(MATCH, json=asked).json()
        assert (found["action"], found["reason_code"]) == ("to_review", "automation_off") and "stop" in found["reason"]
        switch(home, scope, automation=True, actor="ann", reason="go on")
    assert client.post(MATCH, json=asked).json()["reason_code"] != "automation_off"


def test_what_nothing_resembles_is_a_new_product_and_nothing_is_stored(client: TestClient, home: Home) -> None:
    answer = client.post(MATCH, json={"title": "Zzyzx quantum gravel, hand-polished"}).json()
    assert (answer["action"], answer["product_id"]) == ("new_product", None) and answer["confidence"] > 0.5
    assert client.post(MATCH, json={"title": "日本語の製品"}).json()["action"] == "new_product"
    assert home.override_sequence() == 0


@pytest.mark.parametrize(
    "body",
    [
        {}, {"title": ""}, {"title": "   "}, {"title": "a", "gtin": "12345"}, {"title": "a", "price": -1}, {"title": "a", "k": 51},
        {"title": "a", "surprise": 1}, {"title": "a", "price": "NaN"}, [],
    ],
)  # fmt: skip
def test_what_is_no_offer_is_refused_in_a_sentence(client: TestClient, body: Any) -> None:
    answer = client.post(MATCH, json=body)
    assert answer.status_code == 422 and answer.json()["error"]["message"]


def test_words_find_products_in_any_order_and_with_one_letter_wrong(client: TestClient, linked: list[dict[str, Any]]) -> None:
    found = 0
    for row in linked[:30]:
        words = row["title"].split()[::-1]
        longest = max(range(len(words)), key=lambda at: len(words[at]))
        words[longest] = words[longest][:2] + words[longest][3:]
        products = client.get(SEARCH, params={"q": " ".join(words)[:200]}).json()["products"]
        found += row["product_id"] in [one["product_id"] for one in products]
        assert [one["similarity"] for one in products] == sorted((one["similarity"] for one in products), reverse=True)
    assert found >= 27


# --- changes of a product -------------------------------------------------------------------------------------------


def product_of(home: Home, least: int = 3) -> str:
    with home.connect() as con:
        return str(con.execute("SELECT product_id FROM products WHERE state = 'live' AND offers >= ? ORDER BY product_id LIMIT 1", [least]).fetchall()[0][0])


def test_a_change_needs_the_version_that_was_seen(client: TestClient, home: Home) -> None:
    path = f"/api/v1/products/{product_of(home)}"
    had = client.get(f"{path}/answers")
    version, body = had.json()["version"], {"key": uuid.uuid4().hex, "field": "brand", "value": "Acme"}
    assert client.post(f"{path}/values", json=body).json()["error"]["code"] == "version_needed"
    assert client.post(f"{path}/values", json=body, headers={"if-match": '"9-9"'}).json()["error"]["code"] == "changed"
    stored = client.post(f"{path}/values", json=body, headers={"if-match": had.headers["etag"]})
    assert stored.status_code == 200 and stored.json()["version"] != version
    again = client.post(f"{path}/values", json=body, headers={"if-match": f'"{version}"'})
    assert again.json()["repeated"] and again.json()["override_ids"] == stored.json()["override_ids"], "sent twice, stored once"
    said = client.get(f"{path}/answers").json()["said"]
    assert [(one["field"], one["value"], one["waits"]) for one in said] == [("brand", "Acme", True)]
    undone = client.post(f"/api/v1/overrides/{said[0]['override_id']}/undo")
    assert undone.status_code == 200 and client.get(f"{path}/answers").json()["said"] == []
    assert client.post(f"/api/v1/overrides/{said[0]['override_id']}/undo").status_code == 422


def test_splits_and_merges_are_foreseen_and_stored(client: TestClient, home: Home) -> None:
    product_id = product_of(home)
    path = f"/api/v1/products/{product_id}"
    offers = [one["offer_id"] for one in client.get(path).json()["offers"]]
    seen = client.post(f"{path}/split/preview", json={"offer_ids": offers[:1]}).json()
    assert (seen["offers"], seen["other_offers"]) == (len(offers) - 1, 1)
    assert client.post(f"{path}/split/preview", json={"offer_ids": offers}).status_code == 422
    assert client.post(f"{path}/merge/preview", json={"into": product_id}).status_code == 422
    version = client.get(f"{path}/answers").json()["version"]
    stored = client.post(f"{path}/split", json={"key": uuid.uuid4().hex, "offer_ids": offers[:1]}, headers={"if-match": version}).json()
    assert len(stored["override_ids"]) == len(offers) - 1
    undone = client.post(f"/api/v1/overrides/{stored['override_ids'][0]}/undo").json()
    assert len(undone["override_ids"]) == len(offers) - 1, "one undo takes all of it back"


def test_roles_and_weight_hold(home: Home, client: TestClient) -> None:
    path = f"/api/v1/products/{product_of(home)}"
    viewer, lead = client_of(home, "viewer", "vi"), client_of(home, "lead", "lea")

    def send(who: TestClient, **more: Any) -> Any:
        version = who.get(f"{path}/answers").json()["version"]
        return who.post(f"{path}/values", json={"key": uuid.uuid4().hex, "field": "title", "value": "T", **more}, headers={"if-match": version})

    assert send(viewer).status_code == 403 and send(client, lock=True).status_code == 403
    locked = send(lead, lock=True)
    assert locked.status_code == 200
    refused = send(client)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    override_id = locked.json()["override_ids"][0]
    assert client.post(f"/api/v1/overrides/{override_id}/undo").status_code == 409
    assert lead.post(f"/api/v1/overrides/{override_id}/undo").status_code == 200


def test_the_history_of_every_field_is_the_log_replayed_and_any_version_is_that_snapshot(client: TestClient, home: Home) -> None:
    with home.connect() as con:
        log = con.sql('SELECT product_id, run, "values" FROM products_log WHERE NOT gone ORDER BY product_id, run').to_arrow_table().to_pylist()
        snapshots = con.execute("SELECT snapshot_id FROM snapshots ORDER BY run").fetchall()
    replayed: dict[tuple[str, str], list[str]] = {}
    for row in log:
        for value in row["values"]:
            seen = replayed.setdefault((row["product_id"], value["field"]), [])
            if not seen or seen[-1] != value["value"]:
                seen.append(value["value"])
    changing = sorted(replayed, key=lambda key: (-len(replayed[key]), key))[:200]
    assert len(changing) == 200
    for product_id, name in changing:
        versions = client.get(f"/api/v1/products/{product_id}/history", params={"field": name}).json()["versions"]
        told: list[str] = []
        for version in reversed(versions):
            if version["value"] is not None and (not told or told[-1] != version["value"]):
                told.append(version["value"])
        assert told == replayed[product_id, name]
    for (snapshot_id,) in snapshots:
        with home.connect(snapshot_id) as con:
            rows = con.execute("SELECT product_id, title, brand FROM products ORDER BY md5(product_id) LIMIT 50").fetchall()
        for product_id, title, brand in rows:
            answer = client.get(f"/api/v1/products/{product_id}", params={"version": snapshot_id}).json()
            assert (answer["snapshot"], answer["title"], answer["brand"]) == (snapshot_id, title, brand)


def test_values_are_suggested_as_they_are_typed(client: TestClient) -> None:
    first = client.get("/api/v1/values", params={"field": "brand"}).json()["values"]
    assert len(first) == 20
    typed = client.get("/api/v1/values", params={"field": "brand", "q": first[3][:3].upper()}).json()["values"]
    assert first[3] in typed and all(first[3][:3].casefold() in value.casefold() for value in typed)
    assert client.get("/api/v1/values", params={"field": "nonsense"}).status_code == 404


# --- OpenRefine -----------------------------------------------------------------------------------------------------


@pytest.fixture
def refine(home: Home) -> Iterator[tuple[TestClient, str]]:
    """OpenRefine: no cookie and no header, the token in the address."""
    token = access.make_token(home.engine, "refine", "viewer", days=1, actor="admin")
    yield TestClient(make_app(home, HomeGate(home)), base_url="http://localhost", raise_server_exceptions=False), token


def test_openrefine_reads_the_manifest_reconciles_and_extends(refine: tuple[TestClient, str], linked: list[dict[str, Any]]) -> None:
    client, token = refine
    assert client.get(RECONCILE).status_code == 401 and client.get("/api/v1/products", params={"token": token}).status_code == 401
    manifest = client.get(RECONCILE, params={"token": token}).json()
    assert manifest["versions"] == ["0.2"] and manifest["defaultTypes"] == [{"id": "product", "name": "Product"}] and "{{id}}" in manifest["view"]["url"]
    queries = {
        f"q{number}": {
            "query": row["title"],
            "limit": 3,
            "properties": [{"pid": "brand", "v": row["brand"]}, {"pid": "gtin", "v": "no gtin"}, {"pid": "gtin", "v": row["gtin"]}],
        }
        for number, row in enumerate(linked[:20])
    }
    answer = client.post(RECONCILE, params={"token": token}, data={"queries": json.dumps(queries)}).json()
    assert answer.keys() == queries.keys()
    blank = client.post(RECONCILE, params={"token": token}, data={"queries": json.dumps({"q0": {"query": "  "}, "q1": queries["q0"]})}).json()
    assert blank["q0"]["result"] == [] and blank["q1"]["result"] == answer["q0"]["result"], "an empty cell leaves the others alone"
    right = 0
    for number, row in enumerate(linked[:20]):
        results = answer[f"q{number}"]["result"]
        assert len(results) <= 3 and [one["score"] for one in results] == sorted((one["score"] for one in results), reverse=True)
        assert sum(one["match"] for one in results) <= 1 and all(one["type"] == [{"id": "product", "name": "Product"}] for one in results)
        right += bool(results) and results[0]["id"] == row["product_id"]
    assert right >= 18
    wanted = {"ids": [linked[0]["product_id"], "nobody"], "properties": [{"id": "brand"}, {"id": "offers"}]}
    extended = client.post(RECONCILE, params={"token": token}, data={"extend": json.dumps(wanted)}).json()
    assert [one["id"] for one in extended["meta"]] == ["brand", "offers"] and extended["rows"]["nobody"] == {"brand": [], "offers": []}
    assert int(extended["rows"][linked[0]["product_id"]]["offers"][0]["str"]) >= 2
    typed = client.get(f"{RECONCILE}/suggest/entity", params={"token": token, "prefix": linked[0]["title"]}).json()["result"]
    assert typed and {"id", "name", "description"} <= typed[0].keys()
    shown = client.get(f"{RECONCILE}/preview", params={"token": token, "id": linked[0]["product_id"]})
    assert shown.headers["content-type"].startswith("text/html") and "<script" not in shown.text


@pytest.mark.parametrize("queries", ["[]", "{", '{"q0": 5}', '{"q0": {"text": "a"}}', json.dumps({f"q{n}": {"query": "a"} for n in range(51)})])
def test_what_is_no_query_is_refused_in_a_sentence(refine: tuple[TestClient, str], queries: str) -> None:
    client, token = refine
    answer = client.post(RECONCILE, params={"token": token}, data={"queries": queries})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")


@pytest.mark.parametrize(("field", "told", "words"), [
    ("queries", r'{"q0": {"query": "\ud800 x"}}', "half of a character"), ("queries", r'{"\udfff": {"query": "x"}}', "half of a character"),
    ("extend", r'{"ids": ["\ud800"], "properties": [{"id": "title"}]}', "half of a character"),
    ("queries", '{"q0": {"query": "x", "properties": [{"pid": ["a"], "v": 1}]}}', "the pid of a property is no text"),
    ("extend", '{"ids": ["x"], "properties": [{"id": ["x"]}]}', "the id of a property is no text"),
    ("extend", '{"ids": ["x"], "properties": [{"id": {"a": 1}}]}', "the id of a property is no text"),
])  # fmt: skip
def test_what_no_query_can_hold_is_refused_however_it_is_sent(refine: tuple[TestClient, str], field: str, told: str, words: str) -> None:
    client, token = refine
    posted = client.post(RECONCILE, params={"token": token}, data={field: told})
    for answer in (posted, client.get(RECONCILE, params={"token": token, field: told})):
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid") and words in answer.json()["error"]["message"]
    fine = client.post(RECONCILE, params={"token": token}, data={"queries": r'{"q0": {"query": "\ud83d\ude00 x"}}'})
    assert fine.status_code == 200, "two halves that make one character are text"


def test_openrefines_page_reads_and_frames_the_service_and_nothing_else_of_the_catalog(refine: tuple[TestClient, str], linked: list[dict[str, Any]]) -> None:
    client, token = refine
    page, service = {"origin": "http://127.0.0.1:3333"}, {"token": token, "prefix": "a", "id": linked[0]["product_id"]}
    for path in ("", "/suggest/entity", "/suggest/property", "/properties", "/preview"):
        answer = client.get(RECONCILE + path, params=service, headers=page)
        assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (200, "*"), path
        assert "access-control-allow-credentials" not in answer.headers
        framed = "frame-ancestors *" in answer.headers["content-security-policy"] and "x-frame-options" not in answer.headers
        assert framed is (path == "/preview"), path
        asked = client.options(RECONCILE + path, headers=page | {"access-control-request-method": "POST"})
        assert (asked.status_code, asked.headers.get("access-control-allow-origin"), asked.content) == (204, "*", b"")
    wrong = client.get(RECONCILE, params={"token": token, "queries": "{"}, headers=page)
    assert (wrong.status_code, wrong.headers.get("access-control-allow-origin")) == (422, "*"), "a mistake can be read too"
    closed = [client.get(path, params=params, headers=page) for path, params in (
        (f"{RECONCILE}/preview", {"id": "x"}), ("/api/v1/products", {"token": token}), ("/api/v1/reconciled", {"token": token}), ("/sign-in", {"token": token}),
    )]  # fmt: skip
    closed.append(client.options("/api/v1/products", headers=page))
    for answer in closed:
        assert "access-control-allow-origin" not in answer.headers and answer.headers["x-frame-options"] == "DENY", answer.url
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
