"""Opening the operational database: SQLite in WAL mode with full syncs, or Postgres; and writing to it in one order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, PoolProxiedConnection, create_engine, event
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError

from endcap.ops.migrations import is_current, migrate, prepare
from endcap.problems import BadInput

LOCK_WAIT_S = 30
# One number for all who write, so that rows become visible in the order of their ids.
WRITERS = 0x656E64636170
WRITES = "endcap_writes"
_WATCHERS: WeakKeyDictionary[Engine, PoolProxiedConnection] = WeakKeyDictionary()
_WATCHING = Lock()


@cache
def open_database(url: str) -> Engine:
    """The engine for an address, its tables brought up to this version. Raises BadInput when it cannot be opened, or is of a newer version."""
    try:
        engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), hide_parameters=True)  # what was bound is in no error's words
        if engine.dialect.name == "sqlite":
            if engine.url.database:
                Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
            event.listen(engine, "connect", _make_durable)
            event.listen(engine, "begin", _begin)
        with engine.connect() as connection:
            current = is_current(connection)
        if not current:
            prepare(engine)
            with writing(engine) as connection:
                migrate(connection)
    except (ArgumentError, NoSuchModuleError, DatabaseError, OSError, ImportError) as error:
        cause = " ".join(str(error).split())[:200]
        raise BadInput(
            f"the operational database cannot be opened: {cause}", where=url.split("@")[-1], todo="correct --home, or `database` in the settings"
        ) from None
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other writer's overlaps: it commits where the block ends well, and else leaves nothing."""
    with engine.connect() as connection:
        connection = connection.execution_options(**{WRITES: True})
        with connection.begin():
            if connection.dialect.name != "sqlite":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")
            yield connection


def mark_of(engine: Engine) -> object:
    """A value that is another one once anything was committed to the database. Two marks of one engine can be compared, no others."""
    if engine.dialect.name != "sqlite":
        with engine.connect() as connection:
            return connection.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar()
    with _WATCHING:
        # SQLite counts what others committed, for each connection apart: so this one is kept, and never writes.
        watcher = _WATCHERS.get(engine)
        if watcher is None:
            watcher = _WATCHERS[engine] = engine.raw_connection()
        (mark,) = watcher.cursor().execute("PRAGMA data_version").fetchone() or (None,)
        return mark


def now() -> str:
    """The time as ISO 8601 in UTC, to the second. Used for the record only, never for order."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _begin(connection: Connection) -> None:
    """Writers take their turn at the beginning; begun as a reader, the second of two would fail half way."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITES) else "BEGIN")


def _make_durable(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA busy_timeout = {LOCK_WAIT_S * 1000}")
