"""Shadows are compared and decide nothing; canaries decide for their scope only, and say so; both run with learned columns too."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gating import bad_champion, small_world, undone_within
from tried import challenger, content, decisions_of, home_of, put

from endcap import flow
from endcap.decide.explain import explain
from endcap.learn.shadow import offers_in
from endcap.learn.watch import may_return
from endcap.match import Model
from endcap.ops.home import Home
from endcap.problems import BadInput


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog of 400 offers, to be copied before it is changed."""
    return small_world(tmp_path_factory.mktemp("gate") / "start")


def copied(start: Path, tmp_path: Path) -> Home:
    import shutil

    return home_of(Path(shutil.copytree(start, tmp_path / "world")))


def figures_of(home: Home) -> dict[str, object]:
    with home.connect() as con:
        ((figures,),) = con.execute("SELECT figures_json FROM runs ORDER BY attempt_id DESC LIMIT 1").fetchall()
    return dict(json.loads(figures))


def test_a_canary_decides_for_its_scope_and_a_shadow_for_nothing(start: Path, tmp_path: Path) -> None:
    home = copied(start, tmp_path)
    champion, other = str(home.champion("match")), challenger(home, wrong=0.9, times=4)
    before = decisions_of(home, set())
    put(home, other, "shadow")
    assert home.champion("match") == champion
    assert flow.run(home.catalog)[0].changed is False, "a shadow alone is no reason to run"
    assert flow.plan(home.catalog)["words"] == "a run would change nothing"
    put(home, other, "canary", scope="feed:bazaar-one")
    assert f"the canary {other}" in flow.plan(home.catalog)["words"]
    (result,) = flow.run(home.catalog)
    assert flow.plan(home.catalog)["words"] == "a run would change nothing"
    assert result.changed and home.champion("match") == champion
    with home.connect() as con:
        tried = set(offers_in(con, "feed:bazaar-one").to_pylist())
        pairs = con.execute("SELECT left_id, right_id, model FROM pairs").fetchall()
        models = dict(con.execute("SELECT offer_id, model FROM decisions WHERE kind = 'product' AND decided_by = 'machine'").fetchall())
    assert all((model == other) == bool({left, right} & tried) for left, right, model in pairs), "pair.model says which"
    assert all((model == other) == (offer_id in tried) for offer_id, model in models.items())
    assert figures_of(home)["canary"] == {"model": other, "offers": len(tried), "scope": "feed:bazaar-one"}
    moved = {offer_id for (offer_id, kind), row in decisions_of(home, set()).items() if kind == "product" and row[1:3] != before[offer_id, kind][1:3]}
    assert moved, "it really decides"
    put(home, other, "stop")
    assert "the end of the canary" in flow.plan(home.catalog)["words"]
    flow.run(home.catalog)
    assert decisions_of(home, set()) == before, "where it ends, what was before holds again"


def test_a_shadow_is_compared_with_what_the_run_decides(start: Path, tmp_path: Path) -> None:
    home = copied(start, tmp_path)
    put(home, challenger(home, wrong=0.9, times=4), "shadow")
    put_all_anew(home)
    flow.run(home.catalog)
    shadow = figures_of(home)["shadow"]
    assert isinstance(shadow, dict) and shadow["offers"] > 0 and 0 < shadow["changed"] <= shadow["offers"]
    assert 0 < len(shadow["samples"]) <= 20 and {"champion", "challenger", "title"} <= shadow["samples"][0].keys()


def put_all_anew(home: Home) -> None:
    """Make the next run decide everything: a champion of the same trees under another name, beside which the shadow still runs."""
    model = Model.load(home.model_folder(str(home.champion("match"))))
    same = replace(model, settings={"seed": 99})
    same.save(home.model_folder(same.model_id))
    beside = home.on_trial("match")
    put(home, same.model_id, "promote")
    put(home, str(beside and beside["model_id"]), "shadow")


def test_scopes_are_read_and_nonsense_refused(start: Path) -> None:
    with home_of(start).connect() as con:
        every = set(offers_in(con, "*").to_pylist())
        few, more = (set(offers_in(con, f"share:{share}").to_pylist()) for share in (0.05, 0.5))
        assert few < more < every and abs(len(more) / len(every) - 0.5) < 0.15
        assert set(offers_in(con, "supplier:nobody").to_pylist()) == set()
        ((category,),) = con.execute("SELECT value FROM facts WHERE attribute = 'category' ORDER BY 1 LIMIT 1").fetchall()
        assert 0 < len(offers_in(con, f"category:{category}")) < len(every)
        for wrong in ("share:2", "share:x", "feed:", "nothing", "team:a", "*:a"):
            with pytest.raises(BadInput, match="there is no scope"):
                offers_in(con, wrong)


@pytest.mark.parametrize("canary", ["", pytest.param("share:0.4", marks=pytest.mark.nightly)])
def test_what_breaks_its_promise_is_taken_out_of_force_and_everything_is_as_before(start: Path, tmp_path: Path, canary: str) -> None:
    bad = bad_champion(start, tmp_path / "world", canary=canary)
    tried = bad.home.on_trial("match") or {"model_id": bad.home.champion("match")}
    assert undone_within(600.0, bad) == ""
    assert not may_return(bad.home, "match", str(tried["model_id"])), "endcap does not promote it again by itself"
    assert may_return(bad.home, "match", str(bad.home.champion("match")))
    assert flow.run(bad.home.catalog)[0].changed is False


@pytest.mark.nightly
def test_a_canary_with_learned_columns_decides(start: Path, tmp_path: Path) -> None:
    from endcap.match import fit_stacked
    from endcap.match.block import find_candidates
    from endcap.match.live import COMPARED
    from endcap.match.matching import candidate_pairs, first_features, read_catalog

    home = copied(start, tmp_path)
    base = Model.load(home.model_folder(str(home.champion("match"))))
    with home.connect() as con:
        offers = con.sql(f"SELECT {', '.join(COMPARED)} FROM offers ORDER BY offer_id").to_arrow_table()
    catalog = read_catalog(offers)
    rows = np.arange(catalog.index.size, dtype=np.int32)
    pairs = candidate_pairs(catalog, find_candidates(catalog.index, rows, 10), rows, 10)
    features = first_features(pairs, base)
    labelled = np.arange(pairs.size)
    stacked, _columns = fit_stacked(pairs, features, labelled, (base.score(features) > 0.5).astype(float), seed=7, base=base)
    stacked.save(home.model_folder(stacked.model_id))
    before = content(home)
    put(home, stacked.model_id, "canary", scope="share:0.3")
    flow.run(home.catalog)
    with home.connect() as con:
        rows_by = dict(con.execute("SELECT model, max(len(features)) FROM pairs GROUP BY model").fetchall())
        of_both = con.execute("SELECT left_id FROM pairs GROUP BY left_id HAVING count(DISTINCT model) = 2 ORDER BY left_id LIMIT 3").fetchall()
    assert rows_by == {base.model_id: len(base.names), stacked.model_id: len(stacked.names)}
    assert of_both, "some offers have pairs of both models"
    for one in (candidate for (offer_id,) in of_both for candidate in explain(home, offer_id)["candidates"]):
        odds = sum(bar["contribution"] for bar in one["bars"])
        assert 1 / (1 + np.exp(-odds)) == pytest.approx(one["score"], abs=1e-6), "each is explained by the model that scored it"
    put(home, stacked.model_id, "stop")
    flow.run(home.catalog)
    assert content(home) == before
