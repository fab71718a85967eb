"""Bad input ends in one clear sentence: what, where, what to do. On a live feed the last good version stays."""

from __future__ import annotations

import gzip
import json
import os
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from endcap.feeds import Reading, pending, read_delivery
from endcap.feeds.propose import propose
from endcap.feeds.release import release_delivery
from endcap.ops.home import Home
from endcap.ops.tables import RELEASES
from endcap.problems import BadInput
from endcap.schema import Delivery, Offer, arrow_schema
from endcap.settings import Catalog, Feed, parse

EMPTY = arrow_schema(Offer).empty_table()
GOOD = "id,title,price\n" + "".join(f"{n},Mug {n},{n + 1}.00\n" for n in range(40))
HTML = b"<!DOCTYPE html><html><head><title>Down for maintenance</title></head><body>Sorry</body></html>"


def _feed(**more: Any) -> Feed:
    return Feed.model_validate({"file": "{date}/acme.csv", "format": "csv", "fields": {"id": "id", "title": "title", "price": "price"}, **more})


def _read(folder: Path, content: bytes, known: pa.Table = EMPTY, *, name: str = "acme.csv", **more: Any) -> Reading:
    (folder / name).write_bytes(content)
    return read_delivery("acme", _feed(**more), folder / name, "2024-01-02", known, run=2)


NOT_A_FEED = [
    ("acme.csv", b"", "it is empty"),
    ("acme.csv", b"\n \n", "it is empty"),
    ("acme.csv", b"id,title,price\n", "it has a header but no records"),
    ("acme.csv", HTML, "it is an HTML page titled 'Down for maintenance', not csv"),
    ("acme.csv", b'{"error": "token expired"}', 'it is JSON ({"error": "token expired"}), not csv'),
    ("acme.csv", b"%PDF-1.7 ...", "it is a PDF document, not csv"),
    ("acme.csv", b"\x89PNG\r\n\x1a\n", "it is an image, not csv"),
    ("acme.csv", b"PK\x03\x04....", "it is a zip archive or Excel workbook, not csv"),
    ("acme.csv", gzip.compress(GOOD.encode(), mtime=0), "it is a gzip file, not csv"),
    ("acme.csv.gz", gzip.compress(GOOD.encode(), mtime=0)[:-40], "the .gz file is cut short"),
    ("acme.csv.gz", GOOD.encode(), "the .gz file is broken"),
    ("acme.csv.gz", gzip.compress(HTML, mtime=0), "it is an HTML page"),
]


@pytest.mark.parametrize(("name", "content", "sentence"), NOT_A_FEED, ids=[words.replace(" ", "-") for *_, words in NOT_A_FEED])
def test_what_is_no_feed_is_refused_on_a_first_delivery(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    with pytest.raises(BadInput) as caught:
        _read(tmp_path, content, name=name)
    said = str(caught.value)
    assert sentence in said and str(tmp_path / name) in said and said.count("\n") == 0 and said.endswith(".")


@pytest.mark.parametrize(("name", "content", "sentence"), NOT_A_FEED, ids=[words.replace(" ", "-") for *_, words in NOT_A_FEED])
def test_and_held_on_a_live_feed(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    known = _read(tmp_path, GOOD.encode()).offers
    held = _read(tmp_path, content, known, name=name)
    assert held.delivery.state == "held" and sentence in held.delivery.reason and "the last good version stays" in held.delivery.reason
    assert len(held.offers) == 0 and held.delivery.read == held.delivery.accepted + held.delivery.quarantined == 0
    forced = read_delivery("acme", _feed(), tmp_path / name, "2024-01-02", known, run=2, released=True)
    assert forced.delivery.state == "held"


def test_a_file_cut_short_late_leaves_nothing_though_processes_work_on_its_start(tmp_path: Path) -> None:
    whole = gzip.compress("".join(["id,title,price\n", *[f"{n},Mug {n * 7919 % 104729},1.00\n" for n in range(30_000)]]).encode())
    (tmp_path / "acme.csv.gz").write_bytes(whole[:-2_000])
    with pytest.raises(BadInput, match="cut short"):
        read_delivery("acme", _feed(), tmp_path / "acme.csv.gz", "2024-01-02", EMPTY, run=1, cores=2, batch_rows=1_000)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"acme has no delivery of 2024-01-02: there is no file acme\.csv"):
        read_delivery("acme", _feed(), tmp_path / "acme.csv", "2024-01-02", EMPTY, run=1)


def test_all_wrong_columns_of_a_mapping_are_named_at_once_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        _read(tmp_path, GOOD.encode(), fields={"id": "id", "title": "titel", "price": "Price", "brand": "maker"}, columns=["stock"])
    said = str(caught.value)
    assert "the field title is mapped to 'titel', which the delivery does not have (did you mean 'title'?)" in said
    assert "'Price', which the delivery does not have (did you mean 'price'?)" in said
    assert "the field brand is mapped to 'maker'" in said and "ask for the column 'stock'" in said and "its columns are id, title, price" in said


def test_a_wrong_delimiter_is_hinted_at(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"is options\.delimiter right"):
        _read(tmp_path, GOOD.replace(",", ";").encode())


def test_a_wrong_path_into_records_is_named(tmp_path: Path) -> None:
    content = b'[{"id": 1, "title": "Mug", "price": {"value": 2}, "brand": null}]'
    fields = {"id": "id", "title": "title", "price": "price.valeu", "brand": "brand"}
    with pytest.raises(BadInput) as caught:
        _read(tmp_path, content, format="json", fields=fields)
    assert "the field price is mapped to 'price.valeu', which the delivery does not have (did you mean 'price.value'?)" in str(caught.value)
    assert "brand is mapped" not in str(caught.value)


def test_a_required_column_that_disappears_holds_a_live_feed(tmp_path: Path) -> None:
    known = _read(tmp_path, GOOD.encode()).offers
    held = _read(tmp_path, GOOD.replace("title", "name").encode(), known)
    assert held.delivery.state == "held" and "the field title is mapped to 'title', which the delivery does not have" in held.delivery.reason
    renamed = _read(tmp_path, GOOD.replace("price", "cost").encode(), known)
    assert renamed.delivery.state == "held" and "0 % state a price, last time 100 %" in renamed.delivery.reason


def test_of_several_alternatives_one_column_is_enough(tmp_path: Path) -> None:
    fields = {"id": "id", "title": {"first": ["name", "title"]}, "price": "price"}
    assert _read(tmp_path, GOOD.encode(), fields=fields).delivery.offers == 40
    with pytest.raises(BadInput, match="mapped to 'name' or 'titel', which the delivery does not have"):
        _read(tmp_path, GOOD.encode(), fields={**fields, "title": {"first": ["name", "titel"]}})


def test_a_supplier_that_renames_everything_is_held_with_the_nearest_names_and_cannot_be_released(tmp_path: Path) -> None:
    fields = {"id": "ID", "title": "ProductName", "price": "Price"}
    old, new = ([{f"{a}": n, b: f"Mug {n}", c: 1.5} for n in range(40)] for a, b, c in (("ID", "ProductName", "Price"), ("id", "productName", "price")))
    (tmp_path / "a.json").write_text(json.dumps(old))
    feed = _feed(format="json", fields=fields)
    known = read_delivery("acme", feed, tmp_path / "a.json", "2024-01-01", EMPTY, run=1).offers
    (tmp_path / "a.json").write_text(json.dumps(new))
    for released in (False, True):
        held = read_delivery("acme", feed, tmp_path / "a.json", "2024-01-02", known, run=2, released=released).delivery
        assert held.state == "held" and held.read == held.quarantined == 40
        assert held.reason.endswith("correct the feed's settings or ask the supplier what changed")
        assert "the field id is mapped to 'ID', which the delivery does not have (did you mean 'id'?)" in held.reason


def _home_with(folder: Path, *readings: Reading) -> Home:
    """A home whose snapshot holds these deliveries."""
    home = Home(parse({"feeds": {"acme": _feed().model_dump()}}, where="test", overrides={"home": str(folder / "home")}))
    lake = home.lake()
    rows = [{name: getattr(one.delivery, name) for name in arrow_schema(Delivery).names} for one in readings]
    lake.append(Delivery, pa.Table.from_pylist(rows, schema=arrow_schema(Delivery)))
    home.make_current(lake.pinned(parent=None, run=2, models={}, override_sequence=0), "{}")
    return home


def test_what_could_not_be_read_cannot_be_released(tmp_path: Path) -> None:
    known = _read(tmp_path, GOOD.encode()).offers
    home = _home_with(tmp_path, _read(tmp_path, HTML, known))
    with pytest.raises(BadInput) as caught:
        release_delivery(home, "acme", "2024-01-02", actor="me", reason="it is right")
    said = str(caught.value)
    assert "acme 2024-01-02 cannot be released, since no offer could be read from it" in said
    assert "put a good delivery in its place" in said and "feeds.acme" in said and str(home.path) not in said
    assert home.rows(RELEASES).num_rows == 0


def test_what_is_over_a_budget_can_be_released_once(tmp_path: Path) -> None:
    known = _read(tmp_path, GOOD.encode()).offers
    home = _home_with(tmp_path, _read(tmp_path, "".join(GOOD.splitlines(keepends=True)[:10]).encode(), known))
    release_delivery(home, "acme", "2024-01-02", actor="me", reason="they closed")
    assert home.rows(RELEASES).num_rows == 1
    with pytest.raises(BadInput, match="was released before"):
        release_delivery(home, "acme", "2024-01-02", actor="me", reason="they closed")


def test_unknown_options_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"the format csv has no option 'delimeter' \(did you mean 'delimiter'\?\)"):
        _read(tmp_path, GOOD.encode(), options={"delimeter": ";"})


def test_a_wrong_regular_expression_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ignore is not a regular expression"):
        _read(tmp_path, GOOD.encode(), fields={"id": "id", "title": {"path": "title", "ignore": "("}})


def _catalog(folder: Path, **feeds: str) -> Catalog:
    given = {name: {"file": file, "format": "csv", "fields": {"id": "id", "title": "title"}} for name, file in feeds.items()}
    catalog = parse({"inbox": str(folder), "feeds": given}, where="test")
    for date in ("2024-01-01", "2024-01-02"):
        (folder / date).mkdir()
        (folder / date / "b.csv").write_text(GOOD)
    (folder / "2024-01-02" / "a.csv").write_text(GOOD)
    (folder / "2024-13-99").mkdir()
    (folder / "2024-13-99" / "b.csv").write_text(GOOD)
    return catalog


def test_pending_deliveries_come_by_date_then_feed_until_they_are_done(tmp_path: Path) -> None:
    catalog = _catalog(tmp_path, a="{date}/a.csv", b="{date}/b.csv")
    found = pending(catalog, set())
    assert [(one.date, one.feed) for one in found] == [("2024-01-01", "b"), ("2024-01-02", "a"), ("2024-01-02", "b")]
    done = {(one.feed, one.date, one.sha256) for one in found[:2]}
    assert pending(catalog, done) == found[2:]
    assert pending(catalog, set(), dates=["2024-01-01"]) == pending(catalog, set(), until="2024-01-01") == found[:1]
    (tmp_path / "2024-01-02" / "a.csv").write_text(GOOD + "99,New,1.00\n")
    assert [(one.date, one.feed) for one in pending(catalog, done)] == [("2024-01-02", "a"), ("2024-01-02", "b")]


def test_a_file_without_a_date_counts_by_its_own_and_must_be_there(tmp_path: Path) -> None:
    catalog = _catalog(tmp_path, a="list[1].csv")
    with pytest.raises(BadInput, match=r"the feed a has no delivery list\[1\]\.csv"):
        pending(catalog, set())
    (tmp_path / "list[1].csv").write_text(GOOD)
    os.utime(tmp_path / "list[1].csv", (1_700_000_000, 1_700_000_000))
    assert [(one.date, one.file.name) for one in pending(catalog, set())] == [("2023-11-14", "list[1].csv")]


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system cannot change its time zone")
def test_a_file_without_a_date_is_the_same_delivery_in_every_time_zone_and_when_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog, file = _catalog(tmp_path, a="list.csv"), tmp_path / "list.csv"
    file.write_text(GOOD)
    os.utime(file, (1_700_000_000, 1_700_000_000))  # 22:13 in UTC
    found = set()
    for zone in ("UTC-13", "UTC+11", "UTC"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        found.update((one.feed, one.date, one.sha256) for one in pending(catalog, set()))
    monkeypatch.undo()
    time.tzset()
    assert [date for _, date, _ in found] == ["2023-11-14"]
    os.utime(file, (1_700_500_000, 1_700_500_000))
    assert pending(catalog, found) == []
    later = {*found, ("a", "2023-11-15", "another"), ("b", "2023-11-16", "of another feed")}
    assert [one.date for one in pending(catalog, later)] == ["2023-11-20"]  # what came between makes the old bytes a new delivery


def test_a_date_that_was_not_delivered_is_answered_with_those_that_were(tmp_path: Path) -> None:
    catalog = _catalog(tmp_path, b="{date}/b.csv")
    with pytest.raises(BadInput, match="no feed has a delivery of 2024-02-01; there are 2024-01-01, 2024-01-02"):
        pending(catalog, set(), dates=["2024-01-01", "2024-02-01"])
    with pytest.raises(BadInput, match="'yesterday' is not a date"):
        pending(catalog, set(), until="yesterday")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", HTML, "is an HTML page"),
        ("a.csv", b"", "is empty"),
        ("a.csv", b"%PDF-1.7", "is a PDF document, which no format reads"),
        ("a.csv", b"one\ntwo\nthree\n", "no delimiter"),
        ("a.json", b'{"error": 1}', "no array of records"),
        ("a.csv.gz", b"x", "cannot be unpacked"),
        ("a.csv", b"x,y\n1,2\n", "looks like title"),
    ],
)
def test_a_proposal_says_why_there_is_none(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=sentence):
        propose(tmp_path / name)


@pytest.mark.parametrize("content", [b"\0" * 9_000 + b"\n", b"id\x1b[31m,\x07" + b"x" * 500 + b",title" + b",\x02" * 200 + b"\n1,2,3\n"])
def test_names_with_control_bytes_are_printable_and_clipped(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        _read(tmp_path, content)
    said = str(caught.value)
    assert said.isprintable() and len(said) < 900


def test_columns_are_listed_up_to_twelve(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"its columns are c0, .*, c11, \.\.\. \("):
        _read(tmp_path, (",".join(f"c{n}" for n in range(40)) + "\n").encode())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_called_by_its_name(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(BadInput, match=f"it is UTF-16, not utf-8 .*; set options.encoding to {encoding}\\."):
        _read(tmp_path, GOOD.encode(encoding))
    assert _read(tmp_path, GOOD.encode(encoding), options={"encoding": encoding}).delivery.accepted == 40


def test_ids_are_not_markup(tmp_path: Path) -> None:
    ids = _read(tmp_path, "id,title,price\n<b>,Mug,1.00\n A&amp;1 ,Cup,1.00\nx\x07\u200by,Jug,1.00\n".encode()).offers["source_id"].to_pylist()
    assert sorted(ids) == ["<b>", "A&amp;1", "xy"]


def test_a_mapped_name_of_two_columns_is_refused_until_a_person_knows_of_it(tmp_path: Path) -> None:
    twice = GOOD.replace("price", "price,title", 1).replace(".00\n", ".00,other\n").encode()
    with pytest.raises(BadInput, match="the field title is mapped to 'title', which the delivery has more than once"):
        _read(tmp_path, twice)
    known = _read(tmp_path, GOOD.encode()).offers
    held = _read(tmp_path, twice, known).delivery
    assert held.state == "held" and "more than once" in held.reason and "the last good version stays" in held.reason
    assert _read(tmp_path, twice, columns=["title#2"]).delivery.accepted == 40
    second = _read(tmp_path, twice, fields={"id": "id", "title": "title#2", "price": "price"})
    assert set(second.offers["title"].to_pylist()) == {"other"}
