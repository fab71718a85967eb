"""A release is of one file: its sha256 is noted, and what there is already is sealed anew, with none."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Column, MetaData, String, Table, insert, select

revision = "011"
down_revision = "010"

AUDIT = Table(
    "audit", MetaData(), Column("audit_id", BigInteger), *(Column(name, String) for name in ("at", "actor", "verb", "object", "details_json", "seal")),
)  # fmt: skip
# Every column at this step.
RELEASES = Table("releases", MetaData(), *(Column(name, String) for name in ("feed", "date", "actor", "reason", "at", "sha256")))


def _hash(value: Any) -> str:
    return hashlib.sha256(_text(value).encode()).hexdigest()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def upgrade() -> None:
    connection = op.get_bind()
    op.add_column("releases", Column("sha256", String(64)))
    sealed = {f"releases {row['feed']} {row['date']}": _hash(dict(row)) for row in connection.execute(select(RELEASES)).mappings()}
    if not sealed:
        return
    last = connection.execute(select(AUDIT.c.audit_id, AUDIT.c.seal).order_by(AUDIT.c.audit_id.desc()).limit(1)).first()
    told = {"audit_id": last.audit_id + 1 if last else 1, "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "actor": "endcap", "verb": "seal"}
    row = {**told, "object": "releases", "details_json": _text({"access": sealed})}
    connection.execute(insert(AUDIT).values(**row, seal=_hash([last.seal if last else "0" * 64, row])))
