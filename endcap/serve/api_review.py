"""The review verbs under /api/v1/review: what to look at next, answers, undo, leases, groups."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from endcap.ops.access import Person
from endcap.ops.home import Home
from endcap.problems import BadInput
from endcap.review import blind, lease
from endcap.review.override import Given, answered_since, give, given_by, undo_last
from endcap.review.shown import Shown, Waiting, look_at, queue
from endcap.serve import answers_review as answers
from endcap.serve.api import Pinned
from endcap.serve.gate import person_of
from endcap.serve.reading import Reading

ROUTER = APIRouter(prefix="/api/v1/review")
MOST_AT_ONCE, MOST_GROUPED = 100, 500
# Items looked at to find those that one answer can settle.
GROUPED_OF = 2000
# One in twenty shown is a check: so that five are asked where nothing else is left.
OF_CHECKS = 100
IDLE_S = 60.0


def home_of(request: Request) -> Home:
    """The catalog's home, for writing to its operational database."""
    home: Home = request.app.state.home
    return home


Writing = Annotated[Home, Depends(home_of)]
Filter = Annotated[str, Query(max_length=400)]


@ROUTER.get("/next")
def next_items(
    request: Request, reading: Pinned, home: Writing, n: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = 40, supplier: Filter = "", category: Filter = "",
    reason: Filter = "",
    checks: Annotated[bool, Query(description="Nothing but links of the machine, drawn at random, to be checked.")] = False,
    skip: Annotated[str, Query(max_length=8000, description="Offer ids that the page has already, separated by line feeds.")] = "",
) -> answers.NextItems:  # fmt: skip
    """The next items for this person, leased to them, the costliest doubt first."""
    person, had = person_of(request), set(skip.split("\n"))
    waiting, said = _waiting(reading, home, person)
    shown = [] if checks else [one for one in waiting if _fits(one, supplier, category, reason)]
    elsewhere = lease.hidden(home, person.name)
    free = [one.offer_id for one in shown if one.offer_id not in elsewhere and one.offer_id not in had]
    # What another answered since we looked is free again, so that its lease could be taken: an answer is stored before its lease is given back.
    taken = lease.take(home, free, person.name, limit=n)
    still_waiting = {one.offer_id for one in _waiting(reading, home, person)[0]}
    lease.release(home, person.name, [one for one in taken if one not in still_waiting])
    taken = [one for one in taken if one in still_waiting]
    asked = [] if supplier or category or reason else _to_ask(reading, home, person.name, OF_CHECKS if checks else n)
    asked = [one for one in asked if one.offer_id not in had and one.offer_id not in taken]
    items = look_at(reading, blind.mixed(taken, [one.offer_id for one in asked]), blind.linked_of(asked))
    return answers.NextItems(
        snapshot=reading.snapshot_id, waiting=len(waiting) + len(asked), fitting=len(shown) + len(asked),
        leased=sum(one.offer_id in elsewhere for one in shown), holders=_counted(elsewhere[one.offer_id] for one in shown if one.offer_id in elsewhere),
        suppliers=_counted(one.supplier for one in waiting), categories=_counted(one.category or "" for one in waiting),
        reasons=_counted(one.reason_code for one in waiting), items=[answers.item_of(replace(item, left=said.get(item.offer_id))) for item in items],
    )  # fmt: skip


@ROUTER.get("/items")
def items(
    request: Request, reading: Pinned, home: Writing,
    ids: Annotated[str, Query(max_length=60_000, description="Offer ids, separated by line feeds.")],
) -> answers.Items:  # fmt: skip
    """The named items as a person sees them, whoever holds them; those that no longer wait are left out."""
    wanted = ids.split("\n")[:MOST_GROUPED]
    asked = blind.linked_of(blind.asked_of(home, person_of(request).name, wanted))
    return answers.Items(snapshot=reading.snapshot_id, items=[answers.item_of(item) for item in look_at(reading, wanted, asked)])


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
    live = {row["offer_id"] for row in reading.rows(f"SELECT offer_id FROM decisions WHERE offer_id IN ({', '.join('?' * len(asked))})", asked)}
    unknown = next((one for one in asked if one not in live), None)
    if unknown is not None:
        raise BadInput(f"there is no offer {unknown!r}", where="review", todo="ask for the next items again")
    _check_named(reading, given.decisions)
    told = [_given(one) for one in given.decisions]
    rest, outcomes = blind.give_blind(home, told, person.name)
    outcomes += give(home, rest, actor=person.name)
    order = {one.key: place for place, one in enumerate(told)}
    outcomes.sort(key=lambda one: order[one.key])
    lease.release(home, person.name, [one.offer_id for one in given.decisions])
    return answers.Outcomes(snapshot=reading.snapshot_id, outcomes=[answers.Outcome.model_validate(one, from_attributes=True) for one in outcomes])


@ROUTER.post("/undo")
def undo(request: Request, reading: Pinned, home: Writing, given: answers.TakeBack | None = None) -> answers.Undone:
    """Take back this person's last answer, or their last one on a named offer, with all that were given as one with it."""
    person, named = person_of(request).name, given.offer_id if given else None
    opened = blind.undo_blind(home, person, named)
    offers = [opened.offer_id] if opened else [one.offer_id for one in undo_last(home, actor=person, offer_id=named)]
    items = look_at(reading, offers[:MOST_AT_ONCE], blind.linked_of(blind.asked_of(home, person, offers[:MOST_AT_ONCE])))
    return answers.Undone(snapshot=reading.snapshot_id, count=len(offers), items=[answers.item_of(item) for item in items])


@ROUTER.post("/release")
def release(request: Request, reading: Pinned, home: Writing) -> answers.Released:
    """Give all leases of this person back."""
    return answers.Released(snapshot=reading.snapshot_id, count=lease.release(home, person_of(request).name))


@ROUTER.get("/groups")
def groups(request: Request, reading: Pinned, home: Writing) -> answers.Groups:
    """Items that the same evidence speaks about, the largest groups first: by seller, reason and the fields that differ."""
    shown = _grouped(reading)
    open_now = {one.offer_id for one in _waiting(reading, home, person_of(request))[0]}
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
    return answers.Stats(
        snapshot=reading.snapshot_id, answered=len(given), undone=len(undone), timed=len(seconds),
        median_s=statistics.median(seconds) if seconds else None, p90_s=seconds[int(0.9 * (len(seconds) - 1))] if seconds else None,
        by_action=_counted(row["action"] for row in given),
    )  # fmt: skip


def _check_named(reading: Reading, decisions: Sequence[answers.Decision]) -> None:
    """Raises BadInput where an answer names a product or offer that no run ever knew; one that is gone by now may have been shown before."""
    named = {
        "product": {one.product_id for one in decisions if one.product_id is not None},
        "offer": {one.counterpart_offer_id for one in decisions if one.counterpart_offer_id is not None},
    }  # fmt: skip
    for kind, now in (("product", "products"), ("offer", "decisions")):
        unknown = named[kind]
        for table in (now, f"{kind}s_log"):
            if unknown:
                marks = ", ".join("?" * len(unknown))
                found = reading.rows(f"SELECT DISTINCT {kind}_id AS id FROM {table} WHERE {kind}_id IN ({marks})", sorted(unknown))
                unknown = unknown.difference(row["id"] for row in found)
        if unknown:
            raise BadInput(f"there is no {kind} {min(unknown)!r}", where="review", todo="ask for the next items again")


def _given(one: answers.Decision) -> Given:
    seconds = None if one.shown_ms is None or one.answered_ms is None else max(0.0, (one.answered_ms - one.shown_ms) / 1000)
    return Given(
        one.key, one.offer_id, one.action, one.product_id, one.counterpart_offer_id, int(one.identity), one.evidence, one.model, one.reason_code, one.note,
        seconds, one.group_id, one.over,
    )  # fmt: skip


def _waiting(reading: Reading, home: Home, person: Person) -> tuple[list[Waiting], dict[str, str]]:
    """The queue as this person has it, and who left what to a lead: without what was answered since the snapshot; what was put off comes last.

    What was left to a lead comes first for leads, answered or not, and waits for nobody else.
    """
    everything = reading.keep("review queue", queue)
    since = answered_since(home, taken_in(reading))
    if not person.may("lead"):
        gone = since.answered | since.escalated.keys()
        return sorted((one for one in everything if one.offer_id not in gone), key=lambda one: one.offer_id in since.put_off), {}
    mine = [one for one in everything if one.offer_id not in since.answered or one.offer_id in since.escalated]
    return sorted(mine, key=lambda one: (one.offer_id not in since.escalated, one.offer_id in since.put_off)), since.escalated


def _to_ask(reading: Reading, home: Home, person: str, n: int) -> list[blind.Asked]:
    with reading.cursor() as cursor:
        return blind.to_ask(home, cursor, person, n, taken_in(reading))


def taken_in(reading: Reading) -> int:
    """The last override that the snapshot knows of."""
    return int(json.loads((reading.snapshot or {}).get("manifest_json") or "{}").get("override_sequence", 0))


def _grouped(reading: Reading) -> list[Shown]:
    def look(reading: Reading) -> list[Shown]:
        ids = [one.offer_id for one in queue(reading)[:GROUPED_OF]]
        return [item for first in range(0, len(ids), 200) for item in look_at(reading, ids[first : first + 200])]

    return reading.keep("review groups", look)


def _fits(one: Waiting, supplier: str, category: str, reason: str) -> bool:
    return (not supplier or one.supplier == supplier) and (not category or one.category == category) and (not reason or one.reason_code == reason)


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))
