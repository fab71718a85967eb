"""What people let through, switched, put in force and held back is sealed by the audit: what there is already is sealed as it stands."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, String, Table, insert, select

revision = "009"
down_revision = "008"

AUDIT = Table(
    "audit", MetaData(), Column("audit_id", BigInteger), *(Column(name, String) for name in ("at", "actor", "verb", "object", "details_json", "seal")),
)  # fmt: skip
NAMED_BY = {"releases": ("feed", "date"), "switches": ("switch_id",), "promotions": ("promotion_id",), "reviewer_holds": ("hold_id",)}
# Every column of each table at this step, in the order in which seals do not care.
COLUMNS: dict[str, dict[str, Any]] = {
    "releases": dict.fromkeys(("feed", "date", "actor", "reason", "at"), String),
    "switches": {"switch_id": Integer, "automation": Boolean, **dict.fromkeys(("scope", "actor", "reason", "at"), String)},
    "promotions": {
        "promotion_id": Integer, "proposal_id": Integer,
        **dict.fromkeys(("kind", "model_id", "previous", "action", "actor", "reason", "data_version", "at", "scope"), String),
    },
    "reviewer_holds": {"hold_id": Integer, "held": Boolean, **dict.fromkeys(("person", "actor", "reason", "at"), String)},
}  # fmt: skip


def _hash(value: Any) -> str:
    return hashlib.sha256(_text(value).encode()).hexdigest()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def upgrade() -> None:
    connection = op.get_bind()
    sealed = {
        " ".join([name, *(str(row[key]) for key in NAMED_BY[name])]): _hash(dict(row))
        for name, columns in COLUMNS.items()
        for row in connection.execute(select(Table(name, MetaData(), *(Column(one, kind) for one, kind in columns.items())))).mappings()
    }
    if not sealed:
        return
    last = connection.execute(select(AUDIT.c.audit_id, AUDIT.c.seal).order_by(AUDIT.c.audit_id.desc()).limit(1)).first()
    told = {"audit_id": last.audit_id + 1 if last else 1, "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "actor": "endcap", "verb": "seal"}
    row = {**told, "object": ", ".join(COLUMNS), "details_json": _text({"access": sealed})}
    connection.execute(insert(AUDIT).values(**row, seal=_hash([last.seal if last else "0" * 64, row])))
