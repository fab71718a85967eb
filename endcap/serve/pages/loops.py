"""Loops: every reported problem from open to verified, with what became of it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from endcap.serve import asking_models
from endcap.serve.api_models import Number
from endcap.serve.templating import page_of

router = APIRouter(include_in_schema=False)


@router.get("/loops", response_model=None)
def show(request: Request) -> Response:
    """Open problems from the oldest on, then closed ones."""
    return page_of(request, "loops.html", told=asking_models.loops(request.state.reading))


@router.get("/loops/{loop_id}", response_model=None)
def show_one(request: Request, loop_id: Number) -> Response:
    """One problem."""
    return page_of(request, "loop.html", told=asking_models.loop(request.state.reading, loop_id))


CASES = [("/loops", 200, "in the wrong product"), ("/loops/1", 200, "Came as far as"), ("/loops/9", 404, "There is no loop")]
