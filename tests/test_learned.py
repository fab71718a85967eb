"""What matching learns from labels: the difference, the memory of products, the stack of both, and which pairs are asked about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_match import small_world

from endcap.learn.choose import choose
from endcap.match import Model, fit_stacked
from endcap.match.block import find_candidates
from endcap.match.difference import Difference, fit_difference
from endcap.match.matching import asked_rows, candidate_pairs, compute_features, fit_catalog, read_catalog
from endcap.match.memory import Memory, content_keys, remember
from endcap.match.pairs import Pairs
from endcap.match.score import feature_names
from endcap.match.stack import LEARNED, WORDS
from endcap.problems import BadInput
from endcap.settings import Matching


class World:
    """A small world with its candidate pairs, features and truth."""

    def __init__(self) -> None:
        offers = small_world()
        catalog = read_catalog(offers)
        rows = asked_rows(catalog, offers["offer_id"].combine_chunks())
        self.pairs: Pairs = candidate_pairs(catalog, find_candidates(catalog.index, rows, 5), rows, 5)
        product = np.array([int(str(one).split(":")[1]) for one in catalog.offer_ids.to_pylist()])
        self.labels = (product[self.pairs.left] == product[self.pairs.right]).astype(float)
        self.base = fit_catalog(catalog, Matching())
        self.features = self.base.first_columns(self.pairs, compute_features(self.pairs, feature_names()))

    def difference(self) -> Difference:
        return fit_difference(self.pairs.index.tokens, self.pairs.left, self.pairs.right, self.labels, np.ones(self.pairs.size), seed=1)

    @property
    def every(self) -> np.ndarray:
        return np.arange(self.pairs.size)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def constant(pairs: Pairs, _products: np.ndarray) -> np.ndarray:
    return np.full(pairs.size, 2.0)


def test_the_difference_is_the_same_from_both_sides_and_learns(world: World) -> None:
    found = world.difference()
    column = found.column(world.pairs)
    np.testing.assert_allclose(column, found.column(world.pairs.mirrored()), atol=1e-5)
    assert column[world.labels == 1].mean() > 0 > column[world.labels == 0].mean()
    assert world.difference().to_text() == found.to_text()


def test_the_difference_is_text_and_refuses_other_text(world: World) -> None:
    found = world.difference()
    again = Difference.from_text(found.to_text())
    np.testing.assert_array_equal(again.column(world.pairs), found.column(world.pairs))
    for text in ("5 1\n3 1\n", "-1 3\n", "one two\n"):
        with pytest.raises(ValueError):
            Difference.from_text(text)


def test_memory_joins_what_labels_join_and_leaves_the_pair_itself_out(world: World) -> None:
    same = np.flatnonzero(world.labels == 1)
    memory = remember(world.pairs.index, world.pairs.left[same], world.pairs.right[same], world.labels[same])
    product_of = dict(zip(memory.keys.tolist(), memory.products.tolist(), strict=True))
    keys = world.pairs.index.tokens.keys
    for place in same.tolist():
        assert product_of[int(keys[world.pairs.left[place]])] == product_of[int(keys[world.pairs.right[place]])]
    # A pair that alone makes up what is known has no witness.
    one = same[:1]
    alone = remember(world.pairs.index, world.pairs.left[one], world.pairs.right[one], world.labels[one])
    pair = replace(world.pairs, left=world.pairs.left[one], right=world.pairs.right[one])
    np.testing.assert_array_equal(alone.columns(pair, constant)[0, :3], [-8.0, -8.0, -8.0])


def test_memory_is_symmetric_text_and_empty_where_nothing_is_known(world: World) -> None:
    memory = remember(world.pairs.index, world.pairs.left, world.pairs.right, world.labels)
    np.testing.assert_array_equal(memory.columns(world.pairs, constant), memory.columns(world.pairs.mirrored(), constant))
    assert Memory.from_text(memory.to_text()).to_text() == memory.to_text()
    nothing = Memory(np.zeros(0, np.uint64), np.zeros(0, np.int64))
    assert (nothing.columns(world.pairs, constant)[:, :3] == -8.0).all()
    with pytest.raises(ValueError):
        Memory.from_text("1\n")


def test_equal_texts_have_equal_content_keys(world: World) -> None:
    tokens = world.pairs.index.tokens
    keys = content_keys(tokens)
    twice = content_keys(tokens.take(np.array([0, 1, 0])))
    assert twice[0] == twice[2] == keys[0] and twice[1] == keys[1] != keys[0]


def test_a_stacked_model_is_deterministic_symmetric_and_saved_whole(world: World, tmp_path: Path) -> None:
    model, columns = fit_stacked(world.pairs, world.features, world.every, world.labels, seed=3, base=world.base)
    again, _columns = fit_stacked(world.pairs, world.features, world.every, world.labels, seed=3, base=world.base)
    assert model.model_id == again.model_id and model.names[-len(LEARNED) :] == LEARNED
    assert set(WORDS) == set(LEARNED)
    model.save(tmp_path / "m")
    loaded = Model.load(tmp_path / "m")
    found = loaded.columns(world.pairs, world.features)
    turned = world.pairs.mirrored()
    np.testing.assert_allclose(found, loaded.columns(turned, compute_features(turned, feature_names())), atol=1e-4)
    np.testing.assert_array_equal(loaded.score(found), model.score(model.columns(world.pairs, world.features)))
    np.testing.assert_allclose(loaded.contributions(found).sum(axis=1), loaded.log_odds(found), atol=1e-6)
    assert ((model.score(columns) >= 0.5) == (world.labels == 1)).mean() > 0.9
    for name in ("difference.txt", "memory.txt", "content_trees.txt"):
        text = (tmp_path / "m" / name).read_text()
        (tmp_path / "m" / name).write_text(text[: len(text) // 2])
        with pytest.raises(BadInput):
            Model.load(tmp_path / "m")
        (tmp_path / "m" / name).write_text(text)


def test_labelled_pairs_get_columns_from_parts_that_have_not_seen_them(world: World) -> None:
    """With labels drawn by chance, what is learned must not foretell them."""
    chance = np.random.default_rng(5).integers(0, 2, world.pairs.size).astype(float)
    _model, columns = fit_stacked(world.pairs, world.features, world.every, chance, seed=3, base=world.base)
    for name in ("difference", "content_score"):
        column = columns[:, len(feature_names()) + LEARNED.index(name)]
        assert abs(np.corrcoef(column, chance)[0, 1]) < 0.2, name


def test_only_the_columns_asked_for_are_sought(world: World) -> None:
    """What known products say may differ a little: they are looked for among the offers asked about, whose rarity follows from them."""
    labelled, asked = world.every[:120], world.every[200:210]
    _model, columns = fit_stacked(world.pairs, world.features, labelled, world.labels[:120], seed=3, base=world.base)
    _again, some = fit_stacked(world.pairs, world.features, labelled, world.labels[:120], seed=3, base=world.base, asked=asked)
    wanted = np.concatenate([labelled, asked])
    names = [*feature_names(), *LEARNED]
    known = np.array([name.startswith("known_") for name in names])
    np.testing.assert_array_equal(some[wanted][:, ~known], columns[wanted][:, ~known])
    assert np.isclose(some[wanted][:, known], columns[wanted][:, known], atol=1e-4).mean() > 0.7
    learned = some[:, len(feature_names()) :]
    assert np.isnan(np.delete(learned, wanted, axis=0)).all() and not np.isnan(learned[wanted]).any()


def test_labels_of_one_answer_are_refused(world: World) -> None:
    with pytest.raises(BadInput, match="only one answer"):
        fit_stacked(world.pairs, world.features, world.every, np.ones(world.pairs.size), seed=3, base=world.base)


def test_each_pair_is_asked_once_and_both_answers_occur(world: World) -> None:
    asked: list[int] = []

    def answer(places: np.ndarray) -> np.ndarray:
        asked.extend(places.tolist())
        return world.labels[places]

    chosen = choose(world.features, answer, 60, base=world.base, seed=4)
    assert chosen.tolist() == asked and len(set(asked)) == 60
    assert set(world.labels[chosen].tolist()) == {0.0, 1.0}
    assert choose(world.features, lambda places: world.labels[places], 60, base=world.base, seed=4).tolist() == asked
    assert choose(world.features, lambda places: world.labels[places], 10**6, base=world.base, seed=4).size == world.pairs.size
