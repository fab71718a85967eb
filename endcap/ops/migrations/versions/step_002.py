"""Review by several people: leases, users and what proves them, the sealed audit, and what an answer was given on."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, Float, Integer, String, Text

revision = "002"
down_revision = "001"

SEALED = ("overrides", "audit")


def upgrade() -> None:
    for column in (
        Column("group_id", String(64)),
        Column("evidence", String(16)),
        Column("model", String(64)),
        Column("seconds", Float),
        Column("key", String(64)),
    ):
        op.add_column("overrides", column)
    op.create_index("overrides_key", "overrides", ["key"], unique=True)
    op.create_table(
        "leases",
        Column("offer_id", String(400), primary_key=True),
        Column("holder", String(160), nullable=False),
        Column("until", Float, nullable=False),
    )
    op.create_table(
        "users",
        Column("name", String(120), primary_key=True),
        Column("role", String(16), nullable=False),
        Column("team", String(120), nullable=False),
        Column("password", String(200)),
        Column("made_at", String(32), nullable=False),
        Column("locked", Boolean, nullable=False),
    )
    op.create_table(
        "passes",
        Column("secret", String(64), primary_key=True),
        Column("pass_id", String(24), nullable=False, unique=True),
        Column("kind", String(16), nullable=False),
        Column("name", String(120), nullable=False),
        Column("role", String(16), nullable=False),
        Column("made", Float, nullable=False),
        Column("until", Float, nullable=False),
        Column("ended", Boolean, nullable=False),
    )
    op.create_table(
        "audit",
        Column("audit_id", Integer, primary_key=True, autoincrement=False),
        Column("at", String(32), nullable=False),
        Column("actor", String(120), nullable=False),
        Column("verb", String(40), nullable=False),
        Column("object", String(400), nullable=False),
        Column("details_json", Text, nullable=False),
        Column("seal", String(64), nullable=False),
    )
    _refuse_changes()


def _refuse_changes() -> None:
    """Rows of the sealed tables are only ever added, whatever program asks."""
    if op.get_bind().dialect.name == "sqlite":
        for table in SEALED:
            for verb in ("UPDATE", "DELETE"):
                op.execute(f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END")
        return
    op.execute("CREATE FUNCTION endcap_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$")
    for table in SEALED:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION endcap_append_only()"
        )
