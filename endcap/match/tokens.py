"""Offers read once into arrays: token hashes, character 3-grams, quantities, pack counts and keys.

Everything depends on one offer alone, so that the arrays of an offer can be kept until its identity changes.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from endcap import schema
from endcap.match import reading, synonyms
from endcap.text import TITLE_LETTERS, fold
from endcap.units import find_pack_counts, find_quantities

# Words far into a description say more about the seller than about the product.
TAIL_LETTERS = 400
BATCH_OFFERS = 8192
DIGIT = re.compile(r"\d")
# Letters of Han, Hiragana and Katakana, which stand beside each other without spaces between words.
_UNSPACED = "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
UNSPACED, UNSPACED_RUN = re.compile(f"[{_UNSPACED}]"), re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
COLUMNS = ("offer_id", "identity_hash", "title", "brand", "description", "gtin", "mpn", "quantity_text", "details_json")


@dataclass(frozen=True)
class Ragged:
    """Lists of numbers, one an offer, as one array: the values of row i are values[start[i]:start[i + 1]]."""

    start: np.ndarray
    values: np.ndarray

    def row(self, i: int) -> np.ndarray:
        return self.values[self.start[i] : self.start[i + 1]]

    def take(self, rows: np.ndarray) -> Ragged:
        first = self.start[rows]
        sizes = self.start[rows + 1] - first
        start = _starts(sizes)
        places = np.repeat(first - start[:-1], sizes) + np.arange(start[-1])
        return Ragged(start, self.values[places])


@dataclass(frozen=True)
class Tokens:
    """What matching knows of each offer by itself, in the order of `keys`."""

    keys: np.ndarray  # uint64 [n], of offer id and identity hash
    hashes: Ragged  # uint64, sorted and unique within an offer
    flags: Ragged  # uint8, beside hashes: reading.WORD | CODE | FORM | TAIL | NUMBER
    grams: Ragged  # uint32 buckets of the title's character 3-grams, sorted and unique
    units: Ragged  # uint64 hash of the base unit of each stated quantity
    amounts: Ragged  # float64 beside units, in the base unit
    packs: Ragged  # int64 stated pack counts
    detail_names: Ragged  # uint64 hash of the name of each further detail (colour, size ...), sorted
    detail_values: Ragged  # uint64 hash of its value, beside detail_names
    brand: np.ndarray  # uint64 [n], 0 = not stated
    mpn: np.ndarray  # uint64 [n], 0 = not stated
    gtin: np.ndarray  # uint64 [n], 0 = not stated

    @property
    def size(self) -> int:
        """How many offers."""
        return int(self.keys.size)

    def take(self, rows: np.ndarray) -> Tokens:
        """The given rows in the given order."""
        picked: dict[str, Any] = {}
        for field in fields(self):
            column = getattr(self, field.name)
            picked[field.name] = column.take(rows) if isinstance(column, Ragged) else column[rows]
        return Tokens(**picked)


def join(parts: Sequence[Tokens]) -> Tokens:
    """Several parts as one, in their order."""
    joined: dict[str, Any] = {}
    for field in fields(Tokens):
        columns = [getattr(part, field.name) for part in parts]
        if isinstance(columns[0], Ragged):
            sizes = np.concatenate([np.diff(column.start) for column in columns])
            joined[field.name] = Ragged(_starts(sizes), np.concatenate([column.values for column in columns]))
        else:
            joined[field.name] = np.concatenate(columns)
    return Tokens(**joined)


def keys_of(offers: pa.Table) -> np.ndarray:
    """One uint64 an offer from its id and its identity hash: what cached arrays are found by."""
    ids = hash_texts(offers["offer_id"].to_pylist())
    identity = np.asarray(offers["identity_hash"].to_numpy(), dtype=np.int64).view(np.uint64)
    return (ids * np.uint64(0x9E3779B97F4A7C15)) ^ identity


def hash_texts(texts: Sequence[str | None]) -> np.ndarray:
    """Stable 64-bit hash of the letters and digits of each text, 0 for None or nothing to read."""
    if not any(texts):
        return np.zeros(len(texts), dtype=np.uint64)
    joined, kinds, bounds = _code_points([fold(text) if text else "" for text in texts])
    return reading.hash_spans(joined, kinds, bounds)


def read_tokens(offers: pa.Table) -> Tokens:
    """Read offers (schema Offer, or its columns COLUMNS) into arrays, in the order of the rows."""
    table = offers.select(list(COLUMNS))
    parts = [_read_batch(table.slice(first, BATCH_OFFERS)) for first in range(0, max(table.num_rows, 1), BATCH_OFFERS)]
    return parts[0] if len(parts) == 1 else join(parts)


def _read_batch(batch: pa.Table) -> Tokens:
    columns = {name: batch[name].to_pylist() for name in COLUMNS}
    titles = [str(title)[:TITLE_LETTERS] for title in columns["title"]]
    details = [_details(text) for text in columns["details_json"]]
    stated = [" ".join(filter(None, (quantity, *detail.values())))[:TAIL_LETTERS] for quantity, detail in zip(columns["quantity_text"], details, strict=True)]
    tails = [" ".join(filter(None, both))[:TAIL_LETTERS] for both in zip(columns["brand"], columns["description"], strict=True)]
    mpns = [mpn or "" for mpn in columns["mpn"]]
    texts = [fold(text) for row in zip(titles, mpns, stated, tails, strict=True) for text in row]
    start, hashes, flags, gram_start, grams = reading.read_batch(*_code_points(texts), *_meanings())
    detail_names, detail_values = _read_details(details)
    units, amounts, packs = _read_measures(titles, columns["quantity_text"])
    return Tokens(
        keys=keys_of(batch),
        hashes=Ragged(start, hashes),
        flags=Ragged(start, flags),
        grams=Ragged(gram_start, grams),
        units=units,
        amounts=amounts,
        packs=packs,
        detail_names=detail_names,
        detail_values=detail_values,
        brand=hash_texts(columns["brand"]),
        mpn=hash_texts(columns["mpn"]),
        gtin=_gtins(batch["gtin"]),
    )


def _details(text: str | None) -> dict[str, str]:
    """The details that are not empty, by name in the order of names; what could not be read (an EAN that a shop gave out itself) tells no products apart."""
    if not text:
        return {}
    stated = sorted(json.loads(text).items())
    return {name: value for name, value in stated if isinstance(value, str) and value.strip() and not name.endswith(schema.AS_SENT)}


@cache
def _meanings() -> tuple[np.ndarray, np.ndarray]:
    """(sorted hashes of words, hashes of the words they are read as)."""
    read_as = synonyms.readings()
    known, meant = hash_texts(list(read_as)), hash_texts(list(read_as.values()))
    order = np.argsort(known)
    return known[order], meant[order]


def hash_words(words: Sequence[str]) -> np.ndarray:
    """Hash of each word as tokens have it: of the word it is read as."""
    known, meant = _meanings()
    hashes = hash_texts(words)
    places = np.minimum(np.searchsorted(known, hashes), known.size - 1)
    return np.where(known[places] == hashes, meant[places], hashes)


def unspaced_forms(word: str) -> list[str]:
    """What a word that holds letters of a script without spaces is read as: pairs of those, and what stands between; nothing for other words."""
    if not UNSPACED.search(word):
        return []
    runs = [match.group() for match in UNSPACED_RUN.finditer(word)]
    return [form for run in runs for form in ([run[i : i + 2] for i in range(len(run) - 1)] if UNSPACED.match(run) and len(run) > 1 else [run])]


def _read_details(details: list[dict[str, str]]) -> tuple[Ragged, Ragged]:
    """Names and values of details; a value with colours in it is those colours, whatever the language."""
    start = _starts(np.array([len(detail) for detail in details], dtype=np.int64))
    if not start[-1]:
        return Ragged(start, np.empty(0, np.uint64)), Ragged(start, np.empty(0, np.uint64))
    read_as = synonyms.readings()
    values = []
    for value in (value for detail in details for value in detail.values()):
        colours = sorted({read_as[word] for word in _words(value) if word in read_as})
        values.append(" ".join(colours) or value)
    names = [name for detail in details for name in detail]
    return Ragged(start, hash_texts(names)), Ragged(start, hash_texts(values))


@lru_cache(maxsize=65536)
def _words(text: str) -> tuple[str, ...]:
    """Words of a folded text without accents; details repeat, so that most are answered from memory."""
    plain = "".join(letter for letter in fold(text) if not unicodedata.combining(letter))
    return tuple("".join(letter if letter.isalnum() else " " for letter in plain).split())


def _gtins(column: pa.ChunkedArray[Any]) -> np.ndarray:
    return np.array([int(str(gtin)) if gtin else 0 for gtin in column.to_pylist()], dtype=np.uint64)


def _read_measures(titles: list[str], quantity_texts: list[str | None]) -> tuple[Ragged, Ragged, Ragged]:
    """Quantities and pack counts of the title and of what the supplier says of content, once each an offer."""
    unit_rows: list[list[tuple[str, float]]] = []
    pack_rows: list[list[int]] = []
    for title, stated in zip(titles, quantity_texts, strict=True):
        quantities: set[tuple[str, float]] = set()
        counts: set[int] = set()
        for found, pieces in (_measures(title), _stated_measures(stated or "")):
            quantities.update(found)
            counts.update(pieces)
        unit_rows.append(sorted(quantities))
        pack_rows.append(sorted(counts))
    start = _starts(np.array([len(row) for row in unit_rows], dtype=np.int64))
    names = hash_texts([unit for row in unit_rows for unit, _ in row]) if start[-1] else np.empty(0, np.uint64)
    amounts = np.array([amount for row in unit_rows for _, amount in row], dtype=np.float64)
    pack_start = _starts(np.array([len(row) for row in pack_rows], dtype=np.int64))
    packs = np.array([count for row in pack_rows for count in row], dtype=np.int64)
    return Ragged(start, names), Ragged(start, amounts), Ragged(pack_start, packs)


def _measures(text: str) -> tuple[tuple[tuple[str, float], ...], tuple[int, ...]]:
    """((unit, amount) of each quantity, pack counts) of a text; most texts without a digit are seen to state neither at once."""
    quantities = tuple((quantity.unit, quantity.value) for quantity in find_quantities(text)) if DIGIT.search(text) else ()
    return quantities, tuple(pack.count for pack in find_pack_counts(text))


# What suppliers say of content repeats, so that most are answered from memory.
_stated_measures = lru_cache(maxsize=65536)(_measures)


def _starts(sizes: np.ndarray) -> np.ndarray:
    start = np.zeros(sizes.size + 1, dtype=np.int64)
    np.cumsum(sizes, out=start[1:])
    return start


def _code_points(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(code points uint32, class of each code point, bounds [n + 1]) of texts laid end to end."""
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    bounds = _starts(np.fromiter((len(text) for text in texts), dtype=np.int64, count=len(texts)))
    known = np.unique(points)
    kinds = np.zeros(int(known[-1]) + 1 if known.size else 1, dtype=np.uint8)
    for point in known.tolist():
        kinds[point] = _kind(chr(point))
    return points, kinds, bounds


def _kind(letter: str) -> int:
    if letter.isdecimal():
        return reading.DIGIT
    if UNSPACED.match(letter):
        return reading.UNSPACED
    if letter.isalnum():
        return reading.LETTER
    if letter in "-/_":
        return reading.JOINER
    if letter in ".,":
        return reading.POINT
    if letter in "'\u2019\u00ad" or unicodedata.combining(letter):
        return reading.SKIPPED
    return reading.OTHER
