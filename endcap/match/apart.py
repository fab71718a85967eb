"""What tells products apart, learned without a person: offers of one feed that are nearly alike are mostly different products.

A supplier lists each product once. Where two of its offers differ in 'mint' and 'coconut' alone, these words set products apart; where sure
pairs of two feeds differ in 'fast delivery', those words say nothing. Both kinds, with pairs that are surely different, teach the linear model
of `difference` (distant supervision, Mintz et al., ACL 2009: what stands in for an answer is mostly, not always, right).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from endcap.match.block import find_near
from endcap.match.difference import Difference, fit_difference
from endcap.match.index import Postings
from endcap.match.memory import EFFORT, content_keys
from endcap.match.tokens import Tokens

TOLD_APART = "told_apart"
WORDS = "words and letters that only one has, as those of one supplier's offers tell"
# What the column adds to the log-odds, and how closely the model follows what it is taught (chosen on sandbox worlds 101 and 102).
SHARE, COST = 1.5, 0.1
# Of a sample of offers, so many neighbours of which any may be of their own feed; the alike ones are siblings.
SAMPLE, NEIGHBOURS, ALIKE = 10_000, 8, 0.6
# Pairs this sure teach what does not tell products apart; of others as many, and of siblings at most twice as many.
SURE, SIBLINGS_A_SURE = 0.05, 2
ENOUGH = 50
# What is learned counts half where it is learned from so many sure pairs.
BELIEF = 500.0


def find_siblings(postings: Postings, rows: np.ndarray, seed: int) -> np.ndarray:
    """Rows int64 [m, 2] of offers of one source that are nearly alike, of a sample of `rows`: the same offers whatever row they have."""
    by_key = rows[np.argsort(postings.keys[rows], kind="stable")]
    sample = np.sort(by_key[np.random.default_rng(seed).permutation(rows.size)[:SAMPLE]])
    # Each offer is taken for a feed of its own, since offers of one feed are not compared else.
    own = np.where(postings.feeds >= 0, np.arange(postings.feeds.size), -1).astype(np.int32)
    near = find_near(replace(postings, feeds=own, sources=own), sample, NEIGHBOURS, threads=1, effort=EFFORT)
    one, other = np.repeat(near.rows, NEIGHBOURS).astype(np.int64), near.near.ravel().astype(np.int64)
    found = (other >= 0) & (near.similarity.ravel() >= ALIKE)
    one, other = one[found], other[found]
    alike = postings.sources[one] == postings.sources[other]
    return np.stack([one[alike], other[alike]], axis=1)


def teaches(scores: np.ndarray) -> bool:
    """Whether enough pairs are sure by these scores."""
    return int((scores >= 1 - SURE).sum()) >= ENOUGH


def fit_apart(tokens: Tokens, pairs: np.ndarray, scores: np.ndarray, siblings: np.ndarray, *, seed: int) -> Difference | None:
    """The model from scored pairs of two feeds [n, 2] and `siblings` [m, 2], both rows of `tokens`; None where too few of either are known.

    Siblings that share a GTIN, or say the same, are a product that is listed twice; a catalog in which most siblings are so teaches nothing.
    """
    told = _ordered(tokens, siblings)
    siblings = told[~_listed_twice(tokens, told)]
    sure = np.flatnonzero(scores >= 1 - SURE)
    random = np.random.default_rng(seed)
    other = np.sort(random.permutation(np.flatnonzero(scores <= SURE))[: sure.size])
    if min(sure.size, siblings.shape[0]) < ENOUGH or 2 * siblings.shape[0] < told.shape[0]:
        return None
    siblings = siblings[np.sort(random.permutation(siblings.shape[0])[: SIBLINGS_A_SURE * sure.size])]
    taught = np.concatenate([pairs[sure], pairs[other], siblings])
    same = np.zeros(taught.shape[0])
    same[: sure.size] = 1.0
    found = fit_difference(tokens, taught[:, 0], taught[:, 1], same, np.ones(same.size), seed=seed, cost=COST)
    return found.times(sure.size / (sure.size + BELIEF))


def _listed_twice(tokens: Tokens, siblings: np.ndarray) -> np.ndarray:
    gtin, content = tokens.gtin[siblings], content_keys(tokens)[siblings]
    return ((gtin[:, 0] != 0) & (gtin[:, 0] == gtin[:, 1])) | (content[:, 0] == content[:, 1])


def _ordered(tokens: Tokens, siblings: np.ndarray) -> np.ndarray:
    """Distinct pairs, the smaller key first, in the order of keys: the same whatever row an offer has."""
    keys = tokens.keys[siblings]
    siblings = np.where((keys[:, 0] > keys[:, 1])[:, None], siblings[:, ::-1], siblings)
    keys = np.sort(keys, axis=1)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    _keys, first = np.unique(keys[order], axis=0, return_index=True)
    return np.asarray(siblings[order][first])
