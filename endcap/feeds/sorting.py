"""Telling the records of a delivery apart: new, changed, unchanged, repeated, quarantined, and the known offers that vanished."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import compute

from endcap.feeds.mapping import CONTENT
from endcap.feeds.record import Cut
from endcap.schema import Offer, Quarantined, arrow_schema

IntArray = np.ndarray[tuple[int], np.dtype[np.int64]]
DUPLICATE_ID = "duplicate_id"
pc: Any = compute  # its type stubs know neither chunked arrays nor plain values
NONE = np.array([], dtype=np.int64)


class Known:
    """The feed's offers before this delivery, gone ones included."""

    def __init__(self, offers: pa.Table) -> None:
        self.offers = offers.combine_chunks()
        self.live = ~_numpy(self.offers["gone"]) if len(offers) else np.array([], dtype=bool)
        self.live_count = int(self.live.sum())
        self.identity = _numpy(self.offers["identity_hash"])
        hashes = _numpy(self.offers["raw_hash"])
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    @property
    def has_offers(self) -> bool:
        """Whether the feed was ever accepted."""
        return len(self.offers) > 0

    def rows_of_hashes(self, hashes: IntArray) -> IntArray:
        """The row of each raw hash, -1 where it is not known."""
        if not len(self._hashes):
            return np.full(len(hashes), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        return np.where(self._hashes[at] == hashes, self._order[at], -1)

    def rows_of_ids(self, source_ids: Any) -> IntArray:
        """The row of each source id, -1 where it is not known (or null)."""
        return _index_in(source_ids, self.offers["source_id"])


@dataclass
class Sorted:
    """A delivery's records told apart. Rows of `decoded` and of the known offers are named by their index."""

    decoded: pa.Table
    cuts: list[Cut]
    read: int
    new: IntArray  # decoded rows
    changed: IntArray  # decoded rows
    changed_from: IntArray  # the known row of each changed one
    same: IntArray  # known live rows that hold as they are
    refreshed: IntArray  # decoded rows that say in other bytes what a known live row says
    refreshed_from: IntArray  # those known rows, all of them in `same` too
    revived: IntArray  # known gone rows whose bytes came back
    revived_positions: IntArray
    vanished: IntArray  # known live rows
    kept: IntArray  # known live rows whose new record is quarantined: their last good version stays
    bad: IntArray  # decoded rows to quarantine, one an occurrence
    bad_positions: IntArray
    duplicate_ids: frozenset[int]  # decoded rows among `bad` that say another thing under an id already taken
    repeated: int

    def counts(self) -> dict[str, int]:
        """The counts of schema.Delivery."""
        quarantined = len(self.bad) + len(self.cuts)
        new, offers = len(self.new) + len(self.revived), len(self.new) + len(self.revived) + len(self.changed) + len(self.same)
        return {
            "read": self.read, "accepted": self.read - quarantined, "quarantined": quarantined, "repeated": self.repeated, "offers": offers,
            "new": new, "changed": len(self.changed), "unchanged": len(self.same), "vanished": len(self.vanished),
        }  # fmt: skip

    def codes(self) -> list[tuple[str, int]]:
        """Reason codes of the quarantined with their counts, the most frequent first."""
        codes = self.decoded["code"].take(self.bad).to_pylist() + [cut.code for cut in self.cuts]
        return sorted(Counter(code or DUPLICATE_ID for code in codes).items(), key=lambda one: (-one[1], one[0]))

    def offers(self, before: Known, stamp: dict[str, str | int]) -> pa.Table:
        """New, changed and vanished offers as rows of schema.Offer, and those whose bytes alone changed; ordered by offer id.

        The last are written with the new hash, so that the next delivery need not decode them again; what they claim is as it was.
        """
        fresh = _fresh_offers(self.decoded.take(np.sort(np.concatenate([self.new, self.changed]))), stamp)
        back = _with(before.offers.take(self.revived), position=self.revived_positions, delivery_id=stamp["delivery_id"], run=stamp["run"], gone=False)
        vanished = _with(before.offers.take(self.vanished), run=stamp["run"], gone=True)
        address = {name: _numpy(self.decoded[name].take(self.refreshed)) for name in ("position", "raw_hash")}
        rehashed = _with(before.offers.take(self.refreshed_from), **address, delivery_id=stamp["delivery_id"], run=stamp["run"])
        return pa.concat_tables([fresh, back, vanished, rehashed]).sort_by("offer_id").combine_chunks()

    def duplicate_positions(self) -> list[int]:
        """Positions of the records whose id was taken: their raw bytes were not kept while reading."""
        return [position for row, position in zip(self.bad.tolist(), self.bad_positions.tolist(), strict=True) if row in self.duplicate_ids]

    def quarantined_table(self, delivery_id: str, feed: str, run: int, raws: dict[int, bytes]) -> pa.Table:
        """Quarantined records as rows of schema.Quarantined, ordered by position; `raws` by position for `duplicate_positions`."""
        bad = self.decoded.take(self.bad)
        reasons = [
            (DUPLICATE_ID, f"another record has the id {source_id!r} and says something else") if row in self.duplicate_ids else (code, reason)
            for row, source_id, code, reason in zip(self.bad.tolist(), *(bad[name].to_pylist() for name in ("source_id", "code", "reason")), strict=True)
        ]
        rows = [
            (position, raw if raw is not None else raws[position], code, reason)
            for position, raw, (code, reason) in zip(self.bad_positions.tolist(), bad["raw"].to_pylist(), reasons, strict=True)
        ] + [(cut.position, cut.raw, cut.code, cut.reason) for cut in self.cuts]
        rows.sort(key=lambda row: row[0])
        made: dict[str, Any] = {"position": [r[0] for r in rows], "raw": [r[1] for r in rows], "code": [r[2] for r in rows], "reason": [r[3] for r in rows]}
        schema, same = arrow_schema(Quarantined), {"delivery_id": delivery_id, "feed": feed, "run": run, "gone": False}
        columns = [pa.array(made[f.name], f.type) if f.name in made else _constant(same[f.name], len(rows), f.type) for f in schema]
        return pa.Table.from_arrays(columns, schema=schema)


def sort_records(hashes: list[IntArray], positions: list[IntArray], cuts: list[Cut], decoded: pa.Table, before: Known) -> Sorted:
    """Tell apart all records of a delivery.

    `hashes` and `positions` name every record that could be cut; `decoded` holds one row for each hash that was not known. Of several
    records with one id the unchanged one counts, else the first; the others repeat it when they claim the same thing, and are
    quarantined when they claim another.
    """
    all_hashes, all_positions = (np.concatenate(parts) if parts else NONE for parts in (hashes, positions))
    unique, first, inverse = np.unique(all_hashes, return_index=True, return_inverse=True)
    known_row = before.rows_of_hashes(unique)
    held_rows = known_row[known_row >= 0]
    decoded_code = _numpy(pc.is_valid(decoded["code"]))
    id_row = before.rows_of_ids(decoded["source_id"])
    present = np.zeros(len(before.offers) + 1, dtype=bool)  # the last place answers for -1: not known
    present[held_rows] = True
    winner, clash = _by_id(decoded, decoded_code, id_row, present, before)
    bad, bad_positions = _occurrences(np.flatnonzero(decoded_code | clash), decoded, unique, inverse, all_positions)
    new, changed, changed_from, refreshed, refreshed_from = _compare(np.flatnonzero(winner), id_row, decoded, before)
    revived = held_rows[~before.live[held_rows]]
    same = np.sort(np.concatenate([held_rows[before.live[held_rows]], refreshed_from]))
    here = np.zeros(len(before.offers), dtype=bool)
    here[np.concatenate([held_rows, changed_from, refreshed_from, id_row[new][id_row[new] >= 0]])] = True
    named = np.zeros(len(before.offers), dtype=bool)
    named[id_row[id_row >= 0]] = True
    read = len(all_hashes) + len(cuts)
    offers = len(new) + len(changed) + len(same) + len(revived)
    return Sorted(
        decoded=decoded, cuts=cuts, read=read, new=new, changed=changed, changed_from=changed_from, same=same,
        refreshed=refreshed, refreshed_from=refreshed_from, revived=revived, revived_positions=all_positions[first[known_row >= 0]][~before.live[held_rows]],
        vanished=np.flatnonzero(before.live & ~here & ~named), kept=np.flatnonzero(before.live & ~here & named),
        bad=bad, bad_positions=bad_positions, duplicate_ids=frozenset(np.flatnonzero(clash).tolist()),
        repeated=read - len(bad) - len(cuts) - offers,
    )  # fmt: skip


def _by_id(decoded: pa.Table, refused: np.ndarray, id_row: IntArray, present: np.ndarray, before: Known) -> tuple[np.ndarray, np.ndarray]:
    """Which decoded rows stand for their id, and which clash with the one that does; the rest repeat it."""
    rows = np.flatnonzero(~refused)
    identity = _numpy(pc.fill_null(decoded["identity_hash"], 0))
    unchanged = np.zeros(len(decoded), dtype=bool)
    unchanged[rows] = present[id_row[rows]]
    standing = identity.copy()
    standing[unchanged] = before.identity[id_row[unchanged]]
    candidates = rows[~unchanged[rows]]
    ids = decoded["source_id"].take(candidates)
    first_of = _index_in(ids, ids)
    standing[candidates] = identity[candidates[first_of]]
    winner = np.zeros(len(decoded), dtype=bool)
    winner[candidates[first_of == np.arange(len(candidates))]] = True
    clash = ~refused & (standing != identity)
    return winner, clash


def _compare(winners: IntArray, id_row: IntArray, decoded: pa.Table, before: Known) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray]:
    """New and changed decoded rows, the known rows of the changed; decoded rows that repeat a known content in other bytes, and its rows."""
    rows = id_row[winners]
    known_live = (rows >= 0) & before.live[rows] if len(before.live) else np.zeros(len(rows), dtype=bool)
    old, fresh = before.offers.take(rows[known_live]), decoded.take(winners[known_live])
    equal = np.ones(int(known_live.sum()), dtype=bool)
    for name in CONTENT:
        equal &= _equal(old[name], fresh[name])
    both, both_rows = winners[known_live], rows[known_live]
    return winners[~known_live], both[~equal], both_rows[~equal], both[equal], both_rows[equal]


def _occurrences(bad: IntArray, decoded: pa.Table, unique: IntArray, inverse: IntArray, positions: IntArray) -> tuple[IntArray, IntArray]:
    """Every occurrence of the bad decoded rows: a record that was delivered twice is quarantined twice."""
    row_of_unique = np.full(len(unique), -1, dtype=np.int64)
    row_of_unique[np.searchsorted(unique, _numpy(decoded["raw_hash"])[bad])] = bad
    rows = row_of_unique[inverse]
    return rows[rows >= 0], positions[rows >= 0]


def _fresh_offers(decoded: pa.Table, stamp: dict[str, str | int]) -> pa.Table:
    schema, same = arrow_schema(Offer), {**stamp, "gone": False}
    offer_id = pc.binary_join_element_wise(pa.scalar(stamp["feed"]), decoded["source_id"], ":")
    columns = [offer_id if f.name == "offer_id" else _constant(same[f.name], len(decoded), f.type) if f.name in same else decoded[f.name] for f in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _with(table: Any, **values: Any) -> pa.Table:
    """The table with some columns replaced by an array or one value."""
    for name, value in values.items():
        at, column = table.schema.get_field_index(name), table.schema.field(name)
        table = table.set_column(at, column, pa.array(value, column.type) if isinstance(value, np.ndarray) else _constant(value, len(table), column.type))
    return table


def _constant(value: Any, length: int, kind: Any) -> Any:
    return pa.repeat(pa.scalar(value, kind), length)


def _equal(left: Any, right: Any) -> np.ndarray:
    """Row by row, two nulls being equal."""
    same = pc.fill_null(pc.equal(left, right), False)
    return _numpy(pc.or_(same, pc.and_(pc.is_null(left), pc.is_null(right))))


def _index_in(values: Any, among: Any) -> IntArray:
    """The first index of each value among others, -1 where it is not there or null."""
    found: IntArray = _numpy(pc.fill_null(pc.index_in(values, value_set=among.combine_chunks(), skip_nulls=True), -1)).astype(np.int64)
    return found


def _numpy(column: Any) -> np.ndarray:
    return np.asarray(column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy())
