"""The part of reading in which records are independent of each other: raw records in, offer content or quarantine reasons out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any

import pyarrow as pa

from endcap import shelf
from endcap.feeds.mapping import CONTENT, Mapping, identity_hash
from endcap.feeds.record import BadRecord, Chunk, Header
from endcap.schema import Offer, arrow_schema
from endcap.settings import Feed

# Raise this when the same bytes and mapping give other content than before, so that they are read anew.
VERSION = 1
_RAW: list[Any] = [("position", pa.int64()), ("raw_hash", pa.int64()), ("raw", pa.binary())]
RAW_SCHEMA = pa.schema(_RAW)
_OFFER = arrow_schema(Offer)
# One row a record: either the content, or raw bytes, code and reason (then the content is null, but for the id where it could be read).
DECODED_SCHEMA = pa.schema(
    [
        *[RAW_SCHEMA.field(name) for name in RAW_SCHEMA.names],
        pa.field("code", pa.string()),
        pa.field("reason", pa.string()),
        *[_OFFER.field(name).with_nullable(True) for name in CONTENT],
        pa.field("identity_hash", pa.int64()),
        pa.field("gtin_refused", pa.string()),
    ]
)
NOTHING = [None] * len(CONTENT)


def mapping_salt(feed: Feed, supplier: str, header: Header) -> bytes:
    """16 bytes that stand for all that decides what a record's bytes mean: mapping, contract, format, header and this code's version."""
    plain = feed.model_dump(mode="json", include={"format", "options", "numbers", "fields", "require"})
    meaning = json.dumps([VERSION, supplier, plain, header.columns, header.encoding], sort_keys=True).encode()
    return blake2b(meaning + b"\0" + header.raw, digest_size=16).digest()


def raw_hashes(chunk: Chunk, salt: bytes) -> list[int]:
    """Signed 64-bit hashes of a chunk's records."""
    return [int.from_bytes(blake2b(raw, digest_size=8, salt=salt).digest(), "little", signed=True) for raw in chunk.records]


def decoder(feed: Feed, header: Header) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """A function from a batch of RAW_SCHEMA to one of DECODED_SCHEMA, made of plain data so that any engine can send it to a worker."""
    return partial(decode_batch, feed_json=feed.model_dump_json(exclude_defaults=True), columns=header.columns, encoding=header.encoding)


def decode_batch(batch: pa.RecordBatch, *, feed_json: str, columns: Sequence[str], encoding: str) -> pa.RecordBatch:
    """Decode and map each record; the same rows in the same order come out."""
    decode, mapping = _compiled(feed_json, tuple(columns), encoding)
    raws: list[Any] = batch.column("raw").to_pylist()
    rows = [_decoded(raw, decode, mapping) for raw in raws]
    listed: list[Any] = list(zip(*rows, strict=True)) if rows else [[] for _ in DECODED_SCHEMA.names[2:]]
    arrays = [pa.array(values, field.type) for values, field in zip(listed, list(DECODED_SCHEMA)[2:], strict=True)]
    return pa.RecordBatch.from_arrays([batch.column("position"), batch.column("raw_hash"), *arrays], schema=DECODED_SCHEMA)


def _decoded(raw: bytes, decode: Callable[[bytes], dict[str, Any]], mapping: Mapping) -> tuple[Any, ...]:
    """The columns of DECODED_SCHEMA from `raw` on."""
    source_id = None
    try:
        record = decode(raw)
        source_id = mapping.source_id(record)
        content, refused = mapping.offer(record)
    except BadRecord as bad:
        return (raw, bad.code, bad.reason, source_id, *NOTHING[1:], None, None)
    return (None, None, None, *content, identity_hash(content), refused)


@lru_cache(maxsize=64)
def _compiled(feed_json: str, columns: tuple[str, ...], encoding: str) -> tuple[Callable[[bytes], dict[str, Any]], Mapping]:
    feed = Feed.model_validate_json(feed_json)
    read, header, options = shelf.component("formats", feed.format).decode, Header(columns, b"", encoding), dict(feed.options)
    return lambda raw: read(raw, header, options), Mapping(feed, columns)


def batches(chunks: Iterator[tuple[Chunk, list[int], list[int]]], batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Bundle the chosen records of chunks (chunk, hashes, indexes of the chosen) into batches of RAW_SCHEMA of `batch_rows`."""
    positions: list[int] = []
    hashes: list[int] = []
    raws: list[bytes] = []
    for chunk, chunk_hashes, chosen in chunks:
        positions += [chunk.positions[index] for index in chosen]
        hashes += [chunk_hashes[index] for index in chosen]
        raws += [chunk.records[index] for index in chosen]
        while len(raws) >= batch_rows:
            yield _raw_batch(positions[:batch_rows], hashes[:batch_rows], raws[:batch_rows])
            del positions[:batch_rows], hashes[:batch_rows], raws[:batch_rows]
    if raws:
        yield _raw_batch(positions, hashes, raws)


def _raw_batch(positions: list[int], hashes: list[int], raws: list[bytes]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(positions, pa.int64()), pa.array(hashes, pa.int64()), pa.array(raws, pa.binary())], schema=RAW_SCHEMA)
