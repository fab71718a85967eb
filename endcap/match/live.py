"""Live offers of a catalog's tables as matching reads them."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb
import pyarrow as pa

from endcap.match.store import THIN, Live

COMPARED = ("offer_id", "feed", "identity_hash", "title", "brand", "description", "gtin", "mpn", "quantity_text", "details_json", "price", "currency")


def live_in(con: duckdb.DuckDBPyConnection, marketplaces: Iterable[str]) -> Live:
    """Which offers are live, and a way to read those of them that matching does not know yet; the marketplaces are those of the policy."""

    def fetch(offer_ids: pa.Array) -> pa.Table:
        con.register("unknown", pa.table({"offer_id": offer_ids}))
        return con.sql(f"SELECT {', '.join(COMPARED)} FROM offers SEMI JOIN unknown USING (offer_id) ORDER BY offer_id").to_arrow_table()

    return Live(con.sql(f"SELECT {', '.join(THIN)} FROM offers").to_arrow_table(), fetch, frozenset(marketplaces))
