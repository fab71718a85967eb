"""Drawings: what stands where."""

from __future__ import annotations

from endcap.serve import charts


def test_a_line_of_one_point_is_a_dot() -> None:
    across, up = charts.counts(100), charts.shares(0.0, 1.0, 5)
    (dot,) = charts.line("one", "accent", across, up, [(50, 0.5)]).dots
    assert dot == (charts.x_of(across, 50), charts.y_of(up, 0.5), charts.y_of(up, 0.5), charts.y_of(up, 0.5))
    assert charts.line("two", "accent", across, up, [(50, 0.5), (60, 0.6)]).dots == ()
