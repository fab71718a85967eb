"""Deliveries become offers, or are quarantined, or are held: the first room of the journey."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from endcap.feeds.arrivals import Arrival, pending
    from endcap.feeds.reading import Reading, read_delivery

__all__ = ["Arrival", "Reading", "pending", "read_delivery"]
_WHERE = {"Arrival": "arrivals", "pending": "arrivals", "Reading": "reading", "read_delivery": "reading"}


def __getattr__(name: str) -> Any:
    """Load a door of this room when it is first used: its libraries are heavy and `endcap --help` must be quick."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
