"""The house's category, from the supplier's own category path and the title.

Without a taxonomy the last level of the supplier's path is the value, with a low confidence that says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from endcap.infer.attributes import Found, OfferText
from endcap.infer.categories import pooled, title_text
from endcap.infer.path_words import path_levels

if TYPE_CHECKING:
    from endcap.infer.known import Known

VERSION = 1
# A supplier's own level is a category of somebody, but not of this house.
SUPPLIER_PATH_CONFIDENCE = 0.5
# Even when path and title agree, the map from the supplier's tree may be wrong.
MOST_SURE = 0.99


def find(offer: OfferText, known: Known) -> list[Found]:
    """The most probable house category."""
    return find_all([offer], known)[0]


def find_all(offers: Sequence[OfferText], known: Known) -> list[list[Found]]:
    """The most probable house category of each offer."""
    if not known.categories.house:
        return [_supplier_level(offer) for offer in offers]
    titles = known.categories.title_probabilities([title_text(offer.title, offer.brand) for offer in offers])
    return [_from_house(offer, None if titles is None else titles[row], known) for row, offer in enumerate(offers)]


def _from_house(offer: OfferText, title: Any, known: Known) -> list[Found]:
    path = known.categories.path_probabilities(offer.feed, offer.category_path) if offer.category_path else None
    both = pooled(path, title)
    if both is None:
        return []
    number = int(np.argmax(both))
    from_path = path is not None and int(np.argmax(path)) == number
    field, text = ("category_path", offer.category_path or "") if from_path else ("title", offer.title)
    confidence = round(min(float(both[number]), MOST_SURE), 4)
    return [Found(known.categories.house[number].path, None, confidence, field, 0, len(text), learnt=True)]


def _supplier_level(offer: OfferText) -> list[Found]:
    levels = path_levels(offer.category_path) if offer.category_path else []
    if not levels:
        return []
    start = (offer.category_path or "").rfind(levels[-1])
    span = (start, start + len(levels[-1])) if start >= 0 else (0, len(offer.category_path or ""))
    return [Found(levels[-1], None, SUPPLIER_PATH_CONFIDENCE, "category_path", *span, extractor="category.supplier_path")]


CASES: list[tuple[dict[str, Any], str | None]] = [
    ({"title": "Dark roast 500 g", "category_path": "Food > Coffee beans"}, "Coffee beans"),
    ({"title": "Dark roast 500 g"}, None),
]
