"""Poisoned answers (THREATS F12): floods through a token, bulk deeds by one person, people who judge their own goods."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from governed import another_model, small_catalog
from sqlalchemy import insert, select

from endcap import flow, settings
from endcap.decide import in_force
from endcap.govern.follow_up import promises_due
from endcap.learn.validate import validate
from endcap.learn.votes import VOTES
from endcap.learn.watch import check
from endcap.ops import access, audit
from endcap.ops.database import now, writing
from endcap.ops.home import Home
from endcap.ops.tables import OVERRIDES, PROMOTIONS, REVIEWER_HOLDS
from endcap.review import quota
from endcap.review.audit import note_asked
from endcap.review.override import Given, give, undo
from endcap.review.quota import OWN_GOODS, TooMuch
from endcap.settings import Learning


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("poisoned") / "catalog"
    folder.mkdir()
    small_catalog(folder)
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Iterator[Home]:
    home = Home(settings.read(Path(shutil.copytree(made, tmp_path / "catalog"))))
    home.catalog = home.catalog.model_copy(update={"govern": home.catalog.govern.model_copy(update={"answers_a_day": 20, "bulk": 5})})
    yield home
    home.engine.dispose()


def answers(count: int, start: int = 0, **changed: Any) -> list[Given]:
    return [
        Given(
            key=f"k{start + n:08}", offer_id=f"one:x{(start + n) % 40}", action="same", product_id="p", counterpart_offer_id=f"two:x{n % 40}",
            identity_hash=0, evidence="", **changed,
        )
        for n in range(count)
    ]  # fmt: skip


def stored(home: Home) -> int:
    with home.engine.connect() as connection:
        return len(connection.execute(select(OVERRIDES.c.override_id)).all())


def test_a_flood_through_tokens_is_refused_whatever_their_names(home: Home) -> None:
    access.add_user(home.engine, "mal", "reviewer", team="catalog", password="long enough a secret", actor="root")
    for name in ("bot", "bot two"):
        access.make_token(home.engine, name, "reviewer", days=1, actor="mal", owner="mal")
    give(home, answers(15), actor="bot")
    for name, more in (("bot", 6), ("bot two", 6), ("mal", 6)):
        with pytest.raises(TooMuch, match="over 20"):
            give(home, answers(more, start=100), actor=name)
    assert stored(home) == 15, "nothing of a refused batch is stored"
    give(home, answers(5, start=200), actor="ann")
    give(home, answers(5, start=300), actor="bot")
    with pytest.raises(TooMuch):
        give(home, answers(1, start=400), actor="bot")


def test_what_was_given_is_undone_and_the_next_day_goes_on(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = give(home, answers(20), actor="ann")
    undone = undo(home, int(outcomes[-1].override_id or 0), actor="ann")
    assert undone.undoes == outcomes[-1].override_id
    with pytest.raises(TooMuch):
        give(home, answers(1, start=100), actor="ann")
    monkeypatch.setattr(quota, "now", lambda: "2999-01-01T00:00:00Z")
    assert give(home, answers(1, start=100), actor="ann")[0].state == "stored"


def test_a_deed_of_very_many_answers_takes_two_people(home: Home) -> None:
    deed = answers(6, group_id="g")
    for _twice in range(2):
        with pytest.raises(TooMuch, match="take two people"):
            give(home, deed, actor="ann")
    with pytest.raises(TooMuch, match="take two people"):
        give(home, answers(6, start=1, group_id="g"), actor="ben")
    assert stored(home) == 0
    assert {one.state for one in give(home, deed, actor="ben")} == {"stored"}
    assert audit.verify(home.engine).broken is None


def test_the_first_word_of_two_lapses_after_fourteen_days(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for days, key in ((15, "long ago"), (13, "lately")):
        deed = answers(6, group_id=key, start=days * 10)
        with monkeypatch.context() as then, pytest.raises(TooMuch, match="within 14 days, ann's are noted"):
            then.setattr(audit, "now", lambda days=days: (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ"))
            give(home, deed, actor="ann")
        if days > 14:
            with pytest.raises(TooMuch, match="ben's are noted"):
                give(home, deed, actor="ben")
        assert {one.state for one in give(home, deed, actor="ben" if days < 14 else "ann")} == {"stored"}
    assert audit.verify(home.engine).broken is None


def test_a_second_token_is_no_second_person(home: Home) -> None:
    access.add_user(home.engine, "mal", "reviewer", team="catalog", password="long enough a secret", actor="root")
    for name in ("bot", "bot two"):
        access.make_token(home.engine, name, "reviewer", days=1, actor="mal", owner="mal")
    for name in ("mal", "bot", "bot two"):
        with pytest.raises(TooMuch, match="take two people"):
            give(home, answers(6, group_id="g"), actor=name)
    assert stored(home) == 0


def test_a_deed_in_parts_is_one_deed(home: Home) -> None:
    give(home, answers(4, group_id="g"), actor="ann")
    with pytest.raises(TooMuch, match="8 answers at once"):
        give(home, answers(4, start=10, group_id="g"), actor="ann")
    assert stored(home) == 4


@pytest.mark.parametrize(("team", "flagged"), [("one", 2), ("ONE", 2), ("two", 2), ("catalog", 0)])
def test_who_judges_their_own_goods_is_flagged(home: Home, team: str, flagged: int) -> None:
    access.add_user(home.engine, "sel", "reviewer", team=team, password="long enough a secret", actor="root")
    give(home, answers(2), actor="sel")
    give(home, answers(2, start=10), actor="ann")
    with home.connect() as con:
        assert len(con.execute(OWN_GOODS).fetchall()) == flagged
        taught = con.execute(f"SELECT count(*) FROM ({VOTES}) WHERE actor = 'sel'").fetchall()
    assert taught == [(0,)] if flagged else taught[0][0] > 0, "what a person says of their own goods teaches nothing"


def flagged(home: Home, *, held: bool) -> None:
    """Rex errs on every second gold item; whether that holds them back is for the settings."""
    told = {"asked_of": "rex", "purpose": "gold", "decided": "same", "action": "different", "asked_at": now()}
    with writing(home.engine) as connection:
        note_asked(connection, [{**told, "offer_id": f"x:{n}", "agrees": n % 2 == 0} for n in range(40)], "rex")
    home.catalog = home.catalog.model_copy(update={"learning": Learning(hold_flagged=held)})


def lied_in_audits(home: Home, model: str) -> None:
    """A good model decides, and rex says of every link that it is wrong."""
    row = {"kind": "match", "model_id": model, "previous": home.champion("match"), "action": "promote", "actor": "ann", "reason": "a test", "at": now()}
    with home.engine.begin() as connection:
        connection.execute(insert(PROMOTIONS).values(**row, data_version=""))
    flow.run(home.catalog)
    with home.connect() as con:
        rows = con.execute("SELECT offer_id, counterpart_offer_id, product_id FROM decisions WHERE kind = 'product' AND action = 'linked'").fetchall()
    said = {"action": "different", "actor": "rex", "team": "", "reason_code": "audit", "note": "", "identity_hash": 0, "at": now()}
    at = {"snapshot_id": str((home.snapshot() or {})["snapshot_id"])}
    with home.engine.begin() as connection:
        connection.execute(
            insert(OVERRIDES),
            [{**said, **at, "offer_id": offer_id, "counterpart_offer_id": other, "product_id": product} for offer_id, other, product in rows],
        )


def held_now(home: Home) -> list[str]:
    return [row["person"] for row in home.rows(REVIEWER_HOLDS).to_pylist() if row["held"]]


@pytest.mark.parametrize("held", [True, False])
def test_nothing_goes_out_of_force_on_the_word_of_somebody_flagged(home: Home, held: bool) -> None:
    lied_in_audits(home, another_model(home))
    flagged(home, held=held)
    breach = check(home)
    assert (breach is None, held_now(home)) == ((True, ["rex"]) if held else (False, []))


JUDGING = {
    "run": lambda home: flow.run(home.catalog),
    "validate": lambda home: validate(home, "policy", in_force.store(home, "policy", {"accept": 0.9}), seed=7),
    "confirm": promises_due,
}


@pytest.mark.parametrize("judge", list(JUDGING))
def test_whoever_is_flagged_is_held_back_before_anything_is_judged(home: Home, judge: str) -> None:
    flagged(home, held=True)
    told = JUDGING[judge](home)
    assert held_now(home) == ["rex"]
    if judge == "run":
        assert any("rex" in notice and "labels restore" in notice for notice in told[-1].notices)
    assert audit.verify(home.engine).broken is None
