"""Metrics read every table and import no room: one metric a file, its definition in SQL, its cases beside it.

A metric is a module with NAME, VERSION, GRAIN, DIRECTION ('up' or 'down'), MIN_N, GUARD_RAILS, SQL,
`measure(con, min_n=MIN_N) -> list[Figure]` and CASES: pairs of (small tables, expected value and n by figure name, taken with
min_n=1). Its sentence is the first line of its docstring.
`con` is a DuckDB connection with the lake's tables as views of their current rows, `<table>_log` as all that was written,
and the operational tables by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from endcap import schema, shelf
from endcap.shares import Z_95, wilson_interval

if TYPE_CHECKING:
    import duckdb

__all__ = ["Z_95", "Figure", "Slice", "as_of", "measure", "not_enough", "share", "share_slice", "wilson_interval"]


@dataclass(frozen=True, slots=True)
class Slice:
    """A figure's value on one part of its rows; `value` is None below the minimum n."""

    by: str
    name: str
    value: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with all that is needed to read it rightly.

    `value` is None below the minimum n, and `words` then say so; `low` and `high` bound a 95 % interval where one is known;
    `unit` is 'share' (0 to 1), 'hours', or a noun that is counted; `direction` is which way is better, 'up' or 'down'.
    """

    name: str
    version: int
    label: str
    value: float | None
    n: int
    low: float | None
    high: float | None
    unit: str
    words: str
    direction: str
    slices: tuple[Slice, ...] = ()

    def is_better_than(self, other: Figure) -> bool | None:
        """Whether this figure is better than another of the same metric; None where either lacks data.

        Raises ValueError when they are not the same metric in the same version.
        """
        if (self.name, self.version) != (other.name, other.version):
            raise ValueError(f"{self.name}@{self.version} cannot be compared with {other.name}@{other.version}")
        if self.value is None or other.value is None:
            return None
        return self.value > other.value if self.direction == "up" else self.value < other.value

    def shown(self) -> str:
        """The value for people: '61.3 % (60.1 to 62.5, n = 8,120)' or 'not enough data (n = 7)'."""
        if self.value is None:
            return not_enough(self.n)
        interval = "" if self.low is None or self.high is None else f"{_number(self.low, self.unit)} to {_number(self.high, self.unit)}, "
        return f"{_number(self.value, self.unit)}{' %' if self.unit == 'share' else f' {self.unit}'} ({interval}n = {self.n:,})"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(con: duckdb.DuckDBPyConnection) -> list[Figure]:
    """Every figure of every metric on the shelf, in the order of metric names."""
    return [figure for metric in shelf.components("metrics").values() for figure in metric.measure(con)]


def share(*, name: str, version: int, label: str, counted: int, n: int, words: str, direction: str, min_n: int, slices: Sequence[Slice] = ()) -> Figure:
    """The figure of `counted` out of `n` with its Wilson interval, hidden below `min_n`."""
    if n < min_n or n == 0:
        return Figure(name, version, label, None, n, None, None, "share", f"{not_enough(n)}: {words}", direction, tuple(slices))
    low, high = wilson_interval(counted, n)
    return Figure(name, version, label, counted / n, n, low, high, "share", words, direction, tuple(slices))


def share_slice(by: str, name: str, counted: int, n: int, min_n: int) -> Slice:
    """One slice of a share, hidden below `min_n`."""
    return Slice(by, name, counted / n if n >= max(min_n, 1) else None, n)


def not_enough(n: int) -> str:
    """The words for a figure that is hidden because too little is known."""
    return f"not enough data (n = {n:,})"


def as_of(run: int, query: str) -> str:
    """A query that sees the lake's tables as they were after a run.

    In: a SELECT over current tables. Out: the same SELECT over each log's newest row of a key not written after `run`.
    """
    views = []
    for noun in schema.NOUNS:
        key, log = ", ".join(noun.KEY), f"{noun.TABLE}_log"
        newest = f"SELECT {key}, max(run) AS run FROM {log} WHERE run <= {int(run)} GROUP BY ALL"
        views.append(f"{noun.TABLE} AS (SELECT log.* FROM {log} log SEMI JOIN ({newest}) newest USING ({key}, run) WHERE NOT log.gone)")
    return f"WITH {', '.join(views)} SELECT * FROM ({query})"


def _number(value: float, unit: str) -> str:
    return f"{100 * value:.1f}" if unit == "share" else f"{value:,.1f}"
