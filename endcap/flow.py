"""The whole journey on one page: deliveries come in, and a published snapshot of the catalog goes out.

`STAGES` is the order. Each stage reads the tables as the stages before left them and yields rows for tables that only it
writes; nothing is seen by readers until the snapshot is made current, in one transaction, at the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, get_args

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from endcap import schema
from endcap.decide import decide
from endcap.decide.in_force import POLICY_ID, in_force
from endcap.decide.policy import in_words as policy_in_words
from endcap.decide.promised import thresholds
from endcap.decide.restoring import look_back
from endcap.decide.switched import offers_off
from endcap.feeds import Arrival, read_delivery
from endcap.feeds.arrivals import strays
from endcap.feeds.release import released_now
from endcap.govern.follow_up import follow_up
from endcap.infer import find_facts
from endcap.journey import (
    GOVERNED,
    Journey,
    Say,
    all_offers,
    all_pairs,
    arrivals_now,
    begin,
    changed_or_vanished,
    changed_policy,
    close_dead_runs,
    close_run,
    edited_policy,
    ended_quarantine,
    former_pairs,
    hold_suspicious,
    known_offers,
    note_changes,
    note_policy,
    note_promises,
    note_shadow,
    notices_of,
    off_now,
    offers_of,
    open_ids_of,
    open_run,
    taken_in,
    to_take_in,
    tried_offers,
    went_back,
)  # fmt: skip
from endcap.lake import Lake, Manifest
from endcap.lake.tables import differing, ended_rows
from endcap.learn.drift import note_drift
from endcap.learn.labels import held_words, hold_flagged
from endcap.learn.promote import PROMOTED_KNOWN
from endcap.learn.promote import record as record_promotion
from endcap.match import match_offers
from endcap.match.live import live_in
from endcap.match.score import MOST_OF_LISTINGS
from endcap.metrics import measure
from endcap.ops import audit
from endcap.ops.home import Home, snapshot_id_of
from endcap.ops.names import OWN
from endcap.ops.tables import BLIND_ASKS, OVERRIDES, REVIEWER_HOLDS
from endcap.problems import BadInput, in_words
from endcap.publish import publish
from endcap.publish.overlap import overlap
from endcap.settings import Catalog, Suspicious
from endcap.usable import learned_anew, usable_champion, what_is_known

Rows = Iterator[tuple[type[schema.Row], pa.Table]]
# A stage that yields many small tables writes them as one file; above this many rows it writes at once, to bound memory.
ROWS_A_FILE = 200_000
EDITED_PAST = ", edited in the settings' file, past the gate"
FIRST_CHAMPION = "fitted without labels on the first deliveries"
LEARNT_LITTLE = (
    "only {seeds} clear pairs to learn from, so that no likeness is put above {most:.2f}: what is alike is asked, and 20 answers let `endcap train` learn more"
)
AS_BEFORE = "fitted without labels for the same marketplaces as now"
FEW_LISTINGS = (
    "too little tells which listings of {feeds} are one product, so that no likeness of two is put above {most:.2f}: they are asked, "
    "and 20 answers let `endcap train` learn more"
)
NEXT_CHAMPION = "fitted without labels again: the catalog has outgrown the one before, or lists other marketplaces"


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


def run(
    catalog: Catalog, *, dates: list[str] | None = None, until: str | None = None, accept: Sequence[str] = (), say: Say = lambda _line: None,
    deliveries: bool = True,
) -> list[RunResult]:  # fmt: skip
    """Take in what has arrived, one snapshot for each delivery date in order; without arrivals, what people answered or promoted.

    `accept` names suspicions that a person has looked at and lets through this once; without `deliveries` what has arrived waits.
    Where the run shows that what was promoted breaks its promise, it is rolled back, and one run more restores what was before.
    Resumable: a run that died left nothing that readers see, and the next one does its work again with the same result.
    Raises BadInput or Held before anything changed; dates finished before that stay.
    """
    unknown = sorted(set(accept) - set(get_args(Suspicious)))
    if unknown:
        raise BadInput(f"there is no suspicion {unknown[0]!r}", where="--accept", todo=f"name one of {', '.join(get_args(Suspicious))}")
    home = Home(catalog)
    with home.writer():
        home.check_database()
        edited = edited_policy(home)
        home.catalog = in_force(home)
        close_dead_runs(home)
        held = held_words(hold_flagged(home))
        _record_own_champion(home)
        arrivals = arrivals_now(home, dates, until, say) if deliveries else []
        groups = [list(group) for _date, group in groupby(arrivals, key=lambda arrival: arrival.date)]
        manifest = home.manifest()
        if not groups and manifest.run and to_take_in(home) != taken_in(manifest):
            groups = [[]]
        results = [_run_once(home, group, accept, say, edited if not number else "") for number, group in enumerate(groups)]
        results = results or [_nothing_to_do(home, strays(home.catalog) if deliveries else "")]
        if groups and went_back(home, say):
            home.catalog = in_force(Home(catalog))  # what holds again
            results.append(_run_once(home, [], accept, say))
        results[-1].notices.extend([*held, *_broken_audit(home, asked=bool(groups)), *follow_up(home, changed=bool(groups))])
        return results


def _broken_audit(home: Home, *, asked: bool) -> list[str]:
    """What a run that took something in has to say of an audit that is not whole: the answers may not be those that people gave."""
    found = audit.verify(home.engine, home.path / audit.HEADS) if asked else audit.Verified(0)
    return [] if found.broken is None else [f"WARNING the audit is broken: {found.words}; see `endcap audit verify`, nothing is promoted until it is whole"]


def plan(catalog: Catalog, *, dates: list[str] | None = None, until: str | None = None) -> dict[str, Any]:
    """What a run would take in: deliveries with their size, answers, a new model or taxonomy; nothing is changed."""
    home = Home(catalog)
    edited = edited_policy(home)
    home.catalog = in_force(home)
    manifest, policy = home.manifest(), home.catalog.policy
    arrivals = arrivals_now(home, dates, until, lambda _line: None)
    answers = home.override_sequence() - manifest.override_sequence
    champion, off = home.champion("match"), off_now(home)
    promoted = champion if champion != manifest.models.get("match") else None
    _answers, _model, now_taxonomy, now_canary, now_held, now_governed = to_take_in(home)
    _answers, _model, was_taxonomy, was_canary, was_held, _governed = taken_in(manifest)
    taxonomy = manifest.run > 0 and now_taxonomy != was_taxonomy
    governed = [name for name in GOVERNED if manifest.run and now_governed.get(name) != manifest.models.get(name)]
    changed = changed_policy(home, policy)
    policy_words = f" ({changed}{EDITED_PAST if edited else ''})" if changed else ""
    words = f"{len(arrivals)} deliveries, {answers} answers" + (f", the new model {promoted}" if promoted else "") + (", another taxonomy" if taxonomy else "")
    told = {"switches": "automation switched", PROMOTED_KNOWN: "other knowledge of categories and attributes", POLICY_ID: f"another policy{policy_words}"}
    other = dict.fromkeys(
        told.get(name, f"another {name}") for name in governed if not (name == "taxonomy" and taxonomy) and not (name == "policy" and POLICY_ID in governed)
    )
    beside = ([f"the canary {now_canary}"] if now_canary else ["the end of the canary"]) if now_canary != was_canary else []
    beside += ["other people held back from proving promises"] if now_held != was_held else []
    words += "".join(f", {one}" for one in (*other, *beside))
    return {
        "deliveries": [{"feed": one.feed, "date": one.date, "mbytes": round(one.file.stat().st_size / 1e6, 3)} for one in arrivals],
        "answers": answers, "model": promoted, "taxonomy": taxonomy, "changed": governed, "in_force": now_governed, "off": sorted(off.values()),
        "policy": policy.model_dump(mode="json"), "policy_changes": changed, "decides": policy_in_words(policy), "strays": strays(home.catalog),
        "words": f"a run would take in {words}" if arrivals or answers or promoted or taxonomy or governed or beside else "a run would change nothing",
    }  # fmt: skip


# --- the stages, in order -------------------------------------------------------------------------------------------


def read_feeds(journey: Journey) -> Rows:
    """Deliveries to offers and quarantined records; held deliveries change nothing."""
    released = released_now(journey.home)
    with journey.lake.connect() as con:
        for arrival in journey.arrivals:
            feed = journey.catalog.feeds[arrival.feed]
            reading = read_delivery(
                arrival.feed, feed, arrival.file, arrival.date, known_offers(con, arrival.feed), run=journey.run,
                released=(arrival.feed, arrival.date, arrival.sha256) in released, engine=journey.catalog.engine,
                cores=journey.catalog.cores, batch_rows=journey.catalog.batch_rows,
            )  # fmt: skip
            delivery = reading.delivery
            journey.say(f"{delivery.date} {delivery.feed}: {delivery.read:,} read, {delivery.offers:,} offers, {delivery.state}")
            yield schema.Offer, reading.offers
            yield schema.Quarantined, pa.concat_tables([reading.quarantined, ended_quarantine(con, delivery.delivery_id, reading.quarantined, journey.run)])
            row = {column: getattr(delivery, column) for column in schema.arrow_schema(schema.Delivery).names}
            journey.deliveries.append(row)
        journey.notices = [*journey.figures.pop("warnings", []), *notices_of(con, journey)]
    yield schema.Delivery, pa.Table.from_pylist(journey.deliveries, schema=schema.arrow_schema(schema.Delivery))


def find_all_facts(journey: Journey) -> Rows:
    """Offers of a new or changed identity to facts, all where other knowledge was promoted; facts of what vanished end."""
    note_changes(journey)
    if not len(journey.changed) and not len(journey.vanished) and not journey.new_known:
        return
    with journey.lake.connect() as con:
        known = what_is_known(journey, con)
        to_read = all_offers(con) if journey.new_known else journey.changed
        offers = offers_of(con, to_read)
        facts = find_facts(
            offers, known, run=journey.run, engine=journey.catalog.engine, cores=journey.catalog.cores, batch_rows=journey.catalog.batch_rows
        )  # fmt: skip
        journey.say(f"{facts.num_rows:,} facts on {offers.num_rows:,} offers")
        ended = ended_rows(con, schema.Fact, facts, pa.concat_arrays([to_read, journey.vanished]), journey.run)
        # What other knowledge believes as well stays believed for the reason it had.
        found = differing(con, schema.Fact, pa.concat_tables([facts, ended]), but_for=("model",) if journey.new_known else ())
        if journey.new_known:
            journey.reread = pc.unique(found["offer_id"]).filter(pc.invert(pc.is_in(pc.unique(found["offer_id"]), changed_or_vanished(journey))))
        yield schema.Fact, found


def compare(journey: Journey) -> Rows:
    """Offers to scored pairs; pairs of offers that changed or vanished end unless they were found again."""
    with journey.lake.connect() as con:
        keep = journey.champion is not None and not (journey.outgrown and journey.home.champion_by("match") in (None, OWN))
        model = usable_champion(journey) if keep else None
        pairs = schema.arrow_schema(schema.Pair).empty_table()
        fitted = model is None
        changed = all_offers(con) if learned_anew(journey, model) else journey.changed
        if len(changed):
            cache = journey.home.path / "cache"
            matched = match_offers(
                live_in(con, journey.catalog.policy.marketplaces), changed, matching=journey.catalog.matching, model=model, run=journey.run, cache=cache,
                former=former_pairs(con, journey),
            )  # fmt: skip
            pairs, model = matched.pairs, matched.model
            journey.say(f"{pairs.num_rows:,} pairs of {len(changed):,} offers")
        if model is not None and fitted:
            model.save(journey.home.model_folder(model.model_id))
            journey.champion, journey.refitted = model.model_id, True
            if model.numbers["pairs"] and model.most_sure < journey.catalog.policy.accept:
                journey.notices.append(LEARNT_LITTLE.format(seeds=int(model.numbers["seeds_same"]), most=model.most_sure))
            if model.numbers.get(MOST_OF_LISTINGS, 1.0) < journey.catalog.policy.accept:
                feeds = ", ".join(sorted(set(journey.catalog.policy.marketplaces)))
                journey.notices.append(FEW_LISTINGS.format(feeds=feeds, most=model.numbers[MOST_OF_LISTINGS]))
        if journey.champion is not None:
            journey.models["match"] = journey.champion
        yield schema.Pair, all_pairs(con, journey, pairs, changed, model)


def decide_all(journey: Journey) -> Rows:
    """Pairs, facts and people's answers to decisions, products and what happened to product ids."""
    overrides = journey.home.rows(OVERRIDES)
    overrides = overrides.filter(pc.less_equal(overrides["override_id"], journey.override_sequence))
    with journey.lake.connect() as con:
        con.register("overrides", overrides)
        con.register("reviewer_holds", journey.home.rows(REVIEWER_HOLDS))
        con.register("blind_asks", journey.home.rows(BLIND_ASKS))
        allowed = thresholds(con, journey.catalog.policy)
        note_promises(journey, allowed)
        past = look_back(con, journey.base.run) if journey.goes_back else None
        off = offers_off(con, journey.off)
        open_ids = open_ids_of(con, journey, overrides, off)
        note_shadow(con, journey, allowed, open_ids, overrides)
        decided = decide(
            con, journey.catalog, open_ids=open_ids, touched_ids=pa.concat_arrays([journey.touched, journey.reread]), vanished_ids=journey.vanished,
            overrides=overrides, model_id=journey.champion or "", run=journey.run, allowed=allowed, answered_after=journey.base.override_sequence,
            today=str(con.execute("SELECT coalesce(max(date), '') FROM deliveries").fetchall()[0][0]), past=past, tried=tried_offers(con, journey),
            off=off, reread_ids=journey.reread,
        )  # fmt: skip
    journey.say(f"{decided.decisions.num_rows:,} decisions, {decided.products.num_rows:,} products rebuilt")
    yield schema.Decision, decided.decisions
    yield schema.Product, decided.products
    yield schema.ProductEvent, decided.events


STAGES: tuple[Callable[[Journey], Rows], ...] = (read_feeds, find_all_facts, compare, decide_all)

# --- one run, from the last snapshot to the next --------------------------------------------------------------------


def _run_once(home: Home, arrivals: list[Arrival], accept: Sequence[str], say: Say, edited: str = "") -> RunResult:
    started = time.monotonic()
    manifest = home.manifest()
    lake = Lake(home.lake_folder, manifest)
    lake.restore()
    champion = home.champion("match") or manifest.models.get("match")
    journey = Journey(home, lake, manifest.run + 1, arrivals, home.override_sequence(), champion, dict(manifest.models), say)
    begin(journey)
    note_policy(journey, edited)
    attempt = open_run(home, journey)
    stages: list[dict[str, Any]] = []
    try:
        stages.extend(_do(stage, journey) for stage in STAGES)  # one by one: those done before a failure are told
        hold_suspicious(journey, accept)
        snapshot_id, content_hash, publishing = _publish(journey)
        with home.connect() as con:
            totals, shared, metrics = catalog_totals(con), overlap(con), [figure.to_dict() for figure in measure(con)]
            journey.notices += note_drift(home, con, journey.run)
    except BaseException as error:
        snapshot = home.snapshot()
        published = snapshot["snapshot_id"] if snapshot and snapshot["run"] == journey.run else None
        reached = {"stages": stages, "failed_in": STAGES[len(stages)].__name__ if len(stages) < len(STAGES) else "publish"}
        state = "done" if published else "failed"
        close_run(home, attempt, state=state, snapshot_id=published, error=in_words(error), deliveries=journey.deliveries, figures=reached)
        raise
    figures = {**journey.figures, "notices": journey.notices, "metrics": metrics, "catalog": totals, "stages": [*stages, publishing]}
    close_run(home, attempt, state="done", snapshot_id=snapshot_id, deliveries=journey.deliveries, figures=figures)
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
    if journey.fallen_back and journey.champion:
        record_promotion(
            home, journey.champion, previous=home.champion("match"), actor=OWN, reason=journey.fallen_back, data_version=snapshot_id
        )  # fmt: skip
    elif journey.refitted and journey.champion in home.past_champions("match") and journey.champion != home.champion("match"):
        previous = home.champion("match")  # another one decided only while other feeds were marketplaces
        record_promotion(home, str(journey.champion), previous=previous, actor=OWN, reason=AS_BEFORE, data_version=snapshot_id)
    _record_own_champion(home)
    journey.say(published.summary())
    spent = {"stage": "publish", "seconds": round(time.monotonic() - started, 3), "cpu_s": round(time.process_time() - cpu, 3)}
    return snapshot_id, manifest.content_hash, {**spent, "rows": {"products": published.products}}


def _record_own_champion(home: Home) -> None:
    """Record the promotion of a model that a run fitted for itself; also where the run died between its snapshot and this record."""
    snapshot, previous = home.snapshot(), home.champion("match")
    model_id = Manifest.from_json(snapshot["manifest_json"]).models.get("match") if snapshot else None
    # One that was in production before is no new one: it was gone back from.
    if snapshot is not None and model_id not in (None, *home.past_champions("match")) and home.champion_by("match") in (None, OWN):
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


def _nothing_to_do(home: Home, passed_over: str) -> RunResult:
    snapshot = home.snapshot()
    with home.connect() as con:
        totals = catalog_totals(con)
    passed = [passed_over] if passed_over else []
    if snapshot is None:
        return RunResult(None, None, 0, False, [], totals, passed, [], [], 0.0)
    return RunResult(snapshot["snapshot_id"], snapshot["content_hash"], snapshot["run"], False, [], totals, passed, [], [], 0.0)
