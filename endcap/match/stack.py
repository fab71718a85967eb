"""Columns that a scorer learns from labels and adds to the shelf's features: first answers for the last trees to weigh (stacking, Wolpert 1992).

In order: the score without labels and how a pair stands among its rivals by it; what sets products apart (`difference`); what the content
alone says; and what the known products say (`memory`). While fitting, each labelled pair gets its columns from parts that have not seen its
product, so that the last trees learn how far the first answers can be trusted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from endcap import shelf
from endcap.match import memory, trees
from endcap.match.difference import Difference, fit_difference
from endcap.match.forest import Forest, read_forest
from endcap.match.memory import Memory, remember
from endcap.match.pairs import Pairs

FOLDS = 5
# Labels that weigh less say nothing sure of a product, so that no product is remembered by them.
TRUSTED = 0.5
STANDING = ("first_rank_best", "first_rank_worst", "first_margin_low", "first_margin_high")
LEARNED = ("first_score", *STANDING, "difference", "content_score", *memory.COLUMNS)
WORDS = {
    "first_score": "the score before any label",
    "first_rank_best": "rank among rivals by that score, from the better side",
    "first_rank_worst": "rank among rivals by that score, from the worse side",
    "first_margin_low": "lead over the nearest rival by that score, the lesser",
    "first_margin_high": "lead over the nearest rival by that score, the greater",
    "difference": "words and letters that only one has, as labels weigh them",
    "content_score": "what both say, as labels weigh it",
    "known_both": "likeness of both to one known product",
    "known_best": "the better likeness to a known product",
    "known_least": "the lesser likeness to a known product",
    "known_agree": "the nearest known product is the same",
    "known_apart_high": "one is nearer to its known product than the other",
    "known_apart_low": "each is nearer to its own known product",
    "known_chance": "chance that both are one of the known products",
    "known_other": "likeness to the other's known product",
}
# A rank or lead where there is no rival.
NO_RIVAL = -12.0


@dataclass(frozen=True)
class Stack:
    """The learned parts, each as text."""

    base: str  # trees over the shelf's features, fitted without labels
    content: str  # trees over what offers say, with the difference
    difference: Difference
    memory: Memory

    def texts(self) -> dict[str, str]:
        """What is saved, by file name."""
        return {
            "base_trees.txt": self.base, "content_trees.txt": self.content, "difference.txt": self.difference.to_text(), "memory.txt": self.memory.to_text(),
        }  # fmt: skip

    @classmethod
    def from_texts(cls, texts: dict[str, str]) -> Stack:
        """What `texts` gave. Raises ValueError or KeyError on anything else."""
        return cls(
            texts["base_trees.txt"], texts["content_trees.txt"], Difference.from_text(texts["difference.txt"]), Memory.from_text(texts["memory.txt"])
        )  # fmt: skip

    @cached_property
    def _content_trees(self) -> Forest:
        return read_forest(self.content)

    def columns(self, pairs: Pairs, features: np.ndarray, first: np.ndarray) -> np.ndarray:
        """float32 [n, len(LEARNED)] from pairs, their features and log-odds known without labels.

        `pairs` must hold all candidate pairs of every offer to be judged.
        """
        difference = self.difference.column(pairs)
        content = self._content_trees.log_odds(_content_features(pairs, features, difference))
        known = self.memory.columns(pairs, lambda asked, _products: self._content_scores(asked, pairs, content))
        return _joined(first, _standing(pairs, first), difference, content, known)

    def _content_scores(self, asked: Pairs, pairs: Pairs, content: np.ndarray) -> np.ndarray:
        """Of pairs asked for, of which some stand twice and some among `pairs`, whose content scores are known: each is compared once."""
        size = asked.index.size
        packed, place = np.unique(asked.left * size + asked.right, return_inverse=True)
        known, found = np.unique(pairs.left * size + pairs.right, return_index=True)
        scores = np.empty(packed.size)
        at = np.minimum(np.searchsorted(known, packed), max(known.size - 1, 0))
        same = known[at] == packed if known.size else np.zeros(packed.size, dtype=bool)
        scores[same] = content[found[at[same]]]
        rest = replace(asked, left=packed[~same] // max(size, 1), right=packed[~same] % max(size, 1))
        scores[~same] = self._content_score(rest)
        return scores[place]

    def _content_score(self, pairs: Pairs) -> np.ndarray:
        difference = self.difference.column(pairs)
        return self._content_trees.log_odds(_content_features(pairs, None, difference))


def content_names() -> tuple[str, ...]:
    """The shelf's features that depend on what the two offers say, not on their rivals."""
    return tuple(name for name in shelf.names("features") if shelf.component("features", name).VIEW != "context")


def fit_stack(
    pairs: Pairs, features: np.ndarray, first: np.ndarray, labelled: np.ndarray, labels: np.ndarray, weights: np.ndarray, base: str, *, seed: int,
    asked: np.ndarray | None = None,
) -> tuple[Stack, np.ndarray]:  # fmt: skip
    """(stack, its columns float32 [n, len(LEARNED)] of all pairs, those of labelled pairs from parts that have not seen their product).

    `pairs` with features [n, f] and log-odds `first` [n] known without labels hold all candidate pairs of the labelled offers; `labelled` are places
    among them, with labels and weights beside. Where `asked` names places, the columns of pairs neither labelled nor asked for are not sought: NaN.
    """
    told = _at(pairs, labelled)
    grouped = remember(pairs.index, told.left, told.right, np.where(weights >= TRUSTED, labels, 0.0))
    keys = pairs.index.tokens.keys
    trusted = np.isin(grouped.keys, keys[np.concatenate([told.left[weights >= TRUSTED], told.right[weights >= TRUSTED]])])
    known = Memory(grouped.keys[trusted], grouped.products[trusted])
    product_of = grouped.products[np.searchsorted(grouped.keys, keys[told.left])]
    fold_of = np.random.default_rng(seed).permutation(int(grouped.products.max()) + 1) % FOLDS
    fold = fold_of[product_of]
    parts, whole, kept_out = _fit_parts(told, features[labelled], labels, weights, fold, seed)
    stack = Stack(base, whole.content, whole.difference, known)
    wanted = np.arange(pairs.size) if asked is None else np.unique(np.concatenate([labelled, asked]))
    asked_for, shown = _at(pairs, wanted), features[wanted]
    place = np.searchsorted(wanted, labelled)
    difference = stack.difference.column(asked_for)
    difference[place] = kept_out
    content = read_forest(whole.content).log_odds(_content_features(asked_for, shown, difference))
    content[place] = _out_of_fold(parts, fold, told, lambda part, some, places: part.score(some, features[labelled][places]))

    def score(alike: Pairs, products: np.ndarray) -> np.ndarray:
        found = np.zeros(alike.size)
        group = np.where(products >= 0, fold_of[np.maximum(products, 0)], FOLDS)
        for number, part in enumerate([*parts, whole]):
            places = np.flatnonzero(group == number)
            found[places] = part.score(_at(alike, places), None)
        return found

    remembered = known.columns(asked_for, score)
    columns = np.full((pairs.size, len(LEARNED)), np.nan, np.float32)
    columns[wanted] = _joined(first[wanted], _standing(pairs, first)[wanted], difference, content, remembered)
    return stack, columns


@dataclass(frozen=True)
class _Parts:
    """What one fold teaches."""

    difference: Difference
    content: str

    @cached_property
    def _trees(self) -> Forest:
        return read_forest(self.content)

    def score(self, pairs: Pairs, features: np.ndarray | None) -> np.ndarray:
        return self._trees.log_odds(_content_features(pairs, features, self.difference.column(pairs)))


def _fit_parts(
    told: Pairs, features: np.ndarray, labels: np.ndarray, weights: np.ndarray, fold: np.ndarray, seed: int
) -> tuple[list[_Parts], _Parts, np.ndarray]:
    """(what all but each fold teach, what all teach, the difference of each pair by the part that has not seen it)."""
    every = np.ones(labels.size, dtype=bool)
    used = [*(fold != number for number in range(FOLDS)), every]
    tokens, left, right = told.index.tokens, np.asarray(told.left), np.asarray(told.right)
    differences = [fit_difference(tokens, left[some], right[some], labels[some], weights[some], seed=seed) for some in used]
    kept_out = np.zeros(labels.size, np.float32)
    for number, difference in enumerate(differences[:FOLDS]):
        kept_out[fold == number] = difference.column(_at(told, np.flatnonzero(fold == number)))
    seen = _content_features(told, features, kept_out)
    names = [*content_names(), "difference"]
    fitted = [
        _Parts(difference, trees.grow(seen[some], labels[some], names, seed, trees=150, leaves=15, weights=weights[some], least=10))
        for difference, some in zip(differences, used, strict=True)
    ]
    return fitted[:FOLDS], fitted[FOLDS], kept_out


def _out_of_fold(parts: list[_Parts], fold: np.ndarray, told: Pairs, answer: Callable[[_Parts, Pairs, np.ndarray], np.ndarray]) -> np.ndarray:
    found = np.zeros(told.size)
    for number, part in enumerate(parts):
        places = np.flatnonzero(fold == number)
        found[places] = answer(part, _at(told, places), places)
    return found


def _at(pairs: Pairs, places: np.ndarray) -> Pairs:
    return replace(pairs, left=np.asarray(pairs.left)[places], right=np.asarray(pairs.right)[places])


def _content_features(pairs: Pairs, features: np.ndarray | None, difference: np.ndarray) -> np.ndarray:
    """float32 [n, content features + 1]; computed where they are not given."""
    names, every = content_names(), shelf.names("features")
    seen = np.empty((pairs.size, len(names) + 1), dtype=np.float32)
    seen[:, -1] = difference
    if features is not None:
        seen[:, :-1] = features[:, [every.index(name) for name in names]]
    else:
        seen[:, :-1] = np.array([shelf.component("features", name).column(pairs) for name in names], dtype=np.float32).T
    return seen


def _joined(first: np.ndarray, standing: np.ndarray, difference: np.ndarray, content: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.column_stack([first, standing, difference, content, known]).astype(np.float32)


def _standing(pairs: Pairs, score: np.ndarray) -> np.ndarray:
    """float64 [n, len(STANDING)]: rank (0 = first) and lead over the best rival by a score, among all given pairs of each offer."""
    ranks, leads = np.empty((2, pairs.size)), np.empty((2, pairs.size))
    for side, own in enumerate((np.asarray(pairs.left), np.asarray(pairs.right))):
        order = np.lexsort((np.arange(pairs.size), -score, own))
        owners, values = own[order], score[order]
        first = np.searchsorted(owners, owners, side="left")
        following = np.minimum(first + 1, max(pairs.size - 1, 0))
        second = np.where((following > first) & (owners[following] == owners), values[following], NO_RIVAL)
        ranks[side, order] = np.arange(pairs.size) - first
        leads[side, order] = values - np.where(np.arange(pairs.size) == first, second, values[first])
    return np.column_stack([ranks.min(0), ranks.max(0), leads.min(0), leads.max(0)])
