"""One snapshot opened for reading: every request sees exactly one, whole."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import duckdb
import pyarrow as pa

from endcap import schema
from endcap.lake import Manifest
from endcap.lake.held import Held
from endcap.settings import Catalog

LOG = logging.getLogger("endcap.serve")
OPERATIONAL_AGE_S = 2.0
EARLIER_OPEN = 3
# What is asked by key all the time, as it is held in memory, and the columns it is found by. Where a name is not the lake's own, its rows are a log's.
HELD: dict[str, tuple[str, tuple[str, ...]]] = {
    "products": ("SELECT * FROM products", ("product_id",)),
    "decisions": ("SELECT * FROM decisions", ("offer_id", "product_id")),
    "offers": ("SELECT * FROM offers", ("offer_id",)),
    "pairs": ("SELECT left_id, right_id, score, conflict FROM pairs", ("left_id", "right_id")),
    "facts": ("SELECT * FROM facts", ("offer_id",)),
    "product_history": ("SELECT product_id, run, event, into_product_id, offer_id, reason FROM product_events_log WHERE NOT gone", ("product_id",)),
    "product_versions": ("SELECT product_id, run, gone, title, brand, category, gtin FROM products_log", ("product_id",)),
}
# What queries read whole again and again is copied into DuckDB's memory once there is time: of the lake's files the newest row of every key is dearer.
COPIED = ("products", "decisions", "offers")

Answer = TypeVar("Answer")


class Home(Protocol):
    """What serving needs of a catalog's home."""

    @property
    def catalog(self) -> Catalog:
        """Its settings."""
        ...

    @property
    def path(self) -> Path:
        """Its folder."""
        ...

    def snapshot(self) -> dict[str, Any] | None:
        """The current snapshot's row; None before the first run."""
        ...

    def manifest(self, snapshot_id: str | None = None) -> Manifest:
        """The manifest of the current or a named snapshot."""
        ...

    def model_folder(self, model_id: str) -> Path:
        """Where a model lies."""
        ...

    def is_being_written(self) -> bool:
        """Whether a run holds the catalog now."""
        ...

    def connect(self, snapshot_id: str | None = None) -> duckdb.DuckDBPyConnection:
        """DuckDB over the tables of a snapshot (the current one when none is named) and the operational tables."""
        ...

    def register_operational(self, con: duckdb.DuckDBPyConnection) -> None:
        """Make the operational tables as they are now readable from a connection."""
        ...

    def changes(self, *, at_once: bool = False) -> object:
        """A value that is another one once anything was written to the operational tables.

        None where that cannot be told, or `at_once` where it cannot be told without waiting.
        """
        ...


class Reading:
    """One snapshot of the catalog, with what was asked of it often kept."""

    def __init__(self, home: Home, snapshot: dict[str, Any] | None) -> None:
        self.snapshot = snapshot
        self.snapshot_id: str | None = snapshot["snapshot_id"] if snapshot else None
        self.home = home
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[Any, Any]] = {}
        self._makers: dict[str, threading.RLock] = {}
        self._con = home.connect(self.snapshot_id)  # by its id: another may have become the current one by now
        self._fresh_at, self._mark = time.monotonic(), home.changes()
        self._share_registered()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor of its own, for one thread."""
        with self._lock:
            if time.monotonic() - self._fresh_at > OPERATIONAL_AGE_S:
                self._bring_up(self.home.changes())
            return self._con.cursor()

    def bring_up(self) -> Reading:
        """This reading with everything that was written to the operational tables up to now, for pages on which people see what they just did."""
        with self._lock:
            self._bring_up(self.home.changes(at_once=True))
        return self

    def _bring_up(self, mark: object) -> None:
        """`mark` was asked before reading: what comes in between is read twice rather than never."""
        if mark is None or mark != self._mark:
            self.home.register_operational(self._con)
            self._share_registered()
        self._fresh_at, self._mark = time.monotonic(), mark

    def settle(self) -> None:
        """Copy what queries read whole into DuckDB's memory; the answers are the same before, and dearer."""
        self.keep("copied tables", lambda reading: reading._copy())

    def _copy(self) -> bool:
        with self.cursor() as cursor:
            cursor.execute("ATTACH ':memory:' AS held")
            for name in COPIED:
                cursor.execute(f"CREATE TABLE held.{name} AS SELECT * FROM memory.main.{name}")
            for name in COPIED:
                cursor.execute(f"CREATE OR REPLACE VIEW memory.main.{name} AS SELECT * FROM held.{name}")
        return True

    def _share_registered(self) -> None:
        """What was registered is seen by its own connection only; cursors need it as tables."""
        found = self._con.execute("SELECT view_name FROM duckdb_views() WHERE temporary AND NOT internal ORDER BY 1").fetchall()
        for (name,) in found:
            self._con.execute(f'CREATE OR REPLACE TABLE memory.main."{name}" AS SELECT * FROM temp.main."{name}"')

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows of a query of ours as dicts; whatever a person typed comes in `values`, bound."""
        with self.cursor() as cursor:
            return _as_dicts(cursor.execute(query, list(values)))

    def rows_now(self, query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """As `rows`, of tables that grow without a new snapshot: trials and labels, which this reading holds as they were when it was opened."""
        with self.home.connect(self.snapshot_id) as con:
            return _as_dicts(con.execute(query, list(values)))

    def held(self, name: str) -> Held:
        """A table of HELD, read into memory when it is first asked for."""
        return self.keep(f"held {name}", lambda reading: Held(reading._table(HELD[name][0]), HELD[name][1]))

    def find(self, name: str, key: str, values: Iterable[str], columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Rows of a table of HELD whose `key` is one of `values`, in no order that means anything; no query is made for them."""
        return self.held(name).rows(key, values, columns)

    def _table(self, query: str) -> pa.Table:
        with self.cursor() as cursor:
            return cursor.sql(query).to_arrow_table()

    def by_key(self, table: str, columns: str, condition: str, values: Sequence[Any]) -> list[dict[str, Any]]:
        """Current rows of a lake table by (a part of) its key: what is not copied from the log, since the newest row of every key is far dearer."""
        key = ", ".join(schema.BY_TABLE[table].KEY)
        if table in COPIED:
            return self.rows(f"SELECT {columns} FROM {table} WHERE {condition} ORDER BY {key}", values)
        newest = f"SELECT * FROM {table}_log WHERE {condition} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY run DESC) = 1"
        return self.rows(f"SELECT {columns} FROM ({newest}) WHERE NOT gone ORDER BY {key}", values)

    def row(self, query: str, values: Sequence[Any] = ()) -> dict[str, Any] | None:
        """The first row, or None."""
        found = self.rows(query, values)
        return found[0] if found else None

    def keep(self, name: str, make: Callable[[Reading], Answer], *, until: Any = None) -> Answer:
        """What `make` answers, made once for this snapshot, and again only when `until` is another value."""
        kept = self._kept.get(name)
        if kept is None or kept[0] != until:
            with self._makers.setdefault(name, threading.RLock()):  # who asks meanwhile waits for it instead of making it too
                kept = self._kept.get(name)
                if kept is None or kept[0] != until:
                    kept = (until, make(self))
                    self._kept[name] = kept
        answer: Answer = kept[1]
        return answer

    def keep_while(self, name: str, make: Callable[[Reading], Answer]) -> Answer:
        """As `keep`, made again whenever something was written to the operational tables."""
        mark = self.bring_up()._mark
        return self.keep(name, make, until=object() if mark is None else mark)


def _as_dicts(found: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


class Readings:
    """Gives every request the reading of the current snapshot; a reading in use stays whole when the next one comes."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock, self._opening = threading.Lock(), threading.Lock()
        self._open: Reading | None = None
        self._seen: object = None  # the mark of the last change after which the open reading was the current one
        self._earlier: dict[str, Reading] = {}

    def at(self, snapshot_id: str) -> Reading | None:
        """The reading of an earlier snapshot; the last few asked for stay open. None where there is no such snapshot."""
        with self._lock:
            if snapshot_id in self._earlier:
                self._earlier[snapshot_id] = self._earlier.pop(snapshot_id)
                return self._earlier[snapshot_id]
        current = self._open
        if current is None or current.snapshot_id == snapshot_id:
            return current
        row = current.row("SELECT * FROM snapshots WHERE snapshot_id = ?", [snapshot_id])
        if row is None:
            return None
        opened = Reading(self._home, row)
        with self._lock:
            self._earlier[snapshot_id] = opened
            for oldest in list(self._earlier)[:-EARLIER_OPEN]:
                del self._earlier[oldest]
        return opened

    def at_once(self) -> Reading | None:
        """The current snapshot's reading where it can be told without waiting; None else."""
        opened, seen = self._open, self._seen
        try:
            mark = self._home.changes(at_once=True) if opened is not None and seen is not None else None
        except Exception:  # `current` will meet it too, and knows what to do
            return None
        return opened if mark is not None and mark == seen else None

    def current(self) -> Reading:
        """The current snapshot's reading, opened when it is asked for the first time; while one request opens it, others go on with the one before.

        When it cannot be opened the last good one goes on being served; without one the error goes on to the caller.
        """
        try:
            mark = self._home.changes()  # asked before looking: what comes in between is looked at twice rather than never
            if mark is None or mark != self._seen:
                if self._is_current():
                    self._seen = mark
                elif self._opening.acquire(blocking=self._open is None):
                    self._open_current()
        except Exception:
            if self._open is None:
                raise
            LOG.exception("the current snapshot cannot be opened; %s is still served", self._open.snapshot_id)
        assert self._open is not None, "the first reading is waited for"
        return self._open

    def _open_current(self) -> None:
        try:
            snapshot = self._home.snapshot()
            if self._open is None or self._open.snapshot_id != _id_of(snapshot):
                self._open = Reading(self._home, snapshot)
        finally:
            self._opening.release()

    def _is_current(self) -> bool:
        return self._open is not None and self._open.snapshot_id == _id_of(self._home.snapshot())


def _id_of(snapshot: dict[str, Any] | None) -> str | None:
    return snapshot["snapshot_id"] if snapshot else None
