"""Proposals: files and rows, a state machine whose every step is sealed, and the gate that asks for all of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from governed import HYPOTHESIS, Replay, another_model, head_of, replay, small_catalog
from sqlalchemy import insert, text
from typer.testing import CliRunner

from endcap import flow, settings
from endcap.cli import app
from endcap.decide.in_force import at_snapshot, in_force, overlaid, said, store
from endcap.govern import confirmations, evidence, postmortems, promotion, proposals
from endcap.govern.confirmations import compare, confirm_due
from endcap.govern.follow_up import promises_due
from endcap.govern.proposal_files import BadProposal, as_text, checked, read_text
from endcap.learn.promote import deciding, history, last_kind
from endcap.learn.watch import Breach
from endcap.ops import access, audit
from endcap.ops.database import now, writing
from endcap.ops.home import Home
from endcap.ops.tables import AUDIT, OVERRIDES, PROMOTIONS, REVIEWER_HOLDS, SWITCHES
from endcap.problems import BadInput, Held
from endcap.review.audit import note_asked
from endcap.serve.app import make_app
from endcap.serve.sample_catalog import SampleGate
from endcap.settings import Catalog

__all__ = ["replay"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("governed") / "catalog"
    folder.mkdir()
    small_catalog(folder)
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Iterator[Home]:
    folder = Path(shutil.copytree(made, tmp_path / "catalog"))
    home = Home(settings.read(folder))
    yield home
    home.engine.dispose()


@pytest.fixture(scope="module")
def untouched(made: Path) -> Home:
    """For what is refused before anything is stored."""
    return Home(settings.read(made))


def governed(home: Home, **changed: Any) -> Home:
    """The same catalog under other settings of `govern`."""
    home.catalog = home.catalog.model_copy(update={"govern": home.catalog.govern.model_copy(update=changed)})
    return home


def proposed(home: Home, **changed: Any) -> int:
    return int(proposals.propose(home, checked(head_of(**changed), where="test"), actor="ann")["proposal_id"])


def validated(home: Home, **changed: Any) -> int:
    number = proposed(home, **changed)
    proposals.accept(home, number, actor="ben")
    proposals.validate(home, number, actor="ann")
    return number


def of_model(home: Home) -> dict[str, Any]:
    return {"kind": "model", "set": None, "artefact": another_model(home)}


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_dictionary_is_part_of_what_is_known() -> None:
    head = checked(head_of(kind="dictionary", set=None, artefact="0123456789ab"), where="test")
    assert head.puts_in_force == "infer"


def test_a_proposal_is_a_file_beside_the_settings_and_reads_as_it_was_written(home: Home) -> None:
    row = proposals.propose(home, checked(head_of(), where="test"), actor="ann", body="More words.")
    file = home.catalog.root / "proposals" / "0001-ask-later.md"
    assert row["state"] == "proposed" and row["owner"] == "ann" and row["text"] == file.read_text()
    head = read_text(file.read_text(), where="test")
    assert head.hypothesis == HYPOTHESIS and head.set == {"review": 0.5} and head.owner == "ann"
    assert file.read_text().endswith("---\n\nMore words.\n")


def test_every_mistake_of_a_file_is_said_at_once(untouched: Home, tmp_path: Path) -> None:
    wrong = {**head_of(), "hypothesis": "It gets better.", "scope": "shoes", "metric": "luck", "guard_rails": ["fate"], "needed": 0, "smalest_effect": 1}
    del wrong["smallest_effect"], wrong["set"]
    file = tmp_path / "idea.md"
    file.write_text(as_text({**wrong, "needed": 0}))
    with pytest.raises(BadProposal) as caught:
        proposals.propose_file(untouched, file, actor="ann")
    said = caught.value.sentence()
    assert "8 mistakes in the proposal" in said
    for words in (
        "hypothesis: write one sentence", "scope: 'shoes'", "metric: there is no metric 'luck'", "guard_rails: there is no metric 'fate'", "needed: ",
        "did you mean 'smallest_effect'", "smallest_effect: missing", "set: missing",
    ):  # fmt: skip
        assert words in said, words
    assert proposals.all_proposals(untouched) == []


@pytest.mark.parametrize(
    "content", ["", "no head", "---\nkind: model\n", "---\n- a\n---\n", "---\nkind: [\n---\n", "---\nkind: model\nkind: rule\n---\n", "x" * 200_000]
)
def test_what_is_no_proposal_is_refused_in_one_sentence(untouched: Home, tmp_path: Path, content: str) -> None:
    file = tmp_path / "idea.md"
    file.write_text(content)
    with pytest.raises(BadInput):
        proposals.propose_file(untouched, file, actor="ann")
    for wrong in (tmp_path, tmp_path / "none.md"):
        with pytest.raises(BadInput, match="cannot be read"):
            proposals.propose_file(untouched, wrong, actor="ann")


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"set": {"accept": 1.5}}, "accept"), ({"scope": "feed:one", "set": {"review": 0.5}}, "review is one setting for all offers"),
     ({"set": {"review": 0.99}}, "review must not be above"), ({"set": {"max_cluster": 9}}, "propose a policy"),
     ({"kind": "policy", "set": {"acept": 1}}, "did you mean 'accept'"), ({"kind": "mapping", "set": {"none": {"title": "x"}}}, "no feed 'none'"),
     ({"kind": "policy", "set": {"marketplaces": ["ones"]}}, "no feed 'ones', did you mean 'one'"),
     ({"kind": "policy", "set": {"marketplaces": 5}}, "marketplaces"),
     ({"kind": "mapping", "set": {"one": {"titel": "x"}}}, "did you mean 'title'"), ({"kind": "taxonomy", "set": None, "file": "none.csv"}, "no taxonomy file"),
     ({"kind": "model", "set": None, "artefact": "0" * 12}, "cannot be read"), ({"kind": "model", "set": None}, "artefact: missing")],
)  # fmt: skip
def test_what_cannot_be_in_force_cannot_be_proposed(untouched: Home, changed: dict[str, Any], words: str) -> None:
    kept = sorted(untouched.models_folder.iterdir())
    with pytest.raises(BadInput, match=words):
        proposed(untouched, **changed)
    assert proposals.all_proposals(untouched) == [] and sorted(untouched.models_folder.iterdir()) == kept


def test_what_is_said_of_a_feed_that_left_the_settings_since_stops_nothing(home: Home) -> None:
    stored = {kind: store(home, kind, overlay) for kind, overlay in (("policy", {"marketplaces": ["one"]}), ("mapping", {"one": {"title": "words"}}))}
    assert overlaid(home, stored).feeds["one"].fields.title.path == "words"
    left = {name: feed for name, feed in home.catalog.feeds.items() if name != "one"}
    home.catalog = home.catalog.model_copy(update={"feeds": left})
    found = overlaid(home, stored)
    assert found.feeds == left and found.policy.marketplaces == ["one"]


def test_an_artefact_of_another_kind_is_called_what_it_is(home: Home) -> None:
    """No word sends people to remove what is in production."""
    model, settings_ = str(home.champion("match")), str(proposals.proposal(home, proposed(home))["artefact"])
    dictionary = home.manifest().models["infer"]
    wrong = ((model, "infer", "a matching model, not a dictionary"), (dictionary, "match", "a dictionary, not a matching model"),
             (settings_, "match", "changed settings, not a matching model"), (model, "policy", "a matching model, not changed settings"))  # fmt: skip
    for artefact, kind, words in wrong:
        with pytest.raises(BadInput, match=f"{artefact} is {words}"):
            promotion.break_glass(home, artefact, actor="ann", reason="x", kind=kind)
    for artefact, words in ((model, "not a dictionary"), ("0" * 12, "there is no dictionary")):
        with pytest.raises(BadInput, match=words):
            proposed(home, kind="dictionary", set=None, artefact=artefact)


def test_an_edit_counts_until_it_is_accepted_and_is_refused_from_then_on(home: Home, replay: Replay) -> None:
    number = proposed(home)
    file = home.catalog.root / "proposals" / "0001-ask-later.md"
    file.write_text(file.read_text().replace("review: 0.5", "review: 0.4"))
    row = proposals.accept(home, number, actor="ben")
    assert row["details"]["set"] == {"review": 0.4} and row["artefact"] != proposals.propose(home, checked(head_of(), where=""), actor="x")["artefact"]
    was = file.read_text()
    file.write_text(was.replace("review: 0.4", "review: 0.3"))
    with pytest.raises(BadInput, match="was edited after it was accepted"):
        proposals.validate(home, number, actor="ann")
    file.unlink()
    with pytest.raises(BadInput, match="is gone"):
        proposals.validate(home, number, actor="ann")
    assert replay.asked == []
    file.write_text(was)
    assert proposals.validate(home, number, actor="ann")["state"] == "validated"


@pytest.mark.parametrize("content", [b"gr\xf6\xdfer", b"\x90\xff", "a BOM of two bytes".encode("utf-16"), b"a\0b"])
def test_a_file_that_is_no_text_is_refused_in_one_sentence(home: Home, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "words.txt"
    file.write_bytes(content)
    promotion.break_glass(home, another_model(home), actor="ann", reason="prices are wrong")
    for words in (("postmortem", "1", "--close", "--text", str(file)), ("propose", str(file))):
        told = typed(home, *words).exception
        assert isinstance(told, BadInput) and "cannot be read" in told.what and "words.txt" in told.where, told
    assert postmortems.postmortem(home, 1)["closed_at"] is None
    assert "cannot be read" in str(typed(home, "postmortem", "1", "--close", "--text", str(tmp_path / "none.txt")).exception)
    number = proposed(home)
    (home.catalog.root / "proposals" / "0001-ask-later.md").write_bytes(content)
    with pytest.raises(BadInput, match=r"cannot be read.*proposals/0001-ask-later.md"):
        proposals.accept(home, number, actor="ben")


def test_what_was_filled_in_stays_with_what_was_learned(home: Home, tmp_path: Path) -> None:
    for other in (8, 9):
        promotion.break_glass(home, another_model(home, other), actor="ann", reason="prices are wrong")
    first, second = (postmortems.postmortem(home, number)["text"] for number in (1, 2))
    facts, file = first.split("## What was expected")[0].rstrip(), tmp_path / "words.txt"
    assert "## Timeline" in facts
    file.write_text("We learned to look.\n")
    for words in (("1", "--text", str(file)), ("--close", "--text", str(file))):
        assert isinstance(typed(home, "postmortem", *words).exception, BadInput)
    assert postmortems.postmortem(home, 1)["closed_at"] is None
    assert typed(home, "postmortem", "1", "--close", "--text", str(file)).exit_code == 0
    assert typed(home, "postmortem", "1").stdout.strip() == f"{facts}\n\n## What was learned\n\nWe learned to look."
    edited = second.replace("what happened?\n", "what happened?\nOnly good was expected.\n")
    assert postmortems.close(home, 2, actor="ann", text=edited)["text"] == edited, "the whole, edited"


# --- states ---------------------------------------------------------------------------------------------------------


def test_only_the_written_steps_are_possible(home: Home, replay: Replay) -> None:
    number = proposed(home)
    with home.engine.begin() as connection:
        seen = set()
        for state, wanted in product(proposals.STATES, proposals.STATES):
            connection.execute(text("UPDATE proposals SET state = :state"), {"state": state})
            try:
                proposals.step(home, number, wanted, actor="ann", connection=connection)
                seen.add((state, wanted))
            except BadInput as problem:
                assert f"is {state} and cannot become {wanted}" in problem.what
    assert seen == {(state, wanted) for state, following in proposals.NEXT.items() for wanted in following}
    assert {state for state, following in proposals.NEXT.items() if not following} == {"rolled_back", "rejected", "withdrawn", "superseded"}


def test_every_step_is_a_row_and_a_sealed_line(home: Home, replay: Replay) -> None:
    number = validated(home)
    promotion.promote(home, number, actor="ann", reason="good")
    assert [step["state"] for step in proposals.proposal(home, number)["steps"]] == ["proposed", "accepted", "validated", "promoted"]
    whole = audit.verify(home.engine)
    assert whole.broken is None and whole.rows == 6, "with the first model's, and the promotion that is sealed beside its proposal"
    _sql("UPDATE audit SET details_json = replace(details_json, 'SHIP', 'HOLD')")(home, number)
    assert audit.verify(home.engine).broken == 4


def test_two_people_where_the_settings_say_so(home: Home, replay: Replay) -> None:
    governed(home, second_person=["threshold"])
    number = proposed(home)
    for written in ("ann", "Ann", "\uff41nn", " ann "):
        with pytest.raises(BadInput, match="'s own"):
            proposals.accept(home, number, actor=written)
    assert proposals.accept(home, number, actor="ben")["approver"] == "ben"
    other = proposed(home, kind="policy")
    assert proposals.accept(home, other, actor="ann")["state"] == "accepted", "of other kinds nothing was said"


def test_programs_of_one_user_are_one_person(home: Home, replay: Replay) -> None:
    governed(home, second_person=["threshold", "overrule"])
    access.add_user(home.engine, "lea", "lead", team="t", password=None, actor="test")
    for program in ("p-lea", "q-lea"):
        access.make_token(home.engine, program, "lead", days=1, actor="test", owner="lea")
    number = int(proposals.propose(home, checked(head_of(owner="p-lea"), where="test"), actor="p-lea")["proposal_id"])
    for actor in ("p-lea", "q-lea", "lea"):
        with pytest.raises(BadInput, match="'s own"):
            proposals.accept(home, number, actor=actor)
    proposals.accept(home, number, actor="ben")
    replay.verdict = "HOLD"
    proposals.validate(home, number, actor="ann")
    for actor in ("p-lea", "q-lea", "lea"):
        with pytest.raises(Held, match="two people"):
            promotion.promote(home, number, actor=actor, reason="we know better", overrule=True)
    assert promotion.promote(home, number, actor="ben", reason="we know better", overrule=True)


def test_who_wrote_it_cannot_make_another_its_owner_and_accept_it(home: Home, replay: Replay) -> None:
    governed(home, second_person=["threshold"])
    number = proposed(home)
    file = home.catalog.root / "proposals" / "0001-ask-later.md"
    was = file.read_text()
    assert "owner: ann\n" in was
    file.write_text(was.replace("owner: ann\n", "owner: zed\n"))
    for actor in ("ann", "ben"):
        with pytest.raises(BadInput, match=r"is ann's: its file names zed as the owner .*0001-ask-later.md"):
            proposals.accept(home, number, actor=actor)
    file.write_text(was.replace("owner: ann\n", "").replace("review: 0.5", "review: 0.4"))
    with pytest.raises(BadInput, match="ann's own"):
        proposals.accept(home, number, actor="ann")
    row = proposals.accept(home, number, actor="ben")
    assert (row["owner"], row["details"]["set"]) == ("ann", {"review": 0.4})
    assert [step["actor"] for step in row["steps"]] == ["ann", "ann", "ben"], "an edit is noted with the name of who gave the command"
    named = int(proposals.propose(home, checked(head_of(owner="zed"), where="test"), actor="ann")["proposal_id"])
    with pytest.raises(BadInput, match="ann's own"):
        proposals.accept(home, named, actor="ann")
    governed(home, second_person=[])
    proposals.accept(home, named, actor="Ann")
    proposals.validate(home, named, actor="ann")
    governed(home, second_person=["threshold"])
    with pytest.raises(BadInput, match="Ann accepted a proposal of their own"):
        promotion.promote(home, named, actor="ann")


@pytest.mark.parametrize("name", ["endcap", " EndCap ", "the settings", "The  Settings"])
def test_nobody_speaks_under_a_name_of_endcaps_own(home: Home, replay: Replay, name: str) -> None:
    governed(home, second_person=["threshold", "overrule"])
    replay.verdict = "HOLD"
    number = proposed(home)
    with pytest.raises(BadInput, match="is no person: endcap itself acts under that name"):
        proposals.propose(home, checked(head_of(), where="test"), actor=name)
    with pytest.raises(BadInput, match="is no person"):
        proposals.accept(home, number, actor=name)
    proposals.accept(home, number, actor="ben")
    proposals.validate(home, number, actor="ann")
    with pytest.raises(Held):
        promotion.promote(home, number, actor="ben", reason="x", overrule=True)
    with pytest.raises(BadInput, match="is no person"):
        promotion.promote(home, number, actor=name, reason="x", overrule=True)
    with pytest.raises(BadInput, match="is no person"):
        promotion.break_glass(home, number, actor=name, reason="x")
    for deed in (proposals.reject, proposals.withdraw):
        with pytest.raises(BadInput, match="is no person"):
            deed(home, number, actor=name, reason="x")
    with pytest.raises(BadInput, match="is no person"):
        proposals.validate(home, number, actor=name)
    with pytest.raises(BadInput, match="is no person"):
        proposals.propose(home, checked(head_of(owner=name), where="test"), actor="ann")
    for back in (promotion.rollback, promotion.stop):
        with pytest.raises(BadInput, match="is no person"):
            back(home, actor=name, reason="x", kind="policy")
    assert home.champion("policy") is None and _overrules(home, number) == 1


# --- the gate -------------------------------------------------------------------------------------------------------


def test_nothing_but_a_validated_proposal_is_promoted(home: Home, replay: Replay) -> None:
    first, second = home.champion("match"), another_model(home)
    with pytest.raises(BadInput, match="no proposal speaks for"):
        promotion.promote(home, second, actor="ann")
    number = proposed(home, **of_model(home))
    with pytest.raises(BadInput, match=r"is proposed .*`endcap proposals accept"):
        promotion.promote(home, second, actor="ann")
    proposals.accept(home, number, actor="ann")
    with pytest.raises(BadInput, match=r"is accepted .*`endcap validate"):
        promotion.promote(home, number, actor="ann")
    proposals.validate(home, number, actor="ann")
    assert replay.asked == [("match", second)] and home.champion("match") == first
    entry = promotion.promote(home, second, actor="ann", reason="better")
    assert (entry["model_id"], entry["previous"], entry["proposal_id"]) == (second, first, number) and home.champion("match") == second
    with pytest.raises(BadInput, match="in production already"):
        promotion.promote(home, number, actor="ann")


def _sql(statement: str) -> Callable[[Home, int], None]:
    def forge(home: Home, _number: int) -> None:
        with home.engine.begin() as connection:
            for (name,) in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                connection.execute(text(f"DROP TRIGGER {name}"))
            assert connection.execute(text(statement)).rowcount

    return forge


def _altered_files(home: Home, number: int) -> None:
    folder = home.model_folder(proposals.proposal(home, number)["artefact"])
    (folder / "note.txt").write_text("one more file")


def _altered_trial(home: Home, _number: int) -> None:
    """The trial says better things than it said when it was recorded."""
    from endcap import schema

    manifest, lake = home.manifest(), home.lake()
    rows = lake.current(schema.Trial).to_pylist()
    append = lake.append
    import pyarrow as pa

    append(schema.Trial, pa.Table.from_pylist([{**row, "figures_json": "{}", "run": row["run"] + 1} for row in rows], schema=schema.arrow_schema(schema.Trial)))
    home.amend(lake.pinned(parent=manifest.parent, run=manifest.run, models=manifest.models, override_sequence=manifest.override_sequence))


def _another_snapshot(home: Home, _number: int) -> None:
    governed(home, current_data=True)
    with home.engine.begin() as connection:
        connection.execute(text("UPDATE snapshots SET snapshot_id = 's9999-another'"))


FORGED: dict[str, tuple[Callable[[Home, int], None], str]] = {
    "the row says accepted and validated, the steps do not": (
        _sql("DELETE FROM proposal_events WHERE state IN ('accepted', 'validated')"), "not those that were sealed",
    ),
    "a rejected one is set back to validated": (_sql("UPDATE proposal_events SET state = 'rejected' WHERE state = 'validated'"), "not those that were sealed"),
    "validated on another hash": (_sql("UPDATE proposals SET artefact = '0123456789ab'"), "validated on another artefact"),
    "of another kind": (_sql("UPDATE proposals SET artefact_kind = 'policy'"), "validated on another kind"),
    "the verdict was HOLD": (_sql("UPDATE proposals SET verdict = 'SHIP'"), "validated on another verdict"),
    "the artefact's files were altered afterwards": (_altered_files, "were altered after it was validated"),
    "the trial was edited": (_altered_trial, "not the one that was recorded"),
    "the audit was edited": (_sql("UPDATE audit SET actor = 'zoe' WHERE verb = 'proposal'"), "the audit is broken"),
    "the text in the database was edited": (_sql("UPDATE proposals SET text = replace(text, '256', '1')"), "edited after it was accepted"),
    "one person where two are needed": (_sql("UPDATE proposals SET owner = 'ben'"), "accepted a proposal of their own"),
    "the data is no longer current": (_another_snapshot, "which is not current"),
}  # fmt: skip


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_record_is_refused(home: Home, replay: Replay, forged: str) -> None:
    """THREATS F10."""
    replay.verdict = "HOLD" if "HOLD" in forged else "SHIP"
    governed(home, second_person=["model"])
    number, first = validated(home, **of_model(home)), home.champion("match")
    forge, words = FORGED[forged]
    forge(home, number)
    with pytest.raises(BadInput, match=words):
        promotion.promote(home, number, actor="ann", reason="x", overrule=True)
    assert home.champion("match") == first and len(history(home)) == 1


def test_a_rejected_proposal_and_one_of_another_hash_are_refused(home: Home, replay: Replay) -> None:
    number = validated(home, **of_model(home))
    proposals.reject(home, number, actor="ben", reason="no")
    with pytest.raises(BadInput, match="is rejected"):
        promotion.promote(home, number, actor="ann")


def test_labels_held_back_take_the_verdict_with_them(home: Home, replay: Replay) -> None:
    number = validated(home, **of_model(home))
    with writing(home.engine) as connection:
        connection.execute(insert(REVIEWER_HOLDS).values(person="mal", held=True, actor="ann", reason="a yes-man", at=now()))
        audit.record(connection, "ann", "labels revert", "mal", {"access": audit.seals_of(connection, REVIEWER_HOLDS)})
    with pytest.raises(BadInput, match=r"labels of mal were held back after it was validated.*validate \d+` again"):
        promotion.promote(home, number, actor="ann")


def test_what_proved_itself_beside_another_champion_is_judged_again(home: Home, replay: Replay) -> None:
    first, bad = str(home.champion("match")), another_model(home, seed=9)
    promotion.break_glass(home, bad, actor="ann", reason="an emergency")
    flow.run(home.catalog)
    number, threshold = validated(home, **of_model(home)), validated(home)
    promotion.rollback(home, actor="ann", reason="it was worse")
    for stage, scope in (("promote", None), ("shadow", None), ("canary", "feed:one")):
        with pytest.raises(BadInput, match=rf"judged beside {bad}, and now {first} is in force.*`endcap run`, then `endcap validate {number}` again"):
            promotion.promote(home, number, actor="ann", stage=stage, scope=scope)
    flow.run(home.catalog)
    with pytest.raises(BadInput, match=rf"judged beside {bad}, and now {first} is in force \(proposal \d+\); `endcap validate {number}` again"):
        promotion.promote(home, number, actor="ann", overrule=True, reason="I know better")
    with pytest.raises(BadInput, match=rf"judged on the scores of {bad}, and now {first} scores"):
        promotion.promote(home, threshold, actor="ann")
    assert home.champion("match") == first
    for again in (threshold, number):
        proposals.validate(home, again, actor="ann")
    promotion.promote(home, number, actor="ann")
    with pytest.raises(BadInput, match=rf"judged on the scores of {first}.*`endcap run`, then `endcap validate {threshold}` again"):
        promotion.promote(home, threshold, actor="ann")


@pytest.mark.parametrize("given", ["promote", "break_glass", "rollback"])
def test_what_came_into_force_at_the_same_moment_is_not_passed_over(home: Home, replay: Replay, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """Else the record would say that it took the place of what no longer decided, and a rollback lead to what never did."""
    quicker, number = another_model(home, seed=9), validated(home, **of_model(home))
    if given == "rollback":
        promotion.break_glass(home, another_model(home, seed=10), actor="tom", reason="x")
    where, looks = (promotion.record_of, "check_readable") if given == "rollback" else (promotion, "_figures_now")
    looked = getattr(where, looks)

    def meanwhile(*about: Any) -> Any:
        monkeypatch.setattr(where, looks, looked)
        promotion.break_glass(home, quicker, actor="tom", reason="x")
        return looked(*about)

    monkeypatch.setattr(where, looks, meanwhile)
    with pytest.raises(BadInput, match=f"the match {quicker} came into force at the same moment"):
        {"promote": lambda: promotion.promote(home, number, actor="ann"),
         "break_glass": lambda: promotion.break_glass(home, number, actor="ann", reason="x"),
         "rollback": lambda: promotion.rollback(home, actor="ann", reason="x")}[given]()  # fmt: skip
    assert home.champion("match") == quicker and proposals.proposal(home, number)["state"] == "validated"


def test_settings_that_went_back_to_the_file_are_beside_the_settings_alone(home: Home, replay: Replay) -> None:
    promotion.promote(home, validated(home, set={"review": 0.4}), actor="ann")
    flow.run(home.catalog)
    promotion.rollback(home, actor="ann", reason="too many questions", kind="policy")
    assert deciding(home, "policy") == ("", False)
    flow.run(home.catalog)
    assert deciding(home, "policy") == ("", True)
    promotion.promote(home, validated(home), actor="ann")


def test_a_verdict_is_overruled_by_a_person_with_a_reason_or_by_two(home: Home, replay: Replay) -> None:
    replay.verdict = "HOLD"
    number = validated(home, **of_model(home))
    with pytest.raises(BadInput, match="is HOLD"):
        promotion.promote(home, number, actor="ann", reason="I know better")
    with pytest.raises(BadInput, match="needs a reason"):
        promotion.promote(home, number, actor="ann", overrule=True)
    governed(home, second_person=["overrule"])
    for _twice in range(2):
        with pytest.raises(Held, match="takes two people"):
            promotion.promote(home, number, actor="ann", reason="a known gap", overrule=True)
    said = [step for step in proposals.proposal(home, number)["steps"] if step.get("overruled")]
    assert len(said) == 1, "who says it again is one person"
    promotion.promote(home, number, actor="ben", reason="a known gap, I agree", overrule=True)
    assert home.champion("match") == proposals.proposal(home, number)["artefact"]
    steps = proposals.proposal(home, number)["steps"]
    assert promotion.overruled_by(steps, proposals.proposal(home, number)["trial_id"]) == ["ann", "ben"]


def _overrules(home: Home, number: int) -> int:
    return sum("overruled" in step for step in proposals.proposal(home, number)["steps"])


def test_what_is_refused_overrules_nothing(home: Home, replay: Replay) -> None:
    replay.verdict = "HOLD"
    for about, asked, words in (
        (of_model(home), {"stage": "canary", "scope": "share:2"}, "is no scope"), (of_model(home), {"stage": "canary", "scope": "feed:nope"}, "no feed"),
        (of_model(home), {"stage": "canary"}, "is no scope"), (of_model(home), {"stage": "shadow", "scope": "feed:one"}, "only a canary has a scope"),
        (of_model(home), {"scope": "feed:one"}, "only a canary has a scope"), ({}, {"stage": "canary", "scope": "feed:one"}, "cannot run beside"),
        ({**of_model(home), "artefact": home.champion("match")}, {}, "is the champion already"),
    ):  # fmt: skip
        number = validated(home, **about)
        with pytest.raises(BadInput, match=words):
            promotion.promote(home, number, actor="tom", reason="x", overrule=True, **asked)
        assert _overrules(home, number) == 0, words


def test_of_the_ways_to_promote_one_is_given(home: Home, replay: Replay) -> None:
    number, first = str(validated(home, **of_model(home))), home.champion("match")
    for words in (("--shadow", "--canary", "feed:one"), ("--canary", "feed:one", "--stop"), ("--shadow", "--break-glass", "--reason", "x"), ("--canary", "")):
        told = typed(home, "promote", number, *words).exception
        assert isinstance(told, BadInput) and ("are different things" in told.what or "is no scope" in told.what), told
    assert home.champion("match") == first and home.on_trial("match") is None
    assert typed(home, "promote", number, "--canary", "feed:one").exit_code == 0
    other = str(validated(home, **{**of_model(home), "artefact": another_model(home, seed=9)}))
    assert f"; the canary of proposal {number} for feed:one has ended" in typed(home, "promote", other, "--shadow").stdout
    assert "has ended" not in typed(home, "promote", other).stdout


def test_two_people_overrule_a_verdict_for_the_same(home: Home, replay: Replay) -> None:
    replay.verdict = "HOLD"
    governed(home, second_person=["overrule"])
    first, number = home.champion("match"), validated(home, **of_model(home))
    canary = {"stage": "canary", "scope": "feed:one"}
    for actor, asked in (("tom", canary), ("ben", {}), ("amy", {"stage": "canary", "scope": "share:0.5"})):
        with pytest.raises(Held, match="takes two people"):
            promotion.promote(home, number, actor=actor, reason="x", overrule=True, **asked)
    assert home.champion("match") == first and home.on_trial("match") is None
    promotion.promote(home, number, actor="ben", reason="x", overrule=True, **canary)
    assert home.champion("match") == first and _overrules(home, number) == 4
    assert evidence.words_of(proposals.proposal(home, number)["steps"][3]) == "verdict HOLD overruled for a canary of feed:one by tom: x"
    promotion.promote(home, number, actor="tom", reason="x", overrule=True)
    assert home.champion("match") != first


@pytest.mark.parametrize("verdict", ["INVALID", "ROLLBACK"])
def test_what_could_not_be_measured_cannot_be_overruled(home: Home, replay: Replay, verdict: str) -> None:
    replay.verdict = verdict
    number = validated(home, **of_model(home))
    with pytest.raises(BadInput, match=f"is {verdict}"):
        promotion.promote(home, number, actor="ann", stage="shadow")
    assert ("--overrule" in typed(home, "validate", str(number)).stdout) is (verdict != "INVALID")
    if verdict == "INVALID":
        with pytest.raises(BadInput, match="nothing was measured"):
            promotion.promote(home, number, actor="ann", reason="x", overrule=True)


def test_shadow_and_canary_are_recorded_and_do_not_decide_everywhere(home: Home, replay: Replay) -> None:
    first, number = home.champion("match"), validated(home, **of_model(home))
    for scope in ("", "shoes", "share:0", "share:2", "feed:"):
        with pytest.raises(BadInput, match="is no scope"):
            promotion.promote(home, number, actor="ann", stage="canary", scope=scope)
    for scope, words in (("feed:nowhere", "no feed"), ("supplier:nowhere", "no supplier"), ("category:Nowhere", "no offer is in")):
        with pytest.raises(BadInput, match=words):
            promotion.promote(home, number, actor="ann", stage="canary", scope=scope)
    promotion.promote(home, number, actor="ann", stage="shadow")
    promotion.promote(home, number, actor="ann", stage="canary", scope="share:0.05")
    assert home.champion("match") == first and proposals.proposal(home, number)["state"] == "canary"
    beside = home.on_trial("match")
    assert beside and (beside["action"], beside["scope"]) == ("canary", "share:0.05")
    promotion.promote(home, number, actor="ann")
    assert [row["action"] for row in history(home)] == ["promote", "stop", "canary", "shadow", "promote"]
    assert home.on_trial("match") is None and promotion.stop(home, actor="ann", reason="") is None


def test_what_was_stopped_is_validated_as_before_and_may_run_again(home: Home, replay: Replay) -> None:
    number = validated(home, **of_model(home))
    for stage in ("canary", "shadow"):
        promotion.promote(home, number, actor="ann", stage=stage, scope="share:0.05" if stage == "canary" else None)
        promotion.stop(home, actor="ben", reason="enough seen")
        row = proposals.proposal(home, number)
        assert row["state"] == "validated" and evidence.words_of(row["steps"][-1]) == f"{stage} stopped, so validated as before by ben: enough seen"
    promotion.promote(home, number, actor="ann", stage="canary", scope="share:0.05")
    other = validated(home, **{**of_model(home), "artefact": another_model(home, seed=9)})
    promotion.promote(home, other, actor="ann", stage="shadow")
    assert [proposals.proposal(home, one)["state"] for one in (number, other)] == ["validated", "shadow"]
    promotion.promote(home, number, actor="ann")
    assert [proposals.proposal(home, one)["state"] for one in (number, other)] == ["promoted", "validated"]
    assert audit.verify(home.engine).broken is None


def test_breaking_the_glass_works_and_opens_a_postmortem_with_a_day(home: Home) -> None:
    second = another_model(home)
    with pytest.raises(BadInput, match="needs a reason"):
        promotion.break_glass(home, second, actor="ann", reason=" ")
    entry = promotion.break_glass(home, second, actor="ann", reason="the champion links everything")
    assert home.champion("match") == second
    (opened,) = postmortems.all_postmortems(home)
    assert (opened["postmortem_id"], opened["cause"], opened["promotion_id"]) == (entry["postmortem"], "break_glass", entry["promotion_id"])
    assert opened["due_on"] > opened["opened_at"][:10] and audit.verify(home.engine) == audit.Verified(4)


def test_breaking_the_glass_for_a_proposal_brings_it_into_production_and_a_rollback_ends_it(home: Home) -> None:
    first, second = (
        proposals.propose(home, checked(head_of(kind="threshold", set={"accept": accept}), where="test"), actor="ann")["proposal_id"] for accept in (0.9, 0.95)
    )
    promotion.break_glass(home, first, actor="ann", reason="wrong links by the hundred")
    row = proposals.proposal(home, first)
    assert (row["state"], row["steps"][-1]["past_gate"]) == ("promoted", True) and row["promoted_at"] and row["confirm_on"] > row["promoted_at"][:10]
    promotion.break_glass(home, second, actor="ann", reason="still too many")
    assert [proposals.proposal(home, one)["state"] for one in (first, second)] == ["superseded", "promoted"]
    assert last_kind(home) == "policy"
    promotion.rollback(home, actor="ben", reason="too strict", kind=last_kind(home))
    assert proposals.proposal(home, second)["state"] == "rolled_back" and audit.verify(home.engine).broken is None
    with pytest.raises(BadInput, match="no kind of artefact 'bogus'"):
        promotion.rollback(home, actor="ben", reason="x", kind="bogus")


# --- back again -----------------------------------------------------------------------------------------------------


def test_a_rollback_ends_the_proposal_and_opens_its_postmortem_filled_in(home: Home, replay: Replay, tmp_path: Path) -> None:
    first, number = home.champion("match"), validated(home, **of_model(home))
    promotion.promote(home, number, actor="ann", reason="good")
    flow.run(home.catalog)
    promotion.rollback(home, actor="ben", reason="worse in shoes")
    assert home.champion("match") == first and proposals.proposal(home, number)["state"] == "rolled_back"
    (row,) = postmortems.all_postmortems(home)
    assert (row["proposal_id"], row["owner"], row["cause"], row["closed_at"]) == (number, "ann", "rollback", None)
    told = " ".join(one["what"] for one in row["details"]["timeline"])
    assert all(words in told for words in ("accepted by ben", "promoted by ann", "run 2 done", "rollback by ben: worse in shoes"))
    assert row["details"]["seconds_until_noticed"] >= 0 and row["details"]["affected_offers"] == 0, "it decides as the champion does"
    for wrong in ("", "  ", row["text"]):
        with pytest.raises(BadInput, match="says nothing"):
            postmortems.close(home, row["postmortem_id"], actor="ann", text=wrong)
    closed = postmortems.close(home, row["postmortem_id"], actor="ann", text=row["text"] + "\nWe look at shoes first.")
    assert closed["closed_at"] is not None
    with pytest.raises(BadInput, match="closed already"):
        postmortems.close(home, row["postmortem_id"], actor="ann", text="more")
    with pytest.raises(BadInput, match="no earlier model"):
        promotion.rollback(home, actor="ben", reason="further")


def test_a_promoted_policy_decides_from_the_next_run_on_and_goes_back_to_the_file(home: Home, replay: Replay) -> None:
    decided = _actions(home)
    assert decided.count("linked") > 20
    number = validated(home, kind="threshold", set={"accept": 1.0, "review": 0.1})
    for stage in ("shadow", "canary"):
        with pytest.raises(BadInput, match="a policy cannot run beside the champion"):
            promotion.promote(home, number, actor="ann", stage=stage, scope="share:0.05")
    planned = flow.plan(home.catalog)
    assert planned["words"] == "a run would change nothing" and planned["policy"]["accept"] == 0.85
    promotion.promote(home, number, actor="ann")
    planned = flow.plan(home.catalog)
    assert "another policy" in planned["words"] and planned["policy"]["accept"] == 1.0 and in_force(home).policy.review == 0.1
    flow.run(home.catalog)
    assert _actions(home).count("linked") < decided.count("linked")
    assert home.manifest().models["policy"] == proposals.proposal(home, number)["artefact"]
    assert flow.run(home.catalog)[0].changed is False
    later = validated(home, kind="threshold", set={"accept_category": 0.7})
    promotion.promote(home, later, actor="ann")
    assert in_force(home).policy.accept == 1.0, "what was promoted before stays in it"
    promotion.rollback(home, actor="ann", reason="back", kind="policy")
    promotion.rollback(home, actor="ann", reason="back further", kind="policy")
    back = postmortems.all_postmortems(home)[0]
    assert back["details"]["affected_offers"] > 0, "a policy is known by what was decided while it was in force"
    flow.run(home.catalog)
    assert in_force(home).policy == home.catalog.policy and _actions(home) == decided
    with pytest.raises(BadInput, match="no earlier policy"):
        promotion.rollback(home, actor="ann", reason="further", kind="policy")


def overlay(home: Home, kind: str) -> dict[str, Any]:
    return said(home, kind, str(home.champion(kind)))


def test_what_was_promoted_meanwhile_stays(home: Home, replay: Replay) -> None:
    """Two proposals written and accepted before either is promoted."""
    rule, threshold = (proposed(home, **about) for about in ({"kind": "rule", "set": {"max_price_ratio": 2}}, {"set": {"accept": 0.9}}))
    for number in (rule, threshold):
        proposals.accept(home, number, actor="ben")
    proposals.validate(home, rule, actor="ann")
    promotion.promote(home, rule, actor="ann")
    flow.run(home.catalog)
    proposals.validate(home, threshold, actor="ann")
    promotion.promote(home, threshold, actor="ann")
    assert overlay(home, "policy") == {"max_price_ratio": 2, "accept": 0.9}
    assert [step["state"] for step in proposals.proposal(home, threshold)["steps"] if not step.get("note")] == ["proposed", "accepted", "validated", "promoted"]


def test_settings_validated_on_others_are_not_promoted(home: Home, replay: Replay) -> None:
    one, two, three = (validated(home, kind="mapping", set=fields) for fields in (
        {"one": {"description": "title"}}, {"one": {"gtin": "mpn"}}, {"two": {"gtin": "mpn"}}))  # fmt: skip
    promotion.promote(home, one, actor="ann")
    with pytest.raises(BadInput, match=rf"other settings came into force or went .*`endcap validate {two}` again"):
        promotion.promote(home, two, actor="ann")
    proposals.validate(home, two, actor="ann")
    promotion.promote(home, two, actor="ann")
    assert overlay(home, "mapping") == {"one": {"description": "title", "gtin": "mpn"}}
    promotion.break_glass(home, three, actor="ann", reason="codes are wrong")
    assert overlay(home, "mapping") == {"one": {"description": "title", "gtin": "mpn"}, "two": {"gtin": "mpn"}}


def test_settings_that_were_rolled_back_do_not_come_back_with_others(home: Home, replay: Replay) -> None:
    promotion.promote(home, validated(home, kind="mapping", set={"one": {"description": "title"}}), actor="ann")
    later = validated(home, kind="mapping", set={"two": {"gtin": "mpn"}})
    promotion.rollback(home, actor="ann", reason="wrong", kind="mapping")
    with pytest.raises(BadInput, match="other settings came into force or went"):
        promotion.promote(home, later, actor="ann")
    proposals.validate(home, later, actor="ann")
    promotion.promote(home, later, actor="ann")
    assert overlay(home, "mapping") == {"two": {"gtin": "mpn"}}


def test_an_altered_policy_stops_the_run_in_one_sentence(home: Home, replay: Replay) -> None:
    promotion.promote(home, validated(home), actor="ann")
    file = home.model_folder(str(home.champion("policy"))) / "overlay.json"
    file.write_text(file.read_text().replace("0.5", "0.05"))
    with pytest.raises(BadInput, match="was altered after it was kept"):
        flow.run(home.catalog)


def test_a_promoted_mapping_reads_the_next_delivery(home: Home, replay: Replay) -> None:
    number = validated(home, kind="mapping", set={"one": {"description": "title"}})
    promotion.promote(home, number, actor="ann")
    assert in_force(home).feeds["one"].fields.description is not None and in_force(home).feeds["two"].fields.description is None
    inbox = home.catalog.inbox_path
    (file,) = [path for path in inbox.rglob("one*") if path.is_file()]
    file.write_text(file.read_text() + "\n")
    flow.run(home.catalog)
    with home.connect() as con:
        assert con.execute("SELECT count(*) FROM offers WHERE feed = 'one' AND description = title").fetchone() == (40,)


def _actions(home: Home) -> list[str]:
    with home.connect() as con:
        return [row[0] for row in con.execute("SELECT action FROM decisions WHERE kind = 'product' ORDER BY offer_id").fetchall()]


# --- promise and outcome --------------------------------------------------------------------------------------------


def figures(rate: float, **changed: Any) -> dict[str, Any]:
    one = {"value": rate, "low": rate - 0.02, "high": rate + 0.02, "n": 900, "version": 1, "unit": "share", "direction": "up"}
    rail = {**one, "value": 0.1, "low": 0.08, "high": 0.12, "direction": "down"}
    return {"match_rate": one, "override_rate.escapes": {**rail, **changed}}


@pytest.mark.parametrize(
    ("after", "outcome"),
    [(figures(0.91), "confirmed"), (figures(0.905), "failed"), (figures(0.9), "failed"), (figures(0.7), "rolled_back"), (figures(0.895), "failed"),
     (figures(0.95, value=0.2, low=0.18, high=0.22), "rolled_back"), ({}, "not evaluable"), ({"match_rate": {"value": None}}, "not evaluable")],
)  # fmt: skip
def test_promise_and_outcome(after: dict[str, Any], outcome: str) -> None:
    assert compare("match_rate", 1.0, ["override_rate"], figures(0.9), after).outcome == outcome


@pytest.mark.parametrize(
    ("outcome", "state", "causes"), [("confirmed", "confirmed", []), ("failed", "failed", ["promise_not_kept"]), ("rolled_back", "rolled_back", ["guard_rail"])]
)
def test_after_28_days_promise_and_outcome_are_compared(
    home: Home, replay: Replay, monkeypatch: pytest.MonkeyPatch, outcome: str, state: str, causes: list[str]
) -> None:
    first, number = home.champion("match"), validated(home, **of_model(home))
    promotion.promote(home, number, actor="ann")
    day = proposals.proposal(home, number)["confirm_on"]
    assert confirm_due(home) == [] and day == proposals.after_days(28)
    (told,) = confirm_due(home, today=day)
    assert told["words"] == "no run has decided with it yet"
    flow.run(home.catalog)
    (told,) = confirm_due(home, today=day)
    assert told["outcome"] == "not evaluable" and proposals.proposal(home, number)["state"] == "promoted", "so small a catalog proves nothing"
    monkeypatch.setattr(confirmations, "compare", lambda *_given: confirmations.Compared(outcome, "as it was told"))
    confirm_due(home, today=day)
    assert proposals.proposal(home, number)["state"] == state and confirm_due(home, today="2099-01-01") == []
    assert [row["cause"] for row in postmortems.all_postmortems(home)] == causes
    assert (home.champion("match") == first) is (state == "rolled_back")


def audits_of(home: Home, right: int, wrong: int) -> None:
    """So many audits of now, as they lie in the tables."""
    snapshot = str((home.snapshot() or {})["snapshot_id"])
    shared = {"actor": "kim", "team": "", "reason_code": "audit", "note": "", "identity_hash": 0, "at": now(), "snapshot_id": snapshot}
    asked = {"asked_of": "kim", "purpose": "audit", "asked_at": now(), "stratum": "linked", "probability": 0.5, "run": 1, "decided": "linked"}
    with writing(home.engine) as connection:
        for n in range(right + wrong):
            key, action = f"{snapshot}-{right}-{n}", "same" if n < right else "different"
            given = connection.execute(insert(OVERRIDES).values(**shared, offer_id=f"one:x{n % 40}", action=action, key=key)).inserted_primary_key
            audit.record(connection, "kim", action, key, {"override": given[0] if given else 0})
            note_asked(connection, [{**asked, "offer_id": f"one:x{n % 40}", "action": action, "key": key}], "kim")


def test_a_promise_is_compared_with_what_was_audited_since_and_the_day_of_the_promotion(home: Home, replay: Replay) -> None:
    """Audits of before judge what decided before, and putting the comparison off loses nothing of what was known at the promotion."""
    replay.metric = "automated_success.success"
    audits_of(home, 80, 20)
    number = validated(home, **of_model(home), metric="automated_success.success")
    promotion.promote(home, number, actor="ann")
    day = proposals.proposal(home, number)["confirm_on"]
    flow.run(home.catalog)
    for _twice in range(2):
        (told,) = confirm_due(home, today=day)
        assert told["outcome"] == "not evaluable" and "too little is known of automated_success.success" in told["words"]
        day = proposals.proposal(home, number)["confirm_on"]
    assert evidence.words_of(proposals.proposal(home, number)["steps"][-1]).startswith("comparison of promise and outcome put off by endcap: too little")
    assert postmortems.all_postmortems(home) == []
    audits_of(home, 99, 1)
    (told,) = confirm_due(home, today=day)
    assert (told["outcome"], told["words"]) == ("confirmed", "automated_success.success went from 80.0 % to 99.0 %; promised was 1 or more")


# --- as typed -------------------------------------------------------------------------------------------------------


def typed(home: Home, *words: str) -> Any:
    return CliRunner().invoke(app, [*words, "--dir", str(home.catalog.root)])


@pytest.mark.parametrize("words", [("proposals", "accept"), ("proposals", "show"), ("validate",), ("postmortem",), ("loops", "show")])
def test_a_number_that_no_database_holds_is_told_as_any_other(untouched: Home, words: tuple[str, ...]) -> None:
    wrong = typed(untouched, *words, "9" * 20).exception
    assert isinstance(wrong, BadInput) and "there is no" in wrong.sentence() and "see `endcap" in wrong.sentence()


OF_PEOPLE = (
    ("proposals", "reject", "1", "--reason", "x"), ("proposals", "withdraw", "1"), ("validate", "1"), ("rollback", "--reason", "x"), ("promote", "1", "--stop"),
    ("labels", "revert", "ann", "--reason", "x"), ("labels", "restore", "ann", "--reason", "x"), ("switch", "off", "*", "--reason", "x"),
    ("loops", "acknowledge", "1"), ("user", "ann"), ("token", "nightly"),
)  # fmt: skip


@pytest.mark.parametrize("words", OF_PEOPLE, ids=" ".join)
def test_no_command_of_people_is_given_under_a_name_of_endcaps_own(untouched: Home, words: tuple[str, ...]) -> None:
    before = [rows.to_pylist() for rows in (untouched.rows(PROMOTIONS), untouched.rows(SWITCHES), untouched.rows(AUDIT))]
    for name in ("endcap", "The Settings"):
        wrong = typed(untouched, *words, "--by", name).exception
        assert isinstance(wrong, BadInput) and "is no person: endcap itself acts under that name" in wrong.sentence()
    assert before == [rows.to_pylist() for rows in (untouched.rows(PROMOTIONS), untouched.rows(SWITCHES), untouched.rows(AUDIT))]


@pytest.mark.parametrize("words", [("user", "Endcap"), ("token", "endcap"), ("token", "the settings")], ids=" ".join)
def test_neither_a_user_nor_a_program_is_named_as_endcap_itself(untouched: Home, words: tuple[str, ...]) -> None:
    wrong = typed(untouched, *words, "--by", "ann").exception
    assert isinstance(wrong, BadInput) and "another name" in wrong.sentence()


@pytest.mark.parametrize("known", [True, False])
def test_a_promise_that_had_no_figure_says_that_it_can_never_be_compared(home: Home, replay: Replay, monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    number = validated(home, **of_model(home))
    monkeypatch.setattr(promotion, "_figures_now", lambda _home: figures(0.9) if known else {"match_rate": {**figures(0.9)["match_rate"], "value": None}})
    promotion.promote(home, number, actor="ann")
    monkeypatch.setattr(confirmations, "now", lambda: "2099-01-01T00:00:00Z")
    (told,) = promises_due(home)
    assert told["outcome"] == "not evaluable" and ("can never be compared" in told["words"]) is not known


def test_a_policy_edited_in_the_settings_is_told_and_stands_in_the_history(home: Home) -> None:
    was, catalog = home.catalog.policy.accept, edited(home, accept=0.6)
    planned = flow.plan(catalog)
    assert f"another policy (accept from {was} to 0.6, edited in the settings' file, past the gate)" in planned["words"]
    (result,) = flow.run(catalog)
    (notice,) = [one for one in result.notices if "without a proposal" in one]
    assert f"accept from {was} to 0.6" in notice
    row = json.loads(typed(home, "model", "history", "--json").stdout)["promotions"][0]
    assert (row["kind"], row["action"], row["actor"], row["data_version"]) == ("policy", "edit", "the settings", result.snapshot_id)
    assert f"accept from {was} to 0.6" in row["reason"] and "policy edit" in typed(home, "model", "history").stdout
    client = TestClient(make_app(Home(catalog), SampleGate()), base_url="http://localhost")
    shown = client.get("/api/v1/models").json()
    assert shown["promotions"][0] == {name: row[name] for name in shown["promotions"][0]} and len(shown["promotions"]) == len(history(home)) + 1
    assert "links from likeness 0.6 on" in shown["policy"] and "champions" in shown and "policy" not in shown["champions"]
    page = client.get("/models").text
    assert f"accept from {was} to 0.6" in page and "links from likeness 0.6 on" in page
    under = promotion.break_glass(home, proposed(home, set={"accept": 0.8}), actor="ann", reason="a test")
    told_plan = " ".join(typed(home, "plan").stdout.split())
    assert "another policy (accept from 0.6 to 0.8)" in told_plan and "policy: links from likeness 0.8 on, asks from" in told_plan
    (after,) = flow.run(settings.read(home.catalog.root))
    assert "promoted as " in client.get("/models").text and "links from likeness 0.8 on" in client.get("/models").text
    assert under and not [one for one in after.notices if "without a proposal" in one], "what was promoted is no edit"


def edited(home: Home, **policy: Any) -> Catalog:
    """The settings after somebody edited the policy in their file."""
    file = home.catalog.root / settings.FILE_NAME
    told = yaml.safe_load(file.read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump({**told, "policy": {**told.get("policy", {}), **policy}}), encoding="utf-8")
    return settings.read(home.catalog.root)


def test_what_decided_is_told_whenever_the_settings_were_read(home: Home) -> None:
    client, was = TestClient(make_app(home, SampleGate()), base_url="http://localhost"), home.catalog.policy.accept
    catalog = edited(home, accept=0.6)
    ((offer_id,),) = home.connect().execute("SELECT min(offer_id) FROM offers").fetchall()
    told = " ".join(typed(home, "explain", str(offer_id)).stdout.split())
    assert f"(as the settings say, and edited since): links from likeness {was:g} on" in told, "no run has decided by the edited one"
    assert at_snapshot(Home(catalog)).policy.accept == was
    flow.run(catalog)
    assert client.get("/api/v1/thresholds").json()["accept"] == 0.6, "the server had read the file before"
    done = client.post("/api/v1/thresholds/propose", json={"accept": 0.7, "reason": "too many are wrong"})
    assert done.status_code == 200 and "more offers to a person" in done.json()["words"]
    assert proposals.proposal(home, done.json()["number"])["change"] == "policy.accept 0.6 becomes 0.7"


def test_a_deed_over_the_api_says_what_was_done(home: Home, replay: Replay) -> None:
    client = TestClient(make_app(home, SampleGate()), base_url="http://localhost")

    def told(deed: str, **given: Any) -> str:
        done = client.post(f"/api/v1/{deed}", json={"reason": "as agreed.", **given}).json()
        return str(done["words"] if "words" in done else done["error"]["message"])

    was = home.catalog.policy.accept
    assert f"links are made from {was:g} on already" in told("thresholds/propose", accept=was) and not proposals.all_proposals(home)
    assert told("thresholds/propose", accept=0.9).endswith("because as agreed.")
    assert told("proposals/1/accept") == "accepted by sam: as agreed."
    assert told("proposals/1/reject") == "rejected by sam: as agreed."
    assert told("switches", scope="*", automation=False) == "automation is off for * from the next run on"
    reported = typed(home, "report", "one:x1", "two:x1", "--expect", "same", "--json")
    assert reported.exit_code == 0, repr(reported.exception)
    assert json.loads(reported.stdout)["source"] == "command"


def test_what_is_known_is_trained_as_the_next_step_says(home: Home) -> None:
    wrong = typed(home, "promote", "0" * 12, "--break-glass", "--kind", "infer", "--reason", "a test").exception
    assert isinstance(wrong, BadInput) and "`endcap train --what known`" in wrong.sentence()
    tried = typed(home, "train", "--what", "known").exception
    assert isinstance(tried, BadInput) and "nothing is called" not in tried.sentence()


def test_the_commands(home: Home) -> None:
    about = ("--kind", "threshold", "--hypothesis", HYPOTHESIS, "--change", "link from .9 on")
    made = typed(home, "propose", *about, "--set", "accept=0.9", "--by", "ann", "--json")
    assert made.exit_code == 0 and json.loads(made.stdout)["details"]["set"] == {"accept": 0.9}
    wrong = typed(home, "propose", "--kind", "threshold", "--hypothesis", "better").exception
    assert isinstance(wrong, BadInput) and "4 mistakes in the proposal" in wrong.sentence()
    assert typed(home, "proposals", "accept", "1", "--by", "ben").exit_code == 0
    listed = json.loads(typed(home, "proposals", "list", "--json").stdout)["proposals"]
    assert [(row["proposal_id"], row["state"], row["approver"]) for row in listed] == [(1, "accepted", "ben")]
    assert "is accepted" in str(typed(home, "promote", "1").exception)
    shown = typed(home, "proposals", "show", "1").stdout
    assert yaml.safe_load(shown.split("---")[1])["set"] == {"accept": 0.9} and "accepted by ben" in shown
    assert typed(home, "proposals", "withdraw", "1").exit_code == 0
    assert "cannot become rejected" in str(typed(home, "proposals", "reject", "1", "--reason", "no").exception)
    assert typed(home, "proposals", "confirm").stdout.strip() == "nothing is due"
    assert "no postmortem" in typed(home, "postmortem").stdout
    assert json.loads(typed(home, "model", "history", "--json").stdout)["promotions"][0]["kind"] == "match"


@pytest.mark.parametrize("action", ["promote", "canary"])
def test_a_breach_takes_its_cause_out_of_force_and_opens_the_postmortem(home: Home, replay: Replay, monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    first, number = home.champion("match"), validated(home, **of_model(home))
    entry = promotion.promote(home, number, actor="ann", stage=action, scope="feed:one" if action == "canary" else None)
    found = [Breach("match", entry["model_id"], action, entry["promotion_id"], "audits", "fewer right than promised", {})]
    monkeypatch.setattr(promotion, "check", lambda _home: found.pop() if found else None)
    breach = promotion.watch(home)
    assert breach is not None and promotion.watch(home) is None
    assert home.champion("match") == first and home.on_trial("match") is None and proposals.proposal(home, number)["state"] == "rolled_back"
    (row,) = postmortems.all_postmortems(home)
    assert (row["cause"], row["proposal_id"], row["details"]["words"]) == ("guard_rail", number, "fewer right than promised")
    assert history(home)[0]["actor"] == "endcap"
