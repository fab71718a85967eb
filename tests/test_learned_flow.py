"""Models with learned columns in production, and champions whose files are damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import endcap

from endcap import settings
from endcap.learn import train as training
from endcap.match import Model
from endcap.ops.home import Home
from endcap.review.override import answer
from endcap.review.queue import waiting


def answered(folder: Path, count: int) -> Home:
    """The catalog's home with `count` questions answered by the truth."""
    home = Home(settings.read(folder))
    with home.connect() as con:
        truth = dict(con.execute(f"SELECT offer_id, product FROM read_csv('{folder}/truth/offers.csv', header = true, all_varchar = true)").fetchall())
        items = [item for item in waiting(con, 0) if item.candidates and item.candidates[0].counterpart_offer_id]
    for item in items[:count]:
        right = truth[item.offer_id] == truth[str(item.candidates[0].counterpart_offer_id)]
        answer(home, item, "same" if right else "different", actor="tester")
    return home


@pytest.mark.nightly
def test_many_answers_teach_columns_that_decide_in_production(copy_of_demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = answered(copy_of_demo, 60)
    monkeypatch.setattr(training, "STACK_LABELS", 30)
    with home.writer():
        result = training.train(home, seed=7)
        assert training.train(home, seed=7).model_id == result.model_id
    stack = Model.load(home.model_folder(result.model_id)).stack
    assert stack is not None and 30 < stack.memory.keys.size < 130, "only answered pairs are remembered"
    assert endcap("promote", result.model_id, "--reason", "test", "--break-glass", "--dir", copy_of_demo).code == 0
    ran = endcap("run", "--dir", copy_of_demo, "--json")
    assert ran.code == 0, ran.stderr
    with home.connect() as con:
        rows = con.execute("SELECT count(*), count(*) FILTER (model = ?), max(len(features)) FROM pairs", [result.model_id]).fetchall()
        ((left, right, score),) = con.execute("SELECT left_id, right_id, score FROM pairs WHERE score > 0.6 AND score < 0.99 LIMIT 1").fetchall()
    assert rows[0][0] == rows[0][1] > 0 and rows[0][2] == len(Model.load(home.model_folder(result.model_id)).names)
    shown = endcap("explain", left, right, "--dir", copy_of_demo, "--json").json
    assert shown["score"] == pytest.approx(score) and "known_both" in {bar["name"] for bar in shown["bars"]}
    with home.writer():
        assert training.train(home, seed=8).model_id != result.model_id, "a stacked champion can be taught further"
        monkeypatch.setattr(training, "STACK_LABELS", 10**6)
        assert Model.load(home.model_folder(training.train(home, seed=8).model_id)).stack is None
    assert endcap("rollback", "--reason", "test", "--dir", copy_of_demo).code == 0
    back = endcap("run", "--dir", copy_of_demo, "--json")
    assert back.code == 0, back.stderr
    with home.connect() as con:
        assert con.execute("SELECT count(*) FROM pairs WHERE model = ?", [result.model_id]).fetchall() == [(0,)]


@pytest.mark.nightly
def test_a_damaged_champion_gives_way_to_the_last_good_one_loudly(copy_of_demo: Path) -> None:
    home = answered(copy_of_demo, 60)
    first = str(home.champion("match"))
    with home.writer():
        second = training.train(home, seed=7).model_id
    assert endcap("promote", second, "--reason", "test", "--break-glass", "--dir", copy_of_demo).code == 0
    (home.model_folder(second) / "trees_0.txt").write_text("not trees")
    ran = endcap("run", "--dir", copy_of_demo, "--json")
    assert ran.code == 0, ran.stderr
    said = " ".join(ran.json["runs"][0]["notices"])
    assert f"the champion {second} cannot be used" in said and f"decided with {first}" in said
    assert home.champion("match") == first
    assert endcap("run", "--dir", copy_of_demo, "--json").json["runs"][0]["changed"] is False


def test_without_any_good_model_one_is_fitted_anew_loudly(copy_of_demo: Path) -> None:
    home = answered(copy_of_demo, 1)
    shutil.rmtree(home.model_folder(str(home.champion("match"))))
    ran = endcap("run", "--dir", copy_of_demo, "--json")
    assert ran.code == 0, ran.stderr
    assert "fitted without labels" in " ".join(ran.json["runs"][0]["notices"])
    assert Model.load(home.model_folder(str(home.champion("match")))).kind == "unsupervised"
