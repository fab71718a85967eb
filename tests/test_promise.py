"""A promise of precision: proved by audited answers, or said to be missing so many of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb
import numpy as np
import pytest
from conftest import endcap
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta
from test_evaluate import data, folder  # noqa: F401  the small folder is a fixture

from endcap import settings as catalog_settings
from endcap.decide.policy import Edge, judge
from endcap.decide.promise import Promise, answers_needed, lower_bound, solve
from endcap.decide.promised import NEVER, Thresholds, thresholds
from endcap.learn.evaluate.promise import evaluate_promise
from endcap.learn.labels import labels_now, taught
from endcap.ops.home import Home
from endcap.problems import BadInput
from endcap.review.audit import answer_audit, draw
from endcap.settings import Policy


@pytest.mark.parametrize(("precision", "needed"), [(0.95, 45), (0.97, 76), (0.99, 230)])
def test_answers_needed_without_an_error(precision: float, needed: int) -> None:
    assert answers_needed(0, precision, 0.9) == needed
    assert answers_needed(1, precision, 0.9) > 1.5 * needed


@given(st.integers(1, 400), st.data(), st.sampled_from([0.8, 0.9, 0.95]))
@settings(max_examples=150, deadline=None)
def test_the_bound_is_that_of_clopper_and_pearson(answers: int, drawn: st.DataObject, confidence: float) -> None:
    right = drawn.draw(st.integers(0, answers))
    exact = beta.ppf(1 - confidence, right, answers - right + 1) if right else 0.0
    assert lower_bound(right, answers, confidence) == pytest.approx(exact, abs=1e-6)
    if right < answers:
        assert lower_bound(right + 1, answers, confidence) > lower_bound(right, answers, confidence)


def test_a_promise_is_kept_as_often_as_it_says() -> None:
    """2,000 audits of a world whose precision above each threshold is known."""
    random = np.random.default_rng(3)
    broken = made = 0
    for _audit in range(2000):
        scores = random.random(300)
        right = random.random(300) < 0.9 + 0.1 * scores
        promise = solve(scores, right, precision=0.95, confidence=0.9)
        if promise.threshold is not None:
            made += 1
            broken += 0.9 + 0.1 * (promise.threshold + 1) / 2 < 0.95
    assert made > 100
    assert broken <= 0.1 * 2000 * 1.2


def test_too_few_answers_say_how_many_are_missing() -> None:
    promise = solve(np.full(30, 0.95), np.ones(30, dtype=bool), precision=0.97, confidence=0.9)
    assert promise.threshold is None and promise.missing == 46
    assert "46 more right answers needed" in promise.words
    assert solve(np.array([]), np.array([]), precision=0.97, confidence=0.9).missing == 76
    with pytest.raises(ValueError):
        solve(np.array([]), np.array([]), precision=1.0, confidence=0.9)


def edge(score: float) -> Edge:
    return Edge("a:1", "b:1", score, None, False, None)


def promise(threshold: float | None) -> Promise:
    return Promise(0.97, 0.9, threshold, 100, 100, 0.98, 0 if threshold else 40)


def test_the_stricter_scope_of_two_offers_counts() -> None:
    promises: Mapping[str, Promise] = {"everything": promise(0.7), "shoes": promise(0.9), "toys": promise(None)}
    assert Thresholds(0.85).of(edge(0.9)) == (0.85, None)
    assert Thresholds(0.85, promises).of(edge(0.9)) == (0.7, None)
    assert Thresholds(0.85, promises, {"b:1": "shoes"}).of(edge(0.9)) == (0.9, None)
    threshold, why = Thresholds(0.85, promises, {"a:1": "toys", "b:1": "shoes"}).of(edge(0.9))
    assert threshold == NEVER and why is not None and "40 more" in why
    assert judge(edge(0.99), Policy(), threshold, why).code == "no_promise"
    assert judge(edge(0.75), Policy(), 0.7, None).does == "link"


def catalog_with(audits: list[tuple[int, bool]], feeds: dict[str, int]) -> duckdb.DuckDBPyConnection:
    """Tables of feeds that came in these runs, with audits of links of the first two: (run of its snapshot, whether it was right)."""
    con = duckdb.connect()
    con.execute("""
        CREATE TABLE offers (offer_id VARCHAR, supplier VARCHAR, feed VARCHAR); CREATE TABLE facts (offer_id VARCHAR, attribute VARCHAR, value VARCHAR);
        CREATE TABLE pairs (left_id VARCHAR, right_id VARCHAR, score DOUBLE, conflict VARCHAR); CREATE TABLE blind_asks (key VARCHAR, decided VARCHAR);
        CREATE TABLE deliveries_log (feed VARCHAR, run BIGINT, state VARCHAR); CREATE TABLE reviewer_holds (hold_id BIGINT, person VARCHAR, held BOOLEAN);
        CREATE TABLE overrides (override_id BIGINT, offer_id VARCHAR, counterpart_offer_id VARCHAR, action VARCHAR, reason_code VARCHAR, undoes BIGINT,
                                actor VARCHAR, key VARCHAR, snapshot_id VARCHAR)
    """)
    for feed, run in feeds.items():
        con.execute("INSERT INTO deliveries_log VALUES ($feed, $run, 'accepted'), ($feed, $run + 9, 'accepted')", {"feed": feed, "run": run})
    for number, (run, right) in enumerate(audits):
        said = ["same" if right else "different", f"s{run:04d}-abc"]
        con.execute("INSERT INTO overrides VALUES (?, ?, ?, ?, 'audit', NULL, 'ann', NULL, ?)", [number + 1, f"b:{number}", f"a:{number}", *said])
        con.execute("INSERT INTO pairs VALUES (?, ?, .95, NULL)", [f"a:{number}", f"b:{number}"])
    return con


def test_what_was_audited_before_a_feed_came_promises_nothing_for_it() -> None:
    """Audits are a sample of what there was: of later feeds only those since then are, of all feeds together."""
    policy = Policy.model_validate({"promise": {"precision": 0.9, "confidence": 0.9}})
    feeds = {"a": 1, "b": 1, "c": 4, "d": 4}
    before = [(2, True)] * 40
    found = thresholds(catalog_with(before, feeds), policy)
    assert found.of(Edge("a:1", "b:1", 0.95, None, False, None)) == (0.5, None)
    for newcomer in (Edge("a:1", "c:1", 0.95, None, False, None), Edge("c:1", "d:1", 0.95, None, False, None)):
        threshold, why = found.of(newcomer)
        assert threshold == NEVER and why is not None and "22 more right answers needed" in why
    assert "cannot be promised yet: 22 more" in found.promises["everything, for c, d, which came later"].words
    since = thresholds(catalog_with([*before, *[(4, True)] * 21], feeds), policy)
    assert since.of(Edge("a:1", "c:1", 0.95, None, False, None))[0] == NEVER
    enough = thresholds(catalog_with([*before, *[(4, True)] * 22], feeds), policy)
    assert enough.of(Edge("c:1", "d:1", 0.95, None, False, None)) == (0.5, None)
    assert len({one.key for one in (found, since, enough)}) == 2, "a run decides anew where it may link what it might not"
    assert set(thresholds(catalog_with([], feeds), policy).promises) == {"everything"}
    assert set(thresholds(catalog_with([(4, True)] * 40, feeds), policy).promises) == {"everything"}, "nothing was audited before they came"


def test_audits_lead_from_no_promise_to_one(copy_of_demo: Path) -> None:
    """With a promise asked for, nothing is linked by machine until audits prove it; audits bind, and teach no model."""
    file = copy_of_demo / "endcap.yaml"
    file.write_text(file.read_text() + "\npolicy:\n  promise: {precision: 0.9, confidence: 0.9}\n")
    said = endcap("promise", "--dir", copy_of_demo).stdout
    assert "22 more right answers needed" in said
    home = Home(catalog_settings.read(copy_of_demo))
    with home.connect() as con:
        items = draw(con, 60, seed=7)
        assert [item.offer.offer_id for item in items] == [item.offer.offer_id for item in draw(con, 60, seed=7)]
        truth = f"read_csv('{copy_of_demo}/truth/offers.csv', header = true, all_varchar = true)"
        product_of = dict(con.execute(f"SELECT offer_id, product FROM {truth}").fetchall())
    for item in items:
        answer_audit(home, item, same=product_of[item.offer.offer_id] == product_of[item.counterpart.offer_id], actor="test")
    with home.connect() as con:
        labels = labels_now(con, 1)
        assert set(labels["source"].to_pylist()) == {"audit"} and set(labels["weight"].to_pylist()) == {0.0} and taught(labels).num_rows == 0
        assert not {item.offer.offer_id for item in draw(con, 60, seed=7)} & {item.offer.offer_id for item in items}
    ran = endcap("run", "--dir", copy_of_demo, "--json").json["runs"][0]
    assert any("is promised from likeness" in notice for notice in ran["notices"])
    again = endcap("run", "--dir", copy_of_demo, "--json").json["runs"][0]
    assert again["changed"] is False


def test_the_small_folder_keeps_its_promise(folder: Path) -> None:  # noqa: F811
    found = evaluate_promise(folder, precision=0.8, splits=3)
    assert found["broken"] == 0 and found["splits"] == 3
    assert evaluate_promise(folder, precision=0.99, splits=2)["abstained"] == 2
    with pytest.raises(BadInput, match="precision"):
        evaluate_promise(folder, precision=1.5)


@pytest.mark.nightly
def test_the_promise_is_kept_on_real_pairs() -> None:
    found = evaluate_promise(data("abt-buy"), splits=5)
    assert found["broken"] <= 1 and found["coverage"] >= 0.85
