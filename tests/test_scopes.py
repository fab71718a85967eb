"""Roles by scope: what a person may change is what their grants say, for sessions and tokens, in every query; the rest answers as what is not there."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Demo, moved_to_postgres
from fastapi.testclient import TestClient
from sqlalchemy import delete, func, select
from test_review_api import DECISIONS, NEXT, UNDO, decision, items, stored
from typer.testing import CliRunner

from endcap import settings
from endcap.cli import app
from endcap.ops import access, audit
from endcap.ops.access import Scope
from endcap.ops.database import writing
from endcap.ops.home import Home
from endcap.ops.scopes import condition, narrowed
from endcap.ops.tables import LEASES, OVERRIDES, PASSES
from endcap.problems import BadInput
from endcap.serve.app import make_app
from endcap.serve.gate import LEAST_ROLE, OF_ALL, SCOPED, HomeGate
from endcap.serve.limits import Limits

API, PASSWORD = "/api/v1", "a long enough password"


class Shop:
    """A catalog, and programs of people who may do different things."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.app = make_app(home, HomeGate(home), limits=Limits({"read": 1e9, "write": 1e9, "sign-in": 1e9}))

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.app.state.readings.current().rows(query, values)
        return found

    def user(self, name: str, *scopes: Scope) -> str:
        access.add_user(self.home.engine, name, "reviewer", team=f"team of {name}", password=PASSWORD, actor="test")
        for one in scopes:
            access.grant(self.home.engine, name, one, actor="test")
        return name

    def person(self, name: str, *scopes: Scope) -> TestClient:
        """A program of a user, who is another one in every test."""
        return self.program(f"{name}'s program", owner=self.user(name, *scopes))

    def program(self, name: str, role: str = "admin", **more: Any) -> TestClient:
        client = TestClient(self.app, base_url="http://localhost", follow_redirects=False, raise_server_exceptions=False)
        token = access.make_token(self.home.engine, name, role, days=1, actor="test", **more)
        client.headers["authorization"] = f"Bearer {token}"
        return client

    def suppliers(self) -> list[str]:
        waiting = "FROM offers o JOIN decisions d USING (offer_id) WHERE d.kind = 'product' AND d.action = 'to_review'"
        return [row["supplier"] for row in self.rows(f"SELECT supplier {waiting} GROUP BY 1 ORDER BY count(*) DESC, 1")]

    def product(self, supplier: str, *, alone: bool) -> str:
        """A live product of which all offers, or some but not all, are a supplier's."""
        query = (
            "SELECT d.product_id AS id FROM decisions d JOIN offers o USING (offer_id) WHERE d.kind = 'product' AND d.product_id IS NOT NULL "
            f"GROUP BY 1 HAVING {'bool_and' if alone else 'bool_or'}(o.supplier = ?) AND count(DISTINCT o.supplier) {'= 1' if alone else '> 1'} "
            "ORDER BY 1"
        )
        return str(self.rows(query, supplier)[0]["id"])


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.nightly)])
def shop(request: pytest.FixtureRequest, demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One for all tests, since none needs what another changes."""
    folder = Path(shutil.copytree(demo.folder, tmp_path_factory.mktemp("scopes") / "world"))
    if request.param == "postgres":
        folder = moved_to_postgres(folder, request.getfixturevalue("postgres"))
    made = Shop(Home(settings.read(folder)))
    yield made
    made.home.engine.dispose()


@pytest.fixture(autouse=True)
def nobody_looks(shop: Shop) -> None:
    with writing(shop.home.engine) as connection:
        connection.execute(delete(LEASES))


def answers_stored(shop: Shop) -> int:
    with shop.home.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(OVERRIDES)).scalar() or 0)


def change(client: TestClient, product_id: str, deed: str, **body: Any) -> Any:
    version = client.get(f"{API}/products/{product_id}/answers").json()["version"]
    return client.post(f"{API}/products/{product_id}/{deed}", json={"key": uuid.uuid4().hex, **body}, headers={"if-match": version})


# --- what a scope says ----------------------------------------------------------------------------------------------


def test_scopes_are_cut_to_what_both_reach() -> None:
    toys, cars, food = Scope("lead", "*", "Toys"), Scope("reviewer", "*", "Toys > Cars"), Scope("reviewer", "*", "Food")
    assert narrowed([toys], cars) == (cars,) and narrowed([cars], Scope("admin", "*", "Toys")) == (cars,)
    assert narrowed([toys, food], Scope("reviewer", "a")) == (Scope("reviewer", "a", "Toys"), Scope("reviewer", "a", "Food"))
    assert narrowed([Scope("lead", "a")], Scope("admin", "b")) == () == narrowed([toys], food)
    assert narrowed([Scope("lead", "*", "Toys")], Scope("lead", "*", "Toys and more")) == (), "a name that begins alike is another category"
    assert condition([Scope("reviewer")], "lead", "s", "c") == ("FALSE", []) and condition([Scope("lead")], "reviewer", "s", "c") == ("TRUE", [])
    sql, values = condition([Scope("lead", "a' OR 1", "x")], "lead", "s", "c")
    assert values == ["a' OR 1", "x", "x > "] and "a'" not in sql


def test_whoever_has_no_grants_may_do_their_role_everywhere_and_answers_are_of_their_team(shop: Shop) -> None:
    rita, link = shop.person("rita"), access.make_link(shop.home.engine, "olga", "reviewer")
    assert rita.get(f"{API}/me").json() | {"snapshot": ""} == {"snapshot": "", "name": "rita's program", "role": "reviewer", "scopes": None}
    owner = TestClient(shop.app, base_url="http://localhost", follow_redirects=False, headers={"sec-fetch-site": "same-origin"})
    assert owner.get("/enter", params={"once": link}).status_code == 303 and owner.get(f"{API}/me").json()["scopes"] is None
    for client in (rita, owner):
        [item] = items(client, 1)
        assert client.post(DECISIONS, json={"decisions": [decision(item)]}).json()["outcomes"][0]["state"] == "stored"
    assert rita.post(UNDO, json={}).json()["count"] == 1
    told = [(row["actor"], row["team"]) for row in stored(shop.home)[-3:]]
    assert told == [("rita's program", "team of rita"), ("olga", shop.home.catalog.team), ("rita's program", "team of rita")]


# --- suppliers: what is asked, shown and stored ---------------------------------------------------------------------


def test_a_reviewer_of_one_supplier_is_asked_shown_and_heard_about_it_alone(shop: Shop) -> None:
    ours, theirs = shop.suppliers()[:2]
    anna, lead = shop.person("anna", Scope("reviewer", ours)), shop.program("boss")
    before = answers_stored(shop)
    told = anna.get(NEXT, params={"n": 100}).json()
    assert told["items"] and {one["offer"]["supplier"] for one in told["items"]} == {ours} == set(told["suppliers"])
    assert told["fitting"] == told["waiting"] == lead.get(NEXT, params={"supplier": ours}).json()["fitting"]
    of_all = {one["offer_id"]: one for one in items(lead, 100)}
    foreign = next(one for one in of_all.values() if one["offer"]["supplier"] == theirs)
    grouped = {offer_id for group in anna.get(f"{API}/review/groups").json()["groups"] for offer_id in group["offer_ids"]}
    assert grouped and {shop.rows("SELECT supplier FROM offers WHERE offer_id = ?", one)[0]["supplier"] for one in grouped} == {ours}
    asked = anna.get(f"{API}/review/items", params={"ids": f"{foreign['offer_id']}\n{told['items'][0]['offer_id']}"}).json()["items"]
    assert [one["offer_id"] for one in asked] == [told["items"][0]["offer_id"]]
    there, nowhere = (anna.post(DECISIONS, json={"decisions": [decision(foreign) | {"offer_id": one}]}) for one in (foreign["offer_id"], "nobody:1"))
    assert there.status_code == nowhere.status_code == 422
    assert there.text.replace(foreign["offer_id"], "X") == nowhere.text.replace("nobody:1", "X"), "nothing tells whether it is there"
    mixed = anna.post(DECISIONS, json={"decisions": [decision(told["items"][0]), decision(foreign)]})
    assert mixed.status_code == 422 and answers_stored(shop) == before, "all or none"
    assert anna.post(DECISIONS, json={"decisions": [decision(told["items"][0])]}).json()["outcomes"][0]["state"] == "stored"


def test_products_are_changed_by_those_whose_all_offers_are_theirs(shop: Shop) -> None:
    ours, theirs = shop.suppliers()[:2]
    hanna, boss, before = shop.person("hanna", Scope("lead", ours)), shop.program("boss"), answers_stored(shop)
    own, mixed = shop.product(ours, alone=True), shop.product(ours, alone=False)
    their_own = shop.product(theirs, alone=True)
    for product_id in (mixed, their_own):
        for deed, body in (("values", {"field": "brand", "value": "Acme"}), ("merge", {"into": own})):
            answer, nothing = change(hanna, product_id, deed, **body), hanna.post(f"{API}/products/P0/{deed}", json={"key": uuid.uuid4().hex, **body})
            assert answer.status_code == nothing.status_code == 404 and answer.text.replace(product_id, "P0") == nothing.text
        assert hanna.post(f"{API}/products/{product_id}/merge/preview", json={"into": own}).status_code == 404
    assert change(hanna, own, "merge", into=their_own).status_code == 404
    of_mixed = {row["offer_id"]: row["supplier"] for row in shop.rows(
        "SELECT offer_id, supplier FROM decisions d JOIN offers o USING (offer_id) WHERE d.kind = 'product' AND d.product_id = ?", mixed)}  # fmt: skip
    mine, others = ([one for one, supplier in of_mixed.items() if (supplier == ours) is own_one] for own_one in (True, False))
    assert change(hanna, mixed, "split", offer_ids=others[:1]).status_code == 404
    assert hanna.post(f"{API}/products/{mixed}/split/preview", json={"offer_ids": others[:1]}).status_code == 404
    assert answers_stored(shop) == before
    assert change(hanna, mixed, "split", offer_ids=mine[:1]).status_code == 200, "her own offer she may take out of it"
    assert change(hanna, own, "values", field="brand", value="Acme", lock=True).status_code == 200
    theirs_set = change(boss, their_own, "values", field="brand", value="Acme").json()["override_ids"][0]
    refused, nothing = (hanna.post(f"{API}/overrides/{one}/undo") for one in (theirs_set, 999_999))
    assert refused.status_code == nothing.status_code and refused.text.replace(str(theirs_set), "999999") == nothing.text
    ours_set = change(boss, own, "values", field="colour", value="red").json()["override_ids"][0]
    assert hanna.post(f"{API}/overrides/{ours_set}/undo").status_code in (200, 409), "it is there for her; an admin's word may outweigh hers"


def test_a_lead_of_one_category_is_a_reviewer_elsewhere_by_what_the_other_grant_says(shop: Shop) -> None:
    found = shop.rows("SELECT category FROM products WHERE state = 'live' AND category IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1")
    mine, other = found[0]["category"], next(row["category"] for row in found if not row["category"].startswith(found[0]["category"].split(" > ")[0]))
    cleo = shop.person("cleo", Scope("lead", "*", mine.split(" > ")[0]), Scope("reviewer", "*", other))
    both = [shop.rows("SELECT product_id FROM products WHERE state = 'live' AND category = ? ORDER BY 1", one)[0]["product_id"] for one in (mine, other)]
    assert [change(cleo, one, "values", field="brand", value="Acme", lock=True).status_code for one in both] == [200, 403]
    assert change(cleo, both[1], "values", field="brand", value="Acme").status_code == 200
    roles = {row["product_id"]: row["role"] for row in stored(shop.home) if row["actor"] == "cleo's program"}
    assert roles == {both[0]: "lead", both[1]: "reviewer"}
    third = shop.rows("SELECT product_id FROM products WHERE state = 'live' AND category NOT IN (?, ?) AND NOT starts_with(category, ?) ORDER BY 1",
                      mine, other, mine.split(" > ")[0])[0]["product_id"]  # fmt: skip
    assert change(cleo, third, "values", field="brand", value="Acme").status_code == 404


def test_questions_about_values_are_those_of_the_scope_and_others_answers_are_gone(shop: Shop) -> None:
    boss = shop.program("boss")
    question = boss.get(f"{API}/review/values", params={"n": 1}).json()["questions"][0]
    there = shop.rows("SELECT category FROM products WHERE product_id = ?", question["product_id"])[0]["category"]
    away = shop.rows("SELECT product_id, category FROM products WHERE state = 'live' AND category <> ? ORDER BY 1", there)[0]
    dora, emil = (shop.person(name, Scope("reviewer", "*", category)) for name, category in (("dora", there), ("emil", away["category"])))
    told = {name: client.get(f"{API}/review/values", params={"n": 500}).json()["questions"] for name, client in (("dora", dora), ("emil", emil))}
    assert question in told["dora"] and question not in told["emil"]
    before = answers_stored(shop)

    def answer(client: TestClient, product_id: str, **more: Any) -> str:
        sent = {"key": uuid.uuid4().hex, "product_id": product_id, "field": "category", "action": "set", "value": there, **more}
        return str(client.post(f"{API}/review/values", json={"decisions": [sent]}).json()["outcomes"][0]["state"])

    assert answer(emil, question["product_id"]) == "gone" == answer(emil, "P0") and answers_stored(shop) == before
    set_there = change(boss, away["product_id"], "values", field="category", value=there).json()["override_ids"][0]
    told_of_it = answer(dora, question["product_id"], action="suppliers", override_id=set_there, value=None)
    assert told_of_it == "gone" and answers_stored(shop) == before + 1, "another product's answer is not taken back under the name of one's own"
    one = {"key": uuid.uuid4().hex, "field": "category", "action": "set", "value": there}
    sent = [{**one, "product_id": product_id} for product_id in (away["product_id"], question["product_id"])]
    borrowed = dora.post(f"{API}/review/values", json={"decisions": sent}).json()["outcomes"]
    assert [each["state"] for each in borrowed] == ["gone", "stored"], "nor is a role lent from one answer to another under the same key"
    assert answer(dora, question["product_id"]) == "stored" and answers_stored(shop) == before + 3


def test_a_feed_is_let_through_by_a_lead_of_its_supplier(shop: Shop) -> None:
    held = shop.rows("SELECT feed, date, supplier FROM deliveries WHERE state = 'held' AND offers > 0 ORDER BY date DESC")
    feed = held[0]
    away = next(one for one in shop.suppliers() if one != feed["supplier"])
    scopes = {"of another": Scope("lead", away), "of a category": Scope("lead", feed["supplier"], "Toys"), "reviewer": Scope("reviewer", feed["supplier"])}
    for name, scope in scopes.items():
        client = shop.person(name, scope, Scope("lead", away, "Nothing"))
        sent = {"date": feed["date"], "reason": "it is right"}
        there, nowhere = (client.post(f"{API}/feeds/{one}/release", json=sent) for one in (feed["feed"], "nobody"))
        assert there.status_code == nowhere.status_code == 404 and there.text.replace(feed["feed"], "nobody") == nowhere.text
        assert client.post(f"{API}/feeds/{feed['feed']}/hold", json=sent).status_code == 404
    own = shop.person("own", Scope("lead", feed["supplier"])).post(f"{API}/feeds/{feed['feed']}/release", json={"date": feed["date"], "reason": "x"})
    assert own.status_code != 404, own.text


def test_what_is_left_to_a_lead_comes_to_the_leads_of_its_scope(shop: Shop) -> None:
    ours, theirs = shop.suppliers()[:2]
    amelie, lead, other = shop.person("amelie", Scope("reviewer", ours)), shop.person("lea", Scope("lead", ours)), shop.person("leo", Scope("lead", theirs))
    item = items(amelie, 1)[0]
    assert amelie.post(DECISIONS, json={"decisions": [decision(item) | {"action": "escalate", "note": "too hard"}]}).status_code == 200
    first = items(lead, 1)[0]
    assert (first["offer_id"], first["left"]) == (item["offer_id"], "amelie's program leaves this to a lead: too hard")
    assert item["offer_id"] not in {one["offer_id"] for one in [*items(other, 100), *items(amelie, 100)]}


def test_a_route_that_looks_at_no_scopes_is_for_those_who_reach_everything(shop: Shop) -> None:
    """The lead of a part is refused by every lead's or reviewer's route that does not ask itself whose a thing is."""
    part = shop.person("paula", Scope("admin", shop.suppliers()[0]))
    whole = shop.person("wanda", Scope("reviewer", shop.suppliers()[0]), Scope("admin"))
    asked = 0
    for (method, path), least in sorted(LEAST_ROLE.items()):
        if least in ("", "viewer") or path.startswith(SCOPED) or path in OF_ALL:
            continue
        told = [client.request(method, path.replace("{", "").replace("}", ""), json={} if method == "POST" else None).status_code for client in (part, whole)]
        assert told[0] == 403 and told[1] != 403, (method, path, told)
        asked += 1
    assert asked >= 5 and part.get(f"{API}/overview").status_code == 200
    assert part.post(f"{API}/loops", json={"title": "a problem that paula met"}).status_code == 200, "whoever meets a problem reports it"
    assert [one["source"] for one in part.get(f"{API}/loops").json()["loops"] if one["reporter"].startswith("paula")] == ["api"]


def test_each_answer_weighs_as_its_giver_does_for_its_offer_whatever_is_sent_with_it(shop: Shop) -> None:
    ours, theirs = shop.suppliers()[:2]
    scop = shop.person("scop", Scope("lead", ours), Scope("reviewer", theirs))
    sent = [decision(items(scop, 1, supplier=one)[0], "different") for one in (ours, theirs)]
    assert scop.post(DECISIONS, json={"decisions": sent}).status_code == 200
    roles = {row["offer_id"]: row["role"] for row in stored(shop.home)}
    assert [roles[one["offer_id"]] for one in sent] == ["lead", "reviewer"]


def test_what_is_out_of_reach_by_now_is_not_taken_back(shop: Shop) -> None:
    ours, theirs = shop.suppliers()[:2]
    client = shop.person("sven", Scope("lead", ours), Scope("reviewer", theirs))
    kept, lost = (decision(items(client, 1, supplier=one)[0], "different") for one in (theirs, ours))
    for one in (kept, lost):
        assert client.post(DECISIONS, json={"decisions": [one]}).status_code == 200
    access.withdraw(shop.home.engine, "sven", Scope("lead", ours), actor="test")
    named = client.post(UNDO, json={"offer_id": lost["offer_id"]}).json()
    assert (named["count"], named["items"]) == (0, [])
    assert [one["offer_id"] for one in client.post(UNDO, json={}).json()["items"]] == [kept["offer_id"]]


# --- passes ---------------------------------------------------------------------------------------------------------


def test_tokens_reach_as_far_as_their_user_and_may_be_narrower_never_wider(shop: Shop) -> None:
    ours, theirs = shop.suppliers()[:2]
    both = shop.person("anton", Scope("reviewer", ours), Scope("lead", theirs))
    narrow = shop.program("narrow", owner="anton", supplier=ours)
    weak = shop.program("weak", "reviewer", owner="anton")
    elsewhere = shop.program("elsewhere", owner="anton", supplier="nobody")
    own_scope = shop.program("free", "reviewer", supplier=theirs)
    told = {name: client.get(f"{API}/me").json() for name, client in
            {"both": both, "narrow": narrow, "weak": weak, "elsewhere": elsewhere, "free": own_scope}.items()}  # fmt: skip
    assert told["both"]["role"] == "lead" and len(told["both"]["scopes"]) == 2
    assert (told["narrow"]["role"], told["narrow"]["scopes"]) == ("reviewer", [f"reviewer of supplier {ours}"])
    assert told["weak"]["role"] == "reviewer" and set(told["weak"]["scopes"]) == {f"reviewer of supplier {one}" for one in (ours, theirs)}
    assert (told["elsewhere"]["role"], told["elsewhere"]["scopes"]) == ("viewer", []) and elsewhere.get(NEXT).status_code == 403
    assert told["free"]["scopes"] == [f"reviewer of supplier {theirs}"] and {one["offer"]["supplier"] for one in items(own_scope, 50)} == {theirs}
    access.withdraw(shop.home.engine, "anton", Scope("lead", theirs), actor="test")
    assert both.get(f"{API}/me").json()["scopes"] == [f"reviewer of supplier {ours}"], "at once"
    access.withdraw(shop.home.engine, "anton", Scope("reviewer", ours), actor="test")
    assert both.get(f"{API}/me").json() | {"snapshot": ""} == {"snapshot": "", "name": "anton's program", "role": "viewer", "scopes": None}, (
        "nothing left: he looks"
    )
    access.add_user(shop.home.engine, "anton", "viewer", team="", password=PASSWORD, actor="test")
    assert {client.get(f"{API}/me").status_code for client in (both, narrow, weak)} == {401}, "a new password ends her programs too"


def test_a_session_by_password_follows_the_grants_as_they_are(shop: Shop) -> None:
    ours = shop.suppliers()[0]
    shop.user("anke")
    secret = access.sign_in(shop.home.engine, "anke", PASSWORD)
    assert secret is not None

    def now() -> tuple[str, int | None]:
        person = access.who(shop.home.engine, secret, "session")
        assert person is not None
        return person.role, None if person.scopes is None else len(person.scopes)

    assert now() == ("reviewer", None)
    access.grant(shop.home.engine, "anke", Scope("lead", ours), actor="test")
    assert now() == ("lead", 1)
    access.grant(shop.home.engine, "anke", Scope("reviewer", ours), actor="test")
    assert now() == ("reviewer", 1), "one role for a scope: the newer takes the place of the older"


@pytest.mark.parametrize(("scope", "words"), [
    (Scope("viewer", "a"), "viewer"), (Scope("king", "a"), "no role"), (Scope("lead", ""), "names no supplier"), (Scope("lead", "a\n"), "names no supplier"),
])  # fmt: skip
def test_grants_that_cannot_be_are_refused(shop: Shop, scope: Scope, words: str) -> None:
    shop.user("agnes")
    with pytest.raises(BadInput, match=words):
        access.grant(shop.home.engine, "agnes", scope, actor="test")
    with pytest.raises(BadInput, match="no user"):
        access.grant(shop.home.engine, "nobody", Scope("lead", "a"), actor="test")
    with pytest.raises(BadInput, match="no grant"):
        access.withdraw(shop.home.engine, "agnes", Scope("lead", "b"), actor="test")


def passes(home: Home) -> list[Any]:
    with home.engine.connect() as connection:
        return list(connection.execute(select(PASSES.c.pass_id)).scalars())


def test_grants_are_given_and_listed_by_command(shop: Shop) -> None:
    supplier, where = shop.suppliers()[0], ["--dir", str(shop.home.catalog.root)]

    def run(*words: str, given: str | None = None) -> Any:
        return CliRunner().invoke(app, [*words, *where], input=given)

    assert run("user", "rosa", "--team", "home", given=f"{PASSWORD}\n").exit_code == 0
    given = run("grant", "rosa", "--role", "lead", "--supplier", supplier, "--category", "Toys")
    assert (given.exit_code, given.stdout.strip()) == (0, f"rosa: lead of supplier {supplier} in category Toys")
    told = json.loads(run("users", "--json").stdout)["users"]
    grants = [{"role": "lead", "supplier": supplier, "category": "Toys"}]
    assert {"name": "rosa", "role": "reviewer", "team": "home", "locked": False, "grants": grants} in told
    no_supplier, no_category = "there is no supplier 'nobody'", "the house has no category 'Toy'"
    refused = [
        (("grant", "rosa", "--supplier", "nobody"), no_supplier), (("grant", "rosa", "--category", "Toy"), no_category),
        (("token", "sync", "--supplier", "nobody"), no_supplier), (("token", "sync", "--category", "Toy"), no_category),
        (("token", "sync", "--of", "rosa", "--role", "admin"), "rosa is lead, so that no program of theirs can be admin"),
        (("token", "rosa", "--role", "reviewer"), "'rosa' is known already"), (("token", "two\nlines"), "names no program"),
    ]  # fmt: skip
    before = passes(shop.home)
    for words, sentence in refused:
        error = run(*words).exception
        assert isinstance(error, BadInput) and sentence in str(error), words
    assert passes(shop.home) == before, "nothing was made"
    made = run("token", "sync", "--of", "rosa", "--role", "reviewer")
    assert made.exit_code == 0 and f"as reviewer of supplier {supplier} in category Toys; end it with" in made.stderr
    assert "as viewer of everything; end it" in run("token", "sync", "--of", "rosa", "--role", "reviewer", "--supplier", shop.suppliers()[1]).stderr
    assert run("user", "olga", "--team", "home", given=f"{PASSWORD}\n").exit_code == 0
    error = run("token", "sync", "--of", "olga").exception
    assert isinstance(error, BadInput) and "'sync' is known already, as rosa" in str(error), "what it did would be told as what rosa's did"
    assert run("grant", "rosa", "--supplier", supplier, "--category", "Toys", "--end").exit_code == 0
    assert "rosa: viewer of everything; team home" in run("users").stdout
    assert audit.verify(shop.home.engine).broken is None


def test_another_password_changes_neither_role_nor_team_and_lets_nobody_in_who_is_locked_out(shop: Shop) -> None:
    where = ["--dir", str(shop.home.catalog.root)]

    def user(*words: str) -> str:
        return CliRunner().invoke(app, ["user", "vic", *words, *where], input=f"{PASSWORD}\n").stdout

    def told() -> tuple[str, str, bool]:
        return next((one.role, one.team, one.locked) for one in access.users(shop.home.engine) if one.name == "vic")

    assert user("--role", "lead", "--team", "home") == "vic may sign in as lead\n"
    assert user() == "vic may sign in as lead\n" and told() == ("lead", "home", False)
    user("--lock")
    assert "stays locked out" in user() and told() == ("lead", "home", True)
    assert access.sign_in(shop.home.engine, "vic", PASSWORD) is None
    before = passes(shop.home)
    for lock, words, named in (("--lock", ["--role", "viewer"], "--role"), ("--unlock", ["--team", "shop", "--outside"], "--team --outside")):
        error = CliRunner().invoke(app, ["user", "vic", lock, *words, *where]).exception
        assert isinstance(error, BadInput) and f"{lock} changes nothing else of a user ({named}); say it alone" in error.sentence()
    error = CliRunner().invoke(app, ["token", "sync", "--of", "vic", *where]).exception
    assert isinstance(error, BadInput) and "vic is locked out" in error.sentence() and "`endcap user vic --unlock`" in error.sentence()
    assert passes(shop.home) == before and told() == ("lead", "home", True), "nothing was made or changed"
    user("--unlock")
    assert user("--role", "viewer", "--team", "shop") == "vic may sign in as viewer\n" and told() == ("viewer", "shop", False)
    assert audit.verify(shop.home.engine).broken is None
