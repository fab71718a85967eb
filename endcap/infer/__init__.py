"""The infer room: facts about offers (category, brand, colour, size, pack count, quantity) with evidence and confidence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from endcap.infer.known import Known

__all__ = ["find_facts", "learn_known", "load_known"]


def learn_known(offers: pa.Table, taxonomy_file: Path | None, *, seed: int) -> Known:
    """What must be known of the whole catalog first (brands, categories), from a table of Offer rows.

    Deterministic by seed and independent of the rows' order. Raises BadInput when the taxonomy is missing or wrong.
    """
    from endcap.infer import known

    return known.learn_known(offers, taxonomy_file, seed=seed)


def load_known(folder: Path) -> Known:
    """What `Known.save` wrote. Raises BadInput when it is missing or damaged."""
    from endcap.infer.known import Known

    return Known.load(folder)


def find_facts(offers: pa.Table, known: Known, *, run: int, engine: str = "local", cores: int = 0, batch_rows: int = 10_000) -> pa.Table:
    """Facts (schema Fact) of Offer rows: at most one value per (offer_id, attribute), sorted by both.

    Each offer's facts depend on that offer and `known` alone. An attribute of which nothing is seen has no row.
    """
    from endcap.infer import find

    return find.find_facts(offers, known, run=run, engine=engine, cores=cores, batch_rows=batch_rows)
