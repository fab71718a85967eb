"""Faults played in full count against a served catalog, and written to bench/RELIABILITY.md; a row that falls short of its count says so.

python bench/reliability.py [--only D1,C4] [--share 1.0]

Classes are those of the project's list of threats; what a row tries is in its words. Everything runs against a demo catalog of its own.
"""

from __future__ import annotations

import argparse
import io
import os
import pickle
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faults_gate
import faults_labels
import faults_learning
import faults_people
import faults_web
import httpx
from fastapi.testclient import TestClient
from faults_people import routes
from played import DECISIONS, NEXT, SAME_SITE, UNDO, NotRun, Tally, Trial, World, decision, items_of, make_world, standing, stored, world_of

from endcap.ops import access, audit
from endcap.review.product import Actor, take_back
from endcap.serve.app import make_app
from endcap.serve.gate import COOKIE, OPEN, HomeGate
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
HOSTILE_ARTEFACTS = 15
# Of tests/test_fetching.py what plays addresses that lead inside.
INSIDE = "never_asked or redirect or looked_up_once or never_leads_inside or written_in_one_way"
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


# --- E: the server dies ---------------------------------------------------------------------------------------------


# Has all of the server in memory but nothing open, and makes a server of its own for each port it is told: what dies is that one.
NURSERY = """
import os, sys
from pathlib import Path
from endcap import settings
from endcap.ops.home import Home
from endcap.serve import serving
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        serving.serve_home(Home(settings.read(Path(sys.argv[1]))), port=int(line), name="bench", say=lambda _line: None)
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
"""


def killed_servers(world: World, tally: Tally, wanted: int) -> None:
    """Eight reviewers send one answer after another while the server is killed; what was answered 2xx is there exactly once."""
    items, dice = items_of(world), random.Random(7)
    tokens = [access.make_token(world.home.engine, f"person {number}", "reviewer", days=1, actor="bench") for number in range(8)]
    command = [sys.executable, "-c", NURSERY, str(world.home.catalog.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as nursery:
        assert nursery.stdin is not None and nursery.stdout is not None
        for kill in range(wanted):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = int(free.getsockname()[1])
            print(port, file=nursery.stdin, flush=True)
            server, begun = int(nursery.stdout.readline()), threading.Event()
            while socket.socket().connect_ex(("127.0.0.1", port)):
                time.sleep(0.02)
            with ThreadPoolExecutor(8) as pool:
                sending = [pool.submit(_send_until_dead, port, token, items[kill % len(items) :] + items, begun) for token in tokens]
                begun.wait(60)
                time.sleep(dice.random() / 2)
                os.kill(server, signal.SIGKILL)
                acknowledged = [key for one in sending for key in one.result()]
            there = Counter(row["key"] for row in stored(world))
            tally.check(bool(acknowledged) and all(there[key] == 1 for key in acknowledged), f"{len(acknowledged)} acknowledged in kill {kill}")
        nursery.stdin.close()


def _send_until_dead(port: int, token: str, items: list[dict[str, Any]], begun: threading.Event) -> list[str]:
    """Keys of the answers that the server said it stored; the first of them begins the time to the kill."""
    had: list[str] = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {token}"}, timeout=60) as client:
        for item in items * 20:
            key = uuid.uuid4().hex
            try:
                answer = client.post(DECISIONS, json={"decisions": [decision(item, "skip", key)]})
            except httpx.HTTPError:
                return had
            if answer.status_code == 200 and answer.json()["outcomes"][0]["state"] == "stored":
                had.append(key)
                begun.set()
    return had


# --- C: web and API -------------------------------------------------------------------------------------------------


def other_sites(world: World, tally: Tally, wanted: int) -> None:
    session = world.client(None)
    session.get("/enter", params={"once": access.make_link(world.home.engine, "kim", "admin")})
    writes = [(method, path) for method, path, least in routes() if method != "GET" and least != OPEN]
    foreign = (
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"sec-fetch-site": "none"}, {"origin": "https://evil.example"},
        {"origin": "null"}, {"origin": "http://localhost:8081"}, {"origin": "http://localhost.evil.example"}, {"origin": "https://localhost"},
        {"sec-fetch-site": "cross-site", "origin": "http://localhost"}, {},
    )  # fmt: skip
    for method, path in writes:
        for headers in foreign:
            answer = session.request(method, path, json={}, headers=headers)
            tally.check(answer.status_code == 403, f"{method} {path} with {headers}: {answer.status_code}")
    tally.check(session.get("/api/v1/me").status_code == 200, "the session is not one, so that nothing was tried")


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
    _sessions(world, tally, client)


def _sessions(world: World, tally: Tally, client: TestClient) -> None:
    """Rotation, fixation, the end of a session, one kind of secret given for another, and a pass whose time is over."""
    engine = world.home.engine
    given = client.get("/enter", params={"once": access.make_link(engine, "tim", "viewer")}, headers={"cookie": f"{COOKIE}=chosen-by-another"})
    secret = given.cookies[COOKIE]
    tally.check(secret != "chosen-by-another" and access.who(engine, "chosen-by-another", "session") is None, "a session of another's choosing")
    again = client.get("/enter", params={"once": access.make_link(engine, "tim", "viewer")}).cookies[COOKIE]
    tally.check(again != secret, "each sign-in makes a new session")
    token = access.make_token(engine, "tim", "viewer", days=1, actor="bench")
    for what, kind in ((secret, "token"), (token, "session"), (token, "link"), (secret, "link")):
        tally.check(access.who(engine, what, kind) is None, f"a secret of another kind taken for a {kind}")
    out = TestClient(world.app, base_url="http://localhost", follow_redirects=False, cookies={COOKIE: secret})
    tally.check(out.post("/sign-out", headers=SAME_SITE).status_code == 303 and access.who(engine, secret, "session") is None, "signing out ends the session")
    access.add_user(engine, "eve", "lead", team="", password="a long enough password", actor="bench")
    before = access.sign_in(engine, "eve", "a long enough password")
    access.add_user(engine, "eve", "viewer", team="", password="another long password", actor="bench")
    tally.check(before is not None and access.who(engine, before, "session") is None, "a new password ends the sessions of before")
    short = access.make_token(engine, "tim", "viewer", days=0.2 / access.DAY_S, actor="bench")
    time.sleep(0.3)
    tally.check(access.who(engine, short, "token") is None, "a pass whose time is over")


def unsafe_loading(world: World, tally: Tally, wanted: int) -> None:
    """No call in the tree runs what it reads; and where a pickle lies in place of a model or an index, it is not run."""
    for file in sorted((Path(__file__).parents[1] / "endcap").rglob("*.py")):
        found = UNSAFE.search(file.read_text(encoding="utf-8"))
        tally.check(found is None, f"{file.name}: {found and found.group()}")
    with tempfile.TemporaryDirectory() as folder:
        canary = Path(folder) / "canary"
        pickled = pickle.dumps(_Touches(str(canary)))
        artefacts = {"pickle": pickled, "npy": _npy(pickled), "zip": _zipped(pickled), "yaml": f"!!python/object/apply:pathlib.Path.touch [{canary}]".encode()}
        root = world.home.catalog.root
        files = [one.relative_to(root) for part in ("models", "cache") for one in sorted((world.home.path / part).rglob("*")) if one.is_file()]
        for number, place in enumerate(files[:HOSTILE_ARTEFACTS]):
            kind = list(artefacts)[number % len(artefacts)]
            copy = Path(shutil.copytree(root, Path(folder) / f"copy {number}"))
            (copy / place).write_bytes(artefacts[kind])
            own = world_of(copy)
            answer = own.client("viewer").post("/api/v1/match", json={"title": "cable 2 m"})
            own.home.engine.dispose()
            shutil.rmtree(copy)
            tally.check(not canary.exists() and not LEAKS.search(answer.text), f"a {kind} in place of {place}: {answer.status_code}")


class _Touches:
    """Unpickled, it makes a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.path),)


def _npy(pickled: bytes) -> bytes:
    """What numpy writes of an array of objects."""
    head = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + pickled


def _zipped(pickled: bytes) -> bytes:
    """As torch and npz lay theirs."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("arr_0.npy", _npy(pickled))
    return written.getvalue()


# --- what tests play in full ----------------------------------------------------------------------------------------


def played_by(file: str, chosen: str = "") -> Trial:
    """Cases that are tests of their own; each that passes or fails is one."""

    def play(world: World, tally: Tally, wanted: int) -> None:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-n", "0", "-o", "addopts=", file, *(["-k", chosen] if chosen else [])]
        done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
        counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error|skipped)", done.stdout.strip().rsplit("\n", 1)[-1])}
        for _case in range(counts.get("passed", 0)):
            tally.check(True, "")
        for _case in range(counts.get("failed", 0) + counts.get("error", 0) or int(not counts)):
            tally.check(False, done.stdout[-300:])

    return play


CLASSES: dict[str, tuple[str, int, Trial]] = {
    "C2": ("addresses that lead inside, names, redirects, rebinding; the canary hears nothing", 120, played_by("tests/test_fetching.py", INSIDE)),
    "C3": ("every write as another site sends it with a person's cookie, ten ways", 120, other_sites),
    "C4": ("every route as eight actors, and every kind of write on what is another reviewer's", 360, faults_people.matrix),
    "C7": ("30 hostile texts in 12 places that are searched or filtered", 360, injections),
    "C8": ("25 paths out of the place in 5 places", 125, traversals),
    "C9": ("tokens, sessions, links, guessing", 20, secrets),
    "C11": ("every file for calls that run what they load; pickles in place of 15 files of models and indexes", 16, unsafe_loading),
    "C12": ("headers on every page", 112, headers_everywhere),
    "D1": ("two reviewers answer one item at once", 1000, two_reviewers),
    "D2": ("a lease hides from others, is given back or runs out", 50, faults_people.leases),
    "D4": ("each cell of the table of precedence (tests/test_precedence.py)", 56, played_by("tests/test_precedence.py", "cell_of_the_table")),
    "D7": ("one key sent again, with another body, and at once", 90, repeated_keys),
    **faults_web.CLASSES,
    "D8": ("splits, merges, values; 100 deep; 500 as one; by others; undone twice; around runs", 60, faults_people.undos),
    "E3": ("kill -9 of the server under eight submitting reviewers", 200, killed_servers),
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
                _write(known)
                continue
            short = f" (falls short of {wanted})" if tally.tried < wanted else ""
            known[name] = f"| {name} | {words} | {tally.tried}{short} | {tally.failed} | {time.monotonic() - started:.1f} |"
            print(known[name], tally.first, flush=True)
            _write(known)
        broken = audit.verify(world.home.engine).broken
        print("the audit is whole" if broken is None else f"the audit is broken at {broken}")


def _write(known: dict[str, str]) -> None:
    """The table as far as it is known, written after each class."""
    head = "# Reliability\n\nFaults played against a served catalog, by `python bench/reliability.py`. A row that falls short of its count says so.\n\n"
    table = "| class | what was tried | cases | failures | seconds |\n| --- | --- | --- | --- | --- |\n"
    ordered = sorted(known, key=lambda name: (name[0], int(name[1:])))
    FILE.write_text(head + table + "\n".join(known[name] for name in ordered) + "\n", encoding="utf-8")


def _known() -> dict[str, str]:
    text = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
    return {line.split("|")[1].strip(): line for line in text.splitlines() if re.match(r"\| [A-F]\d", line)}


if __name__ == "__main__":
    main()
