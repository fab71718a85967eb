"""What a person said instead: append-only, one durable transaction each; an undo is one more row."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import insert, select

from endcap.ops.database import now
from endcap.ops.home import Home
from endcap.ops.tables import OVERRIDES
from endcap.problems import BadInput
from endcap.review.queue import ReviewItem

ACTIONS = ("same", "different", "other", "new", "skip")


@dataclass(frozen=True, slots=True)
class Override:
    """One stored answer."""

    override_id: int
    offer_id: str
    action: str
    product_id: str | None
    undoes: int | None


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
    with home.engine.connect() as connection:
        row = connection.execute(select(OVERRIDES).where(OVERRIDES.c.override_id == override_id)).mappings().first()
        done = connection.execute(select(OVERRIDES.c.override_id).where(OVERRIDES.c.undoes == override_id)).first()
    if row is None or row["action"] == "undo" or done is not None:
        raise BadInput(f"override {override_id} cannot be undone: it is {'undone already' if done else 'not there'}", where="review", todo="see the history")
    return store(
        home, offer_id=row["offer_id"], action="undo", product_id=row["product_id"], counterpart_offer_id=row["counterpart_offer_id"],
        actor=actor, reason_code="", note="", undoes=override_id, identity_hash=row["identity_hash"],
    )  # fmt: skip


def last_undoable(home: Home, *, actor: str) -> int | None:
    """The newest answer of a person that is not undone."""
    undone = select(OVERRIDES.c.undoes).where(OVERRIDES.c.undoes.is_not(None))
    newest = (
        select(OVERRIDES.c.override_id)
        .where(OVERRIDES.c.actor == actor, OVERRIDES.c.action != "undo", OVERRIDES.c.override_id.not_in(undone))
        .order_by(OVERRIDES.c.override_id.desc())
        .limit(1)
    )
    with home.engine.connect() as connection:
        return connection.execute(newest).scalar()


def store(home: Home, **row: object) -> Override:
    """Append one row of OVERRIDES (its columns but team, snapshot and time) in a transaction of its own."""
    snapshot = home.snapshot()
    values = {**row, "team": home.catalog.team, "snapshot_id": snapshot["snapshot_id"] if snapshot else "", "at": now()}
    with home.engine.begin() as connection:
        key = connection.execute(insert(OVERRIDES).values(values)).inserted_primary_key
    return Override(int(key[0]) if key else 0, str(row["offer_id"]), str(row["action"]), values["product_id"], values["undoes"])  # type: ignore[arg-type]
