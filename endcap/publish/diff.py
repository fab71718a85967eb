"""What changed from one published table of products to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

SAMPLE_IDS = 20


@dataclass(frozen=True, slots=True)
class Diff:
    """Counts of products by what became of them, counts of changes by column, and the first ids of each kind."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    merged: int = 0
    unchanged: int = 0
    changed_columns: Mapping[str, int] = field(default_factory=dict)
    sample_ids: Mapping[str, list[str]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def summary(self) -> str:
        """One line for people."""
        columns = ", ".join(f"{name} {count}" for name, count in self.changed_columns.items())
        return f"{self.added} products added, {self.removed} removed, {self.merged} merged, {self.changed} changed" + (f" ({columns})" if columns else "")


def diff_products(old: pa.Table | None, new: pa.Table, redirects: pa.Table | None = None) -> Diff:
    """Compare two published tables by product id, as set work in columns.

    In: tables with `product_id` and the same columns; `redirects` (product_id, redirects_to) tells merged from removed.
    Out: counts, and up to 20 ids of each kind in order. A column counts as changed where its value differs, NULL included.
    """
    con = duckdb.connect(":memory:")
    con.register("new", new)
    con.register("old", new.schema.empty_table() if old is None else old.select(new.column_names))
    con.register("redirects", redirects.select(["product_id"]) if redirects is not None else pa.table({"product_id": pa.array([], pa.string())}))
    compared = [name for name in new.column_names if name != "product_id"]
    differs = ", ".join(f'o."{name}" IS DISTINCT FROM n."{name}" AS "{name}"' for name in compared)
    con.execute(f"CREATE TABLE both_sides AS SELECT n.product_id, {differs} FROM old o JOIN new n ON o.product_id = n.product_id")
    any_differs = " OR ".join(f'"{name}"' for name in compared) or "false"
    kinds = {
        "added": "SELECT product_id FROM new ANTI JOIN old USING (product_id)",
        "removed": "SELECT product_id FROM old ANTI JOIN new USING (product_id) ANTI JOIN redirects USING (product_id)",
        "changed": f"SELECT product_id FROM both_sides WHERE {any_differs}",
        "merged": "SELECT product_id FROM old ANTI JOIN new USING (product_id) SEMI JOIN redirects USING (product_id)",
    }
    counts = {kind: _scalar(con, f"SELECT count(*) FROM ({query})") for kind, query in kinds.items()}
    samples = {kind: _column(con, f"SELECT product_id FROM ({query}) ORDER BY product_id LIMIT {SAMPLE_IDS}") for kind, query in kinds.items()}
    columns = {name: _scalar(con, f'SELECT count(*) FROM both_sides WHERE "{name}"') for name in compared}
    unchanged = _scalar(con, "SELECT count(*) FROM both_sides") - counts["changed"]
    return Diff(**counts, unchanged=unchanged, changed_columns={name: count for name, count in columns.items() if count}, sample_ids=samples)


def _scalar(con: duckdb.DuckDBPyConnection, query: str) -> int:
    found = con.execute(query).fetchone()
    return int(found[0]) if found else 0


def _column(con: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    return [row[0] for row in con.execute(query).fetchall()]
