"""The operational tables, the same on SQLite and Postgres. Each has one writer, named in its `info`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, String, Table, Text

METADATA = MetaData()


def _table(name: str, writer: str, *columns: Column[object]) -> Table:
    return Table(name, METADATA, *columns, info={"writer": writer})


# One attempt of one run; a run that died keeps its row in state 'died'.
RUNS = _table(
    "runs", "journey",
    Column("attempt_id", Integer, primary_key=True, autoincrement=True),
    Column("run", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # running | done | failed | died
    Column("snapshot_id", String(64)),
    Column("started_at", String(32), nullable=False),
    Column("finished_at", String(32)),
    Column("deliveries_json", Text, nullable=False),
    Column("figures_json", Text, nullable=False),
    Column("error", Text),
)  # fmt: skip

# One published version of the catalog; exactly one is current.
SNAPSHOTS = _table(
    "snapshots", "ops",
    Column("snapshot_id", String(64), primary_key=True),
    Column("parent", String(64)),
    Column("run", Integer, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("manifest_json", Text, nullable=False),
    Column("published_json", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("current", Boolean, nullable=False),
)  # fmt: skip

# Append-only: an undo is one more row that names what it undoes.
OVERRIDES = _table(
    "overrides", "review",
    Column("override_id", Integer, primary_key=True, autoincrement=True),
    Column("offer_id", String(400), nullable=False),
    Column("action", String(16), nullable=False),  # same | different | other | new | skip | undo
    Column("product_id", String(64)),  # what was asked about (different) or chosen (same, other)
    Column("counterpart_offer_id", String(400)),
    Column("actor", String(120), nullable=False),
    Column("team", String(120), nullable=False),
    Column("reason_code", String(40), nullable=False),
    Column("note", Text, nullable=False),
    Column("undoes", Integer),
    Column("identity_hash", BigInteger, nullable=False),  # the offer's when the person answered
    Column("snapshot_id", String(64), nullable=False),
    Column("at", String(32), nullable=False),
)  # fmt: skip

# Who put which model into production, when, why and on what data; append-only.
PROMOTIONS = _table(
    "promotions", "learn",
    Column("promotion_id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(40), nullable=False),  # match
    Column("model_id", String(64), nullable=False),
    Column("previous", String(64)),
    Column("action", String(16), nullable=False),  # promote | rollback
    Column("actor", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("data_version", String(64), nullable=False),
    Column("at", String(32), nullable=False),
)  # fmt: skip

# A held delivery that a person let through.
RELEASES = _table(
    "releases", "feeds",
    Column("feed", String(120), primary_key=True),
    Column("date", String(16), primary_key=True),
    Column("actor", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", String(32), nullable=False),
)  # fmt: skip

# Which team owns which scope, since when.
TEAMS = _table(
    "teams", "govern",
    Column("team", String(120), primary_key=True),
    Column("scope", String(400), primary_key=True),  # category or supplier; '*' is everything
    Column("since", String(32), primary_key=True),
)  # fmt: skip

# One reported problem from open to verified.
LOOPS = _table(
    "loops", "govern",
    Column("loop_id", Integer, primary_key=True, autoincrement=True),
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

# A hypothesis with its change, expected effect, verdict and decision.
PROPOSALS = _table(
    "proposals", "govern",
    Column("proposal_id", Integer, primary_key=True, autoincrement=True),
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
