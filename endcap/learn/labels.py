"""Labels from what people said: each standing answer is one labelled pair of offers, with its provenance."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from endcap import schema
from endcap.decide.promised import AUDIT

# Audits judge models, so they teach none.
SAME = {"same": True, "other": True, "different": False, "new": False}

_ANSWERS = f"""
    SELECT override_id, offer_id, counterpart_offer_id, action FROM overrides
    WHERE action IN ('same', 'other', 'different', 'new') AND counterpart_offer_id IS NOT NULL AND reason_code <> '{AUDIT}'
      AND override_id NOT IN (SELECT undoes FROM overrides WHERE undoes IS NOT NULL)
    ORDER BY override_id
"""


def labels_from_overrides(con: duckdb.DuckDBPyConnection, run: int) -> pa.Table:
    """Label rows of every standing override, sorted by key; a pair answered twice has two labels, contradictions included."""
    rows = [
        {
            "left_id": min(offer_id, counterpart), "right_id": max(offer_id, counterpart), "same": SAME[action], "weight": 1.0,
            "source": "override", "source_id": str(override_id), "run": run, "gone": False,
        }
        for override_id, offer_id, counterpart, action in con.execute(_ANSWERS).fetchall()
    ]  # fmt: skip
    rows.sort(key=lambda row: (row["left_id"], row["right_id"], row["source_id"]))
    return pa.Table.from_pylist(rows, schema=schema.arrow_schema(schema.Label))
