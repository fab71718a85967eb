"""Overview: what is served, what was decided, what needs a person, and the shared metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from endcap.serve import asking_overview
from endcap.serve.api_runs import home_of
from endcap.serve.gate import person_of
from endcap.serve.templating import page_of

router = APIRouter(include_in_schema=False)


@router.get("/", response_model=None)
def show(request: Request) -> Response:
    """The state of the catalog on one page."""
    return page_of(request, "overview.html", overview=asking_overview.overview(request.state.reading, home_of(request), person_of(request)))


CASES = [("/", 200, "What needs a person"), ("/", 200, "is held"), ("/", 200, "not enough data")]
