"""Labelled folders: left.csv and right.csv (id, name or title, and any of description, manufacturer or brand, price; other text
columns join the description), with train/valid/test.csv (ltable_id, rtable_id, label) or matches.csv (all true pairs).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from endcap.match.block import find_candidates
from endcap.match.matching import Catalog, candidate_pairs, candidates_of, first_features, fit_catalog, places_of, read_catalog
from endcap.match.pairs import Pairs
from endcap.match.score import Model
from endcap.problems import BadInput
from endcap.schema import Offer, arrow_schema
from endcap.settings import Matching

TITLES, BRANDS, PRICES = ("title", "name"), ("brand", "manufacturer"), ("price",)
KEYS = ("id", "gtin", "mpn", "cluster_id", "label")
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Tables:
    """The two tables as one catalog of two feeds."""

    name: str
    offers: pa.Table
    catalog: Catalog
    row_of: dict[str, int]  # offer id -> row

    def rows(self, pairs: Sequence[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
        """Rows of pairs of (left id, right id)."""
        left = np.array([self.row_of[f"left:{one}"] for one, _ in pairs], dtype=np.int64)
        right = np.array([self.row_of[f"right:{other}"] for _, other in pairs], dtype=np.int64)
        return left, right

    def side(self, feed: str) -> np.ndarray:
        """Rows of one table."""
        return np.array([row for offer_id, row in self.row_of.items() if offer_id.startswith(f"{feed}:")], dtype=np.int32)


@dataclass(frozen=True)
class Labelled:
    """Pairs of (left id, right id) with 1 = the same product."""

    pairs: list[tuple[str, str]]
    labels: np.ndarray


def read_tables(folder: Path) -> Tables:
    if not folder.is_dir():
        raise BadInput("there is no such folder", where=str(folder), todo="name a folder with left.csv and right.csv")
    rows = [row for feed in ("left", "right") for row in _read_offers(folder / f"{feed}.csv", feed)]
    offers = pa.Table.from_pylist(rows, schema=arrow_schema(Offer)).sort_by("offer_id")
    catalog = read_catalog(offers)
    row_of = {offer_id: row for row, offer_id in enumerate(map(str, offers["offer_id"].to_pylist()))}
    return Tables(folder.name, offers, catalog, row_of)


def read_split(folder: Path, split: str, tables: Tables) -> Labelled:
    rows = _read_pairs(folder / f"{split}.csv", tables, (("ltable_id",), ("rtable_id",), ("label",)))
    wrong = next((row["label"] for row in rows if row["label"] not in ("0", "1")), None)
    if wrong is not None:
        raise BadInput(f"{split}.csv has the label {wrong!r}", where=str(folder), todo="labels are 0 or 1")
    return Labelled([(row["ltable_id"], row["rtable_id"]) for row in rows], np.array([int(row["label"]) for row in rows], dtype=np.float64))


def read_matches(folder: Path, tables: Tables) -> list[tuple[str, str]]:
    if (folder / "matches.csv").exists():
        rows = _read_pairs(folder / "matches.csv", tables, (("ltable_id",), ("rtable_id",)))
        return sorted({(row["ltable_id"], row["rtable_id"]) for row in rows})
    given = [read_split(folder, split, tables) for split in SPLITS]
    return sorted({pair for split in given for pair, label in zip(split.pairs, split.labels, strict=True) if label == 1})


@dataclass(frozen=True)
class Judged:
    """All candidate pairs of two tables with those asked about among them, and what is known of them without labels."""

    pairs: Pairs
    features: np.ndarray  # float32 [n, f]
    base: Model  # fitted without labels

    def places(self, rows: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Where pairs of (left rows, right rows) stand."""
        return places_of(self.pairs, np.stack(rows, axis=1))


def judge_all(tables: Tables, matching: Matching, asked: Sequence[tuple[str, str]]) -> Judged:
    """Candidate pairs of all records, as a run would find them, and the `asked` pairs whether they are candidates or not."""
    index = tables.catalog.index
    rows, k = np.arange(index.size, dtype=np.int32), candidates_of(matching, index.postings)
    graph = find_candidates(index, rows, k)
    pairs = candidate_pairs(tables.catalog, graph, rows, k, np.stack(tables.rows(asked), axis=1))
    base = fit_catalog(tables.catalog, matching, graph)
    return Judged(pairs, first_features(pairs, base), base)


def read_csv(file: Path, needed: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    """Rows of a CSV file; each of `needed` names columns of which one must be there."""
    csv.field_size_limit(10_000_000)
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = [{name: value or "" for name, value in row.items() if name is not None and not isinstance(value, list)} for row in reader]
            known = reader.fieldnames or []
    except FileNotFoundError:
        raise BadInput(f"the folder has no {file.name}", where=str(file.parent), todo="see docs/evaluate.md for the shapes of folders") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{file.name} is not a readable UTF-8 CSV file: {error}", where=str(file.parent), todo="save it as UTF-8 with commas") from None
    missing = [" or ".join(names) for names in needed if not set(names) & set(known)]
    if missing:
        raise BadInput(f"{file.name} has no column {', '.join(missing)}", where=str(file.parent), todo="add or rename the column")
    return rows


def _read_offers(file: Path, feed: str) -> list[dict[str, Any]]:
    offers: dict[str, dict[str, Any]] = {}
    for position, row in enumerate(read_csv(file, (("id",), TITLES)), start=1):
        if row["id"] in offers:
            raise BadInput(f"{file.name} has the id {row['id']!r} twice", where=f"row {position}", todo="give each record its own id")
        offers[row["id"]] = offer_of(row, feed, position)
    return list(offers.values())


def offer_of(row: dict[str, str], feed: str, position: int) -> dict[str, Any]:
    named = {*TITLES, *BRANDS, *PRICES, *KEYS, "description", "priceCurrency", "currency"}
    rest = [value for name, value in row.items() if name not in named and value]
    empty: dict[str, Any] = dict.fromkeys(arrow_schema(Offer).names)
    title = next((row[name] for name in TITLES if row.get(name)), "")
    return {
        **empty, "offer_id": f"{feed}:{row['id']}", "feed": feed, "supplier": feed, "source_id": row["id"], "title": title,
        "brand": next((row[name] for name in BRANDS if row.get(name)), None),
        "description": " ".join([row.get("description", ""), *rest]).strip() or None,
        "mpn": row.get("mpn") or None, "gtin": _gtin(row.get("gtin", "")),
        "price": _price(row.get("price", "")), "currency": row.get("currency") or row.get("priceCurrency") or None,
        "delivery_id": feed, "position": position, "raw_hash": 0, "identity_hash": position, "run": 0, "gone": False,
    }  # fmt: skip


def _gtin(text: str) -> str | None:
    return text.zfill(14) if text.isdecimal() and 8 <= len(text) <= 14 and int(text) else None


def _price(text: str) -> Decimal | None:
    try:
        price = Decimal(text.strip().lstrip("$€£").replace(",", "")).quantize(Decimal("0.0001"))
    except InvalidOperation:
        return None
    return price if price.is_finite() and abs(price) < 10**12 else None


def _read_pairs(file: Path, tables: Tables, needed: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    rows = read_csv(file, needed)
    for number, row in enumerate(rows, start=1):
        for feed, name in (("left", "ltable_id"), ("right", "rtable_id")):
            if f"{feed}:{row[name]}" not in tables.row_of:
                raise BadInput(f"{file.name} names a record {row[name]!r} that {feed}.csv does not have", where=f"row {number}", todo="correct the id")
    return rows
