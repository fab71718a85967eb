"""What was learnt about categories: each supplier path's meaning, and a title classifier for offers without a safe path.

Three steps. Words map each path of each feed to house categories. Titles under safely mapped paths train the
classifier, cross-fitted over paths, so that its view of a path's titles is an independent second opinion on that path.
Both opinions together are the path's meaning; per offer the path's meaning and its own title are multiplied.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from endcap.infer import title_model
from endcap.infer.path_words import PathWords
from endcap.infer.taxonomy import Category
from endcap.infer.title_model import TitleModel

SAFE = 0.6  # a path mapped by its words with at least this probability may teach the classifier
SAFE_TITLE = 0.5  # the same for a title's own words, where the path says nothing
TITLE_LESSON = 0.3  # weight of such a lesson
MOST_LESSONS = 30_000
MOST_TITLES_A_PATH = 200
FLOOR = 0.03  # no opinion rules a category out
FOLDS = 2
MOST_KEPT = 5
_CERTAIN = 0.99

PathKey = tuple[str, str]
Meaning = tuple[tuple[int, float], ...]  # (category number, probability), most probable first


@dataclass(frozen=True)
class Categories:
    """The house's categories with what was learnt; without a taxonomy `house` is empty."""

    house: tuple[Category, ...] = ()
    meanings: dict[PathKey, Meaning] | None = None
    titles: TitleModel | None = None

    @cached_property
    def path_words(self) -> PathWords:
        return PathWords(self.house)

    def path_probabilities(self, feed: str, path: str) -> NDArray[np.float32]:
        """The probability of each house category by the supplier's path alone; of an unknown path by its words."""
        return self._path_probabilities(feed, path)

    @cached_property
    def _path_probabilities(self):  # type: ignore[no-untyped-def]
        @lru_cache(maxsize=50_000)
        def remembered(feed: str, path: str) -> NDArray[np.float32]:
            meaning = (self.meanings or {}).get((feed, path))
            if meaning is None:
                return _spread(*self.path_words.probabilities(path), None, len(self.house))
            left = max(0.0, 1.0 - sum(probability for _number, probability in meaning))
            out = np.full(len(self.house), left / len(self.house), np.float32)
            for number, probability in meaning:
                out[number] += np.float32(probability)
            return out

        return remembered

    def title_probabilities(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Texts x categories by the title alone; None when nothing was learnt."""
        return None if self.titles is None else self.titles.probabilities(title_model.features_of(texts))


@dataclass(frozen=True)
class Lessons:
    """The distinct paths of a catalog and a bounded sample of offers: `path_numbers[i]` is the path of `texts[i]`, -1 for none."""

    paths: tuple[PathKey, ...]
    path_numbers: NDArray[np.int64]
    texts: Sequence[str]


def learn_categories(lessons: Lessons, house: tuple[Category, ...], *, seed: int) -> Categories:
    """Path meanings and the title classifier; deterministic by seed. Without a taxonomy nothing is learnt."""
    if not house:
        return Categories()
    by_words = PathWords(house)
    opinions = [by_words.probabilities(path) for _feed, path in lessons.paths]
    classes, weights = _lessons_by_words(lessons, opinions, by_words)
    features = title_model.features_of(lessons.texts)
    second, temperature = _second_opinions(lessons, features, classes, weights, len(house), seed)
    taught = np.flatnonzero(classes >= 0)
    phrases = title_model.features_of([text for category in house for text in own_texts(category)])
    own = np.array([number for number, category in enumerate(house) for _text in own_texts(category)], np.int64)
    titles = title_model.fit(
        stacked(features.rows(taught), phrases), np.concatenate([classes[taught], own]),
        np.concatenate([weights[taught], np.ones(len(own), np.float32)]), len(house), seed=seed,
    )  # fmt: skip
    titles = TitleModel(titles.slots, titles.idf, titles.weights, titles.bias, temperature)
    meanings = {key: _meaning(_spread(*opinions[number], second.get(number), len(house))) for number, key in enumerate(lessons.paths)}
    return Categories(house, meanings, titles)


def spread_of_path(categories: Categories, feed: str, path: str) -> NDArray[np.float32]:
    """The probability of each house category by the path alone, as a copy that may be changed."""
    return categories.path_probabilities(feed, path).copy()


def title_text(title: str, brand: str | None) -> str:
    """The text the title classifier reads."""
    return f"{title} {brand}" if brand and brand not in title else title


def pooled(path: NDArray[np.float32] | None, title: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    """Both opinions on one offer as one: multiplied, no category ruled out by either."""
    if path is None or title is None:
        return path if title is None else title
    product = (path + np.float32(FLOOR / len(path))) * (title + np.float32(FLOOR))
    return np.asarray(product / product.sum(), np.float32)


def _spread(by_words: dict[int, float], none: float, by_titles: tuple[NDArray[np.float32], int] | None, size: int) -> NDArray[np.float32]:
    """A path's meaning from its words and, where there is one, the view of its titles (mean probabilities, number of titles)."""
    out = np.full(size, none / size, np.float32)
    if by_titles is not None:
        view, count = by_titles
        out = np.asarray(none * view, np.float32)
    for number, probability in by_words.items():
        out[number] += np.float32(probability)
    if by_titles is not None:
        out *= (view + np.float32(FLOOR)) ** np.float32(count / (count + 5))
    return np.asarray(out / out.sum(), np.float32)


def _meaning(probabilities: NDArray[np.float32]) -> Meaning:
    order = np.argsort(-probabilities, kind="stable")[:MOST_KEPT]
    return tuple((int(number), round(min(float(probabilities[number]), _CERTAIN), 4)) for number in order if probabilities[number] >= 0.005)


def own_texts(category: Category) -> list[str]:
    """What the house itself calls a category."""
    return [category.levels[-1], *category.words]


def _lessons_by_words(
    lessons: Lessons, opinions: Sequence[tuple[dict[int, float], float]], by_words: PathWords
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Class (-1: none) and weight of each sampled offer, from its path's words or else its title's."""
    classes = np.full(len(lessons.texts), -1, np.int64)
    weights = np.zeros(len(lessons.texts), np.float32)
    safest = [max(opinion.items(), key=lambda item: (item[1], -item[0]), default=(-1, 0.0)) for opinion, _none in opinions]
    for row, number in enumerate(lessons.path_numbers.tolist()):
        category, probability = safest[number] if number >= 0 else (-1, 0.0)
        if probability >= SAFE:
            classes[row], weights[row] = category, probability
        elif probability < SAFE_TITLE:
            told, _none = by_words.probabilities(lessons.texts[row])
            category, probability = max(told.items(), key=lambda item: (item[1], -item[0]), default=(-1, 0.0))
            if probability >= SAFE_TITLE:
                classes[row], weights[row] = category, TITLE_LESSON
    return classes, weights


def _second_opinions(
    lessons: Lessons, features: title_model.Features, classes: NDArray[np.int64], weights: NDArray[np.float32], size: int, seed: int
) -> tuple[dict[int, tuple[NDArray[np.float32], int]], float]:
    """Per path the mean view of its titles by a classifier that never saw that path, and the temperature that fits such views."""
    # By path without its feed: two branches of one supplier share their tree and must not vouch for each other.
    folds = np.array([zlib.crc32(path.encode()) % FOLDS for _feed, path in lessons.paths] or [0])
    fold = np.where(lessons.path_numbers >= 0, folds[lessons.path_numbers], -1)
    views = np.zeros((len(lessons.texts), size), np.float32)
    for held in range(FOLDS):
        taught, asked = np.flatnonzero((classes >= 0) & (fold != held)), np.flatnonzero(fold == held)
        if len(taught) and len(asked):
            model = title_model.fit(features.rows(taught), classes[taught], weights[taught], size, seed=seed)
            views[asked] = model.probabilities(features.rows(asked))
    judged = np.flatnonzero((fold >= 0) & (weights >= SAFE) & (views.sum(axis=1) > 0))
    temperature = title_model.fit_temperature(views[judged], classes[judged])
    found: dict[int, tuple[NDArray[np.float32], int]] = {}
    order = np.argsort(lessons.path_numbers, kind="stable")
    bounds = np.searchsorted(lessons.path_numbers[order], np.arange(len(lessons.paths) + 1))
    for number in range(len(lessons.paths)):
        rows = order[bounds[number] : bounds[number + 1]][:MOST_TITLES_A_PATH]
        if len(rows) and views[rows[0]].sum() > 0:
            found[number] = (_tempered(views[rows], temperature).mean(axis=0), len(rows))
    return found, temperature


def _tempered(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    out = np.clip(probabilities, 1e-9, 1.0) ** np.float32(1 / temperature)
    return np.asarray(out / out.sum(axis=1, keepdims=True), np.float32)


def stacked(above: title_model.Features, below: title_model.Features) -> title_model.Features:
    """The rows of both, in their order."""
    return title_model.Features(
        np.concatenate([above.starts, above.starts[-1] + below.starts[1:]]),
        np.concatenate([above.columns, below.columns]), np.concatenate([above.counts, below.counts]),
    )  # fmt: skip
