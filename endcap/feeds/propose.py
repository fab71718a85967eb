"""Proposing a feed's settings from a sample of its delivery: a person reads, corrects and keeps them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from endcap import gtin, shelf
from endcap.feeds import sampling, values
from endcap.feeds.guard import percent
from endcap.feeds.mapping import Mapping, find, steps_of
from endcap.feeds.opening import opened
from endcap.feeds.record import BadRecord, Chunk, Header, Unreadable
from endcap.feeds.values import listed, quoted, shown
from endcap.problems import BadInput
from endcap.settings import Feed, Numbers

SAMPLE = 1_000
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# Names suppliers give to columns, most telling first, without case and punctuation: Google Merchant, Heureka, English, German.
NAMES: dict[str, tuple[str, ...]] = {
    "id": ("id", "itemid", "offerid", "articleid", "sku", "productid", "articlenumber", "artikelnummer", "artnr", "artikelnr", "itemnumber",
           "bestellnummer", "uuid", "index", "kod", "code"),
    "title": ("title", "titel", "productname", "produktname", "name", "bezeichnung", "artikelbezeichnung", "produktbezeichnung", "artikelname",
              "produkttitel", "product", "produkt", "nazwa", "label"),
    "brand": ("brandname", "brand.name", "brand", "marke", "manufacturer", "hersteller", "herstellername", "vendor", "producer", "producent", "maker"),
    "description": ("description", "beschreibung", "longdescription", "descriptionlong", "langtext", "produktbeschreibung",
                    "opis", "shortdescription", "kurzbeschreibung", "details"),
    "category": ("producttype", "categorypath", "categorytext", "category", "kategorie", "categoryname", "categorynames",
                 "kategoriepfad", "warengruppe", "googleproductcategory", "productcategory", "kategoria", "subcategory"),
    "gtin": ("gtin", "ean", "ean13", "gtin13", "gtin14", "eancode", "barcode", "upc", "strichcode", "isbn"),
    "mpn": ("mpn", "manufacturerpartnumber", "partnumber", "herstellernummer", "herstellerartikelnummer", "modelnumber", "productno",
            "modelno", "model", "modell"),
    "price": ("pricevat", "price.value", "price.regular.value", "currentprice", "price", "preis", "saleprice", "verkaufspreis", "bruttopreis",
              "endpreis", "vk", "cena", "amount"),
    "currency": ("currency", "waehrung", "währung", "price.currency", "currencyiso", "pricecurrency", "currencycode", "price.@currency"),
    "quantity": ("unitpricingmeasure", "quantity", "inhalt", "content", "packsize", "packungsgroesse", "grammage", "netcontent",
                 "gebinde", "unit", "size", "einheit"),
    "url": ("link", "url", "producturl", "deeplink", "canonicalurl", "productlink", "relativeproducturl", "produktlink"),
    "image": ("imagelink", "imageurl", "imgurl", "image", "bild", "bildurl", "picture", "images.0", "images", "mainimage"),
    "available": ("availability", "available", "verfuegbar", "verfügbar", "verfuegbarkeit", "verfügbarkeit",
                  "instock", "lagerbestand", "stock", "purchasable", "bestand"),
}  # fmt: skip
DETAILS: dict[str, tuple[str, ...]] = {
    "colour": ("color", "colour", "farbe"), "size": ("groesse", "größe"), "material": ("material",),
    "gender": ("gender", "geschlecht"), "condition": ("condition", "zustand"),
}  # fmt: skip
REQUIRED_OF_FEED = ("id", "title")
# Words that mark a column as an id wherever they stand in its name, as words of their own or, the longer ones, at its end.
ID_WORDS = frozenset({"id", "ids", "sku", "nr", "no", "num", "number", "nummer", "code", "kod", "key", "uuid", "ref"})
ID_ENDINGS = ("sku", "number", "nummer", "nr", "code", "kod", "id")
WORD_OF_NAME = re.compile(r"[A-ZÄÖÜ]+(?![a-zäöüß])|[A-ZÄÖÜ]?[a-zäöüß]+|\d+")
NEARLY_ALL = 0.95
GTIN_SHARE = 0.7
LONGEST_CODE = 64
TOO_FEW = 0.5


@dataclass(frozen=True)
class Proposal:
    """Proposed settings of one feed: a name for it, its settings as YAML text, and what a person should look at."""

    name: str
    yaml: str
    notes: list[str] = field(default_factory=list)


def propose(file: Path) -> Proposal:
    """Propose settings for the feed that `file` is a delivery of.

    Raises BadInput when the file is missing or unreadable, or no column looks like an id or a title.
    """
    if not file.is_file():
        raise BadInput(f"there is no file {file.name}", where=str(file.parent), todo="name a delivery of the feed")
    notes: list[str] = []
    try:
        format_name, options = sampling.format_and_options(file, notes)
        header, records = _sample(file, format_name, options)
    except Unreadable as bad:
        raise BadInput(f"{file.name} cannot be read: {bad.reason}", where=str(file.parent), todo=bad.todo) from None
    if not records:
        raise BadInput(f"{file.name} holds no records that can be read as {format_name}", where=str(file.parent), todo="take a delivery with records")
    columns = _columns(records, header)
    fields = _fields(columns, _columns(_each_once(records), header), notes, file)
    numbers = _numbers(columns.get(str(fields.get("price")), []), notes)
    settings: dict[str, Any] = {"file": _pattern(file, notes), "format": format_name}
    settings |= {name: part for name, part in (("options", options), ("numbers", numbers)) if part}
    settings["fields"] = _with_currency(fields, columns, numbers, notes)
    if twins := _twins(fields, header, notes):
        settings["columns"] = twins
    _try(Feed.model_validate(settings), header, records, notes)
    return Proposal(_name(file), yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=120), notes)


def _sample(file: Path, format_name: str, options: dict[str, Any]) -> tuple[Header, list[dict[str, Any]]]:
    component = shelf.component("formats", format_name)
    with opened(file, component.KINDS, format_name, 4096) as stream:
        chunk: Chunk = next(component.split(stream, options))
    records = []
    for raw in chunk.records[:SAMPLE]:
        try:
            records.append(component.decode(raw, chunk.header, options))
        except BadRecord:
            continue
    return chunk.header, records


def _columns(records: list[dict[str, Any]], header: Header) -> dict[str, list[str]]:
    """Every path of the sample with the texts found there, in the order of first appearance."""
    found: dict[str, list[str]] = {name: [] for name in header.columns}
    for record in records:
        for path in dict.fromkeys(_paths(record)):
            texts = found.setdefault(path, [])
            texts += [text for text in _texts(find(record, steps_of(path, header.columns))) if text.strip()][:1]
    return found


def _paths(value: Any, before: str = "") -> Iterator[str]:
    for name, item in value.items():
        if name == "#text":
            yield before.rstrip(".")
        elif isinstance(item, dict):
            yield from _paths(item, f"{before}{name}.")
        elif isinstance(item, list):
            yield from _list_paths(item, f"{before}{name}")
        else:
            yield before + name


def _list_paths(items: list[Any], path: str) -> Iterator[str]:
    for item in items[:3]:
        if isinstance(item, dict):
            yield from _paths(item, f"{path}.*.")
        elif isinstance(item, str):
            yield f"{path}.*"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(value.get("#text"))
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _each_once(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A record that is delivered twice does not make its id less of one."""
    return list({json.dumps(record, sort_keys=True): record for record in records}.values())


def _fields(columns: dict[str, list[str]], once: dict[str, list[str]], notes: list[str], file: Path) -> dict[str, Any]:
    """The mapping by names, then by shapes for what names do not tell; `once` are the columns of the records without repeats."""
    fields: dict[str, Any] = {}
    for name, known in NAMES.items():
        if name == "id":
            continue
        path = _by_name(columns, known, taken=[] if name == "gtin" else list(fields.values()))
        if path:
            fields[name] = path
    _gtin_by_shape(fields, columns, notes)
    _choose_id(fields, once, notes)
    _title_by_shape(fields, columns, notes)
    missing = [name for name in REQUIRED_OF_FEED if name not in fields]
    if missing:
        raise BadInput(f"no column of {file.name} looks like {' or '.join(missing)}; its columns are {listed(columns)}", todo="write the mapping by hand")
    for name in ("category", "image"):
        if str(fields.get(name, "")).endswith("*"):
            fields[name] = {"path": fields[name], "separator": " > "} if name == "category" else str(fields[name])[:-1] + "0"
    details = {name: path for name, known in DETAILS.items() if (path := _by_name(columns, known, taken=list(fields.values())))}
    ordered = {name: fields[name] for name in NAMES if name in fields}
    return {**ordered, "details": details} if details else ordered


def _by_name(columns: dict[str, list[str]], known: Iterable[str], taken: list[Any]) -> str | None:
    for wanted in known:
        for path, texts in columns.items():
            if path not in taken and texts and _plain(path, whole="." in wanted) == wanted:
                return path
    return None


def _plain(path: str, *, whole: bool) -> str:
    """A path as NAMES writes it: its last name, or all of it where the known name has dots."""
    path = path.removesuffix(".*").replace(".*.", ".")
    if whole:
        return path.casefold()
    return "" if "." in path else re.sub(r"[\W_]", "", path.casefold())


def _gtin_by_shape(fields: dict[str, Any], columns: dict[str, list[str]], notes: list[str]) -> None:
    if "gtin" in fields:
        return
    path = next((path for path, texts in columns.items() if texts and _holds_gtins(texts)), None)
    if path:
        fields["gtin"] = path
        notes.append(f"{shown(path)} holds valid GTINs")


def _holds_gtins(texts: list[str]) -> bool:
    return _share(texts, lambda text: gtin.normalise(text)[0] is not None) > GTIN_SHARE


def _choose_id(fields: dict[str, Any], columns: dict[str, list[str]], notes: list[str]) -> None:
    """The best-named column that nearly every record fills, each with a value of its own; where none does, the one that comes closest."""
    records = max((len(texts) for texts in columns.values()), default=0)
    single = {path: texts for path, texts in columns.items() if texts and "*" not in path}
    distinct = {path: len(set(texts)) / records for path, texts in single.items()}
    rank = {path: _rank_as_id(path, texts, fields) for path, texts in single.items()}
    places = [place for place in rank.values() if place is not None]
    if not places:
        return
    candidates = [path for path, place in rank.items() if place is not None]
    fitting = [path for path in candidates if distinct[path] >= NEARLY_ALL]
    if fitting:
        path = min(fitting, key=lambda path: rank[path] or ())
        if (rank[path] or (0,))[0] > 1:
            notes.append(f"no column that differs in every record is named like an id; {shown(path)} differs in {_how_many(distinct[path])}")
    else:
        path = min(candidates, key=lambda path: (-round(distinct[path], 2), rank[path] or ()))
        notes.append(
            f"WARNING: no column is filled and distinct in nearly every record, so none is a sound id; {shown(path)} comes closest "
            f"({percent(distinct[path])} of the records have a value of their own there): ask the supplier for an id"
        )
    fields["id"] = path


def _how_many(share: float) -> str:
    return "every record of the sample" if share == 1 else f"{percent(share)} of the sample's records"


def _rank_as_id(path: str, texts: list[str], fields: dict[str, Any]) -> tuple[int, ...] | None:
    """The smaller, the more like an id: by its whole name, by a word of it, by its values, mapped otherwise, a GTIN. None for what is no id."""
    plain, nested = _plain(path, whole=False), int("." in path)
    if path == fields.get("gtin") or plain in NAMES["gtin"] or (plain not in NAMES["id"] and _holds_gtins(texts)):
        return (5, nested)
    if plain in NAMES["id"]:
        return (0, nested, NAMES["id"].index(plain))
    mapped_to = next((name for name, other in fields.items() if other == path), None)
    if mapped_to in ("mpn", "url"):
        return (3 if mapped_to == "url" else 4, nested)
    if mapped_to is not None or any(plain in known for name, known in NAMES.items() if name not in ("id", "mpn", "url")):
        return None
    if plain in NAMES["mpn"]:
        return (4, nested)
    if _is_named_like_id(path):
        return (1, nested)
    return (2, nested) if _share(texts, _is_code) >= NEARLY_ALL else None


def _is_named_like_id(path: str) -> bool:
    last = path.rpartition(".")[2]
    return any(word.casefold() in ID_WORDS for word in WORD_OF_NAME.findall(last)) or re.sub(r"[\W_]", "", last.casefold()).endswith(ID_ENDINGS)


def _is_code(text: str) -> bool:
    """One short word that is no address, price or date."""
    return len(text) <= LONGEST_CODE and not re.search(r"\s|/|^\d+[.,]\d{1,2}$", text.strip()) and not DATE.match(text)


def _title_by_shape(fields: dict[str, Any], columns: dict[str, list[str]], notes: list[str]) -> None:
    if "title" in fields:
        return
    texts_of = {path: texts for path, texts in columns.items() if texts and path not in fields.values() and 10 < sum(map(len, texts)) / len(texts) < 150}
    path = max(texts_of, key=lambda path: len(set(texts_of[path])), default=None)
    if path:
        fields["title"] = path
        notes.append(f"no column is named like a title; {shown(path)} looks like one")


def _twins(fields: dict[str, Any], header: Header, notes: list[str]) -> list[str]:
    """Second columns of a mapped name: named in the settings, so that a person knows of them."""
    mapped = [path for path in [*fields.values(), *fields.get("details", {}).values()] if isinstance(path, str)]
    twins = [f"{path}#2" for path in dict.fromkeys(mapped) if f"{path}#2" in header.columns]
    notes += [f"WARNING: two columns are named {quoted(twin.removesuffix('#2'))}; the first is mapped, the second is {quoted(twin)}" for twin in twins]
    return twins


def _share(texts: list[str], test: Any) -> float:
    return sum(map(bool, map(test, texts))) / len(texts) if texts else 0.0


def _numbers(prices: list[str], notes: list[str]) -> dict[str, str]:
    """The marks under which most of the sample's prices are numbers; '.' without thousands where that is as good."""
    if not prices:
        notes.append("no column looks like a price")
        return {}
    choices = [(".", ""), (",", ""), (".", ","), (",", "."), (",", " "), (".", "'"), (".", " ")]
    scores = [_share(prices, lambda text, marks=marks: _is_price(text, marks)) for marks in choices]
    best = max(range(len(choices)), key=lambda at: (scores[at], -at))
    if scores[best] < 1:
        notes.append(f"{percent(1 - scores[best])} of the sample's prices are not numbers under any marks and would be quarantined")
    if choices[best][0] == "." and not choices[best][1]:
        return {}
    marks = Numbers(decimal=choices[best][0], thousands=choices[best][1])
    return {name: mark for name, mark in marks.model_dump().items() if mark}


def _is_price(text: str, marks: tuple[str, str]) -> bool:
    try:
        return bool(values.price_reader(*marks)(" ".join(text.split())))
    except BadRecord:
        return False


def _with_currency(fields: dict[str, Any], columns: dict[str, list[str]], numbers: dict[str, str], notes: list[str]) -> dict[str, Any]:
    """A currency that the prices do not state is for a person to say."""
    if "price" not in fields or "currency" in fields:
        return fields
    read = values.price_reader(numbers.get("decimal", "."), numbers.get("thousands", ""))
    stated: Counter[tuple[str, ...]] = Counter()
    for text in columns[fields["price"]]:
        try:
            stated[read(" ".join(text.split()))[1]] += 1
        except BadRecord:
            continue
    if not stated or len(stated.most_common(1)[0][0]) != 1:
        notes.append("the currency is not stated: add it, e.g. `currency: {constant: EUR}`")
    return fields


def _pattern(file: Path, notes: list[str]) -> str:
    if DATE.search(file.name):
        return DATE.sub("{date}", file.name)
    if DATE.fullmatch(file.parent.name):
        return "{date}/" + file.name
    notes.append("its name holds no date, so the file's own date counts; 'file' may hold {date}")
    return file.name


def _name(file: Path) -> str:
    stem = DATE.sub("", file.name.split(".")[0])
    return re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-").lower() or "feed"


def _try(feed: Feed, header: Header, records: list[dict[str, Any]], notes: list[str]) -> None:
    """Say what the proposal makes of the sample."""
    mapping, refused = Mapping(feed, header.columns), Counter[str]()
    for record in records:
        try:
            mapping.offer(record)
        except BadRecord as bad:
            refused[bad.code] += 1
    offers, causes = len(records) - refused.total(), ", ".join(f"{count} {code}" for code, count in refused.most_common())
    if offers < TOO_FEW * len(records):
        notes.insert(0, f"WARNING: only {offers} of {len(records)} sample records would become offers: {causes}")
    else:
        notes.append(f"of {len(records)} sample records {offers} become offers{', ' if causes else ''}{causes}")
