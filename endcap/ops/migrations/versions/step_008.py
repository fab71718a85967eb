"""Who may do what is sealed by the audit: what there is already is sealed as it stands, and as seals are made at this step."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Float, MetaData, String, Table, insert, select

revision = "008"
down_revision = "007"

AUDIT = Table(
    "audit", MetaData(), Column("audit_id", BigInteger), *(Column(name, String) for name in ("at", "actor", "verb", "object", "details_json", "seal")),
)  # fmt: skip
NAMED_BY = {"users": ("name",), "grants": ("name", "supplier", "category"), "passes": ("pass_id",)}
TEXTS = {
    "users": ("name", "role", "team", "password", "made_at", "subject"),
    "grants": ("name", "supplier", "category", "role", "made_at"),
    "passes": ("secret", "pass_id", "kind", "name", "role", "owner", "supplier", "category"),
}


def _table(name: str) -> Table:
    """The table as it is at this step."""
    columns: list[Column[Any]] = [Column(text, String) for text in TEXTS[name]]
    if name == "users":
        columns.append(Column("locked", Boolean))
    if name == "passes":
        columns += [Column("made", Float), Column("until", Float), Column("ended", Boolean)]
    return Table(name, MetaData(), *columns)


def _hash(value: Any) -> str:
    return hashlib.sha256(_text(value).encode()).hexdigest()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def upgrade() -> None:
    connection = op.get_bind()
    sealed = {
        " ".join([name, *(str(row[key]) for key in NAMED_BY[name])]): _hash(dict(row))
        for name in TEXTS
        for row in connection.execute(select(_table(name))).mappings()
    }
    if not sealed:
        return
    last = connection.execute(select(AUDIT.c.audit_id, AUDIT.c.seal).order_by(AUDIT.c.audit_id.desc()).limit(1)).first()
    told = {"audit_id": last.audit_id + 1 if last else 1, "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "actor": "endcap", "verb": "seal"}
    row = {**told, "object": "users, grants, passes", "details_json": _text({"access": sealed})}
    connection.execute(insert(AUDIT).values(**row, seal=_hash([last.seal if last else "0" * 64, row])))
