"""Which house category a supplier's category path means, by its words alone.

Each category has phrases (its own name and its `words`). A phrase is compared with each level of the path: word by
word, where a compound counts by its head ('Fruchtjoghurt' is a 'Joghurt') and less by its first part. The leaf weighs
most. Scores become probabilities with 'none of these' as one of the answers.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence

from endcap.infer import folding
from endcap.infer.taxonomy import Category

EXACT, HEAD, PREFIX, WIDER = 1.0, 0.8, 0.45, 0.35
LEVEL_WEIGHTS = (1.0, 0.45, 0.25, 0.15)  # leaf, its parent, ...
SHARPNESS = 8.0
NONE_SCORE = 0.45
SHORTEST_PART = 4
MOST_COUNTED = 3  # words of a level: a longer one is a path in one piece
_BETWEEN = re.compile(r"[&,/;|+]|\s-\s|\b(?:und|and|et|y|u)\b", re.IGNORECASE)
_SLUG = re.compile(r"[a-z0-9]+(?:-[A-Za-z0-9_]+)+")
_LEVEL_MARKS = re.compile(r"\s*(?:>|»|\||::)\s*")
_MACHINE_ID = re.compile(r"[A-Za-z0-9_]{14,}")


class PathWords:
    """The phrases of a taxonomy, indexed by word; `probabilities(path)` maps a supplier's path."""

    def __init__(self, categories: Sequence[Category]) -> None:
        self.size = len(categories)
        self._phrases: list[tuple[int, int, float]] = []  # category, words in the phrase, weight
        self._by_word: dict[str, list[tuple[int, int, float]]] = defaultdict(list)  # word -> phrase, place in it, strength
        owners: dict[tuple[str, ...], set[int]] = defaultdict(set)
        for number, category in enumerate(categories):
            for phrase, _weight in _phrases_of(category):
                owners[phrase].add(number)
        for number, category in enumerate(categories):
            for phrase, weight in _phrases_of(category):
                self._add(number, phrase, weight / math.sqrt(len(owners[phrase])))

    def _add(self, category: int, phrase: tuple[str, ...], weight: float) -> None:
        place = len(self._phrases)
        self._phrases.append((category, len(phrase), weight))
        for position, word in enumerate(phrase):
            self._by_word[word].append((place, position, EXACT))
            for start in range(1, len(word) - SHORTEST_PART + 1):
                self._by_word[word[start:]].append((place, position, WIDER))

    def scores(self, path: str) -> dict[int, float]:
        """Category number -> score of a path's words; about 1 for a leaf that is exactly one of its phrases."""
        total: dict[int, float] = defaultdict(float)
        for level, weight in zip(reversed(path_levels(path)), LEVEL_WEIGHTS, strict=False):
            for category, score in self._level_scores(level).items():
                total[category] += weight * score
        return total

    def probabilities(self, path: str) -> tuple[dict[int, float], float]:
        """Category number -> probability, and the probability that it is none of them."""
        exponents = {category: math.exp(SHARPNESS * score) for category, score in self.scores(path).items()}
        none = math.exp(SHARPNESS * NONE_SCORE)
        total = none + sum(exponents.values()) + (self.size - len(exponents))
        return {category: value / total for category, value in sorted(exponents.items())}, none / total

    def _level_scores(self, level: str) -> dict[int, float]:
        best: dict[int, float] = {}
        segments = [words for part in _BETWEEN.split(level) if (words := folding.stems(part))]
        for place, words in enumerate(segments):
            # 'Kuchen & Co.': what is named first says more than what follows.
            share = 1.0 if place == 0 else 0.9
            for category, score in self._segment_scores(words).items():
                best[category] = max(best.get(category, 0.0), share * score)
        return best

    def _segment_scores(self, words: list[str]) -> dict[int, float]:
        matched: dict[int, dict[int, float]] = defaultdict(dict)
        for words_after, word in enumerate(reversed(words)):
            # What stands last is the thing itself, in 'Nassfutter Katze' as in 'hair-care-shampoos'.
            place = max(0.6, 1.0 - 0.1 * words_after)
            for phrase, position, strength in self._matches(word):
                strength *= place
                if strength > matched[phrase].get(position, 0.0):
                    matched[phrase][position] = strength
        best: dict[int, float] = {}
        for phrase, positions in matched.items():
            category, length, weight = self._phrases[phrase]
            complete = len(positions) / length
            covered = len(positions) / min(len(words), MOST_COUNTED)
            score = weight * sum(positions.values()) / length * complete * (0.6 + 0.4 * min(covered, 1.0)) * (1 + 0.1 * (length - 1))
            best[category] = max(best.get(category, 0.0), score)
        return best

    def _matches(self, word: str) -> list[tuple[int, int, float]]:
        found = list(self._by_word.get(word, ()))
        for start in range(1, len(word) - SHORTEST_PART + 1):
            found += [(phrase, position, HEAD) for phrase, position, strength in self._by_word.get(word[start:], ()) if strength == EXACT]
        for end in range(SHORTEST_PART, len(word)):
            found += [(phrase, position, PREFIX) for phrase, position, strength in self._by_word.get(word[:end], ()) if strength == EXACT]
        return found


def path_levels(path: str) -> list[str]:
    """The levels of a supplier's path, top first; a web address part such as 'hair-care-shampoos' is read as words, its ids dropped."""
    levels = [level for level in _LEVEL_MARKS.split(path.strip()) if level]
    if len(levels) == 1 and _SLUG.match(levels[0]) and " " not in levels[0]:
        parts = [part for part in levels[0].split("-") if part and not _is_machine_id(part)]
        return [" ".join(parts)]
    return levels


def _is_machine_id(part: str) -> bool:
    mixed = any(character.isdigit() or character.isupper() for character in part)
    return part.isdigit() or bool(_MACHINE_ID.fullmatch(part) and mixed) or (mixed and any(character.isupper() for character in part[1:]))


def _phrases_of(category: Category) -> list[tuple[tuple[str, ...], float]]:
    """A category's phrases as stems with weights: its leaf and words fully, its parents' names a little."""
    leaf, parents = category.levels[-1], category.levels[:-1]
    found: dict[tuple[str, ...], float] = {}
    for text, weight in [(leaf, 1.0), *((word, 1.0) for word in category.words), *((parent, 0.3) for parent in parents)]:
        for part in [text, *_BETWEEN.split(text)]:
            phrase = tuple(folding.stems(part))
            if phrase:
                found[phrase] = max(found.get(phrase, 0.0), weight)
    return sorted(found.items())
