"""What waits for a person: one definition for the desks, the overview and whoever else says how much there is to do.

Checks of what is decided already (see review/blind.py) are mixed in when items are handed out, and do not wait: they are in no count.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from endcap.ops.access import Person
from endcap.ops.home import Home
from endcap.review.override import Left, answered_since
from endcap.review.reach import chosen, within
from endcap.review.shown import Linked, Waiting, queue, settled
from endcap.review.values import Question, questions, still_open
from endcap.serve.reading import Reading


@dataclass(frozen=True, slots=True)
class Waits:
    """How many offers wait for a product to be chosen, how many products for a category, and how many people's words that suppliers contradict."""

    products: int
    categories: int
    values: int = 0


def waits_for(reading: Reading, home: Home, person: Person) -> Waits:
    """What the desks hand out to this person; one who may not decide is told what waits for all."""
    asked = person if person.may("reviewer") else Person(person.name, "admin", person.pass_id)
    return Waits(len(waiting_for(reading, home, asked)[0]), *(len(open_questions(reading, home, asked, kind)) for kind in ("category", "value")))


def open_questions(reading: Reading, home: Home, person: Person, kind: str) -> list[Question]:
    """Questions about values that this person may answer and nobody answered since the snapshot."""
    asked = reading.keep(f"questions about {kind} of {person.scopes}", lambda reading: questions(reading, kind, within(person, "product", "d.product_id")))
    return still_open(home, asked, taken_in(reading))


def waiting_for(reading: Reading, home: Home, person: Person) -> tuple[list[Waiting], dict[str, Left]]:
    """The queue as this person has it, and who left what to a lead: without what was answered since the snapshot; what was put off comes last.

    What was left to a lead comes first for the leads of its scope, answered or not, and waits for nobody else: over runs, whatever these decided, until
    somebody answers it.
    """
    gone, left, put_off = gone_for(reading, home, person)
    mine = [one for one in queue_of(reading, person) if one.offer_id not in gone]
    if not left and not put_off:
        return mine, left
    waiting = {one.offer_id for one in mine}
    mine += settled(reading, [one for one in left if one not in waiting])
    return sorted(mine, key=lambda one: (one.offer_id not in left, one.offer_id in put_off)), left


def gone_for(reading: Reading, home: Home, person: Person) -> tuple[frozenset[str], dict[str, Left], frozenset[str]]:
    """(offers that no longer wait for this person, those left to a lead that this one is, those that were put off)."""
    since = answered_since(home, taken_in(reading))
    led = chosen(reading, person, "offer", since.escalated, "lead") if person.may("lead") else set()
    left = {offer_id: one for offer_id, one in since.escalated.items() if offer_id in led}
    return (since.answered | since.escalated.keys()) - left.keys(), left, since.put_off


def left_beside(left: dict[str, Left], offer_ids: Sequence[str]) -> dict[str, Linked]:
    """Those of the offers that were left to a lead with what they were compared with: they are shown so although a run may have decided them."""
    found = {offer_id: left[offer_id] for offer_id in offer_ids if offer_id in left}
    return {offer_id: Linked(one.product_id, one.counterpart_offer_id) for offer_id, one in found.items()}


def queue_of(reading: Reading, person: Person) -> list[Waiting]:
    return reading.keep(f"review queue of {person.scopes}", lambda reading: queue(reading, within(person, "offer", "d.offer_id")))


def taken_in(reading: Reading) -> int:
    """The last override that the snapshot knows of."""
    return reading.keep("taken in", lambda reading: int(json.loads((reading.snapshot or {}).get("manifest_json") or "{}").get("override_sequence", 0)))
