"""Going back: on which snapshot a run decides, and the pairs as they stood at it.

After a rollback, or the end of a canary, a run does not decide everything anew: it stands on the last snapshot that the artefacts made which hold
again, and takes in what came since. What nothing came to since is thereby the same, to the byte.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import pyarrow as pa

from endcap import schema
from endcap.lake import Manifest
from endcap.ops.home import Home
from endcap.ops.tables import PROMOTIONS, SNAPSHOTS
from endcap.settings import Catalog

# What decides, as snapshots note it; and what must be the same as then, since decisions were made from it.
DECIDING = ("match", "canary", "policy", "policy_id")
UNDERLYING = ("infer", "learnt_taxonomy", "taxonomy", "mapping", "switches")
# Where other feeds are marketplaces than those it was learnt with, endcap's own scorer is to be fitted anew, and which one that will be nobody knows yet.
LEARNT_MARKETPLACES = "learnt_marketplaces"
WENT_BACK = ("rollback", "stop")


def base_of(home: Home, manifest: Manifest, deciding: Mapping[str, str], *, refits: bool = False) -> Manifest:
    """The snapshot on which a run with these artefacts stands: the newest one, or after going back the last one that they decided.

    `refits` says that the run would fit endcap's own scorer anew; then it need not be the one that decided.
    """
    names = (*(name for name in DECIDING if not (refits and name == "match")), LEARNT_MARKETPLACES)
    wanted = {name: deciding.get(name, "") for name in names}
    if not manifest.run or _of(manifest, names) == wanted or not _went_back(home):
        return manifest
    rows = home.rows(SNAPSHOTS).sort_by([("run", "descending")]).to_pylist()
    for row in rows:
        earlier = Manifest.from_json(row["manifest_json"])
        if _of(earlier, names) == wanted:
            return earlier if _of(earlier, UNDERLYING) == _of(manifest, UNDERLYING) else manifest
    return manifest


def listed_often(catalog: Catalog) -> str:
    """The marketplaces, as a snapshot notes them."""
    return " ".join(sorted(set(catalog.policy.marketplaces)))


def ended_pairs(con: duckdb.DuckDBPyConnection, fresh: pa.Table, of_offers: pa.Array, run: int) -> pa.Table:
    """Gone rows for pairs of these offers that were not found again."""
    con.register("fresh", fresh.select(["left_id", "right_id"]))
    con.register("of_offers", pa.table({"offer_id": of_offers}))
    return con.sql(f"""
        SELECT * REPLACE ({run} AS run, true AS gone) FROM pairs ANTI JOIN fresh USING (left_id, right_id)
        WHERE left_id IN (SELECT offer_id FROM of_offers) OR right_id IN (SELECT offer_id FROM of_offers) ORDER BY left_id, right_id
    """).to_arrow_table().cast(schema.arrow_schema(schema.Pair))  # fmt: skip


def restored_pairs(con: duckdb.DuckDBPyConnection, base_run: int, moved: pa.Array, run: int) -> tuple[pa.Table, pa.Table]:
    """(pairs as they stood after an earlier run, the end of those that came since), of live offers to which nothing happened; `moved` are the others."""
    con.register("moved_since", pa.table({"offer_id": moved}))
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE pairs_then AS SELECT * FROM (
            SELECT * FROM pairs_log WHERE run <= {base_run} QUALIFY row_number() OVER (PARTITION BY left_id, right_id ORDER BY run DESC) = 1)
        WHERE NOT gone AND {_BOTH.format("left_id")} AND {_BOTH.format("right_id")}
    """)
    then = con.sql(f"SELECT * REPLACE ({run} AS run) FROM pairs_then ORDER BY left_id, right_id").to_arrow_table()
    ended = con.sql(f"""
        SELECT * REPLACE ({run} AS run, true AS gone) FROM pairs ANTI JOIN pairs_then USING (left_id, right_id)
        WHERE {_BOTH.format("left_id")} AND {_BOTH.format("right_id")} ORDER BY left_id, right_id
    """).to_arrow_table()  # fmt: skip
    wanted = schema.arrow_schema(schema.Pair)
    return then.cast(wanted), ended.cast(wanted)


_BOTH = "{0} IN (SELECT offer_id FROM offers) AND {0} NOT IN (SELECT offer_id FROM moved_since)"


def _of(manifest: Manifest, names: tuple[str, ...]) -> dict[str, str]:
    return {name: manifest.models.get(name, "") for name in names}


def _went_back(home: Home) -> bool:
    newest: dict[str, str] = {}
    for row in home.rows(PROMOTIONS).to_pylist():
        newest[row["kind"]] = row["action"]
    return any(newest.get(kind) in WENT_BACK for kind in ("match", "policy"))
