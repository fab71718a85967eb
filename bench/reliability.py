"""Faults played in full count against a served catalog, and written to bench/RELIABILITY.md; a row that falls short of its count says so.

python bench/reliability.py [--only D1,C4] [--share 1.0]

Classes are those of the project's list of threats; what a row tries is in its words. Everything runs against a demo catalog of its own.
"""

from __future__ import annotations

import argparse
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faults_gate
import faults_labels
import faults_learning
import faults_web
import httpx
from fastapi.testclient import TestClient
from played import DECISIONS, NEXT, SAME_SITE, UNDO, NotRun, Tally, Trial, World, decision, items_of, make_world, standing, stored

from endcap.ops import access, audit
from endcap.review import lease
from endcap.review.product import Actor, merge, set_field, split, take_back
from endcap.serve.app import make_app
from endcap.serve.gate import LEAST_ROLE, OPEN, HomeGate
from endcap.serve.limits import Limits
from endcap.serve.problems_shown import HEADERS

FILE = Path(__file__).with_name("RELIABILITY.md")
HOSTILE = (
    "'", '"', "';--", "' OR 1=1 --", "') UNION SELECT * FROM users --", "\\", "%", "_", "%27", "\x00", "a\x00b", "${7*7}", "{{7*7}}", "<script>", "\u202e",
    "\ud83d", "1; DROP TABLE overrides", "pg_sleep(9)", "../../etc/passwd", "..%2f..%2f", "%00", "\r\nSet-Cookie: a=b", "-1", "9" * 30, "NaN", "[]", "{}",
    "null", "\ufb00", "\u0130",
)  # fmt: skip
PATHS = (
    "../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2f", "....//....//", "/etc/passwd", "//etc/passwd", "\\..\\..\\", "%5c..%5c",
    "file:///etc/passwd", "static/../../catalog/ops.sqlite", "..%252f..%252f", "%c0%ae%c0%ae/", "a/../../b", "./././", "nul", "con", "~root", "$HOME", "%00",
    "a%00.html", "?x", "#x", "a" * 3000, "..;/..;/", ".git/config",
)  # fmt: skip
# What our own words never hold, and an error that leaks does.
LEAKS = re.compile(r"duckdb|sqlalchemy|Traceback|Binder Error|Parser Error|near \"")
UNSAFE = re.compile(
    r"\b(pickle|joblib|dill|marshal|shelve)\b\s*[.(]|yaml\.(unsafe_load|full_load)\(|yaml\.load\((?!.*Loader=_)|allow_pickle\s*=\s*True"
    r"|(?<![\w.])(eval|exec)\(|os\.system\(|shell\s*=\s*True"
)


# --- D: several people at once --------------------------------------------------------------------------------------


def two_reviewers(world: World, tally: Tally, wanted: int) -> None:
    items, dice = items_of(world), random.Random(7)
    people = [world.client(name=name) for name in ("ann", "ben")]
    with ThreadPoolExecutor(2) as pool:
        for number in range(wanted):
            item = items[number % len(items)]
            sent = [decision(item, dice.choice(("same", "different")), uuid.uuid4().hex) for _person in people]
            asked = [(who, one) for who, one in zip(people, sent, strict=True)]
            dice.shuffle(asked)
            told = list(pool.map(lambda pair: pair[0].post(DECISIONS, json={"decisions": [pair[1]]}).json()["outcomes"][0], asked))
            states = sorted(one["state"] for one in told)
            now = [row for row in standing(world) if row["offer_id"] == item["offer_id"]]
            winner = next((one for one in told if one["state"] == "stored"), None)
            loser = next((one for one in told if one["state"] == "conflict"), None)
            right = states == ["conflict", "stored"] and len(now) == 1 and loser and winner and loser["override_id"] == winner["override_id"]
            tally.check(bool(right), f"{states}, {len(now)} standing")
            for row in now:
                take_back(world.home, row["override_id"], Actor(row["actor"], "admin"))


def leases(world: World, tally: Tally, wanted: int) -> None:
    offer_ids = [item["offer_id"] for item in items_of(world)]
    for role in access.ROLES:  # what the classes before looked at
        lease.release(world.home, f"one {role}")
    for number in range(wanted):
        one = offer_ids[number % len(offer_ids)]
        mine = lease.take(world.home, [one], "ann", limit=1)
        hidden = one in lease.hidden(world.home, "ben") and one not in lease.hidden(world.home, "ann")
        lease.release(world.home, "ann", [one])
        tally.check(mine == [one] and hidden and one not in lease.hidden(world.home, "ben"), f"lease of {one}")


def repeated_keys(world: World, tally: Tally, wanted: int) -> None:
    items, client = items_of(world), world.client(name="cleo")
    for number in range(wanted // 3):
        item, key = items[number % len(items)], uuid.uuid4().hex
        body = {"decisions": [decision(item, "same", key)]}
        before = len(stored(world))
        first = client.post(DECISIONS, json=body).json()["outcomes"][0]
        again = client.post(DECISIONS, json=body).json()["outcomes"][0]
        tally.check((first["state"], again["state"], len(stored(world)) - before) == ("stored", "repeated", 1), f"replay: {first['state']}, {again['state']}")
        other = client.post(DECISIONS, json={"decisions": [{**body["decisions"][0], "action": "skip"}]}).json()["outcomes"][0]
        tally.check(other["state"] == "reused" and len(stored(world)) - before == 1, f"other body: {other['state']}")
        client.post(UNDO, json={})
        before = len(stored(world))
        with ThreadPoolExecutor(4) as pool:
            both = {"decisions": [decision(item, "different", uuid.uuid4().hex)]}
            told = sorted(one.json()["outcomes"][0]["state"] for one in pool.map(lambda _n, both=both: client.post(DECISIONS, json=both), range(4)))
        tally.check(told == ["repeated"] * 3 + ["stored"] and len(stored(world)) - before == 1, f"at once: {told}")
        client.post(UNDO, json={})


def undos(world: World, tally: Tally, wanted: int) -> None:
    reading, kim = world.reading(), Actor("kim", "reviewer")
    rows = reading.rows("SELECT product_id, offer_id FROM decisions WHERE kind = 'product' AND product_id IS NOT NULL ORDER BY 1, 2")
    offers: dict[str, list[str]] = {}
    for row in rows:
        offers.setdefault(row["product_id"], []).append(row["offer_id"])
    large = [(product_id, its) for product_id, its in offers.items() if len(its) >= 3][:wanted]
    before = [(row["override_id"], row["offer_id"]) for row in standing(world)]
    for number, (product_id, its) in enumerate(large):
        deed = (
            split(world.home, reading, product_id, its[:1], kim, key=uuid.uuid4().hex) if number % 3 == 0
            else merge(world.home, reading, product_id, large[number - 1][0], kim, key=uuid.uuid4().hex) if number % 3 == 1
            else set_field(world.home, reading, product_id, "brand", "Acme", kim, key=uuid.uuid4().hex)
        )  # fmt: skip
        take_back(world.home, deed.override_ids[0], kim)
        tally.check([(row["override_id"], row["offer_id"]) for row in standing(world)] == before, f"undo of {product_id}")


# --- E: the server dies ---------------------------------------------------------------------------------------------


def killed_servers(world: World, tally: Tally, wanted: int) -> None:
    """Eight reviewers send one answer after another while the server is killed; what was answered 2xx is there exactly once."""
    items, dice = items_of(world), random.Random(7)
    command = [str(Path(sys.executable).with_name("endcap")), "serve", "--dir", str(world.home.catalog.home_path.parent)]
    tokens = [access.make_token(world.home.engine, f"person {number}", "reviewer", days=1, actor="bench") for number in range(8)]
    for kill in range(wanted):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        server = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while socket.socket().connect_ex(("127.0.0.1", port)):
            time.sleep(0.02)
        httpx.get(f"http://127.0.0.1:{port}/api/v1/health", timeout=20)
        with ThreadPoolExecutor(8) as pool:
            sending = [pool.submit(_send_until_dead, port, token, items[kill % len(items) :] + items) for token in tokens]
            time.sleep(0.2 + dice.random())
            server.kill()
            server.wait()
            acknowledged = [key for one in sending for key in one.result()]
        there = [row["key"] for row in stored(world)]
        tally.check(bool(acknowledged) and all(there.count(key) == 1 for key in acknowledged), f"{len(acknowledged)} acknowledged in kill {kill}")


def _send_until_dead(port: int, token: str, items: list[dict[str, Any]]) -> list[str]:
    """Keys of the answers that the server said it stored."""
    had: list[str] = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {token}"}, timeout=20) as client:
        for item in items * 20:
            key = uuid.uuid4().hex
            try:
                answer = client.post(DECISIONS, json={"decisions": [decision(item, "skip", key)]})
            except httpx.HTTPError:
                return had
            if answer.status_code == 200 and answer.json()["outcomes"][0]["state"] == "stored":
                had.append(key)
    return had


# --- C: web and API -------------------------------------------------------------------------------------------------


def routes() -> Iterator[tuple[str, str, str]]:
    """(method, path with its parts filled in, least role)."""
    for (method, path), least in sorted(LEAST_ROLE.items()):
        yield method, re.sub(r"\{[^}]*\}", "1", path), least


def other_sites(world: World, tally: Tally, wanted: int) -> None:
    session = world.client(None)
    session.get("/enter", params={"once": access.make_link(world.home.engine, "kim", "admin")})
    writes = [(method, path) for method, path, least in routes() if method != "GET" and least != OPEN]
    foreign = ({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}, {})
    for method, path in writes:
        for headers in foreign:
            answer = session.request(method, path, json={}, headers=headers)
            tally.check(answer.status_code == 403, f"{method} {path} with {headers}: {answer.status_code}")


def matrix(world: World, tally: Tally, wanted: int) -> None:
    clients = {role: world.client(role) for role in access.ROLES} | {None: world.client(None)}
    for method, path, least in routes():
        for role, client in clients.items():
            status = client.request(method, path, json={} if method != "GET" else None, headers=SAME_SITE).status_code
            may = least == OPEN or (role is not None and access.ROLES.index(role) >= access.ROLES.index(least))
            good = status not in (401, 403) if may and path != "/sign-in" and path != "/enter" else status in (401, 403, 303) if not may else True
            tally.check(good and status < 500, f"{method} {path} as {role}: {status}")


def injections(world: World, tally: Tally, wanted: int) -> None:
    client = world.client("admin")
    asked = [
        ("/api/v1/products", "q"), ("/api/v1/products", "category"), ("/api/v1/products", "cursor"), ("/api/v1/search", "q"), ("/api/v1/values", "q"),
        ("/api/v1/values", "field"), (NEXT, "supplier"), (NEXT, "category"), (NEXT, "reason"), ("/api/v1/pairs", "left"), ("/api/v1/reconcile", "queries"),
        ("/api/v1/products/1/history", "field"),
    ]  # fmt: skip
    before = stored(world)
    for path, name in asked:
        for text in HOSTILE:
            try:
                answer = client.get(path, params={name: text, **({"right": "a:1"} if name == "left" else {})})
            except UnicodeEncodeError:  # a lone surrogate cannot be sent at all
                tally.check(True, "")
                continue
            tally.check(answer.status_code < 500 and not LEAKS.search(answer.text) and stored(world) == before, f"{path}?{name}={text!r}: {answer.status_code}")


def traversals(world: World, tally: Tally, wanted: int) -> None:
    client = world.client("admin")
    for beginning in ("/static/", "/api/v1/products/", "/api/v1/offers/", "/quarantine/", "/p/"):
        for path in PATHS:
            answer = client.get(f"{beginning}{path}")
            good = answer.status_code < 500 and "root:" not in answer.text and "SQLite format" not in answer.text
            tally.check(good, f"{beginning}{path[:40]}: {answer.status_code}")


def headers_everywhere(world: World, tally: Tally, wanted: int) -> None:
    client = world.client("admin")
    for method, path, _least in routes():
        if method == "GET":
            answer = client.get(path, headers={"accept": "text/html"})
            for name, value in HEADERS.items():
                tally.check(answer.headers.get(name) == value, f"{path}: {name}")


def secrets(world: World, tally: Tally, wanted: int) -> None:
    engine = world.home.engine
    token = access.make_token(engine, "tim", "viewer", days=1, actor="bench")
    client = TestClient(world.app, base_url="http://localhost", follow_redirects=False, raise_server_exceptions=False)
    bearer = {"authorization": f"Bearer {token}"}
    tally.check(client.get("/api/v1/me", headers=bearer).status_code == 200, "a good token")
    for wrong in (token[:-1], token + "a", token.upper(), "", "x" * 5000, token[::-1], f" {token[1:]}"):
        tally.check(client.get("/api/v1/me", headers={"authorization": f"Bearer {wrong}"}).status_code == 401, "a wrong token")
    person = access.who(engine, token, "token")
    access.end(engine, person.pass_id if person else "", actor="bench")
    tally.check(client.get("/api/v1/me", headers=bearer).status_code == 401, "a revoked token, at once")
    link = access.make_link(engine, "tim", "viewer")
    first, second = (client.get("/enter", params={"once": link}) for _time in range(2))
    tally.check(first.status_code == 303 and second.status_code == 401, "a link works once")
    cookie = first.headers["set-cookie"].lower()
    for word in ("httponly", "samesite=strict", "max-age"):
        tally.check(word in cookie, f"cookie lacks {word}")
    raw = b"".join(file.read_bytes() for file in world.home.path.glob("ops.sqlite*"))
    tally.check(token.encode() not in raw and link.encode() not in raw, "secrets lie in the database as they are")
    access.add_user(engine, "eve", "viewer", team="", password="a long enough password", actor="bench")
    for name, password in (("eve", "wrong wrong wrong"), ("nobody", "a long enough password")):
        answer = client.post("/sign-in", data={"name": name, "password": password}, headers=SAME_SITE)
        tally.check(answer.status_code == 401 and "belong together" in answer.text, f"{name}: {answer.status_code}")
    busy = TestClient(make_app(world.home, HomeGate(world.home), limits=Limits()), base_url="http://localhost", follow_redirects=False)
    tries = [busy.post("/sign-in", data={"name": "eve", "password": f"guess {n}"}, headers=SAME_SITE).status_code for n in range(8)]
    tally.check(429 in tries, f"guessing goes on: {tries}")


def unsafe_loading(world: World, tally: Tally, wanted: int) -> None:
    """No call in the tree runs what it reads."""
    for file in sorted((Path(__file__).parents[1] / "endcap").rglob("*.py")):
        found = UNSAFE.search(file.read_text(encoding="utf-8"))
        tally.check(found is None, f"{file.name}: {found and found.group()}")


CLASSES: dict[str, tuple[str, int, Trial]] = {
    "C3": ("writes that another site sends with a person's cookie", 120, other_sites),
    "C4": ("every route as every role and nobody", 360, matrix),
    "C7": ("30 hostile texts in 12 places that are searched or filtered", 360, injections),
    "C8": ("25 paths out of the place in 5 places", 125, traversals),
    "C9": ("tokens, sessions, links, guessing", 20, secrets),
    "C11": ("files that load what could run", 16, unsafe_loading),
    "C12": ("headers on every page", 112, headers_everywhere),
    "D1": ("two reviewers answer one item at once", 1000, two_reviewers),
    "D2": ("a lease hides from others and gives back", 50, leases),
    "D7": ("one key sent again, with another body, and at once", 90, repeated_keys),
    "E3": ("kill -9 of the server under eight submitting reviewers", 200, killed_servers),
    "D8": ("splits, merges and values taken back", 60, undos),
    **faults_web.CLASSES,
    **faults_labels.CLASSES,
    **faults_learning.CLASSES,
    **faults_gate.CLASSES,
}  # fmt: skip


def main() -> None:
    """Run the asked classes and write the table; rows not asked for stay."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="classes, separated by commas")
    parser.add_argument("--share", type=float, default=1.0, help="share of the full count")
    given = parser.parse_args()
    known = _known()
    with tempfile.TemporaryDirectory() as folder:
        world = make_world(Path(folder) / "world")
        for name, (words, wanted, trial) in CLASSES.items():
            if given.only and name not in given.only.split(","):
                continue
            tally, started = Tally(), time.monotonic()
            try:
                trial(world, tally, max(1, round(wanted * given.share)))
            except NotRun as why:
                known[name] = f"| {name} | {words} | not run: {why} | | |"
                print(known[name], flush=True)
                continue
            short = f" ({wanted} wanted)" if tally.tried < wanted else ""
            known[name] = f"| {name} | {words} | {tally.tried}{short} | {tally.failed} | {time.monotonic() - started:.1f} |"
            print(known[name], tally.first, flush=True)
        broken = audit.verify(world.home.engine).broken
        print("the audit is whole" if broken is None else f"the audit is broken at {broken}")
    head = "# Reliability\n\nFaults played against a served catalog, by `python bench/reliability.py`. A row that falls short of its count says so.\n\n"
    table = "| class | what was tried | cases | failures | seconds |\n| --- | --- | --- | --- | --- |\n"
    FILE.write_text(head + table + "\n".join(known[name] for name in sorted(known)) + "\n", encoding="utf-8")


def _known() -> dict[str, str]:
    text = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
    return {line.split("|")[1].strip(): line for line in text.splitlines() if re.match(r"\| [A-F]\d", line)}


if __name__ == "__main__":
    main()
