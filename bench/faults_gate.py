"""Faults of the learning loop before its gate: planted regressions, bad champions that got through, drift (THREATS F6, F8, F9).

Registered in bench/reliability.py; none of them needs a served catalog.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from played import Tally, World

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from drifting import KINDS, NAMES, RUNS, SIZES, drifted
from gating import bad_champion, planted, small_world, undone_within

from endcap.learn.drift import find_drift
from endcap.learn.verdict import NOT_EVALUABLE, PASS, SHIP, verdict

CATEGORIES = 50
F6_MISSED, F9_MISSED, F9_FALSE = 12, 3, 1


def one_category_worse(_world: World, tally: Tally, wanted: int) -> None:
    """A drop of 5 points in 1 of 50 categories while the whole improves; half the worlds have 256 labels a slice, others 300 to 600, or fewer."""
    dice, blocked = np.random.default_rng(7), 0
    for trial in range(wanted):
        size = (256, 300, 400, 600)[trial % 4]
        found = verdict(planted(dice, CATEGORIES, size, 0.05))
        blocked += found.verdict != SHIP
    missed = wanted - blocked
    for trial in range(wanted):
        tally.check(trial >= missed or missed <= F6_MISSED * wanted / 60, f"{missed} of {wanted} drops were not blocked")
    shipped = sum(verdict(planted(dice, CATEGORIES, 256, 0.0)).verdict == SHIP for _trial in range(wanted))
    print(f"F6: {blocked} of {wanted} planted drops blocked; {shipped} of {wanted} honest challengers shipped", flush=True)
    for size in (20, 60, 120, 200, 255):
        small = verdict(planted(dice, CATEGORIES, size, 0.05))
        tally.check(PASS not in {one.state for one in small.slices} and {one.state for one in small.slices} == {NOT_EVALUABLE}, f"'pass' of {size} labels")


def bad_champions(_world: World, tally: Tally, wanted: int) -> None:
    """A bad champion or canary decides; audits show it, it is taken out of force by itself, and what it decided is what it was, to the byte."""
    with tempfile.TemporaryDirectory() as folder:
        start = small_world(Path(folder) / "start")
        for trial in range(wanted):
            began = time.monotonic()
            words = undone_within(60.0, bad_champion(start, Path(folder) / f"w{trial}", canary="share:0.3" if trial % 4 == 3 else "", seed=trial))
            tally.check(not words, f"trial {trial}: {words}")
            print(f"F8: trial {trial} {words if words else 'as it was'}, {time.monotonic() - began:.1f} s in all", flush=True)


def drifts(_world: World, tally: Tally, wanted: int) -> None:
    """Ten kinds in three sizes, and as many catalogs with ordinary churn only."""
    cases = [(kind, size) for size in range(3) for kind in KINDS][: wanted // 2]
    missed = [
        f"{kind} {SIZES[kind][size]}" for place, (kind, size) in enumerate(cases)
        if NAMES[kind] not in [alarm.name for alarm in find_drift(drifted(100 + place, kind, SIZES[kind][size]), RUNS)]
    ]  # fmt: skip
    false = [str(seed) for seed in range(wanted - len(cases)) if find_drift(drifted(seed), RUNS)]
    print(
        f"F9: {len(cases) - len(missed)} of {len(cases)} found (missed: {', '.join(missed) or 'none'}), {len(false)} false of {wanted - len(cases)}", flush=True
    )
    for place in range(len(cases)):
        tally.check(place >= len(missed) or len(missed) <= F9_MISSED * wanted / 60, f"missed {', '.join(missed)}")
    for place in range(wanted - len(cases)):
        tally.check(place >= len(false) or len(false) <= F9_FALSE, f"false in {', '.join(false)}")


CLASSES = {
    "F6": ("a drop of 5 points in 1 of 50 categories while the whole improves: at least 48 of 60 blocked; no 'pass' of a small slice", 60, one_category_worse),
    "F8": ("bad champions and canaries that got through: taken out of force within 60 s, decisions and pairs to the byte", 20, bad_champions),
    "F9": ("drift of 10 kinds in 3 sizes, and 30 catalogs without: at least 27 found, at most 1 false", 60, drifts),
}  # fmt: skip
