"""How many come in the pack: '2 pack', '6 x 1,5 l', '3er Pack', '10 Stück', 'pack of 12'."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from endcap.infer.attributes import Found, OfferText
from endcap.units import find_pack_counts

if TYPE_CHECKING:
    from endcap.infer.known import Known

VERSION = 1
DETAILS = ("pack_count", "pack", "pack_size", "packsize", "pieces", "count", "stueck", "units")
MOST = 10_000
MANY = 100
_PARTS = re.compile(r"pieces|piece|pcs|teilig", re.IGNORECASE)
_DETAIL, _QUANTITY_TEXT, _TITLE, _BARE = 0.95, 0.93, 0.88, 0.75
_AGREEMENT = 0.99


def find(offer: OfferText, known: Known) -> list[Found]:
    """Counts in the supplier's own field, the quantity text and the title; agreement of two raises the confidence."""
    bare = _bare(offer.quantity_text, "quantity_text", _BARE)
    found = [*_detail(offer), *bare, *_read(offer.quantity_text, "quantity_text", _QUANTITY_TEXT), *_read(offer.title, "title", _TITLE)]
    fields: dict[str, set[str | None]] = {}
    for one in found:
        fields.setdefault(one.value, set()).add(one.field)
    doubt = 1.0 if len(fields) == 1 else 0.75
    return [replace(one, confidence=_AGREEMENT if len(fields[one.value]) > 1 else round(one.confidence * doubt, 4)) for one in found]


def _detail(offer: OfferText) -> list[Found]:
    stated = offer.detail(DETAILS)
    if stated is None:
        return []
    field, text = stated
    return _bare(text, field, _DETAIL) or _read(text, field, _DETAIL)


def _bare(text: str | None, field: str, confidence: float) -> list[Found]:
    """A field that holds nothing but a number of pieces."""
    digits = (text or "").strip()
    if not digits.isascii() or not digits.isdigit() or not 0 < int(digits) <= MOST:
        return []
    return [Found(str(int(digits)), None, confidence, field, 0, len(text or ""))]


def _read(text: str | None, field: str, confidence: float) -> list[Found]:
    """The largest count of a text: in '6er Pack, 1 St' the pack is six."""
    counts = [count for count in find_pack_counts(text) if count.count <= MOST] if text else []
    if not counts:
        return []
    largest = max(counts, key=lambda count: count.count)
    several = len({count.count for count in counts if count.count > 1}) > 1
    if several:
        confidence *= 0.75
    if largest.count >= MANY and _PARTS.search(text or "", largest.start, largest.end):
        confidence *= 0.5  # the parts of one building set or puzzle
    return [Found(str(largest.count), None, round(confidence, 4), field, largest.start, largest.end)]


CASES: list[tuple[dict[str, Any], str | None]] = [
    ({"title": "Mug red 2 pack"}, "2"),
    ({"title": "Mug x2"}, "2"),
    ({"title": "Mug"}, None),
    ({"title": "Mineralwasser 6 x 1,5 l"}, "6"),
    ({"title": "Mineralwasser", "quantity_text": "6x1,5l"}, "6"),
    ({"title": "Poster 20x30 cm"}, None),
    ({"title": "Wattepads, 140 St"}, "140"),
]
