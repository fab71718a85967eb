"""Offer: as its supplier sent it, what was read from it, what it was compared with, and what was decided."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from endcap.serve import asking_product
from endcap.serve.templating import page_of

router = APIRouter(include_in_schema=False)


@router.get("/o/{offer_id:path}", response_model=None)
def show(request: Request, offer_id: str) -> Response:
    """One offer."""
    return page_of(request, "offer.html", offer=asking_product.offer(request.state.reading, offer_id))


CASES = [("/o/nord:1", 200, "As the supplier sent it"), ("/o/nord:none", 404, "There is no live offer")]
