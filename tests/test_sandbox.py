"""The sandbox's worlds: the same bytes for the same seed, true truth, planted faults, flat memory."""

from __future__ import annotations

import csv
import gzip
import hashlib
import itertools
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import fastexcel
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from endcap import settings
from endcap.sandbox import World, assortment, make, sent_offers
from endcap.sandbox.dice import check_digit, uniform, uniform_one
from endcap.sandbox.forms import form
from endcap.sandbox.goods import COLOURS, GOODS, INK_COLOURS, WALL_COLOURS
from endcap.sandbox.offer import price_text
from endcap.sandbox.product import BLOCK, Product, product
from endcap.sandbox.style import content_text
from endcap.sandbox.suppliers import BY_NAME, CARRIERS, SUPPLIERS

FIRST, SECOND, THIRD, LAST = "2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05"
Record = dict[str, str]
SHOWN = ("id", "title", "gtin", "price", "mpn")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make(tmp_path_factory.mktemp("world"), offers=6000)


def is_valid_gtin(text: str) -> bool:
    return text.isdigit() and len(text) in (12, 13) and check_digit(text[:-1]) == text[-1]


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def truth_of(world: World) -> list[Record]:
    with (world.folder / "truth" / "offers.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def records(world: World, date: str, feed: str) -> Iterator[Record]:
    """Id, title, gtin and price as sent, read by other means than they were written with."""
    supplier = BY_NAME[feed]
    for record in _READERS[supplier.form](world.folder / "inbox" / date / supplier.file, feed):
        yield {source: "" if record.get(path) is None else str(record[path]) for path, source in supplier.columns if source in SHOWN}


def _csv(file: Path, feed: str) -> Iterator[Record]:
    supplier = BY_NAME[feed]
    with file.open(encoding=str(supplier.options["encoding"]), newline="") as stream:
        for record in csv.DictReader(stream, delimiter=supplier.delimiter):
            if None not in record and None not in record.values():  # a ragged row
                yield record


def _flat(record: dict[str, object], prefix: str = "") -> Record:
    flat: Record = {}
    for name, value in record.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}  # type: ignore[dict-item]
    return flat


def _json(file: Path, feed: str) -> Iterator[Record]:
    text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    inner = json.loads(text)
    for step in str(BY_NAME[feed].options["records"]).split("."):
        inner = inner[step]
    yield from map(_flat, inner)


def _jsonl(file: Path, feed: str) -> Iterator[Record]:
    yield from (_flat(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines())


def _xml(file: Path, feed: str) -> Iterator[Record]:
    google = "{http://base.google.com/ns/1.0}"
    atom = "{http://www.w3.org/2005/Atom}"
    for element in etree.parse(file).iter("item", f"{atom}entry"):
        yield {child.tag.replace(google, "g:").replace(atom, ""): child.text or "" for child in element}


def _xlsx(file: Path, feed: str) -> Iterator[Record]:
    options = BY_NAME[feed].options
    sheet = fastexcel.read_excel(file).load_sheet(str(options["sheet"]), header_row=int(options["header_row"]) - 1, dtypes="string")
    yield from sheet.to_arrow().to_pylist()


def _parquet(file: Path, feed: str) -> Iterator[Record]:
    yield from pq.read_table(file, page_checksum_verification=True).to_pylist()


_READERS = {"csv": _csv, "json": _json, "jsonl": _jsonl, "xml": _xml, "xlsx": _xlsx, "parquet": _parquet}


def test_the_same_seed_gives_the_same_bytes_whatever_the_hash_seed(world: World, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "endcap.sandbox", str(tmp_path), "--offers", "6000"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo"})
    assert hashes(tmp_path) == hashes(world.folder)
    assert json.loads(done.stdout)["offers_per_day"] == world.offers_per_day


def test_another_seed_gives_another_world(tmp_path: Path) -> None:
    one, two = make(tmp_path / "1", offers=500, days=1, seed=1), make(tmp_path / "2", offers=500, days=1, seed=2)
    differing = {name for name, value in hashes(one.folder).items() if hashes(two.folder)[name] != value}
    assert {f"inbox/{FIRST}/{supplier.file}" for supplier in SUPPLIERS} <= differing


def test_the_settings_parse_and_name_exactly_the_files_there_are(world: World) -> None:
    catalog = settings.read(world.folder)
    assert list(catalog.feeds) == world.suppliers
    for date in world.dates:
        expected = {feed.file.replace("{date}", date) for feed in catalog.feeds.values()}
        assert expected == {f"{date}/{path.name}" for path in (world.folder / "inbox" / date).iterdir()}
    assert {feed.format for feed in catalog.feeds.values()} == {"csv", "json", "jsonl", "xml", "xlsx", "parquet"}


def test_the_taxonomy_holds_the_category_of_every_offer(world: World) -> None:
    rows = list(csv.DictReader((world.folder / "taxonomy.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) >= 10
    assert len({row["category"].split(" > ")[0] for row in rows}) >= 3
    assert {row["category"] for row in truth_of(world)} == {row["category"] for row in rows}
    assert all(len(row["words"].split("|")) >= 3 for row in rows)


def test_truth_covers_every_offer_ever_sent(world: World) -> None:
    known = {row["offer_id"] for row in truth_of(world)}
    sent: set[str] = set()
    for date in world.dates:
        for feed in world.suppliers:
            if (date, feed) not in {(SECOND, "fitstreet"), (SECOND, "brightcart")}:
                sent |= {f"{feed}:{record['id']}" for record in records(world, date, feed)}
    assert sent <= known
    missing = {offer_id.partition(":")[0] for offer_id in known - sent}
    assert missing <= {"elektro-hansa", "fitstreet", "bazaar-one", "brightcart"}, "only ragged rows and offers that lived on a lost day alone"
    assert len(known - sent) < 0.02 * len(known)


def test_the_number_of_offers_is_about_what_was_asked(world: World) -> None:
    assert world.offers_per_day[FIRST] == pytest.approx(6000, rel=0.1)
    without_files = {f"{feed}:{made.texts['id']}" for feed, made in sent_offers(offers=6000)}
    assert {row["offer_id"] for row in truth_of(world) if row["date_from"] == FIRST} <= without_files, "one day alone has none that come later"


def test_products_are_carried_by_one_to_many_suppliers_and_most_by_few(world: World) -> None:
    carriers: dict[str, set[str]] = defaultdict(set)
    for row in truth_of(world):
        carriers[row["product"]].add(row["feed"])
    counts = Counter(len(feeds) for feeds in carriers.values())
    assert counts[1] + counts[2] > 0.5 * len(carriers)
    assert max(counts) >= 7


def test_most_offers_are_resolvable_but_not_all(world: World) -> None:
    rows = truth_of(world)
    share = sum(row["resolvable"] == "true" for row in rows) / len(rows)
    assert 0.9 < share < 0.995


@pytest.fixture(scope="module")
def products() -> list[Product]:
    return [product(7, index, 500) for index in range(4000)]


def test_gtins_have_the_right_check_digit_and_are_the_products_own(products: list[Product]) -> None:
    assert all(is_valid_gtin(thing.gtin) for thing in products)
    assert len({thing.gtin for thing in products}) == len(products)
    assert check_digit("400638133393") == "1"


def test_siblings_differ_only_in_what_varies_and_have_neighbouring_gtins(products: list[Product]) -> None:
    families: dict[tuple[object, ...], list[Product]] = defaultdict(list)
    for thing in products:
        shared = (thing.goods.key, thing.key // BLOCK, thing.brand, thing.line, thing.main, thing.code, thing.noun, thing.specs, thing.varying)
        families[shared].append(thing)
    families = {key: members for key, members in families.items() if len(members) > 1 and key[-1]}
    assert len(families) > 200
    single = 0
    for members in families.values():
        varying = members[0].varying
        single += len(varying) == 1
        for one, two in itertools.pairwise(members):
            assert {name for name in ("flavour", "colour", "amount", "pack", "size") if getattr(one, name) != getattr(two, name)} <= set(varying)
            assert abs(int(one.gtin[:-1]) - int(two.gtin[:-1])) < BLOCK
        values = {tuple(getattr(thing, name) for name in varying) for thing in members}
        assert len(values) == len(members)
    assert single > 0.75 * len(families)


def test_own_part_numbers_tell_siblings_apart(products: list[Product]) -> None:
    own = [(thing.brand, thing.key // BLOCK, thing.mpn) for thing in products if thing.mpn != thing.code]
    assert len(own) > 300
    assert len(set(own)) == len(own)


def test_an_accessory_names_a_product_that_exists(products: list[Product]) -> None:
    mains = {f"{thing.brand} {thing.line}" for thing in products if thing.goods.key in ("phones", "drills")}
    accessories = [thing for thing in products if thing.goods.fits]
    assert accessories
    assert sum(thing.main in mains for thing in accessories) > 0.95 * len(accessories)


def test_planted_mistakes_are_there(world: World) -> None:
    bazaar = list(records(world, FIRST, "bazaar-one"))
    ids = Counter(record["id"] for record in bazaar)
    assert any(count > 1 for count in ids.values()), "repeated rows"
    assert any(not record["title"] for record in bazaar), "missing titles"
    assert any(record["price"].startswith("from ") for record in bazaar)
    assert any("Ã" in record["title"] or "â€™" in record["title"] for record in bazaar), "mojibake"
    assert any("&" in record["title"] and ";" in record["title"] for record in bazaar), "HTML entities"
    assert any(record["gtin"].isdigit() and not is_valid_gtin(record["gtin"]) for record in bazaar), "wrong check digits"
    assert any("E+" in record["gtin"] for record in records(world, FIRST, "kontor-buero")), "GTINs ruined by Excel"
    assert any(len(record["gtin"]) == 12 for record in bazaar), "lost leading zeros"
    prices = [record["price"] for feed in world.suppliers for date in (FIRST, LAST) for record in records(world, date, feed)]
    assert any(price.startswith("-") for price in prices)
    assert any("," in price and "€" in price for price in prices)
    raw = (world.folder / "inbox" / FIRST / "elektro-hansa.csv").read_bytes()
    assert {line.count(b";") for line in raw.splitlines() if b'"' not in line} > {11}, "ragged rows"
    with pytest.raises(UnicodeDecodeError):
        raw.decode("utf-8")


def test_gtin_coverage_differs_by_supplier(world: World) -> None:
    shares = {}
    for feed in world.suppliers:
        gtins = [record.get("gtin", "") for record in records(world, FIRST, feed)]
        shares[feed] = sum(map(is_valid_gtin, gtins)) / len(gtins)
    assert shares["harbor-wholesale"] == 0
    assert max(shares.values()) > 0.9
    assert {feed: BY_NAME[feed].gtin_share for feed in shares} == pytest.approx(shares, abs=0.15)


def test_incidents_happen_where_and_when_they_are_said_to(world: World) -> None:
    by_kind = {incident["kind"]: incident for incident in json.loads((world.folder / "truth" / "incidents.json").read_text(encoding="utf-8"))}
    assert set(by_kind) == {"schema_change", "error_page", "drop", "no_mpn", "hijack"}
    assert (world.folder / "inbox" / SECOND / "brightcart.xml").read_bytes().startswith(b"<!DOCTYPE html>")
    header = (world.folder / "inbox" / SECOND / "fitstreet.csv").read_text(encoding="utf-8").splitlines()[0]
    assert "product_id" not in header
    counts = [sum(1 for _ in records(world, date, "markthalle")) for date in world.dates]
    assert counts[2] < 0.15 * counts[1]
    assert counts[3] > 0.9 * counts[1]
    mpns = [sum(bool(record["mpn"]) for record in records(world, date, "harbor-wholesale")) for date in world.dates]
    assert mpns[1] > 300
    assert mpns[2:] == [0, 0]


def test_a_hijacker_sells_other_goods_under_a_popular_gtin(world: World) -> None:
    (hijack,) = (incident for incident in world.incidents if incident["kind"] == "hijack")
    truth: dict[str, list[Record]] = defaultdict(list)
    for row in truth_of(world):
        truth[row["offer_id"]].append(row)
    assert len(hijack["offers"]) >= 4
    ways = Counter(len(truth[offer_id]) for offer_id in hijack["offers"])
    assert ways[1] >= 1 and ways[2] >= 1, "new offers, and honest ones that turned"
    sent = {f"bazaar-one:{record['id']}": record for record in records(world, hijack["date"], "bazaar-one")}
    honest = {record["gtin"] for feed in world.suppliers if feed != "bazaar-one" for record in records(world, FIRST, feed) if record.get("gtin")}
    for offer_id in hijack["offers"]:
        last = truth[offer_id][-1]
        assert (last["kind"], last["date_from"]) == ("hijack", hijack["date"])
        assert is_valid_gtin(sent[offer_id]["gtin"])
        if len(truth[offer_id]) > 1:
            assert truth[offer_id][0]["category"] != last["category"]
    assert any(sent[offer_id]["gtin"] in honest for offer_id in hijack["offers"])


def test_days_bring_price_changes_new_vanished_and_retitled_offers(world: World) -> None:
    first, last = ({record["id"]: record for record in records(world, date, "kaufstadt")} for date in (FIRST, LAST))
    assert first.keys() - last.keys()
    assert last.keys() - first.keys()
    both = first.keys() & last.keys()
    moved = [offer_id for offer_id in both if first[offer_id]["price"] != last[offer_id]["price"]]
    assert 0.1 * len(both) < len(moved) < 0.4 * len(both)
    assert any(first[offer_id]["title"] != last[offer_id]["title"] for offer_id in both)


def test_change_share_changes_that_share_and_nothing_else(tmp_path: Path) -> None:
    world = make(tmp_path, offers=20_000, days=3, incidents=False, change_share=0.05)
    assert world.incidents == []
    lines = [(tmp_path / "inbox" / date / "kaufstadt.jsonl").read_text(encoding="utf-8").splitlines() for date in world.dates]
    for before, after in itertools.pairwise(lines):
        changed = len(set(after) - set(before)) + max(0, len(before) - len(after))
        assert 0.03 * len(before) < changed < 0.07 * len(before)


def test_memory_does_not_grow_with_the_world(tmp_path: Path) -> None:
    script = "import resource, sys; from pathlib import Path; from endcap.sandbox import make; make(Path(sys.argv[1]), offers=int(sys.argv[2]), days=2)"
    peaks = []
    for offers in (5_000, 50_000):
        measured = f"{script}; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        done = subprocess.run([sys.executable, "-c", measured, str(tmp_path / str(offers)), str(offers)], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 30_000, f"peak memory in kB: {peaks}"


def test_the_spreadsheet_is_capped() -> None:
    place = next(place for place, supplier in enumerate(SUPPLIERS) if supplier.row_cap)
    cap = SUPPLIERS[place].row_cap
    products = assortment.products_for(7, 400_000)
    indexes = np.arange(products)
    scale = assortment._scale(7, place, products)
    assert scale < 1
    assert 0.8 * cap < int(assortment._carries(7, place, indexes, scale).sum()) <= cap


def test_every_product_has_a_carrier_and_suppliers_list_each_once() -> None:
    plans = [list(assortment.carried_by(3, place, 800, assortment.Churn(), 1)) for place in range(len(SUPPLIERS))]
    assert {offer.product.key for offers in plans for offer in offers} == set(range(800))
    for offers in plans:
        honest = [offer.product.key for offer in offers if not offer.second]
        assert len(honest) == len(set(honest))
        assert len({offer.number for offer in offers}) == len(offers)
        assert honest != sorted(honest), "in another order than the truth's"
    assert all(len(carriers) >= 4 for carriers in CARRIERS.values())


@given(st.integers(0, 2**40), st.integers(0, 1000), st.integers(0, 2**31))
def test_the_two_forms_of_a_draw_agree(seed: int, salt: int, number: int) -> None:
    assert uniform_one(seed, salt, number) == float(uniform(seed, salt, np.array([number], dtype=np.int64))[0])


@given(st.integers(-10_000_000, 10_000_000))
def test_a_price_reads_back(cents: int) -> None:
    assert round(float(price_text(cents, "number", False)) * 100) == cents
    german = price_text(cents, "currency", True).removesuffix(" €").replace(".", "").replace(",", ".")
    assert round(float(german) * 100) == cents


@pytest.mark.parametrize(
    ("amount", "unit", "pack", "amounts", "packs", "text"),
    [
        (1500.0, "ml", 1, "comma", "er", "1,5 l"), (1500.0, "ml", 1, "plain", "er", "1500ml"), (1500.0, "ml", 6, "point", "of", "1.5L Pack of 6"),
        (330.0, "ml", 24, "comma", "times", "24 x 330 ml"), (330.0, "ml", 24, "plain", "times", "24x330ml"), (1000.0, "GB", 1, "comma", "er", "1 TB"),
        (500.0, "g", 2, "spaced", "pcs", "500 g 2pcs"), (0.0, "", 3, "comma", "er", "3er Pack"), (0.0, "", 1, "comma", "er", ""),
        (8.0, "GB", 2, "plain", "times", "8GB 2x"),
    ],
)  # fmt: skip
def test_contents_as_suppliers_write_them(amount: float, unit: str, pack: int, amounts: str, packs: str, text: str) -> None:
    assert content_text(amount, unit, pack, amounts, packs) == text


def test_an_empty_delivery_is_a_readable_file(tmp_path: Path) -> None:
    for supplier in SUPPLIERS:
        file = tmp_path / supplier.file
        form(supplier, file, FIRST, {}).close()
        if supplier.form != "jsonl":
            assert list(_READERS[supplier.form](file, supplier.name)) == []


def test_titles_look_like_titles() -> None:
    titles = [made.texts["title"] for _, made in sent_offers(offers=3000) if made.texts["title"]]
    assert max(map(len, titles)) < 150
    assert sum(map(len, titles)) / len(titles) > 30
    assert len(set(titles)) > 0.95 * len(titles)
    assert not [title for title in titles if "  " in title or title != title.strip()]


def test_goods_are_many_and_their_colours_in_both_languages() -> None:
    assert len({goods.category for goods in GOODS}) >= 10
    assert len({goods.category.split(" > ")[0] for goods in GOODS}) >= 3
    for colours in (COLOURS, INK_COLOURS, WALL_COLOURS):
        assert all(len(set(names)) == len(names) for names in zip(*colours, strict=True))


def test_impossible_worlds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="offers >= 1"):
        make(tmp_path, offers=0)
    with pytest.raises(ValueError, match="change share"):
        make(tmp_path, change_share=2.0)
