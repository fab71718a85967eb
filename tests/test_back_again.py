"""A feed that loses some of its offers for a day and has them again: who stayed is not moved, and what returns goes on as what it was."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest
from conftest import endcap

from endcap import settings
from endcap.ops.home import Home

THINGS = ("Chain", "Cassette", "Saddle", "Pedal", "Brake disc", "Chainring", "Bottle cage", "Hub", "Stem", "Grip")
KINDS = {"Chain": ("112 links", "114 links", "116 links"), "Saddle": ("143 mm", "155 mm", "168 mm")}
FEEDS = ("one", "two", "three")
OF_A_FEED = (
    'file: "{{date}}/{feed}.csv"\n    format: csv\n    fields: {{id: id, title: title, brand: brand, gtin: gtin, price: price, currency: {{constant: EUR}}}}'
)
DAYS = ("2026-03-01", "2026-03-02", "2026-03-03")


def goods(dice: random.Random) -> dict[str, list[dict[str, str]]]:
    """Rows by feed: things in kinds that only a number tells apart, of which each feed has some."""
    rows: dict[str, list[dict[str, str]]] = {feed: [] for feed in FEEDS}
    names = ["".join(dice.choice(("ka", "lo", "mi", "ne", "pu", "ra", "so", "ti", "vu")) for _syllable in range(3)).title() for _name in range(60)]
    for number in range(130):
        thing, brand, name = THINGS[number % len(THINGS)], dice.choice(names[:12]), dice.choice(names[12:])
        for kind in KINDS.get(thing, ("28 mm", "32 mm", "36 mm")):
            gtin, code, price = f"40{number:05d}{KINDS.get(thing, ('28 mm', '32 mm', '36 mm')).index(kind):05d}", f"M{100 + 7 * number}", dice.uniform(8, 200)
            for feed in FEEDS:
                if dice.random() < 0.55:
                    title = f"{brand} {name} {thing} {code} {kind}" if feed == "one" else f"{thing} {brand} {name} {kind if dice.random() < 0.7 else code}"
                    row = {"title": title, "brand": brand if dice.random() < 0.5 else "", "gtin": checked(gtin) if dice.random() < 0.4 else ""}
                    rows[feed].append({"id": f"{feed[0]}{len(rows[feed])}", **row, "price": f"{price * dice.uniform(0.9, 1.1):.2f}"})
    return rows


def checked(digits: str) -> str:
    """With the check digit of GTIN-13."""
    return digits + str(-sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10)


def deliver(folder: Path, day: str, rows: dict[str, list[dict[str, str]]]) -> None:
    (folder / "inbox" / day).mkdir(parents=True)
    for feed, of_feed in rows.items():
        with (folder / "inbox" / day / f"{feed}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(of_feed[0]))
            writer.writeheader()
            writer.writerows(of_feed)


def placed(folder: Path, day: str) -> dict[str, str]:
    """Offer -> product after the run of a day."""
    done = endcap("run", "--until", day, "--dir", folder)
    assert done.code == 0, done.stderr
    with Home(settings.read(folder)).connect() as con:
        return dict(con.execute("SELECT offer_id, product_id FROM decisions WHERE kind = 'product' AND product_id IS NOT NULL").fetchall())


@pytest.mark.parametrize("seed", [3, pytest.param(4, marks=pytest.mark.nightly), pytest.param(5, marks=pytest.mark.nightly)])
def test_what_is_away_for_a_day_moves_nothing_else_and_comes_back_as_what_it_was(tmp_path: Path, seed: int) -> None:
    rows = goods(random.Random(seed))
    feeds = "\n  ".join(f"{feed}:\n    {OF_A_FEED.format(feed=feed)}" for feed in FEEDS)
    (tmp_path / "endcap.yaml").write_text(f"name: parts\nfeeds:\n  {feeds}\n", encoding="utf-8")
    short = {**rows, "two": rows["two"][: len(rows["two"]) * 3 // 4]}
    for day, delivered in zip(DAYS, (rows, short, rows), strict=True):
        deliver(tmp_path, day, delivered)
    first, without, again = (placed(tmp_path, day) for day in DAYS)
    away = {f"two:{row['id']}" for row in rows["two"][len(short["two"]) :]}
    assert len(first) > 300 and len(away & first.keys()) > 20 and not away & without.keys()
    assert {one: without.get(one) for one in first.keys() - away} == {one: product for one, product in first.items() if one not in away}
    assert {one: again.get(one) for one in first} == first
