"""Publishing: targets bring back what they were given, a folder appears whole or not at all, diffs and redirects are exact."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap import shelf
from endcap.metrics import _cases
from endcap.problems import BadInput
from endcap.publish import diff_products, publish
from endcap.publish import folder as folders
from endcap.publish.products import PUBLISHED, REDIRECTS, published_products, redirects

TARGETS = shelf.names("targets")
BOTH = ["parquet", "jsonl"]


def _products(rows: list[dict[str, Any]]) -> pa.Table:
    defaults = {"title": "", "offers": 0, "suppliers": 0, "offer_ids": [], "values": []}
    prices = ("price_min", "price_max")
    filled = [{**defaults, **row, **{name: Decimal(row[name]) for name in prices if row.get(name)}} for row in rows]
    return pa.Table.from_pylist(filled, schema=PUBLISHED)


def _catalog(*products: dict[str, Any], **tables: Any) -> duckdb.DuckDBPyConnection:
    return _cases.connection({"products": [{"state": "live", "title": "T", **product} for product in products], **tables})


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> ModuleType:
    return shelf.component("targets", request.param)


def test_target_brings_its_cases_back_with_the_same_bytes(target: ModuleType, tmp_path: Path) -> None:
    assert target.CASES
    for number, rows in enumerate(target.CASES):
        folder, again = tmp_path / f"{number}", tmp_path / f"{number}-again"
        folder.mkdir()
        again.mkdir()
        table = _products(rows)
        paths = target.write(table, folder)
        assert target.read(folder, PUBLISHED).equals(table)
        assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in target.write(table, again)]


def test_target_bytes_do_not_depend_on_chunks(target: ModuleType, tmp_path: Path) -> None:
    table = _products([{"product_id": f"p{i:05}", "title": f"title {i}"} for i in range(5000)])
    chunked = pa.concat_tables([table.slice(0, 17), table.slice(17, 4000), table.slice(4017)])
    written = []
    for name, given_table in {"whole": table, "chunked": chunked}.items():
        (tmp_path / name).mkdir()
        written.append([path.read_bytes() for path in target.write(given_table, tmp_path / name)])
    assert written[0] == written[1]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), max_size=5))
def test_jsonl_keeps_any_title(tmp_path_factory: pytest.TempPathFactory, titles: list[str]) -> None:
    target, folder = shelf.component("targets", "jsonl"), tmp_path_factory.mktemp("titles")
    table = _products([{"product_id": f"p{i}", "title": title} for i, title in enumerate(titles)])
    target.write(table, folder)
    assert target.read(folder, PUBLISHED).equals(table)
    lines = (folder / target.FILE_NAME).read_text(encoding="utf-8").split("\n")[:-1]
    assert [json.loads(line)["title"] for line in lines] == titles


def test_only_live_products_are_published_with_their_offers_in_order() -> None:
    con = _catalog(
        {"product_id": "p2", "values": [{"field": "brand", "value": "Acme", "source_offer_id": "a:1"}]}, {"product_id": "p1"},
        {"product_id": "p3", "state": "merged", "merged_into": "p1"}, {"product_id": "p4", "state": "gone"},
        decisions=[
            {"offer_id": "b:2", "kind": "product", "product_id": "p2"}, {"offer_id": "a:1", "kind": "product", "product_id": "p2"},
            {"offer_id": "a:1", "kind": "category", "product_id": "p1"}, {"offer_id": "c:1", "kind": "product", "proposed_product_id": "p1"},
        ],
    )  # fmt: skip
    rows = published_products(con).to_pylist()
    assert [(row["product_id"], row["offer_ids"]) for row in rows] == [("p1", []), ("p2", ["a:1", "b:2"])]
    assert rows[1]["values"][0]["source_offer_id"] == "a:1"


def test_redirects_follow_merges_to_the_end_and_end_in_a_ring() -> None:
    con = _catalog(
        {"product_id": "p1"}, {"product_id": "p2", "state": "merged", "merged_into": "p1"}, {"product_id": "p3", "state": "merged", "merged_into": "p2"},
        {"product_id": "r1", "state": "merged", "merged_into": "r2"}, {"product_id": "r2", "state": "merged", "merged_into": "r1"},
        {"product_id": "g1", "state": "gone"}, {"product_id": "m1", "state": "merged", "merged_into": "g1"},
        {"product_id": "m2", "state": "merged", "merged_into": "m1"},
    )  # fmt: skip
    led = [tuple(row[name] for name in REDIRECTS.names) for row in redirects(con).to_pylist()]
    assert led == [("m1", "g1", "gone"), ("m2", "g1", "gone"), ("p2", "p1", "live"), ("p3", "p1", "live")]


ids = st.dictionaries(st.integers(0, 30), st.sampled_from(["a", "b", None]), max_size=20)


@settings(max_examples=40, deadline=None)
@given(ids, ids)
def test_diff_is_the_set_difference(old: dict[int, str | None], new: dict[int, str | None]) -> None:
    def table(rows: dict[int, str | None]) -> pa.Table:
        return _products([{"product_id": f"p{key:02}", "brand": brand} for key, brand in rows.items()])

    diff = diff_products(table(old), table(new))
    changed = {key for key in old.keys() & new.keys() if old[key] != new[key]}
    assert (diff.added, diff.removed, diff.changed, diff.merged) == (len(new.keys() - old.keys()), len(old.keys() - new.keys()), len(changed), 0)
    assert diff.unchanged == len(old.keys() & new.keys()) - len(changed)
    assert diff.changed_columns == ({"brand": len(changed)} if changed else {})
    assert diff.sample_ids["changed"] == [f"p{key:02}" for key in sorted(changed)][:20]


def test_diff_sees_a_change_inside_values() -> None:
    value = {"field": "brand", "value": "A", "confidence": 0.5, "source_offer_id": "a:1", "extractor": "x@1", "since_run": 1, "support": 1}
    old, new = (_products([{"product_id": "p", "values": [{**value, "value": text}]}]) for text in "AB")
    assert diff_products(old, new).changed_columns == {"values": 1}
    assert diff_products(old, old).changed == 0


def test_publish_writes_files_diff_and_redirects(tmp_path: Path) -> None:
    publish(_catalog({"product_id": "p1"}, {"product_id": "p2"}, {"product_id": "p3"}), tmp_path / "s1", BOTH, "s1", None)
    later = _catalog({"product_id": "p1", "title": "U"}, {"product_id": "p2", "state": "merged", "merged_into": "p1"}, {"product_id": "p4"})
    done = publish(later, tmp_path / "s2", BOTH, "s2", tmp_path / "s1")
    assert (done.parent, done.products, done.redirects) == ("s1", 2, 1)
    assert (done.diff.added, done.diff.removed, done.diff.changed, done.diff.merged) == (1, 1, 1, 1)
    assert done.diff.sample_ids == {"added": ["p4"], "removed": ["p3"], "changed": ["p1"], "merged": ["p2"]}
    assert json.loads((tmp_path / "s2/redirects.jsonl").read_text()) == {"product_id": "p2", "redirects_to": "p1", "state": "live"}
    assert set(done.files) == {path.name for path in (tmp_path / "s2").iterdir()}
    assert all(hashlib.sha256((tmp_path / "s2" / name).read_bytes()).hexdigest() == digest for name, digest in done.files.items())
    assert json.loads(done.to_json())["diff"]["merged"] == 1 and "1 merged" in done.summary()


def test_publishing_again_changes_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    first = publish(_catalog({"product_id": "p1"}), tmp_path / "s1", BOTH, "s1", None)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "s1").iterdir()}
    (tmp_path / ".s1.writing").mkdir()
    assert publish(_catalog({"product_id": "p1"}), tmp_path / "s1", BOTH, "s1", None) == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "s1").iterdir()} == before


def test_what_a_killed_run_left_is_never_seen_and_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    con = _catalog({"product_id": "p1"})

    def fail(*_given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(folders, "_put_in_place", fail)
        with pytest.raises(KeyboardInterrupt):
            publish(con, tmp_path / "s1", BOTH, "s1", None)
    assert [path.name for path in tmp_path.iterdir()] == [".s1.writing"]
    done = publish(con, tmp_path / "s1", BOTH, "s1", None)
    assert [path.name for path in tmp_path.iterdir()] == ["s1"] and done.products == 1


def test_damaged_files_are_found_and_written_again(tmp_path: Path) -> None:
    con = _catalog({"product_id": "p1"})
    first = publish(con, tmp_path / "s1", BOTH, "s1", None)
    (tmp_path / "s1/products.jsonl").write_text("{}\n")
    assert folders.verify(tmp_path / "s1") == ["s1/products.jsonl is not the file that was published (sha256 differs)"]
    with pytest.raises(BadInput, match="sha256 differs"):
        publish(con, tmp_path / "s2", BOTH, "s2", tmp_path / "s1")
    assert not (tmp_path / "s2").exists()
    assert publish(con, tmp_path / "s1", BOTH, "s1", None) == first and folders.verify(tmp_path / "s1") == []


def test_the_parent_may_have_been_published_as_jsonl_only(tmp_path: Path) -> None:
    con = _catalog({"product_id": "p1", "price_min": "1.20", "price_max": "3.99", "values": [{"field": "brand", "value": "A"}]})
    publish(con, tmp_path / "s1", ["jsonl"], "s1", None)
    assert publish(con, tmp_path / "s2", ["parquet"], "s2", tmp_path / "s1").diff.unchanged == 1


def test_an_unknown_target_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"there is no publish target 'csvx' \(targets\); use jsonl, parquet\."):
        publish(_catalog(), tmp_path / "s1", ["csvx"], "s1", None)
    assert not any(tmp_path.iterdir())
