"""The size of clothes and shoes: 'Gr. 38', 'size M', 'EU 42', 'XL'."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from endcap.infer.attributes import Found, OfferText

if TYPE_CHECKING:
    from endcap.infer.known import Known

VERSION = 1
DETAILS = ("size", "groesse", "größe", "clothing_size", "shoe_size", "taille", "talla")
_LETTERS = r"(?:\d?X{1,4}[SL]|\dX?L|[SML])"
_NUMBER = r"\d{1,3}(?:[.,]5|\s?[½]|\s?1/2)?(?:\s?[/-]\s?\d{2,3})?"
_NAMED = re.compile(
    rf"(?<!\w)(?:(?P<system>EU|EUR|UK|US|FR|DE)\s?|(?:gr(?:ö|oe)(?:ß|ss)e|gr\.?|size|taille|talla|sz\.?)[ :]*(?:(?P<inner>EU|EUR|UK|US)\s?)?)"
    rf"(?P<value>{_LETTERS}(?:\s?/\s?{_LETTERS})?|{_NUMBER})(?!\w|\s?(?:ml|g|kg|cm|mm|l)\b)",
    re.IGNORECASE,
)
# A letter alone is a size only in capitals, at the end, in brackets or after a comma or dash.
_BARE = re.compile(rf"(?:(?<=[,(\-–/]\s)|(?<=[,(/])|(?<=\s)(?<!\d\s))(?P<value>{_LETTERS})(?=\s*(?:$|[),;/]))")
_WHOLE = re.compile(rf"\s*(?:(?P<system>EU|EUR|UK|US|FR|DE)\s?)?(?P<value>{_LETTERS}(?:\s?/\s?{_LETTERS})?|{_NUMBER})\s*", re.IGNORECASE)
_DETAIL, _SAID, _LETTER_END = 0.95, 0.9, 0.75


def find(offer: OfferText, known: Known) -> list[Found]:
    """Sizes in the supplier's size field, else in the title. The unit is the size system (EU, UK, US) where one is named."""
    stated = offer.detail(DETAILS)
    if stated:
        match = _WHOLE.fullmatch(stated[1])
        if match:
            return [Found(_tidy(match.group("value")), _system(match.group("system")), _DETAIL, stated[0], 0, len(stated[1]))]
    found = [
        Found(_tidy(match.group("value")), _system(match.group("system") or match.group("inner")), _SAID, "title", match.start(), match.end())
        for match in _NAMED.finditer(offer.title)
        if match.group("value")[0].isdigit() or match.group("value").isupper() or not match.group("system")
    ]
    if found:
        return found
    return [Found(_tidy(match.group("value")), None, _LETTER_END, "title", match.start("value"), match.end("value")) for match in _BARE.finditer(offer.title)]


def _system(text: str | None) -> str | None:
    return {"EUR": "EU", "DE": "EU"}.get(text.upper(), text.upper()) if text else None


def _tidy(text: str) -> str:
    spaced = re.sub(r"\s*([/-])\s*", r"\1", text.upper().replace(",", "."))
    return re.sub(r"\s?(?:½|1/2)$", ".5", spaced).replace(" ", "")


CASES: list[tuple[dict[str, Any], str | None]] = [
    ({"title": "Laufshirt Herren blau, Gr. L"}, "L"),
    ({"title": "Strumpfhose mit Punkten, lila, Gr. 110/116, 1 St"}, "110/116"),
    ({"title": "Runner 3 Men EU 42.5"}, "42.5"),
    ({"title": "Cotton T-Shirt navy XL"}, "XL"),
    ({"title": "T-Shirt", "details": {"size": "m"}}, "M"),
    ({"title": "Milk 1 L"}, None),
    ({"title": "Größe 250 ml"}, None),
]
