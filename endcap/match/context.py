"""Where a pair stands among its offers' other candidates: ranks, margins to the runner-up and mutual best, from the sparse graph."""

from __future__ import annotations

import numba
import numpy as np

from endcap.match.block import Candidates

# Rows of what `compare_ranks` returns, for the left offer's list and for the right's.
CONTEXT = ("left_rank", "right_rank", "left_margin", "right_margin", "left_of_best", "right_of_best")
# By so large a share of the similarity, others of a marketplace must be nearer or farther to be known as other products.
COPIES = 0.05
PLACE = {name: place for place, name in enumerate(CONTEXT)}


def compare_ranks(graph: Candidates, feeds: np.ndarray, often: np.ndarray, left: np.ndarray, right: np.ndarray, similarity: np.ndarray) -> np.ndarray:
    """float32 [len(CONTEXT), n]; the graph must hold the rows of every pair. `often` bool by row: its feed lists a product often.

    A rank counts only rivals of the other offer's feed, since one feed has a product once but many feeds may have it:
    1 = nothing of that feed is nearer. A margin is the similarity less that of the best rival, as a share of itself; where the
    list is too short to show a rival, its last similarity stands for it. `of_best` compares with the nearest of any feed. What a marketplace
    lists about as near (COPIES) may be the same product, and is no rival seen from another feed.
    """
    place = np.full(feeds.size, -1, dtype=np.int64)
    place[graph.rows] = np.arange(graph.rows.size)
    near_feeds = feeds[graph.near] if graph.near_feeds is None else graph.near_feeds
    return np.asarray(_compare(place, graph.near, near_feeds, graph.similarity, feeds, often, left, right, similarity))


@numba.njit(cache=True, nogil=True)
def _look(
    at: int, near: np.ndarray, near_feeds: np.ndarray, values: np.ndarray, feed: int, other: int, similarity: np.float32,
    apart: np.float32,
) -> tuple[int, np.float32, np.float32]:  # fmt: skip
    """(rank, margin, share of best) of `other` in the list of one offer; rivals are nearer or farther by `apart` at least."""
    rank, rival, size = 1, np.float32(-1.0), near.shape[1]
    for i in range(size):
        if near[at, i] < 0:
            break
        # No branch: which of the candidates are of the feed cannot be foreseen. Below zero, none is nearer than anything.
        rivals = (near[at, i] != other) & (near_feeds[at, i] == feed) & (abs(values[at, i] - similarity) >= apart)
        value = values[at, i] if rivals else np.float32(-1.0)
        rival = max(rival, value)
        rank += int(value > similarity)
    if rival < 0:
        rival = values[at, size - 1] if near[at, size - 1] >= 0 else np.float32(0.0)
        if rival > similarity:
            rank = size + 1
    best = max(values[at, 0], similarity)
    safe = max(similarity, np.float32(1e-6))
    return rank, max((similarity - rival) / safe, np.float32(-1.0)), similarity / max(best, np.float32(1e-6))


@numba.njit(cache=True, nogil=True)
def _compare(
    place: np.ndarray, near: np.ndarray, near_feeds: np.ndarray, values: np.ndarray, feeds: np.ndarray, often: np.ndarray, left: np.ndarray,
    right: np.ndarray, similarity: np.ndarray,
) -> np.ndarray:  # fmt: skip
    out = np.empty((6, left.size), np.float32)
    for pair in range(left.size):
        a, b, nearness = left[pair], right[pair], similarity[pair]
        none = np.float32(0.0)
        copies = np.float32(COPIES) * nearness if feeds[a] != feeds[b] else none
        out[0, pair], out[2, pair], out[4, pair] = _look(place[a], near, near_feeds, values, feeds[b], b, nearness, copies if often[b] else none)
        out[1, pair], out[3, pair], out[5, pair] = _look(place[b], near, near_feeds, values, feeds[a], a, nearness, copies if often[a] else none)
    return out
