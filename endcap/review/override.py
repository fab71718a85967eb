"""What a person said instead: append-only, one durable transaction each; an undo is one more row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, String, and_, cast, insert, literal, or_, select, true

from endcap.decide.answers import contrary, outweighs
from endcap.ops import access, audit, webhooks
from endcap.ops.database import now, writing
from endcap.ops.home import Home
from endcap.ops.tables import OVERRIDES
from endcap.problems import BadInput
from endcap.review.queue import ReviewItem
from endcap.review.quota import check_allowed
from endcap.review.said import Standing, said_since
from endcap.review.together import check_given
from endcap.settings import Catalog

PLACED = ("same", "different", "other", "new")
# Put off, or left to a lead: no answers.
SKIP, ESCALATE = "skip", "escalate"
ACTIONS = (*PLACED, SKIP, ESCALATE)
# What an answer may give as its reason. Others are ours: that one was drawn at random is not for the sender to say.
REASONS = ("pack", "size", "colour", "model", "bundle", "condition", "region", "brand", "category", "insufficient", "seller_data")
# Why an answer about a value was taken back, and why one holds again: ours too, so that `undo_last` knows both.
SUPPLIERS, RESTORED = "suppliers", "restored"
# The answers of each desk.
_ABOUT: dict[str, ColumnElement[bool]] = {
    "": true(), "offers": OVERRIDES.c.field.is_(None), "category": OVERRIDES.c.field == "category", "value": OVERRIDES.c.field != "category",
}  # fmt: skip
# What makes an answer under a key the one that was sent before.
SENT = ("offer_id", "action", "product_id", "counterpart_offer_id", "reason_code", "note")
# What others are told of an answer: neither who gave it nor what they noted.
TOLD = ("action", "offer_id", "product_id", "counterpart_offer_id", "field", "value", "reason_code", "undoes", "group_id")


@dataclass(frozen=True, slots=True)
class Override:
    """One stored answer."""

    override_id: int
    offer_id: str
    action: str
    product_id: str | None
    undoes: int | None
    field: str | None = None


def answer(
    home: Home, item: ReviewItem, action: str, *, actor: str, candidate: int = 1, reason_code: str = "", note: str = "",
) -> Override:  # fmt: skip
    """Store a person's answer to an item; it is durable when this returns.

    same: the offer is the proposed product; different: it is not; other: it is candidate number `candidate` (from 1); new: it is a
    product of its own; skip: ask me later. Raises BadInput for another action or a candidate that is not there.
    """
    if action not in ACTIONS:
        raise BadInput(f"there is no answer {action!r}", where="review", todo=f"use {', '.join(ACTIONS)}")
    chosen = None
    if action in ("other", "same", "different"):
        number = candidate if action == "other" else 1
        if not 1 <= number <= len(item.candidates):
            raise BadInput(f"there is no candidate {number} for {item.offer_id}", where="review", todo=f"choose 1 to {len(item.candidates)}, or `new`")
        chosen = item.candidates[number - 1]
    product_id = chosen.product_id if chosen else item.proposed_product_id
    counterpart = chosen.counterpart_offer_id if chosen else next((one.counterpart_offer_id for one in item.candidates), None)
    return store(
        home, offer_id=item.offer_id, action=action, product_id=product_id, counterpart_offer_id=counterpart,
        actor=actor, reason_code=reason_code, note=note, undoes=None, identity_hash=item.identity_hash,
    )  # fmt: skip


def undo(home: Home, override_id: int, *, actor: str) -> Override:
    """Take an answer back; the log keeps both. Raises BadInput when there is nothing to undo."""
    snapshot = home.snapshot()
    with writing(home.engine) as connection:
        row = connection.execute(select(OVERRIDES).where(OVERRIDES.c.override_id == override_id)).mappings().first()
        done = connection.execute(select(OVERRIDES.c.override_id).where(OVERRIDES.c.undoes == override_id)).first()
        if row is None or row["action"] == "undo" or done is not None:
            raise BadInput(
                f"override {override_id} cannot be undone: it is {'undone already' if done else 'not there'}", where="review", todo="see the history"
            )
        return append(connection, home.catalog, str(snapshot["snapshot_id"]) if snapshot else "", _undoing(row, actor))


def not_undone() -> ColumnElement[bool]:
    """The condition that an answer was not taken back."""
    return OVERRIDES.c.override_id.not_in(select(OVERRIDES.c.undoes).where(OVERRIDES.c.undoes.is_not(None)))


def last_undoable(home: Home, *, actor: str) -> int | None:
    """The newest answer of a person that is not undone."""
    newest = (
        select(OVERRIDES.c.override_id)
        .where(OVERRIDES.c.actor == actor, OVERRIDES.c.action != "undo", not_undone())
        .order_by(OVERRIDES.c.override_id.desc())
        .limit(1)
    )
    with home.engine.connect() as connection:
        return connection.execute(newest).scalar()


def store(home: Home, **row: object) -> Override:
    """Append one row of OVERRIDES (its columns but team, snapshot and time) in a transaction of its own."""
    check_allowed(home, str(row["actor"]), [row])
    snapshot = home.snapshot()
    with writing(home.engine) as connection:
        return append(connection, home.catalog, str(snapshot["snapshot_id"]) if snapshot else "", row)


@dataclass(frozen=True, slots=True)
class Given:
    """A person's answer to what they were shown, as it comes from a page or a program.

    `key` is the client's own and makes sending twice harmless; `over` names the answer of another person that this one knowingly overrules.
    """

    key: str
    offer_id: str
    action: str
    product_id: str | None
    counterpart_offer_id: str | None
    identity_hash: int
    evidence: str
    model: str | None = None
    reason_code: str = ""
    note: str = ""
    seconds: float | None = None
    group_id: str | None = None
    over: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one answer.

    stored, repeated (it was there already), conflict (another person's stands), outweighed (one whose word counts more said otherwise), gone (the
    offer is no longer there) or reused (the key is another's).
    """

    key: str
    state: str
    override_id: int | None
    action: str
    actor: str


def give(
    home: Home, answers: Sequence[Given], *, actor: str, role: str | None = None, roles: Mapping[str, str] | None = None,
    now_are: Mapping[str, int] | None = None,
) -> list[Outcome]:  # fmt: skip
    """Store answers in one durable transaction; one that meets another person's standing answer is not stored but says so.

    `role` is the person's, and `roles` the one for each offer where that is not one for all; one of a lesser role does not say the contrary of what one
    of a higher role said of the same offer as it is now: `now_are` gives the identities of offers, so that an answer to an earlier version of one frees
    nobody of that.

    Raises BadInput for an unknown action, an answer without the product it is about, one that joins another's group or overrules an answer to something
    else, or more answers than one person may give, and then stores none.
    """
    check_answers(home, answers, actor)
    snapshot = home.snapshot()
    snapshot_id = str(snapshot["snapshot_id"]) if snapshot else ""
    taken_in = home.manifest(snapshot_id).override_sequence if snapshot else 0
    with writing(home.engine) as connection:
        check_given(connection, answers, actor)
        return [_give(connection, home.catalog, one, (actor, (roles or {}).get(one.offer_id, role)), snapshot_id, taken_in, now_are or {}) for one in answers]


def check_answers(home: Home, answers: Sequence[Given], actor: str) -> None:
    """Raise BadInput where `give` would, but for what only its transaction sees."""
    for one in answers:
        if one.action not in ACTIONS:
            raise BadInput(f"there is no answer {one.action!r}", where="review", todo=f"use {', '.join(ACTIONS)}")
        if one.action in ("same", "other", "different") and not one.product_id:
            raise BadInput(f"{one.action} says nothing without a product", where=one.offer_id, todo="name the product that was shown")
    for group_id in dict.fromkeys(one.group_id for one in answers):
        check_allowed(home, actor, [asdict(one) for one in answers if one.group_id == group_id], group_id)


def _give(
    connection: Connection, catalog: Catalog, one: Given, by: tuple[str, str | None], snapshot_id: str, taken_in: int, now_are: Mapping[str, int]
) -> Outcome:
    actor, role = by
    known = connection.execute(select(OVERRIDES).where(OVERRIDES.c.key == one.key)).mappings().first()
    if known is not None:
        same = known["actor"] == actor and all(known[name] == getattr(one, name) for name in SENT)
        return Outcome(one.key, "repeated" if same else "reused", known["override_id"], known["action"], known["actor"])
    heavier = _heavier(connection, one, role, now_are.get(one.offer_id, one.identity_hash))
    if heavier is not None:
        return Outcome(one.key, "outweighed", heavier["override_id"], heavier["action"], heavier["actor"])
    standing = _standing(connection, one, actor, taken_in)
    if standing is not None and standing["override_id"] != one.over:
        return Outcome(one.key, "conflict", standing["override_id"], standing["action"], standing["actor"])
    row = {
        "offer_id": one.offer_id, "action": one.action, "product_id": one.product_id, "counterpart_offer_id": one.counterpart_offer_id, "actor": actor,
        "reason_code": one.reason_code, "note": one.note, "undoes": None, "identity_hash": one.identity_hash, "group_id": one.group_id,
        "evidence": one.evidence, "model": one.model, "seconds": one.seconds, "key": one.key, "role": role,
    }  # fmt: skip
    return Outcome(one.key, "stored", append(connection, catalog, snapshot_id, row).override_id, one.action, actor)


def _heavier(connection: Connection, one: Given, role: str | None, now_is: int) -> RowMapping | None:
    """The standing word of one of a higher role that this answer says the contrary of; None where nothing outweighs it."""
    told = asdict(one) | {"role": role, "identity_hash": now_is}
    return next((row for row in _said(connection, one) if outweighs(dict(row), told)), None)


def _standing(connection: Connection, one: Given, actor: str, taken_in: int) -> RowMapping | None:
    """The newest answer of another person on this offer that its sender may not have seen: since the last run, or before it to the contrary."""
    said = [row for row in _said(connection, one) if row["offer_id"] == one.offer_id]
    overruled = {row["override_id"] for place, row in enumerate(said) if any(contrary(dict(row), dict(later)) for later in said[place + 1 :])}
    unseen = (row for row in reversed(said) if row["override_id"] > taken_in or contrary(dict(row), asdict(one)))
    others = [row for row in unseen if row["actor"] != actor and row["override_id"] not in overruled]
    own = access.names_of(connection, actor) if others else set()  # what a person's program said they said themselves
    return next((row for row in others if row["actor"] not in own), None)


def _said(connection: Connection, one: Given) -> list[RowMapping]:
    """Standing answers on the offer, and on the same two from the other's side, in their order; none where this one places nothing."""
    if one.action not in PLACED:
        return []
    about = or_(OVERRIDES.c.offer_id == one.offer_id, and_(OVERRIDES.c.offer_id == one.counterpart_offer_id, OVERRIDES.c.counterpart_offer_id == one.offer_id))
    said = select(OVERRIDES).where(about, OVERRIDES.c.action.in_(PLACED), not_undone()).order_by(OVERRIDES.c.override_id)
    return list(connection.execute(said).mappings())


@dataclass(frozen=True, slots=True)
class Left:
    """An offer that was left to a lead: with whose words, and what it was compared with."""

    words: str
    product_id: str | None
    counterpart_offer_id: str | None


@dataclass(frozen=True, slots=True)
class Since:
    """What became of offers since the snapshot: answered, put off, or left to a lead, then or before."""

    answered: frozenset[str]
    put_off: frozenset[str]
    escalated: Mapping[str, Left]


def answered_since(home: Home, taken_in: int) -> Since:
    """What people said of offers after override `taken_in`, what was taken back left out; what is left to a lead stays so over runs until it is answered."""
    return _since(said_since(home, taken_in))


@lru_cache(maxsize=8)
def _since(said: Standing) -> Since:
    answered, put_off, escalated = set(), set(), {}
    for one in (*said.left, *said.answers):
        if one.field is not None or one.action not in ACTIONS:
            continue
        if one.action == ESCALATE:
            words = f"{one.actor} leaves this to a lead" + (f": {one.note}" if one.note else "")
            escalated[one.offer_id] = Left(words, one.product_id, one.counterpart_offer_id)
        elif one.action == SKIP:
            put_off.add(one.offer_id)
        else:
            answered.add(one.offer_id)
            escalated.pop(one.offer_id, None)
    return Since(frozenset(answered), frozenset(put_off - answered), escalated)


def given_by(home: Home, actor: str) -> list[dict[str, Any]]:
    """A person's own answers and undos in their order: action, seconds, undoes."""
    mine = select(OVERRIDES.c.action, OVERRIDES.c.seconds, OVERRIDES.c.undoes).where(OVERRIDES.c.actor == actor).order_by(OVERRIDES.c.override_id)
    with home.engine.connect() as connection:
        return [dict(row) for row in connection.execute(mine).mappings()]


def undo_last(
    home: Home, *, actor: str, offer_id: str | None = None, about: str = "", reach: Callable[[int], bool] | None = None, within: Connection | None = None
) -> list[Override]:
    """Take back the person's newest answer that holds, or the one on a named offer, and all that were given as one with it; none where none holds.

    `about` keeps to the answers of one desk: offers, category or value; without it, of all. `reach` tells of an answer whether it is still the person's
    to change; of others it is as if they were not there. Where that answer let the suppliers' word stand again, what it withdrew holds again, by this
    person. `within` is a writer's transaction that this is to be part of.
    """
    mine = select(OVERRIDES).where(OVERRIDES.c.actor == actor, _can_be_taken_back(), about_these(about))
    newest = mine if offer_id is None else mine.where(OVERRIDES.c.offer_id == offer_id, OVERRIDES.c.action.in_(ACTIONS))
    snapshot = home.snapshot()
    snapshot_id = str(snapshot["snapshot_id"]) if snapshot else ""
    with writing(home.engine) if within is None else nullcontext(within) as connection:
        said = connection.execute(newest.order_by(OVERRIDES.c.override_id.desc()).limit(1 if reach is None else None)).mappings()
        last = next((row for row in said if reach is None or reach(row["override_id"])), None)
        said.close()
        if last is None:
            return []
        group = [last] if last["group_id"] is None else connection.execute(mine.where(OVERRIDES.c.group_id == last["group_id"])).mappings().all()
        return [append(connection, home.catalog, snapshot_id, _restoring(connection, row, actor) or _undoing(row, actor)) for row in group]


def about_these(about: str) -> ColumnElement[bool]:
    """The condition that an answer is one of a desk's: offers, category or value; of any where none is named."""
    return _ABOUT[about]


def _can_be_taken_back() -> ColumnElement[bool]:
    """Standing answers that restore nothing, and those that let the suppliers' word stand where what they withdrew was not restored since."""
    again = OVERRIDES.alias()
    its_key = literal(f"{RESTORED} ").concat(cast(OVERRIDES.c.override_id, String))
    restored = select(again.c.override_id).where(again.c.reason_code == RESTORED, again.c.key == its_key)
    given = and_(OVERRIDES.c.action != "undo", OVERRIDES.c.reason_code != RESTORED, not_undone())
    return or_(given, and_(OVERRIDES.c.action == "undo", OVERRIDES.c.reason_code == SUPPLIERS, ~restored.exists()))


def _restoring(connection: Connection, row: RowMapping, actor: str) -> dict[str, Any] | None:
    """The word that this row withdrew for the suppliers', as this person's; None of any other row."""
    if row["action"] != "undo":
        return None
    was = connection.execute(select(OVERRIDES).where(OVERRIDES.c.override_id == row["undoes"])).mappings().one()
    names = ("offer_id", "product_id", "counterpart_offer_id", "identity_hash", "field", "value", "action", "role", "until", "said")
    kept = {name: was[name] for name in names}
    return {**kept, "actor": actor, "reason_code": RESTORED, "note": "", "undoes": None, "key": f"{RESTORED} {row['override_id']}"}


def _undoing(row: RowMapping, actor: str) -> dict[str, Any]:
    kept = {name: row[name] for name in ("offer_id", "product_id", "counterpart_offer_id", "identity_hash", "group_id", "field", "value")}
    return {**kept, "action": "undo", "actor": actor, "reason_code": "", "note": "", "undoes": row["override_id"]}


def append(connection: Connection, catalog: Catalog, snapshot_id: str, row: dict[str, Any]) -> Override:
    """Add one row of OVERRIDES within a writer's transaction, its line to the audit, and its event for whoever is told of it; the team is the person's."""
    team = access.team_of(connection, str(row["actor"])) or catalog.team
    key = connection.execute(insert(OVERRIDES).values({**row, "team": team, "snapshot_id": snapshot_id, "at": now()})).inserted_primary_key
    override_id = int(key[0]) if key else 0
    stored = connection.execute(select(OVERRIDES).where(OVERRIDES.c.override_id == override_id)).mappings().one()
    sealed = {"override": override_id, "product": row["product_id"], "undoes": row["undoes"], "answer": audit.content_of(stored)}
    audit.record(connection, row["actor"], row["action"], row["offer_id"], sealed)
    told = {name: row.get(name) for name in TOLD} | {"override": override_id, "team": team, "snapshot": snapshot_id}
    webhooks.note(connection, catalog, "override.stored", told)
    return Override(override_id, row["offer_id"], row["action"], row["product_id"], row["undoes"], row.get("field"))
