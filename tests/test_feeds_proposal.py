"""A proposal from a sample: it parses as settings and reads its own sample."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from endcap.feeds import read_delivery
from endcap.feeds.propose import propose
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
