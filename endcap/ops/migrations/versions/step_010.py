"""What people were asked blind, and what they answered, is sealed by the audit: what there is already is sealed as it stands."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, MetaData, String, Table, insert, select

revision = "010"
down_revision = "009"

AUDIT = Table(
    "audit", MetaData(), Column("audit_id", BigInteger), *(Column(name, String) for name in ("at", "actor", "verb", "object", "details_json", "seal")),
)  # fmt: skip
# Every column at this step.
BLIND_ASKS = Table(
    "blind_asks", MetaData(), *(Column(name, Integer) for name in ("ask_id", "override_id", "after_override", "run")), Column("agrees", Boolean),
    *(Column(name, Float) for name in ("probability", "confidence")),
    *(Column(name, String) for name in (
        "offer_id", "asked_of", "purpose", "product_id", "counterpart_offer_id", "asked_at", "action", "chosen", "answered_at", "key", "stratum", "decided",
    )),
)  # fmt: skip


def _hash(value: Any) -> str:
    return hashlib.sha256(_text(value).encode()).hexdigest()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def upgrade() -> None:
    connection = op.get_bind()
    sealed = {f"blind_asks {row['ask_id']}": _hash(dict(row)) for row in connection.execute(select(BLIND_ASKS)).mappings()}
    if not sealed:
        return
    last = connection.execute(select(AUDIT.c.audit_id, AUDIT.c.seal).order_by(AUDIT.c.audit_id.desc()).limit(1)).first()
    told = {"audit_id": last.audit_id + 1 if last else 1, "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "actor": "endcap", "verb": "seal"}
    row = {**told, "object": "blind_asks", "details_json": _text({"access": sealed})}
    connection.execute(insert(AUDIT).values(**row, seal=_hash([last.seal if last else "0" * 64, row])))
