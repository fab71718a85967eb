"""What is known of two listings of one marketplace without a person: what shops sell, each product once, tells which are one product.

Two listings that are surely the same offer of a shop are one product; two that are surely two of its offers are two (both by way of a third offer,
as in distant supervision, Mintz et al., ACL 2009). GTINs that both state say it too, equal ones where the titles are alike: a code that stands for none,
or a wrong one, is on listings of anything. Where all this says little, no likeness of two listings is trusted.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from endcap.match.pairs import Pairs

Score = Callable[[np.ndarray], np.ndarray]
# A listing is an offer of a shop from this chance on. Two listings of one such offer are one product so often, and those of two are one so seldom.
SURE, SAME, DIFFERENT = 0.95, 0.95, 0.02
# Of equal GTINs on titles that are not alike nobody knows.
ASKED, HALF = 0.5, 0.5
# With fewer known ones of either kind nothing is learned; then no two listings are surer than this, so that they are asked about.
ENOUGH, MOST_UNTAUGHT = 50, 0.7


def teach_listings(
    within: Pairs, features: np.ndarray, across: Pairs, across_features: np.ndarray, score: Score
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(features float32 [m, f], chances float64 [m]) of pairs of listings that teach a scorer how sure it may be of such.

    `within` are pairs of one feed with their `features` [n, f], `across` pairs of two feeds; `score` is a scorer fitted on `across` alone.
    """
    gtin = within.stated(within.index.tokens.gtin, equal=True)
    same = _by_shops(within, _sure_offers(across, score(across_features)))
    same = np.where(np.isnan(same), np.where((gtin == 1) & ~_alike(within), ASKED, gtin), np.where((gtin == 0) & (same == 1), np.nan, same))
    if min((same == 1).sum(), (same == 0).sum()) < ENOUGH:
        return features, np.minimum(score(features), MOST_UNTAUGHT)
    known = np.flatnonzero(~np.isnan(same))
    return features[known], np.clip(same[known], DIFFERENT, SAME)


def _alike(pairs: Pairs) -> np.ndarray:
    """bool [n]: at least half as near as what is nearest to either."""
    nearest = pairs.graph.similarity[:, 0]
    return np.asarray(pairs.similarity >= HALF * np.maximum(nearest[pairs.left], nearest[pairs.right]))


def _sure_offers(across: Pairs, scores: np.ndarray) -> dict[int, dict[int, int]]:
    """Row of a listing -> number of a shop -> row of the shop's offer that it surely is."""
    found: dict[int, dict[int, int]] = {}
    feeds, often = across.index.feeds, across.index.often
    sure = np.flatnonzero(scores >= SURE)
    for place in sure[np.argsort(-scores[sure], kind="stable")].tolist():
        for listing, offer in ((int(across.left[place]), int(across.right[place])), (int(across.right[place]), int(across.left[place]))):
            if often[listing] and not often[offer]:
                found.setdefault(listing, {}).setdefault(int(feeds[offer]), offer)
    return found


def _by_shops(within: Pairs, offers: dict[int, dict[int, int]]) -> np.ndarray:
    """float64 [n]: 1 = shops have both as one offer, 0 = as two, NaN = none has both, or they contradict each other."""
    said = np.full(within.size, np.nan)
    for place, (left, right) in enumerate(zip(within.left.tolist(), within.right.tolist(), strict=True)):
        one, other = offers.get(left), offers.get(right)
        if one is not None and other is not None:
            told = {one[shop] == other[shop] for shop in one.keys() & other.keys()}
            if len(told) == 1:
                said[place] = float(told.pop())
    return said
