"""Opening the operational database: SQLite in WAL mode with full syncs, or Postgres; and writing to it in one order."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
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
_TURNS: WeakKeyDictionary[Engine, Lock] = WeakKeyDictionary()
_WATCHING = Lock()
_OPENING = Lock()


def open_database(url: str) -> Engine:
    """This process's one engine for an address, its tables brought up to this version. Raises BadInput when it cannot be opened, or is newer."""
    with _OPENING:
        return _opened(url)


@cache
def _opened(url: str) -> Engine:
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
    with _turn_of(engine), engine.connect() as connection:
        connection = connection.execution_options(**{WRITES: True})
        with connection.begin():
            if connection.dialect.name != "sqlite":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")
            yield connection


def _turn_of(engine: Engine) -> AbstractContextManager[object]:
    """A turn among the writers of this process. SQLite keeps no order among those who wait: on a slow disk one may wait in vain."""
    if engine.dialect.name != "sqlite":
        return nullcontext()
    with _WATCHING:
        return _TURNS.setdefault(engine, Lock())


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


def days_ago(days: int) -> str:
    """The time that many days before `now`, written alike: what happened since then is not less."""
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _begin(connection: Connection) -> None:
    """Writers take their turn at the beginning; begun as a reader, the second of two would fail half way."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITES) else "BEGIN")


def _make_durable(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so
    connection.execute(f"PRAGMA busy_timeout = {LOCK_WAIT_S * 1000}")
    _keep_a_log(connection)
    connection.execute("PRAGMA synchronous = FULL")


def _keep_a_log(connection: Any) -> None:
    """WAL mode. Of several that turn it on in a new file at once SQLite refuses all but one, at once and whatever the wait; so they ask again."""
    until = monotonic() + LOCK_WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > until:
                raise
        sleep(0.01)
