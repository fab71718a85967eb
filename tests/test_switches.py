"""The kill switch (THREATS F13): off everywhere, for a feed, a supplier or a category, from the next decision on; what is linked stays."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from governed import another_model, catalog_with_categories, deliver

from endcap import flow, settings
from endcap.govern import promotion
from endcap.govern.switches import in_force, switch
from endcap.ops.home import Home
from endcap.ops.tables import AUDIT
from endcap.problems import BadInput
from endcap.review.override import answer
from endcap.review.queue import waiting


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("switched") / "catalog"
    folder.mkdir()
    catalog_with_categories(folder)
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Iterator[Home]:
    home = Home(settings.read(Path(shutil.copytree(made, tmp_path / "catalog"))))
    yield home
    home.engine.dispose()


def decided(home: Home, where: str = "true") -> list[dict[str, Any]]:
    with home.connect() as con:
        query = f"""SELECT d.offer_id, d.kind, d.action, d.product_id, d.reason_code, d.decided_by FROM decisions d JOIN offers o USING (offer_id)
                    LEFT JOIN facts f ON f.offer_id = o.offer_id AND f.attribute = 'category' WHERE {where} ORDER BY 1, 2"""
        return [dict(row) for row in con.sql(query).to_arrow_table().to_pylist()]


SCOPES = {
    "*": "true", "feed:one": "o.feed = 'one'", "supplier:House two": "o.supplier = 'House two'", "category:Light": "f.value LIKE 'Light%'",
}  # fmt: skip


# By day one scope that is known before a run, all, and one that is known only in it.
@pytest.mark.parametrize("scope", [one if one[0] in "*c" else pytest.param(one, marks=pytest.mark.nightly) for one in SCOPES])
def test_off_from_the_next_decision_on_and_on_again(home: Home, scope: str) -> None:
    before = {(row["offer_id"], row["kind"]): row for row in decided(home)}
    switch(home, scope, automation=False, actor="ann", reason="prices of another shop")
    deliver(home.catalog.root, "2026-03-02", 0, 132)
    flow.run(home.catalog)
    known = "AND d.offer_id IN (SELECT offer_id FROM offers_log WHERE run = 1)"
    assert {(row["offer_id"], row["kind"]): row for row in decided(home, f"true {known}")} == before, "what stood stays"
    new = "d.offer_id NOT IN (SELECT offer_id FROM offers_log WHERE run = 1)"
    inside = decided(home, f"{new} AND {SCOPES[scope]}")
    assert inside and {(row["action"], row["reason_code"]) for row in inside} == {("to_review", "automation_off")}
    outside = decided(home, f"{new} AND NOT coalesce({SCOPES[scope]}, false)")
    assert bool(outside) == (scope != "*") and "automation_off" not in {row["reason_code"] for row in outside}
    assert any(row["action"] in ("linked", "new_product") for row in outside) == (scope != "*")
    assert flow.run(home.catalog)[0].changed is False
    switch(home, scope, automation=True, actor="ann", reason="mended")
    assert "automation switched" in flow.plan(home.catalog)["words"]
    flow.run(home.catalog)
    assert not decided(home, "d.reason_code = 'automation_off' AND d.kind = 'product'")
    assert {row["action"] for row in decided(home, f"{new} AND d.kind = 'product'")} <= {"linked", "new_product"}


def test_people_decide_while_it_is_off_and_another_model_moves_nothing(home: Home) -> None:
    switch(home, "*", automation=False, actor="ann", reason="a new model")
    deliver(home.catalog.root, "2026-03-02", 0, 124)
    flow.run(home.catalog)
    before = decided(home, "d.kind = 'product' AND d.action <> 'to_review'")
    with home.connect() as con:
        items = waiting(con, 0)
    assert len(items) == 8 and all(item.reason_code == "automation_off" and item.candidates for item in items)
    item = items[0]
    answer(home, item, "new", actor="ben")
    flow.run(home.catalog)
    (row,) = decided(home, f"d.kind = 'product' AND d.offer_id = '{item.offer_id}'")
    assert (row["action"], row["decided_by"]) == ("new_product", "person")
    placeless = {row["offer_id"] for row in decided(home, "d.kind = 'product' AND d.product_id IS NULL")}
    promotion.break_glass(home, another_model(home), actor="ann", reason="a test")
    flow.run(home.catalog)
    after = {row["offer_id"]: row for row in decided(home, "d.kind = 'product'")}
    assert placeless and all(after[offer_id]["product_id"] is None for offer_id in placeless), "who waits is not put back where they once were"
    assert all(after[row["offer_id"]] == row for row in before), "links stay under another model, too"


def test_a_switch_is_refused_without_a_reason_a_known_scope_or_a_change(home: Home) -> None:
    for scope, words in (("shoes", "is no scope"), ("feed:", "is no scope"), ("feed:three", "no feed 'three'"), ("supplier:none", "no supplier"),
                         ("category:Shoes", "no offer is in"), ("share:0.1", "is no scope"), ("feed:one'; --", "no feed")):  # fmt: skip
        with pytest.raises(BadInput, match=words):
            switch(home, scope, automation=False, actor="ann", reason="x")
    with pytest.raises(BadInput, match="needs a reason"):
        switch(home, "*", automation=False, actor="ann", reason=" ")
    with pytest.raises(BadInput, match="is on for feed:one already"):
        switch(home, "feed:one", automation=True, actor="ann", reason="x")
    assert in_force(home) == {} and "switch" not in {row["verb"] for row in home.rows(AUDIT).to_pylist()}
    switch(home, "feed:one", automation=False, actor="ann", reason="x")
    switch(home, "*", automation=False, actor="ann", reason="x")
    switch(home, "*", automation=True, actor="ann", reason="x")
    assert {scope: row["automation"] for scope, row in in_force(home).items()} == {"feed:one": False, "*": True}, "a wider switch leaves a narrower one"
