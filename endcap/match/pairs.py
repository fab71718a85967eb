"""Pairs of rows with what features need to compare them, computed once and only when asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from endcap.match import context, overlap
from endcap.match.block import Candidates
from endcap.match.details import feed_keys
from endcap.match.index import Index
from endcap.text import TITLE_LETTERS, fold


@dataclass(frozen=True)
class Pairs:
    """Rows compared: left[i] with right[i]; left < right, so that a pair has one form."""

    index: Index
    graph: Candidates  # candidate lists of every row that occurs
    titles: pa.ChunkedArray[Any]  # of all offers, by row
    left: np.ndarray  # int64 [n]
    right: np.ndarray
    feed_names: tuple[str, ...] = ()  # by the numbers of the index; details can be left out between two feeds that have names
    own_details: tuple[int, ...] = ()  # keys of details that are not compared (see `details`)

    @property
    def size(self) -> int:
        """How many pairs."""
        return int(self.left.size)

    @cached_property
    def _sums(self) -> np.ndarray:
        return overlap.compare_tokens(self.index, self.left, self.right)

    @cached_property
    def _ranks(self) -> np.ndarray:
        return context.compare_ranks(self.graph, self.index.feeds, self.index.often, self.left, self.right, self.similarity)

    @cached_property
    def _measures(self) -> np.ndarray:
        return overlap.compare_measures(self.index, self.left, self.right, self.keys_of_feeds, self.own_details)

    @cached_property
    def keys_of_feeds(self) -> np.ndarray:
        """uint64 [rows]: see `details.feed_keys`."""
        return feed_keys(self.feed_names, self.index.feeds)

    @property
    def similarity(self) -> np.ndarray:
        """The nearness by which candidates are found, float32 [n]."""
        return self.shared("similarity")

    @cached_property
    def folded_titles(self) -> tuple[list[str], list[str]]:
        """The titles of both sides without case and accents."""
        rows, places = np.unique(np.concatenate([self.left, self.right]), return_inverse=True)
        known = [fold(str(title)[:TITLE_LETTERS]) for title in self.titles.take(pa.array(rows)).to_pylist()]
        left, right = places[: self.size].tolist(), places[self.size :].tolist()
        return [known[place] for place in left], [known[place] for place in right]

    def shared(self, name: str) -> np.ndarray:
        """A column of `overlap.OVERLAP`, float32 [n]."""
        column: np.ndarray = self._sums[overlap.PLACE[name]]
        return column

    def ranked(self, name: str) -> np.ndarray:
        """A column of `context.CONTEXT`, float32 [n]."""
        column: np.ndarray = self._ranks[context.PLACE[name]]
        return column

    def both(self, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A column of the index for the left and the right rows."""
        return column[self.left], column[self.right]

    def stated(self, keys: np.ndarray, *, equal: bool) -> np.ndarray:
        """Agreement of keys by row, 0 = none, as `overlap.compare_keys` has it."""
        return overlap.compare_keys(self.index, self.left, self.right, keys, equal)

    def measured(self, name: str) -> np.ndarray:
        """Agreement of 'pack', 'quantity' or 'detail', float32 [n]."""
        column: np.ndarray = self._measures[:, ("pack", "quantity", "detail").index(name)]
        return column

    def only(self, places: np.ndarray) -> Pairs:
        """Those at the given places, in that order."""
        return replace(self, left=self.left[places], right=self.right[places])

    def mirrored(self) -> Pairs:
        """The same pairs turned round."""
        return replace(self, left=self.right, right=self.left)
