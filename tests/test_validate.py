"""Validation by replay: a better challenger is told from a worse one on audits, closed loops hold, and nothing is written but the trial."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert, update
from sqlalchemy import text as text_of
from tried import audited, challenger, content, home_of, places, truth_of

from endcap import flow, settings
from endcap.decide import in_force
from endcap.govern import promotion
from endcap.infer.known import Known
from endcap.learn.cases import fair_cases
from endcap.learn.labels import hold
from endcap.learn.planned import Plan
from endcap.learn.train import train
from endcap.learn.validate import validate
from endcap.learn.verdict import HOLD, INVALID, NOT_EVALUABLE, ROLLBACK, SHIP
from endcap.ops.database import now
from endcap.ops.home import Home
from endcap.ops.tables import LOOPS, OVERRIDES
from endcap.problems import BadInput
from endcap.review.override import store


def test_a_worse_challenger_is_found_out_and_a_better_one_may_ship(copy_of_demo: Path) -> None:
    home = home_of(copy_of_demo)
    judged = audited(home, 160)
    before, lay = content(home), places(home)
    worse = validate(home, "match", challenger(home, wrong=0.9, times=4), seed=7)
    better = validate(home, "match", challenger(home), seed=7)
    assert (content(home), places(home)) == (before, lay), "nothing but the trial is written"
    assert worse.verdict == ROLLBACK and "worse in everything" in worse.words, worse.words
    assert better.verdict in (SHIP, HOLD), better.words
    planned = validate(home, "match", challenger(home), seed=7, plan=Plan(needed=5000))
    assert planned.verdict == HOLD and f"only {planned.figures['cases']} judged cases, audits and answers; 5,000 are asked for" in planned.words
    claimed = validate(home, "match", better.artefact, seed=7, plan=Plan("automated_success.yield", 60.0, ("override_rate", "match_rate"), needed=30))
    metric, unmeasured, rail = claimed.figures["plan"]["claims"]
    assert claimed.verdict == HOLD and claimed.trial_id != better.trial_id
    assert f"{metric['words']}; the plan calls 60 points worth having" in claimed.figures["judgement"]["reasons"]
    assert metric["challenger"] == round(better.figures["outcomes"]["challenger"]["right"] / better.figures["cases"], 6)
    assert unmeasured["points"] is None and rail["points"] is not None
    figures = better.figures
    assert judged - 5 <= figures["cases"] == figures["audits"] <= judged, "two links may be drawn for one pair"
    assert figures["outcomes"]["challenger"]["right"] >= figures["outcomes"]["champion"]["right"] - 2, "what learned the truth is no worse, but for chance"
    slices = figures["judgement"]["slices"]
    assert {one["by"] for one in slices} == {"supplier", "category", "confidence", "reach"}
    assert {one["state"] for one in slices if one["n"] < 256} == {NOT_EVALUABLE}
    assert all(sum(one["n"] for one in slices if one["by"] == by) == figures["cases"] for by in ("supplier", "category", "confidence", "reach"))
    shoppers = worse.figures["shoppers"]
    assert 0 < len(shoppers["samples"]) <= 20 and shoppers["changed"] == sum(shoppers["by"].values()) and shoppers["split"] > 0
    again = validate(home, "match", better.artefact, seed=7)
    told = ({name: value for name, value in one.figures.items() if name != "cpu_s"} for one in (again, better))
    assert again.trial_id == better.trial_id and next(told) == next(told)
    with home.connect() as con:
        rows = con.execute("SELECT verdict, figures_json FROM trials WHERE trial_id = ?", [better.trial_id]).fetchall()
    assert len(rows) == 1 and json.loads(rows[0][1])["cases"] == figures["cases"]


@pytest.mark.nightly
def test_a_validation_after_labels_were_held_back_is_a_trial_of_its_own(copy_of_demo: Path) -> None:
    """Else the verdict would rest on other figures than the gate, the page and the audit hold; by day tests/test_proposals.py sees it fall."""
    home = home_of(copy_of_demo)
    judged = audited(home, 60, actor="rog")
    audited(home, 40)
    artefact = challenger(home)
    first = validate(home, "match", artefact, seed=7)
    hold(home, "rog", held=True, actor="ann", reason="lies")
    second = validate(home, "match", artefact, seed=7)
    assert second.figures["cases"] <= first.figures["cases"] - judged + 5 and second.trial_id != first.trial_id
    with home.connect() as con:
        kept = {name: json.loads(figures) for name, figures in con.execute("SELECT trial_id, figures_json FROM trials").fetchall()}
    assert (kept[first.trial_id], kept[second.trial_id]) == (first.figures, second.figures)
    hold(home, "rog", held=False, actor="ann", reason="it was somebody else")
    assert validate(home, "match", artefact, seed=7).trial_id == first.trial_id


def test_a_closed_loop_that_would_fail_again_blocks(copy_of_demo: Path) -> None:
    home = home_of(copy_of_demo)
    truth = truth_of(home)
    with home.connect() as con:
        linked = con.execute("""
            SELECT offer_id, counterpart_offer_id FROM decisions WHERE kind = 'product' AND action = 'linked' AND confidence > 0.95 ORDER BY offer_id
        """).fetchall()
    left, right = next((one, other) for one, other in linked if truth.get(one) == truth.get(other) is not None)
    close(home, left, right, "same")
    good = validate(home, "match", challenger(home), seed=7)
    assert good.figures["loops"] == {"checked": 1, "broken": []}
    close(home, left, right, "different")
    bad = validate(home, "match", good.artefact, seed=7)
    assert bad.figures["loops"]["broken"] and bad.verdict == ROLLBACK and "would fail again" in bad.words


def close(home: Home, left: str, right: str, expected: str) -> None:
    told = {"title": "a report", "source": "page", "reporter": "kim", "owner": "catalog", "opened_at": now(), "verified_at": now(), "closed_at": now()}
    with home.engine.begin() as connection:
        connection.execute(insert(LOOPS).values(**told, offer_id=left, counterpart_offer_id=right, expected=expected, reopened=0))


def test_what_cannot_be_replayed_is_refused_in_one_sentence(copy_of_demo: Path) -> None:
    home = home_of(copy_of_demo)
    with pytest.raises(BadInput, match="cannot be replayed"):
        validate(home, "dictionary", "abc", seed=7)
    with pytest.raises(BadInput, match="cannot be read"):
        validate(home, "match", "no-such-model", seed=7)


def test_evidence_that_may_not_be_believed_is_invalid(copy_of_demo: Path) -> None:
    home = home_of(copy_of_demo)
    audited(home, 40)
    model, policy = challenger(home), in_force.store(home, "policy", {"accept": 0.9})
    assert validate(home, "match", model, seed=7).verdict != INVALID
    text = (copy_of_demo / settings.FILE_NAME).read_text(encoding="utf-8")
    (copy_of_demo / settings.FILE_NAME).write_text(text + "\npolicy: {review: 0.5}\n", encoding="utf-8")
    edited = validate(home_of(copy_of_demo), "match", model, seed=7)
    assert edited.verdict == INVALID and "another policy is in force than the one by which the last run decided" in edited.words
    (copy_of_demo / settings.FILE_NAME).write_text(text, encoding="utf-8")
    champion = home.champion("match")
    assert validate(home, "policy", policy, seed=7).verdict != INVALID
    same = validate(home, "policy", in_force.store(home, "policy", {"accept": home.catalog.policy.accept}), seed=7)
    assert same.verdict == INVALID and "says what is in force already" in same.words
    promotion.break_glass(home, model, actor="ann", reason="a test")
    rescored = validate(home, "policy", policy, seed=7)
    assert rescored.verdict == INVALID and f"were scored by {champion}, and {model} is in force since" in rescored.words
    promotion.rollback(home, actor="ann", reason="a test")
    with home.engine.begin() as connection:
        connection.execute(text_of("DROP TRIGGER overrides_no_update"))
        connection.execute(update(OVERRIDES).where(OVERRIDES.c.override_id == 1).values(action="different", actor="somebody"))
    forged = validate(home, "match", model, seed=7)
    assert forged.verdict == INVALID and "the audit is broken" in forged.words


def test_what_a_label_that_has_ended_taught_judges_nothing(copy_of_demo: Path) -> None:
    """A challenger of before knows still what it was taught, whoever's answers were held back when the next one learned, and count again."""
    home = home_of(copy_of_demo)
    with home.connect() as con:
        said = con.execute("""
            SELECT offer_id, counterpart_offer_id, offers.identity_hash FROM decisions JOIN offers USING (offer_id)
            WHERE kind = 'product' AND action = 'linked' AND counterpart_offer_id IS NOT NULL ORDER BY offer_id LIMIT 60
        """).fetchall()
    for number, (offer_id, other_id, identity) in enumerate(said):
        store(
            home, offer_id=offer_id, action="same" if number % 3 else "different", product_id=None, counterpart_offer_id=other_id,
            actor="kim" if number < 30 else "lea", reason_code="", note="", undoes=None, identity_hash=identity,
        )  # fmt: skip
    train(home, seed=7)
    with home.connect() as con:
        taught = set(con.execute("SELECT left_id, right_id FROM labels WHERE source = 'override'").fetchall())
    hold(home, "kim", held=True, actor="ann", reason="a test")
    flow.run(home.catalog)  # labels end with the first training of a later run
    train(home, seed=7)
    hold(home, "kim", held=False, actor="ann", reason="a test")
    with home.connect() as con:
        now = set(con.execute("SELECT left_id, right_id FROM labels WHERE source = 'override'").fetchall())
        assert len(now) < len(taught) and taught.isdisjoint(case.key for case in fair_cases(con))


@pytest.mark.parametrize("kind", ["match", *(pytest.param(kind, marks=pytest.mark.nightly) for kind in ("policy", "infer"))])
def test_a_champion_that_has_decided_nothing_yet_is_no_measure(copy_of_demo: Path, kind: str) -> None:
    """The snapshot holds what its predecessor made: a comparison would be with that one, under the champion's name."""
    home = home_of(copy_of_demo)
    audited(home, 40)
    if kind == "policy":
        champion, other = (in_force.store(home, "policy", {"accept": accept}) for accept in (0.9, 0.95))
    elif kind == "match":
        champion, other = challenger(home, wrong=0.9, times=4), challenger(home)
    else:
        known = Known.load(home.model_folder(home.manifest().models["infer"]))
        less = replace(known, categories=replace(known.categories, meanings={}))
        less.save(home.model_folder(less.known_id))
        champion, other = less.known_id, known.known_id
    promotion.break_glass(home, champion, actor="ann", reason="a test", kind=kind)
    with pytest.raises(BadInput, match=rf"the {kind} {champion} is in force since the last run and has decided nothing yet.*run `endcap run` first"):
        validate(home, kind, other, seed=7)
    flow.run(home.catalog)
    assert validate(home, kind, other, seed=7).champion == champion
    itself = validate(home, kind, champion, seed=7)
    assert itself.verdict == INVALID and "the challenger is the champion itself" in itself.words
    promotion.rollback(home, actor="ann", reason="a test", kind=kind)
    with pytest.raises(BadInput, match="is in force since the last run"):
        validate(home, kind, other, seed=7)
