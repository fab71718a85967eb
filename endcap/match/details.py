"""Which details say nothing across feeds: a reference of the seller's own, mapped as a detail, agrees in no pair, nor does 'rouge' with 'red'.

What agrees in nearly no pair of offers that are each other's nearest would part all that is one. It is left out between the feeds it is so for.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from endcap.match.tokens import hash_texts

if TYPE_CHECKING:
    from endcap.match.pairs import Pairs

# Of pairs that are each other's nearest fewer than this share agree in a detail that says nothing ...
SELDOM = 0.05
# ... and of so few pairs, of all feeds and of two, none says what is seldom.
ENOUGH_PAIRS, ENOUGH_OF_TWO = 5, 20
MIX = np.uint64(0x9E3779B97F4A7C15)


def feed_keys(feed_names: tuple[str, ...], feeds: np.ndarray) -> np.ndarray:
    """uint64 [n]: a key for the feed of each row, by the names of feed numbers int [n]; 0 where they have none."""
    keys = np.zeros(max([len(feed_names), int(feeds.max(initial=-1)) + 1]), dtype=np.uint64)
    keys[: len(feed_names)] = _keys_of_names(feed_names)
    return np.asarray(keys[feeds])


@lru_cache(maxsize=16)
def _keys_of_names(feed_names: tuple[str, ...]) -> np.ndarray:
    return hash_texts(feed_names)


def find_own_details(pairs: Pairs, nearest: np.ndarray) -> tuple[int, ...]:
    """Keys, ascending, of names of details of which the values nearly never agree, in all pairs or in those of two feeds.

    `nearest` bool [n] says which pairs are each other's nearest. A key is the hash of a name, or that of a name and two feeds (`key_between`).
    """
    tokens = pairs.index.tokens
    left, right = pairs.left[nearest], pairs.right[nearest]
    names, agreed, found = _read_common(left, right, tokens.detail_names.start, tokens.detail_names.values, tokens.detail_values.values)
    everywhere = _seldom(names, agreed, ENOUGH_PAIRS)
    rest = ~np.isin(names, everywhere)
    feeds = (pairs.keys_of_feeds[side[found[rest]]] for side in (left, right))
    of_two = _seldom(key_between(names[rest], *feeds), agreed[rest], ENOUGH_OF_TWO)
    return tuple(np.union1d(everywhere, of_two).tolist())


def _seldom(keys: np.ndarray, agreed: np.ndarray, least: int) -> np.ndarray:
    known, of = np.unique(keys, return_inverse=True)
    pairs, shared = np.bincount(of, minlength=known.size), np.bincount(of, weights=agreed, minlength=known.size)
    return np.asarray(known[(pairs >= least) & (shared < SELDOM * pairs)])


@numba.njit(cache=True)
def key_between(name: Any, one: Any, other: Any) -> Any:
    """uint64, one or many: the key of a name between two feeds, whichever comes first."""
    return name ^ ((one + other) * MIX)


@numba.njit(cache=True)
def _read_common(
    left: np.ndarray, right: np.ndarray, start: np.ndarray, names: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """(names that both sides of a pair state, whether they agree there, which pair it is), one row a name and pair."""
    room = 0
    for pair in range(left.size):
        room += start[left[pair] + 1] - start[left[pair]]
    found, agreed, of, count = np.empty(room, np.uint64), np.empty(room, np.bool_), np.empty(room, np.int64), 0
    for pair in range(left.size):
        a, b = left[pair], right[pair]
        for i in range(start[a], start[a + 1]):
            for j in range(start[b], start[b + 1]):
                if names[i] == names[j]:
                    found[count], agreed[count], of[count] = names[i], values[i] == values[j], pair
                    count += 1
                    break
    return found[:count], agreed[:count], of[:count]
