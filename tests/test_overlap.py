"""What compiled code finds in two offers' tokens, bit for bit what a plain walk over both sorted lists finds."""

from __future__ import annotations

import numpy as np
import pytest

from endcap.match import overlap
from endcap.match.block import LETTER_SHARE, NAMING, by_tokens, cosine_of, price_ratio
from endcap.match.difference import OFFSETS, SIZE, WORD_BUCKETS, Difference
from endcap.match.index import SEARCHED, Index
from endcap.match.reading import CODE, COLOUR, GRAM_BUCKETS, NUMBER, WORD
from endcap.match.tokens import Ragged, Tokens

ZERO, LEAST, ONE = np.float32(0.0), np.float32(1e-9), np.float32(1.0)
OFFERS = 40


def drawn(seed: int) -> Index:
    """Offers with few and many tokens, none at all, and hashes that differ in their high bits alone."""
    rng = np.random.default_rng(seed)
    vocabulary = np.unique(np.concatenate([rng.integers(1, 1 << 63, 60, dtype=np.uint64), np.uint64(7) + (np.arange(30, dtype=np.uint64) << np.uint64(40))]))
    rarities, gram_rarity = rng.random(vocabulary.size).astype(np.float32), rng.random(GRAM_BUCKETS).astype(np.float32)
    buckets = np.unique(rng.integers(0, GRAM_BUCKETS, 90)).astype(np.uint32)
    rows = [np.sort(rng.permutation(vocabulary.size)[: size % vocabulary.size]) for size in range(OFFERS)]
    grams = [np.sort(rng.permutation(buckets)[: (3 * size) % 80]) for size in range(OFFERS)]
    start, gram_start = (np.concatenate([[0], np.cumsum([row.size for row in found])]).astype(np.int64) for found in (rows, grams))
    places = np.concatenate(rows)
    keys = rng.integers(0, 3, OFFERS).astype(np.uint64)
    none, nothing = np.zeros(OFFERS + 1, np.int64), np.zeros(0, np.uint64)
    tokens = Tokens(
        keys, Ragged(start, vocabulary[places]), Ragged(start, rng.integers(1, 64, places.size).astype(np.uint8)), Ragged(gram_start, np.concatenate(grams)),
        Ragged(none, nothing), Ragged(none, nothing.astype(float)), Ragged(none, nothing.astype(np.int64)), Ragged(none, nothing), Ragged(none, nothing),
        keys, keys, keys,
    )  # fmt: skip
    prices = np.where(rng.random(OFFERS) < 0.2, np.nan, rng.random(OFFERS) * 100)
    norms, gram_norms = rng.random((2, OFFERS)).astype(np.float32)
    return Index(tokens, np.zeros(OFFERS, np.int32), prices, keys, rarities[places], gram_rarity, norms, gram_norms, np.zeros(OFFERS, np.bool_))


def every_pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    left, right = np.meshgrid(np.arange(OFFERS), np.arange(OFFERS), indexing="ij")
    order = np.random.default_rng(seed).permutation(left.size)
    return left.ravel()[order], right.ravel()[order]


@pytest.mark.parametrize("in_order", [True, False])
def test_sums_are_those_of_a_plain_walk_to_the_last_bit(in_order: bool) -> None:
    index = drawn(1)
    left, right = every_pair(2)
    if in_order:
        order = np.lexsort((right, left))
        left, right = left[order], right[order]
    found = overlap.compare_tokens(index, left, right)
    expected = np.array([walked(index, a, b) for a, b in zip(left.tolist(), right.tolist(), strict=True)], dtype=np.float32)
    for place, name in enumerate(overlap.OVERLAP):
        assert found[place].tobytes() == expected[:, place].tobytes(), name


def walked(index: Index, a: int, b: int) -> list[np.float32]:
    """One pair, token by token in the order of hashes."""
    sums = dict.fromkeys(overlap.OVERLAP, ZERO)
    mine, its = told(index, a), told(index, b)
    cosine = title = ZERO
    for token in sorted(mine.keys() | its.keys()):
        weight = mine[token][1] if token in mine else its[token][1]
        square = weight * weight
        for side, held, other in (("left", mine, its), ("right", its, mine)):
            if token not in held:
                continue
            flag = held[token][0]
            sums[f"all_{side}"] += square
            sums[f"words_{side}"] += square if flag & WORD else ZERO
            sums[f"numbers_{side}"] += ONE if flag & NUMBER else ZERO
            sums[f"colours_{side}"] += ONE if flag & COLOUR else ZERO
            if token in other:
                continue
            sums[f"lost_{side}"] += square if flag & WORD else ZERO
            sums[f"numbers_lost_{side}"] += ONE if flag & NUMBER else ZERO
            for name, kind in (("rarest_lost", WORD), ("code_lost", CODE)):
                sums[f"{name}_{side}"] = max(sums[f"{name}_{side}"], weight if flag & kind else ZERO)
        if token in mine and token in its:
            one, other_flag = mine[token][0], its[token][0]
            both, searched = one & other_flag, bool(one & SEARCHED and other_flag & SEARCHED)
            sums["all_shared"] += square
            sums["words_shared"] += square if both & WORD else ZERO
            sums["numbers_shared"] += ONE if both & NUMBER else ZERO
            sums["colours_shared"] += ONE if both & COLOUR else ZERO
            sums["rarest_shared"] = max(sums["rarest_shared"], weight if searched else ZERO)
            sums["code_shared"] = max(sums["code_shared"], weight if (one | other_flag) & CODE else ZERO)
            if searched and (one | other_flag) & NAMING:
                title += square
                cosine += square * square
    sums["word_cosine"] = min(cosine / max(index.norms[a] * index.norms[b], LEAST), ONE)
    letter_cosine, letters = walked_grams(index, a, b)
    sums["letter_cosine"] = letter_cosine / max(index.gram_norms[a] * index.gram_norms[b], LEAST)
    sums["similarity"] = nearness(index, a, b, title, sums["all_shared"], letters)
    return list(sums.values())


def told(index: Index, row: int) -> dict[int, tuple[int, np.float32]]:
    """(flags, rarity) by token."""
    tokens, span = index.tokens, slice(index.tokens.hashes.start[row], index.tokens.hashes.start[row + 1])
    return {int(token): (int(flag), weight) for token, flag, weight in zip(tokens.hashes.row(row), tokens.flags.row(row), index.weights[span], strict=True)}


def walked_grams(index: Index, a: int, b: int) -> tuple[np.float32, np.float32]:
    cosine = letters = ZERO
    for gram in np.intersect1d(index.tokens.grams.row(a), index.tokens.grams.row(b)):
        square = index.gram_rarity[gram] * index.gram_rarity[gram]
        cosine, letters = cosine + square * square, letters + square
    return cosine, letters


def nearness(index: Index, a: int, b: int, title: np.float32, text: np.float32, letters: np.float32) -> np.float32:
    lengths = np.array([own_lengths(index, row) for row in (a, b)])
    cosines = [cosine_of.py_func(shared, *lengths[:, place]) for place, shared in enumerate((title, text, letters))]
    price = price_ratio.py_func(index.prices[a], index.prices[b], index.currencies[a], index.currencies[b])
    return by_tokens.py_func(cosines[0], cosines[1], price) + LETTER_SHARE * cosines[2] if sum(cosines) > 0 else ZERO


def own_lengths(index: Index, row: int) -> list[np.float32]:
    title = text = letters = ZERO
    for flag, weight in told(index, row).values():
        text += weight * weight
        title += weight * weight if flag & NAMING else ZERO
    for gram in index.tokens.grams.row(row):
        letters += index.gram_rarity[gram] * index.gram_rarity[gram]
    return [title, text, letters]


def test_differences_are_those_of_a_plain_walk_to_the_last_bit() -> None:
    index, rng = drawn(3), np.random.default_rng(4)
    difference = Difference(np.arange(SIZE), rng.integers(-3000, 3000, SIZE))
    weights = (difference.thousandths * np.float32(0.001)).astype(np.float32)
    left, right = every_pair(5)
    expected = [walked_difference(index, a, b, weights) for a, b in zip(left.tolist(), right.tolist(), strict=True)]
    assert difference.between(index.tokens, left, right).tobytes() == np.array(expected, dtype=np.float32).tobytes()


def walked_difference(index: Index, a: int, b: int, weights: np.ndarray) -> float:
    """The weights of what one side has alone and of what both have, each by the root of its count: words, then letters."""
    words = [{token for token, (flag, _weight) in told(index, row).items() if flag & WORD} for row in (a, b)]
    letters = [set(index.tokens.grams.row(row).tolist()) for row in (a, b)]
    parts = [words[0] ^ words[1], words[0] & words[1], letters[0] ^ letters[1], letters[0] & letters[1]]
    sums = [0.0] * 4
    for block, part in enumerate(parts):
        for token in sorted(part):
            sums[block] += float(weights[OFFSETS[block] + token % (WORD_BUCKETS if block < 2 else GRAM_BUCKETS)])
    scales = [1.0 / np.sqrt(len(part)) if part else 0.0 for part in parts]
    return sums[0] * scales[0] + sums[1] * scales[1] + sums[2] * scales[2] + sums[3] * scales[3]
