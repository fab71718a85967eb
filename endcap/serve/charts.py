"""Charts as plain shapes for the templates: lines and bars on a fixed grid, each with a title, a sentence, and its numbers as a table.

Colours are the stylesheet's, so that one drawing serves light and dark; nothing here knows what it draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from endcap.decide.promise import lower_bound

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 8, 28
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from low to high along one side of the drawing, with the ticks that are labelled."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def share(self, value: float) -> float:
        """Where a value lies, 0 at low and 1 at high; what lies beyond is drawn at the edge."""
        return min(1.0, max(0.0, (value - self.low) / ((self.high - self.low) or 1.0)))


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or the dots with their intervals: `meaning` is a class of the stylesheet."""

    name: str
    meaning: str
    points: str  # for a polyline
    dots: tuple[tuple[float, float, float, float], ...] = ()  # x, y, y of the lower and of the upper bound


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar from the ground up."""

    meaning: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """What a template needs to draw it."""

    name: str  # of the element, unique on its page
    title: str
    sentence: str
    across: Scale
    up: Scale
    series: tuple[Series, ...]
    bars: tuple[Bar, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]  # the numbers behind it

    @property
    def across_ticks(self) -> list[tuple[float, str]]:
        return [(x_of(self.across, value), words) for value, words in self.across.ticks]

    @property
    def up_ticks(self) -> list[tuple[float, str]]:
        return [(y_of(self.up, value), words) for value, words in self.up.ticks]


def x_of(scale: Scale, value: float) -> float:
    """Where a value lies from the left, in units of the drawing."""
    return round(LEFT + (WIDTH - LEFT - RIGHT) * scale.share(value), 2)


def y_of(scale: Scale, value: float) -> float:
    """Where a value lies from the top."""
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * scale.share(value), 2)


def line(name: str, meaning: str, across: Scale, up: Scale, points: Sequence[Point], bounds: Sequence[Point] = ()) -> Series:
    """A line through points, a dot where there is but one; with `bounds` (lower, upper) of each, dots with their intervals."""
    placed = [(x_of(across, x), y_of(up, y)) for x, y in points]
    if len(points) == 1 and not bounds:
        bounds = [(points[0][1], points[0][1])]
    dots = tuple((x, y, y_of(up, low), y_of(up, high)) for (x, y), (low, high) in zip(placed, bounds, strict=False))
    return Series(name, meaning, " ".join(f"{x},{y}" for x, y in placed), dots)


def bars(meaning: str, across: Scale, up: Scale, spans: Sequence[tuple[float, float, float]], ground: Sequence[float] = ()) -> tuple[Bar, ...]:
    """A bar for each (from, to, height), each on the ground or on what stands there already."""
    found = []
    for place, (low, high, value) in enumerate(spans):
        below = ground[place] if ground else 0.0
        x, top = x_of(across, low), y_of(up, below + value)
        found.append(Bar(meaning, x, top, round(max(x_of(across, high) - x - 0.6, 0.4), 2), round(y_of(up, below) - top, 2)))
    return tuple(found)


def shares(low: float = 0.0, high: float = 1.0, count: int = 5) -> Scale:
    """A scale of shares, labelled in percent."""
    step = (high - low) / (count - 1)
    return Scale(low, high, tuple((low + step * place, f"{100 * (low + step * place):.0f} %") for place in range(count)))


def counts(highest: float) -> Scale:
    """A scale of counts from 0 to a round number that none exceeds."""
    high = 1.0
    while high < highest:
        high *= 2 if str(high)[0] in "15" else 2.5
    return Scale(0.0, high, tuple((high * part / 4, f"{high * part / 4:,.0f}") for part in range(5)) if high >= 4 else ((0.0, "0"), (high, f"{high:,.0f}")))


def interval(right: int, n: int) -> tuple[float, float]:
    """A share's two-sided 95 % interval (Clopper and Pearson 1934)."""
    return lower_bound(right, n, 0.975), 1 - lower_bound(n - right, n, 0.975)
