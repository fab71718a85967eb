"""A catalog's home: its lake at the current snapshot, with the operational tables beside it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from sqlalchemy import ColumnElement, Engine, Table, insert, select, update

from endcap.lake import Lake, Manifest
from endcap.lake.tables import write_synced
from endcap.ops import audit
from endcap.ops.database import mark_of, now, open_database
from endcap.ops.tables import METADATA, OVERRIDES, PROMOTIONS, SNAPSHOTS
from endcap.problems import BadInput
from endcap.settings import Catalog

# Named beside the lake, so that a lost database is noticed instead of begun anew.
LAST_SNAPSHOT = "last-snapshot"


class Home:
    """Where one catalog lives. Reading needs nothing else; writing needs `writer()`."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.path = catalog.home_path
        self.lake_folder = self.path / "lake"
        self.models_folder = self.path / "models"
        self.published_folder = self.path / "published"
        self.engine: Engine = open_database(catalog.database_url)

    def snapshot(self, snapshot_id: str | None = None) -> dict[str, Any] | None:
        """The current snapshot's row, or a named one (a unique beginning of its id will do); None when there is none."""
        with self.engine.connect() as connection:
            if snapshot_id is None:
                found = connection.execute(select(SNAPSHOTS).where(SNAPSHOTS.c.current)).mappings().all()
            else:
                found = connection.execute(select(SNAPSHOTS).where(SNAPSHOTS.c.snapshot_id.startswith(snapshot_id, autoescape=True))).mappings().all()
        return dict(found[0]) if len(found) == 1 else None

    def manifest(self, snapshot_id: str | None = None) -> Manifest:
        """The manifest of the current (or a named) snapshot; an empty one before the first run."""
        row = self.snapshot(snapshot_id)
        if row is None and snapshot_id is not None:
            raise BadInput(f"there is no snapshot {snapshot_id!r}", where=str(self.path), todo="see `endcap snapshot list`")
        return Manifest.from_json(row["manifest_json"]) if row else Manifest()

    def lake(self, snapshot_id: str | None = None) -> Lake:
        return Lake(self.lake_folder, self.manifest(snapshot_id))

    def connect(self, snapshot_id: str | None = None) -> duckdb.DuckDBPyConnection:
        """DuckDB over the lake at a snapshot and the operational tables as they are now."""
        con = self.lake(snapshot_id).connect()
        self.register_operational(con)
        return con

    def register_operational(self, con: duckdb.DuckDBPyConnection) -> None:
        """Make every operational table but the private ones readable from a DuckDB connection under its own name."""
        for table in METADATA.sorted_tables:
            if not table.info["private"]:
                con.register(table.name, self.rows(table))

    def changes(self, *, at_once: bool = False) -> object:
        """A value that is another one once anything was committed to the operational database, by whom ever.

        `at_once`: None where it cannot be told without asking another process.
        """
        return None if at_once and self.engine.dialect.name != "sqlite" else mark_of(self.engine)

    def rows(self, table: Table) -> pa.Table:
        """All rows of one operational table, in the order of its key."""
        with self.engine.connect() as connection:
            found = [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]
        return pa.Table.from_pylist(found, schema=_arrow_of(table))

    def champion(self, kind: str) -> str | None:
        """The artefact in production for a kind of decision: the newest promotion's or rollback's."""
        with self.engine.connect() as connection:
            newest = select(PROMOTIONS.c.model_id).where(*_decides(kind)).order_by(PROMOTIONS.c.promotion_id.desc()).limit(1)
            return connection.execute(newest).scalar()

    def past_champions(self, kind: str) -> list[str]:
        """Models that were ever in production, the newest first."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(PROMOTIONS.c.model_id).where(*_decides(kind)).order_by(PROMOTIONS.c.promotion_id.desc()))
            return [str(model_id) for (model_id,) in rows]

    def champion_by(self, kind: str) -> str | None:
        """Who promoted the model in production."""
        with self.engine.connect() as connection:
            newest = select(PROMOTIONS.c.actor).where(*_decides(kind)).order_by(PROMOTIONS.c.promotion_id.desc()).limit(1)
            return connection.execute(newest).scalar()

    def on_trial(self, kind: str) -> dict[str, Any] | None:
        """The promotion by which an artefact runs beside the champion as shadow or canary: the newest of the kind, unless that ended it."""
        with self.engine.connect() as connection:
            newest = select(PROMOTIONS).where(PROMOTIONS.c.kind == kind).order_by(PROMOTIONS.c.promotion_id.desc()).limit(1)
            row = connection.execute(newest).mappings().first()
        return dict(row) if row is not None and row["action"] in ("shadow", "canary") else None

    def override_sequence(self) -> int:
        """The number of the newest override; 0 when nobody has answered yet."""
        with self.engine.connect() as connection:
            return connection.execute(select(OVERRIDES.c.override_id).order_by(OVERRIDES.c.override_id.desc()).limit(1)).scalar() or 0

    def make_current(self, manifest: Manifest, published_json: str) -> str:
        """Record a snapshot and make it the one that readers see, in one transaction; returns its id.

        The id is the beginning of the content hash and the run: the same catalog after the same number of runs has the same id.
        """
        snapshot_id = snapshot_id_of(manifest)
        row = {
            "snapshot_id": snapshot_id, "parent": manifest.parent, "run": manifest.run, "content_hash": manifest.content_hash,
            "manifest_json": manifest.to_json(), "published_json": published_json, "created_at": now(), "current": True,
        }  # fmt: skip
        with self.engine.begin() as connection:
            connection.execute(update(SNAPSHOTS).values(current=False).where(SNAPSHOTS.c.current))
            connection.execute(insert(SNAPSHOTS).values(row))
        write_synced(self.path / LAST_SNAPSHOT, f"{snapshot_id}\n".encode())
        audit.note_head(self.engine, self.path / audit.HEADS)
        return snapshot_id

    def check_database(self) -> None:
        """Raise BadInput where the catalog has published before and the database knows nothing of it: answers would be lost unseen."""
        if (self.path / LAST_SNAPSHOT).exists() and self.snapshot() is None:
            last = (self.path / LAST_SNAPSHOT).read_text(encoding="utf-8").strip()
            raise BadInput(
                f"the operational database holds no snapshot, but this catalog published {last}: its database is missing or another one",
                where=str(self.path), todo="restore the database from a backup, or run into a new --home",
            )  # fmt: skip

    def amend(self, manifest: Manifest) -> None:
        """Note new versions of tables that are no catalog content (labels, trials) in the current snapshot; what readers see stays the same.

        Raises ValueError if the catalog's content would change: that takes a run.
        """
        current = self.snapshot()
        if current is None or current["content_hash"] != manifest.content_hash:
            raise ValueError("an amended snapshot must hold the same catalog")
        with self.engine.begin() as connection:
            connection.execute(update(SNAPSHOTS).values(manifest_json=manifest.to_json()).where(SNAPSHOTS.c.snapshot_id == current["snapshot_id"]))

    def is_being_written(self) -> bool:
        """Whether a run holds the catalog now; one that is marked running while nobody holds it has died."""
        try:
            with (self.path / ".writer").open("a+") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return False
        except BlockingIOError:
            return True
        except OSError:
            return False

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Hold the catalog for writing; the operating system lets go when the process ends, however it ends."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"the catalog's folder cannot be made: {error.strerror}", where=str(self.path), todo="name another with --home") from None
        with (self.path / ".writer").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise BadInput(
                    f"another run is writing this catalog (process {lock.read().strip() or 'unknown'})",
                    where=str(self.path),
                    todo="wait until it is done",
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def model_folder(self, model_id: str) -> Path:
        return self.models_folder / model_id


def snapshot_id_of(manifest: Manifest) -> str:
    """`s<run>-<first 12 digits of the content hash>`."""
    return f"s{manifest.run:04d}-{manifest.content_hash[:12]}"


def run_of(snapshot_id: str) -> int:
    """The run that published a snapshot, 0 where the id names none."""
    digits = snapshot_id.removeprefix("s").partition("-")[0]
    return int(digits) if digits.isdecimal() else 0


def _decides(kind: str) -> tuple[ColumnElement[bool], ...]:
    """The condition that a promotion's artefact decides everywhere; shadows and canaries do not."""
    return PROMOTIONS.c.kind == kind, PROMOTIONS.c.action.in_(("promote", "rollback"))


def _arrow_of(table: Table) -> pa.Schema:
    kinds = {"BIGINT": pa.int64(), "INTEGER": pa.int64(), "BOOLEAN": pa.bool_(), "FLOAT": pa.float64()}
    return pa.schema([pa.field(column.name, kinds.get(str(column.type), pa.string())) for column in table.columns])
