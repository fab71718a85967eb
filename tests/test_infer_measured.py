"""The title classifier on real product titles: floors well below what is reached, so that a fall is seen."""

from __future__ import annotations

import csv
import zlib
from pathlib import Path

import numpy as np
import pytest

from endcap.infer import title_model

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "category"


def _accuracy(file: Path, title: str, label: str, share: int) -> float:
    if not file.exists():
        pytest.skip(f"the shared data set {file.parent.name} is not here")
    with file.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row[label] and zlib.crc32(row[title].encode()) % 100 < share]
    names = sorted({row[label] for row in rows})
    classes = np.array([names.index(row[label]) for row in rows], np.int64)
    test = np.array([zlib.crc32(b"test" + row[title].encode()) % 5 == 0 for row in rows])
    features = title_model.features_of([row[title] for row in rows])
    taught, asked = np.flatnonzero(~test), np.flatnonzero(test)
    model = title_model.fit(features.rows(taught), classes[taught], np.ones(len(taught), np.float32), len(names), seed=1)
    return float((model.probabilities(features.rows(asked)).argmax(axis=1) == classes[asked]).mean())


@pytest.mark.nightly
def test_article_type_of_fashion_titles() -> None:
    assert _accuracy(SHARED / "fashion-styles" / "products.csv", "productDisplayName", "articleType", 40) >= 0.95


def test_top_category_of_grocery_titles() -> None:
    assert _accuracy(SHARED / "bigbasket" / "products.csv", "product", "category", 40) >= 0.75


def test_features_of_a_text_do_not_depend_on_its_neighbours() -> None:
    texts = ["Crème brûlée 4 x 100 g", "", "shampoo", "shampoo shampoo", "ÄÖÜ ß", "a\nb"]
    together = title_model.features_of(texts)
    for number, text in enumerate(texts):
        alone = title_model.features_of([text])
        span = slice(together.starts[number], together.starts[number + 1])
        assert np.array_equal(alone.columns, together.columns[span]) and np.array_equal(alone.counts, together.counts[span])
    assert len(title_model.features_of([])) == 0
    assert together.starts[2] - together.starts[1] == 0


def test_temperature_softens_overconfident_views() -> None:
    draw = np.random.default_rng(3)
    classes = draw.integers(0, 3, 600)
    said = np.where(draw.random(600) < 0.7, classes, (classes + 1) % 3)
    sure = np.full((600, 3), 0.005, np.float32)
    sure[np.arange(600), said] = 0.99
    assert title_model.fit_temperature(sure, classes) > 2
    assert title_model.fit_temperature(sure[:10], classes[:10]) == 1.0
