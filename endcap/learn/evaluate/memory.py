"""A catalog in memory: the tables that deciding reads and writes, run after run, through the functions of a real run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from endcap import schema
from endcap.decide import decide
from endcap.ops.tables import OVERRIDES
from endcap.schema import arrow_schema
from endcap.settings import Catalog

_NUMBERS = ("override_id", "undoes", "identity_hash")
_OVERRIDES = pa.schema([(column.name, pa.int64() if column.name in _NUMBERS else pa.string()) for column in OVERRIDES.columns])


class MemoryCatalog:
    """Decisions and products that go on from run to run; nothing is written to disk."""

    def __init__(self, catalog: Catalog, facts: pa.Table) -> None:
        self.catalog = catalog
        self.run = 0
        self._facts = facts
        self._con = duckdb.connect()
        self._con.register("facts", facts)
        for noun in (schema.Decision, schema.Product):
            self._con.register(noun.TABLE, arrow_schema(noun).empty_table())

    def branch(self) -> MemoryCatalog:
        """The same catalog, to be decided in another way: what is done in one is not seen in the other."""
        other = MemoryCatalog(self.catalog, self._facts)
        other.run = self.run
        for noun in (schema.Decision, schema.Product):
            other._con.register(noun.TABLE, self._con.sql(f"SELECT * FROM {noun.TABLE}").to_arrow_table())
        return other

    def decide(self, offers: pa.Table, pairs: pa.Table, open_ids: pa.Array, model_id: str, *, answers: Sequence[Mapping[str, Any]] = ()) -> pa.Table:
        """All decisions on products as they stand after one more run, in the order of offer ids.

        `open_ids` are the offers to be decided; `answers` all overrides so far, as rows by column.
        """
        self.run += 1
        con = self._con
        for name, rows in (("offers", offers), ("offers_log", offers), ("pairs", pairs)):
            con.register(name, rows)
        con.register("decisions_log", con.sql("SELECT * FROM decisions").to_arrow_table())
        overrides = pa.Table.from_pylist([dict.fromkeys(_OVERRIDES.names) | dict(answer) for answer in answers], schema=_OVERRIDES)
        decided = decide(
            con, self.catalog, open_ids=open_ids, touched_ids=open_ids, vanished_ids=pa.array([], pa.string()), overrides=overrides, model_id=model_id,
            run=self.run,
        )  # fmt: skip
        for noun, fresh in ((schema.Decision, decided.decisions), (schema.Product, decided.products)):
            self._take_in(noun.TABLE, ", ".join(noun.KEY), fresh)
        return con.sql("SELECT * FROM decisions WHERE kind = 'product' ORDER BY offer_id").to_arrow_table()

    def _take_in(self, table: str, key: str, fresh: pa.Table) -> None:
        self._con.register("fresh_rows", fresh)
        together = f"SELECT * FROM {table} ANTI JOIN fresh_rows USING ({key}) UNION ALL SELECT * FROM fresh_rows ORDER BY {key}"
        self._con.register(table, self._con.sql(together).to_arrow_table())


def catalog_of(offers: pa.Table) -> Catalog:
    """Settings with a feed for each source; nothing else differs from the defaults."""
    feed = {"file": "{date}.csv", "format": "csv", "fields": {"id": "id", "title": "title"}}
    return Catalog.model_validate({"feeds": dict.fromkeys(sorted(set(offers["feed"].to_pylist())), feed)})
