"""Webhooks: told with the fact, signed, told until heard, never told again, and never told to anybody inside (THREATS C2)."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import endcap
from outside import Asked, Outside, outside
from sqlalchemy import insert, select, update
from test_fetching import HOSTILE, LEADS_INSIDE, PUBLIC, filled, to

from endcap import flow, settings
from endcap.journey import close_dead_runs
from endcap.ops import webhooks
from endcap.ops.database import writing
from endcap.ops.fetching import Fetcher, look_up
from endcap.ops.home import Home
from endcap.ops.tables import AUDIT, METADATA, OVERRIDES, RUNS, WEBHOOK_DELIVERIES
from endcap.ops.webhooks import BACKOFF_S, CLAIM_S, MOST_ATTEMPTS, Sending, note, send_due
from endcap.problems import BadInput, BadSettings
from endcap.review.override import append, store
from endcap.review.override import undo as take_back
from endcap.serve.telling import Telling

SECRET = "a secret that both know"
ROOT = Path(__file__).resolve().parents[1]
FEED = {"file": "{date}/shop.csv", "format": "csv", "fields": {"id": "id", "title": "title"}}
ANSWER = {"offer_id": "shop:1", "action": "new", "product_id": None, "counterpart_offer_id": None, "actor": "kim", "reason_code": "", "note": "between us",
          "undoes": None, "identity_hash": 1}  # fmt: skip


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)


@pytest.fixture
def receiver() -> Iterator[Outside]:
    with outside() as made:
        yield made


@pytest.fixture
def canary() -> Iterator[Outside]:
    """A server inside that must never hear anything."""
    with outside() as made:
        yield made
        assert made.asked == [], f"the canary was asked: {made.asked}"


def given(*receivers: Outside | str, **more: Any) -> dict[str, Any]:
    """Settings with these receivers, each allowed at its own port alone."""
    hooks = [{"url": one if isinstance(one, str) else f"{one.address}/hook", "secret_env": "HOOK_SECRET"} for one in receivers]
    allowed = [{"network": "127.0.0.1", "ports": [one.port]} for one in receivers if isinstance(one, Outside)]
    return {"name": "toys", "feeds": {"shop": FEED}, "webhooks": hooks, "allow_outgoing": allowed, **more}


def home_of(folder: Path, *receivers: Outside | str, **more: Any) -> Home:
    return Home(settings.parse({**given(*receivers, **more), "home": str(folder / "catalog"), "inbox": str(folder / "inbox")}, where="test"))


def outbox(home: Home) -> list[dict[str, Any]]:
    with home.engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(WEBHOOK_DELIVERIES).order_by(WEBHOOK_DELIVERIES.c.delivery_id)).mappings()]


def say(home: Home, count: int = 1) -> None:
    with writing(home.engine) as connection:
        for number in range(count):
            note(connection, home.catalog, "run.done", {"run": number})


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.moment = time.time() + 5  # after all that is noted in a test

    def __call__(self) -> float:
        return self.moment


# --- what is told ---------------------------------------------------------------------------------------------------


def deliver(folder: Path, date: str, rows: Sequence[str]) -> None:
    file = folder / "inbox" / date / "shop.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(["id,title", *rows]) + "\n", encoding="utf-8")


def test_a_run_is_told_with_what_it_held_and_one_that_failed_with_why(tmp_path: Path, receiver: Outside) -> None:
    home = home_of(tmp_path, receiver)
    deliver(tmp_path, "2026-01-01", [f"{number},Wooden train number {number}" for number in range(40)])
    (done,) = flow.run(home.catalog)
    deliver(tmp_path, "2026-01-02", ["1,Wooden train number 1"])
    (held,) = flow.run(home.catalog)
    assert held.held
    told = [json.loads(row["body"]) for row in outbox(home)]
    assert [one["event"] for one in told] == ["run.done", "run.done", "delivery.held"]
    assert told[0]["data"]["snapshot"] == done.snapshot_id and told[0]["data"]["catalog"]["offers"] == 40 and told[0]["catalog"] == "toys"
    assert (told[2]["data"]["feed"], told[2]["data"]["date"]) == ("shop", "2026-01-02") and told[2]["data"]["reason"]
    assert [row["state"] for row in outbox(home)] == ["waiting"] * 3 and not receiver.asked, "a run only notes it"


def test_a_failed_run_is_told(tmp_path: Path, receiver: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_of(tmp_path, receiver)
    deliver(tmp_path, "2026-01-01", ["1,Wooden train"])
    monkeypatch.setattr(flow, "STAGES", (fails_to_read,))
    with pytest.raises(ZeroDivisionError):
        flow.run(home.catalog)
    (row,) = outbox(home)
    told = json.loads(row["body"])
    assert (
        told["event"] == "run.failed"
        and told["data"]["error"].startswith("ZeroDivisionError: nothing can be read; ")
        and told["data"]["failed_in"] == "fails_to_read"
    )


def fails_to_read(_journey: Any) -> Any:
    raise ZeroDivisionError("nothing can be read")


def test_a_run_that_died_is_told_by_the_next_one(tmp_path: Path, receiver: Outside) -> None:
    home = home_of(tmp_path, receiver)
    with writing(home.engine) as connection:
        connection.execute(insert(RUNS).values(run=4, state="running", started_at="t", deliveries_json="[]", figures_json="{}"))
    close_dead_runs(home)
    close_dead_runs(home)
    (row,) = outbox(home)
    assert row["event"] == "run.failed" and "died" in json.loads(row["body"])["data"]["error"]


def test_an_answer_is_told_without_who_gave_it_and_so_is_taking_it_back(tmp_path: Path, receiver: Outside) -> None:
    home = home_of(tmp_path, receiver)
    stored = store(home, **ANSWER)
    take_back(home, stored.override_id, actor="kim")
    told = [json.loads(row["body"])["data"] for row in outbox(home)]
    assert [(one["action"], one["offer_id"], one["undoes"]) for one in told] == [("new", "shop:1", None), ("undo", "shop:1", stored.override_id)]
    assert not any("kim" in row["body"] or "between us" in row["body"] for row in outbox(home))


def test_what_was_not_stored_is_not_told(tmp_path: Path, receiver: Outside) -> None:
    """The event and its fact are one transaction."""
    home = home_of(tmp_path, receiver)
    with pytest.raises(ZeroDivisionError), writing(home.engine) as connection:
        append(connection, home.catalog, "s1", ANSWER)
        _ = 1 / 0
    with home.engine.connect() as connection:
        assert outbox(home) == [] == connection.execute(select(OVERRIDES)).all() == connection.execute(select(AUDIT)).all()


def test_each_receiver_is_told_what_it_asked_for_under_one_id(tmp_path: Path) -> None:
    home = home_of(tmp_path, "https://a.example/", "https://b.example/")
    hooks = [home.catalog.webhooks[0], home.catalog.webhooks[1].model_copy(update={"events": ["run.failed"]})]
    catalog = home.catalog.model_copy(update={"webhooks": hooks})
    with writing(home.engine) as connection:
        note(connection, catalog, "run.done", {})
        note(connection, catalog, "run.failed", {})
        note(connection, catalog.model_copy(update={"webhooks": []}), "run.failed", {})
    rows = outbox(home)
    assert [(row["event"], row["url"]) for row in rows] == [
        ("run.done", "https://a.example/"), ("run.failed", "https://a.example/"), ("run.failed", "https://b.example/"),
    ]  # fmt: skip
    assert rows[1]["event_id"] == rows[2]["event_id"] != rows[0]["event_id"] and rows[1]["body"] == rows[2]["body"]


def test_the_outbox_is_seen_by_no_query_of_readers_and_forgets_what_is_old(tmp_path: Path, receiver: Outside) -> None:
    """A receiver's address may itself be a secret."""
    assert METADATA.tables["webhook_deliveries"].info["private"]
    home = home_of(tmp_path, receiver)
    say(home, 3)
    with writing(home.engine) as connection:
        connection.execute(update(WEBHOOK_DELIVERIES).where(WEBHOOK_DELIVERIES.c.delivery_id < 3).values(made_at="2020-01-01T00:00:00Z"))
        webhooks.forget_old(connection)
    assert [row["delivery_id"] for row in outbox(home)] == [3]


# --- how it is told -------------------------------------------------------------------------------------------------


def verified(asked: Asked) -> bool:
    """The signature computed again from the words of the documentation, without any code of ours."""
    parts = dict(one.split("=") for one in asked.headers["x-endcap-signature"].split(","))
    assert abs(int(parts["t"]) - time.time()) < 60 and set(parts) == {"t", "v1"}
    return hmac.new(SECRET.encode(), parts["t"].encode() + b"." + asked.body, hashlib.sha256).hexdigest() == parts["v1"]


def documented() -> Callable[[bytes, str, bytes], bool]:
    """The function that docs/webhooks.md gives to receivers."""
    (block,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8"), flags=re.M | re.S)
    found: dict[str, Any] = {}
    exec(block, found)  # noqa: S102 - our own page's example
    checked: Callable[[bytes, str, bytes], bool] = found["is_from_endcap"]
    return checked


def test_a_delivery_is_signed_and_says_what_it_is(tmp_path: Path, receiver: Outside) -> None:
    home = home_of(tmp_path, receiver)
    say(home)
    (tried,) = send_due(home).tried
    (asked,) = receiver.asked
    (row,) = outbox(home)
    assert tried.state == row["state"] == "sent" and row["status"] == 200 and row["sent_at"]
    assert (asked.method, asked.path, asked.body.decode()) == ("POST", "/hook", row["body"])
    assert asked.headers["content-type"] == "application/json" and asked.headers["x-endcap-event"] == "run.done"
    assert asked.headers["x-endcap-event-id"] == json.loads(asked.body)["id"] == row["event_id"]
    assert verified(asked)


def test_the_documented_check_takes_ours_and_refuses_what_was_altered(tmp_path: Path, receiver: Outside) -> None:
    home, check = home_of(tmp_path, receiver), documented()
    say(home)
    send_due(home)
    (asked,) = receiver.asked
    header, secret = asked.headers["x-endcap-signature"], SECRET.encode()
    assert check(secret, header, asked.body)
    moment, _comma, seal = header.partition(",")
    late = webhooks.signature(secret, asked.body, int(time.time()) - 400)
    altered = [(secret, header, asked.body + b" "), (b"another secret of ours", header, asked.body), (secret, f"t=1,{seal}", asked.body),
               (secret, late, asked.body),
               (secret, moment, asked.body), (secret, "", asked.body), (secret, f"{moment},v1=ü", asked.body), (secret, f"t=x,{seal}", asked.body)]  # fmt: skip
    assert [check(*one) for one in altered] == [False] * len(altered)


def test_a_receiver_that_was_down_gets_it_later_with_the_same_id_and_once(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    home, clock = home_of(tmp_path, f"http://127.0.0.1:{port}/", allow_outgoing=[{"network": "127.0.0.1", "ports": [port]}]), Clock()
    say(home)
    (first,) = send_due(home, clock=clock).tried
    assert (first.state, first.attempts) == ("waiting", 1) and "refused" in str(first.said)
    assert send_due(home, clock=clock).tried == [], "not before its time"
    with outside() as late:
        home = Home(home.catalog)
        clock.moment += BACKOFF_S[0] + 1
        fetcher = Fetcher(home.catalog.allow_outgoing, connect=to(late))
        (second,) = send_due(home, clock=clock, fetcher=fetcher).tried
        assert (second.state, second.event_id, second.attempts) == ("sent", first.event_id, 2)
        clock.moment += 10**7
        assert send_due(home, clock=clock, fetcher=fetcher).tried == []
        assert [one.headers["x-endcap-event-id"] for one in late.asked] == [first.event_id]


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 410, 429, 500, 503])
def test_whatever_is_not_2xx_is_tried_again_until_it_is_given_up(tmp_path: Path, receiver: Outside, status: int) -> None:
    home, clock, waited = home_of(tmp_path, receiver), Clock(), []
    receiver.answer = lambda _asked: (status, {"Location": "/elsewhere"}, b"")
    say(home)
    for attempt in range(1, MOST_ATTEMPTS + 1):
        (tried,) = send_due(home, clock=clock).tried
        assert tried.attempts == attempt and str(status) in str(tried.said)
        waited.append(outbox(home)[0]["next_try"] - clock.moment)
        clock.moment += BACKOFF_S[min(attempt, len(BACKOFF_S)) - 1] + 1
    assert outbox(home)[0]["state"] == "given_up" and waited[:-1] == pytest.approx(list(BACKOFF_S))
    clock.moment += 10**7
    assert send_due(home, clock=clock).tried == [] and len(receiver.asked) == MOST_ATTEMPTS
    assert len({(one.headers["x-endcap-event-id"], one.body) for one in receiver.asked}) == 1 and {one.path for one in receiver.asked} == {"/hook"}
    receiver.answer = lambda _asked: (204, {}, b"")
    assert webhooks.try_again(home) == 1 and [one.state for one in send_due(home).tried] == ["sent"]


def test_senders_at_once_send_each_once(tmp_path: Path, receiver: Outside) -> None:
    home = home_of(tmp_path, receiver)
    say(home, 60)
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _number: send_due(home), range(6)))
    assert sum(len(one.tried) for one in done) == 60 == len({asked.headers["x-endcap-event-id"] for asked in receiver.asked}) == len(receiver.asked)
    assert {row["state"] for row in outbox(home)} == {"sent"}


KILLED = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from endcap import settings
from endcap.ops.home import Home
from endcap.ops.webhooks import send_due
print("ready", flush=True)
send_due(Home(settings.read(Path(sys.argv[1]))))
"""


def test_a_sender_killed_half_way_leaves_it_to_the_next_one(tmp_path: Path, receiver: Outside) -> None:
    """The receiver may have heard it: it comes again with the same id, once the claim has passed."""
    (tmp_path / "endcap.yaml").write_text(json.dumps(given(receiver)), encoding="utf-8")
    home, heard, go_on = Home(settings.read(tmp_path)), threading.Event(), threading.Event()

    def slow(_asked: Asked) -> tuple[int, dict[str, str], bytes]:
        heard.set()
        go_on.wait(4)
        return 200, {}, b""

    receiver.answer = slow
    say(home)
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), str(ROOT)])
    assert heard.wait(60)
    child.kill()
    child.wait()
    go_on.set()
    clock = Clock()
    assert send_due(home, clock=clock).tried == [] and outbox(home)[0]["state"] == "waiting"
    clock.moment += CLAIM_S + 1
    (tried,) = send_due(home, clock=clock).tried
    assert tried.state == "sent" and len({asked.headers["x-endcap-event-id"] for asked in receiver.asked}) == 1 and len(receiver.asked) == 2


# --- nobody inside --------------------------------------------------------------------------------------------------


def test_no_webhook_is_told_to_anybody_inside(tmp_path: Path, canary: Outside) -> None:
    """Every hostile form of address, every name that leads inside, in the outbox as if the settings had named it."""
    urls = [filled(one, canary.port) for one in HOSTILE] + [f"http://inside{number}.example/" for number in range(len(LEADS_INSIDE))]
    home = home_of(tmp_path, "https://good.example/")
    (hook,) = home.catalog.webhooks
    hooks = [hook.model_copy(update={"url": url}) for url in dict.fromkeys(urls)]
    home.catalog = home.catalog.model_copy(update={"webhooks": hooks})
    say(home)

    def resolve(host: str, port: int) -> Sequence[str]:
        if host.startswith("inside"):
            return [LEADS_INSIDE[int(host.split(".")[0].removeprefix("inside"))]]
        return [PUBLIC] if host.endswith("public.example") else look_up(host, port)

    tried = send_due(home, fetcher=Fetcher(seconds=5, resolve=resolve, connect=to(canary))).tried
    assert len(tried) == len(hooks) >= 80 and {one.state for one in tried} == {"waiting"}
    assert not [one.url for one in tried if not one.said or "was not asked" in one.said or "could not be asked" in one.said]


def test_a_webhooks_name_that_is_led_elsewhere_after_the_check_gains_nothing(tmp_path: Path, canary: Outside, receiver: Outside) -> None:
    home, looked_up = home_of(tmp_path, "http://rebinding.example/"), []

    def rebinding(host: str, _port: int) -> Sequence[str]:
        looked_up.append(host)
        return [PUBLIC] if len(looked_up) == 1 else ["127.0.0.1"]

    def connect(number: str, port: int, seconds: float) -> socket.socket:
        there = receiver.port if number == PUBLIC else canary.port
        return socket.create_connection(("127.0.0.1", there), seconds)

    say(home, 2)
    tried = send_due(home, fetcher=Fetcher(resolve=rebinding, connect=connect)).tried
    assert [one.state for one in tried] == ["sent", "waiting"] and "not public" in str(tried[1].said)
    assert len(receiver.asked) == 1 and receiver.asked[0].headers["host"] == "rebinding.example"


def test_a_receiver_that_leads_on_to_somebody_inside_is_not_followed(tmp_path: Path, canary: Outside, receiver: Outside) -> None:
    home = home_of(tmp_path, receiver)
    for status in (301, 302, 303, 307, 308):
        receiver.answer = lambda _asked, status=status: (status, {"Location": canary.address}, b"")
        say(home)
        (tried,) = send_due(home).tried
        assert "redirects are not followed" in str(tried.said)


def test_what_is_allowed_for_webhooks_is_not_allowed_for_pictures(tmp_path: Path, receiver: Outside) -> None:
    from endcap.ops.pictures import pictures_of
    from endcap.ops.reachable import Refused

    home = home_of(tmp_path, receiver)
    with pytest.raises(Refused):
        pictures_of(home.catalog, home.path).fetch(f"{receiver.address}/1.png")
    home.catalog = settings.parse(given(receiver, allow_outgoing=[{"network": "127.0.0.1", "ports": [receiver.port], "purpose": "pictures"}]), where="test")
    say(home)
    (tried,) = send_due(home).tried
    assert "not public" in str(tried.said) and not receiver.asked


# --- settings, secrets, verbs and the server ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"url": "ftp://a.example/"}, "is no address"), ({"url": "https://kim:pw@a.example/"}, "is no address"), ({"secret_env": "A B"}, "secret_env"),
        ({"events": []}, "events"), ({"events": ["run.done", "run.don"]}, "events.1"), ({"secrt_env": "X"}, "did you mean 'secret_env'"),
    ],
)  # fmt: skip
def test_a_wrong_webhook_is_said_before_anything_runs(wrong: dict[str, Any], said: str) -> None:
    hook = {"url": "https://a.example/", "secret_env": "HOOK_SECRET", **wrong}
    with pytest.raises(BadSettings, match=re.escape(said)):
        settings.parse(given(webhooks=[hook]), where="test")


@pytest.mark.parametrize(
    "wrong", [{"network": "10.0.0.1/8"}, {"network": "intern.example"}, {"network": "10.0.0.0/8", "ports": [0]}, {"network": "::1", "ports": []}]
)
def test_a_wrong_network_is_said_before_anything_runs(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadSettings, match=r"allow_outgoing\.0"):
        settings.parse(given(allow_outgoing=[wrong]), where="test")


def test_a_receiver_named_twice_is_a_mistake() -> None:
    with pytest.raises(BadSettings, match="named twice"):
        settings.parse(given("https://a.example/", "https://a.example/"), where="test")


@pytest.mark.parametrize(("value", "said"), [(None, "is not set"), ("", "is not set"), ("known2us", "is shorter than 16")])
def test_a_missing_secret_is_one_sentence_and_the_others_are_told(
    tmp_path: Path, receiver: Outside, monkeypatch: pytest.MonkeyPatch, value: str | None, said: str
) -> None:
    home = home_of(tmp_path, "https://a.example/", receiver)
    home.catalog = home.catalog.model_copy(
        update={"webhooks": [home.catalog.webhooks[0].model_copy(update={"secret_env": "OTHER_SECRET"}), home.catalog.webhooks[1]]}
    )
    monkeypatch.delenv("OTHER_SECRET", raising=False)
    if value is not None:
        monkeypatch.setenv("OTHER_SECRET", value)
    say(home)
    sending = send_due(home)
    assert len(sending.problems) == 1 and said in sending.problems[0] and "OTHER_SECRET" in sending.problems[0] and sending.problems[0].count("\n") == 0
    assert [one.state for one in sending.tried] == ["sent"] and [row["attempts"] for row in outbox(home)] == [0, 1]
    assert not value or value not in sending.problems[0], "a secret is never said"
    with pytest.raises(BadInput, match=said):
        webhooks.secret_of(home.catalog.webhooks[0])


def test_the_verbs_run_list_and_send(tmp_path: Path, receiver: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "endcap.yaml").write_text(json.dumps(given(receiver)), encoding="utf-8")
    deliver(tmp_path, "2026-01-01", ["1,Wooden train", "2,Wooden car"])
    receiver.answer = lambda _asked: (503, {}, b"")
    ran = endcap("run", "--dir", tmp_path)
    assert ran.code == 0 and "answered 503; it is tried again later" in ran.stderr and len(receiver.asked) == 1, ran.stderr
    listed = endcap("webhooks", "--dir", tmp_path, "--json")
    assert listed.json["counts"] == {"waiting": 1, "sent": 0, "given_up": 0} and listed.json["deliveries"][0]["attempts"] == 1
    assert "body" not in listed.json["deliveries"][0] and "run.done" in endcap("webhooks", "list", "--dir", tmp_path).stdout
    assert endcap("webhooks", "send", "--dir", tmp_path, "--json").json == {"tried": [], "problems": []}, "it is not due"
    home = Home(settings.read(tmp_path))
    with writing(home.engine) as connection:
        connection.execute(update(WEBHOOK_DELIVERIES).values(state="given_up"))
    assert endcap("webhooks", "send", "--again", "--dir", tmp_path).code == 1
    with writing(home.engine) as connection:
        connection.execute(update(WEBHOOK_DELIVERIES).values(state="given_up"))
    monkeypatch.delenv("HOOK_SECRET")
    without = endcap("webhooks", "send", "--again", "--dir", tmp_path)
    assert without.code == 2 and "HOOK_SECRET" in without.stderr and "Traceback" not in without.stderr
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    receiver.answer = lambda _asked: (200, {}, b"")
    sent = endcap("webhooks", "send", "--dir", tmp_path)
    assert sent.code == 0 and "1 sent, 0 not taken" in sent.stdout and verified(receiver.asked[-1])
    assert len({one.headers["x-endcap-event-id"] for one in receiver.asked}) == 1


def test_the_server_tells_while_it_serves_and_stops_cleanly(tmp_path: Path, receiver: Outside) -> None:
    home = home_of(tmp_path, receiver)
    with Telling(home, pause_s=0.02) as telling:
        say(home, 5)
        until = time.monotonic() + 20
        while len(receiver.asked) < 5 and time.monotonic() < until:
            time.sleep(0.02)
    assert len(receiver.asked) == 5 and not telling._thread.is_alive()
    say(home)
    time.sleep(0.1)
    assert len(receiver.asked) == 5, "nothing is told after it has stopped"
    with Telling(home_of(tmp_path / "other")) as nobody:
        assert not nobody._thread.is_alive()


def test_a_broken_outbox_or_a_missing_secret_stops_no_server(
    tmp_path: Path, receiver: Outside, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    home, rounds = home_of(tmp_path, receiver), []

    def breaks(*_given: Any, **_more: Any) -> Sending:
        rounds.append(1)
        if len(rounds) == 1:
            raise OSError("the disk is gone")
        return Sending(problems=["a secret is missing."])

    monkeypatch.setattr("endcap.serve.telling.send_due", breaks)
    with Telling(home, pause_s=0.01):
        until = time.monotonic() + 20
        while len(rounds) < 4 and time.monotonic() < until:
            time.sleep(0.01)
    assert len(rounds) >= 4 and caplog.text.count("a secret is missing.") == 1 and "the disk is gone" in caplog.text
