"""Reading a delivery: every record is accounted for, only what changed is handed on, budgets hold."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from endcap.feeds import Reading, read_delivery, sorting
from endcap.feeds.guard import is_another_value
from endcap.schema import Offer, Quarantined, arrow_schema
from endcap.settings import Feed

EMPTY = arrow_schema(Offer).empty_table()
FIELDS = {"id": "id", "title": "title", "brand": "brand", "price": "price", "gtin": "ean", "mpn": "mpn", "url": "url"}


def _feed(format_name: str = "jsonl", **more: Any) -> Feed:
    return Feed.model_validate({"file": "{date}/acme." + format_name, "format": format_name, "fields": FIELDS, **more})


def _row(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"A{number}",
        "title": f"Mug number {number} red",
        "brand": "Acme",
        "price": f"{number + 1}.50",
        "ean": "4006381333931",
        "mpn": f"M{number}",
        "url": f"https://acme.example/{number}",
        **more,
    }


def _read(
    folder: Path, rows: list[dict[str, Any]] | bytes, known: pa.Table = EMPTY, *, feed: Feed | None = None, date: str = "2024-01-01", **more: Any
) -> Reading:
    file = folder / f"acme-{date}.jsonl"
    file.write_bytes(rows if isinstance(rows, bytes) else "".join(json.dumps(row) + "\n" for row in rows).encode())
    return read_delivery("acme", feed or _feed(), file, date, known, **{"run": 1, **more})


def _after(known: pa.Table, reading: Reading) -> pa.Table:
    """The lake's view: the newest row of each offer."""
    rows = {row["offer_id"]: row for row in [*known.to_pylist(), *reading.offers.to_pylist()]}
    return pa.Table.from_pylist([rows[key] for key in sorted(rows)], schema=arrow_schema(Offer))


def _adds_up(reading: Reading) -> None:
    d = reading.delivery
    assert d.read == d.accepted + d.quarantined
    assert d.accepted == d.offers + d.repeated
    assert d.offers == d.new + d.changed + d.unchanged
    assert reading.offers.schema.equals(arrow_schema(Offer)) and reading.quarantined.schema.equals(arrow_schema(Quarantined))


def test_a_first_delivery_gives_every_offer(tmp_path: Path) -> None:
    reading = _read(tmp_path, [_row(n) for n in range(30)], run=5)
    _adds_up(reading)
    assert (reading.delivery.state, reading.delivery.new, reading.delivery.offers) == ("accepted", 30, 30)
    assert (reading.delivery.delivery_id, reading.delivery.file) == ("acme@2024-01-01", "2024-01-01/acme.jsonl")
    offer = next(row for row in reading.offers.to_pylist() if row["source_id"] == "A3")
    shown = [offer[name] for name in ("offer_id", "price", "gtin", "position", "run", "gone")]
    assert shown == ["acme:A3", Decimal("4.5"), "04006381333931", 4, 5, False]


def test_the_same_delivery_again_changes_nothing(tmp_path: Path) -> None:
    rows = [_row(n) for n in range(30)]
    known = _read(tmp_path, rows).offers
    again = _read(tmp_path, list(reversed(rows)), known, date="2024-01-02")
    _adds_up(again)
    assert (again.delivery.unchanged, len(again.offers)) == (30, 0)


def test_new_changed_vanished_and_returned_offers(tmp_path: Path) -> None:
    rows = [_row(n) for n in range(30)]
    first = _read(tmp_path, rows)
    second = _read(tmp_path, [{**rows[0], "price": "9.99"}, *rows[2:], _row(99)], first.offers, date="2024-01-02", run=2)
    _adds_up(second)
    assert (second.delivery.new, second.delivery.changed, second.delivery.unchanged, second.delivery.vanished) == (1, 1, 28, 1)
    by_id = {row["source_id"]: row for row in second.offers.to_pylist()}
    old = {row["source_id"]: row for row in first.offers.to_pylist()}
    assert set(by_id) == {"A0", "A1", "A99"}
    assert by_id["A1"]["gone"] and by_id["A1"]["run"] == 2
    assert by_id["A0"]["identity_hash"] == old["A0"]["identity_hash"] and by_id["A0"]["raw_hash"] != old["A0"]["raw_hash"]
    back = _read(tmp_path, [*rows, _row(99)], _after(first.offers, second), date="2024-01-03", run=3)
    _adds_up(back)
    assert (back.delivery.new, back.delivery.changed, back.delivery.unchanged, back.delivery.vanished) == (1, 1, 29, 0)
    returned = next(row for row in back.offers.to_pylist() if row["source_id"] == "A1")
    assert {**returned, "run": 0, "delivery_id": ""} == {**old["A1"], "run": 0, "delivery_id": ""} and returned["delivery_id"] == "acme@2024-01-03"


def test_other_bytes_that_say_the_same_change_the_address_of_the_bytes_alone(tmp_path: Path) -> None:
    rows = [_row(n) for n in range(25)]
    known = _read(tmp_path, rows).offers
    visited = [{**row, "visits": number} for number, row in enumerate(rows)]
    again = _read(tmp_path, list(reversed(visited)), known, date="2024-01-02", run=2)
    _adds_up(again)
    assert (again.delivery.unchanged, again.delivery.new, again.delivery.changed) == (25, 0, 0)
    address = ["raw_hash", "position", "delivery_id", "run"]
    assert again.offers.drop_columns(address).equals(known.drop_columns(address))
    assert all(was != now for was, now in zip(known["raw_hash"].to_pylist(), again.offers["raw_hash"].to_pylist(), strict=True))
    assert next(row for row in again.offers.to_pylist() if row["source_id"] == "A0")["position"] == 25


@pytest.mark.parametrize("other_mapping", [False, True])
def test_what_says_the_same_in_other_bytes_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_mapping: bool) -> None:
    decoded: list[int] = []
    real = sorting.sort_records

    def counting(hashes: Any, positions: Any, cuts: Any, rows: pa.Table, before: sorting.Known) -> sorting.Sorted:
        decoded.append(len(rows))
        return real(hashes, positions, cuts, rows, before)

    monkeypatch.setattr("endcap.feeds.reading.sort_records", counting)
    rows = [_row(n) for n in range(25)]
    known = _read(tmp_path, rows).offers
    later = rows if other_mapping else [{**row, "visits": 1} for row in rows]
    feed = _feed(fields={**FIELDS, "brand": {"first": ["brand", "maker"]}}) if other_mapping else _feed()
    for run in (2, 3):
        reading = _read(tmp_path, later, known, feed=feed, date=f"2024-01-0{run}", run=run)
        assert reading.delivery.unchanged == 25
        known = _after(known, reading)
    assert decoded == [25, 25, 0] and len(reading.offers) == 0


def test_repeats_are_counted_not_doubled_and_clashes_quarantined(tmp_path: Path) -> None:
    rows = [_row(n) for n in range(20)]
    reading = _read(tmp_path, [*rows, *rows[:8], {**rows[0], "price": "7.00"}, {**rows[1], "title": "Something else"}])
    _adds_up(reading)
    assert (reading.delivery.offers, reading.delivery.repeated, reading.delivery.quarantined) == (20, 9, 1)
    assert reading.delivery.warnings[0] == "9 of 30 records repeat another record"
    bad = reading.quarantined.to_pylist()[0]
    assert (bad["code"], bad["position"]) == ("duplicate_id", 30) and json.loads(bad["raw"])["title"] == "Something else"
    assert next(row for row in reading.offers.to_pylist() if row["source_id"] == "A0")["price"] == Decimal("1.5")


def test_a_repeat_never_displaces_the_offer_that_is_unchanged(tmp_path: Path) -> None:
    rows = [_row(n) for n in range(20)]
    known = _read(tmp_path, rows).offers
    again = _read(tmp_path, [{**rows[0], "price": "7.00"}, {**rows[1], "title": "Something else"}, *rows], known, date="2024-01-02")
    _adds_up(again)
    assert (again.delivery.unchanged, again.delivery.repeated, again.delivery.quarantined, len(again.offers)) == (20, 1, 1, 0)


def test_a_known_offer_whose_new_record_is_bad_keeps_its_last_good_version(tmp_path: Path) -> None:
    rows = [_row(n) for n in range(30)]
    known = _read(tmp_path, rows).offers
    again = _read(tmp_path, [{**rows[0], "price": "from 3.00"}, *rows[1:]], known, date="2024-01-02")
    _adds_up(again)
    assert (again.delivery.vanished, again.delivery.quarantined, len(again.offers)) == (0, 1, 0)
    assert "1 known offers keep their last good version" in again.delivery.warnings[0]


SAID = st.builds(
    lambda number, price, title: json.dumps({"id": f"A{number}", "title": title, "price": price}).encode(),
    st.integers(0, 6),
    st.sampled_from(["1.00", "2.00", "x", ""]),
    st.sampled_from(["Mug", "Cup", ""]),
)
SPOILT = st.sampled_from([b"{", b"[]", b'{"id": 1, "id": 2}', b'{"id": NaN}', b"\xff"])


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deliveries=st.lists(st.lists(st.one_of(SAID, SPOILT), min_size=1, max_size=12), min_size=1, max_size=3))
def test_every_record_is_accounted_for_whatever_comes(tmp_path: Path, deliveries: list[list[bytes]]) -> None:
    feed = Feed.model_validate({"file": "a", "format": "jsonl", "fields": {"id": "id", "title": "title", "price": "price"}, "guards": {"max_quarantined": 1.0}})
    good = b'{"id": "sure", "title": "Sure", "price": "1.00"}'
    known = EMPTY
    for number, lines in enumerate(deliveries, 1):
        reading = _read(tmp_path, b"\n".join([good, *lines]), known, feed=feed, date=f"2024-01-0{number}", run=number)
        _adds_up(reading)
        assert reading.delivery.read == len(lines) + 1
        assert reading.delivery.state == "accepted" and len(reading.quarantined) == reading.delivery.quarantined
        raws = {row["position"]: row["raw"] for row in reading.quarantined.to_pylist()}
        assert all(raw == [good, *lines][position - 1] for position, raw in raws.items())
        known = _after(known, reading)
        live = [row for row in known.to_pylist() if not row["gone"]]
        assert reading.delivery.offers <= len(live) and len({row["offer_id"] for row in live}) == len(live)


def test_the_order_of_records_and_batches_changes_no_offer(tmp_path: Path) -> None:
    rows = [_row(n) for n in range(300)]
    shuffled = random.Random(1).sample(rows, len(rows))
    one = _read(tmp_path, rows).offers.drop_columns(["position"])
    other = _read(tmp_path, shuffled, batch_rows=17, cores=1).offers.drop_columns(["position"])
    assert one.equals(other)


def test_two_processes_give_what_one_gives(tmp_path: Path) -> None:
    rows = [_row(n) for n in range(400)]
    assert _read(tmp_path, rows, batch_rows=100, cores=2).offers.equals(_read(tmp_path, rows, cores=1).offers)


def test_another_mapping_reads_unchanged_bytes_anew(tmp_path: Path) -> None:
    rows = [_row(n) for n in range(30)]
    known = _read(tmp_path, rows).offers
    feed = _feed(fields={**FIELDS, "brand": {"constant": "House"}})
    assert _read(tmp_path, rows, known, feed=feed, date="2024-01-02").delivery.reason.startswith("acme delivered 30 records but 30 of 30 known offers")
    again = _read(tmp_path, rows, known, feed=feed, date="2024-01-02", released=True)
    assert again.delivery.changed == 30 and set(again.offers["brand"].to_pylist()) == {"House"}


def _spoilt(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    return [{**row, "price": "ask"} for row in rows[:count]] + rows[count:]


HELD = [
    ("drop", lambda rows: rows[:60], "40 of 100 known offers are missing (40 %, budget 30 %)"),
    ("growth", lambda rows: rows + [_row(n) for n in range(1000, 1450)], "they are 5.5 times the 100 known offers"),
    ("quarantine", lambda rows: _spoilt(rows, 30), "30 of them (30 %) break the contract (30 bad_price; budget 20 %)"),
    ("price lost", lambda rows: [{**row, "price": ""} for row in rows], "0 % state a price, last time 100 %"),
    ("prices by ten", lambda rows: [{**row, "price": str(float(row["price"]) * 10)} for row in rows], "the prices of 100 of 100 known offers moved"),
    ("ids reused", lambda rows: [{**row, "title": f"Drill {row['id']}"} for row in rows], "100 of 100 known ids come with another title"),
]


@pytest.mark.parametrize(("name", "spoil", "reason"), HELD)
def test_a_delivery_over_budget_is_held_in_words_until_released(tmp_path: Path, name: str, spoil: Any, reason: str) -> None:
    rows = [_row(n) for n in range(100)]
    known = _read(tmp_path, rows).offers
    held = _read(tmp_path, spoil(rows), known, date="2024-01-02")
    _adds_up(held)
    assert held.delivery.state == "held" and reason in held.delivery.reason
    assert held.delivery.reason.endswith("release with `endcap release acme 2024-01-02 --reason ...`")
    assert len(held.offers) == 0 and len(held.quarantined) <= 20
    released = _read(tmp_path, spoil(rows), known, date="2024-01-02", released=True)
    _adds_up(released)
    assert released.delivery.state == "accepted" and released.delivery.reason == ""
    assert len(released.offers) == released.delivery.new + released.delivery.changed + released.delivery.vanished


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[:71],
        lambda rows: rows + [_row(n) for n in range(500, 890)],
        lambda rows: _spoilt(rows, 20),
        lambda rows: [{**row, "price": str(float(row["price"]) * 2)} for row in rows],
        lambda rows: [{**row, "title": row["title"] + " NEW"} for row in rows],
        lambda rows: [{**row, "brand": ""} for row in rows],
    ],
)
def test_a_delivery_within_budget_is_accepted(tmp_path: Path, change: Any) -> None:
    rows = [_row(n) for n in range(100)]
    reading = _read(tmp_path, change(rows), _read(tmp_path, rows).offers, date="2024-01-02")
    assert reading.delivery.state == "accepted", reading.delivery.reason


RICH = _feed(fields={**FIELDS, "category": "path", "available": "stock"})


def _rich_row(number: int) -> dict[str, Any]:
    """A row with a GTIN of its own in one of five categories."""
    return _row(number, ean=_ean(number), path=f"Kitchen > Shelf{number % 5} goods", stock="yes")


def _ean(number: int) -> str:
    body = f"400638{number:06}"
    return body + str(-sum(int(digit) * (3 if at % 2 else 1) for at, digit in enumerate(body)) % 10)


def _each(share: float, change: Any) -> Any:
    return lambda rows: [{**row, **change(n, row)} if n < share * len(rows) else row for n, row in enumerate(rows)]


OTHER_VALUES = [
    ("GTIN", lambda n, row: {"ean": _ean(n + 1)}),
    ("brand", lambda n, row: {"brand": "Evil"}),
    ("category", lambda n, row: {"path": "Weapons"}),
    ("category", lambda n, row: {"path": f"Kitchen > Knives{n % 5}"}),
    ("part number", lambda n, row: {"mpn": f"X{n}"}),
    ("availability", lambda n, row: {"stock": "no"}),
]


@pytest.mark.parametrize(("words", "change"), OTHER_VALUES)
def test_a_field_that_changes_to_other_values_holds_the_delivery_from_its_budget_on(tmp_path: Path, words: str, change: Any) -> None:
    rows = [_rich_row(n) for n in range(100)]
    known = _read(tmp_path, rows, feed=RICH).offers
    within = _read(tmp_path, _each(0.5, change)(rows), known, feed=RICH, date="2024-01-02")
    assert (within.delivery.state, within.delivery.changed) == ("accepted", 50)
    over = _read(tmp_path, _each(0.51, change)(rows), known, feed=RICH, date="2024-01-02")
    assert over.delivery.state == "held" and f" come with another {words} (51 %, budget 50 %); release with `endcap release acme" in over.delivery.reason
    assert f"51 of 100 known offers{' that state one' if words in ('GTIN', 'part number') else ''} come" in over.delivery.reason
    assert _read(tmp_path, _each(0.51, change)(rows), known, feed=RICH, date="2024-01-02", released=True).delivery.changed == 51
    roomy = RICH.model_copy(update={"guards": RICH.guards.model_copy(update={"max_field_change": 0.6})})
    assert _read(tmp_path, _each(0.51, change)(rows), known, feed=roomy, date="2024-01-02").delivery.state == "accepted"


def test_a_delivery_that_changes_all_but_titles_names_every_field(tmp_path: Path) -> None:
    rows = [_rich_row(n) for n in range(100)]
    evil = [{**row, "ean": _ean(n + 1), "brand": "Evil", "path": "Weapons", "mpn": f"X{n}", "stock": "no"} for n, row in enumerate(rows)]
    held = _read(tmp_path, evil, _read(tmp_path, rows, feed=RICH).offers, feed=RICH, date="2024-01-02").delivery
    assert held.state == "held" and [held.reason.count(f"100 known offers{more} come with") for more in (" that state one", "")] == [2, 3]


def test_gtins_are_counted_among_the_offers_that_state_one_unless_these_are_few(tmp_path: Path) -> None:
    for stating, state in ((30, "held"), (19, "accepted")):
        rows = [_rich_row(n) if n < stating else {**_rich_row(n), "ean": ""} for n in range(100)]
        rotated = [{**row, "ean": _ean(n + 1)} if row["ean"] else row for n, row in enumerate(rows)]
        assert _read(tmp_path, rotated, _read(tmp_path, rows, feed=RICH).offers, feed=RICH, date="2024-01-02").delivery.state == state


@pytest.mark.parametrize(
    ("column", "old", "new", "another"),
    [
        ("brand", "Acme Inc.", "ACME INC", False),
        ("brand", "Acme", "Evil", True),
        ("mpn", "AB-12/3", "ab 123", False),
        ("mpn", "AB123", "AB124", True),
        ("available", True, False, True),
        ("available", False, False, False),
        ("category_path", "Food > Hard cheese", "Food > Dairy > Cheese", False),
        ("category_path", "cheese-7DHLyWkv0", "cheese-2", False),
        ("category_path", "Food > Cheese", "Food > Wine", True),
        ("category_path", "Food > Cheese", "Cheese > Weapons", True),
    ],
)
def test_other_notations_of_a_value_are_no_other_value(column: str, old: Any, new: Any, another: bool) -> None:
    assert is_another_value(column, old, new) is another


def test_few_known_offers_are_too_little_to_judge_by(tmp_path: Path) -> None:
    rows = [_row(n) for n in range(10)]
    assert _read(tmp_path, rows[:3], _read(tmp_path, rows).offers, date="2024-01-02").delivery.state == "accepted"


def test_warnings_name_what_a_person_should_know(tmp_path: Path) -> None:
    rows = [_row(n, brand=f"Lowest price: {n}.99", ean="4006381333932") for n in range(1000)]
    first = _read(tmp_path, rows)
    said = "\n".join(first.delivery.warnings)
    assert "it holds exactly 1,000 records" in said
    assert "brand is not a brand: 1,000 of 1,000 look like prices, dates or sentences" in said
    assert "1,000 GTINs of new or changed offers are not used: 1,000 because its check digit is wrong" in said
    fewer = _read(tmp_path, rows[:740], first.offers, date="2024-01-02")
    assert "740 offers after 1,000 last time (26 % fewer)" in fewer.delivery.warnings
    second = _read(tmp_path, [{**row, "mpn": ""} if n % 3 == 0 else row for n, row in enumerate(rows)], first.offers, date="2024-01-02")
    assert second.delivery.state == "accepted" and "67 % of the offers state an mpn, last time 100 %" in second.delivery.warnings
