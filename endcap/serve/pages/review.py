"""Review: the decisions that wait for a person, the surest first; answers are given in the terminal for now."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from endcap.serve import asking
from endcap.serve.templating import page_of

router = APIRouter(include_in_schema=False)


@router.get("/review", response_model=None)
def show(request: Request, kind: Literal["product", "category"] = "product", page: Annotated[int, Query(ge=1, le=100_000)] = 1) -> Response:
    """One page of the questions of a kind."""
    return page_of(request, "review.html", review=asking.review(request.state.reading, kind, page))


CASES = [("/review", 200, "1 offer waits"), ("/review?kind=category", 200, "Nothing needs you here")]
