"""Parquet: one record a row, page checksums verified where the file has them."""

from __future__ import annotations

import datetime
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from endcap.feeds.jsontext import decode_object
from endcap.feeds.record import ASK_AGAIN, CHUNK_RECORDS, Chunk, Header, Options, Unreadable, chunks
from endcap.feeds.values import shown

OPTIONS: dict[str, str] = {}
KINDS = frozenset({"parquet"})


def split(stream: BinaryIO, options: Options) -> Iterator[Chunk]:
    """Each row written out as JSON of text. Memory is bounded by one batch of rows, plus the file where it is packed.

    Raises Unreadable when the file is no Parquet or a page fails its checksum.
    """
    source = stream if stream.seekable() else io.BytesIO(stream.read())
    try:
        file = pq.ParquetFile(source, page_checksum_verification=True)
        yield from chunks(Header(tuple(file.schema_arrow.names)), _rows(file))
    except (pa.ArrowException, OSError) as error:
        raise Unreadable("broken_parquet", f"it is not a whole Parquet file: {shown(str(error), 120)}", ASK_AGAIN) from None


def decode(raw: bytes, header: Header, options: Options) -> dict[str, Any]:
    """One row as nested text."""
    return decode_object(raw)


def _rows(file: pq.ParquetFile) -> Iterator[bytes]:
    for batch in file.iter_batches(CHUNK_RECORDS):
        for row in batch.to_pylist():
            yield msgspec.json.encode({name: _text(value) for name, value in row.items()})


def _text(value: Any) -> Any:
    """A cell as text: numbers in full, without an exponent; times in ISO form."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(name): _text(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_text(item) for item in value]
    return str(value)


def _number(value: float) -> str | None:
    if value != value:
        return None
    if value in (float("inf"), float("-inf")):
        return str(value)
    return format(Decimal(repr(value)), "f").removesuffix(".0")


def _sample(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


CASES: list[tuple[bytes, Options, list[dict[str, Any] | str]]] = [
    (
        _sample(id=pa.array([1, 4058172178481]), price=pa.array([9.9, None]), ean=pa.array([4058172178481.0, 0.1]), ok=pa.array([True, False])),
        {},
        [{"id": "1", "price": "9.9", "ean": "4058172178481", "ok": "true"}, {"id": "4058172178481", "price": None, "ean": "0.1", "ok": "false"}],
    ),
    (
        _sample(tags=pa.array([["a", "b"]]), at=pa.array([datetime.date(2024, 1, 2)]), d=pa.array([Decimal("1.50")]), s=pa.array([{"x": 1}])),
        {},
        [{"tags": ["a", "b"], "at": "2024-01-02", "d": "1.50", "s": {"x": "1"}}],
    ),
    (_sample(id=pa.array([], pa.int64())), {}, []),
]
BROKEN: list[tuple[bytes, Options, str]] = [
    (b"PAR1 and then nothing", {}, "broken_parquet"),
    (_sample(id=pa.array([1, 2, 3]))[:-20], {}, "broken_parquet"),
]
