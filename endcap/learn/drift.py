"""Drift: what came in, or what became of it, differs from the last weeks beyond chance; the likely cause is named, and nothing is changed.

Each delivery of a feed is compared with how the same feed stood some deliveries before, offer by offer where that is possible, so that ordinary
churn cancels out. An alarm needs an effect worth a person's time and a chance far below one in all the comparisons of a year; one that stands
is not raised again, and ends by itself when it is seen no more. An alarm neither trains nor promotes anything.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import duckdb
from sqlalchemy import insert, select, update

from endcap import schema
from endcap.decide.promised import AUDIT, HELD
from endcap.learn.verdict import mcnemar
from endcap.learn.watch import fisher
from endcap.ops.database import now, writing
from endcap.ops.home import Home
from endcap.ops.tables import ALARMS

# With so many deliveries before is compared.
WINDOW = 3
_FOUNDED_AGAIN = schema.FOUNDED_AGAIN.format(offer="judged.offer_id", run="judged.run", chosen="judged.product_id")
CHANCE = 5e-5
LEAST_OFFERS, LEAST_NEW, LEAST_ASKED, LEAST_AUDITS = 50, 20, 20, 200
FIELDS = ("gtin", "mpn", "brand", "category_path", "price", "quantity_text")
# The smallest effects that are told, as shares or factors.
FILL, TITLES, CATEGORIES, LIKENESS, QUARANTINED, NEW = 0.05, 0.05, 0.08, 0.05, 0.02, 0.2
PRICE_FACTOR, VOLUME_FACTOR = 1.2, 1.15
CALIBRATION = 0.02
# Likeness that an offer's decision must lose or win to count, and titles that must share fewer words to be others.
MOVED_LIKENESS, SAME_TITLE = 0.2, 0.5
FEED_DATA, SCORING, HUMAN = "feed_data", "scoring", "human_error"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One drift."""

    name: str
    scope: str
    cause: str
    words: str
    figures: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        return f"drift ({self.name}) in {self.scope}: {self.words}; likely {self.cause}"


@dataclass(frozen=True, slots=True)
class Span:
    """The runs that are compared: from after `before` to `run`, and the feeds that delivered in `run`."""

    before: int
    run: int
    feeds: Mapping[str, str]  # feed -> supplier


def find_drift(con: duckdb.DuckDBPyConnection, run: int) -> list[Alarm]:
    """Every drift that a run shows, in a fixed order; `con` shows the lake's and the operational tables as the run left them."""
    span = _span(con, run)
    found = [alarm for check in ANYTIME for alarm in check(con)]
    if span is not None:
        _prepare(con, span)
        found += [alarm for check in OF_FEEDS for alarm in check(con, span)]
    return _with_causes(found)


def note_drift(home: Home, con: duckdb.DuckDBPyConnection, run: int) -> list[str]:
    """Keep the alarms of a run: new ones begin, those seen no more end. Out: a sentence for each that stands, the new ones first."""
    found = {(alarm.name, alarm.scope): alarm for alarm in find_drift(con, run)}
    delivered = {row[0] for row in con.execute("SELECT 'feed ' || feed FROM deliveries WHERE run = ? AND state = 'accepted'", [run]).fetchall()}
    with writing(home.engine) as connection:
        standing = {(row["name"], row["scope"]): row for row in connection.execute(select(ALARMS).where(ALARMS.c.closed_at.is_(None))).mappings()}
        for key, row in standing.items():
            if key not in found and (key[1] in delivered or not key[1].startswith("feed ")):
                connection.execute(update(ALARMS).where(ALARMS.c.alarm_id == row["alarm_id"]).values(closed_at=now()))
        fresh = [alarm for key, alarm in found.items() if key not in standing]
        for alarm in fresh:
            told = {"name": alarm.name, "scope": alarm.scope, "cause": alarm.cause, "words": alarm.words}
            connection.execute(insert(ALARMS).values(**told, run=run, figures_json=json.dumps(dict(alarm.figures), sort_keys=True), at=now()))
    return [alarm.sentence for alarm in fresh]


def _span(con: duckdb.DuckDBPyConnection, run: int) -> Span | None:
    feeds = dict(
        con.execute("SELECT feed, max(supplier) FROM deliveries_log WHERE run = ? AND state = 'accepted' GROUP BY feed ORDER BY feed", [run]).fetchall()
    )
    before = [
        row[0] for row in con.execute(
            "SELECT DISTINCT run FROM deliveries_log WHERE run < ? AND state = 'accepted' ORDER BY run DESC LIMIT ?", [run, WINDOW]
        ).fetchall()
    ]  # fmt: skip
    return Span(before[-1], run, feeds) if before and feeds else None


def _prepare(con: duckdb.DuckDBPyConnection, span: Span) -> None:
    """Temporary tables: each live offer of the feeds beside what it was before, and what was decided of it then and now."""
    kept = ("title", *FIELDS, "currency")
    # arg_max leaves nulls out, so that a field that vanished would seem to stay.
    columns = ", ".join(f"arg_max(struct_pack(v := {name}), run).v AS {name}" for name in ("gone", "feed", *kept))
    both = ", ".join(f"o.{name}, t.{name} AS {name}_then" for name in kept)
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE offers_then AS SELECT * FROM (
            SELECT offer_id, {columns} FROM offers_log WHERE run <= {span.before} AND feed IN ({_listed(span.feeds)}) GROUP BY offer_id) WHERE NOT gone
    """)
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE stayed AS SELECT o.feed, o.offer_id, {both}
        FROM offers o JOIN offers_then t USING (offer_id) WHERE o.feed IN ({_listed(span.feeds)})
    """)


def _listed(names: Iterable[str]) -> str:
    return ", ".join("'" + name.replace("'", "''") + "'" for name in names)


# --- what the suppliers send ----------------------------------------------------------------------------------------


def _fill(con: duckdb.DuckDBPyConnection, _span: Span) -> Iterator[Alarm]:
    for field in FIELDS:
        rows = con.execute(f"""
            SELECT feed, count(*), count(*) FILTER ({field} IS NULL AND {field}_then IS NOT NULL),
                   count(*) FILTER ({field} IS NOT NULL AND {field}_then IS NULL), count({field}_then), count({field})
            FROM stayed GROUP BY feed ORDER BY feed
        """).fetchall()
        for feed, n, lost, won, before, after in rows:
            if n >= LEAST_OFFERS and abs(lost - won) >= FILL * n and _beyond_chance(lost, won):
                words = f"{field} is stated by {_percent(after, n)} of the same {n:,} offers after {_percent(before, n)}"
                yield Alarm(f"fill_{field}", f"feed {feed}", FEED_DATA, words, {"n": n, "lost": lost, "won": won})


def _price(con: duckdb.DuckDBPyConnection, _span: Span) -> Iterator[Alarm]:
    rows = con.execute("""
        WITH priced AS (SELECT feed, ln(price::DOUBLE / price_then::DOUBLE) AS moved, currency IS DISTINCT FROM currency_then AS other_currency
                        FROM stayed WHERE price > 0 AND price_then > 0)
        SELECT feed, count(*), median(moved), count(*) FILTER (moved > 0), count(*) FILTER (moved < 0), count(*) FILTER (other_currency),
               count(*) FILTER (moved > ln(2)), count(*) FILTER (moved < -ln(2))
        FROM priced GROUP BY feed ORDER BY feed
    """).fetchall()
    for feed, n, moved, up, down, currency, doubled, halved in rows:
        if n < LEAST_OFFERS:
            continue
        together = abs(moved) >= math.log(PRICE_FACTOR) and _beyond_chance(up, down)
        if together or (abs(doubled - halved) >= FILL * n and _beyond_chance(doubled, halved)):
            words = f"prices of the same {n:,} offers are {math.exp(moved):.2f} times what they were; {doubled:,} at least doubled, {halved:,} at least halved"
            yield Alarm("price_scale", f"feed {feed}", FEED_DATA, words, {"n": n, "factor": round(math.exp(moved), 4), "doubled": doubled, "halved": halved})
        elif currency >= FILL * n and currency >= 17:
            yield Alarm(
                "price_scale", f"feed {feed}", FEED_DATA, f"{currency:,} of the same {n:,} offers state another currency", {"n": n, "currency": currency}
            )


def _titles(con: duckdb.DuckDBPyConnection, span: Span) -> Iterator[Alarm]:
    rows = con.execute(f"""
        WITH both_sets AS (SELECT feed, title, title_then, list_distinct(string_split_regex(lower(title), '[^\\p{{L}}\\p{{N}}]+')) AS now,
                              list_distinct(string_split_regex(lower(title_then), '[^\\p{{L}}\\p{{N}}]+')) AS was FROM stayed WHERE title <> title_then),
             moved AS (SELECT feed, count(*) FILTER (2 * len(list_intersect(now, was)) < 2 * {SAME_TITLE} * greatest(len(now), len(was))) AS others,
                       count(*) FILTER (length(title) > 1.25 * length(title_then) OR (title = upper(title) AND title_then <> upper(title_then))) AS longer,
                       count(*) FILTER (length(title_then) > 1.25 * length(title) OR (title_then = upper(title_then) AND title <> upper(title))) AS shorter
                       FROM both_sets GROUP BY feed)
        SELECT s.feed, count(*), coalesce(any_value(m.others), 0), coalesce(any_value(m.longer), 0), coalesce(any_value(m.shorter), 0)
        FROM stayed s LEFT JOIN moved m USING (feed) GROUP BY s.feed ORDER BY s.feed
    """).fetchall()
    usual = max(1, span.run - span.before)
    for feed, n, others, longer, shorter in rows:
        if n < LEAST_OFFERS:
            continue
        # A supplier rewords a few titles in every delivery.
        reworded = others >= TITLES * n and _tail(others, n, 0.01 * usual) < CHANCE
        if reworded or (abs(longer - shorter) >= TITLES * n and _beyond_chance(longer, shorter)):
            words = f"of the same {n:,} offers {others:,} have titles of other words, {longer:,} longer or in capitals, {shorter:,} the other way"
            yield Alarm("title_format", f"feed {feed}", FEED_DATA, words, {"n": n, "others": others, "longer": longer, "shorter": shorter})


def _categories(con: duckdb.DuckDBPyConnection, span: Span) -> Iterator[Alarm]:
    """Offers that were filed elsewhere, and new ones of other categories than the feed had."""
    moved = con.execute("""
        SELECT feed, count(*), count(*) FILTER (category_path IS NOT NULL AND category_path_then IS NOT NULL AND category_path <> category_path_then)
        FROM stayed GROUP BY feed ORDER BY feed
    """).fetchall()
    for feed, n, elsewhere in moved:
        if n >= LEAST_OFFERS and elsewhere >= CATEGORIES * n and _tail(elsewhere, n, 0.01 * max(1, span.run - span.before)) < CHANCE:
            words = f"{elsewhere:,} of the same {n:,} offers lie in another category of the supplier"
            yield Alarm("category_mix", f"feed {feed}", FEED_DATA, words, {"n": n, "elsewhere": elsewhere})
    rows = con.execute(f"""
        WITH came AS (SELECT feed, coalesce(category_path, '') AS category, count(*) AS n FROM offers ANTI JOIN offers_then USING (offer_id)
                      WHERE feed IN ({_listed(span.feeds)}) GROUP BY ALL),
             was AS (SELECT feed, coalesce(category_path, '') AS category, count(*) AS n FROM offers_then GROUP BY ALL)
        SELECT feed, category, coalesce(came.n, 0), coalesce(was.n, 0), sum(coalesce(came.n, 0)) OVER of_feed, sum(coalesce(was.n, 0)) OVER of_feed,
               count(*) OVER of_feed FROM came FULL JOIN was USING (feed, category) WINDOW of_feed AS (PARTITION BY feed) ORDER BY feed, category
    """).fetchall()
    for feed, category, came, was, all_came, all_were, categories in rows:
        if all_were < LEAST_OFFERS or all_came < LEAST_NEW or came - all_came * was / all_were < CATEGORIES * all_were:
            continue
        chance = fisher(int(came), int(all_came), int(was), int(all_were)) * categories
        if chance < CHANCE:
            share, before = _percent(came, all_came), _percent(was, all_were)
            words = f"{share} of its {int(all_came):,} new offers are {category or 'without a category'}, after {before} of what it had"
            yield Alarm("category_mix", f"feed {feed}", FEED_DATA, words, {"came": int(came), "category": category, "chance": chance})


def _quarantine(con: duckdb.DuckDBPyConnection, span: Span) -> Iterator[Alarm]:
    for feed, now_n, now_read, was_n, was_read in _deliveries(con, span, "quarantined"):
        if now_read >= LEAST_OFFERS and was_read >= LEAST_OFFERS and now_n / now_read - was_n / was_read >= QUARANTINED:
            chance = fisher(now_n, now_read, was_n, was_read)
            if chance < CHANCE:
                words = f"{_percent(now_n, now_read)} of its records broke the contract, after {_percent(was_n, was_read)}"
                yield Alarm("quarantine_share", f"feed {feed}", FEED_DATA, words, {"quarantined": now_n, "read": now_read, "chance": chance})


def _volume(con: duckdb.DuckDBPyConnection, span: Span) -> Iterator[Alarm]:
    rows = con.execute("""
        SELECT feed, offers, run FROM deliveries_log WHERE state = 'accepted' AND run <= ? AND offers > 0
        QUALIFY row_number() OVER (PARTITION BY feed ORDER BY run DESC) <= 8 ORDER BY feed, run
    """, [span.run]).fetchall()  # fmt: skip
    for feed in span.feeds:
        sizes = [offers for name, offers, _run in rows if name == feed]
        if len(sizes) < 2 or max(sizes) < LEAST_OFFERS:
            continue
        *before, last = [math.log(size) for size in sizes]
        usual = sorted(before)[len(before) // 2]
        steps = [abs(one - other) for one, other in zip(before[1:], before[:-1], strict=True)]
        if abs(last - usual) >= max(math.log(VOLUME_FACTOR), 4 * max(steps, default=0.0)):
            words = f"{sizes[-1]:,} offers, after {math.exp(usual):,.0f} as a rule"
            yield Alarm("feed_volume", f"feed {feed}", FEED_DATA, words, {"offers": sizes[-1], "usual": round(math.exp(usual))})


def _deliveries(con: duckdb.DuckDBPyConnection, span: Span, column: str) -> list[tuple[str, int, int, int, int]]:
    return con.execute(f"""
        SELECT feed, sum({column}) FILTER (run = $run), sum(read) FILTER (run = $run), coalesce(sum({column}) FILTER (run < $run), 0),
               coalesce(sum(read) FILTER (run < $run), 0) FROM deliveries_log WHERE state = 'accepted' AND run BETWEEN $before AND $run
        GROUP BY feed HAVING sum(read) FILTER (run = $run) > 0 ORDER BY feed
    """, {"run": span.run, "before": span.before}).fetchall()  # fmt: skip


# --- what becomes of it ---------------------------------------------------------------------------------------------


def _likeness(con: duckdb.DuckDBPyConnection, span: Span) -> Iterator[Alarm]:
    """How alike an offer's nearest is, as its decision says; under another champion it says something else."""
    rows = con.execute(f"""
        WITH earlier AS (SELECT offer_id, arg_max(struct_pack(c := confidence, r := reason_code, m := model), run) AS d FROM decisions_log
                      WHERE kind = 'product' AND run <= {span.before} AND decided_by = 'machine' AND NOT gone GROUP BY offer_id),
             told AS (SELECT s.feed, {_LIKENESS.format("t.d.r", "t.d.c")} AS was, {_LIKENESS.format("n.reason_code", "n.confidence")} AS now,
                             t.d.m = n.model AS same
                      FROM stayed s JOIN decisions n ON n.offer_id = s.offer_id AND n.kind = 'product' AND n.decided_by = 'machine'
                      JOIN earlier t ON t.offer_id = s.offer_id)
        SELECT feed, count(*), count(*) FILTER (was - now > {MOVED_LIKENESS}), count(*) FILTER (now - was > {MOVED_LIKENESS}), bool_and(same)
        FROM told GROUP BY feed ORDER BY feed
    """).fetchall()
    for feed, n, lost, won, same in rows:
        if same and n >= LEAST_OFFERS and abs(lost - won) >= LIKENESS * n and _beyond_chance(lost, won):
            words = f"the nearest offer is less alike for {lost:,} of the same {n:,} offers and more alike for {won:,}"
            yield Alarm("likeness", f"feed {feed}", SCORING, words, {"n": n, "less": lost, "more": won})


_LIKENESS = "CASE WHEN {0} = 'alone' THEN 0.0 WHEN {0} = 'new' THEN 1 - {1} ELSE {1} END"


def _new_products(con: duckdb.DuckDBPyConnection, span: Span) -> Iterator[Alarm]:
    rows = con.execute("""
        WITH first AS (SELECT offer_id, min(run) AS run FROM offers_log GROUP BY offer_id),
             came AS (SELECT o.feed, f.run, d.reason_code IN ('new', 'alone') AS alone FROM first f JOIN offers o USING (offer_id)
                      JOIN decisions d ON d.offer_id = f.offer_id AND d.kind = 'product' AND d.decided_by = 'machine'
                      WHERE f.run > (SELECT min(run) FROM offers_log))
        SELECT feed, count(*) FILTER (run = $run), count(*) FILTER (run = $run AND alone), count(*) FILTER (run < $run), count(*) FILTER (run < $run AND alone),
               (SELECT count(*) FROM came WHERE run < $run), (SELECT count(*) FROM came WHERE run < $run AND alone)
        FROM came GROUP BY feed ORDER BY feed
    """, {"run": span.run}).fetchall()  # fmt: skip
    for feed, n, alone, own, own_alone, every, every_alone in rows:
        before, before_alone = (own, own_alone) if own >= LEAST_NEW else (every, every_alone)
        if n < LEAST_NEW or before < LEAST_NEW or alone / n - before_alone / before < NEW:
            continue
        chance = fisher(alone, n, before_alone, before)
        if chance < CHANCE * 10:
            words = f"{_percent(alone, n)} of its {n:,} new offers found no product, after {_percent(before_alone, before)}"
            yield Alarm("new_product_share", f"feed {feed}", SCORING, words, {"new": n, "alone": alone, "chance": chance})


def _calibration(con: duckdb.DuckDBPyConnection) -> Iterator[Alarm]:
    """The mean probability of audited decisions against how many were right."""
    ((n, right, believed),) = con.execute(f"""
        WITH judged AS (
            SELECT o.offer_id, o.product_id, d.run, o.action IN ('same', 'other') AS same, d.action AS decided, d.confidence
            FROM overrides o JOIN snapshots s USING (snapshot_id)
            JOIN decisions_log d ON d.offer_id = o.offer_id AND d.kind = 'product' AND d.run <= s.run AND d.decided_by = 'machine'
            WHERE o.reason_code = '{AUDIT}' AND o.action IN ('same', 'other', 'different', 'new')
              AND o.override_id NOT IN (SELECT undoes FROM overrides WHERE undoes IS NOT NULL) AND o.actor NOT IN ({HELD})
            QUALIFY row_number() OVER (PARTITION BY o.override_id ORDER BY d.run DESC) = 1 ORDER BY o.override_id DESC LIMIT {2 * LEAST_AUDITS})
        SELECT count(*), count(*) FILTER (CASE WHEN decided = 'linked' THEN same ELSE NOT same OR NOT {_FOUNDED_AGAIN} END), coalesce(avg(confidence), 0)
        FROM judged WHERE decided IN ('linked', 'new_product')
    """).fetchall()
    if n < LEAST_AUDITS:
        return
    gap = believed - right / n
    spread = math.sqrt(max(believed * (1 - believed), 0.5 / n) / n)
    if abs(gap) > CALIBRATION and abs(gap) > 3 * spread:
        words = f"decisions are believed to {100 * believed:.1f} % and were right in {_percent(right, n)} of {n:,} audits"
        yield Alarm("calibration", "everything", SCORING, words, {"n": n, "right": right, "believed": round(believed, 4)})


def _disagreement(con: duckdb.DuckDBPyConnection) -> Iterator[Alarm]:
    rows = con.execute("SELECT NOT agrees FROM blind_asks WHERE agrees IS NOT NULL AND purpose IN ('second', 'batch') ORDER BY ask_id").fetchall()
    differ = [bool(row[0]) for row in rows]
    size = max(LEAST_ASKED, len(differ) // 4)
    before, last = differ[:-size], differ[-size:]
    if len(before) < LEAST_ASKED:
        return
    chance = fisher(sum(last), len(last), sum(before), len(before))
    if chance < CHANCE * 100 and sum(last) / len(last) - sum(before) / len(before) >= 0.1:
        words = f"second answers differ from the first in {_percent(sum(last), len(last))} of the last {len(last)}, after {_percent(sum(before), len(before))}"
        yield Alarm("disagreement", "everything", HUMAN, words, {"n": len(last), "differ": sum(last), "chance": chance})


OF_FEEDS: tuple[Callable[[duckdb.DuckDBPyConnection, Span], Iterator[Alarm]], ...] = (
    _fill, _price, _titles, _categories, _quarantine, _volume, _likeness, _new_products,
)  # fmt: skip
ANYTIME: tuple[Callable[[duckdb.DuckDBPyConnection], Iterator[Alarm]], ...] = (_calibration, _disagreement)


def _with_causes(alarms: list[Alarm]) -> list[Alarm]:
    """Where a feed's data moved, what became of its offers moved for that reason."""
    told = {alarm.scope: alarm for alarm in reversed(alarms) if alarm.cause == FEED_DATA}
    return [
        replace(alarm, cause=FEED_DATA, words=f"{alarm.words}, after {told[alarm.scope].words}")
        if alarm.cause == SCORING and alarm.scope in told else alarm for alarm in alarms
    ]  # fmt: skip


def _beyond_chance(one: int, other: int) -> bool:
    """Whether two counts that should be alike are not (sign test)."""
    return 2 * mcnemar(max(one, other), min(one, other)) < CHANCE


def _tail(count: int, n: int, rate: float) -> float:
    """The chance of so many or more of n at a rate."""
    rate = min(rate, 0.99)
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(rate) + (n - k) * math.log1p(-rate) for k in range(count, n + 1)]
    return math.fsum(math.exp(one) for one in logs)


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %"
