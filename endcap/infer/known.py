"""What is known of the whole catalog before a single offer is read: its brands, its categories, a title classifier.

Learnt once from a table of offers and then passed to the attributes as plain data; saved as JSON, CSV and .npy files.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from endcap.infer import brands as brand_words
from endcap.infer.brands import Brand, Brands
from endcap.infer.categories import MOST_LESSONS, Categories, Lessons, PathKey, learn_categories, title_text
from endcap.infer.taxonomy import Category, read_taxonomy
from endcap.infer.title_model import TitleModel
from endcap.problems import BadInput
from endcap.text import TITLE_LETTERS, fold

FORMAT = 1
MOST_TITLES = 40_000  # titles read to count how far a brand's mention can be trusted
_TODO = "remove that folder; the next run learns anew"
_ARRAYS = ("slots", "idf", "weights", "bias")


@dataclass(frozen=True)
class Known:
    """Plain data the attributes read from: brand vocabulary, categories and their model."""

    brands: Brands
    categories: Categories
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # attribute -> value as found, folded -> what people call it

    def meant(self, attribute: str, value: str) -> str:
        """A value as people corrected it before; itself where they did not."""
        known = self.aliases.get(attribute)
        return known.get(fold(value), value) if known else value

    @cached_property
    def known_id(self) -> str:
        """Short hash of everything known: equal for equal content."""
        digest = hashlib.sha256()
        for name, content in sorted(self._texts().items()):
            digest.update(name.encode() + b"\0" + content.encode() + b"\0")
        for name, array in self._arrays().items():
            digest.update(name.encode() + str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:12]

    def save(self, folder: Path) -> None:
        """Write known.json, brands.csv, paths.csv and the classifier's .npy files into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self._texts().items():
            (folder / name).write_text(content, encoding="utf-8", newline="")
        for name, array in self._arrays().items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
        # Last, so that a folder with this file is whole.
        (folder / "id.txt").write_text(self.known_id + "\n", encoding="utf-8")

    @staticmethod
    def load(folder: Path) -> Known:
        """What `save` wrote. Raises BadInput when a file is missing, damaged or from another version."""
        try:
            known = _read(folder)
            expected = (folder / "id.txt").read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BadInput(
                f"what was learnt of brands and categories cannot be read: {error.strerror}", where=str(error.filename or folder), todo=_TODO
            ) from None
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise BadInput("what was learnt of brands and categories is damaged, or of another version", where=str(folder), todo=_TODO) from None
        if known.known_id != expected:
            raise BadInput("what was learnt of brands and categories was changed after it was saved", where=str(folder), todo=_TODO)
        return known

    def _texts(self) -> dict[str, str]:
        titles = self.categories.titles
        head: dict[str, Any] = {
            "format": FORMAT,
            "temperature": None if titles is None else titles.temperature,
            "house": [[category.path, list(category.words)] for category in self.categories.house],
            "trust": self.brands.trust,
        }
        if self.aliases:
            head["aliases"] = {name: dict(sorted(values.items())) for name, values in sorted(self.aliases.items())}
        meanings = (self.categories.meanings or {}).items()
        brands = [[key, b.name, b.offers, b.feeds, b.at_start, b.inside] for key, b in self.brands.by_key.items()]
        paths = [[*key, number, share] for key, meaning in meanings for number, share in meaning or [(-1, 0.0)]]
        return {
            "known.json": json.dumps(head, ensure_ascii=False, sort_keys=True, indent=1) + "\n",
            "brands.csv": _csv(["key", "name", "offers", "feeds", "at_start", "inside"], brands),
            "paths.csv": _csv(["feed", "path", "category", "probability"], paths),
        }

    def _arrays(self) -> dict[str, Any]:
        titles = self.categories.titles
        return {} if titles is None else {name: getattr(titles, name) for name in _ARRAYS}


def learn_known(offers: pa.Table, taxonomy_file: Path | None, *, seed: int) -> Known:
    """Learn from a table of Offer rows; independent of their order, deterministic by seed.

    Raises BadInput when the taxonomy is missing or wrong.
    """
    house = read_taxonomy(taxonomy_file) if taxonomy_file else ()
    offers = offers.select(["offer_id", "feed", "title", "brand", "category_path"])
    offers = offers.set_column(2, "title", pc.utf8_slice_codeunits(offers["title"], 0, TITLE_LETTERS))
    counted = offers.group_by(["feed", "brand"]).aggregate([("offer_id", "count")])
    statements = _rows(counted, "feed", "brand", "offer_id_count")
    with_brand = _sample(offers.filter(pc.is_valid(pc.field("brand"))), MOST_TITLES, seed)
    brands = brand_words.learn_brands(statements, _rows(with_brand, "title", "brand"))
    return Known(brands, learn_categories(_lessons(offers, seed), house, seed=seed))


@lru_cache(maxsize=4)
def remembered(folder: str, known_id: str) -> Known:
    """`Known.load`, once a process for each content. Raises BadInput when the folder now holds something else."""
    known = Known.load(Path(folder))
    if known.known_id != known_id:
        raise BadInput("another process has learnt brands and categories anew during this run", where=folder, todo="run again")
    return known


def _rows(table: pa.Table, *names: str) -> list[Any]:
    return list(zip(*(table.column(name).to_pylist() for name in names), strict=True))


def _lessons(offers: pa.Table, seed: int) -> Lessons:
    with_path = offers.filter(pc.is_valid(pc.field("category_path")))
    distinct = with_path.group_by(["feed", "category_path"]).aggregate([])
    paths = tuple(sorted(_rows(distinct, "feed", "category_path")))
    numbers = {key: number for number, key in enumerate(paths)}
    sample = _sample(offers, MOST_LESSONS, seed)
    texts = [title_text(title, brand) for title, brand in _rows(sample, "title", "brand")]
    return Lessons(paths, np.array([numbers.get(key, -1) for key in _rows(sample, "feed", "category_path")], np.int64), texts)


def _sample(offers: pa.Table, most: int, seed: int) -> pa.Table:
    """At most so many offers, drawn by seed, in the order of their ids."""
    ordered = offers.sort_by("offer_id")
    if ordered.num_rows <= most:
        return ordered
    return ordered.take(np.sort(np.random.default_rng(seed).choice(ordered.num_rows, most, replace=False)))


def _csv(header: list[str], rows: list[list[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([header, *rows])
    return out.getvalue()


def _read(folder: Path) -> Known:
    head = json.loads((folder / "known.json").read_text(encoding="utf-8"))
    if head["format"] != FORMAT:
        raise ValueError(f"its format is {head['format']}, this version reads {FORMAT}")
    rows = _csv_rows(folder / "brands.csv")
    by_key = {row["key"]: Brand(row["name"], int(row["offers"]), int(row["feeds"]), float(row["at_start"]), float(row["inside"])) for row in rows}
    house = tuple(Category(path, tuple(words)) for path, words in head["house"])
    brands = Brands(by_key, head["trust"])
    aliases: Mapping[str, Mapping[str, str]] = head.get("aliases", {})
    if not house:
        return Known(brands, Categories(), aliases)
    meanings: dict[PathKey, list[tuple[int, float]]] = {}
    for row in _csv_rows(folder / "paths.csv"):
        meaning = meanings.setdefault((row["feed"], row["path"]), [])
        if row["category"] != "-1":
            meaning.append((int(row["category"]), float(row["probability"])))
    slots, idf, weights, bias = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in _ARRAYS)
    titles = TitleModel(slots, idf, weights, bias, float(head["temperature"]))
    return Known(brands, Categories(house, {key: tuple(meaning) for key, meaning in meanings.items()}, titles), aliases)


def _csv_rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
