"""Prices, currencies, yes and no, paths and mappings: oracle tables. What is ambiguous is refused, never guessed."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap.feeds.mapping import CONTENT, Mapping
from endcap.feeds.record import BadRecord
from endcap.feeds.values import currency_code, price_reader, truth
from endcap.settings import Feed

PRICES = [
    (".", "", "9.99", "9.99", ()),
    (".", "", "9", "9", ()),
    (".", "", ".99", "0.99", ()),
    (".", "", "0.5", "0.5", ()),
    (".", "", "31990.000000", "31990", ()),
    (".", "", "40.99 USD", "40.99", ("USD",)),
    (".", "", "EUR 5.00", "5", ("EUR",)),
    (".", "", "€5.00", "5", ("EUR",)),
    (".", "", "US$ 3", "3", ("USD",)),
    (".", ",", "1,299.90", "1299.9", ()),
    (".", ",", "12,345,678.00", "12345678", ()),
    (".", "'", "1'299.50", "1299.5", ()),
    (".", "'", "1\u2019299", "1299", ()),
    (",", "", "0,50 €", "0.5", ("EUR",)),
    (",", "", "12,-", "12", ()),
    (",", ".", "1.299,90", "1299.9", ()),
    (",", ".", "1.299", "1299", ()),
    (",", " ", "1 299,00 zł", "1299", ("PLN",)),
    (",", "", "9,5 Kč", "9.5", ("CZK",)),
    (",", "", "9,99 CHF", "9.99", ("CHF",)),
    (",", "", "Fr. 9,99", "9.99", ("CHF",)),
]
NO_PRICES = [
    (".", "", "1.299,90"),
    (".", "", "1,299.90"),
    (".", "", "1299,90"),
    (".", "", "from 9.99"),
    (".", "", "ab 9.99"),
    (".", "", "9.99-12.99"),
    (".", "", "9.99 / 12.99"),
    (".", "", "-9.99"),
    (".", "", "-$9.99"),
    (".", "", "0"),
    (".", "", "0.00"),
    (".", "", "1e3"),
    (".", "", "7.36E+11"),
    (".", "", "9.99999"),
    (".", "", "100000000"),
    (".", "", "n/a"),
    (".", "", "free"),
    (".", "", "9.99 EUR USD"),
    (".", "", "$9.99 EUR"),
    (".", "", "1 299"),
    (".", "", "1'299"),
    (".", "", "\u0663.\u0665"),
    (".", "", "5."),
    (".", "", "9..99"),
    (".", "", "9.99 each"),
    (".", "", "NaN"),
    (".", "", "Infinity"),
    (".", ",", "1,29"),
    (".", ",", "1,2999"),
    (".", ",", "12345,678"),
    (".", "", "\u00bd"),
    (",", "", "1.299"),
    (",", "", "9.99"),
    (",", ".", "1,299.90"),
    (",", ".", "9.99"),
    (",", " ", "12 99"),
    (",", "", "ab 9,99 €"),
    (",", "", "9,99 EUR €"),
    (",", "", "statt 12,99"),
]


@pytest.mark.parametrize(("decimal", "thousands", "text", "number", "currencies"), PRICES)
def test_prices(decimal: str, thousands: str, text: str, number: str, currencies: tuple[str, ...]) -> None:
    assert price_reader(decimal, thousands)(text) == (Decimal(number), currencies)


@pytest.mark.parametrize(("decimal", "thousands", "text"), NO_PRICES)
def test_what_is_not_one_price_is_refused(decimal: str, thousands: str, text: str) -> None:
    with pytest.raises(BadRecord) as caught:
        price_reader(decimal, thousands)(text)
    assert caught.value.code == "bad_price"


@given(st.decimals("0.01", "9999999", places=2), st.sampled_from([(".", ""), (".", ","), (",", ""), (",", "."), (",", " "), (".", "'")]))
def test_every_price_written_under_its_contract_comes_back_exactly(price: Decimal, marks: tuple[str, str]) -> None:
    written = f"{price:,.2f}".replace(",", "T").replace(".", marks[0]).replace("T", marks[1])
    assert price_reader(*marks)(written)[0] == price


@given(st.text(max_size=25))
def test_any_text_is_a_positive_price_or_refused(text: str) -> None:
    try:
        price, _ = price_reader(".", ",")(text)
    except BadRecord as bad:
        assert bad.code == "bad_price"
    else:
        assert 0 < price < 100_000_000


@pytest.mark.parametrize(("text", "code"), [("EUR", "EUR"), ("eur", "EUR"), ("€", "EUR"), ("Kč", "CZK"), ("Fr.", "CHF")])
def test_currencies(text: str, code: str) -> None:
    assert currency_code(text) == code


@pytest.mark.parametrize("text", ["$", "kr", "EURO1", "XXQ", "e"])
def test_a_sign_with_several_meanings_is_no_currency(text: str) -> None:
    with pytest.raises(BadRecord):
        currency_code(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("Yes", True),
        ("ja", True),
        ("1", True),
        ("17", True),
        ("in stock", True),
        ("In_Stock", True),
        ("https://schema.org/InStock", True),
        ("false", False),
        ("nein", False),
        ("0", False),
        ("out of stock", False),
        ("nicht lieferbar", False),
        ("http://schema.org/OutOfStock", False),
        ("preorder", None),
        ("maybe", None),
        ("-1", None),
        ("99999999999999999999", None),
    ],
)
def test_yes_and_no(text: str, expected: bool | None) -> None:
    assert truth(text) is expected


RECORD: dict[str, Any] = {
    "id": "7",
    "name": " Mug &amp; saucer ",
    "a.b": "flat",
    "price": {"value": "199", "#text": "x"},
    "cats": [{"name": "Kitchen"}, {"name": "Mugs"}],
    "tags": ["red", "red", "big"],
    "one": {"name": "alone"},
    "empty": "  ",
    "none": None,
    "el": {"@unit": "cm", "#text": "12"},
    "ean": "123",
    "link": "javascript:alert(1)",
}


def _offer(columns: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    feed = Feed.model_validate({"file": "a", "format": "json", "fields": {"id": "id", "title": "name", **fields}})
    return dict(zip(CONTENT, Mapping(feed, columns).offer(RECORD)[0], strict=True))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("name", "Mug & saucer"),
        ("cats.0.name", "Kitchen"),
        ("cats.5.name", None),
        ({"path": "cats.*.name", "separator": "/"}, "Kitchen/Mugs"),
        ({"path": "tags.*", "separator": "+"}, "red+big"),
        ({"path": "one.*.name"}, "alone"),
        ("one.0.name", "alone"),
        ("empty", None),
        ("none", None),
        ("nowhere.at.all", None),
        ("el", "12"),
        ("el.@unit", "cm"),
        ({"constant": "ACME"}, "ACME"),
        ({"join": ["id", "empty", "el"], "separator": "-"}, "7-12"),
        ({"first": ["none", "empty", "name"]}, "Mug & saucer"),
        ({"path": "name", "ignore": "(?i)mug"}, None),
        ({"path": "name", "extract": r"& (\w+)"}, "saucer"),
        ({"path": "name", "extract": r"\d+"}, None),
        ("price.value", "199"),
    ],
)
def test_sources(source: Any, expected: str | None) -> None:
    assert _offer(brand=source)["brand"] == expected


def test_a_column_with_dots_in_its_name_is_one_column() -> None:
    assert _offer(columns=("id", "name", "a.b"), brand="a.b")["brand"] == "flat"
    assert _offer(brand="a.b")["brand"] is None


def test_cents_constants_details_and_what_cannot_be_used_is_kept_as_sent() -> None:
    offer = _offer(
        price={"path": "price.value", "unit": "cents"},
        currency={"constant": "EUR"},
        gtin="ean",
        available="name",
        url="link",
        details={"size": "el", "none": "none"},
    )
    assert (offer["price"], offer["currency"], offer["gtin"], offer["available"], offer["url"]) == (Decimal("1.99"), "EUR", None, None, None)
    assert offer["details_json"] == '{"available_as_sent":"Mug & saucer","gtin_as_sent":"123","size":"12"}'


def test_category_levels_are_joined_the_same_way_however_they_are_written() -> None:
    assert _offer(category={"constant": "Home>Kitchen  > Mugs>"})["category_path"] == "Home > Kitchen > Mugs"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"id": "none"}, "no_id"),
        ({"title": "empty"}, "no_title"),
        ({"price": "name"}, "bad_price"),
        ({"currency": "name"}, "bad_currency"),
        ({"id": {"constant": "x" * 300}}, "bad_id"),
    ],
)
def test_a_record_that_breaks_the_contract_is_refused_with_its_reason(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(BadRecord) as caught:
        _offer(**fields)
    assert caught.value.code == code


def test_a_price_in_another_currency_than_mapped_is_refused() -> None:
    feed = Feed.model_validate({"file": "a", "format": "json", "fields": {"id": "id", "title": "t", "price": "p", "currency": {"constant": "EUR"}}})
    for text, ok in (("$5", False), ("5 EUR", True), ("5 USD", False), ("5", True)):
        try:
            Mapping(feed).offer({"id": "1", "t": "x", "p": text})
            assert ok, text
        except BadRecord as bad:
            assert bad.code == "currency_clash" and not ok, text
