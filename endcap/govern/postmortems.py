"""Postmortems: opened by a rollback, a tripped guard rail or a broken glass, filled in with what the tables know, closed by a person with words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

from endcap.govern import evidence
from endcap.ops import audit
from endcap.ops.database import now, writing
from endcap.ops.home import Home
from endcap.ops.tables import POSTMORTEMS, PROPOSALS, RUNS
from endcap.problems import BadInput

SHOWN = 10
QUESTIONS = (
    "What was expected, and what happened?", "Why was it not noticed before it was in production?", "What noticed it, and what would have sooner?",
    "What changes, who does it, by when?",
)  # fmt: skip
LEARNED = "## What was learned"

# What the artefact decided otherwise than the decision before it, by offer. Only a matching model stands at its decisions by name; of any other
# kind it is what the machine decided while it was in force.
_AFFECTED = """
    WITH mine AS (SELECT * FROM decisions_log WHERE kind = 'product' AND run > $after AND NOT gone
                  AND CASE WHEN $kind = 'match' THEN model = $artefact ELSE decided_by = 'machine' END),
    was AS (SELECT l.offer_id, arg_max(l.action, l.run) AS action, arg_max(l.product_id, l.run) AS product_id
            FROM decisions_log l WHERE l.kind = 'product' AND l.run <= $after GROUP BY l.offer_id)
    SELECT m.offer_id, w.action, w.product_id, m.action, m.product_id, m.run FROM mine m LEFT JOIN was w USING (offer_id)
    WHERE w.action IS DISTINCT FROM m.action OR w.product_id IS DISTINCT FROM m.product_id ORDER BY m.offer_id, m.run
"""


def open_one(
    home: Home, connection: Connection, title: str, *, cause: str, owner: str, entry: Mapping[str, Any], words: str, of: Mapping[str, Any] | None = None,
) -> int:  # fmt: skip
    """Open a postmortem within a writer's transaction; `entry` is what was recorded now, `of` the promotion it ends. Out: its number."""
    details = {"words": words, "promotion": entry["promotion_id"], **_filled_in(home, entry, of)}
    row = {
        "proposal_id": entry["proposal_id"], "promotion_id": entry["promotion_id"], "title": title, "cause": cause, "owner": owner,
        "text": _text(title, words, details), "details_json": json.dumps(details, sort_keys=True), "opened_at": now(),
        "due_on": _day_after(home.catalog.govern.postmortem_days),
    }  # fmt: skip
    key = connection.execute(insert(POSTMORTEMS).values(row)).inserted_primary_key
    number = int(key[0]) if key else 0
    audit.record(connection, owner, "postmortem", str(number), {"opened": cause, "title": title, "due_on": row["due_on"]})
    return number


def all_postmortems(home: Home) -> list[dict[str, Any]]:
    """Every postmortem, the newest first, with its details opened."""
    with home.engine.connect() as connection:
        return [_opened(row) for row in connection.execute(select(POSTMORTEMS).order_by(POSTMORTEMS.c.postmortem_id.desc())).mappings()]


def postmortem(home: Home, number: int) -> dict[str, Any]:
    """One postmortem. Raises BadInput where there is none of that number."""
    with home.engine.connect() as connection:
        row = connection.execute(select(POSTMORTEMS).where(POSTMORTEMS.c.postmortem_id == number)).mappings().first()
    if row is None:
        raise BadInput(f"there is no postmortem {number}", where="postmortem", todo="see `endcap postmortem`")
    return _opened(row)


def close(home: Home, number: int, *, actor: str, text: str) -> dict[str, Any]:
    """Close a postmortem with what was learned, below what was filled in; a text that begins with its heading is the whole of it, edited.

    Raises BadInput where it is closed, or the text is no more than what was filled in.
    """
    row = postmortem(home, number)
    if row["closed_at"] is not None:
        raise BadInput(f"postmortem {number} is closed already", where="postmortem", todo="see `endcap postmortem`")
    if not text.strip() or text.strip() == row["text"].strip():
        raise BadInput(f"postmortem {number} says nothing beyond what was filled in", where="--text", todo="answer its questions")
    text = _with_what_was_filled_in(row["text"], text)
    with writing(home.engine) as connection:
        connection.execute(update(POSTMORTEMS).values(text=text, closed_at=now()).where(POSTMORTEMS.c.postmortem_id == number))
        audit.record(connection, actor, "postmortem", str(number), {"closed": True, "text": evidence.hash_of(text)})
    return postmortem(home, number)


def _with_what_was_filled_in(filled_in: str, learned: str) -> str:
    heading = filled_in.splitlines()[0]
    if learned.lstrip().startswith(heading):
        return learned
    facts = filled_in.split(f"## {QUESTIONS[0]}")[0].rstrip()
    return f"{facts}\n\n{LEARNED}\n\n{learned.strip()}\n"


def _filled_in(home: Home, entry: Mapping[str, Any], of: Mapping[str, Any] | None) -> dict[str, Any]:
    began = of.get("began", of["at"]) if of else None
    details: dict[str, Any] = {"timeline": _timeline(home, entry, of), "seconds_until_noticed": _seconds(began, entry["at"]) if began else None}
    if of is None:
        return details
    with home.engine.connect() as connection:
        after = connection.execute(select(RUNS.c.run).where(RUNS.c.snapshot_id == of["data_version"]).order_by(RUNS.c.run.desc())).scalar()
    with home.connect() as con:
        changed = con.execute(_AFFECTED, {"artefact": of["model_id"], "kind": of["kind"], "after": after or 0}).fetchall()
    offers = sorted({row[0] for row in changed})
    names = ("offer_id", "action_before", "product_before", "action", "product", "run")
    return {
        **details, "affected_offers": len(offers), "offers": offers[:SHOWN], "diff": [dict(zip(names, row, strict=True)) for row in changed[:SHOWN]],
    }  # fmt: skip


def _timeline(home: Home, entry: Mapping[str, Any], of: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    with home.engine.connect() as connection:
        if entry["proposal_id"] is not None:
            made = connection.execute(select(PROPOSALS.c.created_at).where(PROPOSALS.c.proposal_id == entry["proposal_id"])).scalar()
            steps = evidence.told_steps(connection, entry["proposal_id"])
            events = [{"at": one["at"], "what": evidence.words_of(one)} for one in steps]
            events = events or [{"at": made, "what": "proposed"}]
        if of is not None:
            runs = connection.execute(select(RUNS).where(RUNS.c.started_at >= of["at"]).order_by(RUNS.c.attempt_id)).mappings()
            events += [{"at": row["started_at"], "what": f"run {row['run']} {row['state']}"} for row in runs]
    events.append({"at": entry["at"], "what": f"{entry['action']} by {entry['actor']}: {entry['reason']}"})
    return sorted(events, key=lambda one: str(one["at"]))


def _text(title: str, words: str, details: Mapping[str, Any]) -> str:
    lines = [f"# {title}", "", words, "", "## Timeline", *(f"- {one['at']}: {one['what']}" for one in details["timeline"])]
    if details.get("seconds_until_noticed") is not None:
        lines += ["", f"Noticed after {details['seconds_until_noticed'] / 3600:.1f} hours."]
    if "affected_offers" in details:
        lines += ["", f"Offers it decided otherwise: {details['affected_offers']:,}."]
        lines += [
            f"- {one['offer_id']}: {one['action_before'] or 'new'} {one['product_before'] or ''} became {one['action']} {one['product'] or ''}"
            for one in details["diff"]
        ]
    return "\n".join([*lines, "", *(f"## {question}\n" for question in QUESTIONS)])


def _opened(row: Any) -> dict[str, Any]:
    return {**{name: value for name, value in row.items() if name != "details_json"}, "details": json.loads(row["details_json"])}


def _seconds(begin: str, end: str) -> int:
    return int((datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds())


def _day_after(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d")
