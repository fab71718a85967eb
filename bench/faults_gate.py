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
from endcap.learn.verdict import NOT_EVALUABLE, SHIP, verdict

CATEGORIES = 50


def one_category_worse(_world: World, tally: Tally, wanted: int) -> None:
    """A drop of 5 points in 1 of 50 categories of 256 to 600 labels while the whole improves; a failure is one that would ship."""
    dice = np.random.default_rng(7)
    for trial in range(wanted):
        found = verdict(planted(dice, CATEGORIES, (256, 300, 400, 600)[trial % 4], 0.05))
        tally.check(found.verdict != SHIP, f"trial {trial} would ship")
    shipped = sum(verdict(planted(dice, CATEGORIES, 256, 0.0)).verdict == SHIP for _trial in range(wanted))
    passes = [size for size in range(10, 256, 5) for one in verdict(planted(dice, CATEGORIES, size, 0.05)).slices if one.state != NOT_EVALUABLE]
    tally.check(not passes, f"slices of {passes} labels were judged")
    print(f"F6: {shipped} of {wanted} honest challengers shipped; {len(passes)} of 2,450 slices below 256 labels were judged", flush=True)


def bad_champions(_world: World, tally: Tally, wanted: int) -> None:
    """A bad champion or canary decides; audits show it, it is taken out of force by itself, and what it decided is what it was, to the byte."""
    with tempfile.TemporaryDirectory() as folder:
        start = small_world(Path(folder) / "start")
        for trial in range(wanted):
            began = time.monotonic()
            words = undone_within(60.0, bad_champion(start, Path(folder) / f"w{trial}", canary="share:0.3" if trial % 4 == 3 else "", seed=trial))
            tally.check(not words, f"trial {trial}: {words}")
            print(f"F8: trial {trial} {words or 'as it was'}, {time.monotonic() - began:.1f} s in all", flush=True)


def drifts(_world: World, tally: Tally, wanted: int) -> None:
    """Ten kinds in three sizes, and as many catalogs with ordinary churn only; a failure is one that is missed, or a false alarm."""
    cases = [(kind, size) for size in range(3) for kind in KINDS][: wanted // 2]
    for place, (kind, size) in enumerate(cases):
        found = find_drift(drifted(100 + place, kind, SIZES[kind][size]), RUNS)
        tally.check(NAMES[kind] in [alarm.name for alarm in found], f"{kind} of size {SIZES[kind][size]} was missed")
    print(f"F9: {len(cases) - tally.failed} of {len(cases)} found", flush=True)
    missed = tally.failed
    for seed in range(wanted - len(cases)):
        found = find_drift(drifted(seed), RUNS)
        tally.check(not found, f"false alarm of seed {seed}: {[alarm.sentence for alarm in found]}")
    print(f"F9: {tally.failed - missed} false alarms in {wanted - len(cases)} catalogs", flush=True)


CLASSES = {
    "F6": ("a drop of 5 points in 1 of 50 categories while the whole improves: at least 48 of 60 blocked; no 'pass' of a small slice", 60, one_category_worse),
    "F8": ("bad champions and canaries that got through: taken out of force within 60 s, decisions and pairs to the byte", 20, bad_champions),
    "F9": ("drift of 10 kinds in 3 sizes, and 30 catalogs without: at least 27 found, at most 1 false", 60, drifts),
}  # fmt: skip
