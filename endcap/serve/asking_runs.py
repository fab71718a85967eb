"""What is asked of runs and feeds: how each went, what it changed, what is held and why."""

from __future__ import annotations

import json
import statistics
from datetime import datetime
from typing import Any

from endcap.feeds.preview import held_row, preview
from endcap.feeds.release import noted_by, takes_two
from endcap.ops.home import Home
from endcap.problems import BadInput
from endcap.publish.history import diff_snapshots
from endcap.serve import answers_runs as answers
from endcap.serve.asking import NotFound, delivery
from endcap.serve.asking_overview import feed_states, held_in
from endcap.serve.reading import Reading
from endcap.settings import Source

MOST_RUNS, USUAL_OF, DELIVERIES_SHOWN = 200, 10, 30
FILLED = ("brand", "description", "category_path", "gtin", "mpn", "price", "quantity_text", "url", "image_url", "available")
ORDER = {"held": 0, "alarm": 1, "silent": 2, "waiting": 3, "served": 4}


def runs(reading: Reading) -> answers.Runs:
    """The newest attempts first."""
    reading.bring_up()
    return answers.Runs(snapshot=reading.snapshot_id, runs=_rows(reading)[:MOST_RUNS])


def run(reading: Reading, home: Home | None, attempt_id: int) -> answers.RunPage:
    """One attempt; the difference to the snapshot before where both are still kept. Raises NotFound."""
    reading.bring_up()
    rows = _rows(reading)
    place = next((at for at, row in enumerate(rows) if row.attempt_id == attempt_id), None)
    if place is None:
        raise NotFound(f"there is no run {attempt_id}", "every run is listed at /runs")
    stored = reading.row("SELECT deliveries_json, figures_json FROM runs WHERE attempt_id = ?", [attempt_id]) or {}
    figures = json.loads(stored.get("figures_json") or "{}")
    told = [one for one in json.loads(stored.get("deliveries_json") or "[]") if "delivery_id" in one]
    one = rows[place]
    return answers.RunPage(
        snapshot=reading.snapshot_id, run=one, stages=[answers.Stage(**stage) for stage in figures.get("stages", [])],
        deliveries=[delivery(row) for row in told], notices=figures.get("notices", []),
        difference=_difference(home, one.from_snapshot, one.snapshot_id), later=rows[place - 1].attempt_id if place else None,
        done_since=next((row.attempt_id for row in reversed(rows[:place]) if row.state == "done"), None),
        earlier=rows[place + 1].attempt_id if place + 1 < len(rows) else None,
    )  # fmt: skip


def feeds(reading: Reading) -> answers.Feeds:
    """Feeds of the settings and of the catalog, those that need attention first."""
    return answers.Feeds(snapshot=reading.snapshot_id, feeds=sorted(_feeds(reading), key=lambda feed: (ORDER[feed.state], feed.feed)))


def no_feed(name: str) -> NotFound:
    """What is said of a feed that is not there, and of one that is not this person's to let through."""
    return NotFound(f"there is no feed {name!r}", "every feed is listed at /feeds; another team may let this one through")


def feed(reading: Reading, name: str) -> answers.FeedPage:
    """One feed. Raises NotFound."""
    reading.bring_up()
    found = next((one for one in _feeds(reading) if one.feed == name), None)
    if found is None:
        raise no_feed(name)
    rows = reading.rows(f"SELECT * FROM deliveries WHERE feed = ? ORDER BY date DESC LIMIT {DELIVERIES_SHOWN}", [name])
    codes = reading.rows(
        "SELECT q.code, count(*) AS n FROM quarantined q WHERE q.feed = ? AND q.delivery_id IN "
        "(SELECT delivery_id FROM deliveries WHERE feed = ? ORDER BY date DESC LIMIT 1) GROUP BY ALL ORDER BY n DESC, 1", [name, name],
    )  # fmt: skip
    least, most = _band(reading, name, found.live_offers)
    return answers.FeedPage(
        snapshot=reading.snapshot_id, feed=found, least_offers=least, most_offers=most, fill=_fill(reading, name),
        quarantine={row["code"]: row["n"] for row in codes}, mapping=_mapping(reading, name),
        changes=_changes(reading, name), deliveries=[delivery(row) for row in rows],
    )  # fmt: skip


def held(reading: Reading, home: Home, name: str, date: str) -> answers.HeldPage:
    """What a held delivery would change, read anew once a snapshot. Raises NotFound for an unknown feed, BadInput where nothing of it is held."""
    feed(reading, name)
    row = held_row(home, name, date)
    would = reading.keep(f"what {name} {date} would change", lambda _reading: preview(home, name, date), until=row["sha256"])
    with home.engine.connect() as connection:
        said_by = noted_by(connection, row)
    samples = [
        answers.WouldChange(
            kind=one.kind, offer_id=one.offer_id, title=one.title,
            changes=[answers.WouldChangeField(field=field, was=was, now=now) for field, was, now in one.changes],
        )
        for one in would.samples
    ]  # fmt: skip
    return answers.HeldPage(
        snapshot=reading.snapshot_id, feed=name, date=date, **would.counts, takes_two=takes_two(home, row), said_by=said_by, samples=samples
    )


def _rows(reading: Reading) -> list[answers.RunRow]:
    stored = reading.rows("SELECT * FROM runs ORDER BY attempt_id DESC")
    parents = {row["snapshot_id"]: row["parent"] for row in reading.rows("SELECT snapshot_id, parent FROM snapshots")}
    alive = reading.home.is_being_written()
    took = [_seconds(row) for row in stored if row["state"] == "done"][:USUAL_OF]
    usual = statistics.median(one for one in took if one is not None) if any(one is not None for one in took) else None
    return [_row(row, parents.get(row["snapshot_id"]), alive, usual) for row in stored]


def _row(row: dict[str, Any], parent: str | None, alive: bool, usual: float | None) -> answers.RunRow:
    told = [one for one in json.loads(row["deliveries_json"] or "[]") if "read" in one]
    state = "died" if row["state"] == "running" and not alive else row["state"]
    error = row["error"] or ("its process ended before it was done; the next run does its work again" if state == "died" else None)
    return answers.RunRow(
        attempt_id=row["attempt_id"] or 0, run=row["run"], state=state, from_snapshot=parent, snapshot_id=row["snapshot_id"], started_at=row["started_at"],
        finished_at=row["finished_at"], seconds=_seconds(row), usual_seconds=usual, read=sum(one["read"] for one in told),
        accepted=sum(one["accepted"] for one in told), quarantined=sum(one["quarantined"] for one in told),
        held=held_in(told), error=error, failed_in=json.loads(row["figures_json"] or "{}").get("failed_in"),
    )  # fmt: skip


def _seconds(row: dict[str, Any]) -> float | None:
    if not row["finished_at"]:
        return None
    return (datetime.fromisoformat(row["finished_at"]) - datetime.fromisoformat(row["started_at"])).total_seconds()


def _difference(home: Home | None, before: str | None, after: str | None) -> answers.Difference | None:
    if home is None or before is None or after is None:
        return None
    try:
        return answers.Difference(**diff_snapshots(home, before, after).to_dict())
    except BadInput:  # one of the two is not kept any more
        return None


def _feeds(reading: Reading) -> list[answers.Feed]:
    states = {state.feed: state for state in feed_states(reading)}
    released = {(row["feed"], row["date"]) for row in reading.rows("SELECT feed, date FROM releases SEMI JOIN deliveries USING (feed, date, sha256)")}
    newest = max((state.served.date for state in states.values() if state.served), default=None)
    alarms = {row["scope"]: row["words"] for row in reading.rows("SELECT scope, words FROM alarms WHERE closed_at IS NULL ORDER BY alarm_id DESC")}
    found = []
    for name, state in states.items():
        silent = bool(state.served and newest and state.served.date < newest and not state.held)
        alarm = alarms.get(f"feed:{name}", "")
        kind = "held" if state.held else "alarm" if alarm else "silent" if silent else "served" if state.served else "waiting"
        let = bool(state.held and (name, state.held.date) in released)
        words = {
            "held": f"{state.held.date}: {state.held.reason}" if state.held else "",
            "alarm": alarm, "silent": f"nothing since {state.served.date}; others delivered on {newest}" if state.served else "",
            "served": f"delivery of {state.served.date}" if state.served else "", "waiting": "no delivery yet",
        }[kind]  # fmt: skip
        more = state.model_dump(exclude={"served", "held"})
        found.append(answers.Feed(**more, state=kind, words=words, served=state.served, held=state.held, released=let))
    for name, settings in reading.home.catalog.feeds.items():
        if name not in states:
            words = f"no delivery yet; it is looked for at {settings.file}"
            supplier = settings.supplier or name
            found.append(
                answers.Feed(feed=name, supplier=supplier, state="waiting", words=words, live_offers=0, served=None, held=None, released=False)
            )  # fmt: skip
    return found


def _band(reading: Reading, name: str, live: int) -> tuple[int | None, int | None]:
    settings = reading.home.catalog.feeds.get(name)
    if settings is None or live < settings.guards.min_offers:
        return None, None
    return int(live * (1 - settings.guards.max_drop)), int(live * settings.guards.max_growth)


def _mapping(reading: Reading, name: str) -> list[answers.Read]:
    settings = reading.home.catalog.feeds.get(name)
    if settings is None:
        return []
    fields = {**{one: getattr(settings.fields, one) for one in type(settings.fields).model_fields if one != "details"}, **settings.fields.details}
    return [answers.Read(field=field, source=_source(source)) for field, source in fields.items() if source is not None]


def _source(source: Source) -> str:
    """In the words of the settings: the path, and what else is said of it."""
    told = source.model_dump(exclude_defaults=True, exclude_none=True)
    path = told.pop("path", "")
    return "; ".join([*([str(path)] if path else []), *(f"{name.replace('_', ' ')} {json.dumps(value, ensure_ascii=False)}" for name, value in told.items())])


def _changes(reading: Reading, name: str) -> list[answers.ChangeOfReading]:
    waiting = "('proposed', 'accepted', 'validated', 'shadow', 'canary')"
    rows = reading.rows(f"SELECT * FROM proposals WHERE kind = 'mapping' AND state IN {waiting} ORDER BY proposal_id DESC")
    mine = [row for row in rows if row["scope"] == f"feed:{name}" or name in (json.loads(row["details_json"] or "{}").get("set") or {})]
    return [answers.ChangeOfReading(proposal_id=row["proposal_id"], state=row["state"], change=row["change"]) for row in mine]


def _fill(reading: Reading, name: str) -> list[answers.Fill]:
    counted = ", ".join(f'count("{field}") AS "{field}"' for field in FILLED)
    row = reading.keep(f"fill of {name}", lambda given: given.row(f"SELECT count(*) AS n, {counted} FROM offers WHERE feed = ?", [name])) or {"n": 0}
    return [answers.Fill(field=field, stated=row[field], share=row[field] / row["n"]) for field in FILLED] if row["n"] else []
