"""A catalog as another mapping or taxonomy would read it: the newest delivery of each feed that differs is read again, in memory."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from endcap import schema
from endcap.decide.in_force import at_snapshot
from endcap.feeds import read_delivery
from endcap.infer import find_facts, learn_known, load_known
from endcap.infer.known import Known
from endcap.lake import Manifest
from endcap.learn.scoring import WANTED, shown
from endcap.match import Model, match_offers
from endcap.match.live import live_in
from endcap.ops.home import Home
from endcap.problems import BadInput
from endcap.settings import Catalog

OFFERS, FACTS = schema.arrow_schema(schema.Offer), schema.arrow_schema(schema.Fact)


@dataclass(frozen=True, slots=True)
class Reread:
    """The tables as they would be."""

    offers: pa.Table
    pairs: pa.Table
    facts: pa.Table


def under_mapping(home: Home, con: duckdb.DuckDBPyConnection, now: Catalog, then: Catalog, manifest: Manifest) -> Reread:
    """Offers, facts and pairs of the feeds whose mapping differs, read anew; all others as they are. Raises BadInput where a delivery is gone."""
    feeds = [name for name in sorted(then.feeds) if name in now.feeds and then.feeds[name].fields != now.feeds[name].fields]
    fresh = pa.concat_tables([OFFERS.empty_table(), *(_read(home, con, then, name, manifest.run) for name in feeds)])
    con.register("reread", fresh)
    live = "SELECT * FROM offers ANTI JOIN reread USING (offer_id) UNION ALL SELECT * FROM reread WHERE NOT gone ORDER BY offer_id"
    offers = con.sql(live).to_arrow_table().cast(OFFERS)
    # What the offer claims to be decides whether it is looked at again, as in a run.
    moved = con.sql("""
        SELECT r.offer_id FROM reread r LEFT JOIN offers o USING (offer_id) WHERE r.gone OR o.identity_hash IS DISTINCT FROM r.identity_hash ORDER BY 1
    """).to_arrow_table()["offer_id"].combine_chunks()  # fmt: skip
    con.register("reread_moved", pa.table({"offer_id": moved}))
    facts = _facts(con, home, load_known(home.model_folder(manifest.models["infer"])), offers, manifest.run)
    return Reread(offers, _pairs(con, home, offers, manifest), facts)


def under_taxonomy(home: Home, con: duckdb.DuckDBPyConnection, then: Catalog, manifest: Manifest) -> pa.Table:
    """The facts of all offers, with what is known learnt anew under another taxonomy."""
    offers = con.sql("SELECT * FROM offers ORDER BY offer_id").to_arrow_table().cast(OFFERS)
    file = then.root / then.taxonomy if then.taxonomy else None
    known = learn_known(offers, file, seed=then.matching.seed)
    return find_facts(offers, known, run=manifest.run, engine=then.engine, cores=then.cores, batch_rows=then.batch_rows)


def _read(home: Home, con: duckdb.DuckDBPyConnection, then: Catalog, name: str, run: int) -> pa.Table:
    """The feed's newest accepted delivery under the new mapping, as changes of what is known; none where it never delivered."""
    newest = con.execute("SELECT max(date) FROM deliveries WHERE feed = ? AND state = 'accepted'", [name]).fetchall()[0][0]
    if newest is None:
        return OFFERS.empty_table()
    file = home.catalog.inbox_path / then.feeds[name].file.replace("{date}", newest)
    if not file.is_file():
        raise BadInput(f"the delivery of {newest} of {name} is not there any more", where=str(file), todo="put it back, so that it can be read again")
    known = con.sql("SELECT * FROM offers WHERE feed = ? ORDER BY offer_id", params=[name]).to_arrow_table().cast(OFFERS)
    read = read_delivery(name, then.feeds[name], file, newest, known, run=run, released=True, cores=then.cores, batch_rows=then.batch_rows)
    if read.delivery.state != "accepted":
        raise BadInput(f"under this mapping the delivery of {newest} would be held: {read.delivery.reason}", where=name, todo="correct the mapping")
    return read.offers.cast(OFFERS)


def _facts(con: duckdb.DuckDBPyConnection, home: Home, known: Known, offers: pa.Table, run: int) -> pa.Table:
    con.register("reread_offers", offers)
    asked = con.sql("SELECT * FROM reread_offers SEMI JOIN reread_moved USING (offer_id) ORDER BY offer_id").to_arrow_table().cast(OFFERS)
    catalog = home.catalog
    con.register("reread_facts", find_facts(asked, known, run=run, engine=catalog.engine, cores=catalog.cores, batch_rows=catalog.batch_rows))
    kept = "SELECT * FROM facts ANTI JOIN reread_moved USING (offer_id) UNION ALL SELECT * FROM reread_facts ORDER BY offer_id, attribute"
    return con.sql(kept).to_arrow_table().cast(FACTS)


def _pairs(con: duckdb.DuckDBPyConnection, home: Home, offers: pa.Table, manifest: Manifest) -> pa.Table:
    """Pairs of offers that moved are sought anew by the champion, among all offers as they would be."""
    model_id = manifest.models["match"]
    model = Model.stored(home.model_folder(model_id), model_id)
    with ExitStack() as within:
        within.enter_context(shown(con, "offers", offers))
        asked = con.sql("SELECT offer_id FROM offers SEMI JOIN reread_moved USING (offer_id) ORDER BY offer_id").to_arrow_table()["offer_id"].combine_chunks()
        live, matching = live_in(con, at_snapshot(home).policy.marketplaces), home.catalog.matching
        found = match_offers(live, asked, matching=matching, model=model, run=manifest.run).pairs if len(asked) else WANTED.empty_table()
    con.register("reread_pairs", found)
    kept = """
        SELECT * FROM pairs WHERE left_id NOT IN (SELECT offer_id FROM reread_moved) AND right_id NOT IN (SELECT offer_id FROM reread_moved)
        UNION ALL SELECT * FROM reread_pairs ORDER BY left_id, right_id
    """
    return con.sql(kept).to_arrow_table().cast(WANTED)
