"""How hard a sandbox world is: what the plainest matcher, nearest title by char 2-4 TF-IDF cosine, gets right and wrong.

    python bench/sandbox_baseline.py [--offers N] [--seed S] [--examples N]

Top-1: each offer whose product another supplier also carries is given its nearest offer of another supplier, by title and
brand. Links: between each two suppliers one-to-one, greedily from the highest cosine down to 0.5, against all true pairs.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer

from endcap.sandbox import sent_offers

CUT = 0.5
ROWS_AT_ONCE = 500


@dataclass(frozen=True)
class Offers:
    """Day one of a world in columns."""

    ids: list[str]
    feeds: npt.NDArray[Any]
    products: npt.NDArray[Any]
    categories: npt.NDArray[Any]
    resolvable: npt.NDArray[Any]
    texts: list[str]


def read(offers: int, seed: int) -> Offers:
    """The world's first day, without files."""
    rows = list(sent_offers(offers=offers, seed=seed))
    truths = [made.truth for _, made in rows]
    return Offers(
        ids=[f"{feed}:{made.texts['id']}" for feed, made in rows],
        feeds=np.array([feed for feed, _ in rows]),
        products=np.array([truth.product for truth in truths]),
        categories=np.array([truth.category for truth in truths]),
        resolvable=np.array([truth.resolvable for truth in truths]),
        texts=[f"{made.texts['brand']} {made.texts['title']}" for _, made in rows],
    )


def elsewhere(offers: Offers) -> npt.NDArray[np.bool_]:
    """Which offers have their product at another supplier too."""
    feeds: dict[str, set[str]] = defaultdict(set)
    for product, feed in zip(offers.products, offers.feeds, strict=True):
        feeds[product].add(feed)
    return np.array([len(feeds[product]) > 1 for product in offers.products])


def top_1(offers: Offers, vectors: Any) -> tuple[npt.NDArray[np.int64], list[tuple[float, int, int]]]:
    """Each offer's nearest offer of another supplier, and all pairs at CUT or above."""
    nearest = np.zeros(len(offers.ids), dtype=np.int64)
    pairs: list[tuple[float, int, int]] = []
    for start in range(0, len(offers.ids), ROWS_AT_ONCE):
        scores = (vectors[start : start + ROWS_AT_ONCE] @ vectors.T).toarray()
        for at, row in enumerate(scores, start):
            row[offers.feeds == offers.feeds[at]] = -1
            nearest[at] = int(row.argmax())
            pairs += [(float(row[other]), at, int(other)) for other in np.flatnonzero(row >= CUT) if other > at]
    return nearest, pairs


def links(offers: Offers, pairs: list[tuple[float, int, int]]) -> dict[str, float]:
    """Precision, recall and F1 of greedy one-to-one links between each two suppliers."""
    taken: set[tuple[int, str]] = set()
    right = made = 0
    for _score, left, other in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if (left, offers.feeds[other]) in taken or (other, offers.feeds[left]) in taken:
            continue
        taken |= {(left, offers.feeds[other]), (other, offers.feeds[left])}
        made += 1
        right += offers.products[left] == offers.products[other]
    by_product: dict[str, Counter[str]] = defaultdict(Counter)
    for product, feed in zip(offers.products, offers.feeds, strict=True):
        by_product[product][feed] += 1
    true = sum(one * two for counts in by_product.values() for one, two in itertools.combinations(counts.values(), 2))
    figures = {"precision": right / made, "recall": right / true, "f1": 2 * right / (made + true)}
    return {"made": made, "true": true, **{name: round(value, 4) for name, value in figures.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--offers", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--examples", type=int, default=0, help="print so many wrong answers to read")
    given = parser.parse_args()
    offers = read(given.offers, given.seed)
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, dtype=np.float32).fit_transform(offers.texts)
    asked = elsewhere(offers)
    nearest, pairs = top_1(offers, vectors)
    wrong = asked & (offers.products[nearest] != offers.products)
    for at in np.flatnonzero(wrong)[:: max(1, int(wrong.sum()) // max(1, given.examples))][: given.examples]:
        print(f"{offers.ids[at]:28} {offers.texts[at]}\n{offers.ids[nearest[at]]:28} {offers.texts[nearest[at]]}\n")
    slices = {category: round(float(wrong[asked & (offers.categories == category)].mean()), 3) for category in sorted(set(offers.categories))}
    print(
        json.dumps(
            {
                "offers": len(offers.ids), "products": len(set(offers.products)), "top1_n": int(asked.sum()), "top1_errors": int(wrong.sum()),
                "top1_error_share": round(float(wrong[asked].mean()), 4), "top1_errors_resolvable": int((wrong & offers.resolvable).sum()),
                "unresolvable_share": round(1 - float(offers.resolvable.mean()), 4), "links": links(offers, pairs), "top1_error_share_by_category": slices,
            },
            indent=1,
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
