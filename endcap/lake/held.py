"""Rows of a table held in memory and found by the values of a column, at the cost of the rows that are found and no others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa


class Held:
    """An Arrow table with an index on some of its text columns; it never changes."""

    def __init__(self, table: pa.Table, keys: Sequence[str]) -> None:
        """`keys` are text columns, plain or dictionary-encoded; rows in which one is null are not found by it."""
        self._table = table.combine_chunks()
        self._index = {name: _index_of(self._table[name]) for name in keys}

    @property
    def size(self) -> int:
        """How many rows."""
        return int(self._table.num_rows)

    def rows(self, key: str, values: Iterable[str], columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Rows whose `key` is one of `values` as dicts of all or some columns, in the table's order."""
        wanted = dict.fromkeys(values)
        names = list(columns or self._table.column_names)
        places = self._places(key, wanted)
        if not places.size:
            return []
        found = self._table.select(list(dict.fromkeys((*names, key)))).take(pa.array(places))
        columns_of = {name: column.to_pylist() for name, column in zip(found.column_names, found.columns, strict=True)}
        rows = [dict(zip(names, row, strict=True)) for row in zip(*(columns_of[name] for name in names), strict=True)]
        texts = columns_of[key]
        if all(text in wanted for text in texts):
            return rows
        return [row for row, text in zip(rows, texts, strict=True) if text in wanted]  # two texts may have one hash

    def _places(self, key: str, wanted: Collection[str]) -> np.ndarray:
        """Places of the rows whose `key` has the hash of one of some different values, ascending."""
        hashes, order = self._index[key]
        asked = np.fromiter(map(hash, wanted), dtype=np.int64, count=len(wanted))
        first = np.searchsorted(hashes, asked, "left")
        sizes = np.searchsorted(hashes, asked, "right") - first
        ends = np.cumsum(sizes)
        spans = np.repeat(first - ends + sizes, sizes) + np.arange(int(ends[-1]) if ends.size else 0)
        return np.unique(order[spans])


def _index_of(column: pa.ChunkedArray[Any]) -> tuple[np.ndarray, np.ndarray]:
    """(hashes ascending, the place of each in the column)."""
    hashes, places = [], []
    first = 0
    for chunk in column.chunks:
        here = np.arange(first, first + len(chunk), dtype=np.int32)
        first += len(chunk)
        there = np.asarray(chunk.is_valid().to_numpy(zero_copy_only=False))
        hashes.append(_hashes(chunk.drop_null()))
        places.append(here[there])
    if not hashes:
        return np.zeros(0, np.int64), np.zeros(0, np.int32)
    joined, at = np.concatenate(hashes), np.concatenate(places)
    order = np.argsort(joined, kind="stable")
    return joined[order], at[order]


def _hashes(texts: pa.Array[Any]) -> np.ndarray:
    """Python's own hash of each text: keyed by the process, so that nobody can choose texts that collide."""
    if isinstance(texts, pa.DictionaryArray):
        return _hashes(texts.dictionary)[np.asarray(texts.indices.to_numpy(zero_copy_only=False))]
    return np.fromiter(map(hash, texts.to_pylist()), dtype=np.int64, count=len(texts))
