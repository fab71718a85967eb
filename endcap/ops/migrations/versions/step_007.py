"""Roles by scope, and passes that belong to a user and may be narrower than that one's scopes."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, String

revision = "007"
down_revision = "006"


def upgrade() -> None:
    op.create_table(
        "grants",
        Column("name", String(120), primary_key=True),
        Column("supplier", String(120), primary_key=True),
        Column("category", String(400), primary_key=True),
        Column("role", String(16), nullable=False),
        Column("made_at", String(32), nullable=False),
    )
    for column in (Column("owner", String(120)), Column("supplier", String(120)), Column("category", String(400))):
        op.add_column("passes", column)
    op.add_column("users", Column("subject", String(2000)))
    # Whoever has signed in by password goes on as that user.
    op.execute("UPDATE passes SET owner = name WHERE kind = 'session' AND name IN (SELECT name FROM users WHERE password IS NOT NULL)")
