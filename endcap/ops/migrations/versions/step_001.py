"""The tables as they were before there were steps."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Integer, String, Text

revision = "001"
down_revision = None


def upgrade() -> None:
    _of_runs_and_answers()
    _of_people()


def _of_runs_and_answers() -> None:
    op.create_table(
        "runs",
        Column("attempt_id", Integer, primary_key=True),
        Column("run", Integer, nullable=False),
        Column("state", String(16), nullable=False),
        Column("snapshot_id", String(64)),
        Column("started_at", String(32), nullable=False),
        Column("finished_at", String(32)),
        Column("deliveries_json", Text, nullable=False),
        Column("figures_json", Text, nullable=False),
        Column("error", Text),
    )  # fmt: skip
    op.create_table(
        "snapshots",
        Column("snapshot_id", String(64), primary_key=True),
        Column("parent", String(64)),
        Column("run", Integer, nullable=False),
        Column("content_hash", String(64), nullable=False),
        Column("manifest_json", Text, nullable=False),
        Column("published_json", Text, nullable=False),
        Column("created_at", String(32), nullable=False),
        Column("current", Boolean, nullable=False),
    )  # fmt: skip
    op.create_table(
        "overrides",
        Column("override_id", Integer, primary_key=True),
        Column("offer_id", String(400), nullable=False),
        Column("action", String(16), nullable=False),
        Column("product_id", String(64)),
        Column("counterpart_offer_id", String(400)),
        Column("actor", String(120), nullable=False),
        Column("team", String(120), nullable=False),
        Column("reason_code", String(40), nullable=False),
        Column("note", Text, nullable=False),
        Column("undoes", Integer),
        Column("identity_hash", BigInteger, nullable=False),
        Column("snapshot_id", String(64), nullable=False),
        Column("at", String(32), nullable=False),
    )  # fmt: skip


def _of_people() -> None:
    op.create_table(
        "promotions",
        Column("promotion_id", Integer, primary_key=True),
        Column("kind", String(40), nullable=False),
        Column("model_id", String(64), nullable=False),
        Column("previous", String(64)),
        Column("action", String(16), nullable=False),
        Column("actor", String(120), nullable=False),
        Column("reason", Text, nullable=False),
        Column("data_version", String(64), nullable=False),
        Column("at", String(32), nullable=False),
    )  # fmt: skip
    op.create_table(
        "releases",
        Column("feed", String(120), primary_key=True),
        Column("date", String(16), primary_key=True),
        Column("actor", String(120), nullable=False),
        Column("reason", Text, nullable=False),
        Column("at", String(32), nullable=False),
    )  # fmt: skip
    op.create_table(
        "teams",
        Column("team", String(120), primary_key=True),
        Column("scope", String(400), primary_key=True),
        Column("since", String(32), primary_key=True),
    )  # fmt: skip
    op.create_table(
        "loops",
        Column("loop_id", Integer, primary_key=True),
        Column("title", Text, nullable=False),
        Column("offer_id", String(400)),
        Column("product_id", String(64)),
        Column("owner", String(120), nullable=False),
        Column("opened_at", String(32), nullable=False),
        Column("acknowledged_at", String(32)),
        Column("decided_at", String(32)),
        Column("released_at", String(32)),
        Column("in_snapshot_at", String(32)),
        Column("verified_at", String(32)),
        Column("closed_at", String(32)),
        Column("cause", String(40)),
        Column("comment", Text),
    )  # fmt: skip
    op.create_table(
        "proposals",
        Column("proposal_id", Integer, primary_key=True),
        Column("state", String(20), nullable=False),
        Column("owner", String(120), nullable=False),
        Column("approver", String(120)),
        Column("hypothesis", Text, nullable=False),
        Column("scope", String(400), nullable=False),
        Column("change", Text, nullable=False),
        Column("metric", String(80), nullable=False),
        Column("effect", String(120), nullable=False),
        Column("verdict", String(20)),
        Column("text", Text, nullable=False),
        Column("created_at", String(32), nullable=False),
        Column("decided_at", String(32)),
    )  # fmt: skip
