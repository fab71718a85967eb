"""`endcap evaluate`: the figures, their floor on real data, and what it says of bad folders."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import endcap

from endcap.learn.evaluate.block import evaluate_block
from endcap.learn.evaluate.figures import best_threshold
from endcap.learn.evaluate.link import evaluate_link
from endcap.learn.evaluate.match import evaluate_match
from endcap.problems import BadInput

MATCHING_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "matching"
FIGURES = {"dataset", "labels", "precision", "recall", "f1", "threshold", "threshold_from", "pairs", "cpu_s", "peak_mb"}
LABELLED = FIGURES | {"contradictions"}


def data(name: str) -> Path:
    folder = MATCHING_DATA / name
    if not folder.is_dir():
        pytest.skip(f"the measuring data {name} is not on this machine")
    return folder


def write_csv(file: Path, head: list[str], rows: list[list[object]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([head, *rows])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """120 lamps in two tables; the right one writes the code without its hyphen."""
    kinds = ("desk", "floor", "wall", "reading")
    write_csv(tmp_path / "left.csv", ["id", "name", "price"], [[n, f"Lumo {kinds[n % 4]} lamp LX-{1000 + 7 * n}", 10 + n] for n in range(120)])
    write_csv(tmp_path / "right.csv", ["id", "title", "brand", "price"], [[n, f"{kinds[n % 4]} lamp LX{1000 + 7 * n}", "Lumo", 11 + n] for n in range(120)])
    write_csv(tmp_path / "matches.csv", ["ltable_id", "rtable_id"], [[n, n] for n in range(120)])
    pairs = [[n, (n + step) % 120, int(step == 0)] for n in range(120) for step in (0, 4, 8)]
    for place, split in enumerate(("train", "valid", "test")):
        write_csv(tmp_path / f"{split}.csv", ["ltable_id", "rtable_id", "label"], [pair for pair in pairs if pair[0] % 3 == place])
    return tmp_path


def test_easy_tables_are_solved_with_and_without_labels(folder: Path) -> None:
    assert evaluate_block(folder)["recall"] == 1.0
    assert evaluate_link(folder)["f1"] > 0.95
    for labels in ("none", "all", 60):
        figures = evaluate_match(folder, labels=labels)
        assert set(figures) == LABELLED
        assert figures["f1"] > 0.95, labels
        assert figures["threshold_from"] == ("valid" if labels == "all" else "fixed")
    assert set(evaluate_link(folder, labels="all")) == FIGURES | {"candidate_recall"}


def test_same_seed_same_figures(folder: Path) -> None:
    def figures(seed: int) -> dict[str, object]:
        return {name: value for name, value in evaluate_link(folder, labels="all", seed=seed).items() if name not in ("cpu_s", "peak_mb")}

    assert figures(3) == figures(3)


def test_several_seeds_are_measured_by_one_command(folder: Path) -> None:
    each = [json.loads(run_endcap("evaluate", "link", str(folder), "--labels", "all", "--seed", seed, "--json")) for seed in ("3", "4", "3,4")]
    assert each[2]["seeds"] == [3, 4] and [one["f1"] for one in each[2]["each"]] == [one["f1"] for one in each[:2]]
    assert each[2]["f1"] == pytest.approx((each[0]["f1"] + each[1]["f1"]) / 2)
    assert "'3,x' is no seed" in endcap("evaluate", "link", str(folder), "--seed", "3,x").stderr


def run_endcap(*arguments: str) -> str:
    done = endcap(*arguments)
    assert done.code == 0, done.stderr
    return done.stdout


def test_labels_of_test_are_never_seen(folder: Path) -> None:
    before = evaluate_match(folder, labels="all")
    rows = [row.split(",") for row in (folder / "test.csv").read_text().split()[1:]]
    write_csv(folder / "test.csv", ["ltable_id", "rtable_id", "label"], [[left, right, 1 - int(label)] for left, right, label in rows])
    after = evaluate_match(folder, labels="all")
    assert after["threshold"] == before["threshold"]
    assert after["f1"] < 0.5 < before["f1"]


def test_more_candidates_find_no_fewer_matches(folder: Path) -> None:
    recalls = [evaluate_block(folder, k=k, direction=direction)["recall"] for k, direction in ((1, "left"), (1, "both"), (5, "both"))]
    assert recalls == sorted(recalls)


def test_best_threshold_stands_between_scores() -> None:
    assert best_threshold(np.array([0.9, 0.8, 0.3, 0.1]), np.array([1, 1, 0, 0])) == pytest.approx(0.55)
    assert best_threshold(np.array([0.9, 0.1]), np.array([0, 0])) == 0.5
    assert best_threshold(np.array([]), np.array([])) == 0.5


def test_without_labels_a_test_split_is_enough(folder: Path) -> None:
    for split in ("train", "valid"):
        (folder / f"{split}.csv").unlink()
    assert evaluate_match(folder, labels="none")["f1"] > 0.9
    with pytest.raises(BadInput, match=r"train\.csv"):
        evaluate_match(folder, labels="all")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("left.csv", None, "no left.csv"),
        ("left.csv", "id,colour\n1,red\n", "no column title or name"),
        ("left.csv", "id,name\n1,a\n1,b\n", "'1' twice"),
        ("right.csv", b"id,name\n1,\xff\xfe\n", "not a readable UTF-8"),
        ("test.csv", "ltable_id,rtable_id\n1,1\n", "no column label"),
        ("test.csv", "ltable_id,rtable_id,label\n1,9999,0\n", "'9999'"),
        ("test.csv", "ltable_id,rtable_id,label\n1,1,maybe\n", "label 'maybe'"),
    ],
)
def test_bad_folders_end_in_one_sentence(folder: Path, file: str, content: str | bytes | None, said: str) -> None:
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadInput, match=said):
        evaluate_match(folder)


def test_wrong_options_end_in_one_sentence(folder: Path) -> None:
    with pytest.raises(BadInput, match="no such folder"):
        evaluate_link(folder / "nowhere")
    with pytest.raises(BadInput, match="direction"):
        evaluate_block(folder, direction="up")
    with pytest.raises(BadInput, match="labels"):
        evaluate_match(folder, labels="some")
    with pytest.raises(BadInput, match=r"train and valid have \d+ labels, not 100,000"):
        evaluate_match(folder, labels=100_000)
    with pytest.raises(BadInput, match="labels"):
        evaluate_link(folder, labels="100")


@pytest.mark.parametrize(("name", "recall", "f1"), [("abt-buy-full", 0.985, 0.92), ("amazon-google-full", 0.97, 0.66)])
def test_floor_on_real_tables_without_labels(name: str, recall: float, f1: float) -> None:
    assert evaluate_block(data(name))["recall"] >= recall
    assert evaluate_link(data(name))["f1"] >= f1


@pytest.mark.parametrize(("name", "none", "every"), [("abt-buy", 0.91, 0.92), pytest.param("amazon-google", 0.69, 0.74, marks=pytest.mark.nightly)])
def test_floor_on_real_pairs(name: str, none: float, every: float) -> None:
    assert evaluate_match(data(name), labels="none")["f1"] >= none
    assert evaluate_match(data(name), labels="all")["f1"] >= every
