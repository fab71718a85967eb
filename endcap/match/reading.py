"""Compiled reading of text: from code points to token hashes, flags and character 3-grams.

All functions take folded text as uint32 code points with a class per code point, so that a batch of offers is read
without touching Python objects. Hashes are FNV-1a over code points with a final mix: stable over machines and runs. Scripts that put
no space between words (Chinese, Japanese) are read as overlapping pairs of letters, since nothing says where a word ends.
"""

from __future__ import annotations

import numba
import numpy as np

# What a token was in its offer; one token may be several.
WORD = 1  # a word of the title
CODE = 2  # looks like a model or part number
FORM = 4  # may stand for a word of the title: joined or compacted neighbours, words of the details
TAIL = 8  # a word of the description or the details
NUMBER = 16  # a bare number of the title
COLOUR = 32  # a colour in the title or the details

OTHER, LETTER, DIGIT, SKIPPED, JOINER, POINT, UNSPACED = 0, 1, 2, 3, 4, 5, 6
LETTERS, DIGITS, PAIRED = 1, 2, 4  # what a run holds; one of a script without spaces holds nothing else
TITLE_FIELD, MPN_FIELD, DETAIL_FIELD, TAIL_FIELD = 0, 1, 2, 3
FIELDS = 4
GRAM_BUCKETS = 1 << 17
MAX_RUNS = 4096
MAX_JOINED = 24

_OFFSET = np.uint64(14695981039346656037)
_PRIME = np.uint64(1099511628211)
_MIX_A = np.uint64(0xFF51AFD7ED558CCD)
_MIX_B = np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)


@numba.njit(cache=True, inline="always")
def _mix(value: np.uint64) -> np.uint64:
    value ^= value >> _SHIFT
    value *= _MIX_A
    value ^= value >> _SHIFT
    value *= _MIX_B
    value ^= value >> _SHIFT
    return value


@numba.njit(cache=True)
def hash_span(text: np.ndarray, kinds: np.ndarray, start: int, end: int) -> np.uint64:
    """Hash of the letters and digits of a span, everything else left out but the decimal point inside a number."""
    value = _OFFSET
    for i in range(start, end):
        kind = kinds[text[i]]
        if kind in (LETTER, DIGIT, UNSPACED):
            value = (value ^ np.uint64(text[i])) * _PRIME
        elif kind == POINT and start < i < end - 1 and kinds[text[i - 1]] == DIGIT and kinds[text[i + 1]] == DIGIT:
            if _only_zeros(text, i + 1, end):
                break
            value = (value ^ np.uint64(46)) * _PRIME
    return _mix(value)


@numba.njit(cache=True)
def _only_zeros(text: np.ndarray, start: int, end: int) -> bool:
    return bool(np.all(text[start:end] == 48))


@numba.njit(cache=True)
def _find_runs(
    text: np.ndarray, kinds: np.ndarray, start: int, end: int, run_start: np.ndarray, run_end: np.ndarray, run_kind: np.ndarray, run_linked: np.ndarray,
) -> int:  # fmt: skip
    """Split a span into runs of letters and digits, or of a script without spaces; linked: one joiner stands before."""
    count, i = 0, start
    gap = 2
    while i < end and count < run_start.size:
        kind = kinds[text[i]]
        if kind not in (LETTER, DIGIT, UNSPACED):
            gap = gap + 1 if kind in (JOINER, POINT) else gap + (2 if kind != SKIPPED else 0)
            i += 1
            continue
        run_start[count], bits = i, 0
        while i < end:
            kind = kinds[text[i]]
            if kind == UNSPACED:
                if bits & (LETTERS | DIGITS):
                    break
                bits |= PAIRED
            elif kind in (LETTER, DIGIT):
                if bits & PAIRED:
                    break
                bits |= LETTERS if kind == LETTER else DIGITS
            elif kind == POINT:
                if not (i + 1 < end and kinds[text[i + 1]] == DIGIT and kinds[text[i - 1]] == DIGIT):
                    break
            elif kind != SKIPPED:
                break
            i += 1
        run_end[count], run_kind[count], run_linked[count] = i, bits, gap == 1
        count += 1
        gap = 0
    return count


@numba.njit(cache=True)
def _is_code(text: np.ndarray, kinds: np.ndarray, start: int, end: int, bits: int) -> bool:
    """Letters and digits mixed, at least 4 long, or 5 digits; but not a short number with a short unit ('330ml')."""
    size = letters_after = leading = 0
    seen_letter = False
    mixed_order = False
    for i in range(start, end):
        kind = kinds[text[i]]
        if kind == DIGIT:
            size += 1
            if seen_letter:
                mixed_order = True
            else:
                leading += 1
        elif kind == LETTER:
            size += 1
            seen_letter = True
            letters_after += 1
    if bits == DIGITS:
        return size >= 5
    if bits != LETTERS | DIGITS or size < 4:
        return False
    return mixed_order or leading > 4 or letters_after > 3


@numba.njit(cache=True, inline="always")
def _meaning(value: np.uint64, known: np.ndarray, read_as: np.ndarray) -> tuple[np.uint64, int]:
    """(hash of what a word is read as, COLOUR or 0)."""
    place = np.searchsorted(known, value)
    if place < known.size and known[place] == value:
        return read_as[place], COLOUR
    return value, 0


@numba.njit(cache=True)
def _read_pairs(text: np.ndarray, kinds: np.ndarray, start: int, end: int, flag: int, hashes: np.ndarray, flags: np.ndarray, count: int) -> int:
    """A run of a script without spaces: every two letters beside each other; a single letter as it is."""
    last, first = -1, count
    for i in range(start, end):
        if kinds[text[i]] != UNSPACED:
            continue
        if last >= 0:
            hashes[count], flags[count] = hash_span(text, kinds, last, i + 1), flag
            count += 1
        last = i
    if count == first:
        hashes[count], flags[count] = hash_span(text, kinds, start, end), flag
        count += 1
    return count


@numba.njit(cache=True)
def _read_words(
    text: np.ndarray, kinds: np.ndarray, runs: int, run_start: np.ndarray, run_end: np.ndarray, run_kind: np.ndarray, plain: int, known: np.ndarray,
    read_as: np.ndarray, hashes: np.ndarray, flags: np.ndarray, count: int,
) -> int:  # fmt: skip
    """The words of details or description."""
    for r in range(runs):
        if run_kind[r] == PAIRED:
            count = _read_pairs(text, kinds, run_start[r], run_end[r], plain, hashes, flags, count)
            continue
        value, colour = _meaning(hash_span(text, kinds, run_start[r], run_end[r]), known, read_as)
        hashes[count] = value
        flags[count] = plain | (colour if plain & FORM else 0)
        count += 1
    return count


@numba.njit(cache=True)
def _read_title(
    text: np.ndarray, kinds: np.ndarray, runs: int, run_start: np.ndarray, run_end: np.ndarray, run_kind: np.ndarray, known: np.ndarray,
    read_as: np.ndarray, hashes: np.ndarray, flags: np.ndarray, count: int,
) -> int:  # fmt: skip
    for r in range(runs):
        if run_kind[r] == PAIRED:
            count = _read_pairs(text, kinds, run_start[r], run_end[r], WORD, hashes, flags, count)
        else:
            value, flag = _meaning(hash_span(text, kinds, run_start[r], run_end[r]), known, read_as)
            flag |= WORD
            if run_kind[r] == DIGITS:
                flag |= NUMBER
            if _is_code(text, kinds, run_start[r], run_end[r], run_kind[r]):
                flag |= CODE
            hashes[count], flags[count] = value, flag
            count += 1
        if r + 1 < runs and (run_kind[r] | run_kind[r + 1]) in (DIGITS, LETTERS | DIGITS) and run_end[r + 1] - run_start[r] <= MAX_JOINED:
            hashes[count] = hash_span(text, kinds, run_start[r], run_end[r + 1])
            flags[count] = FORM
            count += 1
        if r + 2 < runs and (run_kind[r] | run_kind[r + 1] | run_kind[r + 2]) == LETTERS | DIGITS and run_end[r + 2] - run_start[r] <= MAX_JOINED:
            hashes[count] = hash_span(text, kinds, run_start[r], run_end[r + 2])
            flags[count] = FORM
            count += 1
    return count


@numba.njit(cache=True)
def _read_chains(
    text: np.ndarray, kinds: np.ndarray, runs: int, run_start: np.ndarray, run_end: np.ndarray, run_kind: np.ndarray, run_linked: np.ndarray, plain: int,
    hashes: np.ndarray, flags: np.ndarray, count: int,
) -> int:  # fmt: skip
    """Runs linked by single joiners ('WH-1000XM4') once more as one compact token."""
    r = 0
    while r < runs:
        last, bits = r, run_kind[r]
        while last + 1 < runs and run_linked[last + 1]:
            last += 1
            bits |= run_kind[last]
        if last > r and run_end[last] - run_start[r] <= 2 * MAX_JOINED:
            code = bits & DIGITS and _is_code(text, kinds, run_start[r], run_end[last], bits)
            hashes[count] = hash_span(text, kinds, run_start[r], run_end[last])
            flags[count] = plain | (CODE if code else 0)
            count += 1
        r = last + 1
    return count


@numba.njit(cache=True)
def _read_grams(text: np.ndarray, kinds: np.ndarray, runs: int, run_start: np.ndarray, run_end: np.ndarray, grams: np.ndarray, count: int) -> int:
    """Character 3-grams over the words with one space between them and at both ends."""
    first, second = np.uint64(0), np.uint64(32)
    for r in range(runs):
        for i in range(run_start[r], run_end[r] + 1):
            letter = np.uint64(32) if i == run_end[r] else np.uint64(text[i])
            if i < run_end[r] and kinds[text[i]] == SKIPPED:
                continue
            if first:
                packed = (first << np.uint64(42)) ^ (second << np.uint64(21)) ^ letter
                grams[count] = np.uint32(_mix(packed) % np.uint64(GRAM_BUCKETS))
                count += 1
            first, second = second, letter
    return count


@numba.njit(cache=True)
def _merge_equal(hashes: np.ndarray, flags: np.ndarray, start: int, end: int, out_hashes: np.ndarray, out_flags: np.ndarray, count: int) -> int:
    """Sort one offer's tokens by hash and unite the flags of equal ones."""
    order = np.argsort(hashes[start:end])
    first = count
    for place in order:
        value = hashes[start + place]
        if count > first and out_hashes[count - 1] == value:
            out_flags[count - 1] |= flags[start + place]
        else:
            out_hashes[count], out_flags[count] = value, flags[start + place]
            count += 1
    return count


@numba.njit(cache=True)
def read_batch(
    text: np.ndarray, kinds: np.ndarray, bounds: np.ndarray, known: np.ndarray, read_as: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Tokens of a batch of offers.

    `text` holds the folded code points, `kinds` a class per code point, `bounds` int64 [4 n + 1] the spans of title, mpn,
    details and tail of each offer, `known` sorted hashes of words that are read as the word `read_as` beside. Returns (token
    starts [n + 1], hashes uint64, flags uint8, gram starts [n + 1], grams uint32); tokens and grams are sorted and unique
    within an offer.
    """
    offers = (bounds.size - 1) // FIELDS
    starts, gram_starts = np.zeros(offers + 1, np.int64), np.zeros(offers + 1, np.int64)
    out_hashes, out_flags = np.empty(2 * text.size + 4 * offers, np.uint64), np.empty(2 * text.size + 4 * offers, np.uint8)
    out_grams = np.empty(2 * text.size + 4 * offers, np.uint32)
    run_start, run_end = np.empty(MAX_RUNS, np.int64), np.empty(MAX_RUNS, np.int64)
    run_kind, run_linked = np.empty(MAX_RUNS, np.int64), np.empty(MAX_RUNS, np.bool_)
    hashes, flags = np.empty(12 * MAX_RUNS, np.uint64), np.empty(12 * MAX_RUNS, np.uint8)
    count = gram_count = 0
    for offer in range(offers):
        kept = 0
        for field in range(FIELDS):
            start, end = bounds[FIELDS * offer + field], bounds[FIELDS * offer + field + 1]
            runs = _find_runs(text, kinds, start, end, run_start, run_end, run_kind, run_linked)
            if field == TITLE_FIELD:
                kept = _read_title(text, kinds, runs, run_start, run_end, run_kind, known, read_as, hashes, flags, kept)
                kept = _read_chains(text, kinds, runs, run_start, run_end, run_kind, run_linked, FORM, hashes, flags, kept)
                end_gram = _read_grams(text, kinds, runs, run_start, run_end, out_grams, gram_count)
                unique = np.unique(out_grams[gram_count:end_gram])
                out_grams[gram_count : gram_count + unique.size] = unique
                gram_count += unique.size
            elif field == MPN_FIELD and runs:
                hashes[kept], flags[kept] = hash_span(text, kinds, run_start[0], run_end[runs - 1]), CODE
                kept += 1
            elif field != MPN_FIELD:
                plain = TAIL | (FORM if field == DETAIL_FIELD else 0)
                kept = _read_words(text, kinds, runs, run_start, run_end, run_kind, plain, known, read_as, hashes, flags, kept)
                kept = _read_chains(text, kinds, runs, run_start, run_end, run_kind, run_linked, plain, hashes, flags, kept)
        count = _merge_equal(hashes, flags, 0, kept, out_hashes, out_flags, count)
        starts[offer + 1], gram_starts[offer + 1] = count, gram_count
    return starts, out_hashes[:count].copy(), out_flags[:count].copy(), gram_starts, out_grams[:gram_count].copy()


@numba.njit(cache=True)
def hash_spans(text: np.ndarray, kinds: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Hash of each span; 0 where it holds no letter and no digit."""
    hashes = np.zeros(bounds.size - 1, np.uint64)
    for i in range(hashes.size):
        for place in range(bounds[i], bounds[i + 1]):
            if kinds[text[place]] in (LETTER, DIGIT, UNSPACED):
                hashes[i] = hash_span(text, kinds, bounds[i], bounds[i + 1])
                break
    return hashes
