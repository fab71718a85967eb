"""What several people do at the very same moment: exactly one wins, the others are told, and nothing is stored twice."""

from __future__ import annotations

import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from conftest import Demo, endcap
from fastapi.testclient import TestClient

from endcap import flow, settings
from endcap.feeds import release
from endcap.feeds.release import hold_again, release_delivery
from endcap.ops import access, audit
from endcap.ops.home import Home
from endcap.ops.tables import OVERRIDES, RELEASES
from endcap.problems import BadInput
from endcap.review.override import Given, give, undo
from endcap.review.product import Actor, house_categories, take_back
from endcap.review.values import GivenValue, give_values, questions
from endcap.serve.app import make_app
from endcap.serve.gate import HomeGate
from endcap.serve.reading import Reading

AT_ONCE, ROUNDS = 8, 12


@pytest.fixture
def home(copy_on: Path) -> Home:
    return Home(settings.read(copy_on))


def all_at_once(deeds: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each did or raised, all of them let go by one barrier."""
    barrier = Barrier(len(deeds))

    def one(deed: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return deed()
        except BadInput as error:
            return error

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(one, deeds))


def clients_of(home: Home, count: int, role: str = "reviewer") -> list[TestClient]:
    app = make_app(home, HomeGate(home))
    made = []
    for number in range(count):
        client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
        client.headers["authorization"] = f"Bearer {access.make_token(home.engine, f'p{number}', role, days=1, actor='admin')}"
        made.append(client)
    return made


def products_of(home: Home, count: int) -> list[str]:
    with home.connect() as con:
        return [one for (one,) in con.execute("SELECT product_id FROM products WHERE state = 'live' AND offers > 2 ORDER BY 1 LIMIT ?", [count]).fetchall()]


def stored(home: Home) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = home.rows(OVERRIDES).to_pylist()
    return found


def test_of_changes_to_one_version_of_a_product_exactly_one_is_stored(home: Home) -> None:
    clients = clients_of(home, AT_ONCE)
    told: Counter[int] = Counter()
    for product_id in products_of(home, ROUNDS):
        address = f"/api/v1/products/{product_id}"
        version = clients[0].get(f"{address}/answers").json()["version"]
        offer = clients[0].get(address).json()["offers"][0]["offer_id"]

        def change(client: TestClient, number: int, address: str = address, version: str = version, offer: str = offer) -> int:
            deed: dict[str, Any] = {"key": uuid.uuid4().hex}
            deed |= {"field": "brand", "value": f"Acme {number}"} if number % 2 else {"offer_ids": [offer]}
            return int(client.post(f"{address}/{'values' if number % 2 else 'split'}", json=deed, headers={"if-match": f'"{version}"'}).status_code)

        codes = Counter(all_at_once([lambda client=client, number=number: change(client, number) for number, client in enumerate(clients)]))
        assert codes == {200: 1, 412: AT_ONCE - 1}, (product_id, codes)
        told += codes
    assert told[200] == len({row["group_id"] for row in stored(home)}) == ROUNDS
    assert audit.verify(home.engine).broken is None


def test_of_answers_to_one_question_about_a_value_exactly_one_is_stored_and_the_others_meet_it(home: Home) -> None:
    reading, taken_in = Reading(home, home.snapshot()), home.manifest().override_sequence
    asked, categories = questions(reading, "category")[:ROUNDS], house_categories(home)
    assert asked, "the demo doubts some categories"
    for question in asked:
        outcomes = all_at_once([
            lambda number=number, question=question: give_values(
                home, reading, [GivenValue(uuid.uuid4().hex, question.product_id, "category", "set", categories[number])],
                Actor(f"p{number}", "reviewer"), taken_in,
            )[0].state for number in range(AT_ONCE)
        ])  # fmt: skip
        assert Counter(outcomes) == {"stored": 1, "conflict": AT_ONCE - 1}
    assert len(stored(home)) == len(asked)


def test_of_answers_to_one_item_exactly_one_is_stored_and_the_others_meet_it(home: Home) -> None:
    items = clients_of(home, 1)[0].get("/api/v1/review/next", params={"n": ROUNDS}).json()["items"]
    assert len(items) >= ROUNDS // 2
    for item in items:
        answers = [Given(uuid.uuid4().hex, item["offer_id"], "new", None, None, int(item["identity"]), item["evidence"]) for _number in range(AT_ONCE)]
        outcomes = all_at_once([lambda one=one, number=number: give(home, [one], actor=f"p{number}")[0].state for number, one in enumerate(answers)])
        assert Counter(outcomes) == {"stored": 1, "conflict": AT_ONCE - 1}


@pytest.mark.parametrize("verb", ["undo", "take_back"])
def test_an_answer_is_taken_back_once(home: Home, verb: str) -> None:
    items = clients_of(home, 1)[0].get("/api/v1/review/next", params={"n": ROUNDS}).json()["items"]
    for item in items:
        (done,) = give(home, [Given(uuid.uuid4().hex, item["offer_id"], "new", None, None, int(item["identity"]), item["evidence"])], actor="kim")
        number = int(done.override_id or 0)
        deeds = {
            "undo": lambda number=number: undo(home, number, actor="kim"),
            "take_back": lambda number=number: take_back(home, number, Actor("kim", "admin")),
        }
        ended = all_at_once([deeds[verb]] * AT_ONCE)
        assert sum(not isinstance(one, BadInput) for one in ended) == 1
    undone = [row["undoes"] for row in stored(home) if row["action"] == "undo"]
    assert len(undone) == len(set(undone)) == len(items)


@pytest.fixture(scope="module")
def held_world(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(demo.folder, tmp_path_factory.mktemp("held") / "world"))
    later = folder / "inbox" / "2026-04-01"
    later.mkdir()
    text = (sorted((folder / "inbox").iterdir())[-2] / "bazaar-one.csv").read_text(encoding="utf-8")
    (later / "bazaar-one.csv").write_text("".join(text.splitlines(keepends=True)[:20]), encoding="utf-8")
    assert endcap("run", "--dir", folder).code == 3
    return folder


def test_a_held_delivery_is_let_through_once_and_held_again_once(held_world: Path, tmp_path: Path) -> None:
    home = Home(settings.read(Path(shutil.copytree(held_world, tmp_path / "world"))))
    for deed in (release_delivery, hold_again):
        ended = all_at_once(
            [lambda deed=deed, number=number: deed(home, "bazaar-one", "2026-04-01", actor=f"p{number}", reason="r") for number in range(AT_ONCE)]
        )
        assert sum(one is None for one in ended) == 1 and sum(isinstance(one, BadInput) for one in ended) == AT_ONCE - 1, ended
    assert home.rows(RELEASES).num_rows == 0 and audit.verify(home.engine).broken is None


def test_nothing_is_held_again_while_a_run_may_be_taking_it_in(held_world: Path, tmp_path: Path) -> None:
    home = Home(settings.read(Path(shutil.copytree(held_world, tmp_path / "world"))))
    release_delivery(home, "bazaar-one", "2026-04-01", actor="kim", reason="a clearance sale")
    with home.writer(), pytest.raises(BadInput, match="a run is under way"):
        hold_again(home, "bazaar-one", "2026-04-01", actor="kim", reason="not yet")
    assert {one[:2] for one in release.released_now(home)} == {("bazaar-one", "2026-04-01")}
    hold_again(home, "bazaar-one", "2026-04-01", actor="kim", reason="not yet")
    assert release.released_now(home) == set()


def test_a_release_lets_one_file_through_and_no_other_of_its_date(held_world: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(held_world, tmp_path / "world"))
    file = folder / "inbox" / "2026-04-01" / "bazaar-one.csv"
    lines = (sorted((folder / "inbox").iterdir())[-2] / "bazaar-one.csv").read_bytes().splitlines(keepends=True)

    def run_with(count: int) -> tuple[str, int]:
        """The delivery's state after a run with the file's first lines, and how many offers of the feed are live."""
        file.write_bytes(b"".join(lines[:count]))
        flow.run(settings.read(folder))
        with Home(settings.read(folder)).connect() as con:
            (state,) = con.execute("SELECT state FROM deliveries WHERE feed = 'bazaar-one' AND date = '2026-04-01'").fetchone() or ("",)
            (live,) = con.execute("SELECT count(*) FROM offers WHERE feed = 'bazaar-one'").fetchone() or (0,)
        return state, live

    home = Home(settings.read(folder))
    live = home.connect().execute("SELECT count(*) FROM offers WHERE feed = 'bazaar-one'").fetchall()[0][0]
    release_delivery(home, "bazaar-one", "2026-04-01", actor="kim", reason="a clearance sale")
    assert run_with(len(lines) // 2) == ("held", live), "what was let through was another file"
    release_delivery(Home(settings.read(folder)), "bazaar-one", "2026-04-01", actor="kim", reason="so it is")
    assert audit.verify(home.engine).broken is None
    state, now_live = run_with(len(lines) // 2)
    assert state == "accepted" and now_live < live
    assert run_with(len(lines) // 5) == ("held", now_live), "a release ends with what it let through"
