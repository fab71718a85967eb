"""Pair features at scale: pairs a CPU second of each feature and of the scorers, and what it costs to learn from 6,000 labels.

python bench/features.py [--offers 20000] [--candidates 10] [--seed 7] [--json]

Features over columns are computed once for all that share a pass (see endcap.match.pairs); that pass is timed by itself.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from match import read_world

from endcap import shelf
from endcap.match import fit_stacked
from endcap.match.block import find_candidates
from endcap.match.matching import OF_TWO, asked_rows, candidate_pairs, compute_features, fit_catalog, read_catalog
from endcap.match.pairs import Pairs
from endcap.match.score import feature_names
from endcap.settings import Matching

LABELS = 6000
COLUMNAR = tuple(name for name in feature_names() if name != "token_set")  # the one that compares texts letter by letter


def main() -> None:
    """Print pairs a CPU second, each feature by itself and all together, then scoring and learning."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--offers", type=int, default=20_000)
    parser.add_argument("--candidates", type=int, default=OF_TWO, help="how many an offer has")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON, the figures by name")
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
    columnar_ms = timed("all but string similarities", pairs.size, lambda: compute_features(fresh(pairs), COLUMNAR))
    features_ms = timed("all features", pairs.size, lambda: compute_features(fresh(pairs), feature_names()))
    base = fit_catalog(catalog, Matching(), graph)
    first = base.first_columns(pairs, features)
    score_ms = timed("what tells apart, and score without labels", pairs.size, lambda: base.score(base.first_columns(pairs, features)))
    ids = catalog.offer_ids.to_pylist()
    same = np.array([product_of[ids[left]] == product_of[ids[right]] for left, right in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)])
    told = np.sort(np.random.default_rng(given.seed).permutation(pairs.size)[:LABELS])
    clock = time.process_time()
    model, _columns = fit_stacked(pairs, first, told, same[told].astype(np.float64), seed=given.seed, base=base, asked=told)
    learning_cpu_s = time.process_time() - clock
    print(f"{'learning from 6,000 labels':<60} {learning_cpu_s:.2f} CPU s")
    learned_ms = timed("learned columns and score", pairs.size, lambda: model.score(model.columns(pairs, features)))
    if given.json:
        print(json.dumps({
            "columnar_pairs_a_cpu_s": 1000 / columnar_ms, "features_and_score_ms": features_ms + score_ms,
            "features_and_learned_score_ms": features_ms + learned_ms, "learning_cpu_s": learning_cpu_s,
        }))  # fmt: skip


def fresh(pairs: Pairs) -> Pairs:
    """The same pairs, nothing computed yet."""
    return replace(pairs)


PASSES: dict[str, Callable[[Pairs], Any]] = {
    "pass: tokens and 3-grams": lambda pairs: pairs.shared("word_cosine"),
    "pass: packs, amounts, details": lambda pairs: pairs.measured("pack"),
    "pass: ranks and margins (with tokens)": lambda pairs: pairs.ranked("left_rank"),
    "pass: folded titles": lambda pairs: pairs.folded_titles,
}


def timed(name: str, count: int, run: Callable[[], Any]) -> float:
    """CPU milliseconds a pair, the best of three, printed."""
    seconds = []
    for _again in range(3):
        clock = time.process_time()
        run()
        seconds.append(time.process_time() - clock)
    best = max(min(seconds), 1e-6)
    print(f"{name:<60} {count / best:>14,.0f} pairs a CPU s   {1000 * best / count:.5f} ms a pair", flush=True)
    return 1000 * best / count


if __name__ == "__main__":
    main()
