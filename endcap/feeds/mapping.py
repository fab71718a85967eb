"""A feed's mapping, compiled once: a decoded record in, the content of an offer out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import msgspec

from endcap import gtin, schema, text
from endcap.feeds import values
from endcap.feeds.record import BadRecord
from endcap.settings import Feed, Source

# Content of an offer in the order of schema.Offer; the fields of the mapping go by the names on the right.
CONTENT: dict[str, str] = {
    "source_id": "id", "title": "title", "brand": "brand", "description": "description", "category_path": "category", "gtin": "gtin", "mpn": "mpn",
    "price": "price", "currency": "currency", "quantity_text": "quantity", "url": "url", "image_url": "image", "available": "available",
    "details_json": "details",
}  # fmt: skip
NOT_IDENTITY = frozenset({"price", "currency", "url", "image_url", "available"})
TEXT_OF_ELEMENT = "#text"
LEVELS = " > "
LONGEST_ID = 256
LONGEST_TEXT = 100_000
ADDRESS = re.compile(r"(?:https?:)?//|/|[\w.%-]+(?:/|\.\w)", re.I)
# What no id holds: control characters, line ends, characters nobody sees.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.I)
Record = dict[str, Any]
TextReader = Callable[[Record], str | None]


class Mapping:
    """Reads offers from the decoded records of one feed."""

    def __init__(self, feed: Feed, columns: tuple[str, ...] = ()) -> None:
        """`columns` are the delivery's column names where it has a header; a path that is one of them is taken whole."""
        given = {name: source for name in CONTENT.values() if isinstance(source := getattr(feed.fields, name), Source)}
        self._read = {name: text_reader(source, columns, name) for name, source in given.items()}
        self._details = [(name, text_reader(source, columns, name)) for name, source in sorted(feed.fields.details.items())]
        self._price = values.price_reader(feed.numbers.decimal, feed.numbers.thousands)
        self._in_cents = feed.fields.price is not None and feed.fields.price.unit == "cents"
        self._required = tuple(feed.require)

    def source_id(self, record: Record) -> str | None:
        """The supplier's id alone, for records that are refused otherwise."""
        return self._read["id"](record)

    def offer(self, record: Record) -> tuple[list[Any], str | None]:
        """The content of an offer in the order of CONTENT, and why its GTIN was refused if it was.

        Raises BadRecord when a required field is missing, or a price, currency or id breaks the contract.
        """
        said = {name: read(record) for name, read in self._read.items()}
        for name in self._required:
            if said.get(name) is None and not (name == "details" and self._details):
                raise BadRecord(f"no_{name}", f"the record states no {name}")
        if len(said["id"] or "") > LONGEST_ID:
            raise BadRecord("bad_id", f"the id is longer than {LONGEST_ID} characters")
        details = {name: found for name, read in self._details if (found := read(record)) is not None}
        price, currency = self._money(said.get("price"), said.get("currency"))
        number, refused = _gtin(said.get("gtin"), details)
        available = _available(said.get("available"), details)
        return [
            said["id"], said["title"], said.get("brand"), said.get("description"), _category(said.get("category")), number, said.get("mpn"), price, currency,
            said.get("quantity"), _address(said.get("url")), _address(said.get("image")), available, _json(details),
        ], refused  # fmt: skip

    def _money(self, price_text: str | None, currency_text: str | None) -> tuple[Decimal | None, str | None]:
        currency = values.currency_code(currency_text) if currency_text is not None else None
        if price_text is None:
            return None, currency
        price, stated = self._price(price_text)
        if currency is not None and stated and currency not in stated:
            raise BadRecord("currency_clash", f"the price {values.quoted(price_text)} is not in {currency}")
        if self._in_cents:
            price = (price / 100).quantize(Decimal("0.0001"))
        return price, currency or (stated[0] if len(stated) == 1 else None)


def identity_hash(content: list[Any]) -> int:
    """Signed 64-bit hash of what the offer claims to be; `content` in the order of CONTENT."""
    claims = "\x1f".join(["" if value is None else value for value, counts in zip(content, _IDENTITY, strict=True) if counts])
    return int.from_bytes(blake2b(claims.encode(), digest_size=8).digest(), "little", signed=True)


_IDENTITY = tuple(name not in NOT_IDENTITY for name in CONTENT)


def sources(feed: Feed) -> Iterator[tuple[str, Source]]:
    """Every mapped field with its source, details as `details.colour`."""
    for name in CONTENT.values():
        source = getattr(feed.fields, name)
        if isinstance(source, Source):
            yield name, source
    for name, source in feed.fields.details.items():
        yield f"details.{name}", source


def paths(source: Source) -> list[str]:
    """The paths a source reads."""
    return [source.path] if source.path is not None else [*(source.join or []), *(source.first or [])]


def text_reader(source: Source, columns: tuple[str, ...], name: str) -> TextReader:
    """A function from a record to the cleaned text of one field, None where the record states nothing."""
    read = _composed(source, columns)
    ignore, extract = _expression(source.ignore), _expression(source.extract)
    clean = _id if name == "id" else text.clean

    def field_text(record: Record) -> str | None:
        found = read(record)
        if not found:
            return None
        found = clean(found[:LONGEST_TEXT])
        if ignore and ignore.search(found):
            return None
        if extract:
            match = extract.search(found)
            found = (match[1] if extract.groups else match[0]) or "" if match else ""
        return found or None

    return field_text


def _id(said: str) -> str:
    """An id is no text for reading: '<b>' and '&amp;' stand for themselves."""
    return text.INVISIBLE.sub("", CONTROL.sub("", said)).strip()


def find(record: Any, steps: tuple[str, ...]) -> Any:
    """What lies under a path: '*' gives the list of what lies under each element; None where there is nothing."""
    for number, step in enumerate(steps):
        if step == "*":
            items = record if isinstance(record, list) else [] if record is None else [record]
            return [find(item, steps[number + 1 :]) for item in items]
        if isinstance(record, list):
            record = record[int(step)] if step.isdecimal() and int(step) < len(record) else None
        elif isinstance(record, dict) and (step != "0" or step in record):
            record = record.get(step)
        elif step != "0":  # one element stands for a list of one: suppliers write both
            return None
    return record


def steps_of(path: str, columns: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The steps of a path; a column name with dots in it is one step."""
    return (path,) if path in columns else tuple(path.split("."))


def _expression(pattern: str | None) -> re.Pattern[str] | None:
    return re.compile(pattern) if pattern else None


def _composed(source: Source, columns: tuple[str, ...]) -> TextReader:
    if source.constant is not None:
        constant = source.constant
        return lambda record: constant
    readers = [_path_reader(path, source.separator, columns) for path in paths(source)]
    if source.join is not None:
        return lambda record: source.separator.join([found for read in readers if (found := read(record)) and not found.isspace()])
    if len(readers) == 1:
        return readers[0]
    return lambda record: next((found for read in readers if (found := read(record)) and not found.isspace()), None)


def _path_reader(path: str, separator: str, columns: tuple[str, ...]) -> TextReader:
    steps = steps_of(path, columns)
    if len(steps) == 1 and steps[0] != "*":
        (name,) = steps

        def column(record: Record) -> str | None:
            value = record.get(name)
            return value if type(value) is str else _as_text(value, separator)

        return column
    return lambda record: _as_text(find(record, steps), separator)


def _as_text(value: Any, separator: str) -> str | None:
    """Several texts are joined, the same one twice counts once."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        return _as_text(value.get(TEXT_OF_ELEMENT), separator)
    found = [text for item in value if (text := _as_text(item, separator))]
    return separator.join(dict.fromkeys(found)) or None


def _category(said: str | None) -> str | None:
    """Levels joined by ' > ' however the supplier spaces them."""
    return said if said is None or ">" not in said else LEVELS.join(level for part in said.split(">") if (level := part.strip())) or None


def _gtin(said: str | None, details: dict[str, str]) -> tuple[str | None, str | None]:
    if said is None:
        return None, None
    number, refused = gtin.normalise(said)
    if refused:
        details["gtin" + schema.AS_SENT] = said
    return number, refused


def _available(said: str | None, details: dict[str, str]) -> bool | None:
    if said is None:
        return None
    available = values.truth(said)
    if available is None:
        details["available" + schema.AS_SENT] = said
    return available


def _address(said: str | None) -> str | None:
    """Web addresses and paths on the supplier's own site; never another scheme ('javascript:', 'data:', 'file:')."""
    if said is None or not ADDRESS.match(said):
        return None
    return said if said.lower().startswith(("http://", "https://")) or not SCHEME.match(said) else None


def _json(details: dict[str, str]) -> str | None:
    return msgspec.json.encode(dict(sorted(details.items()))).decode() if details else None
