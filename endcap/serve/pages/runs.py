"""Runs: every attempt, what went in and came out, and where one failed."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from endcap.serve import asking_runs
from endcap.serve.api_runs import AttemptId, home_of
from endcap.serve.templating import page_of

router = APIRouter(include_in_schema=False)


@router.get("/runs", response_model=None)
def show(request: Request) -> Response:
    """The newest attempts first."""
    return page_of(request, "runs.html", runs=asking_runs.runs(request.state.reading).runs)


@router.get("/runs/{attempt_id}", response_model=None)
def show_one(request: Request, attempt_id: AttemptId) -> Response:
    """One attempt."""
    return page_of(request, "run.html", told=asking_runs.run(request.state.reading, home_of(request), attempt_id))


CASES = [("/runs", 200, "the disk is full; free 2 GB and run again"), ("/runs/2", 200, "Take its work up again"), ("/runs/77", 404, "There is no run")]
