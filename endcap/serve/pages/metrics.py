"""Metrics: each figure with its interval, its parts, its definition and its guard rails."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from endcap import shelf
from endcap.serve import asking
from endcap.serve.templating import page_of

router = APIRouter(include_in_schema=False)


@router.get("/metrics", response_model=None)
def show(request: Request) -> Response:
    """Every metric of the shelf."""
    figures = asking.figures(request.state.reading)
    metrics = [
        {
            "name": name, "sentence": shelf.words("metrics", name), "version": metric.VERSION, "grain": metric.GRAIN, "min_n": metric.MIN_N,
            "direction": metric.DIRECTION, "guard_rails": metric.GUARD_RAILS, "sql": metric.SQL.strip(),
            "figures": [figure for figure in figures if figure.name.split(".")[0] == name],
        }
        for name, metric in shelf.components("metrics").items()
    ]  # fmt: skip
    return page_of(request, "metrics.html", metrics=metrics)


CASES = [("/metrics", 200, "Tail selection coverage"), ("/metrics", 200, "Guard rails")]
