"""Labels: who said them and how far they count, whose are held back, splits that leak nothing, gold sets, and what audits and reviewers are worth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import endcap
from rogues import FAIR, LEAKS, PLANTED, ROGUES, TIES, audited_world, label, planted, table, watch
from sqlalchemy import insert, select

from endcap import flow, settings
from endcap.decide.promised import thresholds
from endcap.learn import train as training
from endcap.learn.calibration import calibrated, platt, read_off
from endcap.learn.dictionary import Correction, learn_entries, new_brands, synonyms
from endcap.learn.labels import add_gold, contradictions, hold, hold_flagged, labels_now, taught
from endcap.learn.reliability import rates_of, reviewers, too_many
from endcap.learn.splits import Ties, by_time, folds_of, groups_of, read_ties, refuse_leaks, sides_of
from endcap.match import Model
from endcap.ops.database import now
from endcap.ops.home import Home
from endcap.ops.tables import BLIND_ASKS, OVERRIDES
from endcap.problems import BadInput
from endcap.review import audit as audits
from endcap.review import blind
from endcap.review.order import Place, ordered
from endcap.review.override import answer, store, undo
from endcap.review.queue import ReviewItem, waiting
from endcap.settings import Learning, Policy, Promised

# --- reviewers ------------------------------------------------------------------------------------------------------


def test_a_third_wrong_is_too_many_and_a_slip_is_not() -> None:
    assert too_many(6, 33) and not too_many(5, 33) and not too_many(5, 5)
    assert too_many(6, 30) and not too_many(6, 60)


@pytest.mark.parametrize("kind", ROGUES)
def test_rogue_reviewers_are_found_and_honest_ones_left_alone(kind: str) -> None:
    rogues, honest = zip(*(watch(kind, seed) for seed in range(2)), strict=True)
    assert all(0 < one.flagged_after <= 134 for found in rogues for one in found)
    assert sum(one.flagged_after > 0 for found in honest for one in found) == 0
    worst = max(max(one.rates) for found in honest for one in found)
    assert all(max(one.rates) > worst for found in rogues for one in found)


def test_who_agrees_with_nobody_is_trusted_less_without_any_gold() -> None:
    dice = np.random.default_rng(5)
    votes = []
    for item in range(200):
        truth = bool(dice.random() < 0.5)
        votes += [((f"a{item}", f"b{item}"), who, truth != (dice.random() < rate)) for who, rate in (("ann", 0.02), ("ben", 0.03), ("rex", 0.4))]
    found = rates_of([(pair, who, bool(said)) for pair, who, said in votes], {})
    assert max(found["ann"] + found["ben"]) < 0.1 < 0.3 < min(found["rex"])
    alone = rates_of([(("a", "b"), "ann", True)], {})
    assert alone["ann"] == (0.05, 0.05), "one answer that nobody else judged tells nothing"


# --- splits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak[0])
def test_planted_leaks_are_refused(leak: Any) -> None:
    _name, train, valid, timed = leak
    refuse_leaks(table(*FAIR[0]), table(*FAIR[1]), TIES, timed=True)
    with pytest.raises(BadInput, match="the split leaks"):
        refuse_leaks(table(*train), table(*valid), TIES, timed=timed)


def test_folds_and_times_share_no_offer_product_or_text() -> None:
    dice = np.random.default_rng(3)
    left = [f"a:{number}" for number in dice.integers(0, 300, 900)]
    right = [f"b:{number}" for number in dice.integers(0, 300, 900)]
    same = [one[2:] == other[2:] for one, other in zip(left, right, strict=True)]
    ties = Ties(product_of={f"{side}:{number}": f"p{number}" for side in "ab" for number in range(300)}, text_of={"a:1": "cup | ", "b:200": "cup | "})
    rows = table(*(label(one, other, same=said, at=f"2026-01-{1 + n % 28:02d}") for n, (one, other, said) in enumerate(zip(left, right, same, strict=True))))
    groups = groups_of(left, right, same, ties)
    folds, judged = folds_of(groups, 5, seed=7), np.zeros(900, dtype=int)
    for number in range(5):
        seen, unseen = sides_of(folds, number)
        refuse_leaks(rows.take(seen), rows.take(unseen), ties)
        judged[unseen] += 1
    assert judged.max() == 1 and judged[np.array(same)].min() == 1, "every pair of one product is judged once"
    earlier, later = by_time(rows["at"].to_pylist(), groups)
    refuse_leaks(rows.take(earlier), rows.take(later), ties, timed=True)
    assert later.size >= 0.15 * 900


# --- audits and calibration -----------------------------------------------------------------------------------------


def test_audits_cover_the_truth_where_the_queue_does_not() -> None:
    found = [audited_world(seed) for seed in range(25)]
    assert sum(estimate is not None and estimate.low <= truth <= estimate.high for truth, estimate, _queue in found) >= 22
    assert np.mean([abs(queue - truth) for truth, _estimate, queue in found]) > 2 * np.mean([abs(one.value - truth) for truth, one, _queue in found if one])


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_miscalibration_is_found_in_its_category_alone(kind: str) -> None:
    for seed in range(3):
        off = {one.part: one.off for one in read_off(*planted(seed, kind))}
        assert off["shoes"] and not off["lamps"] and not off["cups"]
        assert not any(one.off for one in read_off(*planted(seed, "none")))


def test_two_numbers_mend_what_is_too_sure_and_change_no_decision() -> None:
    chance, right, _category = planted(4, "too sure")
    chance, right = chance[::3], right[::3]
    model = calibrated(Model("lightgbm", (), ()), chance, right)
    assert platt(chance, right)[0] < 0.8 and model.numbers["platt_slope"] < 0.8
    mended = model.chance(chance)
    assert np.array_equal(np.argsort(mended, kind="stable"), np.argsort(chance, kind="stable"))
    assert not read_off(mended, right, [""] * right.size)[0].off
    assert calibrated(model, chance[:20], right[:20]) is model


# --- dictionaries and order -----------------------------------------------------------------------------------------


def test_a_correction_becomes_an_entry_once_it_repeats_and_nobody_says_otherwise() -> None:
    def said(value: str, *products: str, was: str = "graphite") -> list[Correction]:
        return [Correction("colour", was, value, product) for product in products]

    assert [one.words for one in learn_entries(said("grey", "p1", "p2"), {("colour", "graphite"): 4})] == ["colour: 'graphite' is 'grey' (2 products)"]
    assert not learn_entries(said("grey", "p1"), {}), "once is a slip"
    assert not learn_entries([*said("grey", "p1", "p2"), *said("black", "p3")], {}), "people disagree"
    assert not learn_entries(said("grey", "p1", "p2"), {("colour", "graphite"): 500}), "of 500 only two were corrected"
    assert learn_entries([Correction("brand", "LOREAL", "L'Oréal", p) for p in "ab"], {("brand", "loreal"): 500}), "spelled alike"
    assert not learn_entries([*said("grey", "p1", "p2"), *said("graphite", "p3", "p4", was="grey")], {}), "both ways round"


def test_synonyms_set_nothing_apart() -> None:
    same = [(f"acme kettle {word} {number}", f"acme kettle {other} {number}", True) for number in range(3) for word, other in (("rapid", "swift"),)]
    assert [(one.word, one.other, one.same, one.different) for one in synonyms(same)] == [("rapid", "swift", 3, 0)]
    assert not synonyms([*same, ("acme kettle rapid 9", "acme kettle swift 9", False)])
    assert not synonyms([(f"kettle {n} 1l", f"kettle {n} 2l", True) for n in ("a", "b", "c")]), "numbers are no words"


def places(count: int) -> list[Place]:
    dice = np.random.default_rng(2)
    return [
        Place(f"f:{n:03d}", f"supplier {n % 3}", f"category {n % 4}", "doubtful", float(dice.random()), int(dice.integers(0, 9)), put_off=n % 11 == 0)
        for n in range(count)
    ]


def test_the_queue_is_a_whole_order_with_likely_ones_at_the_beginning() -> None:
    waits = places(200)
    for first in (False, True):
        order = ordered(waits, first=first)
        assert sorted(order) == list(range(200)) and order == ordered(waits, first=first)
        put_off = [waits[number].put_off for number in order]
        assert put_off == sorted(put_off)
    beginning, later = (np.mean([waits[number].confidence for number in ordered(waits, first=first)[:25]]) for first in (True, False))
    assert beginning > 0.7 > later
    batch = [waits[number] for number in ordered(waits)[:20]]
    assert sum(one.confidence > 0.9 for one in batch) >= 3 and any(one.offers <= 1 for one in batch)
    assert len({(one.supplier, one.category) for one in batch}) >= 9, "many kinds rather than one"


# --- on a catalog ---------------------------------------------------------------------------------------------------


@pytest.fixture
def home(copy_of_demo: Path) -> Home:
    return Home(settings.read(copy_of_demo))


def truth_of(home: Home) -> dict[str, str]:
    with home.connect() as con:
        file = f"{home.catalog.root}/truth/offers.csv"
        return dict(con.execute(f"SELECT offer_id, product FROM read_csv('{file}', header = true, all_varchar = true)").fetchall())


def answered(home: Home, count: int, *people: str) -> None:
    """`count` items, each answered by one of the people in turn: ann as it is, ben the other way round in a third."""
    answer_these(home, asked(home)[:count], *people)


def asked(home: Home) -> list[ReviewItem]:
    with home.connect() as con:
        return [item for item in waiting(con, 0) if item.candidates and item.candidates[0].counterpart_offer_id]


def answer_these(home: Home, items: list[ReviewItem], *people: str) -> None:
    truth = truth_of(home)
    for number, item in enumerate(items):
        person = ("ann", "ben")[number % 3 == 2]
        right = truth[item.offer_id] == truth[str(item.candidates[0].counterpart_offer_id)]
        if person in people:
            answer(home, item, "same" if right != (person == "ben" and number % 2 == 0) else "different", actor=person)


def audited(home: Home, count: int, *people: str) -> None:
    with home.connect() as con:
        audit_these(home, audits.draw(con, count, seed=7), *people)


def audit_these(home: Home, items: list[audits.AuditItem], *people: str) -> None:
    truth = truth_of(home)
    for number, item in enumerate(items):
        if ("ann", "ben")[number % 4 == 3] in people:
            same = truth[item.offer.offer_id] == truth[item.counterpart.offer_id]
            audits.answer_audit(home, item, same=same != (number % 4 == 3), actor=("ann", "ben")[number % 4 == 3])


def test_after_taking_back_one_persons_labels_all_is_as_if_they_had_never_answered(demo: Any, home: Home, tmp_path: Path) -> None:
    import shutil

    other = Home(settings.read(Path(shutil.copytree(demo.folder, tmp_path / "other"))))
    policy = Policy(promise=Promised(precision=0.8, confidence=0.8))
    with other.connect() as con:  # both are asked the same, whatever one of them answered before
        drawn = audits.draw(con, 60, seed=7)
    spoken = {item.offer.offer_id for item in drawn}
    items = [item for item in asked(other) if item.offer_id not in spoken][:80]
    for one, people in ((home, ("ann", "ben")), (other, ("ann",))):
        answer_these(one, items, *people)
        audit_these(one, drawn, *people)

    def learned(one: Home) -> tuple[str, dict[str, Any], Any]:
        with one.writer():
            result = training.train(one, seed=7)
        with one.connect() as con:
            figures = {name: value for name, value in result.figures.items() if name != "newest"}  # the two were not answered in the same second
            return result.model_id, figures, thresholds(con, policy).promises

    with_ben = learned(home)
    hold(home, "ben", held=True, actor="lea", reason="a third of the answers are wrong")
    without, never = learned(home), learned(other)
    assert without == never
    assert without[0] != with_ben[0] and without[2] != with_ben[2]
    with home.connect() as con:
        assert {row["actor"] for row in labels_now(con, 1).to_pylist()} <= {"ann", "endcap"}
        assert [(one.person, one.held) for one in reviewers(con)] == [("ann", False), ("ben", True)], "held back, not forgotten"
        assert con.execute("SELECT count(*) FROM overrides WHERE actor = 'ben'").fetchone() != (0,), "their answers stay in force"
    with pytest.raises(BadInput, match="held back already"):
        hold(home, "ben", held=True, actor="lea", reason="again")
    with pytest.raises(BadInput, match="has answered nothing"):
        hold(home, "nobody", held=True, actor="lea", reason="why not")
    hold(home, "ben", held=False, actor="lea", reason="it was somebody else")
    assert learned(home) == with_ben
    assert len({learned(home)[0] for _time in range(2)}) == 1


def test_where_somebody_held_back_put_an_offer_ties_it_to_nothing(home: Home) -> None:
    items = asked(home)[:12]
    answer_these(home, items[:6], "ann")
    answer_these(home, items[6:], "ben")
    flow.run(home.catalog)
    offers = [item.offer_id for item in items]
    with home.connect() as con:
        before = read_ties(con, offers, 9).product_of
    hold(home, "ben", held=True, actor="lea", reason="wrong too often")
    with home.connect() as con:
        after = read_ties(con, offers, 9)
        bens = con.execute("SELECT d.offer_id FROM decisions d JOIN overrides o USING (override_id) WHERE d.kind = 'product' AND actor = 'ben'").fetchall()
    spoken = {offer_id for (offer_id,) in bens}
    assert spoken & before.keys() and after.product_of == {offer_id: one for offer_id, one in before.items() if offer_id not in spoken}
    assert after.text_of.keys() == set(offers)


def test_labels_know_who_said_them_and_contradict_each_other_openly(home: Home) -> None:
    answered(home, 30, "ann")
    with home.connect() as con:
        first = con.sql("SELECT * FROM overrides ORDER BY override_id LIMIT 1").to_arrow_table().to_pylist()[0]
    told = {name: first[name] for name in ("offer_id", "product_id", "counterpart_offer_id", "identity_hash")}
    opposite = "different" if first["action"] == "same" else "same"
    second = store(home, **told, action=opposite, actor="cleo", reason_code="", note="", undoes=None)
    audited(home, 8, "ann")
    with home.connect() as con:
        labels = labels_now(con, 4)
        (found,) = contradictions(labels)
        assert found.chance_same == 0.5 and "ann (override) says" in found.words and "cleo (override) says" in found.words
        pair = {found.left_id, found.right_id}
        assert pair == {first["offer_id"], first["counterpart_offer_id"]}
        assert not [row for row in taught(labels).to_pylist() if {row["left_id"], row["right_id"]} == pair], "who says both teaches nothing"
        assert {row["weight"] for row in labels.to_pylist() if row["source"] == "audit"} == {0.0}
        assert all(row["at"] and row["actor"] for row in labels.to_pylist() if row["source"] == "override")
        silver = [row for row in labels.to_pylist() if row["source"] == "shared_gtin"]
        assert silver and all(row["weight"] <= 0.1 and row["same"] for row in silver)
    said = endcap("labels", "--contradictions", "--dir", home.catalog.root).stdout
    assert "cleo (override) says" in said and "1 pairs of which both is said" in said
    undo(home, second.override_id, actor="cleo")
    with home.connect() as con:
        assert not contradictions(labels_now(con, 4))
    told = endcap("labels", "--dir", home.catalog.root, "--json").json
    assert told["labels"]["override"] == 20 and told["contradictions"] == 0, told


def test_of_audits_alone_no_chance_is_made() -> None:
    audits_ = [label("a:1", "b:1", same=same, source="audit", weight=0.0, actor=actor, source_id=actor) for actor, same in (("ann", True), ("rog", False))]
    (found,) = contradictions(table(*audits_))
    assert found.chance_same is None and "rog (audit) says different" in found.words
    first, second = contradictions(table(*audits_, label("a:2", "b:2"), label("a:2", "b:2", same=False, source="audit", weight=0.0, source_id="2")))
    assert (first.left_id, first.chance_same, second.left_id) == ("a:2", 0.95, "a:1"), "what nothing is made of comes last"


def test_a_gold_set_teaches_and_tells_who_errs(home: Home, tmp_path: Path) -> None:
    truth = truth_of(home)
    with home.connect() as con:
        pairs = con.execute("SELECT left_id, right_id FROM pairs ORDER BY md5(left_id || right_id) LIMIT 200").fetchall()
    lines = [f"{left},{right},{int(truth[left] == truth[right])}" for left, right in pairs]
    file = tmp_path / "gold.csv"
    file.write_text("left_id,right_id,same\n" + "\n".join(lines) + "\n", encoding="utf-8")
    with home.writer():
        assert add_gold(home, file, actor="lea") == 200 and add_gold(home, file, actor="lea") == 0
    wrong = ("left_id,right_id\na,b\n", "left_id,right_id,same\na,b,2\n", "left_id,right_id,same\nno:1,no:2,1\n")
    for text, words in zip(
        (*wrong, f"left_id,right_id,same\n{lines[0]}\n{lines[0][:-1]}{1 - int(lines[0][-1])}\n"),
        ("lacks same", "line 2", "not in the catalog", "opposite"),
        strict=True,
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(BadInput, match=words), home.writer():
            add_gold(home, file, actor="lea")
    with home.connect() as con:
        draws = blind.Draws(
            lambda count: audits.order_of_draw(con, count, seed=blind.AUDIT_SEED), lambda drawn: audits.beside(con, drawn),
            lambda person, count: con.execute(blind.GOLD_PAIRS, {"person": person, "count": count}).fetchall(), lambda ids: {},
        )  # fmt: skip
        first = blind.to_ask(home, draws, "rex", 100, 0)
    gold = [one for one in first if one.purpose == blind.GOLD]
    assert {one.noted["decided"] for one in gold} == {"same", "different"} and 4 <= len(gold) <= 5
    told = [
        {"offer_id": f"x:{n}", "asked_of": "rex", "purpose": "gold", "decided": "same", "action": "different", "agrees": n % 2 == 0, "asked_at": now()}
        for n in range(40)
    ]
    with home.engine.begin() as connection:
        connection.execute(insert(BLIND_ASKS), told)
    with home.connect() as con:
        rex = next(one for one in reviewers(con) if one.person == "rex")
    assert rex.flagged and rex.gold == 40 and rex.gold_wrong == 20 and not rex.held
    home.catalog = home.catalog.model_copy(update={"learning": Learning(hold_flagged=True)})
    assert hold_flagged(home) == ["rex"] and hold_flagged(home) == []
    with home.connect() as con:
        assert next(one for one in reviewers(con) if one.person == "rex").held


def test_gold_items_look_like_the_rest_and_change_nothing(home: Home, tmp_path: Path) -> None:
    from test_review_api import client_of, decision, items, send, stored

    truth = truth_of(home)
    with home.connect() as con:
        pairs = con.execute("SELECT left_id, right_id FROM pairs WHERE score > .9 OR score < .1 ORDER BY md5(left_id || right_id) LIMIT 60").fetchall()
    file = tmp_path / "gold.csv"
    file.write_text("left_id,right_id,same\n" + "".join(f"{a},{b},{int(truth[a] == truth[b])}\n" for a, b in pairs), encoding="utf-8")
    with home.writer():
        add_gold(home, file, actor="lea")
    kim = client_of(home, "kim", "reviewer")
    shown = {one["offer_id"]: one for one in items(kim, 40)}
    with home.engine.connect() as connection:
        asked = [dict(row) for row in connection.execute(select(BLIND_ASKS).where(BLIND_ASKS.c.purpose == "gold")).mappings()]
    assert len(asked) == 2 and {row["offer_id"] for row in asked} <= shown.keys()
    before = stored(home)
    for row in asked:
        item = shown[row["offer_id"]]
        assert item["choices"][0]["product_id"] == row["product_id"] and item["reason_code"] not in ("gold", "audit")
        assert [one["state"] for one in send(kim, decision(item, row["decided"]))] == ["stored"]
    assert stored(home) == before, "nothing is stored of a gold item but how it was answered"
    with home.engine.connect() as connection:
        assert [row.agrees for row in connection.execute(select(BLIND_ASKS).where(BLIND_ASKS.c.purpose == "gold"))] == [True, True]


@pytest.mark.nightly
def test_audits_are_drawn_with_a_known_chance_and_say_how_often_the_machine_is_right(home: Home) -> None:
    with home.connect() as con:
        drawn = audits.draw_decisions(con, 10_000, seed=7)
        again = audits.draw_decisions(con, 60, seed=7)
        kinds = dict(con.execute("SELECT action, count(*) FROM decisions WHERE kind = 'product' AND decided_by = 'machine' GROUP BY ALL").fetchall())
    assert drawn[:60] == again and len({one.offer_id for one in drawn}) == len(drawn)
    by_kind = {kind: [one for one in drawn if one.decided == kind] for kind in ("linked", "new_product")}
    assert len(by_kind["linked"]) == kinds["linked"] and len(by_kind["new_product"]) > 0.95 * kinds["new_product"]
    for found in by_kind.values():
        assert len({one.probability for one in found}) == 1
    share = sum(one.decided == "new_product" for one in drawn[:90]) / 90
    assert 0.25 <= share <= 0.42
    audited(home, 60, "ann", "ben")
    ran = endcap("metrics", "--dir", home.catalog.root, "--json").json
    figures = {one["name"]: one for one in ran["metrics"]}
    success, audited_rate = figures["automated_success.success"], figures["override_rate.audited"]
    assert success["n"] >= 40 and success["low"] < success["value"] < 1 and audited_rate["value"] == pytest.approx(1 - success["value"])
    assert figures["automated_success.yield"]["value"] == pytest.approx(success["value"] * figures["automated_success.automation"]["value"])


def test_categories_and_dictionaries_learn_from_what_people_set(home: Home) -> None:
    with home.connect() as con:
        rows = con.execute("""
            SELECT p.product_id, p.founded_by, p.category, o.category_path FROM products p JOIN offers o ON o.offer_id = p.founded_by
            WHERE p.state = 'live' AND p.category IS NOT NULL AND o.category_path IS NOT NULL ORDER BY o.category_path, p.product_id""").fetchall()
        colours = con.execute("""
            SELECT f.value, list(DISTINCT d.product_id ORDER BY d.product_id) FROM facts f JOIN decisions d USING (offer_id)
            WHERE f.attribute = 'colour' AND d.kind = 'product' AND d.product_id IS NOT NULL
            GROUP BY f.value ORDER BY count(DISTINCT d.product_id), 1""").fetchall()
        house = sorted({row[2] for row in rows})
    base = {
        "action": "set",
        "counterpart_offer_id": None,
        "actor": "ann",
        "team": "",
        "reason_code": "",
        "note": "",
        "identity_hash": 0,
        "snapshot_id": "",
        "at": now(),
    }
    path = max({row[3] for row in rows}, key=lambda one: sum(row[3] == one for row in rows))
    moved = [row for row in rows if row[3] == path][:14]
    target = next(one for one in house if one != moved[0][2])
    said, products = next((value, found) for value, found in colours if len(found) >= 2)
    told = [base | {"offer_id": founder, "product_id": product, "field": "category", "value": target, "said": was} for product, founder, was, _path in moved]
    told += [base | {"offer_id": "x:1", "product_id": product, "field": "colour", "value": "house colour", "said": said} for product in products]
    with home.engine.begin() as connection:
        connection.execute(insert(OVERRIDES), told)
    before = home.manifest().models["infer"]
    with home.writer():
        (result,), missing = training.train_all(home, seed=7)
        assert training.train(home, seed=7, what="known").model_id == result.model_id
    assert "too few answers" in missing[0] and result.kind == "infer" and result.champion == before != result.model_id
    assert result.figures["challenger_right"] > result.figures["champion_right"] and result.better
    from endcap.infer.known import Known

    known, old = (Known.load(home.model_folder(one)) for one in (result.model_id, before))
    assert known.meant("colour", said) == "house colour" and old.meant("colour", said) == said
    feed = moved[0][1].split(":")[0]
    numbers = [category.path for category in known.categories.house]
    assert numbers[int(np.argmax(known.categories.path_probabilities(feed, path)))] == target
    assert not new_brands([], known.brands) and replace(known, aliases={}).known_id != known.known_id
    assert json.loads((home.model_folder(result.model_id) / "known.json").read_text())["aliases"]["colour"]
