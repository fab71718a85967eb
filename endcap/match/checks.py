"""What every pair feature must hold, built-in or a plugin's: its cases, symmetry, and the column form equal to the pair form."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from endcap.match.explain import index_offers, read_records
from endcap.match.pairs import Pairs
from endcap.match.record import Record, record_at

CLOSE = 1e-4
VIEWS = ("key", "content", "context")


def check_feature(feature: ModuleType, offers: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each thing that does not hold; `offers` are dicts of Offer fields to compare all with all."""
    name = feature.__name__.rpartition(".")[2]
    if not (feature.__doc__ or "").strip():
        yield f"{name}: the docstring's first line must say what it compares"
    if feature.VIEW not in VIEWS or feature.DIRECTION not in (-1, 0, 1) or not feature.CASES:
        yield f"{name}: VIEW, DIRECTION and CASES must be given as the shelf describes them"
    for left, right, expected in feature.CASES:
        one, other = read_records([left, right])
        found = feature.compare(one, other)
        if not _equal(found, expected, 1e-3):
            yield f"{name}: {left} and {right} give {found}, not {expected}"
        if not isinstance(feature.words(one, other, found), str):
            yield f"{name}: words() must give a text"
    yield from _check_forms(name, feature, offers)


def _check_forms(name: str, feature: ModuleType, offers: Sequence[dict[str, Any]]) -> Iterator[str]:
    pairs, records = compare_all(offers)
    column = np.asarray(feature.column(pairs))
    if column.dtype != np.float32 or column.shape != (pairs.size,):
        yield f"{name}: column() must give float32 [{pairs.size}], not {column.dtype} {column.shape}"
        return
    if not np.array_equal(column, feature.column(pairs), equal_nan=True):
        yield f"{name}: column() gives other values the second time"
    for value, left, right in zip(column.tolist(), pairs.left.tolist(), pairs.right.tolist(), strict=True):
        one, other = records[left], records[right]
        if not _equal(feature.compare(one, other), feature.compare(other, one), 1e-9):
            yield f"{name}: it depends on the order of {one.title!r} and {other.title!r}"
        if not _equal(feature.compare(one, other), value, CLOSE):
            yield f"{name}: compare() gives {feature.compare(one, other)} and column() {value} for {one.title!r} and {other.title!r}"


def compare_all(offers: Sequence[dict[str, Any]]) -> tuple[Pairs, list[Record]]:
    """All pairs of offers, and the offers as records with their candidates."""
    from endcap.match.block import find_candidates

    index, titles = index_offers(offers)
    graph = find_candidates(index, np.arange(index.size, dtype=np.int32), max(index.size - 1, 1))
    left, right = np.triu_indices(index.size, 1)
    records = [record_at(index, row, title, (graph.near[row], graph.similarity[row])) for row, title in enumerate(titles.to_pylist())]
    return Pairs(index, graph, titles, left.astype(np.int64), right.astype(np.int64)), records


def _equal(one: float, other: float, close: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or abs(one - other) <= close
