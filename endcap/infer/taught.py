"""Categories taught further: what people and sure decisions say of offers corrects the title classifier and the meaning of suppliers' paths."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endcap.infer import title_model
from endcap.infer.categories import MOST_KEPT, Categories, PathKey, own_texts, spread_of_path, stacked
from endcap.infer.title_model import TitleModel

# What a path meant before counts as one product that people placed.
BEFORE = 1.0
_CERTAIN, _LEAST = 0.99, 0.005


@dataclass(frozen=True)
class Told:
    """Titles with the number of their house category and how much each weighs; `paths` are those of products that people placed, one a product."""

    texts: Sequence[str]
    classes: NDArray[np.int64]
    weights: NDArray[np.float32]
    paths: Sequence[tuple[PathKey, int]]


def teach_categories(before: Categories, told: Told, *, seed: int) -> Categories:
    """The categories with a title classifier fitted anew and the meanings of told paths moved; deterministic by seed."""
    size = len(before.house)
    phrases = [text for category in before.house for text in own_texts(category)]
    own = np.array([number for number, category in enumerate(before.house) for _text in own_texts(category)], np.int64)
    titles = title_model.fit(
        stacked(title_model.features_of(told.texts), title_model.features_of(phrases)), np.concatenate([told.classes, own]),
        np.concatenate([told.weights, np.ones(len(own), np.float32)]), size, seed=seed,
    )  # fmt: skip
    temperature = before.titles.temperature if before.titles else 1.0
    meanings = dict(before.meanings or {})
    counted: dict[PathKey, Counter[int]] = defaultdict(Counter)
    for key, number in told.paths:
        counted[key][number] += 1
    for key, counts in sorted(counted.items()):
        chances = spread_of_path(before, *key) * np.float32(BEFORE)
        for number, count in counts.items():
            chances[number] += count
        chances /= chances.sum()
        order = np.argsort(-chances, kind="stable")[:MOST_KEPT]
        meanings[key] = tuple((int(number), round(min(float(chances[number]), _CERTAIN), 4)) for number in order if chances[number] >= _LEAST)
    return Categories(before.house, meanings, TitleModel(titles.slots, titles.idf, titles.weights, titles.bias, temperature))
