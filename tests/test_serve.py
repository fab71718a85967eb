"""Serving: every page's cases, the API's shapes, one error shape, the snapshot on every answer, markup that stays inert."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap import shelf
from endcap.ops.home import Home
from endcap.problems import BadInput
from endcap.serve.app import make_app
from endcap.serve.problems_shown import HEADERS, SNAPSHOT_HEADER
from endcap.serve.reading import Readings
from endcap.serve.sample_catalog import SETTINGS, SNAPSHOT, TABLES, SampleGate, SampleHome
from endcap.serve.serving import serve_home
from endcap.serve.templating import coded, web_address

SNAPSHOT_ID = SNAPSHOT["snapshot_id"]
PAGES = [(name, case) for name, page in shelf.components("pages").items() for case in page.CASES]
AS_PERSON = {"accept": "text/html"}
API = [
    "overview", "products", "products/p1", "products/p9", "offers/nord:1", "review", "review?kind=category", "metrics", "snapshots",
    "deliveries", "deliveries/nord@2024-05-02/quarantine", "health",
]  # fmt: skip


def empty_home(folder: Path) -> Home:
    """A real home with nothing in it."""
    return Home(SETTINGS.model_copy(update={"home": str(folder)}))


def client_of(home: Any) -> TestClient:
    return TestClient(make_app(home, SampleGate()), base_url="http://localhost", follow_redirects=False, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client() -> TestClient:
    return client_of(SampleHome())


@pytest.fixture(scope="module")
def empty() -> TestClient:
    return client_of(SampleHome({}))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))


def tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(html)
    return parser.found


@pytest.mark.parametrize(("name", "case"), PAGES, ids=[f"{name} {case[0]}" for name, case in PAGES])
def test_page_cases(client: TestClient, name: str, case: tuple[str, int, str]) -> None:
    address, status, words = case
    answer = client.get(address, headers=AS_PERSON)
    assert answer.status_code == status and words in answer.text
    assert answer.headers[SNAPSHOT_HEADER] == SNAPSHOT_ID
    assert {header: answer.headers[header] for header in HEADERS} == HEADERS


@pytest.mark.parametrize("address", ["/", "/products", "/review", "/review?kind=category", "/deliveries", "/metrics"])
def test_pages_before_the_first_run_say_what_would_fill_them(empty: TestClient, address: str) -> None:
    answer = empty.get(address, headers=AS_PERSON)
    assert answer.status_code == 200 and answer.headers[SNAPSHOT_HEADER] == "none" and "No snapshot yet" in answer.text


@pytest.mark.parametrize("path", API)
def test_api_answers_say_their_snapshot_and_keep_their_schema(client: TestClient, path: str) -> None:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 200
    assert answer.json()["snapshot"] == SNAPSHOT_ID == answer.headers[SNAPSHOT_HEADER]


def test_openapi_describes_every_route_and_its_one_error_shape(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    asked = {re.sub(r"\{[^}]*\}", "x", path) for path in described["paths"]}
    assert asked >= {"/api/v1/" + re.sub(r"p1|nord:1|nord@2024-05-02", "x", path.split("?")[0]) for path in API if "p9" not in path}
    for path, operations in described["paths"].items():
        assert path.startswith("/api/v1/") and set(operations) <= {"get", "post"}
        for operation in operations.values():
            shapes = {code: answer["content"]["application/json"]["schema"]["$ref"].split("/")[-1] for code, answer in operation["responses"].items()}
            assert shapes.pop("200") != "ProblemAnswer" and {"401", "403", "404", "422", "500"} <= shapes.keys()
            assert set(shapes.values()) == {"ProblemAnswer"}


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("/api/v1/products/none", 404, "not_found"), ("/api/v1/offers/none", 404, "not_found"), ("/api/v1/nothing", 404, "not_found"),
        ("/static/none.css", 404, "not_found"), ("/api/v1/products?page=0", 422, "invalid"), ("/api/v1/review?kind=x", 422, "invalid"),
        ("/api/v1/products?q=" + "x" * 201, 422, "invalid"), ("/p/none", 404, "not_found"), ("/static/%2e%2e/app.py", 404, "not_found"),
    ],
)  # fmt: skip
def test_every_error_has_one_shape(client: TestClient, address: str, status: int, code: str) -> None:
    answer = client.get(address)
    assert answer.status_code == status and set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"code", "message", "hint"} and answer.json()["error"]["code"] == code
    assert answer.headers[SNAPSHOT_HEADER] == ("none" if address.startswith("/static/") else SNAPSHOT_ID)


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_nothing_can_be_written(client: TestClient, method: str) -> None:
    for address in ("/", "/api/v1/overview", "/p/p1"):
        answer = getattr(client, method)(address)
        assert answer.status_code == 405 and answer.json()["error"]["code"] == "method_not_allowed"


class _BrokenHome(SampleHome):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def connect(self, snapshot_id: str | None = None) -> Any:
        raise self.error


class _OvertakenHome(SampleHome):
    """Another snapshot becomes the current one between asking which it is and opening it."""

    def connect(self, snapshot_id: str | None = None) -> Any:
        shown = snapshot_id or "s0009-ffffffffffff"
        return SampleHome({**TABLES, "products": [{"product_id": "p1", "state": "live", "title": f"of {shown}"}]}).connect()


def test_a_reading_holds_the_snapshot_that_it_names() -> None:
    reading = Readings(_OvertakenHome()).current()
    assert reading.snapshot_id == SNAPSHOT_ID
    assert reading.row("SELECT title FROM products") == {"title": f"of {SNAPSHOT_ID}"}


def test_a_failure_keeps_the_shape_and_tells_nothing_of_the_inside() -> None:
    answer = client_of(_BrokenHome(RuntimeError("SELECT secret FROM x"))).get("/api/v1/overview")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "failed") and "secret" not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    broken = client_of(_BrokenHome(BadInput("the lake is gone", todo="restore it")))
    told = broken.get("/", headers=AS_PERSON)
    assert told.status_code == 500 and "The lake is gone; restore it" in told.text
    assert broken.get("/static/endcap.css").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8000", ""])
def test_foreign_host_names_are_refused(client: TestClient, host: str) -> None:
    answer = client.get("/api/v1/overview", headers={"host": host})
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "bad_request"


@pytest.mark.parametrize("host", ["localhost", "localhost:8321", "127.0.0.1:8321", "[::1]:8321", "[::1]"])
def test_loopback_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/api/v1/health", headers={"host": host}).status_code == 200


def test_a_merged_id_leads_to_where_it_went_and_says_so(client: TestClient) -> None:
    moved = client.get("/p/p3", headers=AS_PERSON)
    assert (moved.status_code, moved.headers["location"]) == (301, "/p/p1?merged=p3")
    assert "was merged into this product" in client.get(moved.headers["location"]).text
    assert "was merged into this product" not in client.get("/p/p1?merged=p2").text
    api = client.get("/api/v1/products/p3")
    assert (api.status_code, api.headers["location"], api.json()["error"]["code"]) == (301, "/api/v1/products/p1", "merged")


def test_a_ring_of_merges_ends() -> None:
    ring = [{"product_id": "r1", "state": "merged", "merged_into": "r2"}, {"product_id": "r2", "state": "merged", "merged_into": "r1"}]
    answer = client_of(SampleHome({"products": ring}, SNAPSHOT)).get("/api/v1/products/r1")
    assert answer.status_code == 200 and answer.json()["state"] == "merged"


def test_a_gone_product_keeps_its_last_good_values(client: TestClient) -> None:
    gone = client.get("/api/v1/products/p9").json()
    assert (gone["state"], gone["title"]) == ("gone", "Teller weiss")


def test_every_value_has_its_source_and_every_decision_its_reason(client: TestClient) -> None:
    product = client.get("/api/v1/products/p1").json()
    assert [(value["field"], value["supplier"]) for value in product["values"]] == [
        ("title", "nord"),
        ("brand", "nord"),
        ("colour", "sued"),
        ("content", "nord"),
    ]
    assert all(value["source_offer_id"] and value["extractor"] and value["since_run"] for value in product["values"])
    assert {offer["offer_id"]: offer["decided_by"] for offer in product["offers"]} == {"nord:1": "machine", "sued:1": "machine", "sued:2": "person"}
    assert all(offer["reason"] for offer in product["offers"])
    assert "title: Kahla Tasse rot → Kahla Tasse rot 330 ml" in [event["words"] for event in product["history"]]


def test_an_offer_shows_evidence_candidates_and_decisions(client: TestClient) -> None:
    offer = client.get("/api/v1/offers/nord:1").json()
    assert {fact["attribute"]: fact["evidence"] for fact in offer["facts"]} == {"colour": "rot", "content": None}
    assert [(candidate["offer_id"], candidate["conflict"]) for candidate in offer["candidates"]] == [("sued:1", None), ("nord:3", "pack 6 against 1")]
    assert {decision["kind"] for decision in offer["decisions"]} == {"product", "category"}


def test_the_overview_counts_what_the_lists_show(client: TestClient) -> None:
    overview = client.get("/api/v1/overview").json()
    assert (overview["products"], overview["offers"], overview["suppliers"]) == (client.get("/api/v1/products").json()["found"], 5, 2)
    assert overview["decisions"]["to_review"] == client.get("/api/v1/review").json()["found"] == 1
    nord = next(feed for feed in overview["feeds"] if feed["feed"] == "nord")
    assert nord["served"]["read"] == nord["served"]["accepted"] + nord["served"]["quarantined"]
    assert nord["served"]["quarantined"] == client.get("/api/v1/deliveries/nord@2024-05-02/quarantine").json()["found"]
    assert [need["kind"] for need in overview["needs"]] == ["held", "product", "loop", "proposal"]
    assert {figure["name"].split(".")[0] for figure in overview["figures"]} >= {"tail_coverage", "override_rate", "time_to_resolve", "automated_success"}


def test_a_feed_with_an_open_alarm_needs_attention() -> None:
    alarm = {**TABLES["alarms"][0], "scope": "feed:nord"}
    feeds = client_of(SampleHome({**TABLES, "alarms": [alarm]}, SNAPSHOT)).get("/api/v1/feeds").json()["feeds"]
    assert [(one["state"], one["words"]) for one in feeds if one["feed"] == "nord"] == [("alarm", alarm["words"])]


def test_answers_that_no_run_took_in_yet_are_told() -> None:
    more = [{"override_id": 2, "action": "new"}, {"override_id": 3, "action": "same"}, {"override_id": 4, "action": "undo", "undoes": 3}]
    needs = client_of(SampleHome({**TABLES, "overrides": [*TABLES["overrides"], *more]}, SNAPSHOT)).get("/api/v1/overview").json()["needs"]
    assert [(need["count"], need["todo"]) for need in needs if need["kind"] == "answers"] == [(1, "endcap run")]


def test_a_held_delivery_is_forgotten_when_a_newer_one_came_in() -> None:
    newer = {**TABLES["deliveries"][1], "delivery_id": "sued@2024-05-04", "date": "2024-05-04"}
    overview = client_of(SampleHome({**TABLES, "deliveries": [*TABLES["deliveries"], newer]}, SNAPSHOT)).get("/api/v1/overview").json()
    assert all(feed["held"] is None for feed in overview["feeds"]) and all(need["kind"] != "held" for need in overview["needs"])


PAYLOADS = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "<svg/onload=alert(1)>", "{{ 7181 * 3 }}", "{% include 'base.html' %}",
    "</title><script>1</script>",
    "' onmouseover='alert(1)", "javascript:alert(1)", "<!--", "]]>", "&lt;script&gt;", "\u202e<b>x</b>", "<math><mtext></p><style>",
]  # fmt: skip


def _poisoned(payload: str) -> dict[str, list[dict[str, Any]]]:
    """The sample with the payload wherever a supplier's or a person's words are shown."""
    poison = {
        "title": payload, "brand": payload, "category": payload, "category_path": payload, "description": payload, "url": payload,
        "mpn": payload, "quantity_text": payload,
        "reason": payload, "supplier": payload, "conflict": payload, "value": payload, "error": payload, "raw": payload.encode(), "warnings": [payload],
        "code": payload,
    }  # fmt: skip
    return {table: [{name: poison.get(name, value) for name, value in row.items()} for row in rows] for table, rows in TABLES.items()}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_markup_from_feeds_stays_inert_on_every_page(payload: str) -> None:
    poisoned, clean = client_of(SampleHome(_poisoned(payload), SNAPSHOT)), client_of(SampleHome(_poisoned("x" * len(payload)), SNAPSHOT))
    for address in ("/", "/products", "/p/p1", "/p/p2", "/o/nord:1", "/o/nord:2", "/review", "/deliveries", "/quarantine/nord@2024-05-02"):
        answer = poisoned.get(address, headers=AS_PERSON)
        found = tags(answer.text)
        assert [tag for tag, _attributes in found] == [tag for tag, _attributes in tags(clean.get(address).text)], address
        assert not any(name.startswith("on") or name == "style" for _tag, attributes in found for name in attributes)
        assert not any(
            (attributes.get(name) or "").lower().strip().startswith(("javascript:", "data:")) for _tag, attributes in found for name in ("href", "src")
        )
        assert "21543" not in answer.text


@pytest.mark.parametrize("payload", PAYLOADS)
def test_markup_typed_into_the_search_stays_inert(client: TestClient, payload: str) -> None:
    answer = client.get("/products", params={"q": payload, "category": payload}, headers=AS_PERSON)
    assert [tag for tag, _attributes in tags(answer.text)] == [tag for tag, _attributes in tags(client.get("/products?q=zzz&category=zzz").text)]


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=30))
def test_search_binds_what_is_typed(words: str) -> None:
    found = _CLIENT.get("/api/v1/products", params={"q": words})
    assert found.status_code == 200
    wanted = [word.lower() for word in words.split()]
    titles = {"p1": "kahla tasse rot 330 ml kahla p1", "p2": 'mug <script>alert("x")</script> & co p2'}
    assert {row["product_id"] for row in found.json()["products"]} >= {key for key, text in titles.items() if all(word in text for word in wanted[:8])}


_CLIENT = client_of(SampleHome())


def test_search_finds_nothing_by_wildcards_or_quotes(client: TestClient) -> None:
    assert [client.get("/api/v1/products", params={"q": words}).json()["found"] for words in ("%", "_", "'", "' OR 1=1 --", "tasse 330")] == [0, 0, 0, 0, 1]


def test_lists_are_paged_by_the_server() -> None:
    products = [{"product_id": f"p{i:03}", "title": f"T{i:03}", "state": "live"} for i in range(120)]
    client = client_of(SampleHome({"products": products}, SNAPSHOT))
    shown = [client.get(f"/api/v1/products?page={page}").json() for page in (1, 2, 3, 4)]
    assert [len(page["products"]) for page in shown] == [50, 50, 20, 0] and shown[0]["pages"] == 3
    assert len({row["product_id"] for page in shown for row in page["products"]}) == 120
    html = client.get("/products?page=2").text
    assert "page=1" in html and "page=3" in html and "Page 2 of 3" in html


class _MovingHome(SampleHome):
    """A home whose snapshot and operational tables change under the server."""

    def publish(self, snapshot_id: str, title: str) -> None:
        self.row = {**SNAPSHOT, "snapshot_id": snapshot_id}
        self.tables = {"products": [{"product_id": "p1", "title": title, "state": "live"}]}


def test_a_new_snapshot_is_served_from_the_next_request_on() -> None:
    home = _MovingHome()
    client = client_of(home)
    for number in range(3):
        home.publish(f"s{number}", f"title {number}")
        answer = client.get("/api/v1/products/p1")
        assert (answer.json()["title"], answer.headers[SNAPSHOT_HEADER]) == (f"title {number}", f"s{number}")


def test_the_last_good_snapshot_is_served_while_the_next_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    home = _MovingHome()
    client = client_of(home)
    home.publish("s1", "good")
    assert client.get("/api/v1/products/p1").json()["title"] == "good"
    home.publish("s2", "next")
    with monkeypatch.context() as patch:
        patch.setattr(home, "connect", _BrokenHome(OSError("disk")).connect)
        held = client.get("/api/v1/products/p1")
        assert (held.status_code, held.json()["title"], held.headers[SNAPSHOT_HEADER]) == (200, "good", "s1")
    assert client.get("/api/v1/products/p1").json()["title"] == "next"


@pytest.mark.parametrize("address", ["/", "/products", "/p/p1", "/o/nord:1", "/review", "/deliveries", "/metrics", "/quarantine/nord@2024-05-02"])
def test_pages_ask_for_nothing_from_elsewhere_and_say_what_they_are(client: TestClient, address: str) -> None:
    html = client.get(address).text
    found = tags(html)
    loaded = [attributes.get("src") or attributes.get("href") or "" for tag, attributes in found if tag in ("link", "script", "img", "iframe")]
    assert loaded and all(one.startswith("/static/") for one in loaded)
    assert all(attributes.get("src") for tag, attributes in found if tag == "script"), "no script stands in the page itself"
    assert [attributes for tag, attributes in found if tag == "html"] == [{"lang": "en"}] and html.count("<h1") == 1
    assert all("scope" in attributes for tag, attributes in found if tag == "th")
    identifiers = [attributes["id"] for _tag, attributes in found if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


def test_every_link_on_every_page_leads_somewhere(client: TestClient) -> None:
    waiting, seen = ["/"], {"/"}
    while waiting:
        address = waiting.pop()
        answer = client.get(address, headers=AS_PERSON)
        assert answer.status_code in (200, 301, 410), address
        if "html" not in answer.headers.get("content-type", ""):
            continue
        links = {(attributes.get("href") or "").split("#")[0] for tag, attributes in tags(answer.text) if tag == "a"}
        fresh = {link for link in links if link.startswith("/")} - seen
        seen |= fresh
        waiting += sorted(fresh)
    assert {"/products", "/review", "/deliveries", "/metrics", "/p/p1", "/o/nord:1"} <= seen


@pytest.mark.parametrize(
    ("given_address", "kept"),
    [("https://shop.example/1", True), ("http://shop.example", True), ("javascript:alert(1)", False), (" jAvAsCrIpT:x", False), ("data:text/html,x", False),
     ("//shop.example", False), ("https:", False), ("http://[", False), ("", False), (None, False)],
)  # fmt: skip
def test_only_web_addresses_become_links(given_address: str | None, kept: bool) -> None:
    assert (web_address(given_address) is not None) is kept


def test_the_stylesheet_is_small_and_made_of_tokens(client: TestClient) -> None:
    css = client.get("/static/endcap.css").text
    assert len(css) < 20_000 and "light-dark(" in css and "@import" not in css and "url(" not in css
    rules = css.split("* { box-sizing")[1]
    assert not re.search(r"#[0-9a-fA-F]{3,6}\b", rules)


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1])
def test_text_has_contrast_in_light_and_dark(client: TestClient, theme: int) -> None:
    css = client.get("/static/endcap.css").text
    both = re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{3,6}), (#[0-9a-f]{3,6})\);", css.split(":root {")[1].split("}")[0])
    colours = {name: values[theme] for name, *values in both}
    pairs = [
        ("ink", "ground"),
        ("soft", "ground"),
        ("soft", "raised"),
        ("accent", "ground"),
        ("ink", "track"),
        ("soft", "track"),
        ("ink", "marked"),
        ("ground", "accent"),
        ("ground", "accent-on"),
    ]
    pairs += [(meaning, f"{meaning}-ground") for meaning in ("agrees", "conflicts", "unknown")]
    for text, ground in pairs:
        lighter, darker = sorted((_luminance(colours[text]), _luminance(colours[ground])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (text, ground)


def test_serving_tells_its_address_and_stops_by_itself(tmp_path: Path) -> None:
    said: list[str] = []
    serve_home(empty_home(tmp_path), port=0, name="kim", seconds=0.3, say=said.append)
    link = re.fullmatch(r"open (http://127\.0\.0\.1:\d+)/enter\?once=[\w-]{43}", said[0])
    assert link and f"serving {link[1]}/ and {link[1]}/openapi.json" in said[1]


def test_a_taken_port_is_one_clear_sentence(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInput, match="is taken"):
            serve_home(empty_home(tmp_path), port=taken.getsockname()[1], name="kim", seconds=0.1, say=print)


@pytest.mark.parametrize(
    ("address", "status"), [("/nosuch", 404), ("/p/PXXXX", 404), ("/o/nosuch:1", 404), ("/products?page=abc", 422), ("/quarantine/nosuch@1", 404)]
)
def test_people_get_a_page_with_the_same_words_as_programs(client: TestClient, address: str, status: int) -> None:
    page, told = client.get(address, headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}), client.get(address)
    assert page.status_code == told.status_code == status and page.headers["content-type"].startswith("text/html")
    message = told.json()["error"]["message"]
    assert message[1:] in html.unescape(page.text) and '"error"' not in page.text


def test_a_delivery_that_never_was_has_no_quarantine(client: TestClient) -> None:
    answer = client.get("/api/v1/deliveries/nosuch@1/quarantine", headers=AS_PERSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert client.get("/api/v1/deliveries/sued@2024-05-02/quarantine").json()["found"] == 0


@pytest.mark.parametrize("address", ["/", "/products", "/p/p1", "/p/p3", "/p/p9", "/p/none", "/o/nord:1", "/nosuch", "/api/v1/overview", "/static/endcap.css"])
def test_head_answers_as_get_does_without_the_body(client: TestClient, address: str) -> None:
    got, head = client.get(address, headers=AS_PERSON), client.head(address, headers=AS_PERSON)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert {name: value for name, value in head.headers.items() if name != "date"} == {name: value for name, value in got.headers.items() if name != "date"}


def test_what_may_be_a_product_is_said_in_whole_sentences(client: TestClient) -> None:
    words = " ".join(re.sub(r"<[^>]*>", "", client.get("/o/nord:3", headers=AS_PERSON).text).split())
    assert "product: it may be p1. Why: pack 6 against 1. It was compared with nord:1." in words


def test_the_navigation_wraps_on_a_narrow_screen(client: TestClient) -> None:
    narrow = client.get("/static/endcap.css").text.split("@media (max-width: 860px)")[1]
    rule = re.search(r"\.top nav \{([^}]*)\}", narrow)
    assert rule and "flex-wrap: wrap" in rule[1] and "overflow" not in rule[1]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("run `endcap run` first", "run <code>endcap run</code> first"), ("5` long", "5` long"), ("`<b>` and <i>", "<code>&lt;b&gt;</code> and &lt;i&gt;"),
        ("a `b` `", "a <code>b</code> `"), ("", ""), (None, ""),
    ],
)  # fmt: skip
def test_words_between_backticks_are_code_and_everything_is_escaped(text: str | None, shown: str) -> None:
    assert str(coded(text)) == shown
