"""What is remembered of known products, as columns of a pair: do both offers remind of the same product?

Works on any vectors of length 1, so it needs no encoder and no extra. A known product is remembered by its labelled offers;
the pair's own two are left out (all rows with their text, so that a twin cannot answer for them).
"""

from __future__ import annotations

import numpy as np

# How sharply an offer's similarities become shares of products: differences of a twentieth of a cosine matter.
SHARPNESS = 20.0
BATCH = 512
COLUMNS = ("encoder_cosine", "encoder_same_product", "encoder_nearest_of_both", "encoder_nearest_apart")


def memory_columns(vectors: np.ndarray, product: np.ndarray, left: np.ndarray, right: np.ndarray, text: np.ndarray) -> np.ndarray:
    """float32 [n, 4], the COLUMNS of pairs (left, right) of rows.

    `vectors` float32 [rows, d] of length 1; `product` int64 [rows], -1 where unknown; `text` int64 [rows], equal for equal texts.
    encoder_cosine is the pair's own. Then, over the known products, with s(offer, product) = cosine to the mean of its remembered
    offers: the chance that both are the same one (sum of the products of their shares), the best product's lesser s, and how much
    less one offer is like the other's best product than like its own. Without a known product the last three are NaN.
    """
    cosine = np.einsum("nd,nd->n", vectors[left], vectors[right])
    found = np.full((left.size, len(COLUMNS)), np.nan, dtype=np.float32)
    found[:, 0] = cosine
    remembered = _distinct(product, text)
    if remembered.size == 0:
        return found
    known, number = np.unique(product[remembered], return_inverse=True)
    sums = np.zeros((known.size, vectors.shape[1]))
    np.add.at(sums, number, vectors[remembered])
    own = dict(zip(text[remembered].tolist(), zip(number.tolist(), remembered.tolist(), strict=True), strict=True))
    count = np.bincount(number)
    for start in range(0, left.size, BATCH):
        rows = slice(start, start + BATCH)
        found[rows, 1:] = _compare(vectors, sums, count, own, left[rows], right[rows], text)
    return found


def _distinct(product: np.ndarray, text: np.ndarray) -> np.ndarray:
    """The first row of each text whose product is known."""
    known = np.flatnonzero(product >= 0)
    return known[np.sort(np.unique(text[known], return_index=True)[1])]


def _compare(
    vectors: np.ndarray, sums: np.ndarray, count: np.ndarray, own: dict[int, tuple[int, int]], left: np.ndarray, right: np.ndarray, text: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """float64 [n, 3]: shares in common, lesser similarity of the best product, distance between the best products."""
    length = np.linalg.norm(sums, axis=1)
    near = [vectors[side] @ sums.T / np.maximum(length, 1e-9) for side in (left, right)]
    for place, pair in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        mine = {own[key] for key in {int(text[row]) for row in pair} & own.keys()}
        for number in sorted({number for number, _ in mine}):
            gone = [row for other, row in mine if other == number]
            rest = sums[number] - vectors[sorted(gone)].sum(0)
            size = float(np.linalg.norm(rest))
            for side, row in enumerate(pair):
                near[side][place, number] = vectors[row] @ rest / size if count[number] > len(gone) and size > 1e-9 else -1.0
    shares = [np.exp(SHARPNESS * (one - one.max(1, keepdims=True))) for one in near]
    shares = [one / one.sum(1, keepdims=True) for one in shares]
    rows = np.arange(left.size)
    best = [one.argmax(1) for one in near]
    apart = (near[0][rows, best[0]] - near[0][rows, best[1]]) + (near[1][rows, best[1]] - near[1][rows, best[0]])
    return np.stack([np.log((shares[0] * shares[1]).sum(1) + 1e-6), np.minimum(*near).max(1), apart], axis=1)
