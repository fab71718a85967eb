"""Stored pairs under another model than the one that scored them, and the tables as they would be with its scores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from endcap import schema
from endcap.match import Model, match_offers, rescore, with_first_columns
from endcap.match.live import live_in
from endcap.settings import Catalog

WANTED = schema.arrow_schema(schema.Pair)


def scored_by(con: duckdb.DuckDBPyConnection, rows: pa.Table, model: Model, catalog: Catalog, cache: Path | None, run: int) -> pa.Table:
    """The same pairs of live offers with another model's scores, as rows of `run`; learned columns are computed where the model has some."""
    if not rows.num_rows:
        return rows
    if model.stack is None:
        rows = with_first_columns(rows, model, lambda: live_in(con, catalog.policy.marketplaces), cache)
        return rescore(rows.set_column(rows.schema.get_field_index("run"), WANTED.field("run"), pa.array([run] * rows.num_rows, pa.int64())), model)
    asked = pc.unique(pa.concat_arrays([rows[name].combine_chunks() for name in ("left_id", "right_id")]))
    named = rows.select(["left_id", "right_id"])
    found = match_offers(live_in(con, catalog.policy.marketplaces), asked, matching=catalog.matching, model=model, run=run, cache=cache, former=named).pairs
    con.register("found_pairs", found)
    con.register("asked_pairs", named)
    return con.sql("SELECT f.* FROM found_pairs f SEMI JOIN asked_pairs USING (left_id, right_id) ORDER BY left_id, right_id").to_arrow_table().cast(WANTED)


def all_pairs_by(con: duckdb.DuckDBPyConnection, model: Model, catalog: Catalog, cache: Path | None, run: int) -> pa.Table:
    """Every pair as a run under this champion would keep it: learned columns stand for all candidates, so that such a model seeks them anew."""
    if model.stack is None:
        stored = con.sql("SELECT * FROM pairs ORDER BY left_id, right_id").to_arrow_table().cast(WANTED)
        return scored_by(con, stored, model, catalog, cache, run)
    offers = con.sql("SELECT offer_id FROM offers ORDER BY offer_id").to_arrow_table()["offer_id"].combine_chunks()
    return match_offers(live_in(con, catalog.policy.marketplaces), offers, matching=catalog.matching, model=model, run=run, cache=cache).pairs


@contextmanager
def shown(con: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> Iterator[None]:
    """Within, a table of `con` shows these rows; afterwards again what it showed before. Nothing is written."""
    ((before,),) = con.execute("SELECT sql FROM duckdb_views() WHERE view_name = ? AND NOT internal", [table]).fetchall()
    con.register(f"{table}_beside", rows)
    con.execute(f"CREATE OR REPLACE VIEW {table} AS SELECT * FROM {table}_beside")
    try:
        yield
    finally:
        con.execute(before.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1))
        con.unregister(f"{table}_beside")
