"""Challengers beside the champion in a run: a shadow scores and is only compared, a canary really decides for the offers of its scope.

Scopes: '*', 'feed:NAME', 'supplier:NAME', 'category:PATH', and of canaries 'share:0.05', that share of all offers by a hash of their ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from endcap import schema
from endcap.decide.promised import Thresholds, thresholds
from endcap.learn.replay import changed_sides, replay
from endcap.learn.scoring import scored_by, shown
from endcap.match import Model
from endcap.ops.home import Home
from endcap.problems import BadInput
from endcap.settings import Catalog, Policy

SHADOW, CANARY = "shadow", "canary"
_IN_SCOPE = {
    "*": "SELECT offer_id FROM offers",
    "feed": "SELECT offer_id FROM offers WHERE feed = $name",
    "supplier": "SELECT offer_id FROM offers WHERE supplier = $name",
    "category": "SELECT offer_id FROM facts SEMI JOIN offers USING (offer_id) "
    "WHERE attribute = 'category' AND (value = $name OR starts_with(value, $name || ' > '))",
    "share": "SELECT offer_id FROM offers WHERE (('0x' || substr(md5('canary ' || offer_id), 1, 8))::UBIGINT) < $name::DOUBLE * 4294967296",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class OnTrial:
    """An artefact beside the champion, and where."""

    action: str  # shadow | canary
    model_id: str
    scope: str
    model: Model

    @property
    def words(self) -> str:
        return f"{self.model_id} for {self.scope}"


def on_trial(home: Home) -> tuple[OnTrial | None, str]:
    """(the matching model that runs beside the champion, why one that should cannot)."""
    row = home.on_trial("match")
    if row is None:
        return None, ""
    try:
        model = Model.stored(home.model_folder(row["model_id"]), row["model_id"])
        scope = row["scope"] or "*"
        _query_of(scope)
    except BadInput as problem:
        return None, f"WARNING the {row['action']} {row['model_id']} cannot be used: {problem.what} ({problem.where}); the champion decides alone"
    return OnTrial(row["action"], row["model_id"], scope, model), ""


def offers_in(con: duckdb.DuckDBPyConnection, scope: str) -> pa.Array:
    """Ids of the live offers of a scope, in order. Raises BadInput for what is no scope."""
    query, name = _query_of(scope)
    found = con.sql(f"SELECT DISTINCT offer_id FROM ({query}) ORDER BY offer_id", params={"name": name} if "$name" in query else {})
    return found.to_arrow_table()["offer_id"].combine_chunks()


def _query_of(scope: str) -> tuple[str, str]:
    kind, colon, name = scope.partition(":")
    known = kind in _IN_SCOPE and (bool(colon and name) != (kind == "*"))
    if known and kind == "share":
        known = name.replace(".", "", 1).isdigit() and 0 < float(name) <= 1
    if not known:
        raise BadInput(f"there is no scope {scope!r}", where="scope", todo="write *, feed:NAME, supplier:NAME, category:PATH or share:0.05")
    return _IN_SCOPE[kind], name


def as_they_decide(
    con: duckdb.DuckDBPyConnection, rows: pa.Table, ended: pa.Table, champion: Model, canary: OnTrial | None, *, catalog: Catalog, cache: Path, run: int
) -> pa.Table:
    """The rows to be written, with every stored pair beside that another model scored than the one that decides now; the canary's pairs by the canary.

    A pair belongs to the canary when one of its offers does.
    """
    con.register("written", rows)
    con.register("not_staying", pa.concat_tables([rows, ended]).select(["left_id", "right_id"]))
    con.register("tried", pa.table({"offer_id": offers_in(con, canary.scope) if canary else pa.array([], pa.string())}))
    tried = "left_id IN (SELECT offer_id FROM tried) OR right_id IN (SELECT offer_id FROM tried)"
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE judged_anew AS
        SELECT *, {tried} AS is_tried, true AS is_fresh FROM written
        UNION ALL SELECT *, {tried}, false FROM pairs ANTI JOIN not_staying USING (left_id, right_id)
        WHERE model <> CASE WHEN {tried} THEN $tried_id ELSE $champion_id END
    """, {"tried_id": canary.model_id if canary else "", "champion_id": champion.model_id})  # fmt: skip

    def those(which: str) -> pa.Table:
        found = con.sql(f"SELECT * EXCLUDE (is_tried, is_fresh) REPLACE ({run} AS run) FROM judged_anew WHERE {which} ORDER BY left_id, right_id")
        return found.to_arrow_table().cast(schema.arrow_schema(schema.Pair))

    parts = [those(f"is_fresh AND NOT is_tried AND model = '{champion.model_id}'")]
    parts.append(scored_by(con, those(f"NOT is_tried AND NOT (is_fresh AND model = '{champion.model_id}')"), champion, catalog, cache, run))
    if canary is not None:
        parts.append(those(f"is_tried AND is_fresh AND model = '{canary.model_id}'"))
        parts.append(scored_by(con, those(f"is_tried AND NOT (is_fresh AND model = '{canary.model_id}')"), canary.model, catalog, cache, run))
    return pa.concat_tables(parts).sort_by([("left_id", "ascending"), ("right_id", "ascending")])


def compared(
    con: duckdb.DuckDBPyConnection, shadow: OnTrial, policy: Policy, allowed: Thresholds, *, open_ids: pa.Array, overrides: pa.Table, catalog: Catalog,
    cache: Path, run: int, answered_after: int,
) -> dict[str, Any]:  # fmt: skip
    """What the shadow would have made of the offers that this run decides, beside what is made of them; it decides nothing."""
    con.register("shadowed", pa.table({"offer_id": open_ids}))
    near = "left_id IN (SELECT offer_id FROM shadowed) OR right_id IN (SELECT offer_id FROM shadowed)"
    asked = con.sql(f"SELECT * FROM pairs WHERE {near} ORDER BY left_id, right_id").to_arrow_table().cast(schema.arrow_schema(schema.Pair))
    rest = con.sql(f"SELECT * FROM pairs WHERE NOT ({near})").to_arrow_table().cast(schema.arrow_schema(schema.Pair))
    scored = scored_by(con, asked, shadow.model, catalog, cache, run)
    was = replay(con, policy, allowed, open_ids=open_ids, overrides=overrides, answered_after=answered_after)
    with shown(con, "pairs", pa.concat_tables([scored, rest])):
        now = replay(con, policy, thresholds(con, policy), open_ids=open_ids, overrides=overrides, answered_after=answered_after)
    sides = changed_sides(con, was, now)
    higher = pc.sum(pc.greater(scored["score"], 0.5)).as_py() or 0
    return {"model": shadow.model_id, "pairs": scored.num_rows, "likely": higher, "likely_by_champion": pc.sum(pc.greater(asked["score"], 0.5)).as_py() or 0,
            **sides.to_dict()}  # fmt: skip
