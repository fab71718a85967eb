"""Pair features at scale: pairs a CPU second of each feature and of the scorers, and what it costs to learn from 6,000 labels.

python bench/features.py [--offers 20000] [--candidates 10] [--seed 7]

Features over columns are computed once for all that share a pass (see endcap.match.pairs); that pass is timed by itself.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from match import read_world

from endcap import shelf
from endcap.match import fit_stacked
from endcap.match.block import find_candidates
from endcap.match.matching import asked_rows, candidate_pairs, compute_features, fit_catalog, read_catalog
from endcap.match.pairs import Pairs
from endcap.match.score import feature_names
from endcap.settings import Matching

LABELS = 6000


def main() -> None:
    """Print pairs a CPU second, each feature by itself and all together, then scoring and learning."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--offers", type=int, default=20_000)
    parser.add_argument("--candidates", type=int, default=Matching().candidates, help="how many an offer has")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    offers, product_of = read_world(given.offers, given.seed)
    catalog = read_catalog(offers)
    rows = asked_rows(catalog, offers["offer_id"].combine_chunks())
    graph = find_candidates(catalog.index, rows, given.candidates)
    pairs = candidate_pairs(catalog, graph, rows, given.candidates)
    print(f"{pairs.size:,} pairs of {rows.size:,} offers")
    features = compute_features(pairs, feature_names())
    for name, passed in PASSES.items():
        timed(name, pairs.size, lambda passed=passed: passed(fresh(pairs)))
    warm = fresh(pairs)
    for passed in PASSES.values():
        passed(warm)
    for name in feature_names():
        timed(f"  {name}", pairs.size, lambda name=name: shelf.component("features", name).column(warm))
    timed("all features", pairs.size, lambda: compute_features(fresh(pairs), feature_names()))
    base = fit_catalog(catalog, Matching(), graph)
    first = base.first_columns(pairs, features)
    timed("what tells apart, and score without labels", pairs.size, lambda: base.score(base.first_columns(pairs, features)))
    ids = catalog.offer_ids.to_pylist()
    same = np.array([product_of[ids[left]] == product_of[ids[right]] for left, right in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)])
    told = np.sort(np.random.default_rng(given.seed).permutation(pairs.size)[:LABELS])
    clock = time.process_time()
    model, _columns = fit_stacked(pairs, first, told, same[told].astype(np.float64), seed=given.seed, base=base, asked=told)
    print(f"{'learning from 6,000 labels':<60} {time.process_time() - clock:.2f} CPU s")
    timed("learned columns and score", pairs.size, lambda: model.score(model.columns(pairs, features)))


def fresh(pairs: Pairs) -> Pairs:
    """The same pairs, nothing computed yet."""
    return replace(pairs)


PASSES: dict[str, Callable[[Pairs], Any]] = {
    "pass: tokens and 3-grams": lambda pairs: pairs.shared("word_cosine"),
    "pass: packs, amounts, details": lambda pairs: pairs.measured("pack"),
    "pass: ranks and margins (with tokens)": lambda pairs: pairs.ranked("left_rank"),
    "pass: folded titles": lambda pairs: pairs.folded_titles,
}


def timed(name: str, count: int, run: Callable[[], Any]) -> None:
    """Print the best of three."""
    seconds = []
    for _again in range(3):
        clock = time.process_time()
        run()
        seconds.append(time.process_time() - clock)
    best = max(min(seconds), 1e-6)
    print(f"{name:<60} {count / best:>14,.0f} pairs a CPU s   {1000 * best / count:.5f} ms a pair", flush=True)


if __name__ == "__main__":
    main()
