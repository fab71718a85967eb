"""Style: every token and component of the pages at once; served in development only."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from endcap.serve import charts
from endcap.serve.answers import Figure
from endcap.serve.asking import NotFound
from endcap.serve.templating import page_of

router = APIRouter(include_in_schema=False)

_SHEET = Path(__file__).parents[1] / "static" / "endcap.css"
# Everything that stands for a meaning or a ground; sizes and fonts are seen in the components.
_COLOUR = re.compile(r"--([a-z-]+): (?:light-dark\(|#)")


@router.get("/style", response_model=None)
def show(request: Request) -> Response:
    """The tokens of the stylesheet and each component in its states."""
    if not request.app.state.development:
        raise NotFound("there is no page /style here", "`endcap serve --development` has it")
    figures = [_figure(0.979, 0.966, 0.988, 640), _figure(None, None, None, 7)]
    return page_of(request, "style.html", colours=colours(), figures=figures, chart=_chart())


def colours() -> list[str]:
    """The stylesheet's colour tokens in the order written."""
    return list(dict.fromkeys(_COLOUR.findall(_SHEET.read_text(encoding="utf-8"))))


def _figure(value: float | None, low: float | None, high: float | None, n: int) -> Figure:
    words = "A share with its interval." if value is not None else "Below the least n no number is shown."
    return Figure(
        name="sample", version=1, label="A figure", value=value, n=n, low=low, high=high, unit="share", words=words, direction="up", shown="", slices=[]
    )


def _chart() -> charts.Chart:
    """Bars, a line and dots with intervals, with the numbers behind them."""
    across, up = charts.shares(), charts.shares()
    bars = charts.bars("agrees", across, up, [(0.0, 0.25, 0.3), (0.25, 0.5, 0.5)]) + charts.bars("unknown", across, up, [(0.5, 0.75, 0.4)])
    even = charts.line("expected", "plain", across, up, [(0.0, 0.0), (1.0, 1.0)])
    seen = charts.line("seen", "accent", across, up, [(0.25, 0.3), (0.75, 0.8)], [(0.2, 0.45), (0.7, 0.9)])
    return charts.Chart(
        "sample", "A chart", "One sentence says what it shows; the numbers stand below.", across, up, (even, seen), bars, ("Share", "Seen"),
        (("25 %", "30 %"), ("75 %", "80 %")),
    )  # fmt: skip


CASES = [("/style", 404, "development")]
