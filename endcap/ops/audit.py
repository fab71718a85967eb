"""The audit: what was done by whom, append-only, each row sealed with the one before (a hash chain; Schneier and Kelsey 1998).

A row about a person's answer seals the answer as well. What was cut off at the end of both cannot be seen here: keep a copy of the last seal elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, insert, select

from endcap.ops.database import now
from endcap.ops.tables import AUDIT, OVERRIDES

# What the first row is sealed with.
BEGINNING = "0" * 64


@dataclass(frozen=True, slots=True)
class Verified:
    """How far the audit is whole: all `rows`, or up to before `broken`, with what is wrong there."""

    rows: int
    broken: int | None = None
    words: str = ""


def record(connection: Connection, actor: str, verb: str, object: str, details: dict[str, Any]) -> None:
    """Append a row within a transaction of `database.writing`, so that what was done and its record are there both or not at all."""
    last = connection.execute(select(AUDIT.c.audit_id, AUDIT.c.seal).order_by(AUDIT.c.audit_id.desc()).limit(1)).first()
    number, before = (last.audit_id + 1, last.seal) if last else (1, BEGINNING)
    row = {"audit_id": number, "at": now(), "actor": actor, "verb": verb, "object": object, "details_json": _text(details)}
    connection.execute(insert(AUDIT).values(**row, seal=_seal(before, row)))


def content_of(answer: RowMapping) -> str:
    """What seals an answer: a hash of its whole row of OVERRIDES."""
    return hashlib.sha256(_text(dict(answer)).encode()).hexdigest()


def verify(engine: Engine) -> Verified:
    """Compute every seal again, in order, and those of the answers that the rows speak of."""
    before, expected = BEGINNING, 1
    with engine.connect() as connection:
        answers = {row["override_id"]: row for row in connection.execute(select(OVERRIDES)).mappings()}
        for found in connection.execute(select(AUDIT).order_by(AUDIT.c.audit_id)).mappings():
            row = {name: value for name, value in found.items() if name != "seal"}
            if row["audit_id"] != expected:
                return Verified(expected - 1, expected, f"row {expected} is missing")
            if _seal(before, row) != found["seal"]:
                return Verified(expected - 1, expected, f"row {expected} ({row['verb']} by {row['actor']}, {row['at']}) was altered")
            changed = _changed_answer(row, answers)
            if changed:
                return Verified(expected - 1, expected, f"{changed} since row {expected} ({row['verb']} by {row['actor']}, {row['at']}) sealed it")
            before, expected = found["seal"], expected + 1
    return Verified(expected - 1)


def _changed_answer(row: dict[str, Any], answers: dict[int, RowMapping]) -> str:
    """What is wrong with the answer that a row of the audit seals; empty where nothing is, or it seals none."""
    details = json.loads(row["details_json"])
    if "answer" not in details:
        return ""
    stored = answers.get(details["override"])
    if stored is None:
        return f"answer {details['override']} was removed"
    return "" if content_of(stored) == details["answer"] else f"answer {details['override']} was altered"


def _seal(before: str, row: dict[str, Any]) -> str:
    return hashlib.sha256(_text([before, row]).encode()).hexdigest()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
