"""Time to resolve of feedback loops: how long from a problem's report until it is right in the catalog, and until it stays right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import duckdb

from endcap.metrics import Z_95, Figure, not_enough

NAME = "time_to_resolve"
VERSION = 1
GRAIN = "feedback loop; open ones count as lasting at least until now"
DIRECTION = "down"
MIN_N = 30
GUARD_RAILS = ("reopened at most 5 %", "verified at least 95 %", "no case fails again")

# 'Now' is the newest time in the tables, so that the same tables give the same figure.
SQL = """
WITH known AS (
    SELECT max(moment) AS newest FROM (
        SELECT max(finished_at) AS moment FROM runs UNION ALL
        SELECT max(greatest(opened_at, coalesce(in_snapshot_at, opened_at), coalesce(verified_at, opened_at), coalesce(closed_at, opened_at))) FROM loops)
)
SELECT date_diff('second', opened_at::TIMESTAMPTZ, coalesce(in_snapshot_at, newest)::TIMESTAMPTZ) / 3600.0 AS data_hours, in_snapshot_at IS NOT NULL AS in_data,
       date_diff('second', opened_at::TIMESTAMPTZ, coalesce(verified_at, newest)::TIMESTAMPTZ) / 3600.0 AS learn_hours, verified_at IS NOT NULL AS learned
FROM loops, known WHERE duplicate_of IS NULL ORDER BY loop_id
"""
ROUNDING = 1e-9
CLOCKS: dict[str, tuple[str, str]] = {
    "data": ("Time to resolve", "half of the reported problems are right in a snapshot after this long; consumers do not acknowledge yet"),
    "learn": ("Time to learn", "half of the reported problems come out right without their own override after this long"),
}


def measure(con: duckdb.DuckDBPyConnection, min_n: int = MIN_N) -> list[Figure]:
    """The median in hours of both clocks, open loops censored and not dropped (Kaplan and Meier 1958)."""
    rows = con.execute(SQL).fetchall()
    durations = {"data": [(row[0], row[1]) for row in rows], "learn": [(row[2], row[3]) for row in rows]}
    return [_figure(clock, durations[clock], min_n) for clock in CLOCKS]


def _figure(clock: str, durations: Sequence[tuple[float, bool]], min_n: int) -> Figure:
    label, words = CLOCKS[clock]
    n, done = len(durations), sum(ended for _hours, ended in durations)
    half, low, high = median_survival(durations)
    if n < min_n or half is None:
        why = f"{n - done} of {n} loops are still open" if n >= max(min_n, 1) else words
        return Figure(f"{NAME}.{clock}", VERSION, label, None, n, None, None, "hours", f"{not_enough(n)}: {why}", DIRECTION)
    return Figure(f"{NAME}.{clock}", VERSION, label, half, n, low, high, "hours", f"{words}; {n - done} of {n} are open", DIRECTION)


def median_survival(durations: Sequence[tuple[float, bool]]) -> tuple[float | None, float | None, float | None]:
    """When half have ended, with its 95 % interval (Brookmeyer and Crowley 1982, on Greenwood's variance).

    In: (duration, whether it ended). Out: median, lower and upper bound in the same unit; None where not reached.
    """
    alive, left, greenwood = 1.0, len(durations), 0.0
    median = low = high = None
    for moment in sorted({hours for hours, _ended in durations}):
        ended = sum(1 for hours, done in durations if hours == moment and done)
        leaving = sum(1 for hours, _done in durations if hours == moment)
        if ended:
            alive *= 1 - ended / left
            greenwood += ended / (left * (left - ended)) if left > ended else math.inf
            spread = Z_95 * alive * math.sqrt(greenwood) if alive else 0.0
            low = moment if low is None and alive - spread <= 0.5 else low
            median = moment if median is None and alive <= 0.5 + ROUNDING else median
            high = moment if high is None and alive + spread < 0.5 else high
        left -= leaving
    return median, low, high


_OPENED = {"opened_at": "2024-05-01T00:00:00Z"}
CASES: list[tuple[dict[str, list[dict[str, Any]]], dict[str, tuple[float | None, int]]]] = [
    ({}, {"time_to_resolve.data": (None, 0), "time_to_resolve.learn": (None, 0)}),
    (
        {
            "loops": [
                {**_OPENED, "loop_id": 1, "in_snapshot_at": "2024-05-01T02:00:00Z", "verified_at": "2024-05-02T00:00:00Z"},
                {**_OPENED, "loop_id": 2, "in_snapshot_at": "2024-05-01T04:00:00Z"},
                {**_OPENED, "loop_id": 3},
                {**_OPENED, "loop_id": 4, "duplicate_of": 3, "closed_at": "2024-05-01T00:00:00Z"},
            ]
        },
        {"time_to_resolve.data": (4.0, 3), "time_to_resolve.learn": (None, 3)},
    ),
]
