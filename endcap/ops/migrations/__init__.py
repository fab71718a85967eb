"""Steps by which the operational database of an older version becomes today's; applied when it is opened."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import cast

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect

from endcap.ops.tables import HEAD
from endcap.problems import BadInput

# Tables made before there were steps.
FIRST, FIRST_TABLE = "001", "overrides"


def migrate(connection: Connection) -> None:
    """Apply the steps that the database lacks, within one writer's transaction: all or none."""
    steps = ScriptDirectory(str(Path(__file__).parent))
    known = _known(steps)
    at = _version(connection)
    context = MigrationContext.configure(connection)
    context._ensure_version_table()
    if at == FIRST:
        context.stamp(steps, FIRST)
    with Operations.context(context):
        for revision in known[known.index(at) + 1 if at else 0 :]:
            steps.get_revision(revision).module.upgrade()
            context.stamp(steps, revision)


def prepare(engine: Engine) -> None:
    """Keep a copy of an older SQLite file beside it. Raises BadInput where the database was written by a newer version."""
    with engine.connect() as connection:
        at = _version(connection)
    if at is not None and at not in _known(ScriptDirectory(str(Path(__file__).parent))):
        where = str(engine.url.database)
        raise BadInput(f"the operational database is of a newer version (step {at}, this one knows {HEAD})", where=where, todo="update endcap")
    if at is not None and at != HEAD:
        _keep_copy(engine, at)


def _known(steps: ScriptDirectory) -> list[str]:
    return [step.revision for step in reversed(list(steps.walk_revisions()))]


def is_current(connection: Connection) -> bool:
    """Whether nothing is to be done, without loading the steps."""
    return _is_stamped(connection) and _version(connection) == HEAD


def _is_stamped(connection: Connection) -> bool:
    return inspect(connection).has_table("alembic_version")


def _version(connection: Connection) -> str | None:
    if _is_stamped(connection):
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        if found is not None:
            return str(found)
    return FIRST if inspect(connection).has_table(FIRST_TABLE) else None


def _keep_copy(engine: Engine, at: str) -> None:
    file = engine.url.database
    if engine.dialect.name != "sqlite" or not file:
        return
    # By SQLite itself: a file that this process opens and closes by other means loses the locks of all its connections, and then another
    # process that ends takes the log away under them, with the answers in it.
    with engine.connect() as connection, closing(sqlite3.connect(f"{file}.step-{at}")) as copy:
        cast("sqlite3.Connection", connection.connection.driver_connection).backup(copy)
