"""What a proposal rests on, hashed when it was judged, so that a change of any of it since is noticed; the hashes are sealed in the audit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from endcap import schema
from endcap.ops.home import Home
from endcap.ops.tables import AUDIT, PROPOSAL_EVENTS

VERB = "proposal"


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def hash_of_files(folder: Path) -> str:
    """One hash of every file of an artefact, names and bytes; of a folder that is not there, that of nothing."""
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    return hash_of(json.dumps([[str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()] for path in files]))


def hash_of_trial(home: Home, trial_id: str) -> str | None:
    """The hash of a trial's row; None where there is no such trial."""
    with home.connect() as con:
        rows = con.execute(f"SELECT * FROM {schema.Trial.TABLE} WHERE trial_id = ?", [trial_id]).fetchall()
    return hash_of(json.dumps(rows[0], default=str)) if len(rows) == 1 else None


def champion_of_trial(home: Home, trial_id: str) -> str:
    """Beside which champion a trial was judged; empty where that was the settings alone."""
    with home.connect() as con:
        found = con.execute(f"SELECT champion FROM {schema.Trial.TABLE} WHERE trial_id = ?", [trial_id]).fetchone()
    return str(found[0] or "") if found else ""


def sealed_steps(connection: Connection, proposal_id: int) -> list[dict[str, Any]]:
    """Every step of a proposal as the audit has it, in order: state, actor, at, and what was recorded with it."""
    rows = connection.execute(select(AUDIT).where(AUDIT.c.verb == VERB, AUDIT.c.object == str(proposal_id)).order_by(AUDIT.c.audit_id)).mappings()
    return [{**json.loads(row["details_json"]), "actor": row["actor"], "at": row["at"]} for row in rows]


def told_steps(connection: Connection, proposal_id: int) -> list[dict[str, Any]]:
    """The same from the steps' own table."""
    rows = connection.execute(select(PROPOSAL_EVENTS).where(PROPOSAL_EVENTS.c.proposal_id == proposal_id).order_by(PROPOSAL_EVENTS.c.event_id)).mappings()
    return [
        {**json.loads(row["details_json"]), "state": row["state"], "reason": row["reason"], "actor": row["actor"], "at": row["at"]} for row in rows
    ]  # fmt: skip


def words_of(step: dict[str, Any]) -> str:
    """One step as a person reads it: what happened, by whom and why."""
    what = str(step["state"])
    if step.get("overruled"):
        what = f"verdict {step['overruled']} overruled" + _tried(step)
    elif step.get("note"):
        what = "noted"
    elif step.get("postponed"):
        what = "comparison of promise and outcome put off"
    elif step.get("stopped"):
        what = f"{step['stopped']} stopped, so {what} as before"
    elif what == "validated" and step.get("verdict"):
        what = f"validated, {step['verdict']},"
    elif step.get("scope"):
        what = f"{what} for {step['scope']}"
    return f"{what} by {step['actor']}" + (f": {step['reason']}" if step["reason"] else "")


def _tried(step: dict[str, Any]) -> str:
    """What a verdict was overruled for, where that is no promotion."""
    if step.get("stage") in (None, "promote"):
        return ""
    return f" for a {step['stage']}" + (f" of {step['scope']}" if step.get("scope") else "")


def last_of(steps: list[dict[str, Any]], state: str) -> dict[str, Any] | None:
    """The newest step that led to a state; notes in it are no steps."""
    return next((step for step in reversed(steps) if step["state"] == state and not step.get("note")), None)
