"""The audit: what was done by whom, append-only, each row sealed with the one before (a hash chain; Schneier and Kelsey 1998).

A row about a person's answer seals the answer as well, and one about users, grants, passes, releases, switches, promotions, holds and blind
questions what these are from then on. So that what is cut off at the end is seen too, the number and seal of the last row are noted in a file
beside the database by every run; whoever can write both can still cut both, so keep a copy of that file elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, Table, func, insert, select

from endcap.lake.tables import write_synced
from endcap.ops.database import now
from endcap.ops.tables import AUDIT, BLIND_ASKS, GRANTS, OVERRIDES, PASSES, PROMOTIONS, RELEASES, REVIEWER_HOLDS, SWITCHES, USERS

# What the first row is sealed with.
BEGINNING = "0" * 64
HEADS = "audit-heads.txt"
# So many rows back a key is known: far more than come while a page tries again.
KNOWN_FOR = 100_000
# Who may do what, and what people let through, switched, put in force, held back and answered blind, with what names a row: the last row of the audit that
# speaks of it seals it.
SEALED: dict[Table, tuple[str, ...]] = {
    USERS: ("name",), GRANTS: ("name", "supplier", "category"), PASSES: ("pass_id",), RELEASES: ("feed", "date"), SWITCHES: ("switch_id",),
    PROMOTIONS: ("promotion_id",), REVIEWER_HOLDS: ("hold_id",), BLIND_ASKS: ("ask_id",),
}  # fmt: skip


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


def lately(connection: Connection, actor: str, verb: str, object: str) -> dict[str, Any] | None:
    """The details of what this actor did to it, as the last rows tell; None where they tell of nothing."""
    last = connection.execute(select(func.max(AUDIT.c.audit_id))).scalar() or 0
    mine = (AUDIT.c.audit_id > last - KNOWN_FOR, AUDIT.c.actor == actor, AUDIT.c.verb == verb, AUDIT.c.object == object)
    found = connection.execute(select(AUDIT.c.details_json).where(*mine)).scalar()
    return None if found is None else json.loads(found)


def content_of(row: RowMapping) -> str:
    """What seals a row of another table: a hash of all of it."""
    return hashlib.sha256(_text(dict(row)).encode()).hexdigest()


def seals_of(connection: Connection, table: Table, *conditions: ColumnElement[bool]) -> dict[str, str | None]:
    """The seals of rows of a table of SEALED by the rows' names, as `record` takes them in its details under 'access' (None there: the row is gone)."""
    rows = connection.execute(select(table).where(*conditions)).mappings()
    return {" ".join([table.name, *(str(row[name]) for name in SEALED[table])]): content_of(row) for row in rows}


def note_head(engine: Engine, file: Path) -> None:
    """Append the number and the seal of the audit's last row to a file, where they are not its last line already."""
    with engine.connect() as connection:
        last = connection.execute(select(AUDIT.c.audit_id, AUDIT.c.seal).order_by(AUDIT.c.audit_id.desc()).limit(1)).first()
    line = f"{last.audit_id} {last.seal}\n" if last else ""
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    if line and not before.endswith(line):
        write_synced(file, (before + line).encode())


def verify(engine: Engine, heads: Path | None = None) -> Verified:
    """Compute every seal again, in order, and those of the answers and all else that the rows speak of; compare with the `heads` noted."""
    before, expected = BEGINNING, 1
    noted, sealed, access = _noted(heads), set[int | None](), dict[str, str | None]()
    with engine.connect() as connection:
        answers = {row["override_id"]: row for row in connection.execute(select(OVERRIDES)).mappings()}
        for found in connection.execute(select(AUDIT).order_by(AUDIT.c.audit_id)).mappings():
            row = {name: value for name, value in found.items() if name != "seal"}
            if row["audit_id"] != expected:
                return Verified(expected - 1, expected, f"row {expected} is missing")
            if _seal(before, row) != found["seal"]:
                return Verified(expected - 1, expected, f"row {expected} ({row['verb']} by {row['actor']}, {row['at']}) was altered")
            if noted.pop(row["audit_id"], found["seal"]) != found["seal"]:
                return Verified(expected - 1, expected, f"row {expected} is another one than {HEADS} noted")
            details = json.loads(row["details_json"])
            changed = _changed_answer(details, answers)
            if changed:
                return Verified(expected - 1, expected, f"{changed} since row {expected} ({row['verb']} by {row['actor']}, {row['at']}) sealed it")
            before, expected = found["seal"], expected + 1
            sealed.add(details.get("override"))
            access |= details.get("access", {})
        now_is = {name: seal for table in SEALED for name, seal in seals_of(connection, table).items()}
        since = connection.execute(select(AUDIT.c.details_json).where(AUDIT.c.audit_id >= expected)).scalars()  # somebody signed in while we read
        changing = {name for details in since for name in json.loads(details).get("access", {})}
    if noted:
        words = f"rows {expected} to {max(noted)} are missing, which {HEADS} noted: they were cut off, or an older backup was restored"
        return Verified(expected - 1, expected, words)
    foreign = sorted(answers.keys() - sealed)
    if foreign:
        return Verified(expected - 1, expected, f"no row speaks of answer {foreign[0]} (by {answers[foreign[0]]['actor']}): it came past the product")
    changed = _changed_access(*({name: seal for name, seal in found.items() if name not in changing} for found in (access, now_is)))
    return Verified(expected - 1, expected if changed else None, changed)


def _changed_access(sealed: Mapping[str, str | None], now_is: Mapping[str, str | None]) -> str:
    """Which user, grant or pass is another than the audit says; empty where none is."""
    for name in sorted(sealed.keys() | now_is.keys()):
        if sealed.get(name) != now_is.get(name):
            how = "removed" if name not in now_is else "altered" if sealed.get(name) else "made"
            return f"what the audit sealed was changed: {name} was {how} past the product"
    return ""


def _noted(heads: Path | None) -> dict[int, str]:
    if heads is None or not heads.exists():
        return {}
    lines = [line.split() for line in heads.read_text(encoding="utf-8").splitlines()]
    return {int(line[0]): line[1] for line in lines if len(line) == 2 and line[0].isdecimal()}


def _changed_answer(details: dict[str, Any], answers: Mapping[int, RowMapping]) -> str:
    """What is wrong with the answer that a row of the audit seals; empty where nothing is, or it seals none."""
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
