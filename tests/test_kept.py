"""What a server keeps in memory is never older than what it was made from: a new snapshot, a new answer and a pass that ended are seen at once."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from endcap import settings
from endcap.lake import held
from endcap.lake.held import Held
from endcap.match import room
from endcap.ops import access
from endcap.ops.home import Home
from endcap.ops.tables import OVERRIDES
from endcap.review.override import PLACED, not_undone, store, undo_last
from endcap.review.said import said_since
from endcap.serve import answers_review
from endcap.serve.answering import written
from endcap.serve.app import make_app
from endcap.serve.gate import HomeGate
from endcap.serve.passes import Passes
from endcap.serve.problems_shown import SNAPSHOT_HEADER
from endcap.serve.reading import Reading, Readings
from endcap.serve.serving import _listening
from endcap.serve.warming import Warming

ROWS = [{"name": name, "number": number} for number, name in enumerate(["a", "b", None, "a", "ä", "b", "a", ""])]


@pytest.fixture
def home(copy_of_demo: Path) -> Iterator[Home]:
    made = Home(settings.read(copy_of_demo))
    yield made
    made.engine.dispose()


@pytest.fixture
def client(home: Home) -> TestClient:
    return TestClient(make_app(home, HomeGate(home)), base_url="http://localhost", raise_server_exceptions=False)


def as_bearer(home: Home, name: str, role: str = "reviewer") -> dict[str, str]:
    return {"authorization": f"Bearer {access.make_token(home.engine, name, role, days=1, actor='test')}"}


@pytest.mark.parametrize("of_type", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
@pytest.mark.parametrize("hashed", [hash, lambda _text: 7], ids=["hash", "all the same hash"])
def test_rows_are_found_by_key_in_their_order(of_type: pa.DataType, hashed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "hash", hashed, raising=False)
    names = pa.chunked_array([pa.array([row["name"] for row in part], pa.string()).cast(of_type) for part in (ROWS[:3], ROWS[3:])])
    found = Held(pa.table({"name": names, "number": [row["number"] for row in ROWS]}), ["name"])
    for asked in (["a"], ["b", "a", "b"], ["none"], [], ["", "ä"]):
        assert found.rows("name", asked) == [row for row in ROWS if row["name"] in asked]
    assert found.rows("name", ["a"], ["number"]) == [{"number": 0}, {"number": 3}, {"number": 6}]
    assert Held(pa.table({"name": pa.array([], pa.string())}), ["name"]).rows("name", ["a"]) == []


def test_a_pass_that_ended_or_ran_out_is_refused_from_the_next_request_on(client: TestClient, home: Home) -> None:
    rita, other = as_bearer(home, "rita"), as_bearer(home, "other")
    for _time in range(2):
        assert client.get("/api/v1/me", headers=rita).json()["name"] == "rita"
    assert client.get("/api/v1/me", headers=other).status_code == 200
    person = access.who(home.engine, rita["authorization"].split()[1], "token")
    assert person is not None and access.end(home.engine, person.pass_id, actor="test")
    assert client.get("/api/v1/me", headers=rita).status_code == 401
    assert client.get("/api/v1/me", headers=other).status_code == 200


def test_a_pass_is_remembered_only_until_it_ends_by_itself(home: Home) -> None:
    now = [time.time()]
    passes, token = Passes(home, clock=lambda: now[0]), access.make_token(home.engine, "rita", "reviewer", days=1, actor="test")
    assert passes.at_once(token, "token") is None, "nobody asked yet"
    assert passes.who(token, "token") == passes.at_once(token, "token") != None  # noqa: E711
    assert passes.at_once(token, "session") is None
    now[0] += access.DAY_S + 1
    assert passes.at_once(token, "token") is None


def test_a_new_snapshot_is_seen_by_the_next_request(client: TestClient, home: Home) -> None:
    kim = as_bearer(home, "kim")
    before = client.get("/api/v1/me", headers=kim).headers[SNAPSHOT_HEADER]
    assert client.get("/api/v1/me", headers=kim).headers[SNAPSHOT_HEADER] == before
    manifest = home.manifest()
    made = home.make_current(replace(manifest, run=manifest.run + 1, parent=before), "{}")
    assert made != before
    answer = client.get("/api/v1/me", headers=kim)
    assert answer.headers[SNAPSHOT_HEADER] == answer.json()["snapshot"] == made


def test_what_people_said_is_what_the_table_holds_after_any_of_their_doings(home: Home) -> None:
    dice, sequence = random.Random(5), home.override_sequence()
    for number in range(60):
        if dice.random() < 0.3:
            undo_last(home, actor=dice.choice(("kim", "rita")))
        else:
            action, offer = dice.choice((*PLACED, "skip", "escalate")), f"o{dice.randrange(6)}"
            store(
                home, offer_id=offer, action=action, product_id="p", counterpart_offer_id=None, actor=dice.choice(("kim", "rita")), reason_code="",
                note="", undoes=None, identity_hash=1, group_id=None if dice.random() < 0.8 else f"g{number // 4}",
            )  # fmt: skip
        with home.engine.connect() as connection:
            wanted = select(OVERRIDES).where(OVERRIDES.c.override_id > sequence, OVERRIDES.c.action != "undo", not_undone()).order_by(OVERRIDES.c.override_id)
            rows = connection.execute(wanted).all()
        assert [(one.override_id, one.action, one.actor) for one in said_since(home, sequence).answers] == [
            (row.override_id, row.action, row.actor) for row in rows
        ]
    assert said_since(home, sequence) is said_since(home, sequence), "nothing is read again while nothing changes"
    assert not said_since(home, home.override_sequence()).answers


def test_an_answer_is_seen_by_everybody_at_once_and_so_is_its_undo(client: TestClient, home: Home) -> None:
    kim, rita = as_bearer(home, "kim"), as_bearer(home, "rita")
    waiting = client.get("/api/v1/review/next?n=1", headers=rita).json()["waiting"]
    item = client.get("/api/v1/review/next?n=1", headers=kim).json()["items"][0]
    body = {"key": "a" * 12, "action": "new", "offer_id": item["offer_id"], "identity": item["identity"], "evidence": item["evidence"]}
    assert client.post("/api/v1/review/decisions", json={"decisions": [body]}, headers=kim).json()["outcomes"][0]["state"] == "stored"
    assert client.get("/api/v1/review/next?n=1", headers=rita).json()["waiting"] == waiting - 1
    assert client.post("/api/v1/review/undo", json={}, headers=kim).json()["count"] == 1
    assert client.get("/api/v1/review/next?n=1", headers=rita).json()["waiting"] == waiting


def test_items_that_are_written_unchecked_are_what_the_api_says(client: TestClient, home: Home) -> None:
    kim = as_bearer(home, "kim")
    answer = client.get("/api/v1/review/next?n=100", headers=kim)
    assert len(answer.json()["items"]) > 20 and any(item["choices"] for item in answer.json()["items"])
    ids = "\n".join(item["offer_id"] for item in answer.json()["items"])
    for kind, sent in ((answers_review.NextItems, answer), (answers_review.Items, client.get("/api/v1/review/items", params={"ids": ids}, headers=kim))):
        read = kind.model_validate_json(sent.content, strict=True)
        assert json.loads(read.model_dump_json()) == sent.json()
    with pytest.raises(ValueError, match="items"):
        written(answers_review.Items, snapshot="s")


def test_queries_say_the_same_before_and_after_tables_are_copied(home: Home) -> None:
    reading = Reading(home, home.snapshot())
    asked = [f"SELECT * FROM {table} ORDER BY ALL" for table in ("products", "decisions", "offers")]
    before = [reading.rows(query) for query in asked]
    reading.settle()
    assert [reading.rows(query) for query in asked] == before


def test_every_snapshot_is_prepared_before_anybody_asks(home: Home) -> None:
    readings = Readings(home)
    with Warming(readings, pause_s=0.01):
        for number in range(2):
            manifest = home.manifest()
            if number:
                home.make_current(replace(manifest, run=manifest.run + 1), "{}")
            until = time.monotonic() + 120
            while not {"finder", "review queue of None", "copied tables", "figures"} <= readings.current()._kept.keys():
                assert time.monotonic() < until
                time.sleep(0.02)


def test_a_room_is_left_only_by_a_search_that_ended_well() -> None:
    room._FREE.clear()
    with room.room_for(3) as first, room.room_for(3) as second:
        assert second is not first
    with room.room_for(4) as other:
        assert other.score.size == 4
    assert len(room._FREE) == room.MOST_FREE
    room._FREE.clear()
    with pytest.raises(RuntimeError), room.room_for(3):
        raise RuntimeError("a search failed")
    assert not room._FREE


def test_answers_are_sent_at_once() -> None:
    """asyncio sends small pieces at once only where the socket says that it is TCP."""
    with _listening(0) as listening:
        assert listening.proto == socket.IPPROTO_TCP
