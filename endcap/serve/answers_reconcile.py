"""The shapes that the reconciliation standard fixes, as far as they have names of their own."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, RootModel


class Reconciled(RootModel[dict[str, Any]]):
    """A manifest, or answers by the client's own keys: the standard's shapes, which our schema does not repeat."""


class Named(BaseModel):
    """A type or property."""

    id: str
    name: str


class Suggestion(BaseModel):
    """Something to choose while typing."""

    id: str
    name: str
    description: str


class Suggested(BaseModel):
    """What fits what was typed."""

    result: list[Suggestion]


class Proposed(BaseModel):
    """Columns that can be fetched."""

    type: str
    properties: list[Named]
