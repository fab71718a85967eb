"""Watching what was promoted: a pure look at the tables that says whether it breaks what was promised, and must go back by itself.

Models, policies and what is known of categories are watched: only a promotion or a canary, never what was gone back to. Evidence counts from the
first run that all that is in force decided together, so that what was put in force last is the first to be blamed, up to a run under another policy
of the settings' file, for which nothing goes back. What is seen without a person's word is looked for in the very first run alone, and only where
nothing else came with it: other policies, dictionaries and switches, and the offers that its delivery changed, have falls of their own. Each sign
needs numbers that chance does not give, and answers that are held back give none. So nothing flips to and fro: after a rollback there is nothing to
watch until a person promotes again, and `may_return` keeps endcap itself from promoting the same artefact a second time. Mappings and taxonomies are
not watched: guards hold a delivery that they spoil.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from endcap import schema
from endcap.decide.in_force import POLICY_ID
from endcap.decide.promised import AUDIT, HELD
from endcap.learn.labels import hold_flagged
from endcap.learn.promote import PROMOTED_KNOWN
from endcap.learn.verdict import upper_bound
from endcap.ops.home import Home
from endcap.ops.names import OWN
from endcap.settings import Policy

# What is watched, and what else decides with it.
KINDS = {"match": ("policy",), "policy": ("match",), "infer": ("policy",)}
# What of a snapshot's models comes and goes with an artefact itself.
ITS_OWN = {"match": ("match", "canary"), "canary": ("canary",), "policy": ("policy", POLICY_ID), "infer": ("infer", PROMOTED_KNOWN)}
WITHOUT_EFFECT = ("shadow",)
WENT_BACK = ("rollback", "stop")
FOREVER = 2**62
# Least audited precision of what the machine decides where the settings promise none.
USUAL_FLOOR = 0.9
LEAST_AUDITS, LEAST_DECISIONS, LEAST_ESCAPES = 20, 200, 5
# Signs that come without a person's word must be far beyond chance; and so must one of two rates that people's answers made.
SURE_Z = 4.0
LIKELY_P = 0.005
COLLAPSE = 0.10


@dataclass(frozen=True, slots=True)
class Breach:
    """What an artefact in force breaks, in words, with the figures it is seen from."""

    kind: str
    artefact: str
    action: str  # of its promotion: promote | canary
    promotion_id: int
    sign: str  # audits | escapes | collapse | suspicion | corrections | lost_categories
    words: str
    figures: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Watched:
    """The artefact in force that is looked at, and since which run it decides together with what is in force now."""

    kind: str
    row: Mapping[str, Any]
    first_run: int
    until: int  # the run from which the settings' file says another policy; what is decided from then on tells nothing of it
    came_alone: bool  # nothing else was put in force with it or after it
    decided: str  # what tells its decisions from others, in the column of that kind: the model, or the hash of the policy

    @property
    def artefact(self) -> str:
        return str(self.row["model_id"])


def check(home: Home) -> Breach | None:
    """The first breach of a promotion or canary that decides now; None where all is well.

    Whoever is flagged is held back first, where the settings say so: nothing goes out of force on their word.
    """
    hold_flagged(home)
    with home.connect() as con:
        return find_breach(con, home.catalog.policy)


def find_breach(con: duckdb.DuckDBPyConnection, policy: Policy) -> Breach | None:
    """See `check`; `con` shows the lake's and the operational tables."""
    found = sorted((one for kind in KINDS for one in _in_force(con, kind)), key=lambda one: -int(one.row["promotion_id"]))
    for watched in found:
        # Whoever puts back what went back by itself has seen its first signs; people's answers still count.
        seen = SEEN[watched.kind] if watched.came_alone and watched.artefact not in fallen_before(con, watched.kind) else ()
        for sign in (*ANSWERED[watched.kind], *seen):
            for words, figures in sign(con, watched, policy):
                name = sign.__name__.strip("_")
                return Breach(watched.kind, watched.artefact, watched.row["action"], watched.row["promotion_id"], name, words, figures)
    return None


def may_return(home: Home, kind: str, artefact: str) -> bool:
    """Whether endcap may promote an artefact by itself: never one that it has taken out of force before."""
    with home.connect() as con:
        return artefact not in fallen_before(con, kind)


def fallen_before(con: duckdb.DuckDBPyConnection, kind: str) -> set[str]:
    """Artefacts that endcap itself took out of force, ever."""
    rows = con.execute("SELECT model_id, action, actor, previous FROM promotions WHERE kind = ? ORDER BY promotion_id", [kind]).fetchall()
    return {str(previous if action == "rollback" else model_id) for model_id, action, actor, previous in rows if action in WENT_BACK and actor == OWN}


def _in_force(con: duckdb.DuckDBPyConnection, kind: str) -> Iterator[Watched]:
    """The canary, where the newest promotion is one, and the champion, unless it was gone back to."""
    names = ("promotion_id", "model_id", "action", "scope", "actor", "proposal_id")
    found = con.execute(f"SELECT {', '.join(names)} FROM promotions WHERE kind = ? ORDER BY promotion_id DESC", [kind]).fetchall()
    rows = [dict(zip(names, row, strict=True)) for row in found]
    champion = next((row for row in rows if row["action"] in ("promote", "rollback")), None)
    # A model that a run fitted for itself was not promoted by anyone: there is no promise to break.
    promoted = champion is not None and champion["action"] == "promote" and (champion["actor"] != OWN or champion["proposal_id"] is not None)
    for row in [*(row for row in rows[:1] if row["action"] == "canary"), *([champion] if champion and promoted else [])]:
        first, until, came_alone = _span(con, kind, row)
        # The first model of a catalog took nobody's place.
        if first > 1 and (decided := _decided(con, kind, row, first)):
            yield Watched(kind, row, first, until, came_alone, decided)


def _decided(con: duckdb.DuckDBPyConnection, kind: str, row: Mapping[str, Any], first: int) -> str:
    """What the decisions of an artefact bear; empty where it decided nothing yet."""
    if kind != "policy":
        return str(row["model_id"])
    found = con.execute("""
        SELECT policy FROM decisions_log WHERE kind = 'product' AND NOT gone AND run = ? GROUP BY policy ORDER BY count(*) DESC, policy LIMIT 1
    """, [first]).fetchone()  # fmt: skip
    return str(found[0]) if found else ""


def _span(con: duckdb.DuckDBPyConnection, kind: str, row: Mapping[str, Any]) -> tuple[int, int, bool]:
    """The runs without a break in which it decides together with what was promoted beside it.

    The first (0: there is none), the one from which the settings' file says another policy, and whether the first is that in which it came into
    force, with all else as in the run before.
    """
    is_canary = row["action"] == "canary"
    name, decided = ("canary", f"{row['model_id']} for {row['scope'] or '*'}") if is_canary else (kind, row["model_id"])
    first, until, then = 0, FOREVER, dict[str, str]()
    for run, manifest_json in con.execute("SELECT run, manifest_json FROM snapshots ORDER BY run DESC").fetchall():
        models: dict[str, str] = json.loads(manifest_json)["models"]
        if models.get(name) != decided:
            return first, until, _but_for(ITS_OWN[name], models) == _but_for(ITS_OWN[name], then)
        if first and any(models.get(other) != then.get(other) for other in KINDS[kind]):
            return first, until, False
        until = first if first and models.get(POLICY_ID) != then.get(POLICY_ID) else until
        first, then = run, models
    return first, until, False  # what else came with it is not known


def _but_for(names: tuple[str, ...], models: Mapping[str, str]) -> dict[str, str]:
    return {name: artefact for name, artefact in models.items() if name not in (*names, *WITHOUT_EFFECT)}


# --- signs ----------------------------------------------------------------------------------------------------------

_FOUNDED_AGAIN = schema.FOUNDED_AGAIN.format(offer="judged.offer_id", run="judged.decided_in", chosen="judged.product_id")
_JUDGED = f"""
    WITH said AS (
        SELECT o.override_id, o.offer_id, o.counterpart_offer_id, o.product_id, o.action, s.run FROM overrides o JOIN snapshots s USING (snapshot_id)
        WHERE o.reason_code = '{AUDIT}' AND o.action IN ('same', 'different', 'new', 'other') AND s.run >= $first
          AND o.override_id NOT IN (SELECT undoes FROM overrides WHERE undoes IS NOT NULL) AND o.actor NOT IN ({HELD})),
    judged AS (
        SELECT said.*, d.action AS decided, d.run AS decided_in, d.model, d.policy FROM said JOIN decisions_log d
          ON d.offer_id = said.offer_id AND d.kind = 'product' AND d.run <= said.run AND d.decided_by = 'machine'
        QUALIFY row_number() OVER (PARTITION BY said.override_id ORDER BY d.run DESC) = 1)
    SELECT count(*), count(*) FILTER (CASE WHEN decided = 'linked' THEN action NOT IN ('same', 'other')
                                           ELSE action IN ('same', 'other') AND {_FOUNDED_AGAIN} END)
    FROM judged WHERE {{column}} = $decided AND decided IN ('linked', 'new_product') AND decided_in < $until
"""


def _audits(con: duckdb.DuckDBPyConnection, watched: Watched, policy: Policy) -> Iterator[tuple[str, dict[str, Any]]]:
    """Audited decisions of the artefact lie below the floor, at the upper bound."""
    floor = policy.promise.precision if policy.promise else USUAL_FLOOR
    ((n, wrong),) = con.execute(_of(watched, _JUDGED), {"first": watched.first_run, "until": watched.until, "decided": watched.decided}).fetchall()
    bound = upper_bound(n - wrong, n)
    if n >= LEAST_AUDITS and bound < floor:
        words = (
            f"{n - wrong} of {n} audited decisions since run {watched.first_run} were right: at most {100 * bound:.1f} %, below the floor of {100 * floor:g} %"
        )
        yield words, {"audits": n, "wrong": wrong, "bound": round(bound, 4), "floor": floor}


_ESCAPES = f"""
    WITH steps AS (
        SELECT offer_id, action, product_id, decided_by, model, run, lead(run) OVER each AS run_after, lead(decided_by) OVER each AS decided_after,
               lead(product_id) OVER each AS product_after, coalesce(lead(override_id) OVER each, 0) AS override_after
        FROM decisions_log WHERE kind = 'product' AND NOT gone WINDOW each AS (PARTITION BY offer_id ORDER BY run)),
    automatic AS (
        SELECT offer_id, model = $model AS tried, coalesce(decided_after = 'person' AND product_after IS DISTINCT FROM product_id, false)
               AND override_after NOT IN (SELECT override_id FROM overrides WHERE actor IN ({HELD})) AS escaped
        FROM steps WHERE decided_by = 'machine' AND action IN ('linked', 'new_product') AND (run_after IS NULL OR run_after >= $first)
               AND run < $until),
    control AS (SELECT * FROM automatic WHERE offer_id NOT IN (SELECT offer_id FROM automatic WHERE tried))
    SELECT (SELECT count(DISTINCT offer_id) FROM automatic WHERE tried), (SELECT count(DISTINCT offer_id) FROM automatic WHERE tried AND escaped),
           (SELECT count(DISTINCT offer_id) FROM control), (SELECT count(DISTINCT offer_id) FROM control WHERE escaped)
"""


def _escapes(con: duckdb.DuckDBPyConnection, watched: Watched, _policy: Policy) -> Iterator[tuple[str, dict[str, Any]]]:
    """People take back a larger share of the canary's decisions than of the champion's beside it."""
    if watched.row["action"] != "canary":
        return
    ((ours, back, theirs, theirs_back),) = con.execute(_ESCAPES, {"first": watched.first_run, "until": watched.until, "model": watched.artefact}).fetchall()
    chance = _more_often(ours, back, theirs, theirs_back)
    if chance is not None:
        words = f"people took back {back} of {ours} decisions of the canary and {theirs_back} of {theirs} of the champion beside it (chance {chance:.4f})"
        yield words, {"decisions": ours, "taken_back": back, "control": theirs, "control_taken_back": theirs_back, "chance": round(chance, 6)}


# Offers that the delivery of a run made others: of other words, new, gone or back, or of a price that a link would be doubted for.
_MOVED = """
    log AS (SELECT offer_id, run, gone, identity_hash, price, lag(gone) OVER each AS gone_before, lag(identity_hash) OVER each AS identity_before,
                   lag(price) OVER each AS price_before
            FROM offers_log SEMI JOIN (SELECT offer_id FROM offers_log WHERE run = $first) USING (offer_id) WHERE run <= $first
            WINDOW each AS (PARTITION BY offer_id ORDER BY run)),
    moved AS (SELECT offer_id FROM log WHERE run = $first AND (gone OR coalesce(gone_before, true) OR identity_hash IS DISTINCT FROM identity_before
                                                               OR coalesce(greatest(price, price_before) > 1.5 * least(price, price_before), false)))
"""
# Decisions as they stood after the first run, and before it: what later runs made of them is not looked at.
_BOTH_TIMES = """
    at_first AS (SELECT * FROM decisions_log WHERE kind = $kind AND run <= $first QUALIFY row_number() OVER (PARTITION BY offer_id ORDER BY run DESC) = 1),
    earlier AS (SELECT * FROM decisions_log WHERE kind = $kind AND run < $first QUALIFY row_number() OVER (PARTITION BY offer_id ORDER BY run DESC) = 1)
"""
_MATCHED = f"""
    WITH {_MOVED}, {_BOTH_TIMES},
         sizes_now AS (SELECT product_id, count(*) AS size FROM at_first WHERE product_id IS NOT NULL AND NOT gone GROUP BY product_id),
         sizes_then AS (SELECT product_id, count(*) AS size FROM earlier WHERE product_id IS NOT NULL AND NOT gone GROUP BY product_id),
         shaken AS (SELECT DISTINCT product_id FROM earlier SEMI JOIN moved USING (offer_id) WHERE product_id IS NOT NULL)
    SELECT count(*), count(*) FILTER (coalesce(s.size, 1) > 1), count(*) FILTER (coalesce(t.size, 1) > 1),
           count(*) FILTER (coalesce(s.size, 1) > 1 AND NOT coalesce(t.size, 1) > 1), count(*) FILTER (coalesce(t.size, 1) > 1 AND NOT coalesce(s.size, 1) > 1)
    FROM at_first m JOIN earlier e ON e.offer_id = m.offer_id AND NOT e.gone LEFT JOIN sizes_now s ON s.product_id = m.product_id
    LEFT JOIN sizes_then t ON t.product_id = e.product_id
    WHERE m.decided_by = 'machine' AND m.{{column}} = $decided AND NOT m.gone AND m.offer_id NOT IN (SELECT offer_id FROM moved)
      AND coalesce(e.product_id NOT IN (SELECT product_id FROM shaken), true)
"""


def _collapse(con: duckdb.DuckDBPyConnection, watched: Watched, _policy: Policy) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of the offers it decided in its first run, and whose products no delivery changed, many fewer shared one with another than just before."""
    about = {"kind": "product", "first": watched.first_run, "decided": watched.decided}
    ((n, now, before, won, lost),) = con.execute(_of(watched, _MATCHED), about).fetchall()
    if _fell(n, now, before, won, lost):
        words = f"the match rate of the {n:,} offers it decides fell from {100 * before / n:.1f} % to {100 * now / n:.1f} % with run {watched.first_run}"
        yield words, {"offers": n, "matched": now, "matched_before": before}


def _suspicion(con: duckdb.DuckDBPyConnection, watched: Watched, _policy: Policy) -> Iterator[tuple[str, dict[str, Any]]]:
    """Its first run raised a suspicion that the run before did not, though nothing was delivered in between."""
    rows = con.execute("""
        SELECT run, deliveries_json, figures_json FROM runs WHERE state = 'done' AND run BETWEEN ? AND ? ORDER BY run, attempt_id
    """, [watched.first_run - 1, watched.first_run]).fetchall()  # fmt: skip
    named = {
        run: {notice.split(":")[0] for notice in json.loads(figures).get("notices", []) if notice.startswith("suspicious (")} for run, _came, figures in rows
    }
    came = {run: json.loads(deliveries or "[]") for run, deliveries, _figures in rows}
    fresh = named.get(watched.first_run, set()) - named.get(watched.first_run - 1, set())
    if fresh and watched.first_run - 1 in named and not came.get(watched.first_run):
        yield f"its first run looks too good or too bad to be true: {', '.join(sorted(fresh))}", {"suspicions": sorted(fresh)}


_CORRECTED = f"""
    WITH wrote AS (SELECT offer_id, bool_or(run >= $first) AS fresh FROM decisions_log
                   WHERE kind = 'category' AND action = 'accepted' AND decided_by = 'machine' AND NOT gone AND run < $until GROUP BY offer_id),
         placed AS (SELECT d.product_id, bool_or(w.fresh) AS fresh FROM wrote w JOIN decisions d ON d.offer_id = w.offer_id AND d.kind = 'product'
                    WHERE d.product_id IS NOT NULL GROUP BY d.product_id),
         corrected AS (SELECT DISTINCT o.product_id FROM overrides o JOIN snapshots s USING (snapshot_id)
                       WHERE o.field = 'category' AND o.action = 'set' AND o.value IS DISTINCT FROM o.said AND s.run >= $first
                         AND o.override_id NOT IN (SELECT undoes FROM overrides WHERE undoes IS NOT NULL) AND o.actor NOT IN ({HELD}))
    SELECT count(*) FILTER (fresh), count(*) FILTER (fresh AND c.product_id IS NOT NULL), count(*) FILTER (NOT fresh),
           count(*) FILTER (NOT fresh AND c.product_id IS NOT NULL) FROM placed LEFT JOIN corrected c USING (product_id)
"""


def _corrections(con: duckdb.DuckDBPyConnection, watched: Watched, _policy: Policy) -> Iterator[tuple[str, dict[str, Any]]]:
    """People correct the categories that it set more often than those that stood before it."""
    ((ours, back, theirs, theirs_back),) = con.execute(_CORRECTED, {"first": watched.first_run, "until": watched.until}).fetchall()
    chance = _more_often(ours, back, theirs, theirs_back)
    if chance is not None:
        words = f"people corrected {back} of {ours} categories set since run {watched.first_run} and {theirs_back} of {theirs} of before (chance {chance:.4f})"
        yield words, {"products": ours, "corrected": back, "control": theirs, "control_corrected": theirs_back, "chance": round(chance, 6)}


_CATEGORISED = f"""
    WITH {_MOVED}, {_BOTH_TIMES},
         both_times AS (SELECT d.action = 'accepted' AS now, e.action = 'accepted' AS before FROM at_first d
                        JOIN earlier e ON e.offer_id = d.offer_id AND NOT e.gone
                        WHERE d.decided_by = 'machine' AND NOT d.gone AND d.offer_id NOT IN (SELECT offer_id FROM moved))
    SELECT count(*), count(*) FILTER (now), count(*) FILTER (before), count(*) FILTER (now AND NOT before), count(*) FILTER (before AND NOT now)
    FROM both_times
"""


def _lost_categories(con: duckdb.DuckDBPyConnection, watched: Watched, _policy: Policy) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of the offers it read in its first run, and no delivery changed, many fewer had a category that is sure enough than just before."""
    ((n, now, before, won, lost),) = con.execute(_CATEGORISED, {"kind": "category", "first": watched.first_run}).fetchall()
    if _fell(n, now, before, won, lost):
        words = f"the share of {n:,} offers with a sure category fell from {100 * before / n:.1f} % to {100 * now / n:.1f} % with run {watched.first_run}"
        yield words, {"offers": n, "sure": now, "sure_before": before}


def _more_often(ours: int, back: int, theirs: int, theirs_back: int) -> float | None:
    """The chance (Fisher's exact test) of `back` of `ours` taken back where people take back `theirs_back` of `theirs`; None where that proves nothing."""
    if back < LEAST_ESCAPES or not theirs or back / ours <= theirs_back / theirs:
        return None
    chance = fisher(back, ours, theirs_back, theirs)
    return chance if chance < LIKELY_P else None


def _fell(n: int, now: int, before: int, won: int, lost: int) -> bool:
    """Whether of n offers so many fewer do well that it is no chance (sign test of those that changed)."""
    return n >= LEAST_DECISIONS and (before - now) / n >= COLLAPSE and (lost - won) / math.sqrt(max(lost + won, 1)) >= SURE_Z


def _of(watched: Watched, query: str) -> str:
    """A query about the decisions of an artefact, which bear it in the column of its kind."""
    return query.replace("{column}", "policy" if watched.kind == "policy" else "model")


Sign = Callable[[duckdb.DuckDBPyConnection, Watched, Policy], Iterator[tuple[str, dict[str, Any]]]]
# Signs that people's answers give, and those that are seen without them.
ANSWERED: Mapping[str, tuple[Sign, ...]] = {"match": (_audits, _escapes), "policy": (_audits,), "infer": (_corrections,)}
SEEN: Mapping[str, tuple[Sign, ...]] = {"match": (_collapse, _suspicion), "policy": (_collapse, _suspicion), "infer": (_lost_categories,)}


def fisher(one: int, of_one: int, other: int, of_other: int) -> float:
    """The chance of so many or more in the first of two groups, were both drawn from one (Fisher's exact test, one-sided)."""
    both, every = one + other, of_one + of_other

    def log_chance(count: int) -> float:
        return _log_choose(of_one, count) + _log_choose(of_other, both - count) - _log_choose(every, both)

    return min(1.0, math.fsum(math.exp(log_chance(count)) for count in range(one, min(both, of_one) + 1) if both - count <= of_other))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
