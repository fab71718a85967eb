"""Quantities and pack counts as people write them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap.units import BASE_UNITS, UNITS, find_pack_counts, find_quantities, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,5 l", [(1500, "ml")]),
        ("1500ml", [(1500, "ml")]),
        ("1.5L", [(1500, "ml")]),
        ("0,75l", [(750, "ml")]),
        ("1.500 ml", [(1500, "ml")]),
        ("1.500 kg", [(1500, "g")]),
        ("1,000 ml", [(1000, "ml")]),
        ("32 oz", [(907.185, "g")]),
        ("12 fl. oz", [(354.882, "ml")]),
        ("500 GB", [(500, "GB")]),
        ("2TB", [(2000, "GB")]),
        ("2048MB", [(2, "GB")]),
        ("1024 GB", [(1000, "GB")]),
        ('12" pan', [(304.8, "mm")]),
        ('1 1/2" hose', [(38.1, "mm")]),
        ("55 Zoll", [(1397, "mm")]),
        ("6x330ml", [(330, "ml")]),
        ("ca. 200 g", [(200, "g")]),
        ("20x30 cm", [(200, "mm"), (300, "mm")]),
        ("30cmx20cm", [(300, "mm"), (200, "mm")]),
        ("nappies 8-14 kg", [(8000, "g"), (14000, "g")]),
        ("2x4GB DDR3 1600MHz", [(4, "GB"), (1.6e9, "Hz")]),
        ("paper 80 g/m² 500 Blatt", [(80, "g/m2"), (500, "sheet")]),
        ("drill 18V 2,0Ah", [(18, "V"), (2000, "mAh")]),
        ("lamp 2700K 8,5 W", [(2700, "K"), (8.5, "W")]),
    ],
)
def test_quantities(text: str, expected: list[tuple[float, str]]) -> None:
    assert [(quantity.value, quantity.unit) for quantity in find_quantities(text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "10 Stück",
        "X200",
        "1920x1080",
        "phone 5G",
        "4K TV",
        "2 in 1",
        "5W-30",
        "size 38 M",
        "WH-1000XM4",
        "1 kg = 2,50",
        "2,50 / 100 g",
        "0 ml",
        "",
        "½",
        "code 51380-WH",
        "PS-064G",
    ],
)
def test_no_quantity(text: str) -> None:
    assert find_quantities(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 pack", [2]),
        ("12-Pack", [12]),
        ("pack of 12", [12]),
        ("pack of 12 cans", [12]),
        ("6x330ml", [6]),
        ("6 x 1,5 l", [6]),
        ("330 ml x 6", [6]),
        ("250mlx6", [6]),
        ("4x6x330ml", [24]),
        ("3er Pack", [3]),
        ("10er-Pack", [10]),
        ("10 Stück", [10]),
        ("140 St", [140]),
        ("(24 pcs)", [24]),
        ("twin pack", [2]),
        ("Doppelpack", [2]),
        ("Multipack 4", [4]),
        ("Mug x2", [2]),
        ("2x shower gel", [2]),
        ("tissues 15x10 Stück", [150]),
        ("2x4GB", [2]),
        ("espresso 4x", [4]),
        ("Construction Set 212 pieces", [212]),
        ("ink Pack of 2 WG-10", [2]),
        ("Haushaltshandschuhe (1 Paar), 2 St", [1, 2]),
    ],
)
def test_pack_counts(text: str, expected: list[int]) -> None:
    assert [count.count for count in find_pack_counts(text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "X200",
        "Athlon X2",
        "1920x1080",
        "20x30 cm",
        "10x Zoom",
        "16x DVD",
        "cable 3 x 1,5 mm²",
        "Pack 500 g",
        "box 30 mb",
        "1st edition",
        "0 pcs",
        "7in1",
        "Pilot 910 NVMe",
        "zoom 12x",
        "",
    ],
)
def test_no_pack_count(text: str) -> None:
    assert find_pack_counts(text) == []


@given(st.text(max_size=80))
def test_any_text_is_read_and_spans_lie_in_it(text: str) -> None:
    for quantity in find_quantities(text):
        assert quantity.value > 0
        assert quantity.unit in BASE_UNITS
        assert text[quantity.start : quantity.end] == quantity.text
    for count in find_pack_counts(text):
        assert count.count > 0
        assert 0 <= count.start < count.end <= len(text)


@given(st.integers(1, 9999), st.sampled_from(["g", "kg", "ml", "l", "cl", "GB", "mm", "W"]), st.booleans())
def test_a_written_quantity_is_found_again(amount: int, unit: str, spaced: bool) -> None:
    found = find_quantities(f"Thing {amount}{' ' * spaced}{unit} blue")
    if unit == "g" and amount < 10 and not spaced:
        return  # '5g' in small letters is grams, '5G' is not
    base, factor = UNITS[unit.lower()]
    assert [one.unit for one in found] == [base]
    if base != "GB":
        assert found[0].value == pytest.approx(amount * factor, rel=1e-5)


@given(st.integers(1, 10**6), st.integers(0, 3))
def test_shown_has_no_trailing_zeros(digits: int, places: int) -> None:
    text = shown(digits / 10**places)
    assert float(text) == pytest.approx(digits / 10**places)
    assert "." not in text or not text.endswith(("0", "."))


def test_units_have_one_meaning_and_titles_are_read_quickly() -> None:
    assert all(factor > 0 for _base, factor in UNITS.values())
    titles = ["Shower gel Sensitive with aloe, 250 ml, 3er Pack, ref. AB-1200X"] * 5000
    started = time.process_time()
    for title in titles:
        find_quantities(title)
        find_pack_counts(title)
    # 20 us is what is needed; the bound leaves room for a slow machine.
    assert (time.process_time() - started) / len(titles) < 200e-6
