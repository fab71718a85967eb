"""The review verbs under /api/v1/review: what to look at next, answers, undo, leases, groups."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from endcap.decide.promised import AUDIT
from endcap.ops.access import Person
from endcap.ops.home import Home
from endcap.problems import BadInput
from endcap.review import audit, blind, lease
from endcap.review.nearest import Nearest
from endcap.review.override import Given, Left, Outcome, give, given_by
from endcap.review.reach import chosen, role_for_answer, roles_for
from endcap.review.shown import Linked, Shown, Waiting, look_at, stand_for
from endcap.review.taking_back import SHOWN, Reach, take_back
from endcap.serve import answers_review as answers
from endcap.serve.answering import Answering, written
from endcap.serve.api import Pinned
from endcap.serve.asking_review import gone_for, left_beside, queue_of, taken_in, waiting_for
from endcap.serve.gate import person_of
from endcap.serve.reading import Reading

ROUTER = APIRouter(prefix="/api/v1/review", route_class=Answering)
MOST_AT_ONCE, MOST_GROUPED = 100, 500
# Items looked at to find those that one answer can settle.
GROUPED_OF = 2000
DRAWN_AT_ONCE = 5000
# What the first ones are shown beside is found before anybody is asked about them.
DRAWS_PREPARED = 10
# One in twenty shown is a check: so that five are asked where nothing else is left.
OF_CHECKS = 100
IDLE_S = 60.0


async def home_of(request: Request) -> Home:
    """The catalog's home, for writing to its operational database."""
    home: Home = request.app.state.home
    return home


Writing = Annotated[Home, Depends(home_of)]
Filter = Annotated[str, Query(max_length=400)]


@ROUTER.get("/next", response_model=answers.NextItems)
def next_items(
    request: Request, reading: Pinned, home: Writing, n: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = 40, supplier: Filter = "", category: Filter = "",
    reason: Filter = "",
    first: Annotated[str, Query(max_length=400, description="The offer whose question is to come first, where it waits for this person.")] = "",
    checks: Annotated[bool, Query(description="Nothing but links of the machine, drawn at random, to be checked.")] = False,
    skip: Annotated[str, Query(max_length=8000, description="Offer ids that the page has already, separated by line feeds.")] = "",
) -> Response:  # fmt: skip
    """The next items for this person, leased to them, the costliest doubt first."""
    person, had = person_of(request), set(skip.split("\n"))
    waiting, said = waiting_for(reading, home, person)
    shown = [] if checks else sorted((one for one in waiting if _fits(one, supplier, category, reason)), key=lambda one: one.offer_id != first)
    elsewhere = lease.hidden(home, person.name)
    asked = [] if supplier or category or reason else _to_ask(reading, home, person, OF_CHECKS if checks else n)
    free = [one.offer_id for one in shown if one.offer_id not in elsewhere and one.offer_id not in had]
    taken, asked = _take(reading, home, person, free, [one for one in asked if one.offer_id not in had], n)
    in_order = sorted(blind.mixed(taken, [one.offer_id for one in asked]), key=lambda one: one != first)
    items = _told(look_at(reading, in_order, left_beside(said, in_order) | _linked(reading, asked)), said)
    return written(
        answers.NextItems, snapshot=reading.snapshot_id, waiting=len(waiting) or len(items), fitting=len(shown) or len(items),
        leased=sum(one.offer_id in elsewhere for one in shown), holders=_counted(elsewhere[one.offer_id] for one in shown if one.offer_id in elsewhere),
        suppliers=_counted(one.supplier for one in waiting), categories=_counted(one.category or "" for one in waiting),
        reasons=_counted(one.reason_code for one in waiting), items=items,
    )  # fmt: skip


def _take(reading: Reading, home: Home, person: Person, free: Sequence[str], asked: Sequence[blind.Asked], n: int) -> tuple[list[str], list[blind.Asked]]:
    """(offers of the queue, at most `n`, and blind questions) that are this person's now.

    An audit is leased as well, since its offer may be one that waits for others, too.
    """
    audits = [one.offer_id for one in asked if one.purpose == AUDIT]
    leased = lease.take(home, [*audits, *(one for one in free if one not in audits)], person.name, limit=n + len(audits))
    # What another answered since we looked is free again, so that its lease could be taken: an answer is stored before its lease is given back.
    gone = gone_for(reading, home, person)[0]
    taken = [one for one in leased if one not in gone and one not in audits][:n]
    asked = [one for one in asked if (one.offer_id in leased and one.offer_id not in gone if one.offer_id in audits else one.offer_id not in taken)]
    lease.release(home, person.name, sorted(set(leased).difference(taken, (one.offer_id for one in asked))))
    return taken, asked


@ROUTER.get("/items", response_model=answers.Items)
def items(
    request: Request, reading: Pinned, home: Writing,
    ids: Annotated[str, Query(max_length=60_000, description="Offer ids, separated by line feeds.")],
) -> Response:  # fmt: skip
    """The named items as a person sees them, whoever holds them; those that no longer wait, or are not this person's to decide, are left out."""
    person, asked = person_of(request), ids.split("\n")[:MOST_GROUPED]
    mine = chosen(reading, person, "offer", asked)
    wanted = [one for one in asked if one in mine]
    left = gone_for(reading, home, person)[1]
    linked = left_beside(left, wanted) | _linked(reading, blind.asked_of(home, person.name, wanted))
    return written(answers.Items, snapshot=reading.snapshot_id, items=_told(look_at(reading, wanted, linked), left))


@ROUTER.get("/mine")
def mine(request: Request, reading: Pinned, home: Writing, n: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = 50) -> answers.AllMine:
    """What this person answered, the newest first."""
    said = blind.said_by(home, person_of(request).name, n)
    marks = ", ".join("?" * len(said)) or "NULL"
    titles = {row["offer_id"]: row["title"] for row in reading.by_key("offers", "offer_id, title", f"offer_id IN ({marks})", [one.offer_id for one in said])}
    return answers.AllMine(
        snapshot=reading.snapshot_id, answers=[answers.Mine(**asdict(one), title=titles.get(one.offer_id)) for one in said]
    )  # fmt: skip


@ROUTER.post("/decisions")
def decide(request: Request, reading: Pinned, home: Writing, given: answers.Decisions) -> answers.Outcomes:
    """Store answers; all of them are durable when this returns, each once however often it is sent."""
    person = person_of(request)
    asked = [one.offer_id for one in given.decisions]
    mine = chosen(reading, person, "offer", asked)
    gone = _gone_offers(reading, [one for one in asked if one not in mine])
    _check_named(reading, given.decisions)
    now_are = _check_versions(reading, given.decisions, gone)
    told = stand_for(reading, [_given(one) for one in given.decisions])
    rest, outcomes = blind.give_blind(home, [one for one in told if one.offer_id not in gone], person.name)
    outcomes += [Outcome(one.key, "gone", None, one.action, person.name) for one in told if one.offer_id in gone]
    answered = give(home, rest, actor=person.name, roles=roles_for(reading, person, "offer", mine), now_are=now_are)
    blind.note_audits(home, rest, answered, person.name)
    outcomes += answered
    order = {one.key: place for place, one in enumerate(told)}
    outcomes.sort(key=lambda one: order[one.key])
    lease.release(home, person.name, [one.offer_id for one in given.decisions])
    return answers.Outcomes(snapshot=reading.snapshot_id, outcomes=[answers.Outcome.model_validate(one, from_attributes=True) for one in outcomes])


@ROUTER.post("/undo", response_model=answers.Undone)
def undo(request: Request, reading: Pinned, home: Writing, given: answers.TakeBack | None = None) -> Response:
    """Take back this person's last answer, or their last one on a named offer, with all that were given as one with it; under a `key`, once.

    The offers are leased to this person again.
    """
    given, person = given or answers.TakeBack(), person_of(request)
    done = take_back(home, person.name, key=given.key, offer_id=given.offer_id, about=given.about, reach=_reach(reading, home, person))
    shown = done.offers[:SHOWN]
    left = gone_for(reading, home, person)[1]
    items = _told(look_at(reading, shown, left_beside(left, shown) | _linked(reading, blind.asked_of(home, person.name, shown))), left)
    values = [{"product_id": product_id, "field": field} for product_id, field in done.values]
    return written(answers.Undone, snapshot=reading.snapshot_id, count=done.count, items=items, values=values)


def _reach(reading: Reading, home: Home, person: Person) -> Reach | None:
    """What this person may take back now; None where that is all they ever answered."""
    if person.scopes is None:
        return None
    return Reach(lambda one: role_for_answer(home, reading, person, one) is not None, lambda ids: chosen(reading, person, "offer", ids))


@ROUTER.post("/release")
def release(request: Request, reading: Pinned, home: Writing) -> answers.Released:
    """Give all leases of this person back."""
    return answers.Released(snapshot=reading.snapshot_id, count=lease.release(home, person_of(request).name))


@ROUTER.get("/groups")
def groups(request: Request, reading: Pinned, home: Writing, supplier: Filter = "", category: Filter = "", reason: Filter = "") -> answers.Groups:
    """Items that the same evidence speaks about, the largest groups first, of each the least sure items first. Filters are those of the queue."""
    shown = _grouped(reading, person_of(request))
    open_now = {one.offer_id for one in waiting_for(reading, home, person_of(request))[0] if _fits(one, supplier, category, reason)}
    members: dict[str, list[str]] = {}
    for item in shown:
        if item.offer_id in open_now:
            members.setdefault(item.group, []).append(item.offer_id)
    ordered = sorted(members.items(), key=lambda found: (-len(found[1]), found[0]))
    return answers.Groups(
        snapshot=reading.snapshot_id, groups=[answers.Group(group=name, count=len(ids), offer_ids=ids[:MOST_GROUPED]) for name, ids in ordered[:100]]
    )


@ROUTER.get("/agreement")
def agreement(reading: Pinned, home: Writing) -> answers.Agreements:
    """How far people agree on what was asked twice, nobody knowing of the other."""
    found = [answers.Agreement.model_validate(asdict(one)) for one in blind.agreement(home)]
    return answers.Agreements(snapshot=reading.snapshot_id, agreements=found)


@ROUTER.get("/stats")
def stats(request: Request, reading: Pinned, home: Writing) -> answers.Stats:
    """This person's own pace and doubts, of answers given on a page."""
    mine = given_by(home, person_of(request).name)
    undone = {row["undoes"] for row in mine if row["undoes"] is not None}
    seconds = sorted(min(row["seconds"], IDLE_S) for row in mine if row["seconds"] is not None)
    given = [row for row in mine if row["action"] != "undo"]
    gold, right = blind.gold_of(home, person_of(request).name)
    return answers.Stats(
        snapshot=reading.snapshot_id, gold=gold, gold_right=right, answered=len(given), undone=len(undone), timed=len(seconds),
        median_s=statistics.median(seconds) if seconds else None, p90_s=seconds[int(0.9 * (len(seconds) - 1))] if seconds else None,
        by_action=_counted(row["action"] for row in given),
    )  # fmt: skip


def _told(items: list[Shown], left: Mapping[str, Left]) -> list[Shown]:
    """Items with the words of who left them to a lead."""
    return [replace(item, left=left[item.offer_id].words) if item.offer_id in left else item for item in items]


def _gone_offers(reading: Reading, missing: Sequence[str]) -> set[str]:
    """Of offers that cannot be decided now those that were delivered once. Raises BadInput for any other: it never was, or is another's to decide."""
    absent = set(missing).difference(row["offer_id"] for row in reading.find("decisions", "offer_id", missing, ("offer_id",)))
    known = reading.rows(f"SELECT DISTINCT offer_id FROM offers_log WHERE offer_id IN ({', '.join('?' * len(absent))})", sorted(absent)) if absent else []
    gone = {row["offer_id"] for row in known}
    unknown = next((one for one in missing if one not in gone), None)
    if unknown is not None:
        raise BadInput(f"there is no offer {unknown!r} to decide", where="review", todo="ask for the next items again")
    return gone


def _check_versions(reading: Reading, decisions: Sequence[answers.Decision], gone: set[str]) -> dict[str, int]:
    """The identity of each offer as it is now. Raises BadInput where an answer is to a version of an offer that never was."""
    ids = sorted({one.offer_id for one in decisions} - gone)
    now_are = _identities(reading, ids)
    for one in decisions:
        if one.offer_id in gone or int(one.identity) == now_are.get(one.offer_id):
            continue
        if not reading.rows("SELECT 1 AS one FROM offers_log WHERE offer_id = ? AND identity_hash = ? LIMIT 1", [one.offer_id, int(one.identity)]):
            raise BadInput(f"{one.offer_id} was never as it is said to have been shown", where="review", todo="send the identity of the item back as it came")
    return now_are


def _identities(reading: Reading, offer_ids: Sequence[str]) -> dict[str, int]:
    return {row["offer_id"]: int(row["identity_hash"]) for row in reading.find("offers", "offer_id", offer_ids, ("offer_id", "identity_hash"))}


def _check_named(reading: Reading, decisions: Sequence[answers.Decision]) -> None:
    """Raises BadInput where an answer names a product or offer that no run ever knew; one that is gone by now may have been shown before."""
    named = {
        "product": {one.product_id for one in decisions if one.product_id is not None},
        "offer": {one.counterpart_offer_id for one in decisions if one.counterpart_offer_id is not None},
    }  # fmt: skip
    for kind, now in (("product", "products"), ("offer", "decisions")):
        key = f"{kind}_id"
        unknown = named[kind].difference(row[key] for row in reading.find(now, key, named[kind], (key,)))
        if unknown:
            marks = ", ".join("?" * len(unknown))
            found = reading.rows(f"SELECT DISTINCT {key} AS id FROM {kind}s_log WHERE {key} IN ({marks})", sorted(unknown))
            unknown = unknown.difference(row["id"] for row in found)
        if unknown:
            raise BadInput(f"there is no {kind} {min(unknown)!r}", where="review", todo="ask for the next items again")
    _check_together(reading, {(one.counterpart_offer_id, one.product_id) for one in decisions if one.counterpart_offer_id and one.product_id})


def _check_together(reading: Reading, named: set[tuple[str, str]]) -> None:
    """Raises BadInput where an offer and a product are named of which the offer never was: nobody was shown the two as one."""
    placed = reading.find("decisions", "offer_id", sorted({offer_id for offer_id, _product in named}), ("offer_id", "kind", "product_id"))
    apart = named.difference((row["offer_id"], row["product_id"]) for row in placed if row["kind"] == "product")
    for offer_id, product_id in sorted(apart):
        if not reading.rows("SELECT 1 AS one FROM decisions_log WHERE offer_id = ? AND product_id = ? LIMIT 1", [offer_id, product_id]):
            raise BadInput(f"{offer_id} is no offer of {product_id}", where="review", todo="name an offer of the product that was shown")


def _given(one: answers.Decision) -> Given:
    seconds = None if one.shown_ms is None or one.answered_ms is None else max(0.0, (one.answered_ms - one.shown_ms) / 1000)
    return Given(
        one.key, one.offer_id, one.action, one.product_id, one.counterpart_offer_id, int(one.identity), one.evidence, one.model, one.reason_code, one.note,
        seconds, one.group_id, one.over,
    )  # fmt: skip


def prepare(reading: Reading) -> None:
    """Find what is found once a snapshot for those who reach everything, and show the first items once."""
    waiting = queue_of(reading, Person("nobody", "admin", "none"))
    look_at(reading, [one.offer_id for one in waiting[:MOST_AT_ONCE]])


def prepare_draws(reading: Reading) -> None:
    """Find the order of the draw, and what the first ones are shown beside."""
    draws = _draws(reading)
    for drawn in draws.order(1)[:DRAWS_PREPARED]:
        draws.beside(drawn)


def _to_ask(reading: Reading, home: Home, person: Person, n: int) -> list[blind.Asked]:
    mine = None if person.scopes is None else lambda ids: chosen(reading, person, "offer", ids)
    return blind.to_ask(home, _draws(reading), person.name, n, taken_in(reading), mine)


def _draws(reading: Reading) -> blind.Draws:
    def order(count: int) -> Sequence[audit.Drawn]:
        """Found once a snapshot, and again where that many were not enough."""
        wanted = -(-count // DRAWN_AT_ONCE) * DRAWN_AT_ONCE
        return reading.keep("order of the draw", lambda reading: _with(reading, audit.order_of_draw, wanted, seed=blind.AUDIT_SEED), until=wanted)

    def gold(person: str, count: int) -> Sequence[tuple[str, str, str, bool]]:
        if not reading.keep("gold", lambda reading: reading.row("SELECT 1 AS one FROM labels WHERE source = 'gold' LIMIT 1") is not None):
            return []
        with reading.cursor() as cursor:
            return cursor.execute(blind.GOLD_PAIRS, {"person": person, "count": count}).fetchall()

    def beside(drawn: audit.Drawn) -> audit.Drawn | None:
        return reading.keep(f"beside {drawn.offer_id}", lambda reading: _with(reading, audit.beside, drawn, _nearest(reading)))

    return blind.Draws(order, beside, gold, lambda ids: _identities(reading, ids))


def _nearest(reading: Reading) -> Nearest:
    return reading.keep("nearest", lambda reading: _with(reading, Nearest))


def _linked(reading: Reading, asked: Sequence[blind.Asked]) -> dict[str, Linked]:
    """What blind questions are shown beside; what an offer is nearest to is found once a snapshot."""
    return blind.linked_of(asked, lambda one: reading.keep(f"nearest {one}", lambda reading: _with(reading, _nearest(reading).of, one)))


def _with(reading: Reading, make: Callable[..., Any], *given: Any, **named: Any) -> Any:
    with reading.cursor() as cursor:
        return make(cursor, *given, **named)


def _grouped(reading: Reading, person: Person) -> list[Shown]:
    def look(reading: Reading) -> list[Shown]:
        ids = [one.offer_id for one in sorted(queue_of(reading, person)[:GROUPED_OF], key=lambda one: -one.doubt)]
        return [item for first in range(0, len(ids), 200) for item in look_at(reading, ids[first : first + 200])]

    return reading.keep(f"review groups of {person.scopes}", look)


def _fits(one: Waiting, supplier: str, category: str, reason: str) -> bool:
    return (not supplier or one.supplier == supplier) and (not category or one.category == category) and (not reason or one.reason_code == reason)


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))
