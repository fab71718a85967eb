"""Blind questions: some of what a person is shown was answered already, by another or by a sure machine, and looks like all the rest.

One in twenty shown is drawn at random from what the machine decided (an audit, see review/audit.py); one in twenty is of a gold set, where
there is one, so that it is known how often the person errs; one in twenty single answers, and 3 in 100 of those given as one, are asked again
of somebody else. A second answer never changes what holds: where the two differ, the
offer goes to a lead with the words of both. How often people agree is told by Cohen's kappa (Cohen 1960, Educ. Psychol. Meas. 20:37).
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import Any

from sqlalchemy import Connection, RowMapping, func, or_, select, union_all, update

from endcap.decide.promised import AUDIT
from endcap.ops import audit
from endcap.ops.access import names_of
from endcap.ops.database import now, writing
from endcap.ops.home import Home
from endcap.ops.tables import BLIND_ASKS, OVERRIDES
from endcap.review.audit import Drawn, note_asked
from endcap.review.override import ACTIONS, ESCALATE, PLACED, SKIP, Given, Outcome, about_these, append, check_answers, not_undone
from endcap.review.said import Said, said_since
from endcap.review.shown import Linked
from endcap.review.together import check_given

SECOND, BATCH, GOLD = "second", "batch", "gold"
SHARE_AUDIT, SHARE_SECOND, SHARE_BATCH = 0.05, 0.05, 0.03
GOLD_COUNTED_BY = 10
NOTED = ("stratum", "probability", "run", "decided", "confidence")
AUDIT_SEED = 7  # of `endcap audit`, so that both take the next ones of one draw
# So many of the next links may have been spoken of since the snapshot without being asked about; a draw finds fewer where there are more.
MOST_SPOKEN_OF = 100
OPEN = BLIND_ASKS.c.action.is_(None)
# The audit's word for a second answer that was taken back, by the answer's key: its row is all that is left of it.
OPENED = "open_again"
Mine = Callable[[Sequence[str]], set[str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """An offer to be asked about blind, with the product that is shown first."""

    offer_id: str
    purpose: str
    override_id: int | None
    product_id: str | None
    counterpart_offer_id: str | None
    noted: Mapping[str, Any] = field(default_factory=dict)  # of an audit: from where and how likely it was drawn; of a gold item: its truth


@dataclass(frozen=True, slots=True)
class Draws:
    """From where blind questions come: the first so many decisions in the order of the draw, or more of them; what one is shown beside; gold pairs."""

    order: Callable[[int], Sequence[Drawn]]
    beside: Callable[[Drawn], Drawn | None]
    gold: Callable[[str, int], Sequence[tuple[str, str, str, bool]]]  # of a person, so many: (offer, product, counterpart, whether they are the same)
    now_are: Callable[[Sequence[str]], Mapping[str, int]]  # the identity of each live offer


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often a second person said the same as the first, of all double-asked items of a purpose; kappa is None below two kinds of answers."""

    purpose: str
    n: int
    agreed: int
    kappa: float | None


def to_ask(home: Home, draws: Draws, person: str, shown: int, taken_in: int, mine: Mine | None = None) -> list[Asked]:
    """What to mix into `shown` items for this person, and note that it was asked: what still lies open for them first.

    An audit waits while another's answer on its offer does, which it would only meet. `mine` leaves those of the offers that are within the person's
    reach. Whoever does not reach everything is asked no audits: drawn from a part
    of the catalog they would no longer be a random sample of it.
    """
    most = round(shown * SHARE_AUDIT)
    if not most:
        return []
    with home.engine.connect() as connection:
        open_now = connection.execute(select(BLIND_ASKS).where(BLIND_ASKS.c.asked_of == person, OPEN).order_by(BLIND_ASKS.c.ask_id)).mappings().all()
        asked = set(connection.execute(select(BLIND_ASKS.c.offer_id)).scalars())
        names = names_of(connection, person)  # what one of them said, or was asked, the same person did
        of_me = set(connection.execute(select(BLIND_ASKS.c.offer_id).where(BLIND_ASKS.c.asked_of.in_(names))).scalars())
        open_now = _standing(connection, open_now, draws)
    said = said_since(home, taken_in).answers
    answered = {one.offer_id for one in said if one.action in PLACED and one.field is None and one.actor not in names}
    open_now = [row for row in open_now if row["purpose"] != AUDIT or row["offer_id"] not in answered]
    seconds = _to_check(said, names, asked)
    if mine is not None:
        reached = mine([*(row["offer_id"] for row in open_now), *(one.offer_id for one in seconds)])
        open_now, seconds = [row for row in open_now if row["offer_id"] in reached], [one for one in seconds if one.offer_id in reached]
    kept = [_asked(row) for row in open_now][: 3 * most]
    audits = [] if mine is not None or any(one.purpose == AUDIT for one in kept) else _audits(home, draws, most, asked | answered)
    gold = [] if mine is not None or any(one.purpose == GOLD for one in kept) else _gold(draws, person, most, of_me)
    fresh = [*([] if any(one.purpose in (SECOND, BATCH) for one in kept) else seconds[:most]), *audits, *gold]
    if fresh:
        with writing(home.engine) as connection:  # what was asked of somebody meanwhile is not asked again
            asked = set(connection.execute(select(BLIND_ASKS.c.offer_id)).scalars())
            fresh = [one for one in fresh if one.offer_id not in asked or one.purpose == GOLD]
            if fresh:
                note_asked(connection, [_row(one, person) for one in fresh], person)
    return [*kept, *fresh]


def _standing(connection: Connection, rows: Sequence[RowMapping], draws: Draws) -> list[RowMapping]:
    """Open questions that can be answered still: both offers are there, and a first answer stands and was given to the offer as it is."""
    given = select(OVERRIDES.c.override_id, OVERRIDES.c.identity_hash).where(OVERRIDES.c.override_id.in_([row["override_id"] for row in rows]), not_undone())
    first = {row.override_id: row.identity_hash for row in connection.execute(given)}
    named = {row[name] for row in rows for name in ("offer_id", "counterpart_offer_id")} - {None}
    now_are = draws.now_are(sorted(named))
    there = [row for row in rows if {row["offer_id"], row["counterpart_offer_id"] or row["offer_id"]} <= now_are.keys()]
    return [row for row in there if row["override_id"] is None or first.get(row["override_id"]) == now_are[row["offer_id"]]]


def linked_of(asked: Sequence[Asked], nearest: Callable[[str], Sequence[tuple[str, str]]]) -> dict[str, Linked]:
    """Of what is asked blind what it compares, for `shown.look_at`, since a run may have decided it by now.

    `nearest` tells what else an offer that founded a product may be the same as.
    """
    found = {}
    for one in asked:
        if one.counterpart_offer_id is not None or one.purpose in (AUDIT, GOLD):
            founded = one.purpose == AUDIT and one.noted.get("decided") == "new_product"
            more = [(other, product) for other, product in nearest(one.offer_id) if product != one.product_id] if founded else []
            found[one.offer_id] = Linked(one.product_id, one.counterpart_offer_id, tuple(other for other, _product in more))
    return found


def asked_of(home: Home, person: str, offer_ids: Sequence[str]) -> list[Asked]:
    """What this person was asked blind about these offers, answered or not."""
    mine = select(BLIND_ASKS).where(BLIND_ASKS.c.asked_of == person, BLIND_ASKS.c.offer_id.in_(list(offer_ids))).order_by(BLIND_ASKS.c.ask_id)
    with home.engine.connect() as connection:
        return [_asked(row) for row in connection.execute(mine).mappings()]


def mixed(offer_ids: Sequence[str], blind: Sequence[str]) -> list[str]:
    """Both in one order in which the blind ones stand at places that a hash of them says."""
    found = list(offer_ids)
    for one in sorted(blind):
        found.insert(_hash(one) % (len(found) + 1), one)
    return found


def give_blind(home: Home, given: Sequence[Given], actor: str) -> tuple[list[Given], list[Outcome]]:
    """(what is to be stored as an answer, outcomes of what was stored here): audits are marked as such, second answers are kept beside the first.

    Raises BadInput, before anything is stored, for what `give` would refuse.
    """
    offers = [one.offer_id for one in given]
    mine = select(BLIND_ASKS).where(BLIND_ASKS.c.asked_of == actor, BLIND_ASKS.c.offer_id.in_(offers)).order_by(BLIND_ASKS.c.ask_id)
    with home.engine.connect() as connection:
        seconds = {row["offer_id"] for row in connection.execute(mine).mappings() if row["purpose"] != AUDIT}
        if not seconds and connection.execute(mine.limit(1)).first() is None:
            return list(given), []
        check_given(connection, given, actor)
    check_answers(home, [one for one in given if one.offer_id not in seconds], actor)
    rest, outcomes = [], []
    with writing(home.engine) as connection:
        asked = {row["offer_id"]: row for row in connection.execute(mine).mappings()}
        for one in given:
            row = asked.get(one.offer_id)
            used = None if row is None else _used_elsewhere(connection, one)
            if used is not None:
                outcomes.append(Outcome(one.key, "reused", None, used, actor))
                continue
            outcome = _second(connection, home, one, row, actor) if row is not None and row["purpose"] != AUDIT else None
            if outcome is not None:
                outcomes.append(outcome)
                continue
            rest.append(_as_audit(one) if row is not None and row["purpose"] == AUDIT else one)
    return rest, outcomes


def note_audits(home: Home, given: Sequence[Given], outcomes: Sequence[Outcome], actor: str) -> None:
    """Mark the audits whose answers were stored, anew where the answer before was taken back.

    What met another's answer, or came under a key that was used, leaves its question open.
    """
    kept = {one.key for one in outcomes if one.state in ("stored", "repeated")}
    told = {one.offer_id: one for one in given if one.reason_code == AUDIT and one.key in kept}
    if not told:
        return
    again = BLIND_ASKS.c.key.in_(select(OVERRIDES.c.key).where(~not_undone()))
    waiting = select(BLIND_ASKS).where(BLIND_ASKS.c.asked_of == actor, BLIND_ASKS.c.purpose == AUDIT, or_(OPEN, again), BLIND_ASKS.c.offer_id.in_(told))
    with writing(home.engine) as connection:
        for row in connection.execute(waiting).mappings().all():
            _answered(connection, row, told[row["offer_id"]], None)


def undo_blind(connection: Connection, home: Home, actor: str, offer_id: str | None = None, about: str = "", mine: Mine | None = None) -> Asked | None:
    """Open the person's newest second answer again, or the one on a named offer; None where there is none or they answered after it.

    What came after is asked of the answers of one desk where `about` names it; what is not among `mine`, the offers within reach, is as if not there.
    """
    seconds = select(BLIND_ASKS).where(BLIND_ASKS.c.asked_of == actor, BLIND_ASKS.c.purpose != AUDIT, ~OPEN)
    seconds = seconds if offer_id is None else seconds.where(BLIND_ASKS.c.offer_id == offer_id)
    last = connection.execute(seconds.order_by(BLIND_ASKS.c.after_override.desc(), BLIND_ASKS.c.ask_id.desc()).limit(1)).mappings().first()
    if last is None or (mine is not None and not mine([last["offer_id"]])):
        return None
    # What a disagreement left to a lead is part of the second answer.
    own = select(OVERRIDES).where(OVERRIDES.c.actor == actor, OVERRIDES.c.action != "undo", not_undone(), about_these(about))
    own = own if offer_id is None else own.where(OVERRIDES.c.offer_id == offer_id)
    newest = connection.execute(own.order_by(OVERRIDES.c.override_id.desc()).limit(1)).mappings().first()
    left = newest if newest is not None and (newest["action"], newest["offer_id"]) == (ESCALATE, last["offer_id"]) else None
    if left is None and newest is not None and newest["override_id"] > (last["after_override"] or 0):
        return None
    if left is not None:
        undoing = {name: left[name] for name in ("offer_id", "product_id", "counterpart_offer_id", "identity_hash")}
        more = {"action": "undo", "actor": actor, "reason_code": "", "note": "", "undoes": left["override_id"]}
        append(connection, home.catalog, str(left["snapshot_id"]), undoing | more)
    was = {"ask": last["ask_id"], "offer": last["offer_id"], "action": last["action"], "chosen": last["chosen"], "at": last["answered_at"]}
    opened = {"action": None, "chosen": None, "agrees": None, "answered_at": None, "after_override": None, "key": None}
    sealed = _changed(connection, last["ask_id"], opened)
    audit.record(connection, actor, OPENED, str(last["key"]), was | sealed | {"undoes": left["override_id"] if left is not None else None})
    return _asked(last)


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """What a person answered to an item; `standing` until it is taken back."""

    offer_id: str
    action: str
    at: str
    standing: bool


def said_by(home: Home, actor: str, most: int) -> list[OwnAnswer]:
    """A person's last answers to items, the newest first; a second answer looks like any other."""
    undone = OVERRIDES.c.override_id.in_(select(OVERRIDES.c.undoes).where(OVERRIDES.c.undoes.is_not(None)))
    # What a disagreement left to a lead has no key: the second answer itself tells of it.
    on_items = (OVERRIDES.c.action.in_(ACTIONS), OVERRIDES.c.field.is_(None), or_(OVERRIDES.c.action != ESCALATE, OVERRIDES.c.key.is_not(None)))
    own = select(OVERRIDES.c.override_id, OVERRIDES.c.offer_id, OVERRIDES.c.action, OVERRIDES.c.at, undone.label("undone"))
    own = own.where(OVERRIDES.c.actor == actor, *on_items).order_by(OVERRIDES.c.override_id.desc()).limit(most)
    second = select(BLIND_ASKS).where(BLIND_ASKS.c.asked_of == actor, BLIND_ASKS.c.purpose != AUDIT, ~OPEN).order_by(BLIND_ASKS.c.ask_id.desc()).limit(most)
    with home.engine.connect() as connection:
        found = [((row.override_id, 0), OwnAnswer(row.offer_id, row.action, row.at, not row.undone)) for row in connection.execute(own)]
        found += [((row.after_override or 0, row.ask_id), OwnAnswer(row.offer_id, row.action, row.answered_at, True)) for row in connection.execute(second)]
    newest = [said for _order, said in sorted(found, key=lambda one: one[0], reverse=True)[:most]]
    overruled = set[str]()  # offers on which a later answer of theirs stands
    for place, said in enumerate(newest):
        newest[place] = replace(said, standing=said.standing and said.offer_id not in overruled)
        overruled |= {said.offer_id} if said.standing else set()
    return newest


def gold_of(home: Home, person: str) -> tuple[int, int]:
    """(a person's answers to a gold set that are counted, those that were right): the first whole tens, so that no single answer betrays a gold item."""
    mine = select(BLIND_ASKS.c.agrees).where(BLIND_ASKS.c.asked_of == person, BLIND_ASKS.c.purpose == GOLD, BLIND_ASKS.c.agrees.is_not(None))
    with home.engine.connect() as connection:
        said = list(connection.execute(mine.order_by(BLIND_ASKS.c.answered_at, BLIND_ASKS.c.ask_id)).scalars())
    counted = said[: len(said) - len(said) % GOLD_COUNTED_BY]
    return len(counted), sum(counted)


def agreement(home: Home) -> list[Agreement]:
    """How far people agree, by purpose, over everything that was asked twice."""
    first, second = OVERRIDES.c.action.label("first"), BLIND_ASKS.c.action.label("second")
    query = (
        select(BLIND_ASKS.c.purpose, first, second, BLIND_ASKS.c.agrees)
        .join(OVERRIDES, OVERRIDES.c.override_id == BLIND_ASKS.c.override_id)
        .where(BLIND_ASKS.c.agrees.is_not(None))
    )
    pairs: dict[str, list[tuple[bool, bool, bool]]] = defaultdict(list)
    with home.engine.connect() as connection:
        for row in connection.execute(query):
            pairs[row.purpose].append((_together(row.first), _together(row.second), bool(row.agrees)))
    return [
        Agreement(purpose, len(found), sum(agrees for *_both, agrees in found), _kappa([both[:2] for both in found]))
        for purpose, found in sorted(pairs.items())
    ]


# --- what to ask ----------------------------------------------------------------------------------------------------


def _to_check(said: Sequence[Said], names: set[str], asked: set[str]) -> list[Asked]:
    """Answers of others than who has these names since the snapshot that are to be asked again, those given as one first."""
    groups: dict[str, list[Said]] = defaultdict(list)
    drawn = []
    for one in said:
        if one.actor in names or one.action not in PLACED or one.field is not None or one.reason_code == AUDIT or one.key is None:
            continue
        if one.group_id is not None:
            groups[one.group_id].append(one)
        elif _hash(f"{one.override_id} {one.offer_id}") % 10_000 < 10_000 * SHARE_SECOND:
            drawn.append(one)
    batched = [one for rows in groups.values() for one in sorted(rows, key=lambda row: _hash(row.offer_id))[: math.ceil(SHARE_BATCH * len(rows))]]
    found = [*((BATCH, one) for one in batched), *((SECOND, one) for one in drawn)]
    return [Asked(one.offer_id, purpose, one.override_id, one.product_id, one.counterpart_offer_id) for purpose, one in found if one.offer_id not in asked]


def _audits(home: Home, draws: Draws, count: int, asked: set[str]) -> list[Asked]:
    """The next decisions of the draw that nobody was asked and nobody spoke of."""
    known = draws.order(count + len(asked) + MOST_SPOKEN_OF)
    fresh = [one for one in known if one.offer_id not in asked][: count + MOST_SPOKEN_OF]
    spoken = select(OVERRIDES.c.offer_id, OVERRIDES.c.counterpart_offer_id).where(
        OVERRIDES.c.offer_id.in_([one.offer_id for one in fresh]), OVERRIDES.c.action.not_in((SKIP, ESCALATE)), OVERRIDES.c.field.is_(None)
    )
    with home.engine.connect() as connection:
        pairs = {(row.offer_id, row.counterpart_offer_id) for row in connection.execute(spoken)}
    answered = {offer_id for offer_id, _counterpart in pairs}
    free = (
        one for one in fresh
        if (one.offer_id not in answered if one.decided == "new_product" else (one.offer_id, one.counterpart_offer_id) not in pairs)
    )  # fmt: skip
    shown = islice((one for one in map(draws.beside, free) if one is not None), count)
    return [Asked(one.offer_id, AUDIT, None, one.product_id, one.counterpart_offer_id, one.noted()) for one in shown]


# Gold pairs whose two offers are in the catalog, in an order of each person's own, what is the same and what is not in turn.
GOLD_PAIRS = """
    WITH known AS (
        SELECT g.left_id, g.right_id, g.same, d.product_id FROM labels g JOIN decisions m ON m.offer_id = g.left_id AND m.kind = 'product'
        JOIN decisions d ON d.offer_id = g.right_id AND d.kind = 'product'
        WHERE g.source = 'gold' AND d.product_id IS NOT NULL
          AND (g.same OR m.product_id IS DISTINCT FROM d.product_id)
        QUALIFY row_number() OVER (PARTITION BY g.left_id ORDER BY g.right_id) = 1)
    SELECT left_id, product_id, right_id, same FROM known
    ORDER BY row_number() OVER (PARTITION BY same ORDER BY md5(left_id || right_id || $person)), same LIMIT $count
"""


def _gold(draws: Draws, person: str, count: int, asked: set[str]) -> list[Asked]:
    """Pairs of gold sets, so that it is known how often this person errs; nothing is stored of them but that."""
    fresh = [row for row in draws.gold(person, count + len(asked)) if row[0] not in asked][:count]
    return [Asked(left, GOLD, None, product_id, right, {"decided": "same" if same else "different"}) for left, product_id, right, same in fresh]


def _asked(row: RowMapping) -> Asked:
    return Asked(row["offer_id"], row["purpose"], row["override_id"], row["product_id"], row["counterpart_offer_id"], {"decided": row["decided"]})


def _row(one: Asked, person: str) -> dict[str, Any]:
    told = {"offer_id": one.offer_id, "purpose": one.purpose, "override_id": one.override_id, "product_id": one.product_id}
    return told | {"counterpart_offer_id": one.counterpart_offer_id, "asked_of": person, "asked_at": now()} | {name: one.noted.get(name) for name in NOTED}


@lru_cache(maxsize=65_536)
def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


# --- what was answered ----------------------------------------------------------------------------------------------


def _as_audit(one: Given) -> Given:
    """An audit's answer binds as any does; its mark says that it was drawn at random."""
    if one.action not in PLACED:
        return one
    note = ": ".join(part for part in (one.reason_code, one.note) if part)
    return replace(one, reason_code=AUDIT, note=note)


def _used_elsewhere(connection: Connection, one: Given) -> str | None:
    """What was answered about another offer under this answer's key; None where nothing was."""
    said = (select(table.c.action).where(table.c.key == one.key, table.c.offer_id != one.offer_id) for table in (BLIND_ASKS, OVERRIDES))
    return connection.execute(union_all(*said)).scalar()


def _second(connection: Connection, home: Home, one: Given, row: RowMapping, actor: str) -> Outcome | None:
    """Keep a second answer beside the first; None where that no longer stands, or was given to another version of the offer: it is an answer as any then."""
    if row["key"] == one.key:
        return Outcome(one.key, "repeated", None, str(row["action"]), actor)
    taken = audit.lately(connection, actor, OPENED, one.key)
    if taken is not None:  # it comes late, or again: what was taken back stays so
        return Outcome(one.key, "repeated" if taken["offer"] == one.offer_id else "reused", None, taken["action"], actor)
    if row["action"] is not None:
        return None
    if row["purpose"] == GOLD:
        said = _together(one.action) and one.product_id == row["product_id"]
        _answered(connection, row, one, None if one.action in (SKIP, ESCALATE) else said == (row["decided"] == "same"))
        return Outcome(one.key, "stored", None, one.action, actor)
    first = connection.execute(select(OVERRIDES).where(OVERRIDES.c.override_id == row["override_id"], not_undone())).mappings().first()
    if first is None or first["identity_hash"] != one.identity_hash:
        return None
    agrees = None if one.action in (SKIP, ESCALATE) else _agree(first, one)
    _answered(connection, row, one, agrees)
    if agrees is False or one.action == ESCALATE:
        words = f"{first['actor']} said {first['action']}, {actor} said {one.action}" + (f": {one.note}" if one.note else "")
        told = {"offer_id": one.offer_id, "action": ESCALATE, "product_id": one.product_id, "counterpart_offer_id": one.counterpart_offer_id}
        more = {"actor": actor, "reason_code": one.reason_code, "note": words, "undoes": None, "identity_hash": one.identity_hash}
        append(connection, home.catalog, str(first["snapshot_id"]), told | more)
    return Outcome(one.key, "stored", None, one.action, actor)


def _answered(connection: Connection, row: RowMapping, one: Given, agrees: bool | None) -> None:
    last = connection.execute(select(func.max(OVERRIDES.c.override_id))).scalar() or 0
    told = {"action": one.action, "chosen": one.product_id, "agrees": agrees, "answered_at": now(), "after_override": last, "key": one.key}
    sealed = _changed(connection, row["ask_id"], told)
    audit.record(connection, row["asked_of"], f"answer {row['purpose']}", one.offer_id, {"key": one.key, "action": one.action} | sealed)


def _changed(connection: Connection, ask_id: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """Change a question; out: what seals it from then on, for the audit."""
    connection.execute(update(BLIND_ASKS).where(BLIND_ASKS.c.ask_id == ask_id).values(**values))
    return {"access": audit.seals_of(connection, BLIND_ASKS, BLIND_ASKS.c.ask_id == ask_id)}


def _agree(first: RowMapping, one: Given) -> bool:
    if _together(first["action"]) != _together(one.action):
        return False
    return not _together(one.action) or first["product_id"] == one.product_id


def _together(action: str) -> bool:
    return action in ("same", "other")


def _kappa(pairs: Sequence[tuple[bool, ...]]) -> float | None:
    """Cohen's kappa of two judges with two answers each; None where chance alone would agree always."""
    n = len(pairs)
    seen = sum(one == other for one, other in pairs) / n
    ones, others = Counter(one for one, _other in pairs), Counter(other for _one, other in pairs)
    chance = sum(ones[kind] * others[kind] for kind in (True, False)) / n**2
    return None if chance == 1 else (seen - chance) / (1 - chance)
