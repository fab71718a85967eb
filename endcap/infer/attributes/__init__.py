"""The shelf of attributes: each file finds one attribute in the text of an offer.

A component is a module with
- a docstring whose first line says to people what it finds,
- `VERSION`: an int, raised when its results change,
- `find(offer, known) -> list[Found]`: every value it sees, with where and how surely; it never raises on any text,
- where it is hot, `find_all(offers, known) -> list[list[Found]]`: the same for many offers, and equal to `find` on each,
- `CASES`: (offer as a dict of OfferText fields, the best value or None), which the shelf's shared checks run.
`known` holds what was learnt over the whole catalog (brands, categories); a component reads it and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OfferText:
    """The texts of one offer that attributes read. `details` are further fields by the names of the feed's mapping."""

    title: str
    feed: str = ""
    brand: str | None = None
    description: str | None = None
    category_path: str | None = None
    quantity_text: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)

    def detail(self, names: Sequence[str]) -> tuple[str, str] | None:
        """The first of these detail fields that says something: its evidence field name and text."""
        for name in names:
            text = self.details.get(name, "").strip()
            if text:
                return f"details.{name}", text
        return None


@dataclass(frozen=True, slots=True)
class Found:
    """One value seen: `confidence` from 0 to 1, read from the offer's `field` at [start, end) in characters.

    `extractor` names the way it was found where a component has several; `learnt` says that it rests on Known.
    """

    value: str
    unit: str | None
    confidence: float
    field: str | None
    start: int | None = None
    end: int | None = None
    extractor: str = ""
    learnt: bool = False


def best(found: Sequence[Found]) -> Found | None:
    """The surest value; among equals the first seen."""
    return max(found, key=lambda one: one.confidence, default=None)
