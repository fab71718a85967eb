"""Opening the operational database: SQLite in WAL mode with full syncs, or Postgres."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError

from endcap.ops.tables import METADATA
from endcap.problems import BadInput

LOCK_WAIT_S = 30


@cache
def open_database(url: str) -> Engine:
    """The engine for an address, its tables made where missing. Raises BadInput when it cannot be opened."""
    try:
        engine = create_engine(url)
        if engine.dialect.name == "sqlite":
            if engine.url.database:
                Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
            event.listen(engine, "connect", _make_durable)
        METADATA.create_all(engine)
    except (ArgumentError, NoSuchModuleError, DatabaseError, OSError, ImportError) as error:
        cause = " ".join(str(error).split())[:200]
        raise BadInput(
            f"the operational database cannot be opened: {cause}", where=url.split("@")[-1], todo="correct --home, or `database` in the settings"
        ) from None
    return engine


def now() -> str:
    """The time as ISO 8601 in UTC, to the second. Used for the record only, never for order."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _make_durable(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA busy_timeout = {LOCK_WAIT_S * 1000}")
