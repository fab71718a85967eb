"""Blind questions: what a second person was asked without being told that somebody had answered, or that the machine was sure."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, Integer, String

revision = "004"
down_revision = "003"


def upgrade() -> None:
    op.create_table(
        "blind_asks",
        Column("ask_id", Integer, primary_key=True, autoincrement=True),
        Column("offer_id", String(400), nullable=False),
        Column("asked_of", String(120), nullable=False),
        Column("purpose", String(16), nullable=False),
        Column("override_id", Integer),
        Column("product_id", String(64)),
        Column("counterpart_offer_id", String(400)),
        Column("asked_at", String(32), nullable=False),
        Column("action", String(16)),
        Column("chosen", String(64)),
        Column("agrees", Boolean),
        Column("answered_at", String(32)),
        Column("after_override", Integer),
        Column("key", String(64), unique=True),
    )
