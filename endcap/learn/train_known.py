"""Train what is known of categories and attributes further, from what people said of products: a challenger of kind `infer`.

Categories: people's words on products and the catalog's sure decisions teach the title classifier anew, and move what suppliers' paths mean.
Attributes: corrections that repeat become dictionary entries (learn/dictionary.py). Both are judged on products they have not seen.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from endcap.decide.promised import HELD
from endcap.infer.attributes import category as category_attribute
from endcap.infer.categories import title_text
from endcap.infer.find import offer_texts
from endcap.infer.known import Known
from endcap.infer.taught import Told, teach_categories
from endcap.lake import Manifest
from endcap.learn import dictionary
from endcap.ops.home import Home
from endcap.problems import BadInput

MIN_PRODUCTS = 10  # that people placed in a category, before categories are taught
FOLDS = 3
PERSON_WEIGHT, MACHINE_WEIGHT = 3.0, 0.3
SURE, MOST_SURE_LESSONS = 0.9, 12_000
LEAST_MOVED, AGREED = 3, 0.8  # products of a path that people place, nearly all alike, before the path's sure decisions follow them
PLACED_TITLES = 20  # offers of one product that teach

_OFFER = "o.offer_id, o.title, o.feed, o.brand, o.description, o.category_path, o.quantity_text, o.details_json"
# A lock counts before the last word; the founder's product now is the product that was meant.
_PLACED = f"""
    WITH said AS (
        SELECT offer_id AS founder, value FROM overrides
        WHERE field = 'category' AND action IN ('set', 'lock') AND value IS NOT NULL AND actor NOT IN ({HELD})
          AND override_id NOT IN (SELECT undoes FROM overrides WHERE undoes IS NOT NULL)
        QUALIFY row_number() OVER (PARTITION BY product_id ORDER BY action = 'lock' DESC, override_id DESC) = 1),
    placed AS (SELECT d.product_id, s.value FROM said s JOIN decisions d ON d.offer_id = s.founder AND d.kind = 'product' WHERE d.product_id IS NOT NULL)
    SELECT {_OFFER}, p.product_id, p.value FROM placed p JOIN decisions d ON d.product_id = p.product_id AND d.kind = 'product' JOIN offers o USING (offer_id)
    QUALIFY row_number() OVER (PARTITION BY p.product_id ORDER BY o.offer_id) <= {PLACED_TITLES} ORDER BY o.offer_id
"""
_SURE = f"""
    SELECT {_OFFER}, d.value, d.confidence FROM decisions d JOIN offers o USING (offer_id)
    WHERE d.kind = 'category' AND d.action = 'accepted' AND d.decided_by = 'machine' AND d.confidence >= {SURE}
    ORDER BY md5(o.offer_id || $seed), o.offer_id LIMIT {MOST_SURE_LESSONS}
"""


@dataclass(frozen=True, slots=True)
class KnownTrained:
    """A challenger for what is known, as it was saved, with its figures."""

    known_id: str
    champion: str
    answers: int
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lessons:
    """Offers with the house category they belong to: of products that people placed, and sure decisions of the machine."""

    placed: pa.Table
    products: np.ndarray  # number of the placed offers' product
    placed_classes: np.ndarray
    sure: pa.Table
    sure_classes: np.ndarray


def train_known(home: Home, manifest: Manifest, *, seed: int, what: str) -> KnownTrained:
    """Fit and save a challenger; `what` is category, attributes or known (both). Raises BadInput where there are too few answers for it."""
    champion_id = home.champion("infer") or manifest.models.get("infer")
    if champion_id is None:
        raise BadInput("nothing is known of brands and categories yet", where=str(home.path), todo="run `endcap run` first")
    before = Known.load(home.model_folder(champion_id))
    figures: dict[str, Any] = {}
    missing: list[str] = []
    known, answers = before, 0
    with home.connect() as con:
        if what in ("category", "known"):
            known, answers = _with_categories(con, known, seed, figures, missing)
        if what in ("attributes", "known"):
            known, more = _with_dictionary(con, known, figures, missing)
            answers += more
    if known is before or known.known_id == champion_id:
        raise BadInput("there is nothing new to learn of categories and attributes", where=str(home.path), todo="; ".join(missing) or "correct more values")
    known.save(home.model_folder(known.known_id))
    for name in ("n", "challenger_right", "champion_right"):
        figures[name] = sum(part[name] for part in figures.values() if isinstance(part, dict))
    return KnownTrained(known.known_id, champion_id, answers, figures)


def _with_categories(con: duckdb.DuckDBPyConnection, known: Known, seed: int, figures: dict[str, Any], missing: list[str]) -> tuple[Known, int]:
    lessons = _lessons(con, known, seed) if known.categories.house else None
    placed = int(np.unique(lessons.products).size) if lessons else 0
    if lessons is None or placed < MIN_PRODUCTS:
        todo = f"set the category of {MIN_PRODUCTS - placed} more products" if known.categories.house else "name a taxonomy in the settings"
        missing.append(todo)
        return known, 0
    fold = (np.random.default_rng(seed).permutation(int(lessons.products.max()) + 1) % FOLDS)[lessons.products]
    right = 0
    for number in range(FOLDS):
        seen, unseen = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        if seen.size and unseen.size:
            right += _right(_taught(known, lessons, seen, seed), lessons, unseen)
    figures["category"] = {
        "n": int(lessons.placed.num_rows), "products": placed, "challenger_right": right,
        "champion_right": _right(known, lessons, np.arange(lessons.placed.num_rows)), "folds": FOLDS,
    }  # fmt: skip
    return _taught(known, lessons, np.arange(lessons.placed.num_rows), seed), placed


def _lessons(con: duckdb.DuckDBPyConnection, known: Known, seed: int) -> Lessons:
    numbers = {category.path: number for number, category in enumerate(known.categories.house)}
    placed, sure = con.sql(_PLACED).to_arrow_table(), con.sql(_SURE, params={"seed": str(seed)}).to_arrow_table()
    placed, sure = (table.filter(pa.array([value in numbers for value in table["value"].to_pylist()], pa.bool_())) for table in (placed, sure))
    told = set(placed["offer_id"].to_pylist())
    sure = sure.filter(pa.array([one not in told for one in sure["offer_id"].to_pylist()], pa.bool_()))
    products: dict[str, int] = {}
    of_placed = np.array([products.setdefault(one, len(products)) for one in placed["product_id"].to_pylist()], dtype=np.int64)
    classes = [np.array([numbers[value] for value in table["value"].to_pylist()], dtype=np.int64) for table in (placed, sure)]
    return Lessons(placed, of_placed, classes[0], sure, classes[1])


def _taught(known: Known, lessons: Lessons, rows: np.ndarray, seed: int) -> Known:
    """What is known after some of the placed offers, and the sure ones of other products."""
    placed = lessons.placed.take(rows)
    texts = [title_text(title, brand) for table in (placed, lessons.sure) for title, brand in _columns(table, "title", "brand")]
    sizes = np.bincount(lessons.products[rows])[lessons.products[rows]]
    by_person = PERSON_WEIGHT / np.sqrt(sizes)
    by_machine = MACHINE_WEIGHT * np.array(lessons.sure["confidence"].to_pylist(), dtype=np.float64)
    paths = _paths(lessons, rows)
    sure_classes = _as_people_place(lessons, paths)
    told = Told(
        texts, np.concatenate([lessons.placed_classes[rows], sure_classes]), np.concatenate([by_person, by_machine]).astype(np.float32), paths
    )  # fmt: skip
    return replace(known, categories=teach_categories(known.categories, told, seed=seed))


def _paths(lessons: Lessons, rows: np.ndarray) -> list[tuple[tuple[str, str], int]]:
    """The suppliers' paths of the placed products, once a product, with the category people placed it in."""
    keys = _columns(lessons.placed.take(rows), "feed", "category_path")
    named = zip(keys, lessons.products[rows].tolist(), lessons.placed_classes[rows].tolist(), strict=True)
    return [(key, number) for key, _product, number in sorted({one for one in named if one[0][1]})]


def _as_people_place(lessons: Lessons, paths: list[tuple[tuple[str, str], int]]) -> np.ndarray:
    """The classes of sure decisions, those under a path that people place elsewhere as people do."""
    counted: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for key, number in paths:
        counted[key][number] += 1
    meant = {
        key: counts.most_common(1)[0][0] for key, counts in counted.items()
        if counts.most_common(1)[0][1] >= max(LEAST_MOVED, AGREED * counts.total())
    }  # fmt: skip
    classes = lessons.sure_classes.copy()
    for row, key in enumerate(_columns(lessons.sure, "feed", "category_path")):
        classes[row] = meant.get(key, int(classes[row]))
    return classes


def _right(known: Known, lessons: Lessons, rows: np.ndarray) -> int:
    table = lessons.placed.take(rows)
    offers = [text for batch in table.to_batches() for text in offer_texts(batch)]
    said = [found[0].value if found else "" for found in category_attribute.find_all(offers, known)]
    return sum(one == wanted for one, wanted in zip(said, table["value"].to_pylist(), strict=True))


def _with_dictionary(con: duckdb.DuckDBPyConnection, known: Known, figures: dict[str, Any], missing: list[str]) -> tuple[Known, int]:
    corrected, in_use = dictionary.corrections(con), dictionary.saying(con)
    entries, brands = dictionary.learn_entries(corrected, in_use), dictionary.new_brands(corrected, known.brands)
    if not entries and not brands:
        missing.append(f"correct the same value of {dictionary.LEAST_PRODUCTS} products")
        return known, len(corrected)
    right = _left_out(corrected, in_use, known)
    figures["attributes"] = {
        "n": len(corrected), "challenger_right": right,
        "champion_right": sum(known.meant(one.attribute, one.said) == one.value for one in corrected),
        "entries": [entry.words for entry in entries], "brands": sorted(brand.name for brand in brands),
    }  # fmt: skip
    aliases = dictionary.aliases_of(entries, known.aliases)
    return replace(known, brands=dictionary.with_brands(known.brands, brands), aliases=aliases), len(corrected)


def _left_out(corrected: list[dictionary.Correction], in_use: dict[tuple[str, str], int], known: Known) -> int:
    """How many corrections the dictionary of all other products would have made by itself."""
    right = 0
    same_words = Counter((one.attribute, one.said) for one in corrected)
    for one in corrected:
        others = [other for other in corrected if other.product_id != one.product_id] if same_words[one.attribute, one.said] > 1 else []
        said = dictionary.aliases_of(dictionary.learn_entries(others, in_use), known.aliases)
        right += replace(known, aliases=said).meant(one.attribute, one.said) == one.value
    return right


def _columns(table: pa.Table, *names: str) -> list[Any]:
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))
