"""Is the right partner among the candidates at all?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from endcap.learn.evaluate.figures import cost
from endcap.learn.evaluate.tables import read_matches, read_tables
from endcap.match.block import find_candidates
from endcap.problems import BadInput


def evaluate_block(folder: Path, *, k: int = 10, direction: str = "left") -> dict[str, Any]:
    """The share of true matches among the candidates: {dataset, k, direction, recall, candidates, matches, cpu_s, peak_mb}.

    'left': k candidates of each left record; 'both': of each right record too, united. True matches are matches.csv, else
    the positive pairs of all splits. Raises BadInput on a folder of another shape.
    """
    if direction not in ("left", "both"):
        raise BadInput(f"there is no direction {direction!r}", where="--direction", todo="give left or both")
    clock = time.process_time()
    tables = read_tables(folder)
    truth = read_matches(folder, tables)
    asked = tables.side("left") if direction == "left" else np.arange(tables.catalog.index.size, dtype=np.int32)
    graph = find_candidates(tables.catalog.index, np.sort(asked), k)
    edges = np.stack([np.repeat(graph.rows, k), graph.near.ravel()], axis=1)
    found = {(int(a), int(b)) for a, b in np.sort(edges[edges[:, 1] >= 0], axis=1)}
    hits = sum((int(min(a, b)), int(max(a, b))) in found for a, b in zip(*tables.rows(truth), strict=True))
    figures = {"dataset": tables.name, "k": k, "direction": direction, "recall": hits / max(len(truth), 1), "candidates": len(found), "matches": len(truth)}
    return {**figures, **cost(clock)}
