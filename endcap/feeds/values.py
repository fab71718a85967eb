"""Prices, currencies and yes/no as suppliers write them: read by the feed's contract, never guessed; and values as sentences quote them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import lru_cache

from endcap.feeds.record import BadRecord

DECIMALS = 4
LARGEST_PRICE = Decimal(100_000_000)
# ISO 4217, the codes in use.
CODES = frozenset(
    """AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP CRC
    CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD
    JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD
    NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP
    SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG""".split()  # noqa: SIM905
)
# What a sign can mean; only a sign with one meaning states a currency.
SIGNS: dict[str, tuple[str, ...]] = {
    "€": ("EUR",), "euro": ("EUR",), "£": ("GBP",), "zł": ("PLN",), "kč": ("CZK",), "ft": ("HUF",), "fr": ("CHF",), "sfr": ("CHF",),
    "lei": ("RON",), "лв": ("BGN",), "₹": ("INR",), "₽": ("RUB",), "₺": ("TRY",), "₴": ("UAH",), "₩": ("KRW",), "₪": ("ILS",), "฿": ("THB",),
    "us$": ("USD",), "c$": ("CAD",), "ca$": ("CAD",), "a$": ("AUD",), "r$": ("BRL",), "¥": ("JPY", "CNY"),
    "kr": ("SEK", "NOK", "DKK", "ISK"), "$": ("USD", "CAD", "AUD", "NZD", "MXN", "SGD", "HKD", "TWD", "ARS", "CLP", "COP", "UYU"),
}  # fmt: skip
MARKS = {" ": "[ \u00a0\u202f\u2009]", "'": "['\u2019]"}
YES = frozenset({"true", "yes", "y", "1", "ja", "available", "in stock", "in_stock", "in-stock", "instock"}) | frozenset(
    {"verfügbar", "lieferbar", "sofort lieferbar", "auf lager"}
)
NO = frozenset({
    "false", "no", "n", "0", "nein", "unavailable", "not available", "out of stock", "out_of_stock", "out-of-stock", "outofstock", "sold out", "soldout",
    "discontinued", "ausverkauft", "vergriffen", "nicht verfügbar", "nicht lieferbar", "nicht auf lager",
})  # fmt: skip
SCHEMA_ORG = re.compile(r"^https?://schema\.org/", re.I)
Price = tuple[Decimal, tuple[str, ...]]
LONGEST_SHOWN = 40
MOST_SHOWN = 12


def price_reader(decimal: str, thousands: str) -> Callable[[str], Price]:
    """A reader of prices written with these marks: text in, the number and the currencies it may be in out (none stated: empty).

    The reader raises BadRecord('bad_price') for anything else: other marks, words ('from 9.99'), ranges, zero, negative.
    """
    pattern = _pattern(decimal, thousands)
    thousands_mark = re.compile(MARKS.get(thousands, re.escape(thousands))) if thousands else None

    @lru_cache(maxsize=1 << 16)
    def read(text: str) -> Price:
        match = pattern.fullmatch(text)
        if not match:
            raise BadRecord("bad_price", f"{quoted(text)} is not one number with the decimal mark {decimal!r}{_grouping(thousands)}")
        whole = match["whole"] or "0"
        number = Decimal((thousands_mark.sub("", whole) if thousands_mark else whole) + "." + (match["part"] or match["only"] or "0"))
        if (match["sign"] and number) or not number:
            raise BadRecord("bad_price", f"the price {quoted(text)} is {'negative' if number else 'zero'}")
        if number >= LARGEST_PRICE:
            raise BadRecord("bad_price", f"the price {quoted(text)} is too large to be one")
        return number, _currencies(text, match["before"] or match["inner"], match["after"])

    return read


def currency_code(text: str) -> str:
    """An ISO 4217 code from a code or an unambiguous sign. Raises BadRecord('bad_currency')."""
    meant = _meanings(text)
    if len(meant) != 1:
        raise BadRecord("bad_currency", f"{quoted(text)} is not one ISO 4217 currency")
    return meant[0]


def truth(text: str) -> bool | None:
    """Whether the text says yes or no; a stock count above 0 is yes; None where it says neither."""
    word = SCHEMA_ORG.sub("", text).casefold()
    if word in YES:
        return True
    if word in NO:
        return False
    return int(word) > 0 if word.isascii() and word.isdigit() and len(word) < 10 else None


def shown(text: str, longest: int = LONGEST_SHOWN) -> str:
    """A supplier's text as it may stand in a sentence: printable, on one line, clipped to `longest` characters."""
    line = " ".join(text[: 4 * longest].split())
    kept = "".join(character if character.isprintable() else "\ufffd" for character in line[:longest])
    return kept + "..." if len(line) > longest or len(text) > 4 * longest else kept


def quoted(text: str) -> str:
    """A supplier's text in quotation marks, printable and clipped."""
    return repr(shown(text))


def listed(names: Iterable[str]) -> str:
    """Names for a sentence: each printable and clipped, the first MOST_SHOWN of them."""
    names = list(names)
    return ", ".join(map(shown, names[:MOST_SHOWN])) + (", ..." if len(names) > MOST_SHOWN else "")


def _pattern(decimal: str, thousands: str) -> re.Pattern[str]:
    mark, point = MARKS.get(thousands, re.escape(thousands)), re.escape(decimal)
    grouped = rf"[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+|" if thousands else ""
    sign_of_money = r"[A-Za-z]{1,2}\$|[^\W\d_]{1,4}\.?|[€£$¥₹₽₺₴₩₪฿]"
    part = rf"(?P<part>[0-9]{{1,{DECIMALS}}})0*|[-\u2013]{{1,2}}"
    number = rf"(?:(?P<whole>{grouped}[0-9]{{1,15}})(?:{point}(?:{part}))?|{point}(?P<only>[0-9]{{1,{DECIMALS}}})0*)"
    return re.compile(rf"(?P<before>{sign_of_money})? ?(?P<sign>[-\u2212])?\+? ?(?P<inner>[€£$])? ?{number} ?(?P<after>{sign_of_money})?")


def _grouping(thousands: str) -> str:
    return f" and {thousands!r} between thousands" if thousands else ", none between thousands"


def _currencies(text: str, before: str | None, after: str | None) -> tuple[str, ...]:
    stated = [_meanings(word) for word in (before, after) if word]
    if not all(stated) or len(set(stated)) > 1:
        raise BadRecord("bad_price", f"{quoted(text)} is not one number with a currency")
    return stated[0] if stated else ()


def _meanings(word: str) -> tuple[str, ...]:
    if word.upper() in CODES:
        return (word.upper(),)
    return SIGNS.get(word.casefold().rstrip("."), ())
