"""What two offers' tokens share and what each has alone: one pass over both sorted token lists gives every sum that features need."""

from __future__ import annotations

import numba
import numpy as np

from endcap.match.index import SEARCHED, Index
from endcap.match.reading import CODE, COLOUR, NUMBER, WORD

# Columns of what `compare_tokens` returns; `words` are of the title, `all` has description and details too; sums are of rarity squared.
OVERLAP = (
    "words_shared", "words_left", "words_right", "lost_left", "lost_right", "rarest_shared", "rarest_lost_left", "rarest_lost_right",
    "code_shared", "code_lost_left", "code_lost_right", "numbers_shared", "numbers_left", "numbers_right", "numbers_lost_left",
    "numbers_lost_right", "all_shared", "all_left", "all_right", "word_cosine", "letter_cosine",
    "colours_shared", "colours_left", "colours_right",
)  # fmt: skip
# Amounts this close, as a share of the greater, are the same amount.
SAME_AMOUNT = 0.02
PLACE = {name: place for place, name in enumerate(OVERLAP)}


def compare_tokens(index: Index, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """float32 [n, len(OVERLAP)] for pairs of rows."""
    tokens = index.tokens
    sums = _compare(
        left, right, tokens.hashes.start, tokens.hashes.values, tokens.flags.values, index.weights, index.norms,
        tokens.grams.start, tokens.grams.values, index.gram_rarity, index.gram_norms,
    )  # fmt: skip
    return np.asarray(sums)


@numba.njit(cache=True)
def _alone(flag: int, weight: np.float32, out: np.ndarray, side: int) -> None:
    """Add a token that only one side holds; `side` is 0 for left, 1 for right."""
    square = weight * weight
    out[17 + side] += square
    if flag & WORD:
        out[1 + side] += square
        out[3 + side] += square
        out[6 + side] = max(out[6 + side], weight)
    if flag & CODE:
        out[9 + side] = max(out[9 + side], weight)
    if flag & NUMBER:
        out[12 + side] += 1
        out[14 + side] += 1
    if flag & COLOUR:
        out[22 + side] += 1


@numba.njit(cache=True)
def _together(left_flag: int, right_flag: int, weight: np.float32, out: np.ndarray) -> np.float32:
    """Add a token that both sides hold; returns what it adds to the word cosine."""
    square = weight * weight
    both = left_flag & right_flag
    out[16] += square
    out[17] += square
    out[18] += square
    if left_flag & WORD:
        out[1] += square
    if right_flag & WORD:
        out[2] += square
    if both & WORD:
        out[0] += square
    if left_flag & SEARCHED and right_flag & SEARCHED:
        out[5] = max(out[5], weight)
    if (left_flag | right_flag) & CODE:
        out[8] = max(out[8], weight)
    if left_flag & NUMBER:
        out[12] += 1
    if right_flag & NUMBER:
        out[13] += 1
    if both & NUMBER:
        out[11] += 1
    out[21] += both & COLOUR != 0
    out[22] += left_flag & COLOUR != 0
    out[23] += right_flag & COLOUR != 0
    searched = left_flag & SEARCHED and right_flag & SEARCHED
    return square * square if searched and (left_flag | right_flag) & (WORD | CODE) else np.float32(0.0)


@numba.njit(cache=True)
def _compare(
    left: np.ndarray, right: np.ndarray, start: np.ndarray, hashes: np.ndarray, flags: np.ndarray, weights: np.ndarray, norms: np.ndarray,
    gram_start: np.ndarray, grams: np.ndarray, gram_rarity: np.ndarray, gram_norms: np.ndarray,
) -> np.ndarray:  # fmt: skip
    sums = np.zeros((left.size, 24), np.float32)
    for pair in range(left.size):
        out, a, b = sums[pair], left[pair], right[pair]
        i, j, cosine = start[a], start[b], np.float32(0.0)
        while i < start[a + 1] or j < start[b + 1]:
            if j >= start[b + 1] or (i < start[a + 1] and hashes[i] < hashes[j]):
                _alone(flags[i], weights[i], out, 0)
                i += 1
            elif i >= start[a + 1] or hashes[j] < hashes[i]:
                _alone(flags[j], weights[j], out, 1)
                j += 1
            else:
                cosine += _together(flags[i], flags[j], weights[i], out)
                i += 1
                j += 1
        out[19] = min(cosine / max(norms[a] * norms[b], np.float32(1e-9)), np.float32(1.0))
        i, j, cosine = gram_start[a], gram_start[b], np.float32(0.0)
        while i < gram_start[a + 1] and j < gram_start[b + 1]:
            if grams[i] == grams[j]:
                cosine += gram_rarity[grams[i]] ** 4
            step = grams[i] <= grams[j]
            j += grams[j] <= grams[i]
            i += step
        out[20] = cosine / max(gram_norms[a] * gram_norms[b], np.float32(1e-9))
    return sums


@numba.njit(cache=True)
def hold_tokens(rows: np.ndarray, wanted: np.ndarray, start: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Whether the offer of each row holds the token wanted of it; token 0 is held by none."""
    held = np.zeros(rows.size, np.bool_)
    for i in range(rows.size):
        if wanted[i]:
            first, end = start[rows[i]], start[rows[i] + 1]
            place = first + np.searchsorted(hashes[first:end], wanted[i])
            held[i] = place < end and hashes[place] == wanted[i]
    return held


def compare_measures(index: Index, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """float32 [n, 3]: agreement of packs, quantities and details, as the features of these names define them."""
    tokens = index.tokens
    units, packs, details = tokens.units, tokens.packs, tokens.detail_names
    return np.asarray(
        _compare_measures(
            left, right, units.start, units.values, tokens.amounts.values, packs.start, packs.values,
            details.start, details.values, tokens.detail_values.values,
        )
    )  # fmt: skip


@numba.njit(cache=True)
def _compare_packs(mine: np.ndarray, its: np.ndarray) -> np.float32:
    if mine.size and its.size:
        for a in mine:
            for b in its:
                if a == b:
                    return np.float32(1.0)
        return np.float32(-1.0)
    for count in mine:
        if count > 1:
            return np.float32(0.0)
    for count in its:
        if count > 1:
            return np.float32(0.0)
    return np.float32(np.nan)


@numba.njit(cache=True)
def _compare_amounts(units: np.ndarray, amounts: np.ndarray, a: int, a_end: int, b: int, b_end: int) -> np.float32:
    """Share of the common units with an amount in common; units lie together within an offer."""
    common = agreed = 0
    while a < a_end:
        last = a
        while last < a_end and units[last] == units[a]:
            last += 1
        found = same = False
        for i in range(a, last):
            for j in range(b, b_end):
                if units[j] == units[i]:
                    found = True
                    same = same or abs(amounts[i] - amounts[j]) <= SAME_AMOUNT * max(amounts[i], amounts[j])
        common += found
        agreed += same
        a = last
    return np.float32(agreed / common) if common else np.float32(np.nan)


@numba.njit(cache=True)
def _compare_details(names: np.ndarray, values: np.ndarray, a: int, a_end: int, b: int, b_end: int) -> np.float32:
    """Share of the names that both state which have the same value."""
    common = agreed = 0
    for i in range(a, a_end):
        for j in range(b, b_end):
            if names[i] == names[j]:
                common += 1
                agreed += values[i] == values[j]
    return np.float32(agreed / common) if common else np.float32(np.nan)


@numba.njit(cache=True)
def _compare_measures(
    left: np.ndarray, right: np.ndarray, unit_start: np.ndarray, units: np.ndarray, amounts: np.ndarray, pack_start: np.ndarray, packs: np.ndarray,
    detail_start: np.ndarray, names: np.ndarray, values: np.ndarray,
) -> np.ndarray:  # fmt: skip
    out = np.empty((left.size, 3), np.float32)
    for pair in range(left.size):
        a, b = left[pair], right[pair]
        out[pair, 0] = _compare_packs(packs[pack_start[a] : pack_start[a + 1]], packs[pack_start[b] : pack_start[b + 1]])
        out[pair, 1] = _compare_amounts(units, amounts, unit_start[a], unit_start[a + 1], unit_start[b], unit_start[b + 1])
        out[pair, 2] = _compare_details(names, values, detail_start[a], detail_start[a + 1], detail_start[b], detail_start[b + 1])
    return out
