"""What two offers' tokens share and what each has alone: one look at both offers' tokens gives every sum that features need, and how near they are."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from endcap.match.ahead import fetch
from endcap.match.block import LETTER_SHARE, NAMING, by_tokens, cosine_of, names_both, price_ratio
from endcap.match.details import key_between
from endcap.match.index import SEARCHED, Index
from endcap.match.reading import CODE, COLOUR, GRAM_BUCKETS, NUMBER, WORD
from endcap.match.spread import Spread, choose_side, find_common_grams, find_common_tokens, make_room, spread_out

# Rows of what `compare_tokens` returns; `words` are of the title, `all` has description and details too; sums are of rarity squared.
# `similarity` is the nearness by which candidates are found.
OVERLAP = (
    "words_shared", "words_left", "words_right", "lost_left", "lost_right", "rarest_shared", "rarest_lost_left", "rarest_lost_right",
    "code_shared", "code_lost_left", "code_lost_right", "numbers_shared", "numbers_left", "numbers_right", "numbers_lost_left",
    "numbers_lost_right", "all_shared", "all_left", "all_right", "word_cosine", "letter_cosine",
    "colours_shared", "colours_left", "colours_right", "similarity",
)  # fmt: skip
# Columns of what one offer's tokens add up to.
OWN = ("words", "all", "numbers", "colours", "naming", "letters")
# Amounts this close, as a share of the greater, are the same amount.
SAME_AMOUNT = 0.02
# Bytes that come near together.
LINE = 64
PLACE = {name: place for place, name in enumerate(OVERLAP)}


class _Texts(NamedTuple):
    """What an index knows of its offers' tokens and prices. A tuple of arrays, so that compiled code takes it whole."""

    start: np.ndarray
    hashes: np.ndarray
    flags: np.ndarray
    weights: np.ndarray
    norms: np.ndarray
    gram_start: np.ndarray
    grams: np.ndarray
    gram_rarity: np.ndarray
    gram_norms: np.ndarray
    prices: np.ndarray
    currencies: np.ndarray


def compare_tokens(index: Index, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """float32 [len(OVERLAP), n] for pairs of rows."""
    tokens = index.tokens
    texts = _Texts(
        tokens.hashes.start, tokens.hashes.values, tokens.flags.values, index.weights, index.norms, tokens.grams.start, tokens.grams.values,
        index.gram_rarity, index.gram_norms, index.prices, index.currencies,
    )  # fmt: skip
    spread = make_room(texts.start, texts.gram_start, GRAM_BUCKETS)
    sums = np.empty((len(OVERLAP), left.size), np.float32)
    _compare(np.asarray(left, dtype=np.int64), np.asarray(right, dtype=np.int64), texts, _sum_own(texts), spread, sums)
    return sums


@numba.njit(cache=True, nogil=True)
def _sum_own(texts: _Texts) -> np.ndarray:
    """float32 [offers, len(OWN)]."""
    own = np.zeros((texts.start.size - 1, 6), np.float32)
    for row in range(own.shape[0]):
        sums = own[row]
        for i in range(texts.start[row], texts.start[row + 1]):
            flag, square = texts.flags[i], texts.weights[i] * texts.weights[i]
            sums[0] += square if flag & WORD else np.float32(0.0)
            sums[1] += square
            sums[2] += np.float32(flag & NUMBER != 0)
            sums[3] += np.float32(flag & COLOUR != 0)
            sums[4] += square if flag & NAMING else np.float32(0.0)
        for i in range(texts.gram_start[row], texts.gram_start[row + 1]):
            rarity = texts.gram_rarity[texts.grams[i]]
            sums[5] += rarity * rarity
    return own


@numba.njit(cache=True, nogil=True)
def _sum_alone(
    first: int, end: int, common: np.ndarray, flags: np.ndarray, weights: np.ndarray
) -> tuple[np.float32, np.float32, np.float32, np.float32]:  # fmt: skip
    """(words' sum, rarest word, rarest code, numbers) of an offer's tokens that are not at the common places, which ascend and end with a stop.

    Flags become factors 0 and 1, since what is alone cannot be foreseen: a processor that guesses wrong waits longer than it multiplies.
    """
    lost, rarest, code, numbers, place = np.float32(0.0), np.float32(0.0), np.float32(0.0), 0, 0
    for i in range(first, end):
        both = int(common[place] == i)
        place += both
        flag = np.int64(flags[i]) & (both - 1)
        word = weights[i] * np.float32(flag & WORD != 0)
        lost += word * word
        rarest = max(rarest, word)
        code = max(code, weights[i] * np.float32(flag & CODE != 0))
        numbers += int(flag & NUMBER != 0)
    return lost, rarest, code, np.float32(numbers)


@numba.njit(cache=True, nogil=True)
def _sum_common(
    count: int, mine: np.ndarray, its: np.ndarray, flags: np.ndarray, weights: np.ndarray, sums: np.ndarray
) -> tuple[np.float32, np.float32]:  # fmt: skip
    """Write what common tokens add up to; returns what they add to the cosine of words and to that of the titles."""
    words, text, cosine, title = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
    rarest, code, numbers, colours = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
    for at in range(count):
        one, other, weight = flags[mine[at]], flags[its[at]], weights[mine[at]]
        both, square = one & other, weight * weight
        searched = (one & SEARCHED != 0) & (other & SEARCHED != 0)
        named = names_both(one, other)
        text += square
        words += square if both & WORD else np.float32(0.0)
        title += square if named else np.float32(0.0)
        cosine += square * square if named else np.float32(0.0)
        rarest = weight if searched and weight > rarest else rarest
        code = weight if (one | other) & CODE and weight > code else code
        numbers += np.float32(1.0) if both & NUMBER else np.float32(0.0)
        colours += np.float32(1.0) if both & COLOUR else np.float32(0.0)
    sums[0], sums[5], sums[8], sums[11], sums[16], sums[21] = words, rarest, code, numbers, text, colours
    return cosine, title


@numba.njit(cache=True, nogil=True)
def _sum_grams(count: int, held: np.ndarray, gram_rarity: np.ndarray) -> tuple[np.float32, np.float32]:
    """What common 3-grams add to the cosine of letters, and to that of the similarity."""
    cosine, letters = np.float32(0.0), np.float32(0.0)
    for at in range(count):
        rarity = gram_rarity[held[at]]
        cosine += rarity**4
        letters += rarity * rarity
    return cosine, letters


@numba.njit(cache=True, nogil=True)
def _find_similarity(title: np.float32, text: np.float32, letters: np.float32, a: int, b: int, texts: _Texts, own: np.ndarray) -> np.float32:
    price = price_ratio(texts.prices[a], texts.prices[b], texts.currencies[a], texts.currencies[b])
    title, text = cosine_of(title, own[a, 4], own[b, 4]), cosine_of(text, own[a, 1], own[b, 1])
    letters = cosine_of(letters, own[a, 5], own[b, 5])
    # A price alone makes nothing similar.
    return by_tokens(title, text, price) + LETTER_SHARE * letters if title + text + letters > 0.0 else np.float32(0.0)


@numba.njit(cache=True, nogil=True, inline="always")
def _fetch_offer(row: int, texts: _Texts, own: np.ndarray) -> None:
    """Begin to bring near what most offers have."""
    first, first_gram = texts.start[row], texts.gram_start[row]
    for far in range(0, 3 * LINE, LINE):
        fetch(texts.hashes, first + far // 8)
        fetch(texts.grams, first_gram + far // 4)
    for far in range(0, 2 * LINE, LINE):
        fetch(texts.weights, first + far // 4)
    fetch(texts.flags, first)
    fetch(own, row)
    fetch(texts.norms, row)
    fetch(texts.gram_norms, row)
    fetch(texts.prices, row)
    fetch(texts.currencies, row)


@numba.njit(cache=True, nogil=True)
def _compare(left: np.ndarray, right: np.ndarray, texts: _Texts, own: np.ndarray, spread: Spread, sums: np.ndarray) -> None:
    start, gram_start, out = texts.start, texts.gram_start, np.zeros(25, np.float32)
    for pair in range(left.size):
        a, b = left[pair], right[pair]
        _fetch_offer(right[min(pair + 1, left.size - 1)], texts, own)
        chosen = choose_side(pair, left, right, spread)
        if chosen != spread.row[0]:
            spread_out(chosen, start, texts.hashes, gram_start, texts.grams, spread)
        other = b if chosen == a else a
        count = find_common_tokens(start[other], start[other + 1], texts.hashes, spread)
        spread.mine[count] = spread.its[count] = -1
        cosine, title = _sum_common(count, spread.mine, spread.its, texts.flags, texts.weights, out)
        mine, its = (0, 1) if chosen == a else (1, 0)
        out[3 + mine], out[6 + mine], out[9 + mine], out[14 + mine] = _sum_alone(start[chosen], start[chosen + 1], spread.mine, texts.flags, texts.weights)
        out[3 + its], out[6 + its], out[9 + its], out[14 + its] = _sum_alone(start[other], start[other + 1], spread.its, texts.flags, texts.weights)
        out[1], out[17], out[12], out[22] = own[a, 0], own[a, 1], own[a, 2], own[a, 3]
        out[2], out[18], out[13], out[23] = own[b, 0], own[b, 1], own[b, 2], own[b, 3]
        count = find_common_grams(gram_start[other], gram_start[other + 1], texts.grams, spread.grams, spread.held)
        letter_cosine, letters = _sum_grams(count, spread.held, texts.gram_rarity)
        out[19] = min(cosine / max(texts.norms[a] * texts.norms[b], np.float32(1e-9)), np.float32(1.0))
        out[20] = letter_cosine / max(texts.gram_norms[a] * texts.gram_norms[b], np.float32(1e-9))
        out[24] = _find_similarity(title, out[16], letters, a, b, texts, own)
        for column in range(25):
            sums[column, pair] = out[column]


def compare_keys(index: Index, left: np.ndarray, right: np.ndarray, keys: np.ndarray, equal: bool) -> np.ndarray:
    """float32 [n]: 1 where an offer's text holds the key of the other, or where `equal` counts both state the same; 0 where both state one; else NaN."""
    tokens = index.tokens.hashes
    return np.asarray(_compare_keys(left, right, keys, tokens.start, tokens.values, equal))


@numba.njit(cache=True, nogil=True)
def _holds(token: np.uint64, first: int, end: int, hashes: np.ndarray) -> bool:
    """Whether an offer's tokens have one among them; halved without a branch, since the side cannot be foreseen."""
    size = end - first
    while size > 1:
        half = size // 2
        first += half * (hashes[first + half - 1] < token)
        size -= half
    return size == 1 and hashes[first] == token


@numba.njit(cache=True, nogil=True)
def _compare_keys(left: np.ndarray, right: np.ndarray, keys: np.ndarray, start: np.ndarray, hashes: np.ndarray, equal: bool) -> np.ndarray:
    out = np.empty(left.size, np.float32)
    for pair in range(left.size):
        a, b = left[pair], right[pair]
        mine, its = keys[a], keys[b]
        found = equal and mine != 0 and mine == its
        found = found or (mine != 0 and _holds(mine, start[b], start[b + 1], hashes))
        found = found or (its != 0 and _holds(its, start[a], start[a + 1], hashes))
        out[pair] = 1.0 if found else (0.0 if mine != 0 and its != 0 else np.nan)
    return out


def compare_measures(index: Index, left: np.ndarray, right: np.ndarray, feeds: np.ndarray, own_details: tuple[int, ...]) -> np.ndarray:
    """float32 [n, 3]: agreement of packs, quantities and details, as the features of these names define them.

    `own_details` are keys of details to be left out, and `feeds` the keys of the rows' feeds (see `details`).
    """
    tokens = index.tokens
    units, packs, details = tokens.units, tokens.packs, tokens.detail_names
    return np.asarray(
        _compare_measures(
            left, right, units.start, units.values, tokens.amounts.values, packs.start, packs.values,
            details.start, details.values, tokens.detail_values.values, feeds, np.array(own_details, dtype=np.uint64),
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
    """Mean over the common units of how far their amounts agree (`_agreement`); units lie together within an offer."""
    common, agreed = 0, 0.0
    while a < a_end:
        last = a
        while last < a_end and units[last] == units[a]:
            last += 1
        first = b
        while first < b_end and units[first] != units[a]:
            first += 1
        end = first
        while end < b_end and units[end] == units[a]:
            end += 1
        if end > first:
            common += 1
            agreed += _agreement(amounts[a:last], amounts[first:end])
        a = last
    return np.float32(agreed / common) if common else np.float32(np.nan)


@numba.njit(cache=True)
def _agreement(mine: np.ndarray, its: np.ndarray) -> float:
    """Of the amounts in one unit, those in common as a share of themselves and of what each side says besides: what one side adds contradicts nothing."""
    met, its_met = 0, 0
    for a in mine:
        met += _is_among(a, its)
    for b in its:
        its_met += _is_among(b, mine)
    both, besides = min(met, its_met), min(mine.size - met, its.size - its_met)
    return both / (both + besides) if both + besides else 0.0


@numba.njit(cache=True)
def _is_among(amount: float, others: np.ndarray) -> bool:
    found = False
    for other in others:
        found = found or abs(amount - other) <= SAME_AMOUNT * max(amount, other)
    return found


@numba.njit(cache=True)
def _is_own(name: np.uint64, one: np.uint64, other: np.uint64, own: np.ndarray) -> bool:
    """Whether a detail is left out everywhere, or between these two feeds."""
    if not own.size:
        return False
    between, found = key_between(name, one, other), False
    for key in own:
        found = found or key in (name, between)
    return found


@numba.njit(cache=True)
def _compare_details(
    names: np.ndarray, values: np.ndarray, a: int, a_end: int, b: int, b_end: int, one: np.uint64, other: np.uint64, own: np.ndarray
) -> np.float32:  # fmt: skip
    """Share of the names that both state which have the same value, those left out that are `own` everywhere or between these feeds."""
    common = agreed = 0
    for i in range(a, a_end):
        for j in range(b, b_end):
            if names[i] == names[j] and not _is_own(names[i], one, other, own):
                common += 1
                agreed += values[i] == values[j]
    return np.float32(agreed / common) if common else np.float32(np.nan)


@numba.njit(cache=True)
def _compare_measures(
    left: np.ndarray, right: np.ndarray, unit_start: np.ndarray, units: np.ndarray, amounts: np.ndarray, pack_start: np.ndarray, packs: np.ndarray,
    detail_start: np.ndarray, names: np.ndarray, values: np.ndarray, feeds: np.ndarray, own: np.ndarray,
) -> np.ndarray:  # fmt: skip
    out = np.empty((left.size, 3), np.float32)
    for pair in range(left.size):
        a, b = left[pair], right[pair]
        out[pair, 0] = _compare_packs(packs[pack_start[a] : pack_start[a + 1]], packs[pack_start[b] : pack_start[b + 1]])
        out[pair, 1] = _compare_amounts(units, amounts, unit_start[a], unit_start[a + 1], unit_start[b], unit_start[b + 1])
        out[pair, 2] = _compare_details(names, values, detail_start[a], detail_start[a + 1], detail_start[b], detail_start[b + 1], feeds[a], feeds[b], own)
    return out
