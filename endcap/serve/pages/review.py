"""Review: desks for the offers that wait for a person, for doubtful categories, and for values that suppliers contradict."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from endcap.serve.templating import page_of

router = APIRouter(include_in_schema=False)


@router.get("/review", response_model=None)
def show(request: Request, kind: Literal["product", "category", "value"] = "product") -> Response:
    """The desk of one kind of question; its items come from /api/v1/review/next or /api/v1/review/values."""
    return page_of(request, "review.html") if kind == "product" else page_of(request, "values.html", kind=kind)


CASES = [
    ("/review", 200, "The item to decide"), ("/review?kind=category", 200, "The question to answer"), ("/review?kind=value", 200, "The question to answer"),
]  # fmt: skip
