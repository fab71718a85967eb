"""The outbox of webhooks: what is to be told to whom."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Float, Integer, String, Text

revision = "005"
down_revision = "004"


def upgrade() -> None:
    op.create_table(
        "webhook_deliveries",
        Column("delivery_id", Integer, primary_key=True, autoincrement=True),
        Column("event_id", String(40), nullable=False),
        Column("event", String(40), nullable=False),
        Column("url", String(2000), nullable=False),
        Column("body", Text, nullable=False),
        Column("state", String(16), nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("next_try", Float, nullable=False),
        Column("status", Integer),
        Column("said", Text),
        Column("made_at", String(32), nullable=False),
        Column("sent_at", String(32)),
    )
    op.create_index("webhook_deliveries_due", "webhook_deliveries", ["state", "next_try"])
