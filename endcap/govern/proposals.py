"""Proposals from a hypothesis to its confirmation: each is a row and a file, each step is sealed in the audit in the transaction that makes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select, update

from endcap.decide import in_force
from endcap.decide.policy import policy_id
from endcap.govern import evidence
from endcap.govern.proposal_files import GIVEN_BY, Head, as_text, name_of, path_of, read_text
from endcap.govern.written import read_written
from endcap.infer.taxonomy import read_taxonomy
from endcap.lake.tables import write_synced
from endcap.learn.promote import check_readable
from endcap.ops import audit
from endcap.ops.access import owner_of
from endcap.ops.database import now, writing
from endcap.ops.home import Home
from endcap.ops.names import POLICY, check_person, person
from endcap.ops.tables import PROPOSAL_EVENTS, PROPOSALS
from endcap.problems import BadInput

_OPEN = ("rejected", "withdrawn", "superseded")
# What may follow a state.
NEXT: dict[str, tuple[str, ...]] = {
    "draft": ("proposed", *_OPEN),
    "proposed": ("accepted", *_OPEN),
    "accepted": ("validated", *_OPEN),
    "validated": ("validated", "shadow", "canary", "promoted", *_OPEN),
    "shadow": ("validated", "shadow", "canary", "promoted", *_OPEN),
    "canary": ("validated", "canary", "promoted", "rolled_back", *_OPEN),
    "promoted": ("promoted", "confirmed", "failed", "rolled_back", "superseded"),
    "confirmed": ("rolled_back", "superseded"),
    "failed": ("rolled_back", "superseded"),
    "rolled_back": (), "rejected": (), "withdrawn": (), "superseded": (),
}  # fmt: skip
STATES = tuple(NEXT)
RUNNING = ("shadow", "canary")
EDITABLE = ("draft", "proposed")


def propose(home: Home, head: Head, *, actor: str, body: str = "", automatic: bool = False, draft: bool = False) -> dict[str, Any]:
    """Write down a proposal: its row, its first step and its file. Raises BadInput where what it would put in force cannot be."""
    if not automatic:
        check_person(actor)
        check_person(head.owner, where="owner", todo="name the person whose proposal it is, or leave it out")
    artefact = _artefact(home, head)
    given = {**head.model_dump(exclude_none=True), "owner": head.owner or actor}
    text = as_text(given, body)
    with writing(home.engine) as connection:
        key = connection.execute(insert(PROPOSALS).values(_row(given, head, artefact, text, automatic))).inserted_primary_key
        proposal_id = int(key[0]) if key else 0
        name = name_of(proposal_id, head.title)
        details = {**_details(head), "file": name}
        connection.execute(update(PROPOSALS).values(details_json=json.dumps(details, sort_keys=True)).where(PROPOSALS.c.proposal_id == proposal_id))
        state = "draft" if draft else "proposed"
        _seal(connection, proposal_id, state, actor, "", {"text": evidence.hash_of(text), "artefact": artefact, "artefact_kind": head.puts_in_force})
        connection.execute(update(PROPOSALS).values(state=state).where(PROPOSALS.c.proposal_id == proposal_id))
        write_synced(path_of(home.catalog.root, name), text.encode())
    if automatic and head.kind in home.catalog.govern.accept_automatic:
        return _accept(home, proposal_id, actor=POLICY, reason="govern.accept_automatic")
    return proposal(home, proposal_id)


def propose_file(home: Home, file: Path, *, actor: str) -> dict[str, Any]:
    """As `propose`, from a person's file. Raises BadInput where it is missing or no proposal, and BadSettings with all its mistakes."""
    text = read_written(file, "the proposal")
    head = read_text(text, where=str(file))
    return propose(home, head, actor=actor, body=text.replace("\r\n", "\n").split("\n---", 1)[1].lstrip("-").strip())


def all_proposals(home: Home) -> list[dict[str, Any]]:
    """Every proposal, the newest first, with its details opened."""
    with home.engine.connect() as connection:
        return [_opened(row) for row in connection.execute(select(PROPOSALS).order_by(PROPOSALS.c.proposal_id.desc())).mappings()]


def proposal(home: Home, proposal_id: int) -> dict[str, Any]:
    """One proposal with its steps. Raises BadInput where there is none of that number."""
    with home.engine.connect() as connection:
        return {**_one(connection, proposal_id), "steps": evidence.told_steps(connection, proposal_id)}


def accept(home: Home, proposal_id: int, *, actor: str, reason: str = "") -> dict[str, Any]:
    """Agree to a proposal as its file says it now; from here on an edit of it is noticed and refused.

    Raises BadInput in another state than proposed, where the file is gone or has mistakes, or where the owner may not accept it.
    """
    check_person(actor)
    return _accept(home, proposal_id, actor=actor, reason=reason)


def _accept(home: Home, proposal_id: int, *, actor: str, reason: str) -> dict[str, Any]:
    row = _taken_from_file(home, proposal(home, proposal_id), actor)
    if row["kind"] in home.catalog.govern.second_person and people(home, [actor]) & behind(home, row, row["steps"]):
        raise BadInput(
            f"proposal {proposal_id} is {actor}'s own", where="govern.second_person", todo=f"let another person accept it: a {row['kind']} takes two people"
        )
    sealed = {"text": evidence.hash_of(row["text"]), "artefact": row["artefact"], "artefact_kind": row["artefact_kind"]}
    return step(home, proposal_id, "accepted", actor=actor, reason=reason, details=sealed, approver=actor, decided_at=now())


def reject(home: Home, proposal_id: int, *, actor: str, reason: str) -> dict[str, Any]:
    """Say no. Raises BadInput once it is in production: that takes a rollback."""
    check_person(actor)
    return step(home, proposal_id, "rejected", actor=actor, reason=reason, decided_at=now())


def withdraw(home: Home, proposal_id: int, *, actor: str, reason: str = "") -> dict[str, Any]:
    """Take it back. Raises BadInput once it is in production."""
    check_person(actor)
    return step(home, proposal_id, "withdrawn", actor=actor, reason=reason)


def validate(home: Home, proposal_id: int, *, actor: str, seed: int | None = None) -> dict[str, Any]:
    """Replay an accepted proposal's artefact on audited decisions, as many as its plan asks for, and keep the verdict with hashes of all it rests on.

    Raises BadInput where it was not accepted, or its file or artefact changed since.
    """
    from endcap.learn.planned import EVERYWHERE, Plan
    from endcap.learn.validate import validate as replay

    check_person(actor)
    row = proposal(home, proposal_id)
    _check_next(row, "validated")
    check_unedited(home, row)
    row = put_on_top(home, row, actor=actor)
    kind, artefact = str(row["artefact_kind"]), str(row["artefact"])
    check_readable(home, kind, artefact)
    told = row["details"]
    plan = Plan(str(row["metric"]), float(told["smallest_effect"]), tuple(told["guard_rails"]), str(row["scope"] or EVERYWHERE), int(told["needed"]))
    found = replay(home, kind, artefact, seed=home.catalog.matching.seed if seed is None else seed, plan=plan)
    sealed = {
        "artefact_kind": kind, "artefact": artefact, "files": evidence.hash_of_files(home.model_folder(artefact)), "trial": found.trial_id,
        "trial_hash": evidence.hash_of_trial(home, found.trial_id), "verdict": found.verdict, "data_version": found.data_version,
        "text": evidence.hash_of(row["text"]), "policy": policy_id(in_force.at_snapshot(home).policy),
        "model": home.manifest().models.get("match", ""),
    }  # fmt: skip
    done = step(home, proposal_id, "validated", actor=actor, reason="", details=sealed, trial_id=found.trial_id, verdict=str(found.verdict))
    return {**done, "validation": found.to_json()}


def step(
    home: Home, proposal_id: int, state: str, *, actor: str, reason: str = "", details: dict[str, Any] | None = None, connection: Connection | None = None,
    past_gate: bool = False, **values: object,
) -> dict[str, Any]:  # fmt: skip
    """Bring a proposal into a state, with its step and its line of the audit in one transaction. Raises BadInput where that may not follow.

    `past_gate` is an emergency's: any state may then follow.
    """
    if connection is None:
        with writing(home.engine) as connection:
            step(home, proposal_id, state, actor=actor, reason=reason, details=details, connection=connection, past_gate=past_gate, **values)
        return proposal(home, proposal_id)
    if not past_gate:
        _check_next(_one(connection, proposal_id), state)
    connection.execute(update(PROPOSALS).values(state=state, **values).where(PROPOSALS.c.proposal_id == proposal_id))
    _seal(connection, proposal_id, state, actor, reason, details or {})
    return {}


def note(connection: Connection, row: dict[str, Any], actor: str, reason: str, details: dict[str, Any]) -> None:
    """A step that leaves the state as it is, e.g. that a person overrules a verdict."""
    _seal(connection, row["proposal_id"], row["state"], actor, reason, {**details, "note": True})


def behind(home: Home, row: dict[str, Any], steps: list[dict[str, Any]]) -> set[str]:
    """Whose own a proposal is, as `people` tells them: its owner's, and whoever's wrote it down, who may have named another owner in its file."""
    return people(home, [row["owner"], *(one["actor"] for one in steps[:1])])


def people(home: Home, names: Iterable[object]) -> set[str]:
    """The persons behind some names, each as `person` writes it: what a program does under a token is done by its user."""
    with home.engine.connect() as connection:
        return {person(owner_of(connection, str(name))) for name in names}


def check_unedited(home: Home, row: dict[str, Any]) -> None:
    """Raise BadInput where a proposal's file says something else than was accepted."""
    with home.engine.connect() as connection:
        accepted = evidence.last_of(evidence.sealed_steps(connection, row["proposal_id"]), "accepted")
    name = row["details"].get("file", "")
    found = _text_of(home, name)
    if accepted is None or found is None or evidence.hash_of(found) != accepted["text"] or evidence.hash_of(row["text"]) != accepted["text"]:
        what = "is gone" if found is None else "was edited after it was accepted"
        raise BadInput(f"proposal {row['proposal_id']} {what}", where=f"proposals/{name}", todo="put its text back, or withdraw it and propose anew")


def supersede(home: Home, artefact_kind: str, *, by: int, actor: str, connection: Connection, automatic_only: bool) -> None:
    """End the other proposals for a kind of artefact: endcap's own open ones when a better one came, all in production when another takes its place."""
    rows = connection.execute(select(PROPOSALS).where(PROPOSALS.c.artefact_kind == artefact_kind, PROPOSALS.c.proposal_id != by)).mappings().all()
    states = ("draft", "proposed", "accepted", "validated") if automatic_only else ("promoted", "confirmed", "failed")
    for row in rows:
        if row["state"] in states and (row["automatic"] or not automatic_only):
            step(home, row["proposal_id"], "superseded", actor=actor, reason=f"proposal {by} took its place", connection=connection)


def after_days(days: int) -> str:
    """The ISO day so many days from now."""
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d")


def _artefact(home: Home, head: Head) -> str:
    kind = head.puts_in_force
    if GIVEN_BY[head.kind] == "artefact":
        check_readable(home, kind, str(head.artefact))
        return str(head.artefact)
    if head.kind == "taxonomy":
        path = home.catalog.root / str(head.file)
        read_taxonomy(path)
        return in_force.store(home, kind, {}, taxonomy=path.read_bytes())
    return in_force.store(home, kind, _on_top(home, kind, head.set or {}))


def _on_top(home: Home, kind: str, told: dict[str, Any]) -> dict[str, Any]:
    """Settings on top of those that were promoted before: promoting them must not take those back."""
    champion = home.champion(kind)
    before = in_force.said(home, kind, champion) if champion else {}
    if kind == "mapping":
        told = {feed: {**before.get(feed, {}), **fields} if isinstance(fields, dict) else fields for feed, fields in told.items()}
    return {**before, **told}


def is_on_top(home: Home, row: dict[str, Any]) -> bool:
    """Whether a proposal of settings leaves all others as they are in force now; of any other kind it is true."""
    if GIVEN_BY[row["kind"]] != "set":
        return True
    return in_force.said(home, row["artefact_kind"], row["artefact"]) == _on_top(home, row["artefact_kind"], row["details"]["set"])


def put_on_top(home: Home, row: dict[str, Any], *, actor: str) -> dict[str, Any]:
    """A proposal of settings on top of those that are in force now, where others came or went since it was written."""
    if is_on_top(home, row):
        return row
    artefact = in_force.store(home, row["artefact_kind"], _on_top(home, row["artefact_kind"], row["details"]["set"]))
    with writing(home.engine) as connection:
        connection.execute(update(PROPOSALS).values(artefact=artefact).where(PROPOSALS.c.proposal_id == row["proposal_id"]))
        note(connection, row, actor, "other settings came into force or went; they are as they are now", {"artefact": artefact})
    return proposal(home, row["proposal_id"])


def _row(given: dict[str, Any], head: Head, artefact: str, text: str, automatic: bool) -> dict[str, Any]:
    return {
        "state": "draft", "kind": head.kind, "owner": given["owner"], "automatic": automatic, "hypothesis": head.hypothesis.strip(), "scope": head.scope,
        "change": head.change, "artefact_kind": head.puts_in_force, "artefact": artefact, "metric": head.metric, "effect": head.effect[:120],
        "details_json": json.dumps(_details(head), sort_keys=True), "text": text, "created_at": now(),
    }  # fmt: skip


def _details(head: Head) -> dict[str, Any]:
    return {
        "title": head.title, "evidence": head.evidence, "smallest_effect": head.smallest_effect, "guard_rails": head.guard_rails, "plan": head.plan,
        "needed": head.needed, "rollback_trigger": head.rollback_trigger, "set": head.set,
    }  # fmt: skip


def _taken_from_file(home: Home, row: dict[str, Any], actor: str) -> dict[str, Any]:
    """The proposal as its file says it now, the row brought up to it by whoever gives the command. Raises BadInput where the file names another owner."""
    name, proposal_id = row["details"]["file"], row["proposal_id"]
    _check_next(row, "accepted")
    text = _text_of(home, name)
    if text is None:
        raise BadInput(f"the file of proposal {proposal_id} is gone", where=f"proposals/{name}", todo="put it back, or withdraw the proposal")
    if text == row["text"]:
        return row
    head = read_text(text, where=f"proposals/{name}")
    if head.owner not in ("", row["owner"]):
        todo = "set it back; another owner writes a proposal of their own"
        raise BadInput(f"proposal {proposal_id} is {row['owner']}'s: its file names {head.owner} as the owner", where=f"proposals/{name}", todo=todo)
    given = {**head.model_dump(exclude_none=True), "owner": row["owner"]}
    changed = _row(given, head, _artefact(home, head), text, row["automatic"])
    changed = {name: value for name, value in changed.items() if name not in ("state", "created_at")}
    changed["details_json"] = json.dumps({**_details(head), "file": name}, sort_keys=True)
    with writing(home.engine) as connection:
        connection.execute(update(PROPOSALS).values(changed).where(PROPOSALS.c.proposal_id == proposal_id))
        note(connection, row, actor, "its file was edited", {"text": evidence.hash_of(text), "artefact": changed["artefact"]})
    return proposal(home, proposal_id)


def _text_of(home: Home, name: str) -> str | None:
    """The text of a proposal's file; None where it is gone. Raises BadInput where it is no text in UTF-8."""
    path = path_of(home.catalog.root, name)
    return read_written(path, "the proposal", where=f"proposals/{name}") if name and path.is_file() else None


def _check_next(row: dict[str, Any], state: str) -> None:
    if state not in NEXT[row["state"]]:
        can = ", ".join(_led_to(one, row["proposal_id"]) for one in NEXT[row["state"]] if one not in _OPEN) or "nothing: it has ended"
        raise BadInput(f"proposal {row['proposal_id']} is {row['state']} and cannot become {state}", where="proposals", todo=f"what can follow is {can}")


def _led_to(state: str, proposal_id: int) -> str:
    """A state that can follow, with the command that leads to it where it is one's own to give."""
    command = {"accepted": "proposals accept", "validated": "validate", "promoted": "promote"}.get(state)
    return f"{state} (`endcap {command} {proposal_id}`)" if command else state


def _one(connection: Connection, proposal_id: int) -> dict[str, Any]:
    row = connection.execute(select(PROPOSALS).where(PROPOSALS.c.proposal_id == proposal_id)).mappings().first()
    if row is None:
        raise BadInput(f"there is no proposal {proposal_id}", where="proposals", todo="see `endcap proposals list`")
    return _opened(row)


def _opened(row: Any) -> dict[str, Any]:
    return {**{name: value for name, value in row.items() if name != "details_json"}, "details": json.loads(row["details_json"])}


def _seal(connection: Connection, proposal_id: int, state: str, actor: str, reason: str, details: dict[str, Any]) -> None:
    row = {"proposal_id": proposal_id, "state": state, "actor": actor, "reason": reason, "details_json": json.dumps(details, sort_keys=True), "at": now()}
    connection.execute(insert(PROPOSAL_EVENTS).values(row))
    audit.record(connection, actor, evidence.VERB, str(proposal_id), {**details, "state": state, "reason": reason})
