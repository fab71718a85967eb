"""The whole journey on one page: deliveries come in, and a published snapshot of the catalog goes out.

`STAGES` is the order. Each stage reads the tables as the stages before left them and yields rows for tables that only it
writes; nothing is seen by readers until the snapshot is made current, in one transaction, at the end.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import insert, update

from endcap import schema
from endcap.decide import decide
from endcap.feeds import Arrival, pending, read_delivery
from endcap.infer import find_facts, learn_known, load_known
from endcap.infer.known import Known
from endcap.infer.taxonomy import read_taxonomy
from endcap.lake import Lake, Manifest
from endcap.learn.promote import record as record_promotion
from endcap.match import Model, match_offers, rescore
from endcap.metrics import measure
from endcap.ops.database import now
from endcap.ops.home import Home, snapshot_id_of
from endcap.ops.tables import OVERRIDES, RELEASES, RUNS
from endcap.problems import BadInput
from endcap.publish import publish
from endcap.publish.overlap import overlap
from endcap.settings import Catalog

Rows = Iterator[tuple[type[schema.Row], pa.Table]]
Say = Callable[[str], None]
COMPARED = ("offer_id", "feed", "identity_hash", "title", "brand", "description", "gtin", "mpn", "quantity_text", "details_json", "price", "currency")
# A stage that yields many small tables writes them as one file; above this many rows it writes at once, to bound memory.
ROWS_A_FILE = 200_000
OWN = "endcap"  # who promotes the models that are fitted without labels
FIRST_CHAMPION = "fitted without labels on the first deliveries"
NEXT_CHAMPION = "fitted without labels again: the catalog has outgrown the one before"
# What was learnt from so many offers is learnt again, over the whole catalog, at this multiple of them, or when a new feed comes.
OUTGROWN = 2


@dataclass(slots=True)
class Journey:
    """One run under way: where it writes, what arrived, and what has changed so far."""

    home: Home
    lake: Lake
    run: int
    arrivals: list[Arrival]
    override_sequence: int
    champion: str | None
    models: dict[str, str]
    say: Say
    changed: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))  # offers new, back, or of another identity
    touched: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))  # offers of which anything changed
    vanished: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))
    outgrown: bool = False  # what was learnt without labels is to be learnt again
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)  # what a person should know of the run as a whole

    @property
    def catalog(self) -> Catalog:
        return self.home.catalog

    @property
    def new_champion(self) -> bool:
        """Whether a person promoted another model since the last snapshot."""
        before = self.lake.manifest.models.get("match")
        return before is not None and self.champion != before


@dataclass(frozen=True, slots=True)
class RunResult:
    """What one run did. `changed` is False where there was nothing to do."""

    snapshot_id: str | None
    content_hash: str | None
    run: int
    changed: bool
    deliveries: list[dict[str, Any]]
    catalog: dict[str, int]  # live totals: products, offers, linked, new_products, to_review
    notices: list[str]
    overlap: list[dict[str, Any]]  # which feeds share how many products
    stages: list[dict[str, Any]]
    seconds: float

    @property
    def held(self) -> list[dict[str, Any]]:
        return [delivery for delivery in self.deliveries if delivery["state"] == "held"]


def run(catalog: Catalog, *, dates: list[str] | None = None, until: str | None = None, say: Say = lambda _line: None) -> list[RunResult]:
    """Take in what has arrived, one snapshot for each delivery date in order; without arrivals, what people answered or promoted.

    Resumable: a run that died left nothing that readers see, and the next one does its work again with the same result.
    Raises BadInput or Held before anything changed; dates finished before that stay.
    """
    home = Home(catalog)
    with home.writer():
        home.check_database()
        _close_dead_runs(home)
        _record_own_champion(home)
        arrivals = _arrivals(home, dates, until, say)
        groups = [list(group) for _date, group in groupby(arrivals, key=lambda arrival: arrival.date)]
        if not groups and (home.override_sequence(), home.champion("match"), taxonomy_id(catalog)) != _taken_in(home.manifest()):
            groups = [[]]
        if not groups:
            return [_nothing_to_do(home)]
        return [_run_once(home, group, say) for group in groups]


def plan(catalog: Catalog, *, dates: list[str] | None = None, until: str | None = None) -> dict[str, Any]:
    """What a run would take in: deliveries with their size, answers and a new model; nothing is changed."""
    home = Home(catalog)
    manifest = home.manifest()
    arrivals = _arrivals(home, dates, until, lambda _line: None)
    answers = home.override_sequence() - manifest.override_sequence
    champion = home.champion("match")
    promoted = champion if champion != manifest.models.get("match") else None
    words = f"{len(arrivals)} deliveries, {answers} answers" + (f", the new model {promoted}" if promoted else "")
    return {
        "deliveries": [{"feed": one.feed, "date": one.date, "mbytes": round(one.file.stat().st_size / 1e6, 3)} for one in arrivals],
        "answers": answers, "model": promoted, "words": f"a run would take in {words}" if arrivals or answers or promoted else "a run would change nothing",
    }  # fmt: skip


# --- the stages, in order -------------------------------------------------------------------------------------------


def read_feeds(journey: Journey) -> Rows:
    """Deliveries to offers and quarantined records; held deliveries change nothing."""
    released = {(row["feed"], row["date"]) for row in journey.home.rows(RELEASES).to_pylist()}
    with journey.lake.connect() as con:
        for arrival in journey.arrivals:
            feed = journey.catalog.feeds[arrival.feed]
            reading = read_delivery(
                arrival.feed, feed, arrival.file, arrival.date, _known_offers(con, arrival.feed), run=journey.run,
                released=(arrival.feed, arrival.date) in released, engine=journey.catalog.engine,
                cores=journey.catalog.cores, batch_rows=journey.catalog.batch_rows,
            )  # fmt: skip
            delivery = reading.delivery
            journey.say(f"{delivery.date} {delivery.feed}: {delivery.read:,} read, {delivery.offers:,} offers, {delivery.state}")
            yield schema.Offer, reading.offers
            yield schema.Quarantined, pa.concat_tables([reading.quarantined, _ended_quarantine(con, delivery.delivery_id, reading.quarantined, journey.run)])
            row = {column: getattr(delivery, column) for column in schema.arrow_schema(schema.Delivery).names}
            journey.deliveries.append(row)
        journey.notices = _notices(con, journey)
    yield schema.Delivery, pa.Table.from_pylist(journey.deliveries, schema=schema.arrow_schema(schema.Delivery))


def find_all_facts(journey: Journey) -> Rows:
    """Offers of a new or changed identity to facts; facts of what vanished end."""
    _note_changes(journey)
    if not len(journey.changed) and not len(journey.vanished):
        return
    with journey.lake.connect() as con:
        known = _known(journey, con)
        offers = _offers_of(con, journey.changed)
        facts = find_facts(
            offers, known, run=journey.run, engine=journey.catalog.engine, cores=journey.catalog.cores, batch_rows=journey.catalog.batch_rows
        )  # fmt: skip
        journey.say(f"{facts.num_rows:,} facts on {offers.num_rows:,} offers")
        yield schema.Fact, pa.concat_tables([facts, _ended(con, schema.Fact, facts, _either(journey), journey.run)])


def compare(journey: Journey) -> Rows:
    """Offers to scored pairs; pairs of offers that changed or vanished end unless they were found again."""
    with journey.lake.connect() as con:
        keep = journey.champion is not None and not (journey.outgrown and journey.home.champion_by("match") in (None, OWN))
        model = Model.load(journey.home.model_folder(journey.champion)) if keep and journey.champion else None
        pairs = schema.arrow_schema(schema.Pair).empty_table()
        if len(journey.changed):
            offers = con.sql(f"SELECT {', '.join(COMPARED)} FROM offers ORDER BY offer_id").to_arrow_table()
            cache = journey.home.path / "cache"
            matched = match_offers(
                offers, journey.changed, matching=journey.catalog.matching, model=model, run=journey.run, cache=cache, former=_former_pairs(con, journey)
            )  # fmt: skip
            pairs, model = matched.pairs, matched.model
            journey.say(f"{pairs.num_rows:,} pairs of {len(journey.changed):,} offers")
        if model is not None and not keep:
            model.save(journey.home.model_folder(model.model_id))
            journey.champion = model.model_id
        ended = _ended_pairs(con, pairs, journey)
        if model is not None and journey.new_champion:
            pairs = pa.concat_tables([pairs, _rescored(con, model, pairs, ended, journey.run)])
        if journey.champion is not None:
            journey.models["match"] = journey.champion
        yield schema.Pair, pa.concat_tables([pairs, ended])


def decide_all(journey: Journey) -> Rows:
    """Pairs, facts and people's answers to decisions, products and what happened to product ids."""
    overrides = journey.home.rows(OVERRIDES)
    overrides = overrides.filter(pc.less_equal(overrides["override_id"], journey.override_sequence))
    with journey.lake.connect() as con:
        decided = decide(
            con, journey.catalog, open_ids=_open_ids(con, journey, overrides), touched_ids=journey.touched, vanished_ids=journey.vanished,
            overrides=overrides, model_id=journey.champion or "", run=journey.run,
        )  # fmt: skip
    journey.say(f"{decided.decisions.num_rows:,} decisions, {decided.products.num_rows:,} products rebuilt")
    yield schema.Decision, decided.decisions
    yield schema.Product, decided.products
    yield schema.ProductEvent, decided.events


STAGES: tuple[Callable[[Journey], Rows], ...] = (read_feeds, find_all_facts, compare, decide_all)

# --- one run, from the last snapshot to the next --------------------------------------------------------------------


def _run_once(home: Home, arrivals: list[Arrival], say: Say) -> RunResult:
    started = time.monotonic()
    manifest = home.manifest()
    lake = Lake(home.lake_folder, manifest)
    lake.restore()
    champion = home.champion("match") or manifest.models.get("match")
    journey = Journey(home, lake, manifest.run + 1, arrivals, home.override_sequence(), champion, dict(manifest.models), say)
    attempt = _open_run(home, journey)
    try:
        stages = [_do(stage, journey) for stage in STAGES]
        snapshot_id, content_hash, publishing = _publish(journey)
        with home.connect() as con:
            totals, shared, metrics = catalog_totals(con), overlap(con), [figure.to_dict() for figure in measure(con)]
    except BaseException as error:
        snapshot = home.snapshot()
        published = snapshot["snapshot_id"] if snapshot and snapshot["run"] == journey.run else None
        _close_run(home, attempt, state="done" if published else "failed", snapshot_id=published, error=str(error) or type(error).__name__)
        raise
    figures = {"metrics": metrics, "catalog": totals, "stages": [*stages, publishing]}
    _close_run(home, attempt, state="done", snapshot_id=snapshot_id, deliveries=journey.deliveries, figures=figures)
    seconds = round(time.monotonic() - started, 3)
    return RunResult(snapshot_id, content_hash, journey.run, True, journey.deliveries, totals, journey.notices, shared, [*stages, publishing], seconds)


def _do(stage: Callable[[Journey], Rows], journey: Journey) -> dict[str, Any]:
    started, cpu = time.monotonic(), time.process_time()
    written: dict[str, int] = {}
    waiting: dict[type[schema.Row], list[pa.Table]] = {}
    for noun, rows in stage(journey):
        waiting.setdefault(noun, []).append(rows)
        written[noun.TABLE] = written.get(noun.TABLE, 0) + rows.num_rows
        if sum(table.num_rows for table in waiting[noun]) >= ROWS_A_FILE:
            journey.lake.append(noun, pa.concat_tables(waiting.pop(noun)))
    for noun, tables in waiting.items():
        journey.lake.append(noun, pa.concat_tables(tables))
    return {"stage": stage.__name__, "seconds": round(time.monotonic() - started, 3), "cpu_s": round(time.process_time() - cpu, 3), "rows": written}


def _publish(journey: Journey) -> tuple[str, str, dict[str, Any]]:
    """Write the snapshot's files, then make it current: from here on readers see it."""
    started, cpu = time.monotonic(), time.process_time()
    home, before = journey.home, journey.home.snapshot()
    manifest = journey.lake.pinned(
        parent=before["snapshot_id"] if before else None, run=journey.run, models=journey.models, override_sequence=journey.override_sequence
    )  # fmt: skip
    snapshot_id = snapshot_id_of(manifest)
    parent_folder = home.published_folder / before["snapshot_id"] if before else None
    with journey.lake.connect() as con:
        published = publish(con, home.published_folder / snapshot_id, journey.catalog.targets, snapshot_id, parent_folder)
    home.make_current(manifest, published.to_json())
    _record_own_champion(home)
    journey.say(published.summary())
    spent = {"stage": "publish", "seconds": round(time.monotonic() - started, 3), "cpu_s": round(time.process_time() - cpu, 3)}
    return snapshot_id, manifest.content_hash, {**spent, "rows": {"products": published.products}}


def _record_own_champion(home: Home) -> None:
    """Record the promotion of a model that a run fitted for itself; also where the run died between its snapshot and this record."""
    snapshot, previous = home.snapshot(), home.champion("match")
    model_id = Manifest.from_json(snapshot["manifest_json"]).models.get("match") if snapshot else None
    if snapshot is not None and model_id not in (None, previous) and home.champion_by("match") in (None, OWN):
        reason = FIRST_CHAMPION if previous is None else NEXT_CHAMPION
        record_promotion(home, str(model_id), previous=previous, actor=OWN, reason=reason, data_version=snapshot["snapshot_id"])


def catalog_totals(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Counts of the catalog as it stands: products, offers, linked, new_products, to_review."""
    found = con.execute("""
        SELECT (SELECT count(*) FROM products WHERE state = 'live'), (SELECT count(*) FROM offers),
               count(*) FILTER (action = 'linked'), count(*) FILTER (action = 'new_product'), count(*) FILTER (action = 'to_review')
        FROM decisions WHERE kind = 'product'
    """).fetchone()
    return dict(zip(("products", "offers", "linked", "new_products", "to_review"), found or (0,) * 5, strict=True))


# --- what changed, and who is to be decided again -------------------------------------------------------------------


def _known_offers(con: duckdb.DuckDBPyConnection, feed: str) -> pa.Table:
    """The newest row of every offer a feed ever delivered, gone ones included."""
    return con.sql("SELECT * FROM offers_last WHERE feed = ? ORDER BY offer_id", params=[feed]).to_arrow_table().cast(schema.arrow_schema(schema.Offer))


def _notices(con: duckdb.DuckDBPyConnection, journey: Journey) -> list[str]:
    """Feeds that sent nothing though others did, and offers of feeds that the settings no longer name."""
    feeds = journey.catalog.feeds
    came = {arrival.feed for arrival in journey.arrivals}
    silent = sorted(name for name, feed in feeds.items() if came and name not in came and "{date}" in feed.file)
    found = [f"no delivery of {', '.join(silent)} on {journey.arrivals[0].date}; what they sent before stays"] if silent else []
    counts = con.execute("SELECT feed, count(*) FROM offers GROUP BY feed ORDER BY feed").fetchall()
    return found + [
        f"{count:,} offers of {feed} are still served, though the settings name no such feed any more" for feed, count in counts if feed not in feeds
    ]


def _ended_quarantine(con: duckdb.DuckDBPyConnection, delivery_id: str, fresh: pa.Table, run: int) -> pa.Table:
    """Gone rows for what an earlier file of the same delivery had in quarantine and this one has not."""
    con.register("fresh", fresh.select(list(schema.Quarantined.KEY)))
    query = f"""
        SELECT * REPLACE ({run} AS run, true AS gone) FROM quarantined ANTI JOIN fresh USING (delivery_id, position)
        WHERE delivery_id = ? ORDER BY position
    """
    return con.sql(query, params=[delivery_id]).to_arrow_table().cast(schema.arrow_schema(schema.Quarantined))


def _note_changes(journey: Journey) -> None:
    """Sort this run's offer rows into changed, merely touched, and vanished."""
    with journey.lake.connect() as con:
        rows = con.sql("""
            WITH now AS (SELECT offer_id, identity_hash, gone FROM offers_log WHERE run = $run),
                 was AS (SELECT offer_id, arg_max(identity_hash, run) AS identity_hash, arg_max(gone, run) AS gone
                         FROM offers_log SEMI JOIN now USING (offer_id) WHERE run < $run GROUP BY offer_id)
            SELECT now.offer_id, now.gone, was.offer_id IS NULL OR was.gone OR was.identity_hash <> now.identity_hash AS changed
            FROM now LEFT JOIN was USING (offer_id) ORDER BY now.offer_id
        """, params={"run": journey.run}).to_arrow_table()  # fmt: skip
    ids, gone = rows["offer_id"].combine_chunks(), rows["gone"].combine_chunks()
    journey.vanished = ids.filter(gone)
    journey.touched = ids.filter(pc.invert(gone))
    journey.changed = ids.filter(pc.and_(pc.invert(gone), rows["changed"].combine_chunks()))
    _note_growth(journey)


def _note_growth(journey: Journey) -> None:
    """Where the catalog has outgrown what was learnt from it (or the taxonomy is another), all of it counts as changed and is compared anew."""
    with journey.lake.connect() as con:
        ((offers, feeds),) = con.execute("SELECT count(*), coalesce(string_agg(DISTINCT feed, ' ' ORDER BY feed), '') FROM offers").fetchall()
        learnt, known_feeds = int(journey.models.get("learnt_offers", "0")), set(journey.models.get("learnt_feeds", "").split())
        taxonomy = taxonomy_id(journey.catalog)
        same_house = set(feeds.split()) <= known_feeds and taxonomy == journey.models.get("learnt_taxonomy", "")
        if offers == 0 or (offers < OUTGROWN * learnt and same_house):
            return
        journey.outgrown = True
        journey.changed = con.sql("SELECT offer_id FROM offers ORDER BY offer_id").to_arrow_table()["offer_id"].combine_chunks()
    journey.models |= {"learnt_offers": str(offers), "learnt_feeds": feeds, "learnt_taxonomy": taxonomy}


def _either(journey: Journey) -> pa.Array:
    return pa.concat_arrays([journey.changed, journey.vanished])


def _offers_of(con: duckdb.DuckDBPyConnection, ids: pa.Array) -> pa.Table:
    con.register("wanted", pa.table({"offer_id": ids}))
    return con.sql("SELECT * FROM offers SEMI JOIN wanted USING (offer_id) ORDER BY offer_id").to_arrow_table().cast(schema.arrow_schema(schema.Offer))


def _known(journey: Journey, con: duckdb.DuckDBPyConnection) -> Known:
    """What is known of brands and categories: learnt at the first load and whenever the catalog has outgrown it."""
    if "infer" in journey.models and not journey.outgrown:
        return load_known(journey.home.model_folder(journey.models["infer"]))
    taxonomy = Path(journey.catalog.root / journey.catalog.taxonomy) if journey.catalog.taxonomy else None
    known = learn_known(con.sql("SELECT * FROM offers ORDER BY offer_id").to_arrow_table(), taxonomy, seed=journey.catalog.matching.seed)
    known.save(journey.home.model_folder(known.known_id))
    journey.models["infer"] = known.known_id
    return known


def _ended(con: duckdb.DuckDBPyConnection, noun: type[schema.Row], fresh: pa.Table, offer_ids: pa.Array, run: int) -> pa.Table:
    """Gone rows for what was held of these offers and was not found again."""
    con.register("fresh", fresh.select(list(noun.KEY)))
    con.register("of_offers", pa.table({"offer_id": offer_ids}))
    key = ", ".join(noun.KEY)
    query = f"SELECT * REPLACE ({run} AS run, true AS gone) FROM {noun.TABLE} SEMI JOIN of_offers USING (offer_id) ANTI JOIN fresh USING ({key}) ORDER BY {key}"
    return con.sql(query).to_arrow_table().cast(schema.arrow_schema(noun))


def _former_pairs(con: duckdb.DuckDBPyConnection, journey: Journey) -> pa.Table:
    """Pairs of changed offers that were ever kept: many were found from the other side, which is not asked again in this run."""
    con.register("changed", pa.table({"offer_id": journey.changed}))
    limit = "LIMIT 0" if journey.outgrown else ""
    return con.sql(f"""
        SELECT DISTINCT left_id, right_id FROM pairs_log
        WHERE (left_id IN (SELECT offer_id FROM changed) OR right_id IN (SELECT offer_id FROM changed))
          AND left_id IN (SELECT offer_id FROM offers) AND right_id IN (SELECT offer_id FROM offers) ORDER BY left_id, right_id {limit}
    """).to_arrow_table()  # fmt: skip


def _ended_pairs(con: duckdb.DuckDBPyConnection, fresh: pa.Table, journey: Journey) -> pa.Table:
    con.register("fresh", fresh.select(["left_id", "right_id"]))
    con.register("of_offers", pa.table({"offer_id": _either(journey)}))
    return con.sql(f"""
        SELECT * REPLACE ({journey.run} AS run, true AS gone) FROM pairs ANTI JOIN fresh USING (left_id, right_id)
        WHERE left_id IN (SELECT offer_id FROM of_offers) OR right_id IN (SELECT offer_id FROM of_offers) ORDER BY left_id, right_id
    """).to_arrow_table().cast(schema.arrow_schema(schema.Pair))  # fmt: skip


def _rescored(con: duckdb.DuckDBPyConnection, model: Model, fresh: pa.Table, ended: pa.Table, run: int) -> pa.Table:
    """Every pair that stays, scored by the new champion."""
    con.register("not_staying", pa.concat_tables([fresh, ended]).select(["left_id", "right_id"]))
    staying = con.sql(f"SELECT * REPLACE ({run} AS run) FROM pairs ANTI JOIN not_staying USING (left_id, right_id) ORDER BY left_id, right_id")
    return rescore(staying.to_arrow_table().cast(schema.arrow_schema(schema.Pair)), model)


def _open_ids(con: duckdb.DuckDBPyConnection, journey: Journey, overrides: pa.Table) -> pa.Array:
    """Offers to decide now: changed ones, those a person answered since, waiting ones whose neighbours changed, those whose evidence moved.

    Under a new champion all are.
    """
    if journey.new_champion:
        return con.sql("SELECT offer_id FROM offers ORDER BY offer_id").to_arrow_table()["offer_id"].combine_chunks()
    answered = overrides.filter(pc.greater(overrides["override_id"], journey.lake.manifest.override_sequence))
    con.register("answered", answered.select(["offer_id"]))
    con.register("moved", pa.table({"offer_id": _either(journey)}))
    con.register("changed", pa.table({"offer_id": journey.changed}))
    return con.sql("""
        WITH near AS (SELECT left_id AS offer_id FROM pairs SEMI JOIN changed ON changed.offer_id = pairs.right_id
                      UNION SELECT right_id FROM pairs SEMI JOIN changed ON changed.offer_id = pairs.left_id),
             asked AS (SELECT offer_id FROM decisions WHERE kind = 'product' AND decided_by = 'machine'
                       AND (action = 'to_review' AND offer_id IN (SELECT offer_id FROM near) OR counterpart_offer_id IN (SELECT offer_id FROM moved)))
        SELECT offer_id FROM offers WHERE offer_id IN (SELECT offer_id FROM changed UNION SELECT offer_id FROM answered UNION SELECT offer_id FROM asked)
        ORDER BY offer_id
    """).to_arrow_table()["offer_id"].combine_chunks()  # fmt: skip


# --- the record of runs ---------------------------------------------------------------------------------------------


def _arrivals(home: Home, dates: list[str] | None, until: str | None, say: Say) -> list[Arrival]:
    """What is to be taken in; a delivery older than one of its feed that is in already would undo it, so it is passed over."""
    if not home.catalog.inbox_path.is_dir():
        raise BadInput(
            "there is no inbox", where=str(home.catalog.inbox_path), todo="make that folder, correct `inbox` in the settings, or name one with --inbox"
        )
    released = {(row["feed"], row["date"]) for row in home.rows(RELEASES).to_pylist()}
    rows = home.lake().current(schema.Delivery, columns="delivery_id, feed, date, sha256, state").to_pylist()
    done = {(row["feed"], row["date"], row["sha256"]) for row in rows if not (row["state"] == "held" and (row["feed"], row["date"]) in released)}
    newest = {row["feed"]: row["date"] for row in sorted(rows, key=lambda row: row["date"]) if row["state"] == "accepted"}
    arrivals = pending(home.catalog, done, dates=dates, until=until)
    for arrival in arrivals:
        if arrival.date < newest.get(arrival.feed, ""):
            say(f"{arrival.date} {arrival.feed}: passed over, since {newest[arrival.feed]} is in already")
    return [arrival for arrival in arrivals if arrival.date >= newest.get(arrival.feed, "")]


def _taken_in(manifest: Manifest) -> tuple[int, str | None, str]:
    """Up to which answer, by which model and with which taxonomy the current snapshot was decided."""
    return manifest.override_sequence, manifest.models.get("match"), manifest.models.get("learnt_taxonomy", "")


def taxonomy_id(catalog: Catalog) -> str:
    """A short hash of the taxonomy's file; empty where there is none. Raises BadInput when the file is missing or wrong."""
    if not catalog.taxonomy:
        return ""
    read_taxonomy(catalog.root / catalog.taxonomy)
    return hashlib.sha256((catalog.root / catalog.taxonomy).read_bytes()).hexdigest()[:12]


def _nothing_to_do(home: Home) -> RunResult:
    snapshot = home.snapshot()
    with home.connect() as con:
        totals = catalog_totals(con)
    if snapshot is None:
        return RunResult(None, None, 0, False, [], totals, [], [], [], 0.0)
    return RunResult(snapshot["snapshot_id"], snapshot["content_hash"], snapshot["run"], False, [], totals, [], [], [], 0.0)


def _open_run(home: Home, journey: Journey) -> int:
    names = [{"feed": arrival.feed, "date": arrival.date} for arrival in journey.arrivals]
    row = {"run": journey.run, "state": "running", "started_at": now(), "deliveries_json": json.dumps(names), "figures_json": "{}"}
    with home.engine.begin() as connection:
        key = connection.execute(insert(RUNS).values(row)).inserted_primary_key
    return int(key[0]) if key else 0


def _close_run(
    home: Home, attempt: int, *, state: str, snapshot_id: str | None = None, deliveries: Iterable[dict[str, Any]] = (),
    figures: dict[str, Any] | None = None, error: str | None = None,
) -> None:  # fmt: skip
    values = {"state": state, "snapshot_id": snapshot_id, "finished_at": now(), "error": error}
    if state == "done":
        values |= {"deliveries_json": json.dumps(list(deliveries), sort_keys=True), "figures_json": json.dumps(figures or {}, sort_keys=True)}
    with home.engine.begin() as connection:
        connection.execute(update(RUNS).values(values).where(RUNS.c.attempt_id == attempt))


def _close_dead_runs(home: Home) -> None:
    """Whoever holds the catalog for writing knows that no other run lives: one still marked running has died."""
    with home.engine.begin() as connection:
        connection.execute(update(RUNS).values(state="died", finished_at=now()).where(RUNS.c.state == "running"))
