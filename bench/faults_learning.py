"""Faults of learning and governing: forged records of promotions, poisoned answers, and automation switched off (classes F10, F12, F13).

Each case has a small catalog of its own, in which two feeds sell the same 40 goods.
"""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from played import Tally, World
from sqlalchemy import select, text

from endcap import flow, settings
from endcap.govern import promotion, proposals
from endcap.govern.proposal_files import checked, path_of
from endcap.govern.switches import switch
from endcap.match import Model
from endcap.ops import access
from endcap.ops.home import Home
from endcap.ops.tables import OVERRIDES
from endcap.problems import BadInput
from endcap.review.override import Given, give
from endcap.review.quota import OWN_GOODS

KINDS = ("kettle", "toaster", "desk lamp", "mixer", "grill", "fan")
GOODS = 120
PASSWORD = "a long enough password"


# --- F10: a promotion without its record, or with an edited one -----------------------------------------------------


def forged_records(_world: World, tally: Tally, _wanted: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = _catalog(Path(folder) / "made")
        for name, (forge, words) in FORGED.items():
            with _copy(made) as home:
                number, first = _validated(home), home.champion("match")
                forge(home, number)
                try:
                    promotion.promote(home, number, actor="ann", reason="forged", overrule=True)
                    said = "it was promoted"
                except BadInput as problem:
                    said = problem.sentence()
                tally.check(words in said and home.champion("match") == first, f"{name}: {said}")


def _validated(home: Home) -> int:
    good = Model.load(home.model_folder(str(home.champion("match"))))
    other = replace(good, settings={"seed": 8})
    other.save(home.model_folder(other.model_id))
    head = {
        "kind": "model", "title": "another seed", "hypothesis": "We believe that another seed for everything will change nothing because it scores alike.",
        "change": "put it in", "metric": "match_rate", "smallest_effect": 0.5, "guard_rails": ["override_rate"], "plan": "replay", "needed": 256,
        "rollback_trigger": "anything", "artefact": other.model_id,
    }  # fmt: skip
    number = int(proposals.propose(home, checked(head, where="bench"), actor="ann")["proposal_id"])
    proposals.accept(home, number, actor="ben")
    proposals.validate(home, number, actor="ann")
    return number


def _sql(*statements: str) -> Callable[[Home, int], None]:
    """Whoever can write to the database can drop its triggers, too."""

    def forge(home: Home, _number: int) -> None:
        with home.engine.begin() as connection:
            for (name,) in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                connection.execute(text(f"DROP TRIGGER {name}"))
            for statement in statements:
                connection.execute(text(statement))

    return forge


def _another_file(home: Home, number: int) -> None:
    (home.model_folder(str(proposals.proposal(home, number)["artefact"])) / "note.txt").write_text("one more", encoding="utf-8")


def _another_text(home: Home, number: int) -> None:
    file = path_of(home.catalog.root, str(proposals.proposal(home, number)["details"]["file"]))
    file.write_text(file.read_text(encoding="utf-8").replace("256", "1"), encoding="utf-8")


FORGED: dict[str, tuple[Callable[[Home, int], None], str]] = {
    "no proposal": (_sql("DELETE FROM proposals"), "there is no proposal"),
    "accepted and validated in the row alone": (_sql("DELETE FROM proposal_events WHERE state <> 'proposed'"), "not those that were sealed"),
    "a rejection rubbed out": (_sql("UPDATE proposal_events SET actor = 'ben' WHERE state = 'validated'"), "not those that were sealed"),
    "validated on another hash": (_sql("UPDATE proposals SET artefact = '0123456789ab'"), "validated on another artefact"),
    "another kind": (_sql("UPDATE proposals SET artefact_kind = 'infer'"), "validated on another kind"),
    "the artefact's files altered": (_another_file, "were altered after it was validated"),
    "the proposal's file altered": (_another_text, "was edited after it was accepted"),
    "the audit altered": (_sql("UPDATE audit SET details_json = replace(details_json, 'verdict', 'Verdict')"), "the audit is broken"),
}  # fmt: skip


# --- F12: poisoned answers ------------------------------------------------------------------------------------------


def poisoned(_world: World, tally: Tally, _wanted: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = _catalog(Path(folder) / "made", {"answers_a_day": 20, "bulk": 5})
        with _copy(made) as home:
            _floods(home, tally)
        with _copy(made) as home:
            _bulk(home, tally)
        with _copy(made) as home:
            _own_goods(home, tally)


def _floods(home: Home, tally: Tally) -> None:
    _person(home, "mal", "catalog", tokens=("bot", "bot two"))
    give(home, _answers(15), actor="bot")
    for name in ("bot", "bot two", "mal"):
        tally.check(_refused(home, _answers(6, start=100), name), f"a flood as {name}")
    tally.check(_stored(home) == 15 and not _refused(home, _answers(6, start=200), "ann"), "others go on")


def _bulk(home: Home, tally: Tally) -> None:
    _person(home, "mal", "catalog", tokens=("bot",))
    deed = _answers(6, group_id="g")
    tally.check(_refused(home, deed, "mal") and _refused(home, deed, "mal"), "a bulk deed by one person, twice")
    tally.check(_refused(home, deed, "bot"), "their program is no second person")
    tally.check(_refused(home, _answers(6, start=7, group_id="g"), "ann") and _stored(home) == 0, "another deed is not the same")
    tally.check(not _refused(home, deed, "ann") and _stored(home) == 6, "two people may")


def _own_goods(home: Home, tally: Tally) -> None:
    for team, flagged in (("one", True), ("catalog", False)):
        _person(home, f"of {team}", team)
        give(home, _answers(1, start=len(team)), actor=f"of {team}")
        with home.connect() as con:
            found = con.execute(f"SELECT count(*) FROM overrides WHERE actor = ? AND override_id IN ({OWN_GOODS})", [f"of {team}"]).fetchone()
        tally.check(bool(found and found[0]) == flagged, f"a reviewer of {team}: {found}")


def _person(home: Home, name: str, team: str, tokens: tuple[str, ...] = ()) -> None:
    access.add_user(home.engine, name, "reviewer", team=team, password=PASSWORD, actor="bench")
    for token in tokens:
        access.make_token(home.engine, token, "reviewer", days=1, actor=name, owner=name)


def _answers(count: int, start: int = 0, **changed: Any) -> list[Given]:
    return [
        Given(f"key {start + n:08}", f"one:x{(start + n) % GOODS}", "same", "p", f"two:x{n % GOODS}", 1, "", **changed) for n in range(count)
    ]  # fmt: skip


def _refused(home: Home, answers: list[Given], actor: str) -> bool:
    try:
        give(home, answers, actor=actor)
    except BadInput:
        return True
    return False


def _stored(home: Home) -> int:
    with home.engine.connect() as connection:
        return len(connection.execute(select(OVERRIDES.c.override_id)).all())


# --- F13: automation off --------------------------------------------------------------------------------------------

SCOPES = {"*": "true", "feed:one": "o.feed = 'one'", "supplier:House two": "o.supplier = 'House two'", "category:Light": "f.value LIKE 'Light%'"}
_NEW = """
    SELECT d.offer_id, d.action FROM decisions d JOIN offers o USING (offer_id)
    LEFT JOIN facts f ON f.offer_id = o.offer_id AND f.attribute = 'category' WHERE d.kind = 'product' AND o.run = 2 AND coalesce({where}, false)
"""


def switched_off(_world: World, tally: Tally, _wanted: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = _catalog(Path(folder) / "made")
        for scope, where in SCOPES.items():
            with _copy(made) as home:
                switch(home, scope, automation=False, actor="ann", reason="a fault")
                _deliver(home.catalog.root, "2026-03-02", GOODS + 12)
                flow.run(home.catalog)
                with home.connect() as con:
                    inside = con.execute(_NEW.format(where=where)).fetchall()
                    outside = con.execute(_NEW.format(where=f"NOT ({where})")).fetchall()
                    stays = con.execute("SELECT count(*) FROM decisions WHERE run = 1 AND kind = 'product' AND product_id IS NOT NULL").fetchone()
                asked = bool(inside) and {action for _offer, action in inside} == {"to_review"}
                decided = scope == "*" or any(action != "to_review" for _offer, action in outside)
                tally.check(asked and decided and stays == (2 * GOODS,), f"{scope}: {len(inside)} in it, {len(outside)} outside, {stays} stay")


# --- the catalog ----------------------------------------------------------------------------------------------------


def _catalog(root: Path, govern: dict[str, Any] | None = None) -> Path:
    _deliver(root, "2026-03-01", GOODS)
    (root / "taxonomy.csv").write_text("category,words\n" + "".join(f"{_category(kind)},{kind}\n" for kind in KINDS), encoding="utf-8")
    fields = {name: name for name in ("id", "title", "price", "category")}
    feeds = {name: {"file": f"{{date}}/{name}.csv", "format": "csv", "supplier": f"House {name}", "fields": fields} for name in ("one", "two")}
    given = {"cores": 1, "taxonomy": "taxonomy.csv", "govern": govern or {}, "feeds": feeds}
    (root / "endcap.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(given))), encoding="utf-8")
    flow.run(settings.read(root))
    return root


def _deliver(root: Path, day: str, count: int) -> None:
    for feed, words in (("one", "Acme {kind} steel AC{code}"), ("two", "{kind} AC-{code} by Acme")):
        file = root / "inbox" / day / f"{feed}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["id", "title", "price", "category"])
            for n in range(count):
                writer.writerow([f"x{n}", words.format(kind=KINDS[n % 6], code=1000 + 37 * n), f"{20 + n}.50", _category(KINDS[n % 6])])


def _category(kind: str) -> str:
    return f"{'Light' if kind == 'desk lamp' else 'Kitchen'} > {kind}"


@contextmanager
def _copy(made: Path) -> Iterator[Home]:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(settings.read(Path(shutil.copytree(made, Path(folder) / "catalog"))))
        yield home
        home.engine.dispose()


CLASSES = {
    "F10": ("promotions without their record, or with an edited one", 8, forged_records),
    "F12": ("floods through tokens, bulk deeds by one person, reviewers of their own goods", 10, poisoned),
    "F13": ("automation off everywhere, for a feed, a supplier, a category", 4, switched_off),
}  # fmt: skip
