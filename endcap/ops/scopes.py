"""Roles by scope: what somebody may do for a supplier, a category with all below it, or both; '*' is everything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

EVERYTHING = "*"
BELOW = " > "  # between the steps of a category's path
# What each role may do, the next includes.
ROLES = ("viewer", "reviewer", "lead", "admin")


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """A role for offers of a supplier, in a category."""

    role: str
    supplier: str = EVERYTHING
    category: str = EVERYTHING

    @property
    def is_everything(self) -> bool:
        return self.supplier == self.category == EVERYTHING

    def words(self) -> str:
        """The scope as a person reads it."""
        parts = [f"supplier {self.supplier}"] * (self.supplier != EVERYTHING) + [f"category {self.category}"] * (self.category != EVERYTHING)
        return f"{self.role} of {' in '.join(parts) or 'everything'}"


def narrowed(scopes: Iterable[Scope], most: Scope) -> tuple[Scope, ...]:
    """What of the scopes lies within `most` too, with at most its role."""
    found = []
    for one in scopes:
        supplier, category = _shared(one.supplier, most.supplier), _shared(one.category, most.category, below=True)
        if supplier and category:
            found.append(Scope(min(one.role, most.role, key=ROLES.index), supplier, category))
    return tuple(found)


def condition(scopes: Sequence[Scope], role: str, supplier: str, category: str) -> tuple[str, list[str]]:
    """(SQL that is true where one of the scopes gives at least `role`, the values to bind); `supplier` and `category` are expressions of ours."""
    parts, values = [], list[str]()
    for one in scopes:
        if ROLES.index(one.role) < ROLES.index(role):
            continue
        if one.is_everything:
            return "TRUE", []
        both = []
        if one.supplier != EVERYTHING:
            both.append(f"coalesce({supplier} = ?, FALSE)")
            values.append(one.supplier)
        if one.category != EVERYTHING:
            both.append(f"coalesce({category} = ? OR starts_with({category}, ?), FALSE)")
            values += [one.category, one.category + BELOW]
        parts.append(f"({' AND '.join(both)})")
    return " OR ".join(parts) or "FALSE", values


def _shared(one: str, other: str, *, below: bool = False) -> str | None:
    """The smaller of two parts of the catalog where it lies within the other; None where they have nothing in common."""
    if other in (EVERYTHING, one) or (below and one.startswith(other + BELOW)):
        return one
    return other if one == EVERYTHING or (below and other.startswith(one + BELOW)) else None
