"""Which products several feeds share: the first thing a catalog tells that no single feed can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from endcap.problems import BadInput

_FEEDS_OF_PRODUCTS = """
    SELECT d.product_id, list_sort(list_distinct(list(o.feed))) AS feeds FROM decisions d JOIN offers o USING (offer_id)
    WHERE d.kind = 'product' AND d.product_id IS NOT NULL GROUP BY d.product_id
"""
_OVERLAP = f"SELECT feeds, count(*) AS products FROM ({_FEEDS_OF_PRODUCTS}) GROUP BY feeds HAVING len(feeds) > 1 ORDER BY products DESC, feeds LIMIT $limit"
_SHARED = f"""
    SELECT p.product_id, p.title, p.brand, p.category, p.gtin, p.price_min::DOUBLE, p.price_max::DOUBLE, p.currency, p.offers, s.feeds
    FROM products p JOIN ({_FEEDS_OF_PRODUCTS}) s USING (product_id)
    WHERE p.state = 'live' AND list_has_all(s.feeds, $feeds) AND ($text = '' OR contains(lower(p.title), lower($text)))
    ORDER BY p.offers DESC, p.product_id
"""


@dataclass(frozen=True, slots=True)
class SharedProduct:
    """A live product with the feeds that sell it."""

    product_id: str
    title: str
    brand: str | None
    category: str | None
    gtin: str | None
    price_min: float | None
    price_max: float | None
    currency: str | None
    offers: int
    feeds: list[str]


def overlap(con: duckdb.DuckDBPyConnection, *, limit: int = 8) -> list[dict[str, Any]]:
    """How many products each combination of feeds shares, the commonest first: {feeds, products}."""
    rows = con.execute(_OVERLAP, {"limit": limit}).fetchall()
    return [{"feeds": feeds, "products": products} for feeds, products in rows]


def shared_products(con: duckdb.DuckDBPyConnection, feeds: Sequence[str], *, text: str = "", limit: int = 20) -> tuple[int, list[SharedProduct]]:
    """How many live products all the given feeds sell, and the first of them. Raises BadInput for a feed that has no offers."""
    there = {feed for (feed,) in con.execute("SELECT DISTINCT feed FROM offers").fetchall()}
    missing = sorted(set(feeds) - there)
    if missing:
        raise BadInput(f"no offers of {', '.join(missing)}", where="--in", todo=f"feeds with offers: {', '.join(sorted(there)) or 'none yet'}")
    rows = con.execute(_SHARED, {"feeds": sorted(set(feeds)), "text": text}).fetchall()
    return len(rows), [SharedProduct(*row) for row in rows[:limit]]
