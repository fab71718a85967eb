"""The gate before production: nothing is promoted but an accepted proposal, validated on the very artefact that would decide.

What a proposal rests on (its text, the artefact's files, the trial) was hashed when it was judged and sealed in the audit; the gate computes it again.
A person may overrule a verdict, which is counted; breaking the glass passes everything and opens a postmortem.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from endcap.decide.in_force import in_force
from endcap.decide.policy import policy_id
from endcap.govern import evidence, postmortems
from endcap.govern.proposals import (
    RUNNING,
    after_days,
    all_proposals,
    behind,
    check_unedited,
    is_on_top,
    note,
    people,
    proposal,
    put_on_top,
    step,
    supersede,
)
from endcap.govern.switches import check_known, check_scope
from endcap.learn import promote as record_of
from endcap.learn.watch import Breach, check
from endcap.ops import audit
from endcap.ops.database import now, writing
from endcap.ops.home import Home
from endcap.ops.names import OWN, check_person, person
from endcap.ops.tables import REVIEWER_HOLDS
from endcap.problems import BadInput, Held

SHIP = "SHIP"
# What may be tried on the side without having proved itself: more evidence is what a shadow is for.
TRIABLE = {"shadow": ("SHIP", "HOLD"), "canary": ("SHIP",), "promote": ("SHIP",)}
# The kinds that a run computes beside the champion; of any other nothing would be computed.
ON_TRIAL = ("match",)
STATE = {"shadow": "shadow", "canary": "canary", "promote": "promoted"}


def promote(
    home: Home, named: int | str, *, actor: str, reason: str = "", stage: str = "promote", scope: str | None = None, overrule: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Put a proposal's artefact into production, or beside it as a shadow or a canary; the next run decides with it.

    `named` is a proposal's number or its artefact; `scope` is the canary's. Raises BadInput with what the gate found wrong, and Held where
    another person has to overrule the verdict as well.
    """
    check_person(actor)
    row = _named(home, named)
    _check(home, row)
    kind, artefact = str(row["artefact_kind"]), str(row["artefact"])
    _check_stage(home, row, stage, scope)
    champion = _champion(home, kind)
    if artefact == champion:
        raise BadInput(f"{artefact} is the champion already", where=stage, todo="see `endcap model history`")
    record_of.check_readable(home, kind, artefact)
    overruled = _overruled(home, row, stage, scope, actor=actor, reason=reason, overrule=overrule)
    before, stopped = _figures_now(home) if stage == "promote" else None, None
    with writing(home.engine) as connection:
        _check_same(home, kind, champion)
        if overruled:
            note(connection, row, actor, reason, overruled)
        if stage == "promote":
            stopped = _stop(home, connection, kind, actor, f"proposal {row['proposal_id']} is promoted")
            _stand_down(home, connection, stopped, besides=row["proposal_id"])
            supersede(home, kind, by=row["proposal_id"], actor=actor, connection=connection, automatic_only=False)
        else:
            beside = home.on_trial(kind)
            if beside is not None and beside["proposal_id"] != row["proposal_id"]:
                stopped = _stop(home, connection, kind, actor, f"proposal {row['proposal_id']} takes its place")
                _stand_down(home, connection, stopped)
        entry = record_of.record(
            home, artefact, previous=champion, actor=actor, reason=reason or str(row["hypothesis"]), data_version=_snapshot_id(home), action=stage, kind=kind,
            scope=scope, proposal_id=row["proposal_id"], connection=connection,
        )  # fmt: skip
        values = _promoted(home) if stage == "promote" else {}
        details = {"artefact": artefact, "scope": scope, "promotion": entry["promotion_id"], "before": before}
        step(home, row["proposal_id"], STATE[stage], actor=actor, reason=reason, details=details, connection=connection, **values)
    return {**entry, "stopped": stopped if stopped is not None and stopped["proposal_id"] != row["proposal_id"] else None}


def break_glass(home: Home, named: int | str, *, actor: str, reason: str, kind: str = record_of.KIND) -> dict[str, Any]:
    """Promote past the gate, for an emergency: a readable artefact is all it asks for. Opens a postmortem with a day by which it is due.

    `named` is a proposal's number, whose state says so from then on, or an artefact.
    """
    check_person(actor)
    if not reason.strip():
        raise BadInput("breaking the glass needs a reason", where="--reason", todo="say what the emergency is")
    row = put_on_top(home, proposal(home, named), actor=actor) if isinstance(named, int) else None
    artefact = str(row["artefact"]) if row else str(named)
    kind = str(row["artefact_kind"]) if row else kind
    record_of.check_readable(home, kind, artefact)
    champion = _champion(home, kind)
    if artefact == champion:
        raise BadInput(f"{artefact} is the champion already", where="promote", todo="see `endcap model history`")
    number, before = row["proposal_id"] if row else None, _figures_now(home) if row else None
    with writing(home.engine) as connection:
        _check_same(home, kind, champion)
        _stand_down(home, connection, _stop(home, connection, kind, actor, "the glass was broken"), besides=number)
        entry = record_of.record(
            home, artefact, previous=champion, actor=actor, reason=f"break glass: {reason}", data_version=_snapshot_id(home), kind=kind, proposal_id=number,
            connection=connection,
        )  # fmt: skip
        if number is not None:
            supersede(home, kind, by=number, actor=actor, connection=connection, automatic_only=False)
            details = {"artefact": artefact, "scope": None, "promotion": entry["promotion_id"], "before": before, "past_gate": True}
            step(home, number, "promoted", actor=actor, reason=reason, details=details, past_gate=True, connection=connection, **_promoted(home))
        audit.record(connection, actor, "break_glass", artefact, {"kind": kind, "reason": reason, "promotion": entry["promotion_id"], "proposal": number})
        title = f"{actor} promoted the {kind} {artefact} past the gate"
        opened = postmortems.open_one(home, connection, title, cause="break_glass", owner=actor, entry=entry, words=reason)
    return {**entry, "postmortem": opened}


def rollback(home: Home, *, actor: str, reason: str, kind: str = record_of.KIND, cause: str = "rollback") -> dict[str, Any]:
    """Go back to what decided before, and at the next rollback to what decided before that; opens a postmortem.

    `cause` is 'guard_rail' where endcap does it by itself. Raises BadInput when there is nothing to go back to.
    """
    if cause == "rollback":
        check_person(actor)
    artefact = record_of.before(home, kind)
    champion = _champion(home, kind)
    record_of.check_readable(home, kind, artefact)
    last = next((row for row in record_of.history(home, kind) if row["action"] == "promote" and row["model_id"] == champion), None)
    with writing(home.engine) as connection:
        _check_same(home, kind, champion)
        _stand_down(home, connection, _stop(home, connection, kind, actor, reason))
        entry = record_of.record(
            home, artefact, previous=champion, actor=actor, reason=reason, data_version=_snapshot_id(home), action="rollback", kind=kind,
            proposal_id=last["proposal_id"] if last else None, connection=connection,
        )  # fmt: skip
        owner = _end_proposal(home, connection, entry, actor, reason)
        title = f"the {kind} {champion} was rolled back to {artefact}"
        opened = postmortems.open_one(home, connection, title, cause=cause, owner=owner or actor, entry=entry, words=reason, of=last)
    return {**entry, "postmortem": opened}


def stop(home: Home, *, actor: str, reason: str, kind: str = record_of.KIND, cause: str = "") -> dict[str, Any] | None:
    """End the shadow or canary of a kind; its proposal goes back to where it was validated, or with a `cause` is rolled back. None: there was none."""
    if not cause:
        check_person(actor)
    with writing(home.engine) as connection:
        entry = _stop(home, connection, kind, actor, reason)
        if entry is not None and cause:
            owner = _end_proposal(home, connection, entry, actor, reason)
            title = f"the {entry['of']} of the {kind} {entry['model_id']} was stopped"
            entry["postmortem"] = postmortems.open_one(home, connection, title, cause=cause, owner=owner or actor, entry=entry, words=reason, of=entry)
        else:
            _stand_down(home, connection, entry)
    return entry


def watch(home: Home) -> Breach | None:
    """Where what was promoted, or a canary, breaks what was promised: take it out of force at once and open the postmortem. None: all is well.

    The next run restores what was before.
    """
    breach = check(home)
    if breach is None:
        return None
    if breach.action in RUNNING:
        stop(home, actor=OWN, reason=breach.words, kind=breach.kind, cause="guard_rail")
    else:
        rollback(home, actor=OWN, reason=breach.words, kind=breach.kind, cause="guard_rail")
    return breach


# --- the gate -------------------------------------------------------------------------------------------------------


def _named(home: Home, named: int | str) -> dict[str, Any]:
    if isinstance(named, int) or named.isdecimal():
        return proposal(home, int(named))
    found = [row for row in all_proposals(home) if row["artefact"] == named]
    ready = [row for row in found if row["state"] in ("validated", *RUNNING)] or found
    if not ready:
        raise BadInput(
            f"no proposal speaks for {named[:80]!r}", where="promote", todo="write one with `endcap propose`; `endcap train` writes one for a better model"
        )
    return proposal(home, ready[0]["proposal_id"])


def _check(home: Home, row: dict[str, Any]) -> None:
    """Raise BadInput with the first thing that is not as it was judged."""
    number, where = row["proposal_id"], f"proposal {row['proposal_id']}"
    _check_state(row)
    whole = audit.verify(home.engine, home.path / audit.HEADS)
    if whole.broken is not None:
        raise BadInput(f"the audit is broken: {whole.words}", where="promote", todo="restore the database from a backup")
    with home.engine.connect() as connection:
        sealed, told = evidence.sealed_steps(connection, number), evidence.told_steps(connection, number)
    if [_without_time(one) for one in sealed] != [_without_time(one) for one in told] or sealed[-1]["state"] != row["state"]:
        raise BadInput("its steps are not those that were sealed in the audit", where=where, todo="propose it anew")
    accepted, validated = evidence.last_of(sealed, "accepted"), evidence.last_of(sealed, "validated")
    if accepted is None or validated is None:
        raise BadInput("it was never accepted and validated", where=where, todo=f"`endcap proposals accept {number}`, then `endcap validate {number}`")
    if row["kind"] in home.catalog.govern.second_person and people(home, [accepted["actor"]]) & behind(home, row, sealed):
        raise BadInput(f"{accepted['actor']} accepted a proposal of their own", where=where, todo="let another person accept it")
    check_unedited(home, row)
    _check_evidence(home, row, validated, where)


def _check_evidence(home: Home, row: dict[str, Any], validated: dict[str, Any], where: str) -> None:
    again = f"`endcap validate {row['proposal_id']}` again"
    for name, words in (("artefact", "artefact"), ("artefact_kind", "kind"), ("verdict", "verdict")):
        if row[name] != validated[name]:
            raise BadInput(f"it was validated on another {words}: {validated[name]}, not {row[name]}", where=where, todo=again)
    if evidence.hash_of_files(home.model_folder(str(row["artefact"]))) != validated["files"]:
        raise BadInput(f"the files of {row['artefact']} were altered after it was validated", where=where, todo="restore them, or " + again)
    if row["trial_id"] != validated["trial"] or evidence.hash_of_trial(home, str(row["trial_id"])) != validated["trial_hash"]:
        raise BadInput("the trial it rests on is not the one that was recorded", where=where, todo=again)
    held = [hold["person"] for hold in home.rows(REVIEWER_HOLDS).to_pylist() if hold["held"] and hold["at"] >= validated["at"]]
    if held:
        raise BadInput(f"the labels of {held[0]} were held back after it was validated", where=where, todo=again)
    if policy_id(in_force(home).policy) != validated["policy"]:
        raise BadInput("it was validated under another policy than decides now", where=where, todo=f"`endcap run`, then {again}")
    if not is_on_top(home, row):
        raise BadInput("other settings came into force or went since it was validated", where=where, todo=f"{again}, on top of them")
    _check_beside(home, row, validated, where)
    if home.catalog.govern.current_data and validated["data_version"] != _snapshot_id(home):
        raise BadInput(f"it was validated on {validated['data_version']}, which is not current", where="govern.current_data", todo=again)


def _check_beside(home: Home, row: dict[str, Any], validated: dict[str, Any], where: str) -> None:
    """Raise BadInput where it proved itself beside something else than it would take the place of, or as a policy on scores that no longer decide."""
    then, again = evidence.champion_of_trial(home, str(row["trial_id"])), f"`endcap validate {row['proposal_id']}` again"
    kind = str(row["artefact_kind"])
    champion, has_decided = record_of.deciding(home, kind)
    if then != champion:
        words = f"it was judged beside {then or 'the settings alone'}, and now {champion or 'the settings alone'} is in force"
        raise BadInput(words, where=where, todo=again if has_decided else f"`endcap run`, then {again}")
    model, has_scored = record_of.deciding(home, record_of.KIND)
    if kind == "policy" and validated.get("model", model) != model:
        words = f"it was judged on the scores of {validated['model']}, and now {model} scores"
        raise BadInput(words, where=where, todo=again if has_scored else f"`endcap run`, then {again}")


def _check_state(row: dict[str, Any]) -> None:
    if row["state"] in ("validated", *RUNNING):
        return
    number = row["proposal_id"]
    todo = {
        "draft": f"`endcap proposals accept {number}` first", "proposed": f"`endcap proposals accept {number}` first",
        "accepted": f"`endcap validate {number}` first", "promoted": "it is in production already",
    }  # fmt: skip
    raise BadInput(f"proposal {number} is {row['state']}", where="promote", todo=todo.get(row["state"], "write another one with `endcap propose`"))


def _check_stage(home: Home, row: dict[str, Any], stage: str, scope: str | None) -> None:
    """Raise BadInput where what is asked for cannot be: a canary in no scope, a scope without a canary, a kind that nothing computes on the side."""
    if stage != "promote" and row["artefact_kind"] not in ON_TRIAL:
        todo = f"only a matching model can; `endcap validate {row['proposal_id']}` shows what would change"
        raise BadInput(f"a {row['artefact_kind']} cannot run beside the champion", where=f"--{stage}", todo=todo)
    if stage == "canary":
        check_scope(scope or "", canary=True)
        check_known(home, scope or "")
    elif scope is not None:
        raise BadInput("only a canary has a scope", where=stage, todo="leave the scope out, or ask for a canary")


def _overruled(home: Home, row: dict[str, Any], stage: str, scope: str | None, *, actor: str, reason: str, overrule: bool) -> dict[str, Any]:
    """What is to be noted where a person passes a verdict that forbids it; empty where it does not.

    Raises BadInput where that may not be, or lacks a reason, and Held, the word of the first person kept, where the settings ask for two.
    """
    if row["verdict"] in TRIABLE[stage]:
        return {}
    number = row["proposal_id"]
    if not overrule:
        raise BadInput(f"the verdict on proposal {number} is {row['verdict']}", where=stage, todo="a person may pass it with --overrule and a --reason")
    if not reason.strip():
        raise BadInput("overruling a verdict needs a reason", where="--reason", todo="say what the verdict does not know")
    if row["verdict"] == "INVALID":
        raise BadInput(f"the verdict on proposal {number} is INVALID: nothing was measured that could be overruled", where=stage, todo="validate it again")
    told = {"overruled": row["verdict"], "trial": row["trial_id"], "stage": stage, "scope": scope}
    before, now_is = people(home, overruled_by(row["steps"], row["trial_id"], stage, scope)), people(home, [actor])
    if "overrule" in home.catalog.govern.second_person and not before - now_is:
        if not before:  # who says it again is one person
            with writing(home.engine) as connection:
                note(connection, row, actor, reason, told)
        raise Held(f"{actor} overrules the verdict; it takes two people", where="govern.second_person", todo="let another person give the same command")
    return {} if now_is & before else told


def overruled_by(steps: list[dict[str, Any]], trial_id: str | None, stage: str = "promote", scope: str | None = None) -> list[str]:
    """Who overruled the verdict of a trial for the same: a word for a canary is none for everything."""
    same = [step for step in steps if step.get("overruled") and (step.get("trial"), step.get("stage"), step.get("scope")) == (trial_id, stage, scope)]
    return sorted({person(step["actor"]) for step in same})


def _without_time(one: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name != "at"}


# --- what a promotion touches ---------------------------------------------------------------------------------------


def _champion(home: Home, kind: str) -> str | None:
    return home.champion(kind) or home.manifest().models.get(kind)


def _check_same(home: Home, kind: str, champion: str | None) -> None:
    """Within a writer's turn: raise BadInput where another took the champion's place since it was looked at, which was not what is to be replaced."""
    newest = _champion(home, kind)
    if newest != champion:
        raise BadInput(f"the {kind} {newest} came into force at the same moment", where="promote", todo="see `endcap model history`, then give it again")


def _snapshot_id(home: Home) -> str:
    snapshot = home.snapshot()
    return str(snapshot["snapshot_id"]) if snapshot else ""


def _promoted(home: Home) -> dict[str, Any]:
    """Columns of a proposal that goes into production now."""
    return {"promoted_at": now(), "confirm_on": after_days(home.catalog.govern.confirm_days)}


def _stop(home: Home, connection: Connection, kind: str, actor: str, reason: str) -> dict[str, Any] | None:
    beside = home.on_trial(kind)
    if beside is None:
        return None
    entry = record_of.record(
        home, beside["model_id"], previous=None, actor=actor, reason=reason, data_version=_snapshot_id(home), action="stop", kind=kind, scope=beside["scope"],
        proposal_id=beside["proposal_id"], connection=connection,
    )  # fmt: skip
    return {**entry, "of": beside["action"], "began": beside["at"]}


def _stand_down(home: Home, connection: Connection, entry: dict[str, Any] | None, *, besides: int | None = None) -> None:
    """The proposal of a shadow or canary that was stopped is validated as before, on the same evidence; `besides` is the one that goes on."""
    if entry is None or entry["proposal_id"] in (None, besides):
        return
    row = proposal(home, entry["proposal_id"])
    validated = evidence.last_of(row["steps"], "validated")
    if row["state"] not in RUNNING or validated is None:
        return
    told = {name: value for name, value in validated.items() if name not in ("state", "reason", "actor", "at", "stopped")}
    details = {**told, "stopped": row["state"]}
    step(home, row["proposal_id"], "validated", actor=entry["actor"], reason=entry["reason"], details=details, connection=connection)


def _end_proposal(home: Home, connection: Connection, entry: dict[str, Any], actor: str, reason: str) -> str | None:
    """Mark the proposal of what was taken out of production; out: its owner."""
    if entry["proposal_id"] is None:
        return None
    row = proposal(home, entry["proposal_id"])
    if row["state"] in ("promoted", "confirmed", "failed", "canary"):
        step(home, row["proposal_id"], "rolled_back", actor=actor, reason=reason, details={"to": entry["model_id"]}, connection=connection)
    elif row["state"] == "shadow":
        step(home, row["proposal_id"], "rejected", actor=actor, reason=reason, connection=connection)
    return str(row["owner"])


def _figures_now(home: Home) -> dict[str, Any]:
    from endcap.metrics import measure

    kept = ("value", "low", "high", "n", "version", "unit", "direction")
    with home.connect() as con:
        return {figure.name: {name: getattr(figure, name) for name in kept} for figure in measure(con)}
