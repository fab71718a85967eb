"""One JSON object a line, products.jsonl, for whoever reads line by line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

FILE_NAME = "products.jsonl"


def write(products: pa.Table, folder: Path) -> list[Path]:
    """Write the products in their order; the same table gives the same bytes. Prices are JSON numbers with four decimals."""
    path = folder / FILE_NAME
    with duckdb.connect(":memory:") as con:
        con.register("products", products)
        con.execute(f"COPY products TO {_quoted(path)} (FORMAT json)")
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
    return [path]


def read(folder: Path, columns: pa.Schema) -> pa.Table:
    """Read them back with the given columns and types."""
    path = folder / FILE_NAME
    if not path.stat().st_size:
        return columns.empty_table()
    with duckdb.connect(":memory:") as con:
        con.register("wanted", columns.empty_table())
        types = {row[0]: row[1] for row in con.sql("DESCRIBE wanted").fetchall()}
        declared = ", ".join(f"{_quoted(name)}: {_quoted(kind)}" for name, kind in types.items())
        return con.sql(f"SELECT * FROM read_json({_quoted(path)}, format = 'newline_delimited', columns = {{{declared}}})").to_arrow_table().cast(columns)


def _quoted(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"


CASES: list[list[dict[str, Any]]] = [
    [],
    [{"product_id": "p1", "title": 'Mug "red", 330 ml', "price_min": "1.2000", "price_max": "1299.9900", "offers": 2, "offer_ids": ["a:1", "b:2"]}],
    [{"product_id": "p1", "title": "Tässchen 茶\u2028"}, {"product_id": "p2", "title": "<b>x</b>\n=1+1", "brand": ""}],
]
