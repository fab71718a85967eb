"""Review: a desk for the offers that wait for a person, and a list of the doubtful categories."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from endcap.serve import asking
from endcap.serve.templating import page_of

router = APIRouter(include_in_schema=False)


@router.get("/review", response_model=None)
def show(request: Request, kind: Literal["product", "category"] = "product", page: Annotated[int, Query(ge=1, le=100_000)] = 1) -> Response:
    """The desk, whose items come from /api/v1/review/next; or one page of doubtful categories."""
    if kind == "product":
        return page_of(request, "review.html")
    return page_of(request, "doubtful.html", review=asking.review(request.state.reading, kind, page))


CASES = [("/review", 200, "The item to decide"), ("/review?kind=category", 200, "Nothing needs you here")]
