"""Drift: planted changes of ten kinds are found and named, ordinary churn is not; the demo's own incident among them."""

from __future__ import annotations

import pytest
from drifting import KINDS, NAMES, RUNS, SIZES, drifted

from endcap.learn.drift import find_drift


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_drift_is_found_and_its_cause_named(kind: str) -> None:
    found = find_drift(drifted(3, kind, SIZES[kind][2]), RUNS)
    assert NAMES[kind] in [alarm.name for alarm in found], [alarm.sentence for alarm in found]
    (alarm,) = (alarm for alarm in found if alarm.name == NAMES[kind])
    assert alarm.scope == ("everything" if kind in ("calibration", "disagreement") else "feed f0")
    assert alarm.cause == {"likeness": "scoring", "new_products": "scoring", "calibration": "scoring", "disagreement": "human_error"}.get(kind, "feed_data")


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(1, 4))])
def test_ordinary_churn_raises_nothing(seed: int) -> None:
    assert [alarm.sentence for alarm in find_drift(drifted(seed), RUNS)] == []
