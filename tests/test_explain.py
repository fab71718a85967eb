"""Explaining any two offers: bars that sum to the score shown, and the step at which a pair fell out."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from conftest import Demo, endcap
from fastapi.testclient import TestClient
from test_match import small_world

from endcap import settings, shelf
from endcap.cli.show_pair import lines_of
from endcap.decide.between import NEXT_STEPS, PairBar, PairExplanation, explain_between
from endcap.lake import Manifest
from endcap.match import Model, explain_pair, find_reach, fit_stacked, match_offers
from endcap.match.block import find_candidates
from endcap.match.explain import read_records
from endcap.match.matching import Matched, asked_rows, candidate_pairs, first_features, read_catalog
from endcap.match.stack import LEARNED, WORDS
from endcap.metrics import _cases
from endcap.ops.home import Home
from endcap.problems import BadInput
from endcap.review.override import answer
from endcap.review.queue import waiting
from endcap.serve.app import make_app
from endcap.serve.sample_catalog import SETTINGS, SampleGate, SampleHome
from endcap.settings import Matching

MATCHING = Matching(candidates=5, kept=3)


def log_odds(score: float) -> float:
    return math.log(score / (1 - score))


@pytest.fixture(scope="module")
def world() -> pa.Table:
    return small_world()


@pytest.fixture(scope="module")
def matched(world: pa.Table) -> Matched:
    return match_offers(world, world["offer_id"].combine_chunks(), matching=MATCHING, model=None, run=1)


@pytest.fixture(scope="module")
def stacked(world: pa.Table, matched: Matched) -> Model:
    """A model with learned columns, from labels of all candidate pairs of the world."""
    catalog = read_catalog(world)
    rows = asked_rows(catalog, world["offer_id"].combine_chunks())
    pairs = candidate_pairs(catalog, find_candidates(catalog.index, rows, 5), rows, 5)
    product = np.array([int(one.split(":")[1]) for one in catalog.offer_ids.to_pylist()])
    labels = (product[pairs.left] == product[pairs.right]).astype(float)
    features = first_features(pairs, matched.model)
    model, _columns = fit_stacked(pairs, features, np.arange(pairs.size), labels, seed=1, base=matched.model)
    return model


# --- the figures ----------------------------------------------------------------------------------------------------


def test_a_pair_looked_up_has_the_features_and_score_that_a_run_gave(world: pa.Table, matched: Matched) -> None:
    rows = matched.pairs.to_pylist()
    for row in rows[:: len(rows) // 12]:
        found = find_reach(world, (row["right_id"], row["left_id"]), matching=MATCHING, model=matched.model)
        np.testing.assert_array_equal(np.array(found.features, np.float32), np.array(row["features"], np.float32))
        assert found.score == row["score"] and found.conflict == row["conflict"] and found.found


def test_a_pair_nobody_compared_is_ranked_and_scored(world: pa.Table, matched: Matched) -> None:
    found = find_reach(world, ("feed0:3", "feed1:40"), matching=MATCHING, model=matched.model)
    assert not found.found and found.score < 0.1
    assert found.left.rank is None or found.left.rank > 5
    assert len(found.left.offers) == 5 and found.left.cut == found.left.offers[-1].similarity
    assert [near.similarity for near in found.right.offers] == sorted((near.similarity for near in found.right.offers), reverse=True)
    twin = find_reach(world, ("feed0:3", "feed1:3"), matching=MATCHING, model=matched.model)
    assert twin.found and twin.left.rank in (1, 2) and twin.shared[0].rarity == max(token.rarity for token in twin.shared)
    assert {token.form.casefold() for token in twin.shared} >= {"dexa", "kettle"}
    with pytest.raises(ValueError, match="two different live offers"):
        find_reach(world, ("feed0:3", "nobody:1"), matching=MATCHING, model=matched.model)


@pytest.mark.parametrize("other", ["feed1:3", "feed2:17", "feed0:4"], ids=["same product", "another product", "same feed"])
@pytest.mark.parametrize("kind", ["unsupervised", "stacked"])
def test_bars_sum_to_the_log_odds_of_the_score(world: pa.Table, matched: Matched, stacked: Model, kind: str, other: str) -> None:
    model = matched.model if kind == "unsupervised" else stacked
    rows = {row["offer_id"]: row for row in world.to_pylist()}
    found = find_reach(world, ("feed0:3", other), matching=MATCHING, model=model)
    left, right = sorted(("feed0:3", other))
    bars = explain_pair(rows[left], rows[right], model, found.features)
    assert sum(bar.contribution for bar in bars) == pytest.approx(log_odds(found.score), abs=1e-6)
    assert {bar.name for bar in bars} == {"prior", *model.names}


def test_learned_columns_speak_in_their_own_words(world: pa.Table, stacked: Model) -> None:
    rows = {row["offer_id"]: row for row in world.to_pylist()}
    found = find_reach(world, ("feed0:3", "feed1:3"), matching=MATCHING, model=stacked)
    bars = {bar.name: bar for bar in explain_pair(rows["feed0:3"], rows["feed1:3"], stacked, found.features)}
    for name in LEARNED:
        value = "nothing to go by" if math.isnan(bars[name].value) else f"{bars[name].value:.2f}"
        assert bars[name].words == f"{WORDS[name]}: {value}"


# --- the steps ------------------------------------------------------------------------------------------------------


class FakeHome(SampleHome):
    """A home of a few rows, for the steps that need no scorer."""

    def connect(self, snapshot_id: str | None = None) -> duckdb.DuckDBPyConnection:
        return _cases.connection(self.tables)

    def manifest(self, snapshot_id: str | None = None) -> Manifest:
        return Manifest(override_sequence=1)


def offer_row(offer_id: str, **more: Any) -> dict[str, Any]:
    feed = offer_id.split(":")[0]
    return {"offer_id": offer_id, "feed": feed, "supplier": feed, "title": f"title of {offer_id}", "price": "10.00", "currency": "EUR", **more}


def decided(offer_id: str, product_id: str | None, action: str = "linked", **more: Any) -> dict[str, Any]:
    shared = {"kind": "product", "decided_by": "machine", "reason": "likeness 0.90", "confidence": 0.9}
    return {"offer_id": offer_id, "action": action, "product_id": product_id, **shared, **more}


def paired(left_id: str, right_id: str, score: float, **more: Any) -> dict[str, Any]:
    return {"left_id": left_id, "right_id": right_id, "score": score, "model": "lost", **more}


ONE, TWO = offer_row("a:1"), offer_row("b:1")
APART = [decided("a:1", "P1"), decided("b:1", "P2")]
SAID = {
    "override_id": 1,
    "offer_id": "b:1",
    "product_id": "P1",
    "counterpart_offer_id": "a:1",
    "actor": "kim",
    "team": "t",
    "at": "2026-01-02",
    "identity_hash": 0,
}
STEPS: list[tuple[str, dict[str, Any], str]] = [
    ("linked", {"offers": [ONE, TWO], "decisions": [decided("a:1", "P1"), decided("b:1", "P1", counterpart_offer_id="a:1")],
                "pairs": [paired("a:1", "b:1", 0.9)]}, "linked to each other, likeness 0.90"),
    ("linked", {"offers": [ONE, TWO], "decisions": [decided("a:1", "P1"), decided("b:1", "P1")], "pairs": [paired("a:1", "b:1", 0.2)]},
     "held together by other offers"),
    ("unlike", {"offers": [ONE, TWO], "decisions": APART, "pairs": [paired("a:1", "b:1", 0.2)]}, "likeness 0.20"),
    ("doubtful", {"offers": [ONE, TWO], "decisions": APART, "pairs": [paired("a:1", "b:1", 0.5)]}, "likeness 0.50, below 0.85"),
    ("conflict", {"offers": [ONE, TWO], "decisions": APART, "pairs": [paired("a:1", "b:1", 0.9, conflict="pack 6 against 1")]}, "pack 6 against 1"),
    ("conflict", {"offers": [offer_row("a:1", gtin="04006381333931"), offer_row("b:1", gtin="04006381333948")], "decisions": APART,
                  "pairs": [paired("a:1", "b:1", 0.9)]}, "GTIN 04006381333931 against 04006381333948"),
    ("asked", {"offers": [ONE, TWO], "pairs": [paired("a:1", "b:1", 0.5)], "decisions": [
        decided("a:1", "P1"), decided("b:1", None, "to_review", proposed_product_id="P1", counterpart_offer_id="a:1", reason="likeness 0.50")]},
     "b:1 waits for a person: likeness 0.50"),
    ("waiting", {"offers": [ONE, TWO], "pairs": [paired("a:1", "b:1", 0.9)], "decisions": [
        decided("a:1", "P1"), decided("b:1", None, "to_review", proposed_product_id="P7", reason="renamed")]}, "b:1 waits for a person: renamed"),
    ("two_products", {"offers": [ONE, TWO], "decisions": APART, "pairs": [paired("a:1", "b:1", 0.9)]}, "both were settled in earlier runs"),
    ("person", {"offers": [ONE, TWO], "decisions": APART, "pairs": [paired("a:1", "b:1", 0.9)], "overrides": [{**SAID, "action": "different"}]},
     "kim said on 2026-01-02 that b:1 is not the same (answer 1)"),
    ("refused", {"offers": [ONE, TWO, offer_row("a:2")], "decisions": [*APART, decided("a:2", "P2")],
                 "pairs": [paired("a:1", "b:1", 0.9), paired("a:2", "b:1", 0.9)]}, "a already has another offer of this product"),
    ("refused", {"offers": [ONE, TWO, offer_row("c:1"), offer_row("d:1")], "decisions": [*APART, decided("c:1", "P1"), decided("d:1", "P2")],
                 "pairs": [paired("a:1", "b:1", 0.9), paired("a:1", "c:1", 0.9), paired("b:1", "d:1", 0.9)]}, "one pair alone would hold two groups"),
    ("same_feed", {"offers": [ONE, offer_row("a:2")], "decisions": [decided("a:1", "P1"), decided("a:2", "P2")], "pairs": [paired("a:1", "a:2", 0.9)]},
     "both are of a, and"),
    ("not_live", {"offers": [ONE, {**TWO, "gone": True, "run": 4}], "decisions": APART}, "b:1 is no longer delivered, since run 4"),
    ("no_scorer", {"offers": [ONE, TWO], "decisions": APART}, "no scorer yet"),
]  # fmt: skip


@pytest.mark.parametrize(("verdict", "tables", "words"), STEPS, ids=[f"{verdict}-{words[:24]}" for verdict, _tables, words in STEPS])
def test_each_step_at_which_a_pair_can_fall_out_is_named(verdict: str, tables: dict[str, Any], words: str) -> None:
    ids = [row["offer_id"] for row in tables["offers"]][:2]
    found = explain_between(FakeHome(tables), ids[1], ids[0])
    assert (found.verdict, found.left.offer_id) == (verdict, ids[0]) and words in found.words and found.todo == NEXT_STEPS[verdict]
    failed = [step.name for step in found.steps if step.passed is False]
    assert len(failed) == (0 if verdict == "linked" and "each other" in words else 1)
    passed = [step.passed for step in found.steps[:-1]]
    assert None not in passed[: passed.index(False) if False in passed else None], "nothing is skipped before the step that failed"
    said = " ".join(" ".join(lines_of(found)).split())
    assert "To do:" in said and (found.score is None or "its model lost is no longer there" in said)


def test_the_verdicts_have_no_word_too_many() -> None:
    tested = {verdict for verdict, _tables, _words in STEPS} | {"not_candidates", "not_kept"}
    assert tested == set(NEXT_STEPS)


def test_an_unknown_offer_and_one_alone_are_refused_in_words() -> None:
    home = FakeHome({"offers": [ONE], "quarantined": [{"delivery_id": "b@1", "feed": "b", "position": 3, "code": "no_title"}]})
    with pytest.raises(BadInput, match="1 records of b broke the contract"):
        explain_between(home, "a:1", "b:1")
    with pytest.raises(BadInput, match="compared with itself"):
        explain_between(home, "a:1", "a:1")


# --- a real catalog -------------------------------------------------------------------------------------------------


def some_pairs(home: Home) -> list[tuple[str, str]]:
    """Stored pairs of every kind of verdict, and pairs that no run compared."""
    with home.connect() as con:
        stored = con.execute("SELECT left_id, right_id FROM pairs ORDER BY md5(left_id || right_id) LIMIT 16").fetchall()
        offers = [row[0] for row in con.execute("SELECT offer_id FROM offers ORDER BY md5(offer_id) LIMIT 12").fetchall()]
    return [*stored, *zip(offers[::2], offers[1::2], strict=True)]


@pytest.mark.nightly
def test_every_explained_pair_of_a_catalog_sums_up(demo: Demo) -> None:
    home = Home(settings.read(demo.folder))
    seen = set()
    for one, other in some_pairs(home):
        found = explain_between(home, one, other)
        seen.add((found.verdict, found.stored))
        assert found.score is not None and found.log_odds is not None and found.words and found.todo
        assert sum(bar.contribution for bar in found.bars) == pytest.approx(log_odds(found.score), abs=1e-6)
        assert found.near or found.stored
    assert {("linked", True), ("unlike", True), ("not_candidates", False)} <= seen


def test_a_candidate_that_was_not_kept_says_so(demo: Demo) -> None:
    home = Home(settings.read(demo.folder))
    with home.connect() as con:
        offers = [row[0] for row in con.execute("SELECT offer_id FROM offers ORDER BY md5(offer_id) LIMIT 4").fetchall()]
        stored = set(con.execute("SELECT left_id, right_id FROM pairs").fetchall())
    near = [found for offer_id in offers for found in explain_between(home, *far_pair(offer_id, offers, stored)).near if found.of_offer_id == offer_id]
    one = next(found for found in near if tuple(sorted((found.of_offer_id, found.offer_id))) not in stored)
    found = explain_between(home, one.of_offer_id, one.offer_id)
    assert found.verdict in ("not_kept", "linked") and f"number {one.rank} of the nearest to {one.of_offer_id}" in found.steps[2].words
    assert found.score == pytest.approx(one.score, abs=1e-9)


def far_pair(offer_id: str, offers: list[str], stored: set[tuple[str, str]]) -> tuple[str, str]:
    """The offer with one it was never compared with."""
    return offer_id, next(other for other in offers if other != offer_id and tuple(sorted((offer_id, other))) not in stored)


def test_the_terminal_sums_on_the_screen_in_80_columns(demo: Demo) -> None:
    home = Home(settings.read(demo.folder))
    for place, (one, other) in enumerate(some_pairs(home)[::6]):
        found = explain_between(home, one, other)
        lines = lines_of(found)
        assert all(len(line) <= 80 for line in lines) and found.left.offer_id == lines[0]
        start = next(number for number, line in enumerate(lines) if "starts with" in line)
        numbers = [float(re.findall(r"[+-]\d+\.\d\d", line[38:50])[0]) for line in lines[start : start + 11]]
        assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=1e-9)
        assert numbers[-1] == pytest.approx(found.log_odds, abs=0.0051)
        if place == 0:
            assert endcap("explain", one, other, "--dir", demo.folder).stdout.splitlines() == lines


def test_what_a_supplier_writes_cannot_steer_the_terminal_or_flood_it() -> None:
    found = explain_between(FakeHome({"offers": [ONE, TWO], "decisions": APART, "pairs": [paired("a:1", "b:1", 0.2)]}), "a:1", "b:1")
    wild = replace(found.left, title="\x1b[2J" + "very long " * 2000)
    bars = [PairBar("prior", None, "start", -1.0), PairBar("brand", 1.0, "same brand 日本\x07" * 9, -0.386294)]
    lines = lines_of(with_bars(replace(found, left=wild), bars))
    assert len(lines) < 60 and all(line.isprintable() for line in lines)
    assert any("░" in line for line in lines)


def with_bars(found: PairExplanation, bars: list[PairBar]) -> PairExplanation:
    return replace(found, bars=bars, log_odds=sum(bar.contribution for bar in bars))


def test_the_api_says_the_same_as_the_terminal(demo: Demo) -> None:
    home = Home(settings.read(demo.folder))
    client = TestClient(make_app(home, SampleGate()), base_url="http://localhost")
    for one, other in some_pairs(home)[::16]:
        told = client.get("/api/v1/pairs", params={"left": other, "right": one})
        assert told.status_code == 200
        expected = endcap("explain", one, other, "--dir", demo.folder, "--json").json
        body = told.json()
        assert body.pop("snapshot") == demo.report["snapshot"] and expected.pop("kind") == "pair"
        assert body == expected


def test_the_api_refuses_in_its_one_shape() -> None:
    client = TestClient(make_app(SampleHome(), SampleGate()), base_url="http://localhost")
    for query, status in (({"left": "nord:1", "right": "none:1"}, 404), ({"left": "nord:1", "right": "nord:1"}, 422), ({"left": "nord:1"}, 422)):
        told = client.get("/api/v1/pairs", params=query)
        assert told.status_code == status and set(told.json()["error"]) == {"code", "message", "hint"}
    assert client.get("/api/v1/pairs", params={"left": "nord:1", "right": "sued:1"}).json()["verdict"] == "linked"
    assert SETTINGS.policy.accept == client.get("/api/v1/pairs", params={"left": "nord:1", "right": "sued:1"}).json()["accept"]


def test_a_persons_word_is_named_before_and_after_the_next_run(copy_of_demo: Path) -> None:
    home = Home(settings.read(copy_of_demo))
    with home.connect() as con:
        item = next(one for one in waiting(con, 0) if one.candidates and one.candidates[0].counterpart_offer_id)
    other = item.candidates[0].counterpart_offer_id
    assert other is not None and explain_between(home, item.offer_id, other).verdict == "asked"
    answer(home, item, "different", actor="kim")
    found = explain_between(home, item.offer_id, other)
    assert found.verdict == "person" and "kim said" in found.words and "the next run takes it in" in found.words
    assert endcap("run", "--dir", copy_of_demo).code == 0
    found = explain_between(home, item.offer_id, other)
    assert found.verdict == "person" and "kim said" in found.words and "next run" not in found.words
    assert asdict(found)["answers"] == found.answers


def test_words_name_the_code_and_know_offers_of_one_feed() -> None:
    one, other = read_records([{"title": "Bosch washing machine WAN28282 white", "feed": "a"}, {"title": "washing machine Bosch WAN28282", "feed": "a"}])
    told = {name: shelf.component("features", name).words(one, other, 1.0) for name in ("rarest_shared", "code_shared", "rank_worst", "margin_low")}
    assert told["rarest_shared"] == "both say WAN28282" and told["code_shared"] == "same code WAN28282"
    assert "of one feed" in told["rank_worst"] and told["margin_low"] == "no rival in sight"
