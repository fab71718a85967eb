"""Governing: the parts of a change sum to it exactly, a planted cause comes out first, digests say what they lack."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.govern import digest, triage
from endcap.govern.digests import RITUALS
from endcap.govern.triages import FACTORS, contributions
from endcap.metrics import _cases
from endcap.metrics.automated_success import VERSION
from endcap.problems import BadInput

funnels = st.lists(st.integers(0, 500), min_size=5, max_size=5).map(lambda counts: tuple(sorted(counts, reverse=True)))
sides = st.dictionaries(st.sampled_from(["a", "b", "c"]), funnels, min_size=1).filter(lambda side: sum(counts[0] for counts in side.values()) > 0)


@settings(max_examples=150, deadline=None)
@given(sides, sides)
def test_contributions_sum_to_the_change(before: dict[str, tuple[int, ...]], after: dict[str, tuple[int, ...]]) -> None:
    parts = contributions(before, after)
    rates = [sum(counts[-1] for counts in side.values()) / sum(counts[0] for counts in side.values()) for side in (before, after)]
    assert sum(parts.values()) == pytest.approx(100 * (rates[1] - rates[0]), abs=1e-6)
    assert {factor for _supplier, factor in parts} == set(FACTORS)


@given(sides)
def test_no_change_has_no_contribution(side: dict[str, tuple[int, ...]]) -> None:
    assert all(abs(points) < 1e-9 for points in contributions(side, side).values())


def test_only_the_step_that_moved_contributes() -> None:
    parts = contributions({"a": (100, 100, 80, 60, 40), "b": (100, 90, 80, 70, 60)}, {"a": (100, 100, 80, 30, 20), "b": (100, 90, 80, 70, 60)})
    assert parts["a", "scored"] == pytest.approx(-10) and sum(abs(points) for points in parts.values()) == pytest.approx(10)


def _world(offers: int, lost: int) -> dict[str, Any]:
    """Two suppliers sell the same things; in run 2 supplier b stops stating its part number and `lost` offers match no more."""

    def decision(feed: str, number: int, run: int, alone: bool = False) -> dict[str, Any]:
        product_id = f"p{number}" + ("x" if alone else "")
        return {"offer_id": f"{feed}:{number:04}", "kind": "product", "action": "new_product" if alone else "linked", "product_id": product_id, "run": run}

    def offer(feed: str, number: int, mpn: str | None, run: int) -> dict[str, Any]:
        return {"offer_id": f"{feed}:{number:04}", "feed": feed, "supplier": feed, "mpn": mpn, "run": run}

    numbers = range(offers)
    return {
        "deliveries": [
            {"delivery_id": f"{feed}@{run}", "feed": feed, "supplier": feed, "date": str(run), "state": "accepted", "run": run}
            for feed in "ab"
            for run in (1, 2)
        ],
        "offers": [offer(feed, number, "M1", 1) for feed in "ab" for number in numbers] + [offer("b", number, None, 2) for number in numbers],
        "decisions": [decision(feed, number, 1) for feed in "ab" for number in numbers] + [decision("b", number, 2, alone=True) for number in range(lost)],
    }


def test_a_planted_loss_comes_out_first_with_cause_action_and_examples() -> None:
    found = triage(_cases.connection(_world(150, 60)))
    assert (found.n_before, found.n_after, found.rate_before) == (300, 300, 1.0)
    assert found.rate_after == pytest.approx(1 - 120 / 300)
    assert sum(found.contributions.values()) == pytest.approx(100 * (found.rate_after - 1))
    first = next(cause for cause in found.causes if cause.supplier == "b")
    assert first.points < 0 and first.cause == "feed_data" and "mpn is stated by 0 % of its offers after 100 %" in first.action
    assert first.example_offer_ids[0] == "b:0000" and len(first.example_offer_ids) == 10
    assert "Match rate of everything: 100.0 % after run 1 (n = 300), 60.0 % after run 2 (n = 300): -40.0 points." in found.summary()
    assert json.loads(json.dumps(found.to_dict()))["causes"][0]["supplier"] in ("a", "b")


def test_a_scope_may_be_a_supplier() -> None:
    found = triage(_cases.connection(_world(250, 25)), "b")
    assert (found.n_before, {supplier for supplier, _factor in found.contributions}) == (250, {"b"})


def test_an_unknown_scope_is_one_clear_sentence() -> None:
    with pytest.raises(BadInput, match="no delivered record belongs to 'nobody'"):
        triage(_cases.connection(_world(3, 1)), "nobody")


@pytest.mark.parametrize(("tables", "words"), [({}, "it needs two runs"), (_world(20, 2), "fewer than 200 delivered records in a run")])
def test_too_little_is_said_and_no_percentage_shown(tables: dict[str, Any], words: str) -> None:
    found = triage(_cases.connection(tables))
    assert found.rate_after is None and found.causes == ()
    assert "not enough data (n = " in found.summary() and words in found.summary() and "%" not in found.summary()


@pytest.mark.parametrize("ritual", sorted(RITUALS))
def test_digests_of_an_empty_catalog_say_so(ritual: str) -> None:
    text = digest(_cases.connection({}), ritual).summary()
    assert "No snapshot yet." in text and text == digest(_cases.connection({}), ritual).summary()


def test_the_handoff_tells_the_published_difference() -> None:
    published = {"products": 1200, "redirects": 3, "files": {"products.parquet": "ab" * 32},
                 "diff": {"added": 5, "removed": 1, "changed": 7, "merged": 3, "unchanged": 1188, "changed_columns": {"title": 7}}}  # fmt: skip
    snapshot = {
        "snapshot_id": "s2",
        "parent": "s1",
        "run": 2,
        "content_hash": "c" * 64,
        "published_json": json.dumps(published),
        "created_at": "t",
        "current": True,
    }
    text = digest(_cases.connection({"snapshots": [snapshot]}), "handoff").markdown
    assert "Products: 1,200; against the parent: 5 added, 1 removed, 7 changed, 3 merged, 1,188 unchanged" in text
    assert "Redirected ids: 3" in text and "none was received yet" in text


def test_the_sync_compares_with_the_run_before_and_asks_for_decisions() -> None:
    world = _world(150, 0)
    before = {"metrics": [{"name": "automated_success.automation", "version": VERSION, "value": 0.5}]}
    runs = [{"run": 1, "state": "done", "figures_json": json.dumps(before)}, {"run": 2, "state": "done", "figures_json": "{}"}]
    proposals = [{"proposal_id": 4, "state": "proposed", "owner": "ml", "hypothesis": "We believe that x will y"}]
    decisions = [{**row, "decided_by": "machine"} for row in world["decisions"]]
    text = digest(_cases.connection({**world, "decisions": decisions, "runs": runs, "proposals": proposals}), "catalog-sync").markdown
    assert "- Automation rate: 100.0 % (98.7 to 100.0, n = 300), +50.0 points" in text
    assert "- Proposal 4 of ml: We believe that x will y" in text


def test_answers_are_told_with_what_was_done_and_undone_ones_left_out() -> None:
    overrides = [
        {"override_id": 1, "offer_id": "a:1", "action": "same", "actor": "eva"}, {"override_id": 2, "offer_id": "a:2", "action": "new", "actor": "eva"},
        {"override_id": 3, "offer_id": "a:3", "action": "new", "actor": "tom"},
        {"override_id": 4, "offer_id": "a:3", "action": "undo", "undoes": 3, "actor": "tom"},
    ]  # fmt: skip
    offers = [{"offer_id": "a:1", "title": "<b>Mug</b> | [x](y)"}]
    decisions = [{"offer_id": "a:1", "kind": "product", "override_id": 1}]
    text = digest(_cases.connection({"overrides": overrides, "offers": offers, "decisions": decisions}), "retail").markdown
    assert "| eva | same | &lt;b>Mug&lt;/b> \\| \\[x](y) | in this snapshot |" in text
    assert "| eva | new | a:2 | waits for the next run |" in text and "tom" not in text


def test_an_unknown_ritual_is_one_clear_sentence() -> None:
    with pytest.raises(BadInput, match="there is no digest 'weekly'"):
        digest(_cases.connection({}), "weekly")
