"""A reviewer who knows the truth and errs at a given rate: questions about decisions, answered as overrides and as lessons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from endcap.learn.evaluate.truths import Truth, place_of


@dataclass(frozen=True)
class Answer:
    """What was said of one decision: whether it is right, the override that binds, and what it teaches of pairs of offers."""

    right: bool
    override: dict[str, Any] | None  # by column, without its number; None where nothing can be bound
    pairs: tuple[tuple[str, str, bool], ...]  # (offer, other offer, same)


class Reviewer:
    """Errs with the same chance on every question, whatever was asked before."""

    def __init__(self, truth: Mapping[str, str], error: float, seed: int) -> None:
        self._truth = truth
        self._error = error
        self._random = np.random.default_rng((seed, 77))

    def says(self, right: bool) -> bool:
        """The truth, or by mistake its opposite."""
        return bool(right) != bool(self._random.random() < self._error)

    def about(self, decision: Mapping[str, Any], right: bool, found: Truth) -> Answer:
        """The answer about one product decision (a row by column) that is `right` or not; what waits is asked as the link it proposes."""
        offer_id, other = decision["offer_id"], decision["counterpart_offer_id"]
        if decision["action"] == "to_review":
            same = self.says(self._truth[offer_id] == self._truth.get(other))
            return self._of_pair(offer_id, other, decision["proposed_product_id"], same, found)
        said = self.says(right)
        if decision["action"] == "linked":
            mate = other if self._truth.get(other) == self._truth[offer_id] else None
            return self._of_pair(offer_id, other if said else mate or other, decision["product_id"], said, found, honest=said == right)
        return self._of_founder(offer_id, other, said, right, found)

    def _of_pair(self, offer_id: str, other: str | None, product: str | None, same: bool, found: Truth, *, honest: bool = True) -> Answer:
        if same:
            bound = _override(offer_id, "same", product, other) if product and other else None
            return Answer(True, bound, ((offer_id, other, True),) if other else ())
        place = place_of(offer_id, found, self._truth) if honest else None
        apart = ((offer_id, other, False),) if other and (not honest or self._truth.get(other) != self._truth[offer_id]) else ()
        if place is not None and place[1] != other:
            return Answer(False, _override(offer_id, "other", *place), (*apart, (offer_id, place[1], True)))
        return Answer(False, _override(offer_id, "new", product, other), apart)

    def _of_founder(self, offer_id: str, other: str | None, said: bool, right: bool, found: Truth) -> Answer:
        """Is this product new? `other` is the nearest offer, within its product or outside."""
        if said:
            return Answer(True, _override(offer_id, "new", None, None), ())
        place = place_of(offer_id, found, self._truth) if not right else None
        if place is None:
            return Answer(False, None, ())  # a mistake, or nothing placed that it could join: said to be wrong, and nothing to bind
        return Answer(False, _override(offer_id, "other", *place), ((offer_id, place[1], True),))


def _override(offer_id: str, action: str, product: str | None, other: str | None) -> dict[str, Any]:
    return {
        "offer_id": offer_id, "action": action, "product_id": product, "counterpart_offer_id": other, "actor": "reviewer", "team": "",
        "reason_code": "evaluated", "note": "", "snapshot_id": "", "at": "", "role": "reviewer",
    }  # fmt: skip
