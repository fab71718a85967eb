"""Questions about products' values under /api/v1/review/values: doubtful categories, and what suppliers say against a person's word."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request

from endcap.ops.access import Person
from endcap.ops.home import Home
from endcap.review.override import SUPPLIERS
from endcap.review.product import Actor
from endcap.review.reach import role_for, role_for_answer
from endcap.review.values import GivenValue, give_values
from endcap.serve import answers_review as answers
from endcap.serve.answering import Answering
from endcap.serve.api import Pinned
from endcap.serve.api_review import Writing
from endcap.serve.asking_review import open_questions, taken_in
from endcap.serve.gate import person_of
from endcap.serve.reading import Reading

ROUTER = APIRouter(prefix="/api/v1/review", route_class=Answering)
MOST_AT_ONCE = 500


@ROUTER.get("/values")
def ask(
    request: Request, reading: Pinned, home: Writing, kind: Literal["category", "value"] = "category", n: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = 40,
    group: Annotated[str, Query(max_length=1000, description="Only questions of this group.")] = "",
) -> answers.Questions:  # fmt: skip
    """The open questions about products' values, the costliest doubt first."""
    waiting = open_questions(reading, home, person_of(request), kind)
    shown = [one for one in waiting if not group or one.group == group]
    return answers.Questions(snapshot=reading.snapshot_id, waiting=len(waiting), questions=[answers.Question.model_validate(asdict(one)) for one in shown[:n]])


@ROUTER.post("/values")
def answer(request: Request, reading: Pinned, home: Writing, given: answers.ValueAnswers) -> answers.ValueOutcomes:
    """Store answers about values; each is durable when this returns, once however often it is sent."""
    person = person_of(request)
    told = [GivenValue(**one.model_dump()) for one in given.decisions]
    roles = [_role_about(reading, home, person, one) for one in told]
    outcomes = give_values(home, reading, told, Actor(person.name, "viewer"), taken_in(reading), roles)
    return answers.ValueOutcomes(snapshot=reading.snapshot_id, outcomes=[answers.ValueOutcome.model_validate(asdict(one)) for one in outcomes])


def _role_about(reading: Reading, home: Home, person: Person, one: GivenValue) -> str | None:
    """The person's role for what is answered, which is not there for one whose reach it is out of."""
    role = role_for(reading, person, "product", [one.product_id])
    if role is not None and one.action == SUPPLIERS and one.override_id is not None and person.scopes is not None:
        return role_for_answer(home, reading, person, one.override_id)
    return role
