"""Small catalogs as their tables tell them, run after run with ordinary churn, and ten kinds of drift of three sizes planted in the last run."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np

from endcap.metrics import _cases

FEEDS, OFFERS, RUNS = 3, 300, 5
CATEGORIES = ("Garden > Hoses", "Garden > Tools", "Kitchen > Pans", "Kitchen > Knives", "Toys > Dolls", "Toys > Games")
WORDS = ("blue", "steel", "large", "set", "classic", "pro", "mini", "garden", "kitchen", "soft", "round", "light", "extra", "home", "travel", "smart")
OTHERS = ("blau", "stahl", "gross", "satz", "klassisch", "profi", "klein", "garten", "kueche", "weich", "rund", "leicht", "mehr", "heim", "reise", "klug")
KINDS = ("fill", "price", "title", "category", "quarantine", "volume", "likeness", "new_products", "calibration", "disagreement")
# The share of the first feed's offers (or records, or answers) that is touched; of volume, how many offers more.
SIZES = {
    "fill": (0.1, 0.25, 0.5), "price": (0.1, 0.25, 0.9), "title": (0.1, 0.25, 0.8), "category": (0.12, 0.25, 0.5), "quarantine": (0.06, 0.1, 0.18),
    "volume": (0.2, 0.4, 0.8), "likeness": (0.15, 0.25, 0.5), "new_products": (0.45, 0.65, 0.7), "calibration": (0.05, 0.1, 0.2),
    "disagreement": (0.3, 0.4, 0.6),
}  # fmt: skip
NAMES = {
    "fill": "fill_mpn", "price": "price_scale", "title": "title_format", "category": "category_mix", "quarantine": "quarantine_share", "volume": "feed_volume",
    "likeness": "likeness", "new_products": "new_product_share", "calibration": "calibration", "disagreement": "disagreement",
}  # fmt: skip


class World:
    """Rows of the tables, written run by run."""

    def __init__(self, seed: int) -> None:
        self.dice = np.random.default_rng(seed)
        self.tables: dict[str, list[dict[str, Any]]] = {name: [] for name in ("offers", "decisions", "deliveries", "overrides", "snapshots", "blind_asks")}
        self.live: dict[str, dict[str, Any]] = {}
        self.believed: dict[str, tuple[float, str]] = {}
        self.count = 0

    def run(self, run: int, kind: str = "", size: float = 0.0) -> None:
        """One delivery of every feed with ordinary churn, and of the first feed what is planted."""
        for number in range(FEEDS):
            feed, planted = f"f{number}", kind if number == 0 else ""
            self._deliver(feed, run, planted, size)
        self.tables["snapshots"].append({"snapshot_id": f"s{run}", "run": run, "manifest_json": "{}", "current": run == RUNS})

    def _deliver(self, feed: str, run: int, kind: str, size: float) -> None:
        mine = [one for one in self.live.values() if one["feed"] == feed]
        for one in mine:
            if self.dice.random() < 0.03:
                self._end(one, run)
            elif self._churned(one, kind, size):
                self._write(one, run, moved=kind == "likeness" and self.dice.random() < size)
        came = OFFERS if run == 1 else int(self.dice.poisson(6 + (30 if kind == "new_products" else 0) + (size * OFFERS if kind == "volume" else 0)))
        for _offer in range(came):
            self._begin(feed, run, alone=0.3 + (size if kind == "new_products" else 0.0) > self.dice.random())
        if kind == "likeness":
            for one in [one for one in mine if one["offer_id"] in self.live]:
                if self.dice.random() < size:
                    self._decide(one, run, max(self.believed[one["offer_id"]][0] - 0.5, 0.05), "doubtful")
        live = sum(one["feed"] == feed for one in self.live.values())
        broken = int(self.dice.binomial(live, 0.01 + (size if kind == "quarantine" else 0.0)))
        self.tables["deliveries"].append({"delivery_id": f"{feed}@{run}", "feed": feed, "supplier": feed, "date": f"2026-01-0{run}", "state": "accepted",
                                          "read": live + broken, "quarantined": broken, "offers": live, "run": run})  # fmt: skip

    def _churned(self, one: dict[str, Any], kind: str, size: float) -> bool:
        """Change an offer as suppliers do, or as is planted; whether it changed."""
        before = dict(one)
        if self.dice.random() < 0.2:
            one["price"] = round(float(one["price"]) * float(self.dice.normal(1, 0.05)), 2)
        if self.dice.random() < 0.01:
            one["mpn"] = None if one["mpn"] else "M1"
        if self.dice.random() < 0.01:
            one["title"] = self._title(WORDS)
        if self.dice.random() < 0.003:
            one["category_path"] = str(self.dice.choice(CATEGORIES))
        hit = self.dice.random() < size
        if kind == "fill" and hit:
            one["mpn"] = None
        if kind == "price" and hit:
            one["price"] = round(float(one["price"]) * 100, 2)
        if kind == "title" and hit:
            one["title"] = self._title(OTHERS)
        if kind == "category" and hit:
            one["category_path"] = "Sale > All"
        return one != before

    def _title(self, words: tuple[str, ...]) -> str:
        return " ".join(self.dice.choice(words, 5, replace=False))

    def _begin(self, feed: str, run: int, *, alone: bool) -> None:
        self.count += 1
        one = {"offer_id": f"{feed}:{self.count:05}", "feed": feed, "supplier": feed, "title": self._title(WORDS), "brand": "Acme",
               "mpn": f"M{self.count}" if self.dice.random() < 0.9 else None, "gtin": f"{self.count:014}" if self.dice.random() < 0.7 else None,
               "price": round(float(self.dice.lognormal(3, 1)) + 1, 2), "currency": "EUR", "category_path": str(self.dice.choice(CATEGORIES))}  # fmt: skip
        self.live[one["offer_id"]] = one
        self._write(one, run)
        self._decide(one, run, 0.1 if alone else float(self.dice.beta(30, 1)), "new" if alone else "alike")

    def _write(self, one: dict[str, Any], run: int, *, moved: bool = False) -> None:
        self.tables["offers"].append({**one, "run": run})

    def _end(self, one: dict[str, Any], run: int) -> None:
        del self.live[one["offer_id"]]
        self.tables["offers"].append({**one, "run": run, "gone": True})
        self.tables["decisions"].append({"offer_id": one["offer_id"], "kind": "product", "run": run, "gone": True})

    def _decide(self, one: dict[str, Any], run: int, likeness: float, code: str) -> None:
        self.believed[one["offer_id"]] = (likeness, code)
        action = {"new": "new_product", "alike": "linked", "doubtful": "to_review"}[code]
        self.tables["decisions"].append({"offer_id": one["offer_id"], "kind": "product", "action": action, "product_id": f"p{one['offer_id']}",
                                         "confidence": round(1 - likeness if code == "new" else likeness, 4), "reason_code": code, "decided_by": "machine",
                                         "model": "m", "run": run})  # fmt: skip

    def ask(self, wrong: float, differing: float) -> None:
        """People judge 250 links at the end, and second answers go on."""
        linked = sorted(offer_id for offer_id, (_likeness, code) in self.believed.items() if code == "alike" and offer_id in self.live)
        for place, offer_id in enumerate(self.dice.permutation(linked)[:250]):
            right = self.dice.random() < self.believed[offer_id][0] - wrong
            self.tables["overrides"].append({"override_id": place + 1, "offer_id": str(offer_id), "action": "same" if right else "different",
                                             "counterpart_offer_id": "x", "reason_code": "audit", "actor": "kim", "snapshot_id": f"s{RUNS}"})  # fmt: skip
        for place in range(160):
            share = 0.05 if place < 100 else 0.05 + differing
            self.tables["blind_asks"].append({"ask_id": place + 1, "offer_id": "x", "asked_of": "kim", "purpose": "second",
                                              "agrees": bool(self.dice.random() >= share)})  # fmt: skip


def drifted(seed: int, kind: str = "", size: float = 0.0) -> duckdb.DuckDBPyConnection:
    """The tables after five runs, of which the last one holds the drift."""
    world = World(seed)
    for run in range(1, RUNS + 1):
        world.run(run, kind if run == RUNS else "", size)
    world.ask(size if kind == "calibration" else 0.0, size if kind == "disagreement" else 0.0)
    return _cases.connection(world.tables)
