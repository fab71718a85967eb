"""Whose answers are held back judges nothing: no sign by which what was promoted goes back is seen from them, and no alarm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from drifting import RUNS, drifted

from endcap.learn.drift import find_drift
from endcap.learn.watch import find_breach
from endcap.metrics import _cases
from endcap.settings import Policy

Rows = dict[str, list[dict[str, Any]]]
HELD = [{"hold_id": 1, "person": "rog", "held": True}]
FREED = [*HELD, {"hold_id": 2, "person": "rog", "held": False}]


def promoted(kind: str, action: str, *models: dict[str, str]) -> Rows:
    """What a person put in force after run 1, and the models of each run."""
    return {
        "promotions": [{"promotion_id": 1, "kind": kind, "model_id": "m1", "previous": "m0", "action": action, "scope": "*", "actor": "tom"}],
        "snapshots": [{"snapshot_id": f"s{run}", "run": run, "manifest_json": json.dumps({"models": one})} for run, one in enumerate(models, start=1)],
    }


def linked(offer_id: str, model: str, run: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "offer_id": offer_id, "kind": "product", "action": "linked", "product_id": f"p-{offer_id}", "decided_by": "machine", "model": model, "run": run, **more,
    }  # fmt: skip


def lied_in_audits() -> Rows:
    """60 audits that rog answers wrongly, 40 that ben answers rightly."""
    said = [
        {"override_id": n + 1, "offer_id": f"a{n}", "counterpart_offer_id": "x", "action": "different" if n < 60 else "same", "reason_code": "audit",
         "actor": "rog" if n < 60 else "ben", "snapshot_id": "s2"} for n in range(100)
    ]  # fmt: skip
    return promoted("match", "promote", {"match": "m0"}, {"match": "m1"}) | {"decisions": [linked(f"a{n}", "m1") for n in range(100)], "overrides": said}


def took_back_a_canary() -> Rows:
    """20 of 40 decisions of a canary, taken back by rog, and none of 40 beside it."""
    canary = {"match": "m0", "canary": "m1 for *"}
    back = [linked(f"a{n}", "", 3, product_id="p9", decided_by="person", override_id=n + 1) for n in range(20)]
    said = [{"override_id": n + 1, "offer_id": f"a{n}", "action": "different", "actor": "rog", "snapshot_id": "s2"} for n in range(20)]
    decided = [linked(f"{side}{n}", model) for side, model in (("a", "m1"), ("b", "m0")) for n in range(40)]
    return promoted("match", "canary", {"match": "m0"}, canary, canary) | {"decisions": [*decided, *back], "overrides": said}


def corrected_categories() -> Rows:
    """20 of 40 new categories, corrected by rog, and none of 40 old ones."""
    category = {"kind": "category", "action": "accepted", "value": "c1", "decided_by": "machine"}
    decided = [one for n in range(40) for side, run in (("a", 2), ("b", 1)) for one in (
        linked(f"{side}{n}", "m0", 1), {**category, "offer_id": f"{side}{n}", "run": run})]  # fmt: skip
    said = [
        {"override_id": n + 1, "offer_id": f"a{n}", "product_id": f"p-a{n}", "field": "category", "action": "set", "said": "c1", "value": "c2", "actor": "rog",
         "snapshot_id": "s2"} for n in range(20)
    ]  # fmt: skip
    return promoted("infer", "promote", {"infer": "m0"}, {"infer": "m1"}) | {"decisions": decided, "overrides": said}


@pytest.mark.parametrize(("tables", "sign"), [(lied_in_audits, "audits"), (took_back_a_canary, "escapes"), (corrected_categories, "corrections")])
def test_what_was_promoted_does_not_go_back_by_answers_that_are_held_back(tables: Any, sign: str) -> None:
    for holds in ([], FREED):
        breach = find_breach(_cases.connection({**tables(), "reviewer_holds": holds}), Policy())
        assert breach is not None and (breach.sign, breach.artefact) == (sign, "m1")
    assert find_breach(_cases.connection({**tables(), "reviewer_holds": HELD}), Policy()) is None


def test_what_the_others_say_still_counts() -> None:
    tables = lied_in_audits()
    wrong = [{**one, "actor": "ben"} if one["override_id"] <= 25 else one for one in tables["overrides"]]
    breach = find_breach(_cases.connection({**tables, "overrides": wrong, "reviewer_holds": HELD}), Policy())
    assert breach is not None and (breach.figures["audits"], breach.figures["wrong"]) == (65, 25)


def test_no_alarm_is_raised_by_audits_that_are_held_back() -> None:
    con = drifted(3, "calibration", 0.2)
    assert [alarm.name for alarm in find_drift(con, RUNS)] == ["calibration"]
    con.execute("INSERT INTO reviewer_holds (hold_id, person, held) VALUES (1, 'kim', true)")
    assert find_drift(con, RUNS) == []
