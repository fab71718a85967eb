"""Delta tables as append-only change logs, read at exactly the files that a manifest names.

A table write is one Parquet file (page checksums on, synced to disk) and one Delta commit that adds it. What readers see
is decided by the manifest alone, so files written by a run that died are never seen; the next run restores the table first.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from endcap import schema
from endcap.problems import Problem


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One data file of a table: its name in the table's folder, sha256, rows and size."""

    name: str
    sha256: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class TablePin:
    """One table at one version: the Delta version and the files that make it up, oldest first."""

    version: int = -1
    files: tuple[FileEntry, ...] = ()
    rows: int = 0
    content: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot is made of; `content_hash` is the same wherever the catalog is the same."""

    run: int = 0
    parent: str | None = None
    tables: Mapping[str, TablePin] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    override_sequence: int = 0

    @property
    def content_hash(self) -> str:
        content = {
            "tables": {name: [pin.rows, pin.content] for name, pin in sorted(self.tables.items()) if name not in schema.NOT_CATALOG},
            "models": dict(sorted(self.models.items())),
            "override_sequence": self.override_sequence,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, indent=1)

    @staticmethod
    def from_json(text: str) -> Manifest:
        given = json.loads(text)
        tables = {
            name: TablePin(pin["version"], tuple(FileEntry(**entry) for entry in pin["files"]), pin["rows"], pin["content"])
            for name, pin in given.pop("tables").items()
        }
        return Manifest(tables=tables, **given)


class Lake:
    """The tables as one manifest pins them; `append` adds to them for the run that holds this object."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._pins: dict[str, TablePin] = dict(manifest.tables)

    def restore(self) -> None:
        """Bring every Delta table back to the pinned version, undoing what a run that died had written."""
        from deltalake import DeltaTable

        for noun in schema.NOUNS:
            path = self.folder / noun.TABLE
            if not (path / "_delta_log").exists():
                continue
            table = DeltaTable(path)
            pin = self._pins.get(noun.TABLE, TablePin())
            if table.version() == pin.version:
                continue
            if pin.version < 0:
                table.delete()
            else:
                table.restore(pin.version)
            self._pins[noun.TABLE] = TablePin(DeltaTable(path).version(), pin.files, pin.rows, pin.content)

    def append(self, noun: type[schema.Row], rows: pa.Table) -> None:
        """Add a run's changes to a table; nothing happens for no rows. `rows` must have the noun's schema."""
        if not rows.num_rows:
            return
        expected = schema.arrow_schema(noun)
        rows = rows.select(expected.names).cast(expected)
        entry = self._write_file(noun, rows)
        version = self._commit(noun, expected, entry)
        pin = self._pins.get(noun.TABLE, TablePin())
        self._pins[noun.TABLE] = TablePin(version, (*pin.files, entry), pin.rows, pin.content)

    def pinned(self, *, parent: str | None, run: int, models: Mapping[str, str], override_sequence: int) -> Manifest:
        """The manifest of what the tables hold now, with row counts and content hashes."""
        with self.connect() as con:
            tables = {}
            for noun in schema.NOUNS:
                pin = self._pins.get(noun.TABLE, TablePin())
                if pin == self.manifest.tables.get(noun.TABLE):
                    tables[noun.TABLE] = pin
                    continue
                rows, content = content_hash(con, noun)
                tables[noun.TABLE] = TablePin(pin.version, pin.files, rows, content)
        return Manifest(run, parent, tables, models, override_sequence)

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection with each table as a view of its current rows, and `<table>_log` as all that was written."""
        con = duckdb.connect(":memory:")
        con.execute("SET TimeZone = 'UTC'")
        for noun in schema.NOUNS:
            self._create_views(con, noun)
        return con

    def current(self, noun: type[schema.Row], where: str = "true", columns: str = "*") -> pa.Table:
        """Current rows of one table. `where` and `columns` are SQL of ours, never a user's text."""
        with self.connect() as con:
            return con.sql(f"SELECT {columns} FROM {noun.TABLE} WHERE {where} ORDER BY {', '.join(noun.KEY)}").to_arrow_table()

    def verify(self) -> list[str]:
        """Compare every file of the manifest with its sha256; returns one sentence per fault, none when all is well."""
        faults = []
        for table, pin in sorted(self._pins.items()):
            for entry in pin.files:
                path = self.folder / table / entry.name
                if not path.exists():
                    faults.append(f"{table}/{entry.name} is missing")
                elif hashlib.sha256(path.read_bytes()).hexdigest() != entry.sha256:
                    faults.append(f"{table}/{entry.name} is not the file that was published (sha256 differs)")
        return faults

    def _create_views(self, con: duckdb.DuckDBPyConnection, noun: type[schema.Row]) -> None:
        files = [str(self.folder / noun.TABLE / entry.name) for entry in self._pins.get(noun.TABLE, TablePin()).files]
        if not files:
            con.register(f"{noun.TABLE}_log", schema.arrow_schema(noun).empty_table())
            con.execute(f"CREATE VIEW {noun.TABLE} AS SELECT * FROM {noun.TABLE}_log")
            return
        con.execute(f"CREATE VIEW {noun.TABLE}_log AS SELECT * FROM read_parquet([{', '.join(_quoted(file) for file in files)}])")
        if len(files) == 1:
            con.execute(f"CREATE VIEW {noun.TABLE} AS SELECT * FROM {noun.TABLE}_log WHERE NOT gone")
            return
        key = ", ".join(noun.KEY)
        con.execute(
            f"CREATE VIEW {noun.TABLE} AS SELECT log.* FROM {noun.TABLE}_log log "
            f"SEMI JOIN (SELECT {key}, max(run) AS run FROM {noun.TABLE}_log GROUP BY ALL) newest USING ({key}, run) WHERE NOT gone"
        )

    def _write_file(self, noun: type[schema.Row], rows: pa.Table) -> FileEntry:
        sink = io.BytesIO()
        pq.write_table(rows, sink, compression="zstd", compression_level=1, write_page_checksum=True, row_group_size=100_000)
        data = sink.getvalue()
        digest = hashlib.sha256(data).hexdigest()
        folder = self.folder / noun.TABLE
        folder.mkdir(parents=True, exist_ok=True)
        # Named by content: a run done again after a crash writes the same file again.
        name = f"part-{digest[:32]}.parquet"
        write_synced(folder / name, data)
        return FileEntry(name, digest, rows.num_rows, len(data))

    def _commit(self, noun: type[schema.Row], expected: pa.Schema, entry: FileEntry) -> int:
        from deltalake import DeltaTable
        from deltalake.transaction import AddAction

        path = self.folder / noun.TABLE
        if not (path / "_delta_log").exists():
            DeltaTable.create(path, expected, name=noun.TABLE, description=(noun.__doc__ or "").strip().split("\n")[0])
        table = DeltaTable(path)
        stats = json.dumps({"numRecords": entry.rows})
        action = AddAction(entry.name, entry.bytes, {}, int(time.time() * 1000), True, stats)
        table.create_write_transaction([action], "append", expected)
        return DeltaTable(path).version()


def content_hash(con: duckdb.DuckDBPyConnection, noun: type[schema.Row]) -> tuple[int, str]:
    """Row count and an order-independent hash of a table's current rows (sum of row hashes; Bellare and Micciancio 1997)."""
    columns = [column for column in schema.arrow_schema(noun).names if column not in schema.NOT_CONTENT]
    row = " || chr(31) || ".join(f"coalesce({column}::VARCHAR, chr(30))" for column in columns)
    found = con.execute(f"SELECT count(*), sum(md5_number_lower(r)), sum(md5_number_upper(r)) FROM (SELECT {row} AS r FROM {noun.TABLE})").fetchone()
    rows, low, high = found or (0, 0, 0)
    return rows, f"{int(high or 0) % 2**64:016x}{int(low or 0) % 2**64:016x}"


def write_synced(path: Path, data: bytes) -> None:
    """Write a file so that it is either whole under its name or not there: temporary name, fsync, rename, fsync the folder."""
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise Problem(f"could not write {path.name}: {error.strerror}", where=str(path.parent), todo="free space or mend the folder, then run again") from None
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def empty(noun: type[Any]) -> pa.Table:
    """No rows of a noun."""
    return schema.arrow_schema(noun).empty_table()


def table_of(noun: type[Any], rows: list[Any]) -> pa.Table:
    """Rows (instances of the noun) as an Arrow table of its schema."""
    return pa.Table.from_pylist([asdict(row) for row in rows], schema=schema.arrow_schema(noun))
