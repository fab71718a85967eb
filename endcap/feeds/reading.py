"""Reading one delivery: every record becomes an offer or is quarantined; only what changed is decoded and handed on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from endcap import engine as engines
from endcap import shelf
from endcap.feeds import contract, guard, notices
from endcap.feeds.decoding import DECODED_SCHEMA, batches, decoder, mapping_salt, raw_hashes
from endcap.feeds.opening import opened, sha256_of
from endcap.feeds.record import ASK_AGAIN, Chunk, Cut, Header, Unreadable
from endcap.feeds.sorting import Known, Sorted, sort_records
from endcap.problems import BadInput
from endcap.schema import Delivery, Offer, Quarantined, arrow_schema
from endcap.settings import Feed

SAMPLES = 20
COUNTS = ("read", "accepted", "quarantined", "repeated", "offers", "new", "changed", "unchanged", "vanished")


@dataclass(frozen=True)
class Reading:
    """What became of one delivery: its row, the offers that are new, changed or vanished (gone), and the quarantined records."""

    delivery: Delivery
    offers: pa.Table
    quarantined: pa.Table


@dataclass
class Read:
    """The records of a delivery before they are told apart: hashes and positions of all, the unreadable, the decoded."""

    header: Header = field(default_factory=Header)
    hashes: list[np.ndarray] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    decoded: pa.Table = field(default_factory=DECODED_SCHEMA.empty_table)
    first_records: list[bytes] = field(default_factory=list)


def read_delivery(
    name: str, feed: Feed, file: Path, date: str, known: pa.Table, *,
    run: int, released: bool = False, engine: str = "local", cores: int = 0, batch_rows: int = 10_000,
) -> Reading:  # fmt: skip
    """Read the delivery of `name` that lies in `file` and stands for the ISO `date`.

    `known` holds the feed's current Offer rows, gone ones included. A delivery over a budget of `feed.guards` comes back held,
    with the reason in words and no offers; `released` lifts the budgets that compare shares. Raises BadInput when the file is missing,
    and on a first delivery when it cannot be read or the mapping names columns that it does not have.
    """
    if not file.is_file():
        todo = f"put the file there, or correct feeds.{name}.file"
        raise BadInput(f"{name} has no delivery of {date}: there is no file {file.name}", where=str(file.parent), todo=todo)
    arrival = _Arrival(name, feed, file, date, run)
    before = Known(known)
    try:
        read = _read(arrival, before, engine, cores, batch_rows)
        result = sort_records(read.hashes, read.positions, read.cuts, read.decoded, before)
        if not result.read:
            raise Unreadable("no_records", "it has a header but no records" if read.header.columns else "it has no records", ASK_AGAIN)
        missing = contract.missing_paths(feed, read.header, read.first_records, result, first=not before.has_offers)
    except Unreadable as bad:
        return _unreadable(arrival, bad, before)
    if missing and not before.has_offers:
        raise BadInput(f"{name}: {'; '.join(missing)}", where=str(file), todo="correct the mapping in the settings")
    reasons = missing if before.has_offers else []
    reasons = reasons + guard.exceeded(name, feed, before, result, released=released)
    return _reading(arrival, result, before, reasons)


@dataclass(frozen=True)
class _Arrival:
    """What is known of a delivery before it is read."""

    name: str
    feed: Feed
    file: Path
    date: str
    run: int

    @property
    def supplier(self) -> str:
        return self.feed.supplier or self.name

    @property
    def delivery_id(self) -> str:
        return f"{self.name}@{self.date}"


def _read(arrival: _Arrival, before: Known, engine: str, cores: int, batch_rows: int) -> Read:
    """Cut, hash and look up every record; decode those whose hash is not known and not seen before in this delivery."""
    feed = arrival.feed
    component = shelf.component("formats", feed.format)
    contract.check_options(arrival.name, feed, component)
    read = Read()
    with opened(arrival.file, component.KINDS, feed.format, feed.guards.max_mbytes) as stream:
        chunks = component.split(stream, dict(feed.options))
        first = next(chunks, Chunk(Header()))
        read.header, read.first_records = first.header, first.records[: contract.SAMPLE_RECORDS]
        contract.check_header(arrival.name, feed, first.header, arrival.file, first_delivery=not before.has_offers)
        unknown = _unknown(arrival, first, chunks, before, read)
        results = list(engines.run(engine, decoder(feed, first.header), batches(unknown, batch_rows), cores=cores))
    read.decoded = pa.Table.from_batches(results, DECODED_SCHEMA)
    return read


def _unknown(arrival: _Arrival, first: Chunk, rest: Iterator[Chunk], before: Known, read: Read) -> Iterator[tuple[Chunk, list[int], list[int]]]:
    """Chunks with the hashes of their records and the indexes of those that must be decoded; notes all in `read` on the way."""
    salt = mapping_salt(arrival.feed, arrival.supplier, first.header)
    seen: set[int] = set()
    chunk: Chunk | None = first
    while chunk is not None:
        hashes = raw_hashes(chunk, salt)
        array = np.array(hashes, dtype=np.int64)
        read.hashes.append(array)
        read.positions.append(np.array(chunk.positions, dtype=np.int64))
        read.cuts += chunk.unreadable
        chosen = []
        for index in np.flatnonzero(before.rows_of_hashes(array) < 0).tolist():
            if hashes[index] not in seen:
                seen.add(hashes[index])
                chosen.append(index)
        yield chunk, hashes, chosen
        chunk = next(rest, None)


def _reading(arrival: _Arrival, result: Sorted, before: Known, reasons: list[str]) -> Reading:
    held = "; ".join(reasons)
    if held:
        release = f"release with `endcap release {arrival.name} {arrival.date} --reason ...`"
        todo = release if result.counts()["offers"] else "correct the feed's settings or ask the supplier what changed"
        held = f"{arrival.name} delivered {result.read:,} records but {held}; {todo}"
    offers = arrow_schema(Offer).empty_table() if held else result.offers(before, _stamp(arrival))
    raws = _raws_at(arrival, set(result.duplicate_positions()))
    quarantined = result.quarantined_table(arrival.delivery_id, arrival.name, arrival.run, raws)
    delivery = _delivery(arrival, held, result, notices.notices(arrival.feed, before, result))
    return Reading(delivery, offers, quarantined.slice(0, SAMPLES) if held else quarantined)


def _raws_at(arrival: _Arrival, positions: set[int]) -> dict[int, bytes]:
    """Raw bytes of records by position, cut anew: rare enough not to hold every record's bytes until all are told apart."""
    if not positions:
        return {}
    component = shelf.component("formats", arrival.feed.format)
    found: dict[int, bytes] = {}
    with opened(arrival.file, component.KINDS, arrival.feed.format, arrival.feed.guards.max_mbytes) as stream:
        for chunk in component.split(stream, dict(arrival.feed.options)):
            found |= {position: raw for position, raw in zip(chunk.positions, chunk.records, strict=True) if position in positions}
            if len(found) == len(positions):
                break
    return found


def _stamp(arrival: _Arrival) -> dict[str, str | int]:
    return {"feed": arrival.name, "supplier": arrival.supplier, "delivery_id": arrival.delivery_id, "run": arrival.run}


def _delivery(arrival: _Arrival, held: str, result: Sorted | None, warnings: list[str] | None = None) -> Delivery:
    counts = result.counts() if result else dict.fromkeys(COUNTS, 0)
    return Delivery(
        delivery_id=arrival.delivery_id, feed=arrival.name, supplier=arrival.supplier, date=arrival.date,
        file=arrival.feed.file.replace("{date}", arrival.date), sha256=sha256_of(arrival.file),
        state="held" if held else "accepted", reason=held, warnings=warnings or [], run=arrival.run, gone=False, **counts,
    )  # fmt: skip


def _unreadable(arrival: _Arrival, bad: Unreadable, before: Known) -> Reading:
    """On a live feed the delivery is held and the last good version stays; on a first one it is the caller's mistake."""
    if not before.has_offers:
        raise BadInput(f"{arrival.name}: the delivery cannot be read: {bad.reason}", where=str(arrival.file), todo=bad.todo) from None
    reason = f"{arrival.name} of {arrival.date} cannot be read: {bad.reason}; the last good version stays; {bad.todo}"
    return Reading(_delivery(arrival, reason, None), arrow_schema(Offer).empty_table(), arrow_schema(Quarantined).empty_table())
