"""What a proposal's plan claims, measured by a replay: its metric against the smallest effect worth having, and its guard rails."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
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


def claims(
    plan: Plan, outcomes: Outcomes, champion: Mapping[str, Ruling], challenger: Mapping[str, Ruling], inside: Container[str] | None = None
) -> list[Claim]:  # fmt: skip
    """The plan's metric, then its guard rails, over the given cases or, of every offer decided by either, those `inside`; higher is better in each."""
    named = [plan.metric, *plan.guard_rails] if plan.metric else []
    return [Claim(name, *_measured(name, outcomes, (champion, challenger), inside)) for name in named]


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


def _measured(name: str, outcomes: Outcomes, rulings: tuple[Mapping[str, Ruling], Mapping[str, Ruling]], inside: Container[str] | None) -> Shares:
    if name in ("automated_success", "automated_success.success"):
        return _success([pair[0] for pair in outcomes]), _success([pair[1] for pair in outcomes])
    if name == "automated_success.yield":
        return _share(sum(pair[0] == RIGHT for pair in outcomes), len(outcomes)), _share(sum(pair[1] == RIGHT for pair in outcomes), len(outcomes))
    if name in OF_OFFERS:
        of_both = [OF_OFFERS[name](told) for told in rulings]
        counted = [[good for offer_id, good in one.items() if inside is None or offer_id in inside] for one in of_both]
        return _share(sum(counted[0]), len(counted[0])), _share(sum(counted[1]), len(counted[1]))
    return None, None


def _success(made: Sequence[str]) -> float | None:
    return _share(made.count(RIGHT), made.count(RIGHT) + made.count(WRONG))


def _automated(rulings: Mapping[str, Ruling]) -> dict[str, bool]:
    return {offer_id: one.action != "to_review" and one.decided_by == "machine" for offer_id, one in rulings.items()}


def _matched(rulings: Mapping[str, Ruling]) -> dict[str, bool]:
    offers = Counter(one.product_id for one in rulings.values() if one.product_id is not None)
    return {offer_id: one.product_id is not None and offers[one.product_id] > 1 for offer_id, one in rulings.items()}


def _share(counted: int, n: int) -> float | None:
    return counted / n if n else None


# Figures that every offer adds to, judged or not.
OF_OFFERS: dict[str, Callable[[Mapping[str, Ruling]], dict[str, bool]]] = {"automated_success.automation": _automated, "match_rate": _matched}
