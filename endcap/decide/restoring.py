"""Going back: the tables are shown as they were after an earlier run, so that what has not been touched since is restored to the byte.

A run after a rollback decides on top of the last run under the champion that holds again: offers that changed, came or were answered since are
decided anew, all others have the decisions and products of then. Ids keep their meaning: a product founded since without offers is merged
into the one that took them over, or gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from endcap import schema
from endcap.lake.tables import differing

# What stands in the tables when the run begins; the tables' own names show what stood then.
NOW = "{}_now"


@dataclass(frozen=True, slots=True)
class Past:
    """What came to be since the run that is gone back to."""

    moved: Mapping[str, str]  # offer -> its product now, where that is another one than then
    founded: frozenset[str]  # products that were not there then
    states: Mapping[str, str]  # product -> its state now, of every one that has another row now


def look_back(con: duckdb.DuckDBPyConnection, run: int) -> Past:
    """Let `decisions` and `products` (and their logs) of `con` show what held after a run; keys that came since keep what they have.

    Every offer of which anything changed since must be decided anew on top of it.
    """
    for noun in (schema.Decision, schema.Product):
        table, key = noun.TABLE, ", ".join(noun.KEY)
        since = "offer_id" if noun is schema.Decision else "product_id"
        con.execute(f"CREATE TABLE {NOW.format(table)} AS SELECT * FROM {table}")
        con.execute(f"CREATE TABLE then_{table} AS SELECT * FROM {table}_log WHERE run <= {int(run)}")
        then = f"SELECT * FROM then_{table} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY run DESC) = 1"
        came = f"ANTI JOIN (SELECT DISTINCT {since} FROM then_{table}) USING ({since})"
        con.execute(f"CREATE OR REPLACE TABLE before_{table} AS SELECT * FROM ({then}) WHERE NOT gone UNION ALL SELECT * FROM {NOW.format(table)} {came}")
        con.execute(f"CREATE TABLE log_{table} AS SELECT * FROM then_{table} UNION ALL SELECT * FROM {table}_log {came}")
        con.execute(f"CREATE OR REPLACE VIEW {table} AS SELECT * FROM before_{table}")
        con.execute(f"CREATE OR REPLACE VIEW {table}_log AS SELECT * FROM log_{table}")
    moved = con.execute("""
        SELECT n.offer_id, n.product_id FROM decisions_now n LEFT JOIN decisions d USING (offer_id, kind)
        WHERE n.kind = 'product' AND n.product_id IS NOT NULL AND n.product_id IS DISTINCT FROM d.product_id ORDER BY 1
    """).fetchall()
    founded = con.execute("SELECT product_id FROM products_now ANTI JOIN (SELECT product_id FROM then_products) USING (product_id)").fetchall()
    states = con.execute("""
        SELECT n.product_id, n.state FROM products_now n LEFT JOIN products p USING (product_id) WHERE n IS DISTINCT FROM p
    """).fetchall()
    return Past(dict(moved), frozenset(product_id for (product_id,) in founded), dict(states))


def brought_back(con: duckdb.DuckDBPyConnection, noun: type[schema.Row], rows: pa.Table, run: int) -> pa.Table:
    """Rows to append so that the table is as it was then with `rows` on top: those that differ from now, and the end of what neither has."""
    table, key = noun.TABLE, ", ".join(noun.KEY)
    con.register("given_rows", rows)
    rows = con.sql(f"""
        SELECT g.* FROM given_rows g LEFT JOIN (SELECT {key}, true AS there FROM {NOW.format(table)}) n USING ({key})
        WHERE NOT g.gone OR n.there ORDER BY {", ".join(f"g.{name}" for name in noun.KEY)}
    """).to_arrow_table().cast(schema.arrow_schema(noun))  # fmt: skip
    con.register("on_top", rows)
    live = "SEMI JOIN offers USING (offer_id)" if noun is schema.Decision else ""
    kept = con.sql(f"SELECT * REPLACE ({run} AS run) FROM {table} {live} ANTI JOIN on_top USING ({key}) ORDER BY {key}")
    kept_rows = kept.to_arrow_table().cast(schema.arrow_schema(noun))
    con.register("kept_rows", kept_rows)
    ended = con.sql(f"""
        SELECT * REPLACE ({run} AS run, true AS gone) FROM {NOW.format(table)} ANTI JOIN on_top USING ({key}) ANTI JOIN kept_rows USING ({key}) ORDER BY {key}
    """).to_arrow_table().cast(schema.arrow_schema(noun))  # fmt: skip
    return pa.concat_tables([differing(con, noun, pa.concat_tables([rows, kept_rows]), NOW.format(table)), ended])
