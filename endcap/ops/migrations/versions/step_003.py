"""Answers about a product's field: what is said instead of what, with which weight, and until when."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, String, Text

revision = "003"
down_revision = "002"


def upgrade() -> None:
    for column in (Column("field", String(80)), Column("value", Text), Column("said", Text), Column("role", String(16)), Column("until", String(16))):
        op.add_column("overrides", column)
