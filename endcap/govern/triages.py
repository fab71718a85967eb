"""Why the match rate moved: its change split exactly over suppliers and steps, with the likely cause and one action each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from typing import Any

import duckdb

from endcap.metrics import as_of, not_enough
from endcap.metrics.match_rate import MIN_N, RECORDS_SQL, STEP_WORDS, STEPS
from endcap.problems import BadInput

FACTORS = ("mix", *STEPS)
SHOWN_CAUSES = 5
SHOWN_EXAMPLES = 10
SMALLEST_POINTS = 0.05
FIELD_FALL_POINTS = 10.0
FIELDS = ("brand", "gtin", "mpn", "category_path", "price", "quantity_text")
ACTIONS: dict[str, tuple[str, str]] = {
    "mix": ("feed_data", "look at how many offers this supplier delivered"),
    "valid": ("feed_data", "look at the quarantine of this delivery and correct the mapping"),
    "candidate": ("blocking_miss", "look at the examples: nothing alike is found for them any more"),
    "scored": ("scoring", "review the examples, then train"),
    "matched": ("policy_threshold", "review the doubtful ones as a batch"),
}


@dataclass(frozen=True, slots=True)
class Cause:
    """One part of the change: a supplier at a step, its points, and what to do about it."""

    supplier: str
    step: str
    points: float
    n: int
    cause: str
    words: str
    action: str
    example_offer_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Triage:
    """The match rate of a scope before and after, and the parts of its change in points; all parts sum to the change."""

    scope: str
    run_before: int | None
    run_after: int | None
    n_before: int
    n_after: int
    rate_before: float | None
    rate_after: float | None
    contributions: Mapping[tuple[str, str], float]
    causes: tuple[Cause, ...]
    alarms: tuple[str, ...] = ()  # drift that stands, of the scope's feeds

    def to_dict(self) -> dict[str, Any]:
        parts = [{"supplier": supplier, "step": step, "points": points} for (supplier, step), points in self.contributions.items()]
        return {**{name: getattr(self, name) for name in Triage.__slots__ if name not in ("contributions", "causes", "alarms")},
                "contributions": parts, "causes": [asdict(cause) for cause in self.causes], "alarms": list(self.alarms)}  # fmt: skip

    def summary(self) -> str:
        """For people: the change, then the largest parts with their cause and action."""
        if self.run_before is None or self.rate_before is None or self.rate_after is None:
            why = "it needs two runs" if self.run_before is None else f"fewer than {MIN_N} delivered records in a run"
            return f"Match rate of {self._scope_words()}: {not_enough(min(self.n_before, self.n_after))}; {why}."
        change = 100 * (self.rate_after - self.rate_before)
        lines = [
            f"Match rate of {self._scope_words()}: {100 * self.rate_before:.1f} % after run {self.run_before} (n = {self.n_before:,}), "
            f"{100 * self.rate_after:.1f} % after run {self.run_after} (n = {self.n_after:,}): {change:+.1f} points."
        ]
        if not self.causes:
            lines.append("No part of it moved.")
        for cause in self.causes:
            advice = f" Likely {cause.cause}: {cause.action}." if cause.points < 0 else ""  # what rose needs no remedy
            lines.append(f"  {cause.points:+.1f} points  {cause.supplier}, {cause.words} (n = {cause.n:,}).{advice}")
            if cause.example_offer_ids:
                lines.append(f"               e.g. {', '.join(cause.example_offer_ids)}")
        return "\n".join([*lines, *(f"  drift: {words}" for words in self.alarms)])

    def _scope_words(self) -> str:
        return "everything" if self.scope == "*" else self.scope


def triage(con: duckdb.DuckDBPyConnection, scope: str = "*") -> Triage:
    """See `endcap.govern.triage`."""
    runs = [
        row[0]
        for row in con.execute(
            "SELECT DISTINCT run FROM (SELECT run FROM deliveries_log UNION SELECT run FROM decisions_log) ORDER BY run DESC LIMIT 2"
        ).fetchall()
    ]
    after = _reached(con, runs[0], scope) if runs else {}
    before = _reached(con, runs[1], scope) if len(runs) == 2 else {}
    n_before, n_after = (sum(counts[0] for counts in side.values()) for side in (before, after))
    if scope != "*" and not n_before and not n_after:
        raise BadInput(f"no delivered record belongs to {scope!r}", where="triage", todo="name a supplier or a category as the catalog writes it, or '*'")
    run_before, run_after = (runs[1] if len(runs) == 2 else None), (runs[0] if runs else None)
    if run_before is None or run_after is None or min(n_before, n_after) < MIN_N:
        return Triage(scope, run_before, run_after, n_before, n_after, None, None, {}, ())
    rates = [sum(counts[-1] for counts in side.values()) / n for side, n in ((before, n_before), (after, n_after))]
    parts = contributions(before, after)
    causes = _causes(con, scope, (run_before, run_after), parts, before, after)
    return Triage(scope, run_before, run_after, n_before, n_after, rates[0], rates[1], parts, causes, _alarms(con, scope))


def _alarms(con: duckdb.DuckDBPyConnection, scope: str) -> tuple[str, ...]:
    """Drift that stands, of the feeds of a supplier or of everything."""
    rows = con.execute("""
        SELECT name || ' in ' || scope || ' since run ' || run || ': ' || words || '; likely ' || cause FROM alarms WHERE closed_at IS NULL
          AND ($scope = '*' OR scope IN (SELECT DISTINCT 'feed ' || feed FROM deliveries WHERE supplier = $scope)) ORDER BY alarm_id DESC
    """, {"scope": scope}).fetchall()  # fmt: skip
    return tuple(row[0] for row in rows)


def contributions(before: Mapping[str, Sequence[int]], after: Mapping[str, Sequence[int]]) -> dict[tuple[str, str], float]:
    """Points of the change by (supplier, factor), summing to it exactly.

    In: by supplier, how many records were delivered and how many passed each step. Each supplier's part is the product of
    its share of all records and its step rates; the change of that product is given to its factors by Shapley value
    (Shapley 1953: the mean over all orders in which the factors could have changed), and the share's part is taken
    relative to the rate of all, so that a supplier with an average rate moves nothing by delivering more.
    """
    totals = [sum(counts[0] for counts in side.values()) for side in (before, after)]
    overall = sum(counts[-1] for counts in before.values()) / totals[0]
    parts: dict[tuple[str, str], float] = {}
    for supplier in sorted(before.keys() | after.keys()):
        old, new = _factors(before.get(supplier), after.get(supplier), totals)
        given = _shapley(old, new)
        given[0] -= (new[0] - old[0]) * overall
        parts.update({(supplier, factor): 100 * value for factor, value in zip(FACTORS, given, strict=True)})
    return parts


def _factors(before: Sequence[int] | None, after: Sequence[int] | None, totals: Sequence[int]) -> tuple[list[float], list[float]]:
    """Share and step rates on both sides; a rate that one side cannot tell is taken from the other, so that it moves nothing."""
    sides = [[(counts[0] if counts else 0) / total] for counts, total in zip((before, after), totals, strict=True)]
    for step in range(len(STEPS)):
        rates = [counts[step + 1] / counts[step] if counts and counts[step] else None for counts in (before, after)]
        known = next((rate for rate in rates if rate is not None), 0.0)
        for side, rate in zip(sides, rates, strict=True):
            side.append(known if rate is None else rate)
    return sides[0], sides[1]


def _shapley(old: Sequence[float], new: Sequence[float]) -> list[float]:
    given = [0.0] * len(old)
    orders = list(permutations(range(len(old))))
    for order in orders:
        now, value = list(old), _product(old)
        for factor in order:
            now[factor] = new[factor]
            moved = _product(now)
            given[factor] += (moved - value) / len(orders)
            value = moved
    return given


def _product(factors: Sequence[float]) -> float:
    value = 1.0
    for factor in factors:
        value *= factor
    return value


def _reached(con: duckdb.DuckDBPyConnection, run: int, scope: str) -> dict[str, tuple[int, ...]]:
    passed = ", ".join(f"count(*) FILTER ({step})" for step in STEPS)
    query = f"SELECT supplier, count(*), {passed} FROM ({as_of(run, RECORDS_SQL)}) WHERE {_IN_SCOPE} GROUP BY supplier ORDER BY supplier"
    return {row[0]: tuple(row[1:]) for row in con.execute(query, {"scope": scope}).fetchall()}


_IN_SCOPE = "($scope = '*' OR supplier = $scope OR category = $scope)"


def _causes(
    con: duckdb.DuckDBPyConnection, scope: str, runs: tuple[int, int], parts: Mapping[tuple[str, str], float],
    before: Mapping[str, Sequence[int]], after: Mapping[str, Sequence[int]],
) -> tuple[Cause, ...]:  # fmt: skip
    largest = sorted(parts.items(), key=lambda part: (-abs(part[1]), part[0]))[:SHOWN_CAUSES]
    return tuple(
        _cause(con, scope, runs, supplier, step, points, (after.get(supplier) or before[supplier])[0])
        for (supplier, step), points in largest if abs(points) >= SMALLEST_POINTS
    )  # fmt: skip


def _cause(con: duckdb.DuckDBPyConnection, scope: str, runs: tuple[int, int], supplier: str, step: str, points: float, n: int) -> Cause:
    cause, action = ACTIONS[step]
    words = "its share of all records" if step == "mix" else f"step '{STEP_WORDS[step]}'"
    fallen = _fallen_field(con, runs, supplier) if points < 0 and step in ("candidate", "scored", "matched") else None
    if fallen:
        field, was, now = fallen
        cause, action = "feed_data", f"{field} is stated by {now:.0f} % of its offers after {was:.0f} %; correct the mapping or ask the supplier"
    examples = _examples(con, scope, runs, supplier, step) if points < 0 and step not in ("mix", "valid") else ()
    return Cause(supplier, step, points, n, cause, words, action, examples)


def _fallen_field(con: duckdb.DuckDBPyConnection, runs: tuple[int, int], supplier: str) -> tuple[str, float, float] | None:
    """The field whose share of offers that state it fell most, in percent before and after; None when none fell much."""
    stated = ", ".join(f"100.0 * count({field}) / greatest(count(*), 1)" for field in FIELDS)
    sides = [con.execute(f"SELECT {stated} FROM ({as_of(run, 'SELECT * FROM offers')}) WHERE supplier = ?", [supplier]).fetchone() for run in runs]
    falls = [(was - now, field, was, now) for field, was, now in zip(FIELDS, sides[0] or (), sides[1] or (), strict=True)]
    most = max(falls, key=lambda fall: fall[0])
    return most[1:] if most[0] >= FIELD_FALL_POINTS else None


def _examples(con: duckdb.DuckDBPyConnection, scope: str, runs: tuple[int, int], supplier: str, step: str) -> tuple[str, ...]:
    """Offers of the supplier that passed the step before and do not now; new ones that fail where there are none."""
    before, after = (as_of(run, RECORDS_SQL) for run in runs)
    step_before = STEPS[STEPS.index(step) - 1]
    rows = con.execute(
        f"SELECT a.offer_id FROM (SELECT * FROM ({after}) WHERE {_IN_SCOPE}) a LEFT JOIN ({before}) b ON b.offer_id = a.offer_id "
        f"WHERE a.supplier = $supplier AND a.{step_before} AND NOT a.{step} AND coalesce(b.{step}, true) "
        f"ORDER BY b.offer_id IS NULL, a.offer_id LIMIT {SHOWN_EXAMPLES}",
        {"scope": scope, "supplier": supplier},
    ).fetchall()
    return tuple(row[0] for row in rows)
