"""Values that were reported wrong, as cases: what a field of a product would be by what its offers say, without what people said of it.

The product's offers are taken as they are; whether they belong together is what cases about pairs are for.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from endcap.decide import decide
from endcap.settings import Catalog


@dataclass(frozen=True, slots=True)
class ValueCase:
    """A field of a product and what is right of it."""

    product_id: str
    field: str
    value: str

    def holds(self, found: object) -> bool:
        """Whether a value is what is right, case and white space aside."""
        return found is not None and plain(found) == plain(self.value)


def closed_values(con: duckdb.DuckDBPyConnection) -> dict[int, ValueCase]:
    """The case of every closed loop about a value of a live product: it must hold under any champion, for ever."""
    rows = con.execute("""
        SELECT loop_id, product_id, field, value FROM loops WHERE closed_at IS NOT NULL AND verified_at IS NOT NULL AND field IS NOT NULL
          AND product_id IN (SELECT product_id FROM products WHERE state = 'live') ORDER BY loop_id
    """).fetchall()
    return {row[0]: ValueCase(*row[1:]) for row in rows}


def values_without(con: duckdb.DuckDBPyConnection, catalog: Catalog, cases: Collection[ValueCase], run: int) -> dict[ValueCase, str | None]:
    """What each case's field would be without any answer about it, of products that this changes and of those that it leaves alone."""
    if not cases:
        return {}
    con.register("cased_products", pa.table({"product_id": pa.array(sorted({case.product_id for case in cases}), pa.string())}))
    offers = con.execute("SELECT offer_id FROM decisions SEMI JOIN cased_products USING (product_id) WHERE kind = 'product' ORDER BY 1").fetchall()
    known = con.sql("SELECT * FROM products SEMI JOIN cased_products USING (product_id) ORDER BY product_id").to_arrow_table().to_pylist()
    about = {(case.product_id, case.field) for case in cases}
    overrides = con.sql("SELECT * FROM overrides ORDER BY override_id").to_arrow_table()
    keep = [(row["product_id"], row["field"]) not in about for row in overrides.select(["product_id", "field"]).to_pylist()]
    none = pa.array([], pa.string())
    decided = decide(
        con, catalog, open_ids=none, touched_ids=pa.array([row[0] for row in offers], pa.string()), vanished_ids=none,
        overrides=overrides.filter(pa.array(keep, pa.bool_())), model_id="", run=run + 1, today=_today(con),
    )  # fmt: skip
    # Deciding tells only what it changes: a product it does not tell of is as it is served.
    rows = {row["product_id"]: row for row in (*known, *decided.products.to_pylist())}
    return {case: _value_of(rows.get(case.product_id), case.field) for case in cases}


def plain(value: object) -> str:
    """A value without what makes no difference: case and white space."""
    return " ".join(str(value).split()).casefold()


def _value_of(row: dict[str, Any] | None, field: str) -> str | None:
    if row is None or row["state"] != "live":
        return None
    return next((str(value["value"]) for value in row["values"] if value["field"] == field), row.get(field))


def _today(con: duckdb.DuckDBPyConnection) -> str:
    return str(con.execute("SELECT coalesce(max(date), '') FROM deliveries").fetchall()[0][0])
