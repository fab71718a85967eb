"""The products that an offer is likest to, apart from its own: by how alike matching found them, and by a search through all titles.

A product that was founded although it exists already is seen only where the other one is shown. What matching compared and did not link comes
first in turn with what shares the same GTIN, the same part number or the rarest words: an offer that matching passed over shares those at least.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest

import duckdb
import numpy as np
import numpy.typing as npt

# As many products as an item of the queue shows.
MOST_NEAREST = 9

_WORDS = "list_distinct(regexp_extract_all(lower(title), '[\\p{L}\\p{N}]+'))"
# By what an offer is found: each word of its title, its GTIN and its part number, each with the places of the offers that state it.
_STATED = f"""
    WITH known AS (SELECT row_number() OVER (ORDER BY o.offer_id) - 1 AS place, o.title, o.gtin, o.mpn
                   FROM offers o JOIN decisions d ON d.offer_id = o.offer_id AND d.kind = 'product' WHERE d.product_id IS NOT NULL),
    stated AS (
        SELECT 'word ' || unnest({_WORDS}) AS stated, place FROM known
        UNION ALL SELECT 'gtin ' || gtin, place FROM known WHERE gtin IS NOT NULL UNION ALL SELECT 'mpn ' || lower(mpn), place FROM known WHERE mpn IS NOT NULL)
    SELECT stated, list(place::INTEGER ORDER BY place) AS places FROM stated GROUP BY stated ORDER BY stated
"""
_PLACED = """
    SELECT o.offer_id, d.product_id FROM offers o JOIN decisions d ON d.offer_id = o.offer_id AND d.kind = 'product'
    WHERE d.product_id IS NOT NULL ORDER BY o.offer_id
"""
_ASKED = f"SELECT {_WORDS}, gtin, lower(mpn) FROM offers WHERE offer_id = ?"
_COMPARED = """
    SELECT other FROM (SELECT right_id AS other, score FROM pairs WHERE left_id = $asked UNION ALL SELECT left_id, score FROM pairs WHERE right_id = $asked)
    ORDER BY score DESC, other
"""
# A GTIN in common counts more than a part number, and that more than any words: those count 1 at most.
_SAME_GTIN, _SAME_MPN = 4.0, 2.0
# Offers of one product may fill the first places of the search; so many are looked through for other products.
_LOOKED_THROUGH = 100


class Nearest:
    """Offers of products by what they state, read once a snapshot: the likest of other products are found without reading all of them again."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        """Reads the snapshot that `con` shows."""
        stated = con.sql(_STATED).to_arrow_table().combine_chunks()
        placed = con.sql(_PLACED).to_arrow_table().combine_chunks()
        places = stated["places"].combine_chunks()
        self._number = {one: number for number, one in enumerate(stated["stated"].to_pylist())}
        self._offsets, self._places = places.offsets.to_numpy(), places.values.to_numpy()
        self._offers = placed["offer_id"].to_pylist()
        self._product_of = dict(zip(self._offers, placed["product_id"].to_pylist(), strict=True))
        stating = np.diff(self._offsets)
        self._rarity = np.log((1 + len(self._offers)) / np.maximum(1, stating))
        words = np.array([one.startswith("word ") for one in self._number], dtype=bool)
        self._length = np.bincount(self._places, weights=np.repeat(self._rarity * words, stating), minlength=len(self._offers))

    def of(self, con: duckdb.DuckDBPyConnection, offer_id: str) -> list[tuple[str, str]]:
        """At most MOST_NEAREST times (offer, its product), the likest first, each of another product and none of the named offer's own."""
        own, found = self._product_of.get(offer_id), dict[str, str]()
        compared = (other for (other,) in con.execute(_COMPARED, {"asked": offer_id}).fetchall())
        for other in _in_turn(compared, self._searched(con, offer_id)):
            product = self._product_of.get(other)
            if product is not None and product != own and other != offer_id:
                found.setdefault(product, other)
            if len(found) == MOST_NEAREST:
                break
        return [(other, product) for product, other in found.items()]

    def _searched(self, con: duckdb.DuckDBPyConnection, offer_id: str) -> Iterator[str]:
        """Offers that share a GTIN, a part number or the rarest words with the named one, those first that share the most of what both say."""
        asked = con.execute(_ASKED, [offer_id]).fetchall()
        if not asked or not self._offers:
            return
        words, gtin, mpn = asked[0]
        shared, length = self._shared(f"word {word}" for word in words)
        likeness = np.round(shared / np.maximum(self._length + length - shared, 1e-9), 9)  # equals stay equal, in whatever order words were added
        for rank, one in ((_SAME_GTIN, f"gtin {gtin}"), (_SAME_MPN, f"mpn {mpn}")):
            likeness[self._stating(one)] += rank
        least = max(np.partition(likeness, -_LOOKED_THROUGH)[-_LOOKED_THROUGH] if likeness.size > _LOOKED_THROUGH else 0.0, 1e-9)
        places = np.flatnonzero(likeness >= least)
        yield from (self._offers[place] for place in places[np.argsort(-likeness[places], kind="stable")])

    def _shared(self, named: Iterable[str]) -> tuple[npt.NDArray[np.float64], float]:
        """(of every offer the rarity of what it has of the named words, the rarity of them all)."""
        numbers = sorted(self._number[one] for one in named if one in self._number)
        shared = np.zeros(len(self._offers))
        for number in numbers:
            shared[self._places[self._offsets[number] : self._offsets[number + 1]]] += self._rarity[number]
        return shared, float(self._rarity[numbers].sum())

    def _stating(self, one: str) -> npt.NDArray[np.int32]:
        number = self._number.get(one)
        return self._places[self._offsets[number] : self._offsets[number + 1]] if number is not None else self._places[:0]


def _in_turn(first: Iterable[str], second: Iterable[str]) -> Iterator[str]:
    """One of each in turn, the first one first."""
    return (one for one in chain.from_iterable(zip_longest(first, second)) if one is not None)
