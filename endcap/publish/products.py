"""What a snapshot publishes of its products, and where merged ids lead."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from endcap import schema

CONTRACT = "products@1"
MERGES_FOLLOWED = 100  # more than any honest history holds; a ring of merges ends here

_PRODUCT = schema.arrow_schema(schema.Product)
PUBLISHED = pa.schema(
    [
        *(_PRODUCT.field(name) for name in ("product_id", "title", "brand", "category", "gtin", "price_min", "price_max", "currency", "offers", "suppliers")),
        pa.field("offer_ids", pa.list_(pa.string()), nullable=False),
        _PRODUCT.field("values"),
    ]
)
# `state` is that of the product led to: live, or gone when its last offer left after the merge and the snapshot does not hold it.
REDIRECTS = pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("product_id", "redirects_to", "state")])


def published_products(con: duckdb.DuckDBPyConnection) -> pa.Table:
    """The live products with the offers decided to be theirs, in the order of ids; columns as PUBLISHED."""
    return _arrow(
        con,
        """
        SELECT p.product_id, p.title, p.brand, p.category, p.gtin, p.price_min, p.price_max, p.currency, p.offers, p.suppliers,
               coalesce(d.offer_ids, []::VARCHAR[]) AS offer_ids, p."values"
        FROM products p LEFT JOIN (
            SELECT product_id, list(offer_id ORDER BY offer_id) AS offer_ids FROM decisions
            WHERE kind = 'product' AND product_id IS NOT NULL GROUP BY product_id
        ) d ON d.product_id = p.product_id
        WHERE p.state = 'live' ORDER BY p.product_id
        """,
        PUBLISHED,
    )


def redirects(con: duckdb.DuckDBPyConnection) -> pa.Table:
    """Every merged product id, the product it ended in, and whether that is live or gone, in the order of ids; columns as REDIRECTS."""
    return _arrow(
        con,
        f"""
        WITH RECURSIVE follow(product_id, redirects_to, steps) AS (
            SELECT product_id, merged_into, 1 FROM products WHERE state = 'merged' AND merged_into IS NOT NULL
            UNION
            SELECT f.product_id, p.merged_into, f.steps + 1 FROM follow f JOIN products p ON p.product_id = f.redirects_to
            WHERE p.state = 'merged' AND p.merged_into IS NOT NULL AND f.steps < {MERGES_FOLLOWED}
        )
        SELECT f.product_id, f.redirects_to, p.state FROM follow f JOIN products p ON p.product_id = f.redirects_to
        WHERE p.state IN ('live', 'gone') ORDER BY f.product_id
        """,
        REDIRECTS,
    )


def _arrow(con: duckdb.DuckDBPyConnection, query: str, columns: pa.Schema) -> pa.Table:
    return con.sql(query).to_arrow_table().cast(columns)
