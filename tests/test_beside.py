"""What a founded product is shown beside in an audit: what matching compared, and what a search through every offer finds, in turn."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path

import pytest
from conftest import Demo
from tried import truly, truth_of

from endcap import settings
from endcap.metrics import automated_success
from endcap.ops.home import Home
from endcap.review import audit
from endcap.review.nearest import MOST_NEAREST, Nearest


class Plain:
    """The same, without an index: every offer is looked at."""

    def __init__(self, home: Home) -> None:
        with home.connect() as con:
            rows = con.execute("""
                SELECT o.offer_id, d.product_id, o.title, o.gtin, o.mpn FROM offers o LEFT JOIN decisions d ON d.offer_id = o.offer_id AND d.kind = 'product'
                ORDER BY o.offer_id""").fetchall()
            self.pairs = con.execute("SELECT left_id, right_id, score FROM pairs").fetchall()
        self.product_of = {row[0]: row[1] for row in rows if row[1] is not None}
        self.words = {row[0]: set(re.findall(r"[^\W_]+", row[2].lower())) for row in rows}
        self.codes = {row[0]: (row[3], row[4] and row[4].lower()) for row in rows}
        self.stating = Counter(word for one in self.product_of for word in self.words[one])

    def rarity(self, words: set[str]) -> float:
        return sum(math.log((1 + len(self.product_of)) / self.stating[word]) for word in words if self.stating[word])

    def likeness(self, asked: str, other: str) -> float:
        rank = sum(
            worth for worth, one, its in zip((4, 2), self.codes[asked], self.codes[other], strict=True) if one is not None and one == its
        )  # fmt: skip
        return rank + self.rarity(self.words[asked] & self.words[other]) / max(1e-9, self.rarity(self.words[asked] | self.words[other]))

    def of(self, asked: str) -> list[tuple[str, str]]:
        scores = {right if left == asked else left: score for left, right, score in self.pairs if asked in (left, right)}
        compared = sorted(scores, key=lambda one: (-scores[one], one))
        likeness = {one: self.likeness(asked, one) for one in self.product_of}
        searched = sorted((one for one in likeness if likeness[one] > 1e-9), key=lambda one: (-round(likeness[one], 9), one))
        found: dict[str, str] = {}
        for place in range(max(len(compared), len(searched))):
            for other in (*compared[place : place + 1], *searched[place : place + 1]):
                product = self.product_of.get(other)
                if other != asked and product not in (None, self.product_of.get(asked)) and len(found) < MOST_NEAREST:
                    found.setdefault(str(product), other)
        return [(other, product) for product, other in found.items()]


@pytest.mark.parametrize("count", [60, pytest.param(1_000, marks=pytest.mark.nightly)])
def test_it_is_what_a_look_at_every_offer_finds(demo: Demo, count: int) -> None:
    home = Home(settings.read(demo.folder))
    plain = Plain(home)
    with home.connect() as con:
        founded = [one for one in audit.order_of_draw(con, 10_000, seed=7) if one.decided == "new_product"][:count]
        nearest = Nearest(con)
        for one in founded:
            found = audit.beside(con, one, nearest)
            assert found is not None
            shown = [(found.counterpart_offer_id, found.product_id), *found.more]
            assert shown == plain.of(one.offer_id), one
        assert len(founded) == count and nearest.of(con, "no:such") == []
        linked = next(one for one in audit.order_of_draw(con, 10_000, seed=7) if one.decided == "linked")
        assert audit.beside(con, linked, nearest) is linked


def test_of_products_founded_twice_nearly_all_are_shown_beside_each_other(demo: Demo) -> None:
    """An audit can only find a wrongly founded product where the right one is on the screen."""
    home = Home(settings.read(demo.folder))
    truth = truth_of(home)
    with home.connect() as con:
        placed = dict(con.execute("SELECT offer_id, product_id FROM decisions WHERE kind = 'product' AND product_id IS NOT NULL").fetchall())
        products: dict[str, set[str]] = {}
        for offer_id, product_id in placed.items():
            products.setdefault(truth.get(offer_id, ""), set()).add(product_id)
        founders = [
            row[0] for row in con.execute("SELECT offer_id FROM decisions WHERE action = 'new_product' AND decided_by = 'machine' ORDER BY 1").fetchall()
        ]
        twice = [one for one in founders if one in truth and len(products[truth[one]]) > 1]
        nearest = Nearest(con)
        shown = [any(truth.get(other) == truth[one] for other, _product in nearest.of(con, one)) for one in twice]
    assert len(twice) >= 10 and sum(shown) >= 0.85 * len(twice), f"{sum(shown)} of {len(twice)}"


@pytest.mark.nightly
def test_truthful_audits_tell_how_often_the_machine_is_right(copy_of_demo: Path) -> None:
    """Of links and founded products alike; of two products that are one, one was founded wrongly."""
    home = Home(settings.read(copy_of_demo))
    truth = truth_of(home)
    with home.connect() as con:
        decided = con.execute("""
            SELECT offer_id, product_id, counterpart_offer_id, action FROM decisions
            WHERE kind = 'product' AND decided_by = 'machine' AND action IN ('linked', 'new_product') ORDER BY offer_id""").fetchall()
        placed = con.execute("SELECT offer_id, product_id FROM decisions WHERE kind = 'product' AND product_id IS NOT NULL").fetchall()
        began = dict(con.execute("SELECT product_id, min(row(run, product_id)) FROM product_events WHERE event = 'founded' GROUP BY 1").fetchall())
        items = audit.draw(con, 10_000, seed=7)
    products: dict[str, set[str]] = {}
    for offer_id, product_id in placed:
        products.setdefault(truth[offer_id], set()).add(product_id)
    right = {"linked": [truth[one] == truth[other] for one, _product, other, action in decided if action == "linked"]}
    founded = [(one, product) for one, product, _other, action in decided if action == "new_product"]
    right["new_product"] = [not any(began[other] < began[product] for other in products[truth[one]] - {product}) for one, product in founded]
    for item in items:
        audit.answer_audit(home, item, same=truly(item, truth), actor="tester")
    with home.connect() as con:
        success = next(one for one in automated_success.measure(con) if one.name.endswith("success"))
    told = {one.name: one.value for one in success.slices if one.by == "decision"}
    for kind, found in right.items():
        assert told[kind] == pytest.approx(sum(found) / len(found), abs=0.01), kind
    assert not all(right["new_product"]) and success.low is not None and success.high is not None
    assert success.low <= (sum(map(sum, right.values())) / len(decided)) <= success.high
