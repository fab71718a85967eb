"""Trees read from LightGBM's text answer as LightGBM does."""

from __future__ import annotations

import numpy as np
import pytest

from endcap.match import trees
from endcap.match.forest import read_forest


def grown(unknown: bool) -> tuple[str, np.ndarray]:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(900, 5)).astype(np.float32)
    features[:, 3] = np.round(features[:, 3])
    if unknown:
        features[rng.random(features.shape) < 0.2] = np.nan
    target = (np.nan_to_num(features[:, 0]) + np.nan_to_num(features[:, 3], nan=1.0) > 0.3).astype(float)
    return trees.grow(features, target, [f"f{place}" for place in range(5)], 1, trees=40, leaves=15), features


@pytest.mark.parametrize("unknown", [False, True])
def test_a_forest_answers_as_lightgbm_to_the_last_bit(unknown: bool) -> None:
    text, features = grown(unknown)
    asked = np.vstack([features, np.zeros((1, 5), np.float32), np.full((1, 5), np.nan, np.float32), np.full((1, 5), np.inf, np.float32)])
    expected = trees.booster(text).predict(asked, raw_score=True, num_threads=1)
    assert read_forest(text).log_odds(asked).tobytes() == np.asarray(expected).tobytes()
    assert read_forest(text).log_odds(asked[7:8])[0] == expected[7]
    np.testing.assert_allclose(read_forest(text, text).log_odds(asked), 2 * expected, rtol=1e-12)


def test_thresholds_between_and_beyond_float32_answer_as_lightgbm() -> None:
    rng = np.random.default_rng(5)
    features = rng.normal(size=(900, 2)).astype(np.float32)
    features[::3, 1] = np.nan
    target = (np.isnan(features[:, 1]) | (features[:, 0] > 1)).astype(float)
    text = trees.grow(features, target, ["a", "b"], 1, trees=30, leaves=8)
    assert any("inf" in line.split("=")[1].split(" ") for line in text.splitlines() if line.startswith("threshold="))
    # Values beside each threshold: the float32 nearest to it and those next to that.
    near = np.float32(np.unique([float(one) for line in text.splitlines() if line.startswith("threshold=") for one in line.split("=")[1].split(" ")]))
    beside = np.concatenate([near, np.nextafter(near, np.float32(-np.inf)), np.nextafter(near, np.float32(np.inf)), np.float32([np.nan, np.inf, -np.inf])])
    asked = np.stack(np.meshgrid(beside, beside), axis=-1).reshape(-1, 2)
    assert read_forest(text).log_odds(asked).tobytes() == trees.booster(text).predict(asked, raw_score=True, num_threads=1).tobytes()


def test_trees_that_grew_no_branch_are_read() -> None:
    text = trees.grow(np.zeros((30, 2), np.float32), np.linspace(0, 1, 30), ["a", "b"], 1, trees=3, leaves=4)
    features = np.ones((2, 2), np.float32)
    np.testing.assert_array_equal(read_forest(text).log_odds(features), trees.booster(text).predict(features, raw_score=True))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("num_cat=0", "num_cat=1"), ("is_linear=0", "is_linear=1"), ("left_child=", "left_child=0 "), ("leaf_value=", "leaf_value=1 "),
        ("decision_type=", "decision_type=1"), ("\nthreshold=", "\nthreshold=x"), ("\nsplit_feature=", "\nfeature="), ("tree\n", "wood\n"),
    ],
)  # fmt: skip
def test_trees_of_another_kind_are_refused(old: str, new: str) -> None:
    text, _features = grown(False)
    with pytest.raises(ValueError):
        read_forest(text.replace(old, new, 1))


def test_children_that_go_round_in_a_circle_are_refused() -> None:
    text, _features = grown(False)
    first = next(line for line in text.splitlines() if line.startswith("left_child="))
    with pytest.raises(ValueError):
        read_forest(text.replace(first, "left_child=" + " ".join("0" for _one in first.split(" ")), 1))
