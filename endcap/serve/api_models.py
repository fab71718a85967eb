"""Proposals, models, thresholds, loops and switches under /api/v1."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from endcap.serve import answers_models as answers
from endcap.serve import asking_models, asking_thresholds
from endcap.serve.answers_thresholds import Curve, Samples
from endcap.serve.api import Pinned

ROUTER = APIRouter(prefix="/api/v1")
Number = Annotated[int, Path(ge=0, lt=2**31)]
Likeness = Annotated[float, Query(ge=0.5, le=1)]


@ROUTER.get("/proposals")
def proposals(reading: Pinned) -> answers.Proposals:
    """Proposals, those that somebody must decide first."""
    return asking_models.proposals(reading)


@ROUTER.get("/proposals/{proposal_id}")
def proposal(reading: Pinned, proposal_id: Number) -> answers.ProposalPage:
    """One proposal: hypothesis, gate, what would change, and its steps."""
    return asking_models.proposal(reading, proposal_id)


@ROUTER.get("/models")
def models(reading: Pinned) -> answers.Models:
    """What is in force, what came and went, and what was tried."""
    return asking_models.models(reading)


@ROUTER.get("/thresholds")
def thresholds(reading: Pinned) -> Curve:
    """What every threshold would decide, and what audits say of it."""
    return asking_thresholds.curve(reading)


@ROUTER.get("/thresholds/samples")
def samples(reading: Pinned, low: Likeness, high: Likeness) -> Samples:
    """Decisions whose likeness lies from `low` on and below `high`: those that change side when the threshold goes from one to the other."""
    return asking_thresholds.samples(reading, min(low, high), max(low, high))


@ROUTER.get("/loops")
def loops(reading: Pinned) -> answers.Loops:
    """Reported problems, the oldest open ones first."""
    return asking_models.loops(reading)


@ROUTER.get("/loops/{loop_id}")
def loop(reading: Pinned, loop_id: Number) -> answers.LoopPage:
    """One reported problem, from open to verified."""
    return asking_models.loop(reading, loop_id)


@ROUTER.get("/switches")
def switches(reading: Pinned) -> answers.Switches:
    """Where automation was switched off or on again, and what alarms are open."""
    return asking_models.switches(reading)
