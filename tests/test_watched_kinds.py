"""A policy and what is known of categories are watched like a model: what breaks its promise goes back by itself, and only that."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from tried import content, home_of

from endcap import flow
from endcap.decide import in_force
from endcap.govern.postmortems import all_postmortems
from endcap.infer.known import Known
from endcap.learn.watch import check, find_breach
from endcap.metrics import _cases
from endcap.ops.database import now
from endcap.ops.home import Home
from endcap.ops.tables import OVERRIDES, PROMOTIONS
from endcap.settings import Policy


def promoted(home: Home, kind: str, artefact: str) -> None:
    """A row of the record of promotions, as the gate writes it."""
    row = {"kind": kind, "model_id": artefact, "previous": home.manifest().models.get(kind), "action": "promote", "actor": "tester", "reason": "a test"}
    with home.engine.begin() as connection:
        connection.execute(insert(PROMOTIONS).values(**row, data_version="", at=now()))


def taken_in(home: Home) -> list[str]:
    """Run; out: what it said loudly."""
    said: list[str] = []
    flow.run(home_of(home.catalog.root).catalog, say=said.append)
    return [line for line in said if "taken out of force" in line]


def test_a_policy_under_which_the_match_rate_collapses_goes_back_and_the_model_stays(copy_of_demo: Path) -> None:
    home = home_of(copy_of_demo)
    before, champion = content(home), home.champion("match")
    promoted(home, "policy", in_force.store(home, "policy", {"accept": 0.9999, "review": 0.9998}))
    (said,) = taken_in(home)
    assert "the policy" in said and "match rate" in said
    home = home_of(copy_of_demo)
    assert content(home) == before and home.champion("match") == champion and "policy" not in home.manifest().models
    assert [row["cause"] for row in all_postmortems(home)] == ["guard_rail"] and check(home) is None and taken_in(home) == []


@pytest.mark.nightly
def test_knowledge_that_people_correct_goes_back(copy_of_demo: Path) -> None:
    """Through whole runs; by day a policy goes back so, and tests/test_held_back.py finds the same sign in tables."""
    home = home_of(copy_of_demo)
    known = Known.load(home.model_folder(home.manifest().models["infer"]))
    paths, meanings = [category.path for category in known.categories.house], dict(known.categories.meanings or {})
    # One supplier's paths all mean the category beside the right one.
    feed = max({key[0] for key in meanings}, key=lambda name: sum(key[0] == name for key in meanings))
    moved = {key: (((found[0][0] + 1) % len(paths), 0.99),) for key, found in meanings.items() if key[0] == feed and found}
    taught = replace(known, categories=replace(known.categories, meanings={**meanings, **moved}))
    taught.save(home.model_folder(taught.known_id))
    before, champion = content(home), home.champion("match")
    promoted(home, "infer", taught.known_id)
    assert taken_in(home) == [] and check(home_of(copy_of_demo)) is None, "nobody has said anything yet"
    home = home_of(copy_of_demo)
    with home.connect() as con:
        changed = con.execute("""
            SELECT d.product_id, min(d.offer_id), any_value(c.value) FROM decisions c JOIN decisions d ON d.offer_id = c.offer_id AND d.kind = 'product'
            WHERE c.kind = 'category' AND c.run = (SELECT max(run) FROM decisions_log) AND d.product_id IS NOT NULL GROUP BY 1 ORDER BY 1 LIMIT 12
        """).fetchall()  # fmt: skip
    common = {"action": "set", "actor": "ann", "team": "", "reason_code": "", "note": "", "identity_hash": 0, "at": now(), "field": "category"}
    snapshot = str((home.snapshot() or {})["snapshot_id"])
    rows = [common | {"offer_id": offer, "product_id": product, "said": said, "value": next(one for one in paths if one != said), "snapshot_id": snapshot}
            for product, offer, said in changed]  # fmt: skip
    with home.engine.begin() as connection:
        connection.execute(insert(OVERRIDES), rows)
    found = check(home)
    assert found is not None and (found.kind, found.sign, found.figures["corrected"]) == ("infer", "corrections", 12)
    (said,) = taken_in(home)
    assert "people corrected 12 of" in said
    home = home_of(copy_of_demo)
    assert home.champion("match") == champion and home.champion("infer") == known.known_id == home.manifest().models["infer"]
    assert content(home)["facts"] == before["facts"] and check(home) is None


# --- whose fall it is -----------------------------------------------------------------------------------------------

OLD, NEW = {"match": "m0", "infer": "k", "policy_id": "P"}, {"match": "m1", "infer": "k", "policy_id": "P"}


def fallen(*models: dict[str, str], apart: int, changed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Two feeds that sell the same, linked in run 1; m1 is promoted for run 2, and from run `apart` on nothing is linked.

    Run `changed` takes in one feed with other words.
    """
    offers = [{"offer_id": f"{feed}{n}", "identity_hash": 1, "run": 1} for feed in "ab" for n in range(150)]
    decisions = [
        {"offer_id": one["offer_id"], "kind": "product", "action": "new_product" if run >= apart and one["offer_id"][0] == "b" else "linked",
         "product_id": one["offer_id"] if run >= apart else "p" + str(one["offer_id"])[1:], "decided_by": "machine", "model": told["match"],
         "policy": told["policy_id"], "run": run}
        for run, told in enumerate(models, start=1) for one in offers
    ]  # fmt: skip
    return {
        "promotions": [{"promotion_id": 1, "kind": "match", "model_id": "m1", "previous": "m0", "action": "promote", "scope": "*", "actor": "tom"}],
        "snapshots": [{"snapshot_id": f"s{run}", "run": run, "manifest_json": json.dumps({"models": told})} for run, told in enumerate(models, start=1)],
        "offers": [*offers, *({**one, "identity_hash": 2, "run": changed} for one in offers if changed and str(one["offer_id"])[0] == "b")],
        "decisions": decisions,
    }


def sign(tables: dict[str, list[dict[str, Any]]]) -> str:
    breach = find_breach(_cases.connection(tables), Policy())
    return f"{breach.artefact} {breach.sign}" if breach else ""


@pytest.mark.parametrize("models", [(OLD, NEW), (OLD, NEW, NEW), (OLD, NEW, {**NEW, "policy_id": "Q"}), (OLD, {**NEW, "shadow": "m2 for *"})])
def test_a_fall_with_the_first_run_is_the_artefacts(models: tuple[dict[str, str], ...]) -> None:
    assert sign(fallen(*models, apart=2)) == "m1 collapse"


@pytest.mark.parametrize(
    ("models", "apart", "changed"),
    [((OLD, NEW, {**NEW, "policy_id": "Q"}), 3, 0), ((OLD, NEW, {**NEW, "infer": "l"}), 3, 0), ((OLD, NEW, NEW), 3, 3), ((OLD, NEW, NEW), 3, 0),
     ((OLD, {**NEW, "policy_id": "Q"}), 2, 0), ((OLD, {**NEW, "infer": "l"}), 2, 0), ((OLD, {**NEW, "switches": "*"}), 2, 0), ((OLD, NEW), 2, 2)],
    ids=["settings later", "dictionary later", "delivery later", "later", "settings with it", "dictionary with it", "switched off with it", "delivery with it"],
)  # fmt: skip
def test_a_fall_that_something_else_may_have_brought_takes_nothing_out_of_force(models: tuple[dict[str, str], ...], apart: int, changed: int) -> None:
    assert sign(fallen(*models, apart=apart, changed=changed)) == ""


@pytest.mark.parametrize(("decided_in", "found"), [(2, "m1 audits"), (3, "")])
def test_wrong_decisions_under_a_later_policy_of_the_file_are_not_the_models(decided_in: int, found: str) -> None:
    tables = fallen(OLD, NEW, {**NEW, "policy_id": "Q"}, apart=9)
    said = {"counterpart_offer_id": "x", "action": "different", "reason_code": "audit", "actor": "ben", "snapshot_id": f"s{decided_in}"}
    assert sign(tables | {"overrides": [{**said, "override_id": n + 1, "offer_id": f"a{n}"} for n in range(40)]}) == found


@pytest.mark.parametrize(
    ("models", "lost", "changed", "found"),
    [((OLD, {**OLD, "infer": "l"}), 2, 0, "l lost_categories"), ((OLD, {**OLD, "infer": "l"}, {**OLD, "infer": "l"}), 3, 0, ""),
     ((OLD, {**OLD, "infer": "l"}), 2, 2, ""), ((OLD, {**OLD, "infer": "l", "taxonomy": "t"}), 2, 0, "")],
    ids=["its own", "later", "delivery with it", "taxonomy with it"],
)  # fmt: skip
def test_categories_lost_with_the_first_run_are_the_knowledges(models: tuple[dict[str, str], ...], lost: int, changed: int, found: str) -> None:
    tables = fallen(*models, apart=9, changed=changed)
    promotion = {"promotion_id": 1, "kind": "infer", "model_id": "l", "previous": "k", "action": "promote", "scope": "*", "actor": "tom"}
    decided = [
        {"offer_id": f"{feed}{n}", "kind": "category", "decided_by": "machine", "run": run,
         "action": "to_review" if run >= lost and feed == "b" else "accepted"}
        for run, _told in enumerate(models, start=1) for feed in "ab" for n in range(150)
    ]  # fmt: skip
    assert sign(tables | {"promotions": [promotion], "decisions": decided}) == found
