"""What one search at a time works in: as clean after it as before, since to clear millions of rows takes longer than to search them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from endcap.match.reading import GRAM_BUCKETS
from endcap.match.spread import BITS

# Room for the query's tokens: more than four times as many as an offer can have.
SLOTS = 1 << 16
# Free rooms that are kept; a room takes 12 bytes an offer.
MOST_FREE = 2

Table = tuple[np.ndarray, np.ndarray, np.ndarray]


class Room(NamedTuple):
    """Arrays by row of the index, and small tables by token."""

    score: np.ndarray  # float32 [n], zeros
    looks: np.ndarray  # float32 [n], zeros
    seen: np.ndarray  # int32 [n + 1]
    tokens: Table  # number, value and flags by slot, of the query's tokens
    grams: np.ndarray  # uint32, zeros: a bit for each of its 3-grams
    held: np.ndarray  # uint32: 3-grams that another offer has too


_FREE: list[Room] = []
_TAKING = threading.Lock()


@contextmanager
def room_for(rows: int) -> Iterator[Room]:
    """Room to search an index of so many rows: one that an earlier search left, or a new one."""
    with _TAKING:
        fitting = next((place for place, room in enumerate(_FREE) if room.score.size == rows), None)
        room = None if fitting is None else _FREE.pop(fitting)
    yield (room := room or _new_room(rows))
    with _TAKING:  # not reached where a search failed, which may leave it unclean
        _FREE.append(room)
        del _FREE[:-MOST_FREE]


def _new_room(rows: int) -> Room:
    table = np.empty(SLOTS, np.int32), np.empty(SLOTS, np.float32), np.zeros(SLOTS, np.uint8)
    bits, held = np.zeros(GRAM_BUCKETS // BITS, np.uint32), np.empty(SLOTS, np.uint32)
    return Room(np.zeros(rows, np.float32), np.zeros(rows, np.float32), np.empty(rows + 1, np.int32), table, bits, held)
