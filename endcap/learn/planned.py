"""What a proposal's plan claims, measured by a replay: its metric against the smallest effect worth having, and its guard rails."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from endcap.decide.deciding import Ruling
from endcap.learn.cases import RIGHT, WRONG
from endcap.learn.verdict import LEAST_CASES, WHOLE_MARGIN

Outcomes = Sequence[tuple[str, str]]  # of each case: the champion's and the challenger's
EVERYWHERE = "*"
Shares = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a proposal says will happen; `smallest_effect` in points. Without a metric nothing but the verdict's own two figures is asked for."""

    metric: str = ""
    smallest_effect: float = 0.0
    guard_rails: tuple[str, ...] = ()
    scope: str = EVERYWHERE
    needed: int = LEAST_CASES

    @property
    def key(self) -> str:
        """Short text that differs where another plan was validated; none for no plan."""
        told = json.dumps([self.metric, self.smallest_effect, self.guard_rails, self.scope, self.needed])
        return f".{hashlib.sha256(told.encode()).hexdigest()[:6]}" if self.metric else ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A figure of the plan under both; None where a replay does not measure it, so that only time will tell."""

    name: str
    champion: float | None
    challenger: float | None

    @property
    def points(self) -> float | None:
        """By how many points the challenger's is higher."""
        return None if self.champion is None or self.challenger is None else 100 * (self.challenger - self.champion)

    @property
    def words(self) -> str:
        """The figure as a person reads it."""
        if self.champion is None or self.challenger is None:
            return f"{self.name} is not measured by a replay: it is watched once the change is in force"
        return f"{self.name} goes from {100 * self.champion:.1f} % to {100 * self.challenger:.1f} % ({self.points:+.1f} points)"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        shares = {name: None if value is None else round(value, 6) for name, value in (("champion", self.champion), ("challenger", self.challenger))}
        return {"name": self.name, **shares, "points": None if self.points is None else round(self.points, 4), "words": self.words}


def claims(plan: Plan, outcomes: Outcomes, champion: Mapping[str, Ruling], challenger: Mapping[str, Ruling]) -> list[Claim]:
    """The plan's metric, then its guard rails, over the cases or the offers decided by either that are given; higher is better in each of them."""
    named = [plan.metric, *plan.guard_rails] if plan.metric else []
    return [Claim(name, *_measured(name, outcomes, champion, challenger)) for name in named]


def shortfalls(plan: Plan, measured: Sequence[Claim]) -> list[str]:
    """Why the plan's own words are not fulfilled; none where they are, or where a replay cannot tell."""
    if not measured:
        return []
    metric, *rails = measured
    found = []
    if metric.points is not None and metric.points < plan.smallest_effect:
        found.append(f"{metric.words}; the plan calls {plan.smallest_effect:g} points worth having")
    found += [f"the guard rail {one.words}" for one in rails if one.points is not None and one.points < -100 * WHOLE_MARGIN]
    return found


def _measured(name: str, outcomes: Outcomes, champion: Mapping[str, Ruling], challenger: Mapping[str, Ruling]) -> Shares:
    if name in ("automated_success", "automated_success.success"):
        return _success([pair[0] for pair in outcomes]), _success([pair[1] for pair in outcomes])
    if name == "automated_success.yield":
        return _share(sum(pair[0] == RIGHT for pair in outcomes), len(outcomes)), _share(sum(pair[1] == RIGHT for pair in outcomes), len(outcomes))
    if name == "automated_success.automation":
        return _automation(champion), _automation(challenger)
    if name == "match_rate":
        return _matched(champion), _matched(challenger)
    return None, None


def _success(made: Sequence[str]) -> float | None:
    return _share(made.count(RIGHT), made.count(RIGHT) + made.count(WRONG))


def _automation(rulings: Mapping[str, Ruling]) -> float | None:
    return _share(sum(one.action != "to_review" and one.decided_by == "machine" for one in rulings.values()), len(rulings))


def _matched(rulings: Mapping[str, Ruling]) -> float | None:
    offers = Counter(one.product_id for one in rulings.values() if one.product_id is not None)
    return _share(sum(count for count in offers.values() if count > 1), len(rulings))


def _share(counted: int, n: int) -> float | None:
    return counted / n if n else None
