"""People answer about offers while runs change those offers: nothing is lost, and nothing is applied to another thing than was shown (class D3)."""

from __future__ import annotations

import csv
import random
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from played import DECISIONS, Tally, World, decision, items_of, stored, world_of

from endcap import flow, settings
from endcap.review.product import Actor, take_back

FIELDS = ("id", "title", "brand", "mpn", "description", "price", "currency")
ACTIONS = ("same", "different", "new")
A_ROUND = 100


@dataclass(frozen=True)
class Given:
    """An answer, and whether its offer was changed by the round's delivery."""

    key: str
    offer_id: str
    action: str
    product_id: str | None
    counterpart: str | None
    identity: int


def answers_around_runs(world: World, tally: Tally, wanted: int) -> None:
    """Rounds of: items shown, some of their offers delivered anew with another title, a run; answers come before it, in it and after it."""
    dice, day = random.Random(7), date(2026, 1, 1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        feeds = _feeds_of(world)
        _settings(root, feeds)
        _deliver(root, day, feeds)
        flow.run(settings.read(root))
        own = world_of(root)
        while tally.tried < wanted:
            shown = [item for item in items_of(own) if item["choices"]]
            shown = dice.sample(shown, min(len(shown), A_ROUND, wanted - tally.tried))
            day += timedelta(days=1)
            changed = {item["offer_id"] for item in shown if dice.random() < 0.5}
            _change(feeds, changed, str(day))
            _deliver(root, day, feeds)
            given = _answer_around(own, root, shown, dice)
            flow.run(settings.read(root))
            _check(own, given, tally)
            for row in [row for row in stored(own) if row["key"] in {one.key for one in given}]:
                take_back(own.home, row["override_id"], Actor(row["actor"], "admin"))
            flow.run(settings.read(root))


def _feeds_of(world: World) -> dict[str, dict[str, dict[str, str]]]:
    """The catalog's offers by feed and id, as plain columns."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for row in world.reading().rows("SELECT feed, source_id, title, brand, mpn, description, price, currency FROM offers ORDER BY offer_id"):
        texts = {name: "" if row[name] is None else str(row[name]) for name in FIELDS[1:]}
        found.setdefault(row["feed"], {})[row["source_id"]] = {"id": row["source_id"], **texts}
    return found


def _settings(root: Path, feeds: dict[str, Any]) -> None:
    told = ["name: races", "home: catalog", "inbox: inbox", "feeds:"]
    for name in feeds:
        told += [f"  {name}:", f'    file: "{{date}}/{name}.csv"', "    format: csv", "    fields:", *(f"      {one}: {one}" for one in FIELDS)]
    (root / "endcap.yaml").write_text("\n".join(told) + "\n", encoding="utf-8")


def _deliver(root: Path, day: date, feeds: dict[str, dict[str, dict[str, str]]]) -> None:
    folder = root / "inbox" / str(day)
    folder.mkdir(parents=True)
    for name, offers in feeds.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, FIELDS)
            writer.writeheader()
            writer.writerows(offers.values())


def _change(feeds: dict[str, dict[str, dict[str, str]]], offer_ids: set[str], mark: str) -> None:
    """Another title that resembles the former one: it is the same thing by all that a machine can tell, and another identity."""
    for offer_id in offer_ids:
        feed, source_id = offer_id.split(":", 1)
        offer = feeds[feed][source_id]
        offer["title"] = f"{offer['title'].split(' rev ')[0]} rev {mark}"


def _answer_around(world: World, root: Path, shown: list[dict[str, Any]], dice: random.Random) -> list[Given]:
    """Answer each item at a moment before, in or after a run; returns what the server said it stored."""
    client, given = world.client(), list[Given]()

    def answer(item: dict[str, Any]) -> None:
        sent = decision(item, dice.choice(ACTIONS), uuid.uuid4().hex)
        told = client.post(DECISIONS, json={"decisions": [sent]}).json()["outcomes"][0]
        if told["state"] == "stored":
            given.append(Given(sent["key"], sent["offer_id"], sent["action"], sent["product_id"], sent["counterpart_offer_id"], int(sent["identity"])))

    third = len(shown) // 3
    for item in shown[:third]:
        answer(item)
    running = threading.Thread(target=lambda: flow.run(settings.read(root)))
    running.start()
    for item in shown[third : 2 * third]:
        time.sleep(dice.random() * 0.15)
        answer(item)
    running.join()
    for item in shown[2 * third :]:
        answer(item)
    return given


def _check(world: World, given: list[Given], tally: Tally) -> None:
    """Each answer is in the log once; it holds where the offer is what was shown, and is asked about again where it is not."""
    reading, keys = world.reading(), [row["key"] for row in stored(world)]
    ids = {row["key"]: row["override_id"] for row in stored(world)}
    marks = ", ".join("?" * len(given))
    rows = reading.rows(
        "SELECT d.offer_id, d.action, d.product_id, d.proposed_product_id, d.reason_code, d.decided_by, d.override_id, o.identity_hash FROM decisions d "
        f"JOIN offers o USING (offer_id) WHERE d.kind = 'product' AND d.offer_id IN ({marks})", [one.offer_id for one in given],
    )  # fmt: skip
    now = {row["offer_id"]: row for row in rows}
    for one in given:
        row = now[one.offer_id]
        kept = keys.count(one.key) == 1
        asked = row["action"] == "to_review"
        if row["identity_hash"] != one.identity:
            good, words = asked and row["override_id"] == ids[one.key], "was applied to what the supplier changed, or not asked again"
        elif one.action == "different":
            good, words = one.product_id not in (row["product_id"], row["proposed_product_id"]), "does not hold"
        else:
            by_it = row["decided_by"] == "person" and row["override_id"] == ids[one.key]
            good, words = by_it and (not asked or row["reason_code"] == "answers_contradict"), "was not applied"
        tally.check(kept and good, f"{one.action} of {one.offer_id} {words}: {row['action']} {row['reason_code']} {row['decided_by']}")
