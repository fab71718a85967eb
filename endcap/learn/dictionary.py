"""Dictionaries learned as data: what people call a value that suppliers write otherwise, brands nobody had stated, and words that mean the same.

Each entry has counts behind it and is kept as text in the artefact, so that a person can read and refuse it; no rule is written by hand.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb
from rapidfuzz import fuzz

from endcap.decide.promised import HELD
from endcap.infer.brands import Brand, Brands, brand_key
from endcap.text import fold

# Said of so many products, nearly always the same: then it is what people mean by it.
LEAST_PRODUCTS, AGREED = 2, 0.8
# A correction of one product's slip is no dictionary: spelled alike, or a fair share of all products that say so were corrected.
ALIKE, FAIR_SHARE = 80.0, 0.2
NUMBERS = ("quantity", "pack_count")
LEAST_PAIRS = 3

# People's last word on each value of a product, with what the suppliers said; numbers are no words.
_CORRECTED = f"""
    SELECT field, said, value, product_id, actor FROM overrides
    WHERE field IS NOT NULL AND action IN ('set', 'lock') AND said IS NOT NULL AND value IS NOT NULL AND field NOT IN ('category', 'title', 'gtin', 'mpn')
      AND override_id NOT IN (SELECT undoes FROM overrides WHERE undoes IS NOT NULL) AND actor NOT IN ({HELD})
    QUALIFY row_number() OVER (PARTITION BY product_id, field ORDER BY override_id DESC) = 1 ORDER BY override_id
"""
_SAYING = "SELECT attribute, value, count(*) FROM facts GROUP BY ALL"


@dataclass(frozen=True, slots=True)
class Correction:
    """One product's value as suppliers say it and as a person set it."""

    attribute: str
    said: str
    value: str
    product_id: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A dictionary entry that was learned, with how many products stand behind it."""

    attribute: str
    said: str
    value: str
    products: int

    @property
    def words(self) -> str:
        return f"{self.attribute}: {self.said!r} is {self.value!r} ({self.products} products)"


@dataclass(frozen=True, slots=True)
class Synonym:
    """Two words that alone set apart titles of offers that people call the same, and how often the two were called different."""

    word: str
    other: str
    same: int
    different: int


def corrections(con: duckdb.DuckDBPyConnection) -> list[Correction]:
    """What people corrected; who is held back is left out."""
    return [Correction(field, said, value, product) for field, said, value, product, _actor in con.execute(_CORRECTED).fetchall() if field not in NUMBERS]


def saying(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], int]:
    """How many offers have each value of each attribute, folded."""
    found: Counter[tuple[str, str]] = Counter()
    for attribute, value, count in con.execute(_SAYING).fetchall():
        found[attribute, fold(value)] += count
    return dict(found)


def learn_entries(corrected: Sequence[Correction], in_use: Mapping[tuple[str, str], int]) -> list[Entry]:
    """What may go into the dictionary, by attribute and word; `in_use` counts offers by (attribute, folded value)."""
    spoken: dict[tuple[str, str], list[Correction]] = defaultdict(list)
    for one in corrected:
        if fold(one.said) != fold(one.value):
            spoken[one.attribute, fold(one.said)].append(one)
    entries = []
    for (attribute, said), found in sorted(spoken.items()):
        value, products = Counter(one.value for one in found).most_common(1)[0]
        contradicted = any(one.attribute == attribute and fold(one.value) == said for one in corrected)
        fair = len(found) >= FAIR_SHARE * in_use.get((attribute, said), len(found)) or fuzz.ratio(said, fold(value)) >= ALIKE
        if products >= LEAST_PRODUCTS and products >= AGREED * len(found) and fair and not contradicted:
            entries.append(Entry(attribute, said, value, products))
    return entries


def aliases_of(entries: Iterable[Entry], before: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """The dictionary with these entries; what was known before stays."""
    found = {attribute: dict(values) for attribute, values in before.items()}
    for entry in entries:
        found.setdefault(entry.attribute, {})[entry.said] = entry.value
    return found


def new_brands(corrected: Sequence[Correction], known: Brands) -> list[Brand]:
    """Brands that people set on several products and that no supplier states, so that titles that begin with them are read."""
    products: dict[str, set[str]] = defaultdict(set)
    spelled: dict[str, Counter[str]] = defaultdict(Counter)
    for one in corrected:
        key = brand_key(one.value) if one.attribute == "brand" else ""
        if key and key not in known.by_key:
            products[key].add(one.product_id)
            spelled[key][one.value] += 1
    several = sorted(key for key, found in products.items() if len(found) >= LEAST_PRODUCTS)
    return [Brand(spelled[key].most_common(1)[0][0], len(products[key]), 1, 0.75, 0.3) for key in several]


def with_brands(known: Brands, fresh: Iterable[Brand]) -> Brands:
    """The brands with new ones."""
    added = {brand_key(one.name): one for one in fresh}
    return replace(known, by_key=dict(sorted({**known.by_key, **added}.items()))) if added else known


def synonyms(pairs: Iterable[tuple[str, str, bool]]) -> list[Synonym]:
    """Words that may mean the same, from (title, title, whether people say same): titles that differ in one word each, the most frequent first.

    A pair of words that also sets apart what people call different tells variants apart and is no synonym.
    """
    counted: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for left, right, same in pairs:
        ours, theirs = set(_words(left)), set(_words(right))
        one, other = ours - theirs, theirs - ours
        if len(one) == len(other) == 1 and len(ours & theirs) >= 2:
            first, second = sorted((one.pop(), other.pop()))
            if not any(letter.isdigit() for letter in first + second):
                counted[first, second][0 if same else 1] += 1
    found = [Synonym(*words, same, different) for words, (same, different) in counted.items() if same >= LEAST_PAIRS and different * 10 <= same]
    return sorted(found, key=lambda one: (-one.same, one.word, one.other))


def _words(title: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in fold(title)).split()
