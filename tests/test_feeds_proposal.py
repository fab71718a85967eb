"""A proposal from a sample: it parses as settings and reads its own sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from endcap.feeds import read_delivery
from endcap.feeds.propose import propose
from endcap.problems import BadInput
from endcap.schema import Offer, arrow_schema
from endcap.settings import Feed

EMPTY = arrow_schema(Offer).empty_table()
GERMAN = "Artikelnummer;Bezeichnung;Hersteller;EAN;Preis;Währung;Verfügbarkeit;Farbe\n" + "".join(
    f"{n};Größe {n} Tasse grün;Müller;4006381333931;1.2{n % 10}9,50;EUR;ja;grün\n" for n in range(40)
)
GOOGLE = (
    '<?xml version="1.0"?><rss xmlns:g="http://base.google.com/ns/1.0"><channel><title>Shop</title>'
    + "".join(
        f"<item><g:id>{n}</g:id><title>Mug {n}</title><g:brand>Acme</g:brand><g:gtin>4006381333931</g:gtin><g:price>{n + 1}.50 EUR</g:price><g:link>https://a.example/{n}</g:link></item>"
        for n in range(30)
    )
    + "</channel></rss>"
)
PRODUCTS = [{"sku": f"S{n}", "name": f"Mug {n}", "price": {"value": n + 0.5, "currency": "EUR"}, "images": ["a", "b"]} for n in range(30)]
NESTED = json.dumps({"meta": {}, "data": {"products": PRODUCTS}})


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "acme_2024-05-01.csv",
            GERMAN.encode("cp1252"),
            {"file": "acme_{date}.csv", "format": "csv", "options": {"encoding": "cp1252", "delimiter": ";"}, "numbers": {"decimal": ",", "thousands": "."}},
        ),
        ("acme.csv", ("Price list of May\n\n" + GERMAN).encode(), {"options": {"delimiter": ";", "header_row": 3}}),
        ("acme.xml", GOOGLE.encode(), {"format": "xml"}),
        ("acme.json", NESTED.encode(), {"format": "json", "options": {"records": "data.products"}}),
        ("acme.jsonl", "\n".join(json.dumps({"id": n, "title": f"Mug {n}", "price": "1.50"}) for n in range(30)).encode(), {"format": "jsonl"}),
    ],
)
def test_a_proposal_reads_its_own_sample(tmp_path: Path, name: str, content: bytes, expected: dict[str, object]) -> None:
    (tmp_path / name).write_bytes(content)
    proposal = propose(tmp_path / name)
    settings = yaml.safe_load(proposal.yaml)
    assert {key: settings[key] for key in expected} == expected
    reading = read_delivery("acme", Feed.model_validate(settings), tmp_path / name, "2024-05-01", EMPTY, run=1)
    assert reading.delivery.quarantined == 0 and reading.delivery.accepted == reading.delivery.read >= 30
    assert any("become offers" in note for note in proposal.notes)


def test_columns_are_known_by_their_names_in_both_languages(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(GERMAN.encode())
    fields = yaml.safe_load(propose(tmp_path / "a.csv").yaml)["fields"]
    assert fields == {
        "id": "Artikelnummer",
        "title": "Bezeichnung",
        "brand": "Hersteller",
        "gtin": "EAN",
        "price": "Preis",
        "currency": "Währung",
        "available": "Verfügbarkeit",
        "details": {"colour": "Farbe"},
    }


def test_columns_without_telling_names_are_known_by_what_they_hold(tmp_path: Path) -> None:
    rows = "".join(f"K{n};400638133393{1};Red mug number {n}\n" for n in range(30))
    (tmp_path / "a.csv").write_text("c1;c2;c3\n" + rows)
    proposal = propose(tmp_path / "a.csv")
    assert yaml.safe_load(proposal.yaml)["fields"] == {"id": "c1", "title": "c3", "gtin": "c2"}
    assert "c2 holds valid GTINs" in proposal.notes and "no column looks like a price" in proposal.notes


def _proposed(tmp_path: Path, text: str) -> tuple[dict[str, Any], list[str]]:
    (tmp_path / "a.csv").write_text(text)
    proposal = propose(tmp_path / "a.csv")
    return yaml.safe_load(proposal.yaml), proposal.notes


@pytest.mark.parametrize("name", ["listing_id", "listingId", "ListingID", "Bestell-Nr.", "Materialnummer", "item code", "supplierSku"])
def test_the_id_is_filled_and_distinct_and_not_a_gtin(tmp_path: Path, name: str) -> None:
    rows = "".join(f"{n},Mug {n},{'4006381333931' if n % 3 else ''},G{n % 4},{n + 1}.50\n" for n in range(40))
    settings, notes = _proposed(tmp_path, f"{name},title,ean,group_id,price\n{rows}")
    assert settings["fields"]["id"] == name and settings["fields"]["gtin"] == "ean" and not any("WARNING" in note for note in notes)


def test_a_better_name_does_not_make_a_half_empty_column_the_id(tmp_path: Path) -> None:
    rows = "".join(f"{n if n % 2 else ''},K{n},Mug {n}\n" for n in range(40))
    settings, _ = _proposed(tmp_path, f"id,row_key,title\n{rows}")
    assert settings["fields"]["id"] == "row_key"


def test_records_delivered_twice_do_not_cost_a_column_its_place_as_id(tmp_path: Path) -> None:
    settings, notes = _proposed(tmp_path, "sku,title\n" + 2 * "".join(f"K{n},Mug {n}\n" for n in range(40)))
    assert settings["fields"]["id"] == "sku" and not any("WARNING" in note for note in notes)


def test_a_gtin_is_the_id_only_where_nothing_else_fits(tmp_path: Path) -> None:
    gtins = [f"{n}{(-sum(int(digit) * (3 if at % 2 else 1) for at, digit in enumerate(str(n)))) % 10}" for n in range(400638133000, 400638133040)]
    settings, _ = _proposed(tmp_path, "ean,title,group_id\n" + "".join(f"{number},Mug {n},G{n % 3}\n" for n, number in enumerate(gtins)))
    assert settings["fields"]["id"] == "ean"


def test_no_sound_id_and_a_great_loss_are_said_loudly(tmp_path: Path) -> None:
    rows = "".join(f"Mug {n},{f'K{n}' if n % 3 == 0 else ''}\n" for n in range(90))
    settings, notes = _proposed(tmp_path, f"title,sku\n{rows}")
    assert settings["fields"]["id"] == "sku"
    assert notes[0] == "WARNING: only 30 of 90 sample records would become offers: 60 no_id"
    assert any(note.startswith("WARNING: no column is filled and distinct in nearly every record") for note in notes)


def test_two_columns_of_a_name_are_told_and_the_proposal_still_reads(tmp_path: Path) -> None:
    settings, notes = _proposed(tmp_path, "id,title,title\n" + "".join(f"{n},Mug {n},Cup {n}\n" for n in range(30)))
    assert settings["columns"] == ["title#2"] and any("two columns are named 'title'" in note for note in notes)
    assert read_delivery("a", Feed.model_validate(settings), tmp_path / "a.csv", "2024-05-01", EMPTY, run=1).delivery.accepted == 30


@pytest.mark.parametrize("content", [b"\0" * 5_000, b"\0\x1b[31m," * 2_000 + b"\n" + b"1," * 2_000 + b"\n", b"\x07c,d\n1,2\n" * 3])
def test_control_bytes_never_reach_the_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(BadInput) as caught:
        propose(tmp_path / "a.csv")
    said = str(caught.value)
    assert said.isprintable() and len(said) < 900


def test_json_in_utf_16_is_proposed_with_its_encoding(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(json.dumps(PRODUCTS).encode("utf-16"))
    settings = yaml.safe_load(propose(tmp_path / "a.json").yaml)
    assert settings["options"] == {"encoding": "utf-16"} and settings["fields"]["id"] == "sku"
