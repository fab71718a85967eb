"""The overview: what is served, what was decided, what needs a person."""

from __future__ import annotations

import json
from typing import Any

from endcap.ops.access import Person
from endcap.ops.home import Home
from endcap.serve import answers
from endcap.serve.asking import delivery, figures
from endcap.serve.asking_review import Waits, waits_for
from endcap.serve.reading import Reading
from endcap.serve.templating import in_path

RUNS_SHOWN = 8
RUN_COLUMNS = "attempt_id, run, state, snapshot_id, started_at, finished_at, error, deliveries_json"


def overview(reading: Reading, home: Home | None = None, person: Person | None = None) -> answers.Overview:
    """The state of the catalog; what the lake says is asked once a snapshot, what people do is asked each time.

    What waits is what the desks hand out to the person; without one, what waited when the snapshot was made.
    """
    feeds = feed_states(reading)
    decisions = reading.keep("decisions", _decisions)
    products = reading.keep("products", lambda given: (given.row("SELECT count(*) AS n FROM products WHERE state = 'live'") or {"n": 0})["n"])
    rows = reading.rows(f"SELECT {RUN_COLUMNS} FROM runs ORDER BY started_at DESC, run DESC LIMIT {RUNS_SHOWN}")
    snapshot = reading.snapshot
    waits = waits_for(reading, home, person) if home and person else Waits(decisions.to_review, decisions.category_to_review)
    return answers.Overview(
        snapshot=reading.snapshot_id, published_at=snapshot.get("created_at") if snapshot else None, run=snapshot.get("run") if snapshot else None,
        products=products, offers=sum(feed.live_offers for feed in feeds), suppliers=len({feed.supplier for feed in feeds}),
        feeds=feeds, decisions=decisions, figures=figures(reading) if snapshot else [], needs=_needs(reading, feeds, waits),
        runs=[_run(row) for row in rows],
    )  # fmt: skip


def held_in(deliveries: list[dict[str, Any]]) -> int:
    """How many of a run's deliveries were held."""
    return sum(one.get("state") == "held" for one in deliveries)


def _run(row: dict[str, Any]) -> answers.Run:
    told = {name: value for name, value in row.items() if name != "deliveries_json"}
    return answers.Run(**told, held=held_in(json.loads(row["deliveries_json"] or "[]")))


def feed_states(reading: Reading) -> list[answers.FeedState]:
    """Each feed of which a delivery came: what is served of it and what is held, asked once a snapshot."""
    return reading.keep("feeds", _feeds)


def _feeds(reading: Reading) -> list[answers.FeedState]:
    live = {row["feed"]: row["n"] for row in reading.rows("SELECT feed, count(*) AS n FROM offers GROUP BY ALL")}
    newest: dict[str, dict[str, Any]] = {}
    for row in reading.rows(
        "SELECT * FROM deliveries QUALIFY row_number() OVER (PARTITION BY feed, state ORDER BY date DESC, delivery_id DESC) = 1 ORDER BY feed"
    ):
        newest.setdefault(row["feed"], {})[row["state"]] = row
    return [_feed_state(feed, states, live.get(feed, 0)) for feed, states in newest.items()]


def _feed_state(feed: str, states: dict[str, Any], live_offers: int) -> answers.FeedState:
    served, held = states.get("accepted"), states.get("held")
    if served and held and held["date"] <= served["date"]:
        held = None
    return answers.FeedState(
        feed=feed, supplier=(served or held or {})["supplier"], live_offers=live_offers,
        served=delivery(served) if served else None, held=delivery(held) if held else None,
    )  # fmt: skip


def _decisions(reading: Reading) -> answers.DecisionCounts:
    row = reading.row(
        "SELECT count(*) FILTER (kind = 'product' AND action = 'linked') AS linked, "
        "count(*) FILTER (kind = 'product' AND action = 'new_product') AS new_product, "
        "count(*) FILTER (kind = 'product' AND action = 'to_review') AS to_review, count(*) FILTER (kind = 'product' AND decided_by = 'person') AS by_person, "
        "count(*) FILTER (kind = 'category' AND action = 'accepted') AS category_accepted, "
        "count(*) FILTER (kind = 'category' AND action = 'to_review') AS category_to_review FROM decisions"
    )
    return answers.DecisionCounts(**(row or {}))


def _needs(reading: Reading, feeds: list[answers.FeedState], waits: Waits) -> list[answers.Need]:
    needs = [
        answers.Need(kind="held", count=1, words=f"{feed.supplier}: the delivery of {feed.held.date} is held. {feed.held.reason}",
                     todo=f"endcap release {feed.feed} {feed.held.date} --reason ...", path=f"/feeds/{in_path(feed.feed)}")
        for feed in feeds if feed.held
    ]  # fmt: skip
    waiting = {
        "product": (waits.products, "offer waits", "offers wait", "for a person to choose the product", "endcap review", "/review"),
        "category": (
            waits.categories,
            "product waits",
            "products wait",
            "for a person to choose the category",
            "endcap explain OFFER",
            "/review?kind=category",
        ),
        "value": (
            waits.values,
            "person's word is",
            "people's words are",
            "contradicted by the suppliers, for a person to keep or let go",
            "endcap explain PRODUCT",
            "/review?kind=value",
        ),
        "answers": (_waiting_answers(reading), "answer waits", "answers wait", "for the next run to take them in", "endcap run", "/review"),
        "loop": (_open_loops(reading), "reported problem is", "reported problems are", "open", "endcap digest retail", "/loops"),
        "proposal": (_proposals_waiting(reading), "proposal waits", "proposals wait", "for somebody to decide", "endcap proposals", "/decisions"),
    }
    needs += [
        answers.Need(kind=kind, count=n, words=f"{one if n == 1 else many} {rest}", todo=todo, path=path)
        for kind, (n, one, many, rest, todo, path) in waiting.items() if n
    ]  # fmt: skip
    return needs


def _open_loops(reading: Reading) -> int:
    return int((reading.row("SELECT count(*) AS n FROM loops WHERE closed_at IS NULL") or {"n": 0})["n"])


def _proposals_waiting(reading: Reading) -> int:
    return int((reading.row("SELECT count(*) AS n FROM proposals WHERE state IN ('proposed', 'validated')") or {"n": 0})["n"])


def _waiting_answers(reading: Reading) -> int:
    """Answers given since this snapshot was made, net of undo."""
    taken_in = json.loads((reading.snapshot or {}).get("manifest_json") or "{}").get("override_sequence", 0)
    found = reading.row(
        "SELECT count(*) AS n FROM overrides WHERE override_id > ? AND undoes IS NULL AND action NOT IN ('skip', 'escalate') "
        "AND override_id NOT IN (SELECT undoes FROM overrides WHERE undoes IS NOT NULL)",
        [taken_in],
    )
    return int(found["n"]) if found else 0
