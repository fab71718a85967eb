"""The match room: offers go in, scored pairs of offers that may be the same product come out.

match_offers(offers, changed, matching=..., model=..., run=...)   the stage of the flow; `offers` as a table or as Live
fit_unsupervised, fit_labelled, fit_stacked, Model                the scorer
rescore, with_first_columns                                       stored pairs under another model
explain_pair                                                      why a pair has its score
find_reach                                                        whether any two offers would be compared, and how they score
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from endcap.match.explain import Bar, explain_pair
    from endcap.match.matching import Matched, match_offers, rescore, with_first_columns
    from endcap.match.reach import REACH_COLUMNS, Reach, find_reach
    from endcap.match.score import Model, fit_labelled, fit_stacked, fit_unsupervised
    from endcap.match.store import THIN, Live

__all__ = [
    "REACH_COLUMNS", "THIN", "Bar", "Live", "Matched", "Model", "Reach", "explain_pair", "find_reach", "fit_labelled", "fit_stacked", "fit_unsupervised",
    "match_offers", "rescore", "with_first_columns",
]  # fmt: skip
_HOMES = {
    "Bar": "explain", "explain_pair": "explain", "Matched": "matching", "match_offers": "matching", "rescore": "matching", "with_first_columns": "matching",
    "REACH_COLUMNS": "reach", "Reach": "reach", "find_reach": "reach",
    "Model": "score", "fit_labelled": "score", "fit_stacked": "score", "fit_unsupervised": "score", "Live": "store", "THIN": "store",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load a name when it is first used: compiled parts and LightGBM take time that `--help` must not pay."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
