"""Loops: one report is one object from open to verified, and a closed case is a test for ever."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from governed import KINDS, head_of, small_catalog
from sqlalchemy import insert
from test_suspicion import catalog

from endcap import flow, metrics, settings
from endcap.decide import in_force
from endcap.govern import loops, promotion, proposals
from endcap.govern.proposal_files import checked
from endcap.infer.known import Known
from endcap.learn.promote import record
from endcap.learn.validate import validate
from endcap.ops import audit
from endcap.ops.home import Home
from endcap.ops.tables import ALARMS
from endcap.problems import BadInput
from endcap.review.override import store, undo


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loops") / "catalog"
    folder.mkdir()
    small_catalog(folder)
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Iterator[Home]:
    home = Home(settings.read(Path(shutil.copytree(made, tmp_path / "catalog"))))
    yield home
    home.engine.dispose()


def linked(home: Home) -> list[tuple[str, str]]:
    """Pairs that the machine has linked."""
    with home.connect() as con:
        return con.execute("""
            SELECT min(offer_id), max(offer_id) FROM decisions WHERE kind = 'product' AND product_id IS NOT NULL
            GROUP BY product_id HAVING count(*) = 2 ORDER BY 1""").fetchall()


def answered(home: Home, pair: tuple[str, str], action: str) -> int:
    with home.connect() as con:
        ((identity,),) = con.execute("SELECT identity_hash FROM offers WHERE offer_id = ?", [pair[0]]).fetchall()
        ((product,),) = con.execute("SELECT product_id FROM decisions WHERE kind = 'product' AND offer_id = ?", [pair[1]]).fetchall()
    return store(
        home, offer_id=pair[0], action=action, product_id=product, counterpart_offer_id=pair[1], actor="ben", reason_code="", note="", undoes=None,
        identity_hash=identity,
    ).override_id  # fmt: skip


def reported(home: Home, pair: tuple[str, str], expected: str = "different", **more: Any) -> dict[str, Any]:
    return loops.report(home, title="not the same", reporter="ann", offer_id=pair[0], other=pair[1], expected=expected, **more)


def under(home: Home, **policy: Any) -> None:
    """Another policy is in force from the next run on."""
    made = proposals.propose(home, checked(head_of(kind="policy", set=policy), where="test"), actor="ann")
    promotion.break_glass(home, made["proposal_id"], actor="ann", reason="a test")


def test_a_case_is_verified_only_by_the_champion_and_is_a_test_for_ever(home: Home) -> None:
    pair = linked(home)[0]
    number = reported(home, pair)["loop_id"]
    override = answered(home, pair, "different")
    flow.run(home.catalog)
    row = loops.loop(home, number)
    assert row["state"] == "in snapshot" and row["override_id"] == override and row["acknowledged_at"] and row["released_at"]
    told = json.loads(row["replay_json"])
    assert told["right"] is False and "still comes out wrong" in told["words"], "the answer mends it, the machine would link it again"
    with pytest.raises(BadInput, match="is not solved"):
        loops.close(home, number, actor="ann", cause="scoring", comment="answered")
    under(home, accept=1.0)
    flow.run(home.catalog)
    assert loops.loop(home, number)["state"] == "verified"
    for cause, comment in (("bad luck", "x"), ("scoring", " ")):
        with pytest.raises(BadInput):
            loops.close(home, number, actor="ann", cause=cause, comment=comment)
    closed = loops.close(home, number, actor="ann", cause="policy_threshold", comment="linked from too low on")
    assert closed["state"] == "closed" and closed["reopened"] == 0
    promotion.rollback(home, actor="ann", reason="a test", kind="policy")
    (result,) = flow.run(home.catalog)
    again = loops.loop(home, number)
    assert (again["closed_at"], again["verified_at"], again["reopened"], again["opened_at"]) == (None, None, 1, row["opened_at"])
    assert [f"loop {number} is open again" in notice for notice in result.notices].count(True) == 1
    assert audit.verify(home.engine).broken is None


def test_siblings_have_to_come_out_right_as_well(home: Home) -> None:
    first, *others = linked(home)
    number = reported(home, first, "same")["loop_id"]
    assert loops.verify(home, number, actor="ann")["replay"]["verified"] is True
    for pair in others[:5]:
        answered(home, pair, "different")
    told = loops.verify(home, number, actor="ann")["replay"]
    assert (told["right"], told["siblings"], told["siblings_right"], told["verified"]) == (True, 5, 0, False)
    with pytest.raises(BadInput, match="of 5 sibling cases 0 come out right"):
        loops.close(home, number, actor="ann", cause="scoring", comment="seems right")


def test_the_same_case_merges_into_the_oldest_and_opens_it_again(home: Home) -> None:
    pair = linked(home)[0]
    first = reported(home, pair, "same")
    again = reported(home, (pair[1], pair[0]), "same", source="api")
    assert again["loop_id"] == first["loop_id"] and loops.all_loops(home)[0]["reports"] == 2
    assert loops.loop(home, first["loop_id"] + 1)["loop_id"] == first["loop_id"], "the number of the second report leads to the first"
    loops.close(home, first["loop_id"], actor="ann", cause="scoring", comment="it is right now")
    third = reported(home, pair, "same")
    assert (third["loop_id"], third["reopened"], third["closed_at"], third["opened_at"]) == (first["loop_id"], 1, None, first["opened_at"])
    with home.connect() as con:
        figures = {figure.name: figure for figure in metrics.measure(con)}
    assert figures["time_to_resolve.data"].n == 1, "a merged report is no loop of its own"


def test_who_expects_another_value_reports_another_case(home: Home) -> None:
    with home.connect() as con:
        ((product,),) = con.execute("SELECT min(product_id) FROM products").fetchall()
    about = {"reporter": "ann", "product_id": product, "field": "brand"}
    first, again, other = (loops.report(home, title="brand", value=value, **about)["loop_id"] for value in ("Zork", " zork", "Acme"))
    assert first == again != other
    told = {row["loop_id"]: (row["value"], row["reports"]) for row in loops.all_loops(home)}
    assert told == {first: ("Zork", 2), other: ("Acme", 1)}


def test_a_wrong_value_is_replayed_without_what_a_person_set(home: Home) -> None:
    with home.connect() as con:
        product, founder, title = con.execute("SELECT product_id, founded_by, title FROM products WHERE state = 'live' ORDER BY 1").fetchall()[0]
    number = loops.report(home, title="the title", reporter="ann", product_id=product, field="title", value="Acme kettle")["loop_id"]
    told = loops.verify(home, number, actor="ann")["replay"]
    assert told["replayable"] and not told["verified"]
    common = {"counterpart_offer_id": None, "reason_code": "", "note": "", "undoes": None, "identity_hash": 0, "said": title}
    given = store(home, offer_id=founder, action="set", product_id=product, actor="ben", field="title", value="Acme kettle", role="lead", **common).override_id
    flow.run(home.catalog)
    row = loops.loop(home, number)
    assert row["state"] == "in snapshot" and json.loads(row["replay_json"])["right"] is False
    undo(home, given, actor="ben")
    right = loops.report(home, title="it was right", reporter="ann", product_id=product, field="title", value=title.upper())
    assert right["loop_id"] != number, "who expects another value of it reports another case"


def test_a_value_that_is_right_by_itself_is_verified_and_closes(home: Home) -> None:
    with home.connect() as con:
        product, title = con.execute("SELECT product_id, title FROM products WHERE state = 'live' ORDER BY 1").fetchall()[0]
    about = {"reporter": "ann", "product_id": product, "field": "title"}
    number = loops.report(home, title="the title", value=title, **about)["loop_id"]
    told = json.loads(loops.close(home, number, actor="ann", cause="attribute", comment="it is right")["replay_json"])
    assert told["verified"] and loops.loop(home, number)["state"] == "closed"
    wrong = loops.report(home, title="the title", value="Zork", **about)["loop_id"]
    with pytest.raises(BadInput, match="still comes out wrong"):
        loops.close(home, wrong, actor="ann", cause="attribute", comment="x")


def red_goods(folder: Path) -> tuple[Home, int]:
    """A catalog of red goods, and a closed loop that says of one that it is red."""
    rows = [{"id": f"x{n}", "title": f"Acme {kind} red AC{100 + n}", "mpn": "", "price": f"{20 + n}.50"} for n, kind in enumerate(KINDS)]
    made = catalog(folder, {"one": rows})
    flow.run(made)
    home = Home(made)
    with home.connect() as con:
        ((product, value),) = con.execute("""
            SELECT product_id, v.value FROM (SELECT product_id, unnest(values) AS v FROM products) WHERE v.field = 'colour' ORDER BY 1 LIMIT 1
        """).fetchall()  # fmt: skip
    number = loops.report(home, title="the colour", reporter="ann", product_id=product, field="colour", value=value)["loop_id"]
    loops.close(home, number, actor="ann", cause="attribute", comment="it is right")
    return home, int(number)


def test_a_closed_value_is_replayed_by_every_validation_and_after_every_run(tmp_path: Path) -> None:
    home, number = red_goods(tmp_path)
    known = Known.load(home.model_folder(home.manifest().models["infer"]))
    blind = replace(known, aliases={**known.aliases, "colour": {"red": "green"}})
    blind.save(home.model_folder(blind.known_id))
    found = validate(home, "infer", blind.known_id, seed=7)
    assert found.figures["loops"] == {"checked": 1, "broken": [number]} and found.verdict == "ROLLBACK"
    assert validate(home, "policy", in_force.store(home, "policy", {"accept": 0.9}), seed=7).figures["loops"] == {"checked": 1, "broken": []}
    record(home, blind.known_id, previous=known.known_id, actor="ann", reason="a test", data_version="", kind="infer")
    (result,) = flow.run(home.catalog)
    assert loops.loop(home, number)["reopened"] == 1 and any(f"loop {number} is open again" in notice for notice in result.notices)


def test_an_escalation_and_an_alarm_open_a_loop_once(home: Home) -> None:
    pair = linked(home)[0]
    with home.connect() as con:
        ((identity,),) = con.execute("SELECT identity_hash FROM offers WHERE offer_id = ?", [pair[0]]).fetchall()
    for offer_id in (pair[0], "gone:1"):
        store(
            home, offer_id=offer_id, action="escalate", product_id=None, counterpart_offer_id=None, actor="ben", reason_code="", note="which size?",
            undoes=None, identity_hash=identity,
        )  # fmt: skip
    with home.engine.begin() as connection:
        alarm = {
            "run": 1,
            "name": "match_rate",
            "scope": "feed:one",
            "cause": "feed_data",
            "words": "fell by 9 points",
            "figures_json": "{}",
            "at": "2026-03-01",
        }
        connection.execute(insert(ALARMS).values(alarm))
    for _twice in range(2):
        loops.gather(home)
        assert [(row["source"], row["reporter"], row["offer_id"]) for row in loops.all_loops(home)] == [
            ("escalation", "ben", pair[0]), ("alarm", "endcap", None),
        ]  # fmt: skip
    of_alarm = loops.all_loops(home)[1]["loop_id"]
    with pytest.raises(BadInput, match="nothing can be replayed"):
        loops.close(home, of_alarm, actor="ann", cause="scoring", comment="x")
    assert loops.close(home, of_alarm, actor="ann", cause="feed_data", comment="the supplier sent it again")["state"] == "closed"


@pytest.mark.parametrize(
    ("given", "words"),
    [({"title": " "}, "few words"), ({"offer_id": "none:1"}, "no offer"), ({"offer_id": "one:x1", "other": "two:x1"}, "both offers"),
     ({"expected": "same"}, "both offers"), ({"other": "two:x1", "expected": "same"}, "both offers"),
     ({"offer_id": "one:x1", "other": "one:x1", "expected": "same"}, "one offer"),
     ({"offer_id": "one:x1", "other": "two:x1", "expected": "alike"}, "both offers"), ({"field": "title", "value": "x"}, "name all three"),
     ({"product_id": "none", "field": "title", "value": "x"}, "no product"), ({"product_id": "none", "field": "nope", "value": "x"}, "no field"),
     ({"source": "rumour"}, "no source")],
)  # fmt: skip
def test_a_report_that_says_too_little_is_refused(made: Path, given: dict[str, Any], words: str) -> None:
    home = Home(settings.read(made))
    with pytest.raises(BadInput, match=words):
        loops.report(home, **{"title": "wrong", "reporter": "ann", **given})
    assert loops.all_loops(home) == []
    with pytest.raises(BadInput, match="no loop"):
        loops.verify(home, 99, actor="ann")
    with pytest.raises(BadInput, match="no loop"):
        loops.close(home, 1, actor="ann", cause="scoring", comment="x")


def test_the_owner_is_who_owns_the_scope_and_hands_over(home: Home) -> None:
    row = reported(home, linked(home)[0], "same")
    assert row["owner"] == home.catalog.team
    assert loops.acknowledge(home, row["loop_id"], actor="ann", owner="kitchen")["owner"] == "kitchen"
    done = loops.decide(home, row["loop_id"], actor="ann", comment="proposal 4")
    assert done["state"] == "decided" and done["comment"] == "proposal 4"
    for comment, override in ((" ", None), ("x", 77)):
        with pytest.raises(BadInput):
            loops.decide(home, row["loop_id"], actor="ann", comment=comment, override_id=override)
