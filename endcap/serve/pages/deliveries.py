"""Deliveries: every arrival of every feed, what was read, and why one is held."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from endcap.serve import asking
from endcap.serve.templating import page_of

router = APIRouter(include_in_schema=False)


@router.get("/deliveries", response_model=None)
def show(request: Request) -> Response:
    """Every delivery, the newest first."""
    return page_of(request, "deliveries.html", deliveries=asking.deliveries(request.state.reading).deliveries)


CASES = [("/deliveries", 200, "read = accepted + quarantined")]
