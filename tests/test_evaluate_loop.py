"""`endcap evaluate loop`: a tiny world round by round, what learning and not learning do, and what is said of bad input."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from endcap.learn import sureness
from endcap.learn.evaluate.loop import evaluate_loop, is_beyond_chance
from endcap.learn.evaluate.memory import MemoryCatalog
from endcap.learn.evaluate.truths import judge, place_of
from endcap.learn.evaluate.worlds import read_world
from endcap.match import match_offers
from endcap.problems import BadInput

MATCHING_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "matching"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shops sell 150 lamps in siblings of four; one shop leaves out the code of every fifth."""
    file = tmp_path_factory.mktemp("lamps") / "offers.csv"
    kinds = ("desk", "floor", "wall", "reading")
    with file.open("w", newline="", encoding="utf-8") as stream:
        write = csv.writer(stream)
        write.writerow(["id", "title", "source", "cluster_id", "price"])
        for number in range(150):
            code = f"LX-{1000 + 7 * (number // 2)}{'ab'[number % 2]}"
            said = f"Lumo {kinds[number % 4]} lamp"
            write.writerow([f"a{number}", f"{said} {code}", "one", number, 10 + number])
            write.writerow([f"b{number}", f"{said.lower()} {code.replace('-', '')} new", "two", number, 11 + number])
            write.writerow([f"c{number}", said if number % 5 == 0 else f"{code} {said}", "three", number, 10 + number])
    return file


@pytest.fixture(scope="module")
def played(file: Path) -> dict[str, Any]:
    return evaluate_loop(file, rounds=2, answers=40)


def test_rounds_of_both_arms_and_what_they_say(played: dict[str, Any]) -> None:
    assert (played["offers"], played["true_products"], played["shape"]) == (450, 150, "cluster")
    assert [one["answers"] for one in played["rounds"]] == [0, 40, 80]
    assert played["rounds"][0]["learn"] == played["rounds"][0]["control"]
    for one in played["rounds"]:
        for arm in ("learn", "control"):
            figures = one[arm]
            rate = figures["straight_through_yield"]
            assert rate["low"] <= rate["high"] <= figures["automation"] <= 1
            assert rate["true"] == pytest.approx(figures["automation"] * (1 - figures["escapes"]), abs=1e-3)
            assert figures["to_review"] + figures["by_person"] + round(figures["automation"] * 450) == pytest.approx(450, abs=1)
            assert figures["audited"]["n"] <= 0.5 * one["answers"]
            assert (figures["promise"]["kept"] is None) == (figures["promise"]["missing"] > 0)
        assert one["same_automation"]["automation"] <= min(one["learn"]["automation"], one["control"]["automation"]) + 1e-4
    assert played["rounds"][-1]["control"]["model"] == played["rounds"][0]["control"]["model"]


def test_same_seed_same_figures_and_one_arm_alone(file: Path, played: dict[str, Any]) -> None:
    alone = evaluate_loop(file, rounds=2, answers=40, arms=("control",))
    assert [one["control"] for one in alone["rounds"]] == [one["control"] for one in played["rounds"]]
    assert all("same_automation" not in one for one in alone["rounds"])


def test_what_mends_as_much_as_it_breaks_is_taken_at_most_once_in_ten() -> None:
    dice = np.random.default_rng(7)
    taken = [is_beyond_chance(dice.choice([-1.0, 0.0, 1.0], size=30)) for _play in range(1000)]
    assert np.mean(taken) <= 0.12
    assert np.mean([is_beyond_chance(dice.choice([-1.0, 1.0], p=[0.2, 0.8], size=30)) for _play in range(100)]) > 0.9
    assert not is_beyond_chance(np.array([5.0])) and not is_beyond_chance(np.zeros(30)) and not is_beyond_chance(np.array([]))


def test_a_branch_of_a_catalog_in_memory_is_not_seen_in_it(file: Path) -> None:
    world = read_world(file, truth="cluster_id", source="source", hide=(), seed=7)
    ids = world.offers["offer_id"].combine_chunks()
    matched = match_offers(world.offers, ids, matching=world.catalog.matching, model=None, run=1)
    memory = MemoryCatalog(world.catalog, world.facts)
    first = memory.decide(world.offers, matched.pairs, ids, "one")
    branch = memory.branch()
    none = matched.pairs.slice(0, 0)
    apart = branch.decide(world.offers, none, ids, "two")
    assert set(apart["action"].to_pylist()) == {"new_product"} and "linked" in first["action"].to_pylist()
    again = memory.decide(world.offers, matched.pairs, ids.slice(0, 0), "one")
    assert again["product_id"].equals(first["product_id"])
    assert branch.decide(world.offers, none, ids.slice(0, 0), "two")["product_id"].equals(apart["product_id"])


def decided(rows: list[tuple[str, str, str | None]]) -> pa.Table:
    ids, actions, products = zip(*rows, strict=True)
    return pa.table({"offer_id": ids, "action": actions, "product_id": pa.array(products, pa.string())})


def test_a_second_product_of_its_kind_is_a_wrong_founding_and_a_right_link() -> None:
    truth = {"a": "x", "b": "x", "c": "x", "d": "x", "e": "x", "f": "y", "g": "y"}
    rows: list[tuple[str, str, str | None]] = [
        ("a", "new_product", "P1"), ("b", "linked", "P1"), ("c", "linked", "P1"), ("d", "new_product", "P2"), ("e", "linked", "P2"),
        ("f", "linked", "P1"), ("g", "to_review", None),
    ]  # fmt: skip
    found = judge(decided(rows), truth)
    assert found.right.tolist() == [True, True, True, False, True, False, False]
    assert found.home == {"x": "P1"}
    assert place_of("d", found, truth) == ("P1", "a")
    assert place_of("f", found, truth) is None


def lessons(seed: int, size: int) -> tuple[sureness.Evidence, np.ndarray]:
    """Decisions of which the more an offer elsewhere resembles them the fewer are right, whatever was believed."""
    random = np.random.default_rng(seed)
    columns = random.normal(size=(size, len(sureness.COLUMNS)))
    kinds = np.eye(3, dtype=bool)[random.integers(0, 3, size)]
    chance = 1 / (1 + np.exp(3 * columns[:, sureness.COLUMNS.index("outside_best")] - 1))
    return sureness.Evidence(kinds, columns), random.random(size) < chance


@pytest.mark.parametrize("error", [0.0, 0.2])
def test_sureness_is_learned_through_a_reviewers_errors(error: float) -> None:
    told, right = lessons(1, 300)
    said = right ^ (np.random.default_rng(2).random(300) < error)
    learned = sureness.fit(told, told, said, error=error)
    assert learned is not None
    unseen, truly = lessons(3, 2000)
    chance = learned.chance(unseen)
    surest = np.argsort(-chance)[:1000]
    assert truly[surest].mean() > truly.mean() + 0.2
    assert abs(chance.mean() - truly.mean()) < 0.1  # the errors are not taken for the machine's
    assert sureness.is_fit(told, told, said, error=error, seed=7)


def test_few_answers_or_none_that_help_teach_nothing() -> None:
    told, _right = lessons(4, 40)
    assert sureness.fit(told, told, np.ones(40, dtype=bool)) is None


def test_what_was_believed_stays_where_it_was_better() -> None:
    told, _right = lessons(4, 300)
    right = np.random.default_rng(5).random(300) < 0.7
    told.columns[:, sureness.COLUMNS.index("outside_best")] = 0.0
    believed = told.columns[:, sureness.COLUMNS.index("believed")]
    believed[:] = np.where(right, 1e-3, -1e-3)  # orders all rightly, by less than one outlier leaves to be seen
    believed[np.flatnonzero(right)[0]] = 1e6
    assert not sureness.is_fit(told, told, right, seed=7)


def test_a_like_offer_elsewhere_makes_a_link_less_sure_and_a_lone_product_as_sure_as_before() -> None:
    kinds = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
    columns = np.zeros((5, len(sureness.COLUMNS)))
    columns[:, sureness.COLUMNS.index("believed")] = 2.0
    columns[:, sureness.COLUMNS.index("outside_best")] = (-5.0, 2.0, 2.0, 2.0, 2.0)
    free, rivalled, founded, alone, waiting = sureness.Evidence(kinds, columns).believed
    assert free > alone > rivalled == founded > 0.5
    assert alone == pytest.approx(1 / (1 + np.exp(-2.0)))
    assert waiting == 0.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"arms": ("teach",)}, "no arm teach"),
        ({"rounds": 0}, "at least one round"),
        ({"error": 0.6}, "0.6 is not a share"),
        ({"precision": 1.0}, "1 is not a share"),
    ],
)
def test_wrong_options_end_in_one_sentence(file: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        evaluate_loop(file, **options)


def test_a_path_without_truth_ends_in_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BadInput, match="nothing whose truth is known"):
            evaluate_loop(path)


@pytest.mark.nightly
@pytest.mark.parametrize("error", [0.0, 0.05, 0.2])
def test_abt_buy_learns_and_errors_do_it_no_harm(error: float) -> None:
    folder = MATCHING_DATA / "abt-buy-full"
    if not folder.is_dir():
        pytest.skip("the measuring data abt-buy-full is not on this machine")
    last = evaluate_loop(folder, error=error)["rounds"][-1]
    # A few decisions more or less are chance: thirty random answers teach how sure decisions are, and wrong ones are few here.
    assert last["same_automation"]["learn"] <= last["same_automation"]["control"] * 1.25
    surest = {arm: last[arm]["escapes_by_automation"]["0.9"] for arm in ("learn", "control")}
    assert surest["learn"] <= surest["control"] * 1.1, surest
