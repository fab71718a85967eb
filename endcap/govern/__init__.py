"""Governing: why the match rate moved, and the digests of the team's rituals; read from the tables, honest about what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from endcap.govern.digests import Digest
    from endcap.govern.triages import Triage


def triage(con: duckdb.DuckDBPyConnection, scope: str = "*") -> Triage:
    """Why the match rate moved between the last two runs, for a supplier, a category, or '*' for everything.

    Raises BadInput when no delivered record belongs to the scope.
    """
    from endcap.govern import triages

    return triages.triage(con, scope)


def digest(con: duckdb.DuckDBPyConnection, ritual: str) -> Digest:
    """The digest of a ritual ('catalog-sync', 'handoff' or 'retail') as Markdown. Raises BadInput for another name."""
    from endcap.govern import digests

    return digests.digest(con, ritual)
