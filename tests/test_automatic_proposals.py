"""endcap proposes by itself what its training found better, once, and its own older proposals end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from governed import another_model, small_catalog

from endcap import settings
from endcap.govern import proposals
from endcap.govern.automatic import propose_trained
from endcap.govern.proposal_files import read_text
from endcap.learn.splits import Groups, Ties
from endcap.learn.train import BETTER, Fitted, Lessons, TrainResult, by_category
from endcap.match import Model
from endcap.ops.home import Home


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("automatic") / "catalog"
    folder.mkdir()
    small_catalog(folder)
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Iterator[Home]:
    home = Home(settings.read(Path(shutil.copytree(made, tmp_path / "catalog"))))
    yield home
    home.engine.dispose()


def trained(home: Home, seed: int, **figures: Any) -> TrainResult:
    counted = {"n": 200, "challenger_right": 188, "champion_right": 184, "same": 90, **figures}
    return TrainResult(another_model(home, seed), str(home.champion("match")), 214, counted, BETTER)


def test_a_better_challenger_is_proposed_in_a_sentence_that_can_be_wrong(home: Home) -> None:
    row = propose_trained(home, trained(home, 8))
    assert row["hypothesis"] == "We believe that retrain 1 for everything will let wrong answers fall from 8.0 % to 6.0 % because 214 answers are new."
    assert (row["state"], row["owner"], row["automatic"], row["kind"]) == ("proposed", "endcap", True, "model")
    assert read_text((home.catalog.root / "proposals" / "0001-retrain-1.md").read_text(), where="").artefact == row["artefact"]
    assert propose_trained(home, trained(home, 8))["proposal_id"] == row["proposal_id"], "one challenger, one proposal"


def test_it_names_the_category_in_which_it_mends_the_most(home: Home) -> None:
    told = {"Shoes": {"n": 50, "champion_wrong": 4, "challenger_wrong": 3}, "Tea": {"n": 40, "champion_wrong": 6, "challenger_wrong": 1},
            "Toys": {"n": 30, "champion_wrong": 1, "challenger_wrong": 2}}  # fmt: skip
    assert "from 8.0 % to 6.0 %, most of all in Tea from 15.0 % to 2.5 % of 40 because 214 answers are new, 0 of them there." in str(
        propose_trained(home, trained(home, 8, by_category=told))["hypothesis"]
    )
    assert "most" not in str(propose_trained(home, trained(home, 9, by_category={"Toys": told["Toys"]}))["hypothesis"]), "it mends nothing more there"


def test_answers_judge_by_category_where_there_are_enough_of_it() -> None:
    con = duckdb.connect()
    con.execute("CREATE TABLE facts AS SELECT 'o' || i AS offer_id, 'category' AS attribute, if(i < 12, 'Tea', 'Toys') AS value FROM range(20) t(i)")
    same, people = np.arange(20) % 2 == 0, [number != 3 for number in range(20)]
    pairs = pa.table({"left_id": [f"o{number}" for number in range(20)], "right_id": ["x"] * 20, "people": people})
    none = np.zeros(20, np.int64)
    lessons = Lessons(pairs, np.zeros((20, 1), np.float32), same, np.ones(20), Groups(none, none), Ties(), pairs.slice(0, 0))
    right = same.astype(float)
    challenger, champion = np.where(np.arange(20) == 4, 1 - right, right), np.where(np.arange(20) < 6, 1 - right, right)
    fitted = Fitted(cast(Model, None), challenger, np.arange(20) != 5, np.zeros(0), {})
    # Of twelve in Tea one is no person's answer and one is judged by no model; of Toys there are too few.
    assert by_category(con, lessons, fitted, champion) == {"Tea": {"n": 10, "champion_wrong": 4, "challenger_wrong": 1}}


def test_a_better_one_takes_the_place_of_endcaps_own_open_ones_only(home: Home) -> None:
    first, second = propose_trained(home, trained(home, 8)), propose_trained(home, trained(home, 9, challenger_right=184))
    assert "leave as few answers wrong" in second["hypothesis"] and "retrain 2" in second["hypothesis"]
    states = {row["proposal_id"]: row["state"] for row in proposals.all_proposals(home)}
    assert states == {first["proposal_id"]: "superseded", second["proposal_id"]: "proposed"}


def test_the_settings_may_accept_it(home: Home) -> None:
    home.catalog = home.catalog.model_copy(
        update={"govern": home.catalog.govern.model_copy(update={"accept_automatic": ["model"], "second_person": ["model"]})}
    )
    row = propose_trained(home, trained(home, 8))
    assert (row["state"], row["approver"]) == ("accepted", "the settings")
