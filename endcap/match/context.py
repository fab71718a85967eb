"""Where a pair stands among its offers' other candidates: ranks, margins to the runner-up and mutual best, from the sparse graph."""

from __future__ import annotations

import numba
import numpy as np

from endcap.match.block import Candidates

# Columns of what `compare_ranks` returns, for the left offer's list and for the right's.
CONTEXT = ("left_rank", "right_rank", "left_margin", "right_margin", "left_of_best", "right_of_best")
PLACE = {name: place for place, name in enumerate(CONTEXT)}


def compare_ranks(graph: Candidates, feeds: np.ndarray, left: np.ndarray, right: np.ndarray, similarity: np.ndarray) -> np.ndarray:
    """float32 [n, len(CONTEXT)]; the graph must hold the rows of every pair.

    A rank counts only rivals of the other offer's feed, since one feed has a product once but many feeds may have it:
    1 = nothing of that feed is nearer. A margin is the similarity less that of the best rival, as a share of itself; where the
    list is too short to show a rival, its last similarity stands for it. `of_best` compares with the nearest of any feed.
    """
    place = np.full(feeds.size, -1, dtype=np.int64)
    place[graph.rows] = np.arange(graph.rows.size)
    near_feeds = feeds[graph.near] if graph.near_feeds is None else graph.near_feeds
    return np.asarray(_compare(place, graph.near, near_feeds, graph.similarity, feeds, left, right, similarity))


@numba.njit(cache=True)
def _look(near: np.ndarray, near_feeds: np.ndarray, values: np.ndarray, feed: int, other: int, similarity: np.float32) -> tuple[int, np.float32, np.float32]:
    """(rank, margin, share of best) of `other` in one offer's list."""
    rank, rival = 1, np.float32(-1.0)
    for i in range(near.size):
        if near[i] < 0:
            break
        if near[i] != other and near_feeds[i] == feed:
            rival = max(rival, values[i])
            rank += values[i] > similarity
    if rival < 0:
        rival = values[near.size - 1] if near[near.size - 1] >= 0 else np.float32(0.0)
        if rival > similarity:
            rank = near.size + 1
    best = max(values[0], similarity)
    safe = max(similarity, np.float32(1e-6))
    return rank, max((similarity - rival) / safe, np.float32(-1.0)), similarity / max(best, np.float32(1e-6))


@numba.njit(cache=True)
def _compare(
    place: np.ndarray, near: np.ndarray, near_feeds: np.ndarray, values: np.ndarray, feeds: np.ndarray, left: np.ndarray, right: np.ndarray,
    similarity: np.ndarray,
) -> np.ndarray:  # fmt: skip
    out = np.empty((left.size, 6), np.float32)
    for pair in range(left.size):
        for side in range(2):
            own, other = (left[pair], right[pair]) if side == 0 else (right[pair], left[pair])
            at = place[own]
            rank, margin, of_best = _look(near[at], near_feeds[at], values[at], feeds[other], other, similarity[pair])
            out[pair, side], out[pair, 2 + side], out[pair, 4 + side] = rank, margin, of_best
    return out
