"""What a program may ask at once, what it has already, and lists that go on in one snapshot."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message

from endcap.serve.app import make_app
from endcap.serve.cursors import Place, cursor_of, read_cursor
from endcap.serve.limits import AT_ONCE, MOST_BODY_BYTES, Limits
from endcap.serve.log_lines import OneLine
from endcap.serve.sample_catalog import SampleGate, SampleHome


def client_with(limits: Limits | None = None) -> TestClient:
    app = make_app(SampleHome(), SampleGate(), limits=limits)
    return TestClient(app, base_url="http://localhost", follow_redirects=False, raise_server_exceptions=False)


@pytest.fixture
def client() -> TestClient:
    return client_with()


def test_a_bucket_empties_says_when_to_come_back_and_fills_again() -> None:
    now = [0.0]
    limits = Limits({"read": 60, "write": 4, "sign-in": 4}, clock=lambda: now[0])
    assert [limits.wait_s("a", "read") for _ in range(15)] == [0.0] * 15
    assert limits.wait_s("a", "read") == pytest.approx(1.0)
    assert limits.wait_s("b", "read") == 0.0 and limits.wait_s("a", "write") == 0.0, "another actor and another kind have buckets of their own"
    now[0] = 1.0
    assert limits.wait_s("a", "read") == 0.0 and limits.wait_s("a", "read") > 0
    now[0] = 3600.0
    assert [limits.wait_s("a", "read") for _ in range(15)] == [0.0] * 15, "it holds no more than its size"


def test_too_many_requests_are_refused_with_the_seconds_to_wait() -> None:
    client = client_with(Limits({"read": 12, "write": 12, "sign-in": 12}))
    answers = [client.get("/api/v1/health") for _ in range(3)] + [client.get("/api/v1/overview") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 6 + [429]
    refused = answers[-1]
    assert refused.json()["error"]["code"] == "too_many" and 1 <= int(refused.headers["retry-after"]) <= 6


@pytest.mark.parametrize("lengthy", [True, False])
def test_a_body_that_is_too_large_is_refused_before_it_is_read_whole(client: TestClient, lengthy: bool) -> None:
    def parts() -> Iterator[bytes]:
        for _part in range(MOST_BODY_BYTES // 65_536 + 2):
            yield b"x" * 65_536

    body = b"".join(parts()) if lengthy else parts()
    answer = client.post("/api/v1/match", content=body, headers={"content-type": "application/json", "sec-fetch-site": "same-origin"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_a_compressed_body_is_not_unpacked(client: TestClient) -> None:
    answer = client.post("/api/v1/match", content=b"\x1f\x8b", headers={"content-encoding": "gzip", "sec-fetch-site": "same-origin"})
    assert answer.status_code == 413


def test_a_body_that_drips_is_refused() -> None:
    limits = Limits(body_s=0.2)
    app = make_app(SampleHome(), SampleGate(), limits=limits)

    async def ask() -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            await asyncio.sleep(0.05)
            return {"type": "http.request", "body": b" ", "more_body": True}

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"sec-fetch-site", b"same-origin")]
        scope = {"type": "http", "method": "POST", "path": "/api/v1/match", "query_string": b"", "headers": headers, "scheme": "http", "root_path": ""}
        await app({**scope, "server": ("localhost", 80), "client": ("127.0.0.1", 1), "http_version": "1.1"}, receive, send)
        return sent

    sent = asyncio.run(asyncio.wait_for(ask(), 20))
    assert sent[0]["status"] == 408 and b"too_slow" in sent[1]["body"]


def test_requests_of_one_who_asks_take_turns_and_others_do_not_wait() -> None:
    limits = Limits()

    async def taken() -> tuple[bool, bool]:
        mine = [limits.turns("a") for _request in range(AT_ONCE)]
        for one in mine:
            await one.acquire()
        return limits.turns("a").locked(), limits.turns("b").locked()

    assert asyncio.run(taken()) == (True, False)


@pytest.mark.parametrize(("path", "methods"), [("/api/v1/reconcile", "GET, HEAD, POST"), ("/api/v1/match", "POST"), ("/api/v1/overview", "GET, HEAD")])
def test_a_refused_method_says_which_ones_there_are(client: TestClient, path: str, methods: str) -> None:
    answer = client.delete(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, methods)


@pytest.mark.parametrize(("words", "kept"), [
    ("x\r\nCRITICAL: lost", "CRITICAL"), ("\x1b[2J\u202e\u2028", "[2J"), ("GET /enter?once=s3cret&x=1", "x=1"), ("Authorization: Bearer s3cret", "Bearer ..."),
    ("endcap_session=s3cret; a=b", "a=b"), ("token=s3cret", "token=..."),
])  # fmt: skip
def test_a_log_line_is_one_line_of_json_without_secrets(words: str, kept: str) -> None:
    line = OneLine().format(logging.LogRecord("endcap.serve", logging.ERROR, __file__, 1, "failed: %s", (words,), None))
    assert line.isascii() and line.isprintable() and "s3cret" not in line and kept in json.loads(line)["message"]


def test_what_is_known_already_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/api/v1/products")
    tag = first.headers["etag"]
    again = client.get("/api/v1/products", headers={"if-none-match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get("/api/v1/products", headers={"if-none-match": '"other"'}).json() == first.json()
    assert "etag" not in client.get("/api/v1/products/none").headers


def test_a_cursor_goes_through_every_row_once_and_nothing_else_is_a_cursor(client: TestClient) -> None:
    assert client.get("/api/v1/products").json()["next"] is None, "one page has no next"
    place = cursor_of("s1", 50)
    assert read_cursor(place) == Place("s1", 50, ())
    for wrong in ("x", "%%%", cursor_of("s1", -1), json.dumps(["s1", 5]), cursor_of("s1", 2**50)):
        answer = client.get("/api/v1/products", params={"cursor": wrong})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid"), wrong
    assert client.get("/api/v1/products", params={"cursor": cursor_of("nowhere", 0, ("", ""))}).status_code == 404
    other = client.get("/api/v1/products", params={"cursor": cursor_of("nowhere", 0, ("ssd", "")), "q": "laptop"})
    assert other.status_code == 422 and "of another search" in other.json()["error"]["message"]
