"""What every pair feature must hold, built-in or a plugin's: its cases, symmetry, and the column form equal to the pair form."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from endcap.match.explain import read_records
from endcap.match.sample import compare_all

CLOSE = 1e-4
VIEWS = ("key", "content", "context")


def check_feature(feature: ModuleType, offers: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each thing that does not hold; `offers` are dicts of Offer fields to compare all with all."""
    if feature.VIEW not in VIEWS or feature.DIRECTION not in (-1, 0, 1) or not feature.CASES:
        yield "VIEW, DIRECTION and CASES must be given as the shelf describes them"
    for left, right, expected in feature.CASES:
        one, other = read_records([left, right])
        found = feature.compare(one, other)
        if not _equal(found, expected, CLOSE):
            yield f"{left} and {right} give {found}, not {expected}"
        if not isinstance(feature.words(one, other, found), str):
            yield "words() must give a text"
    yield from _check_forms(feature, offers)


def _check_forms(feature: ModuleType, offers: Sequence[dict[str, Any]]) -> Iterator[str]:
    pairs, records = compare_all(offers)
    column = np.asarray(feature.column(pairs))
    if column.dtype != np.float32 or column.shape != (pairs.size,):
        yield f"column() must give float32 [{pairs.size}], not {column.dtype} {column.shape}"
        return
    if not np.array_equal(column, feature.column(pairs), equal_nan=True):
        yield "column() gives other values the second time"
    if not np.allclose(column, feature.column(pairs.mirrored()), rtol=1e-6, equal_nan=True):
        yield "column() gives other values when the pairs are turned round"
    for value, (one, other) in zip(column.tolist(), records, strict=True):
        found = feature.compare(one, other)
        if not _equal(found, feature.compare(other, one), 1e-9):
            yield f"compare() depends on the order of {one.title!r} and {other.title!r}"
        if not _equal(found, value, CLOSE):
            yield f"compare() gives {found} and column() {value} for {one.title!r} and {other.title!r}"


def _equal(one: float, other: float, close: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or abs(one - other) <= close
