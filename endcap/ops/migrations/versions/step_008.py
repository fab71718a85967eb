"""Who may do what is sealed by the audit: what there is already is sealed as it stands."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import Boolean, Column, Float, MetaData, String, Table, select

from endcap.ops import audit

revision = "008"
down_revision = "007"

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


def upgrade() -> None:
    connection = op.get_bind()
    sealed = {
        " ".join([name, *(str(row[key]) for key in NAMED_BY[name])]): audit.content_of(row)
        for name in TEXTS
        for row in connection.execute(select(_table(name))).mappings()
    }
    if sealed:
        audit.record(connection, "endcap", "seal", "users, grants, passes", {"access": sealed})
