"""One run under way: what arrived, what changed since the last snapshot, who is to be decided again, and the record of runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, insert, select, update

from endcap import schema
from endcap.decide import Tried, in_force
from endcap.decide.policy import policy_id
from endcap.decide.promised import Thresholds
from endcap.decide.suspicion import find_suspicions
from endcap.decide.switched import CODE as AUTOMATION_OFF
from endcap.decide.switched import key_of, scopes_off, without_standing
from endcap.feeds import Arrival, pending
from endcap.govern.promotion import watch
from endcap.infer.taxonomy import read_taxonomy
from endcap.lake import Lake, Manifest
from endcap.lake.tables import differing
from endcap.learn.promote import PROMOTED_KNOWN
from endcap.learn.revert import LEARNT_MARKETPLACES, base_of, ended_pairs, listed_often, restored_pairs
from endcap.learn.shadow import CANARY, SHADOW, OnTrial, as_they_decide, compared, offers_in, on_trial
from endcap.match import Model
from endcap.ops import webhooks
from endcap.ops.database import now, writing
from endcap.ops.home import Home
from endcap.ops.names import OWN
from endcap.ops.tables import RELEASES, REVIEWER_HOLDS, RUNS, SWITCHES
from endcap.problems import BadInput, Held
from endcap.settings import Catalog, Policy

Say = Callable[[str], None]
# What was learnt from so many offers is learnt again, over the whole catalog, at this multiple of them, or when a new feed comes.
# A small catalog learns again sooner: it costs seconds, and what came first was linked to the likest there was before the right one came.
OUTGROWN, OUTGROWN_SMALL, SMALL_OFFERS = 2.0, 1.25, 20_000
EDITED = (
    "the settings' file changed the policy ({changed}): this run decides by it without a proposal, and nothing takes it back by itself; "
    "`endcap propose` leads such a change through the gate"
)
HELD_BACK = "held_back"  # among a manifest's models: whose audits proved nothing
# What endcap learnt from by itself, as a snapshot notes it.
LEARNT = ("learnt_offers", "learnt_feeds", LEARNT_MARKETPLACES)
# Another one of these decides everything anew.
GOVERNED = (*in_force.KINDS, in_force.POLICY_ID, "switches", PROMOTED_KNOWN)
TOLD_OF_DELIVERIES = ("feed", "date", "state", "reason", "read", "quarantined", "offers", "new", "changed", "vanished")


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
    base: Manifest = field(default_factory=Manifest)  # the snapshot this run stands on: the newest, or after going back an earlier one
    beside: OnTrial | None = None  # the shadow or canary
    off: Mapping[str, str] = field(default_factory=dict)  # scopes in which the machine may not decide, with why
    changed: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))  # offers new, back, or of another identity
    touched: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))  # offers of which anything changed
    vanished: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))
    reread: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))  # other offers of which other facts are believed now
    other_house: bool = False  # the taxonomy is another one than what is known was learnt for
    outgrown: bool = False  # what was learnt without labels is to be learnt again
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)  # what else is recorded with the run
    refitted: bool = False  # endcap's own scorer is another one than in the record, or again one of before
    fallen_back: str = ""  # why the champion of the record did not decide
    notices: list[str] = field(default_factory=list)  # what a person should know of the run as a whole

    @property
    def catalog(self) -> Catalog:
        return self.home.catalog

    @property
    def new_champion(self) -> bool:
        """Whether a person promoted another model since the snapshot that this run stands on."""
        before = self.base.models.get("match")
        return before is not None and self.champion != before

    @property
    def goes_back(self) -> bool:
        return self.base.run != self.lake.manifest.run

    @property
    def canary(self) -> OnTrial | None:
        return self.beside if self.beside and self.beside.action == CANARY else None

    @property
    def judges_anew(self) -> bool:
        """Whether another model may judge stored pairs than the one that scored them."""
        return self.new_champion or self.canary is not None or "canary" in self.lake.manifest.models

    @property
    def new_policy(self) -> bool:
        """Whether another policy is in force than in the snapshot that the run stands on."""
        return self.base.run > 0 and self.models[in_force.POLICY_ID] != self.base.models.get(in_force.POLICY_ID)

    @property
    def new_known(self) -> bool:
        """Whether people promoted, or went back to, other knowledge of categories and attributes since the newest snapshot."""
        promoted = self.models.get(PROMOTED_KNOWN)
        return promoted is not None and not self.other_house and promoted != self.lake.manifest.models.get(PROMOTED_KNOWN)


# --- what changed, and who is to be decided again -------------------------------------------------------------------


def known_offers(con: duckdb.DuckDBPyConnection, feed: str) -> pa.Table:
    """The newest row of every offer a feed ever delivered, gone ones included."""
    return con.sql("SELECT * FROM offers_last WHERE feed = ? ORDER BY offer_id", params=[feed]).to_arrow_table().cast(schema.arrow_schema(schema.Offer))


def notices_of(con: duckdb.DuckDBPyConnection, journey: Journey) -> list[str]:
    """Feeds that sent nothing though others did, and offers of feeds that the settings no longer name."""
    feeds = journey.catalog.feeds
    came = {arrival.feed for arrival in journey.arrivals}
    silent = sorted(name for name, feed in feeds.items() if came and name not in came and "{date}" in feed.file)
    found = [f"no delivery of {', '.join(silent)} on {journey.arrivals[0].date}; what they sent before stays"] if silent else []
    counts = con.execute("SELECT feed, count(*) FROM offers GROUP BY feed ORDER BY feed").fetchall()
    return found + [
        f"{count:,} offers of {feed} are still served, though the settings name no such feed any more" for feed, count in counts if feed not in feeds
    ]


def ended_quarantine(con: duckdb.DuckDBPyConnection, delivery_id: str, fresh: pa.Table, run: int) -> pa.Table:
    """Gone rows for what an earlier file of the same delivery had in quarantine and this one has not."""
    con.register("fresh", fresh.select(list(schema.Quarantined.KEY)))
    query = f"""
        SELECT * REPLACE ({run} AS run, true AS gone) FROM quarantined ANTI JOIN fresh USING (delivery_id, position)
        WHERE delivery_id = ? ORDER BY position
    """
    return con.sql(query, params=[delivery_id]).to_arrow_table().cast(schema.arrow_schema(schema.Quarantined))


def begin(journey: Journey) -> None:
    """Find what runs beside the champion, what else is in force, and the snapshot that the run stands on."""
    journey.beside, problem = on_trial(journey.home)
    journey.figures = {"warnings": [problem]} if problem else {}
    for action in (SHADOW, CANARY):
        journey.models.pop(action, None)
        if journey.beside and journey.beside.action == action:
            journey.models[action] = journey.beside.words
    for name in GOVERNED:
        journey.models.pop(name, None)
    journey.models |= governed_by(journey.home)
    journey.off = off_now(journey.home)
    deciding = {**journey.models, **({"match": journey.champion} if journey.champion else {}), LEARNT_MARKETPLACES: listed_often(journey.catalog)}
    others = journey.models.get(LEARNT_MARKETPLACES, "") != deciding[LEARNT_MARKETPLACES]
    refits = others and journey.home.champion_by("match") in (None, OWN)
    journey.base = base_of(journey.home, journey.lake.manifest, deciding, refits=refits)
    if journey.goes_back and others:
        if refits:
            journey.champion, journey.refitted = journey.base.models.get("match"), True
        journey.models = {name: of for name, of in journey.models.items() if name not in LEARNT}
        journey.models |= {name: journey.base.models[name] for name in LEARNT if name in journey.base.models}
    if journey.goes_back:
        journey.say(f"going back to what held after run {journey.base.run}; what changed since is decided anew")


def edited_policy(home: Home) -> str:
    """What the settings' file changed in the policy since the current snapshot, in words; empty where nothing. `home` has the settings as the file says."""
    try:
        return changed_policy(home, in_force.as_file_says(home).policy)
    except BadInput:  # what decided then cannot be read any more, and so not compared
        return ""


def changed_policy(home: Home, policy: Policy) -> str:
    """What a policy says otherwise than the one by which the current snapshot was decided, in words; empty where nothing."""
    if home.manifest().models.get(in_force.POLICY_ID, "") in ("", policy_id(policy)):
        return ""
    rows = [row for row in home.rows(RUNS).to_pylist() if row["state"] == "done"]
    then = json.loads(max(rows, key=lambda row: (row["run"], row["attempt_id"]))["figures_json"]).get("policy", {}) if rows else {}
    now_is = policy.model_dump(mode="json")
    changed = [f"{name} from {json.dumps(then[name])} to {json.dumps(value)}" for name, value in now_is.items() if name in then and then[name] != value]
    return ", ".join(changed) or "it is another one than before"


def note_policy(journey: Journey, edited: str) -> None:
    """Keep with the run by which policy it decides, and say where the settings' file changed it past the gate."""
    journey.figures["policy"] = journey.catalog.policy.model_dump(mode="json")
    if edited:
        told = {"policy": journey.models[in_force.POLICY_ID], "previous": journey.lake.manifest.models[in_force.POLICY_ID], "words": edited}
        journey.figures["edited"] = told
        journey.figures.setdefault("warnings", []).append(EDITED.format(changed=edited))


def note_changes(journey: Journey) -> None:
    """Sort the offer rows since the snapshot that the run stands on into changed, merely touched, and vanished."""
    with journey.lake.connect() as con:
        rows = con.sql("""
            WITH now AS (SELECT offer_id, arg_max(identity_hash, run) AS identity_hash, arg_max(gone, run) AS gone
                         FROM offers_log WHERE run > $base GROUP BY offer_id),
                 was AS (SELECT offer_id, arg_max(identity_hash, run) AS identity_hash, arg_max(gone, run) AS gone
                         FROM offers_log SEMI JOIN now USING (offer_id) WHERE run <= $base GROUP BY offer_id)
            SELECT now.offer_id, now.gone, was.offer_id IS NULL OR was.gone OR was.identity_hash <> now.identity_hash AS changed
            FROM now LEFT JOIN was USING (offer_id) ORDER BY now.offer_id
        """, params={"base": journey.base.run}).to_arrow_table()  # fmt: skip
    ids, gone = rows["offer_id"].combine_chunks(), rows["gone"].combine_chunks()
    journey.vanished = ids.filter(gone)
    journey.touched = ids.filter(pc.invert(gone))
    journey.changed = ids.filter(pc.and_(pc.invert(gone), rows["changed"].combine_chunks()))
    _note_growth(journey)


def _note_growth(journey: Journey) -> None:
    """Where the catalog has outgrown what was learnt from it (or the taxonomy, or what is a marketplace), all of it counts as changed and is compared anew."""
    with journey.lake.connect() as con:
        ((offers, feeds),) = con.execute("SELECT count(*), coalesce(string_agg(DISTINCT feed, ' ' ORDER BY feed), '') FROM offers").fetchall()
        learnt, known_feeds = int(journey.models.get("learnt_offers", "0")), set(journey.models.get("learnt_feeds", "").split())
        taxonomy, often = taxonomy_id(journey.catalog), listed_often(journey.catalog)
        same_house = set(feeds.split()) <= known_feeds and taxonomy == journey.models.get("learnt_taxonomy", "")
        same_house = same_house and often == journey.models.get(LEARNT_MARKETPLACES, "")
        journey.other_house = taxonomy != journey.models.get("learnt_taxonomy", taxonomy)
        journey.models["learnt_taxonomy"] = taxonomy
        enough = OUTGROWN_SMALL if offers < SMALL_OFFERS else OUTGROWN
        if offers == 0 or (offers < enough * learnt and same_house):
            return
        journey.outgrown = True
        journey.changed = all_offers(con)
    journey.models |= {"learnt_offers": str(offers), "learnt_feeds": feeds}
    journey.models.pop(LEARNT_MARKETPLACES, None)
    if often:
        journey.models[LEARNT_MARKETPLACES] = often


def changed_or_vanished(journey: Journey) -> pa.Array:
    return pa.concat_arrays([journey.changed, journey.vanished])


def offers_of(con: duckdb.DuckDBPyConnection, ids: pa.Array) -> pa.Table:
    con.register("wanted", pa.table({"offer_id": ids}))
    return con.sql("SELECT * FROM offers SEMI JOIN wanted USING (offer_id) ORDER BY offer_id").to_arrow_table().cast(schema.arrow_schema(schema.Offer))


def all_offers(con: duckdb.DuckDBPyConnection) -> pa.Array:
    return con.sql("SELECT offer_id FROM offers ORDER BY offer_id").to_arrow_table()["offer_id"].combine_chunks()


def former_pairs(con: duckdb.DuckDBPyConnection, journey: Journey) -> pa.Table:
    """Pairs of changed offers that were ever kept: many were found from the other side, which is not asked again in this run."""
    con.register("changed", pa.table({"offer_id": journey.changed}))
    limit = "LIMIT 0" if journey.outgrown else ""
    return con.sql(f"""
        SELECT DISTINCT left_id, right_id FROM pairs_log
        WHERE (left_id IN (SELECT offer_id FROM changed) OR right_id IN (SELECT offer_id FROM changed))
          AND left_id IN (SELECT offer_id FROM offers) AND right_id IN (SELECT offer_id FROM offers) ORDER BY left_id, right_id {limit}
    """).to_arrow_table()  # fmt: skip


def all_pairs(con: duckdb.DuckDBPyConnection, journey: Journey, fresh: pa.Table, changed: pa.Array, model: Model | None) -> pa.Table:
    """Rows of every pair that the run changes: fresh ones, ended ones, those brought back, and those that another model judges now."""
    moved = pa.concat_arrays([changed, journey.vanished])
    ended = ended_pairs(con, fresh, moved, journey.run)
    if journey.goes_back:
        then, since = restored_pairs(con, journey.base.run, moved, journey.run)
        fresh, ended = pa.concat_tables([fresh, then]), pa.concat_tables([ended, since])
    if model is not None and journey.judges_anew:
        fresh = as_they_decide(
            con, fresh, ended, model, journey.canary, catalog=journey.catalog, cache=journey.home.path / "cache", run=journey.run
        )  # fmt: skip
    return differing(con, schema.Pair, pa.concat_tables([fresh, ended]))


def tried_offers(con: duckdb.DuckDBPyConnection, journey: Journey) -> Tried | None:
    """The offers for which the canary decides."""
    if journey.canary is None:
        return None
    found = Tried(journey.canary.model_id, frozenset(offers_in(con, journey.canary.scope).to_pylist()))
    journey.figures["canary"] = {"model": found.model_id, "scope": journey.canary.scope, "offers": len(found.offers)}
    return found


def note_shadow(con: duckdb.DuckDBPyConnection, journey: Journey, allowed: Thresholds, open_ids: pa.Array, overrides: pa.Table) -> None:
    """Record what the shadow would have made of what this run decides."""
    if journey.beside is None or journey.beside.action != SHADOW:
        return
    found = compared(
        con, journey.beside, journey.catalog.policy, allowed, open_ids=open_ids, overrides=overrides, catalog=journey.catalog,
        cache=journey.home.path / "cache", run=journey.run, answered_after=journey.base.override_sequence,
    )  # fmt: skip
    journey.figures["shadow"] = found
    journey.say(f"the shadow {found['model']} would decide {found['changed']:,} of {found['offers']:,} offers otherwise")


def note_promises(journey: Journey, allowed: Thresholds) -> None:
    """Keep with the run from which likeness on it linked, and say what is promised."""
    journey.models.pop(HELD_BACK, None)
    if held_back(journey.home):
        journey.models[HELD_BACK] = held_back(journey.home)
    if allowed.key:
        journey.models["promise"] = allowed.key
    else:
        journey.models.pop("promise", None)
    journey.notices += [f"{name}: {promise.words}" for name, promise in allowed.promises.items()]


def open_ids_of(con: duckdb.DuckDBPyConnection, journey: Journey, overrides: pa.Table, off: Mapping[str, str]) -> pa.Array:
    """Offers to decide now: changed ones, those a person answered since, waiting ones whose neighbours changed, those whose evidence changed.

    What was linked to an offer that is no longer delivered stays where it is: the two were the same, and what took them together still means that.
    Under a new champion, policy or promise all are; where a canary begins or ends, those that the other model decided; where automation is `off`
    what stands is not, and where it is on again what waited for that is.
    """
    answered = _answered_since(overrides, journey.base.override_sequence)
    if journey.new_champion or journey.new_policy or journey.models.get("promise", "") != journey.base.models.get("promise", ""):
        return without_standing(con, all_offers(con), off, answered)
    con.register("answered", pa.table({"offer_id": pa.array(answered, pa.string())}))
    con.register("misjudged", pa.table({"offer_id": _misjudged(con, journey)}))
    con.register("still_off", pa.table({"offer_id": pa.array(list(off), pa.string())}))
    con.register("vanished", pa.table({"offer_id": journey.vanished}))
    con.register("changed", pa.table({"offer_id": journey.changed}))
    found = con.sql("""
        WITH near AS (SELECT left_id AS offer_id FROM pairs SEMI JOIN changed ON changed.offer_id = pairs.right_id
                      UNION SELECT right_id FROM pairs SEMI JOIN changed ON changed.offer_id = pairs.left_id),
             asked AS (SELECT offer_id FROM decisions WHERE kind = 'product' AND decided_by = 'machine'
                       AND (counterpart_offer_id IN (SELECT offer_id FROM changed)
                            OR action = 'to_review' AND (offer_id IN (SELECT offer_id FROM near) OR counterpart_offer_id IN (SELECT offer_id FROM vanished)))),
             on_again AS (SELECT offer_id FROM decisions ANTI JOIN still_off USING (offer_id) WHERE action = 'to_review' AND reason_code = '{code}')
        SELECT offer_id FROM offers WHERE offer_id IN
            (SELECT offer_id FROM changed UNION SELECT offer_id FROM answered UNION SELECT offer_id FROM asked UNION SELECT offer_id FROM misjudged
             UNION SELECT offer_id FROM on_again)
        ORDER BY offer_id
    """.replace("{code}", AUTOMATION_OFF)).to_arrow_table()["offer_id"].combine_chunks()  # fmt: skip
    return without_standing(con, found, off, answered)


def _misjudged(con: duckdb.DuckDBPyConnection, journey: Journey) -> pa.Array:
    """Offers whose decision is another model's than the one that decides of them now."""
    if not journey.judges_anew:
        return pa.array([], pa.string())
    con.register("tried", pa.table({"offer_id": offers_in(con, journey.canary.scope) if journey.canary else pa.array([], pa.string())}))
    found = con.sql("""
        SELECT d.offer_id FROM decisions d LEFT JOIN tried t ON t.offer_id = d.offer_id WHERE d.kind = 'product' AND d.decided_by = 'machine'
          AND d.model <> CASE WHEN t.offer_id IS NULL THEN $champion ELSE $canary END ORDER BY d.offer_id
    """, params={"champion": journey.champion or "", "canary": journey.canary.model_id if journey.canary else ""})  # fmt: skip
    return found.to_arrow_table()["offer_id"].combine_chunks()


def _answered_since(overrides: pa.Table, sequence: int) -> list[str]:
    """Offers whose place somebody answered or took an answer back; what was answered and taken back within changes nothing."""
    rows = [row for row in overrides.to_pylist() if row["override_id"] > sequence]
    within = {row["override_id"] for row in rows} & {row["undoes"] for row in rows}
    return sorted({row["offer_id"] for row in rows if row["field"] is None and not {row["override_id"], row["undoes"]} & within})


def went_back(home: Home, say: Say) -> bool:
    """Whether what was promoted had to be taken out of force; said loudly."""
    breach = watch(home)
    if breach is not None:
        say(f"WARNING the {breach.kind} {breach.artefact} is taken out of force: {breach.words}")
    return breach is not None


def hold_suspicious(journey: Journey, accept: Sequence[str]) -> None:
    """Say what looks too good to be true. Raises Held where the policy holds on it and nobody let it through."""
    with journey.lake.connect() as con:
        found = find_suspicions(con, journey.catalog.policy)
    journey.notices += [suspicion.sentence for suspicion in found]
    for suspicion in found:
        journey.say(f"WARNING {suspicion.sentence}")
    held = [suspicion for suspicion in found if suspicion.name in journey.catalog.policy.hold_on and suspicion.name not in accept]
    if held:
        names = " ".join(f"--accept {name}" for name in sorted({suspicion.name for suspicion in held}))
        raise Held(
            held[0].sentence, where="nothing was published; the last good version is still served",
            todo=f"correct the mapping or the feed and run again, or let it through once with `endcap run {names}`",
        )  # fmt: skip


# --- the record of runs ---------------------------------------------------------------------------------------------


def arrivals_now(home: Home, dates: list[str] | None, until: str | None, say: Say) -> list[Arrival]:
    """What is to be taken in; a delivery older than one of its feed that is in already would undo it, so it is passed over."""
    if not home.catalog.inbox_path.is_dir():
        raise BadInput(
            "there is no inbox", where=str(home.catalog.inbox_path), todo="make that folder, correct `inbox` in the settings, or name one with --inbox"
        )
    released = {(row["feed"], row["date"], row["sha256"]) for row in home.rows(RELEASES).to_pylist()}
    rows = home.lake().current(schema.Delivery, columns="delivery_id, feed, date, sha256, state").to_pylist()
    named = [((row["feed"], row["date"], row["sha256"]), row["state"]) for row in rows]
    done = {one for one, state in named if not (state == "held" and one in released)}
    newest = {row["feed"]: row["date"] for row in sorted(rows, key=lambda row: row["date"]) if row["state"] == "accepted"}
    arrivals = pending(home.catalog, done, dates=dates, until=until)
    for arrival in arrivals:
        if arrival.date < newest.get(arrival.feed, ""):
            say(f"{arrival.date} {arrival.feed}: passed over, since {newest[arrival.feed]} is in already")
    return [arrival for arrival in arrivals if arrival.date >= newest.get(arrival.feed, "")]


def taken_in(manifest: Manifest) -> tuple[int, str | None, str, str, str, dict[str, str]]:
    """Up to which answer, by which model and taxonomy, beside which canary, without whose audits and under what else the current snapshot was decided."""
    governed = {name: manifest.models[name] for name in GOVERNED if name in manifest.models}
    models = manifest.models
    return manifest.override_sequence, models.get("match"), models.get("learnt_taxonomy", ""), models.get(CANARY, ""), models.get(HELD_BACK, ""), governed


def to_take_in(home: Home) -> tuple[int, str | None, str, str, str, dict[str, str]]:
    """The same as `taken_in`, as it stands now."""
    beside, _problem = on_trial(home)
    canary = beside.words if beside and beside.action == CANARY else ""
    return home.override_sequence(), home.champion("match"), taxonomy_id(home.catalog), canary, held_back(home), governed_by(home)


def governed_by(home: Home) -> dict[str, str]:
    """What decides beside the scorer.

    Policy, mapping and taxonomy that were promoted, the policy whole, what is known, and where automation is off.
    """
    champions = {kind: home.champion(kind) for kind in in_force.KINDS}
    found = {kind: artefact for kind, artefact in champions.items() if artefact is not None and in_force.said(home, kind, artefact)}
    known, key = home.champion("infer"), key_of(off_now(home))
    policy = {in_force.POLICY_ID: policy_id(in_force.in_force(home).policy)}
    return found | policy | ({PROMOTED_KNOWN: known} if known else {}) | ({"switches": key} if key else {})


def off_now(home: Home) -> dict[str, str]:
    """Scopes in which automation is off, with why."""
    return scopes_off(home.rows(SWITCHES).to_pylist())


def held_back(home: Home) -> str:
    """A short hash of whose audits prove nothing for now; empty where there is nobody, or no promise to prove."""
    if home.catalog.policy.promise is None and not home.catalog.policy.scopes:
        return ""
    newest = {row["person"]: row["held"] for row in home.rows(REVIEWER_HOLDS).to_pylist()}
    people = sorted(person for person, held in newest.items() if held)
    return hashlib.sha256("\0".join(people).encode()).hexdigest()[:12] if people else ""


def taxonomy_id(catalog: Catalog) -> str:
    """A short hash of the taxonomy's file; empty where there is none. Raises BadInput when the file is missing or wrong."""
    if not catalog.taxonomy:
        return ""
    read_taxonomy(catalog.root / catalog.taxonomy)
    return hashlib.sha256((catalog.root / catalog.taxonomy).read_bytes()).hexdigest()[:12]


def open_run(home: Home, journey: Journey) -> int:
    names = [{"feed": arrival.feed, "date": arrival.date} for arrival in journey.arrivals]
    row = {"run": journey.run, "state": "running", "started_at": now(), "deliveries_json": json.dumps(names), "figures_json": "{}"}
    with home.engine.begin() as connection:
        key = connection.execute(insert(RUNS).values(row)).inserted_primary_key
    return int(key[0]) if key else 0


def close_run(
    home: Home, attempt: int, *, state: str, snapshot_id: str | None = None, deliveries: Iterable[dict[str, Any]] = (),
    figures: dict[str, Any] | None = None, error: str | None = None,
) -> None:  # fmt: skip
    """Record how a run ended, and note for whoever is told of it."""
    values, came = {"state": state, "snapshot_id": snapshot_id, "finished_at": now(), "error": error}, list(deliveries)
    if state == "done" or figures:
        values |= {"deliveries_json": json.dumps(came, sort_keys=True), "figures_json": json.dumps(figures or {}, sort_keys=True)}
    with writing(home.engine) as connection:
        connection.execute(update(RUNS).values(values).where(RUNS.c.attempt_id == attempt))
        _note_end(connection, home, attempt, came, figures or {})


def _note_end(connection: Connection, home: Home, attempt: int, deliveries: list[dict[str, Any]], figures: dict[str, Any]) -> None:
    """Held deliveries are told of once they are held for good: a run that failed reads them again."""
    row = connection.execute(select(RUNS).where(RUNS.c.attempt_id == attempt)).mappings().one()
    told = {"attempt": attempt, "run": row["run"], "started_at": row["started_at"], "finished_at": row["finished_at"]}
    if row["state"] != "done":
        webhooks.note(connection, home.catalog, "run.failed", {**told, "error": row["error"], "failed_in": figures.get("failed_in")})
        return
    came = [{name: one[name] for name in TOLD_OF_DELIVERIES} for one in deliveries]
    done = {**told, "snapshot": row["snapshot_id"], "deliveries": came, "catalog": figures.get("catalog", {})}
    webhooks.note(connection, home.catalog, "run.done", done)
    for one in came:
        if one["state"] == "held":
            webhooks.note(connection, home.catalog, "delivery.held", {**one, "run": row["run"], "snapshot": row["snapshot_id"]})
    webhooks.forget_old(connection)


def close_dead_runs(home: Home) -> None:
    """Whoever holds the catalog for writing knows that no other run lives: one still marked running has died, maybe after it had published."""
    snapshot = home.snapshot()
    with writing(home.engine) as connection:
        for row in connection.execute(select(RUNS.c.attempt_id, RUNS.c.run).where(RUNS.c.state == "running")).all():
            values = {"state": "died", "finished_at": now()}
            connection.execute(update(RUNS).values(values).where(RUNS.c.attempt_id == row.attempt_id))
            published = snapshot["snapshot_id"] if snapshot and snapshot["run"] == row.run else None
            words = f"the process died after {published} was published" if published else "the process died; the next run does its work again"
            told = {"attempt": row.attempt_id, "run": row.run, "snapshot": published, "error": words}
            webhooks.note(connection, home.catalog, "run.done" if published else "run.failed", told)
