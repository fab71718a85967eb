"""What a person does to a product: splits, merges, values and locks, through real runs, and their undo."""

from __future__ import annotations

import csv
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from endcap import flow, settings
from endcap.ops import audit
from endcap.ops.home import Home
from endcap.problems import BadInput
from endcap.review.product import (
    Actor,
    Outweighed,
    Shared,
    effect_of_merge,
    effect_of_split,
    merge,
    set_field,
    split,
    take_back,
    version_of,
)
from endcap.review.values import GivenValue, give_values
from endcap.serve.reading import Reading

KIM, LEE, LEA = Actor("kim", "reviewer"), Actor("lee", "reviewer"), Actor("lea", "lead")
MANY = 25


def opened(folder: Path) -> tuple[Home, Reading]:
    home = Home(settings.read(folder))
    return home, Reading(home, home.snapshot())


def rerun(folder: Path) -> Reading:
    flow.run(settings.read(folder))
    return opened(folder)[1]


def membership(reading: Reading) -> dict[str, str | None]:
    return {row["offer_id"]: row["product_id"] for row in reading.rows("SELECT offer_id, product_id FROM decisions WHERE kind = 'product'")}


def products(reading: Reading, least: int = 1, most: int = 99) -> dict[str, list[str]]:
    """Live products of the machine's making with their offers, those with `least` to `most`."""
    found: dict[str, list[str]] = {}
    for offer_id, product_id in sorted(membership(reading).items()):
        if product_id:
            found.setdefault(product_id, []).append(offer_id)
    return {product_id: offers for product_id, offers in found.items() if least <= len(offers) <= most}


def product_rows(reading: Reading) -> dict[str, dict[str, Any]]:
    """Every product that was not founded since, as its readers see it."""
    rows = reading.rows("SELECT product_id, state, title, brand, category, gtin, offers, values FROM products ORDER BY product_id")
    for row in rows:
        row["values"] = [(value["field"], value["value"], value["override_id"]) for value in row["values"]]
    return {row["product_id"]: row for row in rows}


def test_splits_and_merges_hold_and_their_undo_brings_every_id_back(copy_of_demo: Path) -> None:
    home, reading = opened(copy_of_demo)
    before, rows_before = membership(reading), product_rows(reading)
    large = list(products(reading, 3, 20).items())[:MANY]
    small = [one for one in products(reading, 1, 2) if one not in dict(large)][: 2 * MANY]
    assert len(large) == MANY and len(small) == 2 * MANY
    deeds = [split(home, reading, product_id, offers[:2], KIM, key=f"split {product_id}") for product_id, offers in large]
    deeds += [merge(home, reading, one, other, KIM, key=f"merge {one}") for one, other in zip(small[::2], small[1::2], strict=True)]
    after = membership(rerun(copy_of_demo))
    for product_id, offers in large:
        assert after[offers[0]] == after[offers[1]] != product_id, "what was split off is one product of its own"
        assert {after[one] for one in offers[2:]} == {product_id}, "the rest keeps the id"
    for one, other in zip(small[::2], small[1::2], strict=True):
        moved = [offer_id for offer_id, product_id in before.items() if product_id in (one, other)]
        assert {after[offer_id] for offer_id in moved} == {other}
        assert product_rows(opened(copy_of_demo)[1])[one]["state"] == "merged"
    for deed in deeds:
        take_back(home, deed.override_ids[0], KIM)
    reading = rerun(copy_of_demo)
    assert membership(reading) == before
    rows_after = product_rows(reading)
    assert {product_id: rows_after[product_id] for product_id in rows_before} == rows_before
    assert audit.verify(home.engine).broken is None


def test_what_was_said_and_taken_back_before_a_run_changes_nothing(copy_of_demo: Path) -> None:
    home, reading = opened(copy_of_demo)
    before, rows_before = membership(reading), product_rows(reading)
    product_id, offers = next(iter(products(reading, 3, 9).items()))
    take_back(home, split(home, reading, product_id, offers[:1], KIM, key="a").override_ids[0], KIM)
    take_back(home, set_field(home, reading, product_id, "brand", "Otherwise", KIM, key="b").override_ids[0], KIM)
    reading = rerun(copy_of_demo)
    assert membership(reading) == before and product_rows(reading) == rows_before


def test_a_key_stands_for_the_whole_deed(copy_of_demo: Path) -> None:
    home, reading = opened(copy_of_demo)
    product_id, offers = next(iter(products(reading, 4, 9).items()))
    stored = split(home, reading, product_id, offers[:1], KIM, key="a split")
    assert split(home, reading, product_id, offers[:1], KIM, key="a split").override_ids == stored.override_ids
    with pytest.raises(BadInput, match="used for something else"):
        split(home, reading, product_id, offers[:2], KIM, key="a split")
    set_field(home, reading, product_id, "brand", "Otherwise", KIM, key="a value", until="2099-01-01")
    for more in ({"until": "2099-01-02"}, {"note": "more"}):
        with pytest.raises(BadInput, match="used for something else"):
            set_field(home, reading, product_id, "brand", "Otherwise", KIM, key="a value", **({"until": "2099-01-01"} | more))
    assert set_field(home, reading, product_id, "brand", "Otherwise", KIM, key="a value", until="2099-01-01").repeated


def test_a_gtin_that_waits_for_the_next_run_is_that_products_too(copy_of_demo: Path) -> None:
    home, reading = opened(copy_of_demo)
    one, other = list(products(reading, 2, 9))[:2]
    set_field(home, reading, one, "gtin", "4012345678901", KIM, key="one")
    with pytest.raises(Shared, match="04012345678901"):
        set_field(home, reading, other, "gtin", "4012345678901", LEE, key="other")
    assert set_field(home, reading, other, "gtin", "4012345678901", LEE, key="other", shared=True).override_ids


def test_previews_say_what_would_become_of_offers(copy_of_demo: Path) -> None:
    home, reading = opened(copy_of_demo)
    (one, its), (other, others) = list(products(reading, 3, 9).items())[:2]
    shown = effect_of_split(reading, one, its[:2])
    assert (shown.product_id, shown.offers, shown.other_offers) == (one, len(its) - 2, 2) and len(shown.samples) == 2
    split(home, reading, one, its[:2], KIM, key="k")
    assert membership(rerun(copy_of_demo))[its[0]] == shown.other_id, "the id that was foretold"
    merging = effect_of_merge(reading, one, other)
    assert (merging.product_id, merging.other_id, merging.offers, merging.other_offers) == (other, one, len(others), len(its))


def test_a_product_that_the_next_run_will_part_is_merged_once_the_run_did(copy_of_demo: Path) -> None:
    home, reading = opened(copy_of_demo)
    (one, its), (other, others) = list(products(reading, 3, 9).items())[:2]
    parted = split(home, reading, one, its[:1], KIM, key="split")
    reading.bring_up()
    for left, right in ((one, other), (other, one)):
        assert any("kim said" in words for words in effect_of_merge(reading, left, right).contradictions)
        with pytest.raises(BadInput, match="since the last run"):
            merge(home, reading, left, right, LEE, key=f"merge {left}")
    take_back(home, parted.override_ids[0], KIM)
    take_back(home, merge(home, reading, one, other, LEE, key="nothing parts it").override_ids[0], LEE)
    split(home, reading, one, its[:1], KIM, key="split again")
    reading = rerun(copy_of_demo)
    merge(home, reading, one, other, LEE, key="after the run")
    after = membership(rerun(copy_of_demo))
    assert {after[offer_id] for offer_id in [*its[1:], *others]} == {other} and after[its[0]] not in (None, one, other)


@pytest.mark.parametrize("chosen", [slice(0, 0), slice(None)])
def test_a_split_of_nothing_or_everything_is_refused(copy_of_demo: Path, chosen: slice) -> None:
    home, reading = opened(copy_of_demo)
    product_id, offers = next(iter(products(reading, 3, 9).items()))
    with pytest.raises(BadInput, match="on each side"):
        split(home, reading, product_id, offers[chosen], KIM, key="k")
    with pytest.raises(BadInput, match="no offer of"):
        split(home, reading, product_id, ["nobody:1"], KIM, key="k")
    with pytest.raises(BadInput, match="into itself"):
        merge(home, reading, product_id, product_id, KIM, key="k")


def test_the_same_key_stores_once_and_means_one_thing(copy_of_demo: Path) -> None:
    home, reading = opened(copy_of_demo)
    one, other = list(products(reading, 2, 9))[:2]
    version = version_of(home, reading, one)
    first = set_field(home, reading, one, "brand", "Acme", KIM, key="k")
    again = set_field(home, reading, one, "brand", "Acme", KIM, key="k")
    assert again.repeated and again.override_ids == first.override_ids
    assert version_of(home, reading, one) != version
    for changed in ((one, "brand", "Other", KIM), (one, "brand", "Acme", LEE), (other, "brand", "Acme", KIM)):
        with pytest.raises(BadInput, match="used for something else"):
            set_field(home, reading, *changed, key="k")


@pytest.mark.parametrize(("field", "value"), [("brand", " "), ("brand", "x" * 501), ("gtin", "123"), ("price", "1"), ("pack_count", "-7"), ("title", "a\x00b")])
def test_a_value_that_cannot_be_is_refused_in_a_sentence(copy_of_demo: Path, field: str, value: str) -> None:
    home, reading = opened(copy_of_demo)
    with pytest.raises(BadInput):
        set_field(home, reading, next(iter(products(reading))), field, value, KIM, key="k")
    with pytest.raises(BadInput, match="no live product"):
        set_field(home, reading, "PNOBODY", "brand", "Acme", KIM, key="k")


def test_a_gtin_of_another_product_is_set_only_where_that_is_said(copy_of_demo: Path) -> None:
    home, reading = opened(copy_of_demo)
    rows = reading.rows("SELECT product_id, gtin FROM products WHERE state = 'live' AND gtin IS NOT NULL ORDER BY product_id")
    one, code = rows[0]["product_id"], rows[0]["gtin"]
    other = next(row["product_id"] for row in rows if row["gtin"] != code)
    assert set_field(home, reading, one, "gtin", code, KIM, key="its own").override_ids
    with pytest.raises(Shared, match=f"the GTIN {code} is that of") as caught:
        set_field(home, reading, other, "gtin", code, KIM, key="k")
    assert caught.value.product_id == one
    stored = set_field(home, reading, other, "gtin", code, KIM, key="k", shared=True)
    assert set_field(home, reading, other, "gtin", code, KIM, key="k").override_ids == stored.override_ids, "sent again it is known by its key"
    with pytest.raises(BadInput, match=f"{code} is that of .*/p/{one}"):
        give_values(home, reading, [GivenValue("another key", other, "gtin", "set", code)], KIM, 0)
    kept = GivenValue("a third key", other, "gtin", "set", code, override_id=stored.override_ids[0])
    assert [one.state for one in give_values(home, reading, [kept], KIM, 0)] == ["stored"], "a person's own word is kept without being asked again"


def test_a_split_takes_nothing_along_that_a_lead_brought_since_the_last_run(copy_of_demo: Path) -> None:
    """All that a merge moves hangs on one offer: whoever split that off would reverse the merge."""
    home, reading = opened(copy_of_demo)
    (into, there), (moved, moving) = list(products(reading, 2, 4).items())[:2]
    merge(home, reading, moved, into, LEA, key="merge")
    with pytest.raises(Outweighed, match=r"lea .lead. brought .* ask one whose word counts as much"):
        split(home, reading, into, there[:1], KIM, key="split")
    reading = rerun(copy_of_demo)
    assert {membership(reading)[one] for one in (*there, *moving)} == {into}
    with pytest.raises(Outweighed):
        split(home, reading, into, there[:1], KIM, key="split")


def test_a_value_beside_a_lock_is_refused_with_what_to_do(copy_of_demo: Path) -> None:
    home, reading = opened(copy_of_demo)
    product_id = next(iter(products(reading)))
    locked = set_field(home, reading, product_id, "brand", "Acme", LEA, key="lock", lock=True)
    for by in (LEA, KIM):
        with pytest.raises(Outweighed):
            set_field(home, reading, product_id, "brand", "Apex", by, key=f"set by {by.name}")
    assert set_field(home, reading, product_id, "brand", "Apex", LEA, key="lock again", lock=True)
    take_back(home, locked.override_ids[0], LEA)


# --- who outweighs whom (THREATS D4) --------------------------------------------------------------------------------


class Source:
    """One feed of the demo whose next deliveries the test writes, and a product that only this feed offers."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.day = folder, 10
        files = sorted((folder / "inbox").glob("*/bazaar-one.csv"))
        with files[-1].open(encoding="utf-8-sig", newline="") as file:
            self.dialect = csv.Sniffer().sniff(file.readline(), delimiters=";,\t|")
            file.seek(0)
            self.rows = list(csv.DictReader(file, dialect=self.dialect))

    def deliver(self) -> Reading:
        self.day += 1
        folder = self.folder / "inbox" / f"2026-03-{self.day}"
        folder.mkdir()
        with (folder / "bazaar-one.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(self.rows[0]), dialect=self.dialect)
            writer.writeheader()
            writer.writerows(self.rows)
        return rerun(self.folder)


@pytest.mark.parametrize(("alter", "words"), [
    ("UPDATE overrides SET value = 'Apex' WHERE override_id = 1", "answer 1 was altered"),
    ("DELETE FROM overrides WHERE override_id = 1", "answer 1 was removed"),
])  # fmt: skip
def test_whoever_alters_an_answer_past_the_database_is_found(copy_of_demo: Path, alter: str, words: str) -> None:
    home, reading = opened(copy_of_demo)
    set_field(home, reading, next(iter(products(reading))), "brand", "Acme", KIM, key="k")
    assert audit.verify(home.engine).broken is None
    with sqlite3.connect(home.path / "ops.sqlite") as other:
        for verb in ("update", "delete"):
            other.execute(f"DROP TRIGGER overrides_no_{verb}")
        other.execute(alter)
    found = audit.verify(home.engine)
    assert found.broken is not None and words in found.words
