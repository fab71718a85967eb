"""Decisions: proposals with their hypothesis and gate, thresholds, and which model decided since when."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from endcap.serve import asking_models, asking_thresholds, charts, drawn
from endcap.serve.api_models import Number
from endcap.serve.templating import page_of

router = APIRouter(include_in_schema=False)


@router.get("/decisions", response_model=None)
def show(request: Request) -> Response:
    """Proposals, those that somebody must decide first."""
    return page_of(request, "decisions.html", told=asking_models.proposals(request.state.reading), switches=asking_models.switches(request.state.reading))


@router.get("/decisions/{proposal_id}", response_model=None)
def show_one(request: Request, proposal_id: Number) -> Response:
    """One proposal."""
    return page_of(request, "proposal.html", told=asking_models.proposal(request.state.reading, proposal_id))


@router.get("/thresholds", response_model=None)
def thresholds(request: Request) -> Response:
    """What each threshold would decide, and how sure that is."""
    curve = asking_thresholds.curve(request.state.reading)
    drawings = [drawn.decisions_by_likeness(curve), drawn.reliability(curve), drawn.coverage(curve)]
    return page_of(request, "thresholds.html", curve=curve, drawings=drawings, at=charts.x_of(drawn.LIKENESS, curve.accept))


@router.get("/models", response_model=None)
def models(request: Request) -> Response:
    """Which model decided since when, and what answers taught."""
    told = asking_models.models(request.state.reading)
    return page_of(request, "models.html", told=told, chart=drawn.learning(told.trials))


CASES = [
    ("/decisions", 200, "fewer escapes in Mugs"), ("/decisions/1", 200, "not evaluable"), ("/decisions/9", 404, "There is no proposal"),
    ("/thresholds", 200, "Decisions by likeness"), ("/models", 200, "What answers teach"),
]  # fmt: skip
