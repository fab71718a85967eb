"""Faults between people: roles, scopes and what is another team's (C4, C5), leases that run out (D2), answers taken back (D8)."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
from fastapi.testclient import TestClient
from played import DECISIONS, NEXT, SAME_SITE, UNDO, Tally, World, decision, items_of, standing, stored

from endcap import flow
from endcap.ops import access
from endcap.ops.access import Scope
from endcap.problems import BadInput
from endcap.review import lease
from endcap.review.product import Actor, Outweighed, merge, set_field, split, take_back
from endcap.serve.gate import LEAST_ROLE, OF_ALL, OPEN, SCOPED

API, PASSWORD = "/api/v1", "a long enough password"
LEASE_S, LATE_S = 0.3, 1.0


def routes() -> Iterator[tuple[str, str, str]]:
    """(method, path with its parts filled in, least role)."""
    for (method, path), least in sorted(LEAST_ROLE.items()):
        yield method, re.sub(r"\{[^}]*\}", "1", path), least


class Teams:
    """Two suppliers with people who may change the one or the other, and what belongs to each."""

    def __init__(self, world: World) -> None:
        self.world = world
        waiting = world.reading().rows(
            "SELECT o.supplier FROM decisions d JOIN offers o USING (offer_id) WHERE d.kind = 'product' AND d.action = 'to_review' GROUP BY 1 "
            "ORDER BY count(*) DESC, 1 LIMIT 2"
        )
        self.a, self.b = (row["supplier"] for row in waiting)

    def person(self, name: str, *scopes: Scope) -> TestClient:
        """A program of a user with these scopes."""
        engine = self.world.home.engine
        access.add_user(engine, name, "reviewer", team=name, password=PASSWORD, actor="bench")
        for one in scopes:
            access.grant(engine, name, one, actor="bench")
        return self.program(name)

    def program(self, owner: str, role: str = "admin", **narrower: str) -> TestClient:
        client = self.world.client(None)
        token = access.make_token(self.world.home.engine, f"{owner}'s", role, days=1, actor="bench", owner=owner, **narrower)
        client.headers["authorization"] = f"Bearer {token}"
        return client

    def product(self, supplier: str) -> str:
        """A product that is this supplier's alone."""
        query = (
            "SELECT d.product_id AS id FROM decisions d JOIN offers o USING (offer_id) JOIN products p ON p.product_id = d.product_id "
            "WHERE d.kind = 'product' AND p.state = 'live' GROUP BY 1 HAVING bool_and(o.supplier = ?) ORDER BY 1"
        )
        return str(self.world.reading().rows(query, [supplier])[0]["id"])


# --- C4: who may ask what -------------------------------------------------------------------------------------------


def matrix(world: World, tally: Tally, wanted: int) -> None:
    """Every route as eight actors; then every kind of write on what is another reviewer's."""
    teams, anybody = Teams(world), world.client(None)
    clients: dict[str, tuple[TestClient, str | None]] = {
        "nobody": (anybody, None), "viewer": (world.client("viewer"), "viewer"), "lead": (world.client("lead"), "lead"),
        "admin": (world.client("admin"), "admin"), "reviewer A": (teams.person("anna", Scope("reviewer", teams.a)), "reviewer"),
        "reviewer B": (teams.person("bert", Scope("reviewer", teams.b)), "reviewer"), "read token": (teams.program("anna", "viewer"), "viewer"),
    }  # fmt: skip
    teams.person("fay", Scope("lead"))
    clients["feed token"] = (teams.program("fay", "lead", supplier=teams.a), "lead")
    scoped = ("reviewer A", "reviewer B", "feed token")  # of a part; the rest is nobody's to change who has no more than that
    for method, path, least in routes():
        for name, (client, role) in clients.items():
            status = client.request(method, path, json={} if method != "GET" else None, headers=SAME_SITE).status_code
            reached = method == "GET" or name not in scoped or least == "viewer" or path.startswith(SCOPED) or path in OF_ALL
            may = least == OPEN or (role is not None and access.ROLES.index(role) >= access.ROLES.index(least) and reached)
            good = status not in (401, 403) if may and path not in ("/sign-in", "/enter") else status in (401, 403, 303) if not may else True
            tally.check(good and status < 500, f"{method} {path} as {name}: {status}")
    for name in ("reviewer B", "read token"):
        _not_theirs(world, tally, teams, clients[name][0], teams.a, name)
    _not_theirs(world, tally, teams, clients["feed token"][0], teams.b, "feed token")


def _not_theirs(world: World, tally: Tally, teams: Teams, client: TestClient, supplier: str, name: str) -> None:
    for what, method, path, body, headers in _writes(world, teams, supplier):
        before = len(stored(world))
        answer = client.request(method, path, json=body, headers=headers)
        told = answer.json().get("outcomes", [{}]) if answer.status_code == 200 else []
        refused = answer.status_code in (403, 404, 422) or told[0].get("state") == "gone"
        tally.check(refused and len(stored(world)) == before, f"{what} as {name}: {answer.status_code}")


def _writes(world: World, teams: Teams, supplier: str) -> list[tuple[str, str, str, dict[str, Any], dict[str, str]]]:
    """(what, method, path, body, headers) of each kind of write on what is a supplier's, with everything right but the person."""
    admin, product_id = world.client("admin"), teams.product(supplier)
    offers = [row["offer_id"] for row in admin.get(f"{API}/products/{product_id}").json()["offers"]]
    item = next(one for one in items_of(world) if one["offer"]["supplier"] == supplier)
    feed = world.reading().rows("SELECT feed, date FROM deliveries WHERE supplier = ? ORDER BY date DESC", [supplier])[0]
    said = set_field(world.home, world.reading(), product_id, "colour", f"blue {uuid.uuid4().hex[:6]}", Actor("kim", "reviewer"), key=uuid.uuid4().hex)
    version = {"if-match": admin.get(f"{API}/products/{product_id}/answers").json()["version"]}
    key = {"key": uuid.uuid4().hex}
    value = {**key, "product_id": product_id, "field": "colour"}
    return [
        ("a decision", "POST", DECISIONS, {"decisions": [decision(item, "same", uuid.uuid4().hex)]}, {}),
        ("a value", "POST", f"{API}/products/{product_id}/values", {**key, "field": "brand", "value": "Eve"}, version),
        ("a lock", "POST", f"{API}/products/{product_id}/values", {**key, "field": "brand", "value": "Eve", "lock": True}, version),
        ("a split", "POST", f"{API}/products/{product_id}/split", {**key, "offer_ids": offers[:1]}, version),
        ("a split foreseen", "POST", f"{API}/products/{product_id}/split/preview", {"offer_ids": offers[:1]}, {}),
        ("a merge", "POST", f"{API}/products/{product_id}/merge", {**key, "into": teams.product(teams.a if supplier == teams.b else teams.b)}, version),
        ("a merge foreseen", "POST", f"{API}/products/{product_id}/merge/preview", {"into": teams.product(teams.b if supplier == teams.a else teams.a)}, {}),
        ("an undo", "POST", f"{API}/overrides/{said.override_ids[0]}/undo", {}, {}),
        ("a value's answer", "POST", f"{API}/review/values", {"decisions": [value | {"action": "set", "value": "red"}]}, {}),
        ("the suppliers' word", "POST", f"{API}/review/values", {"decisions": [value | {"action": "suppliers", "override_id": said.override_ids[0]}]}, {}),
        ("a release", "POST", f"{API}/feeds/{feed['feed']}/release", {"date": feed["date"], "reason": "x"}, {}),
        ("a hold", "POST", f"{API}/feeds/{feed['feed']}/hold", {"date": feed["date"], "reason": "x"}, {}),
    ]  # fmt: skip


# --- C5: what is another team's -------------------------------------------------------------------------------------


def other_teams(world: World, tally: Tally) -> None:
    """What is another team's answers a lead of one supplier as what is not there: same status, same words; and it is in no list."""
    teams = Teams(world)
    cora = teams.person("cora", Scope("lead", teams.a))
    for holder in set(lease.hidden(world.home, "cora").values()):  # what the classes before looked at
        lease.release(world.home, holder)
    for (what, method, path, body, headers), (_w, _m, guessed_path, guessed_body, _h) in zip(
        _writes(world, teams, teams.b), _guesses(world, teams), strict=True
    ):
        before = len(stored(world))
        answer, nothing = cora.request(method, path, json=body, headers=headers), cora.request(method, guessed_path, json=guessed_body, headers=headers)
        alike = answer.status_code == nothing.status_code and _words(answer) == _words(nothing)
        tally.check(alike and len(stored(world)) == before, f"{what}: {answer.text[:120]} against {nothing.text[:120]}")
    lists = {
        "next": [one["offer"]["supplier"] for one in cora.get(NEXT, params={"n": 100}).json()["items"]],
        "next of the other": [one["offer"]["supplier"] for one in cora.get(NEXT, params={"n": 100, "supplier": teams.b}).json()["items"]],
        "facets": list(cora.get(NEXT).json()["suppliers"]),
    }  # fmt: skip
    of = {row["offer_id"]: row["supplier"] for row in world.reading().rows("SELECT offer_id, supplier FROM offers")}
    lists["groups"] = [of[one] for group in cora.get(f"{API}/review/groups").json()["groups"] for one in group["offer_ids"]]
    everything = "\n".join(one["offer_id"] for one in items_of(world))
    lists["items"] = [one["offer"]["supplier"] for one in cora.get(f"{API}/review/items", params={"ids": everything}).json()["items"]]
    cora.post(f"{API}/review/release")
    for name, suppliers in lists.items():
        tally.check(set(suppliers) <= {teams.a} and (bool(suppliers) or name == "next of the other"), f"{name}: {set(suppliers)}")
    theirs = next(one["offer_id"] for one in items_of(world) if one["offer"]["supplier"] == teams.b)
    mixed = [decision(one, "same", uuid.uuid4().hex) for one in items_of(world) if one["offer"]["supplier"] == teams.a or one["offer_id"] == theirs]
    before = len(stored(world))
    tally.check(cora.post(DECISIONS, json={"decisions": mixed}).status_code == 422 and len(stored(world)) == before, "one of another's among one's own")


def _guesses(world: World, teams: Teams) -> list[tuple[str, str, str, dict[str, Any], dict[str, str]]]:
    """The same writes on ids that nothing has."""
    found = []
    for what, method, path, body, headers in _writes(world, teams, teams.b):
        path = re.sub(r"/products/[^/]+", "/products/P0", re.sub(r"/feeds/[^/]+", "/feeds/nobody", re.sub(r"/overrides/\d+", "/overrides/99999999", path)))
        if "decisions" in body:
            one = body["decisions"][0]
            body = {"decisions": [one | ({"product_id": "P0"} if "field" in one else {"offer_id": "nobody:1"})]}
        found.append((what, method, path, body, headers))
    return found


def _words(answer: httpx.Response) -> str:
    """An answer without the ids that were asked for."""
    return re.sub(r"'[^']*'|answer \d+|\"(key|value|snapshot|override_id)\": ?[^,}]*", "", answer.text)


# --- D2: leases that run out ----------------------------------------------------------------------------------------


def leases(world: World, tally: Tally, wanted: int) -> None:
    """A lease hides from others, is given back or runs out; then the next person has the item, and it counts once."""
    offer_ids = [item["offer_id"] for item in items_of(world)]
    for role in access.ROLES:  # what the classes before looked at
        lease.release(world.home, f"one {role}")
    for number in range(wanted):
        one, runs_out = offer_ids[number % len(offer_ids)], number % 2 == 0
        mine = lease.take(world.home, [one], "ann", limit=1, seconds=LEASE_S if runs_out else lease.LEASE_S)
        hidden = one in lease.hidden(world.home, "ben") and one not in lease.hidden(world.home, "ann") and not lease.take(world.home, [one], "ben", limit=1)
        if not runs_out:
            lease.release(world.home, "ann", [one])
        until = time.monotonic() + (LEASE_S + LATE_S if runs_out else LATE_S)
        while one in lease.hidden(world.home, "ben") and time.monotonic() < until:
            time.sleep(0.02)
        back = one not in lease.hidden(world.home, "ben") and lease.take(world.home, [one], "ben", limit=1) == [one]
        late = lease.take(world.home, [one], "ann", limit=1)  # one who slept meanwhile holds nothing
        lease.release(world.home, "ben")
        tally.check(mine == [one] and hidden and back and late == [], f"lease of {one}")


# --- D8: taken back -------------------------------------------------------------------------------------------------


def undos(world: World, tally: Tally, wanted: int) -> None:
    """Single deeds; a hundred deep; five hundred given as one; by another person; an undo of an undo; and around runs. The state is that of before."""
    most = max(4, wanted - 12)
    for product_id, deed in _deeds(world, most):
        before = _state(world)
        take_back(world.home, deed(), Actor("kim", "reviewer"))
        tally.check(_state(world) == before, f"undo of {product_id}")
    _deep(world, tally)
    _bulk(world, tally)
    _by_others(world, tally)
    _around_runs(world, tally)


def _deeds(world: World, most: int) -> Iterator[tuple[str, Any]]:
    reading, kim = world.reading(), Actor("kim", "reviewer")
    rows = reading.rows("SELECT product_id, offer_id FROM decisions WHERE kind = 'product' AND product_id IS NOT NULL ORDER BY 1, 2")
    offers: dict[str, list[str]] = {}
    for row in rows:
        offers.setdefault(row["product_id"], []).append(row["offer_id"])
    large = [(product_id, its) for product_id, its in offers.items() if len(its) >= 3][:most]
    for number, (product_id, its) in enumerate(large):
        other = large[(number + 1) % len(large)][0]  # the one before was split just now: the two are one again by a run only
        doing = (
            lambda product_id=product_id, its=its: split(world.home, reading, product_id, its[:1], kim, key=uuid.uuid4().hex),
            lambda product_id=product_id, other=other: merge(world.home, reading, product_id, other, kim, key=uuid.uuid4().hex),
            lambda product_id=product_id: set_field(world.home, reading, product_id, "brand", "Acme", kim, key=uuid.uuid4().hex),
        )[number % 3]
        yield product_id, lambda doing=doing: doing().override_ids[0]


def _state(world: World) -> list[tuple[Any, ...]]:
    """What holds of people's answers."""
    return [(row["override_id"], row["offer_id"], row["action"], row["product_id"], row["value"]) for row in standing(world)]


def _deep(world: World, tally: Tally) -> None:
    """A hundred answers and values, each over the one before, taken back one by one: every state on the way comes back."""
    client, items, states = world.client(name=f"deep {uuid.uuid4().hex[:6]}"), items_of(world), list[Any]()
    for number in range(100):
        states.append(_state(world))
        client.post(DECISIONS, json={"decisions": [decision(items[number % len(items)], ("same", "different", "new")[number % 3], uuid.uuid4().hex)]})
    good = len(_state(world)) == len(states[0]) + 100
    for state in reversed(states):
        good = client.post(UNDO, json={}).json()["count"] == 1 and _state(world) == state and good
    tally.check(good, "a hundred deep")


def _bulk(world: World, tally: Tally) -> None:
    """As many answers given as one as the API takes; one undo."""
    client, before = world.client(name=f"bulk {uuid.uuid4().hex[:6]}"), _state(world)
    rows = world.reading().rows(
        "SELECT d.offer_id, d.product_id, o.identity_hash FROM decisions d JOIN offers o USING (offer_id) WHERE d.kind = 'product' "
        "AND d.product_id IS NOT NULL ORDER BY 1 LIMIT 500"
    )
    group, given = uuid.uuid4().hex, []
    for row in rows:
        told = {"offer_id": row["offer_id"], "action": "same", "product_id": row["product_id"], "identity": str(row["identity_hash"])}
        given.append(told | {"key": uuid.uuid4().hex, "evidence": "0123456789abcdef", "group_id": group})
    told = client.post(DECISIONS, json={"decisions": given}).json()["outcomes"]
    count = client.post(UNDO, json={}).json()["count"]
    tally.check(len(rows) == 500 == count and {one["state"] for one in told} == {"stored"} and _state(world) == before, f"a bulk of {len(rows)}: {count}")


def _by_others(world: World, tally: Tally) -> None:
    """By another of the same weight, by a lead; not by one of less weight; and what was taken back is not taken back again."""
    reading, product_id = world.reading(), next(_deeds(world, 1))[0]
    kim, lee, lea = Actor("kim", "reviewer"), Actor("lee", "reviewer"), Actor("lea", "lead")
    for by, other in ((kim, lee), (kim, lea), (lea, lea)):
        before = _state(world)
        deed = set_field(world.home, reading, product_id, "brand", "Acme", by, key=uuid.uuid4().hex)
        undone = take_back(world.home, deed.override_ids[0], other)
        tally.check(_state(world) == before, f"{other.name} takes back what {by.name} said")
        for again in (deed.override_ids[0], undone.override_ids[0]):
            tally.check(_is_refused(world, again, other) and _state(world) == before, "an undo of an undo, or a second one")
    deed = set_field(world.home, reading, product_id, "brand", "Acme", lea, key=uuid.uuid4().hex)
    before = _state(world)
    tally.check(_is_refused(world, deed.override_ids[0], kim) and _state(world) == before, "a reviewer takes a lead's word back")
    take_back(world.home, deed.override_ids[0], lea)


def _is_refused(world: World, override_id: int, by: Actor) -> bool:
    try:
        take_back(world.home, override_id, by)
    except (BadInput, Outweighed):
        return True
    return False


def _around_runs(world: World, tally: Tally) -> None:
    """Answers, a run, their undo, a run: the catalog is what it was, for splits, merges, values and answers of the queue."""
    deeds, before = list(_deeds(world, 9)), _catalog(world)
    client = world.client(name=f"around {uuid.uuid4().hex[:6]}")
    ids = [deed() for _product, deed in deeds]
    told = [client.post(DECISIONS, json={"decisions": [decision(item, "same", uuid.uuid4().hex)]}).json()["outcomes"][0] for item in items_of(world)[:9]]
    ids += [one["override_id"] for one in told if one["state"] == "stored"]
    flow.run(world.home.catalog)
    tally.check(_catalog(world) != before, "the run took nothing in")
    for one in reversed(ids):
        take_back(world.home, one, Actor("lea", "lead"))
    flow.run(world.home.catalog)
    after = _catalog(world)
    tally.check(after == before, f"after a run: {len(set(after) ^ set(before))} offers elsewhere")


def _catalog(world: World) -> list[tuple[Any, ...]]:
    rows = world.reading().rows(
        "SELECT d.offer_id, d.product_id, d.proposed_product_id, p.brand, p.title FROM decisions d LEFT JOIN products p ON p.product_id = d.product_id "
        "WHERE d.kind = 'product' ORDER BY 1"
    )
    return [tuple(row.values()) for row in rows]
