"""Columns kept in fewer bytes are the same columns again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_candidates import answers, table

from endcap.match.cache import synced_store
from endcap.match.matching import live_offers
from endcap.match.packing import pack, unpack

ROWS = st.lists(st.lists(st.integers(0, (1 << 17) - 1), unique=True, max_size=6).map(sorted), max_size=12)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.lists(st.integers(0, 1 << 20), min_size=1, max_size=30), st.lists(st.sampled_from([1.5, float("nan"), -0.0, 7e9]), max_size=40))
def test_what_was_packed_is_unpacked_bit_for_bit(rows: list[list[int]], counts: list[int], prices: list[float]) -> None:
    start = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    columns = {
        "letters_start": start, "letters": np.array([value for row in rows for value in row], dtype=np.uint32), "twin_start": start.copy(),
        "known": np.array(counts, dtype=np.int32), "prices": np.array(prices, dtype=np.float64),
        "keys": np.arange(len(counts), dtype=np.uint64) << np.uint64(40),
    }  # fmt: skip
    kept, how = pack(columns, short=("known",), halves={"letters": "letters_start"})
    again = unpack(kept.__getitem__, dict(sorted(how.items())))
    assert again.keys() == columns.keys()
    for name, column in columns.items():
        assert again[name].dtype == column.dtype and again[name].tobytes() == column.tobytes(), name


def test_few_values_and_long_sizes_take_little_room() -> None:
    columns = {"brand": np.repeat(np.arange(9, dtype=np.uint64) << np.uint64(50), 3000), "texts_start": np.arange(0, 27_001_000, 1000, dtype=np.int64)}
    kept, how = pack(columns, short=(), halves={})
    assert how["brand"] == "few" and kept["brand"].itemsize == 1
    again = unpack(kept.__getitem__, how)
    assert all(np.array_equal(again[name], column) for name, column in columns.items())


@pytest.mark.parametrize("spoil", ["codes", "low", "how"])
def test_what_cannot_be_unpacked_is_refused(spoil: str) -> None:
    start, letters = np.array([0, 2, 4]), np.array([1, 70_000, 2, 80_000], dtype=np.uint32)
    kept, how = pack({"l_start": start, "l": letters, "b": np.repeat(np.array([5, 6], dtype=np.uint64), 50)}, short=(), halves={"l": "l_start"})
    if spoil == "codes":
        kept["b"] = kept["b"] + np.uint8(9)
    elif spoil == "low":
        kept["l_low"] = kept["l_low"] + np.uint8(9)
    else:
        how["b"] = "some other way"
    with pytest.raises((ValueError, IndexError)):
        unpack(kept.__getitem__, how)


def test_an_index_on_disk_is_small_and_read_again(tmp_path: Path) -> None:
    live = live_offers(table(dict.fromkeys(range(80), 0)))
    built = answers(synced_store(live, tmp_path))
    before = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "base").iterdir()}
    assert answers(synced_store(live, tmp_path)) == built
    assert before == {file.name: file.stat().st_mtime_ns for file in (tmp_path / "base").iterdir()}, "it was built anew"
