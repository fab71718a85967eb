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
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from endcap import schema
from endcap.problems import BadInput, Problem

MANIFEST_FORMAT = 1


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One data file of a table: its name in the table's folder, sha256, rows, size, and the run that wrote it."""

    name: str
    sha256: str
    rows: int
    bytes: int
    run: int


@dataclass(frozen=True, slots=True)
class TablePin:
    """One table at one version: the Delta version, the files that make it up, oldest first, its current rows and their content hash."""

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
        return json.dumps({"format": MANIFEST_FORMAT, **asdict(self)}, sort_keys=True, indent=1)

    @staticmethod
    def from_json(text: str) -> Manifest:
        """Read what `to_json` wrote. Raises BadInput for another format."""
        given = json.loads(text)
        if given.pop("format", None) != MANIFEST_FORMAT:
            raise BadInput("the catalog was written by another version of endcap", where="manifest", todo="use that version, or run into a new --home")
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
        """Add one run's changes to a table; nothing happens for no rows. `rows` must have the noun's schema, and keys no earlier file of the run has."""
        if not rows.num_rows:
            return
        expected = schema.arrow_schema(noun)
        rows = rows.select(expected.names).cast(expected)
        entry = self._write_file(noun, rows)
        version = self._commit(noun, expected, entry)
        pin = self._pins.get(noun.TABLE, TablePin())
        self._pins[noun.TABLE] = TablePin(version, (*pin.files, entry), pin.rows, pin.content)

    def pinned(self, *, parent: str | None, run: int, models: Mapping[str, str], override_sequence: int) -> Manifest:
        """The manifest of what the tables hold now; row counts and content hashes are carried on from the last manifest by what was added since."""
        tables = {}
        with _opened() as con:
            for noun in schema.NOUNS:
                pin, before = self._pins.get(noun.TABLE, TablePin()), self.manifest.tables.get(noun.TABLE, TablePin())
                rows, content = pin.rows, pin.content
                if pin.files != before.files:
                    added = [self._path(noun, entry) for entry in pin.files[len(before.files) :]]
                    rows, content = carried_content(con, noun, added, [self._path(noun, entry) for entry in before.files], before)
                tables[noun.TABLE] = TablePin(pin.version, pin.files, rows, content)
        return Manifest(run, parent, tables, models, override_sequence)

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection with each table as a view of its current rows, `<table>_last` with gone ones too, and `<table>_log` as all that was written."""
        con = _opened()
        for noun in schema.NOUNS:
            self._create_views(con, noun)
        return con

    def current(self, noun: type[schema.Row], where: str = "true", columns: str = "*") -> pa.Table:
        """Current rows of one table. `where` and `columns` are SQL of ours, which names no other table, and never a user's text."""
        with _opened() as con:
            self._create_views(con, noun)
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

    def _path(self, noun: type[schema.Row], entry: FileEntry) -> str:
        return str(self.folder / noun.TABLE / entry.name)

    def _create_views(self, con: duckdb.DuckDBPyConnection, noun: type[schema.Row]) -> None:
        files = self._pins.get(noun.TABLE, TablePin()).files
        if not files:
            con.register(f"{noun.TABLE}_log", schema.arrow_schema(noun).empty_table())
            con.execute(f"CREATE VIEW {noun.TABLE}_last AS SELECT * FROM {noun.TABLE}_log")
            con.execute(f"CREATE VIEW {noun.TABLE} AS SELECT * FROM {noun.TABLE}_log")
            return
        con.execute(f"CREATE VIEW {noun.TABLE}_log AS SELECT * FROM {_scan(self._path(noun, entry) for entry in files)}")
        first = [self._path(noun, entry) for entry in files if entry.run == files[0].run]
        later = [self._path(noun, entry) for entry in files if entry.run != files[0].run]
        con.execute(f"CREATE VIEW {noun.TABLE}_last AS {_last(noun, first, later)}")
        con.execute(f"CREATE VIEW {noun.TABLE} AS SELECT * FROM {noun.TABLE}_last WHERE NOT gone")

    def _write_file(self, noun: type[schema.Row], rows: pa.Table) -> FileEntry:
        sink = io.BytesIO()
        pq.write_table(rows, sink, compression="zstd", compression_level=1, write_page_checksum=True, row_group_size=100_000)
        data = sink.getvalue()
        digest = hashlib.sha256(data).hexdigest()
        folder = self.folder / noun.TABLE
        # Named by content: a run done again after a crash writes the same file again.
        name = f"part-{digest[:32]}.parquet"
        write_synced(folder / name, data)
        return FileEntry(name, digest, rows.num_rows, len(data), rows["run"][0].as_py())

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


def carried_content(con: duckdb.DuckDBPyConnection, noun: type[schema.Row], added: Sequence[str], before: Sequence[str], pin: TablePin) -> tuple[int, str]:
    """Row count and content hash after files were added: what they replace is subtracted, what they bring is added.

    The hash is the sum of row hashes (AdHash; Bellare and Micciancio 1997), so it depends neither on order nor on history.
    """
    key = ", ".join(noun.KEY)
    new_rows, new_low, new_high = _sums(con, noun, f"SELECT * FROM {_scan(added)} WHERE NOT gone")
    old_rows, old_low, old_high = 0, 0, 0
    if before:
        replaced = f"SELECT * FROM {_scan(before)} SEMI JOIN (SELECT {key} FROM {_scan(added)}) USING ({key})"
        newest = f"SELECT * FROM ({replaced}) QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY run DESC) = 1"
        old_rows, old_low, old_high = _sums(con, noun, f"SELECT * FROM ({newest}) WHERE NOT gone")
    low, high = int(pin.content[16:] or "0", 16), int(pin.content[:16] or "0", 16)
    return pin.rows + new_rows - old_rows, f"{(high + new_high - old_high) % 2**64:016x}{(low + new_low - old_low) % 2**64:016x}"


def full_content(con: duckdb.DuckDBPyConnection, noun: type[schema.Row]) -> tuple[int, str]:
    """Row count and content hash of a table's current rows, from nothing; equals what was carried on from run to run."""
    rows, low, high = _sums(con, noun, f"SELECT * FROM {noun.TABLE}")
    return rows, f"{high % 2**64:016x}{low % 2**64:016x}" if rows else ""


def differing(con: duckdb.DuckDBPyConnection, noun: type[schema.Row], rows: pa.Table, stands: str = "", *, but_for: Sequence[str] = ()) -> pa.Table:
    """Of rows to be written those that change what `con` shows in the noun's table (or in the table `stands`), in their order.

    Rows that differ in the columns `but_for` alone change nothing.
    """
    stands = stands or noun.TABLE
    if not rows.num_rows or not con.execute(f"SELECT 1 FROM {stands} LIMIT 1").fetchall():
        return rows
    key = [f"r.{name} = s.{name}" for name in noun.KEY]
    same = [f"r.{name} IS NOT DISTINCT FROM s.{name}" for name in schema.arrow_schema(noun).names if name not in (*noun.KEY, "run", *but_for)]
    con.register("to_be_written", rows.append_column("place", pa.array(range(rows.num_rows), pa.int64())))
    places = con.sql(f"SELECT r.place FROM to_be_written r ANTI JOIN {stands} s ON {' AND '.join(key + same)} ORDER BY r.place").to_arrow_table()["place"]
    con.unregister("to_be_written")
    return rows if len(places) == rows.num_rows else rows.take(places.combine_chunks())


def ended_rows(con: duckdb.DuckDBPyConnection, noun: type[schema.Row], fresh: pa.Table, offer_ids: pa.Array, run: int) -> pa.Table:
    """Gone rows for what was held of these offers and was not found again."""
    con.register("fresh", fresh.select(list(noun.KEY)))
    con.register("of_offers", pa.table({"offer_id": offer_ids}))
    key = ", ".join(noun.KEY)
    query = f"SELECT * REPLACE ({run} AS run, true AS gone) FROM {noun.TABLE} SEMI JOIN of_offers USING (offer_id) ANTI JOIN fresh USING ({key}) ORDER BY {key}"
    return con.sql(query).to_arrow_table().cast(schema.arrow_schema(noun))


def _sums(con: duckdb.DuckDBPyConnection, noun: type[schema.Row], query: str) -> tuple[int, int, int]:
    columns = [column for column in schema.arrow_schema(noun).names if column not in schema.NOT_CONTENT]
    row = " || chr(31) || ".join(f'coalesce("{column}"::VARCHAR, chr(30))' for column in columns)
    found = con.execute(f"SELECT count(*), sum(md5_number_lower(r)), sum(md5_number_upper(r)) FROM (SELECT {row} AS r FROM ({query}))").fetchone()
    rows, low, high = found or (0, 0, 0)
    return rows, int(low or 0), int(high or 0)


def _scan(files: Iterable[str]) -> str:
    return f"read_parquet([{', '.join(_quoted(file) for file in files)}])"


def _last(noun: type[schema.Row], first: Sequence[str], later: Sequence[str]) -> str:
    """SQL of the newest row of each key. The first load is large and later changes are few: it is read past the keys they name."""
    if not later:
        return f"SELECT * FROM {_scan(first)}"
    key = ", ".join(noun.KEY)
    return (
        f"SELECT base.* FROM {_scan(first)} base ANTI JOIN (SELECT {key} FROM {_scan(later)}) USING ({key}) "
        f"UNION ALL SELECT log.* FROM {_scan(later)} log SEMI JOIN (SELECT {key}, max(run) AS run FROM {_scan(later)} GROUP BY ALL) newest USING ({key}, run)"
    )


def write_synced(path: Path, data: bytes) -> None:
    """Write a file so that it is either whole under its name or not there: temporary name, fsync, rename, fsync the folder."""
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise Problem(f"could not write {path.name}: {error.strerror}", where=str(path.parent), todo="free space or mend the folder, then run again") from None
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _opened() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(":memory:")
    con.execute("SET TimeZone = 'UTC'")
    return con


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def empty(noun: type[Any]) -> pa.Table:
    """No rows of a noun."""
    return schema.arrow_schema(noun).empty_table()


def table_of(noun: type[Any], rows: list[Any]) -> pa.Table:
    """Rows (instances of the noun) as an Arrow table of its schema."""
    return pa.Table.from_pylist([asdict(row) for row in rows], schema=schema.arrow_schema(noun))
