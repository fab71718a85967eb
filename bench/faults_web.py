"""Faults of the web and its API: the whole OpenAPI by schemathesis, ids of others, too much at once, what a log may tell (C5, C6, C10, C13)."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import logging
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import faults_browser
import faults_people
import faults_races
import httpx
from fastapi.testclient import TestClient
from faults_browser import served
from played import DECISIONS, SAME_SITE, UNDO, NotRun, Tally, Trial, World, decision, items_of, stored
from sqlalchemy import text

from endcap.ops import access
from endcap.serve.app import make_app
from endcap.serve.gate import COOKIE, HomeGate
from endcap.serve.limits import MOST_BODY_BYTES, Limits
from endcap.serve.log_lines import OneLine

# Of schemathesis: what a schema cannot say is refused with 422 too (an unknown id, a digit that does not check), so that not all that fits is taken.
LEFT_OUT = "positive_data_acceptance"
MOST_SLOWED = 3
REGEX_LIKE = ("a" * 190, "(a+)+$" * 30, "." * 190, "%_" * 90, "((((((((((" * 19, "\u0130" * 190, " " * 190, "a b " * 45)
INJECTED = (
    "x\r\nCRITICAL root: all is lost", "x\n{\"level\": \"INFO\"}", "\x1b[2J\x1b[31mred", "a\u2028b\u2029c", "a\x00b", "\u202eesrever", "\x85next", "\x7f\b\b\b",
    "}\n{\"level\":\"x", "long " * 39,
)  # fmt: skip


# --- C6: what the OpenAPI says --------------------------------------------------------------------------------------


def whole_openapi(world: World, tally: Tally, wanted: int) -> None:
    """schemathesis against a server, as a reviewer and as a lead: examples, coverage, fuzzing and chains of requests."""
    if importlib.util.find_spec("schemathesis") is None:
        raise NotRun("pip install schemathesis")
    operations = [f"{method.upper()} {path}" for path, methods in world.app.openapi()["paths"].items() for method in methods]
    with served(world.app) as address, tempfile.TemporaryDirectory() as folder:
        for role in ("reviewer", "lead"):
            report = Path(folder) / f"{role}.json"
            done = subprocess.run(
                [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json", "-H", f"Authorization: Bearer {world.tokens[role]}",
                 "--checks", "all", "--exclude-checks", LEFT_OUT, "--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure",
                 "--max-examples", str(max(1, round(100 * wanted / 82))), "--seed", "7", "--report", "json", "--report-json-path", str(report), "--no-color"],
                capture_output=True, text=True, cwd=folder,
            )  # fmt: skip
            found = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {"failures": [], "errors": [{"title": done.stderr[-300:]}]}
            wrong = {label: group["title"] for group in found["failures"] for label in group["operations"]}
            for operation in operations:
                tally.check(operation not in wrong, f"{operation} as {role}: {wrong.get(operation)}")
            for label, title in wrong.items():
                if label not in operations:
                    tally.check(False, f"{label} as {role}: {title}")
            for error in found["errors"]:
                tally.check(False, f"as {role}: {error['title']}")


# --- C5: objects and fields of others ------------------------------------------------------------------------------


def others_objects(world: World, tally: Tally, wanted: int) -> None:
    """Ids that are not there, of another kind, or of something that is another's; and fields that are not the sender's to set."""
    client, lead = world.client(), world.client("lead")
    item = next(one for one in items_of(world) if one["choices"])
    rows = world.reading().rows("SELECT product_id, offers FROM products WHERE state = 'live' ORDER BY offers DESC, product_id LIMIT 2")
    one, other = (f"/api/v1/products/{row['product_id']}" for row in rows)
    foreign = client.get(other).json()["offers"][0]["offer_id"]
    version = {"if-match": client.get(f"{one}/answers").json()["version"]}
    count = [len(stored(world))]

    def refused(what: str, answer: httpx.Response, *codes: int) -> None:
        before, count[0] = count[0], len(stored(world))
        tally.check(answer.status_code in codes and count[0] == before, f"{what}: {answer.status_code} {answer.text[:80]}")

    for path in ("products/P0", "products/P0/answers", "products/P0/history?field=brand", "offers/nobody:1", "runs/999999", "feeds/nobody",
                 "deliveries/nobody@2024-01-01/quarantine", f"pairs?left={item['offer_id']}&right=nobody:1", "products/P0?version=s9", "values?field=password",
                 f"products/{item['offer_id']}", f"offers/{rows[0]['product_id']}"):  # fmt: skip
        refused(f"GET {path}", client.get(f"/api/v1/{path}"), 404)
    refused("a cursor of another's making", client.get("/api/v1/products?cursor=WyJzOSIsIDBd"), 422)
    for deed, body in _deeds(foreign, rows).items():
        for beginning in ("/api/v1/products/P0", f"/api/v1/products/{item['offer_id']}"):
            refused(f"{beginning}{deed}", client.post(f"{beginning}{deed}", json=body, headers=version), 404)
        if "preview" not in deed:
            refused(f"{deed} with more fields", client.post(f"{one}{deed}", json=body | {"actor": "eve", "role": "admin"}, headers=version), 422)
    refused("split of another's offer", client.post(f"{one}/split", json={"key": uuid.uuid4().hex, "offer_ids": [foreign]}, headers=version), 422)
    refused("merge into nothing", client.post(f"{one}/merge", json={"key": uuid.uuid4().hex, "into": "P0"}, headers=version), 404, 422)
    refused("undo of nothing", client.post("/api/v1/overrides/99999999/undo"), 404, 422)
    wrongs = [{"offer_id": "nobody:1"}, {"product_id": "P0"}, {"counterpart_offer_id": "nobody:1"}, {"actor": "eve"}, {"role": "admin"}, {"team": "x"},
              {"override_id": 1}, {"undoes": 1}, {"at": "1970-01-01T00:00:00Z"}, {"snapshot_id": "s9"}, {"seconds": 1}]  # fmt: skip
    for wrong in wrongs:
        sent = decision(item, "same", uuid.uuid4().hex) | wrong
        refused(f"decision with {wrong}", client.post(DECISIONS, json={"decisions": [sent]}), 404, 422)
    for deed in ("release", "hold"):
        refused(f"{deed} of no feed", lead.post(f"/api/v1/feeds/nobody/{deed}", json={"date": "2024-01-01", "reason": "x"}), 404, 422)
        refused(f"{deed} by a reviewer", client.post(f"/api/v1/feeds/nobody/{deed}", json={"date": "2024-01-01", "reason": "x"}), 403)
    _anothers_word(world, tally, one)
    faults_people.other_teams(world, tally)


def _deeds(foreign: str, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    key, offers, into = {"key": uuid.uuid4().hex}, {"offer_ids": [foreign]}, {"into": rows[1]["product_id"]}
    return {"/values": {**key, "field": "brand", "value": "x"}, "/split": {**key, **offers}, "/merge": {**key, **into},
            "/split/preview": offers, "/merge/preview": into}  # fmt: skip


def _anothers_word(world: World, tally: Tally, product: str) -> None:
    """What a lead said is not a reviewer's to take back, whichever way is tried; nor does a body say who undoes."""
    client, lead = world.client(), world.client("lead")
    version = lead.get(f"{product}/answers").json()["version"]
    set_by_lead = lead.post(f"{product}/values", json={"key": uuid.uuid4().hex, "field": "brand", "value": "Acme"}, headers={"if-match": version}).json()
    tally.check(client.post(f"/api/v1/overrides/{set_by_lead['override_ids'][0]}/undo").status_code == 409, "a lead's word taken back")
    version = client.get(f"{product}/answers").json()["version"]
    answer = client.post(f"{product}/values", json={"key": uuid.uuid4().hex, "field": "brand", "value": "Eve"}, headers={"if-match": version})
    tally.check(answer.status_code == 409, "a lead's word overwritten")
    reviewer = world.client(name="mallory")
    tally.check(reviewer.post(UNDO, json={"actor": "one lead"}).status_code == 422, "another's last answer taken back by name")
    tally.check(reviewer.post(UNDO, json={}).json().get("count") == 0, "another's last answer taken back")
    lead.post(f"/api/v1/overrides/{set_by_lead['override_ids'][0]}/undo")


# --- C10: too much at once ------------------------------------------------------------------------------------------


def too_much(world: World, tally: Tally, wanted: int) -> None:
    """Floods, deep pages, bombs and slowness: refused or answered in time, and others are answered meanwhile."""
    app = make_app(world.home, HomeGate(world.home), limits=Limits({"read": 600, "write": 240, "sign-in": 20}, body_s=3.0))
    client, free = _client(app, world.tokens["reviewer"]), world.client()
    free.get("/api/v1/search", params={"q": "the index is built when it is asked for first"})
    free.post("/api/v1/match", json={"title": "and the kernels are loaded"})
    for kind, ask in (("reads", lambda: client.get("/api/v1/me")), ("writes", lambda: client.post(DECISIONS, json={})), ("sign-ins", lambda: _guess(app))):
        tally.check(_is_stopped(ask), f"a flood of {kind} is not stopped")
    tally.check(_client(app, world.tokens["lead"]).get("/api/v1/me").status_code == 200, "one actor's flood stops another")
    lists = ("products", "review", "review?kind=category", "products?q=a")
    pages = [_timed(free, f"/api/v1/{one}{'&' if '?' in one else '?'}page={page}") for one in lists for page in (1000, 100_000)]
    tally.check(all(status == 200 and took < 1 for status, took in pages), f"deep pages: {pages}")
    tally.check({_timed(free, f"/api/v1/{one}{'&' if '?' in one else '?'}page=100001")[0] for one in lists} == {422}, "a page beyond the last allowed")
    bomb = gzip.compress(b"0" * 50_000_000)
    tally.check(free.post("/api/v1/match", content=bomb, headers={"content-encoding": "gzip"}).status_code == 413, "a compressed body")
    parts: Callable[[], Iterator[bytes]] = lambda: (b"x" * 65_536 for _part in range(MOST_BODY_BYTES // 65_536 + 2))  # noqa: E731
    tally.check(free.post("/api/v1/match", content=parts(), headers={"content-type": "application/json"}).status_code == 413, "a body without end")
    deep = free.post("/api/v1/match", content=b"[" * 1_000_000, headers={"content-type": "application/json"})
    tally.check(deep.status_code in (400, 422), f"a million brackets: {deep.status_code}")
    typed = [("products", "q"), ("search", "q"), ("values?field=brand", "q"), ("reconcile/suggest/entity", "prefix"), ("products", "category")]
    took = [_timed(free, f"/api/v1/{path}", {name: words}) for path, name in typed for words in REGEX_LIKE]
    took += [_timed(free, "/api/v1/match", body={"title": (words * 80)[:2000], "description": (words * 400)[:10_000]}) for words in REGEX_LIKE if words.strip()]
    tally.check(all(status < 500 and seconds < 1.5 for status, seconds in took), f"words like patterns: {max(took, key=lambda one: one[1])}")
    busy = make_app(world.home, HomeGate(world.home), limits=Limits(body_s=3.0))
    with served(busy) as address:
        tally.check(*_meanwhile(world, address, lambda: _dripping(address, world.tokens["viewer"]), "bodies that drip"))
        tally.check(*_meanwhile(world, address, lambda: _half_open(address), "heads that never end"))
        tally.check(*_meanwhile(world, address, lambda: _exports(address, world.tokens["admin"]), "exports of the whole catalog"))


def _client(app: Any, token: str) -> TestClient:
    headers = {"authorization": f"Bearer {token}"}
    return TestClient(app, base_url="http://localhost", follow_redirects=False, raise_server_exceptions=False, headers=headers)


def _guess(app: Any) -> httpx.Response:
    client = TestClient(app, base_url="http://localhost", follow_redirects=False, raise_server_exceptions=False)
    return client.post("/sign-in", data={"name": "nobody", "password": uuid.uuid4().hex}, headers=SAME_SITE)


def _is_stopped(ask: Callable[[], httpx.Response]) -> bool:
    """Whether asking on and on ends in 429 with the seconds to wait, and never in a failure."""
    for _time in range(3000):
        answer = ask()
        if answer.status_code == 429:
            return int(answer.headers["retry-after"]) >= 1
        if answer.status_code >= 500:
            return False
    return False


def _timed(client: TestClient, path: str, params: dict[str, str] | None = None, body: dict[str, Any] | None = None) -> tuple[int, float]:
    started = time.monotonic()
    answer = client.get(path, params=params) if body is None else client.post(path, json=body)
    return answer.status_code, round(time.monotonic() - started, 3)


def _meanwhile(world: World, address: str, attack: Callable[[], str], words: str) -> tuple[bool, str]:
    """Whether another's search stays below 100 ms (p95), or three times what it takes on this machine alone, and the attack ends as it should."""
    with httpx.Client(base_url=address, headers={"authorization": f"Bearer {world.tokens['lead']}"}, timeout=20) as client:
        _searches(client, lambda: False)
        alone, _statuses = _searches(client, lambda: False)
        told: list[str] = []
        attacking = threading.Thread(target=lambda: told.append(attack()))
        attacking.start()
        p95, statuses = _searches(client, attacking.is_alive)
    in_time = p95 < max(0.1, MOST_SLOWED * alone)
    return in_time and statuses == {200} and told == [""], f"{words}: p95 {1000 * p95:.0f} ms, alone {1000 * alone:.0f} ms, {statuses}, {told}"


def _searches(client: httpx.Client, goes_on: Callable[[], bool]) -> tuple[float, set[int]]:
    """(p95 in seconds, statuses) of 40 searches or more, as long as something goes on."""
    times, statuses = list[float](), set[int]()
    while goes_on() or len(times) < 40:
        started = time.monotonic()
        statuses.add(client.get("/api/v1/search", params={"q": f"cable {len(times) % 7} m"}).status_code)
        times.append(time.monotonic() - started)
        time.sleep(0.05)
    return statistics.quantiles(times, n=20)[-1], statuses


def _dripping(address: str, token: str) -> str:
    """Twenty bodies of which a byte comes now and then: each is refused before long. '' where that is so."""
    host, port = address.removeprefix("http://").split(":")
    head = f"POST /api/v1/match HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
    open_ones = [socket.create_connection((host, int(port)), timeout=20) for _one in range(20)]
    for one in open_ones:
        one.sendall(head.encode())
    for _time in range(12):
        time.sleep(0.5)
        for one in open_ones:
            try:
                one.sendall(b" ")
            except OSError:
                continue
    heard = []
    for one in open_ones:
        try:
            heard.append(one.recv(200))
        except OSError as error:  # closed by the server after its answer
            heard.append(str(error).encode())
        one.close()
    return "" if all(b" 408 " in said or b"reset" in said.lower() for said in heard) else str(heard[0])


def _half_open(address: str) -> str:
    host, port = address.removeprefix("http://").split(":")
    open_ones = [socket.create_connection((host, int(port)), timeout=5) for _one in range(100)]
    for number in range(8):
        for one in open_ones:
            one.sendall(f"GET / HTTP/1.1\r\nX-{number}: ".encode() if number == 0 else b"x\r\nY: ")
        time.sleep(0.2)
    for one in open_ones:
        one.close()
    return ""


def _exports(address: str, token: str) -> str:
    """Four programs of one actor that read every product, as fast as they may; what goes beyond the budget is refused."""

    def read_all() -> None:
        with httpx.Client(base_url=address, headers={"authorization": f"Bearer {token}"}, timeout=30) as client:
            for _time in range(2):
                cursor = "first"
                while cursor:
                    answer = client.get("/api/v1/products", params={} if cursor == "first" else {"cursor": cursor})
                    statuses.add(answer.status_code)
                    cursor = answer.json().get("next") if answer.status_code == 200 else None

    statuses: set[int] = set()
    programs = [threading.Thread(target=read_all) for _one in range(4)]
    for one in programs:
        one.start()
    for one in programs:
        one.join()
    return "" if statuses <= {200, 429} else str(statuses)


# --- C13: what a log may tell ---------------------------------------------------------------------------------------


def logs(world: World, tally: Tally, wanted: int) -> None:
    """Failures provoked with hostile words and with secrets: a line each, of plain letters, and no secret in the log or the answer."""
    client, secret = world.client(), uuid.uuid4().hex
    for words in INJECTED:
        with _broken("asking_match.search", words), _heard() as heard:
            answer = client.get("/api/v1/search", params={"q": words})
        lines = heard.getvalue().splitlines()
        told = [json.loads(line) for line in lines]
        good = answer.status_code == 500 and len(told) == 1 and set(told[0]) == {"at", "level", "logger", "message", "error"}
        tally.check(good and lines[0].isascii() and lines[0].isprintable() and words not in answer.text, f"{words!r}: {len(lines)} lines")
    link, token = access.make_link(world.home.engine, "kim", "viewer"), world.tokens["viewer"]
    nobody = TestClient(world.app, base_url="http://localhost", follow_redirects=False, raise_server_exceptions=False)
    asked: dict[str, tuple[str, Callable[[], httpx.Response]]] = {
        "a token in a header": (token, lambda: nobody.get("/api/v1/search?q=x", headers={"authorization": f"Bearer {token}"})),
        "a token in an address": (token, lambda: nobody.get(f"/api/v1/reconcile/suggest/entity?prefix=x&token={token}")),
        "a session's cookie": (_session(world), lambda: nobody.get("/api/v1/search?q=x", cookies={COOKIE: _session(world)})),
        "a token in a referrer": (token, lambda: client.get("/api/v1/search?q=x", headers={"referer": f"http://x/?token={token}"})),
        "a wrong token": (secret, lambda: nobody.get("/api/v1/search?q=x", headers={"authorization": f"Bearer {secret}"})),
        "a link": (link, lambda: nobody.get("/enter", params={"once": link})),
        "a password": (secret, lambda: nobody.post("/sign-in", data={"name": "kim", "password": secret}, headers=SAME_SITE)),
        "a secret that an error's words quote": (secret, lambda: client.get(f"/api/v1/search?q=token={secret}")),
        "a bearer that an error's words quote": (secret, lambda: client.get("/api/v1/search", params={"q": f"Authorization: Bearer {secret}"})),
    }  # fmt: skip
    for what, (kept, ask) in asked.items():
        breaks = "access.redeem" if what == "a link" else "access.sign_in" if what == "a password" else "asking_match.search"
        with _broken(breaks), _heard() as heard:
            answer = ask()
        tally.check(kept not in heard.getvalue() and kept not in answer.text and answer.status_code in (500, 401), f"{what}: {answer.status_code}")
    with world.home.engine.connect() as connection:
        try:
            connection.execute(text("SELECT * FROM nowhere WHERE secret = :secret"), {"secret": secret})
            said = secret
        except Exception as error:
            said = str(error)
    tally.check(secret not in said, "an error of the database tells what was bound")


def _session(world: World) -> str:
    return str(access.redeem(world.home.engine, access.make_link(world.home.engine, "kim", "viewer")))


@contextmanager
def _broken(function: str, words: str = "") -> Iterator[None]:
    """Make a function of the server fail, with the words it was given in the error's."""

    def fail(*given: Any, **_named: Any) -> Any:
        raise RuntimeError(f"it broke: {words} {given[-2] if 'search' in function else ''}")

    module = {"asking_match": "endcap.serve.asking_match", "access": "endcap.ops.access"}[function.split(".")[0]]
    with mock.patch(f"{module}.{function.split('.')[1]}", fail):
        yield


@contextmanager
def _heard() -> Iterator[io.StringIO]:
    """What the server logs meanwhile, as it would write it."""
    heard, log = io.StringIO(newline=""), logging.getLogger("endcap")
    handler, before = logging.StreamHandler(heard), log.propagate
    handler.setFormatter(OneLine())
    log.addHandler(handler)
    log.propagate = False
    yield heard
    log.removeHandler(handler)
    log.propagate = before


CLASSES: dict[str, tuple[str, int, Trial]] = {
    "C1": ("60 pieces of markup stored in 15 places, shown by a browser", 840, faults_browser.stored_markup),
    "C5": ("ids of nothing, of others and of another team, and fields that are not the sender's", 40, others_objects),
    "C6": ("every operation by schemathesis, 100 examples each, as reviewer and as lead", 82, whole_openapi),
    "C10": ("floods, deep pages, bombs, slowness; others' searches meanwhile", 12, too_much),
    "C13": ("hostile words and secrets in what is logged", 20, logs),
    "D3": ("answers to what changed between being shown and being answered, around runs", 500, faults_races.answers_around_runs),
}  # fmt: skip
