"""Which tokens and 3-grams two offers have in common: one offer is spread out so that each of the other's is found by a look, not by a walk.

Pairs mostly come with one offer beside several others, so that an offer is spread out once for all of these. The common ones are told
in the order of their hashes, whichever of the two is spread out, so that sums over them do not depend on it.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

# A table has this many slots a token at least, so that two tokens seldom want the same slot.
SLOTS_A_TOKEN = 16
LEAST_SLOTS = 64
BITS = 32


class Spread(NamedTuple):
    """One offer spread out, and room for what another has in common with it."""

    row: np.ndarray  # int64 [1]: the offer; -1 = none yet
    mask: np.ndarray  # int64 [1]: slots in use, less one
    slot_hash: np.ndarray  # uint64 by slot, the low bits of a hash
    slot_place: np.ndarray  # int32 by slot: where the token stands, -1 = nowhere
    grams: np.ndarray  # uint32: a bit for each 3-gram
    mine: np.ndarray  # int32: places of common tokens in the offer spread out
    its: np.ndarray  # int32: places of the same tokens in the other
    held: np.ndarray  # uint32: common 3-grams


@numba.njit(cache=True, nogil=True)
def make_room(start: np.ndarray, gram_start: np.ndarray, gram_buckets: int) -> Spread:
    """Room for any offer of an index."""
    tokens = grams = 0
    for row in range(start.size - 1):
        tokens = max(tokens, start[row + 1] - start[row])
        grams = max(grams, gram_start[row + 1] - gram_start[row])
    slots = _slots_for(tokens)
    return Spread(
        np.full(1, -1, np.int64), np.zeros(1, np.int64), np.zeros(slots, np.uint64), np.full(slots, -1, np.int32), np.zeros(gram_buckets // BITS, np.uint32),
        np.empty(tokens + 1, np.int32), np.empty(tokens + 1, np.int32), np.empty(grams + 1, np.uint32),
    )  # fmt: skip


@numba.njit(cache=True, nogil=True, inline="always")
def _slots_for(tokens: int) -> int:
    slots = LEAST_SLOTS
    while slots < SLOTS_A_TOKEN * tokens:
        slots *= 2
    return slots


@numba.njit(cache=True, nogil=True)
def spread_out(row: int, start: np.ndarray, hashes: np.ndarray, gram_start: np.ndarray, grams: np.ndarray, spread: Spread) -> None:
    """Spread out another offer."""
    before = spread.row[0]
    if before >= 0:
        _fold_up(start[before], start[before + 1], hashes, spread)
        unmark_grams(grams[gram_start[before] : gram_start[before + 1]], spread.grams)
    spread.row[0] = row
    spread.mask[0] = _slots_for(start[row + 1] - start[row]) - 1
    for i in range(start[row], start[row + 1]):
        at = np.int64(hashes[i] & np.uint64(spread.mask[0]))
        while spread.slot_place[at] >= 0:
            at = (at + 1) & spread.mask[0]
        spread.slot_hash[at], spread.slot_place[at] = hashes[i], i
    mark_grams(grams[gram_start[row] : gram_start[row + 1]], spread.grams)


@numba.njit(cache=True, nogil=True)
def _fold_up(first: int, end: int, hashes: np.ndarray, spread: Spread) -> None:
    """Empty the slots of an offer's tokens, last one first so that none hides another."""
    for i in range(end - 1, first - 1, -1):
        at = np.int64(hashes[i] & np.uint64(spread.mask[0]))
        while spread.slot_place[at] != i:
            at = (at + 1) & spread.mask[0]
        spread.slot_place[at] = -1


@numba.njit(cache=True, nogil=True)
def choose_side(pair: int, left: np.ndarray, right: np.ndarray, spread: Spread) -> int:
    """The offer of a pair to be spread out: the one that is, else one that the next pair has too."""
    now, a, b = spread.row[0], left[pair], right[pair]
    if now in (a, b):
        return now
    return b if pair + 1 < left.size and b in (left[pair + 1], right[pair + 1]) and a != left[pair + 1] else a


@numba.njit(cache=True, nogil=True)
def find_common_tokens(first: int, end: int, hashes: np.ndarray, spread: Spread) -> int:
    """Write the places of common tokens; returns how many."""
    count, mask = 0, np.uint64(spread.mask[0])
    slot_hash, slot_place, mine, its = spread.slot_hash, spread.slot_place, spread.mine, spread.its
    for j in range(first, end):
        at = hashes[j] & mask
        if (slot_place[at] >= 0) & (slot_hash[at] != hashes[j]):
            while slot_place[at] >= 0 and slot_hash[at] != hashes[j]:
                at = (at + np.uint64(1)) & mask
        # Written whether common or not: that is faster than to ask.
        mine[count], its[count] = slot_place[at], j
        count += int(slot_place[at] >= 0)
    return count


@numba.njit(cache=True, nogil=True)
def mark_grams(grams: np.ndarray, bits: np.ndarray) -> None:
    """Set the bit of each 3-gram."""
    for gram in grams:
        bits[gram // np.uint32(BITS)] |= np.uint32(1) << (gram % np.uint32(BITS))


@numba.njit(cache=True, nogil=True)
def unmark_grams(grams: np.ndarray, bits: np.ndarray) -> None:
    """Clear the bits that these 3-grams set, and no others were set."""
    for gram in grams:
        bits[gram // np.uint32(BITS)] = 0


@numba.njit(cache=True, nogil=True)
def find_common_grams(first: int, end: int, grams: np.ndarray, bits: np.ndarray, held: np.ndarray) -> int:
    """Write those of an offer's 3-grams that are marked; returns how many."""
    count = 0
    for j in range(first, end):
        gram = grams[j]
        held[count] = gram
        count += (bits[gram // np.uint32(BITS)] >> (gram % np.uint32(BITS))) & np.uint32(1)
    return count
