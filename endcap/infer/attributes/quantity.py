"""The content or capacity of one piece with its base unit: '0,75 l' is 750 ml, '2 TB' is 2000 GB."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from endcap.infer.attributes import Found, OfferText
from endcap.units import Quantity, find_pack_counts, find_quantities, shown

if TYPE_CHECKING:
    from endcap.infer.known import Known

VERSION = 2
DETAILS = ("quantity", "content", "inhalt", "contents", "net_content", "volume", "weight", "capacity", "size", "groesse")
# What a buyer counts first: content, then capacity, then measures; a unit not named here is no content.
_IMPORTANCE = {unit: rank for rank, unit in enumerate(("g", "ml", "wash", "GB", "sheet", "mm", "W", "mAh", "Wh", "lm"))}
_CONTENT = ("g", "ml", "wash", "GB")
_QUANTITY_TEXT, _DETAIL, _TITLE, _AGREEMENT = 0.93, 0.92, 0.9, 0.99
_SAME, _GROSS = 0.015, 1.4
# What a text says less surely: one of several amounts, a number that may be the decimals of the one before it ('7 5 kg'), one measure of a
# thing that has several, and what is no content.
_SEVERAL, _DECIMALS, _LENGTH, _OTHER = 0.65, 0.65, 0.75, 0.8
_NUMBER_BEFORE, _SHORT_NUMBER = re.compile(r"(?<![\w.,])\d{1,2}\s+$"), re.compile(r"\d{1,2}(?![\d.,])")
_GENERATIONS = 6  # '5g' beside a capacity is a network


def find(offer: OfferText, known: Known) -> list[Found]:
    """Quantities of the supplier's fields and the title; two that agree raise the confidence, a gross weight gives way to the title."""
    title = _main(offer.title, "title", _TITLE)
    stated = _main(offer.quantity_text, "quantity_text", _QUANTITY_TEXT)
    if stated is None:
        detail = offer.detail(DETAILS)
        stated = _main(detail[1], detail[0], _DETAIL) if detail else None
    if title is None or stated is None:
        return [one for one in (title, stated) if one is not None]
    if title.unit != stated.unit:
        # A weight beside a title's content is often the parcel's; a length beside a stated content is no content.
        return [replace(title, confidence=0.75), replace(stated, confidence=0.5)] if title.unit in _CONTENT else [stated, replace(title, confidence=0.5)]
    small, large = float(title.value), float(stated.value)
    pack = max((count.count for count in find_pack_counts(offer.title)), default=1)
    if abs(large - small) <= _SAME * small or abs(large - small * pack) <= _SAME * large:
        return [replace(title, confidence=_AGREEMENT)]
    gross = small < large < small * _GROSS
    return [replace(title, confidence=0.8 if gross else 0.6), replace(stated, confidence=0.5)]


def _main(text: str | None, field: str, confidence: float) -> Found | None:
    """The quantity of a text that says most of the content; lengths and several candidates of one unit say it less surely."""
    if not text:
        return None
    quantities = [quantity for quantity in find_quantities(text) if quantity.unit in _IMPORTANCE]
    if any(quantity.unit == "GB" for quantity in quantities):
        quantities = [quantity for quantity in quantities if quantity.unit != "g" or quantity.value > _GENERATIONS]
    if not quantities:
        return None
    unit = min((quantity.unit for quantity in quantities), key=_IMPORTANCE.__getitem__)
    same = [quantity for quantity in quantities if quantity.unit == unit]
    chosen = _chosen(same, unit)
    if len({quantity.value for quantity in same}) > 1:
        confidence *= _SEVERAL
    if unit != "GB" and _SHORT_NUMBER.match(chosen.text) and _NUMBER_BEFORE.search(text[: chosen.start]):
        confidence *= _DECIMALS
    if _IMPORTANCE[unit] > _IMPORTANCE["GB"]:
        confidence *= _LENGTH if unit == "mm" else _OTHER
    return Found(shown(chosen.value), unit, round(confidence, 4), field, chosen.start, chosen.end)


def _chosen(same: Sequence[Quantity], unit: str) -> Quantity:
    """Content stands last in a title; of memory sizes the largest is the drive; of lengths the first is the main one."""
    if unit == "GB":
        return max(same, key=lambda quantity: quantity.value)
    return same[0] if unit == "mm" else same[-1]


CASES: list[tuple[dict[str, Any], str | None]] = [
    ({"title": "Shampoo, 250 ml"}, "250"),
    ({"title": "Mineralwasser 6 x 1,5 l"}, "1500"),
    ({"title": "Saft", "quantity_text": "0,75 l (1 l = 2,65 EUR)"}, "750"),
    ({"title": "SSD 2TB"}, "2000"),
    ({"title": "Käse 200g", "quantity_text": "226 gramm"}, "200"),
    ({"title": "Wattepads, 140 St"}, None),
    ({"title": "phone 64gb 5g"}, "64"),
]
