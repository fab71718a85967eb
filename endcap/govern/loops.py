"""Loops: a reported problem is one object from open to verified, and its case a test for ever.

Duplicates merge into the oldest; reopening continues its clock. What a run can see for itself (that the case is right in the snapshot, that it
stays right without its own answer, that a closed one fails again) it writes down; closing takes a person, a cause and a comment.
"""

from __future__ import annotations

import json
from typing import Any

import duckdb
from sqlalchemy import Connection, insert, select, update

from endcap.decide.in_force import in_force
from endcap.govern.replays import DIFFERENT, SAME, Case, Replayed, pair_case, replay_case, replay_cases
from endcap.learn.value_cases import ValueCase, closed_values, plain, values_without
from endcap.ops import audit
from endcap.ops.database import now, writing
from endcap.ops.home import Home
from endcap.ops.names import OWN
from endcap.ops.tables import ALARMS, LOOPS, OVERRIDES, TEAMS
from endcap.problems import BadInput
from endcap.review.product import fields

CAUSES = (
    "feed_data", "normalisation", "blocking_miss", "scoring", "clustering", "taxonomy", "attribute", "policy_threshold", "human_error", "search_index",
    "not_a_bug",
)  # fmt: skip
# Causes outside of what a replay decides; a problem without a case can be closed with these only.
NOT_DECIDED = ("feed_data", "human_error", "search_index", "not_a_bug")
SOURCES = ("page", "command", "api", "escalation", "canary_query", "alarm")


def report(
    home: Home, *, title: str, reporter: str, source: str = "page", offer_id: str | None = None, other: str | None = None, expected: str | None = None,
    product_id: str | None = None, field: str | None = None, value: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Open a loop; where the same case was reported before, the oldest gets it: an open one is merged into, a closed one opens again.

    A pair that was decided wrongly is `offer_id`, `other` and `expected` (same or different); a wrong value is `product_id`, `field` and `value`.
    Raises BadInput where that is incomplete or names what is not there.
    """
    row = {
        "title": title.strip()[:500], "source": source, "offer_id": offer_id, "counterpart_offer_id": other, "product_id": product_id, "expected": expected,
        "field": field, "value": value,
    }  # fmt: skip
    _check(home, row)
    owner = _owner(home, row)
    with writing(home.engine) as connection:
        oldest = _same_case(connection, row)
        if oldest is not None and oldest["closed_at"] is not None:
            _reopen(connection, oldest["loop_id"], reporter, f"reported again: {row['title']}")
            return _one(connection, oldest["loop_id"])
        opened = {**row, "reporter": reporter, "owner": owner, "opened_at": now(), "reopened": 0}
        if oldest is not None:
            opened |= {"duplicate_of": oldest["loop_id"], "closed_at": now(), "comment": f"the same case as loop {oldest['loop_id']}"}
        key = connection.execute(insert(LOOPS).values(opened)).inserted_primary_key
        number = int(key[0]) if key else 0
        audit.record(connection, reporter, "loop", str(number), {"opened": row["title"], "duplicate_of": opened.get("duplicate_of")})
        return _one(connection, oldest["loop_id"] if oldest is not None else number)


def all_loops(home: Home, *, open_only: bool = False) -> list[dict[str, Any]]:
    """Every loop but those that were merged into another, the oldest first, with how often it was reported."""
    with home.engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(select(LOOPS).order_by(LOOPS.c.loop_id)).mappings()]
    merged = [row["duplicate_of"] for row in rows if row["duplicate_of"] is not None]
    kept = [{**row, "reports": 1 + merged.count(row["loop_id"]), "state": state_of(row)} for row in rows if row["duplicate_of"] is None]
    return [row for row in kept if not open_only or row["closed_at"] is None]


def loop(home: Home, loop_id: int) -> dict[str, Any]:
    """One loop, of a merged one the oldest. Raises BadInput where there is none of that number."""
    with home.engine.connect() as connection:
        row = _one(connection, loop_id)
    return {**row, "state": state_of(row)}


def state_of(row: dict[str, Any]) -> str:
    """How far a loop has come, in one word or two."""
    steps = ("closed_at", "verified_at", "in_snapshot_at", "released_at", "decided_at", "acknowledged_at")
    words = dict(zip(steps, ("closed", "verified", "in snapshot", "released", "decided", "acknowledged"), strict=True))
    return next((words[step] for step in steps if row[step] is not None), "open")


def acknowledge(home: Home, loop_id: int, *, actor: str, owner: str | None = None) -> dict[str, Any]:
    """Take a loop on, for oneself or, with `owner`, for another team or person."""
    row = loop(home, loop_id)
    changed = {"acknowledged_at": row["acknowledged_at"] or now(), "owner": owner or row["owner"]}
    return _changed(home, row, actor, "acknowledged", changed)


def decide(home: Home, loop_id: int, *, actor: str, comment: str, override_id: int | None = None) -> dict[str, Any]:
    """Say what is done about it: an answer that mends the case meanwhile, or in words a proposal, a rule, a message to the supplier."""
    row = loop(home, loop_id)
    if not comment.strip():
        raise BadInput("deciding needs a comment", where="--comment", todo="say what is done about it")
    with home.engine.connect() as connection:
        known = override_id is None or connection.execute(select(OVERRIDES.c.override_id).where(OVERRIDES.c.override_id == override_id)).first()
    if not known:
        raise BadInput(f"there is no answer {override_id}", where="--answer", todo="`endcap explain OFFER` shows the answers on an offer")
    at = now()
    changed = {"decided_at": at, "acknowledged_at": row["acknowledged_at"] or at, "comment": comment, "override_id": override_id or row["override_id"]}
    return _changed(home, row, actor, "decided", changed)


def verify(home: Home, loop_id: int, *, actor: str) -> dict[str, Any]:
    """Replay the case under the champion without its own answer, with its siblings; verified only where both come out right, and the snapshot shows it."""
    row = loop(home, loop_id)
    with home.connect() as con:
        told = _replayed(home, con, row)
    changed: dict[str, Any] = {"replay_json": json.dumps(told, sort_keys=True), "verified_at": (row["verified_at"] or now()) if told["verified"] else None}
    return {**_changed(home, row, actor, "verified" if told["verified"] else "replayed", changed), "replay": told}


def close(home: Home, loop_id: int, *, actor: str, cause: str, comment: str) -> dict[str, Any]:
    """Close a loop with its cause and a comment; what was decided wrongly must come out right by itself first.

    Raises BadInput without them, where the case still fails, or where there is no case to be replayed and the cause asks for one.
    """
    row = loop(home, loop_id)
    if cause not in CAUSES:
        raise BadInput(f"{cause!r} is no cause", where="--cause", todo=f"name one of {', '.join(CAUSES)}")
    if not comment.strip():
        raise BadInput("closing needs a comment", where="--comment", todo="say what it was and what was done")
    if row["closed_at"] is not None:
        raise BadInput(f"loop {loop_id} is closed already", where="loops", todo="report it again where it is not solved")
    at = now()  # before it is verified, so that the steps stand in their order
    if cause != "not_a_bug":
        told = verify(home, loop_id, actor=actor)["replay"]
        if not told["verified"] and not (told["replayable"] is False and cause in NOT_DECIDED):
            todo = f"see `endcap loops show {loop_id}`; it closes once that is right" if told["replayable"] else f"close it as {', '.join(NOT_DECIDED)}"
            raise BadInput(f"loop {loop_id} is not solved: {told['words']}", where="loops", todo=todo)
    return _changed(home, row, actor, "closed", {"closed_at": now(), "cause": cause, "comment": comment, "acknowledged_at": row["acknowledged_at"] or at})


def reopen(home: Home, loop_id: int, *, actor: str, why: str) -> dict[str, Any]:
    """Open a closed loop again; its clock goes on. Raises BadInput where it is open."""
    row = loop(home, loop_id)
    if row["closed_at"] is None:
        raise BadInput(f"loop {loop_id} is open", where="loops", todo=f"see `endcap loops show {loop_id}`")
    with writing(home.engine) as connection:
        _reopen(connection, loop_id, actor, why)
        return _one(connection, loop_id)


def advance(home: Home) -> list[str]:
    """What a run brought about, for every loop; closed cases that fail again open their loops. Out: what a person should know, in words."""
    gather(home)
    rows = all_loops(home)
    if not rows:
        return []
    with home.connect() as con:
        words = _fail_again(home, con, [row for row in rows if row["closed_at"] is not None])
        for row in (row for row in rows if row["closed_at"] is None):
            changed = _seen(home, con, row)
            if changed:
                _changed(home, row, OWN, "advanced", changed)
    return words


def gather(home: Home) -> None:
    """Open loops for what reviewers left to a lead, and for alarms, once each."""
    with home.engine.connect() as connection:
        undone = select(OVERRIDES.c.undoes).where(OVERRIDES.c.undoes.is_not(None))
        escalated = select(OVERRIDES).where(OVERRIDES.c.action == "escalate", OVERRIDES.c.override_id.not_in(undone)).order_by(OVERRIDES.c.override_id)
        escalations = [dict(row) for row in connection.execute(escalated).mappings()]
        alarms = [dict(row) for row in connection.execute(select(ALARMS).where(ALARMS.c.closed_at.is_(None)).order_by(ALARMS.c.alarm_id)).mappings()]
        known = {(row.source, row.offer_id or row.title) for row in connection.execute(select(LOOPS)).all()}
    for row in escalations:
        if ("escalation", row["offer_id"]) not in known and _is_live(home, row["offer_id"]):
            known.add(("escalation", row["offer_id"]))
            report(home, title=row["note"] or "a reviewer leaves this to a lead", reporter=row["actor"], source="escalation", offer_id=row["offer_id"])
    for row in alarms:
        title = f"alarm {row['name']} for {row['scope']}: {row['words']}"[:500].strip()
        if ("alarm", title) not in known:
            known.add(("alarm", title))
            report(home, title=title, reporter=OWN, source="alarm")


# --- what a run sees ------------------------------------------------------------------------------------------------


def _seen(home: Home, con: duckdb.DuckDBPyConnection, row: dict[str, Any]) -> dict[str, Any]:
    """The columns of an open loop that changed by what the tables show now."""
    at, changed = now(), dict[str, Any]()
    answer = _answer_since(con, row)
    if answer is not None and row["decided_at"] is None:
        changed |= {"decided_at": answer[1], "override_id": answer[0], "acknowledged_at": row["acknowledged_at"] or answer[1]}
    right = _is_right(con, row, home.manifest().override_sequence)
    if right and row["in_snapshot_at"] is None:
        decided = row["decided_at"] or changed.get("decided_at") or at
        changed |= {"decided_at": decided, "released_at": row["released_at"] or at, "in_snapshot_at": at}
    elif right is False and row["in_snapshot_at"] is not None:
        changed |= {"in_snapshot_at": None, "verified_at": None}
    if right and row["verified_at"] is None:
        told = _replayed(home, con, row)
        changed["replay_json"] = json.dumps(told, sort_keys=True)
        if told["verified"]:
            changed["verified_at"] = at
    return changed


def _is_right(con: duckdb.DuckDBPyConnection, row: dict[str, Any], taken_in: int) -> bool | None:
    """Whether the snapshot shows what was expected; None where the loop does not say what that is."""
    if row["expected"] is not None:
        found = con.execute(
            "SELECT count(DISTINCT offer_id), count(product_id), count(DISTINCT product_id) FROM decisions WHERE kind = 'product' AND offer_id IN (?, ?)",
            [row["offer_id"], row["counterpart_offer_id"]],
        ).fetchone() or (0, 0, 0)  # fmt: skip
        together = found == (2, 2, 1)
        return found[0] == 2 and together == (row["expected"] == SAME)
    if row["field"] is not None:
        shown = con.execute(
            "SELECT v.value FROM (SELECT unnest(values) AS v FROM products WHERE product_id = ?) WHERE v.field = ?", [row["product_id"], row["field"]]
        )
        return any(_value_case(row).holds(value) for (value,) in shown.fetchall())
    answer = _answer_since(con, row)
    return (answer[0] <= taken_in) if answer is not None else None


def _answer_since(con: duckdb.DuckDBPyConnection, row: dict[str, Any]) -> tuple[int, str] | None:
    """(number, time) of the newest standing answer on the case since it was reported."""
    about = "offer_id IN ($offer, $other) AND field IS NULL" if row["field"] is None else "product_id = $product AND field = $field"
    given = {"offer": row["offer_id"], "other": row["counterpart_offer_id"]} if row["field"] is None else {"product": row["product_id"], "field": row["field"]}
    found = con.execute(
        f"""SELECT override_id, "at" FROM overrides WHERE {about} AND action NOT IN ('skip', 'escalate', 'undo') AND "at" >= $opened
            AND override_id NOT IN (SELECT undoes FROM overrides WHERE undoes IS NOT NULL) ORDER BY override_id DESC LIMIT 1""",
        {**given, "opened": row["opened_at"]},
    ).fetchone()  # fmt: skip
    return (int(found[0]), str(found[1])) if found else None


def _replayed(home: Home, con: duckdb.DuckDBPyConnection, row: dict[str, Any]) -> dict[str, Any]:
    manifest, catalog = home.manifest(), in_force(home)
    model = manifest.models.get("match", "no model")
    if row["expected"] is not None:
        found = replay_case(con, catalog, pair_case(row["offer_id"], row["counterpart_offer_id"], row["expected"]), model)
    elif row["field"] is not None:
        case = _value_case(row)
        found = Replayed(case.holds(values_without(con, catalog, [case], manifest.run)[case]), 0, 0, model)
    else:
        words = "it names no pair of offers and no value, so that nothing can be replayed"
        return {"replayable": False, "verified": False, "words": words, "model": model}
    served = _is_right(con, row, manifest.override_sequence) is not False
    return {
        "replayable": found.right is not None, "verified": served and found.verified(home.catalog.govern.sibling_share), "right": found.right,
        "siblings": found.siblings, "siblings_right": found.siblings_right, "model": model, "at": now(),
        "words": found.words + ("" if served else "; what is served now is still wrong: answer the case, or promote what mends it"),
    }  # fmt: skip


def _fail_again(home: Home, con: duckdb.DuckDBPyConnection, rows: list[dict[str, Any]]) -> list[str]:
    cases: dict[Case, dict[str, Any]] = {}
    for row in rows:
        if row["expected"] is not None and row["verified_at"] is not None:
            cases[pair_case(row["offer_id"], row["counterpart_offer_id"], row["expected"])] = row
    values = closed_values(con)
    if not cases and not values:
        return []
    catalog = in_force(home)
    found = replay_cases(con, catalog, list(cases)) if cases else {}
    now_read = values_without(con, catalog, set(values.values()), home.manifest().run)
    wrong = {loop_id for loop_id, case in values.items() if not case.holds(now_read[case])}
    failed = [row for case, row in cases.items() if found[case] is False] + [row for row in rows if row["loop_id"] in wrong]
    words = [f"loop {row['loop_id']} is open again: its case fails under the champion ({row['title']})" for row in failed]
    with writing(home.engine) as connection:
        for row in failed:
            _reopen(connection, row["loop_id"], OWN, "its case fails again under the champion")
    return words


# --- rows -----------------------------------------------------------------------------------------------------------


def _check(home: Home, row: dict[str, Any]) -> None:
    if not row["title"]:
        raise BadInput("a report needs a few words", where="report", todo="say what is wrong")
    if row["source"] not in SOURCES:
        raise BadInput(f"{row['source']!r} is no source of reports", where="report", todo=f"name one of {', '.join(SOURCES)}")
    if (
        row["expected"] not in (None, SAME, DIFFERENT)
        or (row["expected"] is None) != (row["counterpart_offer_id"] is None)
        or (row["counterpart_offer_id"] is not None and row["offer_id"] is None)
    ):
        raise BadInput("a pair needs both offers and what is right of them", where="report", todo=f"name two offers, and expect {SAME} or {DIFFERENT}")
    if (row["field"] is None) != (row["value"] is None) or (row["field"] is not None and row["product_id"] is None):
        raise BadInput("a wrong value needs its product, its field and what is right", where="report", todo="name all three")
    if row["field"] is not None and row["field"] not in fields():
        raise BadInput(f"a product has no field {row['field']!r}", where="report", todo=f"use {', '.join(fields())}")
    offers = [offer_id for offer_id in (row["offer_id"], row["counterpart_offer_id"]) if offer_id is not None]
    if len(offers) == 2 and offers[0] == offers[1]:
        raise BadInput(f"{offers[0]} is one offer", where="report", todo="name two")
    for offer_id in offers:
        if not _is_live(home, offer_id):
            raise BadInput(f"there is no offer {offer_id!r}", where="report", todo="name one as the pages show it, feed:id")
    if row["product_id"] is not None:
        with home.connect() as con:
            if not con.execute("SELECT 1 FROM products WHERE product_id = ?", [row["product_id"]]).fetchone():
                raise BadInput(f"there is no product {row['product_id']!r}", where="report", todo="name one as the pages show it")


def _is_live(home: Home, offer_id: str) -> bool:
    with home.connect() as con:
        return con.execute("SELECT 1 FROM offers WHERE offer_id = ?", [offer_id]).fetchone() is not None


def _owner(home: Home, row: dict[str, Any]) -> str:
    """The team that owns the case's supplier, category or everything, as the newest row of TEAMS says."""
    with home.connect() as con:
        found = con.execute(
            """SELECT o.supplier, f.value FROM offers o LEFT JOIN facts f ON f.offer_id = o.offer_id AND f.attribute = 'category' WHERE o.offer_id = $offer
               UNION ALL SELECT NULL, category FROM products WHERE product_id = $product""", {"offer": row["offer_id"], "product": row["product_id"]},
        ).fetchone() or (None, None)  # fmt: skip
    with home.engine.connect() as connection:
        owners = {one.scope: one.team for one in connection.execute(select(TEAMS).order_by(TEAMS.c.since))}
    return next((owners[scope] for scope in (*found, "*") if scope in owners), home.catalog.team)


def _same_case(connection: Connection, row: dict[str, Any]) -> dict[str, Any] | None:
    """The oldest loop of the same case; one that expects something else of it is another."""
    for known in connection.execute(select(LOOPS).where(LOOPS.c.duplicate_of.is_(None)).order_by(LOOPS.c.loop_id)).mappings():
        if _key(dict(known)) == _key(row):
            return dict(known)
    return None


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    if row["counterpart_offer_id"] is not None:
        return ("pair", *sorted((row["offer_id"], row["counterpart_offer_id"])), row["expected"])
    if row["field"] is not None:
        return ("field", row["product_id"], row["field"], plain(row["value"]))
    return ("offer", row["offer_id"]) if row["offer_id"] is not None else ("product", row["product_id"]) if row["product_id"] else ("title", row["title"])


def _one(connection: Connection, loop_id: int) -> dict[str, Any]:
    row = connection.execute(select(LOOPS).where(LOOPS.c.loop_id == loop_id)).mappings().first()
    if row is None:
        raise BadInput(f"there is no loop {loop_id}", where="loops", todo="see `endcap loops list`")
    return dict(row) if row["duplicate_of"] is None else _one(connection, row["duplicate_of"])


def _reopen(connection: Connection, loop_id: int, actor: str, why: str) -> None:
    row = _one(connection, loop_id)
    fresh = dict.fromkeys(("closed_at", "verified_at", "in_snapshot_at", "released_at", "decided_at", "replay_json"))
    connection.execute(update(LOOPS).values(**fresh, reopened=row["reopened"] + 1).where(LOOPS.c.loop_id == row["loop_id"]))
    audit.record(connection, actor, "loop", str(row["loop_id"]), {"reopened": row["reopened"] + 1, "why": why})


def _changed(home: Home, row: dict[str, Any], actor: str, what: str, values: dict[str, Any]) -> dict[str, Any]:
    with writing(home.engine) as connection:
        connection.execute(update(LOOPS).values(**values).where(LOOPS.c.loop_id == row["loop_id"]))
        audit.record(connection, actor, "loop", str(row["loop_id"]), {"step": what, **{name: value for name, value in values.items() if name != "replay_json"}})
    return loop(home, row["loop_id"])


def _value_case(row: dict[str, Any]) -> ValueCase:
    return ValueCase(str(row["product_id"]), str(row["field"]), str(row["value"]))
