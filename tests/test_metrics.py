"""Metrics: every metric's own cases, the interval, the words of missing data, and tables seen as of a run."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap import metrics, shelf
from endcap.metrics import Figure, _cases, as_of, measure, wilson_interval
from endcap.metrics.time_to_resolve import median_survival

METRICS = shelf.names("metrics")
CASES = [(name, number) for name in METRICS for number in range(len(shelf.component("metrics", name).CASES))]


@pytest.mark.parametrize("name", METRICS)
def test_metric_carries_its_whole_self(name: str) -> None:
    metric = shelf.component("metrics", name)
    assert name == metric.NAME
    assert shelf.words("metrics", name).endswith(".") and len(shelf.words("metrics", name)) <= 160
    assert metric.VERSION >= 1 and metric.MIN_N >= 30 and metric.GRAIN and metric.GUARD_RAILS
    assert metric.DIRECTION in ("up", "down")
    assert "SELECT" in metric.SQL


@pytest.mark.parametrize(("name", "number"), CASES)
def test_cases(name: str, number: int) -> None:
    metric = shelf.component("metrics", name)
    tables, expected = metric.CASES[number]
    figures = {figure.name: figure for figure in metric.measure(_cases.connection(tables), min_n=1)}
    assert {key: (figures[key].value, figures[key].n) for key in expected} == {key: pytest.approx(wanted) for key, wanted in expected.items()}


@pytest.mark.parametrize(("name", "number"), CASES)
def test_below_the_minimum_n_no_number_is_shown(name: str, number: int) -> None:
    metric = shelf.component("metrics", name)
    for figure in metric.measure(_cases.connection(metric.CASES[number][0])):
        assert figure.value is None and figure.low is None
        assert figure.words.startswith(f"not enough data (n = {figure.n})") and figure.shown() == f"not enough data (n = {figure.n})"
        assert all(part.value is None for part in figure.slices)


def test_measure_gives_the_four_shared_metrics_and_the_funnel_twice_the_same() -> None:
    con = _cases.connection({})
    figures = measure(con)
    assert {figure.name.split(".")[0] for figure in figures} >= {"tail_coverage", "override_rate", "time_to_resolve", "automated_success", "match_rate"}
    assert figures == measure(con)
    assert len({figure.name for figure in figures}) == len(figures)


def test_operational_tables_of_the_cases_are_those_of_ops() -> None:
    tables = pytest.importorskip("endcap.ops.tables").METADATA.tables
    for name, columns in _cases.OPERATIONAL.items():
        assert set(columns.split()) <= set(tables[name].columns.keys()), name


@given(st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_holds_its_share_and_solves_wilsons_equation(given_share: tuple[int, int]) -> None:
    counted, n = given_share
    low, high = wilson_interval(counted, n)
    assert 0 <= low <= counted / n <= high <= 1
    for bound in (low, high):
        if 1e-9 < bound < 1 - 1e-9:
            assert abs(counted / n - bound) == pytest.approx(metrics.Z_95 * math.sqrt(bound * (1 - bound) / n), rel=1e-6)


@pytest.mark.parametrize(("counted", "n"), [(2, 1), (-1, 5), (0, 0)])
def test_what_is_no_share_has_no_interval(counted: int, n: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        wilson_interval(counted, n)


def _figure(value: float | None, direction: str, name: str = "m") -> Figure:
    return Figure(name, 1, "M", value, 300, None, None, "share", "", direction)


def test_a_figure_knows_which_way_is_better() -> None:
    assert _figure(0.9, "up").is_better_than(_figure(0.8, "up")) is True
    assert _figure(0.9, "down").is_better_than(_figure(0.8, "down")) is False
    assert _figure(0.9, "up").is_better_than(_figure(None, "up")) is None
    with pytest.raises(ValueError, match="cannot be compared"):
        _figure(0.9, "up").is_better_than(_figure(0.9, "up", name="other"))


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=60))
def test_median_without_open_loops_is_the_plain_lower_median(hours: list[float]) -> None:
    median, low, high = median_survival([(hour, True) for hour in hours])
    assert median == sorted(hours)[math.ceil(len(hours) / 2) - 1]
    assert low is not None and low <= median
    assert high is None or high >= median


def test_open_loops_are_censored_not_dropped() -> None:
    ended = [(1.0, True), (2.0, True), (3.0, True)]
    assert median_survival(ended)[0] == 2.0
    assert median_survival([*ended, (5.0, False), (5.0, False), (5.0, False), (5.0, False)])[0] is None


def test_tables_are_seen_as_they_were_after_a_run() -> None:
    rows = [
        {"product_id": "p1", "title": "old", "run": 1}, {"product_id": "p1", "title": "new", "run": 3},
        {"product_id": "p2", "title": "x", "run": 1}, {"product_id": "p2", "title": "x", "gone": True, "run": 2},
    ]  # fmt: skip
    con = _cases.connection({"products": rows})
    seen = {run: con.execute(as_of(run, "SELECT product_id, title FROM products ORDER BY 1")).fetchall() for run in (0, 1, 2, 3)}
    assert seen == {0: [], 1: [("p1", "old"), ("p2", "x")], 2: [("p1", "old")], 3: [("p1", "new")]}
    assert con.execute("SELECT product_id, title FROM products").fetchall() == seen[3]


def test_cases_refuse_unknown_tables_and_columns() -> None:
    with pytest.raises(KeyError, match="no such table: widgets"):
        _cases.connection({"widgets": []})
    with pytest.raises(KeyError, match="has no column colour"):
        _cases.connection({"offers": [{"colour": "red"}]})
