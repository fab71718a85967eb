"""Quantities with units and pack counts as people write them in titles: '6 x 1,5 l', '32 oz', '3er Pack', 'pack of 12'.

One compiled expression finds numbers followed by a word; a small table says which words are units. A value is given in
its base unit (g, ml, mm, mm2, GB, W, V, Hz ...), so '1,5 l' and '1500ml' are equal. Decimals may have a comma or a point.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple


class Quantity(NamedTuple):
    """An amount stated in a text: `value` in base unit `unit`, written as `text` at [start, end) in characters."""

    value: float
    unit: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class PackCount:
    """How many come together, stated at [start, end) in characters."""

    count: int
    start: int
    end: int


# base unit -> (how many of it one such word is, the words, lower case)
_TABLE: dict[str, tuple[tuple[float, str], ...]] = {
    "g": (
        (1e-6, "µg μg mcg ug"), (1e-3, "mg"), (1, "g gr gm gms grs gram grams gramm gramme grammes"),
        (10, "dag deka dkg"), (1000, "kg kgs kilo kilos kilogram kilograms kilogramm"), (28.349523125, "oz ozs ounce ounces unze unzen"),
        (453.59237, "lb lbs pound pounds"),
    ),
    "ml": (
        (1, "ml mls milliliter millilitre millilitres cc ccm cm3 cm³"), (10, "cl centiliter centilitre"), (100, "dl"),
        (1000, "l lt ltr ltrs liter liters litre litres litros"), (100_000, "hl"), (29.5735295625, "floz"),
        (473.176473, "pint pints"), (946.352946, "qt quart quarts"), (3785.411784, "gal gallon gallons"), (1e6, "m3 m³ cbm"),
    ),
    "mm": (
        (1e-3, "µm μm um"), (1, "mm millimeter millimetre"), (10, "cm centimeter centimetre zentimeter"), (100, "dm"),
        (1000, "m mtr mtrs meter meters metre metres"), (25.4, "inch inches zoll in \" ″ ” ''"), (304.8, "ft foot feet"), (914.4, "yd yds yard yards"),
    ),
    "mm2": ((1, "mm2 mm²"), (100, "cm2 cm²"), (1e6, "m2 m² qm sqm")),
    "GB": ((1e-6, "kb"), (1e-3, "mb mbyte megabyte"), (1, "gb gbyte gigabyte gigabytes gig"), (1000, "tb tbyte terabyte terabytes")),
    "Mbit/s": ((1, "mbps mbit/s mb/s mbits"), (1000, "gbps gbit/s")),
    "W": ((1, "w watt watts"), (1000, "kw"), (735.49875, "ps hp")),
    "Wh": ((1, "wh"), (1000, "kwh")),
    "V": ((1e-3, "mv"), (1, "v volt volts vdc vac"), (1000, "kv")),
    "VA": ((1, "va"), (1000, "kva")),
    "A": ((1e-3, "ma"), (1, "a amp amps ampere")),
    "mAh": ((1, "mah"), (1000, "ah")),
    "Hz": ((1, "hz"), (1e3, "khz"), (1e6, "mhz"), (1e9, "ghz")),
    "MP": ((1, "mp megapixel megapixels mpix"),),
    "lm": ((1, "lm lumen lumens"),),
    "K": ((1, "k kelvin"),),
    "dB": ((1, "db"),),
    "bar": ((1, "bar"),),
    "Nm": ((1, "nm"),),
    "rpm": ((1, "rpm u/min min-1"),),
    "dpi": ((1, "dpi ppi"),),
    "den": ((1, "den denier"),),
    "g/m2": ((1, "g/m2 g/m² gsm"),),
    "kcal": ((1, "kcal"),),
    "IU": ((1, "iu ie"),),
    "%": ((1, "% prozent percent"),),
    "s": ((1, "sec sek seconds sekunden"), (60, "min mins minuten minutes"), (3600, "h hr hrs hours std stunden")),
    "wash": ((1, "wl waschladung waschladungen waschgänge washes"),),
    "sheet": ((1, "blatt sheets sheet"),),
}  # fmt: skip
UNITS: dict[str, tuple[str, float]] = {word: (base, factor) for base, rows in _TABLE.items() for factor, words in rows for word in words.split()}
BASE_UNITS: tuple[str, ...] = tuple(_TABLE)
LENGTH = "mm"
# Three digits after one mark are thousands for these small units ('1.500 ml'), decimals for the others ('1.500 kg').
_SMALL_UNITS = {word for word, (base, factor) in UNITS.items() if factor <= 1 and base not in ("GB", "%")}

_NUMBER = r"\d*(?:[.,]\d+)*(?:(?:[ -]\d{1,2})?/(?:2|3|4|8|16|32)(?!\d))?"
_NEXT = rf"(?:\s?[x×*]\s?(\d{_NUMBER}))?"
# The look-behind stands after the first digit so that the search may jump from digit to digit.
_QUANTITY = re.compile(
    rf"(\d(?:(?<![\w.,/]\d)(?<!/ \d)|(?<=m[x×]\d)){_NUMBER}){_NEXT}{_NEXT}(?:\s?[-–]\s?(\d{_NUMBER}))?"
    r"(?:\s?-?)(fl\.? ?oz|[A-Za-zµμä]{1,12}?[²³23]?(?:/[A-Za-z]{1,3}[²2]?)?|[\"″”%]|'')(?:(?!\w)|(?=[xX]\d))(?!\s?=)",
    re.IGNORECASE,
)
_RANGE, _WORD = 4, 5  # numbers of its groups


def find_quantities(text: str) -> list[Quantity]:
    """Every quantity with a known unit, in the order written.

    '6x330ml' gives 330 ml (the 6 is a pack count), '20x30 cm' gives both lengths, '3-5 kg' both ends. Prices a unit
    ('1 kg = 2,50', '/ 100 g'), network generations ('5G') and oil grades ('5W-30') are not quantities.
    """
    found: list[Quantity] = []
    for match in _QUANTITY.finditer(text):
        word = match.group(_WORD).lower()
        unit = _unit(word)
        if unit is None:
            continue
        groups = [group for group in (1, 2, 3, _RANGE) if match.start(group) >= 0]
        last = groups[-1]
        if _only_looks_like(match, match.group(last), unit[0], text):
            continue
        if unit[0] != LENGTH and last != _RANGE:
            groups = [last]
        for group in groups:
            value = _amount(match.group(group), word, unit[1])
            if value > 0:
                start, end = match.start(group), match.end(_WORD) if group == last else match.end(group)
                found.append(Quantity(value, unit[0], start, end, text[start:end]))
    return found


def number(text: str) -> float:
    """A plain number with decimal comma or point and thousands marks, or a fraction ('1 1/2'). Raises ValueError."""
    return _value(text.strip(), "")


def shown(value: float) -> str:
    """A value as text without trailing zeros: 1500.0 -> '1500', 0.75 -> '0.75'."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


@lru_cache(maxsize=16384)
def _unit(word: str) -> tuple[str, float] | None:
    if word.startswith("fl"):
        word = word.replace(".", "").replace(" ", "")
    unit = UNITS.get(word)
    if unit is None and "/" in word:
        return UNITS.get(word.split("/")[0])
    return unit


def _only_looks_like(match: re.Match[str], number_text: str, unit: str, text: str) -> bool:
    """Whether a number and a unit-like letter mean something else: '5G', '4K', '2 in 1', '5W-30', the size '38 M', 'class 1 A'."""
    word, end = match.group(_WORD), match.end(_WORD)
    before = text[match.start(_WORD) - 1]
    attached = before.isdigit()
    start = match.start()
    if before == "-" and word.isupper():
        return True  # the end of a code: '51380-WH'
    if attached and len(word) == 1 and word.isupper() and start > 1 and text[start - 1] == "-" and text[start - 2].isalpha():
        return True  # 'PS-064G'
    if word in ("M", "a", "k"):
        return True
    if word == "K":
        return len(number_text) < 4
    if word == "G":
        return attached and len(number_text) == 1
    if word == "A":
        return not attached and len(number_text) == 1
    if word.lower() == "in":
        whole = "." not in number_text and "," not in number_text
        return (whole and not attached) or text[end : end + 2].strip().isdigit()
    return unit == "W" and text[end : end + 1] == "-" and text[end + 1 : end + 2].isdigit()


@lru_cache(maxsize=16384)
def _amount(text: str, unit_word: str, factor: float) -> float:
    """The value in its base unit. The same few are written over and over."""
    return _tidy(_value(text, unit_word) * factor, unit_word)


def _value(text: str, unit_word: str) -> float:
    if "/" in text:
        whole, _, fraction = text.replace("-", " ").rpartition(" ")
        above, below = fraction.split("/")
        return (_value(whole, "") if whole else 0.0) + _value(above, "") / float(below)
    marks = [character for character in text if character in ".,"]
    if not marks:
        return float(text)
    head, tail = re.split(r"[.,](?=\d*$)", text)
    thousands = len(tail) == 3 and head not in ("0", "") and (unit_word in _SMALL_UNITS or (len(marks) > 1 and len(set(marks)) == 1))
    whole = head.replace(".", "").replace(",", "")
    return float(whole + tail) if thousands else float(f"{whole}.{tail}")


def _tidy(value: float, word: str) -> float:
    """Six significant digits; binary sizes of memory meet their decimal name (2048 MB = 2 GB, 1024 GB = 1 TB)."""
    if word == "mb" and value >= 0.256 and round(value * 1000) % 256 == 0:
        value = value * 1000 / 1024
    elif word == "gb" and value >= 1024 and value % 1024 == 0:
        value = value / 1024 * 1000
    return float(f"{value:.6g}")


_PIECES = (
    r"pack|packs|pk|pks|packung|packungen|pcs|pc|pce|pces|piece|pieces|stück|stuck|stueck|stk|stck|st|count|ct|counts|units|unit|teebeutel|beutel|"
    r"btl|tabs|tab|tabletten|tablets|kapseln|capsules|caps|dragees|rollen|rolle|rolls|roll|dosen|cans|flaschen|bottles|sachets|pads|paar|pairs|pair|"
    r"portionen|pastillen|teilig|stifte|tücher|taschentücher|riegel|unidades|pièces|piezas|pezzi|set"
)
_COUNT = re.compile(
    rf"\d(?<![\w.,/]\d)(?<![x×*] \d)(?:"
    rf"(?P<outer>\d{{0,2}})\s?[x×]\s?(?P<pieces_each>\d{{1,3}})[ -]{{0,2}}(?:{_PIECES})(?!\w)"
    rf"|(?P<each>\d{{0,2}})(?:\s?[x×*]\s?(?P<inner>\d{{1,2}}))?\s?[x×*]\s?(?=\d+(?:[.,]\d+)?\s?-?(?P<unit>fl\.? ?oz|[A-Za-zµ%ü]+[²³23]?)(?!\w))"
    rf"|(?P<er>\d{{0,3}})\s?-?er(?:[ -]?(?:pack|packung|set|multipack|box|karton|tray|kiste|träger|pk))?(?!\w)"
    rf"|(?P<pieces>\d{{0,3}})(?P<gap>[ -]{{0,2}})(?P<word>{_PIECES})(?!\w)"
    rf"|(?P<last>\d{{0,2}})(?-i:[x×])(?=\s*$)"
    rf"|(?P<lead>\d{{0,2}})\s?[x×]\s(?=[A-Za-zÄÖÜäöü]{{3}})(?!\s*(?:zoom|opti|digital|speed|dvd|cd|faster|fach|agp|pci))"
    rf")",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"(?:pack|packung|(?<!\w)(?:set|box|case|lot|bundle|tray|karton))\s?"
    r"(?:(?:of|de|à|a|mit|x|:)\s?(?P<of>\d{1,3})(?!\w|[.,]\d|\s?[x×*]\s?\d)|(?P<bare>\d{1,3})(?=\s*(?:$|[),;/|])))"
    r"|(?P<word>single|einzel|twin|double|doppel|duo|zweier|triple|trio|dreier|quad|vierer|fünfer|sechser|zehner)[ -]?pack(?:ung)?(?![a-z])"
    r"|(?:(?<![\w.])|(?<=[mlgLG]))(?-i:[x×])\s?(?P<times>\d{1,2})(?=\s*(?:$|[);]|,\s))",
    re.IGNORECASE,
)
_NAMED_COUNTS = {
    "single": 1, "einzel": 1, "twin": 2, "double": 2, "doppel": 2, "duo": 2, "zweier": 2, "triple": 3, "trio": 3, "dreier": 3,
    "quad": 4, "vierer": 4, "fünfer": 5, "sechser": 6, "zehner": 10,
}  # fmt: skip
# What every match of the two above holds, in small letters: most titles are seen at once to hold none. A search by first letters is fast.
_COUNT_HINT = re.compile(rf"\d[\s-]{{0,2}}[e*x×{''.join(sorted({word[0] for word in _PIECES.split('|')}))}]")
_NAMED_HINT = re.compile(r"pack|set|box|case|lot|bundle|tray|karton|[x×]\s?\d")
# 'N x' before these is a dimension or a cross-section, not a number of pieces.
_NOT_PACKED = (LENGTH, "mm2", "MP", "Hz", "%", "s", "dpi")


def find_pack_counts(text: str) -> list[PackCount]:
    """Every statement of how many come together, in the order written: '2 pack', '6 x 1,5 l', '3er Pack', '10 Stück', 'pack of 12'.

    Dimensions ('20x30 cm'), screen resolutions ('1920x1080'), model codes ('X200') and speeds ('16x DVD') are not counts.
    """
    small = text.lower()
    found: list[PackCount] = []
    if _COUNT_HINT.search(small):
        found = [PackCount(count, match.start(), match.end()) for match in _COUNT.finditer(text) if (count := _counted(match, text)) > 0]
    if _NAMED_HINT.search(small):
        named = (PackCount(_named(match), match.start(), match.end()) for match in _NAMED.finditer(text))
        counts = [count for count in named if count.count > 0]
        apart = [count for count in found if not any(one.start < count.end and count.start < one.end for one in counts)]
        found = sorted(apart + counts, key=lambda count: count.start)
    return found


def _counted(match: re.Match[str], text: str) -> int:
    """The count a number form states; 0 when it only looks like one."""
    first, kind = text[match.start()], match.lastgroup
    if kind == "unit":
        unit = UNITS.get(match.group("unit").lower())
        if unit is None or unit[0] in _NOT_PACKED:
            return 0
        return int(first + match.group("each")) * int(match.group("inner") or 1)
    if kind == "pieces_each":
        return int(first + match.group("outer")) * int(match.group("pieces_each"))
    if kind == "word":
        digits = first + match.group("pieces")
        ordinal = match.group("word") == "st" and not match.group("gap") and digits.endswith("1")
        return 0 if ordinal else int(digits)
    if kind == "lead":
        before = text[: match.start()].rstrip()
        return 0 if before and before[-1] not in "(,;+|-–" else int(first + match.group("lead"))
    if kind == "last":
        return 0 if text[: match.start()].lower().rstrip().endswith("zoom") else int(first + match.group("last"))
    return int(first + match.group("er"))


def _named(match: re.Match[str]) -> int:
    """The count a worded form states."""
    if match.group("word"):
        return _NAMED_COUNTS[match.group("word").lower()]
    return int(match.group("of") or match.group("bare") or match.group("times"))
