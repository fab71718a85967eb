"""The verdict on a change: a pure function from evidence to INVALID, ROLLBACK, SHIP or HOLD, asked in this order.

Champion and challenger are compared on the same audited cases, so that what both do alike cancels out: non-inferiority by Newcombe's interval of
a difference of paired shares (Statistics in Medicine 1998, method 10), harm by the exact test of McNemar (Psychometrika 1947). A slice is judged
where it has the labels that an unpaired comparison would need; the others are pooled, and the pool must hold. To show that nothing was harmed takes
many labels, but harm may show in few: it is looked for in every slice and pool, however small, and believed only after Holm's correction
(Scandinavian Journal of Statistics 1979) over all that could show any (Tarone, Biometrics 1990), so that many slices do not make one fail by chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

INVALID, ROLLBACK, SHIP, HOLD = "INVALID", "ROLLBACK", "SHIP", "HOLD"
PASS, FAIL, NOT_EVALUABLE = "pass", "fail", "not evaluable"
# Largest drop, as a share of cases, that counts as none: in a slice, and over everything.
SLICE_MARGIN, WHOLE_MARGIN = 0.05, 0.02
# One-sided confidences: of power, of non-inferiority, and of the claims 'better' and 'harmed'.
POWER_Z, POWERED_Z = 1.6448536269514722, 0.8416212335729143
BOUND_Z = 1.2815515655446004
ALPHA = 0.05
# How often a champion is taken to be right when the labels that a slice needs are counted; less where it surely is, which needs more.
USUAL_RATE = 0.97
SURELY_Z = 2.3263478740408408
LEAST_CASES = 30
REST = "the rest"


@dataclass(frozen=True, slots=True)
class Tally:
    """How often champion and challenger do well on the same `n` cases of one slice."""

    by: str
    name: str
    n: int
    both: int
    champion_only: int
    challenger_only: int

    @property
    def champion_rate(self) -> float:
        return (self.both + self.champion_only) / self.n if self.n else 0.0

    @property
    def challenger_rate(self) -> float:
        return (self.both + self.challenger_only) / self.n if self.n else 0.0

    @property
    def difference(self) -> float:
        """Challenger less champion."""
        return (self.challenger_only - self.champion_only) / self.n if self.n else 0.0

    def plus(self, other: Tally) -> Tally:
        """Both together, under this one's name."""
        return Tally(
            self.by, self.name, self.n + other.n, self.both + other.both, self.champion_only + other.champion_only, self.challenger_only + other.challenger_only
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SliceResult:
    """A slice with what may be said of it."""

    tally: Tally
    state: str  # pass | fail | not evaluable
    low: float  # bounds of the difference
    high: float
    needed: int  # labels an arm for a drop of the margin to be seen
    p_harm: float  # exact, one-sided, not corrected

    def to_dict(self) -> dict[str, Any]:
        given = {**asdict(self.tally), "champion_rate": self.tally.champion_rate, "challenger_rate": self.tally.challenger_rate}
        shown = {"difference": self.tally.difference, "low": self.low, "high": self.high, "p_harm": self.p_harm}
        return {**given, "state": self.state, "needed": self.needed, **{name: round(value, 4) for name, value in shown.items()}}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a challenger beside the champion."""

    right: Tally  # decided by the machine, and rightly
    safe: Tally  # not decided wrongly by the machine; asking a person is safe
    slices: Sequence[Tally] = ()  # of `safe`
    faults: Sequence[str] = ()  # why nothing of this may be believed
    breaches: Sequence[str] = ()  # guard rails that are tripped for certain: a floor, a suspicion, a closed loop that fails again
    shortfalls: Sequence[str] = ()  # where the proposal's own plan is not fulfilled
    audits: int | None = None  # how many of the cases were drawn at random; None where that is not at issue
    least_cases: int = LEAST_CASES
    slice_margin: float = SLICE_MARGIN
    whole_margin: float = WHOLE_MARGIN


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its reasons and the slices as judged."""

    verdict: str
    reasons: tuple[str, ...]
    right: SliceResult
    safe: SliceResult
    slices: tuple[SliceResult, ...] = field(default=())
    rest: SliceResult | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict, "reasons": list(self.reasons), "right": self.right.to_dict(), "safe": self.safe.to_dict(),
            "slices": [one.to_dict() for one in self.slices], "rest": self.rest.to_dict() if self.rest else None,
        }  # fmt: skip


def verdict(evidence: Evidence) -> Judgement:
    """The verdict on this evidence. Pure: the same evidence gives the same verdict."""
    slices = tuple(judged(one, evidence.slice_margin) for one in evidence.slices)
    pools = _pools(slices, evidence.slice_margin)
    # The worst is told, since one case lies in one slice of each way.
    rest = min(pools, key=lambda result: result.low, default=None)
    right, safe = judged(evidence.right, evidence.whole_margin), judged(evidence.safe, evidence.whole_margin)
    harmed = _harmed([safe, *slices, *_apart(pools, safe, slices)])
    found = _verdict(evidence, right, safe, slices, rest, harmed)
    told = tuple(replace(one, state=FAIL) if one in harmed else one for one in slices)
    return Judgement(found[0], tuple(found[1]), right, safe, told, replace(rest, state=FAIL) if rest is not None and rest in harmed else rest)


def _verdict(
    evidence: Evidence, right: SliceResult, safe: SliceResult, slices: Sequence[SliceResult], rest: SliceResult | None, harmed: Sequence[SliceResult]
) -> tuple[str, list[str]]:  # fmt: skip
    if evidence.faults:
        return INVALID, list(evidence.faults)
    if evidence.breaches or harmed:
        return ROLLBACK, [*evidence.breaches, *(f"worse in {_of(one)}: {_change(one)}" for one in harmed)]
    missing = _missing_to_ship(evidence, right, safe, slices, rest)
    if missing:
        return HOLD, missing
    return SHIP, [f"right without a person: {_change(right)}", f"not decided wrongly: {_change(safe)}"]


def _missing_to_ship(
    evidence: Evidence, right: SliceResult, safe: SliceResult, slices: Sequence[SliceResult], rest: SliceResult | None
) -> list[str]:  # fmt: skip
    if evidence.right.n < evidence.least_cases:
        return [f"only {evidence.right.n:,} judged cases, audits and answers; {evidence.least_cases:,} are asked for"]
    missing = list(evidence.shortfalls)
    if evidence.audits == 0:
        missing.append("none of the cases was drawn at random: answers alone are about what was doubtful; `endcap audit` draws some")
    # Either may be what is better; each is tested at half the error, and the other must not be worse.
    if not (_is_better(right, safe, evidence.whole_margin) or _is_better(safe, right, evidence.whole_margin)):
        missing += _why_not_better(right, safe, evidence.whole_margin)
    if safe.low <= -evidence.whole_margin:
        missing.append(f"a drop of {100 * evidence.whole_margin:g} points overall is not excluded: {_change(safe)}")
    missing += [f"a drop of {100 * evidence.slice_margin:g} points is not excluded in {_of(one)}: {_change(one)}" for one in slices if one.state == FAIL]
    if rest is not None and rest.state == FAIL:
        missing.append(f"a drop of {100 * evidence.slice_margin:g} points is not excluded in the small slices together: {_change(rest)}")
    return missing


def _why_not_better(right: SliceResult, safe: SliceResult, margin: float) -> list[str]:
    """A gain that may be chance, or one that may be paid for elsewhere; where more is wrong is said of everything."""
    if _by_chance(right) < ALPHA / 2:
        return []
    if _by_chance(safe) < ALPHA / 2:
        return [f"fewer are decided wrongly, but a drop of {100 * margin:g} points in what is right without a person is not excluded: {_change(right)}"]
    told = (
        f"{name} {_change(one)}, by chance in {100 * _by_chance(one):.3g} %" for name, one in (("right without a person", right), ("not decided wrongly", safe))
    )
    return [f"not shown to be better than chance, for which {100 * ALPHA / 2:g} % is the most: {'; '.join(told)}"]


def judged(tally: Tally, margin: float) -> SliceResult:
    """What may be said of one slice: 'pass' only where a drop of the margin would have been seen, and is excluded."""
    low, high = paired_interval(tally, BOUND_Z)
    rate = upper_bound(tally.both + tally.champion_only, tally.n, SURELY_Z)
    needed = max(labels_needed(USUAL_RATE, margin), labels_needed(min(rate, USUAL_RATE), margin))
    state = NOT_EVALUABLE if tally.n < needed else PASS if low > -margin else FAIL
    return SliceResult(tally, state, low, high, needed, mcnemar(tally.champion_only, tally.challenger_only))


def labels_needed(rate: float, drop: float) -> int:
    """Labels an arm that show a drop from `rate` with 80 % power at one-sided 5 % (two unpaired shares): 256 for 5 points from .97, 1,186 for 2."""
    lower = max(rate - drop, 0.0)
    mean = (rate + lower) / 2
    spread = POWER_Z * math.sqrt(2 * mean * (1 - mean)) + POWERED_Z * math.sqrt(rate * (1 - rate) + lower * (1 - lower))
    return max(round((spread / drop) ** 2), 1)


def mcnemar(champion_only: int, challenger_only: int) -> float:
    """The exact chance that so many or more of the differing cases speak for the champion, were neither better."""
    differing = champion_only + challenger_only
    if not differing:
        return 1.0
    logs = [_log_choose(differing, count) - differing * math.log(2) for count in range(champion_only, differing + 1)]
    return min(1.0, math.fsum(math.exp(one) for one in logs))


def paired_interval(tally: Tally, z: float) -> tuple[float, float]:
    """Bounds of the challenger's rate less the champion's on the same cases."""
    if not tally.n:
        return -1.0, 1.0
    neither = tally.n - tally.both - tally.champion_only - tally.challenger_only
    ours, theirs = tally.both + tally.challenger_only, tally.both + tally.champion_only
    (low, high), (their_low, their_high) = _score_interval(ours, tally.n, z), _score_interval(theirs, tally.n, z)
    product = float(ours * (tally.n - ours)) * float(theirs * (tally.n - theirs))
    phi = (tally.both * neither - tally.champion_only * tally.challenger_only) / math.sqrt(product) if product else 0.0
    rate, their_rate = ours / tally.n, theirs / tally.n

    def spread(one: float, other: float) -> float:
        return math.sqrt(max(one * one - 2 * phi * one * other + other * other, 0.0))

    difference = rate - their_rate
    return difference - spread(rate - low, their_high - their_rate), difference + spread(high - rate, their_rate - their_low)


def upper_bound(counted: int, n: int, z: float = POWER_Z) -> float:
    """One-sided upper bound of a share (Wilson)."""
    return _score_interval(counted, n, z)[1] if n else 1.0


def _score_interval(counted: int, n: int, z: float) -> tuple[float, float]:
    rate, scale = counted / n, 1 + z * z / n
    middle, spread = rate + z * z / (2 * n), z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def _is_better(one: SliceResult, other: SliceResult, margin: float) -> bool:
    return _by_chance(one) < ALPHA / 2 and other.low > -margin


def _by_chance(one: SliceResult) -> float:
    """The exact chance that so many or more of the differing cases speak for the challenger, were neither better (McNemar)."""
    return mcnemar(one.tally.challenger_only, one.tally.champion_only)


def _harmed(results: Sequence[SliceResult]) -> list[SliceResult]:
    """Those that are worse beyond chance, by Holm's step-down over all that could be: harm needs no power to be seen, only to be excluded."""
    able, found = _able_to_show(results), []
    for place, one in enumerate(sorted(able, key=lambda result: result.p_harm)):
        if one.p_harm >= ALPHA / (len(able) - place):
            break
        found.append(one)
    return found


def _able_to_show(results: Sequence[SliceResult]) -> list[SliceResult]:
    """Those whose differing cases, were all of them lost, would be beyond chance (Tarone, Biometrics 1990); the others need no correction."""
    for count in range(1, len(results) + 1):
        able = [one for one in results if mcnemar(one.tally.champion_only + one.tally.challenger_only, 0) < ALPHA / count]
        if len(able) <= count:
            return able
    return []


def _pools(slices: Sequence[SliceResult], margin: float) -> list[SliceResult]:
    """Of each way to slice, the slices too small to be judged, as one."""
    pools: dict[str, Tally] = {}
    for one in slices:
        if one.state == NOT_EVALUABLE:
            mine = pools.get(one.tally.by, Tally(one.tally.by, REST, 0, 0, 0, 0))
            pools[one.tally.by] = mine.plus(one.tally)
    return [judged(pool, margin) for _by, pool in sorted(pools.items()) if pool.n]


def _apart(pools: Sequence[SliceResult], safe: SliceResult, slices: Sequence[SliceResult]) -> list[SliceResult]:
    """The pools that are neither everything nor one slice alone, which are looked at as such."""
    alone = {(one.tally.by, one.tally.n) for one in slices}
    return [one for one in pools if one.tally.n < safe.tally.n and (one.tally.by, one.tally.n) not in alone]


def _of(one: SliceResult) -> str:
    if one.tally.by == "all":
        return "everything"
    return f"{REST}, where no {one.tally.by} has enough cases" if one.tally.name == REST else f"{one.tally.by} {one.tally.name}"


def _change(one: SliceResult) -> str:
    tally = one.tally
    change = f"{100 * tally.difference:+.1f} points ({100 * one.low:+.1f} to {100 * one.high:+.1f})"
    return f"{100 * tally.challenger_rate:.1f} % against {100 * tally.champion_rate:.1f} %, {change}, n = {tally.n:,}"


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
