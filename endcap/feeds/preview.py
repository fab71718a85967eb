"""What letting a held delivery through would do: counts by kind and a few of the offers that would change, read anew from its file."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

import pyarrow as pa
from pyarrow import compute

from endcap import schema
from endcap.feeds.arrivals import file_of
from endcap.feeds.mapping import CONTENT
from endcap.feeds.opening import sha256_of
from endcap.feeds.reading import read_delivery
from endcap.ops.home import Home
from endcap.problems import BadInput

KINDS = ("vanished", "changed", "new")
MOST_SAMPLES = 10
LOOKED_AT = 60
SHOWN_LETTERS = 200
pc: Any = compute  # its type stubs know neither chunked arrays nor plain values


@dataclass(frozen=True, slots=True)
class Sample:
    """One offer that would vanish, change or come: of a changed one the fields that say something else, before and after."""

    kind: str
    offer_id: str
    title: str
    changes: list[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a held delivery would do to the offers that are served."""

    feed: str
    date: str
    counts: dict[str, int]  # KINDS -> how many offers
    samples: list[Sample]


def held_row(home: Home, feed: str, date: str) -> dict[str, Any]:
    """The row of a held delivery. Raises BadInput where no such delivery is held."""
    rows = [row for row in home.lake().current(schema.Delivery).to_pylist() if row["feed"] == feed and row["state"] == "held"]
    found = next((row for row in rows if row["date"] == date), None)
    if found is None:
        others = ", ".join(sorted(row["date"] for row in rows)) or "none"
        raise BadInput(f"no delivery {feed} {date} is held", where=f"feeds.{feed}", todo=f"held ones: {others}")
    return found


def preview(home: Home, feed: str, date: str) -> Preview:
    """What the held delivery would change; nothing is written. Raises BadInput where it is not held, or its file is gone or another one by now."""
    row, settings = held_row(home, feed, date), home.catalog.feeds.get(feed)
    file = file_of(home.catalog, feed, date) if settings else None
    if settings is None or file is None:
        raise BadInput(f"the file of {feed} {date} is not in the inbox any more", where=row["file"], todo="put it back, or leave the delivery held")
    if sha256_of(file) != row["sha256"]:
        raise BadInput(f"the file of {feed} {date} is not the one that was held", where=row["file"], todo="run `endcap run`, which reads it")
    with home.lake().connect() as con:
        known = con.sql("SELECT * FROM offers_last WHERE feed = ? ORDER BY offer_id", params=[feed]).to_arrow_table().cast(schema.arrow_schema(schema.Offer))
    read = read_delivery(feed, settings, file, date, known, run=0, released=True, cores=1)
    counts = {kind: int(getattr(read.delivery, kind)) for kind in KINDS}
    return Preview(feed, date, counts, _samples(read.offers, known))


def _samples(after: pa.Table, known: pa.Table) -> list[Sample]:
    """At most MOST_SAMPLES, of each kind in turn, from over the whole delivery; only those that are looked at are read whole."""
    live = known.filter(pc.invert(known["gone"]))
    gone, before = after["gone"], pc.is_in(after["offer_id"], value_set=live["offer_id"].combine_chunks())
    of_kind = {"vanished": gone, "changed": pc.and_(before, pc.invert(gone)), "new": pc.invert(pc.or_(before, gone))}
    picked = []
    for kind in KINDS:
        rows = after.take(_spread(pc.indices_nonzero(of_kind[kind]))).to_pylist()
        was = {
            row["offer_id"]: row
            for row in live.filter(pc.is_in(live["offer_id"], value_set=pa.array([row["offer_id"] for row in rows], pa.string()))).to_pylist()
        }
        samples = (Sample(kind, row["offer_id"], row["title"], _changes(was[row["offer_id"]], row) if kind == "changed" else []) for row in rows)
        picked.append([one for one in samples if one.changes or kind != "changed"])  # of some the bytes alone changed
    return [one for one in chain.from_iterable(zip_longest(*picked)) if one is not None][:MOST_SAMPLES]


def _spread(places: Any) -> Any:
    """At most LOOKED_AT of them, evenly."""
    return places.take(pa.array(range(0, len(places), max(1, -(-len(places) // LOOKED_AT))), pa.int64()))


def _changes(was: dict[str, Any], now: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(label, _words(was[name]), _words(now[name])) for name, label in CONTENT.items() if was[name] != now[name]]


def _words(value: Any) -> str:
    return "" if value is None else str(value)[:SHOWN_LETTERS]
