"""A small catalog in which every feature has something to compare: what the shelf's checks run on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from endcap.match.block import find_candidates
from endcap.match.explain import index_offers
from endcap.match.pairs import Pairs
from endcap.match.record import Record, record_at

OFFERS: tuple[dict[str, Any], ...] = (
    {"title": "Sonora WH-1000XM4 headphones black", "brand": "Sonora", "mpn": "WH1000XM4", "price": "299", "gtin": "04006381333931", "feed": "a"},
    {"title": "SONORA wh 1000xm4 wireless 30h", "price": "280", "feed": "b", "description": "over-ear, black or silver"},
    {"title": "Sonora WH1000XM5 Kopfhörer schwarz", "brand": "sonora", "price": "333", "gtin": "04006381333948", "feed": "b"},
    {"title": "Sonora headphones", "mpn": "WH-1000XM4", "gtin": "04006381333931", "feed": "c"},
    {"title": "Cola 6 x 330 ml", "brand": "Kolibra", "mpn": "K-6330", "quantity_text": "6x330ml", "price": "4.99", "currency": "EUR", "feed": "a"},
    {"title": "Cola 330ml Dose 2007", "price": "0.99", "currency": "USD", "feed": "c", "details_json": json.dumps({"colour": "rot", "size": "L"})},
    {"title": "Cola Zero 2010 red 12 pack 500 ml", "brand": "Zitra", "feed": "b", "details_json": json.dumps({"colour": "red", "size": "M"})},
    {"title": "Cola light can red 2010", "feed": "a", "details_json": json.dumps({"colour": "rouge"})},
    {"title": "", "feed": "c"},
)


def sample_pairs() -> tuple[Pairs, list[tuple[Record, Record]]]:
    """All pairs of OFFERS as columns, and the same pairs as records."""
    return compare_all(OFFERS)


def compare_all(offers: Sequence[dict[str, Any]], k: int = 4) -> tuple[Pairs, list[tuple[Record, Record]]]:
    """All pairs of the offers, as columns and as records, with lists of `k` candidates; the second feed is a marketplace."""
    index, titles = index_offers(offers)
    index = replace(index, often=index.feeds == 1)
    graph = find_candidates(index, np.arange(index.size, dtype=np.int32), k)
    left, right = np.triu_indices(index.size, 1)
    records = [record_at(index, row, str(title), (graph.near[row], graph.similarity[row])) for row, title in enumerate(titles.to_pylist())]
    pairs = Pairs(index, graph, titles, left.astype(np.int64), right.astype(np.int64))
    return pairs, [(records[one], records[other]) for one, other in zip(left.tolist(), right.tolist(), strict=True)]
