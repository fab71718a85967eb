"""Columns of an index as they are kept on disk: the same numbers in fewer bytes, each in one or more plain arrays.

'sizes': starts as the sizes between them. 'few': codes of the distinct values, where there are few. 'short': small whole numbers in one byte,
the larger ones beside with their places. 'halves': numbers below 2 ** 17 that ascend within a row in two bytes, and how many of each row stand
below 2 ** 16. 'same': what another column holds too. 'plain': as it is, memory-mapped.
"""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np

SAMPLE, WORTH = 20_000, 0.1
HALF = 1 << 16
LATER = ("same", "halves")
Arrays = dict[str, np.ndarray]


def pack(columns: Arrays, *, short: tuple[str, ...], halves: dict[str, str]) -> tuple[Arrays, dict[str, str]]:
    """(arrays to be kept, how each column is to be read again).

    Columns whose names end in _start are starts; `short` names whole numbers that are mostly small; `halves` maps columns of ascending numbers
    to their starts.
    """
    kept: Arrays = {}
    how: dict[str, str] = {}
    for name, column in columns.items():
        if (twin := _twin(columns, how, name)) is not None:
            how[name] = f"same {twin}"
        elif name.endswith("_start") or name in short:
            values = np.diff(column) if name.endswith("_start") else column
            how[name] = "sizes" if name.endswith("_start") else f"short {column.dtype.str}"
            kept |= _pack_short(name, values)
        elif name in halves:
            how[name] = f"halves {halves[name]}"
            start = columns[halves[name]]
            kept |= {name: column.astype(np.uint16), **_pack_short(f"{name}_low", _count_low(column, start))}
        elif (codes := _few(column)) is not None:
            how[name] = "few"
            kept |= {name: codes[0], f"{name}_values": codes[1]}
        else:
            how[name], kept[name] = "plain", column
    return kept, how


def unpack(kept: Callable[[str], np.ndarray], how: dict[str, str]) -> Arrays:
    """The columns again. Raises ValueError, KeyError or IndexError where they cannot be."""
    columns: Arrays = {}
    # A seal keeps names in the order of letters, so that what others lean on is read first.
    for name, said in sorted(how.items(), key=lambda item: LATER.index(item[1].split(" ")[0]) if item[1].split(" ")[0] in LATER else -1):
        kind, _space, about = said.partition(" ")
        if kind == "same":
            columns[name] = columns[about]
        elif kind == "sizes":
            columns[name] = _starts(_unpack_short(kept, name, np.dtype(np.int64)))
        elif kind == "short":
            columns[name] = _unpack_short(kept, name, np.dtype(about))
        elif kind == "halves":
            start = columns[about]
            low = _unpack_short(kept, f"{name}_low", np.dtype(np.int64))
            if low.size != start.size - 1 or (low > np.diff(start)).any() or start[-1] != kept(name).size:
                raise ValueError(f"{name} does not fit its rows")
            columns[name] = np.asarray(_join_halves(kept(name), start, low))
        elif kind == "few":
            columns[name] = kept(f"{name}_values")[kept(name)]
        elif kind == "plain":
            columns[name] = kept(name)
        else:
            raise ValueError(f"{name} is kept in a way that is not known here")
    return columns


def _twin(columns: Arrays, how: dict[str, str], name: str) -> str | None:
    """Starts before these that are the same."""
    if name.endswith("_start"):
        for other in how:
            if other.endswith("_start") and not how[other].startswith("same") and np.array_equal(columns[other], columns[name]):
                return other
    return None


def _few(column: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """(codes, the distinct values) where codes take clearly less room. Values are told apart by their bits, so that NaN is one."""
    if column.itemsize < 4 or column.size < 2:
        return None
    bits = column.view(f"u{column.itemsize}")
    sample = bits[:: max(1, bits.size // SAMPLE)]
    if np.unique(sample).size > WORTH * sample.size:
        return None
    values, codes = np.unique(bits, return_inverse=True)
    if values.size > HALF:
        return None
    return codes.astype(np.uint8 if values.size <= 256 else np.uint16), values.view(column.dtype)


def _pack_short(name: str, values: np.ndarray) -> Arrays:
    """One byte each; 255 stands for a number kept beside."""
    if values.size and int(values.min()) < 0:
        raise ValueError(f"{name} holds numbers below zero")
    places = np.flatnonzero(values >= 255)
    return {name: np.minimum(values, 255).astype(np.uint8), f"{name}_places": places.astype(np.int32), f"{name}_more": values[places].astype(np.int64)}


def _unpack_short(kept: Callable[[str], np.ndarray], name: str, kind: np.dtype) -> np.ndarray:
    values = kept(name).astype(kind)
    values[kept(f"{name}_places")] = kept(f"{name}_more")
    return values


def _starts(sizes: np.ndarray) -> np.ndarray:
    start = np.zeros(sizes.size + 1, dtype=np.int64)
    np.cumsum(sizes, out=start[1:])
    return start


@numba.njit(cache=True)
def _count_low(values: np.ndarray, start: np.ndarray) -> np.ndarray:
    """How many of each row are below HALF."""
    low = np.zeros(start.size - 1, np.int64)
    for row in range(low.size):
        for i in range(start[row], start[row + 1]):
            low[row] += values[i] < HALF
    return low


@numba.njit(cache=True)
def _join_halves(values: np.ndarray, start: np.ndarray, low: np.ndarray) -> np.ndarray:
    joined = np.empty(values.size, np.uint32)
    for row in range(low.size):
        middle = start[row] + low[row]
        for i in range(start[row], middle):
            joined[i] = values[i]
        for i in range(middle, start[row + 1]):
            joined[i] = np.uint32(values[i]) + np.uint32(HALF)
    return joined
