"""Learning and governing: proposals with their steps, postmortems, loops, switches, alarms, and audits with a known chance of being drawn."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, Float, Integer, String, Text

revision = "006"
down_revision = "005"


def upgrade() -> None:
    op.add_column("promotions", Column("proposal_id", Integer))
    op.add_column("promotions", Column("scope", String(400)))
    op.create_index("overrides_of_actor", "overrides", ["actor", "at"])
    for column in (
        Column("stratum", String(160)), Column("probability", Float), Column("run", Integer), Column("decided", String(16)), Column("confidence", Float),
    ):  # fmt: skip
        op.add_column("blind_asks", column)
    # No verb wrote these two before.
    op.drop_table("loops")
    op.drop_table("proposals")
    _loops()
    _proposals()
    _govern()
    _learn()


def _loops() -> None:
    op.create_table(
        "loops",
        Column("loop_id", Integer, primary_key=True, autoincrement=True),
        Column("title", Text, nullable=False),
        Column("source", String(40), nullable=False),
        Column("offer_id", String(400)),
        Column("counterpart_offer_id", String(400)),
        Column("product_id", String(64)),
        Column("expected", String(16)),
        Column("field", String(80)),
        Column("value", Text),
        Column("reporter", String(120), nullable=False),
        Column("owner", String(120), nullable=False),
        Column("duplicate_of", Integer),
        Column("override_id", Integer),
        Column("opened_at", String(32), nullable=False),
        Column("acknowledged_at", String(32)),
        Column("decided_at", String(32)),
        Column("released_at", String(32)),
        Column("in_snapshot_at", String(32)),
        Column("verified_at", String(32)),
        Column("closed_at", String(32)),
        Column("reopened", Integer, nullable=False),
        Column("cause", String(40)),
        Column("comment", Text),
        Column("replay_json", Text),
    )  # fmt: skip


def _proposals() -> None:
    op.create_table(
        "proposals",
        Column("proposal_id", Integer, primary_key=True, autoincrement=True),
        Column("state", String(20), nullable=False),
        Column("kind", String(20), nullable=False),
        Column("owner", String(120), nullable=False),
        Column("approver", String(120)),
        Column("automatic", Boolean, nullable=False),
        Column("hypothesis", Text, nullable=False),
        Column("scope", String(400), nullable=False),
        Column("change", Text, nullable=False),
        Column("artefact_kind", String(40)),
        Column("artefact", String(64)),
        Column("metric", String(80), nullable=False),
        Column("effect", String(120), nullable=False),
        Column("details_json", Text, nullable=False),
        Column("trial_id", String(80)),
        Column("verdict", String(20)),
        Column("text", Text, nullable=False),
        Column("created_at", String(32), nullable=False),
        Column("decided_at", String(32)),
        Column("promoted_at", String(32)),
        Column("confirm_on", String(16)),
    )  # fmt: skip
    op.create_table(
        "proposal_events",
        Column("event_id", Integer, primary_key=True, autoincrement=True),
        Column("proposal_id", Integer, nullable=False),
        Column("state", String(20), nullable=False),
        Column("actor", String(120), nullable=False),
        Column("reason", Text, nullable=False),
        Column("details_json", Text, nullable=False),
        Column("at", String(32), nullable=False),
    )  # fmt: skip


def _govern() -> None:
    op.create_table(
        "postmortems",
        Column("postmortem_id", Integer, primary_key=True, autoincrement=True),
        Column("proposal_id", Integer),
        Column("promotion_id", Integer),
        Column("title", Text, nullable=False),
        Column("cause", String(40), nullable=False),
        Column("owner", String(120), nullable=False),
        Column("text", Text, nullable=False),
        Column("details_json", Text, nullable=False),
        Column("opened_at", String(32), nullable=False),
        Column("due_on", String(16), nullable=False),
        Column("closed_at", String(32)),
    )  # fmt: skip
    op.create_table(
        "switches",
        Column("switch_id", Integer, primary_key=True, autoincrement=True),
        Column("scope", String(400), nullable=False),
        Column("automation", Boolean, nullable=False),
        Column("actor", String(120), nullable=False),
        Column("reason", Text, nullable=False),
        Column("at", String(32), nullable=False),
    )  # fmt: skip


def _learn() -> None:
    op.create_table(
        "alarms",
        Column("alarm_id", Integer, primary_key=True, autoincrement=True),
        Column("run", Integer, nullable=False),
        Column("name", String(80), nullable=False),
        Column("scope", String(400), nullable=False),
        Column("cause", String(40), nullable=False),
        Column("words", Text, nullable=False),
        Column("figures_json", Text, nullable=False),
        Column("at", String(32), nullable=False),
        Column("closed_at", String(32)),
    )  # fmt: skip
    op.create_table(
        "reviewer_holds",
        Column("hold_id", Integer, primary_key=True, autoincrement=True),
        Column("person", String(120), nullable=False),
        Column("held", Boolean, nullable=False),
        Column("actor", String(120), nullable=False),
        Column("reason", Text, nullable=False),
        Column("at", String(32), nullable=False),
    )  # fmt: skip
