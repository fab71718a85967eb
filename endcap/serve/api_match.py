"""Matching and searching under /api/v1: one offer against the whole catalog, and products by words."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from endcap.serve import answers_match as answers
from endcap.serve import asking_match
from endcap.serve.answering import Answering
from endcap.serve.api import Pinned

ROUTER = APIRouter(prefix="/api/v1", route_class=Answering)


@ROUTER.post("/match")
def match(reading: Pinned, given: answers.Asked) -> answers.Match:
    """What would be decided of an offer that is in no feed: linked, to review or a new product, with the evidence; nothing is stored."""
    return asking_match.match_one(reading, given)


@ROUTER.get("/search")
def search(
    reading: Pinned, q: Annotated[str, Query(min_length=1, max_length=200, description="Words in any order, codes, or parts of them.")],
    n: Annotated[int, Query(ge=1, le=50)] = 10,
) -> answers.Found:  # fmt: skip
    """Products whose offers are most alike to some words."""
    return asking_match.search(reading, q, n)
