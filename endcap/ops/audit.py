"""The audit: what was done by whom, append-only, each row sealed with the one before (a hash chain; Schneier and Kelsey 1998)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from endcap.ops.database import now
from endcap.ops.tables import AUDIT

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


def verify(engine: Engine) -> Verified:
    """Compute every seal again, in order."""
    before, expected = BEGINNING, 1
    with engine.connect() as connection:
        for found in connection.execute(select(AUDIT).order_by(AUDIT.c.audit_id)).mappings():
            row = {name: value for name, value in found.items() if name != "seal"}
            if row["audit_id"] != expected:
                return Verified(expected - 1, expected, f"row {expected} is missing")
            if _seal(before, row) != found["seal"]:
                return Verified(expected - 1, expected, f"row {expected} ({row['verb']} by {row['actor']}, {row['at']}) was altered")
            before, expected = found["seal"], expected + 1
    return Verified(expected - 1)


def _seal(before: str, row: dict[str, Any]) -> str:
    return hashlib.sha256(_text([before, row]).encode()).hexdigest()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
